//! `Contact`.

use super::address::address;
use super::field::{Field, Formula, Kind};

pub(super) fn fields() -> Vec<Field> {
    let mut fields = vec![
        Field::reference("AccountId", "Account ID", "Account", "Account"),
        Field::text("LastName", "Last Name", 80).required().part_of("Name"),
        Field::text("FirstName", "First Name", 40).part_of("Name"),
        Field::pick("Salutation", "Salutation", &["Mr.", "Ms.", "Mx.", "Dr.", "Prof."]).len(40).part_of("Name"),
        Field::text("Name", "Full Name", 121).required().named().computed(Formula::PersonName),
    ];
    fields.extend(address!("Mailing", "Mailing"));
    fields.extend([
        Field::new("Phone", "Business Phone", Kind::Phone).len(40),
        Field::new("MobilePhone", "Mobile Phone", Kind::Phone).len(40),
        Field::reference("ReportsToId", "Reports To ID", "Contact", "ReportsTo"),
        Field::new("Email", "Email", Kind::Email).len(80),
        Field::text("Title", "Title", 128),
        Field::text("Department", "Department", 80),
        Field::pick("LeadSource", "Lead Source", &["Web", "Phone Inquiry", "Partner Referral", "Trade Show", "Other"]),
        Field::new("Birthdate", "Birthdate", Kind::Date),
        Field::new("Description", "Contact Description", Kind::TextArea).len(32_000),
        Field::reference("OwnerId", "Owner ID", "User", "Owner").required().defaulted(),
        Field::checkbox("HasOptedOutOfEmail", "Email Opt Out"),
        Field::checkbox("DoNotCall", "Do Not Call"),
        Field::pick("Level__c", "Level", &["Primary", "Secondary", "Tertiary"]).restricted(),
        Field::number("Visits__c", "Visits", Kind::Double, 18, 0),
        {
            let mut field = Field::pick("Languages__c", "Languages", &["English", "French", "German", "Japanese"]);
            field.kind = Kind::MultiPicklist;
            field.len(4099)
        },
        Field::new("Last_Met__c", "Last Met", Kind::DateTime),
        Field::text("Serial__c", "Serial", 30).auto_number("C-"),
        Field::text("Account_Rating__c", "Account Rating", 1300).computed(Formula::AccountRating),
    ]);
    fields
}
