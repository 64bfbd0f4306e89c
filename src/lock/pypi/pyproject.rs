//! pyproject.toml: PEP 621 metadata, PEP 735 dependency groups, Poetry's tables, uv's sources and workspaces.
//!
//! Supported: `[project]` name, requires-python, dependencies, optional-dependencies (an extra that asks for the project's
//! own extras is expanded); `[dependency-groups]`; `[tool.poetry]` dependencies with caret and tilde ranges kept as
//! written, alternatives by Python version, extras, groups, dev-dependencies; `[tool.uv]` dev-dependencies, sources,
//! workspace members. Groups are development: no tool installs them into production unasked.
//! Unsupported, with a note: dependencies that are `dynamic`, which only a build can tell.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use toml::de::{DeTable, DeValue};

use super::pep508;
use super::toml_doc as doc;
use crate::lock::{Manifest, ManifestRequirement, Scope};
use crate::model::{Diagnostic, Lines, Place, codes, normalise_pypi};

use crate::model::support::{Area, Extent, Support};

/// What is read of it.
pub const SUPPORT: Support = Support {
    area: Area::Manifest,
    what: "pyproject",
    files: "`pyproject.toml`",
    extent: Extent::Partly,
    note: "PEP 621, PEP 735, Poetry, uv sources and workspaces; dependencies that are `dynamic` are named",
};

/// Reads a pyproject.toml.
pub fn read(file: &str, text: &str) -> Manifest {
    let mut out = Manifest { kind: "pyproject", file: file.into(), ..Manifest::default() };
    match doc::parse(codes::MANIFEST_INVALID, file, text) {
        Ok((table, lines)) => Reader { out: &mut out, lines: &lines }.manifest(&table),
        Err(diagnostic) => out.diagnostics.push(*diagnostic),
    }
    out.requires.sort_by_key(|r| r.line);
    out
}

struct Reader<'a> {
    out: &'a mut Manifest,
    lines: &'a Lines,
}

impl Reader<'_> {
    fn manifest(&mut self, table: &DeTable) {
        let empty = DeTable::new();
        let project = doc::table(table, "project").unwrap_or(&empty);
        let poetry = doc::table_at(table, &["tool", "poetry"]).unwrap_or(&empty);
        let uv = doc::table_at(table, &["tool", "uv"]).unwrap_or(&empty);
        self.out.name = doc::string(project, "name").or(doc::string(poetry, "name")).map(normalise_pypi);
        let poetry_python = doc::table(poetry, "dependencies").and_then(|d| doc::string(d, "python"));
        self.out.runtime = doc::string(project, "requires-python").or(poetry_python).map(str::to_string);

        self.list(project, "dependencies", &Scope::Production);
        if let Some(extras) = doc::table(project, "optional-dependencies") {
            for (_, extra, _) in doc::fields(extras) {
                self.list(extras, extra, &Scope::Extra(normalise_pypi(extra)));
            }
        }
        // Poetry: its own table adds to PEP 621's fields only what those cannot say (sources).
        let declared = project.get("dependencies").is_some() || project.get("optional-dependencies").is_some();
        if !declared {
            self.poetry_table(poetry, "dependencies", &Scope::Production);
            self.dynamic(project, poetry);
        }
        self.poetry_table(poetry, "dev-dependencies", &Scope::Dev);
        for (_, _, group) in doc::table(poetry, "group").map(doc::fields).unwrap_or_default() {
            if let Some(group) = doc::as_table(group) {
                self.poetry_table(group, "dependencies", &Scope::Dev);
            }
        }
        if let Some(groups) = doc::table(table, "dependency-groups") {
            for (_, group, _) in doc::fields(groups) {
                self.list(groups, group, &Scope::Dev);
            }
        }
        self.list(uv, "dev-dependencies", &Scope::Dev);
        self.sources(uv, if declared { Some(poetry) } else { None });
        self.expand_own_extras();
        if let Some(workspace) = doc::table(uv, "workspace") {
            self.out.workspaces = doc::strings(workspace, "members");
        }
    }

    fn invalid(&mut self, at: usize, reason: String) {
        let place = Place::at(&self.out.file, self.lines.of(at));
        self.out.diagnostics.push(Diagnostic::new(codes::REQUIREMENT_INVALID, place, reason));
    }

    /// An array of PEP 508 strings; a group may also hold `{include-group = …}`, whose content is listed by itself.
    fn list(&mut self, table: &DeTable, key: &str, scope: &Scope) {
        if let Some(value) = table.get(key)
            && !matches!(value.get_ref(), DeValue::Array(_))
        {
            self.invalid(value.span().start, format!("`{}` is not an array", pep508::shorten(key)));
        }
        for (at, value) in doc::array(table, key) {
            if doc::as_table(value).is_some_and(|t| t.get("include-group").is_some()) {
                continue;
            }
            let parsed = doc::as_string(value).ok_or_else(|| "a requirement is not a string".to_string());
            match parsed.and_then(pep508::parse) {
                Ok(spec) => self.out.requires.push(ManifestRequirement {
                    name: spec.name,
                    text: spec.text,
                    line: self.lines.of(at),
                    extras: spec.extras,
                    marker: spec.marker,
                    scope: scope.clone(),
                    exact: spec.exact,
                    source: spec.source,
                }),
                Err(reason) => self.invalid(at, reason),
            }
        }
    }

    fn dynamic(&mut self, project: &DeTable, poetry: &DeTable) {
        if !doc::strings(project, "dynamic").iter().any(|f| f == "dependencies") || poetry.get("dependencies").is_some()
        {
            return;
        }
        let at = project.get("dynamic").map_or(0, |v| v.span().start);
        let place = Place::at(&self.out.file, self.lines.of(at));
        let reason = "dependencies are dynamic: only a build tells them";
        let step = "lock the project, or list them in [project] dependencies";
        self.out.diagnostics.push(Diagnostic::new(codes::REQUIREMENT_UNSUPPORTED, place, reason).next(step));
    }

    /// One of Poetry's tables: name = range, table, or array of tables.
    fn poetry_table(&mut self, parent: &DeTable, key: &str, scope: &Scope) {
        let Some(table) = doc::table(parent, key) else { return };
        let mut by_name: BTreeMap<String, Vec<String>> = BTreeMap::new();
        if let Some(extras) = doc::table(parent, "extras") {
            for (_, extra, _) in doc::fields(extras) {
                for name in doc::strings(extras, extra) {
                    // Poetry accepts `name[extra]` and ranges here, and uses the name.
                    let name = pep508::parse(&name).map_or_else(|_| normalise_pypi(&name), |s| s.name);
                    by_name.entry(name).or_default().push(normalise_pypi(extra));
                }
            }
        }
        for (at, name, value) in doc::fields(table) {
            let name = normalise_pypi(name);
            if name == "python" {
                continue;
            }
            let alternatives: Vec<&DeValue> = match value {
                DeValue::Array(array) => array.iter().map(|v| v.get_ref()).collect(),
                value => vec![value],
            };
            for value in alternatives {
                let Some((requirement, optional)) = self.poetry_requirement(at, &name, value, scope) else { continue };
                match by_name.get(&name).filter(|_| optional) {
                    Some(extras) => self.out.requires.extend(
                        extras
                            .iter()
                            .map(|e| ManifestRequirement { scope: Scope::Extra(e.clone()), ..requirement.clone() }),
                    ),
                    // Optional and in no extra: nothing can ask for it.
                    None if optional => {}
                    None => self.out.requires.push(requirement),
                }
            }
        }
    }

    fn poetry_requirement(
        &mut self,
        at: usize,
        name: &str,
        value: &DeValue,
        scope: &Scope,
    ) -> Option<(ManifestRequirement, bool)> {
        let mut out = ManifestRequirement {
            name: name.to_string(),
            text: String::new(),
            line: self.lines.of(at),
            extras: Vec::new(),
            marker: None,
            scope: scope.clone(),
            exact: None,
            source: None,
        };
        let mut optional = false;
        if let Some(text) = doc::as_string(value) {
            out.text = text.trim().to_string();
        } else if let Some(table) = doc::as_table(value) {
            out.text = doc::string(table, "version").unwrap_or_default().trim().to_string();
            out.source = poetry_source(table);
            optional = doc::boolean(table, "optional").unwrap_or(false);
            match pep508::extras(doc::strings(table, "extras").iter().map(String::as_str)) {
                Ok(extras) => out.extras = extras,
                Err(reason) => self.invalid(at, reason),
            }
            match doc::string(table, "markers").map(pep508::marker).transpose() {
                Ok(marker) => out.marker = marker,
                Err(reason) => self.invalid(at, reason),
            }
            let python = doc::string(table, "python").and_then(pep508::python_marker);
            out.marker = pep508::and(out.marker, python);
            if let Some(platform) =
                doc::string(table, "platform").filter(|p| p.bytes().all(|b| b.is_ascii_alphanumeric()))
            {
                out.marker = pep508::and(out.marker, pep508::marker(&format!("sys_platform == '{platform}'")).ok());
            }
        } else {
            self.invalid(at, format!("`{name}` is neither a range nor a table"));
            return None;
        }
        if out.source.is_none() && pep508::satisfies(&out.text, "0").is_none() {
            self.invalid(at, format!("`{}` is not a range", pep508::shorten(&out.text)));
        }
        let bare = pep440_rs::Version::from_str(&out.text).is_ok().then(|| out.text.clone());
        out.exact = pep508::exact(&out.text).or(bare).filter(|_| out.source.is_none());
        Some((out, optional))
    }

    /// `[tool.uv.sources]`, and Poetry's table where PEP 621 lists the requirements.
    fn sources(&mut self, uv: &DeTable, poetry: Option<&DeTable>) {
        let mut by_name: BTreeMap<String, String> = BTreeMap::new();
        for (_, name, value) in doc::table(uv, "sources").map(doc::fields).unwrap_or_default() {
            let first = match value {
                DeValue::Array(array) => array.iter().next().map(|v| v.get_ref()),
                value => Some(value),
            };
            let Some(table) = first.and_then(doc::as_table) else { continue };
            let source = ["git", "url", "path", "workspace"].iter().find(|key| table.get(**key).is_some());
            by_name.extend(source.map(|s| (normalise_pypi(name), (*s).to_string())));
        }
        for (_, name, value) in poetry.and_then(|p| doc::table(p, "dependencies")).map(doc::fields).unwrap_or_default()
        {
            let source = doc::as_table(value).and_then(poetry_source);
            by_name.extend(source.map(|s| (normalise_pypi(name), s)));
        }
        for requirement in &mut self.out.requires {
            if let (None, Some(source)) = (&requirement.source, by_name.get(&requirement.name)) {
                requirement.source = Some(source.clone());
            }
        }
    }

    /// `all = ["project[a,b]"]` asks for what `a` and `b` hold.
    fn expand_own_extras(&mut self) {
        let Some(own) = self.out.name.clone() else { return };
        let is_own = |r: &ManifestRequirement| r.name == own && !r.extras.is_empty();
        let mut asks: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for r in self.out.requires.iter().filter(|r| is_own(r)) {
            if let Scope::Extra(extra) = &r.scope {
                asks.entry(extra).or_default().extend(r.extras.iter().map(String::as_str));
            }
        }
        let mut added = Vec::new();
        for (&extra, direct) in &asks {
            let (mut reached, mut queue) = (BTreeSet::from([extra]), direct.iter().copied().collect::<Vec<_>>());
            while let Some(next) = queue.pop() {
                if reached.insert(next) {
                    queue.extend(asks.get(next).into_iter().flatten());
                    let held = |r: &&ManifestRequirement| r.scope == Scope::Extra(next.to_string()) && !is_own(r);
                    added.extend(
                        self.out
                            .requires
                            .iter()
                            .filter(held)
                            .map(|r| ManifestRequirement { scope: Scope::Extra(extra.to_string()), ..r.clone() }),
                    );
                }
            }
        }
        self.out.requires.retain(|r| !is_own(r));
        self.out.requires.extend(added);
    }
}

fn poetry_source(table: &DeTable) -> Option<String> {
    [("git", "git"), ("url", "url"), ("path", "path"), ("file", "path")]
        .iter()
        .find(|(key, _)| table.get(*key).is_some())
        .map(|(_, source)| (*source).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(manifest: &Manifest) -> Vec<String> {
        let of = |r: &ManifestRequirement| {
            let mut out = format!("{}:{} {}", r.line, r.name, r.text);
            out += &r.exact.as_ref().map_or(String::new(), |v| format!(" ={v}"));
            out += &r.source.as_ref().map_or(String::new(), |s| format!(" from {s}"));
            out += if r.marker.is_some() { " ;" } else { "" };
            out += &match &r.scope {
                Scope::Production => String::new(),
                scope => format!(" {scope:?}"),
            };
            out + &r.extras.iter().map(|e| format!(" +{e}")).collect::<String>()
        };
        manifest.requires.iter().map(of).collect()
    }

    #[test]
    fn pep_621_pep_735_and_uv() {
        let manifest = read(
            "pyproject.toml",
            r#"[project]
name = "My.App"
requires-python = ">=3.9"
dependencies = [
    "Requests[socks]>=2.31",
    "six==1.16.0 ; python_version < '3.12'",
    "lib",
    "bad requirement",
]
[project.optional-dependencies]
Web_UI = ["flask"]
all = ["my-app[web-ui]", "tqdm"]
[dependency-groups]
dev = ["pytest>=7", {include-group = "x"}]
x = ["ruff"]
[tool.uv]
dev-dependencies = ["mypy"]
[tool.uv.sources]
lib = { workspace = true }
[tool.uv.workspace]
members = ["packages/*"]
"#,
        );
        assert_eq!(
            shown(&manifest),
            [
                "5:requests >=2.31 +socks",
                "6:six ==1.16.0 =1.16.0 ;",
                "7:lib  from workspace",
                r#"11:flask  Extra("web-ui")"#,
                r#"11:flask  Extra("all")"#,
                r#"12:tqdm  Extra("all")"#,
                "14:pytest >=7 Dev",
                "15:ruff  Dev",
                "17:mypy  Dev",
            ]
        );
        assert_eq!((manifest.name.as_deref(), manifest.runtime.as_deref()), (Some("my-app"), Some(">=3.9")));
        assert_eq!(manifest.workspaces, ["packages/*"]);
        let said: Vec<_> = manifest.diagnostics.iter().map(|d| (d.code.as_str(), d.place.line)).collect();
        assert_eq!(said, [("requirement-invalid", 8)]);
    }

    #[test]
    fn poetry_tables() {
        let manifest = read(
            "pyproject.toml",
            r#"[tool.poetry]
name = "app"
[tool.poetry.dependencies]
python = "^3.9"
flask = "^2.0"
six = "1.16.0"
idna = "==3.4"
numpy = [{version = "~1.26", python = "<3.12"}, {version = "^2.0", python = ">=3.12"}]
pandas = {version = "*", optional = true}
unasked = {version = "*", optional = true}
lib = {git = "https://host/x.git"}
uvicorn = {version = "^0.23", extras = ["standard"], markers = "sys_platform == 'linux'"}
[tool.poetry.extras]
data = ["pandas"]
[tool.poetry.group.test.dependencies]
pytest = "*"
[tool.poetry.dev-dependencies]
black = "*"
odd = "latest"
"#,
        );
        assert_eq!(
            shown(&manifest),
            [
                "5:flask ^2.0",
                "6:six 1.16.0 =1.16.0",
                "7:idna ==3.4 =3.4",
                "8:numpy ~1.26 ;",
                "8:numpy ^2.0 ;",
                r#"9:pandas * Extra("data")"#,
                "11:lib  from git",
                "12:uvicorn ^0.23 ; +standard",
                "16:pytest * Dev",
                "18:black * Dev",
                "19:odd latest Dev",
            ]
        );
        assert_eq!(manifest.runtime.as_deref(), Some("^3.9"));
        assert_eq!(manifest.diagnostics.iter().map(|d| d.place.line).collect::<Vec<_>>(), [19]);
    }

    #[test]
    fn where_both_are_written_pep_621_counts_and_poetry_adds_sources() {
        let manifest = read(
            "pyproject.toml",
            "[project]\ndependencies = ['lib', 'six']\n[tool.poetry.dependencies]\nlib = {path = '../lib'}\nextra = '*'\n",
        );
        assert_eq!(shown(&manifest), ["2:lib  from path", "2:six "]);
    }

    #[test]
    fn what_only_a_build_tells_is_said() {
        let manifest = read("pyproject.toml", "[project]\nname = 'x'\ndynamic = ['dependencies']\n");
        assert_eq!(
            (manifest.diagnostics[0].code.as_str(), manifest.diagnostics[0].place.line),
            ("requirement-unsupported", 3)
        );
        let broken = read("pyproject.toml", "[project\n");
        assert_eq!((broken.diagnostics[0].code.as_str(), broken.diagnostics[0].place.line), ("manifest-invalid", 1));
        assert_eq!(read("pyproject.toml", "[project]\ndependencies = 'six'\n").diagnostics.len(), 1);
    }
}
