//! An upper bound on what any plan made of the candidates can save, by Lagrangian relaxation.
//!
//! With S_i the demands that image i can serve, v_i what it saves, c_ji the memory that it adds to its parent j (0: the
//! bare host), budget B and at most N images, the problem is
//!
//! ```text
//! max Σ_f w_f Σ_i v_i y_fi
//!     Σ_i y_fi ≤ 1              for each demand f      price u_f ≥ 0
//!     Σ_j z_ji ≥ x_i            for each image i       price t_i ≥ 0
//!     Σ_ji c_ji z_ji ≤ B                               price λ ≥ 0
//!     Σ_i x_i ≤ N                                      price ν ≥ 0
//!     y_fi ≤ x_i,  z_ij ≤ x_i,  x, y, z ∈ {0, 1}
//! ```
//!
//! Paying the prices instead of keeping the priced constraints leaves one question for each image, whether to open it:
//!
//! ```text
//! L(u, t, λ, ν) = Σ_f u_f + λB + νN + Σ_k (t_k − λ c_0k)⁺
//!               + Σ_i max(0, Σ_{f ∈ S_i} (w_f v_i − u_f)⁺ + Σ_{k ⊃ i} (t_k − λ c_ik)⁺ − t_i − ν)
//! ```
//!
//! which no feasible plan exceeds, whatever the prices. They are improved by the volume algorithm (Barahona and Anbil,
//! Mathematical Programming 87, 2000); its result is only as tight as the prices are good, never wrong. The question for
//! an image has an integral answer, so the best L is the bound of the linear relaxation.
//!
//! Fixing: where opening (or closing) image i would take L below what a known plan saves, no better plan opens (closes)
//! it. What remains is bounded by max(L over the remaining images, what the known plan saves).

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
/// Relative room for the rounding errors of one evaluation of L.
const SLACK: f64 = 1e-9;

/// An upper bound and how it came about.
#[derive(Debug, Clone, PartialEq)]
pub struct Bound {
    /// No plan made of the candidates saves more, ms.
    pub value: f64,
    /// Evaluations of L.
    pub steps: usize,
    /// Candidates that a plan better than the known one may hold: the others are excluded by the bound.
    pub open: Vec<bool>,
}

/// The relaxation in flat arrays.
struct Relaxation {
    /// For each image: demands and `w_f v_i`.
    service: Vec<Vec<(u32, f64)>>,
    /// For each image: children and what they add to it, MB.
    children: Vec<Vec<(u32, f64)>>,
    /// For each image: what it adds to the bare host, MB.
    root: Vec<f64>,
    /// Images not excluded yet.
    open: Vec<bool>,
    /// Images that every better plan holds.
    forced: Vec<bool>,
    budget: f64,
    /// None when the number of images is not limited.
    images: Option<f64>,
}

/// Prices, or a direction in their space.
#[derive(Clone)]
struct Prices {
    u: Vec<f64>,
    t: Vec<f64>,
    lambda: f64,
    nu: f64,
}

impl Prices {
    fn zip(&mut self, other: &Prices, f: impl Fn(f64, f64) -> f64) {
        self.u.iter_mut().zip(&other.u).for_each(|(a, b)| *a = f(*a, *b));
        self.t.iter_mut().zip(&other.t).for_each(|(a, b)| *a = f(*a, *b));
        self.lambda = f(self.lambda, other.lambda);
        self.nu = f(self.nu, other.nu);
    }

    fn dot(&self, other: &Prices) -> f64 {
        let sum = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        sum(&self.u, &other.u) + sum(&self.t, &other.t) + self.lambda * other.lambda + self.nu * other.nu
    }
}

impl Relaxation {
    fn new(instance: &Instance, limits: &Limits) -> Self {
        let n = instance.candidates.len();
        let limited = limits.max_images < n;
        Self {
            service: instance
                .candidates
                .iter()
                .map(|c| {
                    let gain = |&d: &u32| (d, instance.weights[d as usize] * c.value);
                    c.demands.iter().map(gain).filter(|&(_, gain)| gain > 0.0).collect()
                })
                .collect(),
            children: (0..n)
                .map(|i| {
                    let children = &instance.candidates[i].children;
                    children.iter().map(|&k| (k, instance.added_mb(k as usize, Some(i)))).collect()
                })
                .collect(),
            root: (0..n).map(|i| instance.added_mb(i, None)).collect(),
            // Whatever it is forked from, an image and its ancestors hold its packages at least once.
            open: (0..n).map(|i| limits.max_images > 0 && limits.fits(instance.added_mb(i, None))).collect(),
            forced: vec![false; n],
            budget: limits.budget_mb,
            images: limited.then_some(limits.max_images as f64),
        }
    }

    /// L at the prices, a subgradient there, and for each image what opening it is worth.
    fn evaluate(&self, p: &Prices, gradient: &mut Prices, worth: &mut [f64]) -> f64 {
        gradient.u.fill(1.0);
        gradient.t.fill(0.0);
        gradient.lambda = self.budget;
        gradient.nu = self.images.unwrap_or(0.0);
        let mut sum: f64 = p.u.iter().sum::<f64>() + p.lambda * self.budget + p.nu * self.images.unwrap_or(0.0);
        for (k, &cost) in self.root.iter().enumerate() {
            let surplus = p.t[k] - p.lambda * cost;
            if self.open[k] && surplus > 0.0 {
                sum += surplus;
                gradient.t[k] += 1.0;
                gradient.lambda -= cost;
            }
        }
        for (i, worth) in worth.iter_mut().enumerate() {
            if !self.open[i] {
                continue;
            }
            let mut profit = -p.t[i] - p.nu;
            for &(f, gain) in &self.service[i] {
                profit += (gain - p.u[f as usize]).max(0.0);
            }
            for &(k, cost) in &self.children[i] {
                profit += (p.t[k as usize] - p.lambda * cost).max(0.0);
            }
            *worth = profit;
            if profit <= 0.0 && !self.forced[i] {
                continue;
            }
            sum += profit;
            gradient.t[i] -= 1.0;
            gradient.nu -= 1.0;
            for &(f, gain) in &self.service[i] {
                if gain > p.u[f as usize] {
                    gradient.u[f as usize] -= 1.0;
                }
            }
            for &(k, cost) in &self.children[i] {
                if p.t[k as usize] > p.lambda * cost {
                    gradient.t[k as usize] += 1.0;
                    gradient.lambda -= cost;
                }
            }
        }
        sum
    }

    /// Fixes what the evaluation `sum`, `worth` proves of plans better than `known`. Says whether anything was fixed.
    fn fix(&mut self, sum: f64, worth: &[f64], known: f64) -> bool {
        let slack = SLACK * sum.abs();
        let mut fixed = false;
        for (i, &worth) in worth.iter().enumerate() {
            if !self.open[i] || self.forced[i] {
                continue;
            }
            if sum + worth.min(0.0) + slack < known {
                self.open[i] = false;
                fixed = true;
            } else if sum - worth.max(0.0) + slack < known {
                self.forced[i] = true;
                fixed = true;
            }
        }
        if fixed {
            let open = &self.open;
            for i in 0..open.len() {
                if open[i] {
                    self.children[i].retain(|&(k, _)| open[k as usize]);
                } else {
                    self.children[i].clear();
                    self.service[i].clear();
                }
            }
        }
        fixed
    }
}

/// Bounds what plans made of the instance's candidates can save, starting from the prices that a known plan suggests.
pub fn lagrangian(instance: &Instance, limits: &Limits, known: &State) -> Bound {
    let mut relaxation = Relaxation::new(instance, limits);
    let n = instance.candidates.len();
    let incumbent = known.objective();
    let scale = scale(instance, limits, known);
    let mut gradient = scale.clone();
    let mut worth = vec![0.0; n];
    // Free memory: every demand gets the best that there is for it. Hard to beat once nearly all are served.
    let mut centre = scale.clone();
    (centre.lambda, centre.nu) = (0.0, 0.0);
    centre.t.fill(0.0);
    let mut bound = relaxation.evaluate(&centre, &mut gradient, &mut worth);
    // What the known plan pays, less what competition would take off.
    centre.lambda = scale.lambda;
    centre.u.iter_mut().zip(&known.best).zip(&instance.weights).for_each(|((u, best), w)| *u = best * w * START);
    centre.t.iter_mut().zip(&scale.t).for_each(|(t, root)| *t = root * START);
    let mut best = relaxation.evaluate(&centre, &mut gradient, &mut worth);
    bound = bound.min(best);
    let mut direction = gradient.clone();
    let (mut pace, mut misses, mut since, mut smoothing) = (0.5, 0, 0, 0.1);
    // Large instances get fewer steps, but never too few to learn from.
    let terms = 1 + n + instance.parent_pairs() + instance.service_pairs();
    let allowed = (WORK / terms).clamp(200, STEPS);
    let (mut steps, mut gained) = (2, 2);
    while steps < allowed {
        // The step in scaled prices that would reach the incumbent if L were linear (Polyak's rule).
        let mut scaled = direction.clone();
        scaled.zip(&scale, |d, s| d * s);
        let norm = scaled.dot(&scaled);
        let target = incumbent.min(best * (1.0 - 1e-4));
        if norm <= 0.0 || best <= incumbent * (1.0 + SLACK) {
            break;
        }
        let step = pace * (best - target) / norm;
        let mut trial = scaled;
        trial.zip(&scale, |d, s| d * s);
        trial.zip(&centre, |d, c| (c - step * d).max(0.0));
        if relaxation.images.is_none() {
            trial.nu = 0.0;
        }
        let value = relaxation.evaluate(&trial, &mut gradient, &mut worth);
        steps += 1;
        // How far the new subgradient points the same way as the last direction.
        let mut turned = gradient.clone();
        turned.zip(&scale, |g, s| g * s * s);
        let agrees = turned.dot(&direction);
        if value < best {
            if value < best * (1.0 - 1e-7) {
                gained = steps;
            }
            best = value;
            bound = bound.min(best);
            centre = trial;
            misses = 0;
            if agrees > 0.0 {
                pace *= 1.1;
            }
        } else {
            misses += 1;
            if misses >= 40 {
                pace *= 0.66;
                misses = 0;
            }
        }
        if steps - gained > PATIENCE {
            break;
        }
        pace = f64::clamp(pace, 1e-4, 2.0);
        direction.zip(&gradient, |d, g| (1.0 - smoothing) * d + smoothing * g);
        since += 1;
        if since >= FIX_EVERY {
            since = 0;
            smoothing = (smoothing * 0.6_f64).max(0.01);
            let value = relaxation.evaluate(&centre, &mut gradient, &mut worth);
            if relaxation.fix(value, &worth, incumbent) {
                best = relaxation.evaluate(&centre, &mut gradient, &mut worth);
                bound = bound.min(best);
            }
        }
    }
    Bound { value: bound.max(incumbent) * (1.0 + SLACK), steps, open: relaxation.open }
}

/// The size that each price may have, from the known plan: steps are taken in these units.
fn scale(instance: &Instance, limits: &Limits, known: &State) -> Prices {
    let objective = known.objective().max(1e-6);
    // What the least worthy of the known images saves for each MB.
    let margin = known
        .members()
        .map(|i| known.loss(i) / known.freed(i).max(1e-6))
        .filter(|r| *r > 0.0)
        .min_by(f64::total_cmp)
        .unwrap_or(objective / limits.budget_mb.max(1e-6));
    let lambda = margin.min(objective / limits.budget_mb.max(1e-6)).max(1e-9);
    let best = |d: usize| {
        instance.servers[d].first().map_or(0.0, |&i| instance.weights[d] * instance.candidates[i as usize].value)
    };
    Prices {
        u: (0..instance.weights.len()).map(best).collect(),
        t: (0..instance.candidates.len()).map(|i| lambda * instance.added_mb(i, None)).collect(),
        lambda,
        nu: objective / (limits.max_images.max(1) as f64).min(instance.candidates.len().max(1) as f64),
    }
}
