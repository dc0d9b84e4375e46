//! What is generated from proto/upwrite/control/v1, and how it becomes JSON.

/// Version 1 of the API. Every message is also JSON (`serde::Serialize`): field names as in the `.proto`, timestamps in
/// RFC 3339, what is absent as null.
#[allow(
    missing_docs,
    clippy::all,
    clippy::too_many_lines,
    unreachable_pub,
    reason = "generated; the .proto documents it"
)]
pub mod v1 {
    tonic::include_proto!("upwrite.control.v1");
}

/// For gRPC reflection.
pub(crate) const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/control.bin"));

/// How fields that are not JSON by themselves are written; named by build.rs.
pub(crate) mod json {
    use prost_types::Timestamp;
    use serde::{Serialize as _, Serializer};

    pub(crate) fn timestamp<S: Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
        at.as_ref().map(ToString::to_string).serialize(serializer)
    }

    /// JSON inside of JSON; what is no JSON is shown as text.
    pub(crate) fn raw<S: Serializer>(text: &str, serializer: S) -> Result<S::Ok, S::Error> {
        match serde_json::from_str::<serde_json::Value>(text) {
            Ok(value) => value.serialize(serializer),
            Err(_) => text.serialize(serializer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::v1;

    #[test]
    fn json_has_the_names_of_the_proto_and_times_that_people_read() {
        let process = v1::Process {
            pid: 7,
            seen_at: Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 500_000_000 }),
            detail_json: r#"{"proxy":{"held":2}}"#.into(),
            ..Default::default()
        };
        let json = serde_json::to_value(&process).unwrap();
        assert_eq!(json["pid"], 7);
        assert_eq!(json["seen_at"], "2023-11-14T22:13:20.500Z");
        assert_eq!(json["started_at"], serde_json::Value::Null);
        assert_eq!(json["detail"]["proxy"]["held"], 2);
    }

    /// A new timestamp needs its line in build.rs; without one this crate would not compile, with a wrong one it would
    /// go unnoticed.
    #[test]
    fn every_message_is_json() {
        let mutation =
            serde_json::to_value(v1::Mutation { finished_at: Some(Default::default()), ..Default::default() });
        assert_eq!(mutation.unwrap()["finished_at"], "1970-01-01T00:00:00Z");
    }
}
