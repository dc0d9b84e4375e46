//! A cluster as its owner sees it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nix::sys::signal::Signal;
use nix::unistd::{Gid, Uid};

use super::account::{account, check_bindir, command, hand_over, temp_dir};
use super::server::Server;
use super::template::{SUPERUSER, Template};
use super::url::encode;
use crate::error::system;
use crate::{Error, free_port, guardian};

/// Settings of every cluster; `Options::settings` come after them and win.
const SETTINGS: [(&str, &str); 5] = [
    ("listen_addresses", "127.0.0.1"),
    ("max_connections", "300"),
    ("max_prepared_transactions", "20"),
    ("log_line_prefix", "%m [%p] %q%u@%d/%a "),
    ("timezone", "UTC"),
];

/// How a cluster runs.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Whether commits wait for the disk. Needed only where a whole machine's crash, or the cost of a commit, matters:
    /// what a killed server wrote is safe with the kernel. Off (the default) is several times faster.
    pub fsync: bool,
    /// Further settings, by name and value, as `postgres -c` takes them.
    pub settings: Vec<(String, String)>,
}

/// A private cluster. Dropped (or its process gone), it is stopped and its files are removed.
pub struct Cluster {
    site: Arc<Site>,
    server: Arc<Mutex<Option<Server>>>,
}

/// What stays the same over restarts.
struct Site {
    home: PathBuf,
    bin: PathBuf,
    account: Option<(Uid, Gid)>,
    options: Options,
    port: u16,
    password: String,
}

impl Cluster {
    /// A new, empty cluster of the server in `bin` (see [`super::installed_bindir`]), which accepts connections.
    ///
    /// # Errors
    /// As [`Cluster::start_blocking`].
    pub async fn start(bin: PathBuf, options: Options) -> Result<Self, Error> {
        let started = tokio::task::spawn_blocking(move || Self::start_blocking(bin, options)).await;
        started.unwrap_or(Err(Error::RuntimeEnded("started")))
    }

    /// As [`Cluster::start`], for callers without a runtime.
    ///
    /// # Errors
    /// If the server is not there or does not start; with the end of its log.
    pub fn start_blocking(bin: PathBuf, options: Options) -> Result<Self, Error> {
        check_bindir(&bin)?;
        let account = account()?;
        let template = Template::get(&bin, account)?;
        let home = tempfile::Builder::new().prefix("uw-").tempdir_in(temp_dir());
        let home = home.map_err(system("a temporary directory"))?.keep();
        guardian::remove_with_us(&home)?;
        hand_over(&home, account)?;
        template.copy_to(&home.join("data"))?;
        let site = Site { home, bin, account, options, port: free_port()?, password: template.password()? };
        let server = site.launch()?;
        Ok(Self { site: Arc::new(site), server: Arc::new(Mutex::new(Some(server))) })
    }

    /// The IP address on which it listens.
    pub fn host(&self) -> &'static str {
        "127.0.0.1"
    }

    /// The TCP port; it stays the same over [`Cluster::restart`].
    pub fn port(&self) -> u16 {
        self.site.port
    }

    /// The directory of the Unix socket (what libpq takes as `host`).
    pub fn socket_dir(&self) -> &Path {
        &self.site.home
    }

    /// The password of the superuser, whose name is `postgres`.
    pub fn superuser_password(&self) -> &str {
        &self.site.password
    }

    /// `postgres://…` as the superuser, by TCP.
    pub fn superuser_url(&self, database: &str) -> String {
        self.url(database, SUPERUSER, &self.site.password)
    }

    /// `postgres://…` as any user, by TCP.
    pub fn url(&self, database: &str, user: &str, password: &str) -> String {
        let (user, password, database) = (encode(user), encode(password), encode(database));
        format!("postgres://{user}:{password}@{}:{}/{database}", self.host(), self.site.port)
    }

    /// The server's log so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.site.home.join("postgres.log")).unwrap_or_default()
    }

    /// Kills every process of the server at one blow (SIGKILL), as a crash would; [`Cluster::restart`] recovers.
    ///
    /// # Errors
    /// `TimedOut` if a process outlives it.
    pub async fn kill9(&self) -> Result<(), Error> {
        self.with_server(|_, server| server.take().map_or(Ok(()), Server::kill9)).await
    }

    /// Fast shutdown: sessions are ended, a checkpoint is written, files stay.
    ///
    /// # Errors
    /// As [`Cluster::kill9`], which is what comes after a while.
    pub async fn stop(&self) -> Result<(), Error> {
        self.with_server(|_, server| stop(server, Signal::SIGINT)).await
    }

    /// Stops the server if it runs, and starts it on the same data and port.
    ///
    /// # Errors
    /// If it does not stop or does not start; with the end of its log.
    pub async fn restart(&self) -> Result<(), Error> {
        self.with_server(|site, server| {
            stop(server, Signal::SIGINT)?;
            *server = Some(site.launch()?);
            Ok(())
        })
        .await
    }

    /// Starting and stopping waits for processes: not on the caller's thread, which may run the whole runtime.
    async fn with_server(
        &self,
        act: impl FnOnce(&Site, &mut Option<Server>) -> Result<(), Error> + Send + 'static,
    ) -> Result<(), Error> {
        let (site, server) = (Arc::clone(&self.site), Arc::clone(&self.server));
        let acted = tokio::task::spawn_blocking(move || act(&site, &mut lock(&server))).await;
        acted.unwrap_or(Err(Error::RuntimeEnded("stopped or started")))
    }
}

impl Site {
    fn launch(&self) -> Result<Server, Error> {
        let data = self.home.join("data");
        let on_off = |on| if on { "on" } else { "off" };
        let mut command = command(&self.bin.join("postgres"), self.account);
        command.arg("-D").arg(&data).arg("-p").arg(self.port.to_string());
        let mut set = |name: &str, value: &str| {
            command.arg("-c").arg(format!("{name}={value}"));
        };
        SETTINGS.iter().for_each(|(name, value)| set(name, value));
        set("unix_socket_directories", &self.home.to_string_lossy());
        set("fsync", on_off(self.options.fsync));
        set("full_page_writes", on_off(self.options.fsync));
        self.options.settings.iter().for_each(|(name, value)| set(name, value));
        Server::start(command, &data, &self.home.join("postgres.log"))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // What cannot be ended or removed now, the guardian ends and removes.
        let _ = stop(&mut lock(&self.server), Signal::SIGQUIT);
        let _ = std::fs::remove_dir_all(&self.site.home);
    }
}

fn lock(server: &Mutex<Option<Server>>) -> MutexGuard<'_, Option<Server>> {
    server.lock().unwrap_or_else(PoisonError::into_inner)
}

fn stop(server: &mut Option<Server>, signal: Signal) -> Result<(), Error> {
    server.take().map_or(Ok(()), |server| server.stop(signal))
}
