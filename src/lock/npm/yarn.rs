//! yarn.lock, of Yarn 1 (classic) and of Yarn 2 to 4 (berry): one file name, two formats.
//!
//! Neither says all that a project asks for. Yarn 1 records no project at all, berry mixes development dependencies into
//! the others; and both apply `resolutions` when they read the lock. So the package.json beside the lock, and those of its
//! workspace members, belong to the format: they are read through `include` where they can be had.

use super::yarn_project::Project;
use super::{yarn_berry, yarn_v1};
use crate::discover::paths;
use crate::lock::Lock;
use crate::model::Diagnostic;
use crate::model::support::{Area, Extent, Support};

/// What is read of both formats.
pub const SUPPORT: [Support; 2] = [
    Support {
        area: Area::Lock,
        what: "yarn.lock (Yarn 1)",
        files: "yarn.lock",
        extent: Extent::Full,
        note: "roots, dev dependencies and workspaces come from package.json; the format records no peers, `os` or `cpu`",
    },
    Support {
        area: Area::Lock,
        what: "yarn.lock (berry)",
        files: "yarn.lock",
        extent: Extent::Full,
        note: "dev dependencies come from package.json; checksums are of Yarn's own archives, so no hashes; \
               `packageExtensions` and plugins' protocols are not read",
    },
];

/// Reads a yarn.lock of either format. Whatever the text is, the result is a lock: what could not be read is in its
/// diagnostics.
///
/// `members`: folders of workspace members relative to the lock's, which Yarn 1 does not record; `include` gives the
/// text of a file by its path relative to the fleet's root.
pub fn read(
    file: &str,
    text: &str,
    include: &mut dyn FnMut(&str) -> Result<String, Diagnostic>,
    members: &[String],
) -> Lock {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut project = Project { folder: paths::parent(file), include, members };
    let berry = text.lines().any(|line| line.starts_with("__metadata:") || line.starts_with("\"__metadata\":"));
    if berry { yarn_berry::read(file, text, &mut project) } else { yarn_v1::read(file, text, &mut project) }
}
