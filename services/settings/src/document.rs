//! A whole file.

use toml::de::DeTable;

use crate::mistake::Mistakes;
use crate::{Mistake, Section};

/// The text of a configuration file.
#[derive(Debug, Clone, Copy)]
pub struct Document<'a>(&'a str);

impl<'a> Document<'a> {
    pub fn new(text: &'a str) -> Self {
        Self(text)
    }

    /// What `read` makes of the file; or all mistakes, in the order of the file.
    pub fn read<T>(self, read: impl FnOnce(&Section<'_, '_>) -> T) -> Result<T, Vec<Mistake>> {
        let mistakes = Mistakes::new(self.0);
        let (table, errors) = DeTable::parse_recoverable(self.0);
        for error in errors {
            mistakes.add(error.span(), "syntax", error.message());
        }
        let value = read(&Section::root(&table, &mistakes));
        let mistakes = mistakes.into_inner();
        if mistakes.is_empty() { Ok(value) } else { Err(mistakes) }
    }
}

#[cfg(test)]
mod tests {
    use super::Document;

    #[test]
    fn a_mistake_that_is_found_later_has_its_place_too() {
        let text = "[a]\nb = 1\n[[a.list]]\nname = \"x\"\n[[a.list]]\nname = \"é\"\n  wide = 2\n";
        let mistakes = Document::new(text)
            .read(|root| {
                let section = root.section("a");
                section.number("b", 2..=3);
                for item in section.list("list") {
                    item.string("name");
                    item.number("wide", 1..=9);
                }
                section.wrong_at("b", "follows from the first mistake");
                section.wrong_at("list[1].wide", "too wide");
                section.wrong_at("list[1].gone", "is missing");
                section.wrong_at("", "as a whole");
            })
            .unwrap_err();
        let lines: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        assert_eq!(
            lines,
            [
                "line 1, column 1: a: as a whole",
                "line 2, column 5: a.b: must be from 2 to 3",
                "line 5, column 1: a.list[1].gone: is missing",
                "line 7, column 10: a.list[1].wide: too wide",
            ]
        );
    }
}
