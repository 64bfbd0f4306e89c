//! A tighter bound, and now and then a better plan, by branch and bound with the Lagrangian of [`super::bound`] at the nodes.
//!
//! At a tight budget few large images compete, and the linear relaxation holds a part of each. A node is the set of plans
//! that hold none of some images, all of others, and at least one of each required set:
//!
//! ```text
//! open_i = 0 ⇒ x_i = 0        forced_i = 1 ⇒ x_i = 1        Σ_{i ∈ R} x_i ≥ 1 for each required set R
//! ```
//!
//! Branching: for a set S of images — one image, or one with all that hold its packages too — a better plan holds none of
//! S or at least one. The second kind of question moves the bound on both sides, where closing one image of many like it
//! would change nothing.
//!
//! Memory: every plan of a node loads the packages that all images of a required set share, each at least once, so with
//! U their union, o_i the memory of image i's bare host, F the forced images and r the memory of packages
//!
//! ```text
//! Σ_{i ∈ F} o_i + r(U) ≤ memory of any plan of the node
//! ```
//!
//! A node where that is more than the budget is empty; so is what is left of it with an image that takes it there.
//!
//! The node with the highest bound is split first. No plan exceeds the highest bound of the nodes that are left, or the
//! known plan. Work is counted in terms of L, never in time: the result is the same on every machine.

mod tighten;

use std::cmp::Ordering;
use std::collections::{BTreeSet, BinaryHeap};
use std::time::Instant;

use super::bound::{Bound, Pace, Part, PathRow, Prices, Relaxation, Rule, SLACK, Walk};
use super::greedy::{Limits, Rank, Search};
use super::instance::Instance;
use super::local_search;
use super::problem::Set;
use super::state::State;
use tighten::{Ended, Level, SoFar};

/// Relative gap at which the search ends.
const CLOSED: f64 = 1e-7;
/// Questions that are tried out before one is asked.
const TRIALS: usize = 3;
/// Evaluations of L in a trial, and in all for a node that stays.
const TRIAL_STEPS: usize = 15;
const NODE_STEPS: usize = 60;
/// Children start from their parent's prices, which are nearly right.
const NODE_RULE: Rule = Rule::Volume { share: 0.3, patience: 5, smoothing: 0.1 };

/// Rounded plans that are worse than the known one by more than this share are not searched around.
const NEAR: f64 = 0.005;

/// What the search found.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// No plan made of the candidates saves more, ms.
    pub value: f64,
    /// The same, from before any branching.
    pub tightened: f64,
    /// Nodes that were bounded.
    pub nodes: usize,
    /// Candidates that a plan better than the best known one may hold.
    pub open: Vec<bool>,
    /// The images of a plan better than the one to start from, when one was found.
    pub better: Option<Vec<usize>>,
    /// Rows that make the relaxation tight, for the exact model.
    pub rows: Vec<PathRow>,
}

/// A node that is still open.
struct Node {
    bound: f64,
    number: usize,
    part: Part,
    prices: Prices,
    /// Sets of images to ask for, the most promising first.
    questions: Vec<Question>,
}

/// `Does a better plan hold this image`, or `this image or one that holds all of it`.
#[derive(Clone, Copy)]
struct Question {
    image: usize,
    family: bool,
    score: f64,
}

impl Ord for Node {
    fn cmp(&self, other: &Self) -> Ordering {
        self.bound.total_cmp(&other.bound).then_with(|| other.number.cmp(&self.number))
    }
}

impl PartialOrd for Node {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Node {}

/// How long to search.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// Terms of L that may be added up.
    pub work: u64,
    /// When to stop, if time matters: the result then depends on the machine.
    pub until: Option<Instant>,
}

impl Effort {
    fn is_over(&self, work: u64) -> bool {
        work >= self.work || self.until.is_some_and(|until| Instant::now() >= until)
    }
}

struct Tree<'a> {
    instance: &'a Instance,
    limits: &'a Limits,
    relaxation: Relaxation,
    scale: Prices,
    empty: Search<'a>,
    /// What the best known plan saves, and its images when it was found here.
    known: f64,
    better: Option<Vec<usize>>,
    /// Rounded plans that were searched around.
    tried: BTreeSet<Vec<usize>>,
    effort: Effort,
    work: u64,
    nodes: usize,
}

/// Searches on from where the Lagrangian bound `root` ended. `told` hears of better plans and lower bounds, ms, and whether
/// they come from branching.
pub fn search(
    whole: &Instance,
    limits: &Limits,
    root: &Bound,
    known: &State,
    effort: Effort,
    told: &dyn Fn(f64, f64, bool),
) -> Found {
    let mut level = Level::new(whole, limits, root, known);
    let mut objective = known.objective();
    let mut better: Option<Vec<usize>> = None;
    let (mut work, mut nodes) = (0, 0);
    let mut so_far = SoFar::new(root.value);
    loop {
        let instance = level.instance.clone();
        let mut tree = Tree {
            instance: &instance,
            limits,
            scale: level.relaxation.scale(),
            relaxation: level.relaxation.clone(),
            empty: Search::new(&instance),
            known: objective,
            better: None,
            tried: BTreeSet::new(),
            effort,
            work,
            nodes,
        };
        let mut heap: BinaryHeap<Node> = BinaryHeap::new();
        let mut shrink = false;
        let mut highest = tree.known;
        match tree.tighten(&mut level, &mut so_far, told) {
            Ended::Done(walk) => {
                heap.extend(tree.node(level.part.clone(), *walk, so_far.highest));
                highest = tree.branch(&mut heap, so_far.highest, told);
            }
            Ended::Empty => {}
            Ended::Shrink => shrink = true,
        }
        (work, nodes, objective) = (tree.work, tree.nodes, tree.known);
        if let Some(found) = tree.better.take() {
            better = Some(found.into_iter().map(|k| level.old[k]).collect());
        }
        if shrink {
            let best = better.as_ref().map(|images| State::with(whole, images.iter().copied()));
            level = level.shrink(limits, best.as_ref().unwrap_or(known));
            continue;
        }
        let mut open = vec![false; whole.candidates.len()];
        for node in heap.iter().filter(|n| n.bound > objective * (1.0 + CLOSED)) {
            level.old.iter().enumerate().filter(|&(k, _)| node.part.open[k]).for_each(|(_, &i)| open[i] = true);
        }
        let safe = |bound: f64| (bound.max(objective) * (1.0 + SLACK)).min(root.value.max(objective));
        let rows = level.relaxation.rows.all.iter().zip(&level.prices.m).filter(|(_, price)| **price > 0.0);
        let whole = |row: &PathRow| PathRow {
            demand: row.demand,
            images: row.images.iter().map(|&k| level.old[k as usize] as u32).collect(),
        };
        return Found {
            value: safe(highest),
            tightened: safe(so_far.highest),
            nodes,
            open,
            better,
            rows: rows.map(|(row, _)| whole(row)).collect(),
        };
    }
}

impl Tree<'_> {
    /// Splits nodes until none is left or the effort is spent. Returns the highest bound of those left.
    fn branch(&mut self, heap: &mut BinaryHeap<Node>, mut highest: f64, told: &dyn Fn(f64, f64, bool)) -> f64 {
        loop {
            let Some(node) = heap.peek() else { return highest.min(self.known) };
            if node.bound < highest {
                highest = node.bound.max(self.known);
                told(self.known, highest, true);
            }
            if highest <= self.known * (1.0 + CLOSED) || self.effort.is_over(self.work) {
                return highest;
            }
            let Some(node) = heap.pop() else { return highest };
            heap.extend(self.split(node));
        }
    }

    /// Bounds a part. None when it holds no plan better than the known one.
    fn bound(&mut self, mut part: Part, prices: Prices, above: f64, steps: usize) -> Option<(Part, Walk)> {
        self.nodes += 1;
        if !self.settle(&mut part) {
            return None;
        }
        let pace = Pace { steps, patience: steps, fix_every: 10, rule: NODE_RULE, until: self.effort.until };
        let mut walk = self.relaxation.walk(&mut part, prices, &self.scale, self.known, pace);
        self.work += (walk.steps as u64 + 2) * self.relaxation.terms() as u64;
        walk.best = walk.best.min(above);
        if walk.best <= self.known * (1.0 + CLOSED) {
            return None;
        }
        self.relaxation.fix(&mut part, &walk.prices, &walk.at, self.known);
        self.settle(&mut part).then_some((part, walk))
    }

    /// Draws the conclusions that need no prices. Says whether anything can be left.
    fn settle(&self, part: &mut Part) -> bool {
        loop {
            let mut changed = false;
            let mut last = Vec::new();
            for set in &mut part.required {
                set.retain(|&i| part.open[i as usize]);
                match set[..] {
                    [] => return false,
                    [only] => last.push(only as usize),
                    _ => {}
                }
            }
            for i in last {
                changed |= !std::mem::replace(&mut part.forced[i], true);
            }
            part.required.retain(|set| !set.iter().any(|&i| part.forced[i as usize]));
            let forced: Vec<usize> = (0..part.forced.len()).filter(|&i| part.forced[i]).collect();
            if forced.len() > self.limits.max_images || forced.iter().any(|&i| !part.open[i]) {
                return false;
            }
            // Packages that every plan loads, for each group.
            let mut all: Vec<Set> = self.instance.items.iter().map(|items| Set::with_capacity(items.len())).collect();
            for &i in &forced {
                let c = &self.instance.candidates[i];
                all[c.group].union_with(&c.set);
            }
            for set in &part.required {
                let mut images = set.iter().map(|&i| &self.instance.candidates[i as usize]);
                if let Some(first) = images.next() {
                    let mut shared = first.set.clone();
                    let mut alike = true;
                    images.for_each(|c| {
                        alike &= c.group == first.group;
                        shared.intersect_with(&c.set);
                    });
                    if alike {
                        all[first.group].union_with(&shared);
                    }
                }
            }
            let sum = |set: &mut dyn Iterator<Item = usize>, group: usize| -> f64 {
                set.map(|k| self.instance.items[group][k]).sum()
            };
            let hosts: f64 = forced.iter().map(|&i| self.instance.candidates[i].overhead).sum();
            let least = hosts + all.iter().enumerate().map(|(g, set)| sum(&mut set.ones(), g)).sum::<f64>();
            // Room for rounding errors of sums in another order.
            let fits = |mb: f64| self.limits.fits(mb * (1.0 - 1e-9));
            if !fits(least) {
                return false;
            }
            for i in 0..part.open.len() {
                if part.open[i] && !part.forced[i] {
                    let c = &self.instance.candidates[i];
                    let more = c.overhead + sum(&mut c.set.difference(&all[c.group]), c.group);
                    if !fits(least + more) || forced.len() >= self.limits.max_images {
                        part.open[i] = false;
                        changed = true;
                    }
                }
            }
            if !changed {
                return true;
            }
        }
    }

    /// Makes a node of a part, with the questions that could be asked there, and looks for a better plan in it.
    /// None when there is nothing left to ask.
    fn node(&mut self, part: Part, walk: Walk, above: f64) -> Option<Node> {
        self.round(&part, &walk, false);
        let instance = self.instance;
        if (0..part.open.len()).all(|i| part.open[i] == part.forced[i]) {
            let only = State::with(instance, (0..part.open.len()).filter(|&i| part.forced[i]));
            self.take(&only);
            return None;
        }
        let mut questions = Vec::new();
        for i in (0..part.open.len()).filter(|&i| part.open[i] && !part.forced[i]) {
            let c = &instance.candidates[i];
            let spread = |share: f64| share.min(1.0) * (1.0 - share.min(1.0)).max(0.0);
            let own = (spread(walk.mean.x[i]) + 1e-3) * (c.overhead + c.resident);
            questions.push(Question { image: i, family: false, score: own * 0.5 });
            let mut family = c.children.iter().filter(|&&k| part.open[k as usize]).peekable();
            // Where every plan holds one of the family already, asking would change nothing.
            let within = |k: u32| k as usize == i || c.children.binary_search(&k).is_ok();
            let answered = family.clone().any(|&k| part.forced[k as usize])
                || part.required.iter().any(|set| set.iter().all(|&k| within(k)));
            if family.peek().is_some() && !answered {
                let share = walk.mean.x[i] + family.map(|&k| walk.mean.x[k as usize]).sum::<f64>();
                let score = spread(share) * (c.overhead + c.resident);
                questions.push(Question { image: i, family: true, score });
            }
        }
        questions.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.image.cmp(&b.image)).then(a.family.cmp(&b.family)));
        questions.truncate(TRIALS);
        Some(Node { bound: walk.best.min(above), number: self.nodes, part, prices: walk.prices, questions })
    }

    /// The two answers to a question, as parts: none of the set, at least one of it.
    fn answers(&self, part: &Part, question: Question) -> [Part; 2] {
        let mut set = vec![question.image as u32];
        if question.family {
            set.extend(self.instance.candidates[question.image].children.iter().filter(|&&k| part.open[k as usize]));
        }
        let (mut none, mut some) = (part.clone(), part.clone());
        set.iter().for_each(|&i| none.open[i as usize] = false);
        some.required.push(set);
        [none, some]
    }

    /// Asks the question that lowers the bound most.
    fn split(&mut self, node: Node) -> Vec<Node> {
        let mut best: Option<(f64, Vec<(Part, Walk)>)> = None;
        for &question in &node.questions {
            let children: Vec<(Part, Walk)> = self
                .answers(&node.part, question)
                .into_iter()
                .filter_map(|part| self.bound(part, node.prices.clone(), node.bound, TRIAL_STEPS))
                .collect();
            let span = (node.bound - self.known).max(1e-12);
            let fall = |k: usize| children.get(k).map_or(1.0, |(_, walk)| (node.bound - walk.best) / span).max(1e-4);
            let score = fall(0) * fall(1);
            if best.as_ref().is_none_or(|(most, _)| score > *most) {
                best = Some((score, children));
            }
        }
        let Some((_, children)) = best else { return Vec::new() };
        children
            .into_iter()
            .filter_map(|(part, walk)| {
                let above = walk.best;
                let (part, walk) = self.bound(part, walk.prices, above, NODE_STEPS - TRIAL_STEPS)?;
                self.node(part, walk, above)
            })
            .collect()
    }

    /// Rounds a node's relaxed solution to a plan, and searches around it when it is better than the known one, or near it
    /// and that is asked for.
    fn round(&mut self, part: &Part, walk: &Walk, thorough: bool) {
        let mut search = self.empty.clone();
        let mut order: Vec<usize> =
            (0..part.open.len()).filter(|&i| part.open[i] && (part.forced[i] || walk.mean.x[i] > 0.5)).collect();
        let rank = |i: usize| if part.forced[i] { 2.0 } else { walk.mean.x[i] };
        order.sort_by(|&a, &b| rank(b).total_cmp(&rank(a)).then(a.cmp(&b)));
        let mut memory = 0.0;
        for i in order {
            let (_, cost) = search.gain_and_cost(i);
            if self.limits.fits(memory + cost) && self.leaves_room(&search.state, i) {
                search.add(i);
                memory += cost;
            }
        }
        search.fill(self.limits, Rank::Ratio, &|i| !part.open[i]);
        local_search::tidy(&mut search, self.limits);
        search.fill(self.limits, Rank::Ratio, &|_| false);
        self.work += 2 * self.relaxation.terms() as u64;
        let objective = search.state.objective();
        let better = objective > self.known * (1.0 + 1e-9);
        let near =
            thorough && objective > self.known * (1.0 - NEAR) && self.tried.insert(search.state.members().collect());
        if (better || near) && self.keeps(&search.state) {
            local_search::local_search(&mut search, self.limits);
            self.take(&search.state);
        }
    }

    /// Whether images can still be added, as far as their number and disk go.
    fn leaves_room(&self, state: &State, i: usize) -> bool {
        state.images < self.limits.max_images
            && (state.built < self.limits.max_new || !self.instance.candidates[i].is_new)
            && (self.limits.disk_mb.is_infinite() || self.limits.fits_disk(state.disk() + state.disk_cost(i)))
    }

    fn keeps(&self, state: &State) -> bool {
        state.missing == 0 && self.limits.keeps(state)
    }

    /// Takes a plan for the best known one if it is better.
    fn take(&mut self, state: &State) {
        let objective = state.objective();
        if objective > self.known && self.keeps(state) {
            self.known = objective;
            self.better = Some(state.members().collect());
        }
    }
}
