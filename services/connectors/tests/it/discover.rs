//! Objects as tables.

use upwrite_connectors::Connector;
use upwrite_connectors::salesforce::ObjectConfig;
use upwrite_connectors::{Capabilities, Idempotency};
use upwrite_events::TableName;
use upwrite_sandbox::salesforce as stand_in;
use upwrite_sandbox::{Options, Sandbox};

use crate::harness::{World, config, salesforce};

#[tokio::test]
async fn objects_become_tables() {
    let world = World::start().await;
    let names: Vec<String> = world.tables.iter().map(|table| table.name.to_string()).collect();
    assert_eq!(names, ["salesforce.account", "salesforce.contact", "salesforce.opportunity"]);
    let contact = world.table("contact");
    assert_eq!((contact.name.clone(), contact.object.as_str()), (TableName::new("salesforce", "contact"), "Contact"));
    assert_eq!(contact.idempotency_column.as_deref(), Some("upwrite_key__c"));
    assert_eq!(contact.version_column.as_deref(), Some("system_modstamp"));
    let types: Vec<(&str, &str)> = [
        "id",
        "last_name",
        "account_id",
        "birthdate",
        "last_met__c",
        "languages__c",
        "has_opted_out_of_email",
        "visits__c",
        "mailing_address",
        "system_modstamp",
    ]
    .iter()
    .map(|name| (*name, contact.column(name).unwrap_or_else(|| panic!("{name}")).sql_type.as_str()))
    .collect();
    assert_eq!(
        types,
        [
            ("id", "text"),
            ("last_name", "text"),
            ("account_id", "text"),
            ("birthdate", "date"),
            ("last_met__c", "timestamptz"),
            ("languages__c", "text[]"),
            ("has_opted_out_of_email", "boolean"),
            ("visits__c", "numeric(18,0)"),
            ("mailing_address", "jsonb"),
            ("system_modstamp", "timestamptz"),
        ]
    );
    let column = |name: &str| contact.column(name).unwrap();
    assert!(column("last_name").required && column("last_name").insertable && column("last_name").updatable);
    assert!(!column("name").insertable && !column("account_rating__c").updatable && !column("serial__c").insertable);
    assert_eq!(column("account_id").references.as_deref(), Some("account"));
    assert_eq!(column("first_name").comment.as_deref(), Some("First Name"));
    assert!(column("upwrite_key__c").unique && column("upwrite_key__c").case_sensitive);
}

#[tokio::test]
async fn capabilities_follow_the_idempotency_field() {
    let world = World::start().await;
    let Capabilities { insert, update, delete, max_batch, atomic_batches, .. } =
        world.connector.capabilities(world.table("contact"));
    assert_eq!((insert, update, delete), (Idempotency::UpsertKey, Idempotency::Natural, Idempotency::Natural));
    assert_eq!((max_batch, atomic_batches), (200, true));
    assert_eq!(world.connector.capabilities(world.table("opportunity")).insert, Idempotency::Probe);
}

#[tokio::test]
async fn all_mistakes_in_objects_are_reported_at_once() {
    let sandbox = Sandbox::start(Options::default(), stand_in::Salesforce::default()).await.unwrap();
    let mut broken = config(&sandbox.base_url);
    broken.objects[0].columns = Some(vec!["Name".to_owned(), "Nonsense__c".to_owned()]);
    broken.objects[1].idempotency_field = Some("LastName".to_owned());
    broken.objects.push(ObjectConfig::new("Nothing__c"));
    let message = salesforce(broken).discover().await.unwrap_err().failure.message;
    for part in ["Nonsense__c", "Contact.LastName", "must be unique", "Nothing__c does not exist"] {
        assert!(message.contains(part), "{part} in {message}");
    }
}
