//! Which vendors there are, and what the executable needs of a source before it can be spoken to. The only place that
//! knows them all.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use upwrite_settings::Section;

use crate::names::is_schema_name;
use crate::salesforce::SalesforceVendor;
use crate::{Budget, Connector};

/// Who makes an upstream.
pub trait Vendor: fmt::Debug + Send + Sync {
    /// As `kind` of a source in the configuration, e.g. `salesforce`.
    fn kind(&self) -> &'static str;

    /// Reads the section of a source called `name`; `kind` has been read. Whatever is wrong is noted in the section;
    /// `None`: too little is right to go on.
    fn read(&self, name: &str, section: &Section<'_, '_>) -> Option<Arc<dyn Source>>;
}

/// One configured account at a vendor.
pub trait Source: fmt::Debug + Send + Sync {
    /// Its name in the configuration; the schema of its tables, and the scope of its rate budget.
    fn name(&self) -> &str;

    /// Of all processes and all tables together; `None`: not limited.
    fn requests_per_second(&self) -> Option<f64>;

    /// How it is spoken to; every request takes its token of `budget`. Asks nobody yet. The error says what is wrong
    /// with the configuration, or that the process has no TLS provider.
    fn connector(&self, budget: Budget) -> Result<Arc<dyn Connector>, String>;
}

/// The vendors that Upwrite knows.
pub const VENDORS: &[&dyn Vendor] = &[&SalesforceVendor];

/// A list of vendors, as an executable is built with it.
pub type Vendors = &'static [&'static dyn Vendor];

/// Reads all of `[sources]`, each by its vendor.
pub fn read_sources(root: &Section<'_, '_>, vendors: &[&dyn Vendor]) -> Vec<Arc<dyn Source>> {
    let sections = root.sections("sources");
    if sections.is_empty() {
        root.wrong("sources", "is missing: name at least one source, [sources.<name>]");
    }
    sections.iter().filter_map(|(name, section)| read_source(name, section, vendors)).collect()
}

fn read_source(name: &str, section: &Section<'_, '_>, vendors: &[&dyn Vendor]) -> Option<Arc<dyn Source>> {
    if !is_schema_name(name) {
        section.wrong_at(
            "",
            "a source's name must be a lower-case Postgres identifier that starts with neither pg_ nor upwrite",
        );
    }
    let kind = section.required("kind");
    let vendor = vendors.iter().find(|vendor| vendor.kind() == kind);
    if vendor.is_none() && !kind.is_empty() {
        let known: Vec<String> = vendors.iter().map(|vendor| format!("{:?}", vendor.kind())).collect();
        section.wrong("kind", format!("{kind:?} is not a kind of source; there is {}", known.join(", ")));
    }
    vendor?.read(name, section)
}

/// The rate budget of each source, by name.
pub fn budgets(sources: &[Arc<dyn Source>]) -> HashMap<String, Budget> {
    sources.iter().map(|source| (source.name().to_owned(), Budget::new(source.requests_per_second()))).collect()
}

/// One connector for each source, by name, with its budget of `budgets`. All mistakes of all sources come together.
pub fn connectors(
    sources: &[Arc<dyn Source>],
    budgets: &HashMap<String, Budget>,
) -> Result<HashMap<String, Arc<dyn Connector>>, Vec<String>> {
    let mut connectors = HashMap::new();
    let mut mistakes = Vec::new();
    for source in sources {
        let budget = budgets.get(source.name()).cloned().unwrap_or_else(|| Budget::new(source.requests_per_second()));
        match source.connector(budget) {
            Ok(connector) => {
                connectors.insert(source.name().to_owned(), connector);
            }
            Err(mistake) => mistakes.push(format!("sources.{}: {mistake}", source.name())),
        }
    }
    if mistakes.is_empty() { Ok(connectors) } else { Err(mistakes) }
}
