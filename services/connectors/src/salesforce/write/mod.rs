//! Writing: sObject Collections for many rows, Composite (write and read back in one round trip) for one.

mod answer;
mod body;
mod call;
mod chain;
mod report;

pub(crate) use call::Writing;
