#![doc = include_str!("../README.md")]
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on has nothing to report")]

mod bench;
mod floor;
mod held;
mod relay;
mod stats;

use clap::{Parser, Subcommand};

/// Benchmarks of Upwrite against named floors and peers.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Held write against its floor, and relay against a direct connection.
    Bench {
        /// Measured writes; a tenth as many run before, unmeasured.
        #[arg(long, default_value_t = 500)]
        writes: usize,
    },
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Bench { writes } => bench::bench(writes).await,
    }
}
