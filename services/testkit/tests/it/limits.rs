//! `scripts/run-limited`, with which cargo starts every test binary: what hangs is ended and named.

use std::path::Path;
use std::process::{Command, Output};

/// Set for the inner run: what this binary's own tests then do.
const VICTIM: &str = "UPWRITE_TESTKIT_LIMITED";

/// Runs one of these tests in a second process, in the way in which cargo does it.
async fn run(test: &str, victim: &str, limit_seconds: &str, threads: &str) -> (Output, String) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/run-limited");
    let mut command = Command::new(script);
    command
        .arg(std::env::current_exe().unwrap())
        .args([&format!("limits::{test}"), "--exact", "--nocapture", "--test-threads", threads])
        .env("UPWRITE_TEST_LIMIT", limit_seconds)
        .env(VICTIM, victim);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output, said)
}

fn victim() -> Option<String> {
    std::env::var(VICTIM).ok()
}

#[tokio::test]
async fn a_test_that_hangs_is_ended_and_named() {
    match victim().as_deref() {
        Some("waits") => return std::future::pending().await,
        Some("spins") => loop {
            std::hint::spin_loop();
        },
        _ => {}
    }
    for (victim, threads) in [("waits", "1"), ("spins", "2")] {
        let (output, said) = run("a_test_that_hangs_is_ended_and_named", victim, "2", threads).await;
        assert_eq!(output.status.code(), Some(124), "{said}");
        assert!(said.contains("no test has finished for 2 s"), "{said}");
        assert!(said.contains("limits::a_test_"), "the test's thread is in the list: {said}");
        // A single test is named by libtest when it begins; of several at a time, those that take over a minute.
        let named = said.contains("still running: limits::a_test_that_hangs_is_ended_and_named");
        assert!(named || threads != "1", "{said}");
    }
}

#[tokio::test]
async fn a_test_that_ends_in_time_keeps_its_output_and_its_exit_code() {
    match victim().as_deref() {
        Some("passes") => return print!("half a line"),
        Some("fails") => panic!("for this reason"),
        _ => {}
    }
    let test = "a_test_that_ends_in_time_keeps_its_output_and_its_exit_code";
    let (output, said) = run(test, "passes", "60", "1").await;
    assert!(output.status.success() && said.contains("half a line") && said.contains("1 passed"), "{said}");
    let (output, said) = run(test, "fails", "60", "1").await;
    assert_eq!(output.status.code(), Some(101), "libtest's own: {said}");
    assert!(said.contains("for this reason") && said.contains("1 failed"), "{said}");
}

#[tokio::test]
async fn a_limit_that_is_no_number_is_refused() {
    let (output, said) = run("nothing", "passes", "soon", "1").await;
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("not a number of seconds"), "{said}");
}
