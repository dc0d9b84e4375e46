//! One-dimensional `text[]` in Postgres's text form.

/// Why an array cannot be a list of words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotAList {
    Malformed,
    HasNull,
    Nested,
}

/// As `array_out` writes it.
pub fn write<'a>(items: impl IntoIterator<Item = &'a str>) -> String {
    let items: Vec<String> = items.into_iter().map(write_item).collect();
    format!("{{{}}}", items.join(","))
}

fn write_item(item: &str) -> String {
    let is_special = |c: char| matches!(c, '{' | '}' | ',' | '"' | '\\' | ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c');
    if !item.is_empty() && !item.contains(is_special) && !item.eq_ignore_ascii_case("null") {
        return item.to_owned();
    }
    let mut quoted = String::with_capacity(item.len() + 2);
    quoted.push('"');
    for c in item.chars() {
        if matches!(c, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted.push('"');
    quoted
}

/// Reads what `array_out` writes; an explicit lower bound (`[2:3]={a,b}`) is passed over.
pub fn read(text: &str) -> Result<Vec<String>, NotAList> {
    let body = if text.starts_with('[') {
        let (bounds, body) = text.split_once('=').ok_or(NotAList::Malformed)?;
        if bounds.matches('[').count() > 1 {
            return Err(NotAList::Nested);
        }
        body
    } else {
        text
    };
    let inside = body.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).ok_or(NotAList::Malformed)?;
    let mut items = Vec::new();
    let mut chars = inside.chars().peekable();
    if chars.peek().is_none() {
        return Ok(items);
    }
    loop {
        items.push(read_item(&mut chars)?);
        match chars.next() {
            None => return Ok(items),
            Some(',') => {}
            Some(_) => return Err(NotAList::Malformed),
        }
    }
}

fn read_item(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<String, NotAList> {
    let mut item = String::new();
    if chars.next_if_eq(&'"').is_some() {
        loop {
            match chars.next().ok_or(NotAList::Malformed)? {
                '"' => return Ok(item),
                '\\' => item.push(chars.next().ok_or(NotAList::Malformed)?),
                c => item.push(c),
            }
        }
    }
    while let Some(c) = chars.next_if(|c| *c != ',') {
        match c {
            '{' | '}' => return Err(NotAList::Nested),
            '"' => return Err(NotAList::Malformed),
            '\\' => item.push(chars.next().ok_or(NotAList::Malformed)?),
            c => item.push(c),
        }
    }
    match item.as_str() {
        "" => Err(NotAList::Malformed),
        word if word.eq_ignore_ascii_case("null") => Err(NotAList::HasNull),
        _ => Ok(item),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_as_postgres() {
        for (text, items) in [
            ("{}", vec![]),
            ("{A,B}", vec!["A", "B"]),
            (r#"{"A B","",NULLS,"null","a\"b\\c"}"#, vec!["A B", "", "NULLS", "null", "a\"b\\c"]),
        ] {
            assert_eq!(read(text).unwrap(), items);
            assert_eq!(write(items), text);
        }
        assert_eq!(read("[2:3]={a,b}").unwrap(), ["a", "b"]);
    }

    #[test]
    fn refuses_what_is_not_a_list_of_words() {
        assert_eq!(read("{NULL}"), Err(NotAList::HasNull));
        assert_eq!(read("{{a},{b}}"), Err(NotAList::Nested));
        for text in ["", "{", "a", "{a,}", "{\"a}", "{a\\}", "{\"a\"b}"] {
            assert_eq!(read(text), Err(NotAList::Malformed), "{text}");
        }
    }
}
