//! Salesforce: REST API, SOQL, sObject Collections and Composite. Facts about the vendor: its REST API
//! documentation and the partner WSDL.

mod auth;
mod clock;
mod config;
mod describe;
mod discover;
mod http;
mod limits;
mod read;
mod record;
mod refusal;
mod secret;
mod upstream;
mod validate;
mod value;
mod write;

pub use clock::Clock;
pub use config::{Auth, Config, ObjectConfig};
pub use http::install_crypto_provider;
pub use secret::Secret;
pub use upstream::Salesforce;
pub use validate::{ConfigError, ConfigErrors};
