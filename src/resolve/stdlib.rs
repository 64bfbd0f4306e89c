//! What comes with the interpreter: Python's standard library and Node's built-in modules.

use std::collections::BTreeMap;
use std::sync::OnceLock;

/// Top-level module, first and last minor version of Python 3 (`scripts/make_stdlib_table.py` makes it).
const PYTHON: &str = include_str!("data/python-stdlib.tsv");

/// `module.builtinModules` of Node 20, without the names that begin with `_`, and what later versions add.
const NODE: &[&str] = &[
    "assert",
    "async_hooks",
    "buffer",
    "child_process",
    "cluster",
    "console",
    "constants",
    "crypto",
    "dgram",
    "diagnostics_channel",
    "dns",
    "domain",
    "events",
    "fs",
    "http",
    "http2",
    "https",
    "inspector",
    "module",
    "net",
    "os",
    "path",
    "perf_hooks",
    "process",
    "punycode",
    "querystring",
    "readline",
    "repl",
    "stream",
    "string_decoder",
    "sys",
    "timers",
    "tls",
    "trace_events",
    "tty",
    "url",
    "util",
    "v8",
    "vm",
    "wasi",
    "worker_threads",
    "zlib",
];

/// Subpaths of built-in modules: with any other, the name is a package's (`buffer/`, `events/events.js`).
const NODE_SUBPATHS: &[&str] = &[
    "assert/strict",
    "dns/promises",
    "fs/promises",
    "inspector/promises",
    "path/posix",
    "path/win32",
    "readline/promises",
    "stream/consumers",
    "stream/promises",
    "stream/web",
    "timers/promises",
    "util/types",
];

fn python_table() -> &'static BTreeMap<&'static str, (u32, u32)> {
    static TABLE: OnceLock<BTreeMap<&'static str, (u32, u32)>> = OnceLock::new();
    TABLE.get_or_init(|| {
        let mut table = BTreeMap::new();
        for line in PYTHON.lines().filter(|line| !line.starts_with('#')) {
            let mut fields = line.split('\t');
            if let (Some(name), Some(Ok(since))) = (fields.next(), fields.next().map(str::parse)) {
                let until = fields.next().and_then(|until| until.parse().ok()).unwrap_or(u32::MAX);
                table.insert(name, (since, until));
            }
        }
        table
    })
}

/// Whether a top-level module (`os`, not `os.path`) is in the standard library of Python 3.`minor`.
///
/// The table knows 3.6 to 3.14; older and newer versions are taken for the nearest of these. Modules of other operating
/// systems count: an import of `winreg` is not a missing package.
pub fn is_python_stdlib(top_level: &str, minor: u32) -> bool {
    let minor = minor.clamp(6, 14);
    python_table().get(top_level).is_some_and(|&(since, until)| (since..=until).contains(&minor))
}

/// Whether Node itself answers a specifier: `fs`, `fs/promises`, anything that begins with `node:`.
pub fn is_node_builtin(specifier: &str) -> bool {
    specifier.starts_with("node:") || NODE.contains(&specifier) || NODE_SUBPATHS.contains(&specifier)
}

/// Modules that are only there with `node:`, and the first versions that have them: of the line that first had it,
/// and of the lines before that it was taken back to.
///
/// Source: the "Added in" notes of the Node.js API documentation.
const NODE_PREFIXED: &[(&str, &[(u32, u32)])] = &[
    ("sea", &[(20, 12), (21, 7)]),
    ("sqlite", &[(22, 5)]),
    ("test", &[(16, 17), (18, 0)]),
    ("test/reporters", &[(18, 15), (19, 6)]),
];

/// The first versions of modules that were not always there, by the same rules.
const NODE_SINCE: &[(&str, &[(u32, u32)])] = &[
    ("diagnostics_channel", &[(14, 17), (15, 1)]),
    ("inspector/promises", &[(19, 0)]),
    ("readline/promises", &[(17, 0)]),
    ("stream/consumers", &[(16, 7)]),
    ("stream/web", &[(16, 5)]),
];

/// Whether a version of Node.js has a module that [`is_node_builtin`] says is its own. Where the minor version is not
/// known (0), the last of its line is taken.
pub fn node_has(specifier: &str, (major, minor): (u32, u32)) -> bool {
    let name = specifier.strip_prefix("node:").unwrap_or(specifier);
    let minor = if minor == 0 { u32::MAX } else { minor };
    let table = |rows: &[(&str, &'static [(u32, u32)])]| rows.iter().find(|(n, _)| *n == name).map(|(_, since)| *since);
    let Some(since) = table(NODE_PREFIXED).or_else(|| table(NODE_SINCE)) else {
        return NODE.contains(&name) || NODE_SUBPATHS.contains(&name);
    };
    let last = since.iter().map(|(line, _)| *line).max().unwrap_or_default();
    major > last || since.iter().any(|&(line, first)| line == major && minor >= first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_come_and_go_with_versions() {
        for (module, minor, expected) in [
            ("os", 8, true),
            ("os", 14, true),
            ("numpy", 11, false),
            ("tomllib", 10, false), // new in 3.11
            ("tomllib", 11, true),
            ("zoneinfo", 8, false), // PEP 615, 3.9
            ("zoneinfo", 9, true),
            ("distutils", 11, true), // PEP 632, gone in 3.12
            ("distutils", 12, false),
            ("cgi", 12, true), // PEP 594, gone in 3.13
            ("cgi", 13, false),
            ("annotationlib", 13, false), // PEP 749, 3.14
            ("annotationlib", 14, true),
            ("compression", 14, true), // PEP 784, 3.14
            ("winreg", 11, true),
            ("dataclasses", 6, false), // PEP 557, 3.7
            ("dataclasses", 7, true),
            ("macpath", 7, true), // gone in 3.8
            ("macpath", 8, false),
            ("__future__", 8, true),
            ("_thread", 8, true),
            ("sys", 8, true),
            ("sys", 27, true),
            ("", 11, false),
        ] {
            assert_eq!(is_python_stdlib(module, minor), expected, "{module} in 3.{minor}");
        }
    }

    /// Every interpreter at hand, of those that list their modules, is the oracle for its version.
    #[test]
    fn the_table_says_what_interpreters_say() {
        let script = "import sys; print(sys.version_info[1], *sorted(sys.stdlib_module_names))";
        let mut asked = 0;
        for minor in 10..=14 {
            let mut commands = vec![format!("python3.{minor}")];
            let versions = std::env::var_os("PYENV_ROOT").map(std::path::PathBuf::from);
            let versions =
                versions.or_else(|| Some(std::env::home_dir()?.join(".pyenv"))).map(|root| root.join("versions"));
            for entry in versions.and_then(|folder| std::fs::read_dir(folder).ok()).into_iter().flatten().flatten() {
                if entry.file_name().to_string_lossy().starts_with(&format!("3.{minor}.")) {
                    commands.push(entry.path().join("bin/python").display().to_string());
                }
            }
            let run = |command: &String| std::process::Command::new(command).args(["-c", script]).output().ok();
            let Some(output) = commands.iter().filter_map(run).find(|output| output.status.success()) else { continue };
            let text = String::from_utf8(output.stdout).unwrap();
            let mut words = text.split_whitespace();
            assert_eq!(words.next(), Some(minor.to_string().as_str()));
            let said: std::collections::BTreeSet<&str> = words.collect();
            let ours: std::collections::BTreeSet<&str> =
                python_table().keys().copied().filter(|name| is_python_stdlib(name, minor)).collect();
            let lacking: Vec<_> = said.difference(&ours).collect();
            // Names that only this machine's build has, or that an interpreter of another version brought into the table.
            let extra: Vec<_> = ours.difference(&said).filter(|name| !name.starts_with('_')).collect();
            assert!(lacking.is_empty() && extra.is_empty(), "3.{minor}: lacking {lacking:?}, more {extra:?}");
            asked += 1;
        }
        println!("{asked} interpreters asked");
    }

    #[test]
    fn node_answers_its_own_names_with_and_without_prefix() {
        for specifier in ["fs", "node:fs", "fs/promises", "node:test", "node:sqlite", "path/posix"] {
            assert!(is_node_builtin(specifier), "{specifier}");
        }
        for specifier in ["buffer/", "events/events", "express", "./fs", "test", "sqlite", "fs/"] {
            assert!(!is_node_builtin(specifier), "{specifier}");
        }
    }

    #[test]
    fn modules_of_node_come_with_versions() {
        for (specifier, version, expected) in [
            ("fs", (12, 0), true),
            ("node:fs", (20, 0), true),
            ("node:sqlite", (20, 0), false),
            ("node:sqlite", (22, 4), false),
            ("node:sqlite", (22, 0), true),
            ("node:sqlite", (24, 0), true),
            ("node:test", (18, 0), true),
            ("node:test", (14, 0), false),
            ("node:sea", (20, 11), false),
            ("node:nothing", (24, 0), false),
            ("readline/promises", (16, 0), false),
        ] {
            assert_eq!(node_has(specifier, version), expected, "{specifier} in {version:?}");
        }
    }
}
