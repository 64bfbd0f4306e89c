//! Requirements that a project replaces for its whole tree: npm's and bun's `overrides`, yarn's `resolutions`, pnpm's
//! `pnpm.overrides`.
//!
//! npm, pnpm and bun have applied them to what their locks say. Yarn applies them when it reads its lock, so a reader of
//! yarn.lock needs them to find what a requirement leads to. And a requirement that is replaced is no contradiction
//! between manifest and lock.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::npm_json::{Value, parse_object};

/// One replacement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Override {
    /// The package whose requirement is replaced, and its version where that matters; `None` = any.
    pub requirer: Option<(String, Option<String>)>,
    /// Name of the requirement.
    pub name: String,
    /// The requirement's text, where only that one is replaced.
    pub range: Option<String>,
    /// What counts instead.
    pub to: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct File<'a> {
    #[serde(borrow)]
    overrides: Value<'a>,
    resolutions: Value<'a>,
    pnpm: Value<'a>,
}

/// The replacements in the text of a package.json, in file order; none where it cannot be read.
pub fn read(text: &str) -> Vec<Override> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let file: File<'_> = parse_object(text).unwrap_or_default();
    of(&file.overrides, &file.resolutions, &file.pnpm)
}

/// The same from the three fields of a package.json.
pub(super) fn of(overrides: &Value<'_>, resolutions: &Value<'_>, pnpm: &Value<'_>) -> Vec<Override> {
    let mut out = Vec::new();
    for (pattern, to) in resolutions.pairs() {
        let Some(to) = to.text() else { continue };
        out.extend(in_path(pattern, to));
    }
    let nothing = Value::Null;
    for section in [overrides, pnpm.get("overrides").unwrap_or(&nothing)] {
        nested(section, None, &mut out);
    }
    out
}

/// Replacements of one name that are looked at: a real project has a handful.
const MAX_OF_NAME: usize = 64;

/// Replacements by the name that they replace.
#[derive(Debug, Default)]
pub(super) struct ByName(BTreeMap<String, Vec<Override>>);

impl ByName {
    pub fn new(overrides: Vec<Override>) -> Self {
        let mut out: BTreeMap<String, Vec<Override>> = BTreeMap::new();
        for one in overrides {
            let of_name = out.entry(one.name.clone()).or_default();
            if of_name.len() < MAX_OF_NAME {
                of_name.push(one);
            }
        }
        Self(out)
    }

    pub fn of(&self, name: &str) -> &[Override] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }
}

/// Names that are replaced wherever they are required, in the project's own manifest too.
pub(super) fn everywhere(overrides: &[Override]) -> BTreeSet<String> {
    overrides.iter().filter(|o| o.requirer.is_none()).map(|o| o.name.clone()).collect()
}

/// The same names from the keys of a lock's own flat table: `a`, `a@^1`; `a>b` holds below `a` only.
pub(super) fn replaced<'k>(keys: impl Iterator<Item = &'k str>) -> BTreeSet<String> {
    keys.filter(|key| arrow(key).is_none()).map(|key| split(key).0.to_string()).collect()
}

/// npm nests (`{"a": {".": "2", "b": "1"}}`), pnpm writes `a>b`; only the nearest requirer is kept. The depth is bounded
/// by the JSON parser's.
fn nested(section: &Value<'_>, requirer: Option<&str>, out: &mut Vec<Override>) {
    for (key, value) in section.pairs() {
        let (outer, key) = match arrow(key) {
            Some((outer, inner)) => (Some(outer), inner),
            None => (requirer, key.as_ref()),
        };
        let (outer, key) = if key == "." { (None, requirer.unwrap_or(key)) } else { (outer, key) };
        match value {
            Value::Map(_) => nested(value, Some(key), out),
            value => {
                let (name, range) = split(key);
                let requirer = outer.map(split).map(|(name, range)| (name.to_string(), range.map(str::to_string)));
                let to = value.text().unwrap_or_default().to_string();
                out.push(Override { requirer, name: name.to_string(), range: range.map(str::to_string), to });
            }
        }
    }
}

/// `a@1>b@2`: the arrow, which is no comparison in a range.
fn arrow(key: &str) -> Option<(&str, &str)> {
    let bytes = key.as_bytes();
    let at = (1..bytes.len()).rev().find(|&at| bytes[at] == b'>' && !matches!(bytes[at - 1], b' ' | b'|' | b'@'))?;
    Some((&key[..at], &key[at + 1..]))
}

/// Yarn's patterns: `b`, `a/b`, `a@npm:1.0.0/@s/b@npm:^2.0.0`, `**/b`, `a/**/b`.
fn in_path(pattern: &str, to: &str) -> Option<Override> {
    let mut parts: Vec<String> = Vec::new();
    let mut scope: Option<&str> = None;
    for part in pattern.split('/') {
        match scope.take() {
            Some(scope) => parts.push(format!("{scope}/{part}")),
            None if part.starts_with('@') && !part[1..].contains('@') => scope = Some(part),
            None => parts.push(part.to_string()),
        }
    }
    let last = parts.pop()?;
    let (name, range) = split(&last);
    let requirer = parts.pop().filter(|part| part != "**" && part != "*").map(|part| {
        let (name, range) = split(&part);
        (name.to_string(), range.map(str::to_string))
    });
    Some(Override { requirer, name: name.to_string(), range: range.map(str::to_string), to: to.to_string() })
}

/// `name@range`; the scope's `@` is the first character.
pub(super) fn split(text: &str) -> (&str, Option<&str>) {
    match text.char_indices().skip(1).find(|&(_, c)| c == '@') {
        Some((at, _)) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Said<'a> = (Option<(&'a str, Option<&'a str>)>, &'a str, Option<&'a str>, &'a str);

    fn said(overrides: &[Override]) -> Vec<Said<'_>> {
        overrides
            .iter()
            .map(|o| {
                let requirer = o.requirer.as_ref().map(|(name, range)| (name.as_str(), range.as_deref()));
                (requirer, o.name.as_str(), o.range.as_deref(), o.to.as_str())
            })
            .collect()
    }

    #[test]
    fn yarns_paths_are_split_at_packages() {
        let read = read(
            r#"{"resolutions": {"a": "1", "@s/a/b": "2", "a@npm:1.0.0/@s/b@npm:^2.0.0": "3", "**/c": "4", "a/**/d": "5",
               "left-pad@npm:1.3.0": "patch:left-pad@npm%3A1.3.0#~/x.patch", "n": 1}}"#,
        );
        assert_eq!(
            said(&read),
            [
                (None, "a", None, "1"),
                (Some(("@s/a", None)), "b", None, "2"),
                (Some(("a", Some("npm:1.0.0"))), "@s/b", Some("npm:^2.0.0"), "3"),
                (None, "c", None, "4"),
                (None, "d", None, "5"),
                (None, "left-pad", Some("npm:1.3.0"), "patch:left-pad@npm%3A1.3.0#~/x.patch"),
            ]
        );
        assert_eq!(everywhere(&read).into_iter().collect::<Vec<_>>(), ["a", "c", "d", "left-pad"]);
    }

    #[test]
    fn npm_nests_and_pnpm_points() {
        let read = read(
            r#"{"overrides": {"a": "1", "b@^2": {".": "2.1.0", "c": {"d": "$d"}}},
               "pnpm": {"overrides": {"@s/x@1>y@>=1 <2": "1.5.0", "z@>=2": "2.2.0"}}}"#,
        );
        assert_eq!(
            said(&read),
            [
                (None, "a", None, "1"),
                (None, "b", Some("^2"), "2.1.0"),
                (Some(("c", None)), "d", None, "$d"),
                (Some(("@s/x", Some("1"))), "y", Some(">=1 <2"), "1.5.0"),
                (None, "z", Some(">=2"), "2.2.0"),
            ]
        );
    }

    #[test]
    fn what_is_no_manifest_overrides_nothing() {
        for text in ["", "[]", "{\"overrides\": 1, \"resolutions\": [\"a\"], \"pnpm\": null}"] {
            assert!(read(text).is_empty(), "{text}");
        }
    }
}
