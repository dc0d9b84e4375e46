//! Who may use the synced tables.

use std::sync::Arc;

use upwrite_connectors::{Section, Source};

/// What a role may do with synced tables.
#[derive(Debug, Clone)]
pub struct Grant {
    pub role: String,
    /// `source.table`.
    pub tables: Vec<String>,
    pub privileges: Vec<String>,
}

const PRIVILEGES: [&str; 5] = ["select", "insert", "update", "delete", "references"];

pub(super) fn grants(root: &Section<'_, '_>, sources: &[Arc<dyn Source>]) -> Vec<Grant> {
    root.list("grants").iter().map(|section| grant(section, sources)).collect()
}

fn grant(section: &Section<'_, '_>, sources: &[Arc<dyn Source>]) -> Grant {
    let role = section.required("role");
    if role.starts_with("upwrite_") {
        section.wrong("role", "Upwrite's own roles get nothing more");
    }
    let tables = section.strings("tables").unwrap_or_else(|| {
        section.wrong("tables", "is missing");
        vec![]
    });
    for table in &tables {
        let source = table.split_once('.').map(|(source, _)| source);
        if !sources.iter().any(|known| Some(known.name()) == source) {
            section.wrong("tables", format!("{table:?} is not source.table of a configured source"));
        }
    }
    let privileges = section.strings("privileges").unwrap_or_else(|| vec!["select".to_owned()]);
    for privilege in privileges.iter().filter(|privilege| !PRIVILEGES.contains(&privilege.as_str())) {
        section.wrong("privileges", format!("{privilege:?} is none of {}", PRIVILEGES.join(", ")));
    }
    Grant { role, tables, privileges }
}
