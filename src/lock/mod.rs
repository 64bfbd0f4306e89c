//! What is pinned: locks in every format, read into one neutral form, and the closure of an importer on a platform.
//!
//! Invariant: a reader says what its file says. It never looks at another file unless the format includes it, and
//! never fills in a version.

pub mod closure;
pub mod environment;
pub mod installed;
pub mod manifest;
pub mod npm;
pub mod positions;
pub mod pypi;

use std::collections::{BTreeMap, BTreeSet};

use pep508_rs::MarkerTree;

pub use manifest::{Manifest, ManifestRequirement};

use npm::{bun, package_json, package_lock, pnpm, yarn};
use pypi::{
    conda, pdm, pep508, pipfile, pipfile_lock, poetry, pylock, pyproject, requirements, setup_cfg, setup_py, uv,
};

use crate::discover::paths;
use crate::model::support::Support;
use crate::model::{Diagnostic, Ecosystem, Language, PackageId, Place, codes};

/// Version of a package whose lock does not tell one: a folder or repository whose build computes it. It is no version
/// in any ecosystem, so nothing can mistake it for one.
pub const UNKNOWN_VERSION: &str = "unknown";

/// What is read of locks and manifests: a row for each reader.
pub fn support() -> Vec<Support> {
    let mut rows = vec![
        requirements::SUPPORT,
        uv::SUPPORT,
        poetry::SUPPORT,
        pdm::SUPPORT,
        pipfile_lock::SUPPORT,
        pylock::SUPPORT,
        package_lock::SUPPORT,
        pnpm::SUPPORT,
    ];
    rows.extend(yarn::SUPPORT);
    rows.extend(bun::SUPPORT);
    rows.extend([
        installed::SUPPORT,
        pyproject::SUPPORT,
        pipfile::SUPPORT,
        setup_cfg::SUPPORT,
        setup_py::SUPPORT,
        conda::SUPPORT,
        package_json::SUPPORT,
    ]);
    rows
}

/// Reads a lock of a known kind. Errors are diagnostics of the lock: a lock always comes back.
///
/// `include` gives the text of another file by its path relative to the fleet's root, for formats that include files.
pub fn read(kind: Kind, file: &str, text: &str, include: &mut dyn FnMut(&str) -> Result<String, Diagnostic>) -> Lock {
    let mut lock = match kind {
        Kind::Requirements => requirements::read(file, text, include),
        Kind::Poetry => poetry::read(file, text),
        Kind::Uv => uv::read(file, text),
        Kind::Pdm => pdm::read(file, text),
        Kind::Pipfile => pipfile_lock::read(file, text),
        Kind::Pylock => pylock::read(file, text),
        Kind::PackageLock => package_lock::read(file, text),
        Kind::Pnpm => pnpm::read(file, text),
        Kind::Yarn => yarn::read(file, text, include, &[]),
        Kind::Bun if paths::file_name(file) == bun::BINARY => {
            Lock { diagnostics: vec![bun::binary(file)], ..Lock::empty(kind, file) }
        }
        Kind::Bun => bun::read(file, text),
    };
    lock.drop_unsound();
    lock
}

/// [`read`] of a lock whose workspace members are known: Yarn 1 does not record them. `members` are their folders
/// relative to the lock's.
pub fn read_workspace(
    kind: Kind,
    file: &str,
    text: &str,
    include: &mut dyn FnMut(&str) -> Result<String, Diagnostic>,
    members: &[String],
) -> Lock {
    if kind != Kind::Yarn {
        return read(kind, file, text, include);
    }
    let mut lock = yarn::read(file, text, include, members);
    lock.drop_unsound();
    lock
}

/// Whether [`read_manifest`] knows a file of this name.
pub fn is_manifest(file: &str) -> bool {
    let name = paths::file_name(file);
    matches!(name, "pyproject.toml" | "package.json" | "setup.cfg" | "setup.py" | "Pipfile" | "requirements.in")
        || conda::is_environment(name)
}

/// Reads a manifest by its file's name, without what it includes; `None` for a name that [`is_manifest`] does not know.
pub fn read_manifest(file: &str, text: &str) -> Option<Manifest> {
    read_manifest_with(file, text, &mut |path| {
        Err(Diagnostic::new(codes::INCLUDE_MISSING, Place::file(path), "only this one file is read"))
    })
}

/// Reads a manifest by its file's name: `pyproject.toml`, `setup.cfg`, `setup.py` (which is not run), `Pipfile`, a conda
/// environment or `package.json`; `None` for any other name.
///
/// `include` gives the text of another file by its path relative to the fleet's root: setuptools' `file:`, pip's `-r`.
pub fn read_manifest_with(
    file: &str,
    text: &str,
    include: &mut dyn FnMut(&str) -> Result<String, Diagnostic>,
) -> Option<Manifest> {
    match paths::file_name(file) {
        "pyproject.toml" => Some(pyproject::read(file, text, include)),
        "setup.cfg" => Some(setup_cfg::read(file, text, include)),
        "setup.py" => Some(setup_py::read(file, text, include)),
        "Pipfile" => Some(pipfile::read(file, text)),
        "requirements.in" => Some(requirements::read_input(file, text, include)),
        "package.json" => Some(package_json::read(file, text)),
        name if conda::is_environment(name) => Some(conda::read(file, text, include)),
        _ => None,
    }
}

/// Formats, by the name that artefacts and `inspect --as` use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// pip requirements, hashed or not.
    Requirements,
    /// poetry.lock.
    Poetry,
    /// uv.lock.
    Uv,
    /// pdm.lock.
    Pdm,
    /// Pipfile.lock.
    Pipfile,
    /// pylock.toml and pylock.NAME.toml (PEP 751).
    Pylock,
    /// package-lock.json and npm-shrinkwrap.json.
    PackageLock,
    /// pnpm-lock.yaml.
    Pnpm,
    /// yarn.lock of Yarn 1 and of berry.
    Yarn,
    /// bun.lock; bun.lockb is recognised and not read.
    Bun,
}

impl Kind {
    /// Every kind, in the order of the documentation.
    pub const ALL: &'static [Kind] = &[
        Kind::Requirements,
        Kind::Poetry,
        Kind::Uv,
        Kind::Pdm,
        Kind::Pipfile,
        Kind::Pylock,
        Kind::PackageLock,
        Kind::Pnpm,
        Kind::Yarn,
        Kind::Bun,
    ];

    /// The name in artefacts and options.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Requirements => "requirements",
            Kind::Poetry => "poetry",
            Kind::Uv => "uv",
            Kind::Pdm => "pdm",
            Kind::Pipfile => "pipfile",
            Kind::Pylock => "pylock",
            Kind::PackageLock => "package-lock",
            Kind::Pnpm => "pnpm",
            Kind::Yarn => "yarn",
            Kind::Bun => "bun",
        }
    }

    /// The kind that a name in an option says.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == name)
    }

    /// The language whose functions it serves.
    pub fn language(self) -> Language {
        match self.ecosystem() {
            Ecosystem::Pypi => Language::Python,
            Ecosystem::Npm => Language::Node,
        }
    }

    /// The kind that a file's name says: its last component, or a path.
    ///
    /// Requirements files have no fixed name: any `.txt` whose name says `requirements`, or that lies in a folder of that
    /// name. Inputs of pip-compile (`.in`) are no locks.
    pub fn of(file_name: &str) -> Option<Self> {
        let mut parts = file_name.rsplit(['/', '\\']);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        let folder = parts.next().unwrap_or_default();
        match name.as_str() {
            "poetry.lock" => Some(Kind::Poetry),
            "uv.lock" => Some(Kind::Uv),
            "pdm.lock" => Some(Kind::Pdm),
            "pipfile.lock" => Some(Kind::Pipfile),
            name if pylock::is_name(name) => Some(Kind::Pylock),
            "package-lock.json" | "npm-shrinkwrap.json" => Some(Kind::PackageLock),
            "pnpm-lock.yaml" => Some(Kind::Pnpm),
            "yarn.lock" => Some(Kind::Yarn),
            "bun.lock" | bun::BINARY => Some(Kind::Bun),
            name => {
                let says = name.contains("requirements") || folder == "requirements";
                (says && name.ends_with(".txt")).then_some(Kind::Requirements)
            }
        }
    }

    /// Where its packages are published.
    pub fn ecosystem(self) -> Ecosystem {
        match self {
            Kind::Requirements | Kind::Poetry | Kind::Uv | Kind::Pdm | Kind::Pipfile | Kind::Pylock => Ecosystem::Pypi,
            Kind::PackageLock | Kind::Pnpm | Kind::Yarn | Kind::Bun => Ecosystem::Npm,
        }
    }

    /// Whether the format says what the project itself asks for. Where it does not, its importer holds all that production
    /// installs by the lock's own groups, and the manifest beside it knows better which of that is direct.
    pub fn records_roots(self) -> bool {
        !matches!(self, Kind::Poetry | Kind::Pdm | Kind::Pipfile | Kind::Pylock)
    }

    /// Whether its package manager installs peer dependencies that nobody else asks for. Yarn does not.
    pub fn installs_peers(self) -> bool {
        self != Kind::Yarn
    }
}

/// One lock in neutral form.
#[derive(Debug, Clone)]
pub struct Lock {
    /// Format.
    pub kind: Kind,
    /// Path relative to the fleet's root.
    pub file: String,
    /// Every package that the file names, in file order.
    pub entries: Vec<Entry>,
    /// Direct dependencies by importer: folder relative to the lock's own, `.` for the lock's folder itself.
    /// Where the format does not record them ([`Kind::records_roots`]), all that production installs by the lock's own word;
    /// empty where that is not said either (Poetry 1.5 to 1.8).
    pub importers: BTreeMap<String, Vec<Edge>>,
    /// Names whose requirements the lock's own overrides replace, where it records them (pnpm, bun).
    pub overrides: BTreeSet<String>,
    /// Whether the file promises to hold every package that is needed (a hashed requirements file, a real lock).
    pub complete: bool,
    /// The platforms that it is made for; `None` = it does not say.
    pub made_for: Option<MadeFor>,
    /// By index of the entry: the tags (PEP 425) of the wheels that are all there is of it. Entries that have a source
    /// archive too, or a wheel for any platform, are not listed, nor are those whose files the lock does not name.
    pub wheels: BTreeMap<usize, Vec<String>>,
    /// What could not be read.
    pub diagnostics: Vec<Diagnostic>,
}

/// The platforms that a lock is made for.
#[derive(Debug, Clone)]
pub struct MadeFor {
    /// Holds on all of them.
    pub marker: MarkerTree,
    /// As the lock writes it: `>=3.9`.
    pub text: String,
    /// Line where it says so.
    pub line: u32,
}

impl Lock {
    /// A lock that holds nothing and promises nothing.
    pub fn empty(kind: Kind, file: &str) -> Self {
        let file = file.to_string();
        Self {
            kind,
            file,
            entries: Vec::new(),
            importers: BTreeMap::new(),
            overrides: BTreeSet::new(),
            complete: false,
            made_for: None,
            wheels: BTreeMap::new(),
            diagnostics: Vec::new(),
        }
    }
}

impl Lock {
    /// Takes out entries whose names and versions are none, each with a diagnostic. In an artefact they would keep whoever
    /// reads it from all the others.
    pub(crate) fn drop_unsound(&mut self) {
        if self.entries.iter().all(|entry| entry.id.is_sound()) {
            return;
        }
        let mut at = 0;
        let new: Vec<Option<usize>> = self
            .entries
            .iter()
            .map(|entry| {
                let kept = entry.id.is_sound().then_some(at);
                at += usize::from(kept.is_some());
                kept
            })
            .collect();
        for entry in self.entries.iter().filter(|entry| !entry.id.is_sound()) {
            let reason = format!("`{}` is no name and version of a package", entry.id.spec());
            self.diagnostics.push(Diagnostic::new(codes::LOCK_INVALID, Place::at(&self.file, entry.line), reason));
        }
        self.entries.retain(|entry| entry.id.is_sound());
        let of_entries = self.entries.iter_mut().filter_map(|entry| entry.requires.as_mut());
        for edge in of_entries.chain(self.importers.values_mut()).flatten() {
            edge.to = edge.to.iter().filter_map(|to| new.get(*to).copied().flatten()).collect();
        }
        let wheels = std::mem::take(&mut self.wheels).into_iter();
        self.wheels = wheels.filter_map(|(at, tags)| Some((new.get(at).copied().flatten()?, tags))).collect();
    }

    /// Whether the texts of its packages' edges are the ranges that those packages state themselves: uv, pnpm and the
    /// notes of requirements files only say what was chosen, and what is read of installed packages has files of no
    /// lock's name.
    pub fn records_ranges(&self) -> bool {
        matches!(self.kind, Kind::Poetry | Kind::Pdm | Kind::PackageLock | Kind::Yarn | Kind::Bun)
            && Kind::of(&self.file) == Some(self.kind)
    }

    /// Whether it records what any of its packages requires.
    pub fn has_edges(&self) -> bool {
        self.entries.is_empty() || self.entries.iter().any(|e| e.requires.is_some())
    }
}

impl Entry {
    /// A version that is written somewhere, without anything else being known.
    pub fn pin(id: PackageId, line: u32) -> Self {
        Self { id, line, hashes: Vec::new(), source: None, size: None, requires: None, when: When::default() }
    }
}

/// Indices of entries by real name.
pub(crate) fn indices_by_name(entries: &[Entry]) -> BTreeMap<String, Vec<usize>> {
    let mut out: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (i, entry) in entries.iter().enumerate() {
        out.entry(entry.id.name.clone()).or_default().push(i);
    }
    out
}

/// Entries of one name in one Python lock that are told apart: forks are a handful, and every one is a target of every edge.
pub(crate) const MAX_VERSIONS: usize = 64;

/// [`indices_by_name`] of a Python lock; what goes beyond [`MAX_VERSIONS`] of one name is told and left out.
pub(crate) fn python_index(lock: &mut Lock) -> BTreeMap<String, Vec<usize>> {
    let mut index = indices_by_name(&lock.entries);
    for (name, indices) in index.iter_mut().filter(|(_, indices)| indices.len() > MAX_VERSIONS) {
        let reason = format!("it holds {} versions of {name}, of which {MAX_VERSIONS} are used", indices.len());
        let place = Place::at(&lock.file, lock.entries[indices[MAX_VERSIONS]].line);
        lock.diagnostics.push(Diagnostic::new(codes::LOCK_INVALID, place, reason));
        indices.truncate(MAX_VERSIONS);
    }
    index
}

/// Of several Python entries of one name, those that a range allows; all of them where it tells nothing.
pub(crate) fn candidates(entries: &[Entry], of_name: &[usize], range: &str) -> Vec<usize> {
    if of_name.len() < 2 {
        return of_name.to_vec();
    }
    let allowed = |i: &usize| pep508::satisfies(range, &entries[*i].id.version) != Some(false);
    let some: Vec<usize> = of_name.iter().copied().filter(allowed).collect();
    if some.is_empty() { of_name.to_vec() } else { some }
}

/// One package at one version in a lock.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Real name and version, aliases resolved.
    pub id: PackageId,
    /// Line of the entry, from 1.
    pub line: u32,
    /// `sha256:…` or `sha512-…`.
    pub hashes: Vec<String>,
    /// `None` = registry; else `git`, `url`, `path`, `workspace`, or `patch` (not what the registry holds).
    pub source: Option<String>,
    /// Bytes of the artefact, where the lock tells.
    pub size: Option<u64>,
    /// `None` where the format does not record edges.
    pub requires: Option<Vec<Edge>>,
    /// Where the package can be installed at all.
    pub when: When,
}

/// A dependency of an importer or of an entry.
#[derive(Debug, Clone)]
pub struct Edge {
    /// The name that the requirer uses (an npm alias, or the normalised name).
    pub name: String,
    /// The requirement as written: `>=1.2`, `^4.17.1`.
    pub text: String,
    /// Line where it is written, 0 when unknown.
    pub line: u32,
    /// Indices into `Lock::entries`: one for npm; for Python every entry of that name that the markers may choose from.
    pub to: Vec<usize>,
    /// Extras asked of the target.
    pub extras: Vec<String>,
    /// PEP 508 marker.
    pub marker: Option<MarkerTree>,
    /// When the edge counts.
    pub scope: Scope,
}

/// When an edge counts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Always in production.
    Production,
    /// In production where the platform allows; its absence is no error.
    Optional,
    /// Peer dependency: satisfied by whatever the tree holds.
    Peer,
    /// Peer dependency that may be absent.
    OptionalPeer,
    /// Never in production (dev dependencies, groups).
    Dev,
    /// Only when this extra of the requirer is asked for.
    Extra(String),
}

/// Where a package can be installed at all.
#[derive(Debug, Clone, Default)]
pub struct When {
    /// PEP 508 marker of the entry.
    pub marker: Option<MarkerTree>,
    /// npm `os` list (`!` negates); empty = anywhere.
    pub os: Vec<String>,
    /// npm `cpu` list.
    pub cpu: Vec<String>,
    /// npm `libc` list.
    pub libc: Vec<String>,
}

/// What an importer loads in production on a platform.
#[derive(Debug, Clone, Default)]
pub struct Closure {
    /// Packages reached, with their direct dependencies inside the closure.
    pub packages: BTreeMap<PackageId, Reached>,
    /// Requirements that the lock does not satisfy: (requirer or `None` for the importer, requirement name, text).
    pub missing: Vec<(Option<PackageId>, String, String)>,
}

/// A package in a closure.
#[derive(Debug, Clone, Default)]
pub struct Reached {
    /// Index of its entry in the lock.
    pub entry: usize,
    /// Direct dependencies on this platform; `None` where the lock records no edges.
    pub requires: Option<BTreeSet<PackageId>>,
    /// The ranges in which it asks for them, by their names, where the lock records ranges; not those of aliases.
    pub ranges: BTreeMap<String, BTreeSet<String>>,
    /// npm aliases among them.
    pub aliases: BTreeMap<String, PackageId>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_say_their_kind() {
        for (name, kind) in [
            ("requirements.txt", Some(Kind::Requirements)),
            ("fn/dev-requirements.txt", Some(Kind::Requirements)),
            ("requirements_prod.TXT", Some(Kind::Requirements)),
            ("requirements/base.txt", Some(Kind::Requirements)),
            ("requirements.in", None),
            ("notes.txt", None),
            ("a/poetry.lock", Some(Kind::Poetry)),
            ("uv.lock", Some(Kind::Uv)),
            ("a/pdm.lock", Some(Kind::Pdm)),
            ("Pipfile.lock", Some(Kind::Pipfile)),
            ("pylock.toml", Some(Kind::Pylock)),
            ("a/pylock.prod-1.toml", Some(Kind::Pylock)),
            ("pylock.a.b.toml", None),
            ("pylock..toml", None),
            ("Pipfile", None),
            ("npm-shrinkwrap.json", Some(Kind::PackageLock)),
            ("pnpm-lock.yaml", Some(Kind::Pnpm)),
            ("a/yarn.lock", Some(Kind::Yarn)),
            ("bun.lock", Some(Kind::Bun)),
            ("bun.lockb", Some(Kind::Bun)),
            ("Cargo.lock", None),
            ("", None),
        ] {
            assert_eq!(Kind::of(name), kind, "{name}");
        }
    }

    #[test]
    #[allow(clippy::result_large_err)]
    fn every_kind_gives_a_lock_or_says_why_not() {
        for kind in Kind::ALL {
            let lock = read(*kind, "x", "\0\u{1}{[<", &mut |_| unreachable!());
            assert!(lock.entries.is_empty() && !lock.diagnostics.is_empty(), "{}", kind.as_str());
        }
    }

    #[test]
    #[allow(clippy::result_large_err)]
    fn what_is_no_name_and_version_is_taken_out_and_the_rest_stays() {
        let text = |name: &str, version: &str| {
            format!(
                "version = 1\n\n[[package]]\nname = \"x\"\nversion = \"1\"\nsource = {{ virtual = \".\" }}\ndependencies = [{{ name = \"{name}\" }}, {{ name = \"six\" }}]\n\n[[package]]\nname = \"{name}\"\nversion = \"{version}\"\nsource = {{ registry = \"https://registry.example\" }}\n\n[[package]]\nname = \"six\"\nversion = \"1.16.0\"\nsource = {{ registry = \"https://registry.example\" }}\n"
            )
        };
        for (name, version) in [("-", "1"), ("a", "1 2"), ("a==b", "1")] {
            let lock = read(Kind::Uv, "uv.lock", &text(name, version), &mut |_| unreachable!());
            let ids: Vec<String> = lock.entries.iter().map(|e| e.id.spec()).collect();
            assert_eq!(ids, ["x==1", "six==1.16.0"], "{name} {version}");
            let said: Vec<(&str, u32)> = lock.diagnostics.iter().map(|d| (d.code.as_str(), d.place.line)).collect();
            assert_eq!(said.iter().filter(|(code, _)| *code == "lock-invalid").count(), 1, "{said:?}");
            let to: Vec<usize> = lock.entries[0].requires.iter().flatten().flat_map(|e| e.to.clone()).collect();
            assert_eq!(to, [1], "six is found where it is now");
        }
        assert_eq!(read(Kind::Uv, "uv.lock", &text("a", "2"), &mut |_| unreachable!()).entries.len(), 3);
    }

    #[test]
    #[allow(clippy::result_large_err)]
    fn deep_nesting_is_said_and_survived() {
        let deep = 100_000;
        let files = [
            "[".repeat(deep),
            "{\"packages\":{\"a\":".to_string() + &"[".repeat(deep) + &"]".repeat(deep) + "}}",
            "{\"a\":".repeat(deep) + "1" + &"}".repeat(deep),
            "{\"lockfileVersion\":3,\"packages\":".to_string() + &"{\"a\":".repeat(deep),
            "__metadata: {}\na: ".to_string() + &"{a: ".repeat(deep) + &"}".repeat(deep),
            "lockfileVersion: '9.0'\npackages: ".to_string() + &"[".repeat(deep) + &"]".repeat(deep),
            "__metadata: {}\na:\n  dependencies:\n    ".to_string() + &"- ".repeat(deep),
            "version = 1\na = ".to_string() + &"[".repeat(deep) + &"]".repeat(deep),
            "version = 1\na = ".to_string() + &"{a = ".repeat(deep) + &"}".repeat(deep),
        ];
        for text in &files {
            for kind in Kind::ALL.iter().filter(|kind| **kind != Kind::Requirements) {
                let lock = read(*kind, "x", text, &mut |path| {
                    Err(Diagnostic::new(codes::INCLUDE_MISSING, Place::file(path), "absent"))
                });
                assert!(lock.entries.is_empty() && !lock.diagnostics.is_empty(), "{} {text:.40}", kind.as_str());
                assert!(lock.diagnostics.iter().all(|d| d.reason.len() < 1_000), "{} {text:.40}", kind.as_str());
            }
            // What a manifest's reader does not look at may be anything; that it comes back is what counts.
            for file in ["package.json", "pyproject.toml"] {
                read_manifest(file, text);
            }
        }
        let asked = "{\"dependencies\":{\"a\":".to_string() + &"[".repeat(deep) + &"]".repeat(deep) + "}}";
        assert!(read_manifest("package.json", &asked).unwrap().is_broken());
    }
}
