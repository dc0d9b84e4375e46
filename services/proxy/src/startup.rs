//! From an accepted connection to a startup message, with TLS on the way.

mod error;
mod negotiate;
mod packet;

pub(crate) use error::LoginError;
pub(crate) use negotiate::{Opening, SessionRequest, open};
pub(crate) use packet::Startup;
