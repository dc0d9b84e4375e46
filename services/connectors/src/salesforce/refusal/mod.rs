//! From what the vendor says to a class and a column; what follows from these is the same for all vendors
//! ([`crate::outcome`]).

mod classify;
mod codes;
mod failures;
mod patterns;
mod vendor_error;

#[cfg(test)]
mod table_test;

pub(crate) use classify::may_mean_another_row;
pub(crate) use failures::{of_answer, of_errors, of_missing_answer, pause};
pub(crate) use vendor_error::VendorError;
