//! An upper bound for fleets of many groups or many demands: the Lagrangian of [`super::bound`] at one price of memory for
//! all groups, which then have nothing in common and are worked out in parallel.
//!
//! With Λ the price of a MB, s_g the part of it that group g pays for the packages that it loads anywhere (the rest is
//! paid for forks), λ_g = (1 − s_g) Λ, κ_g = s_g Λ, ν the price of an image, and the other names as in [`super::bound`]:
//!
//! ```text
//! L   = Λ B + ν N + Σ_g L_g
//! L_g = Σ_f u_f + Σ_k (t_k − λ_g c_0k)⁺ + Σ_p (Σ_f m_fp − κ_g r_p)⁺
//!     + Σ_i max(0, Σ_{f ∈ S_i} (w_f v_i − u_f − Σ_{p ∈ i} m_fp)⁺ + Σ_{k ⊃ i} (t_k − λ_g c_ik)⁺ − t_i − κ_g o_i − ν)
//! ```
//!
//! What a plan takes in group g is Σ c z and at least Σ r p + Σ o x, so for any s_g the group pays at most Λ for each MB
//! of it: L is a bound whatever the prices. Each group improves its own by subgradient steps; then Λ and ν move towards
//! what would make the relaxed groups together keep to the budget: where they meet, the groups' marginal ms/MB are alike.
//!
//! Nothing is copied but what the steps need: the terms are those of the instance. Sums are made group by group in a
//! fixed order, so the bound does not depend on threads.

use std::collections::HashMap;

use rayon::prelude::*;

use super::greedy::Limits;
use super::instance::{Instance, Span};
use super::state::State;

/// Steps: large instances get fewer.
const STEPS: usize = 1_600;
const FEWEST: usize = 1_040;
/// Terms that are added up in all, about.
const WORK: usize = 20_000_000_000;
/// Parts of the walk, after each of which the common prices move.
const EPOCHS: usize = 20;
/// Epochs at the beginning and at the end in which the common prices stay: before the groups' own prices have found their
/// places the relaxed groups take far too little or far too much.
const UNSETTLED: usize = 6;
const SETTLED: usize = 4;
/// Length of the first and the last step, in the scale of each price.
const FIRST: f64 = 0.1;
const LAST: f64 = 0.0005;
/// Share of the known plan's prices to start from.
const START: f64 = 0.7;
/// Relative room for rounding errors.
const SLACK: f64 = 1e-9;

/// A price with what steps need.
#[derive(Clone, Default)]
struct Prices {
    now: Vec<f64>,
    best: Vec<f64>,
    scale: Vec<f64>,
    gradient: Vec<f64>,
    direction: Vec<f64>,
    square: Vec<f64>,
}

impl Prices {
    fn new(now: Vec<f64>, scale: Vec<f64>) -> Self {
        let n = now.len();
        Self { best: now.clone(), now, scale, gradient: vec![0.0; n], direction: vec![0.0; n], square: vec![0.0; n] }
    }

    /// Moves by a share of its scale, less where its subgradient is often large (Adam: Kingma and Ba, ICLR 2015).
    fn step(&mut self, rate: f64, most: f64) {
        for i in 0..self.now.len() {
            let g = self.gradient[i];
            self.direction[i] = 0.9 * self.direction[i] + 0.1 * g;
            self.square[i] = 0.98 * self.square[i] + 0.02 * g * g;
            if self.square[i] > 0.0 {
                let by = rate * self.scale[i] * self.direction[i] / self.square[i].sqrt();
                self.now[i] = (self.now[i] - by).clamp(0.0, most);
            }
        }
    }

    fn times(&mut self, factor: f64) {
        for list in [&mut self.now, &mut self.best, &mut self.scale] {
            list.iter_mut().for_each(|x| *x *= factor);
        }
    }
}

/// One group's part of the relaxation.
struct Part<'a> {
    instance: &'a Instance,
    span: Span,
    /// Candidates that fit the budget at all.
    open: Vec<bool>,
    /// For each candidate its packages, those that are in the same candidates being one; and their MB.
    packages: Rows,
    mb: Vec<f64>,
    /// For each demand the packages that its candidates hold: one price m each.
    loads: Rows,
    u: Prices,
    t: Prices,
    m: Prices,
    /// Share of the price of memory that is paid for packages: one number.
    share: Prices,
    /// Least L_g since the common prices moved.
    least: f64,
    /// Memory and images of the relaxed group, summed over the steps of an epoch.
    memory: f64,
    images: f64,
    work: Work,
}

/// Lists one after the other in memory.
#[derive(Default)]
struct Rows {
    ends: Vec<usize>,
    entries: Vec<u32>,
}

impl Rows {
    fn push(&mut self, row: impl IntoIterator<Item = u32>) {
        self.entries.extend(row);
        self.ends.push(self.entries.len());
    }

    fn start(&self, k: usize) -> usize {
        if k == 0 { 0 } else { self.ends[k - 1] }
    }

    fn of(&self, k: usize) -> &[u32] {
        &self.entries[self.start(k)..self.ends[k]]
    }
}

/// Room that is used again in each evaluation.
#[derive(Default)]
struct Work {
    profit: Vec<f64>,
    paid: Vec<f64>,
    /// For each package: the price m of the demand at hand, and where it stands.
    m_of: Vec<f64>,
    at: Vec<u32>,
    /// Demands and candidates with something to gain.
    gains: Vec<(u32, u32)>,
}

impl<'a> Part<'a> {
    fn new(instance: &'a Instance, g: usize, limits: &Limits, known: &State, price: f64) -> Self {
        let span = instance.spans[g].clone();
        let (packages, mb) = packages(instance, g, &span);
        let mut seen = vec![usize::MAX; mb.len()];
        let mut loads = Rows::default();
        for (d, f) in span.demands.clone().enumerate() {
            let mut row = Vec::new();
            for server in &instance.servers[f] {
                for &p in packages.of(server.candidate as usize - span.candidates.start) {
                    if std::mem::replace(&mut seen[p as usize], d) != d {
                        row.push(p);
                    }
                }
            }
            loads.push(row);
        }
        let root = |i: usize| instance.added_mb(i, None);
        let most = |f: usize| instance.servers[f].first().map_or(0.0, |s| instance.weights[f] * s.value);
        let scale_t: Vec<f64> = span.candidates.clone().map(|i| price * root(i)).collect();
        let scale_m: Vec<f64> = loads.entries.iter().map(|&p| price * mb[p as usize]).collect();
        let (n, d) = (span.candidates.len(), span.demands.len());
        let start_u = span.demands.clone().map(|f| known.best[f] * instance.weights[f] * START).collect();
        Self {
            open: span.candidates.clone().map(|i| limits.max_images > 0 && limits.fits(root(i))).collect(),
            u: Prices::new(start_u, span.demands.clone().map(most).collect()),
            t: Prices::new(scale_t.iter().map(|t| t * START).collect(), scale_t),
            m: Prices::new(vec![0.0; loads.entries.len()], scale_m),
            share: Prices::new(vec![0.5], vec![1.0]),
            least: f64::INFINITY,
            memory: 0.0,
            images: 0.0,
            work: Work {
                profit: vec![0.0; n],
                paid: vec![0.0; mb.len()],
                m_of: vec![0.0; mb.len()],
                at: vec![0; mb.len()],
                gains: Vec::with_capacity(d),
            },
            instance,
            span,
            packages,
            mb,
            loads,
        }
    }

    /// L_g at the prices of now, with a subgradient; memory and images of the relaxed group are added to those of before.
    fn evaluate(&mut self, price: f64, nu: f64) -> f64 {
        let Self { instance, span, work, .. } = self;
        let share = self.share.now[0];
        let (lambda, kappa) = (price * (1.0 - share), price * share);
        let (u, t, m) = (&self.u.now, &self.t.now, &self.m.now);
        let mut value: f64 = u.iter().sum();
        self.u.gradient.fill(1.0);
        self.t.gradient.fill(0.0);
        let (mut forks, mut loaded, mut images) = (0.0, 0.0, 0.0);

        work.paid.iter_mut().zip(&self.mb).for_each(|(paid, mb)| *paid = -kappa * mb);
        self.loads.entries.iter().zip(m).for_each(|(&p, m)| work.paid[p as usize] += m);
        for (paid, mb) in work.paid.iter().zip(&self.mb) {
            if *paid > 0.0 {
                value += paid;
                loaded += mb;
            }
        }
        for (gradient, &p) in self.m.gradient.iter_mut().zip(&self.loads.entries) {
            *gradient = if work.paid[p as usize] > 0.0 { 1.0 } else { 0.0 };
        }

        let first = span.candidates.start;
        for (i, profit) in work.profit.iter_mut().enumerate() {
            *profit = -t[i] - nu - kappa * instance.candidates[first + i].overhead;
        }
        work.gains.clear();
        for (d, f) in span.demands.clone().enumerate() {
            let weight = instance.weights[f];
            let servers = &instance.servers[f];
            if servers.first().is_none_or(|s| weight * s.value <= u[d]) {
                continue;
            }
            let start = self.loads.start(d);
            self.loads.of(d).iter().enumerate().for_each(|(k, &p)| work.m_of[p as usize] = m[start + k]);
            for server in servers {
                let i = server.candidate as usize - first;
                let mut rest = weight * server.value - u[d];
                // The most valuable come first.
                if rest <= 0.0 {
                    break;
                }
                if self.open[i] {
                    rest -= self.packages.of(i).iter().map(|&p| work.m_of[p as usize]).sum::<f64>();
                    if rest > 0.0 {
                        work.profit[i] += rest;
                        work.gains.push((d as u32, i as u32));
                    }
                }
            }
        }

        for i in 0..work.profit.len() {
            if !self.open[i] {
                continue;
            }
            let c = &instance.candidates[first + i];
            let root = c.overhead + c.resident;
            let surplus = t[i] - lambda * root;
            if surplus > 0.0 {
                value += surplus;
                self.t.gradient[i] += 1.0;
                forks += root;
            }
            let fork = |k: u32| {
                let child = &instance.candidates[k as usize];
                let mb = child.overhead + (child.resident - c.resident).max(0.0);
                (k as usize - first, mb, t[k as usize - first] - lambda * mb)
            };
            let mut profit = work.profit[i];
            for &k in &c.children {
                profit += fork(k).2.max(0.0);
            }
            work.profit[i] = profit;
            if profit > 0.0 {
                value += profit;
                images += 1.0;
                loaded += c.overhead;
                self.t.gradient[i] -= 1.0;
                for (k, mb, surplus) in c.children.iter().map(|&k| fork(k)) {
                    if surplus > 0.0 {
                        self.t.gradient[k] += 1.0;
                        forks += mb;
                    }
                }
            }
        }

        let mut last = u32::MAX;
        for &(d, i) in &work.gains {
            if work.profit[i as usize] <= 0.0 {
                continue;
            }
            if std::mem::replace(&mut last, d) != d {
                let start = self.loads.start(d as usize);
                let row = self.loads.of(d as usize).iter().enumerate();
                row.for_each(|(k, &p)| work.at[p as usize] = (start + k) as u32);
            }
            self.u.gradient[d as usize] -= 1.0;
            for &p in self.packages.of(i as usize) {
                self.m.gradient[work.at[p as usize] as usize] -= 1.0;
            }
        }
        self.share.gradient[0] = price * (forks - loaded);
        self.memory += (1.0 - share) * forks + share * loaded;
        self.images += images;
        value
    }

    /// Steps at common prices; the least L_g of them is kept with its prices.
    fn epoch(&mut self, price: f64, nu: f64, steps: std::ops::Range<usize>, all: usize) {
        self.memory = 0.0;
        self.images = 0.0;
        for step in steps {
            let value = self.evaluate(price, nu);
            if value < self.least {
                self.least = value;
                for prices in [&mut self.u, &mut self.t, &mut self.m, &mut self.share] {
                    prices.best.clone_from(&prices.now);
                }
            }
            let left = 1.0 - step as f64 / all as f64;
            let rate = LAST + (FIRST - LAST) * left * left;
            self.u.step(rate, f64::INFINITY);
            self.u.now.iter_mut().zip(&self.u.scale).for_each(|(u, most)| *u = u.min(*most));
            self.t.step(rate, f64::INFINITY);
            self.m.step(rate, f64::INFINITY);
            self.share.step(rate, 1.0);
        }
    }

    /// The common prices have moved: what is paid for memory moves with them.
    fn moved(&mut self, factor: f64) {
        self.t.times(factor);
        self.m.times(factor);
        self.least = f64::INFINITY;
    }
}

/// For each candidate of a group its packages that take memory, and what they take: packages that are in the same
/// candidates count as one.
fn packages(instance: &Instance, g: usize, span: &Span) -> (Rows, Vec<f64>) {
    let resident = &instance.items[g];
    let mut holders: Vec<Vec<u32>> = vec![Vec::new(); resident.len()];
    for (i, c) in instance.candidates[span.candidates.clone()].iter().enumerate() {
        c.set.ones().filter(|&item| resident[item] > 0.0).for_each(|item| holders[item].push(i as u32));
    }
    let mut rows: Vec<Vec<u32>> = vec![Vec::new(); span.candidates.len()];
    let mut mb: Vec<f64> = Vec::new();
    let mut known: HashMap<Vec<u32>, usize> = HashMap::new();
    for (item, held_by) in holders.into_iter().enumerate() {
        if held_by.is_empty() {
            continue;
        }
        if let Some(&p) = known.get(&held_by) {
            mb[p] += resident[item];
            continue;
        }
        held_by.iter().for_each(|&i| rows[i as usize].push(mb.len() as u32));
        known.insert(held_by, mb.len());
        mb.push(resident[item]);
    }
    let mut all = Rows::default();
    rows.into_iter().for_each(|row| all.push(row));
    (all, mb)
}

/// Bounds what plans made of the instance's candidates can save. `price` is what the known plan pays for its last MB, ms.
pub fn bound(instance: &Instance, limits: &Limits, known: &State, price: f64, told: &dyn Fn(f64)) -> f64 {
    let incumbent = known.objective();
    let terms = instance.parent_pairs() + instance.service_pairs();
    let each = (WORK / terms.max(1)).clamp(FEWEST, STEPS) / EPOCHS;
    // Free memory: every demand gets the best that there is for it.
    let free: f64 =
        instance.servers.iter().zip(&instance.weights).filter_map(|(s, w)| Some(s.first()?.value * w)).sum();
    let limited = limits.max_images < instance.candidates.len();
    let most_images = limits.max_images.min(instance.candidates.len()).max(1) as f64;
    let mut price = if price.is_finite() && price > 0.0 { price } else { incumbent / limits.budget_mb.max(1e-6) };
    let mut nu = if limited { incumbent / most_images / 2.0 } else { 0.0 };
    let mut parts: Vec<Part> =
        (0..instance.spans.len()).into_par_iter().map(|g| Part::new(instance, g, limits, known, price)).collect();
    let mut best = free;
    for epoch in 0..EPOCHS {
        let range = epoch * each..(epoch + 1) * each;
        parts.par_iter_mut().for_each(|part| part.epoch(price, nu, range.clone(), each * EPOCHS));
        let sum: f64 = parts.iter().map(|part| part.least).sum();
        best = best.min(sum + price * limits.budget_mb + nu * if limited { limits.max_images as f64 } else { 0.0 });
        told(best.max(incumbent));
        if best <= incumbent * (1.0 + SLACK) {
            break;
        }
        if epoch >= UNSETTLED && epoch + SETTLED < EPOCHS {
            let taken: f64 = parts.iter().map(|part| part.memory).sum::<f64>() / each as f64;
            let left = 1.0 - epoch as f64 / EPOCHS as f64;
            let drift = |taken: f64, limit: f64| 1.0 + 0.4 * left * (taken / limit - 1.0).clamp(-0.5, 0.5);
            let factor = drift(taken, limits.budget_mb.max(1e-6));
            price *= factor;
            if limited {
                nu *= drift(parts.iter().map(|part| part.images).sum::<f64>() / each as f64, most_images);
            }
            parts.par_iter_mut().for_each(|part| part.moved(factor));
        }
    }
    best.max(incumbent) * (1.0 + SLACK)
}
