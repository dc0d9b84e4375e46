//! The sandbox as a process of its own.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::harness::{answer, client};

fn spawn(state: &std::path::Path) -> (Child, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_upwrite-sandbox"))
        .args(["--listen", "127.0.0.1:0", "--contacts", "3", "--state-file"])
        .arg(state)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let url = line.trim().strip_prefix("listening on ").expect("says where it listens").to_owned();
    (child, url)
}

fn terminate(mut child: Child) {
    let killed = Command::new("kill").arg(child.id().to_string()).status().unwrap();
    assert!(killed.success());
    assert!(child.wait().unwrap().success(), "SIGTERM ends it in order");
}

#[tokio::test]
async fn it_says_where_it_listens_and_keeps_its_state_over_an_orderly_end() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state.json");
    let (child, url) = spawn(&state);
    let http = client();
    let record = serde_json::json!({ "LastName": "Kept", "UpwriteKey__c": "k" });
    let (_, made) = answer(http.post(format!("{url}/admin/records/Contact")).json(&record)).await;
    terminate(child);
    let (child, url) = spawn(&state);
    let (_, read) = answer(http.get(format!("{url}/admin/records/Contact"))).await;
    let records = read["records"].as_array().unwrap();
    assert_eq!(records.len(), 4);
    assert!(records.iter().any(|r| r["Id"] == made["id"] && r["LastName"] == "Kept"));
    // Numbers go on, unique keys are known again.
    let (status, twin) = answer(http.post(format!("{url}/admin/records/Contact")).json(&record)).await;
    assert_eq!(status, 400, "{twin}");
    let other: Value = serde_json::json!({ "LastName": "Next" });
    let (_, next) = answer(http.post(format!("{url}/admin/records/Contact")).json(&other)).await;
    assert!(records.iter().all(|r| r["Id"] != next["id"]));
    terminate(child);
}
