//! From errors to failed tests.

use std::fmt::Display;

/// The value, or a panic with what went wrong at the caller's place.
#[track_caller]
pub(crate) fn must<T>(result: Result<T, impl Display>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{error}"),
    }
}
