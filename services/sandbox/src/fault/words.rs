//! The fault vocabulary.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

/// A fault on one request. In JSON either a word (`"lose_answer"`) or a word with parameters
/// (`{"execute_late": {"delay_ms": 500}}`); in the header also `execute_late;delay_ms=500`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// Refuse without applying. With `rows`, only those rows (from 0) of a batch are refused, with HTTP 200.
    Reject {
        /// HTTP status; 400 unless given.
        status: u16,
        /// The vendor's code; one that says nothing in particular unless given.
        code: Option<String>,
        /// Text of the error.
        message: String,
        /// Fields named in the error.
        fields: Vec<String>,
        /// Rows of a batch; none for the whole request.
        rows: Option<Vec<usize>>,
    },
    /// Apply, then close the connection without an answer.
    LoseAnswer,
    /// Close the connection `close_after_ms` after arrival (0 unless given); apply `delay_ms` after arrival, or when
    /// released if that is not given.
    ExecuteLate {
        /// Milliseconds from arrival to execution; none: when released.
        delay_ms: Option<u64>,
        /// Milliseconds from arrival to the end of the connection.
        close_after_ms: u64,
    },
    /// Wait for release; before applying unless `applied`.
    Hold {
        /// Apply first, and hold back only the answer.
        applied: bool,
    },
    /// Wait, then go on as usual.
    Slow {
        /// Milliseconds.
        ms: u64,
    },
    /// Answer with a 5xx.
    ServerError {
        /// HTTP status; 500 unless given.
        status: u16,
        /// Apply first.
        applied: bool,
    },
    /// Answer with a gateway's HTML page.
    HtmlBody {
        /// HTTP status; 502 unless given.
        status: u16,
        /// Apply first.
        applied: bool,
    },
    /// Reset the TCP connection; nothing is applied.
    Reset,
    /// A quota of calls is used up, in a form that is no 429; nothing is applied.
    OverQuota {
        /// The quota of a day, rather than the one of concurrent requests.
        daily: bool,
    },
    /// 429 with `Retry-After`; nothing is applied.
    #[serde(rename = "limit_429")]
    Limit429 {
        /// Value of `Retry-After`, seconds; 1 unless given.
        retry_after_s: u64,
    },
    /// Another user has the record locked; nothing is applied.
    Locked,
}

impl Fault {
    /// Reads the JSON form.
    pub fn from_json(value: &Value) -> Result<Self, String> {
        match value {
            Value::String(word) => Self::build(word, &Map::new()),
            Value::Object(map) if map.len() == 1 => match map.iter().next() {
                Some((word, Value::Object(params))) => Self::build(word, params),
                Some((word, Value::Null)) => Self::build(word, &Map::new()),
                _ => Err("a fault's parameters must be an object".to_owned()),
            },
            _ => Err("a fault is a word, or an object with one word as its only member".to_owned()),
        }
    }

    /// Reads the header form: JSON, or `word;name=value;…`.
    pub fn from_header(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.starts_with(['{', '"']) {
            let value: Value = serde_json::from_str(text).map_err(|e| e.to_string())?;
            return Self::from_json(&value);
        }
        let mut parts = text.split(';').map(str::trim);
        let word = parts.next().unwrap_or_default();
        let mut params = Map::new();
        for part in parts.filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').ok_or_else(|| format!("{part}: expected name=value"))?;
            let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
            params.insert(name.to_owned(), value);
        }
        Self::build(word, &params)
    }

    /// The word, without parameters.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Reject { .. } => "reject",
            Self::LoseAnswer => "lose_answer",
            Self::ExecuteLate { .. } => "execute_late",
            Self::Hold { .. } => "hold",
            Self::Slow { .. } => "slow",
            Self::ServerError { .. } => "server_error",
            Self::HtmlBody { .. } => "html_body",
            Self::Reset => "reset",
            Self::OverQuota { .. } => "over_quota",
            Self::Limit429 { .. } => "limit_429",
            Self::Locked => "locked",
        }
    }

    fn build(word: &str, params: &Map<String, Value>) -> Result<Self, String> {
        let known: &[&str] = match word {
            "reject" => &["status", "code", "message", "fields", "rows"],
            "execute_late" => &["delay_ms", "close_after_ms"],
            "hold" => &["applied"],
            "slow" => &["ms"],
            "server_error" | "html_body" => &["status", "applied"],
            "over_quota" => &["daily"],
            "limit_429" => &["retry_after_s"],
            "lose_answer" | "locked" | "reset" => &[],
            other => return Err(format!("unknown fault {other:?}")),
        };
        if let Some(unknown) = params.keys().find(|name| !known.contains(&name.as_str())) {
            return Err(format!("fault {word} has no parameter {unknown:?}"));
        }
        let flag = |name| flag(params, name);
        let number = |name| number(params, name);
        let status = |default: u64| {
            let status = u16::try_from(number("status")?.unwrap_or(default)).unwrap_or_default();
            let sound = (200..600).contains(&status);
            sound.then_some(status).ok_or_else(|| "status must be 200 to 599".to_owned())
        };
        Ok(match word {
            "reject" => Self::Reject {
                status: status(400)?,
                code: text(params, "code")?,
                message: text(params, "message")?.unwrap_or_else(|| "refused by the sandbox".to_owned()),
                fields: list(params, "fields").filter_map(|v| v.as_str().map(str::to_owned)).collect(),
                rows: rows(params)?,
            },
            "lose_answer" => Self::LoseAnswer,
            "execute_late" => Self::ExecuteLate {
                delay_ms: number("delay_ms")?,
                close_after_ms: number("close_after_ms")?.unwrap_or_default(),
            },
            "hold" => Self::Hold { applied: flag("applied")? },
            "slow" => Self::Slow { ms: number("ms")?.unwrap_or(100) },
            "server_error" => Self::ServerError { status: status(500)?, applied: flag("applied")? },
            "html_body" => Self::HtmlBody { status: status(502)?, applied: flag("applied")? },
            "over_quota" => Self::OverQuota { daily: flag("daily")? },
            "limit_429" => Self::Limit429 { retry_after_s: number("retry_after_s")?.unwrap_or(1) },
            "locked" => Self::Locked,
            _ => Self::Reset, // the only word left of those checked above
        })
    }
}

/// A parameter that is there and not null, read by `read`; a value that cannot be read is a mistake, not a default.
fn parameter<T>(
    params: &Map<String, Value>,
    name: &str,
    read: impl FnOnce(&Value) -> Option<T>,
) -> Result<Option<T>, String> {
    match params.get(name).filter(|value| !value.is_null()) {
        None => Ok(None),
        Some(value) => read(value).map(Some).ok_or_else(|| format!("{name} cannot be {value}")),
    }
}

fn flag(params: &Map<String, Value>, name: &str) -> Result<bool, String> {
    parameter(params, name, Value::as_bool).map(Option::unwrap_or_default)
}

fn number(params: &Map<String, Value>, name: &str) -> Result<Option<u64>, String> {
    parameter(params, name, Value::as_u64)
}

fn text(params: &Map<String, Value>, name: &str) -> Result<Option<String>, String> {
    parameter(params, name, |value| value.as_str().map(str::to_owned))
}

/// `rows`: one number or a list of them.
fn rows(params: &Map<String, Value>) -> Result<Option<Vec<usize>>, String> {
    let one = |value: &Value| value.as_u64().and_then(|n| usize::try_from(n).ok());
    parameter(params, "rows", |value| match value {
        Value::Array(list) => list.iter().map(one).collect(),
        single => one(single).map(|n| vec![n]),
    })
}

fn list<'p>(params: &'p Map<String, Value>, name: &str) -> impl Iterator<Item = &'p Value> {
    params.get(name).and_then(Value::as_array).into_iter().flatten()
}

impl<'de> Deserialize<'de> for Fault {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Self::from_json(&value).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn all_three_forms_mean_the_same() {
        let wanted = Fault::ExecuteLate { delay_ms: Some(500), close_after_ms: 0 };
        assert_eq!(Fault::from_json(&json!({"execute_late": {"delay_ms": 500}})), Ok(wanted.clone()));
        assert_eq!(Fault::from_header("execute_late;delay_ms=500"), Ok(wanted.clone()));
        assert_eq!(Fault::from_header("{\"execute_late\":{\"delay_ms\":500}}"), Ok(wanted));
        assert_eq!(Fault::from_json(&json!("lose_answer")), Ok(Fault::LoseAnswer));
    }

    #[test]
    fn what_is_written_reads_back() {
        for word in [
            "reject",
            "lose_answer",
            "execute_late",
            "hold",
            "slow",
            "server_error",
            "html_body",
            "reset",
            "over_quota",
            "limit_429",
            "locked",
        ] {
            let fault = Fault::from_header(word).unwrap();
            assert_eq!(fault.word(), word);
            let written = serde_json::to_value(&fault).unwrap();
            assert_eq!(Fault::from_json(&written), Ok(fault), "{written}");
        }
    }

    #[test]
    fn mistakes_are_named() {
        assert!(Fault::from_header("loose_answer").unwrap_err().contains("loose_answer"));
        assert!(Fault::from_header("slow;seconds=1").unwrap_err().contains("seconds"));
        assert!(Fault::from_header("server_error;status=99").is_err());
        assert!(Fault::from_header("execute_late;delay_ms=soon").unwrap_err().contains("delay_ms"));
        assert!(Fault::from_header("hold;applied=yes").is_err());
        assert!(Fault::from_header("reject;rows=first").is_err());
    }
}
