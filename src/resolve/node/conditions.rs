//! `exports` and `imports` of a `package.json`: patterns and conditions, as Node.js resolves them.
//! <https://nodejs.org/api/esm.html#resolution-algorithm-specification>

use serde_json::Value;

/// What a specifier comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// A path in the package, as written: `./lib/x.js`.
    Path(String),
    /// Another package (`imports` only).
    Package(String),
    /// The package does not offer it.
    NotOffered,
}

/// `exports` for a subpath: empty for the package itself, else without `./`.
pub(super) fn exported(exports: &Value, subpath: &str, conditions: &[&str]) -> Target {
    let keyed = exports.as_object().is_some_and(|map| map.keys().next().is_some_and(|key| key.starts_with('.')));
    if !keyed {
        // One entry for the package itself.
        return match subpath {
            "" => target(exports, "", false, conditions, 0).unwrap_or(Target::NotOffered),
            _ => Target::NotOffered,
        };
    }
    let key = if subpath.is_empty() { ".".to_string() } else { format!("./{subpath}") };
    matched(exports, &key, false, conditions)
}

/// `imports` for a specifier that begins with `#`.
pub(super) fn imported(imports: &Value, specifier: &str, conditions: &[&str]) -> Target {
    if specifier == "#" || specifier.starts_with("#/") {
        return Target::NotOffered;
    }
    matched(imports, specifier, true, conditions)
}

/// The exact key first, then of the patterns (one `*`) the one with the longest text before it.
fn matched(map: &Value, key: &str, imports: bool, conditions: &[&str]) -> Target {
    let Some(map) = map.as_object() else { return Target::NotOffered };
    if let Some(value) = map.get(key).filter(|_| !key.contains('*')) {
        return target(value, "", imports, conditions, 0).unwrap_or(Target::NotOffered);
    }
    let patterns = map.iter().filter_map(|(pattern, value)| {
        let (before, after) = match pattern.split_once('*') {
            Some((before, after)) if !after.contains('*') => (before, after),
            // `"./lib/": "./lib/"` of older packages is a pattern too.
            None if pattern.ends_with('/') => (pattern.as_str(), ""),
            _ => return None,
        };
        let long_enough = key.len() >= before.len() + after.len() && key != before;
        let middle = key.strip_prefix(before).filter(|_| long_enough)?.strip_suffix(after)?;
        Some((before.len(), pattern.len(), middle, value, pattern.ends_with('/')))
    });
    match patterns.max_by_key(|(before, length, ..)| (*before, *length)) {
        Some((_, _, middle, value, folder)) => match target(value, middle, imports, conditions, 0) {
            Some(Target::Path(path)) if folder => Target::Path(format!("{path}{middle}")),
            Some(found) => found,
            None => Target::NotOffered,
        },
        None => Target::NotOffered,
    }
}

/// Conditions nest a few deep.
const MAX_DEPTH: usize = 16;

/// `None` where no condition holds: then the next one is tried.
fn target(value: &Value, middle: &str, imports: bool, conditions: &[&str], depth: usize) -> Option<Target> {
    if depth > MAX_DEPTH {
        return None;
    }
    match value {
        Value::String(text) => {
            let text = text.replace('*', middle);
            if text.starts_with("./") {
                Some(Target::Path(text))
            } else if imports && !text.starts_with("../") && !text.starts_with('/') && !text.contains(':') {
                // A URL is refused, `node:fs` too.
                Some(Target::Package(text))
            } else {
                Some(Target::NotOffered)
            }
        }
        Value::Object(map) => map
            .iter()
            .filter(|(condition, _)| *condition == "default" || conditions.contains(&condition.as_str()))
            .find_map(|(_, value)| target(value, middle, imports, conditions, depth + 1)),
        // The first that is no mistake.
        Value::Array(several) => {
            let mut found = several.iter().filter_map(|v| target(v, middle, imports, conditions, depth + 1));
            found.find(|t| *t != Target::NotOffered).or(Some(Target::NotOffered))
        }
        // `null` takes back what a pattern offers.
        Value::Null => Some(Target::NotOffered),
        _ => Some(Target::NotOffered),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const IMPORT: &[&str] = &["node", "import"];
    const REQUIRE: &[&str] = &["node", "require"];

    fn path(text: &str) -> Target {
        Target::Path(text.to_string())
    }

    #[test]
    fn one_entry_is_that_of_the_package() {
        assert_eq!(exported(&json!("./a.js"), "", IMPORT), path("./a.js"));
        assert_eq!(exported(&json!("./a.js"), "b", IMPORT), Target::NotOffered);
        let by_kind = json!({"import": "./a.mjs", "require": "./a.cjs"});
        assert_eq!(exported(&by_kind, "", IMPORT), path("./a.mjs"));
        assert_eq!(exported(&by_kind, "", REQUIRE), path("./a.cjs"));
        assert_eq!(exported(&json!({"browser": "./b.js"}), "", IMPORT), Target::NotOffered);
    }

    #[test]
    fn patterns_and_what_takes_them_back() {
        let exports = json!({
            ".": {"node": {"import": "./n.mjs"}, "default": "./d.js"},
            "./f/*": "./src/f/*.js",
            "./f/*.css": "./styles/*.css",
            "./f/private/*": null,
            "./old/": "./lib/",
            "./list": ["not-relative", "./list.js"],
            "./outside": "../x.js"
        });
        for (subpath, expected) in [
            ("", path("./n.mjs")),
            ("f/a", path("./src/f/a.js")),
            ("f/a/b", path("./src/f/a/b.js")),
            ("f/a.css", path("./styles/a.css")),
            ("f/private/a", Target::NotOffered),
            ("f/", Target::NotOffered),
            ("old/a.js", path("./lib/a.js")),
            ("list", path("./list.js")),
            ("outside", Target::NotOffered),
            ("gone", Target::NotOffered),
        ] {
            assert_eq!(exported(&exports, subpath, IMPORT), expected, "{subpath}");
        }
        assert_eq!(exported(&exports, "", REQUIRE), path("./d.js"), "nothing under `node` holds for require");
    }

    #[test]
    fn imports_may_name_packages() {
        let imports = json!({"#dep": {"node": "dep-native", "default": "./dep.js"}, "#lib/*": "./lib/*.js"});
        assert_eq!(imported(&imports, "#dep", IMPORT), Target::Package("dep-native".into()));
        assert_eq!(imported(&imports, "#dep", &["import"]), path("./dep.js"));
        assert_eq!(imported(&imports, "#lib/a", IMPORT), path("./lib/a.js"));
        assert_eq!(imported(&imports, "#gone", IMPORT), Target::NotOffered);
    }
}
