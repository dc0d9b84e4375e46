//! Values of records: with the schema registry's ids where there is one.

use std::sync::Arc;

use upwrite_events::{EVENT_SCHEMAS, Partition, Position, single_object_head};

use super::frame::{self, Decoded, Head, Raw};
use super::registry::{SchemaOrigin, SchemaRegistry};
use crate::log::appender::Encoded;
use crate::{LogError, LogRecord};

#[derive(Clone)]
pub(crate) struct Codec {
    registry: Option<Arc<SchemaRegistry>>,
}

impl Codec {
    pub(crate) fn new(registry: Option<Arc<SchemaRegistry>>) -> Self {
        Self { registry }
    }

    /// The value for a record of `topic`.
    ///
    /// # Errors
    /// `NotAppended` if the schema's id cannot be had.
    pub(crate) async fn value(&self, topic: &str, encoded: &Encoded) -> Result<Vec<u8>, LogError> {
        let Some(registry) = &self.registry else { return Ok(encoded.value.clone()) };
        let event = encoded.event.name();
        let newest = EVENT_SCHEMAS.iter().rfind(|schema| schema.event == event);
        let schema = newest.ok_or_else(|| LogError::NotAppended(format!("{event} has no schema")))?;
        let id = registry.registered(topic, schema).await;
        let id = id.map_err(|error| LogError::NotAppended(format!("schema registry: {error}")))?;
        Ok(frame::with_id(&encoded.value, id))
    }

    /// # Errors
    /// `Newer`: passing over it would lose it. `Unavailable`: the registry, which alone knows its schema, does not
    /// answer.
    pub(crate) async fn record(&self, partition: Partition, raw: Raw) -> Result<LogRecord, LogError> {
        let (position, appended_at_us) = (Position(raw.offset), raw.at_us);
        let event = match self.decoded(raw).await? {
            Decoded::Event(event) => Ok(event),
            Decoded::Undecodable(undecodable) => Err(undecodable),
            Decoded::Newer(what) => {
                return Err(LogError::Newer(format!("position {position} of {partition} is {what}")));
            }
        };
        Ok(LogRecord { partition, position, appended_at_us, event })
    }

    async fn decoded(&self, raw: Raw) -> Result<Decoded, LogError> {
        let Some(id) = frame::id(&raw.value) else { return Ok(raw.decode(None)) };
        if let Some(head) = self.registry.as_ref().and_then(|registry| registry.known(id)) {
            return Ok(raw.decode(Some(&head)));
        }
        // Our own records say themselves what they are: no registry is needed to read them.
        if let Some(head) = raw.named().and_then(|(event, version)| single_object_head(event, version)) {
            return Ok(raw.decode(Some(&head)));
        }
        let Some(registry) = &self.registry else {
            return Ok(raw.undecodable(format!("refers to schema {id} of a schema registry, and none is configured")));
        };
        Ok(match registry.fetch(id).await.map_err(|error| LogError::Unavailable(error.to_string()))? {
            SchemaOrigin::Ours(head) => {
                let head: Head = head;
                raw.decode(Some(&head))
            }
            SchemaOrigin::Newer(name) => {
                Decoded::Newer(format!("of a version of {name} that is not known (schema {id})"))
            }
            SchemaOrigin::Foreign(name) => raw.undecodable(format!("of the foreign schema {name} (id {id})")),
            SchemaOrigin::Unregistered => raw.undecodable(format!("the schema registry has no schema {id}")),
        })
    }
}
