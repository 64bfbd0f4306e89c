//! yarn.lock, of Yarn 1 (classic) and of Yarn 2 to 4 (berry): one file name, two formats.
//!
//! Neither says all that a project asks for. Yarn 1 records no project at all, berry mixes development dependencies into
//! the others; and both apply `resolutions` when they read the lock. So the package.json beside the lock, and those of its
//! workspace members, belong to the format: they are read through `include` where they can be had.

use super::overrides::{self, Override};
use super::{package_json, yarn_berry, yarn_v1};
use crate::discover::paths;
use crate::lock::Lock;
use crate::lock::Manifest;
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

/// The project that a lock belongs to.
pub(super) struct Project<'p> {
    /// Folder of the lock.
    folder: &'p str,
    include: &'p mut dyn FnMut(&str) -> Result<String, Diagnostic>,
    /// Folders of workspace members relative to the lock's, for Yarn 1.
    pub members: &'p [String],
}

impl Project<'_> {
    /// A file of the project, by its path relative to the lock's folder.
    pub fn text(&mut self, path: &str) -> Option<String> {
        (self.include)(&paths::join(self.folder, path)?).ok()
    }

    /// The manifest of a folder relative to the lock's.
    pub fn manifest(&mut self, folder: &str) -> Option<Manifest> {
        let path = paths::join(folder, "package.json")?;
        let manifest = package_json::read(&path, &self.text(&path)?);
        (!manifest.is_broken()).then_some(manifest)
    }

    /// The replacements that the root asks for.
    pub fn overrides(&mut self) -> Vec<Override> {
        self.text("package.json").map(|text| overrides::read(&text)).unwrap_or_default()
    }
}

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
