//! An event as a Kafka record, and back. No I/O.
//!
//! A value is either an Avro single object (without a schema registry) or in Confluent's wire format: a zero byte, the
//! schema's id (four bytes, big endian), the Avro body. Inside the process both are single objects.

use rdkafka::message::{Header, Headers as _, Message, OwnedHeaders};
use upwrite_events::{DecodeError, EVENT_SCHEMAS, Event, decode};

use crate::Undecodable;

/// Name of the event.
pub const HEADER_EVENT: &str = "upwrite-event";
/// Version of the event's schema.
pub const HEADER_SCHEMA: &str = "upwrite-schema";
/// Id of the mutation that the event belongs to.
pub const HEADER_MUTATION: &str = "upwrite-mutation";
/// W3C trace context.
pub const HEADER_TRACEPARENT: &str = "traceparent";

/// Marker and fingerprint of a single object.
const SINGLE_OBJECT_HEAD: usize = 10;

/// The version of its schema by which an event is written.
pub(crate) fn version(event: &str) -> Option<u16> {
    EVENT_SCHEMAS.iter().filter(|schema| schema.event == event).map(|schema| schema.version).max()
}

/// Marker and fingerprint of the schema with that name and version.
pub(crate) type Head = [u8; SINGLE_OBJECT_HEAD];

/// Puts the registry's id in the place of the fingerprint.
pub(crate) fn with_id(single_object: &[u8], id: u32) -> Vec<u8> {
    let body = single_object.get(SINGLE_OBJECT_HEAD..).unwrap_or_default();
    let mut value = Vec::with_capacity(5 + body.len());
    value.push(0);
    value.extend_from_slice(&id.to_be_bytes());
    value.extend_from_slice(body);
    value
}

/// The registry's id, if the value begins with one.
pub(crate) fn id(value: &[u8]) -> Option<u32> {
    match value.split_first_chunk::<5>() {
        Some(([0, id @ ..], _)) => Some(u32::from_be_bytes(*id)),
        _ => None,
    }
}

/// The other way round than [`with_id`].
fn with_head(value: &[u8], head: &Head) -> Vec<u8> {
    let body = value.get(5..).unwrap_or_default();
    [head.as_slice(), body].concat()
}

/// What a record of `upwrite.mutations` is keyed by: the mutation, or a marker's owner; of `upwrite.observations`: the
/// table.
pub(crate) fn key(event: &Event) -> String {
    event.subject().to_string()
}

pub(crate) fn headers(event: &Event, traceparent: Option<&str>) -> OwnedHeaders {
    let text = |headers: OwnedHeaders, key: &str, value: &str| headers.insert(Header { key, value: Some(value) });
    let mut headers = text(OwnedHeaders::new_with_capacity(4), HEADER_EVENT, event.name());
    headers = text(headers, HEADER_SCHEMA, &version(event.name()).unwrap_or_default().to_string());
    if let Some(mutation) = event.mutation() {
        headers = text(headers, HEADER_MUTATION, &mutation.to_string());
    }
    match event.traceparent().or(traceparent) {
        Some(traceparent) => text(headers, HEADER_TRACEPARENT, traceparent),
        None => headers,
    }
}

/// A record as it was read.
#[derive(Debug, Clone)]
pub(crate) struct Raw {
    pub(crate) offset: i64,
    pub(crate) at_us: i64,
    event: Option<String>,
    version: Option<u16>,
    pub(crate) value: Vec<u8>,
}

/// The brokers' time of a record, Unix microseconds.
pub(crate) fn at_us(message: &impl Message) -> i64 {
    message.timestamp().to_millis().unwrap_or_default().saturating_mul(1000)
}

impl Raw {
    pub(crate) fn of(message: &impl Message) -> Self {
        let header = |name: &str| {
            let headers = message.headers()?;
            let found = headers.iter().find(|header| header.key == name)?;
            std::str::from_utf8(found.value?).ok().map(ToOwned::to_owned)
        };
        Self {
            offset: message.offset(),
            at_us: at_us(message),
            event: header(HEADER_EVENT),
            version: header(HEADER_SCHEMA).and_then(|version| version.parse().ok()),
            value: message.payload().unwrap_or_default().to_vec(),
        }
    }

    /// The schema that its headers name, if this program knows it.
    pub(crate) fn named(&self) -> Option<(&'static str, u16)> {
        let (event, version) = (self.event.as_deref()?, self.version?);
        let known = EVENT_SCHEMAS.iter().find(|schema| schema.event == event && schema.version == version)?;
        Some((known.event, known.version))
    }

    /// What a newer version of this program wrote, by its headers.
    fn newer(&self) -> Option<String> {
        let (event, written) = (self.event.as_deref()?, self.version?);
        match version(event) {
            Some(known) if written > known => {
                Some(format!("{event} by version {written} of its schema; known is {known}"))
            }
            Some(_) => None,
            None => Some(format!("an event {event:?} (version {written} of its schema), which is not known")),
        }
    }

    /// # Parameters
    /// `head`: what stands for the registry's id, if the value begins with one and it is known.
    pub(crate) fn decode(self, head: Option<&Head>) -> Decoded {
        let framed = head.map(|head| with_head(&self.value, head));
        match decode(framed.as_deref().unwrap_or(&self.value)) {
            Ok(event) => Decoded::Event(event),
            Err(error) => match (self.newer(), &error) {
                (Some(newer), DecodeError::UnknownSchema { .. } | DecodeError::NotAvro) => Decoded::Newer(newer),
                _ => Decoded::Undecodable(Undecodable { reason: error.to_string(), value: self.value }),
            },
        }
    }

    pub(crate) fn undecodable(self, reason: String) -> Decoded {
        match self.newer() {
            Some(newer) => Decoded::Newer(newer),
            None => Decoded::Undecodable(Undecodable { reason, value: self.value }),
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "taken apart at once")]
pub(crate) enum Decoded {
    Event(Event),
    Undecodable(Undecodable),
    Newer(String),
}

#[cfg(test)]
mod tests {
    use upwrite_events::{MutationId, MutationVoided, encode};
    use uuid::Uuid;

    use super::*;

    fn event() -> Event {
        Event::MutationVoided(MutationVoided { mutation: MutationId(Uuid::from_u128(7)), reason: "test".to_owned() })
    }

    fn raw(event: Option<&str>, version: Option<u16>, value: &[u8]) -> Raw {
        Raw { offset: 0, at_us: 0, event: event.map(ToOwned::to_owned), version, value: value.to_vec() }
    }

    #[test]
    fn the_registrys_id_and_back() {
        let single = encode(&event()).unwrap();
        let head = Head::try_from(&single[..10]).unwrap();
        let framed = with_id(&single, 0x0102_0304);
        assert_eq!(framed[..5], [0, 1, 2, 3, 4]);
        assert_eq!(id(&framed), Some(0x0102_0304));
        assert_eq!(id(&single), None);
        assert_eq!(id(&framed[..4]), None);
        assert_eq!(raw(None, None, &framed).decode(Some(&head)), Decoded::Event(event()));
        assert_eq!(raw(None, None, &single).decode(None), Decoded::Event(event()));
    }

    #[test]
    fn foreign_and_newer_are_told_apart() {
        let unknown = [&[0xC3, 1][..], &[9; 30]].concat();
        for (event, version) in [(None, None), (Some("MutationVoided"), None), (Some("MutationVoided"), Some(1))] {
            assert!(matches!(raw(event, version, &unknown).decode(None), Decoded::Undecodable(_)), "{event:?}");
        }
        for (event, version) in [("MutationVoided", 2), ("MutationSomething", 1)] {
            assert!(matches!(raw(Some(event), Some(version), &unknown).decode(None), Decoded::Newer(_)), "{event}");
        }
        // Whatever a header says: what can be read is read.
        let single = encode(&event()).unwrap();
        assert_eq!(raw(Some("MutationVoided"), Some(9), &single).decode(None), Decoded::Event(event()));
    }

    #[test]
    fn headers_and_key() {
        let headers = headers(&event(), Some("00-1-2-01"));
        let text: Vec<_> = headers.iter().map(|h| (h.key, std::str::from_utf8(h.value.unwrap()).unwrap())).collect();
        let id = Uuid::from_u128(7).to_string();
        let expected = [("upwrite-event", "MutationVoided"), ("upwrite-schema", "1"), ("upwrite-mutation", &id)];
        assert_eq!(text[..3], expected);
        assert_eq!(text[3], ("traceparent", "00-1-2-01"));
        assert_eq!(key(&event()), id);
    }
}
