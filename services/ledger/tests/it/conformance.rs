//! Ledger does what every connector must.

use std::sync::Arc;
use std::time::Duration;

use upwrite_connectors::testing::{RefusalCase, SameCase, Subject, Target, Trouble};
use upwrite_connectors::{Budget, Connector, Secret, install_crypto_provider};
use upwrite_events::{ErrorClass, Op, Row};
use upwrite_ledger::connector::{Config, Ledger};
use upwrite_ledger::stand_in;
use upwrite_sandbox::{EffectOp, Fault, FaultMatch, FaultRule, Options, Running, Sandbox};

upwrite_connectors::conformance!(start);

struct Account {
    sandbox: Running<stand_in::Ledger>,
    budget: Budget,
    connector: Arc<dyn Connector>,
}

async fn start() -> Account {
    let sandbox = Sandbox::start(Options::default(), stand_in::Ledger::default()).await.unwrap();
    let budget = Budget::new(None);
    let connector = Arc::new(ledger(&sandbox.base_url, budget.clone(), Duration::from_secs(10)));
    Account { sandbox, budget, connector }
}

fn ledger(url: &str, budget: Budget, request_timeout: Duration) -> Ledger {
    install_crypto_provider();
    let config = Config::new("ledger", url, Secret::new("ledger-token"), vec!["entry".to_owned()]);
    Ledger::new(Config { request_timeout, ..config }, budget).unwrap()
}

fn row_of(values: &[(&str, &str)]) -> Row {
    values.iter().map(|(name, value)| ((*name).to_owned(), Some((*value).to_owned()))).collect()
}

impl Subject for Account {
    fn connector(&self) -> Arc<dyn Connector> {
        Arc::clone(&self.connector)
    }

    fn budget(&self) -> Budget {
        self.budget.clone()
    }

    fn connector_at(&self, base_url: &str) -> Arc<dyn Connector> {
        Arc::new(ledger(base_url, Budget::new(None), Duration::from_secs(2)))
    }

    fn login(&self, _: &str) -> Option<(String, String)> {
        None
    }

    fn table(&self) -> &str {
        "entry"
    }

    fn new_row(&self, number: u64) -> Row {
        row_of(&[("amount", "12345678901234567890.25"), ("account_name", &format!("Conformance {number}"))])
    }

    fn change(&self) -> Row {
        row_of(&[("memo", "paid — \"in full\""), ("posted", "t")])
    }

    fn unknown_key(&self) -> String {
        "987654321".to_owned()
    }

    fn refusals(&self) -> Vec<RefusalCase> {
        let refusal = |op, changed: &[(&str, &str)], class, sqlstate, column| RefusalCase {
            op,
            key: None,
            changed: row_of(changed),
            class,
            sqlstate,
            column: Some(column),
        };
        let (insert, update) = (Op::Insert, Op::Update);
        vec![
            refusal(insert, &[("memo", "x")], ErrorClass::NotNull, "23502", "amount"),
            refusal(update, &[("memo", &"x".repeat(81))], ErrorClass::TooLong, "22001", "memo"),
            refusal(update, &[("amount", "NaN")], ErrorClass::OutOfRange, "22003", "amount"),
            refusal(update, &[("revision", "7")], ErrorClass::ReadOnly, "428C9", "revision"),
        ]
    }

    fn same(&self) -> Vec<SameCase> {
        let case = |column, sent, seen, same| SameCase { column, sent, seen, same };
        vec![
            case("amount", Some("12.50"), Some("12.5"), true),
            case("amount", Some("12.50"), Some("12.51"), false),
            case("memo", Some(""), None, false),
            case("created_at", Some("2026-01-31 10:20:30.123456+00"), Some("2026-01-31 10:20:30.123+00"), true),
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
        let matching = FaultMatch { op: Some(op.to_owned()), ..FaultMatch::default() };
        self.sandbox.add_fault(FaultRule::once(matching, fault)).unwrap();
    }

    fn requests(&self) -> usize {
        self.sandbox.requests_after(0).len()
    }

    fn created(&self) -> usize {
        self.sandbox.journal_after(0).into_iter().filter(|effect| effect.op == EffectOp::Create).count()
    }
}
