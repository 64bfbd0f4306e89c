//! Which manifest and which lock speak for a function, of all that lie in and above its folder.

use std::collections::BTreeSet;

use super::Shelf;
use crate::discover::{Site, paths};
use crate::lock::{self, Kind};
use crate::model::{Diagnostic, Language, Place, codes};

/// Locks by language, the one that a deployment would follow first. A requirements file without hashes is no lock; it
/// comes last.
const PYTHON_LOCKS: &[&str] =
    &["uv.lock", "poetry.lock", "pdm.lock", "pylock.toml", "Pipfile.lock", "requirements.txt"];
const NODE_LOCKS: &[&str] =
    &["npm-shrinkwrap.json", "package-lock.json", "pnpm-lock.yaml", "yarn.lock", "bun.lock", "bun.lockb"];

/// Manifests of Python projects, the one that counts first: the first that declares something.
const PYTHON_MANIFESTS: &[&str] = &[
    "pyproject.toml",
    "Pipfile",
    "setup.cfg",
    "setup.py",
    "requirements.in",
    "environment.yml",
    "environment.yaml",
    "conda.yml",
    "conda.yaml",
];

/// The files that speak for a function.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) manifest: Option<String>,
    pub(super) lock: Option<String>,
    pub(super) importer: String,
    pub(super) folder: Option<String>,
}

impl Shelf<'_> {
    /// The nearest folder, from the code folder upwards, that holds a manifest or a lock.
    pub(super) fn find(&self, site: &Site, language: Language, diagnostics: &mut Vec<Diagnostic>) -> Found {
        if let Some(found) = self.stated(site, language, diagnostics) {
            return found;
        }
        // A declared function is packaged from its template's folder at most; a plain one may lie deep in a monorepo.
        // Code that lies beside the template's folder rather than in it has what holds both.
        let declaring = paths::parent(&site.declared_at.file);
        let top = match site.declared_as {
            "folder" => ".",
            _ => paths::ancestors(declaring).find(|dir| paths::is_within(&site.root, dir)).unwrap_or("."),
        };
        for dir in paths::ancestors(&site.root) {
            if let Some(found) = self.in_folder(dir, language, diagnostics) {
                return found;
            }
            if dir == top {
                break;
            }
        }
        Found::default()
    }

    /// The files that the declaration itself names.
    fn stated(&self, site: &Site, language: Language, diagnostics: &mut Vec<Diagnostic>) -> Option<Found> {
        let of_language = |kind: Kind| kind.ecosystem() == language.ecosystem();
        let (locks, others): (Vec<&String>, Vec<&String>) =
            site.installs.iter().partition(|file| lock_kind(file).is_some_and(of_language));
        let manifest = others.into_iter().find(|file| lock_kind(file).is_none()).cloned();
        match locks.first() {
            Some(lock) => {
                let folder = Some(paths::parent(lock).to_string());
                Some(Found { manifest, lock: Some((*lock).clone()), importer: ".".into(), folder })
            }
            // The lock beside a manifest speaks for it.
            None => self.in_folder(paths::parent(&manifest?), language, diagnostics),
        }
    }

    /// What lies directly in a folder.
    pub(super) fn in_folder(&self, dir: &str, language: Language, diagnostics: &mut Vec<Diagnostic>) -> Option<Found> {
        let (locks, manifests): (&[&str], &[&str]) = match language {
            Language::Python => (PYTHON_LOCKS, PYTHON_MANIFESTS),
            Language::Node => (NODE_LOCKS, &["package.json"]),
        };
        let has = |name: &str| paths::join(dir, name).filter(|path| self.tree.contains(path));
        let manifest = self.choose_manifest(manifests.iter().filter_map(|n| has(n)).collect());
        let mut present: Vec<String> = locks.iter().filter_map(|n| has(n)).collect();
        if language == Language::Python {
            self.add_named_pylock(dir, &mut present, diagnostics);
        }
        let lock = self.choose_lock(present, manifest.as_deref(), diagnostics);
        let found = Found { importer: ".".into(), folder: Some(dir.to_string()), ..Found::default() };
        if lock.is_some() {
            return Some(Found { manifest, lock, ..found });
        }
        if manifest.is_some() {
            let workspace = self.workspace_lock(dir, locks, diagnostics);
            let (lock, importer) = workspace.unwrap_or((None, ".".into()));
            return Some(Found { manifest, lock, importer, ..found });
        }
        None
    }

    /// Of several manifests, the first that declares something; a file that declares nothing does not count beside others.
    fn choose_manifest(&self, mut found: Vec<String>) -> Option<String> {
        let mut quiet = Vec::new();
        let mut says = |file: &String| {
            let manifest = self.manifest(file, &mut quiet);
            manifest.is_some_and(|m| !m.requires.is_empty() || (m.partial && m.kind != "pyproject"))
        };
        if found.len() > 1
            && let Some(at) = found.iter().position(&mut says)
        {
            return Some(found.swap_remove(at));
        }
        // A YAML file of that name may be no conda environment at all.
        found.retain(|file| !file.ends_with("ml") || file.ends_with(".toml") || says(file));
        found.into_iter().next()
    }

    /// `pylock.NAME.toml` where there is no `pylock.toml`: the only one, as nothing says which of several is deployed.
    fn add_named_pylock(&self, dir: &str, present: &mut Vec<String>, diagnostics: &mut Vec<Diagnostic>) {
        let is_pylock = |file: &str| lock_kind(file) == Some(Kind::Pylock);
        if present.iter().any(|file| is_pylock(file)) {
            return;
        }
        let named = self.pylocks.get(&dir.to_string(), || {
            self.tree.files_in(dir).filter(|file| is_pylock(file)).map(str::to_string).collect()
        });
        match (named.first(), named.get(1)) {
            (Some(one), None) => {
                let at = present
                    .iter()
                    .position(|f| lock_kind(f) > Some(Kind::Pylock) || lock_kind(f) == Some(Kind::Requirements));
                present.insert(at.unwrap_or(present.len()), one.clone());
            }
            (Some(one), Some(other)) => {
                let reason =
                    format!("{} lies beside it, and no pylock.toml says which is deployed", paths::file_name(other));
                diagnostics.push(Diagnostic::new(codes::LOCKS_SEVERAL, Place::file(one), reason));
            }
            _ => {}
        }
    }

    /// A complete requirements file is what is deployed even beside another lock; an open one is no lock at all. Of the
    /// locks of several package managers for Node, that of the one which package.json names counts, else the first in order.
    fn choose_lock(
        &self,
        mut found: Vec<String>,
        manifest: Option<&str>,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Option<String> {
        let mut chosen = 0;
        if found.len() > 1
            && let Some(at) = found.iter().position(|f| lock_kind(f) == Some(Kind::Requirements))
        {
            match self.lock(&found[at], &mut Vec::new()) {
                Some(lock) if lock.complete && !lock.entries.is_empty() => chosen = at,
                _ => drop(found.remove(at)),
            }
        }
        let kinds: BTreeSet<Kind> = found.iter().filter_map(|f| lock_kind(f)).collect();
        if kinds.len() > 1 {
            if kinds.iter().all(|kind| kind.language() == Language::Node) {
                let text = manifest.and_then(|file| self.tree.text(file).ok());
                let named = text.and_then(|text| lock::npm::package_json::package_manager(&text));
                let by_it = |f: &String| named.is_some() && lock_kind(f).map(package_manager) == named.as_deref();
                chosen = found.iter().position(by_it).unwrap_or(0);
            }
            let others: Vec<&str> =
                found.iter().enumerate().filter(|(at, _)| *at != chosen).map(|(_, f)| paths::file_name(f)).collect();
            let reason = format!("{} counts, {} does not", paths::file_name(&found[chosen]), others.join(" and "));
            diagnostics.push(Diagnostic::new(codes::LOCKS_SEVERAL, Place::file(&found[chosen]), reason));
        }
        (chosen < found.len()).then(|| found.swap_remove(chosen))
    }

    /// A lock further up that lists this folder as a member of its workspace.
    fn workspace_lock(
        &self,
        dir: &str,
        locks: &[&str],
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Option<(Option<String>, String)> {
        for above in paths::ancestors(dir).skip(1) {
            let importer = paths::relative_to(dir, above)?.to_string();
            for name in locks.iter().filter(|n| **n != "requirements.txt") {
                let Some(path) = paths::join(above, name).filter(|p| self.tree.contains(p)) else { continue };
                let mut quiet = Vec::new();
                if self.lock(&path, &mut quiet).is_some_and(|l| l.importers.contains_key(&importer)) {
                    diagnostics.extend(quiet);
                    return Some((Some(path), importer));
                }
            }
        }
        None
    }
}

pub(super) fn lock_kind(file: &str) -> Option<Kind> {
    // Nothing but a declaration that names it makes a text of another name a list of requirements.
    let text = || (paths::extension(file) == "txt").then_some(Kind::Requirements);
    Kind::of(paths::file_name(file)).or_else(text)
}

/// What `packageManager` calls the package manager that a Node lock belongs to.
fn package_manager(kind: Kind) -> &'static str {
    match kind {
        Kind::PackageLock => "npm",
        other => other.as_str(),
    }
}
