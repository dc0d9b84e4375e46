#![doc = include_str!("../README.md")]

mod document;
mod mistake;
mod secret;
mod section;
mod spelling;

pub use document::Document;
pub use mistake::Mistake;
pub use secret::Secret;
pub use section::Section;
