//! What only the message says. Layouts are not documented: a pattern that does not fit yields nothing.

use super::codes::class_of_code;

/// The last list in square brackets: `Required fields are missing: [LastName, Foo__c]`.
pub(super) fn bracketed(message: &str) -> Vec<&str> {
    let Some((before, _)) = message.rsplit_once(']') else { return Vec::new() };
    let Some((_, list)) = before.rsplit_once('[') else { return Vec::new() };
    list.split(',').map(str::trim).filter(|name| !name.is_empty()).collect()
}

/// Field and other record's id of `duplicate value found: Foo__c duplicates value on record with id: 003…`.
pub(super) fn duplicate(message: &str) -> (Option<&str>, Option<&str>) {
    let field = message.split_once("duplicate value found:").and_then(|(_, rest)| first_word(rest));
    let record = message.split_once("record with id:").and_then(|(_, rest)| first_word(rest));
    (field, record)
}

/// `No such column 'Foo' on sobject of type Contact`.
pub(super) fn quoted(message: &str) -> Option<&str> {
    message.split_once('\'')?.1.split_once('\'').map(|(name, _)| name)
}

/// `(max length=40)`.
pub(super) fn max_length(message: &str) -> Option<u32> {
    let (_, rest) = message.split_once("max length=")?;
    let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    rest.get(..digits)?.parse().ok()
}

/// The first of the vendor's codes inside a message, as a trigger's refusal quotes it.
pub(super) fn nested_code(message: &str) -> Option<&str> {
    message
        .split(|c: char| !(c.is_ascii_uppercase() || c == '_'))
        .find(|word| word.contains('_') && class_of_code(word).is_some())
}

fn first_word(text: &str) -> Option<&str> {
    let text = text.trim_start();
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(text.len());
    text.get(..end).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_is_there_and_nothing_else() {
        assert_eq!(bracketed("Required fields are missing: [LastName, Foo__c]"), ["LastName", "Foo__c"]);
        assert!(bracketed("nothing ] here [").is_empty());
        assert_eq!(
            duplicate("duplicate value found: Key__c duplicates value on record with id: 003000000000001"),
            (Some("Key__c"), Some("003000000000001"))
        );
        assert_eq!(duplicate("duplicate value found: <unknown> duplicates"), (None, None));
        assert_eq!(quoted("No such column 'Foo' on sobject of type Contact"), Some("Foo"));
        assert_eq!(max_length("First Name: data value too large: x (max length=40)"), Some(40));
        assert_eq!(max_length("max length=é"), None);
        assert_eq!(nested_code("caused by: first error: UNABLE_TO_LOCK_ROW, unable"), Some("UNABLE_TO_LOCK_ROW"));
        assert_eq!(nested_code("SOME_OTHER_THING"), None);
    }
}
