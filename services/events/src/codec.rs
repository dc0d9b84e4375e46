//! Events as bytes: Avro, in single-object encoding (two marker bytes, the schema's fingerprint, the value).
//!
//! One schema per event and version stands in `schemas/avro`, compiled in. A version that was ever written is read for
//! ever: fields that it lacks must be `Option` or have a serde default, fields that are gone are skipped.

use std::collections::HashMap;
use std::sync::LazyLock;

use apache_avro::Schema;
use apache_avro::rabin::Rabin;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::writer::datum::GenericDatumWriter;

use crate::{Event, MAX_EVENT_BYTES};

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{event} cannot be encoded: {reason}")]
pub struct EncodeError {
    pub event: &'static str,
    pub reason: String,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("not an Avro single object")]
    NotAvro,
    /// Foreign, or of a version that this program does not know yet.
    #[error("no known event has the schema fingerprint {}", hex(fingerprint))]
    UnknownSchema { fingerprint: [u8; 8] },
    #[error("does not fit schema {event} version {version}: {reason}")]
    Malformed { event: &'static str, version: u16, reason: String },
}

/// The schema of one version of one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventSchema {
    pub event: &'static str,
    /// From 1.
    pub version: u16,
    /// The text of the `.avsc` file.
    pub text: &'static str,
}

macro_rules! events {
    ($($event:ident: $($version:literal)+;)+) => {
        /// Every version of every event, each event's in ascending order. The last one is written, all are read.
        pub const EVENT_SCHEMAS: &[EventSchema] = &[$($(EventSchema {
            event: stringify!($event),
            version: $version,
            text: include_str!(concat!("../../../schemas/avro/", stringify!($event), ".", $version, ".avsc")),
        }),+),+];

        fn write(event: &Event, writer: &GenericDatumWriter<'_>, to: &mut Vec<u8>) -> apache_avro::AvroResult<usize> {
            match event {
                $(Event::$event(event) => writer.write_ser(to, event),)+
            }
        }

        fn read(event: &'static str, reader: &GenericDatumReader<'_>, from: &mut &[u8]) -> apache_avro::AvroResult<Event> {
            match event {
                $(stringify!($event) => reader.read_deser(from).map(Event::$event),)+
                other => unreachable!("{other} is not in the list that this match was made from"),
            }
        }
    };
}

events! {
    MutationRequested: 1;
    MutationVoided: 1;
    RevocationRequested: 1;
    MutationRevoked: 1;
    PartitionTaken: 1;
    PartitionReleased: 1;
    MutationAttempted: 1;
    MutationApplied: 1;
    MutationRejected: 1;
    MutationDeferred: 1;
    MutationInDoubt: 1;
    MutationSettled: 1;
    MutationDead: 1;
    MutationRedriven: 1;
    MutationOutlivedRollback: 1;
    RecordsObserved: 1;
}

/// What an Avro single object begins with.
pub(crate) const MARKER: [u8; 2] = [0xC3, 0x01];

struct Reading {
    event: &'static str,
    version: u16,
    reader: GenericDatumReader<'static>,
}

struct Writing {
    fingerprint: [u8; 8],
    writer: GenericDatumWriter<'static>,
}

struct Codec {
    readers: HashMap<[u8; 8], Reading>,
    /// By event, the newest version.
    writers: HashMap<&'static str, Writing>,
}

static SCHEMAS: LazyLock<Vec<Schema>> = LazyLock::new(|| {
    let parse = |schema: &EventSchema| Schema::parse_str(schema.text);
    EVENT_SCHEMAS.iter().map(|schema| parse(schema).expect("compiled in; a test encodes with each")).collect()
});

static CODEC: LazyLock<Codec> = LazyLock::new(|| {
    // A length in foreign bytes must not make us allocate more than an event can have.
    apache_avro::util::max_allocation_bytes(MAX_EVENT_BYTES);
    let mut codec = Codec { readers: HashMap::new(), writers: HashMap::new() };
    for (known, schema) in EVENT_SCHEMAS.iter().zip(SCHEMAS.iter()) {
        let fingerprint = <[u8; 8]>::try_from(&schema.fingerprint::<Rabin>().bytes[..]).expect("Rabin has 8 bytes");
        // UUIDs as text, which every Avro library reads.
        let reader = GenericDatumReader::builder(schema).human_readable(true).build();
        let reader = reader.expect("compiled in; a test decodes with each");
        codec.readers.insert(fingerprint, Reading { event: known.event, version: known.version, reader });
        let writer = GenericDatumWriter::builder(schema).human_readable(true).build();
        let writer = writer.expect("compiled in; a test encodes with each");
        codec.writers.insert(known.event, Writing { fingerprint, writer });
    }
    codec
});

/// The event in Avro single-object encoding, by the newest version of its schema. The same event gives the same bytes.
///
/// # Errors
/// If a value does not fit the schema: then the types in this crate and `schemas/avro` have parted.
pub fn encode(event: &Event) -> Result<Vec<u8>, EncodeError> {
    let name = event.name();
    let refused = |reason: String| EncodeError { event: name, reason };
    let writing = CODEC.writers.get(name).ok_or_else(|| refused("it has no schema".to_owned()))?;
    let mut bytes = Vec::with_capacity(512);
    bytes.extend_from_slice(&MARKER);
    bytes.extend_from_slice(&writing.fingerprint);
    write(event, &writing.writer, &mut bytes).map_err(|error| refused(error.to_string()))?;
    Ok(bytes)
}

/// The event that [`encode`], of this version or an earlier one, made these bytes of.
///
/// # Errors
/// For all other bytes; they are for dead letters.
pub fn decode(bytes: &[u8]) -> Result<Event, DecodeError> {
    let rest = bytes.strip_prefix(&MARKER).ok_or(DecodeError::NotAvro)?;
    let (fingerprint, mut value) = rest.split_first_chunk::<8>().ok_or(DecodeError::NotAvro)?;
    let Some(Reading { event, version, reader }) = CODEC.readers.get(fingerprint) else {
        return Err(DecodeError::UnknownSchema { fingerprint: *fingerprint });
    };
    let malformed = |reason| DecodeError::Malformed { event, version: *version, reason };
    let decoded = read(event, reader, &mut value).map_err(|error| malformed(error.to_string()))?;
    if !value.is_empty() {
        return Err(malformed(format!("{} bytes behind it", value.len())));
    }
    Ok(decoded)
}

/// What [`encode`] puts before a value written by that version of the event's schema.
pub fn single_object_head(event: &str, version: u16) -> Option<[u8; 10]> {
    let known = EVENT_SCHEMAS.iter().position(|schema| schema.event == event && schema.version == version)?;
    head(SCHEMAS.get(known)?)
}

/// The full name of the schema in an Avro schema's JSON, and what a single object begins with that was written by it.
/// `None`: it is not a schema, or one without a name.
pub fn schema_identity(text: &str) -> Option<(String, [u8; 10])> {
    let schema = Schema::parse_str(text).ok()?;
    Some((schema.name()?.to_string(), head(&schema)?))
}

pub(crate) fn head(schema: &Schema) -> Option<[u8; 10]> {
    [MARKER.as_slice(), &schema.fingerprint::<Rabin>().bytes].concat().try_into().ok()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
