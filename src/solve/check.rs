//! Whether a plan still fits a fleet that may have changed since.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::usable::Usable;
use crate::graph::classes::class_digest;
use crate::model::codes;
use crate::model::plan::Share;
use crate::model::units::round;
use crate::model::wishes::Wish;
use crate::model::{Diagnostic, Function, Image, Inventory, PackageId, Place, Plan, Platform};

/// The answer.
#[derive(Debug, Clone, Serialize)]
pub struct Checked {
    /// Empty when the plan still fits; sorted.
    pub findings: Vec<Diagnostic>,
    /// Share of all load time that the plan saves the fleet as it is now.
    pub saved_share: f64,
    /// The share that it was planned to save.
    pub planned_share: f64,
    /// Functions of the fleet now.
    pub functions: usize,
    /// Those that an image of the plan serves.
    pub served: usize,
}

/// What loading a package costs, and what it costs those who do not need it.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// Milliseconds to load it.
    pub load_ms: f64,
    /// Milliseconds charged to each start that does not need it, beside the swap.
    pub waste_ms: f64,
}

/// Compares a plan with the fleet as it is now.
///
/// `before` is the inventory that the plan was made from: with it, a changed closure is described package by package.
/// Weights are the plan's; a function that it does not know gets their mean.
pub fn check(
    plan: &Plan,
    plan_file: &str,
    before: Option<&Inventory>,
    now: &Inventory,
    cost: &dyn Fn(&PackageId, &Platform) -> Option<Cost>,
    min_saved: Option<f64>,
) -> Checked {
    let planned = Planned::new(plan);
    let old: BTreeMap<&str, &Function> = before.iter().flat_map(|i| &i.functions).map(|f| (f.id.as_str(), f)).collect();
    let images: Vec<(&Image, BTreeSet<PackageId>)> =
        plan.images.iter().map(|i| (i, i.package_ids().into_iter().collect())).collect();

    let usable = Usable::new(plan, images.iter().flat_map(|(_, set)| set), now);
    let mut findings = Vec::new();
    let mut used: BTreeSet<&str> = BTreeSet::new();
    let (mut saved, mut total, mut served) = (0.0, 0.0, 0);
    for function in &now.functions {
        let place = function.declared_at.clone().unwrap_or_else(|| Place::file(&function.path));
        let finding = |code, reason: String| Diagnostic::new(code, place.clone(), reason).for_function(&function.id);
        let weight = planned.weight(&function.id);
        let value = |image: &Image, set: &BTreeSet<PackageId>| {
            let split = usable.split(image, set, function)?;
            if split.unneeded.is_empty() {
                return Some(image.load_ms - image.swap_ms);
            }
            let costs = |ids: &[&PackageId]| ids.iter().filter_map(|id| cost(id, &image.platform)).collect::<Vec<_>>();
            let load: f64 = costs(&split.needed).iter().map(|c| c.load_ms).sum();
            let waste: f64 = costs(&split.unneeded).iter().map(|c| c.waste_ms).sum();
            Some(load - image.swap_ms - waste)
        };
        let best = images
            .iter()
            .filter_map(|(image, set)| Some((value(image, set)?, *image)))
            .filter(|(value, _)| *value > 0.0)
            .max_by(|a, b| a.0.total_cmp(&b.0).then_with(|| b.1.id.cmp(&a.1.id)));
        if let Some((value, image)) = best {
            saved += weight * value;
            served += 1;
            used.insert(&image.id);
        }
        if let Some(platform) = &function.platform {
            total +=
                weight * function.closure.iter().filter_map(|id| cost(id, platform)).map(|c| c.load_ms).sum::<f64>();
        }

        let Some(entry) = planned.functions.get(function.id.as_str()) else {
            findings.push(finding(codes::FUNCTION_ADDED, format!("`{}` is not in the plan", function.id)));
            continue;
        };
        let digest = function.platform.as_ref().map(|p| class_digest(p, &function.trust_domain, &function.closure));
        if digest.as_deref() != entry.class {
            let what = old.get(function.id.as_str()).map_or_else(String::new, |before| difference(before, function));
            findings.push(finding(
                codes::CLOSURE_CHANGED,
                format!("what `{}` loads is not what was planned{what}", function.id),
            ));
        }
        if let Some(id) = entry.image
            && !images.iter().any(|(image, set)| image.id == id && value(image, set).is_some())
        {
            let instead = match best {
                Some((_, image)) => format!("; the best it can use now is {}", image.id),
                None => "; it would start cold".to_string(),
            };
            let not = match plan.share {
                Share::Subset => "it does not load",
                Share::Superset => "are in the way of what it loads",
            };
            findings.push(finding(
                codes::IMAGE_LOST,
                format!("`{}` can no longer use {id}, which holds packages that {not}{instead}", function.id),
            ));
        }
    }

    let there: BTreeSet<&str> = now.functions.iter().map(|f| f.id.as_str()).collect();
    let whole = |code, reason: String| Diagnostic::new(code, Place::file(plan_file), reason);
    for id in planned.functions.keys().filter(|id| !there.contains(*id)) {
        findings.push(
            whole(codes::FUNCTION_REMOVED, format!("`{id}` is in the plan but not in the fleet")).for_function(*id),
        );
    }
    // A parent keeps memory for its children even when it serves nobody itself.
    let parents: BTreeSet<&str> = plan.images.iter().filter_map(|i| i.parent.as_deref()).collect();
    // Nor was an image unused that served nobody from the beginning: it is for functions that may come.
    // A pinned image is there whatever it saves.
    let pinned: BTreeSet<&str> = plan
        .demands
        .iter()
        .filter(|d| matches!(d.wished.wish, Wish::Pin { .. }))
        .filter_map(|d| d.of.as_deref())
        .collect();
    let kept = |i: &&Image| [&used, &parents, &pinned].iter().any(|set| set.contains(i.id.as_str()));
    for image in plan.images.iter().filter(|i| i.serves > 0 && !kept(i)) {
        findings.push(whole(codes::IMAGE_UNUSED, format!("{} serves no function any more", image.id)));
    }
    let saved_share = if total > 0.0 { round(saved / total, 6) } else { 0.0 };
    if let Some(least) = min_saved.filter(|least| saved_share < *least) {
        findings.push(whole(
            codes::SAVED_SHARE_FELL,
            format!(
                "the plan saves {:.1} % of all load time; at least {:.1} % is asked for",
                saved_share * 100.0,
                least * 100.0
            ),
        ));
    }
    findings.sort();
    Checked { findings, saved_share, planned_share: plan.saved_share, functions: now.functions.len(), served }
}

/// What a plan says of each function.
struct Planned<'a> {
    functions: BTreeMap<&'a str, Entry<'a>>,
    mean_weight: f64,
}

struct Entry<'a> {
    class: Option<&'a str>,
    image: Option<&'a str>,
    weight: f64,
}

impl<'a> Planned<'a> {
    fn new(plan: &'a Plan) -> Self {
        let served = plan
            .assignments
            .iter()
            .map(|a| (a.function.as_str(), Entry { class: Some(&a.class), image: Some(&a.image), weight: a.weight }));
        let unserved = plan
            .unserved
            .iter()
            .map(|u| (u.function.as_str(), Entry { class: u.class.as_deref(), image: None, weight: u.weight }));
        let functions: BTreeMap<&str, Entry<'_>> = served.chain(unserved).collect();
        let mean_weight = match functions.len() {
            0 => 1.0,
            n => functions.values().map(|e| e.weight).sum::<f64>() / n as f64,
        };
        Self { functions, mean_weight }
    }

    fn weight(&self, function: &str) -> f64 {
        self.functions.get(function).map_or(self.mean_weight, |e| e.weight)
    }
}

/// `: platform …; now loads …; no longer loads …`, the first few of each.
fn difference(before: &Function, now: &Function) -> String {
    let mut parts = Vec::new();
    if before.platform != now.platform {
        let name = |f: &Function| f.platform.as_ref().map_or_else(|| "unknown".into(), ToString::to_string);
        parts.push(format!("its platform was {} and is {}", name(before), name(now)));
    }
    if before.trust_domain != now.trust_domain {
        parts.push(format!("its trust domain was {} and is {}", before.trust_domain, now.trust_domain));
    }
    let list = |ids: Vec<&PackageId>| {
        let first: Vec<String> = ids.iter().take(4).map(|id| id.spec()).collect();
        format!("{}{}", first.join(", "), if ids.len() > 4 { " …" } else { "" })
    };
    let only = |a: &Function, b: &Function| -> Vec<PackageId> {
        a.closure.iter().filter(|id| b.closure.binary_search(id).is_err()).cloned().collect()
    };
    let (gone, new) = (only(before, now), only(now, before));
    if !new.is_empty() {
        parts.push(format!("it now loads {}", list(new.iter().collect())));
    }
    if !gone.is_empty() {
        parts.push(format!("it no longer loads {}", list(gone.iter().collect())));
    }
    if parts.is_empty() { String::new() } else { format!(": {}", parts.join("; ")) }
}
