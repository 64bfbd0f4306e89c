//! A bounded view of a fleet's folder that is the same whatever machine it lies on.
//!
//! Only `.gitignore` and `.ignore` files *inside* the folder count: a user's global ignore file, the repository's
//! `info/exclude` and ignore files above the folder would make the answer depend on where it is checked out.

mod asked;
mod installed;
mod list;
mod text;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io::Read;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};

use super::archive::Archive;
use super::{paths, trace};
use crate::model::codes;
use crate::model::{Diagnostic, Place};

use asked::hash_of;
use installed::is_archive;
pub use text::decode;

/// How much is read.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Largest source file, template or manifest, in bytes.
    pub max_file_bytes: u64,
    /// Largest lock, in bytes: locks of real monorepos reach tens of megabytes.
    pub max_lock_bytes: u64,
    /// Most packages that one lock may hold: real ones have some ten thousand.
    pub max_lock_entries: usize,
    /// Deepest folder followed, counted from the root.
    pub max_depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_file_bytes: 4_000_000, max_lock_bytes: 64_000_000, max_lock_entries: 200_000, max_depth: 64 }
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

    /// Folders of synthesised CDK applications that [`Tree::files`] does not list.
    pub fn outputs(&self) -> impl Iterator<Item = &str> {
        self.outputs.iter().map(String::as_str)
    }

    fn is_listed(&self, path: &str) -> bool {
        self.outputs.is_empty() || !paths::ancestors(path).any(|dir| self.outputs.contains(dir))
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

    /// The bounds that it was opened with.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// What went wrong while listing, sorted.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
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

#[cfg(test)]
mod tests;
