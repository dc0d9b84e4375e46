//! The sandbox as a process of its own, so that killing what it serves does not touch it.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, Parser, ValueEnum};
use tokio::signal::unix::{SignalKind, signal};
use upwrite_sandbox::salesforce::{OrgOptions, Salesforce};
use upwrite_sandbox::{Options, Sandbox, Vendor};

/// A stateful stand-in for an upstream API, with faults on demand.
///
/// Prints "listening on http://ADDRESS:PORT" when it is ready. The API is at that address, admin calls under
/// /admin; the README of the crate lists them.
#[derive(Debug, Parser)]
#[command(name = "upwrite-sandbox", version)]
struct Flags {
    /// Whose API to imitate.
    #[arg(long, value_enum, default_value_t = VendorName::Salesforce)]
    vendor: VendorName,
    /// Address to listen on; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Load records from this file at start, and save them there at the end.
    #[arg(long)]
    state_file: Option<PathBuf>,
    #[command(flatten)]
    salesforce: SalesforceFlags,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum VendorName {
    Salesforce,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Salesforce")]
struct SalesforceFlags {
    /// Seed of generated data and ids.
    #[arg(long, default_value_t = OrgOptions::default().seed)]
    seed: u64,
    /// Accounts to generate.
    #[arg(long, default_value_t = OrgOptions::default().accounts)]
    accounts: usize,
    /// Contacts to generate.
    #[arg(long, default_value_t = OrgOptions::default().contacts)]
    contacts: usize,
    /// Opportunities to generate.
    #[arg(long, default_value_t = OrgOptions::default().opportunities)]
    opportunities: usize,
    /// Objects that carry the external id field UpwriteKey__c.
    #[arg(long, value_delimiter = ',', default_value = "Account,Contact,Opportunity")]
    key_field_on: Vec<String>,
    /// Consumer key.
    #[arg(long, env = "SANDBOX_CLIENT_ID", default_value_t = OrgOptions::default().client_id)]
    client_id: String,
    /// Consumer secret.
    #[arg(long, env = "SANDBOX_CLIENT_SECRET", hide_env_values = true, default_value_t = OrgOptions::default().client_secret)]
    client_secret: String,
    /// The refresh token that is accepted.
    #[arg(long, env = "SANDBOX_REFRESH_TOKEN", hide_env_values = true, default_value_t = OrgOptions::default().refresh_token)]
    refresh_token: String,
    /// User that writes are made by.
    #[arg(long, default_value_t = OrgOptions::default().username)]
    username: String,
    /// File with the public key (PEM) that JWT assertions are checked against.
    #[arg(long)]
    jwt_public_key: Option<PathBuf>,
    /// An access token unused for this many seconds is expired.
    #[arg(long, default_value_t = OrgOptions::default().token_lifetime.as_secs())]
    token_lifetime_s: u64,
    /// API calls allowed before REQUEST_LIMIT_EXCEEDED.
    #[arg(long, default_value_t = OrgOptions::default().daily_api_limit)]
    daily_api_limit: u64,
    /// Refuse a contact whose e-mail another contact has.
    #[arg(long)]
    duplicate_rule: bool,
}

impl SalesforceFlags {
    fn options(self) -> anyhow::Result<OrgOptions> {
        let key = self
            .jwt_public_key
            .map(|file| std::fs::read_to_string(&file).with_context(|| format!("reading {}", file.display())));
        Ok(OrgOptions {
            seed: self.seed,
            accounts: self.accounts,
            contacts: self.contacts,
            opportunities: self.opportunities,
            key_field_on: self.key_field_on,
            client_id: self.client_id,
            client_secret: self.client_secret,
            refresh_token: self.refresh_token,
            username: self.username,
            jwt_public_key_pem: key.transpose()?,
            token_lifetime: Duration::from_secs(self.token_lifetime_s),
            daily_api_limit: self.daily_api_limit,
            duplicate_rule: self.duplicate_rule,
            ..OrgOptions::default()
        })
    }
}

/// Serves until SIGTERM or Ctrl-C.
async fn serve(options: Options, vendor: impl Vendor) -> anyhow::Result<()> {
    let running = Sandbox::start(options, vendor).await?;
    let mut term = signal(SignalKind::terminate())?;
    let mut out = std::io::stdout();
    writeln!(out, "listening on {}", running.base_url)?;
    out.flush()?;
    tokio::select! {
        _ = term.recv() => {}
        result = tokio::signal::ctrl_c() => result?,
    }
    running.stop().await.map_err(anyhow::Error::msg)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    let flags = Flags::parse();
    let options = Options { listen: flags.listen, state_file: flags.state_file };
    match flags.vendor {
        VendorName::Salesforce => serve(options, Salesforce::new(flags.salesforce.options()?)).await,
    }
}
