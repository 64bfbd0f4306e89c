//! Which manifest and lock belong to a function, and what they come to on its platform.

mod declared;
mod files;

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::discover::{Site, Tree, paths};
use crate::lock::{self, Closure, Edge, Kind, Lock, Manifest, Scope};
use crate::model::codes;
use crate::model::inventory::{LockRef, Requirement};
use crate::model::{Diagnostic, Language, PackageId, Place, Platform, Severity, State};

use super::memo::Memo;
use super::pins::Pins;

use declared::{
    closure_of_pins, compiled_from, declared_by_edges, declared_by_manifest, declared_in_list, missing, pins_of,
};
use files::{Found, lock_kind};

/// What a function depends on.
#[derive(Debug, Clone)]
pub struct Dependencies {
    /// How much is known.
    pub state: State,
    /// The lock that the closure was read from.
    pub lock: Option<LockRef>,
    /// Direct dependencies.
    pub declared: Vec<Requirement>,
    /// What has no known version.
    pub unresolved: Vec<Requirement>,
    /// Everything with a known version, and the lock that says so.
    pub closure: Vec<(Arc<Lock>, Arc<Closure>)>,
    /// What is wrong.
    pub diagnostics: Vec<Diagnostic>,
    /// The importer in its lock: functions with the same one share everything that it declares.
    pub importer: Option<Importer>,
    /// The manifest is that of the program that deploys the function: what the function does not import is not its own.
    pub only_imported: bool,
    /// Something is asked for that `declared` does not hold: lines or a manifest that could not be read.
    pub lossy: bool,
}

impl Dependencies {
    fn none(state: State) -> Self {
        Self {
            state,
            lock: None,
            declared: Vec::new(),
            unresolved: Vec::new(),
            closure: Vec::new(),
            diagnostics: Vec::new(),
            importer: None,
            only_imported: false,
            lossy: false,
        }
    }

    /// Whether nothing is declared and nothing is locked.
    pub fn is_empty(&self) -> bool {
        self.declared.is_empty() && self.lock.is_none()
    }

    /// Adds those of a layer.
    fn join(&mut self, layer: Dependencies) {
        self.state = match (self.state, layer.state) {
            (own, _) if layer.is_empty() => own,
            (_, other) if self.is_empty() => other,
            (own, other) if own == other => own,
            _ => State::Partial,
        };
        self.lock = self.lock.take().or(layer.lock);
        self.declared.extend(layer.declared);
        self.unresolved.extend(layer.unresolved);
        self.closure.extend(layer.closure);
        self.diagnostics.extend(layer.diagnostics);
        self.lossy |= layer.lossy;
    }

    /// Keeps of the direct dependencies those that the function imports, and what they need.
    pub fn keep_imported(&mut self, imported: &BTreeSet<String>, platform: &Platform) {
        let open: BTreeSet<String> =
            self.declared.iter().filter(|r| !imported.contains(&r.name)).map(version_unknown).collect();
        self.diagnostics.retain(|d| d.code != codes::VERSION_UNKNOWN.id || !open.contains(&d.reason));
        // Entries of a lock may be unresolved too; those are no direct dependencies.
        let direct: BTreeSet<String> = self.declared.iter().map(|r| r.name.clone()).collect();
        self.declared.retain(|r| imported.contains(&r.name));
        self.unresolved.retain(|r| imported.contains(&r.name) || !direct.contains(&r.name));
        let complete = self.importer.as_ref().is_some_and(|importer| importer.lock.complete);
        if let Some(importer) = &mut self.importer {
            importer.roots.retain(|edge| imported.contains(&edge.name));
            let narrowed = lock::closure::closure(&importer.lock, &importer.roots, &[], platform);
            self.closure = vec![(Arc::clone(&importer.lock), Arc::new(narrowed))];
        } else {
            let pinned: BTreeSet<&PackageId> = self.declared.iter().filter_map(|r| r.package.as_ref()).collect();
            for (_, closure) in &mut self.closure {
                let mut kept = Closure::clone(closure);
                kept.packages.retain(|id, _| pinned.contains(id));
                *closure = Arc::new(kept);
            }
        }
        if self.state != State::Locked && !complete {
            self.state = state_of(&self.declared);
        }
    }
}

pub(super) fn version_unknown(requirement: &Requirement) -> String {
    format!("nothing says which version of `{}` is installed", requirement.text)
}

/// Packages that only a program which deploys others declares.
const INFRASTRUCTURE: &[&str] = &["aws-cdk-lib", "aws-cdk-core", "@aws-cdk/core", "cdktf", "@pulumi/pulumi", "pulumi"];

/// An importer of a lock and what it asks for.
#[derive(Debug, Clone)]
pub struct Importer {
    /// The lock.
    pub lock: Arc<Lock>,
    /// Folder relative to the lock's own.
    pub folder: String,
    /// What it asks for.
    pub roots: Vec<Edge>,
}

/// What production asks a lock for.
struct Asked {
    /// The importer's folder in the lock.
    importer: String,
    roots: Vec<Edge>,
    /// The file that the roots' lines are in.
    stated_in: String,
}

impl Asked {
    fn of(lock: &Lock, manifest: Option<&Manifest>, importer: String) -> Self {
        // Without edges nothing is reached from what is direct: then all that is listed is a root.
        let speaks = lock.kind.records_roots() || !lock.has_edges() || manifest.is_none();
        let (roots, stated_in) = match (lock.importers.get(&importer).filter(|_| speaks), manifest) {
            (Some(roots), _) => (roots.clone(), &lock.file),
            (None, Some(manifest)) => (lock::closure::roots_from_manifest(lock, manifest), &manifest.file),
            (None, None) => (Vec::new(), &lock.file),
        };
        Self { importer, roots, stated_in: stated_in.clone() }
    }
}

/// Parsed manifests, locks and closures, shared by the functions of a fleet.
#[derive(Debug)]
pub struct Shelf<'a> {
    tree: &'a Tree,
    pins: &'a Pins,
    locks: Memo<String, Option<Arc<Lock>>>,
    manifests: Memo<String, Option<Arc<Manifest>>>,
    closures: Memo<(String, String, Platform), Closure>,
    /// Files called `pylock.*.toml`, by folder: the folders above are asked for every function.
    pylocks: Memo<String, Vec<String>>,
}

impl<'a> Shelf<'a> {
    /// Nothing is read yet.
    pub fn new(tree: &'a Tree, pins: &'a Pins) -> Self {
        Self { tree, pins, locks: Memo::new(), manifests: Memo::new(), closures: Memo::new(), pylocks: Memo::new() }
    }

    /// Forgets what was not asked for since the last call.
    pub fn turn(&self) {
        self.locks.turn();
        self.manifests.turn();
        self.closures.turn();
        self.pylocks.turn();
    }

    /// The folder whose manifest or lock speaks for a function: functions that share an importer share this folder.
    pub fn anchor(&self, site: &Site) -> String {
        let folder = site.platform.as_ref().and_then(|p| self.find(site, p.language, &mut Vec::new()).folder);
        folder.unwrap_or_else(|| site.root.clone())
    }

    fn lock(&self, file: &str, diagnostics: &mut Vec<Diagnostic>) -> Option<Arc<Lock>> {
        let kind = lock_kind(file)?;
        let made = self.locks.get(&file.to_string(), || {
            if paths::file_name(file) == lock::npm::bun::BINARY {
                return Some(Arc::new(unreadable(kind, file, lock::npm::bun::binary(file))));
            }
            let text = match self.tree.text(file) {
                Ok(text) => text,
                Err(diagnostic) => return Some(Arc::new(unreadable(kind, file, diagnostic))),
            };
            let mut include = |path: &str| self.tree.text(path);
            let members = if kind == Kind::Yarn { self.members(paths::parent(file)) } else { Vec::new() };
            let lock = lock::read_workspace(kind, file, &text, &mut include, &members);
            let most = self.tree.limits().max_lock_entries;
            if lock.entries.len() > most {
                let reason =
                    format!("it holds {} packages, and locks of more than {most} are not followed", lock.entries.len());
                let diagnostic = Diagnostic::new(codes::FILE_TOO_LARGE, Place::file(file), reason);
                return Some(Arc::new(unreadable(kind, file, diagnostic)));
            }
            Some(Arc::new(lock))
        });
        let lock = made.as_ref().as_ref().map(Arc::clone)?;
        diagnostics.extend(lock.diagnostics.iter().cloned());
        Some(lock)
    }

    /// Folders of the members of a workspace, relative to its root's.
    fn members(&self, root: &str) -> Vec<String> {
        let mut quiet = Vec::new();
        let manifest = paths::join(root, "package.json").and_then(|file| self.manifest(&file, &mut quiet));
        let Some(manifest) = manifest.filter(|manifest| !manifest.workspaces.is_empty()) else { return Vec::new() };
        let folders = self.tree.under(root).filter(|file| paths::file_name(file) == "package.json");
        let folders = folders.filter_map(|file| paths::relative_to(paths::parent(file), root));
        let member = |folder: &&str| lock::npm::workspaces::is_member(&manifest.workspaces, folder);
        folders.filter(member).map(str::to_string).collect()
    }

    fn manifest(&self, file: &str, diagnostics: &mut Vec<Diagnostic>) -> Option<Arc<Manifest>> {
        let made = self.manifests.get(&file.to_string(), || match self.tree.text(file) {
            Ok(text) => lock::read_manifest_with(file, &text, &mut |path| self.tree.text(path)).map(Arc::new),
            Err(diagnostic) => Some(Arc::new(Manifest::unreadable(file, diagnostic))),
        });
        let manifest = made.as_ref().as_ref().map(Arc::clone)?;
        diagnostics.extend(manifest.diagnostics.iter().cloned());
        Some(manifest)
    }

    fn closure(&self, lock: &Lock, importer: &str, roots: &[Edge], platform: &Platform) -> Arc<Closure> {
        let key = (lock.file.clone(), importer.to_string(), platform.clone());
        self.closures.get(&key, || lock::closure::closure(lock, roots, &[], platform))
    }

    /// What a function depends on, on its platform: what its own folder or one above it says, and its layers.
    pub fn dependencies(&self, site: &Site) -> Dependencies {
        let Some(platform) = &site.platform else { return Dependencies::none(State::Unresolved) };
        let mut diagnostics = Vec::new();
        let found = match &site.inline {
            // Nothing that lies beside the declaration is deployed with code that is written in it.
            Some(_) => Found::default(),
            None => self.find(site, platform.language, &mut diagnostics),
        };
        let plain = matches!(site.declared_as, "folder" | "cdk" | "terraform");
        let above = found.folder.clone().filter(|dir| plain && *dir != site.root);
        let mut out = self.read(site, platform, found);
        out.diagnostics.append(&mut diagnostics);
        if above.is_some_and(|dir| self.is_infrastructure(&dir, &out)) {
            match platform.language {
                // What the deploying program needs is not installed with the folder that it deploys.
                Language::Python => out = Dependencies::none(State::Locked),
                // Its bundler takes from there what the function imports.
                Language::Node => out.only_imported = true,
            }
        }
        let packed = self.tree.archive_of(&beside(&site.root)).is_some();
        if packed || out.state != State::Locked || out.is_empty() {
            self.installed(&site.root, platform, packed, &mut out);
        }
        out.only_imported |= site.bundled && platform.language == Language::Node;
        for folder in site.layers.iter().filter_map(|l| l.folder.as_deref()).filter(|folder| *folder != site.root) {
            self.layer(folder, site, platform, &mut out);
        }
        out
    }

    /// Adds what a layer holds: the packages that lie unpacked where the runtime looks for them below `/opt`, else what its
    /// manifest asks for. <https://docs.aws.amazon.com/lambda/latest/dg/packaging-layers.html>
    fn layer(&self, folder: &str, site: &Site, platform: &Platform, out: &mut Dependencies) {
        let version = &platform.version;
        let (top, places) = match platform.language {
            Language::Python => ("python", vec!["python".into(), format!("python/lib/python{version}/site-packages")]),
            Language::Node => ("nodejs", vec!["nodejs".into(), format!("nodejs/node{version}")]),
        };
        let mut unpacked = false;
        for place in places.iter().filter_map(|place| paths::join(folder, place)) {
            let mut there = Dependencies::none(State::Locked);
            self.installed(&place, platform, true, &mut there);
            if there.lock.is_some() {
                unpacked = true;
                out.join(there);
            }
        }
        let manifest = [paths::join(folder, top).unwrap_or_default(), folder.to_string()]
            .iter()
            .filter(|_| !unpacked)
            .find_map(|dir| self.in_folder(dir, platform.language, &mut out.diagnostics));
        if let Some(found) = manifest {
            out.join(self.read(site, platform, found));
        }
    }

    /// Replaces what is asked for by what is installed in a folder, where packages are. A folder that is not `built`
    /// speaks for itself only if all that is asked for lies there: else the rest is installed at deployment.
    fn installed(&self, folder: &str, platform: &Platform, built: bool, out: &mut Dependencies) {
        let files = self.tree.installed_in(folder, platform.language);
        if files.is_empty() {
            return;
        }
        let key = format!("{folder}/{}", platform.language);
        let made = self.locks.get(&key, || {
            let mut unread = Vec::new();
            let mut texts = Vec::new();
            for file in files {
                let inner = paths::relative_to(file, folder).unwrap_or(file);
                match self.tree.text(file) {
                    Ok(text) => texts.push((inner.to_string(), text)),
                    Err(diagnostic) => unread.push(diagnostic),
                }
            }
            let mut lock = match platform.language {
                Language::Python => lock::installed::python(folder, &texts),
                Language::Node => lock::installed::node(folder, &texts),
            };
            lock.diagnostics.extend(unread);
            lock.drop_unsound();
            Some(Arc::new(lock))
        });
        let Some(lock) = made.as_ref() else { return };
        let there = |name: &str| lock.entries.iter().any(|entry| entry.id.name == name);
        if !built && !out.declared.iter().all(|r| there(&r.name)) {
            return;
        }
        let mut roots = lock.importers.get(".").cloned().unwrap_or_default();
        // In a checkout, what is only for development lies there too.
        if !built && platform.language == Language::Node && !out.declared.is_empty() {
            roots.retain(|edge| out.declared.iter().any(|r| r.name == edge.name));
        }
        let of = if built { "everything" } else { "what is asked for" };
        let closure = self.closure(lock, of, &roots, platform);
        let open: BTreeSet<String> = out.unresolved.iter().map(version_unknown).collect();
        out.diagnostics.retain(|d| d.code != codes::VERSION_UNKNOWN.id || !open.contains(&d.reason));
        out.diagnostics.extend(lock.diagnostics.iter().cloned());
        for requirement in &mut out.declared {
            requirement.package = closure.packages.keys().find(|id| id.name == requirement.name).cloned();
        }
        // What is asked for and not there is not loaded, or the platform provides it.
        out.unresolved.clear();
        out.importer = None;
        out.lossy = lock.diagnostics.iter().any(Diagnostic::is_finding);
        out.state = if out.lossy { State::Partial } else { State::Locked };
        out.lock = Some(LockRef::new(folder, lock::installed::KIND));
        out.closure = vec![(Arc::clone(lock), closure)];
    }

    /// Whether the manifest in a folder is that of the program that deploys the functions below it.
    fn is_infrastructure(&self, dir: &str, dependencies: &Dependencies) -> bool {
        paths::join(dir, "cdk.json").is_some_and(|path| self.tree.contains(&path))
            || dependencies.declared.iter().any(|r| INFRASTRUCTURE.contains(&r.name.as_str()))
    }

    fn read(&self, site: &Site, platform: &Platform, found: Found) -> Dependencies {
        let mut out = Dependencies::none(State::Unresolved);
        let lock = found.lock.as_deref().and_then(|file| self.lock(file, &mut out.diagnostics));
        // What an unread lock would have said stays unknown; the manifest still says what is needed.
        let unread = lock.as_deref().is_some_and(lock_is_unread);
        let lock = lock.filter(|_| !unread);
        let manifest = found.manifest.as_deref().and_then(|file| self.manifest(file, &mut out.diagnostics));
        match (&lock, &manifest) {
            (Some(lock), manifest) => {
                let asked = Asked::of(lock, manifest.as_deref(), found.importer);
                self.read_lock(site, platform, lock, manifest.as_deref(), asked, &mut out);
            }
            (None, Some(manifest)) => read_manifest(manifest, platform, &mut out),
            (None, None) => out.state = State::Locked,
        }
        if out.state != State::Locked && !out.declared.is_empty() {
            self.apply_pins(platform, &mut out);
        }
        if unread && out.state == State::Locked {
            out.state = State::Unresolved;
        }
        if lock.as_deref().is_some_and(lost_lines) && matches!(out.state, State::Locked | State::Pinned) {
            out.state = State::Partial;
        }
        out.lossy = lock.as_deref().is_some_and(|l| lost_lines(l) || lost_places(l))
            || manifest.as_deref().is_some_and(|m| m.is_broken() || is_dynamic(m));
        for requirement in &out.unresolved {
            if out.state != State::Locked && lock.as_ref().is_none_or(|l| !l.complete) {
                out.diagnostics.push(
                    Diagnostic::new(codes::VERSION_UNKNOWN, requirement.place.clone(), version_unknown(requirement))
                        .for_function(&site.id),
                );
            }
        }
        out
    }

    /// What a lock says of its importer, on a platform.
    fn read_lock(
        &self,
        site: &Site,
        platform: &Platform,
        lock: &Arc<Lock>,
        manifest: Option<&Manifest>,
        asked: Asked,
        out: &mut Dependencies,
    ) {
        let closure = self.closure(lock, &asked.importer, &asked.roots, platform);
        if let (true, Some(manifest)) = (lock.kind != Kind::Requirements, manifest) {
            let satisfies =
                |range: &str, version: &str| lock::closure::satisfies(lock.kind.ecosystem(), range, version);
            out.diagnostics.extend(lock::closure::contradictions(lock, manifest, &satisfies));
        }
        out.diagnostics.extend(lock::closure::incompatible(lock, &closure, platform));
        out.declared = declared_by_edges(lock, &asked.roots, &asked.stated_in, &closure, platform);
        out.unresolved = missing(lock, &asked.roots, &closure, &out.declared);
        if let (false, Some(manifest)) = (lock.kind.records_roots() || lock.has_edges(), manifest) {
            out.declared = declared_in_list(manifest, &closure, platform);
        }
        if let (Kind::Requirements, Some(manifest)) = (lock.kind, manifest)
            && let Some(declared) = compiled_from(lock, manifest, &closure, platform)
        {
            out.declared = declared;
        }
        out.lock = Some(LockRef::new(&lock.file, lock.kind.as_str()));
        if lock.complete {
            out.state = if out.unresolved.is_empty() { State::Locked } else { State::Partial };
            out.diagnostics.extend(out.unresolved.iter().map(|r| {
                Diagnostic::new(
                    codes::LOCK_INCOMPLETE,
                    r.place.clone(),
                    format!("`{}` is needed here, but the lock holds no entry for it", r.name),
                )
                .for_function(&site.id)
            }));
            if lock_is_broken(lock) {
                out.state = State::Unresolved;
            }
            if asked.roots.is_empty() && !lock.entries.is_empty() && manifest.is_none() {
                out.state = State::Unresolved;
                let reason = "nothing beside it says which of its packages production asks for";
                out.diagnostics.push(
                    Diagnostic::new(codes::LOCK_INCOMPLETE, Place::file(&lock.file), reason)
                        .next("keep the manifest that it was made from beside it")
                        .for_function(&site.id),
                );
            }
        } else {
            out.state = state_of(&out.declared);
        }
        out.closure.push((Arc::clone(lock), closure));
        out.importer = Some(Importer { lock: Arc::clone(lock), folder: asked.importer, roots: asked.roots });
    }

    /// Versions from `--pins` for what the function itself leaves open.
    fn apply_pins(&self, platform: &Platform, out: &mut Dependencies) {
        for lock in self.pins.of(platform.language) {
            let roots = self.pins.roots(lock, &out.declared);
            if roots.is_empty() {
                continue;
            }
            let closure = lock::closure::closure(lock, &roots, &[], platform);
            for requirement in &mut out.declared {
                if requirement.package.is_none() {
                    requirement.package = closure.packages.keys().find(|id| id.name == requirement.name).cloned();
                }
            }
            let complete = closure.missing.is_empty()
                && closure.packages.values().all(|p| p.requires.is_some())
                && out.declared.iter().all(|r| r.package.is_some());
            out.closure.push((Arc::clone(lock), Arc::new(closure)));
            out.lock.get_or_insert(LockRef::new(&lock.file, "pins"));
            out.unresolved = out.declared.iter().filter(|r| r.package.is_none()).cloned().collect();
            out.state = if complete { State::Locked } else { state_of(&out.declared) };
        }
    }
}

/// What a manifest without a lock says: exact requirements are pins.
fn read_manifest(manifest: &Manifest, platform: &Platform, out: &mut Dependencies) {
    out.declared = declared_by_manifest(manifest, platform);
    out.unresolved = out.declared.iter().filter(|r| r.package.is_none()).cloned().collect();
    out.state = state_of(&out.declared);
    if manifest.partial {
        out.state = if out.declared.iter().any(|r| r.package.is_some()) { State::Partial } else { State::Unresolved };
    }
    if manifest.is_broken() {
        out.state = State::Unresolved;
    }
    let pinned = pins_of(manifest, &out.declared);
    if !pinned.entries.is_empty() {
        let closure = closure_of_pins(&pinned);
        out.closure.push((Arc::new(pinned), Arc::new(closure)));
    }
}

/// Drops from a shared importer's closure what only the other functions that share it import.
///
/// `mine` are the names that this function imports, `others` those that the others do. A direct dependency that nobody
/// imports stays for everybody: drivers and plugins are loaded without an import. Returns the packages that are
/// installed with the function but not loaded by it. Does nothing where the lock records no edges: then nobody can say
/// what a dropped dependency takes with it.
pub fn narrow(
    dependencies: &mut Dependencies,
    mine: &BTreeSet<String>,
    others: &BTreeSet<String>,
    platform: &Platform,
) -> Vec<PackageId> {
    let (Some(importer), [(_, full)]) = (&dependencies.importer, dependencies.closure.as_slice()) else {
        return Vec::new();
    };
    let dropped = |name: &String| others.contains(name) && !mine.contains(name);
    if !importer.roots.iter().any(|e| dropped(&e.name)) || full.packages.values().any(|p| p.requires.is_none()) {
        return Vec::new();
    }
    let mut roots: Vec<Edge> = importer.roots.iter().filter(|e| !dropped(&e.name)).cloned().collect();
    let declared: BTreeSet<&str> = importer.roots.iter().map(|e| e.name.as_str()).collect();
    // What it imports without declaring it is there through something else, which may have been dropped.
    for (id, reached) in full.packages.iter().filter(|(id, _)| mine.contains(&id.name)) {
        if !declared.contains(id.name.as_str()) {
            roots.push(Edge {
                name: id.name.clone(),
                text: String::new(),
                line: 0,
                to: vec![reached.entry],
                extras: Vec::new(),
                marker: None,
                scope: Scope::Production,
            });
        }
    }
    let narrowed = lock::closure::closure(&importer.lock, &roots, &[], platform);
    let installed_only = full.packages.keys().filter(|id| !narrowed.packages.contains_key(*id)).cloned().collect();
    dependencies.closure = vec![(Arc::clone(&importer.lock), Arc::new(narrowed))];
    installed_only
}

/// A path inside a folder, to ask what the folder belongs to.
fn beside(folder: &str) -> String {
    paths::join(folder, "_").unwrap_or_default()
}

fn unreadable(kind: Kind, file: &str, diagnostic: Diagnostic) -> Lock {
    Lock { complete: true, diagnostics: vec![diagnostic], ..Lock::empty(kind, file) }
}

/// A lock of which nothing could be read says nothing: not even that there is nothing to load.
fn lock_is_unread(lock: &Lock) -> bool {
    lock.entries.is_empty() && lock.diagnostics.iter().any(Diagnostic::is_finding)
}

/// Whether lines of a requirements file could not be read: then those that could are not known to be all.
fn lost_lines(lock: &Lock) -> bool {
    let harmless = [codes::LOCK_CYCLE.id, codes::LOCK_INCOMPLETE.id];
    lock.kind == Kind::Requirements
        && lock.diagnostics.iter().any(|d| d.is_finding() && !harmless.contains(&d.code.as_str()))
}

/// Whether a requirements file asks for places without a name (`-e .`, `./local`): what those need is not known.
fn lost_places(lock: &Lock) -> bool {
    let named = |d: &&Diagnostic| !lock.entries.iter().any(|e| e.line == d.place.line && e.source.is_some());
    let roots = || lock.importers.values().flatten();
    lock.kind == Kind::Requirements
        && lock
            .diagnostics
            .iter()
            .filter(|d| d.code == codes::REQUIREMENT_UNSUPPORTED.id)
            .any(|d| named(&d) && !roots().any(|e| e.line == d.place.line && e.text.starts_with('@')))
}

/// Whether dependencies are only known after a build.
fn is_dynamic(manifest: &Manifest) -> bool {
    manifest.diagnostics.iter().any(|d| d.code == codes::REQUIREMENT_UNSUPPORTED.id && d.reason.contains("dynamic"))
}

/// A lock that could be parsed in part only.
fn lock_is_broken(lock: &Lock) -> bool {
    lock.diagnostics.iter().any(|d| d.severity == Severity::Error)
}

fn state_of(declared: &[Requirement]) -> State {
    let pinned = declared.iter().filter(|r| r.package.is_some()).count();
    match (declared.len(), pinned) {
        (0, _) => State::Locked,
        (all, pinned) if pinned == all => State::Pinned,
        (_, 0) => State::Unresolved,
        _ => State::Partial,
    }
}
