//! The pages of a process, as a scraper reads them.

use std::collections::HashMap;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Status and body; status 0: nobody listens.
pub(crate) async fn get(port: u16, path: &str) -> (u16, String) {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)).await else { return (0, String::new()) };
    let request = format!("GET {path} HTTP/1.0\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer to {path}: {answer:?}"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, body.to_owned())
}

/// Value by series, as written. Every line must be as Prometheus's text format has it, every series of a type that is
/// declared before.
pub(crate) fn metrics(text: &str) -> HashMap<String, f64> {
    let mut types = HashMap::new();
    let mut values = HashMap::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some(comment) = line.strip_prefix("# ") {
            let mut words = comment.splitn(3, ' ');
            let (kind, name) = (words.next().unwrap(), words.next().unwrap_or_else(|| panic!("{line}")));
            match kind {
                "TYPE" => {
                    let of = words.next().unwrap();
                    assert!(["counter", "gauge", "histogram", "summary"].contains(&of), "{line}");
                    assert!(types.insert(name.to_owned(), of.to_owned()).is_none(), "twice: {line}");
                }
                "HELP" => assert!(words.next().is_some_and(|help| !help.is_empty()), "{line}"),
                _ => panic!("{line}"),
            }
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
        let name = series.split('{').next().unwrap();
        assert!(name.bytes().all(|byte| byte == b'_' || byte.is_ascii_alphanumeric()), "{line}");
        assert!(series.len() == name.len() || series.ends_with('}'), "{line}");
        let family = ["_bucket", "_sum", "_count"].iter().find_map(|end| {
            let family = name.strip_suffix(end)?;
            (types.get(family)? == "histogram").then_some(family)
        });
        assert!(types.contains_key(family.unwrap_or(name)), "no type: {line}");
        assert!(values.insert(series.to_owned(), value.parse().unwrap()).is_none(), "twice: {line}");
    }
    values
}
