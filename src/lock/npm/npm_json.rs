//! npm's JSON files as they occur: fields of the wrong type are common (`license: {}`, `engines: []`, `os: "linux"`)
//! and must cost that field only, never the file.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// Any JSON value. Strings without escapes borrow from the text, so that [`crate::lock::positions::Slices`] can place them.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Value<'a> {
    /// Absent, or `null`.
    #[default]
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number; only lockfile versions are read as such.
    Number(f64),
    /// A string.
    Text(Cow<'a, str>),
    /// An array.
    List(Vec<Value<'a>>),
    /// An object, in file order, keys repeated where the file repeats them.
    Map(Vec<(Cow<'a, str>, Value<'a>)>),
}

impl<'a> Value<'a> {
    /// The string, where it is one and not empty.
    pub fn text(&self) -> Option<&str> {
        match self {
            Value::Text(text) if !text.is_empty() => Some(text),
            _ => None,
        }
    }

    /// Whether it is `true`.
    pub fn is_true(&self) -> bool {
        *self == Value::Bool(true)
    }

    /// A list of strings, or one string.
    pub fn texts(&self) -> Vec<String> {
        match self {
            Value::List(items) => items.iter().filter_map(Value::text).map(str::to_string).collect(),
            other => other.text().map(str::to_string).into_iter().collect(),
        }
    }

    /// The pairs of an object; nothing for anything else.
    pub fn pairs(&self) -> &[(Cow<'a, str>, Value<'a>)] {
        match self {
            Value::Map(pairs) => pairs,
            _ => &[],
        }
    }

    /// A field of an object: the last one counts where a key is repeated, as in JavaScript.
    pub fn get(&self, key: &str) -> Option<&Value<'a>> {
        self.pairs().iter().rev().find(|(k, _)| k == key).map(|(_, value)| value)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Value::Number(value as f64))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Value::Number(value as f64))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        Ok(Value::Number(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(Value::Text(Cow::Owned(value.to_string())))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Self::Value, E> {
        Ok(Value::Text(Cow::Borrowed(value)))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        PairsVisitor(PhantomData).visit_map(map).map(|pairs| Value::Map(pairs.0))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Value<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

/// A mapping in file order.
#[derive(Debug, Clone)]
pub struct Pairs<'a, T>(pub Vec<(Cow<'a, str>, T)>);

impl<T> Default for Pairs<'_, T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

struct PairsVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for PairsVisitor<T> {
    type Value = Pairs<'de, T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut pairs = Vec::new();
        while let Some(Key(key)) = map.next_key()? {
            pairs.push((key, map.next_value()?));
        }
        Ok(Pairs(pairs))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Pairs(Vec::new()))
    }

    fn visit_none<E>(self) -> Result<Self::Value, E> {
        Ok(Pairs(Vec::new()))
    }
}

impl<'de: 'a, 'a, T: Deserialize<'de>> Deserialize<'de> for Pairs<'a, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(PairsVisitor(PhantomData))
    }
}

/// A string that borrows where it can; `Cow` alone never does.
#[derive(Debug, Clone, Default)]
pub struct Key<'a>(pub Cow<'a, str>);

struct KeyVisitor;

impl<'de> Visitor<'de> for KeyVisitor {
    type Value = Key<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(Key(Cow::Owned(value.to_string())))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Self::Value, E> {
        Ok(Key(Cow::Borrowed(value)))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Key<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(KeyVisitor)
    }
}

/// Parses a file whose top is a JSON object; the error is its line (from 1) and what is wrong. A derived structure alone
/// would take an array for its fields in order.
pub fn parse_object<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, (u32, String)> {
    if text.trim_start().starts_with('[') {
        return Err((1, "an array where an object is expected".to_string()));
    }
    serde_json::from_str(text).map_err(|error| (u32::try_from(error.line()).unwrap_or(u32::MAX), error.to_string()))
}

/// Versions hold no white space in an id.
pub fn as_version(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join("%20")
}

/// Where an npm package comes from, judged by the address that a lock resolved it to: `None` for a registry, else
/// `git`, `url` or `path`. Registries are told from plain tarballs by the layouts that registries use
/// (`/-/name-1.0.0.tgz`, `/download/@scope/name/1.0.0/…`, `/~/…/1.0.0.tgz`), since their hosts differ.
pub fn source_of(address: &str) -> Option<&'static str> {
    let lower = address.get(..24.min(address.len())).unwrap_or(address).to_ascii_lowercase();
    let starts = |prefixes: &[&str]| prefixes.iter().any(|p| lower.starts_with(p));
    let path = address.split(['#', '?']).next().unwrap_or(address);
    if starts(&["git+", "git:", "git@", "ssh:", "github:", "gitlab:", "bitbucket:", "gist:"]) {
        Some("git")
    } else if starts(&["file:", "link:", "portal:", "./", "../", "/"]) {
        Some("path")
    } else if starts(&["workspace:"]) {
        Some("workspace")
    } else if starts(&["http:", "https:"]) {
        let registry = path.contains("/-/") || path.contains("/download/") || path.contains("/~/");
        if path.ends_with(".git") || path.contains("://codeload.github.com/") {
            Some("git")
        } else if registry && !path.contains("/archive/") && !path.contains("/releases/") {
            None
        } else {
            Some("url")
        }
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_tell_the_source() {
        for (address, source) in [
            ("https://registry.example/ms/-/ms-2.1.3.tgz", None),
            ("https://registry.example/api/npm/repo/@s/x/-/x-1.0.0.tgz?token=1", None),
            ("https://registry.example/download/@s/x/1.0.0/0a1b2c", None),
            ("1.0.0", None),
            ("https://host.example/x.tgz", Some("url")),
            ("https://host.example/o/r/releases/download/v1/x.tgz", Some("url")),
            ("https://host.example/o/r.git#abc", Some("git")),
            ("git+ssh://git@host.example/o/r.git#abc", Some("git")),
            ("github:o/r#abc", Some("git")),
            ("file:../x.tgz", Some("path")),
            ("workspace:^", Some("workspace")),
            ("é", None),
            ("", None),
        ] {
            assert_eq!(source_of(address), source, "{address}");
        }
    }

    #[test]
    fn wrong_types_cost_the_field_only() {
        let value: Value = serde_json::from_str(r#"{"os": "linux", "cpu": ["x64", 1], "x": null, "os2": {}}"#).unwrap();
        assert_eq!(value.get("os").unwrap().texts(), ["linux"]);
        assert_eq!(value.get("cpu").unwrap().texts(), ["x64"]);
        assert!(value.get("x").unwrap().texts().is_empty());
        assert!(value.get("os2").unwrap().pairs().is_empty());
    }

    #[test]
    fn the_last_of_repeated_keys_counts() {
        let value: Value = serde_json::from_str(r#"{"a": 1, "a": 2}"#).unwrap();
        assert_eq!(value.get("a"), Some(&Value::Number(2.0)));
    }
}
