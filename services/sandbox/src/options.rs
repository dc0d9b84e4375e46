//! How a sandbox is started.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Settings of a sandbox. `Default` listens on a free loopback port, with a small seeded organisation.
#[derive(Clone, Debug)]
pub struct Options {
    /// Address to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Seeds the generated data and the ids; equal seeds give equal organisations.
    pub seed: u64,
    /// The Salesforce organisation.
    pub salesforce: OrgOptions,
    /// Loaded at start if it exists, written by `stop` and by `POST /admin/save`. Without it, state is in memory.
    pub state_file: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            seed: 1,
            salesforce: OrgOptions::default(),
            state_file: None,
        }
    }
}

/// Settings of the Salesforce organisation.
#[derive(Clone, Debug)]
pub struct OrgOptions {
    /// Generated accounts.
    pub accounts: usize,
    /// Generated contacts, spread over the accounts.
    pub contacts: usize,
    /// Generated opportunities, spread over the accounts.
    pub opportunities: usize,
    /// Objects that carry the external id field `UpwriteKey__c`.
    pub key_field_on: Vec<String>,
    /// Consumer key that all three OAuth flows must present.
    pub client_id: String,
    /// Consumer secret of the refresh-token and client-credentials flows.
    pub client_secret: String,
    /// The refresh token that the refresh flow accepts.
    pub refresh_token: String,
    /// User that the JWT flow may act for, and that writes are made by.
    pub username: String,
    /// Public key (PEM) that JWT assertions are checked against; without it the JWT flow is refused.
    pub jwt_public_key_pem: Option<String>,
    /// An access token unused for this long is expired (the vendor's session timeout slides).
    pub token_lifetime: Duration,
    /// API calls allowed before `REQUEST_LIMIT_EXCEEDED`.
    pub daily_api_limit: u64,
    /// Whether the duplicate rule on `Contact.Email` is active at start.
    pub duplicate_rule: bool,
    /// Leading and trailing blanks of text values are cut off, as the vendor is said to do.
    pub trim_strings: bool,
}

impl Default for OrgOptions {
    fn default() -> Self {
        Self {
            accounts: 20,
            contacts: 60,
            opportunities: 30,
            key_field_on: ["Account", "Contact", "Opportunity"].map(str::to_owned).to_vec(),
            client_id: "sandbox-client".to_owned(),
            client_secret: "sandbox-secret".to_owned(),
            refresh_token: "sandbox-refresh-token".to_owned(),
            username: "integration@example.com".to_owned(),
            jwt_public_key_pem: None,
            token_lifetime: Duration::from_secs(2 * 60 * 60),
            daily_api_limit: 5_000_000,
            duplicate_rule: false,
            trim_strings: true,
        }
    }
}
