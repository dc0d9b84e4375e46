//! Bad input and absent components: clear errors, and everything else goes on.

use std::io::{Read as _, Write as _};
use std::process::Command;
use std::time::Duration;

use upwrite_e2e::{LIMIT, Options, World};
use upwrite_testkit::{binary, until};

async fn login_error(url: &str) -> tokio_postgres::Error {
    match tokio_postgres::connect(url, tokio_postgres::NoTls).await {
        Ok(_) => panic!("logged in with {url}"),
        Err(error) => error,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn logins_that_cannot_be_and_garbage_disturb_nobody() {
    let world = World::start(Options::default()).await;
    let good = world.client().await;
    let wrong = login_error(&world.url().replace("app-password", "wrong")).await;
    assert_eq!(wrong.code().unwrap().code(), "28P01", "{wrong}");
    let nobody = login_error(&world.url().replace("//app:", "//nobody:")).await;
    assert_eq!(nobody.code().unwrap().code(), "28P01", "{nobody}");
    let unknown = login_error(&world.url().replace(&world.database, "no_such_database")).await;
    assert_eq!(unknown.code().unwrap().code(), "3D000", "{unknown}");
    let own = login_error(&world.url().replace("//app:app-password", "//upwrite_service:service")).await;
    assert!(own.code().is_some(), "{own}");

    let port = world.proxy_port;
    tokio::task::spawn_blocking(move || {
        for garbage in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0xff; 64], &[0, 0, 0, 1], &[0, 0, 0, 8, 0, 0, 0, 0]] {
            let mut socket = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
            socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            socket.write_all(garbage).unwrap();
            socket.shutdown(std::net::Shutdown::Write).unwrap();
            // An error message and the end of the connection, or just the end.
            let mut answer = Vec::new();
            let _reset_is_fine = socket.read_to_end(&mut answer);
        }
    })
    .await
    .unwrap();
    assert_eq!(good.query_one("select 1", &[]).await.unwrap().get::<_, i32>(0), 1);
    drop(good);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_around_the_proxy_is_refused_with_a_hint() {
    let world = World::start(Options::default()).await;
    let (client, connection) = tokio_postgres::connect(&world.around_url(), tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let error = client.execute("update salesforce.contact set title = 'sneaky'", &[]).await.unwrap_err();
    let db = error.as_db_error().unwrap();
    assert_eq!(db.code().code(), "UW001");
    assert!(db.hint().is_some_and(|hint| hint.to_lowercase().contains("proxy")), "{:?}", db.hint());
    // Not even a superuser gets a TRUNCATE through.
    let error = sqlx::query("truncate salesforce.contact").execute(&world.admin).await.unwrap_err();
    assert_eq!(error.as_database_error().unwrap().code().as_deref(), Some("0A000"));
    drop(client);
    world.finish().await;
}

#[test]
fn a_broken_configuration_is_told_all_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("upwrite.toml");
    let text =
        "[postgres]\ndatbase = \"x\"\nport = \"many\"\n[proxy]\nlisten = \"here\"\n[sources.crm]\nkind = \"siebel\"\n";
    std::fs::write(&path, text).unwrap();
    let output = Command::new(binary("upwrite")).args(["check-config", "--config"]).arg(&path).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    for expected in [
        "line 2, column 1: postgres.datbase: unknown key; did you mean database?",
        "line 3, column 8: postgres.port",
        "line 5, column 10: proxy.listen",
        "line 7, column 8: sources.crm.kind: \"siebel\"",
    ] {
        assert!(told.contains(expected), "{expected:?} is missing in\n{told}");
    }
}

/// Postgres goes away under a running Upwrite and comes back.
#[tokio::test(flavor = "multi_thread")]
async fn postgres_away_is_said_and_recovered_from() {
    let world = World::start(Options { fsync: true, ..Options::default() }).await;
    let client = world.client().await;
    client.execute("insert into salesforce.contact (last_name) values ('Before')", &[]).await.unwrap();
    world.cluster.kill9().await;
    let refused = until(LIMIT, "57P03", || async {
        match world.try_client().await {
            Err(error) if error.code().is_some() => Some(error),
            _ => None,
        }
    })
    .await;
    assert_eq!(refused.code().unwrap().code(), "57P03", "{refused}");
    world.cluster.restart().await;
    let client = until(LIMIT, "a login after the restart", || async { world.try_client().await.ok() }).await;
    client.execute("insert into salesforce.contact (last_name) values ('After')", &[]).await.unwrap();
    drop(client);
    world.finish().await;
}
