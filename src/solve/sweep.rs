//! Plans for a range of budgets: what more memory would save.
//!
//! Every budget is planned by itself, in parallel; then what is known of one serves the others. A plan that fits a smaller
//! budget is one for a larger budget too, and is improved there; a plan for a larger budget may happen to fit a smaller
//! one. A bound for more memory is a bound for less. So neither saving nor bound ever falls along the curve, and the curve
//! is the same for any number of threads.
//!
//! The knee is that of Kneedle (Satopaa, Albrecht, Irwin and Raghavan, ICDCS workshops 2011) on the concave envelope of the
//! points: with memory and saving both scaled to 1, the point farthest above the diagonal from nothing to the last point.
//! On a concave curve that is where the marginal milliseconds for each MB fall below the average of the whole curve. It
//! depends on where the curve ends, which is why the automatic range ends where nothing more is gained.

use rayon::prelude::*;

use super::instance::Instance;
use super::prove::Proven;
use super::{Limits, Options, Problem, Solution, greedy, improved, local_search, plan_instance};
use crate::model::plan::{Aim, Status};

/// Steps of an automatic range, and of one given by its ends.
pub const STEPS: usize = 16;

/// How the knee is found, in words.
pub const KNEE: &str = "Kneedle on the concave envelope of memory and saved time: beyond it a MB saves less than the average over the curve";

/// Which budgets are planned.
#[derive(Debug, Clone, PartialEq)]
pub enum Budgets {
    /// From the smallest useful image to where the functions that there are gain nothing more.
    Auto,
    /// From one to another, MB, by equal factors.
    Range(f64, f64),
    /// These, MB.
    List(Vec<f64>),
}

/// The plan for one budget.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// MB.
    pub budget_mb: f64,
    /// The best plan known for it.
    pub solution: Solution,
}

/// Plans every budget; `also` is one that must be among them. Sorted by budget, each once.
pub fn sweep(
    problem: &Problem,
    options: &Options,
    budgets: &Budgets,
    also: Option<f64>,
    told: &(dyn Fn(usize, usize) + Sync),
) -> Vec<Step> {
    met(problem, options, budgets, also, told).0
}

/// The same, and the budgets for which no plan was found that meets what is required; ascending.
pub fn met(
    problem: &Problem,
    options: &Options,
    budgets: &Budgets,
    also: Option<f64>,
    told: &(dyn Fn(usize, usize) + Sync),
) -> (Vec<Step>, Vec<f64>) {
    let known = problem;
    let problem = super::aimed(known, options);
    let problem = problem.as_ref();
    let instance = super::instance(problem, options.max_candidates);
    let mut all = match budgets {
        // What is only expected would be worth ever smaller images without end: the functions that there are end it.
        Budgets::Auto if options.aim() == Aim::Expected => {
            automatic(&super::instance(known, options.max_candidates), options)
        }
        Budgets::Auto => automatic(&instance, options),
        Budgets::Range(low, high) => spread(*low, *high),
        Budgets::List(list) => list.clone(),
    };
    all.extend(also);
    all.sort_by(f64::total_cmp);
    all.dedup();
    let done = std::sync::atomic::AtomicUsize::new(0);
    let steps: Vec<Step> = all
        .par_iter()
        .map(|&budget_mb| {
            let options = Options { budget_mb, ..options.clone() };
            let solution = plan_instance(problem, &instance, &options, &|_| ());
            told(done.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1, all.len());
            Step { budget_mb, solution }
        })
        .collect();
    let (mut steps, unmet): (Vec<Step>, Vec<Step>) = steps.into_iter().partition(|step| step.solution.met);
    carry(problem, &instance, options, &mut steps);
    (steps, unmet.iter().map(|step| step.budget_mb).collect())
}

/// From the smallest image that saves anything to what the plan takes that lacks no memory.
fn automatic(instance: &Instance, options: &Options) -> Vec<f64> {
    let useful = (0..instance.candidates.len()).filter(|&i| !instance.candidates[i].services.is_empty());
    let Some(low) = useful.map(|i| instance.added_mb(i, None)).filter(|mb| *mb > 0.0).min_by(f64::total_cmp) else {
        return vec![options.budget_mb];
    };
    let limits = Limits { budget_mb: f64::MAX, ..options.limits() };
    let mut search = greedy::greedy(instance, &limits);
    local_search::local_search(&mut search, &limits);
    spread(readable(low), readable(search.state.memory()))
}

/// Rounded up, so that what needs so much still fits: to tenths below 10 MB, to whole MB above.
fn readable(mb: f64) -> f64 {
    if mb < 10.0 { (mb * 10.0).ceil() / 10.0 } else { mb.ceil() }
}

/// [`STEPS`] budgets between two, the ends among them, each larger than the one before by the same factor.
fn spread(low: f64, high: f64) -> Vec<f64> {
    if high <= low {
        return vec![low.max(high)];
    }
    // The sixteenth root by square roots alone: the last digits of library powers differ between systems.
    const { assert!(STEPS == 16) };
    let factor = (high / low).sqrt().sqrt().sqrt().sqrt();
    let mut all = vec![low];
    let mut at = low;
    for _ in 1..STEPS {
        at *= factor;
        all.push(readable(at).clamp(low, high));
    }
    all.push(high);
    all
}

/// Takes what is known of other budgets.
fn carry(problem: &Problem, instance: &Instance, options: &Options, steps: &mut [Step]) {
    for k in (1..steps.len()).rev() {
        let (before, after) = steps.split_at_mut(k);
        let (less, more) = (&mut before[k - 1], &after[0]);
        let limits = Limits { budget_mb: less.budget_mb, ..options.limits() };
        if limits.fits(more.solution.memory_mb) && more.solution.objective > less.solution.objective {
            let own = less.solution.clone();
            less.solution = more.solution.clone();
            less.solution.take_bound(&own);
        }
        if more.solution.bound < less.solution.bound {
            less.solution.take_bound(&more.solution);
        }
        settle(&mut less.solution);
    }
    for k in 1..steps.len() {
        let (before, after) = steps.split_at_mut(k);
        let (less, more) = (&before[k - 1], &mut after[0]);
        if more.solution.objective >= less.solution.objective {
            continue;
        }
        let options = Options { budget_mb: more.budget_mb, ..options.clone() };
        let limits = options.limits();
        let state = improved(instance, &limits, members(instance, &less.solution).into_iter());
        let own = more.solution.clone();
        more.solution = if state.objective() > less.solution.objective {
            let (method, proof) = (less.solution.method.clone(), own.proof.clone());
            super::solution(problem, instance, Proven { best: state, bound: own.bound, method, proof }, &options)
        } else {
            less.solution.clone()
        };
        more.solution.take_bound(&own);
        settle(&mut more.solution);
    }
}

/// The candidates that a solution holds.
fn members(instance: &Instance, solution: &Solution) -> Vec<usize> {
    let place = |c: &super::Chosen| {
        instance.candidates.binary_search_by(|other| (other.group, &other.set).cmp(&(c.group, &c.set))).ok()
    };
    solution.chosen.iter().filter_map(place).collect()
}

impl Solution {
    /// The bound of `other`, with its proof.
    fn take_bound(&mut self, other: &Solution) {
        self.bound = other.bound.max(self.objective);
        self.method.bound.clone_from(&other.method.bound);
        self.proof.clone_from(&other.proof);
    }
}

/// The status that bound and objective come to.
fn settle(solution: &mut Solution) {
    if solution.status != Status::Empty {
        let open = super::is_open(solution.objective, solution.bound);
        solution.status = if open { Status::Feasible } else { Status::Optimal };
    }
}

/// Index of the knee among points of memory and saving, both ascending; none where the curve has no bend.
pub fn knee(points: &[(f64, f64)]) -> Option<usize> {
    let &(width, height) = points.last()?;
    if width <= 0.0 || height <= 0.0 {
        return None;
    }
    // A point on the envelope lies farthest above the diagonal, so that the envelope itself is not needed.
    let above = |&(x, y): &(f64, f64)| y / height - x / width;
    let (at, most) = points
        .iter()
        .map(above)
        .enumerate()
        .fold((0, f64::NEG_INFINITY), |best, (k, above)| if above > best.1 { (k, above) } else { best });
    (most > 1e-9).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::classes::classes;
    use crate::model::platform::Language;
    use crate::model::{CostSource, Function, Inventory, LanguageCosts, Package, PackageId, Platform, State};
    use crate::solve::Price;

    #[test]
    fn the_knee_is_where_the_marginal_falls_below_the_average() {
        // 4 of 10 for the first MB of 5, then 3, 1, 1, 1: the average is 2, and the third MB saves less.
        let points = [(1.0, 4.0), (2.0, 7.0), (3.0, 8.0), (4.0, 9.0), (5.0, 10.0)];
        assert_eq!(knee(&points), Some(1));
        // The dent at 2 MB is below the envelope: 1 MB and 3 MB are its corners.
        assert_eq!(knee(&[(1.0, 5.0), (2.0, 5.5), (3.0, 9.0), (6.0, 10.0)]), Some(2));
        assert_eq!(knee(&[(1.0, 2.0), (2.0, 4.0)]), None, "a straight line");
        assert_eq!(knee(&[(1.0, 0.0)]), None);
        assert_eq!(knee(&[]), None);
    }

    /// Two functions that load one package each: 50 ms and 5 MB, 30 ms and 5 MB; hosts take nothing.
    fn two() -> Problem {
        let mut inventory = Inventory::empty();
        for name in ["a", "b"] {
            let id = PackageId::pypi(name, "1");
            inventory.packages.push(Package { requires: Some(vec![]), ..Package::new(id.clone()) });
            inventory.functions.push(Function {
                platform: Some(Platform::linux(Language::Python, "3.11")),
                state: State::Locked,
                closure: vec![id],
                ..Function::new(name)
            });
        }
        let price = |id: &PackageId, _: &Platform| {
            let load_ms = if id.name == "a" { 50.0 } else { 30.0 };
            Some(Price { load_ms, resident_mb: 5.0, disk_mb: None, source: CostSource::Measured })
        };
        let language = |_| LanguageCosts {
            image_overhead_mb: 0.0,
            swap_base_ms: 0.0,
            swap_ms_per_mb: 0.0,
            waste_ms_per_mb: None,
            load_ms_per_disk_mb: None,
            resident_mb_per_disk_mb: None,
        };
        super::super::problem(&inventory, &classes(&inventory), &price, &language).0
    }

    #[test]
    fn what_is_known_of_one_budget_serves_the_others() {
        let problem = two();
        let instance = super::super::instance(&problem, 100);
        let plan = |budget_mb: f64| {
            let options = Options { budget_mb, aim: Aim::Known, ..Options::default() };
            plan_instance(&problem, &instance, &options, &|_| ())
        };
        // As if the search had failed for 12 MB, where it found nothing, and for 6 MB, where it found what is worth less.
        let bare = |budget_mb: f64, solution: Solution| {
            let bound = plan(budget_mb).bound;
            Step { budget_mb, solution: Solution { bound, status: Status::Feasible, ..solution } }
        };
        let options = Options { aim: Aim::Known, ..Options::default() };
        let mut steps = [bare(6.0, plan(6.0)), bare(12.0, plan(0.1))];
        assert_eq!(steps[1].solution.objective, 0.0);
        carry(&problem, &instance, &options, &mut steps);
        let found = |steps: &[Step]| -> Vec<(f64, Status)> {
            steps.iter().map(|s| (s.solution.objective, s.solution.status)).collect()
        };
        // The plan for 6 MB is taken over, and improved by what still fits.
        assert_eq!(found(&steps), [(50.0, Status::Optimal), (80.0, Status::Optimal)]);
        assert_eq!(steps[1].solution.chosen.len(), 2);

        // A plan for 12 MB that takes 5 is one for 6 MB too.
        let mut steps = [bare(6.0, plan(0.1)), bare(12.0, plan(6.0))];
        carry(&problem, &instance, &options, &mut steps);
        assert_eq!(found(&steps), [(50.0, Status::Optimal), (50.0, Status::Feasible)]);
    }

    #[test]
    fn budgets_grow_by_equal_factors_and_hold_both_ends() {
        let all = spread(10.0, 655_360.0);
        assert_eq!(all.len(), STEPS + 1);
        assert_eq!((all[0], all[1], all[15], all[16]), (10.0, 20.0, 327_680.0, 655_360.0));
        assert!(all.windows(2).all(|w| w[0] < w[1]));
        assert_eq!(spread(5.0, 5.0), [5.0]);
        assert_eq!((readable(3.12), readable(10.2), readable(11.0)), (3.2, 11.0, 11.0));
    }
}
