use proptest::collection::vec;
use proptest::prelude::*;
use upwrite_events::{DecodeError, EVENT_SCHEMAS, decode, encode, schema_identity, single_object_head};

use crate::any::event;
use crate::sample::every_event;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_encoded_is_decoded(event in event()) {
        let bytes = encode(&event).unwrap();
        prop_assert_eq!(&encode(&event).unwrap(), &bytes);
        prop_assert_eq!(decode(&bytes).unwrap(), event);
    }

    /// Any bytes give an event or an error, and never a panic.
    #[test]
    fn foreign_bytes(bytes in vec(any::<u8>(), 0..200)) {
        let _ = decode(&bytes);
    }

    /// Bytes behind a fingerprint that is known.
    #[test]
    fn damaged_records(which in 0..16_usize, at in any::<prop::sample::Index>(), with in vec(any::<u8>(), 0..12)) {
        let mut bytes = encode(&every_event()[which]).unwrap();
        let at = 10 + at.index(bytes.len() - 10);
        bytes.splice(at..at, with);
        let _ = decode(&bytes);
        bytes.truncate(at);
        let cut_short = matches!(decode(&bytes), Err(DecodeError::Malformed { .. }));
        prop_assert!(cut_short);
    }
}

#[test]
fn errors_are_distinct() {
    assert_eq!(decode(b""), Err(DecodeError::NotAvro));
    assert_eq!(decode(b"{}"), Err(DecodeError::NotAvro));
    assert_eq!(decode(&[0xC3, 0x01, 1, 2, 3]), Err(DecodeError::NotAvro));
    let unknown = [0xC3, 0x01, 1, 2, 3, 4, 5, 6, 7, 8, 0];
    assert_eq!(decode(&unknown), Err(DecodeError::UnknownSchema { fingerprint: [1, 2, 3, 4, 5, 6, 7, 8] }));
    let mut longer = encode(&every_event()[0]).unwrap();
    longer.push(0);
    assert!(matches!(decode(&longer), Err(DecodeError::Malformed { event: "MutationRequested", version: 1, .. })));
}

#[test]
fn a_schema_is_known_by_what_its_records_begin_with() {
    for (schema, event) in EVENT_SCHEMAS.iter().zip(every_event()) {
        assert_eq!(schema.version, 1, "the sample is written by the newest version");
        let head = single_object_head(schema.event, schema.version).unwrap();
        assert!(encode(&event).unwrap().starts_with(&head));
        assert_eq!(schema_identity(schema.text), Some((format!("upwrite.v1.{}", schema.event), head)));
    }
    assert_eq!(single_object_head("MutationVoided", 99), None);
    assert_eq!(schema_identity("{"), None);
    assert_eq!(schema_identity("\"string\""), None);
}
