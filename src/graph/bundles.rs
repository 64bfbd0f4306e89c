//! Packages that exactly the same functions load, taken together.
//!
//! The closure of one client library is often dozens of packages that never occur apart. To a planner and to a reader
//! they are one thing; as single nodes they would crowd out everything else, in pictures and in the modularity that
//! communities are found by.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::PriceOf;
use super::classes::Class;
use crate::model::units::round;
use crate::model::{PackageId, Platform};

/// Packages that exactly the same functions load; most are single packages.
#[derive(Debug, Clone, Serialize)]
pub struct Bundle {
    /// The costliest to load first, then by id: the first one stands for all.
    pub packages: Vec<PackageId>,
    /// Functions that load them.
    pub functions: usize,
    /// Their cold starts.
    pub weight: f64,
    /// Exclusive load milliseconds of all together, as far as known; the highest, when platforms differ.
    pub load_ms: f64,
    /// Exclusive resident MB, likewise.
    pub resident_mb: f64,
    /// Index into the graph's communities.
    pub community: usize,
}

impl Bundle {
    /// Milliseconds that all functions together spend loading it.
    pub fn value(&self) -> f64 {
        self.load_ms * self.weight
    }
}

/// Two bundles that some function loads together.
#[derive(Debug, Clone, Serialize)]
pub struct Link {
    /// Index of the first bundle.
    pub a: usize,
    /// Index of the second, which is larger.
    pub b: usize,
    /// Functions that load both.
    pub functions: usize,
    /// Functions that load both over functions that load either.
    pub jaccard: f64,
    /// Milliseconds that those functions would not load in the planning period if an image held both; the swap itself
    /// is not charged.
    pub saves_ms: f64,
    /// MB that are held once instead of once for each function, on each platform.
    pub saves_mb: f64,
}

/// Bundles that at least `min_functions` functions load, at most `top` of them: those that most functions load, then
/// those that take longest to load. Communities are left at 0.
pub fn bundles(classes: &[Class], price: &PriceOf<'_>, min_functions: usize, top: usize) -> Vec<Bundle> {
    let mut loaded_by: BTreeMap<&PackageId, Vec<usize>> = BTreeMap::new();
    for (at, class) in classes.iter().enumerate() {
        for id in &class.closure {
            loaded_by.entry(id).or_default().push(at);
        }
    }
    let mut alike: BTreeMap<Vec<usize>, Vec<&PackageId>> = BTreeMap::new();
    for (id, by) in loaded_by {
        alike.entry(by).or_default().push(id);
    }
    let mut found: Vec<Bundle> = alike
        .into_iter()
        .map(|(by, ids)| {
            let platforms: BTreeSet<&Platform> = by.iter().map(|&c| &classes[c].platform).collect();
            let highest = |id: &PackageId| {
                let known = platforms.iter().filter_map(|p| price(id, p));
                known.fold((0.0, 0.0), |(ms, mb): (f64, f64), p| (ms.max(p.0), mb.max(p.1)))
            };
            let mut priced: Vec<((f64, f64), &PackageId)> = ids.into_iter().map(|id| (highest(id), id)).collect();
            priced.sort_by(|x, y| y.0.0.total_cmp(&x.0.0).then_with(|| x.1.cmp(y.1)));
            Bundle {
                functions: by.iter().map(|&c| classes[c].functions.len()).sum(),
                weight: by.iter().map(|&c| classes[c].weight).sum(),
                load_ms: round(priced.iter().map(|(p, _)| p.0).sum(), 3),
                resident_mb: round(priced.iter().map(|(p, _)| p.1).sum(), 3),
                packages: priced.into_iter().map(|(_, id)| id.clone()).collect(),
                community: 0,
            }
        })
        .filter(|b| b.functions >= min_functions.max(1))
        .collect();
    found.sort_by(|x, y| {
        y.functions
            .cmp(&x.functions)
            .then(y.value().total_cmp(&x.value()))
            .then_with(|| x.packages.first().cmp(&y.packages.first()))
    });
    found.truncate(top);
    found
}

/// What occurs together: for every two bundles that some function loads both of, sorted by what they would save.
pub fn links(classes: &[Class], bundles: &[Bundle], price: &PriceOf<'_>) -> Vec<Link> {
    #[derive(Default)]
    struct Both<'a> {
        functions: usize,
        saves_ms: f64,
        // Memory is shared by processes of one platform and trust domain.
        by_group: BTreeMap<(&'a Platform, &'a str), (usize, f64)>,
    }
    let mut together: BTreeMap<(usize, usize), Both<'_>> = BTreeMap::new();
    for class in classes {
        let here: Vec<(usize, f64, f64)> = bundles
            .iter()
            .enumerate()
            .filter(|(_, b)| b.packages.first().is_some_and(|id| class.closure.binary_search(id).is_ok()))
            .map(|(at, b)| {
                let known = b.packages.iter().filter_map(|id| price(id, &class.platform));
                let (ms, mb) = known.fold((0.0, 0.0), |sum, p| (sum.0 + p.0, sum.1 + p.1));
                (at, ms, mb)
            })
            .collect();
        for (i, &(a, ms_a, mb_a)) in here.iter().enumerate() {
            for &(b, ms_b, mb_b) in &here[i + 1..] {
                let both = together.entry((a, b)).or_default();
                both.functions += class.functions.len();
                both.saves_ms += class.weight * (ms_a + ms_b);
                let group = both.by_group.entry((&class.platform, &class.trust_domain)).or_default();
                *group = (group.0 + class.functions.len(), mb_a + mb_b);
            }
        }
    }
    let mut found: Vec<Link> = together
        .into_iter()
        .map(|((a, b), both)| {
            let either = bundles[a].functions + bundles[b].functions - both.functions;
            let mb: f64 = both.by_group.values().map(|(n, mb)| n.saturating_sub(1) as f64 * mb).sum();
            Link {
                a,
                b,
                functions: both.functions,
                jaccard: round(both.functions as f64 / either as f64, 4),
                saves_ms: round(both.saves_ms, 3),
                saves_mb: round(mb, 3),
            }
        })
        .collect();
    found.sort_by(|x, y| y.saves_ms.total_cmp(&x.saves_ms).then((x.a, x.b).cmp(&(y.a, y.b))));
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Language;

    fn class(functions: usize, names: &[&str]) -> Class {
        Class {
            digest: names.join("+"),
            platform: Platform::linux(Language::Python, "3.11"),
            trust_domain: "default".into(),
            closure: names.iter().map(|n| PackageId::pypi(n, "1")).collect(),
            complete: true,
            functions: (0..functions).collect(),
            weight: functions as f64,
        }
    }

    /// `a` takes 1 ms and 2 MB, `b` 2 ms and 2 MB, …
    fn by_letter(id: &PackageId, _: &Platform) -> Option<(f64, f64)> {
        id.name.bytes().next().map(|b| (f64::from(b - b'a' + 1), 2.0))
    }

    fn names(bundle: &Bundle) -> Vec<&str> {
        bundle.packages.iter().map(|p| p.name.as_str()).collect()
    }

    #[test]
    fn what_never_occurs_apart_is_one_bundle_led_by_the_costliest() {
        // a and c are in 5 functions, b and d in 3, e in 2.
        let classes = [class(3, &["a", "b", "c", "d"]), class(2, &["a", "c", "e"])];
        let found = bundles(&classes, &by_letter, 1, 10);
        assert_eq!(found.iter().map(names).collect::<Vec<_>>(), [vec!["c", "a"], vec!["d", "b"], vec!["e"]]);
        assert_eq!((found[0].functions, found[0].load_ms, found[0].resident_mb), (5, 4.0, 4.0));
        assert_eq!(bundles(&classes, &by_letter, 3, 10).len(), 2);
        assert_eq!(bundles(&classes, &by_letter, 1, 1).len(), 1);
    }

    #[test]
    fn links_by_hand() {
        let classes = [class(3, &["a", "b", "c", "d"]), class(2, &["a", "c", "e"])];
        let found = links(&classes, &bundles(&classes, &by_letter, 1, 10), &by_letter);
        // {c, a} (4 ms, 4 MB) with {d, b} (6 ms, 4 MB): 3 functions of 5, 3 · 10 ms, two of three copies of 8 MB.
        let first = &found[0];
        assert_eq!((first.a, first.b, first.functions, first.jaccard), (0, 1, 3, 0.6));
        assert_eq!((first.saves_ms, first.saves_mb), (30.0, 16.0));
        // {c, a} with {e} (5 ms, 2 MB): 2 of 5, 2 · 9 ms, one copy of 6 MB. {d, b} and {e} never meet.
        let second = &found[1];
        assert_eq!((second.a, second.b, second.jaccard), (0, 2, 0.4));
        assert_eq!((second.saves_ms, second.saves_mb), (18.0, 6.0));
        assert_eq!(found.len(), 2);
    }
}
