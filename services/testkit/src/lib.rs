//! Test harness: private Postgres clusters, processes, waiting for events.
