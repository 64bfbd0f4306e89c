//! A `node_modules` placement for a set of packages, and the package.json with package-lock.json (lockfile version 3)
//! from which `npm ci` installs exactly that placement.
//!
//! 1. Every name gets one version at the top: the one that the roots ask for, else the one that most packages need,
//!    else the highest.
//! 2. Breadth first from the roots: where Node.js's lookup from a placed package would find another version of a
//!    dependency, the right one is placed in that package's own `node_modules`. What a package needs is placed before
//!    anything below it is looked at, so a later placement never hides an earlier answer.
//! 3. A package that would be nested inside itself (a@1 → b@1 → a@2 → b@2 → a@1 …) becomes a link to the outer copy,
//!    as npm does it; so does one of which [`MAX_COPIES`] copies exist already, which bounds the whole.
//!
//! A package placed twice is loaded twice, in what npm makes itself too: a peer that is nested in two places is two
//! modules at run time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::{Map, Value, json};

use super::npm_range;
use crate::model::PackageId;

/// Copies of one package beyond which further places become links.
pub const MAX_COPIES: usize = 32;

const FOLDER: &str = "node_modules/";

/// A package to place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayoutPackage {
    /// Real name and version.
    pub id: PackageId,
    /// Subresource Integrity hashes, `sha512-…`; may be empty.
    pub integrity: Vec<String>,
    /// What it requires in production (peers among it), by the name that it uses.
    pub requires: BTreeMap<String, PackageId>,
    /// npm `os` list; empty = anywhere.
    pub os: Vec<String>,
    /// npm `cpu` list.
    pub cpu: Vec<String>,
    /// npm `libc` list.
    pub libc: Vec<String>,
}

/// Where packages are placed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Layout {
    /// Direct dependencies of the made project: those asked for, and every package that nothing else reaches.
    pub roots: BTreeMap<String, PackageId>,
    /// Path (`node_modules/a/node_modules/b`) → what stands there.
    pub nodes: BTreeMap<String, LayoutNode>,
    /// Packages that nothing requires and whose name a root uses for another version: they are not installed.
    pub unplaced: Vec<PackageId>,
    /// Requirements of packages that are not in the set: (requirer or `None` for a root, name used, package).
    pub missing: Vec<(Option<PackageId>, String, PackageId)>,
}

/// What stands at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayoutNode {
    /// The package.
    pub package: LayoutPackage,
    /// Path of the copy that this one links to.
    pub link: Option<String>,
}

type Packages = BTreeMap<PackageId, LayoutPackage>;

/// Places every package. `roots`: name used → package. The result depends on nothing but the arguments.
pub fn layout(roots: &BTreeMap<String, PackageId>, packages: &BTreeMap<PackageId, LayoutPackage>) -> Layout {
    let mut layout = Layout::default();
    for (name, id) in roots {
        if packages.contains_key(id) {
            layout.roots.insert(name.clone(), id.clone());
        } else {
            layout.missing.push((None, name.clone(), id.clone()));
        }
    }
    for package in packages.values() {
        for (name, id) in package.requires.iter().filter(|(_, id)| !packages.contains_key(*id)) {
            layout.missing.push((Some(package.id.clone()), name.clone(), id.clone()));
        }
    }
    let reached = adopt_unreached(&mut layout, packages);
    let top = choose_top(&layout.roots, packages, &reached);
    let mut placer = Placer { nodes: BTreeMap::new(), packages, copies: BTreeMap::new(), todo: VecDeque::new() };
    for (name, id) in &top {
        placer.place(format!("{FOLDER}{name}"), id, None);
    }
    placer.run();
    layout.nodes = placer.nodes;
    layout
}

/// Adds what a package reaches to what is reached.
fn reach<'p>(start: &PackageId, packages: &'p Packages, reached: &mut BTreeSet<&'p PackageId>) {
    let known = |id: &PackageId| packages.get_key_value(id);
    let mut todo: Vec<(&PackageId, &LayoutPackage)> = known(start).into_iter().collect();
    while let Some((id, package)) = todo.pop() {
        if reached.insert(id) {
            todo.extend(package.requires.values().filter_map(known));
        }
    }
}

/// Makes packages that nothing reaches roots under their own name, unless a root has that name. Returns what is
/// reached in the end.
fn adopt_unreached<'p>(layout: &mut Layout, packages: &'p Packages) -> BTreeSet<&'p PackageId> {
    let mut reached = BTreeSet::new();
    for id in layout.roots.values() {
        reach(id, packages, &mut reached);
    }
    // What others in the set require comes with them: the ones that nobody requires go first.
    let required: BTreeSet<&PackageId> =
        packages.values().flat_map(|package| package.requires.values().filter(|id| **id != package.id)).collect();
    let (inner, outer): (Vec<&PackageId>, Vec<&PackageId>) = packages.keys().partition(|id| required.contains(*id));
    for id in outer.into_iter().chain(inner) {
        if !reached.contains(id) && !layout.roots.contains_key(&id.name) {
            layout.roots.insert(id.name.clone(), id.clone());
            reach(id, packages, &mut reached);
        }
    }
    layout.unplaced = packages.keys().filter(|id| !reached.contains(id)).cloned().collect();
    reached
}

/// One package for every name that is used.
fn choose_top(
    roots: &BTreeMap<String, PackageId>,
    packages: &Packages,
    reached: &BTreeSet<&PackageId>,
) -> BTreeMap<String, PackageId> {
    let mut wanted: BTreeMap<&str, BTreeMap<&PackageId, usize>> = BTreeMap::new();
    for (name, id) in reached.iter().filter_map(|id| packages.get(*id)).flat_map(|package| &package.requires) {
        if packages.contains_key(id) {
            *wanted.entry(name).or_default().entry(id).or_default() += 1;
        }
    }
    let mut top = BTreeMap::new();
    for (name, candidates) in wanted {
        let best = candidates.into_iter().max_by(|(a, x), (b, y)| {
            x.cmp(y).then_with(|| npm_range::compare(&a.version, &b.version)).then_with(|| a.cmp(b))
        });
        top.extend(best.map(|(id, _)| (name.to_string(), id.clone())));
    }
    top.extend(roots.iter().map(|(name, id)| (name.clone(), id.clone())));
    top
}

struct Placer<'p> {
    nodes: BTreeMap<String, LayoutNode>,
    packages: &'p Packages,
    /// Package → its first place, and how many copies there are.
    copies: BTreeMap<PackageId, (String, usize)>,
    todo: VecDeque<String>,
}

impl Placer<'_> {
    fn place(&mut self, path: String, id: &PackageId, link: Option<String>) {
        let Some(package) = self.packages.get(id) else { return };
        if link.is_none() {
            self.copies.entry(id.clone()).or_insert_with(|| (path.clone(), 0)).1 += 1;
            self.todo.push_back(path.clone());
        }
        self.nodes.insert(path, LayoutNode { package: package.clone(), link });
    }

    fn run(&mut self) {
        while let Some(path) = self.todo.pop_front() {
            let Some(requires) = self.nodes.get(&path).map(|node| node.package.requires.clone()) else { continue };
            for (name, id) in &requires {
                if self.packages.contains_key(id) && self.find(&path, name) != Some(id) {
                    let link = self.outer_copy(&path, id);
                    self.place(format!("{path}/{FOLDER}{name}"), id, link);
                }
            }
        }
    }

    /// What Node.js finds for `name` from the package at `path`.
    fn find(&self, path: &str, name: &str) -> Option<&PackageId> {
        std::iter::successors(Some(path), |path| (!path.is_empty()).then(|| parent(path))).find_map(|folder| {
            let separator = if folder.is_empty() { "" } else { "/" };
            self.nodes.get(&format!("{folder}{separator}{FOLDER}{name}")).map(|node| &node.package.id)
        })
    }

    /// The copy to link to instead of nesting one more.
    fn outer_copy(&self, path: &str, id: &PackageId) -> Option<String> {
        let outer = std::iter::successors(Some(path), |path| (!path.is_empty()).then(|| parent(path)))
            .find(|folder| self.nodes.get(*folder).is_some_and(|node| node.package.id == *id));
        outer
            .map(str::to_string)
            .or_else(|| self.copies.get(id).filter(|(_, copies)| *copies >= MAX_COPIES).map(|(first, _)| first.clone()))
    }
}

/// The package that a nested one is nested in; the project's folder (`""`) at the top.
fn parent(path: &str) -> &str {
    path.rfind("/node_modules/").map_or("", |end| &path[..end])
}

/// package.json and package-lock.json of a layout. `name` becomes the project's name (lower case, npm's characters).
///
/// Every requirement is an exact version, so `npm ci` finds the two in agreement. `resolved` is left out: npm then asks
/// the registry that it is configured for, and `integrity` still fixes the content. Which packages have install scripts
/// no lock of every kind tells, so npm is told to look (`hasInstallScript`). Which binaries they bring is not known
/// either: an install script that calls another package's binary (`node-gyp-build`) fails, loudly, unless npm runs with
/// `--ignore-scripts`.
pub fn write(name: &str, layout: &Layout) -> (String, String) {
    let text = |requires: &BTreeMap<String, PackageId>| -> Value {
        let spec = |(name, id): (&String, &PackageId)| (name.clone(), json!(requirement(name, id)));
        Value::Object(requires.iter().map(spec).collect())
    };
    let present: BTreeSet<&PackageId> = layout.nodes.values().map(|node| &node.package.id).collect();
    let targets: BTreeSet<&str> = layout.nodes.values().filter_map(|node| node.link.as_deref()).collect();
    let project = |extra: &[(&str, Value)]| {
        let mut object = Map::new();
        object.insert("name".into(), json!(name));
        object.insert("version".into(), json!("0.0.0"));
        object.extend(extra.iter().map(|(key, value)| (key.to_string(), value.clone())));
        object
    };
    let roots = text(&layout.roots);
    let mut packages = Map::new();
    packages.insert(String::new(), Value::Object(project(&[("dependencies", roots.clone())])));
    for (path, node) in &layout.nodes {
        packages
            .insert(path.clone(), Value::Object(lock_entry(path, node, &present, !targets.contains(path.as_str()))));
    }
    let manifest = project(&[("private", json!(true)), ("dependencies", roots)]);
    let lock =
        project(&[("lockfileVersion", json!(3)), ("requires", json!(true)), ("packages", Value::Object(packages))]);
    (pretty(manifest), pretty(lock))
}

fn lock_entry(path: &str, node: &LayoutNode, present: &BTreeSet<&PackageId>, scripts: bool) -> Map<String, Value> {
    let mut object = Map::new();
    if let Some(target) = &node.link {
        object.insert("resolved".into(), json!(target));
        object.insert("link".into(), json!(true));
        return object;
    }
    let package = &node.package;
    let used = path.rsplit_once(FOLDER).map_or(path, |(_, name)| name);
    if used != package.id.name {
        object.insert("name".into(), json!(package.id.name));
    }
    object.insert("version".into(), json!(package.id.version));
    if !package.integrity.is_empty() {
        object.insert("integrity".into(), json!(package.integrity.join(" ")));
    }
    for (key, list) in [("os", &package.os), ("cpu", &package.cpu), ("libc", &package.libc)] {
        if !list.is_empty() {
            object.insert(key.into(), json!(list));
        }
    }
    // Links run the `prepare` script of what they point to, which published packages keep but cannot run.
    if scripts {
        object.insert("hasInstallScript".into(), json!(true));
    }
    let requires = package.requires.iter().filter(|(_, id)| present.contains(*id));
    let requires: Map<String, Value> =
        requires.map(|(name, id)| (name.clone(), json!(requirement(name, id)))).collect();
    if !requires.is_empty() {
        object.insert("dependencies".into(), Value::Object(requires));
    }
    object
}

/// An exact requirement, as an alias where the name used is not the real one.
fn requirement(name: &str, id: &PackageId) -> String {
    if name == id.name { id.version.clone() } else { format!("npm:{}@{}", id.name, id.version) }
}

fn pretty(object: Map<String, Value>) -> String {
    format!("{:#}\n", Value::Object(object))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn package(spec: &str, requires: &[(&str, &str)]) -> LayoutPackage {
        let id = |spec: &str| PackageId::from_spec(crate::model::Ecosystem::Npm, spec).unwrap();
        LayoutPackage {
            id: id(spec),
            integrity: vec![format!("sha512-{spec}")],
            requires: requires.iter().map(|(name, spec)| (name.to_string(), id(spec))).collect(),
            os: Vec::new(),
            cpu: Vec::new(),
            libc: Vec::new(),
        }
    }

    fn lay(roots: &[(&str, &str)], list: &[LayoutPackage]) -> Layout {
        let id = |spec: &str| PackageId::from_spec(crate::model::Ecosystem::Npm, spec).unwrap();
        let roots = roots.iter().map(|(name, spec)| (name.to_string(), id(spec))).collect();
        layout(&roots, &list.iter().map(|package| (package.id.clone(), package.clone())).collect())
    }

    fn paths(layout: &Layout) -> Vec<(&str, String)> {
        layout.nodes.iter().map(|(path, node)| (path.as_str(), node.package.id.spec())).collect()
    }

    fn at<'a>(path: &'a str, spec: &str) -> (&'a str, String) {
        (path, spec.to_string())
    }

    #[test]
    fn the_version_that_most_need_is_on_top() {
        let made = lay(
            &[("a", "a@1.0.0"), ("b", "b@1.0.0"), ("c", "c@1.0.0")],
            &[
                package("a@1.0.0", &[("x", "x@1.0.0")]),
                package("b@1.0.0", &[("x", "x@1.0.0")]),
                package("c@1.0.0", &[("x", "x@2.0.0")]),
                package("x@1.0.0", &[]),
                package("x@2.0.0", &[]),
            ],
        );
        assert_eq!(
            paths(&made),
            [
                at("node_modules/a", "a@1.0.0"),
                at("node_modules/b", "b@1.0.0"),
                at("node_modules/c", "c@1.0.0"),
                at("node_modules/c/node_modules/x", "x@2.0.0"),
                at("node_modules/x", "x@1.0.0")
            ]
        );
    }

    #[test]
    fn roots_win_the_top_and_ties_go_to_the_higher_version() {
        let list = [
            package("a@1.0.0", &[("x", "x@9.0.0"), ("y", "y@9.0.0")]),
            package("b@1.0.0", &[("x", "x@10.0.0"), ("y", "y@10.0.0")]),
            package("x@9.0.0", &[]),
            package("x@10.0.0", &[]),
            package("y@9.0.0", &[]),
            package("y@10.0.0", &[]),
        ];
        let made = lay(&[("a", "a@1.0.0"), ("b", "b@1.0.0"), ("x", "x@9.0.0")], &list);
        assert_eq!(made.nodes["node_modules/x"].package.id.version, "9.0.0");
        assert_eq!(made.nodes["node_modules/b/node_modules/x"].package.id.version, "10.0.0");
        assert_eq!(made.nodes["node_modules/y"].package.id.version, "10.0.0");
        assert_eq!(made.nodes["node_modules/a/node_modules/y"].package.id.version, "9.0.0");
    }

    #[test]
    fn endless_nesting_ends_in_a_link() {
        let made = lay(
            &[("a", "a@1.0.0"), ("b", "b@1.0.0")],
            &[
                package("a@1.0.0", &[("b", "b@1.0.0")]),
                package("b@1.0.0", &[("a", "a@2.0.0")]),
                package("a@2.0.0", &[("b", "b@2.0.0")]),
                package("b@2.0.0", &[("a", "a@1.0.0")]),
            ],
        );
        let links: Vec<_> = made.nodes.iter().filter_map(|(path, node)| Some((path, node.link.clone()?))).collect();
        assert_eq!(links.len(), 1, "{:?}", paths(&made));
        check(&made).unwrap();
    }

    #[test]
    fn what_nothing_reaches_becomes_a_root_or_is_named() {
        let made = lay(
            &[("a", "a@1.0.0"), ("gone", "gone@1.0.0")],
            &[
                package("a@1.0.0", &[("lost", "lost@1.0.0")]),
                package("a@2.0.0", &[]),
                package("p@1.0.0", &[("q", "q@1.0.0")]),
                package("q@1.0.0", &[("p", "p@1.0.0")]),
                package("r@1.0.0", &[("s", "s@1.0.0")]),
                package("s@1.0.0", &[]),
            ],
        );
        assert_eq!(made.roots.keys().collect::<Vec<_>>(), ["a", "p", "r"]);
        assert_eq!(made.unplaced, [PackageId::npm("a", "2.0.0")]);
        let missing: Vec<_> = made.missing.iter().map(|(from, name, _)| (from.is_some(), name.as_str())).collect();
        assert_eq!(missing, [(false, "gone"), (true, "lost")]);
    }

    #[test]
    fn aliases_and_platforms_are_written() {
        let mut native = package("n@1.0.0", &[]);
        native.os = vec!["linux".into()];
        let made = lay(&[("cjs", "x@4.0.0"), ("n", "n@1.0.0")], &[package("x@4.0.0", &[("n", "n@1.0.0")]), native]);
        let (manifest, lock) = write("image-1", &made);
        let manifest: Value = serde_json::from_str(&manifest).unwrap();
        assert_eq!(manifest["dependencies"], json!({"cjs": "npm:x@4.0.0", "n": "1.0.0"}));
        let lock: Value = serde_json::from_str(&lock).unwrap();
        assert_eq!(lock["packages"]["node_modules/cjs"]["name"], "x");
        assert_eq!(lock["packages"]["node_modules/cjs"]["dependencies"], json!({"n": "1.0.0"}));
        assert_eq!(lock["packages"]["node_modules/n"]["os"], json!(["linux"]));
        assert_eq!(lock["packages"]["node_modules/n"]["integrity"], "sha512-n@1.0.0");
        // Our own reader understands it.
        let read = crate::lock::npm::package_lock::read("package-lock.json", &lock.to_string());
        assert_eq!(read.entries.len(), 2);
    }

    /// An independent look at the outcome, with a folder tree instead of path texts: every requirement of every placed
    /// package must lead to its package, links followed to where they point.
    fn check(layout: &Layout) -> Result<(), String> {
        let split = |path: &str| -> Vec<String> {
            path.split("node_modules/")
                .filter(|part| !part.is_empty())
                .map(|part| part.trim_end_matches('/').to_string())
                .collect()
        };
        let tree: BTreeMap<Vec<String>, &LayoutNode> =
            layout.nodes.iter().map(|(path, node)| (split(path), node)).collect();
        let lookup = |from: &[String], name: &str| -> Option<PackageId> {
            for depth in (0..=from.len()).rev() {
                let mut path = from[..depth].to_vec();
                path.push(name.to_string());
                if let Some(node) = tree.get(&path) {
                    let real = node.link.as_ref().map_or(Some(node), |target| tree.get(&split(target)))?;
                    return real.link.is_none().then(|| real.package.id.clone());
                }
            }
            None
        };
        for (name, id) in &layout.roots {
            if lookup(&[], name).as_ref() != Some(id) {
                return Err(format!("root {name}"));
            }
        }
        for (path, node) in tree.iter().filter(|(_, node)| node.link.is_none()) {
            for (name, id) in &node.package.requires {
                if lookup(path, name).as_ref() != Some(id) {
                    return Err(format!("{path:?} {name}"));
                }
            }
        }
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]
        #[test]
        fn every_requirement_leads_to_its_package(
            edges in proptest::collection::vec((0usize..24, 0usize..24), 0..90),
            starts in proptest::collection::vec(0usize..24, 1..5),
        ) {
            // 8 names with 3 versions each; a name is used for one version by one requirer.
            let spec = |index: usize| (format!("p{}", index % 8), format!("{}.0.0", index / 8 + 1));
            let id = |index: usize| { let (name, version) = spec(index); PackageId::npm(&name, &version) };
            let mut packages: BTreeMap<PackageId, LayoutPackage> = (0..24)
                .map(|index| (id(index), package(&id(index).spec(), &[])))
                .collect();
            for (from, to) in edges {
                packages.get_mut(&id(from)).unwrap().requires.insert(spec(to).0, id(to));
            }
            let roots = starts.iter().map(|&index| (spec(index).0, id(index))).collect();
            let made = layout(&roots, &packages);
            prop_assert!(check(&made).is_ok(), "{:?} {:?}", check(&made), paths(&made));
            let placed: BTreeSet<&PackageId> =
                made.nodes.values().filter(|node| node.link.is_none()).map(|node| &node.package.id).collect();
            prop_assert_eq!(placed.len() + made.unplaced.len(), packages.len());
            prop_assert!(roots.iter().all(|(name, id)| made.roots.get(name) == Some(id)));
            prop_assert!(made.nodes.len() <= packages.len() * (MAX_COPIES + 1) * 8);
        }
    }
}
