//! What a piece of work asked a tree: which files it read and in which folders it looked, so that a cache can tell whether the
//! same work would come to the same result.
//!
//! Work is traced by thread. Nothing is noted unless a trace is under way.

use std::cell::RefCell;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Files and folders that were looked at, each with a hash of what was found there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trace {
    /// Hash of the bytes of files, or of the reason why they could not be read.
    pub files: BTreeMap<String, String>,
    /// Hash of the names in folders; of those that are not there too.
    pub folders: BTreeMap<String, String>,
    /// Hash of all paths below folders.
    pub below: BTreeMap<String, String>,
    /// Folders of the packages of the tree that have a name, by name.
    pub names: BTreeMap<String, Vec<String>>,
}

impl Trace {
    /// Adds what other work asked.
    pub fn join(&mut self, other: &Trace) {
        for (mine, theirs) in
            [(&mut self.files, &other.files), (&mut self.folders, &other.folders), (&mut self.below, &other.below)]
        {
            for (path, hash) in theirs {
                if !mine.contains_key(path) {
                    mine.insert(path.clone(), hash.clone());
                }
            }
        }
        for (name, folders) in &other.names {
            if !self.names.contains_key(name) {
                self.names.insert(name.clone(), folders.clone());
            }
        }
    }
}

thread_local! {
    static UNDER_WAY: RefCell<Vec<Trace>> = const { RefCell::new(Vec::new()) };
}

/// Whether somebody wants to know.
pub fn is_on() -> bool {
    UNDER_WAY.with_borrow(|traces| !traces.is_empty())
}

/// Notes something in the trace that is under way.
pub(crate) fn note(note: impl FnOnce(&mut Trace)) {
    UNDER_WAY.with_borrow_mut(|traces| traces.last_mut().map(note));
}

/// Adds a finished trace to the one that is under way.
pub fn join(trace: &Trace) {
    UNDER_WAY.with_borrow_mut(|traces| {
        if let Some(last) = traces.last_mut() {
            last.join(trace);
        }
    });
}

/// Does some work of which the trace under way learns nothing: what is taken of its outcome is noted by whoever takes it.
pub fn apart<T>(work: impl FnOnce() -> T) -> T {
    if is_on() { of(work).0 } else { work() }
}

/// Does some work and tells what it asked. The trace under way learns nothing of it unless it is [`join`]ed: a thread that waits
/// for others may do other people's work meanwhile. Work that is handed to other threads is traced there.
pub fn of<T>(work: impl FnOnce() -> T) -> (T, Trace) {
    UNDER_WAY.with_borrow_mut(|traces| traces.push(Trace::default()));
    let done = work();
    (done, UNDER_WAY.with_borrow_mut(Vec::pop).unwrap_or_default())
}
