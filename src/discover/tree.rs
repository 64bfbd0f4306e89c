//! A bounded view of a fleet's folder that is the same whatever machine it lies on.
//!
//! Only `.gitignore` and `.ignore` files *inside* the folder count: a user's global ignore file, the repository's
//! `info/exclude` and ignore files above the folder would make the answer depend on where it is checked out.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io::Read;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use ignore::WalkBuilder;
use sha2::{Digest, Sha256};

use super::archive::{self, Archive, Bytes};
use super::trace::{self, Trace};
use super::{paths, runtime};
use crate::model::codes;
use crate::model::{Diagnostic, Place};

/// How much is read.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Largest source file, template or manifest, in bytes.
    pub max_file_bytes: u64,
    /// Largest lock, in bytes: locks of real monorepos reach tens of megabytes.
    pub max_lock_bytes: u64,
    /// Deepest folder followed, counted from the root.
    pub max_depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_file_bytes: 4_000_000, max_lock_bytes: 256_000_000, max_depth: 64 }
    }
}

/// Why a folder cannot be scanned at all.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It does not exist, or may not be read.
    #[error("cannot read folder `{path}`: {source}")]
    Unreadable {
        /// As given.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// It is a file.
    #[error("`{path}` is not a folder")]
    NotAFolder {
        /// As given.
        path: PathBuf,
    },
}

#[derive(Debug)]
enum Content {
    Disk(PathBuf),
    Memory(BTreeMap<String, Vec<u8>>),
}

/// Relative paths with sizes, and a way to read them.
#[derive(Debug)]
pub struct Tree {
    files: BTreeMap<String, u64>,
    dirs: BTreeSet<String>,
    /// Links to folders inside the root: where they are, and what they point to.
    links: BTreeMap<String, String>,
    /// Synthesised CDK applications that an ignore file excludes: read when asked for by path, not listed.
    outputs: BTreeSet<String>,
    /// Archives by their path, whose files are listed below it; `.` when the root itself is one.
    archives: BTreeMap<String, Archive>,
    /// Metadata of installed packages: read, but never listed among the files of a function.
    installed: BTreeMap<String, u64>,
    content: Content,
    limits: Limits,
    diagnostics: Vec<Diagnostic>,
    /// Hashes of the names in each folder, made when somebody asks.
    listing: OnceLock<HashMap<String, String>>,
    /// Hashes of the paths below folders that somebody asked for: many functions ask for the folder of a monorepo.
    listing_below: Mutex<HashMap<String, String>>,
}

/// Hidden files that say which runtime is meant, or what is deployed; every other hidden file and folder is skipped.
const VERSION_FILES: [&str; 5] = [".python-version", ".nvmrc", ".node-version", ".tool-versions", ".funcignore"];

/// The one hidden folder that sources lie in: paths of the web that a standard fixes (RFC 8615) are served by functions.
const WELL_KNOWN: &str = ".well-known";

/// Folders that hold installed packages or caches, never a function's own source.
const SKIPPED_FOLDERS: [&str; 5] =
    ["node_modules", "bower_components", "__pycache__", "site-packages", "__pypackages__"];

/// Those of them whose packages say their names and versions.
const INSTALLED_FOLDERS: [&str; 2] = ["node_modules", "site-packages"];

/// Largest `.gitignore` that is looked at for patterns of scripts, bytes.
const MAX_IGNORE_FILE: u64 = 1 << 20;
/// Scripts, and what a compiler makes them from.
const SCRIPTS: [&str; 3] = [".js", ".mjs", ".cjs"];
const TYPED: [&str; 5] = [".ts", ".tsx", ".mts", ".cts", ".jsx"];

impl Tree {
    /// Lists what lies in `root`.
    ///
    /// # Errors
    /// When `root` does not exist, cannot be read or is not a folder. Whatever goes wrong below it is a diagnostic.
    pub fn open(root: &Path, limits: Limits) -> Result<Tree, OpenError> {
        let unreadable = |source| OpenError::Unreadable { path: root.to_path_buf(), source };
        let real_root = root.canonicalize().map_err(unreadable)?;
        if real_root.is_file() && is_archive(&real_root.to_string_lossy()) {
            return Ok(Self::of_archive(real_root, limits, true));
        }
        if !real_root.is_dir() {
            return Err(OpenError::NotAFolder { path: root.to_path_buf() });
        }
        std::fs::read_dir(&real_root).map_err(unreadable)?;
        Ok(Self::list(&real_root, limits))
    }

    /// Lists what lies in the folder or archive `rel` of `root`, and nothing beside or above it. Paths are relative to `root`.
    ///
    /// # Errors
    /// In words: when there is no such folder or archive, or a link leads out of `root`.
    pub fn open_within(root: &Path, rel: &str, limits: Limits) -> Result<Tree, String> {
        let unreadable = |error: std::io::Error| plain(&error);
        let real_root = root.canonicalize().map_err(unreadable)?;
        let folder = real_root.join(rel).canonicalize().map_err(unreadable)?;
        if !folder.starts_with(&real_root) {
            return Err("it leads out of the fleet's folder".into());
        }
        let archive = (folder.is_file() && is_archive(rel)).then(|| folder.metadata().map_or(0, |meta| meta.len()));
        let mut tree = if archive.is_some() {
            Self::of_archive(folder, limits, false)
        } else if folder.is_dir() {
            std::fs::read_dir(&folder).map_err(unreadable)?;
            Self::list(&folder, limits)
        } else {
            return Err("it is neither a folder nor an archive".into());
        };
        if rel != "." {
            tree.put_below(rel, real_root);
        }
        // As in a scan of the fleet, the archive is a file of it too.
        tree.files.extend(archive.map(|size| (rel.to_string(), size)));
        Ok(tree)
    }

    /// Makes every path relative to a folder further up, in which this one is called `rel`.
    fn put_below(&mut self, rel: &str, root: PathBuf) {
        let below = |path: &str| if path == "." { rel.to_string() } else { format!("{rel}/{path}") };
        self.files = std::mem::take(&mut self.files).into_iter().map(|(path, size)| (below(&path), size)).collect();
        self.dirs = self.dirs.iter().map(|dir| below(dir)).collect();
        self.dirs.extend(paths::ancestors(paths::parent(rel)).map(str::to_string));
        self.links = self.links.iter().map(|(link, target)| (below(link), below(target))).collect();
        self.outputs = self.outputs.iter().map(|output| below(output)).collect();
        self.archives = std::mem::take(&mut self.archives).into_iter().map(|(path, all)| (below(&path), all)).collect();
        self.installed = std::mem::take(&mut self.installed).into_iter().map(|(path, n)| (below(&path), n)).collect();
        for diagnostic in &mut self.diagnostics {
            diagnostic.place.file = below(&diagnostic.place.file);
        }
        self.content = Content::Disk(root);
    }

    fn list(real_root: &Path, limits: Limits) -> Tree {
        let mut tree = Tree {
            files: BTreeMap::new(),
            dirs: BTreeSet::from([".".to_string()]),
            links: BTreeMap::new(),
            outputs: BTreeSet::new(),
            archives: BTreeMap::new(),
            installed: BTreeMap::new(),
            content: Content::Disk(real_root.to_path_buf()),
            limits,
            diagnostics: Vec::new(),
            listing: OnceLock::new(),
            listing_below: Mutex::default(),
        };
        let ignore_files = Arc::new(Mutex::new(Vec::new()));
        let walk = WalkBuilder::new(real_root)
            .standard_filters(false)
            .git_ignore(true)
            .ignore(true)
            .require_git(false)
            .parents(false)
            .follow_links(false)
            .max_depth(Some(tree.limits.max_depth.saturating_add(1)))
            .filter_entry({
                let (root, ignore_files) = (real_root.to_path_buf(), Arc::clone(&ignore_files));
                move |entry| {
                    if entry.file_name() == ".gitignore" {
                        ignore_files.lock().unwrap_or_else(PoisonError::into_inner).push(entry.path().to_path_buf());
                    }
                    entry.depth() == 0 || is_wanted(&root, entry)
                }
            })
            .build();
        for entry in walk {
            match entry {
                Ok(entry) if entry.depth() > 0 => tree.add(real_root, &entry),
                Ok(_) => {}
                Err(error) => {
                    let (path, reason) = unwrap_walk_error(&error);
                    let rel = path.and_then(|p| p.strip_prefix(real_root).ok()).map_or_else(|| ".".into(), lossy);
                    tree.report(codes::FILE_UNREADABLE, rel, reason);
                }
            }
        }
        let ignore_files = std::mem::take(&mut *ignore_files.lock().unwrap_or_else(PoisonError::into_inner));
        tree.add_unbuilt(real_root, ignore_files);
        tree.add_outputs(real_root);
        tree.open_archives();
        tree.hide_installed();
        tree.diagnostics.sort();
        tree
    }

    /// Scripts that `.gitignore` takes for the output of a compiler (`*.js`, as in the templates of many TypeScript projects)
    /// although nothing lies beside them that they could be compiled from: they are sources, and are deployed.
    fn add_unbuilt(&mut self, root: &Path, ignore_files: Vec<PathBuf>) {
        let says_so = |file: &PathBuf| {
            let text = File::open(file).and_then(|file| {
                let mut text = Vec::new();
                file.take(MAX_IGNORE_FILE).read_to_end(&mut text).map(|_| text)
            });
            let text = String::from_utf8_lossy(&text.unwrap_or_default()).into_owned();
            let mut patterns = text.lines().map(str::trim).filter(|line| !line.starts_with(['#', '!']));
            patterns.any(|line| line.contains('*') && SCRIPTS.iter().any(|end| line.ends_with(end)))
        };
        let mut tops: Vec<PathBuf> =
            ignore_files.into_iter().filter(says_so).filter_map(|f| f.parent().map(Path::to_path_buf)).collect();
        tops.sort();
        tops.dedup_by(|inner, outer| inner.starts_with(outer));
        for top in tops {
            let listed = Arc::new(std::mem::take(&mut self.dirs));
            let max_depth = self.limits.max_depth.saturating_sub(top.components().count() - root.components().count());
            let walk = WalkBuilder::new(&top)
                .standard_filters(false)
                .ignore(true)
                .parents(false)
                .follow_links(false)
                .max_depth(Some(max_depth))
                .filter_entry({
                    let (root, listed) = (root.to_path_buf(), Arc::clone(&listed));
                    move |entry| {
                        let rel = entry.path().strip_prefix(&root).map(lossy).unwrap_or_default();
                        match entry.file_type() {
                            Some(kind) if kind.is_dir() => rel.is_empty() || listed.contains(&rel),
                            Some(kind) => kind.is_file() && is_wanted(&root, entry) && inside_installed(&rel).is_none(),
                            None => false,
                        }
                    }
                })
                .build();
            let scripts: Vec<(String, u64)> = walk
                .flatten()
                .filter(|entry| entry.file_type().is_some_and(|kind| kind.is_file()))
                .filter_map(|entry| {
                    let rel = lossy(entry.path().strip_prefix(root).ok()?);
                    let stem = SCRIPTS.iter().find_map(|end| rel.strip_suffix(end))?;
                    let is_built = TYPED.iter().any(|end| self.files.contains_key(&format!("{stem}{end}")));
                    if is_built || self.files.contains_key(&rel) {
                        return None;
                    }
                    Some((rel, entry.metadata().ok()?.len()))
                })
                .collect();
            self.dirs = Arc::try_unwrap(listed).unwrap_or_else(|shared| (*shared).clone());
            for (rel, size) in scripts {
                self.insert(rel, size);
            }
        }
    }

    /// Synthesised CDK applications: hardly ever committed, but whoever has run `cdk synth` expects its outcome to be
    /// read, as it says what the program only computes.
    fn add_outputs(&mut self, root: &Path) {
        let apps: Vec<String> = self
            .files
            .keys()
            .filter(|path| paths::file_name(path) == "cdk.json")
            .map(|path| paths::parent(path).to_string())
            .collect();
        for output in apps.iter().filter_map(|app| paths::join(app, "cdk.out")) {
            let dir = root.join(&output);
            if self.dirs.contains(&output) || dir.is_symlink() || !dir.join("manifest.json").is_file() {
                continue;
            }
            let max_depth = self.limits.max_depth.saturating_sub(output.split('/').count());
            let walk = WalkBuilder::new(&dir)
                .standard_filters(false)
                .follow_links(false)
                .max_depth(Some(max_depth))
                .filter_entry({
                    let root = root.to_path_buf();
                    move |entry| entry.depth() == 0 || is_wanted(&root, entry)
                })
                .build();
            for entry in walk.flatten().filter(|entry| !entry.path_is_symlink()) {
                let Some(rel) = entry.path().strip_prefix(root).ok().and_then(Path::to_str) else { continue };
                let rel = rel.replace(std::path::MAIN_SEPARATOR, "/");
                match (entry.file_type(), entry.metadata()) {
                    (Some(kind), Ok(metadata)) if kind.is_file() => self.insert(rel, metadata.len()),
                    (Some(kind), _) if kind.is_dir() => {
                        self.dirs.insert(rel);
                    }
                    _ => {}
                }
            }
            self.outputs.insert(output);
        }
    }

    /// Folders of synthesised CDK applications that [`Tree::files`] does not list.
    pub fn outputs(&self) -> impl Iterator<Item = &str> {
        self.outputs.iter().map(String::as_str)
    }

    fn is_listed(&self, path: &str) -> bool {
        self.outputs.is_empty() || !paths::ancestors(path).any(|dir| self.outputs.contains(dir))
    }

    /// A tree whose root is an archive: a project that is `alone`, or the package of a function of a fleet.
    fn of_archive(path: PathBuf, limits: Limits, alone: bool) -> Tree {
        let mut tree = Tree { limits, content: Content::Disk(path.clone()), ..Tree::in_memory(&[]) };
        match Archive::open(Bytes::Disk(path)) {
            Ok((archive, complaints)) => tree.add_archive(".", archive, complaints, alone),
            Err((code, reason)) => tree.report(code, ".".into(), reason),
        }
        tree.hide_installed();
        tree.diagnostics.sort();
        tree
    }

    /// Opens every archive that holds sources; data that happens to be packed stays a file.
    fn open_archives(&mut self) {
        let all: Vec<String> = self
            .files
            .iter()
            .filter(|(f, n)| is_archive(f) && **n <= archive::MAX_BYTES)
            .map(|(f, _)| f.clone())
            .collect();
        for path in all {
            let bytes = match &self.content {
                Content::Disk(root) => Bytes::Disk(root.join(&path)),
                Content::Memory(files) => Bytes::Memory(Arc::from(files.get(&path).cloned().unwrap_or_default())),
            };
            match Archive::open(bytes) {
                Ok((archive, complaints)) if archive.files().any(|(file, _)| is_code(file)) => {
                    self.add_archive(&path, archive, complaints, false);
                }
                Ok(_) => {}
                Err((code, reason)) => self.report(code, path, reason),
            }
        }
    }

    fn add_archive(&mut self, path: &str, archive: Archive, complaints: Vec<archive::Complaint>, alone: bool) {
        for (code, reason) in complaints {
            self.report(code, path.to_string(), reason);
        }
        self.dirs.insert(path.to_string());
        for (file, size) in archive.files() {
            let Some(full) = paths::join(path, file) else { continue };
            let mut folders = file.rsplit('/').skip(1);
            let name = paths::file_name(file);
            if file.split('/').any(|part| SKIPPED_FOLDERS.contains(&part)) {
                if is_installed_manifest(file) {
                    self.installed.insert(full, size);
                }
            } else if (alone || !is_declaration(name))
                && !folders.any(|part| part.starts_with('.') && part != WELL_KNOWN)
                && (!name.starts_with('.') || VERSION_FILES.contains(&name))
            {
                self.insert(full, size);
            }
        }
        self.archives.insert(path.to_string(), archive);
    }

    /// Takes packages that are installed beside a function's own code out of the list: their metadata stays readable.
    fn hide_installed(&mut self) {
        let metadata: Vec<String> = self.files.keys().filter(|file| is_metadata(file)).cloned().collect();
        let mut tops: BTreeSet<String> = BTreeSet::new();
        for file in metadata {
            let info = paths::parent(&file).to_string();
            let base = paths::parent(&info).to_string();
            let beside = |name: &str| paths::join(&info, name).unwrap_or_default();
            // A project that was installed from its own folder is the function itself (PEP 610).
            if self.contains(&beside("direct_url.json")) {
                continue;
            }
            let mut names: Vec<String> = Vec::new();
            if let Ok(record) = self.text(&beside("RECORD")) {
                let first = |line: &str| line.trim_start_matches('"').split([',', '"']).next().map(str::to_string);
                names.extend(record.lines().filter_map(first));
            } else if let Ok(top) = self.text(&beside("top_level.txt")) {
                names.extend(top.lines().map(|line| line.trim().to_string()));
            } else if let Some((name, _)) = paths::file_name(&info).split_once('-') {
                // Stripped of everything but its name (PEP 427).
                names.extend([name.to_string(), name.to_lowercase()]);
            }
            for name in names {
                let top = name.split('/').next().unwrap_or_default();
                if !matches!(top, "" | "." | "..") && !top.ends_with(".dist-info") {
                    tops.extend(paths::join(&base, top));
                    if !name.contains(['/', '.']) {
                        tops.extend(paths::join(&base, &format!("{top}.py")));
                    }
                }
            }
            if let Some(size) = self.files.get(&file) {
                self.installed.insert(file, *size);
            }
            tops.insert(info);
        }
        for top in tops {
            self.files.remove(&top);
            let (from, to) = (format!("{top}/"), format!("{top}0"));
            let range = (Bound::Included(from.clone()), Bound::Excluded(to.clone()));
            let below: Vec<String> = self.files.range::<String, _>(range).map(|(f, _)| f.clone()).collect();
            for file in below {
                self.files.remove(&file);
            }
            self.dirs.remove(&top);
            let range = (Bound::Included(from), Bound::Excluded(to));
            let below: Vec<String> = self.dirs.range::<String, _>(range).cloned().collect();
            for dir in below {
                self.dirs.remove(&dir);
            }
        }
    }

    /// Metadata files of packages that are installed in a folder: `*.dist-info/METADATA` directly in it, or every
    /// `package.json` of its `node_modules`; sorted.
    pub fn installed_in<'a>(&'a self, dir: &str, language: crate::model::Language) -> Vec<&'a str> {
        let dir = self.real(dir).into_owned();
        self.noted_below(&dir);
        let prefix = if dir == "." { String::new() } else { format!("{dir}/") };
        self.installed_below(&dir)
            .filter(|file| match language {
                crate::model::Language::Python => is_metadata(file) && paths::parent(paths::parent(file)) == dir,
                crate::model::Language::Node => file[prefix.len()..].starts_with("node_modules/"),
            })
            .collect()
    }

    /// The archive that a file lies in.
    pub fn archive_of(&self, rel: &str) -> Option<&str> {
        if self.archives.is_empty() {
            return None;
        }
        paths::ancestors(paths::parent(rel))
            .find_map(|dir| self.archives.get_key_value(dir))
            .map(|(path, _)| path.as_str())
    }

    /// A tree that exists in memory only, for the tests of every layer.
    pub fn in_memory(files: &[(&str, &[u8])]) -> Tree {
        let mut tree = Tree {
            files: BTreeMap::new(),
            dirs: BTreeSet::from([".".to_string()]),
            links: BTreeMap::new(),
            outputs: BTreeSet::new(),
            archives: BTreeMap::new(),
            installed: BTreeMap::new(),
            content: Content::Memory(BTreeMap::new()),
            limits: Limits::default(),
            diagnostics: Vec::new(),
            listing: OnceLock::new(),
            listing_below: Mutex::default(),
        };
        for (path, bytes) in files {
            tree.insert((*path).to_string(), bytes.len() as u64);
        }
        tree.content = Content::Memory(files.iter().map(|(p, b)| ((*p).to_string(), b.to_vec())).collect());
        tree.open_archives();
        tree.hide_installed();
        tree
    }

    fn report(&mut self, code: crate::model::Code, rel: String, reason: impl Into<String>) {
        self.diagnostics.push(Diagnostic::new(code, Place::file(rel), reason));
    }

    fn insert(&mut self, rel: String, size: u64) {
        for dir in paths::ancestors(paths::parent(&rel)) {
            if !self.dirs.insert(dir.to_string()) {
                break;
            }
        }
        self.files.insert(rel, size);
    }

    fn add(&mut self, root: &Path, entry: &ignore::DirEntry) {
        let path = entry.path();
        let Ok(inner) = path.strip_prefix(root) else { return };
        let Some(rel) = inner.to_str() else {
            let diagnostic = Diagnostic::new(
                codes::FILE_UNREADABLE,
                Place::file(lossy(inner)),
                "its name is not valid UTF-8, so it was skipped",
            );
            self.diagnostics.push(diagnostic.next("rename it"));
            return;
        };
        let rel = rel.replace(std::path::MAIN_SEPARATOR, "/");
        let too_deep = entry.depth() > self.limits.max_depth;
        if inside_installed(&rel).is_some() {
            if let (true, Ok(metadata)) = (is_installed_manifest(&rel) && !too_deep, entry.metadata()) {
                self.installed.insert(rel, metadata.len());
            }
            return;
        }
        if entry.path_is_symlink() {
            self.add_link(root, path, rel);
        } else if entry.file_type().is_some_and(|t| t.is_dir()) {
            if too_deep {
                let max = self.limits.max_depth;
                self.report(codes::TREE_TOO_DEEP, rel, format!("nested deeper than {max} folders, not followed"));
            } else {
                self.dirs.insert(rel);
            }
        } else if entry.file_type().is_some_and(|t| t.is_file()) && !too_deep {
            match entry.metadata() {
                Ok(metadata) => self.insert(rel, metadata.len()),
                Err(error) => self.report(codes::FILE_UNREADABLE, rel, os_reason(&error.to_string())),
            }
        }
        // Sockets, pipes and devices are never opened: reading one may never end.
    }

    fn add_link(&mut self, root: &Path, path: &Path, rel: String) {
        let real = match path.canonicalize() {
            Ok(real) => real,
            Err(error) => {
                let outside = std::fs::read_link(path).is_ok_and(|target| leaves(&rel, &target));
                if outside {
                    self.report(codes::LINK_LEAVES_ROOT, rel, "it points outside the scanned folder");
                } else {
                    self.report(
                        codes::FILE_UNREADABLE,
                        rel,
                        format!("a symbolic link that leads nowhere ({})", plain(&error)),
                    );
                }
                return;
            }
        };
        let Ok(target) = real.strip_prefix(root) else {
            self.report(codes::LINK_LEAVES_ROOT, rel, "it points outside the scanned folder");
            return;
        };
        match std::fs::metadata(&real) {
            Ok(metadata) if metadata.is_file() => self.insert(rel, metadata.len()),
            Ok(metadata) if metadata.is_dir() => {
                // The target is listed where it lies; listing it again here could go round in circles.
                let target = lossy(target);
                self.links.insert(rel, if target.is_empty() { ".".into() } else { target });
            }
            Ok(_) => {}
            Err(error) => self.report(codes::FILE_UNREADABLE, rel, plain(&error)),
        }
    }

    /// The path with links to folders replaced by what they point to.
    pub fn real<'a>(&self, rel: &'a str) -> std::borrow::Cow<'a, str> {
        if self.links.is_empty() || self.files.contains_key(rel) {
            return rel.into();
        }
        let mut path = rel.to_string();
        // A link can lead to a path that goes through another one; a chain longer than this is a circle.
        for _ in 0..16 {
            let Some((link, target)) = paths::ancestors(&path).find_map(|d| self.links.get_key_value(d)) else { break };
            let rest = paths::relative_to(&path, link).unwrap_or("");
            match paths::join(target, rest) {
                Some(next) => path = next,
                None => break,
            }
        }
        path.into()
    }

    /// Every file, sorted.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str).filter(|path| self.is_listed(path))
    }

    /// Every folder that holds something, sorted; `.` is the root.
    pub fn dirs(&self) -> impl Iterator<Item = &str> {
        self.dirs.iter().map(String::as_str).filter(|path| self.is_listed(path))
    }

    /// Whether the file exists (and is not excluded).
    pub fn contains(&self, rel: &str) -> bool {
        self.looked_in(paths::parent(rel));
        self.files.contains_key(rel) || (!self.links.is_empty() && self.files.contains_key(self.real(rel).as_ref()))
    }

    /// Whether the folder exists (and is not excluded).
    pub fn has_dir(&self, rel: &str) -> bool {
        self.looked_in(rel);
        self.dirs.contains(rel) || (!self.links.is_empty() && self.dirs.contains(self.real(rel).as_ref()))
    }

    /// Whether a path that this tree does not list exists all the same: excluded by an ignore file, hidden, or built.
    pub fn is_excluded(&self, rel: &str) -> bool {
        match &self.content {
            Content::Disk(root) => !self.contains(rel) && !self.has_dir(rel) && root.join(rel).exists(),
            Content::Memory(_) => false,
        }
    }

    /// Files below a folder, at every depth, sorted.
    pub fn under<'a>(&'a self, dir: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        let dir = self.real(dir).into_owned();
        self.noted_below(&dir);
        self.range(&dir)
    }

    fn noted_below(&self, dir: &str) {
        if trace::is_on() {
            let hash = self.hash_below(dir);
            trace::note(|trace| drop(trace.below.insert(dir.to_string(), hash)));
        }
    }

    /// Metadata files of installed packages below a folder, sorted.
    fn installed_below<'a>(&'a self, dir: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        let prefix = if dir == "." { String::new() } else { format!("{dir}/") };
        let all = self.installed.range::<String, _>((Bound::Included(prefix.clone()), Bound::Unbounded));
        all.map(|(file, _)| file.as_str()).take_while(move |file| file.starts_with(&prefix))
    }

    fn range<'a>(&'a self, dir: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        let (from, to) = if dir == "." {
            (Bound::Unbounded, Bound::Unbounded)
        } else {
            // `0` is the character after `/`: the range holds what starts with `dir/` and nothing else.
            (Bound::Included(format!("{dir}/")), Bound::Excluded(format!("{dir}0")))
        };
        // Inside an output everything is asked for; from outside nothing of it is.
        let inside = !self.is_listed(dir);
        let files = self.files.range::<String, _>((from, to)).map(|(path, _)| path.as_str());
        files.filter(move |path| inside || self.is_listed(path))
    }

    /// Whether work that asked what a trace says would be answered the same; `hash_of` is [`Tree::hash_of`], or remembers
    /// what that said.
    pub fn still(&self, then: &Trace, hash_of: impl Fn(&str) -> String) -> bool {
        then.folders.iter().all(|(dir, hash)| self.hash_in(dir) == *hash)
            && then.below.iter().all(|(dir, hash)| self.hash_below(dir) == *hash)
            && then.files.iter().all(|(file, hash)| hash_of(file) == *hash)
    }

    /// Hash of what reading a file comes to.
    pub fn hash_of(&self, file: &str) -> String {
        hash_of(&self.fetch(file))
    }

    /// What else decides where paths lead, in words: links to folders, archives that are read as folders, applications
    /// that are read and not listed.
    pub fn shape(&self) -> String {
        let archives: Vec<&String> = self.archives.keys().collect();
        format!("{:?}\n{archives:?}\n{:?}", self.links, self.outputs)
    }

    fn looked_in(&self, dir: &str) {
        if trace::is_on() {
            let dir = self.real(dir);
            let hash = self.hash_in(&dir);
            trace::note(|trace| drop(trace.folders.insert(dir.to_string(), hash)));
        }
    }

    fn hash_in(&self, dir: &str) -> String {
        let listing = self.listing.get_or_init(|| {
            let mut names: HashMap<&str, Sha256> = HashMap::new();
            for path in self.dirs.iter().chain(self.files.keys()).filter(|path| *path != ".") {
                let hash = names.entry(paths::parent(path)).or_default();
                hash.update(paths::file_name(path));
                hash.update(if self.dirs.contains(path) { "/" } else { "\0" });
            }
            names.into_iter().map(|(dir, hash)| (dir.to_string(), short_hex(&hash.finalize()))).collect()
        });
        listing.get(dir).cloned().unwrap_or_default()
    }

    fn hash_below(&self, dir: &str) -> String {
        let known = || self.listing_below.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(hash) = known().get(dir) {
            return hash.clone();
        }
        let made = self.make_hash_below(dir);
        known().insert(dir.to_string(), made.clone());
        made
    }

    fn make_hash_below(&self, dir: &str) -> String {
        let mut hash = Sha256::new();
        for path in self.range(dir).chain(self.installed_below(dir)) {
            hash.update(path);
            hash.update("\0");
        }
        short_hex(&hash.finalize())
    }

    /// Files that lie directly in a folder, sorted.
    pub fn files_in<'a>(&'a self, dir: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        let dir = self.real(dir).into_owned();
        self.looked_in(&dir);
        let inner = if dir == "." { 0 } else { dir.len() + 1 };
        self.range(&dir).filter(move |path| !path.get(inner..).is_some_and(|rest| rest.contains('/')))
    }

    /// Size in bytes, where the file exists.
    pub fn size(&self, rel: &str) -> Option<u64> {
        self.files.get(self.real(rel).as_ref()).copied()
    }

    /// The bytes of a file.
    ///
    /// # Errors
    /// `file-too-large` beyond the limit for its kind, `file-unreadable` when it is absent or cannot be read.
    pub fn read(&self, rel: &str) -> Result<Vec<u8>, Diagnostic> {
        let read = self.fetch(rel);
        if trace::is_on() {
            let hash = hash_of(&read);
            trace::note(|trace| drop(trace.files.insert(rel.to_string(), hash)));
        }
        read
    }

    fn fetch(&self, rel: &str) -> Result<Vec<u8>, Diagnostic> {
        let real = self.real(rel);
        let limit =
            if is_lock_name(paths::file_name(&real)) { self.limits.max_lock_bytes } else { self.limits.max_file_bytes };
        let unreadable = |reason: String| Diagnostic::new(codes::FILE_UNREADABLE, Place::file(rel), reason);
        let too_large = || {
            Diagnostic::new(
                codes::FILE_TOO_LARGE,
                Place::file(rel),
                format!("larger than {} MB, not read", limit as f64 / 1e6),
            )
        };
        let listed = self.files.get(real.as_ref()).or_else(|| self.installed.get(real.as_ref()));
        let Some(size) = listed else { return Err(unreadable("no such file".into())) };
        if *size > limit {
            return Err(too_large());
        }
        if let Some((path, archive)) = self.archive_of(&real).and_then(|path| self.archives.get_key_value(path)) {
            let inner = paths::relative_to(&real, path).unwrap_or(&real);
            return archive.read(inner, limit).map_err(unreadable);
        }
        match &self.content {
            Content::Memory(files) => {
                files.get(real.as_ref()).cloned().ok_or_else(|| unreadable("no such file".into()))
            }
            Content::Disk(root) => {
                let mut bytes = Vec::with_capacity(usize::try_from(*size).unwrap_or(0));
                // The file may have grown since it was listed.
                let read =
                    File::open(root.join(real.as_ref())).and_then(|file| file.take(limit + 1).read_to_end(&mut bytes));
                match read {
                    Ok(n) if n as u64 > limit => Err(too_large()),
                    Ok(_) => Ok(bytes),
                    Err(error) => Err(unreadable(plain(&error))),
                }
            }
        }
    }

    /// The text of a file: UTF-8 (a byte order mark is dropped), or UTF-16 that starts with one.
    ///
    /// # Errors
    /// As [`Tree::read`]; `file-binary` when it holds a NUL, `file-encoding` when it is neither of the two.
    pub fn text(&self, rel: &str) -> Result<String, Diagnostic> {
        decode(rel, self.read(rel)?)
    }

    /// What went wrong while listing, sorted.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }
}

fn hash_of(read: &Result<Vec<u8>, Diagnostic>) -> String {
    short_hex(&match read {
        Ok(bytes) => Sha256::digest(bytes),
        Err(diagnostic) => Sha256::digest(format!("{diagnostic:?}")),
    })
}

/// Half of a SHA-256, which nobody finds a second text for by chance.
fn short_hex(digest: &[u8]) -> String {
    digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// The text of a file's bytes, as [`Tree::text`] reads it.
///
/// # Errors
/// As [`Tree::text`].
pub fn decode(file: &str, bytes: Vec<u8>) -> Result<String, Diagnostic> {
    plain_text(bytes).map_err(|(code, line, reason)| Diagnostic::new(code, Place::at(file, line), reason))
}

fn plain_text(mut bytes: Vec<u8>) -> Result<String, (crate::model::Code, u32, String)> {
    let wide = match bytes.get(..2) {
        Some([0xFF, 0xFE]) => Some(u16::from_le_bytes as fn([u8; 2]) -> u16),
        Some([0xFE, 0xFF]) => Some(u16::from_be_bytes as fn([u8; 2]) -> u16),
        _ => None,
    };
    if let Some(unit) = wide {
        let units = bytes[2..].chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
        let text: Result<String, _> = char::decode_utf16(units).collect();
        let even = bytes.len().is_multiple_of(2);
        return match text {
            Ok(text) if even => match text.find('\0') {
                Some(at) => Err(binary(text.as_bytes(), at)),
                None => Ok(text),
            },
            _ => Err((codes::FILE_ENCODING, 0, "it starts as UTF-16 but is not valid UTF-16".into())),
        };
    }
    if bytes.starts_with(&[0xEF, 0xBB, 0xBF]) {
        bytes.drain(..3);
    }
    if let Some(at) = bytes.iter().position(|&b| b == 0) {
        return Err(binary(&bytes, at));
    }
    if std::str::from_utf8(&bytes).is_err() && says_one_byte(&bytes) {
        return Ok(bytes.iter().map(|&b| char::from(b)).collect());
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let bad = error.as_bytes().get(at).copied().unwrap_or_default();
        (codes::FILE_ENCODING, line_of(error.as_bytes(), at), format!("byte 0x{bad:02x} is not valid UTF-8"))
    })
}

fn binary(bytes: &[u8], at: usize) -> (crate::model::Code, u32, String) {
    (codes::FILE_BINARY, line_of(bytes, at), "it holds a NUL byte, so it is not text".into())
}

/// Whether one of the first two lines is a coding cookie (PEP 263, which pip honours in requirements files) for an encoding
/// of one byte a character that extends ASCII. Letters outside ASCII may come out as others; names and versions have none.
fn says_one_byte(bytes: &[u8]) -> bool {
    bytes.split(|&b| b == b'\n').take(2).filter(|line| line.trim_ascii_start().starts_with(b"#")).any(|line| {
        let line = String::from_utf8_lossy(line).to_ascii_lowercase().replace('_', "-");
        let Some((_, after)) = line.split_once("coding") else { return false };
        let Some(name) = after.strip_prefix([':', '=']).map(str::trim_start) else { return false };
        ["latin", "iso-8859", "iso8859", "l1", "cp125", "windows-125", "cp437", "cp850"]
            .iter()
            .any(|n| name.starts_with(n))
    })
}

fn line_of(bytes: &[u8], at: usize) -> u32 {
    let before = bytes.get(..at).unwrap_or(bytes);
    u32::try_from(before.iter().filter(|&&b| b == b'\n').count() + 1).unwrap_or(u32::MAX)
}

fn is_archive(path: &str) -> bool {
    paths::extension(path).eq_ignore_ascii_case("zip")
}

/// Whether a file may declare functions: an archive in a fleet is the package of one, not a project.
fn is_declaration(name: &str) -> bool {
    matches!(paths::extension(name), "yaml" | "yml" | "template" | "tf") && !name.starts_with("pnpm-")
}

/// Whether a file of an archive says that it holds code, and not only data.
fn is_code(file: &str) -> bool {
    runtime::language_of(file).is_some() || is_metadata(file) || is_package_manifest(file)
}

fn is_metadata(file: &str) -> bool {
    file.strip_suffix("/METADATA").is_some_and(|info| info.ends_with(".dist-info"))
}

/// The manifest of a package in `node_modules`, not one of those that lie inside packages.
fn is_package_manifest(file: &str) -> bool {
    let Some(place) = file.strip_suffix("/package.json") else { return false };
    let Some((_, name)) = place.rsplit_once("node_modules/") else { return false };
    match name.strip_prefix('@') {
        Some(scoped) => scoped.matches('/').count() == 1,
        None => !name.contains('/'),
    }
}

/// Files that the lock limit applies to.
fn is_lock_name(name: &str) -> bool {
    let by_extension = |ext: &str| Path::new(name).extension().is_some_and(|e| e == ext);
    matches!(name, "package-lock.json" | "npm-shrinkwrap.json" | "pnpm-lock.yaml" | "bun.lockb")
        || by_extension("lock")
        || (by_extension("txt") && name.contains("requirements"))
        || (by_extension("toml") && name.starts_with("pylock"))
}

fn is_wanted(root: &Path, entry: &ignore::DirEntry) -> bool {
    let name = entry.file_name().to_string_lossy();
    let is_dir = entry.file_type().is_some_and(|t| t.is_dir());
    let path = entry.path().strip_prefix(root).map(lossy).unwrap_or_default();
    if let Some(inside) = inside_installed(&path) {
        return inside.is_empty() || (is_dir && is_package_folder(&path)) || (!is_dir && is_installed_manifest(&path));
    }
    // Yarn's settings hold the ranges that `catalog:` in a yarn.lock stands for.
    if name.starts_with('.')
        && !VERSION_FILES.contains(&name.as_ref())
        && !matches!(name.as_ref(), ".yarnrc.yml" | WELL_KNOWN)
    {
        return false;
    }
    // A virtual environment is known by its marker, whatever its folder is called (PEP 405).
    !is_dir || !(SKIPPED_FOLDERS.contains(&name.as_ref()) || entry.path().join("pyvenv.cfg").is_file())
}

/// The part of a path below the last folder of installed packages in it; empty for that folder itself.
fn inside_installed(path: &str) -> Option<&str> {
    let below = |at: usize, name: &str| path.get(at + name.len()..).map(|rest| rest.trim_start_matches('/'));
    let last = |name: &'static str| {
        let whole = |at: &usize| {
            let end = path.as_bytes().get(at + name.len());
            (*at == 0 || path.as_bytes()[at - 1] == b'/') && end.is_none_or(|b| *b == b'/')
        };
        path.rmatch_indices(name).map(|(at, _)| at).find(whole).map(|at| (at, name))
    };
    let (at, name) = INSTALLED_FOLDERS.iter().filter_map(|name| last(name)).max()?;
    below(at, name)
}

/// Whether a folder below `node_modules` or `site-packages` may hold the manifest of a package, or further packages.
fn is_package_folder(path: &str) -> bool {
    let inside = inside_installed(path).unwrap_or_default();
    let parts: Vec<&str> = inside.split('/').collect();
    match parts[..] {
        [name] if name.starts_with('.') => false,
        [name] => name.ends_with(".dist-info") || path.rfind("site-packages") < path.rfind("node_modules"),
        [scope, _] => scope.starts_with('@'),
        _ => false,
    }
}

fn is_installed_manifest(path: &str) -> bool {
    is_package_manifest(path) || is_metadata(path)
}

/// Whether a link at `rel` would lead out of the root even if its target existed.
fn leaves(rel: &str, target: &Path) -> bool {
    target.is_absolute() || target.to_str().is_none_or(|t| paths::join(paths::parent(rel), t).is_none())
}

fn lossy(path: &Path) -> String {
    path.to_string_lossy().replace(std::path::MAIN_SEPARATOR, "/")
}

/// The operating system's words without its error number and without the absolute path.
fn plain(error: &std::io::Error) -> String {
    os_reason(&error.to_string())
}

fn os_reason(text: &str) -> String {
    let text = text.rsplit(": ").next().unwrap_or(text);
    text.split(" (os error").next().unwrap_or(text).to_lowercase()
}

fn unwrap_walk_error(error: &ignore::Error) -> (Option<&Path>, String) {
    let mut path = None;
    let mut inner = error;
    loop {
        match inner {
            ignore::Error::WithPath { path: p, err } => {
                path = Some(p.as_path());
                inner = err;
            }
            ignore::Error::WithDepth { err, .. } | ignore::Error::WithLineNumber { err, .. } => inner = err,
            other => return (path, os_reason(&other.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(root: &Path, rel: &str, bytes: &[u8]) {
        let path = root.join(rel);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    fn codes_of(tree: &Tree) -> Vec<(String, String)> {
        tree.diagnostics().iter().map(|d| (d.code.clone(), d.place.file.clone())).collect()
    }

    #[test]
    fn installed_packages_ignored_and_hidden_files_are_not_listed() {
        let dir = tempfile::tempdir().unwrap();
        for rel in [
            "app.py",
            ".nvmrc",
            ".env",
            ".aws-sam/build/app.py",
            "app/.well-known/flags/route.ts",
            "node_modules/x/index.js",
            "env/pyvenv.cfg",
            "env/lib/x.py",
            "out/gen.js",
            "sub/a.py",
            "sub/secret.py",
        ] {
            write(dir.path(), rel, b"x");
        }
        write(dir.path(), ".gitignore", b"/out/\n");
        write(dir.path(), "sub/.gitignore", b"secret.py\n");
        let tree = Tree::open(dir.path(), Limits::default()).unwrap();
        assert_eq!(
            tree.files().collect::<Vec<_>>(),
            [".nvmrc", "app.py", "app/.well-known/flags/route.ts", "sub/a.py"]
        );
        assert!(tree.is_excluded("out") && !tree.is_excluded("sub") && !tree.is_excluded("nowhere"));
    }

    #[test]
    fn ignored_scripts_that_nothing_compiles_to_are_sources() {
        let dir = tempfile::tempdir().unwrap();
        for rel in [
            "lib/stack.ts",
            "lib/stack.js",
            "src/index.js",
            "src/kept.js",
            "src/node_modules/x/index.js",
            "dist/out.js",
            "hidden/app.js",
            "py/app.js",
            "plain/gen.js",
        ] {
            write(dir.path(), rel, b"x");
        }
        write(dir.path(), ".gitignore", b"dist\n");
        for folder in ["lib", "src", "hidden", "py"] {
            write(dir.path(), &format!("{folder}/.gitignore"), b"# compiled\n*.js\n!kept.js\n");
        }
        write(dir.path(), "hidden/.ignore", b"app.js\n");
        write(dir.path(), "plain/.gitignore", b"gen.js\n");
        let tree = Tree::open(dir.path(), Limits::default()).unwrap();
        assert_eq!(tree.files().collect::<Vec<_>>(), ["lib/stack.ts", "py/app.js", "src/index.js", "src/kept.js"]);
    }

    #[test]
    fn ignore_files_above_the_root_do_not_count() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), ".gitignore", b"*.py\n");
        write(dir.path(), "fleet/app.py", b"x");
        let tree = Tree::open(&dir.path().join("fleet"), Limits::default()).unwrap();
        assert_eq!(tree.files().collect::<Vec<_>>(), ["app.py"]);
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_inside_the_root_only() {
        use std::os::unix::fs::symlink;
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "outside/secret.py", b"x");
        write(dir.path(), "fleet/shared/util.py", b"x = 1\n");
        let fleet = dir.path().join("fleet");
        symlink("../outside", fleet.join("out")).unwrap();
        symlink("../gone", fleet.join("out-gone")).unwrap();
        symlink("nowhere.py", fleet.join("dangling.py")).unwrap();
        symlink("shared", fleet.join("linked")).unwrap();
        symlink("shared/util.py", fleet.join("one.py")).unwrap();
        symlink(".", fleet.join("loop")).unwrap();
        symlink("ring", fleet.join("ring")).unwrap();
        let tree = Tree::open(&fleet, Limits::default()).unwrap();
        assert_eq!(tree.files().collect::<Vec<_>>(), ["one.py", "shared/util.py"]);
        let expected = [
            ("file-unreadable", "dangling.py"),
            ("link-leaves-root", "out"),
            ("link-leaves-root", "out-gone"),
            ("file-unreadable", "ring"),
        ];
        let mut found = codes_of(&tree);
        found.sort_by(|a, b| a.1.cmp(&b.1));
        assert_eq!(found, expected.map(|(c, p)| (c.to_string(), p.to_string())));
        assert_eq!(tree.text("linked/util.py").unwrap(), "x = 1\n");
        assert_eq!(tree.text("one.py").unwrap(), "x = 1\n");
        assert!(tree.has_dir("loop/shared") && tree.contains("loop/loop/linked/util.py"));
    }

    #[test]
    fn folders_beyond_the_depth_are_named() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "a/b/c/d/deep.py", b"x");
        write(dir.path(), "a/b/seen.py", b"x");
        let limits = Limits { max_depth: 2, ..Limits::default() };
        let tree = Tree::open(dir.path(), limits).unwrap();
        assert_eq!(codes_of(&tree), [("tree-too-deep".to_string(), "a/b/c".to_string())]);
        assert!(tree.has_dir("a/b"));
    }

    #[test]
    fn a_coding_cookie_says_which_letters_are_meant() {
        let latin = b"# -*- coding: latin-1 -*-\n# caf\xe9\na==1\n".to_vec();
        assert_eq!(decode("r.txt", latin).unwrap(), "# -*- coding: latin-1 -*-\n# caf\u{e9}\na==1\n");
        for other in [&b"# caf\xe9\n"[..], b"a==1\n\n# coding: latin-1\n\xe9", b"# coding: utf-8\n\xe9"] {
            assert_eq!(decode("r.txt", other.to_vec()).unwrap_err().code, "file-encoding");
        }
    }

    #[test]
    fn text_is_decoded_or_named_as_what_it_is() {
        let tree = Tree::in_memory(&[
            ("bom.py", b"\xEF\xBB\xBFx = 1"),
            ("wide.py", b"\xFF\xFEx\0=\0"),
            ("big.py", b"\xFE\xFF\0x"),
            ("odd.py", b"\xFF\xFEx"),
            ("latin.py", b"# fine\nname = 'caf\xE9'\n"),
            ("binary.py", b"\x7fELF\n\0\0"),
        ]);
        assert_eq!(tree.text("bom.py").unwrap(), "x = 1");
        assert_eq!(tree.text("wide.py").unwrap(), "x=");
        assert_eq!(tree.text("big.py").unwrap(), "x");
        let failed = |rel: &str| tree.text(rel).map_err(|d| (d.code, d.place.line)).unwrap_err();
        assert_eq!(failed("odd.py"), ("file-encoding".to_string(), 0));
        assert_eq!(failed("latin.py"), ("file-encoding".to_string(), 2));
        assert_eq!(failed("binary.py"), ("file-binary".to_string(), 2));
        assert_eq!(failed("absent.py"), ("file-unreadable".to_string(), 0));
    }

    #[test]
    fn large_files_are_refused_by_kind() {
        let mut tree =
            Tree::in_memory(&[("app.py", b"12345"), ("uv.lock", b"12345"), ("requirements-dev.txt", b"12345")]);
        tree.limits = Limits { max_file_bytes: 4, max_lock_bytes: 5, max_depth: 1 };
        assert_eq!(tree.read("app.py").unwrap_err().code, "file-too-large");
        assert!(tree.read("uv.lock").is_ok() && tree.read("requirements-dev.txt").is_ok());
    }

    #[test]
    fn a_folder_holds_what_starts_with_its_name_and_a_slash() {
        let tree = Tree::in_memory(&[("a/x.py", b""), ("a/b/y.py", b""), ("a-b/z.py", b""), ("ab/w.py", b"")]);
        assert_eq!(tree.under("a").collect::<Vec<_>>(), ["a/b/y.py", "a/x.py"]);
        assert_eq!(tree.files_in("a").collect::<Vec<_>>(), ["a/x.py"]);
        assert_eq!(tree.under(".").count(), 4);
        assert!(tree.has_dir("a/b") && tree.has_dir(".") && !tree.has_dir("a/x.py"));
    }

    #[test]
    fn a_root_that_is_no_folder_is_an_error_with_its_name() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "file", b"");
        let error = Tree::open(&dir.path().join("file"), Limits::default()).unwrap_err().to_string();
        assert!(error.ends_with("file` is not a folder"), "{error}");
        assert!(Tree::open(&dir.path().join("absent"), Limits::default()).is_err());
    }
}
