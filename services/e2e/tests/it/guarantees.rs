//! GUARANTEES.md names tests; each must exist. Text only: nothing is started.

use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// `crate::function` in backticks, as (crate, function).
fn named(text: &str) -> Vec<(&str, &str)> {
    let word = |text: &str, also: char| {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == also)
    };
    text.split('`')
        .filter_map(|code| code.split_once("::"))
        .filter(|(folder, function)| word(folder, '-') && word(function, '_') && *folder != "crate")
        .collect()
}

/// All Rust sources of one crate, one behind the other.
fn sources(folder: &Path, text: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let vendored = path.file_name().is_some_and(|name| name == "node_modules" || name == "target");
        if path.is_dir() && !vendored {
            sources(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&std::fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn every_test_named_in_guarantees_exists() {
    let text = std::fs::read_to_string(root().join("GUARANTEES.md")).unwrap();
    let named = named(&text);
    assert!(named.len() > 100, "only {} tests are named", named.len());
    for promise in 1..=10 {
        assert!(text.contains(&format!("\n## G{promise} ")), "G{promise} is missing");
    }
    let mut crates: std::collections::BTreeMap<&str, String> = std::collections::BTreeMap::new();
    let mut gone = Vec::new();
    for (folder, function) in named {
        let code = crates.entry(folder).or_insert_with(|| {
            let mut code = String::new();
            for part in ["src", "tests"] {
                let path = root().join("services").join(folder).join(part);
                if path.is_dir() {
                    sources(&path, &mut code);
                }
            }
            code
        });
        if !code.contains(&format!("fn {function}(")) {
            gone.push(format!("{folder}::{function}"));
        }
    }
    assert!(gone.is_empty(), "GUARANTEES.md names tests that are not there: {}", gone.join(", "));
}
