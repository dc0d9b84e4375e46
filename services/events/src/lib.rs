//! The vocabulary of Upwrite: events, the lifecycle fold, the Avro codec, limits.
