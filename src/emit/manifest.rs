//! `swap-manifest.json`: what a runtime needs to act on the plan, and nothing else.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::closures::{Closure, Closures};
use super::preload;
use super::view::View;
use crate::model::manifest::{
    Fallback, FileDigest, ManifestClosure, ManifestCosts, ManifestFunction, ManifestImage, ManifestPool, SCHEMA,
    SwapManifest, SwapMethod,
};
use crate::model::plan::{Assignment, PoolPlan, Share};
use crate::model::units::round;
use crate::model::wishes::REST;
use crate::model::{Function, GENERATOR, Image, Inventory, Language, PackageId, Plan, Platform};

/// Oldest CRIU that restores on current kernels.
const CRIU: &str = "4.2";
/// Decimals kept of MB, as in plans.
const DIGITS: u32 = 6;

/// Makes the manifest. `files` holds the locks of images and closures.
pub fn manifest(
    name: &str,
    plan: &Plan,
    inventory: &Inventory,
    views: &[View<'_>],
    closures: &Closures,
    files: &BTreeMap<String, Vec<u8>>,
) -> SwapManifest {
    SwapManifest {
        schema: SCHEMA.into(),
        generator: GENERATOR.into(),
        name: name.into(),
        budget_mb: plan.budget_mb,
        memory_mb: round(plan.memory_mb + plan.warmups.map_or(0.0, |w| w.memory_mb), DIGITS),
        pools: plan.pools.iter().map(|p| pool(p, &plan.images)).collect(),
        images: views.iter().map(|view| image(view, warm_mb(view.image, plan), files)).collect(),
        closures: closures.all().map(|c| closure(c, files)).collect(),
        functions: functions(plan, inventory, views, closures),
    }
}

/// MB that an image's own calls before serving add to it.
fn own_warm_mb(image: &Image) -> f64 {
    image.warmup.iter().filter_map(|call| call.added_mb).sum()
}

/// The same with what it shares with those that it is forked from.
fn warm_mb(image: &Image, plan: &Plan) -> f64 {
    let mut sum = own_warm_mb(image);
    let mut next = image.parent.as_deref();
    // Parents come first, so that one look from behind finds them all, and a circle has an end.
    for other in plan.images.iter().rev().filter(|_| plan.warmups.is_some()) {
        if Some(other.id.as_str()) == next {
            sum += own_warm_mb(other);
            next = other.parent.as_deref();
        }
    }
    sum
}

fn pool(pool: &PoolPlan, images: &[Image]) -> ManifestPool {
    let mine = |image: &&Image| image.pool.as_deref().unwrap_or(REST) == pool.of.name;
    ManifestPool {
        name: pool.of.name.clone(),
        hosts: pool.of.hosts,
        budget_mb: pool.budget_mb,
        memory_mb: round(pool.memory_mb + images.iter().filter(mine).map(own_warm_mb).sum::<f64>(), DIGITS),
    }
}

fn image(view: &View<'_>, warm_mb: f64, files: &BTreeMap<String, Vec<u8>>) -> ManifestImage {
    let image = view.image;
    let language = view.language();
    let socket = preload::SOCKET.to_string();
    let preferred = match language {
        Language::Python => SwapMethod::ForkServer { socket },
        // The plan counts the memory of one process an image.
        Language::Node => SwapMethod::NodePool { socket, size: 1 },
    };
    ManifestImage {
        id: image.id.clone(),
        parent: view.parent.map(|p| p.id.clone()),
        platform: image.platform.clone(),
        trust_domain: image.trust_domain.clone(),
        pool: image.pool.clone(),
        folder: view.folder(),
        reference: view.reference(),
        digest: None,
        pushed: None,
        interpreter: super::dockerfile::interpreter(language).into(),
        lock: lock_of(&view.folder(), language, files),
        environment: preload::environment(language).iter().map(|(k, v)| (k.to_string(), v.to_string())).collect(),
        packages: view.packages.iter().map(PackageId::spec).collect(),
        preload: image.preload.clone(),
        warmup: image.warmup.clone(),
        costs: ManifestCosts {
            load_ms: image.load_ms,
            resident_mb: round(image.resident_mb + warm_mb, DIGITS),
            added_mb: round(image.added_mb + own_warm_mb(image), DIGITS),
            swap_ms: image.swap_ms,
        },
        swap: vec![preferred, SwapMethod::Criu { minimum_version: CRIU.into() }],
    }
}

fn closure(closure: &Closure, files: &BTreeMap<String, Vec<u8>>) -> ManifestClosure {
    ManifestClosure {
        id: closure.id.clone(),
        platform: closure.platform.clone(),
        folder: closure.folder(),
        lock: lock_of(&closure.folder(), closure.platform.language, files),
        packages: closure.packages.iter().map(PackageId::spec).collect(),
        preload: closure.preload.clone(),
    }
}

fn lock_of(folder: &str, language: Language, files: &BTreeMap<String, Vec<u8>>) -> FileDigest {
    let file = match language {
        Language::Python => "requirements.lock",
        Language::Node => "package-lock.json",
    };
    let bytes = files.get(&format!("{folder}/{file}")).map_or(&[][..], Vec::as_slice);
    FileDigest { file: file.into(), sha256: sha256(bytes) }
}

fn functions(plan: &Plan, inventory: &Inventory, views: &[View<'_>], closures: &Closures) -> Vec<ManifestFunction> {
    let assigned: BTreeMap<&str, &Assignment> = plan.assignments.iter().map(|a| (a.function.as_str(), a)).collect();
    let by_id: BTreeMap<&str, &View<'_>> = views.iter().map(|v| (v.image.id.as_str(), v)).collect();
    let usable = Usable::new(views);
    let mut functions: Vec<ManifestFunction> = inventory
        .functions
        .iter()
        .map(|function| {
            let image = assigned.get(function.id.as_str()).and_then(|a| by_id.get(a.image.as_str()).copied());
            let held: BTreeSet<&PackageId> = image.iter().flat_map(|v| &v.packages).collect();
            let closure: BTreeSet<&PackageId> = function.closure.iter().collect();
            let specs = |ids: &BTreeSet<&PackageId>, without: &BTreeSet<&PackageId>| {
                ids.difference(without).map(|p| p.spec()).collect::<Vec<_>>()
            };
            let folder = function.platform.as_ref().map(|p| preload::function_folder(p.language));
            ManifestFunction {
                id: function.id.clone(),
                path: function.path.clone(),
                handler: function.handler.clone(),
                platform: function.platform.clone(),
                image: image.map(|v| v.image.id.clone()),
                closure: closures.of(&function.id).map(|c| c.id.clone()),
                fallback: fallback(plan, function, image, assigned.get(function.id.as_str()).copied(), &usable),
                loads: specs(&closure, &held),
                unneeded: specs(&held, &closure),
                unresolved: function.unresolved.iter().map(|r| r.text.clone()).collect(),
                environment: folder.map(|f| ("WARMSET_FUNCTION_DIR".to_string(), f.to_string())).into_iter().collect(),
            }
        })
        .collect();
    functions.sort_by(|a, b| a.id.cmp(&b.id));
    functions
}

/// Images by platform, trust domain and the first of their packages: a function that may use one has that package.
struct Usable<'a> {
    by_package: HashMap<(&'a Platform, &'a str, &'a PackageId), Vec<&'a View<'a>>>,
    ids: HashSet<&'a str>,
}

impl<'a> Usable<'a> {
    fn new(views: &'a [View<'a>]) -> Self {
        let mut count: HashMap<&PackageId, usize> = HashMap::new();
        views.iter().flat_map(|v| &v.packages).for_each(|p| *count.entry(p).or_default() += 1);
        let mut by_package: HashMap<_, Vec<&View<'_>>> = HashMap::new();
        for view in views {
            // The rarest, so that few images stand under each.
            if let Some(rarest) = view.packages.iter().min_by_key(|p| count[p]) {
                let key = (&view.image.platform, view.image.trust_domain.as_str(), rarest);
                by_package.entry(key).or_default().push(view);
            }
        }
        Self { by_package, ids: views.iter().map(|v| v.image.id.as_str()).collect() }
    }

    /// Those whose packages the function has all.
    fn by<'f>(&'f self, function: &'f Function) -> impl Iterator<Item = &'a View<'a>> + 'f {
        let closure: HashSet<&PackageId> = function.closure.iter().collect();
        let platform = function.platform.as_ref();
        let keys: Vec<_> = platform
            .into_iter()
            .flat_map(|platform| closure.iter().map(move |p| (platform, function.trust_domain.as_str(), *p)))
            .collect();
        keys.into_iter()
            .filter_map(|key| self.by_package.get(&key))
            .flatten()
            .copied()
            .filter(move |v| v.packages.iter().all(|p| closure.contains(p)))
    }
}

/// The other images that the function may use and that are faster than a cold start, the one that saves most first; then
/// the cold start. Under the superset rule what an image saves depends on the function: the plan knows the best and the
/// next best, and no more are named.
fn fallback(
    plan: &Plan,
    function: &Function,
    own: Option<&View<'_>>,
    assignment: Option<&Assignment>,
    usable: &Usable<'_>,
) -> Vec<Fallback> {
    if plan.share == Share::Superset {
        let next = assignment.filter(|_| own.is_some()).and_then(|a| a.next_best.as_ref());
        let next = next.filter(|next| usable.ids.contains(next.image.as_str()));
        let next = next.map(|next| Fallback::Image { id: next.image.clone() });
        return next.into_iter().chain([Fallback::Cold]).collect();
    }
    let mut others: Vec<(f64, &str)> = usable
        .by(function)
        .filter(|v| own.is_some_and(|own| own.image.id != v.image.id))
        .filter(|v| plan.admits(v.image, function))
        .map(|v| (v.image.load_ms - v.image.swap_ms, v.image.id.as_str()))
        .filter(|(saved, _)| *saved > 0.0)
        .collect();
    others.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    let images = others.into_iter().map(|(_, id)| Fallback::Image { id: id.to_string() });
    images.chain([Fallback::Cold]).collect()
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emit::samples;
    use crate::emit::view::views;

    fn made() -> SwapManifest {
        let plan = samples::plan();
        let (views, _) = views(&plan);
        let files = BTreeMap::from([("images/node20-ms-5c5c/package-lock.json".to_string(), b"abc".to_vec())]);
        let inventory = samples::inventory();
        let closures = crate::emit::closures::closures(&inventory);
        manifest("fleet", &plan, &inventory, &views, &closures, &files)
    }

    #[test]
    fn every_function_is_there_with_its_image_and_what_it_loads_itself() {
        let manifest = made();
        let ids: Vec<&str> = manifest.functions.iter().map(|f| f.id.as_str()).collect();
        assert_eq!(ids, ["api", "clock", "matmul", "page <b>&\"bold\"", "report", "table", "webhook"]);
        let report = &manifest.functions[4];
        assert_eq!(report.image.as_deref(), Some("py311-numpy-pandas-3f9a"));
        assert_eq!(report.loads, ["requests==2.32.3"]);
        let webhook = &manifest.functions[6];
        assert_eq!((webhook.image.as_deref(), webhook.unresolved.as_slice()), (None, &["flask>=2".to_string()][..]));
        assert_eq!(webhook.fallback, [Fallback::Cold]);
    }

    #[test]
    fn a_function_falls_back_to_a_smaller_image_before_it_starts_cold() {
        let manifest = made();
        let table = manifest.functions.iter().find(|f| f.id == "table").unwrap();
        assert_eq!(table.fallback, [Fallback::Image { id: "py311-numpy-1a2b".into() }, Fallback::Cold]);
        // The parent's function must not be sent to the child: the child holds more than its closure.
        let matmul = manifest.functions.iter().find(|f| f.id == "matmul").unwrap();
        assert_eq!(matmul.fallback, [Fallback::Cold]);
    }

    #[test]
    fn another_trust_domain_or_platform_is_no_fallback() {
        let mut plan = samples::plan();
        plan.images.truncate(1);
        let mut inventory = samples::inventory();
        let table = inventory.functions.iter_mut().find(|f| f.id == "table").unwrap();
        table.trust_domain = "other".into();
        let table = table.clone();
        let (views, _) = views(&plan);
        let own = View { image: views[0].image, parent: None, packages: vec![], added: vec![], depth: 0 };
        let mut image = own.image.clone();
        image.id = "mine".into();
        let own = View { image: &image, ..own };
        assert_eq!(fallback(&plan, &table, Some(&own), None, &Usable::new(&views)), [Fallback::Cold]);
    }

    #[test]
    fn the_lock_is_named_by_its_digest() {
        let image = made().images.into_iter().find(|i| i.id == "node20-ms-5c5c").unwrap();
        // printf abc | sha256sum
        assert_eq!(image.lock.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(image.lock.file, "package-lock.json");
        assert_eq!(image.swap[0], SwapMethod::NodePool { socket: "/run/warmset/host.sock".into(), size: 1 });
    }
}
