//! One deployment in the simplest way: `upwrite run`.

use std::ops::Deref;
use std::path::PathBuf;
use std::process::Command;

use upwrite_testkit::free_port;
use upwrite_testkit::process::Process;

use crate::{LIMIT, Options, Site};

/// A running deployment, all stages in one process.
pub struct World {
    pub site: Site,
    pub upwrite: Process,
    pub proxy_port: u16,
}

/// The configuration's name.
const NAME: &str = "upwrite";

impl Deref for World {
    type Target = Site;

    fn deref(&self) -> &Site {
        &self.site
    }
}

impl World {
    /// Starts everything and waits for the first backfill.
    pub async fn start(options: Options) -> Self {
        let world = Self::start_cold(options).await;
        world.backfilled().await;
        world
    }

    /// As [`World::start`], without waiting for the backfill.
    pub async fn start_cold(options: Options) -> Self {
        let site = Site::start(options).await;
        let proxy_port = free_port();
        site.configure(NAME, proxy_port);
        let upwrite = Process::spawn(site.command("run", NAME));
        upwrite.wait_for_line("ready", LIMIT).await;
        Self { site, upwrite, proxy_port }
    }

    /// A command line of the executable, with this world's configuration and secrets.
    pub fn command(&self, subcommand: &str) -> Command {
        self.site.command(subcommand, NAME)
    }

    pub fn config_path(&self) -> PathBuf {
        self.site.config_path(NAME)
    }

    /// URL through Upwrite.
    pub fn url(&self) -> String {
        self.site.url(self.proxy_port)
    }

    /// A connection through Upwrite.
    pub async fn client(&self) -> tokio_postgres::Client {
        self.try_client().await.expect("connecting through the proxy")
    }

    pub async fn try_client(&self) -> Result<tokio_postgres::Client, tokio_postgres::Error> {
        crate::connect(&self.url()).await
    }

    /// `kill -9` of Upwrite, and a new start.
    pub async fn kill_and_restart(&mut self) {
        self.upwrite.kill9();
        self.upwrite.wait_exit(LIMIT).await;
        self.restart().await;
    }

    /// Starts Upwrite again, after it has ended.
    pub async fn restart(&mut self) {
        self.upwrite = Process::spawn(self.command("run"));
        self.upwrite.wait_for_line("ready", LIMIT).await;
    }

    /// Ends the world as an operator would, and checks that nothing was left behind.
    pub async fn finish(self) {
        self.settled().await;
        self.upwrite.sigterm();
        let status = self.upwrite.wait_exit(LIMIT).await;
        assert!(status.success(), "upwrite run ended with {status}");
        self.site.finish().await;
    }
}
