//! `Account`.

use super::address::address;
use super::field::{Field, Formula, Kind};

pub(super) fn fields() -> Vec<Field> {
    let mut fields = vec![
        Field::text("Name", "Account Name", 255).required().named(),
        Field::pick("Type", "Account Type", &["Prospect", "Customer", "Partner", "Supplier", "Other"]),
        Field::reference("ParentId", "Parent Account ID", "Account", "Parent"),
    ];
    fields.extend(address!("Billing", "Billing"));
    fields.extend([
        Field::new("Phone", "Account Phone", Kind::Phone).len(40),
        Field::text("AccountNumber", "Account Number", 40),
        Field::new("Website", "Website", Kind::Url).len(255),
        Field::pick(
            "Industry",
            "Industry",
            &["Agriculture", "Banking", "Construction", "Education", "Energy", "Healthcare", "Retail", "Technology"],
        ),
        Field::number("AnnualRevenue", "Annual Revenue", Kind::Currency, 18, 0),
        Field::number("NumberOfEmployees", "Employees", Kind::Int, 8, 0),
        Field::new("Description", "Account Description", Kind::TextArea).len(32_000),
        Field::pick("Rating", "Account Rating", &["Hot", "Warm", "Cold"]),
        Field::reference("OwnerId", "Owner ID", "User", "Owner").required().defaulted(),
        Field::checkbox("Active__c", "Active"),
        Field::number("Discount__c", "Discount", Kind::Percent, 5, 2),
        Field::number("Score__c", "Score", Kind::Double, 12, 4),
        {
            let mut field = Field::pick("Segments__c", "Segments", &["Enterprise", "Mid-Market", "Public", "Startup"]);
            field.kind = Kind::MultiPicklist;
            field.len(4099)
        },
        Field::text("Serial__c", "Serial", 30).auto_number("A-"),
        Field::text("Summary__c", "Summary", 1300).computed(Formula::AccountSummary),
    ]);
    fields
}
