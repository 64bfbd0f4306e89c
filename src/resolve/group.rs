//! What is read together: the options of a scan, and what a group of functions came to.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::Arc;

use super::packages::Gathered;
use super::pins::Pins;
use super::relock::Locks;
use crate::discover::{Defaults, Limits};
use crate::model::{Diagnostic, Function};

/// What finds a result.
pub type Key = [u8; 32];

/// Where results are kept. Losing one costs time and nothing else.
pub trait Store: Debug + Send + Sync {
    /// The bytes that were put last, if they are all there.
    fn get(&self, key: &Key) -> Option<Vec<u8>>;
    /// Keeps bytes.
    fn put(&self, key: Key, bytes: &[u8]);
}

/// How a fleet is read.
#[derive(Debug, Default)]
pub struct ScanOptions {
    /// What functions run on that do not say so themselves.
    pub defaults: Defaults,
    /// Versions for functions without a lock.
    pub pins: Pins,
    /// What `warmset lock` resolved.
    pub locks: Locks,
    /// Bounds on what is read.
    pub limits: Limits,
    /// Where results are kept from one scan to the next.
    pub cache: Option<Arc<dyn Store>>,
}

/// What a group of functions came to.
pub(super) struct Group {
    /// With their numbers among the sites.
    pub functions: Vec<(usize, Function)>,
    /// Their packages.
    pub gathered: Gathered,
    /// Their diagnostics.
    pub diagnostics: BTreeSet<Diagnostic>,
    /// The sources that they reach.
    pub parsed: BTreeSet<String>,
}
