//! What is pinned: locks in every format, read into one neutral form, and the closure of an importer on a platform.
//!
//! Invariant: a reader says what its file says. It never looks at another file unless the format includes it, and
//! never fills in a version.

pub mod closure;
pub mod environment;
pub mod manifest;
pub mod npm_json;
pub mod npm_layout;
pub mod npm_range;
pub mod package_json;
pub mod package_lock;
pub mod pep508;
pub mod pnpm;
pub mod poetry;
pub mod positions;
pub mod pyproject;
pub mod requirements;
pub mod toml_doc;
pub mod uv;

use std::collections::{BTreeMap, BTreeSet};

use pep508_rs::MarkerTree;

pub use manifest::{Manifest, ManifestRequirement};

use crate::model::{Diagnostic, Ecosystem, PackageId, Place, codes};

/// Version of a package whose lock does not tell one: a folder or repository whose build computes it. It is no version
/// in any ecosystem, so nothing can mistake it for one.
pub const UNKNOWN_VERSION: &str = "unknown";

/// Reads a lock of a known kind. Errors are diagnostics of the lock: a lock always comes back.
///
/// `include` gives the text of another file by its path relative to the fleet's root, for formats that include files.
pub fn read(kind: Kind, file: &str, text: &str, include: &mut dyn FnMut(&str) -> Result<String, Diagnostic>) -> Lock {
    match kind {
        Kind::Requirements => requirements::read(file, text, include),
        Kind::Poetry => poetry::read(file, text),
        Kind::Uv => uv::read(file, text),
        Kind::PackageLock => package_lock::read(file, text),
        Kind::Pnpm => pnpm::read(file, text),
    }
}

/// Joins a path to a folder, both relative to the fleet's root and `/`-separated; `None` where it leaves the root.
pub(crate) fn join(folder: &str, path: &str) -> Option<String> {
    let path = path.replace('\\', "/");
    if path.starts_with('/') || path.get(1..2) == Some(":") {
        return None;
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in folder.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
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
    /// package-lock.json and npm-shrinkwrap.json.
    PackageLock,
    /// pnpm-lock.yaml.
    Pnpm,
}

impl Kind {
    /// Every kind, in the order of the documentation.
    pub const ALL: &'static [Kind] = &[Kind::Requirements, Kind::Poetry, Kind::Uv, Kind::PackageLock, Kind::Pnpm];

    /// The name in artefacts and options.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Requirements => "requirements",
            Kind::Poetry => "poetry",
            Kind::Uv => "uv",
            Kind::PackageLock => "package-lock",
            Kind::Pnpm => "pnpm",
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
            "package-lock.json" | "npm-shrinkwrap.json" => Some(Kind::PackageLock),
            "pnpm-lock.yaml" => Some(Kind::Pnpm),
            name => {
                let says = name.contains("requirements") || folder == "requirements";
                (says && name.ends_with(".txt")).then_some(Kind::Requirements)
            }
        }
    }

    /// Where its packages are published.
    pub fn ecosystem(self) -> Ecosystem {
        match self {
            Kind::Requirements | Kind::Poetry | Kind::Uv => Ecosystem::Pypi,
            Kind::PackageLock | Kind::Pnpm => Ecosystem::Npm,
        }
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
    /// Empty where the format does not record them (poetry): the manifest's requirements are the roots then.
    pub importers: BTreeMap<String, Vec<Edge>>,
    /// Whether the file promises to hold every package that is needed (a hashed requirements file, a real lock).
    pub complete: bool,
    /// What could not be read.
    pub diagnostics: Vec<Diagnostic>,
}

impl Lock {
    /// A lock that holds nothing and promises nothing.
    pub fn empty(kind: Kind, file: &str) -> Self {
        let file = file.to_string();
        Self { kind, file, entries: Vec::new(), importers: BTreeMap::new(), complete: false, diagnostics: Vec::new() }
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
    /// `None` = registry; else `git`, `url`, `path`, `workspace`.
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
    /// npm aliases among them.
    pub aliases: BTreeMap<String, PackageId>,
}
