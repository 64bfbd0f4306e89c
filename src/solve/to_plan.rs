//! A solution as the artefact that is written: names, assignments, modules to load, and where the figures come from.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};

use super::problem::{Group, Problem, Set};
use super::subsets::Parts;
use super::{Options, Solution};
use crate::graph::classes::Class;
use crate::model::inventory::{Function, Import, ImportKind, Inventory, State, Target};
use crate::model::plan::{self, Assignment, GroupShare, Image, NextBest, Plan, Share, Unserved, WhyUnserved};
use crate::model::platform::Language;
use crate::model::units::round;
use crate::model::{CostSource, Diagnostic, GENERATOR, PackageId, Place, codes, normalise_pypi};

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
}

/// Which chosen images can serve a class, the best first, with what they save.
struct Service {
    class: usize,
    images: Vec<(usize, f64)>,
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
    let Context { modules, weights, mut diagnostics } = context;
    let services = services(problem, solution);
    let images = images(inventory, classes, problem, solution, &services, modules);
    let mut assignments = Vec::new();
    let mut served = vec![false; inventory.functions.len()];
    for service in &services {
        let Some(&(best, saved)) = service.images.first() else { continue };
        let class = &classes[service.class];
        for &f in &class.functions {
            served[f] = true;
            assignments.push(Assignment {
                function: inventory.functions[f].id.clone(),
                image: images[best].id.clone(),
                class: class.digest.clone(),
                weight: inventory.functions[f].weight,
                saved_ms: round(saved, DIGITS),
                remaining_ms: round((problem.class_load_ms[service.class] - images[best].load_ms).max(0.0), DIGITS),
                next_best: service
                    .images
                    .get(1)
                    .map(|&(i, saved)| NextBest { image: images[i].id.clone(), saved_ms: round(saved, DIGITS) }),
            });
        }
    }
    assignments.sort_by(|a, b| a.function.cmp(&b.function));
    let unserved = unserved(inventory, classes, problem, solution, &served, options.budget_mb);

    if solution.chosen.is_empty() && unserved.iter().any(|u| u.why == WhyUnserved::TooLarge) {
        let least = solution.smallest_mb.iter().flatten().copied().min_by(f64::total_cmp).unwrap_or(0.0);
        if least > options.budget_mb {
            let reason =
                format!("the smallest image takes {least:.1} MB, the budget is {} MB", round(options.budget_mb, 3));
            diagnostics.push(Diagnostic::new(codes::BUDGET_TOO_SMALL, Place::default(), reason));
        }
    }
    diagnostics.sort();
    diagnostics.dedup();

    let total_ms = problem.total_ms();
    let objective = round(solution.objective, DIGITS);
    let bound = round_up(solution.bound.max(solution.objective)).max(objective);
    Plan {
        schema: plan::SCHEMA.into(),
        generator: GENERATOR.into(),
        budget_mb: options.budget_mb,
        max_images: options.max_images,
        share: Share::Subset,
        memory_mb: round(solution.memory_mb, DIGITS),
        objective,
        bound,
        gap: if bound > 0.0 { round((bound - objective) / bound, 9) } else { 0.0 },
        status: solution.status,
        method: solution.method.clone(),
        bound_covers: solution.bound_covers.clone(),
        total_ms: round(total_ms, DIGITS),
        saved_share: if total_ms > 0.0 { round(solution.objective / total_ms, DIGITS) } else { 0.0 },
        weights: weights.to_string(),
        value_by_source: value_by_source(classes, problem, solution, &services),
        size: solution.size,
        groups: groups(classes, problem, solution, &services),
        images: parents_first(images),
        assignments,
        unserved,
        open: open(inventory),
        diagnostics,
    }
}

/// What each platform and trust domain has of the plan.
fn groups(classes: &[Class], problem: &Problem, solution: &Solution, services: &[Service]) -> Vec<GroupShare> {
    let best: BTreeMap<usize, f64> = services.iter().filter_map(|s| Some((s.class, s.images.first()?.1))).collect();
    let of_group = |(group, share): (&Group, &super::Share)| {
        let members: Vec<usize> = group.demands.iter().flat_map(|d| d.classes.iter().copied()).collect();
        let saved = |&c: &usize| best.get(&c).map_or(0.0, |saved| problem.class_weight[c] * saved);
        GroupShare {
            platform: group.platform.clone(),
            trust_domain: group.trust_domain.clone(),
            functions: members.iter().map(|&c| classes[c].functions.len()).sum(),
            classes: members.len(),
            images: share.images,
            memory_mb: round(share.memory_mb, DIGITS),
            objective: round(members.iter().map(saved).sum(), DIGITS),
            least_in: share.least_in.map(|ratio| round(ratio, DIGITS)),
            most_out: share.most_out.map(|ratio| round(ratio, DIGITS)),
        }
    };
    problem.groups.iter().zip(&solution.shares).map(of_group).collect()
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

fn services(problem: &Problem, solution: &Solution) -> Vec<Service> {
    let values: Vec<f64> = solution.chosen.iter().map(|c| problem.groups[c.group].value_ms(&c.set)).collect();
    let mut out = Vec::new();
    for (g, group) in problem.groups.iter().enumerate() {
        let own: Vec<usize> = (0..values.len()).filter(|&i| solution.chosen[i].group == g && values[i] > 0.0).collect();
        let parts = Parts::new(group.items.len(), own.iter().map(|&i| &solution.chosen[i].set));
        for demand in &group.demands {
            let mut images: Vec<(usize, f64)> = parts.of(&demand.core).map(|k| (own[k], values[own[k]])).collect();
            images.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            out.extend(demand.classes.iter().map(|&class| Service { class, images: images.clone() }));
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
) -> Vec<Image> {
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
            Image {
                id: String::new(),
                parent: None,
                platform: group.platform.clone(),
                trust_domain: group.trust_domain.clone(),
                packages,
                preload: preload(group, &chosen.set, &functions, modules),
                load_ms: round(group.load_ms(&chosen.set), DIGITS),
                resident_mb: round(group.language.image_overhead_mb + resident, DIGITS),
                added_mb: round(group.language.image_overhead_mb + (resident - held).max(0.0), DIGITS),
                swap_ms: round(group.swap_ms(&chosen.set), DIGITS),
                serves: users.len(),
                saved_ms: 0.0,
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
        if matches!(import.kind, ImportKind::TypeOnly | ImportKind::DynamicUnknown) || import.module.starts_with('.') {
            continue;
        }
        wanted.entry(item).or_default().extend(import_names(import, package, group.platform.language));
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

/// What to import so that the distribution is loaded: `from google.cloud import storage` means `google.cloud.storage`
/// when that is what the distribution is called, as `google.cloud` alone is only a namespace.
fn import_names(import: &Import, package: &str, language: Language) -> Vec<String> {
    if language == Language::Python {
        let sub: Vec<String> = import
            .names
            .iter()
            .map(|name| format!("{}.{name}", import.module))
            .filter(|dotted| normalise_pypi(dotted) == package)
            .collect();
        if !sub.is_empty() {
            return sub;
        }
    }
    vec![import.module.clone()]
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
    budget_mb: f64,
) -> Vec<Unserved> {
    let mut class_of = vec![None; inventory.functions.len()];
    for (c, class) in classes.iter().enumerate() {
        class.functions.iter().for_each(|&f| class_of[f] = Some(c));
    }
    let has_core: BTreeSet<usize> =
        problem.groups.iter().flat_map(|g| &g.demands).flat_map(|d| d.classes.iter().copied()).collect();
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
                Some(c) => match solution.smallest_mb[c] {
                    Some(least) if least > budget_mb => WhyUnserved::TooLarge,
                    Some(_) => WhyUnserved::NotWorthIt,
                    None if problem.class_unpriced[c] > 0 => WhyUnserved::UnknownCost,
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
fn value_by_source(
    classes: &[Class],
    problem: &Problem,
    solution: &Solution,
    services: &[Service],
) -> BTreeMap<CostSource, f64> {
    let mut sums: BTreeMap<CostSource, f64> = BTreeMap::new();
    for service in services {
        let Some(&(best, saved)) = service.images.first() else { continue };
        let chosen = &solution.chosen[best];
        let group = &problem.groups[chosen.group];
        let load = group.load_ms(&chosen.set);
        for item in chosen.set.ones().map(|i| &group.items[i]) {
            let part = classes[service.class].weight * saved * item.price.load_ms / load;
            *sums.entry(item.price.source).or_default() += part;
        }
    }
    let total: f64 = sums.values().sum();
    sums.retain(|_, value| *value > 0.0);
    sums.into_iter().map(|(source, value)| (source, round(value / total, DIGITS))).collect()
}
