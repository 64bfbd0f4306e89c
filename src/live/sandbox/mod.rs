//! Shutting processes in: namespaces, a file system of their own, ids of their own, control groups. Linux only.
//!
//! [`probe()`] says what is permitted here; [`Sandbox::start`] starts a program in a sandbox that a [`Spec`] describes;
//! [`Group`] and [`Slot`] bound what processes may take. Nothing here knows of images or functions.

mod cgroup;
mod enter;
mod frozen;
mod modes;
mod mounts;
mod probe;
mod root;
mod spawn;
mod spec;

pub use cgroup::{Controller, Group, Hierarchies, Limits, Slot};
pub(crate) use enter::unshare;
pub(crate) use frozen::FIRST_PID;
pub use frozen::{Frozen, Handed};
pub use modes::main;
pub use probe::{Lack, Permitted, probe};
pub(crate) use spawn::sockets;
pub use spawn::{Said, Sandbox};
pub use spec::{Bind, IDS, Isolation, Powers, Root, SUBCOMMAND, Spec, Text};
