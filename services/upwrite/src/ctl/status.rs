//! The status, for people. Pure.

use upwrite_control::{Timestamp, v1};

use super::table::{Table, one_line};
use super::when::{age, at};

pub(super) fn text(status: &v1::StatusResponse) -> String {
    let now = status.at.as_ref();
    let mut text = format!("{}, {}\n", if status.healthy { "healthy" } else { "NOT HEALTHY" }, at(now));
    text.push_str(&binding(status.binding.as_ref()));
    for (heading, lines) in [("PROBLEMS", &status.problems), ("WARNINGS", &status.warnings)] {
        if !lines.is_empty() {
            text.push_str(&format!("\n{heading}\n"));
            text.extend(lines.iter().map(|line| format!("  {}\n", one_line(line))));
        }
    }
    for table in [stages(status), processes(status, now), partitions(status, now), tables(status, now)] {
        if !table.is_empty() {
            text.push('\n');
            text.push_str(&table.text());
        }
    }
    if let Some(counts) = &status.counts {
        text.push('\n');
        text.push_str(&self::counts(counts, now));
    }
    text
}

fn binding(binding: Option<&v1::Binding>) -> String {
    let Some(binding) = binding else { return String::new() };
    let log = match &binding.log_cluster {
        Some(cluster) => format!("{} cluster {cluster}", binding.log_engine),
        None => binding.log_engine.clone(),
    };
    format!(
        "deployment {}: PostgreSQL {} (system {}, timeline {}), log on {log} with {} partitions, schema {}, upwrite {}\n",
        binding.deployment,
        binding.server_version,
        binding.system_identifier_found,
        binding.timeline_found,
        binding.partitions,
        binding.schema.as_deref().unwrap_or("-"),
        binding.version,
    )
}

fn stages(status: &v1::StatusResponse) -> Table {
    let mut table = Table::new(["STAGE", "PROCESSES", "VERSIONS"]);
    for stage in &status.stages {
        let missing = if stage.required && stage.processes == 0 { "needed" } else { "-" };
        let versions = if stage.versions.is_empty() { missing.to_owned() } else { stage.versions.join(" ") };
        table.row([stage.name.clone(), stage.processes.to_string(), versions]);
    }
    table
}

fn processes(status: &v1::StatusResponse, now: Option<&Timestamp>) -> Table {
    let mut table = Table::new(["PROCESS", "VERSION", "STAGES", "UP", "SEEN", "CLIENTS", "HELD"]);
    for process in &status.processes {
        table.row([
            format!("{}/{}", process.host, process.pid),
            process.version.clone(),
            process.stages.join(" "),
            age(process.started_at.as_ref(), now),
            if process.alive {
                age(process.seen_at.as_ref(), now)
            } else {
                format!("{} (gone?)", age(process.seen_at.as_ref(), now))
            },
            number(process.clients),
            number(process.held),
        ]);
    }
    table
}

fn partitions(status: &v1::StatusResponse, now: Option<&Timestamp>) -> Table {
    let mut table = Table::new([
        "PARTITION",
        "APPLIER",
        "RECONCILER",
        "START",
        "POSITION",
        "END",
        "LAG",
        "BEHIND",
        "OPEN",
        "OLDEST",
    ]);
    for partition in &status.partitions {
        table.row([
            format!("{}/{}", partition.stream, partition.number),
            partition.applier.clone().unwrap_or_else(|| "-".to_owned()),
            partition.reconciler.clone().unwrap_or_else(|| "-".to_owned()),
            number(partition.start),
            partition.position.to_string(),
            number(partition.end),
            number(partition.lag),
            age(partition.lag_since.as_ref(), now),
            partition.unfinished.to_string(),
            age(partition.oldest_unfinished_at.as_ref(), now),
        ]);
    }
    table
}

fn tables(status: &v1::StatusResponse, now: Option<&Timestamp>) -> Table {
    let mut table = Table::new(["TABLE", "BACKFILLED", "REREADS", "PARKED", "CONFLICTS", "OUTBOX"]);
    for one in &status.tables {
        let backfilled = one.backfilled_at.as_ref();
        table.row([
            format!("{}.{}", one.source, one.table),
            backfilled.map_or_else(|| "not yet".to_owned(), |_| format!("{} ago", age(backfilled, now))),
            one.rereads.to_string(),
            one.parked.to_string(),
            one.conflicts.to_string(),
            one.outbox.to_string(),
        ]);
    }
    table
}

fn counts(counts: &v1::Counts, now: Option<&Timestamp>) -> String {
    let mut table = Table::new([
        "HELD",
        "OPEN",
        "DEFERRED",
        "SETTLING",
        "IN DOUBT",
        "CLAIMS",
        "OLDEST",
        "PARKED",
        "DEAD LETTERS",
        "CONFLICTS",
    ]);
    table.row([
        counts.held.to_string(),
        counts.unfinished.to_string(),
        counts.deferred.to_string(),
        counts.settling.to_string(),
        counts.in_doubt.to_string(),
        counts.claims.to_string(),
        age(counts.oldest_claim_at.as_ref(), now),
        counts.parked.to_string(),
        counts.dead_letters.to_string(),
        counts.conflicts.to_string(),
    ]);
    table.text()
}

fn number(number: Option<impl ToString>) -> String {
    number.map_or_else(|| "-".to_owned(), |number| number.to_string())
}

#[cfg(test)]
#[path = "status_test.rs"]
mod tests;
