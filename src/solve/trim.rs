//! Parts of sets that are worth their memory.

use super::problem::{Group, Set};

/// Takes out what costs at least as much as it saves (`load ≤ swap_per_mb · resident`) and is required by nothing that
/// remains: what is left is what the worthwhile packages of the set need.
pub fn trim(group: &Group, set: &Set) -> Set {
    let worthwhile = |i: usize| {
        let price = &group.items[i].price;
        price.load_ms > group.language.swap_ms_per_mb * price.resident_mb
    };
    let mut kept = Set::with_capacity(group.items.len());
    let mut pending: Vec<usize> = set.ones().filter(|&i| worthwhile(i)).collect();
    while let Some(i) = pending.pop() {
        if kept.put(i) {
            continue;
        }
        // Every set of requirements that is there, so that trimming a smaller set never keeps more.
        for requires in group.items[i].requires.iter().filter(|r| r.is_subset(set)) {
            pending.extend(requires.ones().filter(|&r| !kept.contains(r)));
        }
    }
    kept
}

/// The largest part of a core, or nearly, that an image of limited size may hold: again and again the package that
/// brings most milliseconds for each MB that it and what it needs take besides.
pub(super) fn fit(group: &Group, core: &Set) -> Set {
    let mut needs: Vec<(usize, Set)> = core.ones().map(|i| (i, package_closure(group, i, core))).collect();
    let mut held = Set::with_capacity(group.items.len());
    loop {
        let more = |set: &Set| {
            let mut more = set.clone();
            more.difference_with(&held);
            more
        };
        let rank = |set: &Set| {
            let more = more(set);
            (group.load_ms(&more) - group.language.swap_ms_per_mb * group.resident_mb(&more))
                / group.resident_mb(&more).max(1e-9)
        };
        needs.retain(|(i, set)| {
            let mut all = held.clone();
            all.union_with(set);
            !held.contains(*i) && group.allows(&all) && rank(set) > 0.0
        });
        let best = needs.iter().max_by(|a, b| rank(&a.1).total_cmp(&rank(&b.1)).then(b.0.cmp(&a.0)));
        let Some((_, set)) = best else { return held };
        held.union_with(set);
    }
}

/// What a package needs, taking the first set of requirements that is wholly within `context` (which is closed).
pub(super) fn package_closure(group: &Group, package: usize, context: &Set) -> Set {
    let mut closure = Set::with_capacity(group.items.len());
    let mut pending = vec![package];
    while let Some(i) = pending.pop() {
        if closure.put(i) {
            continue;
        }
        if let Some(requires) = group.items[i].requires.iter().find(|r| r.is_subset(context)) {
            pending.extend(requires.ones());
        }
    }
    closure
}
