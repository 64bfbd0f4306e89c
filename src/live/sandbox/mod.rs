//! Shutting processes in: namespaces, a file system of their own, ids of their own, control groups. Linux only.
//!
//! [`probe()`] says what is permitted here; [`Sandbox::start`] starts a program in a sandbox that a [`Spec`] describes;
//! [`Group`] and [`Slot`] bound what processes may take. Nothing here knows of images or functions.

mod cgroup;
mod enter;
mod frozen;
mod mounts;
mod probe;
mod root;
mod spawn;
mod spec;

pub use cgroup::{Controller, Group, Hierarchies, Limits, Slot};
pub(crate) use enter::unshare;
pub use enter::{SUBCOMMAND, main};
pub(crate) use frozen::FIRST_PID;
pub use frozen::{Frozen, Handed};
pub use probe::{Lack, Permitted, probe};
pub use spawn::{IDS, Said, Sandbox};
pub(crate) use spawn::{held, sockets};
pub use spec::{Bind, Isolation, Powers, Root, Spec, Text};
