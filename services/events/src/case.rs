//! Case: when two texts differ in nothing else.

/// Gives all spellings of a text that differ only in case the same form.
///
/// It has to agree with Postgres's `lower()`, on which the unique indexes of synced tables rest, and what that does depends
/// on the database's collation. "C" lowers ASCII only. For a `Σ` at the end of a word, the C library writes `σ` and ICU
/// writes `ς`. `İ` becomes `i` or `i̇`; in Turkish, `I` becomes `ı`; in Lithuanian, `Ì` is taken apart. So the form
/// makes none of these distinctions: `fold_case(lower(text)) == fold_case(text)` in every collation (a test with a real
/// Postgres tries all characters). It follows that texts which are equal under `lower()` have the same form, and that a
/// claim is found from the text in the detail of a 23505, which is what `lower()` made of the value.
///
/// The form is coarser than any single collation. If upstream distinguishes two texts that have the same form (`ı` and
/// `i`), their mutations wait for each other without need; nothing else follows.
pub fn fold_case(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            // The dot above: Lithuanian adds it, Turkish removes it, ICU makes it from `İ`.
            '\u{307}' => {}
            'I' | 'İ' | 'ı' => folded.push('i'),
            'ς' => folded.push('σ'),
            'Ì' | 'ì' => folded.push_str("i\u{300}"),
            'Í' | 'í' => folded.push_str("i\u{301}"),
            'Ĩ' | 'ĩ' => folded.push_str("i\u{303}"),
            other => folded.extend(other.to_lowercase()),
        }
    }
    folded
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ordinary_text_becomes_lower_case() {
        for (text, folded) in [("Ann@Example.COM", "ann@example.com"), ("ÄRGER", "ärger"), ("straße", "straße")] {
            assert_eq!(fold_case(text), folded);
        }
    }

    #[test]
    fn what_collations_lower_differently_is_one() {
        for same in [&["I", "i", "İ", "ı", "i̇"][..], &["ΟΔΟΣ", "οδος", "οδοσ"], &["Ì", "ì", "i\u{307}\u{300}"]]
        {
            for text in same {
                assert_eq!(fold_case(text), fold_case(same[0]), "{text}");
            }
        }
    }

    proptest! {
        #[test]
        fn folding_twice_is_folding_once(text in "\\PC{0,30}|[IiİıΣσςÌíĨ\u{307}\u{300} A]{0,12}") {
            let folded = fold_case(&text);
            prop_assert_eq!(fold_case(&folded), folded.clone());
            prop_assert_eq!(fold_case(&text.to_lowercase()), folded);
        }
    }
}
