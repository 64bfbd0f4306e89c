//! Which interpreter version a folder asks for, where no template says it: version files and manifests, the nearest first.

use std::str::FromStr;

use pep440_rs::{Version, VersionSpecifiers};

use super::doc;
use super::tree::Tree;
use super::{paths, runtime};
use crate::model::{Language, Place};

use crate::model::support::{Area, Extent, Support};

/// What is read of it.
pub const SUPPORT: Support = Support {
    area: Area::Declaration,
    what: "runtime versions",
    files: ".python-version, .nvmrc, .node-version, .tool-versions, requires-python, engines.node",
    extent: Extent::Full,
    note: "where the declaration names no runtime",
};

/// What a folder, or one above it, says about the version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// `3.11` or `20`; `None` when what it says is a version that is not planned for.
    pub version: Option<String>,
    /// As written.
    pub text: String,
    /// Where.
    pub place: Place,
}

/// Looks in `dir` and in every folder above it up to the root; the nearest folder that says something decides, and in
/// one folder an exact version file before a range in a manifest. A range that holds `default` means the default;
/// otherwise Python takes the lowest version that it allows and Node the highest.
pub fn wanted(tree: &Tree, dir: &str, language: Language, default: &str) -> Option<Wanted> {
    let sources: &[(&str, Reader)] = match language {
        Language::Python => &[
            (".python-version", version_file),
            ("runtime.txt", version_file),
            (".tool-versions", tool_versions),
            ("pyproject.toml", pyproject),
            ("Pipfile", pipfile),
            ("environment.yml", conda),
            ("environment.yaml", conda),
            ("conda.yml", conda),
            ("conda.yaml", conda),
        ],
        Language::Node => &[
            (".nvmrc", version_file),
            (".node-version", version_file),
            (".tool-versions", tool_versions),
            ("package.json", package_json),
        ],
    };
    paths::ancestors(dir).find_map(|folder| {
        sources.iter().find_map(|(name, read)| {
            let path = paths::join(folder, name).filter(|path| tree.contains(path))?;
            // A file that cannot be read is reported by the layer that reads manifests.
            let text = tree.text(&path).ok()?;
            let (written, line, version) = read(&text, language, default)?;
            Some(Wanted { version, text: written, place: Place::at(path, line) })
        })
    })
}

/// The nearest range of a manifest (`engines.node`, `requires-python`) when it refuses a version that is declared
/// elsewhere, and holds another one. Files that choose a version for developers refuse nothing.
pub fn refused(tree: &Tree, dir: &str, language: Language, version: &str) -> Option<Wanted> {
    let name = if language == Language::Python { "pyproject.toml" } else { "package.json" };
    let path = paths::ancestors(dir).find_map(|folder| paths::join(folder, name).filter(|path| tree.contains(path)))?;
    let text = tree.text(&path).ok()?;
    let (text, line, allowed) = match language {
        Language::Python => pyproject(&text, language, version)?,
        Language::Node => {
            let root = doc::parse(&text).ok()?;
            let entry = root.get("engines")?.entry("node")?;
            let range = entry.value.text()?;
            (range.to_string(), entry.line, node_in_range(range, version))
        }
    };
    let other = allowed.filter(|allowed| allowed != version)?;
    Some(Wanted { version: Some(other), text, place: Place::at(path, line) })
}

/// Text of a file → (as written, line, version planned for); `None` when the file does not speak of it.
type Reader = fn(&str, Language, &str) -> Option<(String, u32, Option<String>)>;

fn lines(text: &str) -> impl Iterator<Item = (u32, &str)> {
    (1..)
        .zip(text.lines())
        .map(|(n, line)| (n, line.split('#').next().unwrap_or(line).trim()))
        .filter(|(_, line)| !line.is_empty())
}

fn version_file(text: &str, language: Language, _: &str) -> Option<(String, u32, Option<String>)> {
    let (line, written) = lines(text).next()?;
    let bare = written.trim_start_matches("python-").trim_start_matches("cpython-").trim_start_matches("node-");
    let version = match (language, bare.strip_prefix("lts/")) {
        // Code names of Node's long-term releases, from its release schedule.
        (Language::Node, Some(name)) => match name {
            "erbium" => Some("12".into()),
            "fermium" => Some("14".into()),
            "gallium" => Some("16".into()),
            "hydrogen" => Some("18".into()),
            "iron" => Some("20".into()),
            "jod" => Some("22".into()),
            "krypton" => Some("24".into()),
            _ => return None,
        },
        _ => runtime::version(language, bare),
    };
    // `3`, `node`, `stable`, `pypy3.9-7.3.9` or the name of a virtual environment say nothing that can be used.
    if version.is_none() && (!bare.trim_start_matches('v').starts_with(|c: char| c.is_ascii_digit()) || bare == "3") {
        return None;
    }
    Some((written.to_string(), line, version))
}

fn tool_versions(text: &str, language: Language, default: &str) -> Option<(String, u32, Option<String>)> {
    lines(text).find_map(|(line, content)| {
        let mut words = content.split_whitespace();
        let wanted = match language {
            Language::Python => words.next()? == "python",
            Language::Node => matches!(words.next()?, "nodejs" | "node"),
        };
        let written = words.next().filter(|_| wanted)?;
        version_file(written, language, default).map(|(written, _, version)| (written, line, version))
    })
}

fn line_with(text: &str, key: &str) -> u32 {
    (1..).zip(text.lines()).find(|(_, l)| l.trim_start().trim_start_matches('"').starts_with(key)).map_or(0, |(n, _)| n)
}

fn pyproject(text: &str, _: Language, default: &str) -> Option<(String, u32, Option<String>)> {
    let table: toml::Table = text.parse().ok()?;
    if let Some(range) = table.get("project").and_then(|p| p.get("requires-python")).and_then(toml::Value::as_str) {
        let version = python_in_range(range, default);
        return Some((range.to_string(), line_with(text, "requires-python"), version));
    }
    let python = table.get("tool")?.get("poetry")?.get("dependencies")?.get("python")?;
    let range = python.as_str().or_else(|| python.get("version").and_then(toml::Value::as_str))?;
    let version = range.split("||").map(poetry_to_pep440).find_map(|r| python_in_range(&r, default));
    Some((range.to_string(), line_with(text, "python"), version))
}

fn pipfile(text: &str, language: Language, _: &str) -> Option<(String, u32, Option<String>)> {
    let table: toml::Table = text.parse().ok()?;
    let requires = table.get("requires")?;
    let (key, value) = ["python_full_version", "python_version"]
        .iter()
        .find_map(|key| Some((*key, requires.get(key).and_then(toml::Value::as_str)?)))?;
    if matches!(value, "*" | "3") {
        return None;
    }
    Some((value.to_string(), line_with(text, key), runtime::version(language, value)))
}

/// `python=3.9`, `python==3.9.*` or `python >=3.9` among the dependencies of a conda environment.
fn conda(text: &str, language: Language, default: &str) -> Option<(String, u32, Option<String>)> {
    let environment = doc::parse(text).ok()?;
    environment.get("dependencies")?.items().iter().find_map(|item| {
        let spec = item.text()?.trim();
        let spec = spec.rsplit_once("::").map_or(spec, |(_, spec)| spec);
        let range = spec.strip_prefix("python").filter(|r| r.starts_with(['=', '<', '>', '~', '!', ' ']))?.trim();
        let bare = range.trim_start_matches('=');
        // `=3.9=build`: the build does not matter.
        let exact = bare.split('=').next().unwrap_or(bare).trim_end_matches(".*");
        let version = if bare.starts_with(|c: char| c.is_ascii_digit()) && !bare.contains([',', '|']) {
            runtime::version(language, exact)
        } else {
            python_in_range(range, default)
        };
        Some((range.to_string(), item.line, version))
    })
}

/// Poetry's `^3.9`, `~3.9` and bare `3.9` in the words of PEP 440; its other operators are the same there.
fn poetry_to_pep440(range: &str) -> String {
    let parts = range.split(',').map(|part| {
        let part = part.trim();
        let upper = |base: &str, caret: bool| {
            let mut numbers = base.split('.').map(|n| n.parse::<u32>().unwrap_or(0));
            let (major, minor) = (numbers.next().unwrap_or(0), numbers.next());
            match minor {
                Some(minor) if !caret => format!("{major}.{}", minor.saturating_add(1)),
                _ => format!("{}", major.saturating_add(1)),
            }
        };
        if let Some(base) = part.strip_prefix('^') {
            format!(">={base},<{}", upper(base, true))
        } else if let Some(base) = part.strip_prefix('~').filter(|b| !b.starts_with('=')) {
            format!(">={base},<{}", upper(base, false))
        } else if part == "*" {
            ">=3".to_string()
        } else if part.starts_with(|c: char| c.is_ascii_digit()) {
            if part.ends_with(".*") || part.split('.').count() > 2 {
                format!("=={part}")
            } else {
                format!("=={part}.*")
            }
        } else {
            part.to_string()
        }
    });
    parts.collect::<Vec<_>>().join(",")
}

/// The default when the range holds some release of it, else the lowest minor version of which it holds a release.
fn python_in_range(range: &str, default: &str) -> Option<String> {
    let specifiers = VersionSpecifiers::from_str(range).ok()?;
    let allows = |minor: &str| {
        (0..=30).any(|patch| Version::from_str(&format!("{minor}.{patch}")).is_ok_and(|v| specifiers.contains(&v)))
    };
    if allows(default) {
        return Some(default.to_string());
    }
    runtime::PYTHON_MINORS.map(|minor| format!("3.{minor}")).find(|minor| allows(minor))
}

fn package_json(text: &str, _: Language, default: &str) -> Option<(String, u32, Option<String>)> {
    let root = doc::parse(text).ok()?;
    let entry = |path: &str, key: &str| root.get(path).and_then(|n| n.entry(key)).filter(|e| e.value.text().is_some());
    let entry = entry("volta", "node").or_else(|| entry("engines", "node"))?;
    let range = entry.value.text()?;
    Some((range.to_string(), entry.line, node_in_range(range, default)))
}

/// The default when the range allows some release of it, else the highest major version of which it allows one.
fn node_in_range(range: &str, default: &str) -> Option<String> {
    let range = nodejs_semver::Range::parse(range).ok()?;
    let allows = |major: &str| {
        nodejs_semver::Range::parse(format!("^{major}.0.0")).is_ok_and(|releases| range.allows_any(&releases))
    };
    if allows(default) {
        return Some(default.to_string());
    }
    runtime::NODE_MAJORS.rev().map(|major| major.to_string()).find(|major| allows(major))
}

/// What the last stage of a Dockerfile and its `CMD` say: runtime text and libc, and the handler.
pub fn dockerfile(text: &str) -> (Option<(Language, String, &'static str)>, Option<String>) {
    let Some(stage) = super::dockerfile::stages(text).pop() else { return (None, None) };
    let base = super::dockerfile::base_of(&stage.image);
    let platform = base.and_then(|base| Some((base.language, base.version?, base.libc)));
    let handler = match &stage.cmd[..] {
        [one] if one.contains('.') && !one.contains(['/', ' ']) => Some(one.clone()),
        _ => None,
    };
    (platform, handler)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn python(files: &[(&str, &[u8])], dir: &str) -> Option<(Option<String>, String)> {
        wanted(&Tree::in_memory(files), dir, Language::Python, "3.11").map(|w| (w.version, w.place.to_string()))
    }

    fn node(files: &[(&str, &[u8])]) -> Option<(Option<String>, String)> {
        wanted(&Tree::in_memory(files), ".", Language::Node, "20").map(|w| (w.version, w.place.to_string()))
    }

    #[test]
    fn python_ranges_mean_the_default_or_the_lowest_that_they_allow() {
        for (range, expected) in [
            (">=3.9", Some("3.11")),
            (">=3.11,<3.12", Some("3.11")),
            ("==3.12.*", Some("3.12")),
            (">=3.12.4", Some("3.12")),
            (">=3.8,<3.10", Some("3.8")),
            ("==3.9.7", Some("3.9")),
            (">3.11,<3.13", Some("3.11")),
            (">=2.7,<3", None),
            ("not a range", None),
        ] {
            assert_eq!(python_in_range(range, "3.11").as_deref(), expected, "{range}");
        }
        for (range, expected) in
            [("^3.9", "3.11"), ("~3.9", "3.9"), ("3.10", "3.10"), ("^3.12", "3.12"), (">=3.7,<3.9", "3.7")]
        {
            assert_eq!(python_in_range(&poetry_to_pep440(range), "3.11").as_deref(), Some(expected), "{range}");
        }
    }

    #[test]
    fn the_nearest_folder_decides_and_a_version_file_before_a_range() {
        let pyproject: &[u8] = b"[project]\nname = 'x'\nrequires-python = '>=3.12'\n";
        let found = |files: &[(&str, &[u8])], dir: &str| python(files, dir).map(|(v, p)| (v.unwrap_or_default(), p));
        let files: &[(&str, &[u8])] =
            &[("a/b/x.py", b""), ("a/pyproject.toml", pyproject), (".python-version", b"3.9.1\n")];
        assert_eq!(found(files, "a/b"), Some(("3.12".into(), "a/pyproject.toml:3".into())));
        assert_eq!(found(files, "."), Some(("3.9".into(), ".python-version:1".into())));
        let both: &[(&str, &[u8])] = &[("pyproject.toml", pyproject), ("runtime.txt", b"python-3.13.1")];
        assert_eq!(found(both, "."), Some(("3.13".into(), "runtime.txt:1".into())));
        assert_eq!(python(&[("x.py", b"")], "."), None);
        assert_eq!(python(&[(".python-version", b"2.7.18")], "."), Some((None, ".python-version:1".into())));
        assert_eq!(python(&[(".python-version", b"my-env")], "."), None);
        assert_eq!(
            found(&[("Pipfile", b"[requires]\npython_version = \"3.8\"\n")], "."),
            Some(("3.8".into(), "Pipfile:2".into()))
        );
        for (spec, version) in
            [("python=3.9", "3.9"), ("conda-forge::python==3.10.4=h_1", "3.10"), ("python >=3.12", "3.12")]
        {
            let text = format!("name: x\ndependencies:\n  - pip\n  - {spec}\n  - pip: [flask]\n");
            let want = Some((version.into(), "environment.yml:4".into()));
            assert_eq!(found(&[("environment.yml", text.as_bytes())], "."), want, "{spec}");
        }
        assert_eq!(python(&[("environment.yml", b"dependencies: [python-dateutil=2]\n")], "."), None);
        assert_eq!(
            found(&[(".tool-versions", b"nodejs 18.1.0\npython 3.10.2\n")], "."),
            Some(("3.10".into(), ".tool-versions:2".into()))
        );
    }

    #[test]
    fn node_ranges_mean_the_default_or_the_highest_that_they_allow() {
        for (range, expected) in [
            (">=18", Some("20")),
            (">=18.17.0 <21", Some("20")),
            ("18.x", Some("18")),
            ("^16.13 || ^18", Some("18")),
            ("=20.11.1", Some("20")),
            (">=22", Some("24")),
            ("<10", None),
        ] {
            assert_eq!(node_in_range(range, "20").as_deref(), expected, "{range}");
        }
        assert_eq!(node(&[(".nvmrc", b"v18.16.0\n")]), Some((Some("18".into()), ".nvmrc:1".into())));
        assert_eq!(node(&[(".nvmrc", b"lts/iron")]), Some((Some("20".into()), ".nvmrc:1".into())));
        assert_eq!(node(&[(".nvmrc", b"lts/*")]), None);
        let package: &[u8] = b"{\n  \"name\": \"x\",\n  \"engines\": {\n    \"node\": \">=22 <23\"\n  }\n}";
        assert_eq!(node(&[("package.json", package)]), Some((Some("22".into()), "package.json:4".into())));
    }

    #[test]
    fn the_last_stage_of_a_dockerfile_tells_the_platform() {
        let text = "FROM node:20 AS web\nRUN x\nFROM registry.example/lambda/python:3.12\nCMD [\"app.handler\"]\n";
        assert_eq!(dockerfile(text), (Some((Language::Python, "3.12".into(), "glibc")), Some("app.handler".into())));
        let alpine = "FROM --platform=linux/amd64 node:18.12-alpine as base\nFROM base\nCMD [\"node\", \"x.js\"]\n";
        assert_eq!(dockerfile(alpine), (Some((Language::Node, "18".into(), "musl")), None));
        assert_eq!(dockerfile("FROM scratch\n"), (None, None));
    }
}
