//! The tour: real statements, real output, real faults.

use std::time::Duration;

use anyhow::ensure;
use serde_json::json;
use upwrite_private_servers::until;

use super::paint::paint;
use super::processes::Processes;

/// Takes every step; fails if one does not do what it shows.
pub(super) async fn take(processes: &mut Processes) -> anyhow::Result<()> {
    reads(processes).await?;
    writes(processes).await?;
    procedure(processes).await?;
    refusals(processes).await?;
    lost_answer(processes).await?;
    killed(processes).await?;
    say("That was the tour: every statement above went through the log to the stand-in and back.");
    Ok(())
}

fn say(text: &str) {
    println!("\n{}", paint("36", &format!("── {text}")));
}

async fn reads(processes: &Processes) -> anyhow::Result<()> {
    say("Reads are plain Postgres, indexes, joins and all.");
    let account =
        processes.app.value("select account_id from salesforce.contact where account_id is not null limit 1").await?;
    let sql = format!(
        "select id, first_name, last_name, email from salesforce.contact where account_id = '{account}' limit 100"
    );
    processes.app.show(&sql).await?;
    let shown = processes
        .app
        .show(
            "select a.name, count(c.id) as contacts, max(o.amount) as largest_deal from salesforce.account a \
             join salesforce.contact c on c.account_id = a.id left join salesforce.opportunity o on o.account_id = a.id \
             group by a.id, a.name order by 2 desc, 1 limit 5",
        )
        .await?;
    ensure!(shown.contains("(5 rows)"), "the join did not answer");
    Ok(())
}

async fn writes(processes: &Processes) -> anyhow::Result<()> {
    say("An INSERT creates the record in Salesforce and returns its real id.");
    let shown = processes
        .app
        .show("insert into salesforce.contact (first_name, last_name, email) values ('Ada', 'Lovelace', 'ada@example.com') returning id")
        .await?;
    ensure!(shown.contains("INSERT 0 1"), "the insert did not succeed");
    let id = processes.app.value("select id from salesforce.contact where email = 'ada@example.com'").await?;
    ensure!(processes.stand_in.record("Contact", &id).await?.is_some(), "{id} is not upstream");
    say("UPDATE and DELETE go the same way; what comes back is what Salesforce holds.");
    processes
        .app
        .show(&format!("update salesforce.contact set title = 'Countess' where id = '{id}' returning name, title"))
        .await?;
    let upstream = processes.stand_in.record("Contact", &id).await?;
    ensure!(upstream.is_some_and(|record| record["Title"] == "Countess"), "the update is not upstream");
    processes.app.show(&format!("delete from salesforce.contact where id = '{id}'")).await?;
    say("500 rows in one statement: split into the vendor's batches, one verdict.");
    let shown = processes
        .app
        .show("insert into salesforce.contact (last_name, email) select 'Row ' || n, 'row' || n || '@example.com' from generate_series(1, 500) n")
        .await?;
    ensure!(shown.contains("INSERT 0 500"), "the 500 rows were not inserted");
    Ok(())
}

async fn procedure(processes: &Processes) -> anyhow::Result<()> {
    say("A stored procedure that writes works too: Postgres itself says what a statement would do.");
    processes
        .admin
        .value(
            "create or replace procedure raise_deal(deal text, by numeric) language sql as \
             $$ update salesforce.opportunity set amount = amount + by where id = deal $$",
        )
        .await?;
    let deal =
        processes.app.value("select id from salesforce.opportunity where amount > 0 order by id limit 1").await?;
    let shown = processes.app.show(&format!("call raise_deal('{deal}', 1000)")).await?;
    ensure!(shown.contains("CALL"), "the procedure did not succeed");
    processes.app.show(&format!("select name, amount from salesforce.opportunity where id = '{deal}'")).await?;
    Ok(())
}

async fn refusals(processes: &Processes) -> anyhow::Result<()> {
    say("What Salesforce refuses comes back as the Postgres error that drivers and ORMs know.");
    let shown = processes.app.show("insert into salesforce.contact (first_name) values ('Nameless')").await?;
    ensure!(shown.contains("23502"), "a missing required field was not refused");
    let shown = processes
        .app
        .show("update salesforce.opportunity set stage_name = 'No such stage' where id = (select min(id) from salesforce.opportunity)")
        .await?;
    ensure!(shown.contains("23514"), "a bad picklist value was not refused");
    say("A write around Upwrite, straight to Postgres, cannot commit.");
    let shown = processes.around.show("update salesforce.contact set title = 'sneaky'").await?;
    ensure!(shown.contains("UW001"), "a write around the proxy was not refused");
    Ok(())
}

async fn lost_answer(processes: &Processes) -> anyhow::Result<()> {
    say("Salesforce creates the record, but its answer is lost on the way. It is looked up, not sent again.");
    processes.stand_in.fault(json!({"object": "Contact", "op": "create"}), json!("lose_answer"), 1).await?;
    let shown = processes
        .app
        .show("insert into salesforce.contact (last_name, email) values ('Lost', 'lost@example.com') returning id")
        .await?;
    ensure!(shown.contains("INSERT 0 1"), "the insert did not survive a lost answer");
    let copies = copies(processes, "lost@example.com").await?;
    println!("Records upstream with that address: {copies}");
    ensure!(copies == 1, "{copies} records upstream instead of one");
    Ok(())
}

async fn killed(processes: &mut Processes) -> anyhow::Result<()> {
    say("kill -9 in mid-write: Upwrite is killed while Salesforce is at work. Nothing is lost, nothing is doubled.");
    processes.stand_in.fault(json!({"object": "Contact", "op": "create"}), json!("hold"), 1).await?;
    let client = processes
        .app
        .begin("insert into salesforce.contact (last_name, email) values ('Survivor', 'survivor@example.com')")?;
    processes.stand_in.held(1).await?;
    println!("Salesforce has the request; kill -9 of Upwrite");
    processes.kill_upwrite().await?;
    let output = client.wait_with_output().await?;
    print!("{}", String::from_utf8_lossy(&output.stderr));
    processes.stand_in.release().await?;
    processes.start_upwrite().await?;
    let state = until(Duration::from_secs(60), "the verdict of the write that was cut off", || async {
        let sql = "select m.state from upwrite.mutations m join salesforce.contact c on c.id = any (m.keys)
                    where c.email = 'survivor@example.com' and m.finished_at is not null";
        let state = processes.admin.value(sql).await.ok()?;
        (!state.is_empty()).then_some(state)
    })
    .await?;
    ensure!(state == "applied", "the write that was cut off is {state}");
    processes
        .app
        .show("select id, last_name, email from salesforce.contact where email = 'survivor@example.com'")
        .await?;
    processes.app.show("select state, operation, row_count, attempts, finished_at - requested_at as took from upwrite.mutations order by requested_at desc limit 3").await?;
    let copies = copies(processes, "survivor@example.com").await?;
    println!("Records upstream with that address: {copies}");
    ensure!(copies == 1, "{copies} records upstream instead of one");
    Ok(())
}

/// How many contacts upstream have this address.
async fn copies(processes: &Processes, email: &str) -> anyhow::Result<usize> {
    Ok(processes.stand_in.records("Contact").await?.iter().filter(|record| record["Email"] == email).count())
}
