//! Case, as far as claims are concerned.

/// A text in the one form that all its cases share: two texts that upstream or Postgres takes for the same one regardless
/// of case have the same form.
///
/// Postgres's `lower()`, which the unique indexes of synced tables rest on, depends on the database: collation "C" lowers
/// ASCII only; the C library writes `ς` for no capital, ICU writes it for a `Σ` that ends a word; `İ` becomes `i` or `i̇`,
/// and in Turkish `I` becomes `ı`; in Lithuanian an `Ì` comes apart. A claim must be the same whichever of them made the
/// text that it is made from (an error's detail shows what `lower()` made of a value). So this form tells none of these
/// apart: `fold_case(lower(text)) == fold_case(text)` in every collation, and from that follows that texts which are
/// equal under `lower()` have the same form.
///
/// It is coarser than any single collation. Where upstream does tell two texts apart that are the same here (`ı` and
/// `i`), their mutations merely wait for each other.
pub fn fold_case(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            // Lithuanian and Turkish add and remove it, ICU does for `İ`.
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
