//! One encoded record of each event and version stands in `schemas/avro/golden`. What was ever written must be read
//! for ever. To add the record of a new version: `UPWRITE_WRITE_GOLDEN=1 cargo test -p upwrite-events`; it never
//! changes one that exists.

use std::path::{Path, PathBuf};

use upwrite_events::{EVENT_SCHEMAS, EventSchema, RECORD_SCHEMAS, decode, encode};

use crate::sample::every_event;

fn avro() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas/avro")
}

fn golden(schema: &EventSchema) -> PathBuf {
    avro().join(format!("golden/{}.{}.avro", schema.event, schema.version))
}

fn is_newest(schema: &EventSchema) -> bool {
    EVENT_SCHEMAS.iter().all(|other| other.event != schema.event || other.version <= schema.version)
}

#[test]
fn every_version_has_a_record_that_is_read_and_written_byte_for_byte() {
    let events = every_event();
    for schema in EVENT_SCHEMAS {
        let path = golden(schema);
        let sample = events.iter().find(|event| event.name() == schema.event).expect("a sample of each event");
        if std::env::var_os("UPWRITE_WRITE_GOLDEN").is_some() && is_newest(schema) && !path.exists() {
            std::fs::write(&path, encode(sample).unwrap()).unwrap();
        }
        let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let decoded = decode(&bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        if is_newest(schema) {
            assert_eq!(decoded, *sample, "{}", path.display());
            assert_eq!(encode(&decoded).unwrap(), bytes, "{}", path.display());
        } else {
            // An old version decodes to an event that the newest can hold.
            assert_eq!(decode(&encode(&decoded).unwrap()).unwrap(), decoded, "{}", path.display());
        }
    }
}

#[test]
fn samples_are_of_every_event_and_every_event_has_a_schema() {
    let mut sampled: Vec<_> = every_event().iter().map(|event| event.name()).collect();
    let mut known: Vec<_> = EVENT_SCHEMAS.iter().map(|schema| schema.event).collect();
    known.dedup();
    assert_eq!(sampled, known);
    sampled.sort_unstable();
    sampled.dedup();
    assert_eq!(sampled.len(), known.len());
}

#[test]
fn no_file_is_forgotten() {
    for (folder, ending) in [(avro(), "avsc"), (avro().join("golden"), "avro")] {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                continue;
            }
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let mut all = EVENT_SCHEMAS.iter().chain(RECORD_SCHEMAS);
            let known = all.any(|schema| name == format!("{}.{}.{ending}", schema.event, schema.version));
            assert!(known, "{name} belongs to no version in EVENT_SCHEMAS or RECORD_SCHEMAS");
        }
    }
}
