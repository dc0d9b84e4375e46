//! Settings of a source of kind `ledger`.

use std::sync::Arc;
use std::time::Duration;

use upwrite_connectors::http::check_base_url;
use upwrite_connectors::{Budget, Connector, Secret, Section, Source, Vendor};

use super::Ledger;

/// One account, and what of it is synced.
#[derive(Debug, Clone)]
pub struct Config {
    /// Name of the source: the schema of its tables.
    pub name: String,
    pub url: String,
    pub token: Secret,
    pub collections: Vec<String>,
    /// Over all collections; none: not limited.
    pub requests_per_second: Option<f64>,
    pub request_timeout: Duration,
    /// How long after it was sent a request whose answer was lost may still take effect.
    pub late_effect: Duration,
}

impl Config {
    pub fn new(name: impl Into<String>, url: impl Into<String>, token: Secret, collections: Vec<String>) -> Self {
        Self {
            name: name.into(),
            url: url.into(),
            token,
            collections,
            requests_per_second: None,
            request_timeout: Duration::from_secs(10),
            late_effect: Duration::from_secs(30),
        }
    }

    fn read(name: &str, section: &Section<'_, '_>) -> Self {
        let collections = section.strings("collections").unwrap_or_default();
        let url = section.required("url");
        let mut config = Self::new(name, url, section.required_secret("token"), collections);
        config.requests_per_second = section.rate("requests_per_second");
        if let Some(timeout) = section.duration("request_timeout") {
            config.request_timeout = timeout;
        }
        config.late_effect = section.duration("late_effect").unwrap_or(config.late_effect.max(config.request_timeout));
        for (place, problem) in config.mistakes() {
            section.wrong_at(place, problem);
        }
        config
    }

    /// What is wrong, each with its key.
    fn mistakes(&self) -> Vec<(&'static str, String)> {
        let mut mistakes = Vec::new();
        if let Err(problem) = check_base_url(&self.url) {
            mistakes.push(("url", problem));
        }
        if self.collections.is_empty() {
            mistakes.push(("collections", "must name at least one collection".to_owned()));
        }
        let is_name = |name: &String| !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        if let Some(other) = self.collections.iter().find(|name| !is_name(name)) {
            mistakes.push(("collections", format!("{other:?} is not the name of a collection")));
        }
        if self.request_timeout.is_zero() {
            mistakes.push(("request_timeout", "must be above 0".to_owned()));
        }
        if self.late_effect < self.request_timeout {
            mistakes.push(("late_effect", "must not be shorter than request_timeout".to_owned()));
        }
        mistakes
    }
}

/// Sources of kind `ledger`.
#[derive(Debug)]
pub struct LedgerVendor;

impl Vendor for LedgerVendor {
    fn kind(&self) -> &'static str {
        "ledger"
    }

    fn read(&self, name: &str, section: &Section<'_, '_>) -> Option<Arc<dyn Source>> {
        Some(Arc::new(Config::read(name, section)))
    }
}

impl Source for Config {
    fn name(&self) -> &str {
        &self.name
    }

    fn requests_per_second(&self) -> Option<f64> {
        self.requests_per_second
    }

    fn connector(&self, budget: Budget) -> Result<Arc<dyn Connector>, String> {
        match self.mistakes().first() {
            Some((place, problem)) => Err(format!("{place}: {problem}")),
            None => Ok(Arc::new(Ledger::new(self.clone(), budget)?)),
        }
    }
}

#[cfg(test)]
mod tests {
    use upwrite_connectors::{VENDORS, read_sources};
    use upwrite_settings::Document;

    use super::*;

    /// The sources of a file, as an executable reads them that knows Ledger beside the others.
    fn read(text: &str) -> Result<Vec<Arc<dyn Source>>, Vec<String>> {
        let vendors: Vec<&dyn Vendor> = VENDORS.iter().copied().chain([&LedgerVendor as &dyn Vendor]).collect();
        let sources = Document::new(text).read(|root| read_sources(root, &vendors));
        sources.map_err(|mistakes| mistakes.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_second_vendor_is_a_line_in_a_list() {
        let books = "[sources.books]\nkind = \"ledger\"\nurl = \"https://ledger.invalid\"\n\
                     token = { env = \"PATH\" }\ncollections = [\"entry\"]\nrequests_per_second = 5\n";
        let sources = read(books).unwrap();
        assert_eq!((sources[0].name(), sources[0].requests_per_second()), ("books", Some(5.0)));
        let wrong = "[sources.Books]\nkind = \"ledger\"\nurl = \"http://ledger.invalid\"\ntoken = { env = \"PATH\" }\n\
                     collections = []\nlate_effect = \"1s\"\n[sources.crm]\nkind = \"siebel\"\n";
        assert_eq!(
            read(wrong).unwrap_err(),
            [
                "line 1, column 1: sources.Books: a source's name must be a lower-case Postgres identifier that starts \
                 with neither pg_ nor upwrite",
                "line 3, column 7: sources.Books.url: must begin with https:// (http:// only for loopback addresses)",
                "line 5, column 15: sources.Books.collections: must name at least one collection",
                "line 6, column 15: sources.Books.late_effect: must not be shorter than request_timeout",
                "line 8, column 8: sources.crm.kind: \"siebel\" is not a kind of source; there is \"salesforce\", \"ledger\"",
            ]
        );
    }
}
