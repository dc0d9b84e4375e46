//! What processes say of themselves (`upwrite.processes`) and have (locks of groups) → held clients, owners, stages.

use serde_json::Value;

use crate::v1::{Process, Stage, StatusResponse};

/// Stages, and whether mutations get no verdict without them. The syncer's turn comes with the first synced table.
const STAGES: [(&str, bool); 4] = [("proxy", true), ("applier", true), ("reconciler", true), ("syncer", false)];

/// One item of a group, and the process that has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    group: String,
    item: u32,
    pid: i32,
    /// Perhaps cut: names of sessions have 63 bytes.
    host: String,
}

impl Member {
    /// From the name of the Postgres session that has the lock: `upwrite group <group> <pid>@<host>`.
    pub(super) fn parse(session: &str, item: u32) -> Option<Self> {
        let (group, who) = session.strip_prefix("upwrite group ")?.split_once(' ')?;
        let (pid, host) = who.split_once('@')?;
        Some(Self { group: group.to_owned(), item, pid: pid.parse().ok()?, host: host.to_owned() })
    }

    fn name(&self, processes: &[Process]) -> String {
        let known = processes.iter().find(|process| process.pid == self.pid && process.host.starts_with(&self.host));
        known.map_or_else(|| format!("{}/{}", self.host, self.pid), name)
    }
}

/// Fills in what follows from what processes say, and from the group items that they have. What they do not say, or say
/// in another form, stays unknown.
pub(super) fn fill(status: &mut StatusResponse, members: &[Member]) {
    for process in &mut status.processes {
        let detail: Value = serde_json::from_str(&process.detail_json).unwrap_or(Value::Null);
        process.held = detail["proxy"]["held"].as_u64();
        process.clients = detail["proxy"]["clients"].as_u64();
    }
    let who = |group: &str, number: u32| {
        let holder = members.iter().find(|member| member.group == group && member.item == number);
        holder.map(|member| member.name(&status.processes))
    };
    for partition in &mut status.partitions {
        partition.applier = if partition.stream == "mutations" { who("applier", partition.number) } else { None };
        partition.reconciler = who("reconciler", partition.number);
    }
    status.stages = stages(&status.processes, !status.tables.is_empty());
    if let Some(counts) = &mut status.counts {
        let alive = status.processes.iter().filter(|process| process.alive);
        counts.held = alive.filter_map(|process| process.held).sum();
    }
}

/// Partitions that a living process says stand still, a sentence each.
pub(super) fn halted(processes: &[Process]) -> Vec<String> {
    let mut halted = Vec::new();
    for process in processes.iter().filter(|process| process.alive) {
        let detail: Value = serde_json::from_str(&process.detail_json).unwrap_or(Value::Null);
        for stage in ["applier", "reconciler"] {
            for partition in detail[stage]["partitions"].as_array().into_iter().flatten() {
                let Some(why) = partition["halted"].as_str() else { continue };
                let number = partition["partition"].as_u64().or_else(|| partition["number"].as_u64());
                let stream = partition["stream"].as_str().unwrap_or("mutations");
                let place = number.map_or_else(|| stream.to_owned(), |number| format!("{stream}/{number}"));
                halted.push(format!("the {stage} {} stands still at {place}: {why}", name(process)));
            }
        }
    }
    halted
}

/// The name under which a process is shown.
pub(super) fn name(process: &Process) -> String {
    format!("{}/{}", process.host, process.pid)
}

fn stages(processes: &[Process], has_tables: bool) -> Vec<Stage> {
    let mut stages: Vec<Stage> = STAGES
        .iter()
        .map(|(name, always)| Stage { name: (*name).to_owned(), required: *always || has_tables, ..Default::default() })
        .collect();
    for process in processes.iter().filter(|process| process.alive) {
        for name in &process.stages {
            let known = stages.iter().position(|stage| stage.name == *name).unwrap_or_else(|| {
                stages.push(Stage { name: name.clone(), ..Default::default() });
                stages.len() - 1
            });
            let stage = &mut stages[known];
            stage.processes += 1;
            if !stage.versions.contains(&process.version) {
                stage.versions.push(process.version.clone());
            }
        }
    }
    stages
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v1::{Counts, Partition};

    fn process(pid: i32, alive: bool, detail: &str) -> Process {
        let stages = vec!["proxy".to_owned(), "applier".to_owned()];
        Process {
            host: "host-a".into(),
            pid,
            alive,
            stages,
            version: "1".into(),
            detail_json: detail.into(),
            ..Default::default()
        }
    }

    #[test]
    fn what_stands_still_is_said() {
        let applier =
            r#"{"applier":{"partitions":[{"partition":1,"halted":null},{"partition":2,"halted":"too new"}]}}"#;
        let reconciler = r#"{"reconciler":{"partitions":[{"stream":"observations","number":3,"halted":"gone"}]}}"#;
        let processes = [process(1, true, applier), process(2, true, reconciler), process(3, false, applier)];
        let expected = [
            "the applier host-a/1 stands still at mutations/2: too new",
            "the reconciler host-a/2 stands still at observations/3: gone",
        ];
        assert_eq!(halted(&processes), expected);
    }

    #[test]
    fn who_has_what() {
        let partition = |stream: &str, number| Partition { stream: stream.into(), number, ..Default::default() };
        let mut status = StatusResponse {
            processes: vec![
                process(1, true, r#"{"proxy":{"held":2,"clients":9}}"#),
                process(2, true, r#"{"proxy":{"held":3}}"#),
                process(3, false, r#"{"proxy":{"held":7}}"#),
                process(4, true, "not json"),
            ],
            partitions: vec![partition("mutations", 0), partition("mutations", 1), partition("observations", 0)],
            counts: Some(Counts::default()),
            ..Default::default()
        };
        let sessions =
            [("applier 1@host", 0), ("applier 9@elsewhere", 1), ("reconciler 2@host-a", 0), ("x", 1), ("a b@c", 1)];
        let members: Vec<Member> = sessions
            .iter()
            .filter_map(|(session, item)| Member::parse(&format!("upwrite group {session}"), *item))
            .collect();
        assert_eq!(members.len(), 3);
        fill(&mut status, &members);
        assert_eq!(status.counts.unwrap().held, 5);
        assert_eq!(status.processes[0].clients, Some(9));
        let who: Vec<_> = status.partitions.iter().map(|p| (p.applier.as_deref(), p.reconciler.as_deref())).collect();
        let expected = [(Some("host-a/1"), Some("host-a/2")), (Some("elsewhere/9"), None), (None, Some("host-a/2"))];
        assert_eq!(who, expected);
        let stages: Vec<_> = status.stages.iter().map(|s| (s.name.as_str(), s.processes, s.required)).collect();
        assert_eq!(stages, [("proxy", 3, true), ("applier", 3, true), ("reconciler", 0, true), ("syncer", 0, false)]);
    }
}
