//! Whether a Python import is the function's own code, and which files it loads.
//!
//! Paths are relative to the scanned tree and `/`-separated. `contains` says whether the tree holds a file; asked for a path
//! that ends in `/`, whether it has that folder with a source file in it.

use crate::source::RawImport;

/// Joins and resolves `.` and `..`; `None` when the path leaves the tree.
pub(super) fn join(folder: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    for part in folder.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            _ => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

pub(super) fn folder_of(file: &str) -> &str {
    file.rsplit_once('/').map_or("", |(folder, _)| folder)
}

pub(super) fn within(path: &str, root: &str) -> bool {
    root.is_empty() || path == root || path.strip_prefix(root).is_some_and(|rest| rest.starts_with('/'))
}

/// The files that a Python import loads from the function's own code, packages before what they hold; `None` when it
/// is not local, or leaves the import root.
///
/// An absolute import is looked for in `root`, then beside `from_file` (where Python looks when that file is the one
/// that is started). A package is a folder with an `__init__.py`, or a namespace (PEP 420): a folder with sources, which
/// has no file of its own to load, so that the list can be empty.
pub fn python_local(
    root: &str,
    from_file: &str,
    import: &RawImport,
    contains: &dyn Fn(&str) -> bool,
) -> Option<Vec<String>> {
    let root = join(root, "")?;
    let beside = join(folder_of(from_file), "")?;
    let name = import.module.trim_start_matches('.');
    let dots = import.module.len() - name.len();
    let parts: Vec<&str> = name.split('.').filter(|part| !part.is_empty()).collect();
    if dots > 0 {
        let mut base = beside;
        for _ in 1..dots {
            if base == root || base.is_empty() {
                return None;
            }
            base = folder_of(&base).to_string();
        }
        if !within(&base, &root) {
            return None;
        }
        // Relative imports are local even where what they name is missing.
        return Some(load(&base, true, &parts, &import.names, contains).unwrap_or_default());
    }
    if parts.is_empty() {
        return None;
    }
    load(&root, false, &parts, &import.names, contains)
        .or_else(|| (beside != root).then(|| load(&beside, false, &parts, &import.names, contains)).flatten())
}

/// Follows `parts` from a folder; `None` when not even the first is there.
fn load(
    base: &str,
    base_is_package: bool,
    parts: &[&str],
    names: &[String],
    contains: &dyn Fn(&str) -> bool,
) -> Option<Vec<String>> {
    let at = |folder: &str, name: &str| if folder.is_empty() { name.to_string() } else { format!("{folder}/{name}") };
    let mut files = Vec::new();
    let add = |file: String, files: &mut Vec<String>| {
        let there = contains(&file);
        if there && !files.contains(&file) {
            files.push(file);
        }
        there
    };
    if base_is_package {
        add(at(base, "__init__.py"), &mut files);
    }
    let mut folder = base.to_string();
    for (depth, part) in parts.iter().enumerate() {
        let inner = at(&folder, part);
        // A package hides a module of its name, which hides a namespace.
        let package = add(at(&inner, "__init__.py"), &mut files);
        if !package && add(format!("{inner}.py"), &mut files) {
            return Some(files);
        }
        if !package && let Some(compiled) = compiled(&inner, depth > 0 || base_is_package, contains) {
            files.push(compiled);
            return Some(files);
        }
        if !package && !contains(&format!("{inner}/")) {
            return (depth > 0 || base_is_package).then_some(files);
        }
        folder = inner;
    }
    for name in names.iter().filter(|name| *name != "*") {
        let inner = at(&folder, name);
        if !add(at(&inner, "__init__.py"), &mut files)
            && !add(format!("{inner}.py"), &mut files)
            && let Some(compiled) = compiled(&inner, true, contains)
        {
            files.push(compiled);
        }
    }
    Some(files)
}

/// Extensions of modules that are built from something else than Python (`.pyx`: Cython's sources, built before deployment).
const COMPILED_PYTHON: &[&str] = &[".so", ".abi3.so", ".pyx", ".pyc"];

/// The compiled module of a name. Tagged ones (PEP 3149) are looked for in packages only.
fn compiled(module: &str, tagged: bool, contains: &dyn Fn(&str) -> bool) -> Option<String> {
    let plain = COMPILED_PYTHON.iter().map(|extension| format!("{module}{extension}"));
    let tags = (6..=14).flat_map(|minor| {
        let m = if minor < 8 { "m" } else { "" };
        ["x86_64", "aarch64"].map(|machine| format!("{module}.cpython-3{minor}{m}-{machine}-linux-gnu.so"))
    });
    plain.chain(tags.take(if tagged { 64 } else { 0 })).find(|file| contains(file))
}

/// Whether a file that [`python_local`] names cannot be read for its imports.
pub(super) fn is_compiled(file: &str) -> bool {
    COMPILED_PYTHON.iter().any(|extension| file.ends_with(extension))
}

/// Tests lie beside the code in many repositories, and are not what a handler loads.
pub(super) fn is_test(relative: &str) -> bool {
    let mut parts: Vec<&str> = relative.trim_start_matches('/').split('/').collect();
    let name = parts.pop().unwrap_or("");
    parts.iter().any(|dir| matches!(*dir, "test" | "tests" | "__tests__" | "__mocks__"))
        || name.starts_with("test_")
        || name == "conftest.py"
        || name
            .rsplit_once('.')
            .is_some_and(|(stem, _)| stem.ends_with("_test") || stem.ends_with(".test") || stem.ends_with(".spec"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ImportKind;
    use crate::source::How;

    const TREE: &[&str] = &[
        "fn/app.py",
        "fn/util.py",
        "fn/pkg/__init__.py",
        "fn/pkg/a.py",
        "fn/pkg/sub/__init__.py",
        "fn/pkg/sub/b.py",
        "fn/space/deep/c.py",
        "fn/src/main.py",
        "fn/src/helper.py",
        "other/d.py",
    ];

    fn has(path: &str) -> bool {
        if path.ends_with('/') { TREE.iter().any(|file| file.starts_with(path)) } else { TREE.contains(&path) }
    }

    fn python(from: &str, module: &str, names: &[&str]) -> Option<Vec<String>> {
        let names = names.iter().map(ToString::to_string).collect();
        let import = RawImport { line: 1, module: module.into(), names, kind: ImportKind::Runtime, how: How::Import };
        python_local("fn", from, &import, &has)
    }

    #[test]
    fn python_modules_are_found_as_python_finds_them() {
        for (from, module, names, expected) in [
            ("fn/app.py", "util", &[][..], Some(&["fn/util.py"][..])),
            ("fn/app.py", "util", &["f"], Some(&["fn/util.py"])),
            ("fn/app.py", "pkg", &[], Some(&["fn/pkg/__init__.py"])),
            ("fn/app.py", "pkg.a", &[], Some(&["fn/pkg/__init__.py", "fn/pkg/a.py"])),
            (
                "fn/app.py",
                "pkg",
                &["a", "sub", "x"],
                Some(&["fn/pkg/__init__.py", "fn/pkg/a.py", "fn/pkg/sub/__init__.py"]),
            ),
            ("fn/app.py", "pkg.missing", &[], Some(&["fn/pkg/__init__.py"])),
            ("fn/app.py", "space.deep.c", &[], Some(&["fn/space/deep/c.py"])),
            ("fn/app.py", "space", &[], Some(&[])),
            ("fn/app.py", "space.deep", &["c"], Some(&["fn/space/deep/c.py"])),
            ("fn/src/main.py", "helper", &[], Some(&["fn/src/helper.py"])),
            ("fn/src/main.py", "util", &[], Some(&["fn/util.py"])),
            ("fn/app.py", "helper", &[], None),
            ("fn/app.py", "numpy", &[], None),
            ("fn/app.py", "d", &[], None),
            ("fn/app.py", "", &[], None),
            ("fn/pkg/a.py", ".", &["sub"], Some(&["fn/pkg/__init__.py", "fn/pkg/sub/__init__.py"])),
            ("fn/pkg/sub/b.py", "..a", &["f"], Some(&["fn/pkg/__init__.py", "fn/pkg/a.py"])),
            ("fn/pkg/sub/b.py", "...util", &[], Some(&["fn/util.py"])),
            ("fn/pkg/a.py", ".gone", &[], Some(&["fn/pkg/__init__.py"])),
            ("fn/app.py", "..other.d", &[], None),
            ("fn/pkg/a.py", "....x", &[], None),
        ] {
            let expected = expected.map(|files| files.iter().map(ToString::to_string).collect::<Vec<_>>());
            assert_eq!(python(from, module, names), expected, "{module} {names:?} from {from}");
        }
    }

    #[test]
    fn a_root_at_the_top_of_the_tree_is_a_root_too() {
        let import =
            RawImport { line: 1, module: "x".into(), names: vec![], kind: ImportKind::Runtime, how: How::Import };
        for root in ["", ".", "./"] {
            assert_eq!(python_local(root, "app.py", &import, &|p| p == "x.py"), Some(vec!["x.py".to_string()]));
        }
    }

    #[test]
    fn tests_are_told_from_code() {
        for file in ["tests/unit/a.py", "/test_app.py", "src/app.test.ts", "a/__tests__/b.js", "conftest.py"] {
            assert!(is_test(file), "{file}");
        }
        for file in ["app.py", "src/testimonials.py", "latest.js", "contest/entry.ts"] {
            assert!(!is_test(file), "{file}");
        }
    }
}
