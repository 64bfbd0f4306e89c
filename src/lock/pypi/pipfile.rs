//! Pipfile: what pipenv is asked for.
//!
//! Supported: `[packages]`, `[dev-packages]` and named categories (asked for by name, like extras); versions, extras,
//! markers and the variables of markers as keys; git, file, path and editable sources; `[requires]`.

use toml::de::DeTable;

use super::pep508;
use super::pipfile_lock::marker_of;
use super::toml_doc as doc;
use crate::lock::{Manifest, ManifestRequirement, Scope};
use crate::model::{Area, Diagnostic, Extent, Place, Support, codes, normalise_pypi};

/// What is read of it.
pub const SUPPORT: Support =
    Support { area: Area::Manifest, what: "Pipfile", files: "Pipfile", extent: Extent::Full, note: "" };

/// Tables that hold no packages.
const OTHER: [&str; 5] = ["source", "requires", "scripts", "pipenv", "pipfile"];

/// Reads a Pipfile.
pub fn read(file: &str, text: &str) -> Manifest {
    let mut out = Manifest { kind: "pipfile", file: file.into(), ..Manifest::default() };
    let (table, lines) = match doc::parse(codes::MANIFEST_INVALID, file, text) {
        Ok(parsed) => parsed,
        Err(diagnostic) => {
            out.diagnostics.push(*diagnostic);
            return out;
        }
    };
    if let Some(requires) = doc::table(&table, "requires") {
        let version = doc::string(requires, "python_version").or(doc::string(requires, "python_full_version"));
        out.runtime = version.map(str::to_string);
    }
    for (_, section, value) in doc::fields(&table) {
        let scope = match section {
            name if OTHER.contains(&name) => continue,
            "packages" => Scope::Production,
            "dev-packages" => Scope::Dev,
            category => Scope::Extra(normalise_pypi(category)),
        };
        let Some(packages) = doc::as_table(value) else { continue };
        for (at, name, value) in doc::fields(packages) {
            let line = lines.of(at);
            match requirement(name, value, line, &scope) {
                Ok(requirement) => out.requires.push(requirement),
                Err(reason) => {
                    out.diagnostics.push(Diagnostic::new(codes::REQUIREMENT_INVALID, Place::at(file, line), reason));
                }
            }
        }
    }
    out.requires.sort_by_key(|r| r.line);
    out
}

fn requirement(name: &str, value: &toml::de::DeValue, line: u32, scope: &Scope) -> Result<ManifestRequirement, String> {
    let empty = DeTable::new();
    let table = doc::as_table(value);
    if table.is_none() && doc::as_string(value).is_none() {
        return Err(format!("`{}` is neither a version nor a table", pep508::shorten(name)));
    }
    let table = table.unwrap_or(&empty);
    let text = doc::as_string(value).or(doc::string(table, "version")).unwrap_or_default().trim();
    let text = if text == "*" { "" } else { text };
    let has = |key: &&str| doc::string(table, key).is_some();
    let source = if ["git", "hg", "svn", "bzr"].iter().any(has) {
        Some("git".to_string())
    } else if let Some(file) = doc::string(table, "file") {
        Some(pep508::url_kind(file).to_string())
    } else {
        has(&"path").then(|| "path".to_string())
    };
    // The name as PEP 508 has it; the range as pipenv hands it to pip.
    let spec = pep508::parse(&if source.is_some() { name.to_string() } else { format!("{name} {text}") })?;
    Ok(ManifestRequirement {
        name: spec.name,
        text: spec.text,
        line,
        extras: pep508::extras(doc::strings(table, "extras").iter().map(String::as_str))?,
        marker: marker_of(&|key| doc::string(table, key))?,
        scope: scope.clone(),
        exact: spec.exact,
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"[[source]]
url = 'https://registry.example'
[packages]
requests = {extras = ['socks'], version = '>=2'}
six = '==1.16.0'
any = '*'
win = {version = '*', sys_platform = "== 'win32'"}
git = {git = 'https://host/x', ref = 'v1'}
lib = {path = '.', editable = true}
bad = 3
[dev-packages]
pytest = '~=8.0'
[docs]
sphinx = '*'
[requires]
python_version = '3.9'
[scripts]
x = 'y'
"#;

    #[test]
    fn versions_tables_sources_and_categories() {
        let manifest = read("Pipfile", TEXT);
        let of = |r: &ManifestRequirement| {
            let marker = if r.marker.is_some() { ";" } else { "" };
            format!("{}:{}{:?} {}{marker} {:?} {:?} {:?}", r.line, r.name, r.extras, r.text, r.exact, r.source, r.scope)
        };
        assert_eq!(
            manifest.requires.iter().map(of).collect::<Vec<_>>(),
            [
                r#"4:requests["socks"] >=2 None None Production"#,
                r#"5:six[] ==1.16.0 Some("1.16.0") None Production"#,
                "6:any[]  None None Production",
                "7:win[] ; None None Production",
                r#"8:git[]  None Some("git") Production"#,
                r#"9:lib[]  None Some("path") Production"#,
                "12:pytest[] ~=8.0 None None Dev",
                r#"14:sphinx[]  None None Extra("docs")"#,
            ]
        );
        let said: Vec<_> = manifest.diagnostics.iter().map(|d| (d.code.as_str(), d.place.line)).collect();
        assert_eq!((said, manifest.runtime.as_deref()), (vec![("requirement-invalid", 10)], Some("3.9")));
    }
}
