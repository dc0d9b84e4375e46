//! Salesforce does what every connector must.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use upwrite_connectors::testing::{RefusalCase, SameCase, Subject, Target, Trouble};
use upwrite_connectors::{Budget, Connector};
use upwrite_events::{ErrorClass, Op, Row};
use upwrite_sandbox::salesforce::{self as stand_in, OrgOptions};
use upwrite_sandbox::{EffectOp, Fault, Options, Running, Sandbox};

use crate::harness::{add_fault, config, row_of, salesforce, salesforce_with};

upwrite_connectors::conformance!(start);

struct Organisation {
    sandbox: Running<stand_in::Salesforce>,
    budget: Budget,
    connector: Arc<dyn Connector>,
}

async fn start() -> Organisation {
    let vendor = stand_in::Salesforce::new(OrgOptions::default());
    let sandbox = Sandbox::start(Options::default(), vendor).await.expect("sandbox");
    let budget = Budget::new(None);
    let connector = Arc::new(salesforce_with(config(&sandbox.base_url), budget.clone()));
    Organisation { sandbox, budget, connector }
}

impl Subject for Organisation {
    fn connector(&self) -> Arc<dyn Connector> {
        Arc::clone(&self.connector)
    }

    fn budget(&self) -> Budget {
        self.budget.clone()
    }

    fn connector_at(&self, base_url: &str) -> Arc<dyn Connector> {
        let mut config = config(base_url);
        config.request_timeout = Duration::from_secs(2);
        config.connect_timeout = Duration::from_secs(1);
        Arc::new(salesforce(config))
    }

    fn login(&self, base_url: &str) -> Option<(String, String)> {
        let token = json!({"access_token": "t", "instance_url": base_url, "token_type": "Bearer"});
        Some(("/services/oauth2/token".to_owned(), token.to_string()))
    }

    fn table(&self) -> &str {
        "contact"
    }

    fn new_row(&self, number: u64) -> Row {
        row_of(&[("last_name", &format!("Conformance {number}")), ("visits__c", "12345678901")])
    }

    fn change(&self) -> Row {
        row_of(&[("title", "Head"), ("birthdate", "1990-02-28")])
    }

    fn unknown_key(&self) -> String {
        "003zzzzzzzzzzzzAAA".to_owned()
    }

    fn refusals(&self) -> Vec<RefusalCase> {
        let refusal = |op, changed: &[(&str, &str)], class, sqlstate, column| RefusalCase {
            op,
            key: None,
            changed: row_of(changed),
            class,
            sqlstate,
            column,
        };
        let (insert, update) = (Op::Insert, Op::Update);
        let nobody = "001zzzzzzzzzzzzAAA";
        vec![
            refusal(insert, &[("first_name", "x")], ErrorClass::NotNull, "23502", Some("last_name")),
            refusal(insert, &[("last_name", &"x".repeat(81))], ErrorClass::TooLong, "22001", Some("last_name")),
            refusal(update, &[("email", "nonsense")], ErrorClass::Check, "23514", Some("email")),
            refusal(update, &[("account_id", nobody)], ErrorClass::ForeignKey, "23503", Some("account_id")),
            refusal(update, &[("visits__c", "NaN")], ErrorClass::OutOfRange, "22003", Some("visits__c")),
            refusal(update, &[("account_rating__c", "Hot")], ErrorClass::ReadOnly, "428C9", Some("account_rating__c")),
        ]
    }

    fn same(&self) -> Vec<SameCase> {
        let case = |column, sent, seen, same| SameCase { column, sent, seen, same };
        vec![
            case("last_name", Some(" a "), Some("a"), true),
            case("title", Some(""), None, true),
            case("last_name", Some("a"), Some("b"), false),
            case("languages__c", Some("{B,A}"), Some("{A,B}"), true),
        ]
    }

    fn trouble(&self, target: Target, trouble: Trouble) {
        let op = match target {
            Target::Create => "create",
            Target::Update => "update",
            Target::Read => "retrieve",
            Target::Page => "query",
        };
        let fault = match trouble {
            Trouble::Limited { retry_after_s } => Fault::Limit429 { retry_after_s: u64::from(retry_after_s) },
            Trouble::LostAnswer => Fault::LoseAnswer,
        };
        add_fault(&self.sandbox, op, fault);
    }

    fn requests(&self) -> usize {
        self.sandbox.requests_after(0).len()
    }

    fn created(&self) -> usize {
        self.sandbox.journal_after(0).into_iter().filter(|effect| effect.op == EffectOp::Create).count()
    }
}
