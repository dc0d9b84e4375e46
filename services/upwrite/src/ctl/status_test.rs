use super::*;

fn ago(seconds: i64) -> Option<Timestamp> {
    Some(Timestamp { seconds: 1_700_000_000 - seconds, nanos: 0 })
}

fn processes() -> Vec<v1::Process> {
    vec![
        v1::Process {
            host: "web-1".into(),
            pid: 4711,
            version: "0.1.0".into(),
            stages: vec!["proxy".into()],
            started_at: ago(7_400),
            seen_at: ago(1),
            alive: true,
            held: Some(3),
            clients: Some(120),
            ..Default::default()
        },
        v1::Process {
            host: "work-1".into(),
            pid: 12,
            version: "0.1.0".into(),
            stages: vec!["applier".into(), "reconciler".into()],
            started_at: ago(90_000),
            seen_at: ago(40),
            ..Default::default()
        },
    ]
}

fn status() -> v1::StatusResponse {
    v1::StatusResponse {
        healthy: false,
        problems: vec!["no process runs the syncer".into()],
        warnings: vec!["mutations in doubt: 1".into()],
        at: ago(0),
        binding: Some(v1::Binding {
            deployment: "0190b0c0-0000-7000-8000-000000000001".into(),
            system_identifier: "7301".into(),
            system_identifier_found: "7301".into(),
            timeline: 1,
            timeline_found: 1,
            log_engine: "kafka".into(),
            log_cluster: Some("MkU3".into()),
            partitions: 2,
            server_version: "15.6".into(),
            schema: Some("0008_processes".into()),
            version: "0.1.0".into(),
            gate: None,
        }),
        processes: processes(),
        stages: vec![
            v1::Stage { name: "proxy".into(), processes: 1, versions: vec!["0.1.0".into()], required: true },
            v1::Stage { name: "syncer".into(), processes: 0, versions: vec![], required: true },
        ],
        partitions: vec![
            v1::Partition {
                stream: "mutations".into(),
                start: Some(0),
                end: Some(1_204),
                position: 1_200,
                lag: Some(4),
                lag_since: ago(2),
                applier: Some("work-1/12".into()),
                reconciler: Some("work-1/12".into()),
                unfinished: 3,
                oldest_unfinished_at: ago(5),
                ..Default::default()
            },
            v1::Partition { stream: "observations".into(), number: 1, position: 9, ..Default::default() },
        ],
        tables: vec![v1::Table { source: "crm".into(), table: "contact".into(), rereads: 2, ..Default::default() }],
        counts: Some(v1::Counts {
            held: 3,
            claims: 4,
            oldest_claim_at: ago(6),
            unfinished: 3,
            in_doubt: 1,
            ..Default::default()
        }),
    }
}

#[test]
fn everything_at_a_glance() {
    let expected = "\
NOT HEALTHY, 2023-11-14 22:13:20.000
deployment 0190b0c0-0000-7000-8000-000000000001: PostgreSQL 15.6 (system 7301, timeline 1), log on kafka cluster MkU3 with 2 partitions, schema 0008_processes, upwrite 0.1.0

PROBLEMS
  no process runs the syncer

WARNINGS
  mutations in doubt: 1

STAGE   PROCESSES  VERSIONS
proxy           1  0.1.0
syncer          0  needed

PROCESS     VERSION  STAGES              UP     SEEN         CLIENTS  HELD
web-1/4711  0.1.0    proxy               2h 3m  1s               120     3
work-1/12   0.1.0    applier reconciler  1d 1h  40s (gone?)        -     -

PARTITION       APPLIER    RECONCILER  START  POSITION   END  LAG  BEHIND  OPEN  OLDEST
mutations/0     work-1/12  work-1/12       0      1200  1204    4  2s         3  5s
observations/1  -          -               -         9     -    -  -          0  -

TABLE        BACKFILLED  REREADS  PARKED  CONFLICTS  OUTBOX
crm.contact  not yet           2       0          0       0

HELD  OPEN  DEFERRED  SETTLING  IN DOUBT  CLAIMS  OLDEST  PARKED  DEAD LETTERS  CONFLICTS
   3     3         0         0         1       4  6s           0             0          0
";
    let text = text(&status());
    assert_eq!(text, expected, "\n{text}");
}

#[test]
fn a_deployment_without_anything_is_short() {
    let text = text(&v1::StatusResponse { healthy: true, at: ago(0), ..Default::default() });
    assert_eq!(text, "healthy, 2023-11-14 22:13:20.000\n");
}
