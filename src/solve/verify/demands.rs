//! Whether a plan does what it says was asked of it, from names alone.

use std::collections::BTreeSet;

use super::{Held, differs, service};
use crate::model::inventory::Inventory;
use crate::model::plan::{Aim, Demanded, Image, Plan};
use crate::model::wishes::{REST, Wish, is_package, settle};
use crate::model::{PackageId, Platform};
use crate::solve::problem::Price;
use crate::solve::usable::Usable;

/// Sums of the pools, and each demand.
pub(super) fn check(
    plan: &Plan,
    inventory: &Inventory,
    price: &dyn Fn(&PackageId, &Platform) -> Option<Price>,
    held: &[Held],
    broken: &mut Vec<String>,
) {
    let (mut memory, mut objective, mut bound, mut count) = (0.0, 0.0, 0.0, 0);
    for pool in &plan.pools {
        let name = Some(pool.of.name.as_str()).filter(|n| *n != REST);
        let images = || plan.images.iter().filter(|i| i.pool.as_deref() == name);
        let taken: f64 = images().map(|i| i.added_mb).sum();
        let saved: f64 = images().map(|i| i.saved_ms).sum();
        let wrong = [
            ("memory", pool.memory_mb, taken),
            ("images", pool.images as f64, images().count() as f64),
            // What functions that are only expected are saved is not told of each image.
            ("objective", pool.objective, if plan.aim == Aim::Known { saved } else { pool.objective }),
        ];
        for (what, stated, found) in wrong.into_iter().filter(|(_, stated, found)| differs(*stated, *found)) {
            broken.push(format!("pool {}: states {what} of {stated}, which is {found}", pool.of.name));
        }
        if taken > pool.budget_mb * (1.0 + 1e-9) + 1e-6 {
            broken.push(format!("pool {}: takes {taken} MB, more than its {} MB", pool.of.name, pool.budget_mb));
        }
        memory += pool.budget_mb;
        objective += pool.objective;
        bound += pool.bound;
        count += images().count();
    }
    if plan.images.iter().any(|i| i.pool.is_some()) || !plan.pools.is_empty() {
        if count != plan.images.len() {
            broken.push("an image is of no pool".into());
        }
        if memory > plan.budget_mb * (1.0 + 1e-9) + 1e-6 {
            broken.push(format!("the pools have {memory} MB, more than the budget of {} MB", plan.budget_mb));
        }
        if differs(objective, plan.objective) || differs(bound, plan.bound) {
            broken.push("objective and bound are not the sums of the pools'".into());
        }
    }
    let mut settled = inventory.functions.clone();
    settle(&mut settled, plan.demands.iter().map(|d| &d.wished.wish));
    for (f, settled) in inventory.functions.iter().zip(&settled) {
        if f.trust_domain != settled.trust_domain {
            broken.push(format!("{}: its trust domain is not the one that is asked for", f.id));
        }
    }
    for demand in &plan.demands {
        if let Some(reason) = unmet(plan, inventory, price, held, demand) {
            broken.push(format!("{}: {reason}", demand.wished));
        }
    }
}

/// How a plan fails a demand, or states a figure of it that is wrong.
fn unmet(
    plan: &Plan,
    inventory: &Inventory,
    price: &dyn Fn(&PackageId, &Platform) -> Option<Price>,
    held: &[Held],
    demand: &Demanded,
) -> Option<String> {
    let wished = &demand.wished;
    if demand.text != wished.wish.to_string() || !demand.met {
        return Some("is not stated as it was said, or not met".into());
    }
    let mine = |image: &Image| wished.pool.as_deref().is_none_or(|pool| image.pool.as_deref().unwrap_or(REST) == pool);
    let images = || plan.images.iter().zip(held).filter(|(image, _)| mine(image));
    let named = || inventory.functions.iter().filter(|f| wished.wish.names(&f.id));
    let over = |has: f64, most: f64, what: &str| {
        let over = has > most * (1.0 + 1e-9) + 1e-6;
        over.then(|| format!("takes {has} {what}")).or_else(|| stated(demand, has, Some(most)))
    };
    match &wished.wish {
        Wish::Memory { mb } => over(images().map(|(i, _)| i.added_mb).sum(), *mb, "MB"),
        Wish::Images { most } => over(images().count() as f64, *most as f64, "images"),
        Wish::Disk { mb } => {
            let mut sum = 0.0;
            for (image, held) in images() {
                let Some(own) = disk(&held.ids, &image.platform, price) else {
                    return Some(format!("the size of {} on disk is not known", image.id));
                };
                let parent = image.parent.as_ref().and_then(|id| plan.images.iter().position(|i| i.id == *id));
                let below = parent.and_then(|p| disk(&self::held(p, plan), &image.platform, price)).unwrap_or(0.0);
                sum += (own - below).max(0.0);
            }
            over(sum, *mb, "MB on disk")
        }
        Wish::MaxImage { mb } => {
            let own = |image: &Image| {
                plan.demands.iter().any(|d| {
                    matches!(d.wished.wish, Wish::MaxImage { .. })
                        && d.wished.pool.is_some()
                        && d.wished.pool == image.pool
                })
            };
            let counted = images().filter(|(image, _)| wished.pool.is_some() || !own(image));
            let largest = counted.map(|(i, _)| i.resident_mb).max_by(f64::total_cmp);
            match largest {
                Some(largest) => over(largest, *mb, "MB in one image"),
                None => None,
            }
        }
        Wish::Floor { share, .. } => {
            let mut least: Option<f64> = None;
            let usable = Usable::new(plan, held.iter().flat_map(|h| &h.ids), inventory);
            for f in named() {
                let Some(platform) = &f.platform else { return Some(format!("the platform of {} is not known", f.id)) };
                let ids: BTreeSet<&PackageId> = f.closure.iter().collect();
                let load: f64 = ids.iter().filter_map(|id| price(id, platform)).map(|p| p.load_ms).sum();
                if load > 0.0 {
                    let image = plan.assignments.iter().find(|a| a.function == f.id).map(|a| a.image.as_str());
                    let at = image.and_then(|id| plan.images.iter().position(|i| i.id == id));
                    let service = at.and_then(|at| service(&usable, &plan.images[at], &held[at], f, price));
                    let saved = service.map_or(0.0, |s| s.value_ms.max(0.0)) / load;
                    least = Some(least.map_or(saved, |least| least.min(saved)));
                }
            }
            match least {
                Some(least) if least < share - 1e-6 => Some(format!("only {least} is saved")),
                Some(least) => stated(demand, least, Some(*share)),
                None => None,
            }
        }
        Wish::Pin { packages, .. } => {
            let wanted: BTreeSet<&PackageId> = packages.iter().collect();
            let there = images().any(|(_, held)| held.ids.iter().collect::<BTreeSet<_>>() == wanted);
            (!there).then(|| "no image holds exactly that".into())
        }
        Wish::Exclude { package } => {
            let holds = plan.images.iter().zip(held).find(|(_, h)| h.ids.iter().any(|id| is_package(package, id)));
            holds.map(|(image, _)| format!("{} holds it", image.id))
        }
        Wish::Alone { .. } => named().find_map(|f| {
            let image = &plan.assignments.iter().find(|a| a.function == f.id)?.image;
            let other = plan.assignments.iter().find(|a| a.image == *image && a.function != f.id)?;
            Some(format!("{} shares {image} with {}", f.id, other.function))
        }),
        Wish::Cold { .. } => {
            named().find(|f| plan.assignments.iter().any(|a| a.function == f.id)).map(|f| format!("{} is served", f.id))
        }
        // That of an image is that of its functions.
        Wish::TrustDomain { .. } => None,
    }
}

/// A figure that is not the one that the plan states.
fn stated(demand: &Demanded, has: f64, limit: Option<f64>) -> Option<String> {
    let wrong = demand.has.is_none_or(|stated| differs(stated, has)) || demand.limit != limit;
    wrong.then(|| format!("states {:?} of {:?}, which is {has} of {limit:?}", demand.has, demand.limit))
}

fn held(at: usize, plan: &Plan) -> BTreeSet<PackageId> {
    plan.images[at].package_ids().into_iter().collect()
}

fn disk(
    ids: &BTreeSet<PackageId>,
    platform: &Platform,
    price: &dyn Fn(&PackageId, &Platform) -> Option<Price>,
) -> Option<f64> {
    ids.iter().map(|id| price(id, platform).and_then(|p| p.disk_mb)).sum()
}
