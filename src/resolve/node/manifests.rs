//! What `package.json` says about modules: how a folder is entered, what it exports, which local packages there are.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use serde_json::Value;

use crate::discover::{Tree, paths};
use crate::resolve::memo::Memo;

/// The parts of a `package.json` that decide what a specifier means.
#[derive(Debug, Default)]
pub(super) struct Package {
    pub(super) name: Option<String>,
    /// `"type": "module"` and `"type": "commonjs"`; absent where nothing says.
    pub(super) module: Option<bool>,
    /// Entry points, the one that Node.js takes first.
    pub(super) entries: Vec<String>,
    pub(super) exports: Option<Value>,
    pub(super) imports: Option<Value>,
    /// Names that are installed with it, with what is asked for. Development dependencies are not among them.
    asked: BTreeMap<String, String>,
    /// Names that are installed for development only.
    dev: BTreeMap<String, String>,
    workspaces: bool,
}

/// Every `package.json` of a tree, each read once.
#[derive(Debug)]
pub(super) struct Manifests<'a> {
    tree: &'a Tree,
    read: Memo<String, Option<Package>>,
    by_name: OnceLock<BTreeMap<String, Vec<String>>>,
}

/// How a package is declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Declared {
    /// Installed in production.
    Yes,
    /// Installed for development only.
    ForDevelopment,
}

impl<'a> Manifests<'a> {
    pub(super) fn new(tree: &'a Tree) -> Self {
        Self { tree, read: Memo::new(), by_name: OnceLock::new() }
    }

    /// The `package.json` of a folder, where it has one that can be read. What is wrong with it is said where its
    /// dependencies are read.
    pub(super) fn at(&self, dir: &str) -> Option<Arc<Option<Package>>> {
        let file = paths::join(dir, "package.json").filter(|file| self.tree.contains(file))?;
        Some(self.read.get(&file, || {
            let text = self.tree.text(&file).ok()?;
            serde_json::from_str(&text).ok().map(|root: Value| Package::of(&root))
        }))
    }

    /// The package that a file belongs to, and its folder.
    pub(super) fn around(&self, file: &str) -> Option<(String, Arc<Option<Package>>)> {
        paths::ancestors(paths::parent(file)).find_map(|dir| Some((dir.to_string(), self.at(dir)?)))
    }

    /// How a package is declared by the manifests in and above a file's folder: Node.js looks for it beside each.
    pub(super) fn declared(&self, file: &str, name: &str) -> Option<Declared> {
        let mut development = None;
        for dir in paths::ancestors(paths::parent(file)) {
            let Some(found) = self.at(dir) else { continue };
            let Some(package) = found.as_ref() else { continue };
            if package.asked.contains_key(name) {
                return Some(Declared::Yes);
            }
            if package.dev.contains_key(name) {
                development = Some(Declared::ForDevelopment);
            }
        }
        development
    }

    /// The folder of a package of the tree itself that `name` means in a file: linked by path, or another member of the
    /// file's workspace.
    pub(super) fn local(&self, file: &str, name: &str) -> Option<String> {
        for dir in paths::ancestors(paths::parent(file)) {
            let Some(found) = self.at(dir) else { continue };
            let Some(package) = found.as_ref() else { continue };
            let Some(text) = package.asked.get(name).or_else(|| package.dev.get(name)) else { continue };
            if let Some(path) = ["file:", "link:", "portal:"].iter().find_map(|p| text.strip_prefix(p)) {
                return paths::join(dir, path).filter(|folder| self.at(folder).is_some());
            }
            if text.starts_with("workspace:") {
                return self.named(name).first().cloned();
            }
        }
        let root = self.workspace(file)?;
        self.named(name).iter().find(|dir| paths::is_within(dir, &root)).cloned()
    }

    /// Folders whose package has this name, sorted.
    pub(super) fn named(&self, name: &str) -> &[String] {
        let by_name = self.by_name.get_or_init(|| {
            let mut by_name: BTreeMap<String, Vec<String>> = BTreeMap::new();
            for file in self.tree.files().filter(|file| paths::file_name(file) == "package.json") {
                let dir = paths::parent(file);
                let found = self.at(dir);
                if let Some(name) = found.as_deref().and_then(|p| p.as_ref()?.name.clone()) {
                    by_name.entry(name).or_default().push(dir.to_string());
                }
            }
            by_name
        });
        by_name.get(name).map_or(&[], Vec::as_slice)
    }

    /// The nearest folder that is the root of a workspace.
    fn workspace(&self, file: &str) -> Option<String> {
        let is_root = |dir: &&str| {
            ["pnpm-workspace.yaml", "lerna.json", "rush.json"]
                .iter()
                .any(|name| paths::join(dir, name).is_some_and(|path| self.tree.contains(&path)))
                || self.at(dir).is_some_and(|found| found.as_ref().as_ref().is_some_and(|p| p.workspaces))
        };
        paths::ancestors(paths::parent(file)).find(is_root).map(str::to_string)
    }
}

impl Package {
    fn of(root: &Value) -> Package {
        let text = |key: &str| root.get(key).and_then(Value::as_str).map(str::to_string);
        let asked = |keys: &[&str]| {
            let sections = keys.iter().filter_map(|key| root.get(*key)?.as_object());
            sections
                .flat_map(|section| section.iter())
                .map(|(name, text)| (name.clone(), text.as_str().unwrap_or_default().to_string()))
                .collect()
        };
        Package {
            name: text("name").filter(|name| !name.is_empty()),
            module: match text("type").as_deref() {
                Some("module") => Some(true),
                Some("commonjs") => Some(false),
                _ => None,
            },
            entries: ["main", "module"].iter().filter_map(|key| text(key)).collect(),
            exports: root.get("exports").filter(|value| !value.is_null()).cloned(),
            imports: root.get("imports").filter(|value| value.is_object()).cloned(),
            asked: asked(&["dependencies", "optionalDependencies", "peerDependencies"]),
            dev: asked(&["devDependencies"]),
            workspaces: root.get("workspaces").is_some(),
        }
    }
}
