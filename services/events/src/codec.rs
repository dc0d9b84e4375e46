//! Placeholder encoding, replaced by Avro.
use crate::Event;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    #[error("{event} cannot be encoded: {reason}")]
    Unencodable { event: &'static str, reason: String },
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("does not fit its schema: {0}")]
    Malformed(String),
}

pub fn encode(event: &Event) -> Result<Vec<u8>, EncodeError> {
    serde_json::to_vec(event).map_err(|error| EncodeError::Unencodable { event: event.name(), reason: error.to_string() })
}

pub fn decode(bytes: &[u8]) -> Result<Event, DecodeError> {
    serde_json::from_slice(bytes).map_err(|error| DecodeError::Malformed(error.to_string()))
}
