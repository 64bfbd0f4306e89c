//! OpenLambda's import-cache tree: `{"packages": [...], "children": [...]}`, one file a Python platform and trust domain.
//!
//! What OpenLambda does with it (its `importCache.go`), and so what is written here:
//! - the root may not import anything;
//! - a node's packages are those it adds to its ancestors, and all must be strings among the function's requirement
//!   lines after lower-casing and `_` → `-`, version included; a package whose lines write a `.` in its name is
//!   written with `-` here, as the closure holds the normalised name only;
//! - the first child that fits is taken, depth first, so of two siblings the one worth more stands first.
//!
//! OpenLambda knows no trust domains and one Python: load only the tree that fits a worker.

use std::collections::BTreeMap;

use serde::Serialize;

use super::view::View;
use crate::model::inventory::DEFAULT_TRUST_DOMAIN;
use crate::model::{Language, PackageId};

/// A zygote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Node {
    /// Requirement lines that it adds to its ancestors.
    pub packages: Vec<String>,
    /// The most valuable first.
    pub children: Vec<Node>,
}

/// Trees by file name.
pub fn trees(views: &[View<'_>]) -> BTreeMap<String, Node> {
    let mut groups: BTreeMap<(String, &str), Vec<&View<'_>>> = BTreeMap::new();
    for view in views.iter().filter(|v| v.language() == Language::Python) {
        groups.entry((view.image.platform.to_string(), &view.image.trust_domain)).or_default().push(view);
    }
    let mut trees = BTreeMap::new();
    for ((platform, domain), views) in groups {
        let mut stem = platform;
        if domain != DEFAULT_TRUST_DOMAIN {
            stem.push('.');
            stem.push_str(&file_part(domain));
        }
        trees.insert(format!("openlambda/import_cache_tree.{stem}.json"), tree(&views));
    }
    trees
}

/// A node with what orders it among its siblings.
struct Ranked<'a> {
    /// Milliseconds that it and all below it save in the period.
    saved_ms: f64,
    /// Milliseconds that one start saves at most.
    load_ms: f64,
    id: &'a str,
    node: Node,
}

/// Makes the nodes, children first.
fn tree(views: &[&View<'_>]) -> Node {
    let mut below: BTreeMap<Option<&str>, Vec<Ranked<'_>>> = BTreeMap::new();
    // Views come parents first.
    for view in views.iter().rev() {
        let id = view.image.id.as_str();
        let (worth, children) = ordered(below.remove(&Some(id)).unwrap_or_default());
        let node = Node { packages: view.added.iter().map(line).collect(), children };
        let ranked = Ranked { saved_ms: view.image.saved_ms + worth, load_ms: view.image.load_ms, id, node };
        below.entry(view.parent.map(|p| p.id.as_str())).or_default().push(ranked);
    }
    Node { packages: Vec::new(), children: ordered(below.remove(&None).unwrap_or_default()).1 }
}

/// Siblings by what they and all below them save, then by what one start saves, then by id; and their sum.
fn ordered(mut nodes: Vec<Ranked<'_>>) -> (f64, Vec<Node>) {
    nodes.sort_by(|a, b| {
        b.saved_ms.total_cmp(&a.saved_ms).then(b.load_ms.total_cmp(&a.load_ms)).then_with(|| a.id.cmp(b.id))
    });
    (nodes.iter().map(|n| n.saved_ms).sum(), nodes.into_iter().map(|n| n.node).collect())
}

fn line(package: &PackageId) -> String {
    package.spec().to_lowercase().replace('_', "-")
}

/// A trust domain as part of a file name; a digest keeps apart what the replaced characters make alike.
fn file_part(domain: &str) -> String {
    use sha2::{Digest, Sha256};
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !domain.is_empty() && domain.len() <= 64 && domain.chars().all(plain) {
        return domain.to_string();
    }
    let words: String = domain.chars().take(32).map(|c| if plain(c) { c } else { '-' }).collect();
    let digest: String = Sha256::digest(domain.as_bytes()).iter().take(4).map(|b| format!("{b:02x}")).collect();
    format!("{words}-{digest}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emit::samples;
    use crate::emit::view::views;

    #[test]
    fn the_root_is_empty_and_children_add_to_their_parent() {
        let plan = samples::plan();
        let (views, _) = views(&plan);
        let trees = trees(&views);
        let names: Vec<&str> = trees.keys().map(String::as_str).collect();
        assert_eq!(
            names,
            [
                "openlambda/import_cache_tree.python3.11-linux-x86_64-glibc.json",
                "openlambda/import_cache_tree.python3.12-linux-aarch64-glibc.json"
            ]
        );
        let root = &trees[names[0]];
        assert!(root.packages.is_empty());
        assert_eq!(root.children.len(), 1);
        assert_eq!(root.children[0].packages, ["numpy==1.26.4"]);
        let below = &root.children[0].children[0].packages;
        assert_eq!(below, &["pandas==2.2.2", "python-dateutil==2.9.0", "six==1.16.0"]);
    }

    #[test]
    fn the_most_valuable_sibling_comes_first_with_all_that_is_below_it() {
        let mut plan = samples::plan();
        // A second root image that saves more than numpy alone (84), but less than numpy and pandas together (896).
        let mut other = plan.images[0].clone();
        other.id = "py311-jinja2-0000".into();
        other.packages = vec!["jinja2==3.1.4".into()];
        other.saved_ms = 500.0;
        plan.images.insert(0, other);
        let first = |plan: &crate::model::Plan| {
            let (views, _) = views(plan);
            trees(&views).into_values().next().unwrap().children[0].packages.clone()
        };
        assert_eq!(first(&plan), ["numpy==1.26.4"]);
        plan.images[0].saved_ms = 900.0;
        assert_eq!(first(&plan), ["jinja2==3.1.4"]);
    }

    #[test]
    fn lines_are_normalised_as_openlambda_normalises_them() {
        let id = PackageId { ecosystem: crate::model::Ecosystem::Pypi, name: "a_B".into(), version: "1.0_RC1".into() };
        assert_eq!(line(&id), "a-b==1.0-rc1");
    }

    #[test]
    fn trust_domains_do_not_leave_the_folder() {
        assert_eq!(file_part("payments"), "payments");
        assert!(file_part("../../x").starts_with("------x-"));
        assert_ne!(file_part("a/b"), file_part("a:b"));
    }
}
