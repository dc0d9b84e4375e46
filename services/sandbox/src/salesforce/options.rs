//! How a Salesforce organisation is made.

use std::time::Duration;

/// Settings of the Salesforce organisation.
#[derive(Clone, Debug)]
pub struct OrgOptions {
    /// Seeds the generated data and the ids; equal seeds give equal organisations.
    pub seed: u64,
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
            seed: 1,
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
