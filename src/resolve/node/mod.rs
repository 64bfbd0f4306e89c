//! What a JavaScript specifier means in a file: local files, a built-in module, a package, or nothing.
//!
//! In this order, as TypeScript, Node.js and the usual bundlers agree on it: built-in modules; aliases of the nearest
//! `tsconfig.json`; `#…` of the nearest `package.json`; the package's own name; other packages of the tree (workspaces,
//! `file:` and `link:`), by their `exports` or entry points with Node's conditions; packages by name. Paths are tried as
//! written, then with the usual extensions, then as folders.

mod conditions;
mod files;
mod manifests;

use std::sync::Arc;

use crate::discover::{Site, Tree, paths};
use crate::model::{ImportKind, Language, Platform};
use crate::source::javascript::Compile;
use crate::source::{self, How, RawImport};

use self::conditions::Target;
pub use self::manifests::Declared;
use self::manifests::{Manifests, Package};
use super::names::{self, Specifier};
use super::stdlib;
use super::tsconfig::{Config, Projects};

/// Files that a pattern may name; more are not a list but a folder that only running would search.
const MAX_PATTERN: usize = 1_000;

/// What a specifier means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meaning {
    /// Files of the tree.
    Local(Vec<String>),
    /// A package of the tree, by name, and the files of it.
    Linked(String, Vec<String>),
    /// Part of Node.js.
    Builtin,
    /// `node:x` that this version of Node.js does not have.
    NoBuiltin,
    /// A package, by name.
    Package(String),
    /// The function's own, and not there.
    NotFound,
    /// A form that only a bundler's own configuration explains.
    Alias,
    /// Only running, or the deployment, would tell.
    Unknown,
}

/// Looks specifiers up; what is read is shared by the functions of a fleet.
#[derive(Debug)]
pub struct Modules<'a> {
    tree: &'a Tree,
    projects: Projects<'a>,
    manifests: Manifests<'a>,
}

/// One import, and where it stands.
struct Look<'l> {
    site: &'l Site,
    file: &'l str,
    how: How,
    conditions: Vec<&'static str>,
    node: (u32, u32),
}

impl<'a> Modules<'a> {
    /// Nothing is read yet.
    pub fn new(tree: &'a Tree) -> Self {
        Self { tree, projects: Projects::new(tree), manifests: Manifests::new(tree) }
    }

    /// Forgets what was not asked for since the last call.
    pub fn turn(&self) {
        self.projects.turn();
        self.manifests.turn();
    }

    /// Folders of the packages of the tree that have this name, sorted.
    pub fn folders_named(&self, name: &str) -> Vec<String> {
        self.manifests.named(name).to_vec()
    }

    fn project(&self, file: &str) -> Option<Arc<Config>> {
        self.projects.of(file, &|name| self.manifests.named(name).first().cloned())
    }

    /// How a file is compiled.
    pub fn compile(&self, file: &str) -> Compile {
        self.project(file).map(|config| config.compile.clone()).unwrap_or_default()
    }

    /// How the manifests in and above a file's folder declare a package.
    pub fn declared(&self, file: &str, name: &str) -> Option<Declared> {
        self.manifests.declared(file, name)
    }

    /// Why Node.js itself would refuse an import in this file, where that is certain.
    pub fn refused(&self, file: &str, raw: &RawImport) -> Option<&'static str> {
        let module = match paths::extension(file) {
            "mjs" => true,
            "cjs" => false,
            "js" => self.manifests.around(file)?.1.as_ref().as_ref()?.module?,
            _ => return None,
        };
        let required = raw.how == How::Require && raw.kind == ImportKind::Runtime;
        let imported = raw.how == How::Import && raw.kind == ImportKind::Runtime && !raw.module.contains("/jsx-");
        match module {
            true if required => Some("`require` is not defined in an ES module"),
            false if imported => Some("an `import` statement is a syntax error in a CommonJS module"),
            _ => None,
        }
    }

    /// What an import of a file means for a function.
    pub fn meaning(&self, site: &Site, platform: &Platform, file: &str, raw: &RawImport) -> Meaning {
        let node = platform.version_pair();
        let mut conditions = vec!["node", "node-addons"];
        conditions.push(if matches!(raw.how, How::Require | How::Created | How::Start) { "require" } else { "import" });
        // Since 20.19 and 22.10.
        if node.0 >= 20 {
            conditions.push("module-sync");
        }
        let look = Look { site, file, how: raw.how, conditions, node };
        // Loaders of webpack stand before the module that they load: `raw-loader!./x`.
        let specifier = raw.module.rsplit('!').next().unwrap_or_default();
        if raw.how == How::Pattern {
            return self.pattern(&look, specifier);
        }
        self.specifier(&look, specifier)
    }

    fn specifier(&self, look: &Look<'_>, specifier: &str) -> Meaning {
        let found = |file: Option<String>| file.map(|file| Meaning::Local(vec![file]));
        match names::package_of_specifier(specifier) {
            Specifier::Relative => found(self.relative(look, specifier)).unwrap_or(Meaning::NotFound),
            Specifier::Absolute => {
                found(self.aliased(look, specifier))
                    .or_else(|| found(self.in_layer(look, specifier)))
                    // Where the machine has it, only the deployment knows.
                    .unwrap_or(Meaning::Unknown)
            }
            Specifier::Builtin if stdlib::node_has(specifier, look.node) => Meaning::Builtin,
            Specifier::Builtin => Meaning::NoBuiltin,
            Specifier::Url => found(self.aliased(look, specifier)).unwrap_or(Meaning::Unknown),
            Specifier::SubpathImport => self.subpath(look, specifier),
            Specifier::Invalid => found(self.aliased(look, specifier)).unwrap_or(Meaning::Alias),
            Specifier::Package { name, subpath } => {
                found(self.aliased(look, specifier)).unwrap_or_else(|| self.package(look, name, &subpath))
            }
        }
    }

    /// By `paths` and `baseUrl`.
    fn aliased(&self, look: &Look<'_>, specifier: &str) -> Option<String> {
        let specifier = specifier.split('?').next().unwrap_or_default();
        self.project(look.file)?.targets(specifier).iter().find_map(|path| self.probe(path, look.file))
    }

    /// `/opt/nodejs/x`: where a layer is unpacked.
    fn in_layer(&self, look: &Look<'_>, specifier: &str) -> Option<String> {
        let rest = specifier.strip_prefix("/opt/")?;
        let folders = look.site.layers.iter().filter_map(|layer| layer.folder.as_deref());
        // A layer that is built from sources has them without the `nodejs` folder.
        let mut candidates = folders.flat_map(|folder| {
            [Some(rest), rest.strip_prefix("nodejs/")].into_iter().flatten().filter_map(|r| paths::join(folder, r))
        });
        candidates.find_map(|path| self.probe(&path, look.file))
    }

    fn relative(&self, look: &Look<'_>, specifier: &str) -> Option<String> {
        let specifier = specifier.split('?').next().unwrap_or_default();
        let dir = paths::parent(look.file);
        match look.how {
            How::Path => return files::exact(self.tree, &paths::join(dir, specifier)?),
            How::Start => {
                let from_root = paths::join(&look.site.root, specifier).and_then(|p| self.probe(&p, look.file));
                if from_root.is_some() {
                    return from_root;
                }
            }
            _ => {}
        }
        let path = paths::join(dir, specifier)?;
        let only_folder = specifier.ends_with('/') || specifier.ends_with("..") || specifier == ".";
        let find = |path: String| match only_folder {
            true => self.folder(&path, look.file),
            false => self.probe(&path, look.file),
        };
        let found = find(path.clone());
        if found.is_some() {
            return found;
        }
        // `rootDirs` are one folder once they are compiled.
        let project = self.project(look.file)?;
        let inside = project.root_dirs.iter().find_map(|root| paths::relative_to(&path, root))?;
        project.root_dirs.iter().filter_map(|root| paths::join(root, inside)).find_map(find)
    }

    /// A path with or without extension, or a folder.
    fn probe(&self, path: &str, from: &str) -> Option<String> {
        files::with_extension(self.tree, path, from).or_else(|| self.folder(path, from))
    }

    /// What a folder is entered by: what its `package.json` says, else `index`.
    fn folder(&self, dir: &str, from: &str) -> Option<String> {
        if !self.tree.has_dir(dir) {
            return None;
        }
        let package = self.manifests.at(dir);
        let entry = package.as_deref().and_then(|p| self.entry(dir, p.as_ref()?, from));
        entry.or_else(|| files::index(self.tree, dir, from))
    }

    /// By `main` (and `module`, which bundlers know).
    fn entry(&self, dir: &str, package: &Package, from: &str) -> Option<String> {
        package.entries.iter().find_map(|entry| {
            let path = paths::join(dir, entry)?;
            let inside = if path == dir { None } else { files::index(self.tree, &path, from) };
            files::with_extension(self.tree, &path, from)
                .or(inside)
                .or_else(|| files::source_of(self.tree, dir, &path))
                .or_else(|| files::source_of(self.tree, dir, &format!("{path}.js")))
        })
    }

    /// `#x`: the `imports` of the nearest package.json.
    fn subpath(&self, look: &Look<'_>, specifier: &str) -> Meaning {
        if let Some(file) = self.aliased(look, specifier) {
            return Meaning::Local(vec![file]);
        }
        let Some((dir, package)) = self.manifests.around(look.file) else { return Meaning::Alias };
        // Nuxt and others make such names themselves.
        let Some(imports) = package.as_ref().as_ref().and_then(|p| p.imports.as_ref()) else { return Meaning::Alias };
        match conditions::imported(imports, specifier, &look.conditions) {
            Target::Path(path) => match self.offered(&dir, &path) {
                Some(file) => Meaning::Local(vec![file]),
                None => Meaning::NotFound,
            },
            Target::Package(name) => match names::package_of_specifier(&name) {
                Specifier::Builtin if stdlib::node_has(&name, look.node) => Meaning::Builtin,
                Specifier::Builtin => Meaning::NoBuiltin,
                Specifier::Package { name, subpath } => self.package(look, name, &subpath),
                _ => Meaning::NotFound,
            },
            Target::NotOffered => Meaning::NotFound,
        }
    }

    /// The file that a package offers, or its source.
    fn offered(&self, dir: &str, path: &str) -> Option<String> {
        let path = paths::join(dir, path)?;
        files::exact(self.tree, &path).or_else(|| files::source_of(self.tree, dir, &path))
    }

    fn package(&self, look: &Look<'_>, name: String, subpath: &str) -> Meaning {
        let own = self.manifests.around(look.file).filter(|(_, package)| {
            package.as_ref().as_ref().is_some_and(|p| p.name.as_deref() == Some(&name) && p.exports.is_some())
        });
        let folder = own.map(|(dir, _)| dir).or_else(|| self.manifests.local(look.file, &name));
        let Some(dir) = folder else { return Meaning::Package(name) };
        let found = self.manifests.at(&dir);
        let Some(package) = found.as_deref().and_then(Option::as_ref) else { return Meaning::Package(name) };
        let file = match &package.exports {
            Some(exports) => match conditions::exported(exports, subpath, &look.conditions) {
                Target::Path(path) => self.offered(&dir, &path),
                Target::Package(_) | Target::NotOffered => return Meaning::NotFound,
            },
            None if subpath.is_empty() => self.folder(&dir, look.file),
            None => paths::join(&dir, subpath).and_then(|path| self.probe(&path, look.file)),
        };
        // What a build has yet to write is there when the function is deployed.
        Meaning::Linked(name, file.into_iter().collect())
    }

    /// Every file that a pattern matches. Tests are not what a handler loads, nor is the file itself.
    fn pattern(&self, look: &Look<'_>, pattern: &str) -> Meaning {
        let fixed = pattern.split('*').next().unwrap_or_default();
        let inside = fixed.rsplit_once('/').map_or("", |(dir, _)| dir);
        let dir = paths::join(paths::parent(look.file), inside);
        let (Some(dir), Some(rest)) = (dir, pattern.get(inside.len()..)) else { return Meaning::NotFound };
        let rest = rest.trim_start_matches('/');
        let mut found = Vec::new();
        for (seen, file) in self.tree.under(&dir).enumerate() {
            if seen >= MAX_PATTERN {
                return Meaning::Unknown;
            }
            let Some(inner) = paths::relative_to(file, &dir) else { continue };
            let stem = inner.rsplit_once('.').map_or(inner, |(stem, _)| stem);
            // `${x}.js` is `x.ts` before it is compiled; `${x}` alone takes any extension, and folders.
            let written = match paths::extension(inner) {
                "ts" | "tsx" => format!("{stem}.js"),
                "mts" => format!("{stem}.mjs"),
                "cts" => format!("{stem}.cjs"),
                _ => String::new(),
            };
            let folder = stem.strip_suffix("/index").unwrap_or(stem);
            let is_source = source::language_of(file) == Some(Language::Node);
            let named = [inner, &written].iter().any(|name| files::matches(rest, name));
            let bare = is_source && [stem, folder].iter().any(|name| files::matches(rest, name));
            if (named || bare) && file != look.file && !super::local::is_test(inner) {
                found.push(file.to_string());
            }
        }
        if found.is_empty() { Meaning::NotFound } else { Meaning::Local(found) }
    }
}

#[cfg(test)]
mod tests;
