//! Private PostgreSQL clusters for tests.

use std::ops::Deref;
use std::path::PathBuf;
use std::sync::OnceLock;

use anyhow::{Context as _, Result};
use sqlx::{Connection as _, Executor as _};
use upwrite_private_servers::postgres as private;
pub use upwrite_private_servers::postgres::Options;

use crate::must::must;

/// Names the directory of another PostgreSQL's programs (`initdb`, `postgres`), for all clusters of a test run.
const CHOICE: &str = "UPWRITE_TEST_POSTGRES";

/// The directory of `initdb` and `postgres`: what `UPWRITE_TEST_POSTGRES` names, else the newest that is installed.
///
/// # Errors
/// If there is no server there, or none on this machine.
pub fn bindir() -> Result<PathBuf> {
    chosen(std::env::var_os(CHOICE).map(PathBuf::from))
}

fn chosen(choice: Option<PathBuf>) -> Result<PathBuf> {
    let Some(bin) = choice else { return Ok(private::installed_bindir()?) };
    let wrong = || format!("{CHOICE}={} is not the `bin` directory of a PostgreSQL server", bin.display());
    private::check_bindir(&bin).with_context(wrong)?;
    Ok(bin)
}

/// `psql`: that of [`bindir`], else (not every distribution of the server has one) that of the installed server.
///
/// # Errors
/// As [`bindir`].
pub fn psql() -> Result<PathBuf> {
    let own = bindir()?.join("psql");
    if own.is_file() { Ok(own) } else { Ok(private::installed_bindir()?.join("psql")) }
}

/// A private cluster; as [`private::Cluster`], of which it has all methods. Those here panic where that has errors.
pub struct Cluster(private::Cluster);

impl Deref for Cluster {
    type Target = private::Cluster;

    fn deref(&self) -> &private::Cluster {
        &self.0
    }
}

impl Cluster {
    /// A new, empty cluster that accepts connections.
    pub async fn start(options: Options) -> Self {
        let started = private::Cluster::start(must(bindir().map_err(shown)), options).await;
        Self(started.unwrap_or_else(|error| panic!("no cluster: {error}")))
    }

    /// The cluster that all tests of this process share (fsync off). Each test takes a database of its own from it
    /// ([`Cluster::create_database`]); roles are common to all of them. Do not stop or kill this one.
    pub async fn shared() -> &'static Self {
        static SHARED: OnceLock<Cluster> = OnceLock::new();
        let get = || SHARED.get_or_init(|| must(Self::start_blocking(Options::default()).map_err(shown)));
        tokio::task::spawn_blocking(get).await.expect("starting the shared cluster panicked")
    }

    /// As [`Cluster::start`], for callers without a runtime.
    ///
    /// # Errors
    /// If the server is not installed or does not start; with the end of its log.
    pub fn start_blocking(options: Options) -> Result<Self> {
        Ok(Self(private::Cluster::start_blocking(bindir()?, options)?))
    }

    /// Creates an empty database with a fresh name, and returns that name.
    pub async fn create_database(&self) -> String {
        let name = format!("test_{}", uuid::Uuid::new_v4().simple());
        let mut connection = sqlx::PgConnection::connect(&self.superuser_url("postgres"))
            .await
            .unwrap_or_else(|error| panic!("connecting to the test cluster: {error}\n{}", self.log()));
        let create = format!("/* testkit.create_database */ CREATE DATABASE {name}");
        connection
            .execute(sqlx::AssertSqlSafe(create))
            .await
            .unwrap_or_else(|error| panic!("CREATE DATABASE: {error}"));
        let _ = connection.close().await;
        name
    }

    /// Kills every process of the server at one blow (SIGKILL), as a crash would; [`Cluster::restart`] recovers.
    pub async fn kill9(&self) {
        must(self.0.kill9().await);
    }

    /// Fast shutdown: sessions are ended, a checkpoint is written, files stay.
    pub async fn stop(&self) {
        must(self.0.stop().await);
    }

    /// Stops the server if it runs, and starts it on the same data and port.
    pub async fn restart(&self) {
        must(self.0.restart().await);
    }
}

/// With all causes.
fn shown(error: anyhow::Error) -> String {
    format!("{error:#}")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_wrong_choice_is_named_with_what_is_missing() {
        let wrong = |path: &Path| shown(chosen(Some(path.to_owned())).unwrap_err());
        let empty = tempfile::tempdir().unwrap();
        let said = wrong(empty.path());
        assert!(said.starts_with("UPWRITE_TEST_POSTGRES=/") && said.contains("no initdb in /"), "{said}");
        std::fs::write(empty.path().join("initdb"), "").unwrap();
        let said = wrong(empty.path());
        assert!(said.contains("no postgres in /"), "{said}");
        assert!(wrong(&empty.path().join("nowhere")).contains("no initdb in /"));
    }

    #[test]
    fn a_right_choice_wins_and_none_means_what_is_installed() {
        let installed = chosen(None).unwrap();
        assert_eq!(chosen(Some(installed.clone())).unwrap(), installed);
    }
}
