//! What installers and packers leave: archives that are read as folders, and packages beside a function's own code.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::path::PathBuf;
use std::sync::Arc;

use super::{Content, Limits, SKIPPED_FOLDERS, Tree, VERSION_FILES, WELL_KNOWN};
use crate::discover::archive::{self, Archive, Bytes};
use crate::discover::{paths, runtime};

/// Those of them whose packages say their names and versions.
const INSTALLED_FOLDERS: [&str; 2] = ["node_modules", "site-packages"];

impl Tree {
    /// A tree whose root is an archive: a project that is `alone`, or the package of a function of a fleet.
    pub(super) fn of_archive(path: PathBuf, limits: Limits, alone: bool) -> Tree {
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
    pub(super) fn open_archives(&mut self) {
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

    pub(super) fn add_archive(
        &mut self,
        path: &str,
        archive: Archive,
        complaints: Vec<archive::Complaint>,
        alone: bool,
    ) {
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
    pub(super) fn hide_installed(&mut self) {
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

    /// Metadata files of installed packages below a folder, sorted.
    pub(super) fn installed_below<'a>(&'a self, dir: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        let prefix = if dir == "." { String::new() } else { format!("{dir}/") };
        let all = self.installed.range::<String, _>((Bound::Included(prefix.clone()), Bound::Unbounded));
        all.map(|(file, _)| file.as_str()).take_while(move |file| file.starts_with(&prefix))
    }
}

pub(super) fn is_archive(path: &str) -> bool {
    paths::extension(path).eq_ignore_ascii_case("zip")
}

/// Whether a file may declare functions: an archive in a fleet is the package of one, not a project.
pub(super) fn is_declaration(name: &str) -> bool {
    matches!(paths::extension(name), "yaml" | "yml" | "template" | "tf") && !name.starts_with("pnpm-")
}

/// Whether a file of an archive says that it holds code, and not only data.
pub(super) fn is_code(file: &str) -> bool {
    runtime::language_of(file).is_some() || is_metadata(file) || is_package_manifest(file)
}

pub(super) fn is_metadata(file: &str) -> bool {
    file.strip_suffix("/METADATA").is_some_and(|info| info.ends_with(".dist-info"))
}

/// The manifest of a package in `node_modules`, not one of those that lie inside packages.
pub(super) fn is_package_manifest(file: &str) -> bool {
    let Some(place) = file.strip_suffix("/package.json") else { return false };
    let Some((_, name)) = place.rsplit_once("node_modules/") else { return false };
    match name.strip_prefix('@') {
        Some(scoped) => scoped.matches('/').count() == 1,
        None => !name.contains('/'),
    }
}

/// The part of a path below the last folder of installed packages in it; empty for that folder itself.
pub(super) fn inside_installed(path: &str) -> Option<&str> {
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
pub(super) fn is_package_folder(path: &str) -> bool {
    let inside = inside_installed(path).unwrap_or_default();
    let parts: Vec<&str> = inside.split('/').collect();
    match parts[..] {
        [name] if name.starts_with('.') => false,
        [name] => name.ends_with(".dist-info") || path.rfind("site-packages") < path.rfind("node_modules"),
        [scope, _] => scope.starts_with('@'),
        _ => false,
    }
}

pub(super) fn is_installed_manifest(path: &str) -> bool {
    is_package_manifest(path) || is_metadata(path)
}
