use super::*;
use crate::error::PgError;
use crate::planning::record::encode;
use crate::planning::session_settings::json;
use crate::testing::{self, ACCOUNT, CONTACT, INVOICE};

const MADE: &str = "pending:7f1c1f5e-4b0a-4c57-9d2e-0d6f1c1b2a3c";
const OTHER: &str = "pending:00000000-4b0a-4c57-9d2e-0d6f1c1b2a3c";

/// id, last_name, email, account_id, formula, upwrite_key, _version, _synced_at
type Contact<'a> = [Option<&'a str>; 8];

const DOE: Contact<'static> =
    [Some("003A"), Some("Doe"), Some("A@B.c"), None, Some("f"), None, Some("3"), Some("2026-01-01")];

fn with(place: usize, value: Option<&'static str>) -> Contact<'static> {
    let mut row = DOE;
    row[place] = value;
    row
}

fn new_contact(place: usize, value: Option<&'static str>) -> Contact<'static> {
    let mut row = [Some(MADE), Some("Doe"), Some("A@B.c"), None, None, None, Some("0"), None];
    row[place] = value;
    row
}

fn insert(row: Contact<'_>) -> CapturedRow {
    CapturedRow { seq: 0, relation: CONTACT, op: b'i', old: None, new: Some(encode(&row)) }
}

fn update(old: Contact<'_>, new: Contact<'_>) -> CapturedRow {
    CapturedRow { seq: 0, relation: CONTACT, op: b'u', old: Some(encode(&old)), new: Some(encode(&new)) }
}

fn delete(row: Contact<'_>) -> CapturedRow {
    CapturedRow { seq: 0, relation: CONTACT, op: b'd', old: Some(encode(&row)), new: None }
}

fn run(images: &[CapturedRow], extra: &str, mark: Option<&str>) -> Result<Conclusion, PlanError> {
    plan(&DryRun { images, session: &json(extra), mark }, &testing::catalog())
}

fn planned(images: &[CapturedRow]) -> Plan {
    match run(images, "", None) {
        Ok(Conclusion::Mutation(plan)) => *plan,
        other => panic!("{other:?}"),
    }
}

fn refused(images: &[CapturedRow], extra: &str, mark: Option<&str>) -> PgError {
    match run(images, extra, mark) {
        Err(PlanError::Refused(error)) => error,
        other => panic!("{other:?}"),
    }
}

fn row(pairs: &[(&str, Option<&str>)]) -> upwrite_events::Row {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), value.map(str::to_owned))).collect()
}

fn claims(plan: &Plan) -> Vec<&str> {
    plan.claims.iter().map(|claim| claim.key.0.as_str()).collect()
}

#[test]
fn an_insert_names_what_is_not_null_and_claims_its_unique_keys() {
    let plan = planned(&[insert(new_contact(3, None))]);
    assert_eq!(plan.rows.len(), 1);
    assert_eq!((plan.rows[0].op, plan.rows[0].key.as_str(), plan.rows[0].version), (Op::Insert, MADE, None));
    assert_eq!(plan.rows[0].changed, row(&[("last_name", Some("Doe")), ("email", Some("A@B.c"))]));
    assert!(plan.rows[0].old.is_empty());
    assert_eq!(claims(&plan), ["email=a@b.c", &format!("id={MADE}")]);
    assert!(plan.versions.is_empty(), "no row can have a key that was just drawn");
}

#[test]
fn an_update_names_what_changed_and_claims_old_and_new_keys() {
    let plan = planned(&[update(DOE, with(2, Some("x@y.z")))]);
    assert_eq!(plan.rows[0].changed, row(&[("email", Some("x@y.z"))]));
    assert_eq!(plan.rows[0].version, Some(3));
    assert_eq!(plan.rows[0].old["formula"].as_deref(), Some("f"));
    assert!(!plan.rows[0].old.contains_key("_version"));
    assert_eq!(claims(&plan), ["email=a@b.c", "email=x@y.z", "id=003A"]);
    assert_eq!(
        plan.versions[0],
        VersionCheck { table: TableName::new("sf", "contact"), key: "003A".into(), version: Some(3) }
    );
    assert_eq!(planned(&[update(DOE, with(2, None))]).rows[0].changed, row(&[("email", None)]));
}

#[test]
fn a_delete_carries_the_row_as_it_was() {
    let plan = planned(&[delete(DOE)]);
    assert!(plan.rows[0].changed.is_empty());
    assert_eq!(plan.rows[0].old["last_name"].as_deref(), Some("Doe"));
}

#[test]
fn no_change_asks_nothing_of_upstream() {
    assert!(matches!(run(&[], "", None), Ok(Conclusion::Nothing)));
    assert!(matches!(run(&[update(DOE, DOE)], "", None), Ok(Conclusion::Unchanged)));
    let images = [insert(new_contact(3, None)), delete(new_contact(3, None))];
    assert!(matches!(run(&images, "", None), Ok(Conclusion::Unchanged)));
}

#[test]
fn columns_that_only_upstream_fills_are_refused() {
    let cases = [
        (insert(new_contact(0, Some("003X"))), "id"),
        (insert(new_contact(0, Some("pending:mine"))), "id"),
        (insert(new_contact(4, Some("f"))), "formula"),
        (insert(new_contact(5, Some("k"))), "upwrite_key"),
        (insert(new_contact(6, Some("7"))), "_version"),
        (insert(new_contact(7, Some("2026-01-01"))), "_synced_at"),
        (update(DOE, with(0, Some("003X"))), "id"),
        (update(DOE, with(4, Some("g"))), "formula"),
        (update(DOE, with(5, Some("k"))), "upwrite_key"),
        (update(DOE, with(6, Some("4"))), "_version"),
        (update(DOE, with(7, None)), "_synced_at"),
    ];
    for (image, column) in cases {
        let error = refused(&[image], "", None);
        assert_eq!((error.sqlstate.as_str(), error.column.as_deref()), ("428C9", Some(column)));
        assert_eq!((error.schema.as_deref(), error.table.as_deref()), (Some("sf"), Some("contact")));
        assert!(error.message.contains(&format!("\"{column}\"")));
    }
}

#[test]
fn a_reference_by_placeholder_is_refused() {
    assert_eq!(refused(&[insert(new_contact(3, Some(OTHER)))], "", None).sqlstate, "22023");
    assert_eq!(refused(&[update(DOE, with(3, Some(OTHER)))], "", None).sqlstate, "22023");
    assert_eq!(refused(&[insert(new_contact(3, Some(MADE)))], "", None).sqlstate, "0A000");
    assert_eq!(planned(&[insert(new_contact(3, Some("pending: review")))]).rows.len(), 1);
}

/// Inserts invoice -9, in a database where keys may be numbers.
fn invoice(parent: Option<&str>) -> Result<Conclusion, PlanError> {
    let row = [Some("-9"), parent, Some("-9"), None, Some("0"), None];
    let image = CapturedRow { seq: 0, relation: INVOICE, op: b'i', old: None, new: Some(encode(&row)) };
    plan(&DryRun { images: &[image], session: &json(""), mark: None }, &testing::catalog_with_numbers())
}

#[test]
fn a_negative_number_is_the_placeholder_of_a_numbered_record() {
    let Ok(Conclusion::Mutation(plan)) = invoice(None) else { panic!("not planned") };
    assert_eq!(plan.rows[0].changed, row(&[("amount", Some("-9"))]));
    assert_eq!(plan.claims.iter().map(|claim| claim.key.0.as_str()).collect::<Vec<_>>(), ["id=-9"]);
    assert!(plan.versions.is_empty(), "no row can have a key that was just drawn");
    let number = crate::returning::FieldShape { type_oid: 20, binary: false };
    assert!(plan.placeholders(None).check(b"-9", number).is_err());
}

#[test]
fn a_reference_by_a_number_is_refused_as_one_by_text_is() {
    let sqlstate = |parent| match invoice(Some(parent)) {
        Err(PlanError::Refused(error)) => error.sqlstate.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(sqlstate("-9"), "0A000", "of this statement");
    assert_eq!(sqlstate("-8"), "22023", "of another");
    assert!(matches!(invoice(Some("8")), Ok(Conclusion::Mutation(_))));
}

#[test]
fn changes_that_no_upstream_makes_all_or_none_are_refused() {
    let account = CapturedRow {
        seq: 1,
        relation: ACCOUNT,
        op: b'd',
        old: Some(encode(&[Some("001A"), Some("Acme"), Some("1"), None])),
        new: None,
    };
    assert_eq!(refused(&[delete(DOE), account], "", None).sqlstate, "0A000");
    assert_eq!(refused(&[delete(DOE), insert(new_contact(3, None))], "", None).sqlstate, "0A000");
}

#[test]
fn mixed_statements_are_refused() {
    let local = r#","locks":[{"relation":9,"name":"public.audit","mode":"RowExclusiveLock","synced":false,"kind":"r","tuples":[1,0,0]}]"#;
    let error = refused(&[delete(DOE)], local, None);
    assert_eq!(error.sqlstate, "0A000");
    assert!(error.detail.as_deref().unwrap().contains("public.audit"));
    // Written earlier in the block, not by this statement.
    let mark = format!("{{{}}}", &local[1..]);
    assert!(matches!(run(&[delete(DOE)], local, Some(&mark)), Ok(Conclusion::Mutation(_))));
    // Nothing captured: nothing is synced about it.
    assert!(matches!(run(&[], local, None), Ok(Conclusion::Nothing)));
}

#[test]
fn blocks_have_rules_of_their_own() {
    let mark = Some(r#"{"locks":[]}"#);
    let locked = format!(
        r#"{{"locks":[{{"relation":{CONTACT},"name":"sf.contact","mode":"RowShareLock","synced":true,"kind":"r","tuples":[0,0,0]}}]}}"#
    );
    assert!(matches!(run(&[delete(DOE)], "", mark), Ok(Conclusion::Mutation(plan)) if plan.in_block));
    assert_eq!(refused(&[delete(DOE)], "", Some(&locked)).sqlstate, "0A000");
    for setting in
        [r#""upwrite.on_rollback":"refuse""#, r#""upwrite.on_rollback":"compensate""#, r#""upwrite.apply":"commit""#]
    {
        let extra = format!(r#","settings":{{{setting}}}"#);
        assert_eq!(refused(&[delete(DOE)], &extra, mark).sqlstate, "0A000", "{setting}");
        assert!(matches!(run(&[delete(DOE)], &extra, None), Ok(Conclusion::Mutation(_))), "{setting}");
    }
    let serializable = json("").replace("read committed", "serializable");
    let images = [delete(DOE)];
    let run = |mark| plan(&DryRun { images: &images, session: &serializable, mark }, &testing::catalog());
    assert!(matches!(run(mark), Err(PlanError::Refused(error)) if error.sqlstate == "0A000"));
    assert!(matches!(run(None), Ok(Conclusion::Mutation(_))));
}

#[test]
fn settings_that_cannot_be_honoured_are_refused() {
    let extra = r#","settings":{"upwrite.idempotency_key":"k"}"#;
    assert_eq!(refused(&[delete(DOE)], extra, None).sqlstate, "0A000");
    let extra = r#","settings":{"upwrite.ack":"soon"}"#;
    assert_eq!(refused(&[delete(DOE)], extra, None).sqlstate, "22023");
}

#[test]
fn limits_are_told_before_anything_is_sent() {
    let keys: Vec<String> = (0..=MAX_ROWS_PER_MUTATION).map(|n| format!("003{n}")).collect();
    let images: Vec<CapturedRow> = keys
        .iter()
        .map(|key| {
            let mut row = DOE;
            row[0] = Some(key);
            delete(row)
        })
        .collect();
    assert_eq!(refused(&images, "", None).sqlstate, "54000");
    assert_eq!(planned(&images[1..]).rows.len(), MAX_ROWS_PER_MUTATION);

    let large = "x".repeat(upwrite_events::MAX_VALUE_BYTES + 1);
    let mut row = DOE;
    row[1] = Some(&large);
    let error = refused(&[update(DOE, row)], "", None);
    assert_eq!((error.sqlstate.as_str(), error.column.as_deref()), ("54000", Some("last_name")));

    let halves: Vec<String> = (0..4).map(|n| format!("{n}{}", "x".repeat(5 << 20))).collect();
    let images: Vec<CapturedRow> = halves
        .iter()
        .map(|value| {
            let (mut old, mut new) = (DOE, DOE);
            (old[0], new[0], new[1]) = (Some(&value[..1]), Some(&value[..1]), Some(value.as_str()));
            update(old, new)
        })
        .collect();
    assert_eq!(refused(&images, "", None).sqlstate, "54000");
}

#[test]
fn returned_keys_follow_the_images() {
    let mut second = new_contact(3, None);
    second[0] = Some(OTHER);
    let plan = planned(&[insert(second), insert(new_contact(3, None))]);
    let keys = ["003X".to_owned(), "003Y".to_owned()];
    let (table, returned) = plan.returned_keys(Op::Insert, 2, &keys).unwrap();
    assert_eq!((table, returned.as_slice()), (TableName::new("sf", "contact"), &keys[..]));
    assert!(plan.returned_keys(Op::Insert, 3, &keys).is_none());
    assert!(plan.returned_keys(Op::Update, 2, &keys).is_none());

    // The unchanged row has no place in the mutation, and still comes back.
    let mut same = DOE;
    same[0] = Some("003B");
    let plan = planned(&[update(same, same), update(DOE, with(1, Some("Roe")))]);
    let (_, returned) = plan.returned_keys(Op::Update, 2, &["003A".to_owned()]).unwrap();
    assert_eq!(returned, ["003B", "003A"]);
}

#[test]
fn placeholders_learn_their_keys() {
    let plan = planned(&[insert(new_contact(3, None))]);
    let text = crate::returning::FieldShape { type_oid: 25, binary: false };
    assert_eq!(*plan.placeholders(Some(&["003X".to_owned()])).replace(MADE.as_bytes(), text), *b"003X");
    assert_eq!(*plan.placeholders(None).replace(MADE.as_bytes(), text), *MADE.as_bytes());
    assert!(planned(&[delete(DOE)]).placeholders(None).is_empty());
}
