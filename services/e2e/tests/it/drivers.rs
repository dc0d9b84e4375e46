//! The same scenario by real clients: psql, psycopg 3, node-postgres; tokio-postgres has a file of its own.

use std::path::PathBuf;
use std::process::{Command, Output};

use upwrite_e2e::{Options, World};
use upwrite_testkit::{node, python};

fn script(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("drivers").join(name)
}

/// Runs off the async threads: the world's own tasks go on.
async fn run(mut command: Command) -> Output {
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

fn passed(output: &Output) {
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("all steps passed"), "{text}");
}

async fn world() -> World {
    let world = World::start(Options::default()).await;
    for sql in ["create procedure public.rename(who text, new_name text) language sql as \
         $$ update salesforce.contact set last_name = new_name where id = who $$"]
    {
        sqlx::query(sql).execute(&world.admin).await.unwrap();
    }
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn psycopg_passes_the_scenario() {
    let world = world().await;
    let mut command = Command::new(python());
    command.arg(script("scenario.py")).arg(world.url());
    passed(&run(command).await);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn node_postgres_passes_the_scenario() {
    let world = world().await;
    let mut command = node(script("scenario.cjs"));
    command.arg(world.url());
    passed(&run(command).await);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn psql_passes_the_scenario() {
    let world = world().await;
    let mut command = Command::new("psql");
    command.args(["-X", "-q", "-At", "-v", "VERBOSITY=verbose", &world.url(), "-f"]).arg(script("scenario.sql"));
    let output = run(command).await;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("all steps passed"), "{text}\n{errors}");
    for line in [
        "contacts: 20",
        "inserted id of 18 characters: t",
        "updated: Countess",
        "renamed by the procedure: King",
        "rows: 500",
        "transaction sees its own row: 1",
        "prepared: Grace",
    ] {
        assert!(text.contains(line), "{line:?} is missing in\n{text}\n{errors}");
    }
    for error in [
        "ERROR:  23502: null value in column \"last_name\" of relation \"contact\" violates not-null constraint",
        "ERROR:  23514: ",
        "ERROR:  0A000: ",
    ] {
        assert!(errors.contains(error), "{error:?} is missing in\n{errors}");
    }
    world.finish().await;
}
