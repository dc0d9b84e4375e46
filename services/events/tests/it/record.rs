//! Values of the compacted topics.

use std::path::Path;

use upwrite_events::*;
use uuid::Uuid;

fn sample() -> RecordChanged {
    RecordChanged {
        source: "salesforce".to_owned(),
        table: "contact".to_owned(),
        key: "003A".to_owned(),
        version: 7,
        vendor_version: Some("2026-01-31T10:20:30.000Z".to_owned()),
        mutation: Some(MutationId(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001))),
        written_at_us: 1_767_225_600_000_000,
        row: [("id".to_owned(), Some("003A".to_owned())), ("email".to_owned(), None)].into(),
    }
}

/// To add the record of a new version: `UPWRITE_WRITE_GOLDEN=1`, as for events.
#[test]
fn the_golden_record_is_read_and_written_byte_for_byte() {
    let schema = newest_record_schema();
    let name = format!("../../schemas/avro/golden/{}.{}.avro", schema.event, schema.version);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    if std::env::var_os("UPWRITE_WRITE_GOLDEN").is_some() && !path.exists() {
        std::fs::write(&path, encode_record(&sample()).unwrap()).unwrap();
    }
    let bytes = std::fs::read(&path).unwrap();
    assert_eq!(decode_record(&bytes).unwrap(), sample());
    assert_eq!(encode_record(&sample()).unwrap(), bytes);
}

#[test]
fn optional_fields_may_be_absent_and_other_bytes_are_refused() {
    let bare = RecordChanged { vendor_version: None, mutation: None, row: Row::new(), ..sample() };
    let bytes = encode_record(&bare).unwrap();
    assert_eq!(decode_record(&bytes).unwrap(), bare);
    assert_eq!(decode_record(b"{}"), Err(DecodeError::NotAvro));
    let cut_short = decode_record(&bytes[..bytes.len() - 1]);
    assert!(matches!(cut_short, Err(DecodeError::Malformed { event: "RecordChanged", version: 1, .. })));
    // No event of the log.
    assert!(matches!(decode(&bytes), Err(DecodeError::UnknownSchema { .. })));
}
