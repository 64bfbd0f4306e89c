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
    let source = if ["git", "hg", "svn", "bzr"].iter().any(|key| has(key)) {
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
