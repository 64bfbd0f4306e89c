//! Where packages stand below `node_modules`, so that every package finds the versions that it was locked with.
//!
//! Node looks for a name in `node_modules` of the folder of the file, then of each folder above. So a package goes to
//! the highest folder above its requirer where its name is free, and where it hides no version that something below
//! already uses. A child image goes on from its parent's tree, which it must not change: then the folders that it
//! adds can be a layer on top of the parent's.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::model::PackageId;

/// More folders inside each other than any real tree has: reached only when packages require each other's other
/// versions in a circle.
const MAX_DEPTH: usize = 64;
/// The same, for the number of folders.
const MAX_PLACES: usize = 50_000;

/// A `node_modules` tree. Places are paths such as `node_modules/a/node_modules/@s/b`; the root is the empty path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tree {
    places: BTreeMap<String, PackageId>,
    /// Direct dependencies of the root: name as written, package.
    roots: BTreeMap<String, PackageId>,
    /// Edges that are satisfied: requirer's place, name, package.
    edges: BTreeSet<(String, String, PackageId)>,
}

/// The packages cannot be laid out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("packages require each other's other versions in a circle, at {0}")]
pub struct Circular(String);

/// For each package, the packages that it loads by the names under which it does.
pub type Requires = BTreeMap<PackageId, BTreeMap<String, PackageId>>;

impl Tree {
    /// Places by path.
    pub fn places(&self) -> &BTreeMap<String, PackageId> {
        &self.places
    }

    /// Direct dependencies of the root by name; a name that is not the package's own is an npm alias.
    pub fn roots(&self) -> &BTreeMap<String, PackageId> {
        &self.roots
    }

    /// Adds packages with all that they require. `requires` must not name packages outside itself.
    pub fn extend(mut self, packages: &[PackageId], requires: &Requires) -> Result<Tree, Circular> {
        let required: BTreeSet<&PackageId> =
            requires.iter().flat_map(|(from, to)| to.values().filter(move |id| *id != from)).collect();
        let (inner, mut roots): (Vec<&PackageId>, Vec<&PackageId>) =
            packages.iter().partition(|p| required.contains(p));
        // Of two versions the newest gets the plain name.
        roots.sort_by(|a, b| a.name.cmp(&b.name).then_with(|| newer_first(a, b)));
        for root in roots {
            self.root(root, requires)?;
        }
        // What only a circle of packages requires has no root of its own.
        for package in inner {
            if !self.places.values().any(|placed| placed == package) {
                self.root(package, requires)?;
            }
        }
        Ok(self)
    }

    fn root(&mut self, package: &PackageId, requires: &Requires) -> Result<(), Circular> {
        let free = |tree: &Tree, name: &str| {
            tree.roots.get(name).is_none_or(|id| id == package)
                && tree.places.get(&below("", name)).is_none_or(|id| id == package)
        };
        let mut name = package.name.clone();
        if !free(self, &name) {
            name = format!("{}-{}", package.name, package.version.replace('+', "-"));
        }
        self.roots.insert(name.clone(), package.clone());
        let mut queue = VecDeque::from([(String::new(), name, package.clone())]);
        while let Some((from, name, id)) = queue.pop_front() {
            if self.resolve(&from, &name) == Some(&id) {
                self.edges.insert((from, name, id));
                continue;
            }
            let place = self.place_for(&from, &name, &id);
            if place.matches("node_modules/").count() > MAX_DEPTH || self.places.len() >= MAX_PLACES {
                return Err(Circular(id.spec()));
            }
            for (dependency, to) in requires.get(&id).into_iter().flatten() {
                queue.push_back((place.clone(), dependency.clone(), to.clone()));
            }
            self.places.insert(place, id.clone());
            self.edges.insert((from, name, id));
        }
        Ok(())
    }

    /// What `name` is for code at a place.
    fn resolve(&self, from: &str, name: &str) -> Option<&PackageId> {
        levels(from).find_map(|level| self.places.get(&below(level, name)))
    }

    /// The highest free place that hides nothing. The requirer's own folder is always free, as otherwise the name
    /// would have been found there, and nothing below it is placed before what it requires.
    fn place_for(&self, from: &str, name: &str, id: &PackageId) -> String {
        let mut best = below(from, name);
        for level in levels(from) {
            let place = below(level, name);
            if self.places.contains_key(&place) {
                break;
            }
            let hides = self.edges.iter().any(|(other, used, to)| {
                used == name && to != id && is_inside(other, level) && {
                    // It hides only what is found above this level.
                    let found = levels(other).find(|l| self.places.contains_key(&below(l, name)));
                    found.is_some_and(|found| found.len() < level.len())
                }
            });
            if !hides {
                best = place;
            }
        }
        best
    }
}

fn newer_first(a: &PackageId, b: &PackageId) -> std::cmp::Ordering {
    match (semver::Version::parse(&a.version), semver::Version::parse(&b.version)) {
        (Ok(a), Ok(b)) => b.cmp(&a),
        _ => b.version.cmp(&a.version),
    }
}

/// `node_modules/NAME` below a place.
fn below(place: &str, name: &str) -> String {
    if place.is_empty() { format!("node_modules/{name}") } else { format!("{place}/node_modules/{name}") }
}

/// A place and each place above it, the root last.
fn levels(from: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(from), |at| {
        if at.is_empty() {
            return None;
        }
        // The name after the last `node_modules/` may hold a slash (a scope).
        let start = at.rfind("node_modules/")?;
        Some(at[..start].trim_end_matches('/'))
    })
}

fn is_inside(place: &str, level: &str) -> bool {
    level.is_empty() || place == level || place.strip_prefix(level).is_some_and(|rest| rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(spec: &str) -> PackageId {
        PackageId::from_spec(crate::model::Ecosystem::Npm, spec).unwrap()
    }

    fn requires(edges: &[(&str, &[&str])]) -> Requires {
        edges.iter().map(|(from, to)| (id(from), to.iter().map(|t| (id(t).name, id(t))).collect())).collect()
    }

    fn ids(specs: &[&str]) -> Vec<PackageId> {
        specs.iter().map(|s| id(s)).collect()
    }

    /// Every package finds what it requires, by Node's own rule written a second time.
    fn check(tree: &Tree, requires: &Requires) {
        for (place, package) in tree.places() {
            for (name, wanted) in requires.get(package).into_iter().flatten() {
                let mut at = place.clone();
                let found = loop {
                    if let Some(found) = tree.places().get(&format!("{at}/node_modules/{name}")) {
                        break found;
                    }
                    match at.rfind("/node_modules/") {
                        Some(cut) => at.truncate(cut),
                        None => break tree.places().get(&format!("node_modules/{name}")).expect("found nowhere"),
                    }
                };
                assert_eq!(found, wanted, "{name} from {place}");
            }
        }
    }

    #[test]
    fn versions_that_differ_are_nested() {
        let edges = requires(&[("a@1.0.0", &["ms@2.0.0"]), ("b@1.0.0", &["ms@2.1.3"]), ("@s/c@1.0.0", &["ms@2.0.0"])]);
        let packages = ids(&["a@1.0.0", "b@1.0.0", "@s/c@1.0.0", "ms@2.0.0", "ms@2.1.3"]);
        let tree = Tree::default().extend(&packages, &edges).unwrap();
        check(&tree, &edges);
        let places: Vec<String> = tree.places().iter().map(|(p, i)| format!("{p}={}", i.version)).collect();
        assert_eq!(
            places,
            [
                "node_modules/@s/c=1.0.0",
                "node_modules/a=1.0.0",
                "node_modules/b=1.0.0",
                "node_modules/b/node_modules/ms=2.1.3",
                "node_modules/ms=2.0.0"
            ]
        );
    }

    #[test]
    fn a_nested_package_does_not_hide_what_a_sibling_uses() {
        // r needs x@1 and y; inside a, y needs x@2 and z, and z needs x@1 from the root.
        let edges = requires(&[
            ("a@1.0.0", &["y@2.0.0"]),
            ("y@2.0.0", &["z@1.0.0", "x@2.0.0"]),
            ("z@1.0.0", &["x@1.0.0"]),
            ("b@1.0.0", &["y@1.0.0", "x@1.0.0", "z@2.0.0"]),
        ]);
        let packages = ids(&["b@1.0.0", "a@1.0.0", "y@1.0.0", "y@2.0.0", "z@1.0.0", "z@2.0.0", "x@1.0.0", "x@2.0.0"]);
        let tree = Tree::default().extend(&packages, &edges).unwrap();
        check(&tree, &edges);
    }

    #[test]
    fn a_child_goes_on_from_its_parents_tree() {
        let edges = requires(&[
            ("express@4.19.2", &["debug@2.6.9"]),
            ("debug@2.6.9", &["ms@2.0.0"]),
            ("debug@4.3.7", &["ms@2.1.3"]),
        ]);
        let parent = Tree::default().extend(&ids(&["express@4.19.2", "debug@2.6.9", "ms@2.0.0"]), &edges).unwrap();
        let child = parent.clone().extend(&ids(&["debug@4.3.7", "ms@2.1.3"]), &edges).unwrap();
        check(&child, &edges);
        for (place, package) in parent.places() {
            assert_eq!(child.places().get(place), Some(package));
        }
        // The plain name is the parent's, so the child's own version gets an alias.
        assert_eq!(child.roots().get("debug-4.3.7"), Some(&id("debug@4.3.7")));
    }

    #[test]
    fn circles_get_a_root_and_endless_ones_are_refused() {
        let edges = requires(&[("a@1.0.0", &["b@1.0.0"]), ("b@1.0.0", &["a@1.0.0"])]);
        let tree = Tree::default().extend(&ids(&["a@1.0.0", "b@1.0.0"]), &edges).unwrap();
        assert_eq!(tree.roots().keys().collect::<Vec<_>>(), ["a"]);
        assert_eq!(tree.places().len(), 2);

        let spiral = requires(&[
            ("a@1.0.0", &["b@1.0.0"]),
            ("b@1.0.0", &["a@2.0.0"]),
            ("a@2.0.0", &["b@2.0.0"]),
            ("b@2.0.0", &["a@1.0.0"]),
        ]);
        let all = ids(&["a@1.0.0", "a@2.0.0", "b@1.0.0", "b@2.0.0"]);
        assert!(Tree::default().extend(&all, &spiral).is_err());
    }

    #[test]
    fn random_trees_resolve_and_grow_without_change() {
        let mut seed = 7u64;
        let mut next = |n: u64| {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (seed >> 33) % n
        };
        for _ in 0..200 {
            // Names p0..p7 in two versions each; edges go to higher names only, so that no spiral can occur.
            let mut edges = Requires::new();
            let mut all = Vec::new();
            for name in 0..8u64 {
                for version in 1..=2 {
                    let from = id(&format!("p{name}@{version}.0.0"));
                    let to = (name + 1..8)
                        .filter(|_| next(3) == 0)
                        .map(|n| (format!("p{n}"), 1 + n % 2))
                        .collect::<Vec<_>>();
                    let to =
                        to.into_iter().map(|(n, _)| (n.clone(), id(&format!("{n}@{}.0.0", 1 + next(2))))).collect();
                    edges.insert(from.clone(), to);
                    all.push(from);
                }
            }
            let parent = Tree::default().extend(&all[8..], &edges).unwrap();
            check(&parent, &edges);
            let child = parent.clone().extend(&all[..8], &edges).unwrap();
            check(&child, &edges);
            assert!(parent.places().iter().all(|(place, package)| child.places().get(place) == Some(package)));
        }
    }
}
