//! The answer of `GET sobjects/{Object}/describe`, as far as it is used. Member names: the vendor's.

use serde::{Deserialize, Deserializer};

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ObjectDescribe {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) label: Option<String>,
    #[serde(default = "yes")]
    pub(crate) queryable: bool,
    #[serde(default = "yes")]
    pub(crate) createable: bool,
    #[serde(default = "yes")]
    pub(crate) updateable: bool,
    #[serde(default)]
    pub(crate) fields: Vec<FieldDescribe>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct FieldDescribe {
    pub(crate) name: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) label: Option<String>,
    #[serde(rename = "type")]
    pub(crate) field_type: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) length: i64,
    #[serde(deserialize_with = "or_default")]
    pub(crate) precision: i64,
    #[serde(deserialize_with = "or_default")]
    pub(crate) scale: i64,
    #[serde(deserialize_with = "or_default")]
    pub(crate) nillable: bool,
    #[serde(deserialize_with = "or_default")]
    pub(crate) createable: bool,
    #[serde(deserialize_with = "or_default")]
    pub(crate) updateable: bool,
    #[serde(deserialize_with = "or_default")]
    pub(crate) defaulted_on_create: bool,
    #[serde(deserialize_with = "or_default")]
    pub(crate) calculated: bool,
    #[serde(deserialize_with = "or_default")]
    pub(crate) auto_number: bool,
    #[serde(deserialize_with = "or_default")]
    pub(crate) unique: bool,
    #[serde(deserialize_with = "or_default")]
    pub(crate) case_sensitive: bool,
    #[serde(deserialize_with = "or_default")]
    pub(crate) deprecated_and_hidden: bool,
    #[serde(deserialize_with = "or_default")]
    pub(crate) inline_help_text: Option<String>,
    #[serde(deserialize_with = "or_default")]
    pub(crate) reference_to: Vec<String>,
}

fn yes() -> bool {
    true
}

/// `null` where a flag or number is meant stands for its default.
fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
