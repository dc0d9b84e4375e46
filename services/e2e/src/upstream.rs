//! The upstreams of a site: a stand-in for each, and what the configuration says of it.

use std::process::Command;

use upwrite_ledger::stand_in::{Ledger, LedgerOptions};
use upwrite_sandbox::{AdminClient, Options as SandboxOptions, Running, Sandbox};
use upwrite_testkit::process::Process;
use upwrite_testkit::{binary, free_port};

use crate::{LIMIT, Options};

/// A vendor that a site has a source of; the source is named after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vendor {
    Salesforce,
    Ledger,
}

/// A source's stand-in.
pub(crate) struct Upstream {
    pub(crate) vendor: Vendor,
    pub(crate) admin: AdminClient,
    stand_in: StandIn,
}

enum StandIn {
    Process(Process),
    /// In the test's own process: killing Upwrite does not touch it there either.
    Here(Running<Ledger>),
}

impl Upstream {
    pub(crate) async fn start(vendor: Vendor, options: &Options) -> Self {
        let (stand_in, base_url) = match vendor {
            Vendor::Salesforce => {
                let address = format!("127.0.0.1:{}", free_port());
                (StandIn::Process(start_salesforce(&address, options).await), format!("http://{address}"))
            }
            Vendor::Ledger => {
                let ledger = Ledger::new(LedgerOptions { entries: options.entries, ..LedgerOptions::default() });
                let running = Sandbox::start(SandboxOptions::default(), ledger).await.unwrap();
                let base_url = running.base_url.clone();
                (StandIn::Here(running), base_url)
            }
        };
        Self { vendor, admin: AdminClient::new(base_url).unwrap(), stand_in }
    }

    /// Its sections of the configuration: the source, and what the application's role may do with its tables.
    pub(crate) fn config(&self, options: &Options) -> String {
        let (source, tables) = match self.vendor {
            Vendor::Salesforce => salesforce(options, self.admin.base_url()),
            Vendor::Ledger => ledger(options, self.admin.base_url()),
        };
        let tables: Vec<String> = tables.iter().map(|table| format!("\"{table}\"")).collect();
        format!(
            "{source}[[grants]]\nrole = \"app\"\ntables = [{}]\n\
             privileges = [\"select\", \"insert\", \"update\", \"delete\", \"references\"]\n",
            tables.join(", ")
        )
    }

    pub(crate) async fn stop(self) {
        match self.stand_in {
            StandIn::Process(process) => process.sigterm(),
            StandIn::Here(running) => running.stop().await.unwrap(),
        }
    }
}

/// Secrets that the sections refer to.
pub(crate) fn secrets(command: &mut Command) {
    command.env("CLIENT", "sandbox-secret").env("LEDGER", LedgerOptions::default().token);
}

async fn start_salesforce(address: &str, options: &Options) -> Process {
    let mut command = Command::new(binary("upwrite-sandbox"));
    command.args(["--listen", address, "--accounts", &options.accounts.to_string()]);
    command.args(["--contacts", &options.contacts.to_string(), "--opportunities", &options.opportunities.to_string()]);
    let process = Process::spawn(command);
    process.wait_for_line("listening on", LIMIT).await;
    process
}

fn salesforce(options: &Options, login_url: &str) -> (String, &'static [&'static str]) {
    let mut text = format!(
        "[sources.salesforce]\nkind = \"salesforce\"\nlogin_url = \"{login_url}\"\nrequest_timeout = \"{}ms\"\n\
         late_effect = \"{}ms\"\n[sources.salesforce.auth]\nflow = \"client_credentials\"\n\
         client_id = \"sandbox-client\"\nclient_secret = {{ env = \"CLIENT\" }}\n",
        options.request_timeout.as_millis(),
        options.late_effect.as_millis(),
    );
    for object in ["Account", "Contact", "Opportunity"] {
        text.push_str(&format!("[[sources.salesforce.objects]]\nobject = \"{object}\"\n"));
        if options.keyed {
            text.push_str("idempotency_field = \"UpwriteKey__c\"\n");
        }
    }
    (text, &["salesforce.account", "salesforce.contact", "salesforce.opportunity"])
}

fn ledger(options: &Options, url: &str) -> (String, &'static [&'static str]) {
    let text = format!(
        "[sources.ledger]\nkind = \"ledger\"\nurl = \"{url}\"\ntoken = {{ env = \"LEDGER\" }}\n\
         collections = [\"entry\"]\nrequest_timeout = \"{}ms\"\nlate_effect = \"{}ms\"\n",
        options.request_timeout.as_millis(),
        options.late_effect.as_millis(),
    );
    (text, &["ledger.entry"])
}
