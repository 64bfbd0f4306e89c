//! Whether the calls that images make before they serve are those of functions that they serve, fit, and pay.

use std::collections::BTreeMap;

use super::differs;
use crate::model::costs::LanguageCosts;
use crate::model::plan::{Image, Plan};
use crate::model::platform::Language;
use crate::model::wishes::{REST, Wish};

/// Sums, budgets, and each call.
pub(super) fn check(plan: &Plan, language: &dyn Fn(Language) -> LanguageCosts, broken: &mut Vec<String>) {
    let calls = |image: &Image| -> f64 { image.warmup.iter().filter_map(|w| w.added_mb).sum() };
    let parents: BTreeMap<&str, Option<&str>> =
        plan.images.iter().map(|i| (i.id.as_str(), i.parent.as_deref())).collect();
    // An image and those that it stands on, itself first; a circle ends after as many steps as there are images.
    let line = |image: &Image| -> Vec<String> {
        let mut out = vec![image.id.clone()];
        let mut next = image.parent.as_deref();
        while let Some(id) = next.filter(|_| out.len() <= plan.images.len()) {
            out.push(id.to_string());
            next = parents.get(id).copied().flatten();
        }
        out
    };
    let (mut memory, mut saved) = (0.0, 0.0);
    let mut by_pool: BTreeMap<&str, f64> = BTreeMap::new();
    for image in plan.images.iter().filter(|i| !i.warmup.is_empty()) {
        let added = calls(image);
        memory += added;
        *by_pool.entry(image.pool.as_deref().unwrap_or(REST)).or_default() += added;
        let on_it = |id: &str| plan.images.iter().any(|i| i.id == id && line(i).contains(&image.id));
        let starts: f64 = plan.assignments.iter().filter(|a| on_it(&a.image)).map(|a| a.weight).sum();
        saved -= language(image.platform.language).swap_ms_per_mb * added * starts;
        for call in &image.warmup {
            let whose =
                plan.assignments.iter().find(|a| a.image == image.id && Some(&a.function) == call.function.as_ref());
            let (Some(whose), Some(ms), Some(mb)) = (whose, call.saved_ms, call.added_mb) else {
                broken
                    .push(format!("{}: warms up by a call that is no measured one of a function it serves", image.id));
                continue;
            };
            if !(ms > 0.0 && ms.is_finite() && mb >= 0.0 && mb.is_finite()) {
                broken.push(format!("{}: states a warm-up of {ms} ms and {mb} MB", image.id));
            }
            saved += ms * whose.weight;
        }
    }
    let said = plan.warmups.map_or((0.0, 0.0), |w| (w.memory_mb, w.saved_ms));
    if differs(said.0, memory) || differs(said.1, saved) {
        let stated = format!("{} MB and {} ms", said.0, said.1);
        broken.push(format!("states warm-ups of {stated}, which are {memory} MB and {saved} ms"));
    }
    let above = |taken: f64, budget: f64| taken > budget * (1.0 + 1e-9) + 1e-6;
    if memory > 0.0 && above(plan.memory_mb + memory, plan.budget_mb) {
        broken.push(format!("takes {} MB with its warm-ups, more than the budget", plan.memory_mb + memory));
    }
    for pool in &plan.pools {
        let more = by_pool.get(pool.of.name.as_str()).copied().unwrap_or(0.0);
        if more > 0.0 && above(pool.memory_mb + more, pool.budget_mb) {
            broken.push(format!("pool {}: takes more than its budget with its warm-ups", pool.of.name));
        }
    }
    for demand in &plan.demands {
        let Wish::MaxImage { mb } = demand.wished.wish else { continue };
        for image in &plan.images {
            let pool = image.pool.as_deref().unwrap_or(REST);
            let held: f64 = plan.images.iter().filter(|i| line(image).contains(&i.id)).map(calls).sum();
            if demand.wished.pool.as_deref().is_none_or(|p| p == pool)
                && held > 0.0
                && above(image.resident_mb + held, mb)
            {
                broken.push(format!("{}: is larger with its warm-ups than an image may be", image.id));
            }
        }
    }
}
