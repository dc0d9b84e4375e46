//! The contract suite: what holds on every engine. One function per property, generic over the harness.

pub(crate) mod append;
pub(crate) mod faults;
pub(crate) mod submit;
pub(crate) mod subscribe;
pub(crate) mod versions;
