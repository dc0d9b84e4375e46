use super::*;
use crate::testing;

fn one(sql: &str) -> Kind {
    let mut statements = statements(sql, &testing::catalog());
    assert_eq!(statements.len(), 1, "{sql}");
    statements.remove(0).kind
}

fn captured(sql: &str) -> PossibleWrite {
    match one(sql) {
        Kind::Captured(write) => *write,
        other => panic!("{sql}: {other:?}"),
    }
}

#[test]
fn what_cannot_write_a_synced_table_is_relayed() {
    for sql in [
        "select * from sf.contact where lower(email) = $1",
        "select * from sf.contact for update",
        "select pure(1), nextval('s'), gen_random_uuid()",
        "select * from upwrite.await('x', '10s')",
        "select count(*) from sf.contact c join public.note n on n.id = c.id",
        "insert into public.note values (1, now()) returning id",
        "update note set a = 1",
        "delete from public.note where id in (select id from sf.contact)",
        "with x as (delete from note returning *) insert into public.note select * from x",
        "explain insert into sf.contact values ('1')",
        "explain (analyze false) insert into sf.contact values ('1')",
        "explain analyze select 1",
        "copy sf.contact to stdout",
        "copy public.note from stdin",
        "copy (select writes(1)) to stdout",
        "prepare p as insert into sf.contact values ($1)",
        "declare c cursor for select * from sf.contact",
        "fetch 10 from c",
        "create table t (a int)",
        "create index concurrently i on public.note (a)",
        "vacuum public.note",
        "listen x",
        "selekt 1; insert into sf.contact values (1)",
    ] {
        assert_eq!(one(sql), Kind::Relayed, "{sql}");
    }
}

#[test]
fn what_may_write_one_is_captured() {
    for sql in [
        "select writes(1)",
        "select shadowed(1)",
        "select unheard_of(1)",
        "select 1 where exists (select writes(1))",
        "insert into contact values (1)",
        "insert into public.audited values (1)",
        "insert into new_table values (1)",
        "insert into public.note values (writes(1))",
        "with x as (insert into sf.contact default values returning id) select * from x",
        "create table t as with x as (insert into sf.contact default values returning id) select * from x",
        "merge into contact c using public.note n on n.id = c.id when matched then delete",
        "call p()",
        "do $$ begin end $$",
        "execute p(1)",
        "create table t as select writes(1)",
        "truncate public.audited",
    ] {
        let write = captured(sql);
        assert!(write.known_target.is_none() && !write.copy && !write.dry, "{sql}");
    }
}

#[test]
fn a_target_is_known_only_if_nothing_else_can_be_written() {
    let contact = Some(TableName::new("sf", "contact"));
    assert_eq!(captured("insert into sf.contact (email) values ($1)").known_target, contact);
    assert_eq!(captured("update sf.contact set email = lower(email)").known_target, contact);
    assert_eq!(captured("delete from sf.contact where id = '1'").known_target, contact);
    let merge = "merge into sf.contact c using public.note n on n.id = c.id when matched then delete";
    assert_eq!(captured(merge).known_target, contact);
    assert_eq!(captured("delete from contact where id = '1'").known_target, None);
    assert_eq!(captured("delete from sf.contact where writes(1)").known_target, None);
    assert_eq!(captured("update sf.contact set n = nextval('s')").known_target, None);
    assert_eq!(captured("copy sf.contact from stdin").known_target, contact);

    let mut catalog = testing::catalog();
    let table = SyncedTable { own_code: true, ..(*testing::contact()).clone() };
    catalog.synced.insert(testing::CONTACT, Arc::new(table));
    match &statements("delete from sf.contact", &catalog)[0].kind {
        Kind::Captured(write) => assert_eq!(write.known_target, None),
        other => panic!("{other:?}"),
    }
}

#[test]
fn plain_statements_say_how_their_returning_is_answered() {
    let returning = |sql: &str| captured(sql).plain.expect(sql).returning;
    assert_eq!(returning("insert into sf.contact values ('1')"), None);
    let again = |alias: Option<&str>| {
        Some(Returning::Reevaluate(crate::returning::Reevaluation {
            list: "id".into(),
            alias: alias.map(str::to_owned),
            params: Vec::new(),
        }))
    };
    assert_eq!(returning("insert into contact values ('1') returning id"), again(None));
    assert_eq!(returning("insert into sf.contact as c values ('1') returning id"), again(Some("c")));
    assert_eq!(returning("insert into sf.contact select * from x on conflict do nothing returning id"), again(None));
    assert_eq!(returning("update sf.contact set email = '' returning id"), again(None));
    for sql in [
        "update sf.contact set email = '' from note returning id",
        "delete from sf.contact returning id",
        "insert into sf.contact values ('1') returning xmax = 0",
    ] {
        assert_eq!(returning(sql), Some(Returning::Buffered), "{sql}");
    }
    assert!(captured("with x as (delete from sf.account) insert into sf.contact values ('1')").plain.is_none());
}

#[test]
fn a_function_over_a_returned_key_is_noticed() {
    let insert = "with x as (insert into sf.contact (email) values (lower($1)) returning id)";
    assert!(!captured(&format!("{insert} select * from x")).hides_keys);
    assert!(!captured(&format!("{insert} select coalesce(json_agg(x), '[]'), pg_catalog.count(x) from x")).hides_keys);
    // PostgREST (C8).
    let postgrest = "WITH pgrst_source AS (WITH pgrst_payload AS (SELECT $1::json AS json_data), pgrst_body AS (SELECT CASE \
        WHEN json_typeof(json_data) = 'array' THEN json_data ELSE json_build_array(json_data) END AS val FROM pgrst_payload) \
        INSERT INTO \"sf\".\"contact\"(\"email\") SELECT \"email\" FROM json_populate_recordset \
        (null::\"sf\".\"contact\", (SELECT val FROM pgrst_body)) _ RETURNING \"sf\".\"contact\".*) \
        SELECT '' AS total_result_set, pg_catalog.count(_postgrest_t) AS page_total, array[]::text[] AS header, \
        coalesce(json_agg(_postgrest_t), '[]')::character varying AS body, \
        nullif(current_setting('response.headers', true), '') AS response_headers \
        FROM (SELECT * FROM pgrst_source) _postgrest_t";
    assert!(!captured(postgrest).hides_keys);
    assert!(captured(&format!("{insert} select md5(id) from x")).hides_keys);
    assert!(!captured("insert into sf.contact values (md5('')) returning id").hides_keys);
    assert!(!captured("insert into sf.contact values (md5('')) returning md5(id)").hides_keys);
    assert!(captured("insert into sf.contact values (md5('')) returning md5(id), xmax").hides_keys);
    assert!(!captured("select writes(1)").hides_keys);
}

#[test]
fn explain_analyze_runs_dry_and_copy_from_the_client_is_marked() {
    assert!(captured("explain analyze insert into sf.contact values ('1')").dry);
    assert!(captured("explain (analyze, buffers) insert into sf.contact values ('1')").dry);
    assert!(captured("copy sf.contact from stdin").copy);
    assert!(captured("copy contact (id) from stdin").copy);
    assert!(!captured("copy sf.contact from '/tmp/x'").copy);
    assert!(matches!(one("truncate public.note, sf.contact"), Kind::Refused(_)));
    assert!(matches!(one("copy (delete from sf.contact returning *) to stdout"), Kind::Refused(_)));
}

#[test]
fn commands_of_session_and_transaction_are_told_apart() {
    use SessionCommand as S;
    use TransactionCommand as T;
    for (sql, command) in [
        ("set upwrite.ack = applied", S::Set),
        ("set local a.b = 1", S::Set),
        ("reset statement_timeout", S::Set),
        ("reset all", S::ResetAll),
        ("show upwrite.ack", S::Show),
        ("discard all", S::DiscardAll),
        ("discard temp", S::Discard),
        ("deallocate all", S::DeallocateAll),
        ("deallocate p", S::Deallocate("p".into())),
    ] {
        assert_eq!(one(sql), Kind::Session(command), "{sql}");
    }
    for (sql, command) in [
        ("begin", T::Begin),
        ("start transaction isolation level serializable", T::Begin),
        ("commit", T::Commit { chain: false }),
        ("end", T::Commit { chain: false }),
        ("rollback and chain", T::Rollback { chain: true }),
        ("abort", T::Rollback { chain: false }),
        ("savepoint a", T::Savepoint("a".into())),
        ("release a", T::Release("a".into())),
        ("rollback to a", T::RollbackTo("a".into())),
        ("prepare transaction 'x'", T::Prepare),
        ("commit prepared 'x'", T::Prepared),
    ] {
        assert_eq!(one(sql), Kind::Transaction(command), "{sql}");
    }
}

#[test]
fn a_query_string_is_split() {
    let catalog = testing::catalog();
    let parts = statements("begin; insert into sf.contact values ('1'); select 1; commit", &catalog);
    assert_eq!(
        parts.iter().map(|part| &*part.text).collect::<Vec<_>>(),
        ["begin", "insert into sf.contact values ('1')", "select 1", "commit",]
    );
    assert!(matches!(parts[1].kind, Kind::Captured(_)));
    assert!(statements("", &catalog).is_empty());
}
