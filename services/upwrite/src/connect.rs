//! Configuration → connections: to Postgres, to the log, to each upstream.

pub(crate) mod log;
pub(crate) mod postgres;
pub(crate) mod upstreams;
