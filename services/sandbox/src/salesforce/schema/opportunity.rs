//! `Opportunity`.

use super::field::{Field, Formula, Kind};

/// The stages, each with the probability (percent) that it sets unless the caller gives one.
pub(crate) const STAGES: [(&str, f64); 6] = [
    ("Prospecting", 10.0),
    ("Qualification", 20.0),
    ("Proposal/Price Quote", 60.0),
    ("Negotiation/Review", 80.0),
    ("Closed Won", 100.0),
    ("Closed Lost", 0.0),
];

const STAGE_NAMES: [&str; 6] = [STAGES[0].0, STAGES[1].0, STAGES[2].0, STAGES[3].0, STAGES[4].0, STAGES[5].0];

pub(super) fn fields() -> Vec<Field> {
    vec![
        Field::reference("AccountId", "Account ID", "Account", "Account"),
        Field::text("Name", "Name", 120).required().named(),
        Field::new("Description", "Description", Kind::TextArea).len(32_000),
        Field::pick("StageName", "Stage", &STAGE_NAMES).required().restricted(),
        Field::number("Amount", "Amount", Kind::Currency, 18, 2),
        Field::number("Probability", "Probability (%)", Kind::Percent, 3, 0).defaulted(),
        Field::new("CloseDate", "Close Date", Kind::Date).required(),
        Field::pick("Type", "Opportunity Type", &["New Business", "Existing Business"]),
        Field::text("NextStep", "Next Step", 255),
        Field::pick("LeadSource", "Lead Source", &["Web", "Phone Inquiry", "Partner Referral", "Trade Show", "Other"]),
        Field::new("IsClosed", "Closed", Kind::Boolean).required().defaulted().computed(Formula::IsClosed),
        Field::new("IsWon", "Won", Kind::Boolean).required().defaulted().computed(Formula::IsWon),
        Field::reference("OwnerId", "Owner ID", "User", "Owner").required().defaulted(),
        Field::number("Discount__c", "Discount", Kind::Percent, 5, 2),
        Field::checkbox("Urgent__c", "Urgent"),
        {
            let mut field = Field::pick("Products__c", "Products", &["Hardware", "Licences", "Services", "Training"]);
            field.kind = Kind::MultiPicklist;
            field.len(4099)
        },
        Field::text("Serial__c", "Serial", 30).auto_number("O-"),
        Field::number("Weighted_Amount__c", "Weighted Amount", Kind::Currency, 18, 2).computed(Formula::WeightedAmount),
    ]
}
