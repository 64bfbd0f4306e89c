//! Results of groups of functions, kept from one scan to the next.
//!
//! A result is found by what the group is (declarations, options, the program itself) and holds what was asked of the tree to make
//! it: it counts only while all of that would be answered the same. So a scan with a cache and one without come to the same
//! inventory, whatever the cache holds.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::discover::trace::Trace;
use crate::discover::{Site, Tree};
use crate::model::{Diagnostic, Function, Package};

use super::group::{Group, Key, ScanOptions};
use super::imports::Sources;
use super::packages::Gathered;

/// The part of a key that all groups of a scan share.
pub(super) fn salt(tree: &Tree, options: &ScanOptions) -> Vec<u8> {
    let mut hash = Sha256::new();
    let ScanOptions { defaults, pins, locks, limits, cache: _ } = options;
    hash.update(format!(
        "{}\n{defaults:?}\n{pins:?}\n{locks:?}\n{limits:?}\n{}",
        crate::model::GENERATOR,
        tree.shape()
    ));
    hash.finalize().to_vec()
}

/// The key of a group: its functions as they are declared, and the functions that lie inside them.
pub(super) fn key<'a>(salt: &[u8], members: impl Iterator<Item = (&'a Site, Vec<&'a str>)>) -> Key {
    let mut hash = Sha256::new();
    hash.update(salt);
    for (site, nested) in members {
        hash.update(format!("{site:?}\n{nested:?}\n"));
    }
    hash.finalize().into()
}

#[derive(Serialize)]
struct Kept<'a> {
    trace: &'a Trace,
    functions: Vec<&'a Function>,
    packages: &'a [Package],
    diagnostics: &'a BTreeSet<Diagnostic>,
    parsed: &'a BTreeSet<String>,
}

#[derive(Deserialize)]
struct Found {
    trace: Trace,
    functions: Vec<Function>,
    packages: Vec<Package>,
    diagnostics: BTreeSet<Diagnostic>,
    parsed: BTreeSet<String>,
}

/// A group as bytes.
pub(super) fn pack(group: &mut Group, trace: &Trace) -> Option<Vec<u8>> {
    let packages: Vec<Package> = std::mem::take(&mut group.gathered).into_packages().collect();
    let bytes = serde_json::to_vec(&Kept {
        trace,
        functions: group.functions.iter().map(|(_, function)| function).collect(),
        packages: &packages,
        diagnostics: &group.diagnostics,
        parsed: &group.parsed,
    });
    group.gathered = gathered(group.functions.iter().map(|(_, function)| function), packages);
    bytes.ok()
}

/// The group that bytes hold, if nothing that it was made from has changed.
pub(super) fn unpack(tree: &Tree, sources: &Sources<'_>, bytes: &[u8], members: &[usize]) -> Option<Group> {
    let found: Found = serde_json::from_slice(bytes).ok()?;
    let hash_of = |file: &str| sources.hash_of(file);
    let same_names = || found.trace.names.iter().all(|(name, folders)| sources.folders_named(name) == *folders);
    if found.functions.len() != members.len() || !tree.still(&found.trace, hash_of) || !same_names() {
        return None;
    }
    Some(Group {
        gathered: gathered(found.functions.iter(), found.packages),
        functions: members.iter().copied().zip(found.functions).collect(),
        diagnostics: found.diagnostics,
        parsed: found.parsed,
    })
}

fn gathered<'a>(functions: impl Iterator<Item = &'a Function>, packages: Vec<Package>) -> Gathered {
    let mut gathered = Gathered::default();
    functions.for_each(|function| gathered.hold(function));
    packages.into_iter().for_each(|package| gathered.record(package));
    gathered
}
