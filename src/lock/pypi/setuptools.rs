//! What setup.cfg, setup.py and `[tool.setuptools.dynamic]` have in common: requirements as text, or in files beside.

use super::{pep508, requirement_edges, requirements};
use crate::discover::paths;
use crate::lock::{Manifest, ManifestRequirement, Scope};
use crate::model::{Diagnostic, Place, codes};

/// Adds a requirement as written, or the reason why it is none.
pub(super) fn requirement(out: &mut Manifest, text: &str, line: u32, scope: &Scope) {
    add(out, text, line, &Place::at(out.file.clone(), line), scope);
}

fn add(out: &mut Manifest, text: &str, line: u32, place: &Place, scope: &Scope) {
    match pep508::parse(text) {
        Ok(spec) => out.requires.push(ManifestRequirement {
            name: spec.name,
            text: spec.text,
            line,
            extras: spec.extras,
            marker: spec.marker,
            scope: scope.clone(),
            exact: spec.exact,
            source: spec.source,
        }),
        Err(reason) => out.diagnostics.push(Diagnostic::new(codes::REQUIREMENT_INVALID, place.clone(), reason)),
    }
}

/// The text of a file named in a manifest, by its path relative to it; the diagnostic of its absence is the manifest's.
pub(super) fn text_of(
    out: &mut Manifest,
    path: &str,
    line: u32,
    include: &mut dyn FnMut(&str) -> Result<String, Diagnostic>,
) -> Option<(String, String)> {
    let place = Place::at(&out.file, line);
    let Some(full) = paths::join(paths::parent(&out.file), path) else {
        let reason = format!("`{}` is outside the scanned folder", pep508::shorten(path));
        out.diagnostics.push(Diagnostic::new(codes::INCLUDE_MISSING, place, reason));
        return None;
    };
    match include(&full) {
        Ok(text) => Some((full, text)),
        Err(why) => {
            let reason = format!("{}: {}", pep508::shorten(&full), why.reason);
            out.diagnostics.push(Diagnostic::new(codes::INCLUDE_MISSING, place, reason));
            None
        }
    }
}

/// Requirements in a file, one a line, as setuptools reads them: comments, but no options of pip.
pub(super) fn from_file(
    out: &mut Manifest,
    path: &str,
    line: u32,
    scope: &Scope,
    include: &mut dyn FnMut(&str) -> Result<String, Diagnostic>,
) {
    let Some((full, text)) = text_of(out, path, line, include) else { return };
    for (number, content) in (1u32..).zip(text.lines()) {
        let content = content.split(" #").next().unwrap_or_default().trim();
        if !content.is_empty() && !content.starts_with('#') {
            add(out, content, line, &Place::at(&full, number), scope);
        }
    }
}

/// Requirements in a file that pip's own reader, or a helper like it, goes through: options are skipped, `-r` followed.
pub(super) fn from_requirements(
    out: &mut Manifest,
    path: &str,
    line: u32,
    scope: &Scope,
    include: &mut dyn FnMut(&str) -> Result<String, Diagnostic>,
) {
    let Some((full, text)) = text_of(out, path, line, include) else { return };
    let lock = requirements::read(&full, &text, include);
    out.diagnostics.extend(lock.diagnostics.iter().filter(|d| d.code != codes::LOCK_INCOMPLETE.id).cloned());
    let declared = requirement_edges::declared(&lock);
    out.requires.extend(declared.into_iter().map(|r| ManifestRequirement { line, scope: scope.clone(), ..r }));
}
