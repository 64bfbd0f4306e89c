//! Checks a plan against the fleet and the prices, knowing nothing of how it was made.
//!
//! Everything is worked out again from names: who may use what, who is forked from whom, what it takes and what it saves.

mod demands;
mod warmups;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::problem::{Price, Problem};
use super::usable::Usable;
use crate::graph::classes::class_digest;
use crate::model::costs::LanguageCosts;
use crate::model::inventory::{Function, Inventory, Package, State};
use crate::model::plan::{Aim, Image, Plan, Share, Status};
use crate::model::platform::Language;
use crate::model::{PackageId, Platform};

/// Relative difference between a figure and the same figure worked out again.
const TOLERANCE: f64 = 1e-6;
/// Shares are written with six decimals.
const SHARE_DIGIT: f64 = 1e-6;

type Ids<'a> = BTreeSet<&'a PackageId>;

/// An image with what it holds, by name.
struct Held {
    ids: BTreeSet<PackageId>,
    resident_mb: f64,
    swap_ms: f64,
    waste_ms_per_mb: f64,
}

/// The rules that the plan breaks, as text; none when it holds.
///
/// `price` and `language` must be those that the plan was made with.
pub fn verify(
    plan: &Plan,
    inventory: &Inventory,
    price: &dyn Fn(&PackageId, &Platform) -> Option<Price>,
    language: &dyn Fn(Language) -> LanguageCosts,
) -> Vec<String> {
    let mut broken = Vec::new();
    let held: Vec<Held> = plan.images.iter().map(|image| hold(image, price, language, &mut broken)).collect();
    check_contents(plan, inventory, &held, &mut broken);
    check_parents(plan, &held, language, &mut broken);
    check_service(plan, inventory, price, &held, &mut broken);
    check_totals(plan, &mut broken);
    check_groups(plan, &mut broken);
    check_open(plan, inventory, &mut broken);
    demands::check(plan, inventory, price, &held, &mut broken);
    warmups::check(plan, language, &mut broken);
    broken
}

/// What the plan says of the images of the plan `before` that is not so; none when all of it is.
pub fn verify_changes(plan: &Plan, before: &Plan) -> Vec<String> {
    let Some(said) = &plan.changes else { return vec!["says nothing of the images of the plan before".into()] };
    let old: BTreeMap<&str, &Image> = before.images.iter().map(|i| (i.id.as_str(), i)).collect();
    let new: BTreeMap<&str, &Image> = plan.images.iter().map(|i| (i.id.as_str(), i)).collect();
    let mut broken = Vec::new();
    let built: BTreeSet<&str> = new.keys().filter(|id| !old.contains_key(*id)).copied().collect();
    let moved: BTreeSet<&str> =
        new.iter().filter(|(id, i)| old.get(*id).is_some_and(|o| o.parent != i.parent)).map(|(id, _)| *id).collect();
    let removed: BTreeSet<&str> = old.keys().filter(|id| !new.contains_key(*id)).copied().collect();
    let sets = [
        ("built", said.built.iter().map(String::as_str).collect::<BTreeSet<_>>(), built),
        ("reparented", said.reparented.iter().map(String::as_str).collect(), moved),
        ("removed", said.removed.iter().map(|r| r.image.as_str()).collect(), removed),
    ];
    let changed = said.built.len() + said.reparented.len();
    for (what, stated, found) in sets {
        if stated != found {
            broken.push(format!("states {} images as {what}, which are {}", stated.len(), found.len()));
        }
    }
    if said.kept + changed != plan.images.len() {
        broken.push(format!("states {} images as kept and {changed} as changed of {}", said.kept, plan.images.len()));
    }
    if said.max_changes.is_some_and(|most| changed > most) {
        broken.push(format!("changes {changed} images, more than are allowed"));
    }
    for (id, image) in &new {
        if old.get(id).is_some_and(|o| o.packages != image.packages || o.preload != image.preload) {
            broken.push(format!("{id}: is not what it was in the plan before"));
        }
    }
    let loss = if said.best_objective > 0.0 { (1.0 - plan.objective / said.best_objective).max(0.0) } else { 0.0 };
    if (said.loss - loss).abs() > TOLERANCE || said.loss.is_nan() {
        broken.push(format!("states a loss of {}, which is {loss}", said.loss));
    }
    broken
}

/// What the plan says of expected functions that is not so, and what is wrong with them; none when all of it holds.
/// For plans under the subset rule.
///
/// `aimed` is what the plan was made for: the problem itself, or what [`super::prior`] made of it. Only names, weights
/// and prices are taken from it; who may use what, and what that saves, is worked out again.
pub fn verify_expected(
    plan: &Plan,
    inventory: &Inventory,
    aimed: &Problem,
    price: &dyn Fn(&PackageId, &Platform) -> Option<Price>,
    language: &dyn Fn(Language) -> LanguageCosts,
) -> Vec<String> {
    let mut broken = Vec::new();
    let held: Vec<Held> = plan.images.iter().map(|image| hold(image, price, language, &mut broken)).collect();
    let packages: BTreeMap<&PackageId, &Package> = inventory.packages.iter().map(|p| (&p.id, p)).collect();
    let (mut objective, mut known, mut all, mut moved, mut closures) = (0.0, 0.0, 0.0, 0.0, 0);
    for group in &aimed.groups {
        let mine = |platform: Option<&Platform>, domain: &str| {
            platform == Some(&group.platform) && domain == group.trust_domain
        };
        let pool = group.pool_name.as_deref();
        let load = |id: &PackageId| price(id, &group.platform).map_or(0.0, |p| p.load_ms);
        let is_mine = |image: &Image| mine(Some(&image.platform), &image.trust_domain) && image.pool.as_deref() == pool;
        let images = held.iter().enumerate().filter(|(i, _)| is_mine(&plan.images[*i]));
        let values: HashMap<usize, f64> =
            images.clone().map(|(i, h)| (i, h.ids.iter().map(load).sum::<f64>() - h.swap_ms)).collect();
        let near = Near::new(images);
        // Functions by what they load, so that looking for one that loads a whole closure is quick.
        let mut loaded_by: BTreeMap<&PackageId, Vec<&Function>> = BTreeMap::new();
        for function in inventory.functions.iter().filter(|f| mine(f.platform.as_ref(), &f.trust_domain)) {
            function.closure.iter().for_each(|id| loaded_by.entry(id).or_default().push(function));
        }
        let none = Vec::new();
        for demand in &group.demands {
            let ids: Ids = demand.core.ones().map(|i| &group.items[i].id).collect();
            let usable = near.parts_of(&ids).filter(|&i| held[i].ids.iter().all(|id| ids.contains(id)));
            let best = usable.map(|i| values[&i]).fold(0.0, f64::max);
            objective += demand.weight * best;
            known += demand.known * best;
            all += demand.weight;
            moved += (demand.weight - demand.known).max(0.0);
            if demand.known > 0.0 || demand.weight <= 0.0 {
                continue;
            }
            closures += 1;
            let rarest = ids.iter().map(|id| loaded_by.get(id).unwrap_or(&none)).min_by_key(|f| f.len());
            let is_part = |f: &&Function| ids.iter().all(|id| f.closure.binary_search(id).is_ok());
            if !rarest.unwrap_or(&none).iter().any(is_part) {
                broken.push(format!("expects {} packages together that no function loads", ids.len()));
            }
            for id in &ids {
                let sets = packages.get(id).map(|p| p.requires_for(&group.platform)).unwrap_or_default();
                if !sets.is_empty() && !sets.iter().any(|set| set.iter().all(|r| r == *id || ids.contains(r))) {
                    broken.push(format!("expects {id} without what it requires"));
                }
            }
        }
    }
    let said = plan.expected.map_or((0, 0.0), |e| (e.closures, e.weight_share));
    if said.0 != closures || plan.expected.is_some() != (plan.aim == Aim::Expected) {
        broken.push(format!("states {} expected closures, which are {closures}", said.0));
    }
    for (what, stated, found) in [
        ("objective", plan.objective, objective),
        ("objective for the known functions", plan.known_ms(), known),
        ("share of weight that is only expected", said.1, if all > 0.0 { moved / all } else { 0.0 }),
    ] {
        if differs(stated, found) {
            broken.push(format!("states a {what} of {stated}, which is {found}"));
        }
    }
    broken
}

/// What is not placed, by state: every function that is not locked, and its part of the weight.
fn check_open(plan: &Plan, inventory: &Inventory, broken: &mut Vec<String>) {
    let mut states: BTreeMap<State, (usize, f64)> = BTreeMap::new();
    let mut all = 0.0;
    for function in &inventory.functions {
        all += function.weight;
        if function.state != State::Locked {
            let (n, weight) = states.entry(function.state).or_default();
            *n += 1;
            *weight += function.weight;
        }
    }
    // Plans of earlier versions do not say.
    let told = |state: &State| plan.open.iter().find(|o| o.state == *state);
    let wrong = states.iter().any(|(state, (n, weight))| {
        told(state).is_none_or(|o| {
            o.functions != *n || (o.weight_share - *weight / all).abs() > SHARE_DIGIT || o.weight_share.is_nan()
        })
    });
    if !plan.open.is_empty() && (wrong || plan.open.len() != states.len()) {
        broken.push("open: the functions without a complete closure are not those of the inventory".into());
    }
}

fn differs(a: f64, b: f64) -> bool {
    // What is no number differs from everything.
    (a - b).is_nan() || (a - b).abs() > TOLERANCE * a.abs().max(b.abs()).max(1.0)
}

fn hold(
    image: &Image,
    price: &dyn Fn(&PackageId, &Platform) -> Option<Price>,
    language: &dyn Fn(Language) -> LanguageCosts,
    broken: &mut Vec<String>,
) -> Held {
    let costs = language(image.platform.language);
    let ids: BTreeSet<PackageId> = image.package_ids().into_iter().collect();
    if ids.len() != image.packages.len() || ids.is_empty() {
        broken.push(format!("{}: holds nothing, or something twice, or something that is no package", image.id));
    }
    let (mut load_ms, mut resident) = (0.0, 0.0);
    for id in &ids {
        match price(id, &image.platform) {
            Some(price) => {
                load_ms += price.load_ms;
                resident += price.resident_mb;
            }
            None => broken.push(format!("{}: nothing is known of the cost of {id}", image.id)),
        }
    }
    let swap = costs.swap_base_ms + costs.swap_ms_per_mb * resident;
    for (what, stated, found) in [
        ("load", image.load_ms, load_ms),
        ("resident memory", image.resident_mb, costs.image_overhead_mb + resident),
        ("swap", image.swap_ms, swap),
    ] {
        if differs(stated, found) {
            broken.push(format!("{}: states a {what} of {stated}, which is {found}", image.id));
        }
    }
    Held { ids, resident_mb: resident, swap_ms: swap, waste_ms_per_mb: costs.waste_ms_per_mb.unwrap_or(0.0) }
}

/// Versions, requirements and sources of what the images hold.
fn check_contents(plan: &Plan, inventory: &Inventory, held: &[Held], broken: &mut Vec<String>) {
    let packages: HashMap<&PackageId, &Package> = inventory.packages.iter().map(|p| (&p.id, p)).collect();
    let sets =
        |image: &Image, id: &PackageId| packages.get(id).map(|p| p.requires_for(&image.platform)).unwrap_or_default();
    let mut unstated: BTreeSet<(&Platform, &PackageId)> = BTreeSet::new();
    for (image, held) in plan.images.iter().zip(held) {
        unstated.extend(held.ids.iter().filter(|id| sets(image, id).is_empty()).map(|id| (&image.platform, id)));
    }
    let beside = always_beside(inventory, &unstated);
    for (image, held) in plan.images.iter().zip(held) {
        let names: BTreeSet<&str> = held.ids.iter().map(|id| id.name.as_str()).collect();
        if image.platform.language == Language::Python && names.len() < held.ids.len() {
            broken.push(format!("{}: two versions of one package", image.id));
        }
        for id in &held.ids {
            let package = packages.get(id).copied();
            if package.is_some_and(|p| !p.is_from_registry()) {
                broken.push(format!("{}: {id} comes from no registry", image.id));
            }
            let sets = sets(image, id);
            let closed = if sets.is_empty() {
                beside.get(&(&image.platform, id)).is_some_and(|beside| beside.iter().all(|r| held.ids.contains(*r)))
            } else {
                sets.iter().any(|set| set.iter().all(|r| held.ids.contains(r)))
            };
            if !closed {
                broken.push(format!("{}: {id} without what it requires", image.id));
            }
        }
    }
}

/// What all locked closures of a platform that hold a package have in common, for the packages of images that state no
/// requirements there; nothing for those that no locked closure holds.
fn always_beside<'a>(
    inventory: &'a Inventory,
    wanted: &BTreeSet<(&'a Platform, &'a PackageId)>,
) -> BTreeMap<(&'a Platform, &'a PackageId), Ids<'a>> {
    let mut beside: BTreeMap<(&Platform, &PackageId), Ids<'a>> = BTreeMap::new();
    if wanted.is_empty() {
        return beside;
    }
    for function in inventory.functions.iter().filter(|f| f.state == State::Locked) {
        let Some(platform) = &function.platform else { continue };
        for id in &function.closure {
            if !wanted.contains(&(platform, id)) {
                continue;
            }
            match beside.get_mut(&(platform, id)) {
                Some(ids) => ids.retain(|other| function.closure.contains(other)),
                None => {
                    beside.insert((platform, id), function.closure.iter().collect());
                }
            }
        }
    }
    beside
}

/// Ids, parents and memory.
fn check_parents(plan: &Plan, held: &[Held], language: &dyn Fn(Language) -> LanguageCosts, broken: &mut Vec<String>) {
    let index: BTreeMap<&str, usize> =
        plan.images.iter().enumerate().map(|(i, image)| (image.id.as_str(), i)).collect();
    if index.len() < plan.images.len() {
        broken.push("two images share an id".into());
    }
    let mut memory = 0.0;
    for (i, image) in plan.images.iter().enumerate() {
        let mut shared = 0.0;
        if let Some(parent) = &image.parent {
            match index.get(parent.as_str()) {
                // Parents come first, so nothing can be its own ancestor.
                Some(&p) if p < i => {
                    let other = &plan.images[p];
                    if other.platform != image.platform
                        || other.trust_domain != image.trust_domain
                        || other.pool != image.pool
                    {
                        let reason = "is of another platform or trust domain, or of another pool";
                        broken.push(format!("{}: its parent {parent} {reason}", image.id));
                    }
                    if !image.platform.language.forks() {
                        broken.push(format!("{}: cannot be forked from {parent}, nor share its memory", image.id));
                    }
                    if !held[p].ids.is_subset(&held[i].ids) {
                        broken.push(format!("{}: does not hold all of its parent {parent}", image.id));
                    }
                    shared = held[p].resident_mb;
                }
                _ => broken.push(format!("{}: parent {parent} is unknown, or comes after it", image.id)),
            }
        }
        let added = language(image.platform.language).image_overhead_mb + (held[i].resident_mb - shared).max(0.0);
        if differs(image.added_mb, added) {
            broken.push(format!("{}: states that it adds {} MB, which is {added}", image.id, image.added_mb));
        }
        memory += added;
    }
    if differs(plan.memory_mb, memory) {
        broken.push(format!("states {} MB, which is {memory}", plan.memory_mb));
    }
    if memory > plan.budget_mb * (1.0 + 1e-9) + 1e-6 {
        broken.push(format!("takes {memory} MB, more than the budget of {} MB", plan.budget_mb));
    }
    if plan.max_images.is_some_and(|most| plan.images.len() > most) {
        broken.push(format!("holds {} images, more than are allowed", plan.images.len()));
    }
}

/// What one start of a function saves on an image that it may use, and how much of it the function loads.
struct Service {
    value_ms: f64,
    needed_ms: f64,
    unneeded: usize,
    unneeded_mb: f64,
}

fn service(
    usable: &Usable,
    image: &Image,
    held: &Held,
    function: &Function,
    price: &dyn Fn(&PackageId, &Platform) -> Option<Price>,
) -> Option<Service> {
    let split = usable.split(image, &held.ids, function)?;
    let prices = |ids: &[&PackageId]| ids.iter().filter_map(|id| price(id, &image.platform)).collect::<Vec<_>>();
    let needed_ms: f64 = prices(&split.needed).iter().map(|p| p.load_ms).sum();
    let unneeded_mb: f64 = prices(&split.unneeded).iter().map(|p| p.resident_mb).sum();
    let value_ms = needed_ms - held.swap_ms - held.waste_ms_per_mb * unneeded_mb;
    Some(Service { value_ms, needed_ms, unneeded: split.unneeded.len(), unneeded_mb })
}

/// What is worked out of a closure: functions that load the same on the same platform have it in common.
struct Loaded {
    class: String,
    load_ms: f64,
    /// The images that may serve it, and how.
    services: Vec<(usize, Service)>,
    /// Milliseconds that the best of them saves.
    best: f64,
}

fn loaded(
    function: &Function,
    plan: &Plan,
    held: &[Held],
    near: &Near,
    usable: &Usable,
    price: &dyn Fn(&PackageId, &Platform) -> Option<Price>,
) -> Loaded {
    let Some(platform) = &function.platform else {
        return Loaded { class: String::new(), load_ms: 0.0, services: Vec::new(), best: 0.0 };
    };
    let closure: Ids = function.closure.iter().collect();
    let serves = |i: usize| Some((i, service(usable, &plan.images[i], &held[i], function, price)?));
    let services: Vec<(usize, Service)> = match plan.share {
        Share::Subset => near.parts_of(&closure).filter_map(serves).collect(),
        Share::Superset => (0..held.len()).filter_map(serves).collect(),
    };
    let sorted: Vec<PackageId> = closure.iter().map(|&p| p.clone()).collect();
    Loaded {
        class: class_digest(platform, &function.trust_domain, &sorted),
        load_ms: closure.iter().filter_map(|p| price(p, platform)).map(|p| p.load_ms).sum(),
        best: services.iter().map(|(_, s)| s.value_ms).fold(0.0, f64::max),
        services,
    }
}

/// Images by the package of theirs that fewest images hold: whoever loads all of one loads that.
struct Near<'a>(HashMap<&'a PackageId, Vec<usize>>);

impl<'a> Near<'a> {
    fn new(held: impl Iterator<Item = (usize, &'a Held)> + Clone) -> Self {
        let mut count: HashMap<&PackageId, usize> = HashMap::new();
        held.clone().flat_map(|(_, h)| &h.ids).for_each(|id| *count.entry(id).or_default() += 1);
        let mut by_package: HashMap<&PackageId, Vec<usize>> = HashMap::new();
        for (i, image) in held {
            if let Some(rarest) = image.ids.iter().min_by_key(|id| count[*id]) {
                by_package.entry(rarest).or_default().push(i);
            }
        }
        Self(by_package)
    }

    /// The images of which a closure may hold everything; no other can be a part of it.
    fn parts_of<'c>(&'c self, closure: &'c Ids) -> impl Iterator<Item = usize> + 'c {
        closure.iter().filter_map(|id| self.0.get(*id)).flatten().copied()
    }
}

/// Who is served by what, and what that saves.
fn check_service(
    plan: &Plan,
    inventory: &Inventory,
    price: &dyn Fn(&PackageId, &Platform) -> Option<Price>,
    held: &[Held],
    broken: &mut Vec<String>,
) {
    let assigned: HashMap<&str, _> = plan.assignments.iter().map(|a| (a.function.as_str(), a)).collect();
    let unserved: HashSet<&str> = plan.unserved.iter().map(|u| u.function.as_str()).collect();
    if assigned.len() < plan.assignments.len() || unserved.len() < plan.unserved.len() {
        broken.push("a function is listed twice".into());
    }
    if assigned.len() + unserved.len() != inventory.functions.len() {
        broken.push("the functions of plan and inventory differ in number".into());
    }
    let index: HashMap<&str, usize> = plan.images.iter().enumerate().rev().map(|(i, m)| (m.id.as_str(), i)).collect();
    let near = Near::new(held.iter().enumerate());
    let mut known: HashMap<&str, Loaded> = HashMap::new();
    let (mut objective, mut total) = (0.0, 0.0);
    let mut serves = vec![(0usize, 0.0f64); held.len()];
    let usable = Usable::new(plan, held.iter().flat_map(|h| &h.ids), inventory);
    for function in &inventory.functions {
        let id = &function.id;
        let key = usable.class_of(function);
        let loaded: &Loaded =
            known.entry(key.unwrap_or_default()).or_insert_with(|| loaded(function, plan, held, &near, &usable, price));
        let (load, best) = (loaded.load_ms, loaded.best);
        total += function.weight * load;
        objective += function.weight * best;
        let Some(assignment) = assigned.get(id.as_str()) else {
            if !unserved.contains(id.as_str()) {
                broken.push(format!("{id}: neither served nor unserved"));
            }
            if best > 0.0 {
                broken.push(format!("{id}: unserved, though an image would save it {best} ms"));
            }
            continue;
        };
        if unserved.contains(id.as_str()) {
            broken.push(format!("{id}: both served and unserved"));
        }
        let Some(&i) = index.get(assignment.image.as_str()) else {
            broken.push(format!("{id}: its image {} does not exist", assignment.image));
            continue;
        };
        serves[i].0 += 1;
        let Some(service) = loaded.services.iter().find(|(k, _)| *k == i).map(|(_, service)| service) else {
            broken.push(format!("{id}: may not use {}", assignment.image));
            continue;
        };
        serves[i].1 += function.weight * service.value_ms;
        if differs(service.value_ms, best) {
            broken.push(format!("{id}: {} saves {} ms, but another image {best}", assignment.image, service.value_ms));
        }
        if assignment.unneeded != service.unneeded {
            broken.push(format!("{id}: does not need {} packages of {}", service.unneeded, assignment.image));
        }
        if function.platform.is_none() || loaded.class != assignment.class {
            broken.push(format!("{id}: is not of class {}", assignment.class));
        }
        for (what, stated, found) in [
            ("saved time", assignment.saved_ms, service.value_ms),
            ("remaining time", assignment.remaining_ms, (load - service.needed_ms).max(0.0)),
            ("memory that it does not need", assignment.unneeded_mb, service.unneeded_mb),
            ("weight", assignment.weight, function.weight),
        ] {
            if differs(stated, found) {
                broken.push(format!("{id}: states a {what} of {stated}, which is {found}"));
            }
        }
    }
    for (image, (count, saved)) in plan.images.iter().zip(serves) {
        if image.serves != count || differs(image.saved_ms, saved) {
            broken.push(format!("{}: serves {count} functions and saves them {saved} ms, not as stated", image.id));
        }
    }
    // What is said of expected functions is for `verify_expected`.
    let aimed = if plan.aim == Aim::Known { plan.objective } else { plan.known_ms() };
    for (what, stated, found) in [
        ("objective", aimed, objective),
        ("objective for the known functions", plan.known.map_or(f64::NAN, |k| k.objective), objective),
        ("total", plan.total_ms, total),
    ] {
        if differs(stated, found) {
            broken.push(format!("states a {what} of {stated} ms, which is {found}"));
        }
    }
    let share = if total > 0.0 { objective / total } else { 0.0 };
    if differs(plan.saved_share, share) || plan.known.is_none_or(|k| differs(k.saved_share, share)) {
        broken.push(format!("states a saved share of {}, which is {share}", plan.saved_share));
    }
}

/// What each platform and trust domain has: images, memory and value, counted again from the images.
fn check_groups(plan: &Plan, broken: &mut Vec<String>) {
    // Plans of earlier versions do not say.
    if plan.groups.is_empty() {
        return;
    }
    type Key<'a> = (&'a Platform, &'a str, Option<&'a str>);
    let mut found: BTreeMap<Key, (usize, f64, f64)> = BTreeMap::new();
    for image in &plan.images {
        let share = found.entry((&image.platform, &image.trust_domain, image.pool.as_deref())).or_default();
        *share = (share.0 + 1, share.1 + image.added_mb, share.2 + image.saved_ms);
    }
    let mut memory = 0.0;
    for group in &plan.groups {
        let key = (&group.platform, group.trust_domain.as_str(), group.pool.as_deref());
        let (images, mb, saved) = found.remove(&key).unwrap_or_default();
        if group.images != images || differs(group.memory_mb, mb) || differs(group.objective, saved) {
            broken.push(format!(
                "groups: {} in {} has {images} images of {mb} MB that save {saved} ms, not as stated",
                group.platform, group.trust_domain
            ));
        }
        memory += group.memory_mb;
    }
    for (platform, domain, _) in found.keys() {
        broken.push(format!("groups: {platform} in {domain} is missing, or there twice"));
    }
    if differs(plan.memory_mb, memory) {
        broken.push(format!("groups: {memory} MB are divided, {} MB are taken", plan.memory_mb));
    }
}

/// Bound, gap, status and shares of value.
fn check_totals(plan: &Plan, broken: &mut Vec<String>) {
    if plan.bound.is_nan() || plan.bound < plan.objective {
        broken.push(format!("the bound {} is below the objective {}", plan.bound, plan.objective));
    }
    if let Some(second) =
        plan.proof.second_bound.as_ref().filter(|b| b.value < plan.bound || b.method == plan.proof.method)
    {
        broken.push(format!("its second bound {} by {} is no second one", second.value, second.method));
    }
    if plan.proof.method != plan.method.bound {
        broken.push(format!("its bound is by {} and by {}", plan.method.bound, plan.proof.method));
    }
    let gap = if plan.bound > 0.0 { (plan.bound - plan.objective) / plan.bound } else { 0.0 };
    if differs(plan.gap, gap) {
        broken.push(format!("states a gap of {}, which is {gap}", plan.gap));
    }
    if plan.status == Status::Optimal && plan.bound - plan.objective > 2.0 * TOLERANCE * plan.bound.max(1.0) {
        broken.push(format!("called optimal with a gap of {gap}"));
    }
    if plan.status == Status::Empty && !plan.images.is_empty() {
        broken.push("called empty, but holds images".into());
    }
    let sources: f64 = plan.value_by_source.values().sum();
    if plan.known_ms() > 0.0 && (sources - 1.0).abs() > 1e-4 {
        broken.push(format!("the shares of value by source add up to {sources}"));
    }
}
