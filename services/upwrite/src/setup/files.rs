//! The files of `schemas/sql`, compiled in: `ROLES`, `SCHEMA`, `TABLES`, `FUNCTIONS`, `RIGHTS`. What there is, build.rs reads
//! from the folders; each folder is in the order of its names. See `schemas/sql/README.md`.

use sha2::{Digest as _, Sha256};

/// A file that is recorded with its checksum once it was run.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct File {
    /// Its folder and its name without the extension, as recorded: `functions/append_batch`.
    pub(super) name: &'static str,
    pub(super) sql: &'static str,
}

include!(concat!(env!("OUT_DIR"), "/schema_files.rs"));

impl File {
    /// SHA-256 of the text, in hexadecimal digits.
    pub(super) fn checksum(&self) -> String {
        Sha256::digest(self.sql.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The function that a file of `functions` makes.
    pub(super) fn function(&self) -> Option<&'static str> {
        self.name.strip_prefix("functions/")
    }
}

/// All that are recorded, in the order in which they are run.
pub(super) fn all() -> impl Iterator<Item = &'static File> {
    TABLES.iter().chain(FUNCTIONS).chain(RIGHTS)
}

#[cfg(test)]
mod tests {
    use super::{FUNCTIONS, ROLES, SCHEMA, all};

    /// Tests of other crates install the schema from the folder, setup from what is compiled in.
    #[test]
    fn tests_run_the_same_files_in_the_same_order() {
        let mut compiled = vec![("roles".to_owned(), ROLES.to_owned()), ("schema".to_owned(), SCHEMA.to_owned())];
        compiled.extend(all().map(|file| (file.name.to_owned(), file.sql.to_owned())));
        assert!(compiled.len() > 40, "{}", compiled.len());
        assert_eq!(compiled, upwrite_testkit::schema::files());
    }

    /// What is recorded of a file is the function of its name.
    #[test]
    fn a_file_of_functions_makes_the_function_of_its_name_and_no_other() {
        for file in FUNCTIONS {
            let makes = format!("create or replace function upwrite.{}(", file.function().expect("a function's file"));
            let created = file.sql.to_lowercase().matches("function upwrite.").count();
            let granted = file.sql.matches("on function upwrite.").count();
            assert_eq!(file.sql.matches(&makes).count(), 1, "{}", file.name);
            // The veto's file makes a trigger, too.
            let executed = file.sql.matches("execute function upwrite.").count();
            assert_eq!(created, 1 + granted + executed, "{}", file.name);
        }
    }
}
