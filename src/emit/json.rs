//! JSON as it stands in artefacts: two spaces of indent, keys in the order of the types, a line feed at the end.

use std::cell::RefCell;
use std::io::{self, Write};

use serde::Serialize;
use serde::ser::{Error as _, SerializeSeq, SerializeStruct, Serializer};

use crate::model::inventory::{Function, SCHEMA};
use crate::model::{GENERATOR, Package};
use crate::resolve::Rest;

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

/// Writes `inventory.json` from functions that come one after the other, each let go when it is written: what
/// [`pretty`] writes of the same inventory, byte for byte. `rest` is asked for when there are no more functions.
///
/// # Errors
/// When `out` cannot be written to.
pub fn inventory<'a>(
    out: impl Write,
    functions: impl Iterator<Item = Function> + 'a,
    rest: impl FnOnce() -> Rest + 'a,
) -> io::Result<()> {
    let mut out = out;
    let streamed = Streamed { functions: Once(RefCell::new(Some(functions))), rest: RefCell::new(Some(rest)) };
    serde_json::to_writer_pretty(&mut out, &streamed)?;
    out.write_all(b"\n")?;
    out.flush()
}

struct Streamed<F, R> {
    functions: Once<F>,
    rest: RefCell<Option<R>>,
}

/// A list that is there once.
struct Once<I>(RefCell<Option<I>>);

impl<T: Serialize, I: Iterator<Item = T>> Serialize for Once<I> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let items = self.0.borrow_mut().take().ok_or_else(|| S::Error::custom("written twice"))?;
        let mut list = serializer.serialize_seq(None)?;
        for item in items {
            list.serialize_element(&item)?;
        }
        list.end()
    }
}

impl<F: Iterator<Item = Function>, R: FnOnce() -> Rest> Serialize for Streamed<F, R> {
    /// In the order of the fields of [`crate::model::Inventory`].
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Inventory", 7)?;
        fields.serialize_field("schema", SCHEMA)?;
        fields.serialize_field("generator", GENERATOR)?;
        fields.serialize_field("functions", &self.functions)?;
        let rest = self.rest.borrow_mut().take().ok_or_else(|| S::Error::custom("written twice"))?();
        let packages: Once<Box<dyn Iterator<Item = Package>>> = Once(RefCell::new(Some(Box::new(rest.packages))));
        fields.serialize_field("packages", &packages)?;
        fields.serialize_field("files", &rest.files)?;
        if !rest.parts.is_empty() {
            fields.serialize_field("parts", &rest.parts)?;
        }
        fields.serialize_field("diagnostics", &rest.diagnostics)?;
        fields.end()
    }
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
