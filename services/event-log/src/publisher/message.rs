//! A row of the outbox as a Kafka record. No I/O.

use rdkafka::message::{Header, OwnedHeaders};
use upwrite_events::{MutationId, RecordChanged, Row, TableName, encode_record, newest_record_schema};

use super::failure::Failure;
use crate::log::kafka::frame::{self, HEADER_EVENT, HEADER_MUTATION, HEADER_SCHEMA};

/// The row's `_version`.
pub const HEADER_VERSION: &str = "upwrite-version";
/// Which row of which outbox it was: opaque, and the same if it ever comes twice.
pub const HEADER_OUTBOX: &str = "upwrite-outbox";

/// An outbox: ids in it are never used twice. After a restore it is another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin(String);

impl Origin {
    pub(super) fn new(deployment: uuid::Uuid, timeline: i32) -> Self {
        Self(format!("{deployment}/{timeline}/"))
    }

    fn mark(&self, id: i64) -> String {
        format!("{}{id}", self.0)
    }

    /// The id, if the row was of this outbox.
    pub(super) fn id(&self, mark: &str) -> Option<i64> {
        mark.strip_prefix(&self.0)?.parse().ok()
    }
}

/// A row that waits to be published.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(super) struct OutboxRow {
    pub(super) id: i64,
    pub(super) key: String,
    pub(super) version: i64,
    pub(super) vendor_version: Option<String>,
    /// [`Row`] as JSON; `None`: deleted.
    pub(super) image: Option<String>,
    pub(super) mutation: Option<uuid::Uuid>,
    pub(super) written_at_us: i64,
    /// How long it has waited, seconds.
    pub(super) age: f64,
}

#[derive(Debug)]
pub(super) struct Message {
    pub(super) key: String,
    pub(super) headers: OwnedHeaders,
    /// `None`: a tombstone.
    pub(super) value: Option<Vec<u8>>,
}

/// # Parameters
/// `schema`: the registry's id of the newest schema, if there is a registry.
pub(super) fn message(
    table: &TableName,
    origin: &Origin,
    schema: Option<u32>,
    waiting: OutboxRow,
) -> Result<Message, Failure> {
    let headers = headers(origin, &waiting);
    let OutboxRow { id, key, version, vendor_version, image, mutation, written_at_us, .. } = waiting;
    let Some(image) = image else { return Ok(Message { key, headers, value: None }) };
    // Neither is ours to mend, and to pass over it would lose it. No row values in the reason.
    let strange = |error: serde_json::Error| format!("row {id} of the outbox at {}:{}", error.line(), error.column());
    let row: Row = serde_json::from_str(&image).map_err(|error| Failure::Away(strange(error)))?;
    let (source, name) = (table.source.clone(), table.table.clone());
    let mutation = mutation.map(MutationId);
    let record =
        RecordChanged { source, table: name, key: key.clone(), version, vendor_version, mutation, written_at_us, row };
    let value = encode_record(&record).map_err(Failure::away)?;
    let value = schema.map(|schema| frame::with_id(&value, schema)).unwrap_or(value);
    Ok(Message { key, headers, value: Some(value) })
}

fn headers(origin: &Origin, waiting: &OutboxRow) -> OwnedHeaders {
    let schema = newest_record_schema();
    let (number, version) = (schema.version.to_string(), waiting.version.to_string());
    let (mark, mutation) = (origin.mark(waiting.id), waiting.mutation.map(|id| id.to_string()));
    let all = [
        (HEADER_EVENT, Some(schema.event)),
        (HEADER_SCHEMA, Some(number.as_str())),
        (HEADER_VERSION, Some(version.as_str())),
        (HEADER_MUTATION, mutation.as_deref()),
        (HEADER_OUTBOX, Some(mark.as_str())),
    ];
    let there = all.into_iter().filter(|(_, value)| value.is_some());
    there.fold(OwnedHeaders::new_with_capacity(5), |headers, (key, value)| headers.insert(Header { key, value }))
}

#[cfg(test)]
mod tests {
    use rdkafka::message::Headers as _;
    use upwrite_events::decode_record;
    use uuid::Uuid;

    use super::*;

    fn waiting(image: Option<&str>) -> OutboxRow {
        OutboxRow {
            id: 42,
            key: "003A".to_owned(),
            version: 7,
            vendor_version: None,
            image: image.map(ToOwned::to_owned),
            mutation: Some(Uuid::from_u128(7)),
            written_at_us: 5,
            age: 0.0,
        }
    }

    #[test]
    fn a_row_and_a_deletion() {
        let (table, origin) = (TableName::new("crm", "contact"), Origin::new(Uuid::from_u128(1), 2));
        let made = message(&table, &origin, None, waiting(Some(r#"{"id": "003A", "n": null}"#))).unwrap();
        let record = decode_record(made.value.as_ref().unwrap()).unwrap();
        assert_eq!((record.key.as_str(), record.version, record.written_at_us), ("003A", 7, 5));
        assert_eq!(record.row, Row::from([("id".into(), Some("003A".into())), ("n".into(), None)]));
        let text: Vec<_> =
            made.headers.iter().map(|h| (h.key, String::from_utf8(h.value.unwrap().to_vec()).unwrap())).collect();
        let mark = format!("{}/2/42", Uuid::from_u128(1));
        let expected = [
            ("upwrite-event", "RecordChanged".to_owned()),
            ("upwrite-schema", "1".to_owned()),
            ("upwrite-version", "7".to_owned()),
            ("upwrite-mutation", Uuid::from_u128(7).to_string()),
            ("upwrite-outbox", mark.clone()),
        ];
        assert_eq!(text, expected);
        assert_eq!(origin.id(&mark), Some(42));
        assert_eq!(Origin::new(Uuid::from_u128(1), 3).id(&mark), None, "after a restore");

        let tombstone = message(&table, &origin, Some(9), waiting(None)).unwrap();
        assert!(tombstone.value.is_none());
        assert_eq!(tombstone.headers.count(), 5);
        let framed = message(&table, &origin, Some(9), waiting(Some("{}"))).unwrap().value.unwrap();
        assert_eq!(framed[..5], [0, 0, 0, 0, 9]);
    }

    #[test]
    fn what_is_not_a_row_is_told_without_its_values() {
        let (table, origin) = (TableName::new("crm", "contact"), Origin::new(Uuid::from_u128(1), 2));
        let failed = message(&table, &origin, None, waiting(Some(r#"{"secret": 1}"#))).unwrap_err();
        assert!(matches!(&failed, Failure::Away(reason) if reason.contains("row 42") && !reason.contains("secret")));
    }
}
