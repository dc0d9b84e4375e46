//! Salesforce as one of the vendors.

use std::sync::Arc;

use upwrite_settings::Section;

use super::{Config, Salesforce};
use crate::{Budget, Connector, Source, Vendor};

/// Sources of kind `salesforce`.
#[derive(Debug)]
pub struct SalesforceVendor;

impl Vendor for SalesforceVendor {
    fn kind(&self) -> &'static str {
        "salesforce"
    }

    fn read(&self, name: &str, section: &Section<'_, '_>) -> Option<Arc<dyn Source>> {
        Config::read(name, section).map(|config| Arc::new(config) as Arc<dyn Source>)
    }
}

impl Source for Config {
    fn name(&self) -> &str {
        &self.source
    }

    fn requests_per_second(&self) -> Option<f64> {
        self.requests_per_second
    }

    fn connector(&self, budget: Budget) -> Result<Arc<dyn Connector>, String> {
        let salesforce = Salesforce::new(self.clone(), budget).map_err(|mistakes| mistakes.to_string())?;
        Ok(Arc::new(salesforce))
    }
}
