//! Improves prices step by step.

use std::time::Instant;

use super::SLACK;
use super::paths::Amounts;
use super::relaxation::{Evaluation, Part, Prices, Relaxation};

/// How far to walk.
#[derive(Debug, Clone, Copy)]
pub(in crate::solve) struct Pace {
    /// Evaluations of L.
    pub steps: usize,
    /// Steps without a gain worth having after which no more are taken.
    pub patience: usize,
    /// Steps after which images are fixed.
    pub fix_every: usize,
    /// How long the steps are.
    pub rule: Rule,
    /// When to stop, if time matters.
    pub until: Option<Instant>,
}

/// How long steps are.
#[derive(Debug, Clone, Copy)]
pub(in crate::solve) enum Rule {
    /// Each price moves by a share of its scale, less where its subgradient is often large (as Adam does: Kingma and Ba,
    /// ICLR 2015): good from afar.
    Adaptive { first: f64, last: f64 },
    /// From the best prices, the volume algorithm's step: a share of what would reach the known plan if L were linear
    /// (Polyak's rule), a smaller one after so many steps in vain. Good close by.
    /// `smoothing`: how much a step adds to the means; less of it makes them truer, and slower.
    Volume { share: f64, patience: usize, smoothing: f64 },
}

/// Where a walk ended.
pub(in crate::solve) struct Walk {
    /// The smallest L that was seen.
    pub best: f64,
    /// Its prices.
    pub prices: Prices,
    /// L there.
    pub at: Evaluation,
    /// The mean of the relaxed solutions, late steps counting more: an estimate of the linear relaxation's solution.
    pub mean: Amounts,
    /// Evaluations of L.
    pub steps: usize,
}

/// How much a step adds to the means, from afar.
const SMOOTHING: f64 = 0.1;

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

fn mix(mean: &mut [f64], now: &[bool], smoothing: f64) {
    for (mean, &now) in mean.iter_mut().zip(now) {
        *mean += smoothing * (f64::from(u8::from(now)) - *mean);
    }
}

impl Amounts {
    fn of(at: &Evaluation) -> Self {
        let whole = |list: &[bool]| list.iter().map(|&b| f64::from(u8::from(b))).collect();
        Self { x: whole(&at.held), y: whole(&at.served), z: whole(&at.forked) }
    }

    fn mix(&mut self, at: &Evaluation, smoothing: f64) {
        mix(&mut self.x, &at.held, smoothing);
        mix(&mut self.y, &at.served, smoothing);
        mix(&mut self.z, &at.forked, smoothing);
    }
}

impl Relaxation {
    /// Improves prices, and fixes on the way what can no longer beat `known`.
    pub fn walk(&self, part: &mut Part, start: Prices, scale: &Prices, known: f64, how: Pace) -> Walk {
        let mut centre = start;
        self.trim(part, &mut centre);
        let mut at = self.blank();
        self.evaluate(part, &centre, &mut at);
        let mut best = at.value;
        let mut mean = Amounts::of(&at);
        let mut direction = at.gradient.clone();
        let (mut scaled, mut trial) = (direction.clone(), centre.clone());
        let (mut steps, mut gained) = (1, 1);
        let mut square = direction.clone();
        square.zip(scale, |d, _| d * d);
        let (mut rate, decay) = match how.rule {
            Rule::Adaptive { first, last } => (first, decay_over(how.steps, last / first)),
            Rule::Volume { share, .. } => (share, 1.0),
        };
        let volume = match how.rule {
            Rule::Adaptive { .. } => None,
            Rule::Volume { smoothing, .. } => Some(smoothing),
        };
        let mut misses = 0;
        while steps < how.steps {
            let late = || how.until.is_some_and(|until| steps.is_multiple_of(16) && Instant::now() >= until);
            if best <= known * (1.0 + SLACK) || late() {
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
                if volume.is_some() {
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
            if volume.is_none() {
                square.zip(&at.gradient, |v, g| 0.98 * v + 0.02 * g * g);
            }
            // The first steps of a walk count alike.
            let smoothing = volume.map_or(SMOOTHING, |smoothing| smoothing.max(1.0 / steps as f64));
            direction.zip(&at.gradient, |d, g| (1.0 - smoothing) * d + smoothing * g);
            if volume.is_some() {
                mean.mix(&at, smoothing);
            } else {
                mix(&mut mean.x, &at.held, smoothing);
            }
            if steps.is_multiple_of(how.fix_every) {
                self.evaluate(part, &centre, &mut at);
                if self.fix(part, &centre, &at, known) {
                    self.trim(part, &mut centre);
                    self.evaluate(part, &centre, &mut at);
                    best = best.min(at.value);
                }
            }
        }
        self.evaluate(part, &centre, &mut at);
        Walk { best: best.min(at.value), prices: centre, at, mean, steps }
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
