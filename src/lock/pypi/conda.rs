//! conda environment files: `environment.yml`, `conda.yaml` and `environment-NAME.yml`.
//!
//! Supported: `dependencies` with the subsection `pip:`, whose lines are those of a requirements file; `python=3.x` as the
//! runtime. A conda package is no PyPI distribution: it is listed under its own name with source `conda`, and is never
//! given a PyPI version. A file without `dependencies` is no conda environment, and says nothing.

use super::{requirement_edges, requirements};
use crate::discover::doc::{self, Value};
use crate::lock::{Manifest, ManifestRequirement, Scope};
use crate::model::{Area, Diagnostic, Extent, Place, Support, codes, normalise_pypi};

/// What is read of it.
pub const SUPPORT: Support = Support {
    area: Area::Manifest,
    what: "conda environment",
    files: "environment.yml, conda.yaml, environment-NAME.yml",
    extent: Extent::Partly,
    note: "the pip part and python=3.x; conda packages are named, without a PyPI version",
};

/// Most conda packages that are named in one diagnostic.
const NAMED: usize = 5;

/// Whether a file's name is that of a conda environment.
pub fn is_environment(name: &str) -> bool {
    let Some(stem) = name.strip_suffix(".yml").or(name.strip_suffix(".yaml")) else { return false };
    matches!(stem, "environment" | "conda") || stem.starts_with("environment-") || stem.starts_with("environment_")
}

/// Reads a conda environment; `include` is asked for what its pip part includes with `-r`.
pub fn read(file: &str, text: &str, include: &mut dyn FnMut(&str) -> Result<String, Diagnostic>) -> Manifest {
    let mut out = Manifest { kind: "conda", file: file.into(), ..Manifest::default() };
    let environment = match doc::parse(text) {
        Ok(environment) => environment,
        Err(error) => {
            let place = Place::at(file, error.line);
            out.diagnostics.push(Diagnostic::new(codes::MANIFEST_INVALID, place, error.reason));
            return out;
        }
    };
    let dependencies = environment.get("dependencies").map(doc::Node::items).unwrap_or_default();
    // The pip part as a requirements file of its own, in which every line stands where it stands here.
    let mut pip = String::new();
    let mut lines = 1;
    let mut conda = Vec::new();
    for node in dependencies {
        match &node.value {
            Value::Text(spec) => match package(spec) {
                Some((name, version)) if name == "python" => out.runtime = Some(version.trim_matches('=').to_string()),
                // pip itself is what installs the part below.
                Some((name, _)) if name == "pip" => {}
                Some((name, version)) => {
                    conda.push((name.clone(), node.line));
                    out.requires.push(ManifestRequirement {
                        name,
                        text: format!("conda {version}").trim().to_string(),
                        line: node.line,
                        extras: Vec::new(),
                        marker: None,
                        scope: Scope::Production,
                        exact: None,
                        source: Some("conda".into()),
                    });
                }
                None => {
                    let place = Place::at(file, node.line);
                    let reason = "a dependency has no name";
                    out.diagnostics.push(Diagnostic::new(codes::REQUIREMENT_INVALID, place, reason));
                }
            },
            Value::Map(_) => {
                for item in node.get("pip").map(doc::Node::items).unwrap_or_default() {
                    let Some(text) = item.text() else { continue };
                    while lines < item.line {
                        pip.push('\n');
                        lines += 1;
                    }
                    // A folded scalar may hold several lines.
                    pip.push_str(&text.replace(['\n', '\r'], " "));
                    pip.push('\n');
                    lines += 1;
                }
            }
            _ => {}
        }
    }
    if let Some((_, line)) = conda.first() {
        let names: Vec<&str> = conda.iter().take(NAMED).map(|(name, _)| name.as_str()).collect();
        let more = if conda.len() > NAMED { ", …" } else { "" };
        let packages = if conda.len() == 1 { "package" } else { "packages" };
        let reason = format!(
            "{} conda {packages} ({}{more}) come from a conda channel, so no PyPI version is known",
            conda.len(),
            names.join(", ")
        );
        let step = "list what the function needs from PyPI under pip:, or add a requirements file";
        out.diagnostics
            .push(Diagnostic::new(codes::REQUIREMENT_UNSUPPORTED, Place::at(file, *line), reason).next(step));
    }
    let lock = requirements::read(file, &pip, include);
    out.diagnostics.extend(lock.diagnostics.iter().filter(|d| d.code != codes::LOCK_INCOMPLETE.id).cloned());
    out.requires.extend(requirement_edges::declared(&lock));
    out.requires.sort_by_key(|r| r.line);
    out
}

/// Name and version of a conda match specification: `channel::name[=version[=build]]`, `name >=1.2,<2`, `name[version='1.2']`.
fn package(spec: &str) -> Option<(String, String)> {
    let spec = spec.split('#').next().unwrap_or_default().trim();
    let spec = spec.rsplit_once("::").map_or(spec, |(_, package)| package);
    let end = spec.find(|c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c))).unwrap_or(spec.len());
    let (name, version) = spec.split_at(end);
    let name = normalise_pypi(name);
    (!name.is_empty()).then(|| (name, version.trim().to_string()))
}

#[cfg(test)]
#[allow(clippy::result_large_err)]
mod tests {
    use super::*;

    const TEXT: &str = "name: x
channels: [conda-forge]
dependencies:
  - python=3.9
  - numpy=1.21=py39_0
  - conda-forge::pytorch >=2
  - pip
  - pip:
    - flask==2.0.0
    - requests[socks]>=2 ; python_version < '3.12'  # note
    - -r more.txt
    - --index-url https://registry.example
    - git+https://host/x.git#egg=lib
";

    #[test]
    fn the_pip_part_is_a_requirements_file_and_conda_packages_keep_their_name() {
        let manifest = read("fn/environment.yml", TEXT, &mut |path| {
            assert_eq!(path, "fn/more.txt");
            Ok("idna==3.4\n".into())
        });
        let of = |r: &ManifestRequirement| format!("{}:{} {} {:?} {:?}", r.line, r.name, r.text, r.exact, r.source);
        assert_eq!(
            manifest.requires.iter().map(of).collect::<Vec<_>>(),
            [
                r#"5:numpy conda =1.21=py39_0 None Some("conda")"#,
                r#"6:pytorch conda >=2 None Some("conda")"#,
                r#"9:flask ==2.0.0 Some("2.0.0") None"#,
                "10:requests >=2 None None",
                r#"11:idna ==3.4 Some("3.4") None"#,
                r#"13:lib @ git+https://host/x.git#egg=lib None Some("git")"#,
            ]
        );
        let said: Vec<_> = manifest.diagnostics.iter().map(|d| (d.code.as_str(), d.place.line)).collect();
        assert_eq!(said, [("requirement-unsupported", 5), ("requirement-unsupported", 13)]);
        assert_eq!(manifest.runtime.as_deref(), Some("3.9"));
    }

    #[test]
    fn other_yaml_says_nothing_and_hostile_yaml_is_refused() {
        let read = |text: &str| read("environment.yml", text, &mut |_| unreachable!());
        let other = read("dev:\n  KEY: value\n");
        assert_eq!((other.requires.len(), other.diagnostics.len()), (0, 0));
        let deep = format!("dependencies: {}", "[".repeat(100_000));
        assert_eq!(read(&deep).diagnostics[0].code, "manifest-invalid");
        assert!(is_environment("environment-dev.yaml") && is_environment("conda.yml"));
        assert!(!is_environment("environments.yml") && !is_environment("environment.json"));
    }
}
