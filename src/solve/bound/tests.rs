//! L against plain words: every plan of small instances is tried.

use proptest::prelude::*;

use super::super::greedy::Limits;
use super::super::instance::{Candidate, Instance, Required, Server, Service};
use super::super::problem::Set;
use super::super::state::State;
use super::paths::{Amounts, Networks};
use super::relaxation::{Part, Prices, Relaxation};
use super::rows::PathRow;
use super::walk::{Pace, Rule};

const ADAPTIVE: Rule = Rule::Adaptive { first: 0.05, last: 0.005 };
const VOLUME: Rule = Rule::Volume { share: 0.5, patience: 8, smoothing: 0.05 };

/// A small instance with limits of all kinds, prices and rows at random.
#[derive(Debug, Clone)]
struct Case {
    instance: Instance,
    limits: Limits,
    seed: u64,
    rows: Vec<PathRow>,
}

fn bits(set: &Set) -> u32 {
    set.ones().map(|i| 1 << i).sum()
}

/// `sets` over five packages with `resident` and `disk` MB; `demands` as core and weight.
fn instance(
    sets: &[u32],
    resident: &[u32],
    disk: &[u32],
    demands: &[(u32, u32)],
    overhead: u32,
    value: u32,
) -> Instance {
    let sum = |set: u32, of: &[u32]| -> f64 { (0..5).filter(|i| set >> i & 1 == 1).map(|i| f64::from(of[i])).sum() };
    let part = |a: u32, b: u32| a & b == a;
    let mut sets = sets.to_vec();
    sets.sort_unstable();
    sets.dedup();
    let candidates: Vec<Candidate> = sets
        .iter()
        .enumerate()
        .map(|(i, &set)| {
            let mut packages = Set::with_capacity(5);
            (0..5).filter(|k| set >> k & 1 == 1).for_each(|k| packages.insert(k));
            // Values that differ by demand, and are not the larger the larger the image is.
            let worth = |d: usize| f64::from((set * 7 + d as u32 * 3 + value) % 13);
            let services = demands.iter().enumerate().filter(|(d, (core, _))| part(set, *core) && worth(*d) > 0.0);
            let of = |wanted: &dyn Fn(u32) -> bool| -> Vec<u32> {
                (0..sets.len()).filter(|&j| j != i && wanted(sets[j])).map(|j| j as u32).collect()
            };
            let mut parents = of(&|other| part(other, set));
            parents.sort_by(|&a, &b| {
                let mb = |k: u32| sum(sets[k as usize], resident);
                mb(b).total_cmp(&mb(a)).then(a.cmp(&b))
            });
            Candidate {
                group: 0,
                set: packages,
                resident: sum(set, resident),
                overhead: f64::from(overhead),
                disk: sum(set, disk),
                is_new: set % 3 != 0,
                services: services.map(|(d, _)| Service { demand: d as u32, value: worth(d) }).collect(),
                meets: Vec::new(),
                parents,
                children: of(&|other| part(set, other)),
            }
        })
        .collect();
    let mut servers = vec![Vec::new(); demands.len()];
    for (i, c) in candidates.iter().enumerate() {
        for s in &c.services {
            servers[s.demand as usize].push(Server { candidate: i as u32, value: s.value });
        }
    }
    for list in &mut servers {
        list.sort_by(|a: &Server, b| b.value.total_cmp(&a.value).then(a.candidate.cmp(&b.candidate)));
    }
    Instance {
        candidates,
        weights: demands.iter().map(|&(_, weight)| f64::from(weight)).collect(),
        servers,
        items: vec![resident.iter().map(|&mb| f64::from(mb)).collect()],
        spans: vec![crate::solve::instance::Span { candidates: 0..sets.len(), demands: 0..demands.len() }],
        required: Vec::new(),
        complete: true,
        floor: 0.0,
    }
}

fn cases() -> impl Strategy<Value = Case> {
    let shape = (
        prop::collection::vec(1u32..32, 1..9),
        prop::collection::vec(0u32..20, 5),
        prop::collection::vec(0u32..9, 5),
        prop::collection::vec((1u32..32, 0u32..6), 1..7),
        0u32..5,
        any::<u8>(),
    );
    let limits = (1u32..70, 0usize..6, 0u32..40, 0usize..5, 0usize..3);
    let rows = prop::collection::vec((0usize..6, any::<u16>()), 0..6);
    (shape, limits, rows, any::<u64>()).prop_map(|(shape, (budget, images, disk, new, required), rows, seed)| {
        let (sets, resident, disks, demands, overhead, value) = shape;
        let mut instance = instance(&sets, &resident, &disks, &demands, overhead, u32::from(value));
        let n = instance.candidates.len();
        for r in 0..required {
            let any_of: Vec<u32> = (0..n).filter(|i| seed >> (i + 9 * r) & 1 == 1).map(|i| i as u32).collect();
            if !any_of.is_empty() {
                instance.required.push(Required { wish: r, any_of });
            }
        }
        for (r, required) in instance.required.iter().enumerate() {
            required.any_of.iter().for_each(|&i| instance.candidates[i as usize].meets.push(r as u32));
        }
        let limits = Limits {
            budget_mb: f64::from(budget),
            max_images: if images < 5 { images } else { usize::MAX },
            disk_mb: if disk < 30 { f64::from(disk) } else { f64::INFINITY },
            max_new: if new < 4 { new } else { usize::MAX },
        };
        let row = |(f, mask): (usize, u16)| PathRow {
            demand: (f % instance.weights.len()) as u32,
            images: (0..n).filter(|i| mask >> i & 1 == 1).map(|i| i as u32).collect(),
        };
        let rows = rows.into_iter().map(row).collect();
        Case { instance, limits, seed, rows }
    })
}

impl Case {
    fn relaxation(&self) -> Relaxation {
        let mut relaxation = Relaxation::new(&self.instance, &self.limits, &State::new(&self.instance));
        relaxation.add_rows(self.rows.iter().cloned());
        relaxation
    }

    /// Any prices at all.
    fn prices(&self, relaxation: &Relaxation) -> Prices {
        let mut state = self.seed;
        let mut random = |most: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 33) % (most + 1)) as f64 / 2.0
        };
        let mut prices = relaxation.nothing();
        prices.u.iter_mut().for_each(|u| *u = random(60));
        prices.d.iter_mut().for_each(|d| *d = random(20));
        prices.m.iter_mut().for_each(|m| *m = random(16));
        prices.b.iter_mut().for_each(|b| *b = random(4));
        prices
    }

    /// All plans: the images that they hold, and what they save.
    fn plans(&self) -> Vec<(Vec<bool>, f64)> {
        let c = &self.instance.candidates;
        let mut plans = Vec::new();
        for chosen in 0u32..1 << c.len() {
            let has = |i: usize| chosen >> i & 1 == 1;
            let members: Vec<usize> = (0..c.len()).filter(|&i| has(i)).collect();
            // Forked from the part of it that holds most memory; the first such where several do.
            let parent = |i: usize| {
                let parts =
                    members.iter().copied().filter(|&j| j != i && bits(&c[j].set) & bits(&c[i].set) == bits(&c[j].set));
                parts.max_by(|&a, &b| c[a].resident.total_cmp(&c[b].resident).then(b.cmp(&a)))
            };
            let of = |i: usize, mb: fn(&Candidate) -> f64| mb(&c[i]) - parent(i).map_or(0.0, |p| mb(&c[p]));
            let memory: f64 = members.iter().map(|&i| c[i].overhead + of(i, |c| c.resident)).sum();
            let disk: f64 = members.iter().map(|&i| of(i, |c| c.disk)).sum();
            let keeps = memory <= self.limits.budget_mb
                && disk <= self.limits.disk_mb
                && members.len() <= self.limits.max_images
                && members.iter().filter(|&&i| c[i].is_new).count() <= self.limits.max_new
                && self.instance.required.iter().all(|r| r.any_of.iter().any(|&i| has(i as usize)));
            if keeps {
                let mut best = vec![0.0f64; self.instance.weights.len()];
                for &i in &members {
                    c[i].services.iter().for_each(|s| best[s.demand as usize] = best[s.demand as usize].max(s.value));
                }
                let saved = best.iter().zip(&self.instance.weights).map(|(value, weight)| value * weight).sum();
                plans.push(((0..c.len()).map(has).collect(), saved));
            }
        }
        plans
    }

    fn keeps_better_plans(&self, part: &Part, plans: &[(Vec<bool>, f64)], known: f64) -> Result<(), TestCaseError> {
        for (chosen, saved) in plans.iter().filter(|(_, saved)| *saved > known + 1e-6) {
            for (i, &has) in chosen.iter().enumerate() {
                prop_assert!(part.open[i] || !has, "image {i} is of a plan that saves {saved}; known {known}");
                prop_assert!(!part.forced[i] || has, "image {i} is not of a plan that saves {saved}; known {known}");
            }
        }
        Ok(())
    }

    /// L by the formula at the head of [`super`], from sets and prices alone, and what opening each image is worth.
    fn plain(&self, prices: &Prices) -> (f64, Vec<f64>) {
        let c = &self.instance.candidates;
        let limits = &self.limits;
        // Each budget: its cap, what an image takes, what a child saves.
        type Budget = (f64, fn(&Candidate) -> f64, fn(&Candidate) -> f64);
        let mut budgets: Vec<Budget> = vec![(limits.budget_mb, |c| c.overhead + c.resident, |c| c.resident)];
        if limits.disk_mb.is_finite() {
            budgets.push((limits.disk_mb, |c| c.disk, |c| c.disk));
        }
        if limits.max_images < usize::MAX {
            budgets.push((limits.max_images.min(c.len()) as f64, |_| 1.0, |_| 0.0));
        }
        if limits.max_new < usize::MAX {
            budgets.push((limits.max_new.min(c.len()) as f64, |c| f64::from(u8::from(c.is_new)), |_| 0.0));
        }
        let mut rows: Vec<&PathRow> = Vec::new();
        for row in self.rows.iter().filter(|row| !row.images.is_empty()) {
            if !rows.contains(&row) {
                rows.push(row);
            }
        }
        let m = |wanted: &dyn Fn(&PathRow) -> bool| -> f64 {
            rows.iter().zip(&prices.m).filter(|(row, _)| wanted(row)).map(|(_, m)| m).sum()
        };
        let mut l: f64 = prices.u.iter().sum();
        l += budgets.iter().zip(&prices.b).map(|((cap, ..), b)| cap * b).sum::<f64>();
        let mut profits = Vec::new();
        for (i, image) in c.iter().enumerate() {
            let holds = |row: &PathRow, k: usize| row.images.contains(&(k as u32));
            let mut profit = prices.d[i] + m(&|row| holds(row, i));
            profit -= budgets.iter().zip(&prices.b).map(|((_, used, _), b)| used(image) * b).sum::<f64>();
            for s in &image.services {
                let f = s.demand as usize;
                let price = prices.u[f] + m(&|row| row.demand == s.demand && holds(row, i));
                profit += (self.instance.weights[f] * s.value - price).max(0.0);
            }
            for (k, child) in c.iter().enumerate() {
                if k != i && bits(&image.set) & bits(&child.set) == bits(&image.set) {
                    let saved: f64 = budgets.iter().zip(&prices.b).map(|((.., shared), b)| shared(image) * b).sum();
                    profit += (saved - prices.d[k] - m(&|row| holds(row, i) && holds(row, k))).max(0.0);
                }
            }
            l += profit.max(0.0);
            profits.push(profit);
        }
        (l, profits)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_plan_exceeds_l_at_any_prices(case in cases()) {
        let relaxation = case.relaxation();
        let prices = case.prices(&relaxation);
        let mut part = relaxation.whole(&case.instance, &case.limits);
        let mut at = relaxation.blank();
        relaxation.evaluate(&part, &prices, &mut at);
        let plans = case.plans();
        let best = plans.iter().map(|(_, saved)| *saved).fold(0.0, f64::max);
        if !plans.is_empty() {
            prop_assert!(best <= at.value + 1e-9, "best {best}, L {}", at.value);
        }

        // What is fixed keeps every plan that is better than the known one, at these prices and at good ones.
        for known in [best - 0.5, best * 0.9, best * 0.5] {
            let mut part = part.clone();
            relaxation.fix(&mut part, &prices, &at, known);
            case.keeps_better_plans(&part, &plans, known)?;
            for rule in [ADAPTIVE, VOLUME] {
                let pace = Pace { steps: 120, patience: 120, fix_every: 10, rule, until: None };
                let walk = relaxation.walk(&mut part, prices.clone(), &relaxation.scale(), known, pace);
                prop_assert!(walk.best.max(known) + 1e-6 >= best || plans.is_empty(), "best {best}, L {}", walk.best);
                relaxation.fix(&mut part, &walk.prices, &walk.at, known);
                case.keeps_better_plans(&part, &plans, known)?;
            }
        }

        // One set required, and everything open: L is the formula, and the best image of the set when none pays by itself.
        part.required.truncate(1);
        part.open.fill(true);
        relaxation.evaluate(&part, &prices, &mut at);
        let (mut plain, profits) = case.plain(&prices);
        if let Some(required) = part.required.first() {
            let most = required.iter().map(|&i| profits[i as usize]).fold(f64::NEG_INFINITY, f64::max);
            plain += most.min(0.0);
        }
        part.required.clear();
        prop_assert!((plain - at.value).abs() <= 1e-9 * plain.abs().max(1.0), "L {}, by the formula {plain}", at.value);

        // The subgradient says at most how much L falls.
        relaxation.evaluate(&part, &prices, &mut at);
        let mut other = prices.clone();
        other.zip(&case.prices_again(&relaxation), |_, p| p);
        let mut there = relaxation.blank();
        relaxation.evaluate(&part, &other, &mut there);
        let mut step = other.clone();
        step.zip(&prices, |to, from| to - from);
        prop_assert!(there.value >= at.value + at.gradient.dot(&step) - 1e-6 * at.value.abs().max(1.0));
    }

    /// A whole plan keeps all rows, and no cut of its networks is too small.
    #[test]
    fn plans_keep_the_path_rows(case in cases(), serve in any::<u64>()) {
        let relaxation = case.relaxation();
        let networks = Networks::new(&case.instance, &relaxation);
        let part = relaxation.whole(&case.instance, &Limits::memory(f64::INFINITY));
        let c = &case.instance.candidates;
        for chosen in 0u32..1 << c.len() {
            let held: Vec<bool> = (0..c.len()).map(|i| chosen >> i & 1 == 1).collect();
            // Each image hangs on any chosen part of it, or on none; each demand is served by any image that can.
            let mut pick = serve.rotate_left(chosen % 61);
            let mut any = |of: usize| {
                pick = pick.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (pick >> 33) as usize % of
            };
            let mut forked = vec![false; relaxation.children.entries.len()];
            for k in (0..c.len()).filter(|&k| held[k]) {
                let parts: Vec<usize> = (0..c.len())
                    .filter(|&i| held[i])
                    .flat_map(|i| relaxation.children.range(i))
                    .filter(|&a| relaxation.children.entries[a] as usize == k)
                    .collect();
                if let Some(&a) = parts.get(any(parts.len() + 1)) {
                    forked[a] = true;
                }
            }
            let mut served = vec![false; relaxation.service.entries.len()];
            for f in 0..case.instance.weights.len() {
                let able: Vec<usize> = (0..c.len())
                    .filter(|&i| held[i])
                    .flat_map(|i| relaxation.service.range(i))
                    .filter(|&e| relaxation.service.entries[e].0 as usize == f)
                    .collect();
                if !able.is_empty() {
                    served[able[any(able.len())]] = true;
                }
            }
            for r in 0..relaxation.rows.len() {
                prop_assert!(relaxation.rows.slack(r, &held, &forked, &served) >= 0.0);
            }
            let amount = |list: &[bool]| list.iter().map(|&b| f64::from(u8::from(b))).collect();
            let at = Amounts { x: amount(&held), y: amount(&served), z: amount(&forked) };
            prop_assert_eq!(networks.broken(&relaxation, &part, &at), Vec::new());
        }
    }
}

impl Case {
    fn prices_again(&self, relaxation: &Relaxation) -> Prices {
        Case { seed: self.seed.wrapping_add(1), ..self.clone() }.prices(relaxation)
    }
}

/// Two halves of `base` serve a demand wholly through two halves of images on it: `base` would be paid for by half. The
/// row of all three images says that one of them must hang on the bare host wholly.
#[test]
fn half_an_image_as_the_parent_of_two_halves_breaks_a_row() {
    // base {0}, left {0, 1}, right {0, 2}; one demand {0, 1, 2}.
    let instance = instance(&[0b001, 0b011, 0b101], &[10, 1, 1, 0, 0], &[0; 5], &[(0b111, 1)], 0, 1);
    let relaxation = Relaxation::new(&instance, &Limits::memory(100.0), &State::new(&instance));
    let networks = Networks::new(&instance, &relaxation);
    let part = relaxation.whole(&instance, &Limits::memory(100.0));
    let mut at = Amounts {
        x: vec![0.5; 3],
        y: vec![0.0; relaxation.service.entries.len()],
        z: vec![0.5; relaxation.children.entries.len()],
    };
    for i in [1, 2] {
        at.y[relaxation.service.range(i).start] = 0.5;
    }
    let broken = networks.broken(&relaxation, &part, &at);
    assert_eq!(broken.len(), 1);
    assert!((broken[0].0 - 0.5).abs() < 1e-9, "{broken:?}");
    assert_eq!(broken[0].1, PathRow { demand: 0, images: vec![0, 1, 2] });
}

/// Two images are required to be held and no more than two may be: whatever an image costs, it cancels out. At a cost so
/// large that what the plan saves is lost in rounding, L must not fall below it.
#[test]
fn l_holds_at_prices_that_cancel_out() {
    let instance = instance(&[0b01, 0b10], &[1; 5], &[0; 5], &[(0b11, 2)], 0, 0);
    let limits = Limits { max_images: 2, ..Limits::memory(100.0) };
    let relaxation = Relaxation::new(&instance, &limits, &State::new(&instance));
    let mut part = relaxation.whole(&instance, &limits);
    part.forced.fill(true);
    // Values are set × 7 mod 13 = 7 and 1: the demand is saved 2 × 7.
    let mut prices = relaxation.nothing();
    for exponent in 0..60 {
        prices.b[1] = 1.1 * f64::from(exponent).exp2();
        let mut at = relaxation.blank();
        relaxation.evaluate(&part, &prices, &mut at);
        assert!(at.value >= 14.0, "L {} at 1.1 × 2^{exponent}", at.value);
    }
}

/// One of {0} and {1} is required, and {1} is the cheaper: it is opened at a loss. {0, 2} saves 9 ms forked from {0}, which
/// takes the 17 MB there are. At 2 ms a MB, 7 ms for the demand and 20 ms for forking it, L is 7 + 2 · 17 − 12 = 29. What
/// forking it costs may be lowered to 8 ms, where {0} costs no more than {1} does: 29 − 8 − 12 = 9, what the plan saves.
#[test]
fn a_parent_that_may_be_opened_for_what_is_required_limits_what_is_excluded() {
    let mut instance = instance(&[0b001, 0b010, 0b101], &[10, 4, 3, 0, 0], &[0; 5], &[(0b101, 1)], 2, 0);
    instance.required.push(Required { wish: 0, any_of: vec![0, 1] });
    let limits = Limits::memory(17.0);
    let relaxation = Relaxation::new(&instance, &limits, &State::new(&instance));
    let mut part = relaxation.whole(&instance, &limits);
    let mut prices = relaxation.nothing();
    (prices.u[0], prices.d[2], prices.b[0]) = (7.0, 20.0, 2.0);
    let mut at = relaxation.blank();
    relaxation.evaluate(&part, &prices, &mut at);
    assert!((at.value - 29.0).abs() < 1e-9, "L {}", at.value);
    relaxation.fix(&mut part, &prices, &at, 8.0);
    assert!(part.open[2], "the best plan holds it");
    relaxation.fix(&mut part, &prices, &at, 9.5);
    assert!(!part.open[2], "no plan saves more than 9 ms");
}
