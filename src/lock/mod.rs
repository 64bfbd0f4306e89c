//! What is pinned: locks in every format, read into one neutral form, and the closure of an importer on a platform.
//!
//! Invariant: a reader says what its file says. It never looks at another file unless the format includes it, and
//! never fills in a version.

pub mod manifest;
pub mod npm_json;
pub mod npm_layout;
pub mod npm_range;
pub mod package_json;
pub mod package_lock;
pub mod pnpm;
pub mod positions;

use std::collections::{BTreeMap, BTreeSet};

use pep508_rs::MarkerTree;

use crate::model::{Diagnostic, PackageId};

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
