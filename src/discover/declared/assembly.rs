//! Cloud assemblies: the folders that `cdk synth` writes, and what is known of the templates in them.

use std::collections::BTreeSet;

use super::lambda::Code;
use crate::discover::paths;
use crate::discover::tree::Tree;

/// What a cloud assembly knows of its templates.
pub struct Assembly<'a> {
    /// Folder of the application, for ids.
    pub app: &'a str,
    /// Source of an asset, by the construct's path in the application and by the asset's path.
    pub code: &'a dyn Fn(&str, &str) -> Option<Code>,
}

/// Roots of synthesised applications: the file `cdk.out` marks them, and every assembly inside them.
pub fn roots(tree: &Tree) -> BTreeSet<String> {
    let marked = tree.files().filter(|path| paths::file_name(path) == "cdk.out").map(paths::parent);
    let mut roots: BTreeSet<String> = marked.chain(tree.outputs()).map(str::to_string).collect();
    let all = roots.clone();
    roots.retain(|dir| !paths::ancestors(paths::parent(dir)).any(|above| above != dir && all.contains(above)));
    roots
}
