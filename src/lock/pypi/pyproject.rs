//! pyproject.toml: PEP 621 metadata, PEP 735 dependency groups, the tables of Poetry, PDM, uv, setuptools and flit.
//!
//! Supported: `[project]` name, requires-python, dependencies, optional-dependencies (an extra that asks for the project's
//! own extras is expanded); `[dependency-groups]` with `include-group`; `[tool.poetry]` dependencies with caret and tilde
//! ranges kept as written, alternatives by Python version, extras, groups, dev-dependencies, and beside PEP 621 what it adds;
//! `[tool.pdm]` dev-dependencies, overrides, excludes; `[tool.uv]` dev-dependencies, sources, workspace members, overrides,
//! constraints, excludes; `[tool.setuptools.dynamic]` files; `[tool.flit.metadata]`. Groups are development: no tool
//! installs them into production unasked.
//! Unsupported, with a note: dependencies that are `dynamic` in any other way, which only a build can tell.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use toml::de::{DeTable, DeValue};

use super::toml_doc as doc;
use super::{pep508, setuptools};
use crate::lock::{Manifest, ManifestRequirement, Scope};
use crate::model::{Area, Diagnostic, Extent, Lines, Place, Support, codes, normalise_pypi};

/// What is read of it.
pub const SUPPORT: Support = Support {
    area: Area::Manifest,
    what: "pyproject.toml",
    files: "pyproject.toml",
    extent: Extent::Partly,
    note: "PEP 621, PEP 735, Poetry 1 and 2, PDM, uv, setuptools files, flit; dynamic dependencies only from files",
};

/// Reads a pyproject.toml; `include` is asked for the files of `[tool.setuptools.dynamic]`.
pub fn read(file: &str, text: &str, include: &mut dyn FnMut(&str) -> Result<String, Diagnostic>) -> Manifest {
    let mut out = Manifest { kind: "pyproject", file: file.into(), ..Manifest::default() };
    match doc::parse(codes::MANIFEST_INVALID, file, text) {
        Ok((table, lines)) => Reader { out: &mut out, lines: &lines, include }.manifest(&table),
        Err(diagnostic) => out.diagnostics.push(*diagnostic),
    }
    out.requires.sort_by_key(|r| r.line);
    out
}

struct Reader<'a> {
    out: &'a mut Manifest,
    lines: &'a Lines,
    include: &'a mut dyn FnMut(&str) -> Result<String, Diagnostic>,
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
        // Poetry: its own table adds to PEP 621's fields only what those cannot say (sources), unless they are dynamic.
        let declared = project.get("dependencies").is_some() || project.get("optional-dependencies").is_some();
        let dynamic = |field: &str| doc::strings(project, "dynamic").iter().any(|f| f == field);
        if !declared || dynamic("dependencies") {
            self.poetry_table(poetry, "dependencies", &Scope::Production);
        }
        let flit = doc::table_at(table, &["tool", "flit", "metadata"]).unwrap_or(&empty);
        self.list(flit, "requires", &Scope::Production);
        if dynamic("dependencies") && poetry.get("dependencies").is_none() {
            self.dynamic(project, table);
        }
        self.optional_from_files(table);
        self.poetry_table(poetry, "dev-dependencies", &Scope::Dev);
        for (_, _, group) in doc::table(poetry, "group").map(doc::fields).unwrap_or_default() {
            if let Some(group) = doc::as_table(group) {
                self.poetry_table(group, "dependencies", &Scope::Dev);
            }
        }
        if let Some(groups) = doc::table(table, "dependency-groups") {
            self.groups(groups);
        }
        self.list(uv, "dev-dependencies", &Scope::Dev);
        let pdm = doc::table_at(table, &["tool", "pdm"]).unwrap_or(&empty);
        if let Some(groups) = doc::table(pdm, "dev-dependencies") {
            for (_, group, _) in doc::fields(groups) {
                self.list(groups, group, &Scope::Dev);
            }
        }
        self.sources(uv, if declared { Some(poetry) } else { None });
        self.expand_own_extras();
        self.uv_resolution(uv);
        self.pdm_resolution(doc::table(pdm, "resolution").unwrap_or(&empty));
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
            let written = doc::as_string(value).ok_or_else(|| "a requirement is not a string".to_string());
            // PDM's own way: `-e file:///…/lib#egg=name`.
            let editable = written.as_ref().ok().and_then(|t| t.strip_prefix("-e ")).and_then(|location| {
                let (url, name) = location.trim().split_once("#egg=")?;
                Some(format!("{name} @ {url}"))
            });
            match written.and_then(|text| pep508::parse(editable.as_deref().unwrap_or(text))) {
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

    /// Dependency groups (PEP 735): each is development by itself, so what one includes of another is listed there. An
    /// include of nothing, or in a circle, is an error of the file.
    fn groups(&mut self, groups: &DeTable) {
        let mut includes: BTreeMap<String, Vec<(usize, String)>> = BTreeMap::new();
        for (_, group, _) in doc::fields(groups) {
            self.list(groups, group, &Scope::Dev);
            let included = doc::array(groups, group)
                .filter_map(|(at, v)| Some((at, normalise_pypi(doc::string(doc::as_table(v)?, "include-group")?))));
            includes.entry(normalise_pypi(group)).or_default().extend(included);
        }
        for (at, name) in includes.values().flatten() {
            if !includes.contains_key(name) {
                self.invalid(*at, format!("there is no dependency group `{}`", pep508::shorten(name)));
            }
        }
        // Groups that include nothing open are closed; what never closes goes in a circle.
        let mut open: BTreeMap<&str, usize> = BTreeMap::new();
        let mut included_by: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (group, list) in &includes {
            let known: Vec<&str> = list.iter().map(|(_, n)| n.as_str()).filter(|n| includes.contains_key(*n)).collect();
            open.insert(group, known.len());
            known.iter().for_each(|name| included_by.entry(name).or_default().push(group));
        }
        let mut ready: Vec<&str> = open.iter().filter(|(_, n)| **n == 0).map(|(g, _)| *g).collect();
        while let Some(group) = ready.pop() {
            open.remove(group);
            for by in included_by.get(group).into_iter().flatten() {
                if let Some(left) = open.get_mut(by) {
                    *left -= 1;
                    if *left == 0 {
                        ready.push(by);
                    }
                }
            }
        }
        let circle = open.keys().next().and_then(|group| includes.get(*group)?.first().map(|(at, _)| (*at, *group)));
        if let Some((at, group)) = circle {
            self.invalid(at, format!("dependency group `{}` includes itself", pep508::shorten(group)));
        }
    }

    /// Dependencies that `[project]` leaves to the build: files that setuptools or hatch read say them; else nobody does.
    fn dynamic(&mut self, project: &DeTable, table: &DeTable) {
        let at = project.get("dynamic").map_or(0, |v| v.span().start);
        let line = self.lines.of(at);
        let field = doc::table_at(table, &["tool", "setuptools", "dynamic", "dependencies"]);
        let hatch = doc::table_at(table, &["tool", "hatch", "metadata", "hooks", "requirements_txt"]);
        let files = field.map(|f| one_or_more(f, "file")).unwrap_or_default();
        let hooked = hatch.map(|h| one_or_more(h, "files")).unwrap_or_default();
        for path in files.iter().chain(&hooked) {
            setuptools::from_file(self.out, path, line, &Scope::Production, self.include);
        }
        if files.is_empty() && hooked.is_empty() {
            let place = Place::at(&self.out.file, line);
            let reason = "dependencies are dynamic: only a build tells them";
            let step = "lock the project, or list them in [project] dependencies";
            self.out.partial = true;
            self.out.diagnostics.push(Diagnostic::new(codes::REQUIREMENT_UNSUPPORTED, place, reason).next(step));
        }
    }

    fn optional_from_files(&mut self, table: &DeTable) {
        let path = ["tool", "setuptools", "dynamic", "optional-dependencies"];
        let Some(extras) = doc::table_at(table, &path) else { return };
        for (at, extra, value) in doc::fields(extras) {
            let files = doc::as_table(value).map(|t| one_or_more(t, "file")).unwrap_or_default();
            for path in files {
                let scope = Scope::Extra(normalise_pypi(extra));
                setuptools::from_file(self.out, &path, self.lines.of(at), &scope, self.include);
            }
        }
    }

    /// uv's overrides replace what is written, constraints narrow it, excludes take it away.
    fn uv_resolution(&mut self, uv: &DeTable) {
        let excluded: BTreeSet<String> =
            doc::strings(uv, "exclude-dependencies").iter().map(|n| normalise_pypi(n)).collect();
        self.out.requires.retain(|r| !excluded.contains(&r.name));
        for (key, replaces) in [("override-dependencies", true), ("constraint-dependencies", false)] {
            let mut by_name: BTreeMap<String, Vec<pep508::Specifier>> = BTreeMap::new();
            for (at, value) in doc::array(uv, key) {
                // A table takes an override away for some packages only.
                let Some(text) = doc::as_string(value) else { continue };
                match pep508::parse(text) {
                    Ok(spec) => by_name.entry(spec.name.clone()).or_default().push(spec),
                    Err(reason) => self.invalid(at, reason),
                }
            }
            self.rewrite(&by_name, replaces);
        }
    }

    /// `[tool.pdm.resolution]`: overrides as a table of name and range or URL, excludes as a list.
    fn pdm_resolution(&mut self, resolution: &DeTable) {
        let excluded: BTreeSet<String> =
            doc::strings(resolution, "excludes").iter().map(|n| normalise_pypi(n)).collect();
        self.out.requires.retain(|r| !excluded.contains(&r.name));
        let mut by_name: BTreeMap<String, Vec<pep508::Specifier>> = BTreeMap::new();
        for (at, name, value) in doc::table(resolution, "overrides").map(doc::fields).unwrap_or_default() {
            let text = doc::as_string(value).unwrap_or_default().trim();
            let bare = text.starts_with(|c: char| c.is_ascii_digit());
            let written = match text {
                "*" => name.to_string(),
                text if text.contains("://") => format!("{name} @ {text}"),
                text if bare => format!("{name}=={text}"),
                text => format!("{name} {text}"),
            };
            match pep508::parse(&written) {
                Ok(spec) => by_name.entry(spec.name.clone()).or_default().push(spec),
                Err(reason) => self.invalid(at, reason),
            }
        }
        self.rewrite(&by_name, true);
    }

    /// Puts other ranges in place of those of the same name, or beside them.
    fn rewrite(&mut self, by_name: &BTreeMap<String, Vec<pep508::Specifier>>, replaces: bool) {
        let mut out = Vec::with_capacity(self.out.requires.len());
        for requirement in std::mem::take(&mut self.out.requires) {
            let Some(specs) = by_name.get(&requirement.name) else {
                out.push(requirement);
                continue;
            };
            // Under markers there may be several, each for its platforms; elsewhere what is written stays.
            let mut elsewhere = Some(pep508_rs::MarkerTree::TRUE);
            for spec in specs {
                let mut one = requirement.clone();
                if replaces || one.text.is_empty() {
                    (one.text, one.exact, one.source) = (spec.text.clone(), spec.exact.clone(), spec.source.clone());
                } else if one.source.is_none() {
                    one.text = format!("{},{}", one.text, spec.text);
                    one.exact = one.exact.or(spec.exact.clone());
                }
                one.marker = pep508::and(one.marker, spec.marker.clone());
                out.push(one);
                elsewhere = elsewhere.zip(spec.marker.clone()).map(|(mut left, marker)| {
                    left.and(marker.negate());
                    left
                });
            }
            if let Some(elsewhere) = elsewhere {
                out.push(ManifestRequirement {
                    marker: pep508::and(requirement.marker.clone(), Some(elsewhere)),
                    ..requirement
                });
            }
        }
        self.out.requires = out;
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

/// A string, or an array of strings.
fn one_or_more(table: &DeTable, key: &str) -> Vec<String> {
    doc::string(table, key).map_or_else(|| doc::strings(table, key), |one| vec![one.to_string()])
}

fn poetry_source(table: &DeTable) -> Option<String> {
    [("git", "git"), ("url", "url"), ("path", "path"), ("file", "path")]
        .iter()
        .find(|(key, _)| table.get(*key).is_some())
        .map(|(_, source)| (*source).to_string())
}

#[cfg(test)]
#[allow(clippy::result_large_err)]
mod tests;
