#![doc = include_str!("../README.md")]
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on has nothing to report")]

mod bench;
mod engine;
mod failover;
mod floor;
mod held;
mod rebuild;
mod relay;
mod stats;
mod throughput;

use clap::{Parser, Subcommand};

/// Benchmarks of Upwrite against named floors and peers.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Held write against its floor, relay against a direct connection, throughput, failover.
    Bench {
        /// One engine only.
        #[arg(long)]
        engine: Option<engine::Engine>,
        /// Measured writes; a tenth as many run before, unmeasured.
        #[arg(long, default_value_t = 500)]
        writes: usize,
    },
    /// A rebuild of a table from the log against a plain COPY of the same rows.
    Rebuild {
        #[arg(long, default_value_t = 1_000_000)]
        rows: usize,
    },
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Bench { engine, writes } => {
            let both = [engine::Engine::Postgres, engine::Engine::Kafka];
            bench::bench(engine.as_ref().map_or(&both, std::slice::from_ref), writes).await
        }
        Command::Rebuild { rows } => rebuild::rebuild(rows).await,
    }
}
