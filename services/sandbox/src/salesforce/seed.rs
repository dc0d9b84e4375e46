//! Invented, realistic data; equal seeds give equal data.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Map, Value, json};
use time::{Date, Duration, OffsetDateTime};

use super::options::OrgOptions;
use crate::salesforce::error::ApiError;
use crate::salesforce::org::{Actor, Org, Txn};
use crate::salesforce::schema::{KEY_FIELD, STAGES};

const COMPANY: [&str; 20] = [
    "Alder",
    "Bergström",
    "Cobalt",
    "Düne",
    "Ember",
    "Fjord",
    "Granit",
    "Harbour",
    "Ibérica",
    "Juniper",
    "Kestrel",
    "Lumen",
    "Młyn",
    "Northwind",
    "Ōkami",
    "Pêche",
    "Quarry",
    "Ridge",
    "Søndre",
    "Tamarind",
];
const TRADE: [&str; 8] =
    ["Logistics", "Foods", "Instruments", "Energy", "Textiles", "Health", "Software", "Construction"];
const FORM: [&str; 6] = ["Ltd", "GmbH", "Inc", "SA", "AB", "KK"];
const FIRST: [&str; 20] = [
    "Ada", "Björn", "Chloé", "Dmitri", "Élodie", "Farid", "Grace", "Hiroshi", "Ines", "João", "Kaito", "Liam", "María",
    "Nadia", "Olu", "Priya", "Quentin", "Rosa", "Søren", "Zoë",
];
const LAST: [&str; 20] = [
    "Andersson",
    "Brown",
    "Çelik",
    "Dubois",
    "Eriksen",
    "Fernández",
    "García",
    "Høst",
    "Ivanova",
    "Jones",
    "Kowalski",
    "López",
    "Müller",
    "Nguyễn",
    "O'Brien",
    "Petrov",
    "Rossi",
    "Sato",
    "Tanaka",
    "van Dijk",
];
const CITY: [(&str, &str); 8] = [
    ("Berlin", "Germany"),
    ("São Paulo", "Brazil"),
    ("Kraków", "Poland"),
    ("Leeds", "United Kingdom"),
    ("Malmö", "Sweden"),
    ("Nantes", "France"),
    ("Osaka", "Japan"),
    ("Portland", "United States"),
];
const TITLE: [&str; 6] =
    ["Head of Purchasing", "CTO", "Buyer", "Operations Manager", "Data Engineer", "Finance Director"];

/// Fills an empty organisation. Generated records carry no effects in the journal.
pub(crate) fn fill(org: &mut Org, options: &OrgOptions, now: OffsetDateTime) -> Result<(), ApiError> {
    let mut random = StdRng::seed_from_u64(options.seed);
    let actor = |random: &mut StdRng| Actor {
        now: now - Duration::minutes(random.random_range(10..500_000)),
        user: org_user(org),
        request: None,
        allow_duplicates: true,
        refuse: None,
    };
    let mut accounts = Vec::with_capacity(options.accounts);
    let mut makers = Vec::new();
    makers.extend((0..options.accounts).map(|n| ("Account", n)));
    makers.extend((0..options.contacts).map(|n| ("Contact", n)));
    makers.extend((0..options.opportunities).map(|n| ("Opportunity", n)));
    let actors: Vec<Actor> = makers.iter().map(|_| actor(&mut random)).collect();
    for ((name, n), actor) in makers.into_iter().zip(actors) {
        let object = org.object_or_type_error(name)?;
        let parent = pick_parent(&mut random, &accounts);
        let mut input = match name {
            "Account" => account(&mut random, n),
            "Contact" => contact(&mut random, n, parent),
            _ => opportunity(&mut random, n, parent, now),
        };
        // Every third record came from elsewhere with a key of its own.
        if n % 3 == 0 && object.field(KEY_FIELD).is_some() {
            input.insert(KEY_FIELD.to_owned(), json!(format!("seed-{}-{n}", name.to_lowercase())));
        }
        let mut txn = Txn::new(actor);
        let id = org.create_row(&mut txn, &object, &input)?;
        org.commit(txn);
        org.journal.clear();
        if name == "Account" {
            accounts.push(id);
        }
    }
    Ok(())
}

fn org_user(org: &Org) -> String {
    org.other_user.clone()
}

fn pick_parent(random: &mut StdRng, accounts: &[String]) -> Value {
    match accounts {
        [] => Value::Null,
        some => json!(one(random, some)),
    }
}

fn one<'l, T>(random: &mut StdRng, list: &'l [T]) -> &'l T {
    &list[random.random_range(0..list.len())]
}

fn members(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn phone(random: &mut StdRng) -> String {
    format!("+49 30 555 {:04}", random.random_range(0..10_000))
}

fn account(random: &mut StdRng, n: usize) -> Map<String, Value> {
    let (city, country) = *one(random, &CITY);
    let company = one(random, &COMPANY);
    let name = format!("{company} {} {}", one(random, &TRADE), one(random, &FORM));
    members(json!({
        "Name": name,
        "AccountNumber": format!("AC-{n:05}"),
        "Type": one(random, &["Prospect", "Customer", "Partner", "Supplier"]),
        "Industry": one(random, &["Agriculture", "Banking", "Energy", "Retail", "Technology"]),
        "Rating": one(random, &["Hot", "Warm", "Cold"]),
        "Phone": phone(random),
        "Website": format!("https://www.{}.example", company.to_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "")),
        "AnnualRevenue": random.random_range(1..500) * 100_000,
        "NumberOfEmployees": random.random_range(3..20_000),
        "BillingStreet": format!("{} Harbour Street", random.random_range(1..300)),
        "BillingCity": city,
        "BillingPostalCode": format!("{:05}", random.random_range(10_000..99_999)),
        "BillingCountry": country,
        "Active__c": random.random_bool(0.8),
        "Discount__c": f64::from(random.random_range(0..100)) / 4.0,
        "Score__c": f64::from(random.random_range(0..1_000_000)) / 10_000.0,
        "Segments__c": one(random, &["Enterprise", "Mid-Market;Public", "Startup"]),
    }))
}

fn contact(random: &mut StdRng, n: usize, parent: Value) -> Map<String, Value> {
    let (city, country) = *one(random, &CITY);
    let (first, last) = (*one(random, &FIRST), *one(random, &LAST));
    members(json!({
        "FirstName": first,
        "LastName": last,
        "Salutation": one(random, &["Mr.", "Ms.", "Dr."]),
        "Email": format!("contact.{n}@mail.example"),
        "Title": one(random, &TITLE),
        "Department": one(random, &["Purchasing", "IT", "Finance", "Operations"]),
        "Phone": phone(random),
        "LeadSource": one(random, &["Web", "Phone Inquiry", "Partner Referral", "Trade Show"]),
        "Birthdate": format!("{}-{:02}-{:02}", random.random_range(1955..2004), random.random_range(1..13), random.random_range(1..29)),
        "MailingCity": city,
        "MailingCountry": country,
        "Level__c": one(random, &["Primary", "Secondary", "Tertiary"]),
        "Languages__c": one(random, &["English", "English;German", "French;Japanese"]),
        "Visits__c": random.random_range(0..50),
        "DoNotCall": random.random_bool(0.1),
        "AccountId": parent,
    }))
}

fn opportunity(random: &mut StdRng, n: usize, parent: Value, now: OffsetDateTime) -> Map<String, Value> {
    let close: Date = (now + Duration::days(random.random_range(-200..200))).date();
    members(json!({
        "Name": format!("{} renewal {n:04}", one(random, &COMPANY)),
        "StageName": one(random, &STAGES).0,
        "Amount": f64::from(random.random_range(10_000..90_000_000)) / 100.0,
        "CloseDate": close.to_string(),
        "Type": one(random, &["New Business", "Existing Business"]),
        "NextStep": one(random, &["Call", "Send offer", "Meet — São Paulo"]),
        "Urgent__c": random.random_bool(0.2),
        "Products__c": one(random, &["Hardware", "Licences;Services", "Training"]),
        "AccountId": parent,
    }))
}
