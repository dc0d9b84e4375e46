//! The stand-in for a Salesforce organisation.

mod api;
mod error;
mod id;
mod oauth;
mod options;
mod org;
mod refusal;
mod schema;
mod seed;
mod settings;
mod soql;
mod stamp;
mod third_party;
mod vendor;
mod verbs;

pub use options::OrgOptions;
pub use org::{DuplicateRule, Predicate, ValidationRule};
pub use vendor::Salesforce;
