//! What is wrong, and what deserves a look. Pure: the whole status in, sentences out.

use crate::instant::micros;
use crate::v1::{Counts, Partition, StatusResponse};

use super::processes::{halted, name};

/// Events that wait for longer stand still, rather than being under way. Microseconds.
const STALLED_US: i64 = 30_000_000;
/// Images that are parked for longer deserve a look. Microseconds.
const PARKED_US: i64 = 60_000_000;

pub(super) fn judge(status: &mut StatusResponse) {
    let now_us = status.at.as_ref().map_or(0, micros);
    let mut problems = Vec::new();
    let mut warnings = Vec::new();
    binding(status, &mut problems);
    stages(status, &mut problems, &mut warnings);
    for partition in &status.partitions {
        problems.extend(stands(partition, now_us));
    }
    problems.extend(halted(&status.processes));
    orphaned(status, &mut problems);
    for process in status.processes.iter().filter(|process| !process.alive) {
        let since = process.seen_at.as_ref().map_or(0, |at| (now_us - micros(at)) / 1_000_000);
        warnings.push(format!("process {} has not been heard of for {since} s", name(process)));
    }
    if let Some(counts) = &status.counts {
        counted(counts, now_us, &mut warnings);
    }
    for table in status.tables.iter().filter(|table| table.backfilled_at.is_none()) {
        warnings.push(format!("{}.{} has not been read completely yet", table.source, table.table));
    }
    status.healthy = problems.is_empty();
    status.problems = problems;
    status.warnings = warnings;
}

fn binding(status: &StatusResponse, problems: &mut Vec<String>) {
    let Some(binding) = &status.binding else {
        problems.push("the database is not set up: run `upwrite setup`".to_owned());
        return;
    };
    if let Some(gate) = &binding.gate {
        problems.push(format!("no new mutation is accepted: {gate}"));
    }
    if binding.system_identifier != binding.system_identifier_found {
        problems.push(format!(
            "this deployment belongs to the PostgreSQL cluster {}, and this is {}: restored or copied; see `upwrite ctl recover`",
            binding.system_identifier, binding.system_identifier_found
        ));
    }
    // 0: a standby, which has none of its own.
    if binding.timeline != binding.timeline_found && binding.timeline_found != 0 {
        problems.push(format!(
            "the database is on timeline {}, recorded is {}: restored or failed over; see `upwrite ctl recover`",
            binding.timeline_found, binding.timeline
        ));
    }
}

fn stages(status: &StatusResponse, problems: &mut Vec<String>, warnings: &mut Vec<String>) {
    for stage in status.stages.iter().filter(|stage| stage.required && stage.processes == 0) {
        problems.push(format!("no process runs the {}", stage.name));
    }
    let mut versions: Vec<&String> = status.stages.iter().flat_map(|stage| &stage.versions).collect();
    versions.sort();
    versions.dedup();
    if versions.len() > 1 {
        let versions: Vec<&str> = versions.iter().map(|version| version.as_str()).collect();
        warnings.push(format!("processes of several versions run: {}", versions.join(", ")));
    }
}

/// Why a partition does not move on.
fn stands(partition: &Partition, now_us: i64) -> Option<String> {
    let (stream, number, position) = (&partition.stream, partition.number, partition.position);
    if let Some(error) = &partition.error {
        return Some(format!("the log says nothing of {stream}/{number}: {error}"));
    }
    if let Some(end) = partition.end.filter(|end| *end < position) {
        return Some(format!(
            "{stream}/{number} was folded up to {position}, and the log ends at {end}: restored or truncated; see `upwrite ctl recover`"
        ));
    }
    if let Some(start) = partition.start.filter(|start| *start > position && partition.lag.is_some_and(|lag| lag > 0)) {
        return Some(format!(
            "{stream}/{number} was folded up to {position}, and the log begins at {start}: events are lost; see `upwrite ctl recover`"
        ));
    }
    let since_us = now_us - micros(partition.lag_since.as_ref()?);
    let lag = partition.lag.unwrap_or_default();
    (since_us > STALLED_US).then(|| {
        format!(
            "{stream}/{number} stands still at {position}: {lag} events wait, the first for {} s",
            since_us / 1_000_000
        )
    })
}

/// Mutations in partitions that no applier has; only where it is known what appliers have.
fn orphaned(status: &StatusResponse, problems: &mut Vec<String>) {
    if status.partitions.iter().all(|partition| partition.applier.is_none()) {
        return;
    }
    for partition in
        status.partitions.iter().filter(|partition| partition.applier.is_none() && partition.unfinished > 0)
    {
        let (stream, number, unfinished) = (&partition.stream, partition.number, partition.unfinished);
        problems.push(format!("no applier has {stream}/{number}, where mutations wait: {unfinished}"));
    }
}

fn counted(counts: &Counts, now_us: i64, warnings: &mut Vec<String>) {
    let several = |count: u64, what: &str| (count > 0).then(|| format!("{what}: {count}"));
    warnings.extend(several(counts.dead_letters, "events in upwrite.dead_letters"));
    warnings.extend(several(counts.conflicts, "rows that a constraint of yours refuses (upwrite.conflicts)"));
    warnings.extend(several(counts.in_doubt, "mutations in doubt"));
    let parked_us = counts.oldest_parked_at.as_ref().map_or(0, |at| now_us - micros(at));
    if parked_us > PARKED_US {
        let seconds = parked_us / 1_000_000;
        warnings.push(format!("images wait for somebody's lock: {}, the first for {seconds} s", counts.parked));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instant::timestamp;
    use crate::v1::{Binding, Process, Stage};

    const NOW_US: i64 = 1_700_000_000_000_000;

    fn healthy() -> StatusResponse {
        StatusResponse {
            at: Some(timestamp(NOW_US)),
            binding: Some(Binding {
                system_identifier: "7".into(),
                system_identifier_found: "7".into(),
                timeline: 1,
                timeline_found: 1,
                ..Default::default()
            }),
            stages: vec![Stage { name: "applier".into(), processes: 1, versions: vec!["1".into()], required: true }],
            partitions: vec![Partition {
                stream: "mutations".into(),
                start: Some(0),
                position: 5,
                end: Some(6),
                lag: Some(1),
                lag_since: Some(timestamp(NOW_US - 1_000_000)),
                applier: Some("a/1".into()),
                unfinished: 1,
                ..Default::default()
            }],
            counts: Some(Counts::default()),
            ..Default::default()
        }
    }

    /// Breaks one thing; what is said of it.
    fn judged(break_it: impl FnOnce(&mut StatusResponse)) -> (Vec<String>, Vec<String>) {
        let mut status = healthy();
        break_it(&mut status);
        judge(&mut status);
        assert_eq!(status.healthy, status.problems.is_empty());
        (status.problems, status.warnings)
    }

    #[test]
    fn nothing_is_said_of_what_is_well() {
        assert_eq!(judged(|_| {}), (vec![], vec![]));
    }

    #[test]
    fn problems() {
        type Fault = fn(&mut StatusResponse);
        let faults: [(&str, Fault); 9] = [
            ("no new mutation is accepted: because", |s| s.binding.as_mut().unwrap().gate = Some("because".into())),
            ("not set up", |s| s.binding = None),
            ("restored or copied", |s| s.binding.as_mut().unwrap().system_identifier_found = "8".into()),
            ("timeline 2", |s| s.binding.as_mut().unwrap().timeline_found = 2),
            ("no process runs the applier", |s| s.stages[0].processes = 0),
            ("the log ends at 4", |s| s.partitions[0].end = Some(4)),
            ("the log begins at 6", |s| s.partitions[0].start = Some(6)),
            ("stands still at 5: 1 events wait, the first for 31 s", |s| {
                s.partitions[0].lag_since = Some(timestamp(NOW_US - 31_000_000));
            }),
            ("no answer", |s| s.partitions[0].error = Some("no answer".into())),
        ];
        for (expected, fault) in faults {
            let (problems, warnings) = judged(fault);
            assert!(problems.len() == 1 && problems[0].contains(expected), "{expected}: {problems:?}");
            assert_eq!(warnings, [""; 0]);
        }
    }

    #[test]
    fn a_partition_that_no_applier_has_is_a_problem_only_if_mutations_wait_there() {
        let with = |unfinished| {
            move |status: &mut StatusResponse| {
                let other = Partition { stream: "mutations".into(), number: 1, unfinished, ..Default::default() };
                status.partitions.push(other);
            }
        };
        assert_eq!(judged(with(0)).0, [""; 0]);
        assert_eq!(judged(with(2)).0, ["no applier has mutations/1, where mutations wait: 2"]);
    }

    #[test]
    fn warnings() {
        let (problems, warnings) = judged(|status| {
            let silent = Process {
                host: "a".into(),
                pid: 3,
                seen_at: Some(timestamp(NOW_US - 40_000_000)),
                ..Default::default()
            };
            status.processes.push(silent);
            status.stages[0].versions.push("2".into());
            status.tables.push(crate::v1::Table {
                source: "crm".into(),
                table: "contact".into(),
                ..Default::default()
            });
            let oldest_parked_at = Some(timestamp(NOW_US - 61_000_000));
            status.counts = Some(Counts {
                dead_letters: 2,
                conflicts: 1,
                in_doubt: 3,
                parked: 4,
                oldest_parked_at,
                ..Default::default()
            });
        });
        assert_eq!(problems, [""; 0]);
        assert_eq!(
            warnings,
            [
                "processes of several versions run: 1, 2",
                "process a/3 has not been heard of for 40 s",
                "events in upwrite.dead_letters: 2",
                "rows that a constraint of yours refuses (upwrite.conflicts): 1",
                "mutations in doubt: 3",
                "images wait for somebody's lock: 4, the first for 61 s",
                "crm.contact has not been read completely yet",
            ]
        );
    }
}
