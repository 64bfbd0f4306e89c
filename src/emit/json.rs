//! JSON as it stands in artefacts: two spaces of indent, keys in the order of the types, a line feed at the end.

use serde::Serialize;

/// The bytes of an artefact. Fails only for types whose map keys are no strings, which no artefact has.
pub fn pretty<T: Serialize>(value: &T) -> Result<Vec<u8>, serde_json::Error> {
    let mut bytes = serde_json::to_vec_pretty(value)?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// The same as text, for artefacts of our own types.
pub fn text<T: Serialize>(value: &T) -> String {
    let bytes = pretty(value).expect("the keys of our own types are strings");
    String::from_utf8(bytes).expect("JSON is UTF-8")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::pretty;

    #[test]
    fn it_is_indented_and_ends_with_a_line_feed() {
        let value = BTreeMap::from([("b", vec![1, 2]), ("a", vec![])]);
        assert_eq!(pretty(&value).unwrap(), b"{\n  \"a\": [],\n  \"b\": [\n    1,\n    2\n  ]\n}\n");
    }

    #[test]
    fn keys_that_are_no_strings_are_an_error() {
        assert!(pretty(&BTreeMap::from([(vec![1], 2)])).is_err());
    }
}
