//! TOML with places: what every reader of a TOML lock or manifest needs, so that each stays about its format.
//!
//! Values of the wrong type read as absent: a lock is judged by the fields that matter, not by those that do not.

use toml::de::{DeTable, DeValue};

use crate::model::{Code, Diagnostic, Lines, Place};

/// Parses a document. The diagnostic of `code` names the line of the first syntax error.
pub fn parse<'t>(code: Code, file: &str, text: &'t str) -> Result<(DeTable<'t>, Lines), Box<Diagnostic>> {
    // A byte order mark is no part of the grammar, but editors leave it.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines = Lines::new(text);
    let fail = |line, reason: String| Box::new(Diagnostic::new(code, Place::at(file, line), reason));
    match DeTable::parse(text) {
        Ok(table) => Ok((table.into_inner(), lines)),
        Err(error) => {
            let line = error.span().map_or(0, |span| lines.of(span.start));
            Err(fail(line, lower_first(error.message().lines().next().unwrap_or("invalid toml"))))
        }
    }
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|c| c.to_lowercase().chain(chars).collect()).unwrap_or_default()
}

/// A string field.
pub fn string<'a>(table: &'a DeTable, key: &str) -> Option<&'a str> {
    as_string(table.get(key)?.get_ref())
}

/// A value as a string.
pub fn as_string<'a>(value: &'a DeValue) -> Option<&'a str> {
    match value {
        DeValue::String(text) => Some(text),
        _ => None,
    }
}

/// A whole number that is not negative.
pub fn number(table: &DeTable, key: &str) -> Option<u64> {
    match table.get(key)?.get_ref() {
        DeValue::Integer(n) => u64::from_str_radix(n.as_str(), n.radix()).ok(),
        _ => None,
    }
}

/// A truth value.
pub fn boolean(table: &DeTable, key: &str) -> Option<bool> {
    match table.get(key)?.get_ref() {
        DeValue::Boolean(b) => Some(*b),
        _ => None,
    }
}

/// A table field.
pub fn table<'a, 't>(parent: &'a DeTable<'t>, key: &str) -> Option<&'a DeTable<'t>> {
    as_table(parent.get(key)?.get_ref())
}

/// A table reached by several keys.
pub fn table_at<'a, 't>(parent: &'a DeTable<'t>, path: &[&str]) -> Option<&'a DeTable<'t>> {
    path.iter().try_fold(parent, |at, key| table(at, key))
}

/// A value as a table.
pub fn as_table<'a, 't>(value: &'a DeValue<'t>) -> Option<&'a DeTable<'t>> {
    match value {
        DeValue::Table(table) => Some(table),
        _ => None,
    }
}

/// The elements of an array field with their byte offsets; none where it is absent or no array.
pub fn array<'a, 't>(parent: &'a DeTable<'t>, key: &str) -> impl Iterator<Item = (usize, &'a DeValue<'t>)> {
    let array = match parent.get(key).map(|v| v.get_ref()) {
        Some(DeValue::Array(array)) => Some(array),
        _ => None,
    };
    array.into_iter().flat_map(|a| a.iter()).map(|v| (v.span().start, v.get_ref()))
}

/// The fields of a table, in file order, with the byte offsets of their keys.
pub fn fields<'a, 't>(table: &'a DeTable<'t>) -> Vec<(usize, &'a str, &'a DeValue<'t>)> {
    let mut out: Vec<_> = table.iter().map(|(k, v)| (k.span().start, k.get_ref().as_ref(), v.get_ref())).collect();
    out.sort_by_key(|(at, ..)| *at);
    out
}

/// Strings in an array field.
pub fn strings(parent: &DeTable, key: &str) -> Vec<String> {
    array(parent, key).filter_map(|(_, v)| as_string(v)).map(String::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::codes;

    #[test]
    fn errors_name_the_line() {
        let error = parse(codes::LOCK_INVALID, "a.lock", "x = 1\ny = = 2\n").unwrap_err();
        assert_eq!((error.place.line, error.code.as_str()), (2, "lock-invalid"));
        assert!(error.reason.starts_with(char::is_lowercase) || !error.reason.starts_with(char::is_alphabetic));
    }

    #[test]
    fn deep_nesting_is_refused_not_followed() {
        for text in [
            "[".repeat(200_000),
            format!("a = {}", "[".repeat(200_000)),
            format!("a{} = 1", ".a".repeat(200_000)),
            format!("[a{}]", ".a".repeat(200_000)),
            format!("x = {}1{}", "{a=".repeat(100_000), "}".repeat(100_000)),
            format!("x = {{a{} = 1}}", ".a".repeat(200_000)),
        ] {
            assert!(parse(codes::LOCK_INVALID, "a.lock", &text).is_err(), "{}", &text[..20]);
        }
    }

    #[test]
    fn elements_of_arrays_of_tables_have_the_line_of_their_header() {
        let text = "a = 1\n\n[[package]]\nname = 'x'\n\n[[package]]\nname = 'y'\n";
        let (doc, lines) = parse(codes::LOCK_INVALID, "a.lock", text).unwrap();
        let found: Vec<u32> = array(&doc, "package").map(|(at, _)| lines.of(at)).collect();
        assert_eq!(found, [3, 6]);
    }
}
