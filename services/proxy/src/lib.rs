//! The wire proxy: SQL to MutationRequested, verdict to client.
