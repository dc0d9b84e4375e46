//! What tests set up in an organisation: rules, row locks, the API budget.

use super::id;
use super::org::{DuplicateRule, ValidationRule};
use super::vendor::Salesforce;

impl Salesforce {
    /// Adds or replaces a validation rule.
    pub fn set_validation_rule(&self, rule: ValidationRule) {
        let rules = &mut self.service().org.validation_rules;
        rules.retain(|r| r.name != rule.name);
        rules.push(rule);
    }

    /// Adds or replaces a duplicate rule.
    pub fn set_duplicate_rule(&self, rule: DuplicateRule) {
        let rules = &mut self.service().org.duplicate_rules;
        rules.retain(|r| r.name != rule.name);
        rules.push(rule);
    }

    /// Takes the row locks of these records (and gives all others back): writes that need them get
    /// `UNABLE_TO_LOCK_ROW`.
    pub fn lock_rows(&self, ids: &[&str]) {
        self.service().org.locked = ids.iter().filter_map(|id| id::canonical(id)).collect();
    }

    /// API calls counted, and allowed before `REQUEST_LIMIT_EXCEEDED`.
    pub fn set_api_budget(&self, used: u64, allowed: u64) {
        let mut service = self.service();
        (service.used, service.allowed) = (used, allowed);
    }
}
