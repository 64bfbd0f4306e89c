//! Walking a folder: what is listed, what ignore files and conventions leave out, where links lead.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use ignore::WalkBuilder;

use super::installed::{inside_installed, is_installed_manifest, is_package_folder};
use super::{Content, Limits, SKIPPED_FOLDERS, Tree, VERSION_FILES, WELL_KNOWN, lossy, os_reason, plain};
use crate::discover::paths;
use crate::model::{Diagnostic, Place, codes};

/// Largest `.gitignore` that is looked at for patterns of scripts, bytes.
const MAX_IGNORE_FILE: u64 = 1 << 20;
/// Scripts, and what a compiler makes them from.
const SCRIPTS: [&str; 3] = [".js", ".mjs", ".cjs"];
const TYPED: [&str; 5] = [".ts", ".tsx", ".mts", ".cts", ".jsx"];

impl Tree {
    pub(super) fn list(real_root: &Path, limits: Limits) -> Tree {
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
    pub(super) fn add_unbuilt(&mut self, root: &Path, ignore_files: Vec<PathBuf>) {
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
    pub(super) fn add_outputs(&mut self, root: &Path) {
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

    pub(super) fn add(&mut self, root: &Path, entry: &ignore::DirEntry) {
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

    pub(super) fn add_link(&mut self, root: &Path, path: &Path, rel: String) {
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
}

pub(super) fn is_wanted(root: &Path, entry: &ignore::DirEntry) -> bool {
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

/// Whether a link at `rel` would lead out of the root even if its target existed.
pub(super) fn leaves(rel: &str, target: &Path) -> bool {
    target.is_absolute() || target.to_str().is_none_or(|t| paths::join(paths::parent(rel), t).is_none())
}

pub(super) fn unwrap_walk_error(error: &ignore::Error) -> (Option<&Path>, String) {
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
