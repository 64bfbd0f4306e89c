//! What the nearest `tsconfig.json` or `jsconfig.json` says about a file: path aliases, and how it is compiled.
//!
//! Bundlers follow `paths` and `baseUrl`, so `@lib/util` is the function's own code where an alias says so. `extends` is
//! followed to files and to packages of the tree; what a package from a registry says is not known. A configuration
//! that only holds `references` (no files of its own) speaks through the first of them that has aliases, else through
//! the first. <https://www.typescriptlang.org/tsconfig/>

use std::sync::Arc;

use serde_json::Value;

use crate::discover::{Tree, paths};
use crate::source::javascript::{Compile, Jsx};

use super::memo::Memo;

/// `extends` goes a few files deep; a circle of them ends here.
const MAX_EXTENDS: usize = 8;
/// Files read for one configuration: each may name several, which name several.
const MAX_FILES: usize = 64;

/// A package of the tree by its name, as its folder.
type Packages<'p> = &'p dyn Fn(&str) -> Option<String>;

/// The configurations of a fleet's projects, each read once.
#[derive(Debug)]
pub struct Projects<'a> {
    tree: &'a Tree,
    nearest: Memo<String, Option<String>>,
    configs: Memo<String, Config>,
}

/// Patterns (one `*` at most), each with its targets.
type Aliases = Vec<(String, Vec<String>)>;

/// What one configuration comes to, with what it extends.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config {
    /// How files are compiled.
    pub compile: Compile,
    /// Folders that are one at run time (`rootDirs`), relative to the tree.
    pub root_dirs: Vec<String>,
    /// Folder that bare specifiers are looked up in, relative to the tree.
    base: Option<String>,
    /// Relative to the tree.
    paths: Aliases,
}

/// Options as they are inherited: the last one that says something counts.
#[derive(Debug, Default)]
struct Raw {
    base: Option<String>,
    /// Targets as written, and the folder of the file that writes them.
    paths: Option<(String, Aliases)>,
    root_dirs: Option<Vec<String>>,
    flags: std::collections::BTreeMap<&'static str, bool>,
    texts: std::collections::BTreeMap<&'static str, String>,
    /// Files that may still be read.
    left: usize,
}

const FLAGS: &[&str] =
    &["verbatimModuleSyntax", "preserveValueImports", "experimentalDecorators", "emitDecoratorMetadata"];
const TEXTS: &[&str] = &["importsNotUsedAsValues", "jsx", "jsxImportSource", "jsxFactory", "reactNamespace"];

impl<'a> Projects<'a> {
    /// Nothing is read yet.
    pub fn new(tree: &'a Tree) -> Self {
        Self { tree, nearest: Memo::new(), configs: Memo::new() }
    }

    /// Forgets what was not asked for since the last call.
    pub fn turn(&self) {
        self.nearest.turn();
        self.configs.turn();
    }

    /// The configuration of a file; `None` without one. `packages` finds the packages of the tree that `extends` names.
    pub fn of(&self, file: &str, packages: Packages<'_>) -> Option<Arc<Config>> {
        let dir = paths::parent(file);
        let nearest = self.nearest.get(&dir.to_string(), || {
            let names = ["tsconfig.json", "jsconfig.json"];
            let mut all =
                paths::ancestors(dir).flat_map(|dir| names.iter().filter_map(move |name| paths::join(dir, name)));
            all.find(|path| self.tree.contains(path))
        });
        let config = nearest.as_ref().as_ref()?;
        Some(self.configs.get(config, || self.config(config, packages, MAX_EXTENDS, &mut MAX_FILES.clone())))
    }

    fn config(&self, file: &str, packages: Packages<'_>, depth: usize, left: &mut usize) -> Config {
        let mut raw = Raw { left: *left, ..Raw::default() };
        let root = self.read(file, paths::parent(file), packages, depth, &mut raw);
        *left = raw.left;
        let own = raw.into_config();
        // `"files": []` with `references`: the files belong to one of those.
        let list = |key: &str| root.as_ref().and_then(|root| root.get(key)).and_then(Value::as_array);
        let solution = list("files").is_some_and(Vec::is_empty) && list("include").is_none_or(Vec::is_empty);
        let Some(references) = list("references").filter(|_| solution && depth > 0) else { return own };
        let targets = references.iter().filter_map(|r| r.get("path")?.as_str());
        let read: Vec<Config> = targets
            .take(16)
            .filter_map(|path| self.file(paths::parent(file), path))
            .map(|path| self.config(&path, packages, depth - 1, left))
            .collect();
        let at = read.iter().position(|c| !c.paths.is_empty() || c.base.is_some()).unwrap_or(0);
        read.into_iter().nth(at).unwrap_or(own)
    }

    /// `./x`, `./x.json` or the `tsconfig.json` of a folder.
    fn file(&self, dir: &str, name: &str) -> Option<String> {
        let path = paths::join(dir, name)?;
        [path.clone(), format!("{path}.json"), paths::join(&path, "tsconfig.json")?]
            .into_iter()
            .find(|path| self.tree.contains(path))
    }

    /// Reads one file into what is known; `top` is the folder of the configuration that all this is for.
    fn read(&self, file: &str, top: &str, packages: Packages<'_>, depth: usize, raw: &mut Raw) -> Option<Value> {
        raw.left = raw.left.checked_sub(1)?;
        let text = self.tree.text(file).ok()?;
        let root: Value = jsonc_parser::parse_to_serde_value(&text, &jsonc_parser::ParseOptions::default()).ok()?;
        let dir = paths::parent(file);
        let extended: Vec<&str> = match root.get("extends") {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).take(16).collect(),
            _ => Vec::new(),
        };
        // A later file overrides an earlier one.
        for name in extended.into_iter().filter(|_| depth > 0) {
            let path = if name.starts_with('.') { self.file(dir, name) } else { self.in_package(name, packages) };
            if let Some(path) = path {
                self.read(&path, top, packages, depth - 1, raw);
            }
        }
        let join = |path: &str| match path.strip_prefix("${configDir}") {
            Some(rest) => paths::join(top, rest.trim_start_matches('/')),
            None => paths::join(dir, path),
        };
        let options = root.get("compilerOptions");
        let get = |key: &str| options.and_then(|options| options.get(key));
        if let Some(base) = get("baseUrl").and_then(Value::as_str) {
            raw.base = join(base);
        }
        if let Some(aliases) = get("paths").and_then(Value::as_object) {
            let one = |(pattern, targets): (&String, &Value)| {
                let targets = targets.as_array().into_iter().flatten().filter_map(Value::as_str);
                (pattern.clone(), targets.map(|t| t.replace("${configDir}", ".")).collect())
            };
            raw.paths = Some((dir.to_string(), aliases.iter().map(one).collect()));
        }
        if let Some(dirs) = get("rootDirs").and_then(Value::as_array) {
            raw.root_dirs = Some(dirs.iter().filter_map(Value::as_str).filter_map(join).collect());
        }
        for &key in FLAGS {
            raw.flags.extend(get(key).and_then(Value::as_bool).map(|yes| (key, yes)));
        }
        for &key in TEXTS {
            raw.texts.extend(get(key).and_then(Value::as_str).map(|text| (key, text.to_string())));
        }
        Some(root)
    }

    /// `@scope/config`, `@scope/config/node.json`: a package of the tree.
    fn in_package(&self, name: &str, packages: Packages<'_>) -> Option<String> {
        let length = if name.starts_with('@') { 2 } else { 1 };
        let parts: Vec<&str> = name.splitn(length + 1, '/').collect();
        let folder = packages(&parts.get(..length)?.join("/"))?;
        self.file(&folder, parts.get(length).copied().unwrap_or("tsconfig.json"))
    }
}

impl Raw {
    fn into_config(mut self) -> Config {
        let flag = |key| self.flags.get(key).copied().unwrap_or_default();
        let text = |key| self.texts.get(key).map(|text| text.to_ascii_lowercase());
        let compile = Compile {
            verbatim: flag("verbatimModuleSyntax"),
            keep_names: flag("preserveValueImports"),
            keep_statements: text("importsNotUsedAsValues").is_some_and(|t| t == "preserve" || t == "error"),
            decorator_metadata: flag("experimentalDecorators") && flag("emitDecoratorMetadata"),
            jsx: match text("jsx").as_deref() {
                Some("react-jsx") => Jsx::Automatic,
                Some("react-jsxdev") => Jsx::AutomaticDev,
                _ => Jsx::Classic,
            },
            jsx_source: self.texts.remove("jsxImportSource"),
            jsx_factory: self.texts.remove("jsxFactory").or_else(|| self.texts.remove("reactNamespace")),
        };
        let (dir, paths) = self.paths.unwrap_or_default();
        let from = self.base.clone().unwrap_or(dir);
        let resolved = paths.into_iter().map(|(pattern, targets)| {
            let targets = targets.iter().filter_map(|target| paths::join(&from, target)).collect();
            (pattern, targets)
        });
        Config { compile, root_dirs: self.root_dirs.unwrap_or_default(), paths: resolved.collect(), base: self.base }
    }
}

impl Config {
    /// Paths relative to the tree, without extension, that a specifier may stand for; the likeliest first.
    ///
    /// As TypeScript does: an exact pattern first, then the one with the longest text before its `*`.
    pub fn targets(&self, specifier: &str) -> Vec<String> {
        let best = self
            .paths
            .iter()
            .filter_map(|(pattern, targets)| match pattern.split_once('*') {
                None => (pattern == specifier).then_some((usize::MAX, "", targets)),
                Some((before, after)) => {
                    let long_enough = specifier.len() >= before.len() + after.len();
                    let middle = specifier.strip_prefix(before).filter(|_| long_enough)?.strip_suffix(after)?;
                    Some((before.len(), middle, targets))
                }
            })
            .max_by_key(|(length, _, _)| *length);
        let aliased = best.into_iter().flat_map(|(_, middle, targets)| targets.iter().map(|t| t.replace('*', middle)));
        let absolute = specifier.starts_with('/');
        let based = self.base.iter().filter(|_| !absolute).filter_map(|base| paths::join(base, specifier));
        aliased.chain(based).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nothing(_: &str) -> Option<String> {
        None
    }

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
            ("f/tsconfig.json", br#"{"compilerOptions": {"paths": {"/opt/nodejs/*": ["../layer/*"]}}}"#),
            ("g/tsconfig.json", br#"{"files": [], "references": [{"path": "./node.json"}, {"path": "./app"}]}"#),
            ("g/node.json", b"{}"),
            ("g/app/tsconfig.json", br#"{"compilerOptions": {"baseUrl": "src"}}"#),
            ("h/tsconfig.json", br#"{"extends": ["../a/paths.json", "@own/config/strict.json"]}"#),
            ("own/strict.json", br#"{"compilerOptions": {"baseUrl": "${configDir}/lib", "jsx": "react-jsx"}}"#),
        ]);
        let projects = Projects::new(&tree);
        let own = |name: &str| (name == "@own/config").then(|| "own".to_string());
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
            ("f/x.ts", "/opt/nodejs/util", &["layer/util"]),
            ("f/x.ts", "/opt/other", &[]),
            ("g/x.ts", "y", &["g/app/src/y"]),
            // `paths` of the first, resolved against the `baseUrl` that the second sets.
            ("h/x.ts", "@libs/one", &["h/lib/one", "h/lib/@libs/one"]),
        ] {
            let targets = projects.of(file, &own).map(|c| c.targets(specifier)).unwrap_or_default();
            assert_eq!(targets, expected, "{specifier} in {file}");
        }
        assert_eq!(projects.of("h/x.ts", &own).unwrap().compile.jsx, Jsx::Automatic);
    }

    #[test]
    fn options_are_inherited_and_overridden() {
        let tree = Tree::in_memory(&[
            (
                "tsconfig.base.json",
                br#"{"compilerOptions": {"verbatimModuleSyntax": true, "importsNotUsedAsValues": "error", "jsx": "preserve"}}"#,
            ),
            (
                "tsconfig.json",
                br#"{"extends": "./tsconfig.base.json", "compilerOptions": {"verbatimModuleSyntax": false, "jsxFactory": "h",
                    "emitDecoratorMetadata": true, "rootDirs": ["src", "generated"]}}"#,
            ),
        ]);
        let config = Projects::new(&tree).of("src/x.ts", &nothing).unwrap();
        assert!(!config.compile.verbatim && config.compile.keep_statements);
        // Without `experimentalDecorators` the compiler refuses to tell types.
        assert!(!config.compile.decorator_metadata);
        assert_eq!(config.compile.jsx_factory.as_deref(), Some("h"));
        assert_eq!(config.root_dirs, ["src", "generated"]);
    }
}
