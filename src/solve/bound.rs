//! An upper bound on what any plan made of the candidates can save, by Lagrangian relaxation.
//!
//! With S_i the demands that image i can serve, v_i what it saves, c_ji the memory that it adds to its parent j (0: the
//! bare host), o_i the memory of its host, r_g that of package g, budget B and at most N images, the problem is
//!
//! ```text
//! max Σ_f w_f Σ_i v_i y_fi
//!     Σ_i y_fi ≤ 1                    for each demand f                 price u_f ≥ 0
//!     Σ_j z_ji ≥ x_i                  for each image i                  price t_i ≥ 0
//!     Σ_{i ∋ g} y_fi ≤ p_g            for each demand f and package g   price m_fg ≥ 0
//!     Σ_ji c_ji z_ji ≤ B                                                price λ ≥ 0
//!     Σ_g r_g p_g + Σ_i o_i x_i ≤ B                                     price κ ≥ 0
//!     Σ_i x_i ≤ N                                                       price ν ≥ 0
//!     y_fi ≤ x_i,  z_ij ≤ x_i,  p, x, y, z ∈ {0, 1}
//! ```
//!
//! The rows with p (package g is loaded anywhere) follow from the others when all is whole. The relaxation needs them: in
//! it, half of an image may be the parent of any number of halves that together serve a demand wholly, and what they
//! share would be paid for by half.
//!
//! Paying the prices instead of keeping the priced constraints leaves one question for each image, whether to open it:
//!
//! ```text
//! L = Σ_f u_f + (λ + κ) B + ν N + Σ_k (t_k − λ c_0k)⁺ + Σ_g (Σ_f m_fg − κ r_g)⁺
//!   + Σ_i max(0, Σ_{f ∈ S_i} (w_f v_i − u_f − Σ_{g ∈ i} m_fg)⁺ + Σ_{k ⊃ i} (t_k − λ c_ik)⁺ − t_i − κ o_i − ν)
//! ```
//!
//! which no feasible plan exceeds, whatever the prices. They are improved by subgradient steps: with a rate of its own
//! for each price from afar (Adam: Kingma and Ba, ICLR 2015), by the volume algorithm (Barahona and Anbil, Mathematical
//! Programming 87, 2000) close by. The result is only as tight as the prices are good, never wrong. The question for an
//! image has an integral answer, so the best L is the bound of the linear relaxation.
//!
//! Fixing: where opening (or closing) image i would take L below what a known plan saves, no better plan opens (closes)
//! it. What remains is bounded by max(L over the remaining images, what the known plan saves).

use std::collections::BTreeMap;

use super::greedy::Limits;
use super::instance::Instance;
use super::state::State;

/// Evaluations of L.
const STEPS: usize = 2_500;
/// Terms of L that are added up in all.
const WORK: usize = 200_000_000;
/// Steps without a gain worth having after which no more are taken.
const PATIENCE: usize = 300;
/// Steps after which images are fixed.
const FIX_EVERY: usize = 100;
/// Share of the known plan's prices to start from.
const START: f64 = 0.7;
/// Share of the price of memory that the forks bear at first; what the demands load bears the rest.
const FORKS: f64 = 0.5;
/// Relative room for the rounding errors of one evaluation of L.
pub(super) const SLACK: f64 = 1e-9;

/// An upper bound and how it came about.
#[derive(Debug, Clone, PartialEq)]
pub struct Bound {
    /// No plan made of the candidates saves more, ms.
    pub value: f64,
    /// Evaluations of L.
    pub steps: usize,
    /// Candidates that a plan better than the known one may hold: the others are excluded by the bound.
    pub open: Vec<bool>,
    /// Candidates that every better plan holds.
    pub forced: Vec<bool>,
    /// The best prices that were found.
    pub(super) prices: Prices,
}

/// Prices, or a direction in their space.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Prices {
    pub u: Vec<f64>,
    pub t: Vec<f64>,
    pub m: Vec<f64>,
    pub lambda: f64,
    pub kappa: f64,
    pub nu: f64,
}

impl Prices {
    fn zip(&mut self, other: &Prices, f: impl Fn(f64, f64) -> f64) {
        self.u.iter_mut().zip(&other.u).for_each(|(a, b)| *a = f(*a, *b));
        self.t.iter_mut().zip(&other.t).for_each(|(a, b)| *a = f(*a, *b));
        self.m.iter_mut().zip(&other.m).for_each(|(a, b)| *a = f(*a, *b));
        self.lambda = f(self.lambda, other.lambda);
        self.kappa = f(self.kappa, other.kappa);
        self.nu = f(self.nu, other.nu);
    }

    fn dot(&self, other: &Prices) -> f64 {
        let sum = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        sum(&self.u, &other.u)
            + sum(&self.t, &other.t)
            + sum(&self.m, &other.m)
            + self.lambda * other.lambda
            + self.kappa * other.kappa
            + self.nu * other.nu
    }
}

/// For each image a list of what it concerns, one after the other in memory.
struct Lists {
    ends: Vec<usize>,
    entries: Vec<(u32, f64)>,
}

impl Lists {
    fn new(lists: impl Iterator<Item = Vec<(u32, f64)>>) -> Self {
        let mut all = Self { ends: vec![0], entries: Vec::new() };
        for list in lists {
            all.entries.extend(list);
            all.ends.push(all.entries.len());
        }
        all
    }

    fn of(&self, i: usize) -> &[(u32, f64)] {
        &self.entries[self.ends[i]..self.ends[i + 1]]
    }
}

/// The plans that are still looked at.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Part {
    /// Images that they may hold.
    pub open: Vec<bool>,
    /// Images that all of them hold.
    pub forced: Vec<bool>,
    /// Sets of images of which all of them hold at least one.
    pub required: Vec<Vec<u32>>,
}

/// L at some prices.
#[derive(Debug, Clone)]
pub(super) struct Evaluation {
    pub value: f64,
    /// Which images the relaxed problem opens.
    pub held: Vec<bool>,
    /// What opening each image is worth; 0 for those that are not open.
    pub worth: Vec<f64>,
    /// What opening an image of a required set costs that would not be worth it: the set and a worth below 0. The sets
    /// are disjoint.
    pub penalties: Vec<(usize, f64)>,
    gradient: Prices,
}

/// Which packages each demand loads with which image. Packages that are in the same candidates are one.
pub(super) struct Loads {
    /// Resident MB of each package.
    mb: Vec<f64>,
    /// For each price m: its package.
    pub pairs: Vec<u32>,
    /// Group and index of the items that each package stands for.
    items: Vec<Vec<(usize, usize)>>,
    /// The price m of a demand and a package.
    index: BTreeMap<(u32, u32), u32>,
    /// For each image: where its entries begin.
    starts: Vec<usize>,
    /// For each image: its number of packages.
    counts: Vec<usize>,
    /// For each image, each of its demands in turn: the prices m of its packages.
    entries: Vec<u32>,
}

impl Loads {
    pub fn new(instance: &Instance) -> Self {
        let mut holders: BTreeMap<(usize, usize), Vec<u32>> = BTreeMap::new();
        for (i, c) in instance.candidates.iter().enumerate() {
            c.set.ones().for_each(|k| holders.entry((c.group, k)).or_default().push(i as u32));
        }
        let mut merged: BTreeMap<Vec<u32>, Vec<(usize, usize)>> = BTreeMap::new();
        for ((g, k), holders) in holders {
            if instance.items[g][k] > 0.0 {
                merged.entry(holders).or_default().push((g, k));
            }
        }
        let mut packages: Vec<Vec<u32>> = vec![Vec::new(); instance.candidates.len()];
        for (package, holders) in merged.keys().enumerate() {
            holders.iter().for_each(|&i| packages[i as usize].push(package as u32));
        }
        let mut loads = Self {
            mb: merged.values().map(|items| items.iter().map(|&(g, k)| instance.items[g][k]).sum()).collect(),
            items: merged.into_values().collect(),
            pairs: Vec::new(),
            index: BTreeMap::new(),
            starts: Vec::new(),
            counts: Vec::new(),
            entries: Vec::new(),
        };
        for (c, packages) in instance.candidates.iter().zip(&packages) {
            loads.starts.push(loads.entries.len());
            loads.counts.push(packages.len());
            for f in c.services.iter().filter(|s| instance.gain(s) > 0.0).map(|s| s.demand) {
                for &package in packages {
                    let next = loads.pairs.len() as u32;
                    let pair = *loads.index.entry((f, package)).or_insert(next);
                    if pair == next {
                        loads.pairs.push(package);
                    }
                    loads.entries.push(pair);
                }
            }
        }
        loads
    }

    /// The prices m of `other`, in the order of these loads.
    fn translate(&self, other: &Loads, m: &[f64]) -> Vec<f64> {
        let mut package = BTreeMap::new();
        for (p, items) in self.items.iter().enumerate() {
            package.extend(items.iter().map(|&item| (item, p as u32)));
        }
        let mut mine = vec![0.0; self.pairs.len()];
        for (&(f, p), &pair) in &other.index {
            let here = other.items[p as usize].first().and_then(|item| package.get(item));
            if let Some(&here) = here.and_then(|&here| self.index.get(&(f, here))) {
                mine[here as usize] += m[pair as usize];
            }
        }
        mine
    }

    /// The prices m of the packages of image `i` for its demand number `d`.
    fn of(&self, i: usize, d: usize) -> &[u32] {
        let start = self.starts[i] + d * self.counts[i];
        &self.entries[start..start + self.counts[i]]
    }
}

/// The relaxation in flat arrays.
pub(super) struct Relaxation {
    loads: Loads,
    /// For each image: MB of a host that holds nothing.
    overhead: Vec<f64>,
    /// For each image: demands and `w_f v_i`.
    service: Lists,
    /// For each image: children and what they add to it, MB.
    children: Lists,
    /// For each image: what it adds to the bare host, MB.
    root: Vec<f64>,
    demands: usize,
    budget: f64,
    /// None when the number of images is not limited.
    images: Option<f64>,
}

impl Relaxation {
    pub fn new(instance: &Instance, limits: &Limits) -> Self {
        let n = instance.candidates.len();
        let limited = limits.max_images < n;
        Self {
            loads: Loads::new(instance),
            overhead: instance.candidates.iter().map(|c| c.overhead).collect(),
            service: Lists::new(instance.candidates.iter().map(|c| {
                c.services.iter().map(|s| (s.demand, instance.gain(s))).filter(|&(_, gain)| gain > 0.0).collect()
            })),
            children: Lists::new((0..n).map(|i| {
                let children = &instance.candidates[i].children;
                children.iter().map(|&k| (k, instance.added_mb(k as usize, Some(i)))).collect()
            })),
            root: (0..n).map(|i| instance.added_mb(i, None)).collect(),
            demands: instance.weights.len(),
            budget: limits.budget_mb,
            images: limited.then_some(limits.max_images as f64),
        }
    }

    /// The prices of `other`, whose images `old` are those of this relaxation.
    pub fn translate(&self, other: &Relaxation, prices: &Prices, old: &[usize]) -> Prices {
        Prices {
            t: old.iter().map(|&i| prices.t[i]).collect(),
            m: self.loads.translate(&other.loads, &prices.m),
            ..prices.clone()
        }
    }

    /// Terms that one evaluation adds up.
    pub fn terms(&self) -> usize {
        1 + self.root.len()
            + self.demands
            + self.service.entries.len()
            + self.children.entries.len()
            + self.loads.entries.len()
    }

    /// All plans.
    pub fn whole(&self, limits: &Limits) -> Part {
        Part {
            // Whatever it is forked from, an image and its ancestors hold its packages at least once.
            open: self.root.iter().map(|&mb| limits.max_images > 0 && limits.fits(mb)).collect(),
            forced: vec![false; self.root.len()],
            required: Vec::new(),
        }
    }

    fn blank(&self) -> Evaluation {
        let n = self.root.len();
        Evaluation {
            value: f64::INFINITY,
            held: vec![false; n],
            worth: vec![0.0; n],
            penalties: Vec::new(),
            gradient: Prices {
                u: vec![0.0; self.demands],
                t: vec![0.0; n],
                m: vec![0.0; self.loads.pairs.len()],
                lambda: 0.0,
                kappa: 0.0,
                nu: 0.0,
            },
        }
    }

    /// Takes from the prices what can only be too much in this part: prices of demands above the most that an open image
    /// gains for them, and of images that are not open.
    pub fn trim(&self, part: &Part, prices: &mut Prices) {
        let mut most = vec![0.0f64; self.demands];
        for i in (0..self.root.len()).filter(|&i| part.open[i]) {
            for &(f, gain) in self.service.of(i) {
                most[f as usize] = most[f as usize].max(gain);
            }
        }
        prices.u.iter_mut().zip(&most).for_each(|(u, most)| *u = u.min(*most));
        prices.t.iter_mut().zip(&part.open).filter(|(_, open)| !**open).for_each(|(t, _)| *t = 0.0);
    }

    /// L at the prices, which are 0 for images that are not open, with a subgradient.
    fn evaluate(&self, part: &Part, p: &Prices, out: &mut Evaluation) {
        let mut sum: f64 =
            p.u.iter().sum::<f64>() + (p.lambda + p.kappa) * self.budget + p.nu * self.images.unwrap_or(0.0);
        let gradient = &mut out.gradient;
        gradient.u.fill(1.0);
        gradient.t.fill(0.0);
        gradient.lambda = self.budget;
        gradient.kappa = self.budget;
        let mut paid = vec![0.0; self.loads.mb.len()];
        self.loads.pairs.iter().zip(&p.m).for_each(|(&package, m)| paid[package as usize] += m);
        for (paid, mb) in paid.iter_mut().zip(&self.loads.mb) {
            *paid -= p.kappa * mb;
            if *paid > 0.0 {
                sum += *paid;
                gradient.kappa -= mb;
            }
        }
        for (m, &package) in gradient.m.iter_mut().zip(&self.loads.pairs) {
            *m = if paid[package as usize] > 0.0 { 1.0 } else { 0.0 };
        }
        gradient.nu = self.images.unwrap_or(0.0);
        for (i, &cost) in self.root.iter().enumerate() {
            out.worth[i] = 0.0;
            out.held[i] = false;
            if !part.open[i] {
                continue;
            }
            let surplus = p.t[i] - p.lambda * cost;
            if surplus > 0.0 {
                sum += surplus;
                gradient.t[i] += 1.0;
                gradient.lambda -= cost;
            }
            let mut profit = -p.t[i] - p.nu - p.kappa * self.overhead[i];
            for (d, &(f, gain)) in self.service.of(i).iter().enumerate() {
                profit += self.surplus(p, i, d, f, gain).max(0.0);
            }
            for &(k, cost) in self.children.of(i) {
                profit += (p.t[k as usize] - p.lambda * cost).max(0.0);
            }
            out.worth[i] = profit;
            out.held[i] = profit > 0.0 || part.forced[i];
        }
        self.require(part, out);
        for i in (0..self.root.len()).filter(|&i| out.held[i]) {
            sum += out.worth[i];
            let gradient = &mut out.gradient;
            gradient.t[i] -= 1.0;
            gradient.nu -= 1.0;
            gradient.kappa -= self.overhead[i];
            for (d, &(f, gain)) in self.service.of(i).iter().enumerate() {
                if self.surplus(p, i, d, f, gain) > 0.0 {
                    gradient.u[f as usize] -= 1.0;
                    self.loads.of(i, d).iter().for_each(|&pair| gradient.m[pair as usize] -= 1.0);
                }
            }
            for &(k, cost) in self.children.of(i) {
                if p.t[k as usize] > p.lambda * cost {
                    gradient.t[k as usize] += 1.0;
                    gradient.lambda -= cost;
                }
            }
        }
        out.value = sum;
    }

    /// What image `i` gains for its demand number `d`, which is `f`, beyond the prices.
    fn surplus(&self, p: &Prices, i: usize, d: usize, f: u32, gain: f64) -> f64 {
        let rest = gain - p.u[f as usize];
        if rest <= 0.0 {
            return rest;
        }
        rest - self.loads.of(i, d).iter().map(|&pair| p.m[pair as usize]).sum::<f64>()
    }

    /// Opens the best image of each required set that holds none, for a disjoint choice of such sets: the dearest first.
    /// Images that are in several sets make the rest too hard to weigh, and leaving a set out only weakens the bound.
    fn require(&self, part: &Part, out: &mut Evaluation) {
        out.penalties.clear();
        let mut due: Vec<(f64, usize, u32)> = Vec::new();
        for (r, set) in part.required.iter().enumerate() {
            let open = set.iter().copied().filter(|&i| part.open[i as usize]);
            let best = open.max_by(|&a, &b| out.worth[a as usize].total_cmp(&out.worth[b as usize]).then(b.cmp(&a)));
            if let Some(best) = best.filter(|_| !set.iter().any(|&i| out.held[i as usize])) {
                due.push((out.worth[best as usize], r, best));
            }
        }
        due.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let mut seen: Vec<u32> = Vec::new();
        for (worth, r, best) in due {
            let set = &part.required[r];
            if !set.iter().any(|i| seen.contains(i)) {
                seen.extend(set);
                out.held[best as usize] = true;
                out.penalties.push((r, worth));
            }
        }
    }

    /// Fixes what an evaluation proves of the plans of this part that are better than `known`. Says whether anything was.
    ///
    /// With image i opened L is at most `L + min(0, worth_i) − Σ penalties of the required sets that i is of`, with i
    /// closed at most `L − max(0, worth_i)`.
    pub fn fix(&self, part: &mut Part, at: &Evaluation, known: f64) -> bool {
        let slack = SLACK * at.value.abs();
        let mut relief: Vec<(u32, f64)> = Vec::new();
        for &(r, worth) in &at.penalties {
            relief.extend(part.required[r].iter().map(|&i| (i, -worth)));
        }
        relief.sort_by_key(|&(i, _)| i);
        let mut fixed = false;
        for (i, &worth) in at.worth.iter().enumerate() {
            if !part.open[i] || part.forced[i] {
                continue;
            }
            let relief = relief.binary_search_by_key(&(i as u32), |&(i, _)| i).map_or(0.0, |k| relief[k].1);
            if at.value + worth.min(0.0) + relief + slack < known {
                part.open[i] = false;
                fixed = true;
            } else if at.value - worth.max(0.0) + slack < known {
                part.forced[i] = true;
                fixed = true;
            }
        }
        fixed
    }
}

/// How far to walk.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// Evaluations of L.
    pub steps: usize,
    /// Steps without a gain worth having after which no more are taken.
    pub patience: usize,
    /// Steps after which images are fixed.
    pub fix_every: usize,
    /// How long the steps are.
    pub rule: Rule,
}

/// How long steps are.
#[derive(Debug, Clone, Copy)]
pub(super) enum Rule {
    /// Each price moves by a share of its scale, less where its subgradient is often large (as Adam does: Kingma and Ba,
    /// ICLR 2015): good from afar.
    Adaptive { first: f64, last: f64 },
    /// From the best prices, the volume algorithm's step: a share of what would reach the known plan if L were linear
    /// (Polyak's rule), a smaller one after so many steps in vain. Good close by.
    Volume { share: f64, patience: usize },
}

/// Where a walk ended.
pub(super) struct Walk {
    /// The smallest L that was seen.
    pub best: f64,
    /// Its prices.
    pub prices: Prices,
    /// L there.
    pub at: Evaluation,
    /// How often each image was opened, late steps counting more: an estimate of the relaxation's solution.
    pub share: Vec<f64>,
    /// Evaluations of L.
    pub steps: usize,
}

/// The factor that, applied `steps` times, comes to `ratio` (between 0 and 1). By bisection with nothing but products:
/// the last digits of library powers differ between builds and systems, and a walk of many steps would carry them into
/// the plan.
fn decay_over(steps: usize, ratio: f64) -> f64 {
    let power = |factor: f64| {
        let (mut result, mut square, mut left) = (1.0, factor, steps);
        while left > 0 {
            if left % 2 == 1 {
                result *= square;
            }
            square *= square;
            left /= 2;
        }
        result
    };
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        if power(middle) < ratio { low = middle } else { high = middle }
    }
    high
}

impl Relaxation {
    /// Improves prices by the volume algorithm, and fixes on the way what can no longer beat `known`.
    pub fn walk(&self, part: &mut Part, start: Prices, scale: &Prices, known: f64, how: Pace) -> Walk {
        let mut centre = start;
        self.trim(part, &mut centre);
        let mut at = self.blank();
        self.evaluate(part, &centre, &mut at);
        let mut best = at.value;
        let mut share: Vec<f64> = at.held.iter().map(|&held| f64::from(u8::from(held))).collect();
        let mut direction = at.gradient.clone();
        let (mut scaled, mut trial) = (direction.clone(), centre.clone());
        let smoothing = 0.1;
        let (mut steps, mut gained) = (1, 1);
        let mut square = direction.clone();
        square.zip(scale, |d, _| d * d);
        trial.zip(&centre, |_, c| c);
        let (mut rate, decay) = match how.rule {
            Rule::Adaptive { first, last } => (first, decay_over(how.steps, last / first)),
            Rule::Volume { share, .. } => (share, 1.0),
        };
        let mut misses = 0;
        while steps < how.steps {
            if best <= known * (1.0 + SLACK) {
                break;
            }
            scaled.zip(&direction, |_, d| d);
            match how.rule {
                Rule::Adaptive { .. } => {
                    scaled.zip(&square, |d, v| if v > 0.0 { d / v.sqrt() } else { 0.0 });
                    scaled.zip(scale, |d, s| d * s);
                    trial.zip(&scaled, |p, d| (p - rate * d).max(0.0));
                }
                Rule::Volume { .. } => {
                    scaled.zip(scale, |d, s| d * s);
                    // Prices that are 0 and would fall cannot move: they must not shorten the step of the others.
                    scaled.zip(&centre, |d, c| if c <= 0.0 && d > 0.0 { 0.0 } else { d });
                    let norm = scaled.dot(&scaled);
                    if norm <= 0.0 {
                        break;
                    }
                    let step = rate * (best - known.min(best * (1.0 - 1e-4))) / norm;
                    trial.zip(&scaled, |_, d| d);
                    trial.zip(scale, |d, s| d * s);
                    trial.zip(&centre, |d, c| (c - step * d).max(0.0));
                }
            }
            if self.images.is_none() {
                trial.nu = 0.0;
            }
            rate *= decay;
            self.evaluate(part, &trial, &mut at);
            steps += 1;
            if at.value < best {
                if at.value < best * (1.0 - 1e-7) {
                    gained = steps;
                }
                best = at.value;
                centre.zip(&trial, |_, t| t);
                misses = 0;
                if matches!(how.rule, Rule::Volume { .. }) {
                    rate = (rate * 1.1).min(2.0);
                }
            } else if let Rule::Volume { patience, .. } = how.rule {
                misses += 1;
                if misses >= patience {
                    rate = (rate * 0.66).max(1e-4);
                    misses = 0;
                }
            }
            if steps - gained > how.patience {
                break;
            }
            square.zip(&at.gradient, |v, g| 0.98 * v + 0.02 * g * g);
            direction.zip(&at.gradient, |d, g| (1.0 - smoothing) * d + smoothing * g);
            for (share, &held) in share.iter_mut().zip(&at.held) {
                *share += smoothing * (f64::from(u8::from(held)) - *share);
            }
            if steps.is_multiple_of(how.fix_every) {
                self.evaluate(part, &centre, &mut at);
                if self.fix(part, &at, known) {
                    self.trim(part, &mut centre);
                    self.evaluate(part, &centre, &mut at);
                    best = best.min(at.value);
                }
            }
        }
        self.evaluate(part, &centre, &mut at);
        Walk { best: best.min(at.value), prices: centre, at, share, steps }
    }
}

/// Bounds what plans made of the instance's candidates can save, starting from the prices that a known plan suggests.
pub fn lagrangian(instance: &Instance, limits: &Limits, known: &State) -> Bound {
    let relaxation = Relaxation::new(instance, limits);
    let mut part = relaxation.whole(limits);
    let incumbent = known.objective();
    let scale = relaxation.scale(instance, limits, known);
    // Free memory: every demand gets the best that there is for it. Hard to beat once nearly all are served.
    let mut free = scale.clone();
    (free.lambda, free.kappa, free.nu) = (0.0, 0.0, 0.0);
    free.t.fill(0.0);
    free.m.fill(0.0);
    relaxation.trim(&part, &mut free);
    let mut at = relaxation.blank();
    relaxation.evaluate(&part, &free, &mut at);
    let bound = at.value;
    // What the known plan pays, less what competition would take off.
    let mut start = free.clone();
    (start.lambda, start.kappa, start.nu) = (scale.lambda * FORKS, scale.lambda * (1.0 - FORKS), scale.nu);
    if relaxation.images.is_none() {
        start.nu = 0.0;
    }
    start.u.iter_mut().zip(&known.best).zip(&instance.weights).for_each(|((u, best), w)| *u = best * w * START);
    start.t.iter_mut().zip(&scale.t).for_each(|(t, root)| *t = root * START);
    // Large instances get fewer steps, but never too few to learn from.
    let steps = (WORK / relaxation.terms()).clamp(200, STEPS);
    let pace =
        Pace { steps, patience: PATIENCE, fix_every: FIX_EVERY, rule: Rule::Adaptive { first: 0.05, last: 0.0005 } };
    let walk = relaxation.walk(&mut part, start, &scale, incumbent, pace);
    relaxation.fix(&mut part, &walk.at, incumbent);
    let value = bound.min(walk.best).max(incumbent) * (1.0 + SLACK);
    Bound { value, steps: walk.steps + 1, open: part.open, forced: part.forced, prices: walk.prices }
}

impl Relaxation {
    /// The size that each price may have, from the known plan: steps are taken in these units.
    pub fn scale(&self, instance: &Instance, limits: &Limits, known: &State) -> Prices {
        let objective = known.objective().max(1e-6);
        // What the least worthy of the known images saves for each MB.
        let margin = known
            .members()
            .map(|i| known.loss(i) / known.freed(i).max(1e-6))
            .filter(|r| *r > 0.0)
            .min_by(f64::total_cmp)
            .unwrap_or(objective / limits.budget_mb.max(1e-6));
        let lambda = margin.min(objective / limits.budget_mb.max(1e-6)).max(1e-9);
        let best = |d: usize| instance.servers[d].first().map_or(0.0, |s| instance.weights[d] * s.value);
        Prices {
            u: (0..instance.weights.len()).map(best).collect(),
            t: (0..instance.candidates.len()).map(|i| lambda * instance.added_mb(i, None)).collect(),
            m: self.loads.pairs.iter().map(|&package| lambda * self.loads.mb[package as usize]).collect(),
            lambda,
            kappa: lambda,
            nu: objective / (limits.max_images.max(1) as f64).min(instance.candidates.len().max(1) as f64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::decay_over;

    #[test]
    fn a_decay_comes_to_its_ratio() {
        // 0.5² = 0.25; 0.1³ = 0.001
        assert!((decay_over(2, 0.25) - 0.5).abs() < 1e-12);
        assert!((decay_over(3, 0.001) - 0.1).abs() < 1e-12);
    }
}
