//! Path aliases of TypeScript projects: `paths` and `baseUrl` of the nearest `tsconfig.json` or `jsconfig.json`.
//!
//! Bundlers follow them, so `@lib/util` is the function's own code where an alias says so. `extends` is followed to files
//! of the project, not into packages. <https://www.typescriptlang.org/tsconfig/#paths>

use serde_json::Value;

use crate::discover::{Tree, paths};

use super::memo::Memo;

/// `extends` goes a few files deep; a circle of them ends here.
const MAX_EXTENDS: usize = 8;

/// The aliases of a fleet's projects, each file read once.
#[derive(Debug)]
pub struct Aliases<'a> {
    tree: &'a Tree,
    configs: Memo<String, Option<Config>>,
}

/// What one configuration comes to, with what it extends.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Config {
    /// Folder that bare specifiers are looked up in, relative to the tree.
    base: Option<String>,
    /// Pattern (one `*` at most) and its targets, relative to the tree.
    paths: Vec<(String, Vec<String>)>,
}

impl<'a> Aliases<'a> {
    /// Nothing is read yet.
    pub fn new(tree: &'a Tree) -> Self {
        Self { tree, configs: Memo::new() }
    }

    /// Paths relative to the tree, without extension, that a specifier may stand for in a file; the likeliest first.
    pub fn of(&self, file: &str, specifier: &str) -> Vec<String> {
        let mut nearest = paths::ancestors(paths::parent(file)).flat_map(|dir| {
            ["tsconfig.json", "jsconfig.json"].into_iter().filter_map(move |name| paths::join(dir, name))
        });
        let Some(config) = nearest.find(|path| self.tree.contains(path)) else { return Vec::new() };
        let made = self.configs.get(&config, || self.read(&config, MAX_EXTENDS));
        made.as_ref().as_ref().map(|config| config.targets(specifier)).unwrap_or_default()
    }

    fn read(&self, file: &str, depth: usize) -> Option<Config> {
        let text = self.tree.text(file).ok()?;
        let root: Value = jsonc_parser::parse_to_serde_value(&text, &jsonc_parser::ParseOptions::default()).ok()?;
        let dir = paths::parent(file);
        let mut config = Config::default();
        let extended: Vec<&str> = match root.get("extends") {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        // A later file overrides an earlier one.
        for name in extended.into_iter().filter(|n| n.starts_with('.') && depth > 0) {
            let path = paths::join(dir, name).map(|p| if self.tree.contains(&p) { p } else { format!("{p}.json") });
            let Some(inner) = path.and_then(|path| self.read(&path, depth - 1)) else { continue };
            config.base = inner.base.or(config.base);
            if !inner.paths.is_empty() {
                config.paths = inner.paths;
            }
        }
        let options = root.get("compilerOptions");
        if let Some(base) = options.and_then(|o| o.get("baseUrl")).and_then(Value::as_str) {
            config.base = paths::join(dir, base);
        }
        if let Some(aliases) = options.and_then(|o| o.get("paths")).and_then(Value::as_object) {
            let from = config.base.as_deref().unwrap_or(dir);
            config.paths = aliases
                .iter()
                .map(|(pattern, targets)| {
                    let targets = targets.as_array().into_iter().flatten().filter_map(Value::as_str);
                    (pattern.clone(), targets.filter_map(|target| paths::join(from, target)).collect())
                })
                .collect();
        }
        Some(config)
    }
}

impl Config {
    /// As TypeScript does: an exact pattern first, then the one with the longest text before its `*`.
    fn targets(&self, specifier: &str) -> Vec<String> {
        let best = self
            .paths
            .iter()
            .filter_map(|(pattern, targets)| match pattern.split_once('*') {
                None => (pattern == specifier).then_some((usize::MAX, "", targets)),
                Some((before, after)) => {
                    let middle = specifier.strip_prefix(before)?.strip_suffix(after)?;
                    Some((before.len(), middle, targets))
                }
            })
            .max_by_key(|(length, _, _)| *length);
        let aliased = best.into_iter().flat_map(|(_, middle, targets)| targets.iter().map(|t| t.replace('*', middle)));
        let based = self.base.iter().filter_map(|base| paths::join(base, specifier));
        aliased.chain(based).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aliases_are_those_of_the_nearest_project() {
        let tree = Tree::in_memory(&[
            ("a/tsconfig.json", br#"{"extends": "./paths", "compilerOptions": {"strict": true /* more */,}}"#),
            (
                "a/paths.json",
                br#"{"compilerOptions": {"baseUrl": ".", "paths": {"@libs/*": ["src/libs/*"], "@libs/one": ["one"]}}}"#,
            ),
            ("b/tsconfig.json", br#"{"compilerOptions": {"paths": {"@/*": ["./lib/*", "./src/*"], "~*": ["./*"]}}}"#),
            ("c/tsconfig.json", br#"{"extends": "./tsconfig.json"}"#),
            ("d/tsconfig.json", b"not json"),
        ]);
        let aliases = Aliases::new(&tree);
        for (file, specifier, expected) in [
            ("a/src/fn/x.ts", "@libs/api", &["a/src/libs/api", "a/@libs/api"][..]),
            ("a/src/fn/x.ts", "@libs/one", &["a/one", "a/@libs/one"]),
            ("a/src/fn/x.ts", "express", &["a/express"]),
            ("b/x.ts", "@/deep/y", &["b/lib/deep/y", "b/src/deep/y"]),
            ("b/x.ts", "~z", &["b/z"]),
            ("b/x.ts", "express", &[]),
            ("c/x.ts", "y", &[]),
            ("d/x.ts", "y", &[]),
            ("e/x.ts", "y", &[]),
        ] {
            assert_eq!(aliases.of(file, specifier), expected, "{specifier} in {file}");
        }
    }
}
