//! Bounds what any plan could save, by one method after the other, and takes the better plans that come up on the way.
//!
//! | method | what it is |
//! |---|---|
//! | `lagrangian` | [`super::bound`] without path rows: the linear relaxation |
//! | `lagrangian+paths` | with the rows that its solutions break |
//! | `lagrangian+paths+branch-and-bound` | [`super::tree`] from there on |
//! | `lagrangian+groups` | [`super::decomposed`], for large fleets, by itself |
//! | `milp (…)` | the exact model with those rows, by the solver library of this build |
//!
//! Without [`Options::prove`] every step has a fixed amount of work, and the result is the same on every machine. With it
//! the clock decides how far the later methods go.

use std::time::{Duration, Instant};

use crate::model::plan::{Method, OtherBound, Proof};

use super::greedy::{Limits, Search};
use super::instance::Instance;
use super::model::Model;
use super::state::State;
use super::{
    Exact, OPTIMAL, Options, Progress, backend, bound, decomposed, division, is_open, local_search, model, tree,
};

/// Columns up to which the exact model is solved without being asked for: on parts of ReqBench microlp took at most 0.25 s
/// there, up to 2.3 s below 2,000, and beyond that sometimes no end was seen.
const AUTO_COLUMNS: usize = 1_000;
/// Branch-and-bound nodes that it may then take. A number of nodes and not of seconds: the plan must be the same on every
/// machine.
const AUTO_NODES: u32 = 5_000;
/// Pairs of candidates, and of candidates and demands, beyond which groups are bounded each by itself at a common price of
/// memory, and nothing else is tried.
const LARGE: usize = 400_000;
/// Part of the time for the methods before the exact model, where that is solved whatever its size.
const SHARE: f64 = if cfg!(feature = "highs") { 0.5 } else { 1.0 };

/// The best plan and bound that came of it.
pub struct Proven<'a> {
    /// The best plan.
    pub best: State<'a>,
    /// No plan made of the candidates saves more, ms.
    pub bound: f64,
    /// How both were found.
    pub method: Method,
    /// What else is known of the bound.
    pub proof: Proof,
}

struct Run<'a, 'p> {
    instance: &'a Instance,
    limits: &'p Limits,
    options: &'p Options,
    /// Whether a better plan may be taken.
    replace: bool,
    best: State<'a>,
    plan: String,
    /// What each method has proven, the last one first where two are equal.
    bounds: Vec<(String, f64)>,
    progress: &'p dyn Fn(Progress),
}

/// Proves how good a plan is. `replace`: whether better ones are taken.
pub fn prove<'a>(
    instance: &'a Instance,
    limits: &Limits,
    best: State<'a>,
    replace: bool,
    options: &Options,
    progress: &dyn Fn(Progress),
) -> Proven<'a> {
    let plan = "greedy+local-search".to_string();
    if instance.parent_pairs() + instance.service_pairs() > LARGE {
        let mut run = Run { instance, limits, options, replace, best, plan, bounds: Vec::new(), progress };
        let told = |ms| progress(Progress::Bound { ms, by: DECOMPOSED });
        let price = division::margin(&run.best);
        let bound = decomposed::bound(instance, limits, &run.best, price, &told);
        run.bounds.push((DECOMPOSED.into(), bound));
        return run.proven(None);
    }
    let mut run = Run { instance, limits, options, replace, best, plan, bounds: Vec::new(), progress };
    let root = bound::lagrangian(instance, limits, &run.best);
    run.note("lagrangian", root.value);
    // The plan is made, as it would be without a wish for proof; the time for that begins here.
    let begin = Instant::now();
    let left = || options.prove.map(|time| time.saturating_sub(begin.elapsed()));
    let (mut open, mut rows) = (root.open.clone(), Vec::new());
    if run.is_open() && (options.effort > 0 || options.prove.is_some()) {
        let effort = match options.prove {
            Some(time) => tree::Effort { work: u64::MAX, until: Some(begin + time.mul_f64(SHARE)) },
            None => tree::Effort { work: u64::from(options.effort) * 1_000_000, until: None },
        };
        let found = tree::search(instance, limits, &root, &run.best, effort, &|known, bound, branches| {
            progress(Progress::Incumbent(known));
            progress(Progress::Bound { ms: bound, by: if branches { BRANCHED } else { TIGHTENED } });
        });
        if let Some(better) = found.better {
            run.take(State::with(instance, better), "greedy+local-search+branch-and-bound");
        }
        run.note(TIGHTENED, found.tightened);
        if found.nodes > 0 || found.value < found.tightened {
            run.note(BRANCHED, found.value);
        }
        (open, rows) = (found.open, found.rows);
    }
    if run.is_open() && options.exact != Exact::Never && run.replace {
        run.solve(&open, &rows, left());
    }
    let seconds = options.prove.map(|_| begin.elapsed().as_secs_f64());
    run.proven(seconds)
}

const DECOMPOSED: &str = "lagrangian+groups";
const TIGHTENED: &str = "lagrangian+paths";
const BRANCHED: &str = "lagrangian+paths+branch-and-bound";

impl<'a> Run<'a, '_> {
    fn bound(&self) -> f64 {
        self.bounds.iter().map(|(_, bound)| *bound).fold(f64::INFINITY, f64::min)
    }

    fn is_open(&self) -> bool {
        is_open(self.best.objective(), self.bound())
    }

    fn note(&mut self, method: &'static str, bound: f64) {
        (self.progress)(Progress::Bound { ms: bound, by: method });
        self.bounds.push((method.into(), bound));
    }

    fn take(&mut self, better: State<'a>, plan: &str) {
        if self.replace && better.objective() > self.best.objective() {
            self.best = better;
            self.plan = plan.into();
            (self.progress)(Progress::Incumbent(self.best.objective()));
        }
    }

    /// Solves the exact model of what is still open: the bound has excluded the rest.
    fn solve(&mut self, open: &[bool], rows: &[bound::PathRow], left: Option<Duration>) {
        let (small, old) = self.instance.restrict(open);
        let columns = model::columns(&small);
        let all = self.options.exact == Exact::Always || (cfg!(feature = "highs") && left.is_some());
        if !all && columns > AUTO_COLUMNS {
            return;
        }
        let rows: Vec<bound::PathRow> = rows.iter().map(|row| row.restrict(&old)).collect();
        let start = State::with(&small, (0..old.len()).filter(|&k| self.best.chosen[old[k]]));
        let model = model::model(&small, self.limits, &rows, &start);
        (self.progress)(Progress::Exact { variables: model.columns.len(), constraints: model.rows.len() });
        let time = match (self.options.time_limit, left) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        let nodes = (!all).then_some(AUTO_NODES);
        self.take_exact(&old, &model, backend::Effort { time, nodes });
    }

    /// Takes what the exact model adds: a better plan when it holds, a lower bound when one is proven.
    fn take_exact(&mut self, old: &[usize], model: &Model, effort: backend::Effort) {
        let answer = backend::solve(model, effort);
        let known = self.best.objective();
        let mut reached = known;
        if let Some(values) = &answer.values {
            let mut search = Search::new(self.instance);
            (0..old.len()).filter(|&k| values[k] > 0.5).for_each(|k| search.add(old[k]));
            let within = |s: &State| s.missing == 0 && self.limits.keeps(s);
            if within(&search.state) {
                local_search::tidy(&mut search, self.limits);
                reached = search.state.objective();
                if reached > known * (1.0 + 1e-12) && within(&search.state) {
                    self.take(search.state, backend::METHOD);
                }
            }
        }
        // A solver that claims less than what is known to be possible has erred: its bound proves nothing.
        if let Some(proven) = answer.bound.filter(|proven| *proven >= known.max(reached) * (1.0 - OPTIMAL)) {
            self.note(backend::METHOD, proven.max(self.best.objective()) * (1.0 + 1e-9));
        }
    }

    fn proven(mut self, seconds: Option<f64>) -> Proven<'a> {
        self.bounds.reverse();
        self.bounds.sort_by(|a, b| a.1.total_cmp(&b.1));
        let mut bounds = self.bounds.into_iter();
        let (method, bound) = bounds.next().unwrap_or_default();
        let second = bounds.next().map(|(method, value)| OtherBound { method, value });
        Proven {
            best: self.best,
            bound,
            method: Method { plan: self.plan, bound: method.clone() },
            proof: Proof {
                method,
                second_bound: second,
                seconds_allowed: self.options.prove.map(|time| time.as_secs_f64()),
                seconds,
            },
        }
    }
}
