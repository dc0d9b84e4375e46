//! The life of the process: read the command line, do it, say how it ended.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use upwrite_connectors::Vendors;

use crate::stage::Stage;

/// Read and write Salesforce and other APIs with plain SQL.
///
/// API data lives in ordinary Postgres tables. Applications connect to Upwrite's proxy as if it were Postgres: reads
/// pass straight through, and INSERT, UPDATE and DELETE on a synced table are written to a log, applied to the API,
/// and answered once they are true.
///
/// To begin: `upwrite demo` shows everything on this machine, with a private Postgres and a stand-in for Salesforce.
/// For real: `upwrite check-config --reference > upwrite.toml`, edit it, `upwrite setup`, `upwrite run`.
#[derive(Parser)]
#[command(version, about, verbatim_doc_comment, max_term_width = 120)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make schema, roles, triggers and synced tables in Postgres; say what was done. Safe to run again.
    ///
    /// Logs in to Postgres as `postgres.setup_user` (a superuser) and to every source, whose objects it describes.
    Setup(ConfigArgs),
    /// Run everything in one process: proxy, applier, reconciler, syncer, and the control API if there is [control].
    ///
    /// SIGTERM or Ctrl-C: no new clients, held ones get their verdict within `shutdown.grace`, then exit 0. A second
    /// one: exit at once; nothing that was accepted is lost, the next start goes on with it.
    Run(ConfigArgs),
    /// Run a proxy only: applications connect to it as if it were Postgres.
    ///
    /// The stages may run as processes of their own, several of each, on as many machines as you like, all with the
    /// same configuration file. They share the work among them; any of them may die.
    Proxy(ConfigArgs),
    /// Run an applier only: calls the upstream APIs.
    Applier(ConfigArgs),
    /// Run a reconciler only: writes results into the synced tables.
    Reconciler(ConfigArgs),
    /// Run a syncer only: reads what upstream has.
    Syncer(ConfigArgs),
    /// Run the control API only, which `upwrite ctl` speaks. Needs a section [control].
    Control(ConfigArgs),
    /// Ask the control API: status, mutations, rebuild, recover.
    #[command(after_help = crate::ctl::EXIT_CODES)]
    Ctl(Box<crate::ctl::Ctl>),
    /// Report all mistakes in a configuration file, each with its place.
    CheckConfig {
        #[command(flatten)]
        config: ConfigArgs,
        /// Print the commented reference file instead.
        #[arg(long)]
        reference: bool,
    },
    /// Start a private Postgres, a stand-in for Salesforce and Upwrite; take a tour of real statements.
    ///
    /// On a terminal it then stays up until Ctrl-C; elsewhere it ends after the tour. Nothing is left behind.
    Demo {
        /// With the log on Kafka: starts a broker and a schema registry, too (`scripts/install-tools kafka` fetches them).
        #[arg(long)]
        kafka: bool,
    },
}

#[derive(clap::Args)]
struct ConfigArgs {
    /// The configuration file.
    #[arg(short, long, env = "UPWRITE_CONFIG", default_value = "upwrite.toml", value_name = "FILE")]
    config: PathBuf,
}

/// The whole life of a process of Upwrite that knows these vendors' sources. An executable is this function and a list.
pub fn main(vendors: Vendors) -> ExitCode {
    let cli = Cli::parse();
    upwrite_connectors::install_crypto_provider();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&anyhow::Error::new(error).context("the async runtime did not start")),
    };
    let run = |args: &ConfigArgs, only| runtime.block_on(crate::commands::run(&args.config, vendors, only));
    let ended = match cli.command {
        Command::Setup(args) => runtime.block_on(crate::commands::setup(&args.config, vendors)),
        Command::Run(args) => run(&args, None),
        Command::Proxy(args) => run(&args, Some(Stage::Proxy)),
        Command::Applier(args) => run(&args, Some(Stage::Applier)),
        Command::Reconciler(args) => run(&args, Some(Stage::Reconciler)),
        Command::Syncer(args) => run(&args, Some(Stage::Syncer)),
        Command::Control(args) => run(&args, Some(Stage::Control)),
        Command::Ctl(args) => {
            let code = runtime.block_on(crate::ctl::ctl(*args));
            runtime.shutdown_background();
            return code;
        }
        Command::CheckConfig { reference: true, .. } => {
            print!("{}", crate::config::REFERENCE);
            Ok(())
        }
        Command::CheckConfig { config, .. } => crate::commands::check_config(&config.config, vendors),
        Command::Demo { kafka } => runtime.block_on(crate::demo::demo(kafka)),
    };
    // Blocking work that is still under way (a name look-up, say) must not keep the process.
    runtime.shutdown_background();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

fn failed(error: &anyhow::Error) -> ExitCode {
    eprintln!("upwrite: {error:#}");
    ExitCode::FAILURE
}
