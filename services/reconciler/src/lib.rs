//! The only writer of synced tables.
