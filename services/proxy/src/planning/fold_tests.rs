use proptest::prelude::*;

use super::*;
use crate::testing::{self, CONTACT};

/// The fields of a contact with this key and e-mail.
fn image(key: &str, email: &str) -> Vec<u8> {
    record::encode(&[Some(key), Some("Doe"), Some(email), None, None, None, Some("3"), None])
}

fn images(steps: &[(u8, &str, Option<&str>, Option<&str>)]) -> Vec<CapturedRow> {
    let row = |key: &str, email: Option<&str>| email.map(|email| image(key, email));
    (0i64..)
        .zip(steps)
        .map(|(seq, (op, key, old, new))| CapturedRow {
            seq,
            relation: CONTACT,
            op: *op,
            old: row(key, *old),
            new: row(key, *new),
        })
        .collect()
}

fn emails(folded: &Fold) -> Vec<(String, Option<String>, Option<String>)> {
    let email = |fields: &Option<Fields>| fields.as_ref().and_then(|fields| fields[2].clone());
    folded.records.iter().map(|record| (record.key.clone(), email(&record.old), email(&record.new))).collect()
}

#[test]
fn images_of_one_record_become_one_change() {
    let some = |text: &str| Some(text.to_owned());
    type Step = (u8, &'static str, Option<&'static str>, Option<&'static str>);
    type Before = Option<String>;
    type After = Option<String>;
    let cases: [(&[Step], Before, After); 6] = [
        (&[(b'i', "k", None, Some("a")), (b'u', "k", Some("a"), Some("b"))], None, some("b")),
        (&[(b'i', "k", None, Some("a")), (b'd', "k", Some("a"), None)], None, None),
        (&[(b'u', "k", Some("a"), Some("b")), (b'u', "k", Some("b"), Some("c"))], some("a"), some("c")),
        (&[(b'u', "k", Some("a"), Some("b")), (b'd', "k", Some("b"), None)], some("a"), None),
        (&[(b'd', "k", Some("a"), None), (b'i', "k", None, Some("b"))], some("a"), some("b")),
        (&[(b'u', "k", Some("a"), Some("b")), (b'u', "k", Some("b"), Some("a"))], some("a"), some("a")),
    ];
    for (steps, old, new) in cases {
        let folded = fold(&images(steps), &testing::catalog()).unwrap();
        assert_eq!(emails(&folded), [("k".to_owned(), old, new)]);
        assert_eq!(folded.touches.len(), steps.len());
    }
}

#[test]
fn a_change_of_the_key_is_refused() {
    let change =
        CapturedRow { seq: 0, relation: CONTACT, op: b'u', old: Some(image("a", "")), new: Some(image("b", "")) };
    match fold(&[change], &testing::catalog()).unwrap_err() {
        PlanError::Refused(error) => {
            assert_eq!((error.sqlstate.as_str(), error.column.as_deref()), ("428C9", Some("id")));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_unknown_relation_or_shape_asks_for_a_newer_snapshot() {
    let unknown = CapturedRow { seq: 0, relation: 7, op: b'd', old: Some(image("a", "")), new: None };
    let shorter = CapturedRow { seq: 0, relation: CONTACT, op: b'd', old: Some(b"(a,b)".to_vec()), new: None };
    for image in [unknown, shorter] {
        assert!(matches!(fold(&[image], &testing::catalog()), Err(PlanError::StaleCatalog(_))));
    }
}

#[test]
fn images_that_do_not_follow_from_one_another_are_an_error() {
    for steps in [
        &[(b'i', "k", None, Some("a")), (b'i', "k", None, Some("b"))][..],
        &[(b'd', "k", Some("a"), None), (b'u', "k", Some("a"), Some("b"))],
        &[(b'i', "k", Some("a"), Some("b"))],
        &[(b'x', "k", Some("a"), Some("b"))],
    ] {
        assert!(matches!(fold(&images(steps), &testing::catalog()), Err(PlanError::Refused(_))));
    }
}

proptest! {
    /// Whatever a statement does to a few records, the fold tells the state before and the state after.
    #[test]
    fn the_fold_is_the_difference(present in any::<[bool; 3]>(), steps in prop::collection::vec((0usize..3, 0u8..9), 0..20)) {
        let keys = ["a", "b", "c"];
        let before: Vec<Option<String>> = present.iter().map(|present| present.then(|| "old".to_owned())).collect();
        let mut now = before.clone();
        let mut made = Vec::new();
        for (place, value) in steps {
            let next = (value != 0).then(|| format!("v{value}"));
            let op = match (&now[place], &next) {
                (None, None) => continue,
                (None, Some(_)) => b'i',
                (Some(_), Some(_)) => b'u',
                (Some(_), None) => b'd',
            };
            made.push((op, keys[place], now[place].clone(), next.clone()));
            now[place] = next;
        }
        let steps: Vec<_> = made.iter().map(|(op, key, old, new)| (*op, *key, old.as_deref(), new.as_deref())).collect();
        let folded = fold(&images(&steps), &testing::catalog()).unwrap();
        for (key, old, new) in emails(&folded) {
            let place = keys.iter().position(|known| *known == key).unwrap();
            prop_assert_eq!(&old, &before[place]);
            prop_assert_eq!(&new, &now[place]);
        }
        let touched: std::collections::HashSet<&str> = steps.iter().map(|step| step.1).collect();
        prop_assert_eq!(folded.records.len(), touched.len());
    }
}
