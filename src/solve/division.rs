//! The division of the memory between platforms and trust domains, by value: where it is right, no group could put a MB
//! to better use than the group that has it.
//!
//! The greedy takes images from all groups in the order of what they save for each MB, which divides the budget by value.
//! What remains is done in each group by itself, within its share, and in parallel; then memory moves between groups as
//! long as what one would gain by it is more than what another loses.

use rayon::prelude::*;

use super::greedy::{Limits, Rank, Search};
use super::local_search::{local_search, local_search_within, tidy};
use super::problem::Problem;
use super::state::State;

/// Candidates from which on the groups are improved each by itself.
const LARGE: usize = 8_000;
/// Candidates and demands that the local search of a group looks at.
const WORK: usize = 4_000_000;
/// Rounds of moving memory between groups.
const ROUNDS: usize = 4;
/// Moves in vain after which a round ends.
const VAIN: usize = 200;
/// Images that are worth more than what would take their place, after which no others are looked at for it.
const DEAR: usize = 10;

/// What a candidate of a large fleet must be able to save for each MB of a bare host, as a part of what the last MB would
/// save if each closure had its own image: so far below what a MB is worth in the end that little is lost.
const FLOOR: f64 = 0.05;
/// Demands up to which no floor is wanted.
const FEW: usize = 2_000;

/// The floor below which candidates of large fleets are not looked at, ms for each MB of a bare host.
pub(super) fn floor(problem: &Problem, limits: &Limits) -> f64 {
    if problem.groups.iter().map(|g| g.demands.len()).sum::<usize>() <= FEW {
        return 0.0;
    }
    let mut images: Vec<(f64, f64)> = Vec::new();
    for group in &problem.groups {
        for demand in &group.demands {
            let mb = group.language.image_overhead_mb.max(0.0) + group.resident_mb(&demand.core);
            let saved = demand.weight * group.value_ms(&demand.core);
            if saved > 0.0 && mb > 0.0 {
                images.push((saved / mb, mb));
            }
        }
    }
    images.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.total_cmp(&b.1)));
    let mut memory = 0.0;
    for (ratio, mb) in images {
        memory += mb;
        if !limits.fits(memory) {
            return ratio * FLOOR;
        }
    }
    0.0
}

/// Milliseconds that another MB would save: the most that an image which is left out saves for each.
pub fn margin(state: &State) -> f64 {
    portions(state).iter().filter_map(|share| share.most_out).fold(0.0, f64::max)
}

/// What a group has of the plan.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Portion {
    /// Images.
    pub images: usize,
    /// MB.
    pub memory_mb: f64,
    /// Milliseconds saved.
    pub objective: f64,
    /// Least milliseconds for each MB that an image of the group saves: what would be lost without it.
    pub least_in: Option<f64>,
    /// Most milliseconds for each MB that another image would save.
    pub most_out: Option<f64>,
}

/// What each group has of a choice.
pub fn portions(state: &State) -> Vec<Portion> {
    let instance = state.instance;
    let share = |g: usize| {
        let mut share = Portion::default();
        for i in instance.spans[g].candidates.clone() {
            if state.chosen[i] {
                share.images += 1;
                share.memory_mb += instance.added_mb(i, state.parent(i));
                let (loss, freed) = (state.loss(i), state.freed(i));
                if freed > 0.0 && !state.is_needed(i) {
                    share.least_in = Some(share.least_in.map_or(loss / freed, |least| least.min(loss / freed)));
                }
            } else {
                let (gain, cost) = (state.gain(i), state.cost(i));
                if gain > 0.0 && cost > 0.0 {
                    share.most_out = Some(share.most_out.map_or(gain / cost, |most| most.max(gain / cost)));
                }
            }
        }
        let demands = instance.spans[g].demands.clone();
        share.objective = demands.map(|d| state.best[d] * instance.weights[d]).sum();
        share
    };
    (0..instance.spans.len()).into_par_iter().map(share).collect()
}

/// Improves what the greedy chose; never returns a worse plan.
pub fn improve<'a>(mut search: Search<'a>, limits: &Limits) -> Search<'a> {
    let instance = search.state.instance;
    if instance.spans.len() > 1 && instance.candidates.len() > LARGE && search.state.missing == 0 {
        return improve_each(search, limits);
    }
    if instance.candidates.len() > LARGE {
        local_search_within(&mut search, limits, 10 * WORK);
    } else {
        local_search(&mut search, limits);
    }
    search
}

/// Improves each group within its share, in parallel, and then moves memory between groups; never returns a worse plan.
/// Nothing that is required may be missing.
pub fn improve_each<'a>(search: Search<'a>, limits: &Limits) -> Search<'a> {
    let instance = search.state.instance;
    let of_groups: Vec<Vec<usize>> =
        (0..instance.spans.len()).into_par_iter().map(|g| improve_group(&search.state, g, limits)).collect();
    let mut better = Search::new(instance);
    of_groups.into_iter().flatten().for_each(|i| better.add(i));
    if !limits.keeps(&better.state) || better.state.objective() < search.state.objective() {
        better = search;
    }
    for _ in 0..ROUNDS {
        tidy(&mut better, limits);
        better.fill(limits, Rank::Ratio, &|_| false);
        if !exchange(&mut better, limits) {
            break;
        }
    }
    better
}

/// The group's images after a local search within the share that it has.
fn improve_group(state: &State, g: usize, limits: &Limits) -> Vec<usize> {
    let whole = state.instance;
    let span = &whole.spans[g];
    let instance = whole.slice(g);
    let first = span.candidates.start;
    let mut search = Search::new(&instance);
    span.candidates.clone().filter(|&i| state.chosen[i]).for_each(|i| search.add(i - first));
    let now = &search.state;
    let share = Limits {
        budget_mb: now.memory(),
        max_images: if limits.max_images < usize::MAX { now.images } else { usize::MAX },
        disk_mb: if limits.disk_mb.is_finite() { now.disk() } else { f64::INFINITY },
        max_new: if limits.max_new < usize::MAX { now.built } else { usize::MAX },
    };
    local_search_within(&mut search, &share, WORK);
    search.state.members().map(|i| i + first).collect()
}

/// Brings in the images that are worth most for their memory, and lets those go that are worth least for theirs, wherever
/// they are. Says whether that gained anything.
fn exchange(search: &mut Search, limits: &Limits) -> bool {
    let n = search.state.instance.candidates.len();
    let mut inside: Vec<(f64, usize)> = Vec::new();
    let mut outside: Vec<(f64, usize)> = Vec::new();
    for i in 0..n {
        if search.state.chosen[i] {
            let (loss, freed) = (search.state.loss(i), search.state.freed(i));
            if freed > 0.0 && !search.state.is_needed(i) {
                inside.push((loss / freed, i));
            }
        } else {
            let (gain, cost) = search.gain_and_cost(i);
            if gain > 0.0 && cost > 0.0 {
                outside.push((gain / cost, i));
            }
        }
    }
    inside.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    outside.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let mut memory = search.state.memory();
    let (mut gained, mut vain) = (false, 0);
    for (_, i) in outside {
        if vain >= VAIN {
            break;
        }
        let (gain, cost) = search.gain_and_cost(i);
        let (mut after, mut lost, mut gone) = (memory + cost, 0.0, Vec::new());
        search.add(i);
        let mut dear = 0;
        for &(_, k) in &inside {
            if limits.fits(after) && within(search, limits) || lost >= gain || dear > DEAR {
                break;
            }
            // What was the least worthy at first may have become needed since.
            if k == i || !search.state.chosen[k] || search.state.is_needed(k) {
                continue;
            }
            let (loss, freed) = (search.state.loss(k), search.state.freed(k));
            if freed <= 0.0 || loss * cost > gain * freed {
                dear += 1;
                continue;
            }
            search.remove(k);
            gone.push(k);
            lost += loss;
            after -= freed;
        }
        if limits.fits(after) && within(search, limits) && gain > lost * (1.0 + 1e-9) {
            gained = true;
            vain = 0;
            memory = after;
        } else {
            vain += 1;
            search.remove(i);
            gone.into_iter().rev().for_each(|k| search.add(k));
        }
    }
    gained
}

/// Whether a choice keeps to what is limited besides memory.
fn within(search: &Search, limits: &Limits) -> bool {
    let state = &search.state;
    state.images <= limits.max_images
        && state.built <= limits.max_new
        && (limits.disk_mb.is_infinite() || limits.fits_disk(state.disk()))
}
