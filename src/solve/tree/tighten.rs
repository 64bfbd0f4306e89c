//! Before any branching: finds path rows that the relaxed solution breaks, and leaves out what the bound excludes.

use super::super::bound::{Bound, Networks, Pace, Part, Prices, Relaxation, Rule, Walk};
use super::super::greedy::Limits;
use super::super::instance::Instance;
use super::super::state::State;
use super::{CLOSED, Tree};

/// Evaluations of L between two searches for rows, and how much each adds to the means. When no more comes of them, twice
/// as many steps that add half as much, so often.
const ROUND_STEPS: usize = 200;
const ROUND_SMOOTHING: f64 = 0.03;
const REFINED: u32 = 3;
/// Terms of a relaxation that is so small that branching brings more than refining.
const SMALL: usize = 5_000;
/// Rows that are added at once.
const ROWS: usize = 200;
/// No more comes of rounds when so many together close less than this share of the gap.
const LOOK_BACK: usize = 10;
const WORTH: f64 = 0.05;
/// What is left of the candidates, and what is known of it.
pub(super) struct Level {
    pub instance: Instance,
    /// The index that each of its candidates has in the whole instance.
    pub old: Vec<usize>,
    pub relaxation: Relaxation,
    pub part: Part,
    pub prices: Prices,
}

impl Level {
    pub fn new(whole: &Instance, limits: &Limits, root: &Bound, known: &State) -> Self {
        let (instance, old) = whole.restrict(&root.open);
        let start = State::with(&instance, (0..old.len()).filter(|&k| known.chosen[old[k]]));
        let relaxation = Relaxation::new(&instance, limits, &start);
        let mut part = relaxation.whole(&instance, limits);
        old.iter().enumerate().for_each(|(k, &i)| part.forced[k] = root.forced[i]);
        let prices = relaxation.translate(&root.prices, &old, &[]);
        Self { instance, old, relaxation, part, prices }
    }

    /// Only what is still open.
    pub fn shrink(&self, limits: &Limits, known: &State) -> Self {
        let (instance, kept) = self.instance.restrict(&self.part.open);
        let start = State::with(&instance, (0..kept.len()).filter(|&k| known.chosen[self.old[kept[k]]]));
        let mut relaxation = Relaxation::new(&instance, limits, &start);
        let rows = relaxation.take_rows(&self.relaxation, &self.prices.m, &kept);
        let prices = relaxation.translate(&self.prices, &kept, &rows);
        let mut part = relaxation.whole(&instance, limits);
        kept.iter().enumerate().for_each(|(k, &i)| part.forced[k] = self.part.forced[i]);
        Self { old: kept.iter().map(|&i| self.old[i]).collect(), instance, relaxation, part, prices }
    }
}

/// What tightening has come to, over all levels.
pub(super) struct SoFar {
    pub highest: f64,
    /// The highest bound after each round of this fineness.
    history: Vec<f64>,
    refined: u32,
}

impl SoFar {
    pub fn new(highest: f64) -> Self {
        Self { highest, history: Vec::new(), refined: 0 }
    }

    fn note(&mut self, bound: f64) {
        self.highest = self.highest.min(bound);
        self.history.push(self.highest);
    }

    /// Whether the last rounds brought too little; without new rows the last one alone.
    fn stalls(&self, known: f64, added: usize) -> bool {
        let rounds = if added > 0 { LOOK_BACK } else { 1 };
        let before = self.history.len().checked_sub(1 + rounds).map(|k| self.history[k]);
        before.is_some_and(|before| before - self.highest < WORTH * (self.highest - known))
    }
}

/// How tightening ended.
pub(super) enum Ended {
    /// Nothing is left that could be better than the known plan.
    Empty,
    /// So little is left that it is worth starting again with only that.
    Shrink,
    /// There is nothing to gain.
    Done(Box<Walk>),
}

impl Tree<'_> {
    /// Finds rows that the relaxed solution breaks, and prices for them, again and again.
    pub fn tighten(&mut self, level: &mut Level, so_far: &mut SoFar, told: &dyn Fn(f64, f64, bool)) -> Ended {
        let networks = Networks::new(self.instance, &self.relaxation);
        loop {
            if !self.settle(&mut level.part) {
                return Ended::Empty;
            }
            let steps = ROUND_STEPS << so_far.refined;
            let smoothing = ROUND_SMOOTHING / f64::from(1u32 << so_far.refined);
            let rule = Rule::Volume { share: 0.5, patience: 8, smoothing };
            let pace = Pace { steps, patience: steps, fix_every: 20, rule, until: self.effort.until };
            level.prices.m.resize(self.relaxation.rows.len(), 0.0);
            let mut walk = self.relaxation.walk(&mut level.part, level.prices.clone(), &self.scale, self.known, pace);
            self.work += (walk.steps as u64 + 2) * self.relaxation.terms() as u64;
            level.prices.clone_from(&walk.prices);
            self.round(&level.part, &walk, so_far.refined > 0);
            so_far.note(walk.best.max(self.known));
            told(self.known, so_far.highest, false);
            if so_far.highest <= self.known * (1.0 + CLOSED) {
                return Ended::Empty;
            }
            self.relaxation.fix(&mut level.part, &walk.prices, &walk.at, self.known);
            if self.effort.is_over(self.work) {
                return Ended::Done(Box::new(walk));
            }
            let broken = networks.broken(&self.relaxation, &level.part, &walk.mean);
            self.work += 10 * self.relaxation.terms() as u64;
            let added = self.relaxation.add_rows(broken.into_iter().take(ROWS).map(|(_, row)| row));
            self.scale = self.relaxation.scale();
            level.relaxation.clone_from(&self.relaxation);
            level.prices.m.resize(self.relaxation.rows.len(), 0.0);
            if so_far.stalls(self.known, added) {
                if so_far.refined == REFINED || self.relaxation.terms() < SMALL {
                    walk.prices.clone_from(&level.prices);
                    return Ended::Done(Box::new(walk));
                }
                so_far.refined += 1;
                so_far.history.clear();
            }
            let left = level.part.open.iter().filter(|open| **open).count();
            if left * 4 < level.part.open.len() * 3 {
                return Ended::Shrink;
            }
        }
    }
}
