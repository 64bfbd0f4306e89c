//! What one closure sees of an environment that covers several: hard links to the files of its packages and of no other.
//!
//! An optional import finds what is installed, so that a closure must not see another's packages. Links cost no space, and
//! unlike symbolic ones change nothing in how modules are found.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::cost::attribution::Installed;
use crate::cost::modules;
use crate::model::{Language, PackageId, normalise_pypi};

/// A folder with the packages of one closure.
#[derive(Debug)]
pub struct View {
    /// Holds the packages (Python) or `node_modules` (Node).
    pub root: PathBuf,
    /// What is installed of the closure.
    pub facts: BTreeMap<PackageId, Installed>,
    /// Of the closure, but not there.
    pub missing: Vec<PackageId>,
    /// Packages by file (Python) or by folder (Node), relative to `root`.
    owners: HashMap<String, PackageId>,
}

/// The files of one installed package.
struct Files {
    /// Relative to the root; compiled bytecode is not among them.
    files: Vec<String>,
    /// Folders that are the package's own (Node).
    folders: Vec<String>,
    modules: BTreeSet<String>,
}

impl View {
    /// Links the packages of a closure from the folder `from` to the folder `to`, which must not be there.
    ///
    /// # Errors
    /// When the environment cannot be read or the view not be written; what was written is then left to the caller.
    pub fn make(from: &Path, to: &Path, language: Language, closure: &BTreeSet<PackageId>) -> io::Result<()> {
        let mut folders: BTreeSet<PathBuf> = BTreeSet::new();
        let mut compiled: HashMap<PathBuf, Vec<PathBuf>> = HashMap::new();
        fs::create_dir_all(to)?;
        for file in packages(from, language, closure)?.into_values().flat_map(|package| package.files) {
            let (source, target) = (from.join(&file), to.join(&file));
            let Some(parent) = target.parent() else { continue };
            if folders.insert(parent.to_path_buf()) {
                fs::create_dir_all(parent)?;
            }
            link(&source, &target)?;
            // Bytecode counts while the source that it names has the same time and size, which a link keeps.
            if let (Some(stem), Some(cache)) = (source.file_stem(), source.parent().map(|p| p.join("__pycache__"))) {
                let all = compiled.entry(cache.clone()).or_insert_with(|| entries(&cache));
                let start = format!("{}.", stem.to_string_lossy());
                let mine =
                    all.iter().filter(|p| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with(&start)));
                for bytecode in mine.filter(|_| file.ends_with(".py")) {
                    let folder = parent.join("__pycache__");
                    if folders.insert(folder.clone()) {
                        fs::create_dir_all(&folder)?;
                    }
                    link(bytecode, &folder.join(bytecode.file_name().unwrap_or_default()))?;
                }
            }
        }
        Ok(())
    }

    /// A view that was made before.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn open(root: &Path, language: Language, closure: &BTreeSet<PackageId>) -> io::Result<Self> {
        let mut view =
            View { root: root.to_path_buf(), facts: BTreeMap::new(), missing: Vec::new(), owners: HashMap::new() };
        for (id, package) in packages(root, language, closure)? {
            let size = |file: &String| fs::symlink_metadata(root.join(file)).map_or(0, |meta| meta.len());
            let bytes = package.files.iter().map(size).sum();
            view.facts.insert(id.clone(), Installed { bytes, modules: package.modules });
            let names = if language == Language::Python { package.files } else { package.folders };
            view.owners.extend(names.into_iter().map(|name| (name, id.clone())));
        }
        view.missing = closure.iter().filter(|id| !view.facts.contains_key(id)).cloned().collect();
        Ok(view)
    }

    /// Where a package of Node is asked for so that it is found: the folder that holds its `node_modules`.
    pub fn above(&self, id: &PackageId) -> Option<String> {
        let folders = self.owners.iter().filter(|(_, owner)| *owner == id).map(|(folder, _)| folder);
        let first = folders.filter(|folder| folder.contains("node_modules/")).min()?;
        let (above, _) = first.rsplit_once("node_modules/")?;
        Some(above.trim_end_matches('/').to_string()).filter(|above| !above.is_empty())
    }

    /// The package that a loaded file belongs to.
    pub fn owner_of_file(&self, language: Language, file: &str) -> Option<PackageId> {
        if language == Language::Python {
            return self.owner(file);
        }
        let at = file.rfind("node_modules/")? + "node_modules/".len();
        let scoped = file[at..].starts_with('@');
        let length: usize = file[at..].split_inclusive('/').take(if scoped { 2 } else { 1 }).map(str::len).sum();
        self.owner(file[..at + length].trim_end_matches('/'))
    }

    /// The package that a file (Python) or a package's folder (Node) belongs to.
    pub fn owner(&self, name: &str) -> Option<PackageId> {
        self.owners.get(name).cloned()
    }
}

fn link(from: &Path, to: &Path) -> io::Result<()> {
    match fs::hard_link(from, to) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        // Another file system, or one without links.
        Err(_) => fs::copy(from, to).map(|_| ()),
        Ok(()) => Ok(()),
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path()).collect();
    all.sort();
    all
}

fn packages(root: &Path, language: Language, closure: &BTreeSet<PackageId>) -> io::Result<BTreeMap<PackageId, Files>> {
    match language {
        Language::Python => distributions(root, closure),
        Language::Node => node_packages(root, closure),
    }
}

/// Installed distributions, by the `RECORD` that PEP 376 asks installers for.
fn distributions(root: &Path, closure: &BTreeSet<PackageId>) -> io::Result<BTreeMap<PackageId, Files>> {
    let by_name: HashMap<&str, &PackageId> = closure.iter().map(|id| (id.name.as_str(), id)).collect();
    let mut out = BTreeMap::new();
    for info in entries(root) {
        let Some(stem) = info.file_name().and_then(|n| n.to_str()).and_then(|n| n.strip_suffix(".dist-info")) else {
            continue;
        };
        // `name-version` (PEP 427), the name with `_` for `-`.
        let name = normalise_pypi(stem.split_once('-').map_or(stem, |(name, _)| name));
        let Some(id) = by_name.get(name.as_str()) else { continue };
        let record = fs::read(info.join("RECORD"))?;
        let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(record.as_slice());
        let named = reader.records().flatten().filter_map(|row| row.get(0).map(str::to_string));
        let inside = |file: &String| {
            !file.split('/').any(|part| part == "..") && !file.starts_with('/') && !file.ends_with(".pyc")
        };
        let files: Vec<String> = named.filter(inside).filter(|file| root.join(file).is_file()).collect();
        let modules = modules::python(&files);
        out.insert((*id).clone(), Files { files, folders: Vec::new(), modules });
    }
    Ok(out)
}

/// Packages below `node_modules`, nested ones included where the package that they are in is of the closure too.
fn node_packages(root: &Path, closure: &BTreeSet<PackageId>) -> io::Result<BTreeMap<PackageId, Files>> {
    let mut out: BTreeMap<PackageId, Files> = BTreeMap::new();
    let mut stack = vec![PathBuf::from("node_modules")];
    while let Some(folder) = stack.pop() {
        for path in entries(&root.join(&folder)) {
            let Some(name) = path.file_name().and_then(|n| n.to_str()) else { continue };
            let here = folder.join(name);
            if name.starts_with('.') || !fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_dir()) {
                continue;
            }
            if name.starts_with('@') {
                stack.push(here);
                continue;
            }
            let Ok(text) = fs::read(path.join("package.json")) else { continue };
            let Ok(manifest) = serde_json::from_slice::<serde_json::Value>(&text) else { continue };
            let word = |key: &str| manifest.get(key).and_then(|v| v.as_str());
            let (Some(name), Some(version)) = (word("name"), word("version")) else { continue };
            let id = PackageId::npm(name, version);
            if !closure.contains(&id) {
                continue;
            }
            let modules = modules::node(&name_in(&here), &manifest).into_iter().collect();
            let package = out.entry(id).or_insert_with(|| Files { files: Vec::new(), folders: Vec::new(), modules });
            files_below(root, &here, &mut package.files)?;
            package.folders.push(here.to_string_lossy().into_owned());
            stack.push(here.join("node_modules"));
        }
    }
    Ok(out)
}

/// The name that a package of Node is asked for by: an alias is that of its folder.
fn name_in(folder: &Path) -> String {
    let text = folder.to_string_lossy();
    text.rsplit("node_modules/").next().unwrap_or_default().to_string()
}

/// The regular files of a package's folder, without the packages nested in it.
fn files_below(root: &Path, folder: &Path, out: &mut Vec<String>) -> io::Result<()> {
    let nested = folder.join("node_modules");
    let walk = walkdir::WalkDir::new(root.join(folder)).sort_by_file_name().into_iter();
    for entry in walk.filter_entry(|e| e.path() != root.join(&nested)) {
        let entry = entry?;
        if entry.file_type().is_file()
            && let Some(file) = entry.path().strip_prefix(root).ok().and_then(Path::to_str)
        {
            out.push(file.to_string());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(root: &Path, file: &str, text: &str) {
        fs::create_dir_all(root.join(file).parent().unwrap()).unwrap();
        fs::write(root.join(file), text).unwrap();
    }

    fn set(specs: &[&str]) -> BTreeSet<PackageId> {
        specs.iter().map(|spec| spec.parse().unwrap()).collect()
    }

    fn names(root: &Path) -> Vec<String> {
        let mut out = Vec::new();
        for entry in walkdir::WalkDir::new(root).into_iter().map(Result::unwrap).filter(|e| e.file_type().is_file()) {
            out.push(entry.path().strip_prefix(root).unwrap().to_str().unwrap().to_string());
        }
        out.sort();
        out
    }

    #[test]
    fn a_python_view_holds_the_closures_packages_with_their_bytecode() {
        let dir = tempfile::tempdir().unwrap();
        let site = dir.path().join("site");
        for (name, files) in
            [("zope_a", "zope/a.py,,\n"), ("b", "b/__init__.py,,\nb/__pycache__/__init__.cpython-311.pyc,,\n")]
        {
            write(
                &site,
                &format!("{name}-1.0.dist-info/RECORD"),
                &format!("{files}{name}-1.0.dist-info/RECORD,,\n../../bin/x,,\n"),
            );
        }
        write(&site, "zope/a.py", "pass");
        write(&site, "zope/__pycache__/a.cpython-311.pyc", "code");
        write(&site, "zope/__pycache__/ab.cpython-311.pyc", "of another");
        write(&site, "b/__init__.py", "pass");
        let closure = set(&["pypi:zope-a==1.0", "pypi:gone==1.0"]);
        let root = dir.path().join("view");
        View::make(&site, &root, Language::Python, &closure).unwrap();
        assert_eq!(names(&root), ["zope/__pycache__/a.cpython-311.pyc", "zope/a.py", "zope_a-1.0.dist-info/RECORD"]);
        let view = View::open(&root, Language::Python, &closure).unwrap();
        assert_eq!(view.missing, ["pypi:gone==1.0".parse().unwrap()]);
        assert_eq!(view.owner("zope/a.py"), Some("pypi:zope-a==1.0".parse().unwrap()));
        let facts = view.facts.values().next().unwrap();
        assert_eq!(facts.modules, BTreeSet::from(["zope.a".to_string()]));
        // `pass` and the RECORD of 10 + 29 + 12 bytes, counted by hand.
        assert_eq!(facts.bytes, 4 + "zope/a.py,,\nzope_a-1.0.dist-info/RECORD,,\n../../bin/x,,\n".len() as u64);
    }

    #[test]
    fn a_node_view_holds_nested_packages_and_none_of_others() {
        let dir = tempfile::tempdir().unwrap();
        let all = dir.path().join("all");
        for (folder, name, version) in [
            ("node_modules/express", "express", "4.0.0"),
            ("node_modules/express/node_modules/ms", "ms", "2.0.0"),
            ("node_modules/ms", "ms", "2.1.3"),
            ("node_modules/@s/x", "@s/x", "1.0.0"),
            ("node_modules/other", "other", "1.0.0"),
        ] {
            write(&all, &format!("{folder}/package.json"), &format!(r#"{{"name":"{name}","version":"{version}"}}"#));
            write(&all, &format!("{folder}/lib/index.js"), "");
        }
        let closure = set(&["npm:express@4.0.0", "npm:ms@2.0.0", "npm:@s/x@1.0.0"]);
        let root = dir.path().join("view");
        View::make(&all, &root, Language::Node, &closure).unwrap();
        let view = View::open(&root, Language::Node, &closure).unwrap();
        assert!(view.missing.is_empty());
        assert_eq!(view.owner("node_modules/express/node_modules/ms"), Some("npm:ms@2.0.0".parse().unwrap()));
        assert_eq!(view.owner("node_modules/other"), None);
        let of = |file: &str| view.owner_of_file(Language::Node, file).map(|id| id.to_string());
        assert_eq!(of("node_modules/@s/x/lib/index.js").as_deref(), Some("npm:@s/x@1.0.0"));
        assert_eq!(of("node_modules/express/node_modules/ms/lib/index.js").as_deref(), Some("npm:ms@2.0.0"));
        let above = |id: &str| view.above(&id.parse().unwrap());
        assert_eq!((above("npm:ms@2.0.0").as_deref(), above("npm:@s/x@1.0.0")), (Some("node_modules/express"), None));
        assert!(root.join("node_modules/@s/x/lib/index.js").is_file());
        assert!(!root.join("node_modules/ms").exists() && !root.join("node_modules/other").exists());
    }
}
