//! One function a subcommand.

use std::path::Path;

use anyhow::Context as _;
use sqlx::{Connection as _, PgConnection};

use upwrite_connectors::Vendors;

use crate::config::Config;
use crate::observe::Traces;
use crate::setup::{Grant, SetupPlan, setup as install};
use crate::stage::Stage;
use crate::{connect, logging, stages};

/// `upwrite check-config`
pub fn check_config(path: &Path, vendors: Vendors) -> anyhow::Result<()> {
    let config = Config::load(path, vendors)?;
    let mut mistakes = connect::log::mistakes(&config);
    let budgets = upwrite_connectors::budgets(&config.sources);
    mistakes.extend(connect::upstreams::connectors(&config, &budgets).err().map(|error| error.to_string()));
    anyhow::ensure!(mistakes.is_empty(), "{}: {}", path.display(), mistakes.join("\n"));
    println!("{}: no mistakes", path.display());
    Ok(())
}

/// `upwrite setup`
pub async fn setup(path: &Path, vendors: Vendors) -> anyhow::Result<()> {
    let config = Config::load(path, vendors)?;
    logging::begin(&config.logging, None)?;
    let mut tables = Vec::new();
    let budgets = upwrite_connectors::budgets(&config.sources);
    for (name, connector) in connect::upstreams::connectors(&config, &budgets)? {
        eprintln!("{name}: describing objects …");
        let discovered = connector.discover().await.map_err(|error| {
            anyhow::anyhow!("source {name}: {} ({})", error.failure.message, error.failure.sqlstate)
        })?;
        tables.extend(discovered);
    }
    tables.sort_by(|a, b| a.name.cmp(&b.name));
    let plan = SetupPlan {
        service_password: config.postgres.service_password.expose().to_owned(),
        reconciler_password: config.postgres.reconciler_password.expose().to_owned(),
        partitions: config.partitions,
        log: connect::log::binding(&config).await?,
        tables,
        grants: grants(&config),
    };
    let postgres = &config.postgres;
    let mut superuser =
        PgConnection::connect_with(&connect::postgres::superuser_options(postgres)?).await.with_context(|| {
            format!("logging in to Postgres at {}:{} as {}", postgres.host, postgres.port, postgres.setup_user)
        })?;
    let mut report = install(&mut superuser, &plan).await?;
    let names: Vec<_> = plan.tables.iter().map(|table| table.name.clone()).collect();
    report.done.extend(connect::log::prepare(&config, &names).await?);
    for line in &report.done {
        println!("{line}");
    }
    if report.done.is_empty() {
        println!("nothing to do: everything is as configured");
    }
    Ok(())
}

fn grants(config: &Config) -> Vec<Grant> {
    let each = config.grants.iter().flat_map(|grant| {
        grant.tables.iter().filter_map(|table| {
            let (source, table) = table.split_once('.')?;
            Some(Grant {
                role: grant.role.clone(),
                table: upwrite_events::TableName::new(source, table),
                privileges: grant.privileges.clone(),
            })
        })
    });
    each.collect()
}

/// `upwrite run` (`only`: none), and `upwrite proxy` and so on.
pub async fn run(path: &Path, vendors: Vendors, only: Option<Stage>) -> anyhow::Result<()> {
    let config = Config::load(path, vendors)?;
    let stages = only.map_or_else(|| Stage::all(&config), |stage| vec![stage]);
    let traces = Traces::begin(&config.observe, &stages)?;
    logging::begin(&config.logging, traces.as_ref())?;
    anyhow::ensure!(
        only != Some(Stage::Control) || config.control.is_some(),
        "{} has no section [control]",
        path.display()
    );
    let ended = stages::run(config, stages).await;
    if let Some(traces) = traces {
        traces.end().await;
    }
    ended
}
