//! Records as they are published: the values of the compacted topics, one a synced table. Not events of the log.

use std::sync::LazyLock;

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::writer::datum::GenericDatumWriter;
use serde::{Deserialize, Serialize};

use crate::codec::{MARKER, head};
use crate::{DecodeError, EncodeError, EventSchema, MAX_EVENT_BYTES, MutationId, Row};

const NAME: &str = "RecordChanged";

/// Every version of the schema of [`RecordChanged`], ascending. The last one is written.
pub const RECORD_SCHEMAS: &[EventSchema] =
    &[EventSchema { event: NAME, version: 1, text: include_str!("../../../schemas/avro/RecordChanged.1.avsc") }];

/// A record as it stands in its synced table. That it was deleted is said by a message without a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordChanged {
    pub source: String,
    pub table: String,
    /// Primary key in text form.
    pub key: String,
    /// The row's `_version`.
    pub version: i64,
    pub vendor_version: Option<String>,
    /// That brought it; `None`: a read of upstream.
    pub mutation: Option<MutationId>,
    /// Unix time in microseconds, in Postgres's clock.
    pub written_at_us: i64,
    /// The whole row.
    pub row: Row,
}

static SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
    apache_avro::util::max_allocation_bytes(MAX_EVENT_BYTES);
    Schema::parse_str(newest().text).expect("compiled in; a test encodes with it")
});

static WRITER: LazyLock<GenericDatumWriter<'static>> = LazyLock::new(|| {
    // UUIDs as text, which every Avro library reads.
    let writer = GenericDatumWriter::builder(&SCHEMA).human_readable(true).build();
    writer.expect("compiled in; a test encodes with it")
});

static READER: LazyLock<GenericDatumReader<'static>> = LazyLock::new(|| {
    let reader = GenericDatumReader::builder(&SCHEMA).human_readable(true).build();
    reader.expect("compiled in; a test decodes with it")
});

static HEAD: LazyLock<[u8; 10]> = LazyLock::new(|| head(&SCHEMA).expect("a fingerprint has 8 bytes"));

/// The schema that [`encode_record`] writes by.
pub fn newest_record_schema() -> &'static EventSchema {
    newest()
}

fn newest() -> &'static EventSchema {
    &RECORD_SCHEMAS[RECORD_SCHEMAS.len() - 1]
}

/// The record in Avro single-object encoding. The same record gives the same bytes.
///
/// # Errors
/// If a value does not fit the schema: then the type and `schemas/avro` have parted.
pub fn encode_record(record: &RecordChanged) -> Result<Vec<u8>, EncodeError> {
    let mut bytes = Vec::with_capacity(512);
    bytes.extend_from_slice(&*HEAD);
    let written = WRITER.write_ser(&mut bytes, record);
    written.map_err(|error| EncodeError { event: NAME, reason: error.to_string() })?;
    Ok(bytes)
}

/// The record that [`encode_record`] made these bytes of.
///
/// # Errors
/// For all other bytes.
pub fn decode_record(bytes: &[u8]) -> Result<RecordChanged, DecodeError> {
    let rest = bytes.strip_prefix(&MARKER).ok_or(DecodeError::NotAvro)?;
    let (fingerprint, mut value) = rest.split_first_chunk::<8>().ok_or(DecodeError::NotAvro)?;
    if !bytes.starts_with(&*HEAD) {
        return Err(DecodeError::UnknownSchema { fingerprint: *fingerprint });
    }
    let malformed = |reason| DecodeError::Malformed { event: NAME, version: newest().version, reason };
    let decoded = READER.read_deser(&mut value).map_err(|error| malformed(error.to_string()))?;
    if value.is_empty() { Ok(decoded) } else { Err(malformed(format!("{} bytes behind it", value.len()))) }
}
