//! Packages that occur together in closures: how often, how exclusively, and what sharing each pair would save.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Serialize;

use super::PriceOf;
use super::bundles::{self, Bundle, Link};
use super::classes::Class;
use super::communities::communities;
use crate::model::units::round;
use crate::model::{PackageId, Platform};

/// Value of the `schema` field.
pub const SCHEMA: &str = "warmset.graph/1";

/// The graph of a fleet.
#[derive(Debug, Clone, Serialize)]
pub struct Graph {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// Sorted by id.
    pub packages: Vec<Node>,
    /// Sorted by what they would save, the most first.
    pub pairs: Vec<Pair>,
    /// Packages that never occur apart; those that most functions load first.
    pub bundles: Vec<Bundle>,
    /// Bundles that occur together; sorted by what they would save, the most first.
    pub links: Vec<Link>,
    /// Sorted by weight, the heaviest first.
    pub classes: Vec<ClassSummary>,
    /// Packages that occur together more than with others; the one that most functions load first.
    pub communities: Vec<Community>,
}

/// One package.
#[derive(Debug, Clone, Serialize)]
pub struct Node {
    /// Its id.
    pub id: PackageId,
    /// Functions that load it.
    pub functions: usize,
    /// Their cold starts.
    pub weight: f64,
    /// Exclusive load milliseconds; absent when unknown. The highest, when platforms differ.
    pub load_ms: Option<f64>,
    /// Exclusive resident MB, likewise.
    pub resident_mb: Option<f64>,
    /// Index into [`Graph::bundles`].
    pub bundle: usize,
    /// Index into [`Graph::communities`].
    pub community: usize,
}

/// Two packages that some function loads together.
#[derive(Debug, Clone, Serialize)]
pub struct Pair {
    /// The one with the smaller id.
    pub a: PackageId,
    /// The other.
    pub b: PackageId,
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

/// Functions that are the same to the planner.
#[derive(Debug, Clone, Serialize)]
pub struct ClassSummary {
    /// Digest of platform, trust domain and closure.
    pub digest: String,
    /// Where they run.
    pub platform: Platform,
    /// How many.
    pub functions: usize,
    /// Their cold starts.
    pub weight: f64,
    /// Packages in the closure.
    pub packages: usize,
    /// Load milliseconds of the closure, as far as known.
    pub load_ms: f64,
}

/// Packages that occur together more than with others.
#[derive(Debug, Clone, Serialize)]
pub struct Community {
    /// The packages of it that take the fleet longest to load.
    pub name: String,
    /// How many packages.
    pub packages: usize,
    /// Functions that load any of them.
    pub functions: usize,
}

#[derive(Debug, Clone, Copy, Default)]
struct Count {
    functions: usize,
    weight: f64,
}

/// Builds the graph of the packages that at least `min_functions` functions load, in at most `top` bundles (those that
/// most functions load, see [`bundles::bundles`]).
pub fn graph(classes: &[Class], price: &PriceOf<'_>, min_functions: usize, top: usize) -> Graph {
    let mut totals: BTreeMap<&PackageId, Count> = BTreeMap::new();
    for class in classes {
        for id in &class.closure {
            let count = totals.entry(id).or_default();
            count.functions += class.functions.len();
            count.weight += class.weight;
        }
    }
    let mut bundles = bundles::bundles(classes, price, min_functions, top);
    let bundle_of: BTreeMap<PackageId, usize> =
        bundles.iter().enumerate().flat_map(|(at, b)| b.packages.iter().map(move |id| (id.clone(), at))).collect();
    // Sorted by id, as the map is.
    let ranked: Vec<(&PackageId, Count)> = totals.into_iter().filter(|(id, _)| bundle_of.contains_key(*id)).collect();
    let index: HashMap<&PackageId, usize> = ranked.iter().enumerate().map(|(i, (id, _))| (*id, i)).collect();

    // Shared memory needs a shared process, so counts are kept by platform and trust domain.
    let mut groups: BTreeMap<(&Platform, &str), usize> = BTreeMap::new();
    for class in classes {
        let next = groups.len();
        groups.entry((&class.platform, &class.trust_domain)).or_insert(next);
    }
    let mut together: HashMap<(usize, usize, usize), Count> = HashMap::new();
    for class in classes {
        let group = groups[&(&class.platform, class.trust_domain.as_str())];
        let members: Vec<usize> = class.closure.iter().filter_map(|id| index.get(id).copied()).collect();
        for (at, &a) in members.iter().enumerate() {
            for &b in &members[at + 1..] {
                let count = together.entry((a.min(b), a.max(b), group)).or_default();
                count.functions += class.functions.len();
                count.weight += class.weight;
            }
        }
    }
    let platform_of: BTreeMap<usize, &Platform> = groups.iter().map(|((p, _), g)| (*g, *p)).collect();
    let mut by_pair: BTreeMap<(usize, usize), Vec<(usize, Count)>> = BTreeMap::new();
    for ((a, b, group), count) in together {
        by_pair.entry((a, b)).or_default().push((group, count));
    }
    let mut pairs: Vec<Pair> = Vec::with_capacity(by_pair.len());
    for ((a, b), mut counts) in by_pair {
        counts.sort_by_key(|(group, _)| *group);
        let functions: usize = counts.iter().map(|(_, c)| c.functions).sum();
        let either = ranked[a].1.functions + ranked[b].1.functions - functions;
        let jaccard = functions as f64 / either as f64;
        let (mut saves_ms, mut saves_mb) = (0.0, 0.0);
        for (group, count) in &counts {
            let priced = |i: usize| price(ranked[i].0, platform_of[group]).unwrap_or((0.0, 0.0));
            let ((load_a, mb_a), (load_b, mb_b)) = (priced(a), priced(b));
            saves_ms += count.weight * (load_a + load_b);
            saves_mb += (count.functions - 1) as f64 * (mb_a + mb_b);
        }
        pairs.push(Pair {
            a: ranked[a].0.clone(),
            b: ranked[b].0.clone(),
            functions,
            jaccard: round(jaccard, 4),
            saves_ms: round(saves_ms, 3),
            saves_mb: round(saves_mb, 3),
        });
    }
    pairs.sort_by(|x, y| y.saves_ms.total_cmp(&x.saves_ms).then_with(|| (&x.a, &x.b).cmp(&(&y.a, &y.b))));

    let links = bundles::links(classes, &bundles, price);
    let edges: Vec<(usize, usize, f64)> = links.iter().map(|l| (l.a, l.b, l.jaccard)).collect();
    let found = communities(bundles.len(), &edges);
    let communities = describe(classes, &mut bundles, &found);
    let packages = ranked
        .iter()
        .map(|(id, count)| {
            let prices: Vec<(f64, f64)> = platform_of.values().filter_map(|p| price(id, p)).collect();
            let highest = |pick: fn(&(f64, f64)) -> f64| prices.iter().map(pick).reduce(f64::max);
            Node {
                id: (*id).clone(),
                functions: count.functions,
                weight: count.weight,
                load_ms: highest(|p| p.0),
                resident_mb: highest(|p| p.1),
                bundle: bundle_of[*id],
                community: bundles[bundle_of[*id]].community,
            }
        })
        .collect();
    let mut summary: Vec<ClassSummary> = classes
        .iter()
        .map(|c| ClassSummary {
            digest: c.digest.clone(),
            platform: c.platform.clone(),
            functions: c.functions.len(),
            weight: c.weight,
            packages: c.closure.len(),
            load_ms: round(c.closure.iter().filter_map(|id| price(id, &c.platform)).map(|p| p.0).sum(), 3),
        })
        .collect();
    summary.sort_by(|a, b| b.weight.total_cmp(&a.weight).then_with(|| a.digest.cmp(&b.digest)));
    Graph { schema: SCHEMA, packages, pairs, bundles, links, classes: summary, communities }
}

/// Puts communities in order of the functions that load any of their packages, names them by what takes longest to
/// load in them, and tells the bundles which is theirs.
fn describe(classes: &[Class], bundles: &mut [Bundle], found: &[usize]) -> Vec<Community> {
    let mut members: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (bundle, community) in found.iter().enumerate() {
        members.entry(*community).or_default().push(bundle);
    }
    let mut rows: Vec<(Community, Vec<usize>)> = members
        .into_values()
        .map(|mut inside| {
            let leads: BTreeSet<&PackageId> = inside.iter().filter_map(|&b| bundles[b].packages.first()).collect();
            // A class loads all packages of a bundle or none.
            let functions = classes
                .iter()
                .filter(|c| c.closure.iter().any(|id| leads.contains(id)))
                .map(|c| c.functions.len())
                .sum();
            let packages = inside.iter().map(|&b| bundles[b].packages.len()).sum();
            inside.sort_by(|&a, &b| bundles[b].value().total_cmp(&bundles[a].value()).then(a.cmp(&b)));
            let name: Vec<&str> =
                inside.iter().take(3).filter_map(|&b| bundles[b].packages.first()).map(|id| id.name.as_str()).collect();
            (Community { name: name.join(", "), packages, functions }, inside)
        })
        .collect();
    rows.sort_by(|(a, _), (b, _)| {
        b.functions.cmp(&a.functions).then(b.packages.cmp(&a.packages)).then_with(|| a.name.cmp(&b.name))
    });
    for (at, (_, inside)) in rows.iter().enumerate() {
        for &bundle in inside {
            bundles[bundle].community = at;
        }
    }
    rows.into_iter().map(|(community, _)| community).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Language;

    fn class(functions: usize, names: &[&str]) -> Class {
        let platform = Platform::linux(Language::Python, "3.11");
        let closure: Vec<PackageId> = names.iter().map(|n| PackageId::pypi(n, "1")).collect();
        Class {
            digest: names.join("+"),
            platform,
            trust_domain: "default".into(),
            closure,
            complete: true,
            functions: (0..functions).collect(),
            weight: functions as f64,
        }
    }

    fn flat(_: &PackageId, _: &Platform) -> Option<(f64, f64)> {
        Some((10.0, 2.0))
    }

    #[test]
    fn counts_and_jaccard_by_hand() {
        // a in 5 functions, b in 3, both in 3.
        let g = graph(&[class(3, &["a", "b"]), class(2, &["a"])], &flat, 1, 10);
        let pair = &g.pairs[0];
        assert_eq!((pair.functions, pair.jaccard), (3, 0.6));
        // 3 functions save 10 + 10 ms each; two of three copies of 2 + 2 MB go.
        assert_eq!((pair.saves_ms, pair.saves_mb), (60.0, 8.0));
        assert_eq!(g.packages[0].functions, 5);
    }

    #[test]
    fn packages_on_different_platforms_do_not_share_memory() {
        let mut other = class(1, &["a", "b"]);
        other.platform = Platform::linux(Language::Python, "3.12");
        let g = graph(&[class(1, &["a", "b"]), other], &flat, 1, 10);
        assert_eq!(g.pairs[0].functions, 2);
        assert_eq!(g.pairs[0].saves_mb, 0.0);
    }

    #[test]
    fn the_most_widely_used_stay_when_not_all_fit() {
        let g = graph(&[class(3, &["a", "b"]), class(2, &["c", "d"]), class(1, &["a"])], &flat, 1, 2);
        let names: Vec<&str> = g.packages.iter().map(|n| n.id.name.as_str()).collect();
        assert_eq!(names, ["a", "b"]);
        assert!(graph(&[class(1, &["a"])], &flat, 2, 10).packages.is_empty());
    }

    #[test]
    fn communities_are_found_among_bundles_and_named_by_what_costs_most() {
        let by_letter = |id: &PackageId, _: &Platform| Some((f64::from(id.name.as_bytes()[0]), 1.0));
        let g = graph(&[class(3, &["a", "b"]), class(1, &["b", "z"]), class(2, &["x", "y"])], &by_letter, 1, 10);
        // b (98 ms, 4 times) is worth more than a (97 ms, 3 times); x and y are one bundle, led by y.
        let told: Vec<(&str, usize, usize)> =
            g.communities.iter().map(|c| (c.name.as_str(), c.packages, c.functions)).collect();
        assert_eq!(told, [("b, a, z", 3, 4), ("y", 2, 2)]);
        assert!(g.packages.iter().all(|n| g.bundles[n.bundle].packages.contains(&n.id)));
    }
}
