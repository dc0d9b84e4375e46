//! Submitting and holding, with the real log. Nobody applies or reconciles: the tests write the rows of
//! `upwrite.mutations` by hand.

use std::time::Duration;

use futures::StreamExt as _;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use upwrite_event_log::EventLog;
use upwrite_events::{
    AppliedRow, DEFAULT_HOLD_TIMEOUT, Event, Interval, MutationApplied, MutationId, MutationRevoked, OwnerId,
    PartitionFold, PartitionTaken, Position, REVOCATION_ANSWER_WAIT, STATUS_POLL,
};
use upwrite_proxy::internals::{
    ClaimWait, Hold, OnTimeout, PgError, Plan, SubmitResult, Submitter, Verdict, WaitLimits,
};
use upwrite_testkit::until;
use uuid::Uuid;

use crate::stage::Stage;

const INSERT: &str = "insert into sf.contact (last_name, email) values ('Doe', 'a@b.c')";
const LIMIT: Duration = Duration::from_secs(10);

fn limits() -> WaitLimits {
    WaitLimits {
        started: Instant::now(),
        hold_timeout: DEFAULT_HOLD_TIMEOUT,
        statement_timeout: None,
        lock_timeout: None,
        on_timeout: OnTimeout::default(),
        revocation_wait: REVOCATION_ANSWER_WAIT,
        cancel: CancellationToken::new(),
    }
}

fn submitter(stage: &Stage) -> Submitter {
    Submitter::start(stage.log.clone(), stage.pool.clone(), stage.shutdown.clone())
}

async fn accepted(submitter: &Submitter, plan: &Plan) -> Hold {
    match submitter.submit(plan, &mut ClaimWait::default(), &limits()).await {
        Ok(SubmitResult::Accepted(held)) => held,
        other => panic!("{other:?}"),
    }
}

fn failure(verdict: Verdict) -> PgError {
    match verdict {
        Verdict::Failure(error) => error,
        Verdict::Success(success) => panic!("{success:?}"),
    }
}

/// The outcome of a mutation of one row.
enum Outcome {
    Applied,
    Revoked,
}

/// What the reconciler would write; and release the claims, if the table shows it.
async fn project(
    stage: &Stage,
    held: (MutationId, upwrite_events::Partition),
    outcome: Option<Outcome>,
    finished: bool,
) {
    let (mutation, partition) = held;
    let owner = OwnerId(Uuid::from_u128(1));
    let mut fold = PartitionFold::default();
    let records = stage.log.read(partition, Position::START, 1_000).await.unwrap();
    let taken = PartitionTaken { owner, process: String::new(), lease_ms: 1 };
    fold.apply(Position::START, &Event::PartitionTaken(taken)).unwrap();
    for record in records {
        fold.apply(record.position, &record.event.unwrap()).unwrap();
    }
    let row = AppliedRow {
        row: 0,
        key: "003A".into(),
        image: None,
        vendor_version: None,
        seen: Interval { begun_us: 0, ended_us: 0 },
    };
    let event = outcome.map(|outcome| match outcome {
        Outcome::Applied => {
            Event::MutationApplied(MutationApplied { mutation, owner, attempt: 1, rows: vec![row], keep_claims: false })
        }
        Outcome::Revoked => Event::MutationRevoked(MutationRevoked { mutation, owner }),
    });
    if let Some(event) = event {
        fold.apply(Position(9), &event).unwrap();
    }
    let lifecycle = fold.get(mutation).unwrap();
    sqlx::query(
        "insert into upwrite.mutations (id, state, source, table_name, operation, row_count, database, username,
             application_name, requested_at, finished_at, partition, position, lifecycle)
         values ($1, $2, 'sf', 'contact', 'insert', 1, '', '', '', now(), case when $3 then now() end, 0, 0, $4)
         on conflict (id) do update set state = excluded.state, finished_at = excluded.finished_at,
             lifecycle = excluded.lifecycle",
    )
    .bind(mutation.0)
    .bind(lifecycle.phase.as_str())
    .bind(finished)
    .bind(serde_json::to_value(lifecycle).unwrap())
    .execute(&stage.admin)
    .await
    .unwrap();
    if finished {
        release(stage, mutation).await;
    }
}

async fn release(stage: &Stage, mutation: MutationId) {
    sqlx::query("delete from upwrite.claims where mutation = $1").bind(mutation.0).execute(&stage.admin).await.unwrap();
}

async fn notify(stage: &Stage, mutation: MutationId) {
    let payload = format!("{} {mutation}", Uuid::new_v4());
    sqlx::query("select pg_notify('upwrite_verdict', $1)").bind(payload).execute(&stage.admin).await.unwrap();
}

fn named(held: &Hold) -> (MutationId, upwrite_events::Partition) {
    (held.mutation(), held.partition())
}

#[tokio::test]
async fn a_verdict_is_told_when_the_table_shows_it() {
    let stage = Stage::new().await;
    let submitter = submitter(&stage);
    let held = accepted(&submitter, &stage.plan(INSERT).await).await;
    let who = named(&held);
    let limits = limits();
    let waiting = tokio::spawn(async move { held.wait(&limits).await });
    project(&stage, who, Some(Outcome::Applied), false).await;
    notify(&stage, who.0).await;
    // Longer than a poll takes: applied alone is not enough.
    assert!(
        tokio::time::timeout(STATUS_POLL * 2, async {
            while !waiting.is_finished() {
                tokio::task::yield_now().await
            }
        })
        .await
        .is_err()
    );
    project(&stage, who, Some(Outcome::Applied), true).await;
    notify(&stage, who.0).await;
    match waiting.await.unwrap() {
        Verdict::Success(success) => {
            assert_eq!(success.keys, ["003A"]);
            assert!(success.reconciled && success.warning.is_none());
        }
        Verdict::Failure(error) => panic!("{error}"),
    }
}

/// B18: the notification never comes.
#[tokio::test]
async fn b18_a_lost_notification_costs_a_second() {
    let stage = Stage::new().await;
    let submitter = submitter(&stage);
    let held = accepted(&submitter, &stage.plan(INSERT).await).await;
    project(&stage, named(&held), Some(Outcome::Applied), true).await;
    let verdict = tokio::time::timeout(STATUS_POLL * 3, held.wait(&limits())).await.unwrap();
    assert!(matches!(verdict, Verdict::Success(_)));
}

#[tokio::test]
async fn b18_the_listening_connection_may_be_lost() {
    let stage = Stage::new().await;
    let submitter = submitter(&stage);
    let listens = "select count(*) from pg_stat_activity where query like 'LISTEN%' and datname = current_database()";
    let listening =
        || async { (sqlx::query_scalar::<_, i64>(listens).fetch_one(&stage.admin).await.unwrap() > 0).then_some(()) };
    until(LIMIT, "the submitter listens", listening).await;
    let killed = "select pg_terminate_backend(pid) from pg_stat_activity where query like 'LISTEN%' and datname = current_database()";
    sqlx::query(killed).execute(&stage.admin).await.unwrap();
    let held = accepted(&submitter, &stage.plan(INSERT).await).await;
    project(&stage, named(&held), Some(Outcome::Applied), true).await;
    assert!(matches!(tokio::time::timeout(LIMIT, held.wait(&limits())).await.unwrap(), Verdict::Success(_)));
    until(LIMIT, "the submitter listens again", listening).await;
}

#[tokio::test]
async fn without_an_answer_to_the_revocation_the_outcome_is_unknown() {
    let stage = Stage::new().await;
    let submitter = submitter(&stage);
    let held = accepted(&submitter, &stage.plan(INSERT).await).await;
    let (mutation, partition) = named(&held);
    let limits = WaitLimits { hold_timeout: Duration::from_millis(50), ..limits() };
    let error = failure(held.wait(&limits).await);
    assert_eq!(error.sqlstate, "40003");
    assert!(error.message.contains(&mutation.to_string()));
    let records = stage.log.read(partition, Position::START, 100).await.unwrap();
    let asked = |event: &Event| matches!(event, Event::RevocationRequested(asked) if asked.mutation == mutation);
    assert!(records.iter().any(|record| record.event.as_ref().is_ok_and(asked)));
}

#[tokio::test]
async fn what_was_withdrawn_is_told_by_its_cause() {
    let stage = Stage::new().await;
    let submitter = submitter(&stage);
    let held = accepted(&submitter, &stage.plan(INSERT).await).await;
    let who = named(&held);
    let cancel = CancellationToken::new();
    // On a busy machine the test takes longer than an owner may.
    let limits = WaitLimits { cancel: cancel.clone(), revocation_wait: LIMIT, ..limits() };
    let waiting = tokio::spawn(async move { held.wait(&limits).await });
    let mut log = stage.log.subscribe(who.1, Position::START);
    cancel.cancel();
    // The owner answers once it is asked.
    loop {
        let records = log.next().await.unwrap().unwrap();
        if records.iter().any(|record| matches!(record.event, Ok(Event::RevocationRequested(_)))) {
            break;
        }
    }
    project(&stage, who, Some(Outcome::Revoked), true).await;
    notify(&stage, who.0).await;
    let error = failure(waiting.await.unwrap());
    assert_eq!(error.sqlstate, "57014");
    assert_eq!(error.message, "canceling statement due to user request");
    assert!(error.detail.as_deref().unwrap().contains("not applied"));
}

#[tokio::test]
async fn applied_but_not_shown_at_the_timeout_is_success_with_a_warning() {
    let stage = Stage::new().await;
    let submitter = submitter(&stage);
    let held = accepted(&submitter, &stage.plan(INSERT).await).await;
    project(&stage, named(&held), Some(Outcome::Applied), false).await;
    let limits = WaitLimits { statement_timeout: Some(STATUS_POLL * 2), ..limits() };
    match held.wait(&limits).await {
        Verdict::Success(success) => assert!(!success.reconciled && success.warning.is_some()),
        Verdict::Failure(error) => panic!("{error}"),
    }
}

/// G10: the second session waits for the first, and then must look again.
#[tokio::test]
async fn a_claimed_record_is_waited_for() {
    let stage = Stage::new().await;
    let submitter = submitter(&stage);
    let plan = stage.plan(INSERT).await;
    let held = accepted(&submitter, &plan).await;
    let other = stage.plan(&INSERT.replace("a@b.c", "A@B.C")).await;
    let second = tokio::spawn({
        let (submitter, other) = (submitter.clone(), other.clone());
        async move {
            let mut wait = ClaimWait::default();
            let first = submitter.submit(&other, &mut wait, &limits()).await;
            assert!(matches!(first, Ok(SubmitResult::RunAgain)), "{first:?}");
            // As if the dry run had come out the same.
            submitter.submit(&other, &mut wait, &limits()).await
        }
    });
    project(&stage, named(&held), Some(Outcome::Applied), true).await;
    notify(&stage, held.mutation()).await;
    assert!(matches!(tokio::time::timeout(LIMIT, second).await.unwrap().unwrap(), Ok(SubmitResult::Accepted(_))));
}

#[tokio::test]
async fn waiting_honours_lock_timeout_statement_timeout_and_cancel() {
    let stage = Stage::new().await;
    let submitter = submitter(&stage);
    let plan = stage.plan(INSERT).await;
    let _held = accepted(&submitter, &plan).await;
    let short = Duration::from_millis(50);
    let cancelled = CancellationToken::new();
    cancelled.cancel();
    for (limits, sqlstate) in [
        (WaitLimits { lock_timeout: Some(short), ..limits() }, "55P03"),
        (WaitLimits { statement_timeout: Some(short), ..limits() }, "57014"),
        (WaitLimits { hold_timeout: short, ..limits() }, "57014"),
        (WaitLimits { cancel: cancelled, ..limits() }, "57014"),
    ] {
        let error = submitter.submit(&plan, &mut ClaimWait::default(), &limits).await.unwrap_err();
        assert_eq!(error.sqlstate, sqlstate);
        assert!(error.detail.as_deref().unwrap().contains("not applied"));
    }
    let claims: i64 =
        sqlx::query_scalar("select count(distinct mutation) from upwrite.claims").fetch_one(&stage.pool).await.unwrap();
    assert_eq!(claims, 1, "who waited left nothing behind");
}

/// Each waits for the one before; each runs again exactly once.
#[tokio::test]
async fn a_crowd_is_served_one_by_one() {
    let stage = Stage::new().await;
    let submitter = submitter(&stage);
    let plan = stage.plan(INSERT).await;
    let held = accepted(&submitter, &plan).await;
    let (done, mut finished) = tokio::sync::mpsc::channel(16);
    for _ in 0..8 {
        let (submitter, plan, done) = (submitter.clone(), plan.clone(), done.clone());
        tokio::spawn(async move {
            let mut wait = ClaimWait::default();
            let mut runs = 1;
            loop {
                match submitter.submit(&plan, &mut wait, &limits()).await.unwrap() {
                    SubmitResult::Accepted(held) => return done.send((runs, held)).await.unwrap(),
                    SubmitResult::RunAgain => runs += 1,
                }
            }
        });
    }
    let mut last = held;
    for _ in 0..8 {
        let mutation = last.mutation();
        release(&stage, mutation).await;
        notify(&stage, mutation).await;
        let (runs, held) = tokio::time::timeout(LIMIT, finished.recv()).await.unwrap().unwrap();
        assert!(runs <= 2, "ran {runs} times");
        last = held;
    }
}

#[tokio::test]
async fn a_duplicate_of_a_claimed_record_is_waited_for() {
    let stage = Stage::new().await;
    let submitter = submitter(&stage);
    stage.row("003A", "a@b.c", 1).await;
    let catalog = stage.catalog().await;
    let held = accepted(&submitter, &stage.plan("delete from sf.contact").await).await;
    let duplicate = |email: &str| {
        PgError::error("23505", "duplicate key value violates unique constraint \"contact_email_key\"")
            .with_table("sf", "contact")
            .with_detail(format!("Key (lower(email))=({email}) already exists."))
    };
    let mut wait = ClaimWait::default();
    assert_eq!(submitter.wait_if_claimed(&duplicate("x@y.z"), &catalog, &mut wait, &limits()).await, Ok(false));
    let in_the_way = duplicate("a@b.c");
    let short = WaitLimits { lock_timeout: Some(Duration::from_millis(50)), ..limits() };
    let error = submitter.wait_if_claimed(&in_the_way, &catalog, &mut wait, &short).await.unwrap_err();
    assert_eq!(error.sqlstate, "55P03");

    // The claim goes once it has looked for it: what is drawn from a sequence is seen at once.
    stage
        .admin(
            "create sequence public.looks;
             create function public.looked() returns boolean security definer language plpgsql as $$ begin
                 if current_query() like '/* proxy.claimed */%' then perform nextval('public.looks'); end if;
                 return true;
             end $$;
             create policy looked on upwrite.claims using (public.looked()) with check (true);
             alter table upwrite.claims enable row level security",
        )
        .await;
    let long = limits();
    let (waited, ()) = tokio::join!(submitter.wait_if_claimed(&in_the_way, &catalog, &mut wait, &long), async {
        let looked = || async {
            let looked: bool =
                sqlx::query_scalar("select is_called from public.looks").fetch_one(&stage.admin).await.unwrap();
            looked.then_some(())
        };
        until(LIMIT, "it has looked for the claim", looked).await;
        release(&stage, held.mutation()).await;
        notify(&stage, held.mutation()).await;
    });
    assert_eq!(waited, Ok(true));
}

#[tokio::test]
async fn a_changed_row_asks_for_another_dry_run() {
    let stage = Stage::new().await;
    let submitter = submitter(&stage);
    stage.row("003A", "a@b.c", 1).await;
    let plan = stage.plan("update sf.contact set n = n + 1").await;
    stage.admin("alter table sf.contact disable trigger all; update sf.contact set _version = 2; alter table sf.contact enable always trigger upwrite_capture").await;
    let answer = submitter.submit(&plan, &mut ClaimWait::default(), &limits()).await;
    assert!(matches!(answer, Ok(SubmitResult::RunAgain)), "{answer:?}");
}

#[tokio::test]
async fn a_log_that_refuses_is_told_as_not_applied() {
    let stage = Stage::new().await;
    let plan = stage.plan(INSERT).await;
    let submitter = submitter(&stage);
    stage.shutdown.cancel();
    let refusal = || async { submitter.submit(&plan, &mut ClaimWait::default(), &limits()).await.err() };
    let error = until(LIMIT, "the appender has ended", refusal).await;
    assert!(["58030", "40003"].contains(&error.sqlstate.as_str()), "{error:?}");
}

#[tokio::test]
async fn mutations_that_outlive_their_transaction_are_recorded() {
    let stage = Stage::new().await;
    let submitter = submitter(&stage);
    assert!(submitter.outlived_rollback(&[], "rollback").await.is_none());
    let held = accepted(&submitter, &stage.plan(INSERT).await).await;
    let warning = submitter.outlived_rollback(&[named(&held)], "rollback").await.unwrap();
    assert!(warning.detail.as_deref().unwrap().contains(&held.mutation().to_string()));
    let records = stage.log.read(held.partition(), Position::START, 100).await.unwrap();
    let recorded =
        |event: &Event| matches!(event, Event::MutationOutlivedRollback(event) if event.reason == "rollback");
    assert!(records.iter().any(|record| record.event.as_ref().is_ok_and(recorded)));
}
