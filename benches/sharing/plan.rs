//! The whole plan of the fixture fleet against an own image for each of its functions.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use warmset::live::replay::{Arrangement, arrange};
use warmset::live::runtime::provision::Provisioned;
use warmset::live::runtime::{Keep, Runtime};
use warmset::model::manifest::SwapManifest;

use super::linux::{Bench, besides_mb, mb, saved, tree};

/// How long images may take to come up.
const SETTLE: Duration = Duration::from_secs(600);

/// PSS of each image that came up, MB, and why others did not.
type Up = (BTreeMap<String, f64>, BTreeMap<String, String>);

/// Prints the comparison.
pub fn compare(bench: &Bench) {
    let own = arrange(&bench.manifest, &bench.files, Arrangement::OneEach);
    bytes(bench, &own.1);

    let (plan, down) = start(bench, &bench.manifest, &bench.files);
    let plan_mb: f64 = plan.values().sum();
    let alone: BTreeMap<&str, Up> =
        own.0.images.iter().map(|image| (image.id.as_str(), one(bench, &own, &image.id))).collect();
    let alone_mb: f64 = alone.values().flat_map(|(up, _)| up.values()).sum();
    let (together, _) = start(bench, &own.0, &own.1);
    let together_mb: f64 = together.values().sum();
    println!("\nthe fleet's plan, live (PSS): {} images, {} own images", plan.len(), together.len());
    println!(
        "  plan                 {plan_mb:9.1} MB, {:.1} promised, {:.1} budget",
        bench.manifest.memory_mb, bench.manifest.budget_mb
    );
    println!("  own, all at once     {together_mb:9.1} MB  {}", saved(plan_mb, together_mb));
    println!(
        "  own, one at a time   {alone_mb:9.1} MB  {}: alone, a host's proportional set is nearly all of its resident set",
        saved(plan_mb, alone_mb)
    );
    // The plan serves some of the functions only: the same functions' own images.
    let served: BTreeSet<&str> =
        bench.manifest.functions.iter().filter(|f| f.image.is_some()).map(|f| f.id.as_str()).collect();
    let of_served: f64 = together.iter().filter(|(id, _)| served.contains(id.as_str())).map(|(_, mb)| mb).sum();
    println!(
        "  own, of the {} functions that the plan serves, all at once {of_served:.1} MB  {}",
        served.len(),
        saved(plan_mb, of_served)
    );
    for (id, why) in down.iter().chain(alone.values().flat_map(|(_, down)| down)) {
        println!("  {id} did not come up: {}", why.lines().next().unwrap_or(""));
    }

    println!("\nwhat an image adds to its parents (PSS of the chain with it, less that of the chain without)");
    println!("  {:56} {:>9} {:>9}", "image", "MB", "promised");
    let mut sums: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
    let mut chains: BTreeMap<&str, f64> = BTreeMap::new();
    for image in &bench.manifest.images {
        let with: f64 = chain(bench, &image.id).values().sum();
        let without = image.parent.as_deref().and_then(|parent| chains.get(parent)).copied().unwrap_or(0.0);
        chains.insert(&image.id, with);
        let mark = if image.parent.is_some() { "+" } else { " " };
        println!("  {mark} {:54} {:9.1} {:9.1}", image.id, with - without, image.costs.added_mb);
        let kind = match (image.platform.language, image.parent.is_some()) {
            (warmset::model::Language::Node, _) => "Node, each alone",
            (_, true) => "Python, child images",
            (_, false) => "Python, images without a parent",
        };
        let sum = sums.entry(kind).or_default();
        *sum = (sum.0 + with - without, sum.1 + image.costs.added_mb);
    }
    for (kind, (seen, promised)) in sums {
        println!("  {kind:56} {seen:9.1} {promised:9.1}  {}", saved(seen, promised));
    }
}

/// An image with its parents and nothing else.
fn chain(bench: &Bench, id: &str) -> BTreeMap<String, f64> {
    let mut manifest = bench.manifest.clone();
    let parents: BTreeMap<&str, Option<&str>> =
        bench.manifest.images.iter().map(|i| (i.id.as_str(), i.parent.as_deref())).collect();
    let mut kept = BTreeSet::new();
    let mut at = Some(id);
    while let Some(id) = at.filter(|id| kept.insert(id.to_string())) {
        at = parents.get(id).copied().flatten();
    }
    manifest.images.retain(|i| kept.contains(&i.id));
    start(bench, &manifest, &bench.files).0
}

fn one(bench: &Bench, (manifest, files): &(SwapManifest, Provisioned), id: &str) -> Up {
    let mut manifest = manifest.clone();
    manifest.images.retain(|i| i.id == id);
    start(bench, &manifest, files)
}

/// Starts all images of a manifest, reads what they hold, and ends them.
fn start(bench: &Bench, manifest: &SwapManifest, files: &Provisioned) -> Up {
    let runtime = Runtime::start(manifest, files.clone(), bench.maker(), Keep::All);
    runtime.settle(SETTLE);
    let now = runtime.snapshot();
    let mut out = Up::default();
    for (id, image) in now.images {
        if image.up {
            out.0.insert(id, image.pss_mb);
        } else {
            out.1.insert(id, image.why.unwrap_or_default());
        }
    }
    out
}

/// Folders: the plan's images in layers, and what its functions need besides; an own image for each function.
fn bytes(bench: &Bench, own: &Provisioned) {
    let mut layers = 0.0;
    let mut trees = BTreeMap::new();
    for image in &bench.manifest.images {
        let Some(files) = bench.files.images.get(&image.id) else { continue };
        let tree = tree(&files.environment);
        layers += match image.parent.as_deref().and_then(|parent| trees.get(parent)) {
            Some(parent) => besides_mb(&tree, parent),
            None => mb(&tree),
        };
        trees.insert(image.id.as_str(), tree);
    }
    let (mut code, mut rest, mut whole, mut unserved) = (0.0, 0.0, 0.0, 0.0);
    for function in &bench.manifest.functions {
        let Some(files) = bench.files.functions.get(&function.id) else { continue };
        code += mb(&tree(&files.code));
        let Some(closure) = files.closure.as_ref().filter(|_| own.images.contains_key(&function.id)) else { continue };
        let closure = tree(closure);
        whole += mb(&closure);
        match function.image.as_deref().and_then(|image| trees.get(image)) {
            Some(image) => rest += besides_mb(&closure, image),
            None => unserved += mb(&closure),
        }
    }
    let shared = layers + rest + unserved + code;
    let own = whole + code;
    println!(
        "\nthe fleet's plan, root file systems without base images: {} images, {} functions",
        trees.len(),
        bench.files.functions.len()
    );
    println!(
        "  plan {shared:.1} MB: {layers:.1} images (a parent's once), {rest:.1} packages of functions that their images leave out,"
    );
    println!("       {unserved:.1} packages of functions without an image, {code:.1} code");
    println!("  own  {own:.1} MB  {}", saved(shared, own));
    println!(
        "  of functions with an image {:.1} MB against {:.1}  {}",
        layers + rest,
        whole - unserved,
        saved(layers + rest, whole - unserved)
    );
}
