//! The scenario by tokio-postgres: binary formats, statements prepared in one flight and executed in another.

use tokio_postgres::error::SqlState;
use upwrite_e2e::{Options, World};

#[tokio::test(flavor = "multi_thread")]
async fn tokio_postgres_passes_the_scenario() {
    let world = World::start(Options::default()).await;
    sqlx::query(
        "create procedure public.rename(who text, new_name text) language sql as \
         $$ update salesforce.contact set last_name = new_name where id = who $$",
    )
    .execute(&world.admin)
    .await
    .unwrap();
    let mut client = world.client().await;
    reads(&client).await;
    let ada = writes(&client).await;
    refusals(&client).await;
    client.execute("call public.rename($1, $2)", &[&ada, &"King"]).await.unwrap();
    let name: String =
        client.query_one("select last_name from salesforce.contact where id = $1", &[&ada]).await.unwrap().get(0);
    assert_eq!(name, "King");
    assert_eq!(client.execute("delete from salesforce.contact where id = $1", &[&ada]).await.unwrap(), 1);
    blocks(&mut client).await;
    drop(client);
    world.finish().await;
}

async fn reads(client: &tokio_postgres::Client) {
    let count: i64 = client.query_one("select count(*) from salesforce.contact", &[]).await.unwrap().get(0);
    assert_eq!(count, 20);
    let account: String =
        client.query_one("select id from salesforce.account order by id limit 1", &[]).await.unwrap().get(0);
    client.query("select * from salesforce.contact where account_id = $1 limit 100", &[&account]).await.unwrap();
    let joined = client
        .query(
            "select a.name, c.last_name from salesforce.account a join salesforce.contact c on c.account_id = a.id",
            &[],
        )
        .await
        .unwrap();
    assert!(!joined.is_empty());
}

async fn writes(client: &tokio_postgres::Client) -> String {
    let add = client
        .prepare("insert into salesforce.contact (first_name, last_name, email) values ($1, $2, $3) returning id")
        .await
        .unwrap();
    let mut ada = String::new();
    for n in 0..3 {
        let email = format!("ada{n}@tokio.example");
        ada = client.query_one(&add, &[&"Ada", &"Lovelace", &email]).await.unwrap().get(0);
        assert!(ada.len() == 18 && ada.starts_with("003"), "{ada}");
    }
    let plain = client.execute("insert into salesforce.contact (last_name) values ('Plain')", &[]).await.unwrap();
    assert_eq!(plain, 1);
    let row = client
        .query_one(
            "update salesforce.contact set title = $1 where id = $2 returning title, _version",
            &[&"Countess", &ada],
        )
        .await
        .unwrap();
    assert_eq!(row.get::<_, String>(0), "Countess");
    assert!(row.get::<_, i64>(1) >= 2, "RETURNING shows the row as it was before it was reconciled");
    let none = client.execute("update salesforce.contact set title = 'x' where id = 'none'", &[]).await.unwrap();
    assert_eq!(none, 0);
    let many = client
        .execute(
            "insert into salesforce.contact (last_name) select 'Row ' || n from generate_series(1, $1::int) n",
            &[&500],
        )
        .await
        .unwrap();
    assert_eq!(many, 500);
    // The same as a simple query.
    let messages = client
        .simple_query("insert into salesforce.contact (last_name) values ('Simple') returning last_name")
        .await
        .unwrap();
    assert!(messages.iter().any(
        |message| matches!(message, tokio_postgres::SimpleQueryMessage::Row(row) if row.get(0) == Some("Simple"))
    ));
    ada
}

async fn refusals(client: &tokio_postgres::Client) {
    let refused = |sql: &'static str| async move { client.execute(sql, &[]).await.expect_err(sql) };
    let error = refused("insert into salesforce.contact (first_name) values ('x')").await;
    let db = error.as_db_error().unwrap();
    assert_eq!(db.code(), &SqlState::NOT_NULL_VIOLATION);
    assert_eq!((db.schema(), db.table(), db.column()), (Some("salesforce"), Some("contact"), Some("last_name")));
    let error = refused("update salesforce.opportunity set stage_name = 'None such' where id = (select min(id) from salesforce.opportunity)").await;
    assert_eq!(error.code(), Some(&SqlState::CHECK_VIOLATION));
    let error = refused("truncate salesforce.contact").await;
    assert_eq!(error.code(), Some(&SqlState::FEATURE_NOT_SUPPORTED));
    let one: i32 = client.query_one("select 1", &[]).await.unwrap().get(0);
    assert_eq!(one, 1, "the connection goes on");
}

async fn blocks(client: &mut tokio_postgres::Client) {
    let tx = client.transaction().await.unwrap();
    let id: String = tx
        .query_one("insert into salesforce.contact (last_name) values ('Block') returning id", &[])
        .await
        .unwrap()
        .get(0);
    let seen: i64 = tx.query_one("select count(*) from salesforce.contact where id = $1", &[&id]).await.unwrap().get(0);
    assert_eq!(seen, 1);
    tx.commit().await.unwrap();
    let mut tx = client.transaction().await.unwrap();
    let savepoint = tx.savepoint("mine").await.unwrap();
    let error = savepoint.execute("insert into salesforce.contact (first_name) values ('x')", &[]).await.unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::NOT_NULL_VIOLATION));
    savepoint.rollback().await.unwrap();
    // The block goes on from the client's own savepoint.
    tx.execute("update salesforce.contact set title = 'after' where id = $1", &[&id]).await.unwrap();
    tx.commit().await.unwrap();
    let title: String =
        client.query_one("select title from salesforce.contact where id = $1", &[&id]).await.unwrap().get(0);
    assert_eq!(title, "after");
}
