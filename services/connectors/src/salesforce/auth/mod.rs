//! Access tokens.

mod assertion;
mod error;
mod flow;
mod token;

pub(crate) use error::TokenError;
pub(crate) use flow::Login;
pub(crate) use token::{Token, Tokens};
