//! What a sandbox is made of, as the runtime says it and the process that sets it up reads it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Name of the hidden subcommand that becomes a sandbox.
pub const SUBCOMMAND: &str = "__sandbox";
/// Ids of a sandbox in [`Isolation::Full`].
pub const IDS: u32 = 65_536;

/// How much a process is shut in. [`super::probe`] says what this machine and user permit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Isolation {
    /// Not at all: the user's own view of the machine, for tests and where nothing else is permitted.
    None,
    /// Namespaces inside a user namespace of one id, which any user may make: no ids of its own.
    Own,
    /// Namespaces made by real root, a user namespace in which no id is real root.
    Full {
        /// First of 65 536 ids of this machine that stand for 0 and up inside; nothing else should use them.
        first_id: u32,
    },
}

impl Isolation {
    /// Whether there are namespaces at all.
    pub fn is_isolated(self) -> bool {
        self != Isolation::None
    }

    /// Whether processes inside can have ids that differ from one another.
    pub fn has_ids(self) -> bool {
        matches!(self, Isolation::Full { .. })
    }
}

/// What `/` shows inside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Root {
    /// This machine's programs and libraries, read-only.
    System,
    /// An unpacked image, read-only.
    Folder(PathBuf),
}

/// A folder or file of this machine, shown inside read-only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bind {
    /// On this machine.
    pub from: PathBuf,
    /// Inside; absolute.
    pub to: PathBuf,
}

/// A small file that exists inside only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Text {
    /// Inside; absolute.
    pub to: PathBuf,
    /// What it says.
    pub text: String,
}

/// What the program may do inside its sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Powers {
    /// Root of its user namespace, so that it can shut in what it forks.
    Forks,
    /// None at all; an id of its own where there are ids.
    None,
}

/// One sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    /// Program, as a path inside.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Its whole environment.
    pub environment: BTreeMap<String, String>,
    /// Its folder, inside.
    pub folder: PathBuf,
    /// What `/` shows.
    pub root: Root,
    /// Read-only folders and files besides; parents before what lies below them.
    pub binds: Vec<Bind>,
    /// Files of its own.
    pub texts: Vec<Text>,
    /// Empty folders, for mounts that come later.
    pub empty: Vec<PathBuf>,
    /// Folders of the root or of a bind that are shown empty; those that are not there are no matter.
    #[serde(default)]
    pub covered: Vec<PathBuf>,
    /// Whether it has the machine's network instead of none.
    pub network: bool,
    /// What it may do.
    pub powers: Powers,
    /// Size of its `/tmp`, MB.
    pub tmp_mb: u32,
    /// Descriptors that each of its processes may have open, where that is fewer than this process may.
    pub nofile: Option<u64>,
}
