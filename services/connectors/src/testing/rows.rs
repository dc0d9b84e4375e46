//! Records, as they are written and read.

use std::collections::BTreeSet;

use upwrite_events::{ErrorClass, Op, Outcome, Row};

use super::subject::{Bench, Subject, applied, call_row, failed, next, placeholder};
use crate::{LookupResult, RetryRule};

/// What `discover` gives is whole and the same each time, and the capabilities can be kept.
pub async fn objects_become_tables(subject: &dyn Subject) {
    let bench = Bench::new(subject).await;
    let tables = bench.connector.discover().await.unwrap();
    assert_eq!(tables, bench.connector.discover().await.unwrap());
    for table in &tables {
        assert_eq!(table.name.source, bench.connector.source());
        let names: BTreeSet<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
        assert_eq!(names.len(), table.columns.len(), "each column once");
        let special = [Some(&table.key), table.version_column.as_ref(), table.idempotency_column.as_ref()];
        assert!(special.into_iter().flatten().all(|name| names.contains(name.as_str())), "{table:?}");
        let capabilities = bench.connector.capabilities(table);
        assert!(capabilities.max_batch > 0 && capabilities.keys_per_read > 0 && capabilities.max_concurrency > 0);
        assert!(capabilities.late_effect >= capabilities.request_timeout, "a lost answer's effect may come that late");
        assert!(!capabilities.atomic_batches || capabilities.max_batch > 1);
    }
}

/// Create, read, page, update, delete; each of the last two again, as after a lost answer.
pub async fn records_live_and_die(subject: &dyn Subject) {
    let bench = Bench::new(subject).await;
    let row = bench.new_row();
    let report = bench.call(Op::Insert, std::slice::from_ref(&row)).await;
    let (key, image) = applied(&report.rows[0]);
    if let Some(image) = image {
        bench.shows(image, &row.changed);
    }
    let [LookupResult::Present { key: read_key, image, .. }] = &bench.read(&[key.to_owned()]).await[..] else {
        panic!("what was created is not there")
    };
    assert_eq!(read_key, key);
    bench.shows(image, &row.changed);
    assert_eq!(image.len(), bench.table.columns.len(), "every column is spoken of");
    assert!(paged(&bench).await.contains(key));

    let change = call_row(next(), key.to_owned(), subject.change());
    for _ in 0..2 {
        let report = bench.call(Op::Update, std::slice::from_ref(&change)).await;
        assert_eq!(applied(&report.rows[0]).0, key);
    }
    let [LookupResult::Present { image, .. }] = &bench.read(&[key.to_owned()]).await[..] else { panic!() };
    bench.shows(image, &change.changed);

    let gone = call_row(next(), key.to_owned(), Row::new());
    for _ in 0..2 {
        let report = bench.call(Op::Delete, std::slice::from_ref(&gone)).await;
        assert_eq!(applied(&report.rows[0]), (key, None), "what is gone is deleted");
    }
    assert_eq!(bench.read(&[key.to_owned()]).await, [LookupResult::Absent]);
    assert!(!paged(&bench).await.contains(key));
    let report = bench.call(Op::Update, std::slice::from_ref(&change)).await;
    let failure = &failed(&report.rows[0]).failure;
    assert_eq!((failure.class, failure.sqlstate.as_str()), (ErrorClass::NotFound, "40001"));
}

/// Keys of all pages, each read by a cursor alone.
async fn paged(bench: &Bench<'_>) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    let mut cursor: Option<String> = None;
    loop {
        let page = bench.connector.page(&bench.table, cursor.as_deref()).await.unwrap();
        for row in page.rows {
            assert!(keys.insert(row.key.clone()), "{} comes twice", row.key);
            assert!(row.image.is_some());
        }
        match page.next {
            Some(next) => assert_ne!(cursor.replace(next.clone()), Some(next), "a cursor that stands still"),
            None => return keys,
        }
    }
}

/// As many results as rows, in their order; a row that is refused fails alone; a call that is too large does nothing.
pub async fn one_result_a_row_in_order(subject: &dyn Subject) {
    let bench = Bench::new(subject).await;
    let most = bench.connector.capabilities(&bench.table).max_batch;
    let rows: Vec<_> = (0..most.min(5)).map(|_| bench.new_row()).collect();
    let report = bench.call(Op::Insert, &rows).await;
    let keys: Vec<String> = report.rows.iter().map(|row| applied(row).0.to_owned()).collect();
    for (row, found) in rows.iter().zip(bench.read(&keys).await) {
        let LookupResult::Present { image, .. } = found else { panic!("{found:?}") };
        bench.shows(&image, &row.changed);
    }
    let created = subject.created();
    let bad = subject.refusals().into_iter().find(|case| case.op == Op::Insert);
    if let Some(case) = bad.filter(|_| most > 2) {
        let mut rows = [bench.new_row(), bench.new_row(), bench.new_row()];
        rows[1].changed = case.changed;
        let report = bench.call(Op::Insert, &rows).await;
        applied(&report.rows[0]);
        applied(&report.rows[2]);
        assert_eq!(failed(&report.rows[1]).failure.class, case.class);
        assert_eq!(subject.created(), created + 2);
    }
    let (created, requests) = (subject.created(), subject.requests());
    let rows: Vec<_> = (0..=most).map(|_| bench.new_row()).collect();
    for row in &bench.call(Op::Insert, &rows).await.rows {
        assert_eq!(failed(row).failure.outcome, Outcome::NotApplied);
    }
    assert_eq!((subject.created(), subject.requests()), (created, requests));
}

/// Class, SQLSTATE and outcome of refusals; and a placeholder, which is never sent.
pub async fn refusals_read_as_postgres_would_say_them(subject: &dyn Subject) {
    let bench = Bench::new(subject).await;
    for case in subject.refusals() {
        let key = match (case.key.clone(), case.op) {
            (Some(key), _) => key,
            (None, Op::Insert) => placeholder(&bench.table, next()),
            (None, _) => bench.create().await,
        };
        let created = subject.created();
        let row = call_row(next(), key, case.changed.clone());
        let report = bench.call(case.op, &[row]).await;
        let error = failed(&report.rows[0]);
        let failure = &error.failure;
        assert_eq!((failure.class, failure.sqlstate.as_str()), (case.class, case.sqlstate), "{case:?}: {failure:?}");
        assert_eq!(failure.column.as_deref(), case.column, "{case:?}");
        assert_eq!(failure.outcome, Outcome::NotApplied, "{case:?}");
        assert_eq!(error.retry, RetryRule::Never, "{case:?}");
        assert_eq!(failure.table.as_deref(), Some(subject.table()));
        let detail = failure.detail.as_deref().unwrap_or_default();
        assert!(!failure.message.is_empty() && detail.ends_with(" outcome=not_applied]"), "{detail}");
        assert_eq!(subject.created(), created, "{case:?}");
    }
    let requests = subject.requests();
    for op in [Op::Update, Op::Delete] {
        let row = call_row(next(), placeholder(&bench.table, next()), subject.change());
        let report = bench.call(op, &[row]).await;
        assert_eq!(failed(&report.rows[0]).failure.sqlstate, "22023");
    }
    assert_eq!(subject.requests(), requests, "a placeholder stands for no record");
}

/// More keys than one request takes; some of them no keys at all.
pub async fn keys_are_read_in_order_and_unknown_ones_are_absent(subject: &dyn Subject) {
    let bench = Bench::new(subject).await;
    let (first, last) = (bench.create().await, bench.create().await);
    let limit = bench.connector.capabilities(&bench.table).keys_per_read;
    let mut keys = vec![first.clone(), subject.unknown_key(), placeholder(&bench.table, next())];
    keys.extend(["".to_owned(), "'; DROP".to_owned(), "é".repeat(200)]);
    keys.resize(limit, subject.unknown_key());
    keys.push(last.clone());
    let requests = subject.requests();
    let results = bench.read(&keys).await;
    assert!(subject.requests() - requests <= 2, "{limit} keys cost one request");
    let present: Vec<&str> = results
        .iter()
        .filter_map(|result| match result {
            LookupResult::Present { key, .. } => Some(key.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(present, [first.as_str(), last.as_str()]);
    assert!(matches!(results.first(), Some(LookupResult::Present { .. })));
    assert!(matches!(results.last(), Some(LookupResult::Present { .. })));
    let requests = subject.requests();
    assert_eq!(bench.read(&[placeholder(&bench.table, next())]).await, [LookupResult::Absent]);
    assert_eq!(subject.requests(), requests, "nothing is asked of what cannot be a key");
}

/// [`crate::Connector::same`] knows what upstream makes of a value.
pub async fn what_upstream_changes_is_the_same(subject: &dyn Subject) {
    let bench = Bench::new(subject).await;
    for case in subject.same() {
        let same = bench.connector.same(bench.column(case.column), case.sent, case.seen);
        assert_eq!(same, case.same, "{case:?}");
    }
}
