//! Lists the files of `schemas/sql` for `setup` to compile in: a new one is in by being there.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// In the order in which they are run.
const FOLDERS: [&str; 3] = ["tables", "functions", "rights"];

fn main() -> io::Result<()> {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default()).join("../../schemas/sql");
    let root = root.canonicalize()?;
    let mut list = String::new();
    for name in ["roles", "schema"] {
        let path = root.join(name).with_extension("sql");
        let _ = writeln!(list, "pub(super) const {}: &str = include_str!({path:?});", name.to_uppercase());
    }
    for folder in FOLDERS {
        println!("cargo:rerun-if-changed={}", root.join(folder).display());
        let _ = writeln!(list, "pub(super) const {}: &[File] = &[", folder.to_uppercase());
        for path in sql_files(&root.join(folder))? {
            let stem = path.file_stem().unwrap_or_default().to_string_lossy();
            let _ = writeln!(list, "    File {{ name: \"{folder}/{stem}\", sql: include_str!({path:?}) }},");
        }
        list.push_str("];\n");
    }
    fs::write(PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("schema_files.rs"), list)
}

/// By name.
fn sql_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "sql"));
    paths.sort();
    Ok(paths)
}
