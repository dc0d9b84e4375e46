//! Who is let in, and which errors the others read.

use tokio_postgres::error::SqlState;
use tokio_postgres::{Error, NoTls};

use crate::site::{Site, USER};

fn refusal(error: &Error) -> (SqlState, String) {
    let error = error.as_db_error().unwrap_or_else(|| panic!("an answer of the server, not: {error}"));
    (error.code().clone(), error.message().to_owned())
}

#[tokio::test]
async fn the_users_own_password_opens_the_server_as_that_user() {
    let site = Site::new().await;
    let client = site.client().await;
    let row =
        client.query_one("SELECT session_user::text, current_database()::text, pg_backend_pid()", &[]).await.unwrap();
    assert_eq!((row.get::<_, &str>(0), row.get::<_, &str>(1)), (USER, site.database.as_str()));
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_user_are_told_the_same() {
    let site = Site::new().await;
    let wrong = site.config().password("guess").connect(NoTls).await.err().unwrap();
    let unknown = site.config().user("nobody").connect(NoTls).await.err().unwrap();
    assert_eq!(
        refusal(&wrong),
        (SqlState::INVALID_PASSWORD, format!("password authentication failed for user \"{USER}\""))
    );
    assert_eq!(
        refusal(&unknown),
        (SqlState::INVALID_PASSWORD, "password authentication failed for user \"nobody\"".to_owned())
    );
}

#[tokio::test]
async fn the_servers_own_refusals_come_through() {
    let site = Site::new().await;
    let unknown = site.config().dbname("nowhere").connect(NoTls).await.err().unwrap();
    assert_eq!(refusal(&unknown).0, SqlState::INVALID_CATALOG_NAME);
    let setting = site.config().options("-c no_such_setting=1").connect(NoTls).await.err().unwrap();
    assert_eq!(refusal(&setting).0, SqlState::UNDEFINED_OBJECT);
}

#[tokio::test]
async fn upwrites_own_roles_and_replication_are_refused() {
    let site = Site::new().await;
    let own = site.config().user("upwrite_service").password("service").connect(NoTls).await.err().unwrap();
    assert_eq!(refusal(&own).0, SqlState::INVALID_AUTHORIZATION_SPECIFICATION);
}

#[tokio::test]
async fn startup_parameters_reach_the_server() {
    let site = Site::new().await;
    let (client, connection) = site
        .config()
        .application_name("till 7")
        .options("-c work_mem=2MB -c upwrite.hold_timeout=3s")
        .connect(NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    let show = async |name: &str| -> String { client.query_one(&format!("SHOW {name}"), &[]).await.unwrap().get(0) };
    assert_eq!(show("application_name").await, "till 7");
    assert_eq!(show("work_mem").await, "2MB");
    assert_eq!(show("upwrite.hold_timeout").await, "3s");
    assert_eq!(show("upwrite.ack").await, "reconciled");
}

#[tokio::test]
async fn alter_role_sets_what_startup_does_not() {
    let site = Site::new().await;
    site.admin(&format!("ALTER ROLE {USER} IN DATABASE {} SET upwrite.ack = 'applied'", site.database)).await;
    let client = site.client().await;
    let ack: String = client.query_one("SHOW upwrite.ack", &[]).await.unwrap().get(0);
    assert_eq!(ack, "applied");
    client.batch_execute("RESET ALL").await.unwrap();
    let apply: String = client.query_one("SHOW upwrite.apply", &[]).await.unwrap().get(0);
    assert_eq!(apply, "statement");
}

#[tokio::test]
async fn there_are_no_more_connections_than_configured() {
    let site = Site::with(|config| config.limits.connections = 2).await;
    // The client with which the site found out that the proxy is ready may still be leaving.
    let both = || async { Some((site.try_client().await.ok()?, site.try_client().await.ok()?)) };
    let first = upwrite_testkit::until(std::time::Duration::from_secs(5), "two connections", both).await;
    let third = site.try_client().await.err().unwrap();
    assert_eq!(refusal(&third).0, SqlState::TOO_MANY_CONNECTIONS);
    drop(first);
}

#[tokio::test]
async fn a_password_is_carried_only_over_tls() {
    let site = Site::with(|config| config.auth = upwrite_proxy::AuthMode::Password).await;
    let refused = site.try_client().await.err().unwrap();
    assert_eq!(refusal(&refused).0, SqlState::INVALID_AUTHORIZATION_SPECIFICATION);
}
