//! From a refusal to what a Postgres client reads: class → outcome, retry rule and SQLSTATE ([`rule`]) → the words and
//! fields that drivers and object mappers parse. One table and one wording for all vendors; what a vendor's codes mean
//! is said in its folder.

mod about;
mod error;
mod rules;
mod words;

pub use about::About;
pub use error::{Refusal, after_pause, local, refused, unaccounted, unanswered};
pub use rules::{Rule, rule};
