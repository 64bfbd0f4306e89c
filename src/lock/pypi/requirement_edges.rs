//! What a requirements file asks for: its lines as edges, by the `# via` notes of generators where it has them, or as the
//! requirements of a manifest.

use std::collections::{BTreeMap, BTreeSet};

use super::pep508;
use crate::lock::{Edge, Entry, Lock, MAX_VERSIONS, ManifestRequirement, Scope};

/// One requirement.
pub(super) struct Line {
    pub spec: pep508::Specifier,
    pub hashes: Vec<String>,
    /// In the file that was asked for.
    pub line: u32,
    /// Which of the files read holds it.
    pub file: usize,
    pub via: Vec<Via>,
    /// Whether a `# via` note belongs to it, even one that names constraints only.
    pub noted: bool,
}

pub(super) enum Via {
    Root,
    Package(String),
}

/// Turns notes into edges, and returns the edges of the importer.
pub(super) fn roots(entries: &mut [Entry], lines: &[Line], pinned: &[Vec<usize>], annotated: &[bool]) -> Vec<Edge> {
    let edge = |line: &Line, to: &[usize]| Edge {
        name: line.spec.name.clone(),
        text: line.spec.text.clone(),
        line: line.line,
        to: to.to_vec(),
        extras: line.spec.extras.clone(),
        marker: line.spec.marker.clone(),
        scope: Scope::Production,
    };
    let mut by_name: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (line, targets) in lines.iter().zip(pinned) {
        by_name.entry(&line.spec.name).or_default().extend(targets);
    }
    // By requirer: what its notes say it requires, a name with all the entries that it may be.
    let mut requires: BTreeMap<usize, BTreeMap<&str, BTreeSet<usize>>> = BTreeMap::new();
    let mut is_root = vec![true; lines.len()];
    for (at, line) in lines.iter().enumerate() {
        if !annotated[line.file] {
            continue;
        }
        for &target in &pinned[at] {
            requires.entry(target).or_default();
        }
        is_root[at] = line.via.is_empty();
        for via in &line.via {
            match via {
                // A name that is not listed is the project itself.
                Via::Package(name) if by_name.get(name.as_str()).is_some_and(|to| !to.is_empty()) => {
                    for &requirer in by_name[name.as_str()].iter().take(MAX_VERSIONS) {
                        let names = requires.entry(requirer).or_default();
                        names.entry(&line.spec.name).or_default().extend(&pinned[at]);
                    }
                }
                _ => is_root[at] = true,
            }
        }
    }
    // Packages that only require each other are installed as well.
    let mut reached = vec![false; entries.len()];
    let mut queue: Vec<usize> = Vec::new();
    let mut pending: Vec<usize> = (0..lines.len()).rev().collect();
    pending.sort_by_key(|&at| is_root[at]);
    while let Some(at) = pending.pop() {
        if !is_root[at] && pinned[at].iter().all(|&i| reached[i]) && !pinned[at].is_empty() {
            continue;
        }
        is_root[at] = true;
        queue.extend(&pinned[at]);
        while let Some(i) = queue.pop() {
            if !std::mem::replace(&mut reached[i], true) {
                queue.extend(requires.get(&i).into_iter().flat_map(|names| names.values().flatten()));
            }
        }
    }
    for (requirer, names) in requires {
        let of = |(name, to): (&str, BTreeSet<usize>)| Edge {
            name: name.to_string(),
            text: String::new(),
            line: 0,
            to: to.into_iter().filter(|i| *i != requirer).collect(),
            extras: Vec::new(),
            marker: None,
            scope: Scope::Production,
        };
        entries[requirer].requires = Some(names.into_iter().map(of).filter(|e| !e.to.is_empty()).collect());
    }
    (0..lines.len()).filter(|&at| is_root[at]).map(|at| edge(&lines[at], &pinned[at])).collect()
}

/// What a requirements file asks for, as a manifest would: for files that serve as one, and for the parts of others.
pub(super) fn declared(lock: &Lock) -> Vec<ManifestRequirement> {
    let of = |edge: &Edge| {
        let source = edge.to.iter().find_map(|&at| lock.entries.get(at)?.source.clone());
        let source = source.or_else(|| edge.text.strip_prefix("@ ").map(|url| pep508::url_kind(url).to_string()));
        ManifestRequirement {
            name: edge.name.clone(),
            text: edge.text.clone(),
            line: edge.line,
            extras: edge.extras.clone(),
            marker: edge.marker.clone(),
            scope: edge.scope.clone(),
            exact: pep508::exact(&edge.text),
            source,
        }
    };
    lock.importers.values().flatten().map(of).collect()
}
