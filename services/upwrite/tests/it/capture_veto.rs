//! A2: no sequence of statements commits a change of a synced table.

use crate::database::{Database, rows, seed};

/// One step of a transaction: its SQL, and what it does to the surviving writes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Step {
    Write,
    Immediate,
    Deferred,
    VetoImmediate,
    Flush,
    Savepoint,
    Release,
    RollbackTo,
}

use Step::{Deferred, Flush, Immediate, Release, RollbackTo, Savepoint, VetoImmediate, Write};

const STEPS: [Step; 8] = [Write, Immediate, Deferred, VetoImmediate, Flush, Savepoint, Release, RollbackTo];

impl Step {
    fn sql(self) -> &'static str {
        match self {
            Write => "UPDATE salesforce.contact SET n = n + 1",
            Immediate => "SET CONSTRAINTS ALL IMMEDIATE",
            Deferred => "SET CONSTRAINTS ALL DEFERRED",
            VetoImmediate => "SET CONSTRAINTS upwrite.veto IMMEDIATE",
            Flush => "SELECT upwrite.flush()",
            Savepoint => "SAVEPOINT s",
            Release => "RELEASE s",
            RollbackTo => "ROLLBACK TO s",
        }
    }
}

/// How many writes are left at the end; `None` where a savepoint is used that is not there.
fn surviving(steps: &[Step]) -> Option<usize> {
    let (mut writes, mut savepoints) = (0, Vec::new());
    for step in steps {
        match step {
            Write => writes += 1,
            Savepoint => savepoints.push(writes),
            Release => {
                savepoints.pop()?;
            }
            RollbackTo => writes = *savepoints.last()?,
            Immediate | Deferred | VetoImmediate | Flush => {}
        }
    }
    Some(writes)
}

fn sequences(length: usize) -> Vec<Vec<Step>> {
    (0..length).fold(vec![Vec::new()], |shorter, _| {
        let longer = |steps: &Vec<Step>| STEPS.map(|step| steps.iter().copied().chain([step]).collect::<Vec<_>>());
        shorter.iter().flat_map(longer).collect()
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a2_no_order_of_set_constraints_savepoints_and_ends_commits() {
    let database = Database::new().await;
    seed(&database, "003A", 7).await;
    let (app, before) = (database.app().await, rows(&database.app().await).await);
    let mut tried = 0;
    for end in ["COMMIT", "PREPARE TRANSACTION 'a2'"] {
        for tail in sequences(4) {
            let steps: Vec<Step> = std::iter::once(Write).chain(tail).collect();
            let Some(left) = surviving(&steps) else { continue };
            let body: Vec<&str> = steps.iter().map(|step| step.sql()).collect();
            let sql = format!("BEGIN; {}; {end}", body.join("; "));
            match app.attempt(&sql).await {
                Ok(()) => panic!("{left} writes got by: {sql}"),
                Err(refusal) => assert_eq!(refusal.code, "UW001", "{sql}: {refusal:?}"),
            }
            app.ok("ROLLBACK").await;
            tried += 1;
        }
    }
    assert!(tried > 2_000, "only {tried} sequences");
    assert_eq!(rows(&app).await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a2_what_was_written_inside_a_savepoint_and_rolled_back_commits() {
    let database = Database::new().await;
    seed(&database, "003A", 7).await;
    let app = database.app().await;
    let (mut clean, mut refused) = (0, 0);
    for tail in sequences(4) {
        let steps: Vec<Step> = std::iter::once(Savepoint).chain(tail).collect();
        let Some(left) = surviving(&steps) else { continue };
        let body: Vec<&str> = steps.iter().map(|step| step.sql()).collect();
        let sql = format!("BEGIN; {}; COMMIT", body.join("; "));
        match app.attempt(&sql).await {
            Ok(()) => {
                assert_eq!(left, 0, "got by: {sql}");
                clean += 1;
            }
            // Also where a veto was asked for twice before the rollback.
            Err(refusal) => {
                assert_eq!(refusal.code, "UW001", "{sql}: {refusal:?}");
                app.ok("ROLLBACK").await;
                refused += 1;
            }
        }
    }
    assert!(clean > 500 && refused > 500, "{clean} clean, {refused} refused");
    assert_eq!(app.one("SELECT n FROM salesforce.contact").await, "7");
    assert_eq!(app.one("SELECT upwrite.flush() IS NOT NULL").await, "t");
}

#[tokio::test]
async fn a2_do_and_call_with_commit() {
    let database = Database::new().await;
    seed(&database, "003A", 7).await;
    let app = database.app().await;
    app.ok("CREATE TABLE done (what text);
            CREATE PROCEDURE first_local() LANGUAGE plpgsql AS $$ BEGIN
                INSERT INTO done VALUES ('before'); COMMIT;
                UPDATE salesforce.contact SET n = 0; COMMIT;
            END $$;
            CREATE PROCEDURE swallows() LANGUAGE plpgsql AS $$ BEGIN
                UPDATE salesforce.contact SET n = 0;
                SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED;
                COMMIT;
            END $$;")
        .await;
    for sql in [
        "DO $$ BEGIN UPDATE salesforce.contact SET n = 0; COMMIT; END $$",
        "DO $$ BEGIN UPDATE salesforce.contact SET n = 0; COMMIT AND CHAIN; END $$",
        "CALL first_local()",
        "CALL swallows()",
    ] {
        assert_eq!(app.refused(sql).await.code, "UW001", "{sql}");
    }
    assert_eq!(app.one("SELECT n FROM salesforce.contact").await, "7");
    assert_eq!(app.one("SELECT count(*) FROM done").await, "1");
}

#[tokio::test]
async fn a_write_around_the_proxy_is_refused_with_a_hint() {
    let database = Database::new().await;
    seed(&database, "003A", 7).await;
    for session in [database.app().await, database.superuser().await] {
        for sql in [
            "INSERT INTO salesforce.contact (last_name) VALUES ('Around')",
            "UPDATE salesforce.contact SET n = 8",
            "DELETE FROM salesforce.contact",
        ] {
            let refusal = session.refused(sql).await;
            assert_eq!(refusal.code, "UW001");
            assert!(refusal.message.contains("salesforce.contact"), "{refusal:?}");
            assert!(refusal.hint.contains("Connect through Upwrite's proxy"), "{refusal:?}");
        }
        assert_eq!(session.one("SELECT sum(n) FROM salesforce.contact").await, "7");
    }
}
