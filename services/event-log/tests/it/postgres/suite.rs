//! The contract suite on Postgres.

use upwrite_testkit::postgres::Options;

use super::harness::PostgresHarness;
use crate::contract::{append, faults, submit, subscribe, versions};

macro_rules! on_the_shared_cluster {
    ($($module:ident :: $property:ident,)+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $property() {
                $module::$property(&PostgresHarness::shared().await).await;
            }
        )+
    };
}

on_the_shared_cluster! {
    append::in_order_one_behind_the_other,
    append::gap_free_under_many_writers,
    append::what_cannot_be_appended_is_refused_alone,
    append::large_events_are_batched_within_limits,
    subscribe::from_the_start_the_middle_and_the_end,
    subscribe::woken_by_any_process,
    subscribe::b18_found_without_notification,
    subscribe::foreign_bytes_stop_nothing,
    subscribe::beyond_the_end_is_a_mismatch,
    submit::accepted_is_claimed_and_in_the_log,
    submit::a_claimed_record_refuses_all_and_leaves_nothing,
    submit::a_key_twice_in_one_submission,
    submit::one_winner_per_round_and_no_deadlock,
    versions::a_changed_row_is_stale_and_leaves_nothing,
    versions::the_check_sees_what_the_claim_waited_for,
    versions::no_update_is_lost,
}

// On one thread, what is submitted together is queued together, and becomes one batch.

#[tokio::test]
async fn neighbours_in_a_batch_do_not_touch_each_other() {
    submit::neighbours_in_a_batch_do_not_touch_each_other(&PostgresHarness::shared().await).await;
}

#[tokio::test]
async fn overlapping_submissions_of_one_batch() {
    submit::overlapping_submissions_of_one_batch(&PostgresHarness::shared().await).await;
}

#[tokio::test]
async fn what_cannot_be_appended_is_refused_alone_of_its_batch() {
    append::what_cannot_be_appended_is_refused_alone(&PostgresHarness::shared().await).await;
}

// These kill the server: each has its own.

#[tokio::test]
async fn a_restart_keeps_positions_and_claims() {
    faults::a_restart_keeps_positions_and_claims(&PostgresHarness::own(Options::default()).await).await;
}

/// Asynchronous commits reach the disk here only after ten seconds.
#[tokio::test]
async fn b9_what_was_accepted_survives_a_crash() {
    let settings = [("synchronous_commit", "off"), ("wal_writer_delay", "10s")];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let harness = PostgresHarness::own(Options { settings, ..Options::default() }).await;
    // Setting up was asynchronous too.
    harness.execute("checkpoint").await;
    faults::b9_what_was_accepted_survives_a_crash(&harness).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn away_and_back() {
    faults::away_and_back(&PostgresHarness::own(Options::default()).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_under_load() {
    faults::killed_under_load(&PostgresHarness::own(Options::default()).await).await;
}
