//! The package.json files that a yarn.lock is read with: neither format says all that a project asks for.

use super::overrides::{self, Override};
use super::package_json;
use crate::discover::paths;
use crate::lock::Manifest;
use crate::model::Diagnostic;

/// The project that a lock belongs to.
pub(super) struct Project<'p> {
    /// Folder of the lock.
    pub folder: &'p str,
    /// The text of a file by its path relative to the fleet's root.
    pub include: &'p mut dyn FnMut(&str) -> Result<String, Diagnostic>,
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
