//! A bounded view of a fleet's folder that is the same whatever machine it lies on.
//!
//! Only `.gitignore` and `.ignore` files *inside* the folder count: a user's global ignore file, the repository's
//! `info/exclude` and ignore files above the folder would make the answer depend on where it is checked out.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io::Read;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use ignore::WalkBuilder;
use sha2::{Digest, Sha256};

use super::paths;
use super::trace::{self, Trace};
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
    content: Content,
    limits: Limits,
    diagnostics: Vec<Diagnostic>,
    /// Hashes of the names in each folder, made when somebody asks.
    listing: OnceLock<HashMap<String, String>>,
}

/// Hidden files that say which runtime is meant; every other hidden file and folder is skipped.
const VERSION_FILES: [&str; 4] = [".python-version", ".nvmrc", ".node-version", ".tool-versions"];

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
        if !real_root.is_dir() {
            return Err(OpenError::NotAFolder { path: root.to_path_buf() });
        }
        std::fs::read_dir(&real_root).map_err(unreadable)?;
        Ok(Self::list(&real_root, limits))
    }

    /// Lists what lies in the folder `rel` of `root`, and nothing beside or above it. Paths are relative to `root`.
    ///
    /// # Errors
    /// In words: when there is no such folder, or a link leads out of `root`.
    pub fn open_within(root: &Path, rel: &str, limits: Limits) -> Result<Tree, String> {
        let unreadable = |error: std::io::Error| plain(&error);
        let real_root = root.canonicalize().map_err(unreadable)?;
        let folder = real_root.join(rel).canonicalize().map_err(unreadable)?;
        if !folder.starts_with(&real_root) {
            return Err("it leads out of the fleet's folder".into());
        }
        if !folder.is_dir() {
            return Err("it is not a folder".into());
        }
        std::fs::read_dir(&folder).map_err(unreadable)?;
        let mut tree = Self::list(&folder, limits);
        if rel != "." {
            tree.put_below(rel, real_root);
        }
        Ok(tree)
    }

    /// Makes every path relative to a folder further up, in which this one is called `rel`.
    fn put_below(&mut self, rel: &str, root: PathBuf) {
        let below = |path: &str| if path == "." { rel.to_string() } else { format!("{rel}/{path}") };
        self.files = std::mem::take(&mut self.files).into_iter().map(|(path, size)| (below(&path), size)).collect();
        self.dirs = self.dirs.iter().map(|dir| below(dir)).collect();
        self.dirs.extend(paths::ancestors(paths::parent(rel)).map(str::to_string));
        self.links = self.links.iter().map(|(link, target)| (below(link), below(target))).collect();
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
            content: Content::Disk(real_root.to_path_buf()),
            limits,
            diagnostics: Vec::new(),
            listing: OnceLock::new(),
        };
        let walk = WalkBuilder::new(real_root)
            .standard_filters(false)
            .git_ignore(true)
            .ignore(true)
            .require_git(false)
            .parents(false)
            .follow_links(false)
            .max_depth(Some(tree.limits.max_depth.saturating_add(1)))
            .filter_entry(|entry| entry.depth() == 0 || is_wanted(entry))
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
        tree.diagnostics.sort();
        tree
    }

    /// A tree that exists in memory only, for the tests of every layer.
    pub fn in_memory(files: &[(&str, &[u8])]) -> Tree {
        let mut tree = Tree {
            files: BTreeMap::new(),
            dirs: BTreeSet::from([".".to_string()]),
            links: BTreeMap::new(),
            content: Content::Memory(BTreeMap::new()),
            limits: Limits::default(),
            diagnostics: Vec::new(),
            listing: OnceLock::new(),
        };
        for (path, bytes) in files {
            tree.insert((*path).to_string(), bytes.len() as u64);
        }
        tree.content = Content::Memory(files.iter().map(|(p, b)| ((*p).to_string(), b.to_vec())).collect());
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
        self.files.keys().map(String::as_str)
    }

    /// Every folder that holds something, sorted; `.` is the root.
    pub fn dirs(&self) -> impl Iterator<Item = &str> {
        self.dirs.iter().map(String::as_str)
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
        if trace::is_on() {
            let hash = self.hash_below(&dir);
            trace::note(|trace| drop(trace.below.insert(dir.clone(), hash)));
        }
        self.range(&dir)
    }

    fn range<'a>(&'a self, dir: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        let (from, to) = if dir == "." {
            (Bound::Unbounded, Bound::Unbounded)
        } else {
            // `0` is the character after `/`: the range holds what starts with `dir/` and nothing else.
            (Bound::Included(format!("{dir}/")), Bound::Excluded(format!("{dir}0")))
        };
        self.files.range::<String, _>((from, to)).map(|(path, _)| path.as_str())
    }

    /// Whether work that asked what a trace says would be answered the same.
    pub fn still(&self, then: &Trace) -> bool {
        then.folders.iter().all(|(dir, hash)| self.hash_in(dir) == *hash)
            && then.below.iter().all(|(dir, hash)| self.hash_below(dir) == *hash)
            && then.files.iter().all(|(file, hash)| hash_of(&self.fetch(file)) == *hash)
    }

    /// Links to folders, in words: they decide where paths lead.
    pub fn links(&self) -> String {
        format!("{:?}", self.links)
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
        let mut hash = Sha256::new();
        for path in self.range(dir) {
            hash.update(path);
            hash.update("\0");
        }
        short_hex(&hash.finalize())
    }

    /// Files that lie directly in a folder, sorted.
    pub fn files_in<'a>(&'a self, dir: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        let dir = self.real(dir).into_owned();
        self.under(&dir).filter(move |path| paths::parent(path) == dir)
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
        let Some(size) = self.files.get(real.as_ref()) else { return Err(unreadable("no such file".into())) };
        if *size > limit {
            return Err(too_large());
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
            Ok(text) if even => Ok(text),
            _ => Err((codes::FILE_ENCODING, 0, "it starts as UTF-16 but is not valid UTF-16".into())),
        };
    }
    if bytes.starts_with(&[0xEF, 0xBB, 0xBF]) {
        bytes.drain(..3);
    }
    if let Some(at) = bytes.iter().position(|&b| b == 0) {
        return Err((codes::FILE_BINARY, line_of(&bytes, at), "it holds a NUL byte, so it is not text".into()));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let bad = error.as_bytes().get(at).copied().unwrap_or_default();
        (codes::FILE_ENCODING, line_of(error.as_bytes(), at), format!("byte 0x{bad:02x} is not valid UTF-8"))
    })
}

fn line_of(bytes: &[u8], at: usize) -> u32 {
    let before = bytes.get(..at).unwrap_or(bytes);
    u32::try_from(before.iter().filter(|&&b| b == b'\n').count() + 1).unwrap_or(u32::MAX)
}

/// Files that the lock limit applies to.
fn is_lock_name(name: &str) -> bool {
    let by_extension = |ext: &str| Path::new(name).extension().is_some_and(|e| e == ext);
    matches!(name, "package-lock.json" | "npm-shrinkwrap.json" | "pnpm-lock.yaml")
        || by_extension("lock")
        || (by_extension("txt") && name.contains("requirements"))
        || (by_extension("toml") && name.starts_with("pylock"))
}

fn is_wanted(entry: &ignore::DirEntry) -> bool {
    let name = entry.file_name().to_string_lossy();
    if name.starts_with('.') && !VERSION_FILES.contains(&name.as_ref()) {
        return false;
    }
    let is_dir = entry.file_type().is_some_and(|t| t.is_dir());
    // A virtual environment is known by its marker, whatever its folder is called (PEP 405).
    !is_dir || !(SKIPPED_FOLDERS.contains(&name.as_ref()) || entry.path().join("pyvenv.cfg").is_file())
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
        assert_eq!(tree.files().collect::<Vec<_>>(), [".nvmrc", "app.py", "sub/a.py"]);
        assert!(tree.is_excluded("out") && !tree.is_excluded("sub") && !tree.is_excluded("nowhere"));
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
