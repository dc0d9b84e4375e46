//! What is particular to the Postgres engine.
