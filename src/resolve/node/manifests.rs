//! What `package.json` says about modules: how a folder is entered, what it exports, which local packages there are.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use serde_json::Value;

use crate::discover::{Tree, doc, paths, trace};

use super::files;
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
    /// Patterns of the folders of a workspace's members, where it is the root of one.
    workspaces: Option<Vec<String>>,
}

/// Every `package.json` of a tree, each read once.
#[derive(Debug)]
pub(super) struct Manifests<'a> {
    tree: &'a Tree,
    read: Memo<String, Option<Package>>,
    by_name: OnceLock<BTreeMap<String, Vec<String>>>,
    members: Memo<String, Option<Vec<String>>>,
}

/// How a package is declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Declared {
    /// Installed in production: by this manifest, as this.
    By(String, String),
    /// Installed for development only.
    ForDevelopment,
}

impl<'a> Manifests<'a> {
    pub(super) fn new(tree: &'a Tree) -> Self {
        Self { tree, read: Memo::new(), by_name: OnceLock::new(), members: Memo::new() }
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
            if let Some(text) = package.asked.get(name) {
                return Some(Declared::By(paths::join(dir, "package.json")?, text.clone()));
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
        let named = self.named(name);
        // Most names are no package of the tree.
        if named.is_empty() {
            return None;
        }
        let (root, patterns) = paths::ancestors(paths::parent(file)).find_map(|dir| {
            let members = self.members.get(&dir.to_string(), || self.members(dir));
            Some((dir, members.as_ref().clone()?))
        })?;
        let is_member = |dir: &&String| {
            let Some(inner) = paths::relative_to(dir, root) else { return dir.as_str() == root };
            let taken = |pattern: &str| files::matches(pattern.trim_start_matches("./").trim_end_matches('/'), inner);
            let out = patterns.iter().filter_map(|p| p.strip_prefix('!')).any(taken);
            !out && patterns.iter().filter(|p| !p.starts_with('!')).any(|p| taken(p))
        };
        named.iter().find(is_member).cloned()
    }

    /// Forgets what was not asked for since the last call.
    pub(super) fn turn(&self) {
        self.read.turn();
        self.members.turn();
    }

    /// Folders whose package has this name, sorted.
    pub(super) fn named(&self, name: &str) -> &[String] {
        // Every manifest of the tree is read for it, and an answer depends on those alone that have the name.
        let make = || {
            let mut by_name: BTreeMap<String, Vec<String>> = BTreeMap::new();
            for file in self.tree.files().filter(|file| paths::file_name(file) == "package.json") {
                let dir = paths::parent(file);
                let found = self.at(dir);
                if let Some(name) = found.as_deref().and_then(|p| p.as_ref()?.name.clone()) {
                    by_name.entry(name).or_default().push(dir.to_string());
                }
            }
            by_name
        };
        let by_name = self.by_name.get_or_init(|| trace::apart(make));
        let folders = by_name.get(name).map_or(&[][..], Vec::as_slice);
        trace::note(|trace| drop(trace.names.insert(name.to_string(), folders.to_vec())));
        folders
    }

    /// Patterns of the folders of a workspace's members, where a folder is the root of one: npm, yarn and bun write
    /// them in `package.json`, pnpm in its own file, lerna and rush in theirs.
    fn members(&self, dir: &str) -> Option<Vec<String>> {
        let text = |name: &str| {
            let file = paths::join(dir, name).filter(|file| self.tree.contains(file))?;
            self.tree.text(&file).ok()
        };
        let list = |text: String| {
            let root = doc::parse(&text).ok()?;
            let items = root.get("packages")?.items().iter().filter_map(|item| item.text().map(str::to_string));
            Some(items.collect::<Vec<String>>())
        };
        if let Some(text) = text("pnpm-workspace.yaml") {
            return list(text);
        }
        let own = self.at(dir).and_then(|found| found.as_ref().as_ref()?.workspaces.clone());
        own.or_else(|| list(text("lerna.json")?)).or_else(|| {
            let rush: Value = jsonc_parser::parse_to_serde_value(&text("rush.json")?, &Default::default()).ok()?;
            let projects = rush.get("projects")?.as_array()?;
            Some(projects.iter().filter_map(|p| Some(p.get("projectFolder")?.as_str()?.to_string())).collect())
        })
    }
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_string).collect()
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
            workspaces: root.get("workspaces").map(|value| texts(value.get("packages").unwrap_or(value))),
        }
    }
}
