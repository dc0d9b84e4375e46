//! Catalog, capture and RETURNING against a real server.

use sqlx::Row as _;
use upwrite_events::Op;
use upwrite_proxy::internals::{CatalogCache, Classifier, Conclusion, Kind, Returning, Target};

use crate::stage::Stage;

#[tokio::test]
async fn the_catalog_knows_what_leads_to_a_synced_table() {
    let stage = Stage::new().await;
    stage
        .admin(
            "create table public.plain (a int primary key default floor(random() * 10), b text);
             create function public.writes() returns trigger language plpgsql as 'begin return null; end';
             create table public.triggered (a int); create trigger t after insert on public.triggered
                 for each row execute function public.writes();
             create table public.child (a int references public.plain on delete cascade);
             create trigger t after delete on public.child for each row execute function public.writes();
             create table public.parted (a int) partition by range (a);
             create table public.part partition of public.parted for values from (0) to (9);
             create trigger t after insert on public.part for each row execute function public.writes();
             create view public.seen as select * from sf.contact;
             create function public.loud() returns int language sql volatile as 'select 1';
             create function public.calm(a int) returns int language sql stable as 'select a';
             create function public.calm(a text) returns int language sql immutable as 'select 1';
             create aggregate public.gather (int) (sfunc = int4pl, stype = int);
             create table public.defaulting (a int default public.loud());
             create table public.checked (a int check (a = public.loud()));
             create table public.referring (a text references sf.contact)",
        )
        .await;
    let catalog = stage.catalog().await;
    for (name, expected) in [
        ("triggered", Target::May),
        ("child", Target::May),
        ("plain", Target::May), // a delete cascades to child
        ("parted", Target::May),
        ("part", Target::May),
        ("seen", Target::May),
        ("defaulting", Target::May),
        ("checked", Target::May),
        ("referring", Target::Cannot),
    ] {
        assert_eq!(catalog.target(Some("public"), name), expected, "{name}");
    }
    assert!(matches!(catalog.target(Some("sf"), "contact"), Target::Synced(table) if !table.own_code));

    let classifier = Classifier::new(100);
    for (sql, relayed) in [
        ("select lower(email) from sf.contact", true),
        ("select calm(1), calm('x'), gather(1), nextval('s'), clock_timestamp()", true),
        ("select * from upwrite.await(gen_random_uuid())", true),
        ("select loud()", false),
        ("select query_to_xml('select loud()', true, true, '')", false),
        ("insert into public.referring values ('x')", true),
        ("delete from public.plain", false),
        ("insert into sf.contact (email) values ('x')", false),
    ] {
        let kind = &classifier.classify(sql, &catalog)[0].kind;
        assert_eq!(*kind == Kind::Relayed, relayed, "{sql}: {kind:?}");
    }
}

#[tokio::test]
async fn a_snapshot_is_renewed_only_if_something_changed() {
    let stage = Stage::new().await;
    let cache = CatalogCache::load(stage.pool.clone()).await.unwrap();
    let first = cache.current();
    assert_eq!(cache.refresh().await.unwrap().generation, first.generation);
    stage.admin("alter table sf.contact add column extra text; alter table sf.contact drop column n").await;
    let second = cache.refresh().await.unwrap();
    assert!(second.generation > first.generation);
    let table = second.synced.values().next().unwrap();
    let names: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["id", "last_name", "email", "_version", "_synced_at", "extra"]);
}

/// A12 as far as the proxy is concerned: record text is read as the server wrote it.
#[tokio::test]
async fn images_are_read_as_the_server_writes_them() {
    let stage = Stage::new().await;
    let nasty = ["", " ", "a,b", "(x)", "q\"q", "b\\s", "line\nbreak", "漢字", "pending:", "\t", "'", "{}", "NULL"];
    for text in nasty {
        let sql = format!("insert into sf.contact (last_name, n) values ({}, 7)", literal(text));
        let plan = stage.plan(&sql).await;
        assert_eq!(plan.rows[0].changed["last_name"].as_deref(), Some(text));
        assert_eq!(plan.rows[0].changed["n"].as_deref(), Some("7"));
        assert!(!plan.rows[0].changed.contains_key("email"));
        assert!(plan.rows[0].key.starts_with("pending:"));
    }
}

#[tokio::test]
async fn dropped_and_generated_columns_are_no_hindrance() {
    let stage = Stage::new().await;
    stage
        .admin(
            "alter table sf.contact add column gone text; alter table sf.contact drop column gone;
             alter table sf.contact add column twice int generated always as (n * 2) stored",
        )
        .await;
    stage.row("003A", "a@b.c", 1).await;
    let plan = stage.plan("update sf.contact set n = n + 1").await;
    assert_eq!(plan.rows[0].changed.len(), 1);
    assert_eq!(plan.rows[0].changed["n"].as_deref(), Some("2"));
}

#[tokio::test]
async fn a_statement_that_changes_nothing_asks_nothing_of_upstream() {
    let stage = Stage::new().await;
    stage.row("003A", "a@b.c", 1).await;
    let catalog = stage.catalog().await;
    let ran = stage.session().await.dry_run("update sf.contact set n = n").await;
    assert!(matches!(ran.plan(&catalog), Ok(Conclusion::Unchanged)));
    let ran = stage.session().await.dry_run("update sf.contact set n = 0 where false").await;
    assert!(matches!(ran.plan(&catalog), Ok(Conclusion::Nothing)));
}

#[tokio::test]
async fn a_local_trigger_makes_it_mixed() {
    let stage = Stage::new().await;
    stage
        .admin(
            "create table public.audit (what text); grant all on public.audit to public;
             create function public.audits() returns trigger language plpgsql as
                 'begin insert into public.audit values (new.id); return new; end';
             create trigger own before insert on sf.contact for each row execute function public.audits()",
        )
        .await;
    let catalog = stage.catalog().await;
    assert!(matches!(catalog.target(Some("sf"), "contact"), Target::Synced(table) if table.own_code));
    let ran = stage.session().await.dry_run("insert into sf.contact (n) values (1)").await;
    let error = ran.plan(&catalog).unwrap_err().into_error();
    assert_eq!(error.sqlstate, "0A000");
    assert!(error.detail.as_deref().unwrap().contains("public.audit"));
}

#[tokio::test]
async fn returning_is_evaluated_again_in_captured_order() {
    let stage = Stage::new().await;
    for (id, n) in [("003A", 1), ("003B", 2), ("003C", 3)] {
        stage.row(id, &format!("{id}@x"), n).await;
    }
    let catalog = stage.catalog().await;
    let sql = "update sf.contact as c set last_name = $1 returning c.*, 'x' || $2, n as id, now() is not null";
    let again = match &Classifier::new(1).classify(sql, &catalog)[0].kind {
        Kind::Captured(capture) => match capture.plain.as_ref().and_then(|plain| plain.returning.clone()) {
            Some(Returning::Reevaluate(again)) => again,
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    };
    assert_eq!(again.params, [2]);
    let plan = stage.plan("update sf.contact set last_name = 'Roe' where n > 1").await;
    let (table, mut keys) = plan.returned_keys(Op::Update, 2, &["003B".to_owned(), "003C".to_owned()]).unwrap();
    keys.reverse();
    let mut session = stage.session().await;
    let rows = sqlx::query(sqlx::AssertSqlSafe(again.sql(catalog.by_name(&table).unwrap())))
        .bind(&keys)
        .bind("y")
        .fetch_all(&mut session.connection)
        .await
        .unwrap();
    let ids: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(ids, ["003C", "003B"]);
    // id, last_name, email, n, _version, _synced_at, ?column?, id, ?column?
    assert_eq!(rows[0].len(), 9);
    assert_eq!(rows[0].get::<String, _>(6), "xy");
    assert_eq!(rows[0].get::<i32, _>(7), 3);
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
