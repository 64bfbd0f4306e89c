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

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use super::bound::{Bound, Pace, Part, Prices, Relaxation, Rule, SLACK, Walk};
use super::greedy::{Limits, Rank, Search};
use super::instance::Instance;
use super::local_search;
use super::problem::Set;
use super::state::State;

/// Relative gap at which the search ends.
const CLOSED: f64 = 1e-7;
/// Questions that are tried out before one is asked.
const TRIALS: usize = 3;
/// Evaluations of L in a trial, and in all for a node that stays.
const TRIAL_STEPS: usize = 15;
const NODE_STEPS: usize = 60;
/// Children start from their parent's prices, which are nearly right.
const NODE_RULE: Rule = Rule::Volume { share: 0.3, patience: 5 };

/// What the search found.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// No plan made of the candidates saves more, ms.
    pub value: f64,
    /// Nodes that were bounded.
    pub nodes: usize,
    /// Candidates that a plan better than the best known one may hold.
    pub open: Vec<bool>,
    /// The images of a plan better than the one to start from, when one was found.
    pub better: Option<Vec<usize>>,
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

struct Tree<'a> {
    instance: &'a Instance,
    limits: &'a Limits,
    relaxation: Relaxation,
    scale: Prices,
    empty: Search<'a>,
    /// What the best known plan saves, and its images when it was found here.
    known: f64,
    better: Option<Vec<usize>>,
    work: u64,
    nodes: usize,
}

/// Searches on from where the Lagrangian bound `root` ended. `work`: terms of L that may be added up. `told` hears of
/// better plans and lower bounds, ms.
pub fn search(
    whole: &Instance,
    limits: &Limits,
    root: &Bound,
    known: &State,
    work: u64,
    told: &dyn Fn(f64, f64),
) -> Found {
    let objective = known.objective();
    // Only what the root leaves open: the nodes are many, and each should be small.
    let (instance, old) = whole.restrict(&root.open);
    let start = State::with(&instance, (0..old.len()).filter(|&k| known.chosen[old[k]]));
    let relaxation = Relaxation::new(&instance, limits);
    let mut tree = Tree {
        instance: &instance,
        limits,
        scale: relaxation.scale(&instance, limits, &start),
        relaxation,
        empty: Search::new(&instance),
        known: objective,
        better: None,
        work: 0,
        nodes: 0,
    };
    let mut part = tree.relaxation.whole(limits);
    old.iter().enumerate().for_each(|(k, &i)| part.forced[k] = root.forced[i]);
    let prices = tree.relaxation.translate(&Relaxation::new(whole, limits), &root.prices, &old);

    let mut heap: BinaryHeap<Node> = BinaryHeap::new();
    let mut highest = root.value;
    if let Some((part, walk)) = tree.bound(part, prices, root.value, NODE_STEPS) {
        heap.extend(tree.node(part, walk, root.value));
    }
    loop {
        let Some(node) = heap.peek() else {
            highest = highest.min(tree.known);
            break;
        };
        if node.bound < highest {
            highest = node.bound.max(tree.known);
            told(tree.known, highest);
        }
        if highest <= tree.known * (1.0 + CLOSED) || tree.work >= work {
            break;
        }
        let Some(node) = heap.pop() else { break };
        heap.extend(tree.split(node));
    }
    let mut open = vec![false; whole.candidates.len()];
    for node in heap.iter().filter(|n| n.bound > tree.known * (1.0 + CLOSED)) {
        old.iter().enumerate().filter(|&(k, _)| node.part.open[k]).for_each(|(_, &i)| open[i] = true);
    }
    Found {
        value: (highest.max(tree.known) * (1.0 + SLACK)).min(root.value.max(tree.known)),
        nodes: tree.nodes,
        open,
        better: tree.better.map(|images| images.into_iter().map(|k| old[k]).collect()),
    }
}

impl Tree<'_> {
    /// Bounds a part. None when it holds no plan better than the known one.
    fn bound(&mut self, mut part: Part, prices: Prices, above: f64, steps: usize) -> Option<(Part, Walk)> {
        self.nodes += 1;
        if !self.settle(&mut part) {
            return None;
        }
        let pace = Pace { steps, patience: steps, fix_every: 10, rule: NODE_RULE };
        let mut walk = self.relaxation.walk(&mut part, prices, &self.scale, self.known, pace);
        self.work += (walk.steps as u64 + 2) * self.relaxation.terms() as u64;
        walk.best = walk.best.min(above);
        if walk.best <= self.known * (1.0 + CLOSED) {
            return None;
        }
        self.relaxation.fix(&mut part, &walk.at, self.known);
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
        self.round(&part, &walk);
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
            let own = (spread(walk.share[i]) + 1e-3) * (c.overhead + c.resident);
            questions.push(Question { image: i, family: false, score: own * 0.5 });
            let mut family = c.children.iter().filter(|&&k| part.open[k as usize]).peekable();
            // Where every plan holds one of the family already, asking would change nothing.
            let within = |k: u32| k as usize == i || c.children.binary_search(&k).is_ok();
            let answered = family.clone().any(|&k| part.forced[k as usize])
                || part.required.iter().any(|set| set.iter().all(|&k| within(k)));
            if family.peek().is_some() && !answered {
                let share = walk.share[i] + family.map(|&k| walk.share[k as usize]).sum::<f64>();
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

    /// Rounds a node's relaxed solution to a plan.
    fn round(&mut self, part: &Part, walk: &Walk) {
        let mut search = self.empty.clone();
        let mut order: Vec<usize> =
            (0..part.open.len()).filter(|&i| part.open[i] && (part.forced[i] || walk.share[i] > 0.5)).collect();
        let rank = |i: usize| if part.forced[i] { 2.0 } else { walk.share[i] };
        order.sort_by(|&a, &b| rank(b).total_cmp(&rank(a)).then(a.cmp(&b)));
        let mut memory = 0.0;
        for i in order {
            let (_, cost) = search.gain_and_cost(i);
            if self.limits.fits(memory + cost) && search.state.images < self.limits.max_images {
                search.add(i);
                memory += cost;
            }
        }
        search.fill(self.limits, Rank::Ratio, &|i| !part.open[i]);
        local_search::tidy(&mut search);
        search.fill(self.limits, Rank::Ratio, &|_| false);
        self.work += 2 * self.relaxation.terms() as u64;
        if search.state.objective() > self.known * (1.0 + 1e-9) && self.keeps(&search.state) {
            local_search::local_search(&mut search, self.limits);
            self.take(&search.state);
        }
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
