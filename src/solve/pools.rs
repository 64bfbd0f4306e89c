//! One plan for pools that are planned each by itself, and what is said of pools and demands in it.

use std::collections::{BTreeMap, BTreeSet};

use super::problem::{Problem, Set};
use super::wishes::{Asked, PriceOf};
use super::{Chosen, Options, Portion, Progress, Solution, is_open, plan_aimed, prior};
use crate::model::PackageId;
use crate::model::plan::{Demanded, Image, Method, OtherBound, Plan, PoolPlan, Proof, Size, Status};
use crate::model::units::round;
use crate::model::wishes::{self, REST, Wish, Wished, Wishes};

/// Decimals kept, as elsewhere in a plan.
const DIGITS: u32 = 6;

/// A pool's part of a solution.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Part {
    /// Σ weight × (load − swap), ms.
    pub objective: f64,
    /// No images of the pool save more, ms.
    pub bound: f64,
}

/// Plans each pool within its limits. The options' own limits do not count.
pub fn plan_asked(asked: &Asked, options: &Options, progress: &dyn Fn(Progress)) -> (Solution, Vec<Part>) {
    let mut parts = Vec::new();
    let mut solutions: Vec<Solution> = Vec::new();
    let mut stable = options.stable;
    // What is expected is worked out once for all pools, so that it can be verified as a whole.
    let aimed = super::aimed(&asked.problem, options);
    for (number, pool) in asked.pools.iter().enumerate() {
        let options = Options {
            budget_mb: pool.memory_mb,
            max_images: pool.images.as_ref().map(|(most, _)| *most),
            disk_mb: pool.disk.as_ref().map(|(mb, _)| *mb),
            stable,
            prove: options.prove.map(|time| time / asked.pools.len() as u32),
            ..options.clone()
        };
        let solution = if asked.pools.len() == 1 {
            plan_aimed(&aimed, &options, progress)
        } else {
            let (problem, _) = only(&aimed, number);
            let solution = plan_aimed(&problem, &options, progress);
            // What one pool has to build is no longer there for the next.
            if let Some(most) = stable.as_mut().and_then(|s| s.max_changes.as_mut()) {
                *most = most.saturating_sub(changes(&problem, &solution));
            }
            solution
        };
        parts.push(Part { objective: solution.objective, bound: solution.bound });
        solutions.push(solution);
    }
    let all = if solutions.len() == 1 { solutions.swap_remove(0) } else { merge(asked, &aimed, &solutions) };
    (all, parts)
}

/// Images of a solution that are not there, or not on the same parent.
fn changes(problem: &Problem, solution: &Solution) -> usize {
    let is_there = |c: &&Chosen| {
        problem.groups[c.group]
            .old
            .iter()
            .any(|old| old.set == c.set && old.parent.as_ref() == c.parent.map(|p| &solution.chosen[p].set))
    };
    solution.chosen.iter().filter(|c| !is_there(c)).count()
}

/// The problem of one pool, and the number that each of its groups has in the whole.
pub(super) fn only(problem: &Problem, pool: usize) -> (Problem, Vec<usize>) {
    let old: Vec<usize> = (0..problem.groups.len()).filter(|&g| problem.groups[g].pool == pool).collect();
    let groups = old.iter().map(|&g| problem.groups[g].clone()).collect();
    let Problem { class_pool, class_excluded, class_load_ms, class_unpriced, class_weight, .. } = problem.clone();
    let functions = problem.functions;
    (Problem { groups, class_pool, class_excluded, class_load_ms, class_unpriced, class_weight, functions }, old)
}

fn merge(asked: &Asked, problem: &Problem, solutions: &[Solution]) -> Solution {
    // Where each chosen image was, so that parents can be found again once all are sorted.
    let mut chosen: Vec<(usize, Set, usize, usize)> = Vec::new();
    for (pool, solution) in solutions.iter().enumerate() {
        let old = only(problem, pool).1;
        chosen.extend(solution.chosen.iter().enumerate().map(|(k, c)| (old[c.group], c.set.clone(), pool, k)));
    }
    chosen.sort();
    let at: BTreeMap<(usize, usize), usize> =
        chosen.iter().enumerate().map(|(i, (_, _, pool, k))| ((*pool, *k), i)).collect();
    let chosen = chosen
        .into_iter()
        .map(|(group, set, pool, k)| Chosen {
            group,
            set,
            parent: solutions[pool].chosen[k].parent.and_then(|p| at.get(&(pool, p)).copied()),
        })
        .collect();
    let sum = |of: &dyn Fn(&Solution) -> f64| solutions.iter().map(of).sum::<f64>();
    let (objective, bound) = (sum(&|s| s.objective), sum(&|s| s.bound));
    let busy: Vec<(usize, &Solution)> =
        solutions.iter().enumerate().filter(|(_, s)| s.status != Status::Empty).collect();
    let joined = |of: &dyn Fn(&Solution) -> String| -> String {
        let texts: BTreeSet<String> = busy.iter().map(|(_, s)| of(s)).collect();
        texts.into_iter().collect::<Vec<_>>().join("; ")
    };
    let covers: Vec<String> =
        busy.iter().map(|(pool, s)| format!("pool {}: {}", asked.pools[*pool].of.name, s.bound_covers)).collect();
    Solution {
        chosen,
        objective,
        known_objective: sum(&|s| s.known_objective),
        expected: solutions.iter().any(|s| s.expected.is_some()).then(|| prior::extent(problem)),
        bound,
        memory_mb: sum(&|s| s.memory_mb),
        unsettled: solutions.iter().map(|s| s.unsettled).sum(),
        met: solutions.iter().all(|s| s.met),
        status: if busy.is_empty() {
            Status::Empty
        } else if is_open(objective, bound) {
            Status::Feasible
        } else {
            Status::Optimal
        },
        proof: Proof {
            method: joined(&|s| s.method.bound.clone()),
            second_bound: second_bound(&solutions.iter().map(|s| (s.bound, &s.proof)).collect::<Vec<_>>()),
            seconds_allowed: solutions.iter().map(|s| s.proof.seconds_allowed).sum(),
            seconds: solutions.iter().map(|s| s.proof.seconds).sum(),
        },
        method: Method { plan: joined(&|s| s.method.plan.clone()), bound: joined(&|s| s.method.bound.clone()) },
        bound_covers: covers.join("; "),
        budgets_mb: asked.pools.iter().map(|p| p.memory_mb).collect(),
        smallest_mb: (0..problem.class_weight.len())
            .map(|class| solutions.iter().find_map(|s| s.smallest_mb[class]))
            .collect(),
        portions: portions(problem, solutions),
        size: Size {
            functions: problem.functions,
            classes: problem.class_weight.len(),
            candidates: solutions.iter().map(|s| s.size.candidates).sum(),
            parent_pairs: solutions.iter().map(|s| s.size.parent_pairs).sum(),
        },
    }
}

/// What each group of the whole has in the pool that it is of.
fn portions(problem: &Problem, solutions: &[Solution]) -> Vec<Portion> {
    let mut portions = vec![Portion::default(); problem.groups.len()];
    for (pool, solution) in solutions.iter().enumerate() {
        let groups = (0..problem.groups.len()).filter(|&g| problem.groups[g].pool == pool);
        groups.zip(&solution.portions).for_each(|(g, portion)| portions[g] = *portion);
    }
    portions
}

/// The sum of the pools' second bounds; where one has none, of its only bound. None when no pool has one.
fn second_bound(parts: &[(f64, &Proof)]) -> Option<OtherBound> {
    let methods: BTreeSet<&str> =
        parts.iter().filter_map(|(_, p)| p.second_bound.as_ref()).map(|b| b.method.as_str()).collect();
    let value = |(bound, proof): &(f64, &Proof)| proof.second_bound.as_ref().map_or(*bound, |b| b.value);
    (!methods.is_empty()).then(|| OtherBound {
        method: methods.into_iter().collect::<Vec<_>>().join("; "),
        value: parts.iter().map(value).sum(),
    })
}

/// Says in a plan what pools there are and how each demand is met.
pub fn annotate(plan: &mut Plan, asked: &Asked, list: &Wishes, parts: &[Part], price: PriceOf) {
    if asked.pools.len() > 1 {
        plan.pools = asked
            .pools
            .iter()
            .zip(parts)
            .map(|(pool, part)| {
                let name = Some(pool.of.name.as_str()).filter(|n| *n != REST);
                let images: Vec<&Image> = plan.images.iter().filter(|i| i.pool.as_deref() == name).collect();
                let (objective, bound) = (round(part.objective, DIGITS), round(part.bound.max(part.objective), DIGITS));
                PoolPlan {
                    of: pool.of.clone(),
                    budget_mb: round(pool.memory_mb, DIGITS),
                    memory_mb: round(images.iter().map(|i| i.added_mb).sum(), DIGITS),
                    images: images.len(),
                    objective,
                    bound: bound.max(objective),
                    gap: if bound > 0.0 { round(((bound - objective) / bound).max(0.0), 9) } else { 0.0 },
                }
            })
            .collect();
    }
    let demands: Vec<Demanded> = list
        .list
        .iter()
        .enumerate()
        // The host's memory is the plan's budget.
        .filter(|(_, w)| !(matches!(w.wish, Wish::Memory { .. }) && w.pool.is_none()))
        .map(|(index, w)| demanded(plan, asked, index, w, price))
        .collect();
    plan.demands = demands;
}

/// A figure with the function or image that it is of.
type Figure = (f64, Option<String>);

fn demanded(plan: &Plan, asked: &Asked, index: usize, wished: &Wished, price: PriceOf) -> Demanded {
    let functions = &asked.inventory.functions;
    let of_pool = |image: &&Image| match wished.pool.as_deref() {
        None => true,
        Some(REST) => image.pool.is_none(),
        pool => image.pool.as_deref() == pool,
    };
    let images = || plan.images.iter().filter(of_pool);
    let count = |n: usize| Some((n as f64, None));
    let named = || functions.iter().filter(|f| wished.wish.names(&f.id));
    let largest =
        |figures: &mut dyn Iterator<Item = Figure>| figures.max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)));
    let (has, limit, unit): (Option<Figure>, Option<f64>, &str) = match &wished.wish {
        Wish::Memory { mb } => (Some((images().map(|i| i.added_mb).sum(), None)), Some(*mb), "MB"),
        Wish::Images { most } => (count(images().count()), Some(*most as f64), "images"),
        Wish::Disk { mb } => (Some((disk_mb(plan, images(), price), None)), Some(*mb), "MB"),
        Wish::MaxImage { mb } => {
            // The host's limit is that of pools that have none of their own.
            let counts = |image: &&Image| {
                wished.pool.is_some()
                    || asked.pools.iter().any(|p| {
                        image.pool.as_deref().unwrap_or(REST) == p.of.name
                            && p.max_image.is_some_and(|(most, _)| most == *mb)
                    })
            };
            let mut sizes = images().filter(counts).map(|i| (i.resident_mb, Some(i.id.clone())));
            (largest(&mut sizes), Some(*mb), "MB")
        }
        Wish::Floor { share, .. } => {
            let mut shares = named().filter_map(|f| {
                let platform = f.platform.as_ref()?;
                let load: f64 = f.closure.iter().filter_map(|id| price(id, platform)).map(|p| p.load_ms).sum();
                let saved = plan.assignments.iter().find(|a| a.function == f.id).map_or(0.0, |a| a.saved_ms);
                (load > 0.0).then(|| (-saved / load, Some(f.id.clone())))
            });
            (largest(&mut shares).map(|(share, of)| (-share, of)), Some(*share), "share")
        }
        Wish::Pin { packages, .. } => {
            let pinned = asked.problem.groups.iter().find(|g| g.pins.iter().any(|pin| pin.wish == index));
            let image = pinned.and_then(|group| {
                images().find(|i| {
                    i.platform == group.platform
                        && i.trust_domain == group.trust_domain
                        && i.pool == group.pool_name
                        && holds_exactly(i, packages)
                })
            });
            (image.map(|i| (i.resident_mb, Some(i.id.clone()))), None, "MB")
        }
        Wish::Exclude { package } => {
            let out: BTreeSet<&PackageId> =
                functions.iter().flat_map(|f| &f.closure).filter(|id| wishes::is_package(package, id)).collect();
            (count(out.len()), None, "packages")
        }
        Wish::Alone { .. } | Wish::Cold { .. } | Wish::TrustDomain { .. } => {
            (count(named().count()), None, "functions")
        }
    };
    let met = match (&wished.wish, &has, limit) {
        (Wish::Pin { .. }, has, _) => has.is_some(),
        (Wish::Floor { .. }, Some((has, _)), Some(least)) => *has >= least - 1e-9,
        (_, Some((has, _)), Some(most)) => *has <= most * (1.0 + 1e-9) + 1e-6,
        _ => true,
    };
    let (has, of) = has.map_or((None, None), |(has, of)| (Some(round(has, DIGITS)), of));
    Demanded { text: wished.wish.to_string(), wished: wished.clone(), met, has, limit, unit: unit.to_string(), of }
}

fn holds_exactly(image: &Image, packages: &[PackageId]) -> bool {
    let ids: BTreeSet<PackageId> = image.package_ids().into_iter().collect();
    ids.iter().eq(packages.iter())
}

/// MB on disk of some images of a plan, each without what its parent holds.
fn disk_mb<'a>(plan: &Plan, images: impl Iterator<Item = &'a Image>, price: PriceOf) -> f64 {
    let of = |image: &Image| -> f64 {
        image.package_ids().iter().filter_map(|id| price(id, &image.platform)).filter_map(|p| p.disk_mb).sum()
    };
    images
        .map(|image| {
            let parent = image.parent.as_ref().and_then(|id| plan.images.iter().find(|i| i.id == *id));
            (of(image) - parent.map_or(0.0, of)).max(0.0)
        })
        .sum()
}
