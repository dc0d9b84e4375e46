//! What documents name must exist: files and folders. Text only: nothing is started.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Endings by which a name in backticks is taken for a file's.
const ENDINGS: [&str; 14] =
    ["rs", "sql", "md", "toml", "sh", "json", "avsc", "proto", "yml", "xml", "py", "js", "java", "properties"];
/// Named because there is none.
const ABSENT: [&str; 1] = ["rust-toolchain.toml"];
/// Folders of what was built, fetched or is not ours.
const FOREIGN: [&str; 4] = ["target", ".git", "node_modules", ".venv"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Every file and folder of ours, from the root on, with `/` between.
fn tree() -> BTreeSet<String> {
    fn walk(folder: &Path, prefix: &str, all: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            if FOREIGN.contains(&name.as_str()) {
                continue;
            }
            let path = format!("{prefix}{name}");
            if entry.path().is_dir() {
                walk(&entry.path(), &format!("{path}/"), all);
            }
            all.insert(path);
        }
    }
    let mut all = BTreeSet::new();
    walk(&root(), "", &mut all);
    all
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// `a/{b,c}.rs` as `a/b.rs` and `a/c.rs`.
fn expanded(name: &str) -> Vec<String> {
    let parts = name.split_once('{').and_then(|(before, rest)| Some((before, rest.split_once('}')?)));
    let Some((before, (inside, after))) = parts else { return vec![name.to_owned()] };
    inside.split(',').flat_map(|one| expanded(&format!("{before}{}{after}", one.trim()))).collect()
}

/// The folder of a crate's README, whose files are named from that folder or its `src` on; of others, the root's.
fn home(document: &str) -> &str {
    let folder = document.rsplit_once('/').map_or("", |(folder, _)| folder);
    if folder.starts_with("services/") { folder } else { "" }
}

/// Whether a pattern's segments, in which `*` stands for any letters, are those of a path.
fn alike(pattern: &str, path: &str) -> bool {
    let segment = |pattern: &str, name: &str| match pattern.split_once('*') {
        Some((before, after)) => {
            name.len() >= before.len() + after.len() && name.starts_with(before) && name.ends_with(after)
        }
        None => pattern == name,
    };
    let (pattern, path): (Vec<_>, Vec<_>) = (pattern.split('/').collect(), path.split('/').collect());
    pattern.len() == path.len() && pattern.iter().zip(&path).all(|(pattern, name)| segment(pattern, name))
}

/// Whether something of that name is there: from the root, from `services`, from the document's folder, or (documents
/// shorten paths inside a crate) at the end of a path within the document's crate. A module may stand without its `.rs`.
fn exists(tree: &BTreeSet<String>, document: &str, name: &str) -> bool {
    let name = name.trim_end_matches('/');
    is_there(tree, document, name) || (name.contains('/') && is_there(tree, document, &format!("{name}.rs")))
}

fn is_there(tree: &BTreeSet<String>, document: &str, name: &str) -> bool {
    let folder = document.rsplit_once('/').map_or("", |(folder, _)| folder);
    let joined = root().join(folder).join(name);
    if joined.exists() || (name.starts_with("target/") && !name.contains('*')) {
        return true;
    }
    let home = home(document);
    let levels = name.split('/').count();
    tree.iter().any(|path| {
        let from_home = home.is_empty() || path.strip_prefix(home).is_some_and(|rest| rest.starts_with('/'));
        let begin = path.rmatch_indices('/').nth(levels - 1).map_or(0, |(at, _)| at + 1);
        let from_root = path.strip_prefix("services/").unwrap_or(path);
        alike(name, path) || alike(name, from_root) || (from_home && alike(name, &path[begin..]))
    })
}

/// The paths that a document names: in backticks, and as targets of links. `None` of them from blocks of code.
fn named(tree: &BTreeSet<String>, text: &str) -> Vec<String> {
    let prose: String = text.split("```").step_by(2).collect();
    let letters =
        |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "_.{},*/-".contains(c));
    let a_path = |name: &&str| {
        let last = name.rsplit('/').next().unwrap_or(name);
        let ending = last.rsplit_once('.').filter(|(stem, _)| !stem.is_empty()).map(|(_, ending)| ending);
        let first = name.split('/').next().unwrap_or(name);
        let in_a_folder = name.contains('/') && tree.iter().any(|path| path.rsplit('/').next() == Some(first));
        letters(name) && !name.starts_with('/') && (in_a_folder || ending.is_some_and(|e| ENDINGS.contains(&e)))
    };
    let code = prose.split('`').skip(1).step_by(2).filter(a_path);
    let links = prose.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
    let links = links.filter(|link| letters(link));
    code.chain(links).flat_map(expanded).collect()
}

#[test]
fn every_path_that_a_document_names_exists() {
    let tree = tree();
    let documents = tree.iter().filter(|path| {
        let outside = path.starts_with("docs/examples/") || *path == "CHANGELOG.md";
        path.ends_with(".md") && !outside
    });
    let (mut count, mut gone) = (0, Vec::new());
    for document in documents {
        for name in named(&tree, &read(document)) {
            count += 1;
            if !ABSENT.contains(&name.as_str()) && !exists(&tree, document, &name) {
                gone.push(format!("{document}: {name}"));
            }
        }
    }
    assert!(count > 150, "only {count} paths were found");
    assert!(gone.is_empty(), "named, and not there:\n{}", gone.join("\n"));
}

/// A design paper that readers do not have is no source: the reason itself has to be said.
#[test]
fn nothing_cites_a_section_of_the_design() {
    let endings = ["rs", "sql", "md", "toml", "sh", "avsc", "proto", "yml", "py", "js", "java"];
    let paper = ["DE", "SIGN"].concat();
    let cites = |path: &&String| {
        let ours = path.rsplit_once('.').is_some_and(|(_, ending)| endings.contains(&ending));
        ours && read(path).split(&paper).skip(1).any(|rest| {
            let next = rest.trim_start_matches([' ', '.', '\n', '/', '*', '-', 'm', 'd']);
            next.starts_with(|c: char| c.is_ascii_digit())
        })
    };
    let citing: Vec<_> = tree().into_iter().filter(|path| cites(&path)).collect();
    assert!(citing.is_empty(), "{citing:?}");
}

#[test]
fn braces_and_stars_stand_for_names() {
    assert_eq!(expanded("a/{b,c}.rs"), ["a/b.rs", "a/c.rs"]);
    assert_eq!(expanded("{a,b}/{c,d}"), ["a/c", "a/d", "b/c", "b/d"]);
    assert!(alike("schemas/*.avsc", "schemas/X.1.avsc") && !alike("schemas/*.avsc", "schemas/sql/X.avsc"));
    let tree: BTreeSet<String> = ["services/proxy/src/hold/held.rs".to_owned()].into();
    assert!(exists(&tree, "ARCHITECTURE.md", "hold/held.rs"));
    assert!(exists(&tree, "services/proxy/README.md", "src/hold/held.rs"));
    assert!(!exists(&tree, "services/applier/README.md", "hold/held.rs"), "that of another crate");
    assert!(!exists(&tree, "ARCHITECTURE.md", "old/held.rs"));
}
