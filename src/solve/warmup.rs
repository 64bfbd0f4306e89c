//! Which images call a handler once before they serve.
//!
//! What a handler's first call does for the packages (templates compiled, tables built, modules loaded late) a fork has
//! already. The call costs memory, which every fork of the image and of its children pays for in its swap, and has to fit
//! into what the images leave of the budget. Images are chosen without regard to it.

use std::collections::BTreeMap;

use crate::model::costs::{LanguageCosts, MeasuredWarmup};
use crate::model::manifest::Warmup;
use crate::model::plan::{Image, Plan, Warmups};
use crate::model::platform::Language;
use crate::model::units::round;
use crate::model::wishes::{REST, Wish};

/// Milliseconds that each start of the function must be spared, net: a call that runs a function's code wants a reason.
pub const LEAST_MS: f64 = 0.25;

/// Decimals kept of milliseconds and MB.
const DIGITS: u32 = 6;

/// What a warm-up comes to for an image, in the planning period.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Worth {
    /// Milliseconds that starts of its function are spared, less what the added memory takes of all forks.
    pub net_ms: f64,
    /// Starts of the function.
    pub weight: f64,
}

/// Starts by image: of the functions that it serves, and of those that its descendants serve.
pub fn starts(plan: &Plan) -> BTreeMap<&str, f64> {
    let mut out: BTreeMap<&str, f64> = plan.images.iter().map(|image| (image.id.as_str(), 0.0)).collect();
    for assignment in &plan.assignments {
        *out.entry(&assignment.image).or_default() += assignment.weight;
    }
    // Parents come first, so that from behind each has all of its descendants before it is added to its own parent.
    for image in plan.images.iter().rev() {
        let Some(parent) = image.parent.as_deref() else { continue };
        let own = out.get(image.id.as_str()).copied().unwrap_or(0.0);
        *out.entry(parent).or_default() += own;
    }
    out
}

/// What a call is worth.
pub fn worth(saved_ms: f64, added_mb: f64, weight: f64, starts: f64, language: &LanguageCosts) -> Worth {
    Worth { net_ms: saved_ms * weight - language.swap_ms_per_mb * added_mb * starts, weight }
}

/// Adds to each image of a plan the call that pays most, where one does: of a function that the image serves, whose handler
/// loads nothing besides the image. One call an image: what a second spares after the first was not measured.
pub fn annotate(plan: &mut Plan, measured: &[MeasuredWarmup], language: &dyn Fn(Language) -> LanguageCosts) {
    let assigned: BTreeMap<&str, (&str, f64)> =
        plan.assignments.iter().map(|a| (a.function.as_str(), (a.image.as_str(), a.weight))).collect();
    let at: BTreeMap<&str, usize> = plan.images.iter().enumerate().map(|(i, image)| (image.id.as_str(), i)).collect();
    let starts = starts(plan);
    let mut paying: Vec<(Worth, usize, &MeasuredWarmup)> = Vec::new();
    for call in measured {
        let Some((id, weight)) = assigned.get(call.function.as_str()) else { continue };
        let Some(&image) = at.get(id) else { continue };
        if plan.images[image].platform != call.platform || call.saved_ms < LEAST_MS {
            continue;
        }
        // Sorted, as views of images are.
        let held = &plan.images[image].packages;
        if !call.packages.iter().all(|package| held.binary_search(package).is_ok()) {
            continue;
        }
        let all = starts.get(id).copied().unwrap_or(0.0);
        let worth = worth(call.saved_ms, call.added_mb, *weight, all, &language(call.platform.language));
        if worth.net_ms > LEAST_MS * worth.weight {
            paying.push((worth, image, call));
        }
    }
    paying.sort_by(|(a, _, x), (b, _, y)| b.net_ms.total_cmp(&a.net_ms).then_with(|| x.function.cmp(&y.function)));
    let mut chosen: BTreeMap<usize, (Worth, &MeasuredWarmup)> = BTreeMap::new();
    let mut room = Room::of(plan);
    for (worth, image, call) in paying {
        if !chosen.contains_key(&image) && room.take(plan, image, call.added_mb) {
            chosen.insert(image, (worth, call));
        }
    }
    let memory: f64 = chosen.values().map(|(_, call)| call.added_mb).sum();
    let saved: f64 = chosen.values().map(|(worth, _)| worth.net_ms).sum();
    plan.warmups =
        (!chosen.is_empty()).then(|| Warmups { memory_mb: round(memory, DIGITS), saved_ms: round(saved, DIGITS) });
    for (image, (_, call)) in chosen {
        plan.images[image].warmup = vec![Warmup {
            module: call.module.clone(),
            call: call.call.clone(),
            function: Some(call.function.clone()),
            event: Some(call.event.clone()),
            saved_ms: Some(call.saved_ms),
            added_mb: Some(call.added_mb),
        }];
    }
}

/// Memory that the images leave: of the whole budget, of each pool's, and of what one image may take.
struct Room {
    all: f64,
    pools: BTreeMap<Option<String>, f64>,
    /// By image: itself and its ancestors have it in common with all that stand on them.
    images: Vec<f64>,
}

impl Room {
    fn of(plan: &Plan) -> Self {
        let name = |name: &str| Some(name.to_string()).filter(|n| n != REST);
        let pools = plan.pools.iter().map(|p| (name(&p.of.name), p.budget_mb - p.memory_mb)).collect();
        let images = plan.images.iter().map(|image| largest(plan, image) - image.resident_mb).collect();
        Self { all: plan.budget_mb - plan.memory_mb, pools, images }
    }

    fn take(&mut self, plan: &Plan, image: usize, mb: f64) -> bool {
        let pool = self.pools.get(&plan.images[image].pool).copied().unwrap_or(f64::INFINITY);
        let family = family(plan, image);
        if mb > self.all || mb > pool || family.iter().any(|&i| mb > self.images[i]) {
            return false;
        }
        self.all -= mb;
        self.pools.entry(plan.images[image].pool.clone()).and_modify(|left| *left -= mb);
        family.into_iter().for_each(|i| self.images[i] -= mb);
        true
    }
}

/// Most resident MB that an image may have.
pub fn largest(plan: &Plan, image: &Image) -> f64 {
    let limits = plan.demands.iter().filter_map(|demand| match demand.wished.wish {
        Wish::MaxImage { mb } => Some((demand.wished.pool.as_deref(), mb)),
        _ => None,
    });
    let mine = limits.filter(|(pool, _)| pool.is_none() || *pool == Some(image.pool.as_deref().unwrap_or(REST)));
    mine.map(|(_, mb)| mb).fold(f64::INFINITY, f64::min)
}

/// An image and all that are forked from it, directly or not.
pub fn family(plan: &Plan, image: usize) -> Vec<usize> {
    let mut ids = vec![plan.images[image].id.as_str()];
    let mut out = vec![image];
    for (at, other) in plan.images.iter().enumerate().skip(image + 1) {
        if other.parent.as_deref().is_some_and(|parent| ids.contains(&parent)) {
            ids.push(&other.id);
            out.push(at);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::plan::Assignment;

    fn image(id: &str, parent: Option<&str>, packages: &[&str]) -> Image {
        Image {
            id: id.into(),
            parent: parent.map(str::to_string),
            platform: "python3.11-linux-x86_64-glibc".parse().unwrap(),
            trust_domain: "default".into(),
            pool: None,
            packages: packages.iter().map(|p| p.to_string()).collect(),
            preload: Vec::new(),
            load_ms: 100.0,
            resident_mb: 20.0,
            added_mb: 20.0,
            swap_ms: 2.0,
            serves: 1,
            saved_ms: 0.0,
            warmup: Vec::new(),
        }
    }

    fn assigned(function: &str, image: &str, weight: f64) -> Assignment {
        Assignment {
            function: function.into(),
            image: image.into(),
            class: String::new(),
            weight,
            saved_ms: 0.0,
            remaining_ms: 0.0,
            unneeded: 0,
            unneeded_mb: 0.0,
            next_best: None,
        }
    }

    /// A parent that serves `page` twice, and its child that serves `table` three times; 30 MB of the budget are left.
    fn plan() -> Plan {
        let mut plan: Plan = serde_json::from_str(include_str!("../../tests/emit_data/plan.json")).unwrap();
        plan.images = vec![
            image("base", None, &["chameleon==4.5.4"]),
            image("more", Some("base"), &["a==1", "chameleon==4.5.4"]),
        ];
        plan.assignments = vec![assigned("page", "base", 2.0), assigned("table", "more", 3.0)];
        (plan.memory_mb, plan.budget_mb) = (70.0, 100.0);
        (plan.pools, plan.demands) = (Vec::new(), Vec::new());
        plan
    }

    fn measured(function: &str, saved_ms: f64, added_mb: f64, packages: &[&str]) -> MeasuredWarmup {
        MeasuredWarmup {
            function: function.into(),
            platform: "python3.11-linux-x86_64-glibc".parse().unwrap(),
            module: "app".into(),
            call: "handler".into(),
            event: serde_json::json!({"rows": 2}),
            first_ms: saved_ms + 5.0,
            later_ms: 5.0,
            saved_ms,
            added_mb,
            modules: Vec::new(),
            packages: packages.iter().map(|p| p.to_string()).collect(),
        }
    }

    fn costs(_: Language) -> LanguageCosts {
        LanguageCosts {
            image_overhead_mb: 5.0,
            swap_base_ms: 2.0,
            swap_ms_per_mb: 0.5,
            waste_ms_per_mb: None,
            load_ms_per_disk_mb: None,
            resident_mb_per_disk_mb: None,
        }
    }

    fn calls(plan: &Plan) -> Vec<Vec<String>> {
        plan.images.iter().map(|i| i.warmup.iter().filter_map(|w| w.function.clone()).collect()).collect()
    }

    #[test]
    fn a_call_that_pays_goes_to_the_image_that_serves_its_function() {
        let mut plan = plan();
        annotate(&mut plan, &[measured("page", 40.0, 8.0, &["chameleon==4.5.4"])], &costs);
        assert_eq!(calls(&plan), [vec!["page".to_string()], vec![]]);
        // 40 ms at 2 starts, less 8 MB at 0.5 ms for each of the 5 starts of base and of its child.
        assert_eq!(plan.warmups, Some(Warmups { memory_mb: 8.0, saved_ms: 60.0 }));
        assert_eq!(plan.images[0].warmup[0].event, Some(serde_json::json!({"rows": 2})));
    }

    #[test]
    fn what_does_not_pay_does_not_fit_or_loads_more_is_left_out() {
        let none = |measured: MeasuredWarmup| {
            let mut plan = plan();
            annotate(&mut plan, &[measured], &costs);
            assert_eq!((calls(&plan).concat().len(), plan.warmups), (0, None));
        };
        none(measured("page", 0.2, 0.0, &[]));
        // 2 × 12 − 0.5 × 8 × 5 = 4 saved: more than the 0.5 that it has to be; 2 × 10.25 − 20 = 0.5 is not.
        none(measured("page", 10.25, 8.0, &[]));
        none(measured("page", 400.0, 30.1, &[]));
        none(measured("page", 40.0, 1.0, &["chameleon==4.5.4", "other==1"]));
        none(measured("nobody", 40.0, 1.0, &[]));
        let mut paying = plan();
        annotate(&mut paying, &[measured("page", 12.0, 8.0, &[])], &costs);
        assert_eq!(paying.warmups.map(|w| w.saved_ms), Some(4.0));
    }

    #[test]
    fn an_image_makes_one_call_and_all_calls_share_what_is_left() {
        let mut plan = plan();
        plan.assignments.push(assigned("twin", "base", 1.0));
        let all = [
            measured("page", 40.0, 20.0, &[]),
            measured("twin", 15.0, 1.0, &[]),
            measured("table", 50.0, 15.0, &["a==1"]),
        ];
        annotate(&mut plan, &all, &costs);
        // table saves most (150 − 22.5), page next (80 − 60), but its 20 MB do not fit beside 15; twin's one (15 − 3) does.
        assert_eq!(calls(&plan), [vec!["twin".to_string()], vec!["table".to_string()]]);
        assert_eq!(plan.warmups.map(|w| w.memory_mb), Some(16.0));
    }
}
