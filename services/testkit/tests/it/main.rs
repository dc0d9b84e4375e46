//! The harness on real servers and processes.

mod clusters;
mod drivers;
mod processes;
