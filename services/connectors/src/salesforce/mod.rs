//! Salesforce: REST API, SOQL, sObject Collections and Composite. Facts about the vendor: its REST API
//! documentation and the partner WSDL.

mod auth;
mod client;
mod config;
mod describe;
mod discover;
mod limits;
mod read;
mod record;
mod refusal;
mod source;
mod upstream;
mod validate;
mod value;
mod write;

pub use config::{Auth, Config, ObjectConfig};
pub use source::SalesforceVendor;
pub use upstream::Salesforce;
pub use validate::{ConfigError, ConfigErrors};
