//! The vendor's field types, as far as their conversion differs.

use upwrite_events::ColumnSpec;

/// How a value is converted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Id,
    Text,
    Integer,
    Decimal,
    Boolean,
    Date,
    DateTime,
    Time,
    /// `"A;B"` upstream, `text[]` here.
    MultiPicklist,
    /// An object upstream, `jsonb` here; read only.
    Compound,
    /// Anything; its JSON as text; read only.
    Any,
}

impl Kind {
    /// By the `type` of a describe; `None`: not synced (`base64` and types unknown to this version).
    pub(crate) fn of(vendor_type: &str) -> Option<Self> {
        Some(match vendor_type {
            "id" | "reference" => Self::Id,
            "string"
            | "textarea"
            | "phone"
            | "url"
            | "email"
            | "combobox"
            | "encryptedstring"
            | "picklist"
            | "datacategorygroupreference" => Self::Text,
            "multipicklist" => Self::MultiPicklist,
            "boolean" => Self::Boolean,
            "int" | "long" => Self::Integer,
            "double" | "currency" | "percent" => Self::Decimal,
            "date" => Self::Date,
            "datetime" => Self::DateTime,
            "time" => Self::Time,
            "address" | "location" | "complexvalue" | "json" => Self::Compound,
            "anyType" => Self::Any,
            _ => return None,
        })
    }

    /// Of a column of a [`upwrite_events::TableSpec`]; text for one whose type this version does not know.
    pub(crate) fn of_column(column: &ColumnSpec) -> Self {
        Self::of(&column.vendor_type).unwrap_or(Self::Text)
    }

    pub(crate) fn is_read_only(self) -> bool {
        matches!(self, Self::Compound | Self::Any)
    }

    /// Postgres type; `precision` and `scale` as described, 0 where the vendor gives none.
    pub(crate) fn sql_type(self, vendor_type: &str, precision: i64, scale: i64, calculated: bool) -> String {
        match self {
            Self::Id | Self::Text | Self::Any => "text".to_owned(),
            Self::Integer if vendor_type == "long" => "bigint".to_owned(),
            Self::Integer => "integer".to_owned(),
            // What a formula yields need not fit its declared precision.
            Self::Decimal if !calculated && (1..=1_000).contains(&precision) && (0..=precision).contains(&scale) => {
                format!("numeric({precision},{scale})")
            }
            Self::Decimal => "numeric".to_owned(),
            Self::Boolean => "boolean".to_owned(),
            Self::Date => "date".to_owned(),
            Self::DateTime => "timestamptz".to_owned(),
            Self::Time => "time".to_owned(),
            Self::MultiPicklist => "text[]".to_owned(),
            Self::Compound => "jsonb".to_owned(),
        }
    }
}
