//! What a function loads, in the order in which its sources say it.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::Language;
use crate::model::inventory::{Function, Import, ImportKind, Target};

/// Something to import.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Load {
    /// Dotted module or Node specifier.
    pub module: String,
    /// Names taken from it, which may be submodules (Python).
    pub names: Vec<String>,
    /// Whether the function does not load without it.
    pub required: bool,
    /// Source file that asks for it, relative to the fleet's root.
    pub file: String,
    /// Line in it.
    pub line: u32,
}

/// Endings of Node sources, and of what a folder is entered by.
const NODE_ENDINGS: [&str; 8] = [".js", ".mjs", ".cjs", ".ts", ".mts", ".cts", ".jsx", ".tsx"];

/// The imports of packages that `installed` names: from the handler's file along its local imports, each file where it is
/// first asked for; files that no import leads to come last. What is only for the type checker, or only known when it runs,
/// is none. Each module is loaded once.
pub fn loads(function: &Function, installed: &BTreeSet<&str>) -> Vec<Load> {
    let Some(language) = function.platform.as_ref().map(|p| p.language) else { return Vec::new() };
    let mut files: BTreeMap<&str, Vec<&Import>> = BTreeMap::new();
    for import in &function.imports {
        files.entry(&import.file).or_default().push(import);
    }
    let mut out = Walk { out: Vec::new(), seen: BTreeSet::new() };
    let mut visited: BTreeSet<&str> = BTreeSet::new();
    let starts = handler_file(function, language, &files).into_iter().chain(files.keys().copied()).collect::<Vec<_>>();
    for start in starts {
        if !visited.insert(start) {
            continue;
        }
        // A stack of its own: a chain of local imports may be as long as the fleet has files.
        let mut stack = vec![(start, 0)];
        while let Some((file, at)) = stack.pop() {
            let Some(import) = files.get(file).and_then(|imports| imports.get(at)) else { continue };
            stack.push((file, at + 1));
            if import.target == Target::Local {
                let next = local_files(function, import, language, &files);
                stack.extend(next.into_iter().rev().filter(|file| visited.insert(file)).map(|file| (file, 0)));
            } else {
                out.take(import, installed);
            }
        }
    }
    out.out
}

struct Walk {
    out: Vec<Load>,
    seen: BTreeSet<(String, Vec<String>)>,
}

impl Walk {
    fn take(&mut self, import: &Import, installed: &BTreeSet<&str>) {
        let provided = match &import.target {
            Target::Package { package } => installed.contains(package.as_str()),
            Target::Ambiguous { candidates } => candidates.iter().any(|name| installed.contains(name.as_str())),
            _ => false,
        };
        let plain = |text: &str| !text.is_empty() && !text.chars().any(|c| c.is_control() || c == '\u{2028}');
        if !provided || !import.kind.is_loaded() || !plain(&import.module) || import.module.starts_with('.') {
            return;
        }
        let names: Vec<String> = import.names.iter().filter(|name| plain(name)).cloned().collect();
        if self.seen.insert((import.module.clone(), names.clone())) {
            let required = import.kind == ImportKind::Runtime && !matches!(import.target, Target::Ambiguous { .. });
            let (file, line) = (import.file.clone(), import.line);
            self.out.push(Load { module: import.module.clone(), names, required, file, line });
        }
    }
}

/// Folder and name: `a/b/c.py` is `a/b` and `c.py`.
fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

/// A path below the fleet's root, without `.` and `..`; none where it would leave it.
fn join(folder: &str, path: &str) -> Option<String> {
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

fn handler_file<'a>(
    function: &Function,
    language: Language,
    files: &BTreeMap<&'a str, Vec<&Import>>,
) -> Option<&'a str> {
    let handler = function.handler.as_deref()?;
    let (folder, last) = split(handler);
    let stems = match language {
        Language::Python => vec![handler.rsplit_once('.')?.0.replace('.', "/")],
        // `src/orders.create` is an export of src/orders.js; plain paths name the file itself.
        Language::Node => vec![join(folder, last.split_once('.').map_or(last, |(stem, _)| stem))?, handler.to_string()],
    };
    stems.iter().find_map(|stem| find(&join(&function.path, stem)?, language, files))
}

/// The file that a path without its ending stands for.
fn find<'a>(stem: &str, language: Language, files: &BTreeMap<&'a str, Vec<&Import>>) -> Option<&'a str> {
    let candidates: Vec<String> = match language {
        Language::Python => [".py", "/__init__.py"].iter().map(|end| format!("{stem}{end}")).collect(),
        Language::Node => {
            // TypeScript asks for `./store.js` and means store.ts.
            let bare = NODE_ENDINGS.iter().find_map(|end| stem.strip_suffix(end)).unwrap_or(stem);
            let ends = |stem: &str| NODE_ENDINGS.iter().map(|end| format!("{stem}{end}")).collect::<Vec<_>>();
            [vec![stem.to_string()], ends(stem), ends(bare), ends(&format!("{stem}/index"))].concat()
        }
    };
    candidates.iter().find_map(|path| files.get_key_value(path.as_str()).map(|(file, _)| *file))
}

fn local_files<'a>(
    function: &Function,
    import: &Import,
    language: Language,
    files: &BTreeMap<&'a str, Vec<&Import>>,
) -> Vec<&'a str> {
    let (folder, _) = split(&import.file);
    let look = |stem: Option<String>| stem.and_then(|stem| find(&stem, language, files));
    match language {
        Language::Node => look(join(folder, &import.module)).into_iter().collect(),
        Language::Python => {
            let dots = import.module.len() - import.module.trim_start_matches('.').len();
            let tail = import.module[dots..].replace('.', "/");
            let base = match dots {
                0 => join(&function.path, &tail),
                up => join(folder, &format!("{}{tail}", "../".repeat(up - 1))),
            };
            let Some(base) = base else { return Vec::new() };
            let below = import.names.iter().filter_map(|name| look(Some(format!("{base}/{name}"))));
            let mut found: Vec<&str> = look(Some(base.clone())).into_iter().chain(below).collect();
            found.dedup();
            found
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Platform;

    fn import(file: &str, line: u32, module: &str, kind: ImportKind, target: Target) -> Import {
        Import { file: file.into(), line, module: module.into(), names: Vec::new(), kind, target }
    }

    fn package(name: &str) -> Target {
        Target::Package { package: name.into() }
    }

    fn order(function: &Function, installed: &[&str]) -> Vec<String> {
        loads(function, &installed.iter().copied().collect()).into_iter().map(|l| l.module).collect()
    }

    #[test]
    fn sources_are_followed_from_the_handler_along_local_imports() {
        use ImportKind::{Lazy, Optional, Runtime, TypeOnly};
        let mut function = Function::new("f");
        function.platform = Some(Platform::linux(Language::Python, "3.11"));
        function.handler = Some("main.handler".into());
        function.imports = vec![
            import("f/a_first.py", 1, "zope", Runtime, package("zope")),
            import("f/db/__init__.py", 1, "sqlalchemy", Runtime, package("sqlalchemy")),
            import("f/db/models.py", 1, "..util", Runtime, Target::Local),
            import("f/db/models.py", 2, "attrs", Runtime, package("attrs")),
            import("f/main.py", 1, "requests", Runtime, package("requests")),
            Import { names: vec!["models".into()], ..import("f/main.py", 2, "db", Runtime, Target::Local) },
            import("f/main.py", 3, "ujson", Optional, package("ujson")),
            import("f/main.py", 4, "mypy_types", TypeOnly, package("mypy-types")),
            import("f/main.py", 9, "numpy", Lazy, package("numpy")),
            import("f/main.py", 12, "requests", Lazy, package("requests")),
            import("f/util.py", 1, "yaml", Runtime, package("pyyaml")),
        ];
        let all = ["zope", "sqlalchemy", "attrs", "requests", "ujson", "numpy", "pyyaml", "mypy-types"];
        assert_eq!(order(&function, &all), ["requests", "sqlalchemy", "yaml", "attrs", "ujson", "numpy", "zope"]);
        // What is not installed is not asked for.
        assert_eq!(order(&function, &["requests", "numpy"]), ["requests", "numpy"]);
        let required: Vec<bool> = loads(&function, &all.into()).iter().map(|l| l.required).collect();
        assert_eq!(required, [true, true, true, true, false, false, true]);
    }

    #[test]
    fn node_files_are_found_with_their_endings_and_as_folders() {
        use ImportKind::Runtime;
        let mut function = Function::new("f");
        function.platform = Some(Platform::linux(Language::Node, "20"));
        function.handler = Some("src/orders.create".into());
        function.imports = vec![
            import("f/src/a.js", 1, "z", Runtime, package("z")),
            import("f/src/orders.ts", 1, "../lib", Runtime, Target::Local),
            import("f/src/orders.ts", 2, "./store.js", Runtime, Target::Local),
            import("f/src/orders.ts", 3, "express", Runtime, package("express")),
            import("f/lib/index.js", 1, "ms", Runtime, package("ms")),
            import("f/src/store.ts", 1, "pg", Runtime, package("pg")),
            import("f/src/store.ts", 2, "./orders", Runtime, Target::Local),
            import("f/src/store.ts", 3, "../../../../etc/passwd", Runtime, Target::Local),
        ];
        assert_eq!(order(&function, &["z", "express", "ms", "pg"]), ["ms", "pg", "express", "z"]);
    }
}
