//! A solution as the artefact that is written: names, assignments, modules to load, and where the figures come from.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};

use super::problem::{Demand, Group, Problem, Set};
use super::stable::Gone;
use super::subsets::Parts;
use super::superset::{self, Values};
use super::{Chosen, Options, Solution};
use crate::graph::classes::Class;
use crate::model::inventory::{Function, Inventory, State, Target};
use crate::model::plan::{
    self, Assignment, Changes, GroupShare, Image, NextBest, OtherBound, Plan, Proof, Removed, Unserved, WhyUnserved,
};
use crate::model::units::round;
use crate::model::{CostSource, Diagnostic, GENERATOR, PackageId, Place, Platform, codes};

/// Decimals kept of milliseconds and MB.
const DIGITS: u32 = 6;
/// Longest image id: it is a DNS label and part of an OCI reference.
const ID_LENGTH: usize = 63;

/// What a plan says besides the solution.
pub struct Context<'a> {
    /// The import names of a package that no function imports by itself.
    pub modules: &'a dyn Fn(&PackageId) -> Vec<String>,
    /// Where the weights come from: `uniform`, or the trace's description.
    pub weights: &'a str,
    /// Those of [`super::problem()`].
    pub diagnostics: Vec<Diagnostic>,
    /// The plan that this one was made from, and its images that cannot stay.
    pub before: Option<(&'a Plan, Vec<Gone>)>,
}

/// Rounded so that both bounds hold as they are written.
fn proof(solution: &Solution, bound: f64) -> Proof {
    let second = solution.proof.second_bound.as_ref();
    Proof {
        second_bound: second.map(|b| OtherBound { value: round_up(b.value).max(bound), ..b.clone() }),
        seconds: solution.proof.seconds.map(|s| round(s, 3)),
        ..solution.proof.clone()
    }
}

/// Which chosen images can serve a class, the best first, with what they save.
struct Service<'a> {
    class: usize,
    group: &'a Group,
    demand: &'a Demand,
    images: Vec<(usize, f64)>,
}

impl Service<'_> {
    /// What its functions load of an image.
    fn needed(&self, chosen: &Chosen) -> Set {
        superset::needed(self.demand, &chosen.set)
    }
}

/// Fills in the plan.
///
/// `solution` must be that of `problem`, and `problem` that of `inventory` and `classes`.
pub fn to_plan(
    inventory: &Inventory,
    classes: &[Class],
    problem: &Problem,
    solution: &Solution,
    options: &Options,
    context: Context,
) -> Plan {
    let Context { modules, weights, mut diagnostics, before } = context;
    let services = services(problem, solution);
    let old = before.as_ref().map(|(plan, _)| *plan);
    let images = images(inventory, classes, problem, solution, &services, modules, old);
    let mut assignments = Vec::new();
    let mut served = vec![false; inventory.functions.len()];
    for service in &services {
        let Some(&(best, saved)) = service.images.first() else { continue };
        let class = &classes[service.class];
        let chosen = &solution.chosen[best];
        let needed = service.needed(chosen);
        let remaining = problem.class_load_ms[service.class] - service.group.load_ms(&needed);
        let unneeded: Vec<usize> = chosen.set.difference(&needed).collect();
        let unneeded_mb: f64 = unneeded.iter().map(|&i| service.group.items[i].price.resident_mb).sum();
        for &f in &class.functions {
            served[f] = true;
            assignments.push(Assignment {
                function: inventory.functions[f].id.clone(),
                image: images[best].id.clone(),
                class: class.digest.clone(),
                weight: inventory.functions[f].weight,
                saved_ms: round(saved, DIGITS),
                remaining_ms: round(remaining.max(0.0), DIGITS),
                unneeded: unneeded.len(),
                unneeded_mb: round(unneeded_mb, DIGITS),
                next_best: service
                    .images
                    .get(1)
                    .map(|&(i, saved)| NextBest { image: images[i].id.clone(), saved_ms: round(saved, DIGITS) }),
            });
        }
    }
    assignments.sort_by(|a, b| a.function.cmp(&b.function));
    let budget_of = |class: usize| match problem.class_pool[class] {
        Some(pool) => solution.budgets_mb.get(pool).copied().unwrap_or(options.budget_mb),
        None => options.budget_mb,
    };
    let unserved = unserved(inventory, classes, problem, solution, &served, &budget_of);

    if solution.chosen.is_empty() && unserved.iter().any(|u| u.why == WhyUnserved::TooLarge) {
        let least = solution.smallest_mb.iter().flatten().copied().min_by(f64::total_cmp).unwrap_or(0.0);
        if least > options.budget_mb {
            let reason =
                format!("the smallest image takes {least:.1} MB, the budget is {} MB", round(options.budget_mb, 3));
            diagnostics.push(Diagnostic::new(codes::BUDGET_TOO_SMALL, Place::default(), reason));
        }
    }
    let changes = before.and_then(|(old, gone)| changes(old, gone, &images, solution, options));
    if let Some(few) = changes.as_ref().filter(|c| c.loss > c.max_loss + 1e-9) {
        let reason = format!(
            "the plan saves {:.2} % less than the best one found; {} % was allowed",
            few.loss * 100.0,
            round(few.max_loss * 100.0, 3)
        );
        diagnostics.push(Diagnostic::new(codes::CHANGES_TOO_FEW, Place::default(), reason));
    }
    diagnostics.sort();
    diagnostics.dedup();

    let total_ms = problem.total_ms();
    let objective = round(solution.objective, DIGITS);
    let saved_share = if total_ms > 0.0 { round(solution.known_objective / total_ms, DIGITS) } else { 0.0 };
    let bound = round_up(solution.bound.max(solution.objective)).max(objective);
    Plan {
        schema: plan::SCHEMA.into(),
        generator: GENERATOR.into(),
        budget_mb: options.budget_mb,
        max_images: options.max_images,
        share: options.share,
        memory_mb: round(solution.memory_mb, DIGITS),
        aim: options.aim(),
        objective,
        bound,
        gap: if bound > 0.0 { round((bound - objective) / bound, 9) } else { 0.0 },
        status: solution.status,
        method: solution.method.clone(),
        proof: proof(solution, bound),
        bound_covers: solution.bound_covers.clone(),
        total_ms: round(total_ms, DIGITS),
        saved_share,
        known: Some(plan::Known { objective: round(solution.known_objective, DIGITS), saved_share }),
        expected: solution.expected.map(|e| plan::Expected { weight_share: round(e.weight_share, DIGITS), ..e }),
        weights: weights.to_string(),
        value_by_source: value_by_source(classes, solution, &services),
        size: solution.size,
        groups: groups(classes, problem, solution, &services),
        images: parents_first(images),
        assignments,
        unserved,
        pools: Vec::new(),
        demands: Vec::new(),
        open: open(inventory),
        changes,
        warmups: None,
        diagnostics,
    }
}

/// What each platform and trust domain has of the plan.
fn groups(classes: &[Class], problem: &Problem, solution: &Solution, services: &[Service]) -> Vec<GroupShare> {
    let best: BTreeMap<usize, f64> = services.iter().filter_map(|s| Some((s.class, s.images.first()?.1))).collect();
    let of_group = |(group, part): (&Group, &super::Portion)| {
        let members: Vec<usize> = group.demands.iter().flat_map(|d| d.classes.iter().copied()).collect();
        let saved = |&c: &usize| best.get(&c).map_or(0.0, |saved| problem.class_weight[c] * saved);
        GroupShare {
            platform: group.platform.clone(),
            trust_domain: group.trust_domain.clone(),
            pool: group.pool_name.clone(),
            functions: members.iter().map(|&c| classes[c].functions.len()).sum(),
            classes: members.len(),
            images: part.images,
            memory_mb: round(part.memory_mb, DIGITS),
            objective: round(members.iter().map(saved).sum(), DIGITS),
            least_in: part.least_in.map(|ratio| round(ratio, DIGITS)),
            most_out: part.most_out.map(|ratio| round(ratio, DIGITS)),
        }
    };
    problem.groups.iter().zip(&solution.portions).map(of_group).collect()
}

/// What of the weight rests on closures that are not known as a whole.
pub fn open(inventory: &Inventory) -> Vec<plan::Open> {
    let all: f64 = inventory.functions.iter().map(|f| f.weight).sum();
    [State::Unresolved, State::Partial, State::Pinned]
        .into_iter()
        .filter_map(|state| {
            let weights: Vec<f64> = inventory.functions.iter().filter(|f| f.state == state).map(|f| f.weight).collect();
            let share = if all > 0.0 { weights.iter().sum::<f64>() / all } else { 0.0 };
            (!weights.is_empty()).then(|| plan::Open {
                state,
                functions: weights.len(),
                weight_share: round(share, DIGITS),
            })
        })
        .collect()
}

/// Rounds a bound so that it stays one, finely enough not to open a gap that is closed.
fn round_up(value: f64) -> f64 {
    let scale = 1e9;
    // A negative zero would print as `-0.0`.
    (value * scale).ceil() / scale + 0.0
}

fn services<'a>(problem: &'a Problem, solution: &Solution) -> Vec<Service<'a>> {
    let mut out = Vec::new();
    for (g, group) in problem.groups.iter().enumerate() {
        let values = Values::new(group);
        let own: Vec<usize> = (0..solution.chosen.len()).filter(|&i| solution.chosen[i].group == g).collect();
        let sets: Vec<_> = own.iter().map(|&i| values.of(&solution.chosen[i].set)).collect();
        let parts = Parts::new(group.items.len(), own.iter().map(|&i| &solution.chosen[i].set));
        for demand in &group.demands {
            let near: Vec<usize> =
                if superset::is_wide(group) { (0..own.len()).collect() } else { parts.of(&demand.core).collect() };
            let mut images: Vec<(usize, f64)> = near
                .into_iter()
                .filter_map(|k| Some((own[k], sets[k].for_demand(demand)?)))
                .filter(|(_, value)| *value > 0.0)
                .collect();
            images.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            out.extend(demand.classes.iter().map(|&class| Service { class, group, demand, images: images.clone() }));
        }
    }
    out
}

/// The images in the order of the solution.
fn images(
    inventory: &Inventory,
    classes: &[Class],
    problem: &Problem,
    solution: &Solution,
    services: &[Service],
    modules: &dyn Fn(&PackageId) -> Vec<String>,
    old: Option<&Plan>,
) -> Vec<Image> {
    let there = images_there(old);
    let mut users: Vec<Vec<usize>> = vec![Vec::new(); solution.chosen.len()];
    let mut saved = vec![0.0; solution.chosen.len()];
    for service in services {
        if let Some(&(best, value)) = service.images.first() {
            users[best].extend(&classes[service.class].functions);
            saved[best] += problem.class_weight[service.class] * value;
        }
    }
    let mut images: Vec<Image> = solution
        .chosen
        .iter()
        .zip(&mut users)
        .map(|(chosen, users)| {
            users.sort_unstable();
            let group = &problem.groups[chosen.group];
            let functions: Vec<&Function> = users.iter().map(|&f| &inventory.functions[f]).collect();
            let mut packages: Vec<String> = chosen.set.ones().map(|i| group.items[i].id.spec()).collect();
            packages.sort();
            let held = chosen.parent.map_or(0.0, |p| group.resident_mb(&solution.chosen[p].set));
            let resident = group.resident_mb(&chosen.set);
            // An image that is there keeps what it preloads, and with that its id.
            let known = there.get(&(
                &group.platform,
                group.trust_domain.as_str(),
                group.pool_name.as_deref(),
                packages.as_slice(),
            ));
            let preload = match known {
                Some(image) => image.preload.clone(),
                None => preload(group, &chosen.set, &functions, modules),
            };
            Image {
                id: String::new(),
                parent: None,
                platform: group.platform.clone(),
                trust_domain: group.trust_domain.clone(),
                pool: group.pool_name.clone(),
                packages,
                preload,
                load_ms: round(group.load_ms(&chosen.set), DIGITS),
                resident_mb: round(group.language.image_overhead_mb + resident, DIGITS),
                added_mb: round(group.language.image_overhead_mb + (resident - held).max(0.0), DIGITS),
                swap_ms: round(group.swap_ms(&chosen.set), DIGITS),
                serves: users.len(),
                saved_ms: 0.0,
                warmup: Vec::new(),
            }
        })
        .collect();
    images.iter_mut().zip(&saved).for_each(|(image, saved)| image.saved_ms = round(*saved, DIGITS));

    let name = |images: &mut [Image], digits: usize| -> usize {
        for (image, chosen) in images.iter_mut().zip(&solution.chosen) {
            image.id = image_id(&problem.groups[chosen.group], &chosen.set, image, digits);
        }
        images.iter().map(|image| &image.id).collect::<BTreeSet<_>>().len()
    };
    if name(&mut images, 8) < images.len() {
        name(&mut images, 32);
    }
    for (i, chosen) in solution.chosen.iter().enumerate() {
        images[i].parent = chosen.parent.map(|p| images[p].id.clone());
    }
    images
}

/// Platform, trust domain, pool and packages.
type What<'a> = (&'a Platform, &'a str, Option<&'a str>, &'a [String]);

/// The images of a plan by what they are.
fn images_there(old: Option<&Plan>) -> BTreeMap<What<'_>, &Image> {
    let images = old.map_or(&[][..], |plan| &plan.images);
    images
        .iter()
        .map(|i| ((&i.platform, i.trust_domain.as_str(), i.pool.as_deref(), i.packages.as_slice()), i))
        .collect()
}

/// What became of the images of the plan before.
fn changes(old: &Plan, gone: Vec<Gone>, images: &[Image], solution: &Solution, options: &Options) -> Option<Changes> {
    let (stable, best) = options.stable.zip(solution.unsettled)?;
    let before: BTreeMap<&str, &Image> = old.images.iter().map(|i| (i.id.as_str(), i)).collect();
    let now: BTreeSet<&str> = images.iter().map(|i| i.id.as_str()).collect();
    let mut why: BTreeMap<String, String> = gone.into_iter().map(|g| (g.image, g.why)).collect();
    let (mut built, mut reparented) = (Vec::new(), Vec::new());
    for image in images {
        match before.get(image.id.as_str()) {
            None => built.push(image.id.clone()),
            Some(was) if was.parent != image.parent => reparented.push(image.id.clone()),
            Some(_) => {}
        }
    }
    built.sort();
    reparented.sort();
    let removed = before.keys().filter(|id| !now.contains(*id));
    let removed = removed.map(|id| Removed { image: id.to_string(), why: why.remove(*id) }).collect();
    Some(Changes {
        max_changes: stable.max_changes,
        max_loss: stable.loss,
        best_objective: round(best.max(solution.objective), DIGITS),
        loss: if best > 0.0 { round((1.0 - solution.objective / best).max(0.0), 9) } else { 0.0 },
        kept: images.len() - built.len() - reparented.len(),
        built,
        reparented,
        removed,
    })
}

/// Parents before children, then by id.
fn parents_first(mut images: Vec<Image>) -> Vec<Image> {
    let parent: BTreeMap<String, Option<String>> = images.iter().map(|i| (i.id.clone(), i.parent.clone())).collect();
    let depth = |image: &Image| {
        let mut depth = 0;
        let mut current = &image.parent;
        // Parents are proper subsets, so the walk ends.
        while let Some(id) = current {
            depth += 1;
            current = parent.get(id).unwrap_or(&None);
        }
        depth
    };
    images.sort_by_cached_key(|image| (depth(image), image.id.clone()));
    images
}

/// `py311-numpy-pandas-3f9a01c2`: platform, the two packages that take longest to load, and a hash of what the image is.
fn image_id(group: &Group, set: &Set, image: &Image, digits: usize) -> String {
    let mut hasher = Sha256::new();
    hasher.update(format!("{}\n{}\n", image.platform, image.trust_domain));
    if let Some(pool) = &image.pool {
        hasher.update(format!("pool {pool}\n"));
    }
    for package in &image.packages {
        hasher.update(format!("package {package}\n"));
    }
    for module in &image.preload {
        hasher.update(format!("preload {module}\n"));
    }
    let hash: String = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    let mut heavy: Vec<usize> = set.ones().collect();
    heavy.sort_by(|&a, &b| group.items[b].price.load_ms.total_cmp(&group.items[a].price.load_ms).then(a.cmp(&b)));
    let mut prefix = label(&group.platform.short());
    for i in heavy.into_iter().take(2) {
        prefix = format!("{prefix}-{}", label(&group.items[i].id.name));
    }
    prefix.truncate(ID_LENGTH - 1 - digits);
    format!("{}-{}", prefix.trim_end_matches('-'), &hash[..digits])
}

/// Lower-case letters, digits and single hyphens.
fn label(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars().map(|c| c.to_ascii_lowercase()) {
        if c.is_ascii_lowercase() || c.is_ascii_digit() {
            out.push(c);
        } else if !out.is_empty() && !out.ends_with('-') {
            out.push('-');
        }
    }
    out.trim_end_matches('-').to_string()
}

/// Modules to load: what the served functions import of the image's packages, and the packages that neither they nor
/// other packages of the image would bring in; what others need comes first.
fn preload(
    group: &Group,
    set: &Set,
    functions: &[&Function],
    modules: &dyn Fn(&PackageId) -> Vec<String>,
) -> Vec<String> {
    let by_name: BTreeMap<&str, usize> = set.ones().map(|i| (group.items[i].id.name.as_str(), i)).collect();
    let mut wanted: BTreeMap<usize, BTreeSet<String>> = BTreeMap::new();
    for import in functions.iter().flat_map(|f| &f.imports) {
        let Target::Package { package } = &import.target else { continue };
        let Some(&item) = by_name.get(package.as_str()) else { continue };
        wanted.entry(item).or_default().extend(import.loads(package, group.platform.language));
    }
    for i in set.ones() {
        let needed = set.ones().any(|k| k != i && group.items[k].requires.iter().any(|r| r.contains(i)));
        if !needed && !wanted.contains_key(&i) {
            wanted.entry(i).or_default().extend(modules(&group.items[i].id));
        }
    }
    let mut seen = BTreeSet::new();
    dependency_order(group, set)
        .into_iter()
        .flat_map(|i| wanted.remove(&i).unwrap_or_default())
        .filter(|module| seen.insert(module.clone()))
        .collect()
}

/// The packages of a set, each after what it requires; circles are entered at the first by id.
fn dependency_order(group: &Group, set: &Set) -> Vec<usize> {
    let mut order = Vec::new();
    let mut entered = Set::with_capacity(group.items.len());
    for root in set.ones() {
        // Depth first without recursion: `true` marks the way back.
        let mut stack = vec![(root, false)];
        while let Some((i, leaving)) = stack.pop() {
            if leaving {
                order.push(i);
            } else if !entered.put(i) {
                stack.push((i, true));
                let mut required: Vec<usize> =
                    group.items[i].requires.iter().filter(|r| r.is_subset(set)).flat_map(Set::ones).collect();
                required.sort_unstable();
                stack.extend(required.into_iter().rev().filter(|&r| !entered.contains(r)).map(|r| (r, false)));
            }
        }
    }
    order
}

fn unserved(
    inventory: &Inventory,
    classes: &[Class],
    problem: &Problem,
    solution: &Solution,
    served: &[bool],
    budget_of: &dyn Fn(usize) -> f64,
) -> Vec<Unserved> {
    let mut class_of = vec![None; inventory.functions.len()];
    for (c, class) in classes.iter().enumerate() {
        class.functions.iter().for_each(|&f| class_of[f] = Some(c));
    }
    let has_core: BTreeSet<usize> =
        problem.groups.iter().flat_map(|g| &g.demands).flat_map(|d| d.classes.iter().copied()).collect();
    // What an image could hold of them is worth a swap, but images may not be so large.
    let cut: BTreeSet<usize> = problem
        .groups
        .iter()
        .filter(|g| g.max_image_mb.is_finite())
        .flat_map(|g| g.demands.iter().filter(|d| g.value_ms(&super::trim::trim(g, &d.core)) > 0.0))
        .flat_map(|d| d.classes.iter().copied())
        .collect();
    let mut out: Vec<Unserved> = (0..inventory.functions.len())
        .filter(|&f| !served[f])
        .map(|f| {
            let function = &inventory.functions[f];
            let why = match class_of[f] {
                None => WhyUnserved::UnknownPlatform,
                Some(_) if function.closure.is_empty() => {
                    let resolved = function.unresolved.is_empty() && function.state != State::Unresolved;
                    if resolved { WhyUnserved::NothingToShare } else { WhyUnserved::Unresolved }
                }
                Some(c) if problem.class_pool[c].is_none() => WhyUnserved::Asked,
                Some(c) => match solution.smallest_mb[c] {
                    Some(least) if least > budget_of(c) => WhyUnserved::TooLarge,
                    Some(_) => WhyUnserved::NotWorthIt,
                    None if problem.class_unpriced[c] > 0 => WhyUnserved::UnknownCost,
                    None if problem.class_excluded[c] => WhyUnserved::Excluded,
                    None if cut.contains(&c) => WhyUnserved::TooLarge,
                    None if has_core.contains(&c) && problem.class_load_ms[c] > 0.0 => WhyUnserved::NotWorthIt,
                    None => WhyUnserved::NothingToShare,
                },
            };
            Unserved {
                function: function.id.clone(),
                class: class_of[f].map(|c| classes[c].digest.clone()),
                weight: function.weight,
                load_ms: class_of[f].map_or(0.0, |c| round(problem.class_load_ms[c], DIGITS)),
                why,
            }
        })
        .collect();
    out.sort_by(|a, b| a.function.cmp(&b.function));
    out
}

/// Share of the objective by the source of the load times it rests on.
fn value_by_source(classes: &[Class], solution: &Solution, services: &[Service]) -> BTreeMap<CostSource, f64> {
    let mut sums: BTreeMap<CostSource, f64> = BTreeMap::new();
    for service in services {
        let Some(&(best, saved)) = service.images.first() else { continue };
        let chosen = &solution.chosen[best];
        let needed = service.needed(chosen);
        let load = service.group.load_ms(&needed);
        for item in needed.ones().map(|i| &service.group.items[i]) {
            let part = classes[service.class].weight * saved * item.price.load_ms / load;
            *sums.entry(item.price.source).or_default() += part;
        }
    }
    let total: f64 = sums.values().sum();
    sums.retain(|_, value| *value > 0.0);
    sums.into_iter().map(|(source, value)| (source, round(value / total, DIGITS))).collect()
}
