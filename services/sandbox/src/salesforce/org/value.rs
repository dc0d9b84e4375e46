//! One value on its way in: from what JSON holds to what the field stores, or the vendor's refusal.

use serde_json::{Number, Value, json};

use crate::salesforce::error::ApiError;
use crate::salesforce::schema::{Field, Kind};
use crate::salesforce::{id, stamp};

/// Checks and converts a value for a field. Null and the empty string are null.
pub(super) fn accept(field: &Field, value: &Value, trim: bool) -> Result<Value, ApiError> {
    if value.is_null() || value.as_str() == Some("") {
        return Ok(if field.kind == Kind::Boolean { Value::Bool(false) } else { Value::Null });
    }
    match field.kind {
        Kind::Boolean => boolean(field, value),
        Kind::Int | Kind::Double | Kind::Currency | Kind::Percent => number(field, value),
        Kind::Date => string(field, value, "date").and_then(|s| date(field, &s)),
        Kind::DateTime => string(field, value, "dateTime").and_then(|s| datetime(field, &s)),
        Kind::Id | Kind::Reference => string(field, value, "ID").and_then(|s| reference(field, &s)),
        Kind::Address => Err(mismatch(field, "address", value)),
        Kind::Text | Kind::TextArea | Kind::Email | Kind::Phone | Kind::Url | Kind::Picklist | Kind::MultiPicklist => {
            text(field, value, trim)
        }
    }
}

fn text(field: &Field, value: &Value, trim: bool) -> Result<Value, ApiError> {
    let mut text = string(field, value, "string")?;
    if trim {
        text = text.trim_matches(|c: char| c.is_whitespace()).to_owned();
        if text.is_empty() {
            return Ok(Value::Null);
        }
    }
    // The vendor counts UTF-16 code units.
    if text.encode_utf16().count() > field.length {
        let shown: String = text.chars().take(field.length).collect();
        let message = format!("{}: data value too large: {shown} (max length={})", field.label, field.length);
        return Err(ApiError::data("STRING_TOO_LONG", message).on(field.name));
    }
    if field.kind == Kind::Email && !looks_like_email(&text) {
        let message = format!("{}: invalid email address: {text}", field.label);
        return Err(ApiError::data("INVALID_EMAIL_ADDRESS", message).on(field.name));
    }
    if field.restricted && !field.picklist.contains(&text.as_str()) {
        let message = format!("{}: bad value for restricted picklist field: {text}", field.label);
        return Err(ApiError::data("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", message).on(field.name));
    }
    Ok(Value::String(text))
}

fn looks_like_email(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else {
        return false;
    };
    let plain = |part: &str| !part.is_empty() && !part.contains(|c: char| c.is_whitespace() || c == '@' || c == ',');
    plain(local) && plain(domain) && domain.contains('.') && !domain.starts_with('.') && !domain.ends_with('.')
}

fn string(field: &Field, value: &Value, wanted: &str) -> Result<String, ApiError> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) if wanted == "string" => Ok(number.to_string()),
        Value::Bool(flag) if wanted == "string" => Ok(flag.to_string()),
        other => Err(mismatch(field, wanted, other)),
    }
}

fn boolean(field: &Field, value: &Value) -> Result<Value, ApiError> {
    match value {
        Value::Bool(_) => Ok(value.clone()),
        Value::String(text) if text.eq_ignore_ascii_case("true") => Ok(Value::Bool(true)),
        Value::String(text) if text.eq_ignore_ascii_case("false") => Ok(Value::Bool(false)),
        other => Err(mismatch(field, "boolean", other)),
    }
}

fn number(field: &Field, value: &Value) -> Result<Value, ApiError> {
    let kind = match field.kind {
        Kind::Int => "int",
        Kind::Currency => "currency",
        Kind::Percent => "percent",
        _ => "double",
    };
    let given = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse::<f64>().ok().filter(|n| n.is_finite()),
        _ => None,
    };
    let given = given.ok_or_else(|| mismatch(field, kind, value))?;
    if field.kind == Kind::Int && given.fract() != 0.0 {
        return Err(mismatch(field, kind, value));
    }
    let whole_digits = i32::try_from(field.precision - field.scale).unwrap_or(18);
    if given.abs() >= 10f64.powi(whole_digits) || (field.kind == Kind::Int && given.abs() > f64::from(i32::MAX)) {
        let message = format!("{}: value outside of valid range on numeric field: {given}", field.label);
        return Err(ApiError::data("NUMBER_OUTSIDE_VALID_RANGE", message).on(field.name));
    }
    if field.kind == Kind::Int {
        return Ok(json!(given as i64)); // in range: checked above
    }
    Ok(rounded(given, field.scale))
}

/// A number with at most `scale` decimals, as the wire shows it (`10.0`, `12.34`).
pub(super) fn rounded(value: f64, scale: u32) -> Value {
    let text = format!("{value:.*}", scale as usize);
    text.parse().ok().and_then(Number::from_f64).map_or(Value::Null, Value::Number)
}

fn date(field: &Field, text: &str) -> Result<Value, ApiError> {
    stamp::parse_date(text).map(Value::String).ok_or_else(|| mismatch(field, "date", &json!(text)))
}

fn datetime(field: &Field, text: &str) -> Result<Value, ApiError> {
    let at = stamp::parse(text).ok_or_else(|| mismatch(field, "datetime", &json!(text)))?;
    Ok(Value::String(stamp::wire(at)))
}

fn reference(field: &Field, text: &str) -> Result<Value, ApiError> {
    let bad = || {
        let message = format!("{}: id value of incorrect type: {text}", field.label);
        ApiError::data("MALFORMED_ID", message).on(field.name)
    };
    id::canonical(text).map(Value::String).ok_or_else(bad)
}

/// JSON of the wrong type: the whole single-record request is refused; a collection refuses the row.
fn mismatch(field: &Field, wanted: &str, value: &Value) -> ApiError {
    let (token, shown) = match value {
        Value::String(text) => ("VALUE_STRING", text.clone()),
        Value::Number(number) => ("VALUE_NUMBER", number.to_string()),
        Value::Bool(flag) => ("VALUE_BOOLEAN", flag.to_string()),
        Value::Array(_) => ("START_ARRAY", "[".to_owned()),
        _ => ("START_OBJECT", "{".to_owned()),
    };
    let message = format!(
        "Cannot deserialize instance of {wanted} from {token} value {shown} or request may be missing a required \
         field at {}",
        field.name
    );
    ApiError::json(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(field: &Field, value: Value) -> String {
        accept(field, &value, true).unwrap_err().code
    }

    #[test]
    fn refusals_by_kind() {
        assert_eq!(code(&Field::text("A", "A", 3), json!("abcd")), "STRING_TOO_LONG");
        assert_eq!(code(&Field::new("E", "E", Kind::Email).len(80), json!("a@b")), "INVALID_EMAIL_ADDRESS");
        let picked = Field::pick("P", "P", &["x"]).restricted();
        assert_eq!(code(&picked, json!("y")), "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST");
        let money = Field::number("N", "N", Kind::Currency, 5, 2);
        assert_eq!(code(&money, json!(1000)), "NUMBER_OUTSIDE_VALID_RANGE");
        assert_eq!(code(&money, json!("much")), "JSON_PARSER_ERROR");
        let day = Field::new("D", "D", Kind::Date);
        assert_eq!(code(&day, json!("2026-02-30")), "JSON_PARSER_ERROR");
        assert_eq!(code(&Field::reference("R", "R", "Account", "R"), json!("nope")), "MALFORMED_ID");
    }

    #[test]
    fn values_take_the_stored_form() {
        let money = Field::number("N", "N", Kind::Currency, 18, 2);
        assert_eq!(accept(&money, &json!("12.345"), true).unwrap().to_string(), "12.35");
        assert_eq!(accept(&money, &json!(7), true).unwrap().to_string(), "7.0");
        assert_eq!(accept(&Field::text("A", "A", 3), &json!(" é "), true).unwrap(), json!("é"));
        assert_eq!(accept(&Field::text("A", "A", 3), &json!(""), true).unwrap(), Value::Null);
        let at = accept(&Field::new("T", "T", Kind::DateTime), &json!("2026-01-01T00:00:00Z"), true).unwrap();
        assert_eq!(at, json!("2026-01-01T00:00:00.000+0000"));
    }
}
