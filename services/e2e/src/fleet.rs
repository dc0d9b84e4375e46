//! A deployment as companies run it: every stage in processes of its own, several of each.

use std::ops::Deref;

use upwrite_testkit::free_port;
use upwrite_testkit::process::Process;

use crate::{LIMIT, Options, Site};

/// A running deployment of many processes.
pub struct Fleet {
    pub site: Site,
    pub members: Vec<Member>,
}

/// One process, and what it takes to start it again.
pub struct Member {
    /// The subcommand that it runs.
    pub stage: &'static str,
    /// As its configuration file is called.
    pub name: String,
    /// Of a proxy.
    pub port: u16,
    pub process: Process,
}

/// How many of each.
#[derive(Debug, Clone, Copy)]
pub struct Crew {
    pub proxies: usize,
    pub appliers: usize,
    pub reconcilers: usize,
    pub syncers: usize,
}

impl Default for Crew {
    fn default() -> Self {
        Self { proxies: 2, appliers: 2, reconcilers: 2, syncers: 1 }
    }
}

impl Deref for Fleet {
    type Target = Site;

    fn deref(&self) -> &Site {
        &self.site
    }
}

impl Fleet {
    /// Starts everything and waits for the first backfill.
    pub async fn start(options: Options, crew: Crew) -> Self {
        let site = Site::start(options).await;
        let mut members = Vec::new();
        for (stage, count) in [
            ("reconciler", crew.reconcilers),
            ("applier", crew.appliers),
            ("syncer", crew.syncers),
            ("proxy", crew.proxies),
        ] {
            for number in 0..count {
                let (name, port) = (format!("{stage}-{number}"), free_port());
                site.configure(&name, port);
                let process = Process::spawn(site.command(stage, &name));
                members.push(Member { stage, name, port, process });
            }
        }
        for member in &members {
            member.process.wait_for_line("ready", LIMIT).await;
        }
        site.backfilled().await;
        Self { site, members }
    }

    /// Where the proxies listen.
    pub fn ports(&self) -> Vec<u16> {
        self.members.iter().filter(|member| member.stage == "proxy").map(|member| member.port).collect()
    }

    /// URLs through each of the proxies.
    pub fn urls(&self) -> Vec<String> {
        self.ports().into_iter().map(|port| self.site.url(port)).collect()
    }

    /// A connection through the proxy of that number.
    pub async fn client(&self, proxy: usize) -> tokio_postgres::Client {
        crate::connect(&self.urls()[proxy]).await.expect("connecting through the proxy")
    }

    pub fn member(&self, name: &str) -> &Member {
        self.members.iter().find(|member| member.name == name).expect("a member of that name")
    }

    /// `kill -9`, without a new start.
    pub async fn kill(&self, name: &str) {
        let process = &self.member(name).process;
        process.kill9();
        process.wait_exit(LIMIT).await;
    }

    /// Starts a member again that has ended; does not wait for it to be ready.
    pub fn restart(&mut self, name: &str) {
        let index = self.members.iter().position(|member| member.name == name).expect("a member of that name");
        let process = Process::spawn(self.site.command(self.members[index].stage, name));
        self.members[index].process = process;
    }

    /// Ends all processes as an operator would, proxies first, and checks that nothing was left behind.
    pub async fn finish(self) {
        self.settled().await;
        for member in self.members.iter().rev() {
            member.process.sigterm();
            let status = member.process.wait_exit(LIMIT).await;
            assert!(status.success(), "{} ended with {status}", member.name);
        }
        self.site.finish().await;
    }
}
