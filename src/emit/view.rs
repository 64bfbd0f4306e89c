//! What every format needs to know of an image: its parent, what it adds, its names. A plan may come from a file that
//! someone edited, so nothing that could leave its folder or break a generated file gets past this module.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Diagnostic, Ecosystem, Image, Language, PackageId, Place, Plan, Platform, codes};

/// Version of the files that go into an image, and so the tag of its reference.
pub const LAYOUT: &str = "1";

/// Parents above an image beyond which a plan is no plan: layers of an OCI image end at 127, and trees are written
/// by recursion.
const MAX_PARENTS: usize = 48;

/// An image of the plan with what follows from its place in it.
#[derive(Debug, Clone)]
pub struct View<'a> {
    /// As in the plan.
    pub image: &'a Image,
    /// The image that it is built from and forked from.
    pub parent: Option<&'a Image>,
    /// All it holds; sorted.
    pub packages: Vec<PackageId>,
    /// What it holds and its parent does not; sorted.
    pub added: Vec<PackageId>,
    /// How many images it stands on.
    pub depth: usize,
}

/// A set of packages with a folder of its own, for which a lock is written.
#[derive(Debug, Clone, Copy)]
pub struct Contents<'a> {
    /// Part of the folder's name and of the lock's.
    pub id: &'a str,
    /// Folder of the plan folder that holds it: `images`, `closures`.
    pub within: &'static str,
    /// Where it runs.
    pub platform: &'a Platform,
    /// The image that it stands on.
    pub parent: Option<&'a str>,
    /// All it holds; sorted.
    pub packages: &'a [PackageId],
    /// What it holds and its parent does not; sorted.
    pub added: &'a [PackageId],
}

impl Contents<'_> {
    /// A file in the folder.
    pub fn file(&self, name: &str) -> String {
        format!("{}/{}/{name}", self.within, self.id)
    }
}

impl View<'_> {
    /// What its lock is of.
    pub fn contents(&self) -> Contents<'_> {
        Contents {
            id: &self.image.id,
            within: "images",
            platform: &self.image.platform,
            parent: self.parent.map(|parent| parent.id.as_str()),
            packages: &self.packages,
            added: &self.added,
        }
    }

    /// Folder in the plan folder.
    pub fn folder(&self) -> String {
        format!("images/{}", self.image.id)
    }

    /// A file in the image's folder.
    pub fn file(&self, name: &str) -> String {
        format!("images/{}/{name}", self.image.id)
    }

    /// Reference without a registry host.
    pub fn reference(&self) -> String {
        reference(&self.image.id)
    }

    /// Its language.
    pub fn language(&self) -> Language {
        self.image.platform.language
    }
}

/// Reference of an image, without a registry host: `warmset/py311-numpy-3f9a:1`.
pub fn reference(id: &str) -> String {
    format!("warmset/{id}:{LAYOUT}")
}

/// The images of a plan that can be written, parents first, otherwise in the plan's order.
///
/// An image is left out, with a diagnostic, when its id could not name a folder and an OCI repository, a package or
/// module could not stand in a lock, its parent is missing, circular, of another platform or holds more than it does.
pub fn views(plan: &Plan) -> (Vec<View<'_>>, Vec<Diagnostic>) {
    let mut diagnostics = Vec::new();
    let mut by_id: BTreeMap<&str, View<'_>> = BTreeMap::new();
    let mut pending: Vec<View<'_>> = Vec::new();
    let broken = |reason: String| Diagnostic::new(codes::PLAN_BROKEN, Place::file("plan.json"), reason);
    let mut ids = BTreeSet::new();
    for image in &plan.images {
        match check(image) {
            Ok(packages) if ids.insert(image.id.as_str()) => {
                pending.push(View { image, parent: None, added: packages.clone(), packages, depth: 0 });
            }
            Ok(_) => diagnostics.push(broken(format!("image {} occurs twice", image.id))),
            Err(reason) => diagnostics.push(broken(reason)),
        }
    }
    let mut views = Vec::with_capacity(pending.len());
    // Each round places the images whose parents are placed; what is left has no way to the root.
    loop {
        let mut later = Vec::new();
        let before = views.len();
        for mut view in pending {
            let placed = match view.image.parent.as_deref() {
                None => true,
                Some(parent) => match by_id.get(parent) {
                    Some(parent) => match attach(&mut view, parent) {
                        Ok(()) => true,
                        Err(reason) => {
                            diagnostics.push(broken(reason));
                            continue;
                        }
                    },
                    None => false,
                },
            };
            if placed {
                by_id.insert(&view.image.id, view.clone());
                views.push(view);
            } else {
                later.push(view);
            }
        }
        pending = later;
        if views.len() == before || pending.is_empty() {
            break;
        }
    }
    for view in pending {
        let parent = view.image.parent.as_deref().unwrap_or_default();
        diagnostics.push(broken(format!("image {} has no way to its parent {parent:?}", view.image.id)));
    }
    (views, diagnostics)
}

fn attach<'a>(view: &mut View<'a>, parent: &View<'a>) -> Result<(), String> {
    let (id, parent_id) = (&view.image.id, &parent.image.id);
    if view.image.platform != parent.image.platform
        || view.image.trust_domain != parent.image.trust_domain
        || view.image.pool != parent.image.pool
    {
        return Err(format!("image {id} and its parent {parent_id} differ in platform or trust domain"));
    }
    if !view.language().forks() {
        return Err(format!("image {id} stands on {parent_id}, whose processes cannot be forked: plan again"));
    }
    if parent.depth >= MAX_PARENTS {
        return Err(format!("image {id} stands on more than {MAX_PARENTS} others"));
    }
    view.depth = parent.depth + 1;
    let own: BTreeSet<&PackageId> = view.packages.iter().collect();
    if let Some(missing) = parent.packages.iter().find(|p| !own.contains(p)) {
        return Err(format!("image {id} lacks {} of its parent {parent_id}", missing.spec()));
    }
    let inherited: BTreeSet<&PackageId> = parent.packages.iter().collect();
    view.added = view.packages.iter().filter(|p| !inherited.contains(p)).cloned().collect();
    view.parent = Some(parent.image);
    Ok(())
}

fn check(image: &Image) -> Result<Vec<PackageId>, String> {
    if !is_image_id(&image.id) {
        return Err(format!("image id {:?} cannot name a folder and a repository", image.id));
    }
    let ecosystem = image.platform.language.ecosystem();
    let mut packages = Vec::with_capacity(image.packages.len());
    for spec in &image.packages {
        match PackageId::from_spec(ecosystem, spec) {
            Ok(package) if is_package(&package) => packages.push(package),
            _ => return Err(format!("image {} holds {spec:?}, which is no package", image.id)),
        }
    }
    packages.sort();
    packages.dedup();
    if let Some(module) = image.preload.iter().find(|m| !is_module(m)) {
        return Err(format!("image {} preloads {module:?}, which is no module", image.id));
    }
    if let Some(call) = image.warmup.iter().find(|w| !is_module(&w.module) || !is_attribute(&w.call)) {
        return Err(format!("image {} warms up by {:?} of {:?}, which is no call", image.id, call.call, call.module));
    }
    Ok(packages)
}

/// A dotted path of names, as an attribute or export is written.
fn is_attribute(call: &str) -> bool {
    let name = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '$');
    call.split('.').all(name)
}

/// Lower-case words joined by single hyphens: what an OCI repository component, a folder and a bake target all take.
fn is_image_id(id: &str) -> bool {
    id.len() <= 128
        && id
            .split('-')
            .all(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()))
}

/// Whether name and version can stand in a lock file and in a path.
pub fn is_package(package: &PackageId) -> bool {
    let version = !package.version.starts_with('-')
        && package.version.bytes().all(|b| b.is_ascii_alphanumeric() || b".+!_-".contains(&b));
    let part = |name: &str| {
        name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-~".contains(&b))
            && name.bytes().any(|b| b.is_ascii_alphanumeric())
            && !name.starts_with(['.', '-'])
    };
    let name = match (package.ecosystem, package.name.strip_prefix('@')) {
        (Ecosystem::Npm, Some(scoped)) => scoped.split_once('/').is_some_and(|(scope, name)| part(scope) && part(name)),
        _ => part(&package.name),
    };
    name && version
}

/// A dotted Python module or an npm specifier; never a path.
pub fn is_module(module: &str) -> bool {
    !module.is_empty()
        && !module.starts_with(['.', '/', '-'])
        && !module.contains("..")
        && module.chars().all(|c| c.is_alphanumeric() || "._-~@/:$".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emit::samples;

    #[test]
    fn parents_come_first_and_children_hold_what_they_add() {
        let mut plan = samples::plan();
        plan.images.reverse();
        let (views, diagnostics) = views(&plan);
        assert!(diagnostics.is_empty(), "{diagnostics:?}");
        assert_eq!(views.len(), plan.images.len());
        for (at, view) in views.iter().enumerate() {
            if let Some(parent) = view.parent {
                assert!(views[..at].iter().any(|v| v.image.id == parent.id), "{} before its parent", view.image.id);
            }
        }
        let child = views.iter().find(|v| v.image.id == "py311-numpy-pandas-3f9a").unwrap();
        let added: Vec<String> = child.added.iter().map(PackageId::spec).collect();
        assert_eq!(added, ["pandas==2.2.2", "python-dateutil==2.9.0", "six==1.16.0"]);
    }

    #[test]
    fn nothing_that_could_leave_its_folder_or_break_a_file_gets_through() {
        type Break = fn(&mut Image);
        let breaks: [(Break, &str); 9] = [
            (|i| i.id = "../../etc".into(), "cannot name a folder"),
            (|i| i.id = "Py311".into(), "cannot name a folder"),
            (|i| i.id = "py311--x".into(), "cannot name a folder"),
            (|i| i.packages = vec!["numpy".into()], "is no package"),
            (|i| i.packages = vec!["numpy\n-r\u{a0}x==1".into()], "is no package"),
            (|i| i.packages = vec!["numpy==--evil".into()], "is no package"),
            (|i| i.preload = vec!["../evil".into()], "is no module"),
            (|i| i.preload = vec!["a\"b".into()], "is no module"),
            (|i| i.parent = Some("nowhere".into()), "no way to its parent"),
        ];
        for (spoil, reason) in breaks {
            let mut plan = samples::plan();
            plan.images.truncate(1);
            spoil(&mut plan.images[0]);
            let (views, diagnostics) = views(&plan);
            assert!(views.is_empty(), "{reason}");
            assert_eq!(diagnostics.len(), 1, "{reason}");
            assert!(diagnostics[0].reason.contains(reason), "{} / {reason}", diagnostics[0].reason);
            assert_eq!(diagnostics[0].code, "plan-broken");
        }
    }

    #[test]
    fn circles_strange_parents_and_repeats_are_left_out_with_their_children() {
        let mut circle = samples::plan();
        circle.images[0].parent = Some(circle.images[1].id.clone());
        let (found, diagnostics) = views(&circle);
        assert!(!found.iter().any(|v| v.image.platform.to_string().starts_with("python3.11")));
        assert_eq!(diagnostics.len(), 2);

        let mut foreign = samples::plan();
        foreign.images[1].trust_domain = "other".into();
        assert!(views(&foreign).1[0].reason.contains("differ in platform or trust domain"));

        let mut node = samples::plan();
        node.images.iter_mut().find(|i| i.id == "node20-debug-ms-6d6d").unwrap().parent = Some("node20-ms-5c5c".into());
        assert!(views(&node).1[0].reason.contains("whose processes cannot be forked"));

        let mut smaller = samples::plan();
        smaller.images[1].packages.retain(|p| !p.starts_with("numpy"));
        assert!(views(&smaller).1[0].reason.contains("lacks numpy==1.26.4"));

        let mut twice = samples::plan();
        let again = twice.images[0].clone();
        twice.images.push(again);
        assert!(views(&twice).1[0].reason.contains("occurs twice"));

        let mut tower = samples::plan();
        let ground = tower.images[0].clone();
        tower.images = (0..1000)
            .map(|n: usize| Image {
                id: format!("py311-{n}"),
                parent: n.checked_sub(1).map(|below| format!("py311-{below}")),
                ..ground.clone()
            })
            .collect();
        let (found, diagnostics) = views(&tower);
        assert_eq!(found.len(), MAX_PARENTS + 1);
        assert!(diagnostics.iter().any(|d| d.reason.contains("stands on more than 48 others")));
    }
}
