//! The harness on real servers and processes.

mod clusters;
mod processes;
