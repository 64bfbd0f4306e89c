//! The names that load an installed package.

use std::collections::BTreeSet;

/// Above so many modules a package is a heap of generated ones: then their folders are named.
const MANY: usize = 12;
/// Folders at the top that nobody means when they install a package.
const NOT_MEANT: [&str; 4] = ["docs", "examples", "test", "tests"];

/// Names that an import statement can give to load a Python distribution, from the files that it installs. A folder without
/// `__init__` is a namespace: the packages and modules in it count.
pub fn python(files: &[String]) -> BTreeSet<String> {
    let paths: Vec<(Vec<&str>, &str)> = files
        .iter()
        .filter_map(|file| {
            let (folder, last) = file.rsplit_once('/').unwrap_or(("", file));
            let folder: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
            Some((folder, stem(last)?)).filter(|(folder, _)| !folder.contains(&".."))
        })
        .collect();
    let packages: BTreeSet<&[&str]> =
        paths.iter().filter(|(_, stem)| *stem == "__init__").map(|(folder, _)| folder.as_slice()).collect();
    let mut names: BTreeSet<String> = BTreeSet::new();
    for (folder, stem) in &paths {
        let package = (1..=folder.len()).map(|depth| &folder[..depth]).find(|part| packages.contains(part));
        let module: Vec<&str> = match package {
            Some(part) => part.to_vec(),
            None => folder.iter().copied().chain([*stem]).collect(),
        };
        if module.iter().all(|part| is_identifier(part)) {
            names.insert(module.join("."));
        }
    }
    let public = |name: &&String| !name.split('.').any(|part| part.starts_with('_'));
    let meant = |name: &&String| !NOT_MEANT.contains(&name.split('.').next().unwrap_or_default());
    let all: BTreeSet<String> = names.iter().filter(public).cloned().collect();
    let some: BTreeSet<String> = all.iter().filter(meant).cloned().collect();
    let kept = [some, all, names].into_iter().find(|set| !set.is_empty()).unwrap_or_default();
    if kept.len() <= MANY {
        return kept;
    }
    kept.into_iter().map(|name| name.rsplit_once('.').map_or(name.clone(), |(folder, _)| folder.to_string())).collect()
}

/// `x` of `x.py`, `x.so`, `x.abi3.so` and `x.cpython-311-x86_64-linux-gnu.so`.
fn stem(file: &str) -> Option<&str> {
    if let Some(stem) = file.strip_suffix(".py") {
        return Some(stem);
    }
    let stem = file.strip_suffix(".so")?;
    let stem = stem.strip_suffix(".abi3").unwrap_or(stem);
    Some(stem.find(".cpython-").map_or(stem, |at| &stem[..at]))
}

fn is_identifier(part: &str) -> bool {
    let mut chars = part.chars();
    chars.next().is_some_and(|c| c.is_alphabetic() || c == '_') && chars.all(|c| c.is_alphanumeric() || c == '_')
}

/// Specifiers that load an npm package: its name, unless what it exports leaves that out; then the paths that it exports.
pub fn node(name: &str, manifest: &serde_json::Value) -> Vec<String> {
    let exports = manifest.get("exports").and_then(|e| e.as_object());
    let is_code = |path: &&String| !path.contains('*') && !path.ends_with(".json") && !path.ends_with(".d.ts");
    match exports {
        Some(all) if !all.contains_key(".") && all.keys().any(|key| key.starts_with("./")) => {
            all.keys().filter(is_code).filter_map(|path| Some(format!("{name}{}", path.strip_prefix('.')?))).collect()
        }
        _ => vec![name.to_string()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(files: &[&str]) -> Vec<String> {
        python(&files.iter().map(|f| f.to_string()).collect::<Vec<_>>()).into_iter().collect()
    }

    #[test]
    fn packages_modules_extensions_and_namespaces_have_names() {
        assert_eq!(names(&["six.py", "six-1.16.0.dist-info/RECORD"]), ["six"]);
        assert_eq!(names(&["yaml/__init__.py", "yaml/loader.py", "_yaml/__init__.py"]), ["yaml"]);
        assert_eq!(names(&["_cffi_backend.cpython-311-x86_64-linux-gnu.so", "cffi/__init__.py"]), ["cffi"]);
        assert_eq!(names(&["_cffi_backend.abi3.so"]), ["_cffi_backend"]);
        assert_eq!(
            names(&["google/cloud/storage/__init__.py", "google/api/x.py"]),
            ["google.api.x", "google.cloud.storage"]
        );
        assert_eq!(names(&["tests/__init__.py", "real/__init__.py", "../../bin/x.py"]), ["real"]);
        assert_eq!(names(&["tests/__init__.py"]), ["tests"]);
        let heap: Vec<String> = (0..20).map(|n| format!("google/api/m{n}_pb2.py")).collect();
        assert_eq!(names(&heap.iter().map(String::as_str).collect::<Vec<_>>()), ["google.api"]);
    }

    #[test]
    fn what_a_package_exports_can_be_loaded() {
        let paths = serde_json::json!({"exports": {"./sync": "./s.js", "./package.json": "./package.json", "./f/*": "./f/*.js"}});
        assert_eq!(node("csv-parse", &paths), ["csv-parse/sync"]);
        for whole in [
            serde_json::json!({"exports": {".": "./x.js", "./sync": "./s.js"}}),
            serde_json::json!({"exports": {"require": "./x.js"}}),
            serde_json::json!({"main": "x.js"}),
        ] {
            assert_eq!(node("a", &whole), ["a"]);
        }
    }
}
