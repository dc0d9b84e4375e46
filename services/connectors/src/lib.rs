//! How each upstream API is spoken to.
