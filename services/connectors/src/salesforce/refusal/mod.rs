//! From what the vendor says to what a Postgres client reads: code → class ([`CODES`]) → outcome, retry rule and
//! SQLSTATE ([`rule`]) → the words and fields that drivers and object mappers parse.

mod classify;
mod codes;
mod failures;
mod patterns;
mod rules;
mod vendor_error;
mod words;

#[cfg(test)]
mod table_test;

pub(crate) use classify::About;
pub(crate) use failures::{local, of_answer, of_errors, of_missing_answer, unaccounted};
pub(crate) use vendor_error::VendorError;
