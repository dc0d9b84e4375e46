use std::process::Command;
use std::time::Duration;

use upwrite_testkit::process::Process;
use upwrite_testkit::{free_port, until};

const LIMIT: Duration = Duration::from_secs(10);

fn sh(script: &str) -> Process {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    Process::spawn(command)
}

#[tokio::test]
async fn lines_of_both_outputs_are_found_also_after_the_end() {
    let process = sh("echo one; echo two >&2; echo three; exit 3");
    assert_eq!(process.wait_exit(LIMIT).await.code(), Some(3));
    assert_eq!(process.wait_for_line("two", LIMIT).await, "two");
    assert_eq!(process.wait_for_line("three", LIMIT).await, "three");
    assert!(!process.is_running());
    process.kill9(); // of no effect
}

#[tokio::test]
#[should_panic(expected = "ended without saying \"two\"")]
async fn a_line_that_never_comes_is_reported_when_the_process_ends() {
    sh("echo one").wait_for_line("two", Duration::from_secs(600)).await;
}

#[tokio::test]
async fn sigterm_can_be_caught_and_a_mark_finds_the_second_line() {
    let process = sh("trap 'echo caught; exit 0' TERM; echo ready; while :; do sleep 0.01; done");
    process.wait_for_line("ready", LIMIT).await;
    let mark = process.mark();
    process.sigterm();
    process.wait_for_line_from(mark, "caught", LIMIT).await;
    assert!(process.wait_exit(LIMIT).await.success());
}

#[tokio::test]
async fn dropping_kills() {
    let process = sh("trap '' TERM; echo ready; while :; do sleep 0.01; done");
    process.wait_for_line("ready", LIMIT).await;
    let proc_entry = std::path::PathBuf::from(format!("/proc/{}", process.id()));
    assert!(proc_entry.exists());
    drop(process);
    assert!(!proc_entry.exists());
}

#[tokio::test]
#[should_panic(expected = "waited in vain for the moon")]
async fn until_says_what_it_waited_for() {
    until(Duration::from_millis(20), "the moon", || async { None::<()> }).await;
}

#[test]
fn free_ports_do_not_repeat() {
    let mut ports: Vec<u16> = (0..100).map(|_| free_port()).collect();
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), 100);
}
