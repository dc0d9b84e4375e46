//! `upwrite ctl`: asks the control API, for people and for scripts.

mod access;
mod exit;
mod mutations;
mod operate;
mod page;
mod progress;
mod status;
mod table;
mod watch;
mod when;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use upwrite_control::{Client, v1};

use access::Access;
use exit::Failure;
use when::Since;

/// `upwrite ctl`
#[derive(Args, Debug)]
pub struct Ctl {
    #[command(flatten)]
    access: Access,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Processes, stages, partitions, tables, what waits, and what is wrong. Exit code 1 if something is.
    Status,
    /// What became of mutations.
    #[command(subcommand)]
    Mutations(Mutations),
    /// Rebuild a synced table or the projections from the log, while everything runs on.
    ///
    /// Interrupted, it ends; what it has mended by then stays, and it may be run again.
    Rebuild(Rebuild),
    /// Bring back to work what refuses to go on: a database that was restored, a log that was truncated.
    ///
    /// Stop all other stages first. Claims and projections are rebuilt, unfinished mutations are marked in doubt,
    /// upstream is read again. Interrupted, it may be run again; until it has succeeded no new mutation is accepted.
    Recover {
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Subcommand, Debug)]
enum Mutations {
    /// Latest request first.
    List {
        #[command(flatten)]
        filter: Filter,
        /// At most so many; 0: all.
        #[arg(long, default_value_t = 100, value_name = "NUMBER")]
        limit: u64,
    },
    /// One mutation, with its events from the log. Exit code 3 if there is none with that id.
    Show {
        /// As `upwrite.last_mutation` and error messages name it.
        id: String,
    },
    /// Mutations as they change, until interrupted. First those that have not come to their end yet.
    Watch {
        #[command(flatten)]
        filter: Filter,
        /// Go on where an earlier watch ended: the `resume_token` of its last line (with --json).
        #[arg(long, value_name = "TOKEN")]
        resume: Option<String>,
    },
}

#[derive(Args, Debug)]
struct Filter {
    /// requested, attempted, deferred, applied, rejected, partial, in_doubt, revoked, voided, dead; several with commas.
    #[arg(long = "state", value_delimiter = ',', value_name = "STATE")]
    states: Vec<String>,
    /// Of this synced table.
    #[arg(long, value_name = "SOURCE.TABLE")]
    table: Option<String>,
    /// Of this Postgres user.
    #[arg(long)]
    user: Option<String>,
    /// Requested then or later: 2026-01-31T12:00:00Z, or how long ago: 10m, 2h, 3d.
    #[arg(long, value_name = "WHEN")]
    since: Option<Since>,
}

#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
struct Rebuild {
    /// This synced table.
    #[arg(long, value_name = "SOURCE.TABLE")]
    table: Option<String>,
    /// upwrite.mutations, upwrite.records and the owners of partitions.
    #[arg(long)]
    projections: bool,
}

impl From<Filter> for v1::MutationFilter {
    fn from(filter: Filter) -> Self {
        Self { states: filter.states, table: filter.table, user: filter.user, since: filter.since.map(|since| since.0) }
    }
}

/// For `--help`.
pub const EXIT_CODES: &str = "Exit codes: 0 done · 1 the operation failed, or `status` found problems · 2 wrong usage \
    · 3 no such mutation or table · 4 the control API cannot be reached · 5 not authorised (token)";

/// Does what the command line says; the exit code says how it went.
pub async fn ctl(ctl: Ctl) -> ExitCode {
    let json = ctl.access.json;
    match run(ctl).await {
        Ok(code) => code,
        Err(failure) => failure.report(json),
    }
}

async fn run(ctl: Ctl) -> Result<ExitCode, Failure> {
    let json = ctl.access.json;
    let server = access::client_config(&ctl.access)?;
    if let Command::Recover { yes } = ctl.command {
        operate::confirm(yes)?;
    }
    let mut client = Client::connect(server.clone()).await?;
    match ctl.command {
        Command::Status => {
            let status = client.status().await?;
            page::print(&if json { page::json(&status) } else { status::text(&status) })?;
            return Ok(if status.healthy { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        Command::Mutations(Mutations::List { filter, limit }) => {
            mutations::list(&mut client, filter.into(), limit, json).await?;
        }
        Command::Mutations(Mutations::Show { id }) => {
            let found = client.get_mutation(&id).await?;
            page::print(&if json { page::json(&found) } else { mutations::detail(&found) })?;
        }
        Command::Mutations(Mutations::Watch { filter, resume }) => {
            watch::watch(client, server, filter.into(), resume.unwrap_or_default(), json).await?;
        }
        Command::Rebuild(target) => operate::show(client.rebuild(target.table).await?, json).await?,
        Command::Recover { .. } => operate::show(client.recover().await?, json).await?,
    }
    Ok(ExitCode::SUCCESS)
}
