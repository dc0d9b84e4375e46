//! Takes requested mutations to the upstream API and appends the outcome.
