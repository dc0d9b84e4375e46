//! The stand-in for a Salesforce organisation.

pub(crate) mod api;
pub(crate) mod error;
pub(crate) mod id;
pub(crate) mod oauth;
pub(crate) mod org;
pub(crate) mod schema;
pub(crate) mod seed;
pub(crate) mod soql;
pub(crate) mod stamp;
mod third_party;
