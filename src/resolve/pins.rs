//! Versions that hold for a whole fleet (`--pins`), for functions that have no lock of their own.

use std::sync::Arc;

use crate::lock::{self, Edge, Kind, Lock, Scope};
use crate::model::codes;
use crate::model::inventory::Requirement;
use crate::model::{Diagnostic, Ecosystem, Language, PackageId, Place};

/// Locks that speak for functions without one.
#[derive(Debug, Default)]
pub struct Pins {
    python: Vec<Arc<Lock>>,
    node: Vec<Arc<Lock>>,
}

impl Pins {
    /// Reads one file of pins: a lock or requirements file by its name, else lines of `name==version` and `name@version`.
    pub fn add(&mut self, file: &str, text: &str) -> Vec<Diagnostic> {
        let name = file.rsplit('/').next().unwrap_or(file);
        if let Some(kind) = Kind::of(name) {
            let mut include = |path: &str| {
                Err(Diagnostic::new(
                    codes::PINS_INVALID,
                    Place::file(file),
                    format!("it includes {path}, which pins may not"),
                ))
            };
            let lock = lock::read(kind, file, text, &mut include);
            let diagnostics = lock.diagnostics.clone();
            let lock = Arc::new(lock);
            match kind.language() {
                Language::Python => self.python.push(lock),
                Language::Node => self.node.push(lock),
            }
            return diagnostics;
        }
        let (mut python, mut node) = (Vec::new(), Vec::new());
        let mut diagnostics = Vec::new();
        for (at, line) in text.lines().enumerate() {
            let line_number = u32::try_from(at + 1).unwrap_or(u32::MAX);
            let pin = line.split('#').next().unwrap_or("").trim();
            if pin.is_empty() {
                continue;
            }
            let (ecosystem, list) =
                if pin.contains("==") { (Ecosystem::Pypi, &mut python) } else { (Ecosystem::Npm, &mut node) };
            match PackageId::from_spec(ecosystem, pin) {
                Ok(id) => list.push(lock::Entry::pin(id, line_number)),
                Err(_) => diagnostics.push(Diagnostic::new(
                    codes::PINS_INVALID,
                    Place::at(file, line_number),
                    format!("`{pin}` is neither name==version nor name@version"),
                )),
            }
        }
        for (entries, kind, list) in
            [(python, Kind::Requirements, &mut self.python), (node, Kind::PackageLock, &mut self.node)]
        {
            if !entries.is_empty() {
                list.push(Arc::new(Lock { entries, ..Lock::empty(kind, file) }));
            }
        }
        diagnostics
    }

    /// The files that speak for a language, in the order in which they were given.
    pub fn of(&self, language: Language) -> &[Arc<Lock>] {
        match language {
            Language::Python => &self.python,
            Language::Node => &self.node,
        }
    }

    /// Roots in a lock for the requirements that have no version yet and that it satisfies.
    pub fn roots(&self, lock: &Lock, declared: &[Requirement]) -> Vec<Edge> {
        declared
            .iter()
            .filter_map(|requirement| {
                let to: Vec<usize> = lock
                    .entries
                    .iter()
                    .enumerate()
                    .filter(|(_, e)| e.id.name == requirement.name)
                    .filter(|(_, e)| match &requirement.package {
                        Some(pinned) => pinned == &e.id,
                        None => {
                            lock::closure::satisfies(lock.kind.ecosystem(), range(requirement), &e.id.version)
                                != Some(false)
                        }
                    })
                    .map(|(at, _)| at)
                    .collect();
                (!to.is_empty()).then(|| Edge {
                    name: requirement.name.clone(),
                    text: requirement.text.clone(),
                    line: requirement.place.line,
                    to,
                    extras: Vec::new(),
                    marker: None,
                    scope: Scope::Production,
                })
            })
            .collect()
    }
}

/// The range of a requirement that is written with its name: `numpy>=1.24`, `express@^4.17.1`.
fn range(requirement: &Requirement) -> &str {
    let rest = requirement.text.strip_prefix(&requirement.name).unwrap_or(&requirement.text);
    let rest = rest.split(';').next().unwrap_or("").trim();
    let rest = rest.strip_prefix('@').unwrap_or(rest);
    // Extras stand before the range.
    rest.strip_prefix('[').and_then(|r| r.split_once(']')).map_or(rest, |(_, range)| range).trim()
}
