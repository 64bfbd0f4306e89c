//! What work asks of a tree, as hashes: whether the same work would come to the same outcome.

use std::collections::HashMap;
use std::sync::PoisonError;

use sha2::{Digest, Sha256};

use super::Tree;
use crate::discover::paths;
use crate::discover::trace::{self, Trace};
use crate::model::Diagnostic;

impl Tree {
    pub(super) fn noted_below(&self, dir: &str) {
        if trace::is_on() {
            let hash = self.hash_below(dir);
            trace::note(|trace| drop(trace.below.insert(dir.to_string(), hash)));
        }
    }

    /// Whether work that asked what a trace says would be answered the same; `hash_of` is [`Tree::hash_of`], or remembers
    /// what that said.
    pub fn still(&self, then: &Trace, hash_of: impl Fn(&str) -> String) -> bool {
        then.folders.iter().all(|(dir, hash)| self.hash_in(dir) == *hash)
            && then.below.iter().all(|(dir, hash)| self.hash_below(dir) == *hash)
            && then.files.iter().all(|(file, hash)| hash_of(file) == *hash)
    }

    /// Hash of what reading a file comes to.
    pub fn hash_of(&self, file: &str) -> String {
        hash_of(&self.fetch(file))
    }

    /// What else decides where paths lead, in words: links to folders, archives that are read as folders, applications
    /// that are read and not listed.
    pub fn shape(&self) -> String {
        let archives: Vec<&String> = self.archives.keys().collect();
        format!("{:?}\n{archives:?}\n{:?}", self.links, self.outputs)
    }

    pub(super) fn looked_in(&self, dir: &str) {
        if trace::is_on() {
            let dir = self.real(dir);
            let hash = self.hash_in(&dir);
            trace::note(|trace| drop(trace.folders.insert(dir.to_string(), hash)));
        }
    }

    pub(super) fn hash_in(&self, dir: &str) -> String {
        let listing = self.listing.get_or_init(|| {
            let mut names: HashMap<&str, Sha256> = HashMap::new();
            for path in self.dirs.iter().chain(self.files.keys()).filter(|path| *path != ".") {
                let hash = names.entry(paths::parent(path)).or_default();
                hash.update(paths::file_name(path));
                hash.update(if self.dirs.contains(path) { "/" } else { "\0" });
            }
            names.into_iter().map(|(dir, hash)| (dir.to_string(), short_hex(&hash.finalize()))).collect()
        });
        listing.get(dir).cloned().unwrap_or_default()
    }

    pub(super) fn hash_below(&self, dir: &str) -> String {
        let known = || self.listing_below.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(hash) = known().get(dir) {
            return hash.clone();
        }
        let made = self.make_hash_below(dir);
        known().insert(dir.to_string(), made.clone());
        made
    }

    pub(super) fn make_hash_below(&self, dir: &str) -> String {
        let mut hash = Sha256::new();
        for path in self.range(dir).chain(self.installed_below(dir)) {
            hash.update(path);
            hash.update("\0");
        }
        short_hex(&hash.finalize())
    }
}

pub(super) fn hash_of(read: &Result<Vec<u8>, Diagnostic>) -> String {
    short_hex(&match read {
        Ok(bytes) => Sha256::digest(bytes),
        Err(diagnostic) => Sha256::digest(format!("{diagnostic:?}")),
    })
}

/// Half of a SHA-256, which nobody finds a second text for by chance.
pub(super) fn short_hex(digest: &[u8]) -> String {
    digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}
