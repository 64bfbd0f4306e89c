//! setup.py, read without running it.
//!
//! Supported: `install_requires`, `extras_require`, `tests_require`, `python_requires` and `name` as far as they are
//! literals, or lines of a file at a literal path ([`crate::source::python::setup`] says how far that goes).
//! What only running would tell is a diagnostic at its line; the requirements that are known stay, and the manifest is
//! `partial`, so that nobody takes them for all.

use super::setuptools;
use crate::lock::{Manifest, Scope};
use crate::model::{Area, Diagnostic, Extent, Place, Support, codes, normalise_pypi};
use crate::source::python::setup::{self, Literal};

/// What is read of it.
pub const SUPPORT: Support = Support {
    area: Area::Manifest,
    what: "setup.py",
    files: "setup.py",
    extent: Extent::Partly,
    note: "never run: literals, constants, files read line by line at a literal path; the rest is a diagnostic",
};

/// Reads a setup.py; `include` is asked for the files that it reads.
pub fn read(file: &str, text: &str, include: &mut dyn FnMut(&str) -> Result<String, Diagnostic>) -> Manifest {
    let mut out = Manifest { kind: "setup-py", file: file.into(), ..Manifest::default() };
    let setup = match setup::read(text) {
        Ok(Some(setup)) => setup,
        Ok(None) => return out,
        Err((line, reason)) => {
            let reason = reason.trim_end_matches('.').to_string();
            out.diagnostics.push(Diagnostic::new(codes::MANIFEST_INVALID, Place::at(file, line), lower_first(&reason)));
            return out;
        }
    };
    let text_of = |key: &str| match setup.keywords.get(key) {
        Some(Literal::Text(text, _)) => Some(text.clone()),
        _ => None,
    };
    out.name = text_of("name").map(|n| normalise_pypi(&n));
    out.runtime = text_of("python_requires");
    if let Some((line, why)) = &setup.unknown {
        unknown(&mut out, *line, why);
    }
    for (key, scope) in [("install_requires", Scope::Production), ("tests_require", Scope::Dev)] {
        if let Some(value) = setup.keywords.get(key) {
            add(&mut out, value, &scope, setup.line, include);
        }
    }
    match setup.keywords.get("extras_require") {
        Some(Literal::Map(extras)) => {
            for (extra, value) in extras {
                // `name:marker` and `:marker` are setuptools' older way to write markers.
                match extra.split_once(':') {
                    Some((extra, marker)) => marked(&mut out, extra, marker, value, setup.line, include),
                    None => add(&mut out, value, &Scope::Extra(normalise_pypi(extra)), setup.line, include),
                }
            }
        }
        Some(Literal::Unknown(line, why)) => note(&mut out, *line, why),
        _ => {}
    }
    out.requires.sort_by_key(|r| r.line);
    out
}

/// Requirements under a marker.
fn marked(
    out: &mut Manifest,
    extra: &str,
    marker: &str,
    value: &Literal,
    line: u32,
    include: &mut dyn FnMut(&str) -> Result<String, Diagnostic>,
) {
    let scope = if extra.is_empty() { Scope::Production } else { Scope::Extra(normalise_pypi(extra)) };
    let from = out.requires.len();
    add(out, value, &scope, line, include);
    match super::pep508::marker(marker) {
        Ok(marker) => {
            for requirement in &mut out.requires[from..] {
                requirement.marker = super::pep508::and(requirement.marker.take(), Some(marker.clone()));
            }
        }
        Err(reason) => {
            out.requires.truncate(from);
            let place = Place::at(&out.file, line);
            out.diagnostics.push(Diagnostic::new(codes::REQUIREMENT_INVALID, place, reason));
        }
    }
}

fn add(
    out: &mut Manifest,
    value: &Literal,
    scope: &Scope,
    line: u32,
    include: &mut dyn FnMut(&str) -> Result<String, Diagnostic>,
) {
    match value {
        // One string may hold several, a line each.
        Literal::Text(text, line) => {
            for (line, text) in (*line..).zip(text.split('\n')) {
                let text = text.trim();
                if !text.is_empty() && !text.starts_with('#') {
                    setuptools::requirement(out, text, line, scope);
                }
            }
        }
        Literal::List(parts) => {
            for part in parts {
                add(out, part, scope, line, include);
            }
        }
        // Whoever reads a requirements file by hand skips what is no requirement, or follows `-r` as pip does.
        Literal::File { path, line, .. } => setuptools::from_requirements(out, path, *line, scope, include),
        Literal::Unknown(line, why) if *scope == Scope::Production => unknown(out, *line, why),
        Literal::Unknown(line, why) => note(out, *line, why),
        Literal::Map(_) | Literal::Path(_) => unknown(out, line, "it is no list of requirements"),
    }
}

/// A production requirement that only running would tell.
fn unknown(out: &mut Manifest, line: u32, why: &str) {
    out.partial = true;
    let reason = format!("only running it would tell all that it requires: {why}");
    let step = "write the requirements as literals, or add a requirements file or a lock";
    let place = Place::at(&out.file, line);
    out.diagnostics.push(Diagnostic::new(codes::REQUIREMENT_INVALID, place, reason).next(step));
}

/// The same for what production does not install.
fn note(out: &mut Manifest, line: u32, why: &str) {
    let reason = format!("only running it would tell all of an extra: {why}");
    let place = Place::at(&out.file, line);
    out.diagnostics.push(Diagnostic::new(codes::REQUIREMENT_UNSUPPORTED, place, reason).next("write it as literals"));
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|c| c.to_lowercase().chain(chars).collect()).unwrap_or_default()
}
