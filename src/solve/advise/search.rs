//! Which moves to advise, in which order: the plan is the judge.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::advice::{self, Advice, Direction, Effect, HeldBack, LookedAt, Piece};
use crate::model::inventory::{Inventory, State};
use crate::model::units::round;
use crate::model::{GENERATOR, PackageId};

use super::candidates::{self, Candidate, Found};
use super::change;
use super::fleet::{Fleet, allow_set, slim};
use super::moves::{self, UnitShift};
use super::{Cost, Effort, Options, Planner, effect};

/// Forbidden moves that are told.
const HELD_BACK: usize = 5;
/// Forbidden moves that are planned to find them.
const LOOSENED: usize = 20;
/// Open questions of one piece that are told.
const QUESTIONS: usize = 12;
/// Gains that differ by less than this share of all load time are the same: plans are not exact.
const SAME: f64 = 1e-6;

/// Advises on a fleet. `progress` is told how many plans of how many at most were made.
///
/// # Errors
/// When a plan cannot be made: the planner's own reason.
pub fn advise(
    inventory: &Inventory,
    cost: &Cost,
    planner: &Planner,
    options: &Options,
    progress: &dyn Fn(usize, usize),
) -> Result<Advice, String> {
    let base = slim(inventory);
    let before = planner(&base, Effort::Full)?;
    let fleet = Fleet::new(&base);
    let found = candidates::find(&fleet, cost, options);
    let mut search = Search {
        base: &base,
        planner,
        options,
        plans: 0,
        least_ms: (before.total_ms * options.min_gain).max(before.total_ms * SAME),
        least_mb: (before.memory_mb * options.min_gain).max(1e-3),
        progress,
    };
    let start = effect(&before);
    let pieces = search.run(&fleet, &found, start)?;
    Ok(Advice {
        schema: advice::SCHEMA.into(),
        generator: GENERATOR.into(),
        budget_mb: before.budget_mb,
        weights: before.weights.clone(),
        before: start,
        after: pieces.last().map_or(start, |piece| piece.cumulative),
        advice: pieces,
        held_back: search.held_back(&fleet, &found)?,
        looked_at: LookedAt {
            versions: found.versions,
            checked: found.checked,
            allowed: found.candidates.len(),
            plans: search.plans,
            not_locked: base.functions.iter().filter(|f| f.platform.is_some() && f.state != State::Locked).count(),
        },
    })
}

/// What a move gains.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Gain {
    ms: f64,
    mb: f64,
}

impl Gain {
    fn of(before: &Effect, after: &Effect) -> Self {
        let (loaded, served) = (before.remaining_ms - after.remaining_ms, after.objective - before.objective);
        Self {
            // A version that merely loads faster is no gain of sharing, and one that loads slower is a loss.
            ms: round(loaded.min(served), 6),
            mb: round(before.memory_mb - after.memory_mb, 6),
        }
    }
}

struct Search<'s> {
    base: &'s Inventory,
    planner: &'s Planner<'s>,
    options: &'s Options,
    plans: usize,
    least_ms: f64,
    least_mb: f64,
    progress: &'s dyn Fn(usize, usize),
}

impl Search<'_> {
    fn run(&mut self, fleet: &Fleet, found: &Found, start: Effect) -> Result<Vec<Piece>, String> {
        // Alone, on the fleet as it is. Half of the plans, so that some are left to follow one piece by another.
        let quick = self.quick(self.base)?;
        let mut open: Vec<(Gain, &Candidate)> = Vec::new();
        for candidate in &found.candidates {
            if self.plans >= self.options.max_plans / 2 {
                break;
            }
            let Some(shifts) = shifts(fleet, candidate) else { continue };
            let gain = Gain::of(&quick, &self.quick(&apply(self.base, &shifts))?);
            // What gains nothing by itself may do so once others have made room for it.
            open.push((gain, candidate));
        }
        let mut pieces: Vec<Piece> = Vec::new();
        let mut current = self.base.clone();
        let (mut current_quick, mut current_full) = (quick, start);
        while pieces.len() < self.options.max_advice && !open.is_empty() {
            let Some(candidate) = self.best(&current, &current_quick, &mut open)? else { break };
            let now = Fleet::after(&current, self.base);
            let Some(shifts) = shifts(&now, candidate) else { continue };
            let next = apply(&current, &shifts);
            let full = effect(&(self.planner)(&next, Effort::Full)?);
            let adds = Gain::of(&current_full, &full);
            if !self.counts(adds) {
                // The comparison was too rough.
                continue;
            }
            let alone = match pieces.is_empty() {
                true => full,
                false => match self::shifts(fleet, candidate) {
                    Some(alone) => effect(&(self.planner)(&apply(self.base, &alone), Effort::Full)?),
                    None => continue,
                },
            };
            pieces.push(piece(&now, candidate, &shifts, alone, Gain::of(&start, &alone), full, adds));
            current_quick = self.quick(&next)?;
            current_full = full;
            current = next;
        }
        Ok(pieces)
    }

    /// The move that adds most to those that were taken; moves with nothing left to change are dropped. What a move
    /// added when it was last planned is taken for the most that it can add now, so that few are planned again.
    fn best<'c, 'a>(
        &mut self,
        current: &Inventory,
        quick: &Effect,
        open: &mut Vec<(Gain, &'c Candidate<'a>)>,
    ) -> Result<Option<&'c Candidate<'a>>, String> {
        let fleet = Fleet::after(current, self.base);
        let mut fresh: BTreeSet<usize> = BTreeSet::new();
        // Stable: of equal gains the heavier comes first.
        let least = self.least_ms;
        let keyed = |gain: &Gain| if gain.ms >= least { (gain.ms, gain.mb) } else { (0.0, gain.mb) };
        let order = |a: &Gain, b: &Gain| {
            let (a, b) = (keyed(a), keyed(b));
            let same = (a.0 - b.0).abs() <= least * 1e-3;
            if same { b.1.total_cmp(&a.1) } else { b.0.total_cmp(&a.0) }
        };
        let mut out = None;
        let mut entries: Vec<(usize, Gain, &'c Candidate<'a>)> =
            open.drain(..).enumerate().map(|(at, (gain, candidate))| (at, gain, candidate)).collect();
        loop {
            let best = (0..entries.len()).min_by(|&a, &b| order(&entries[a].1, &entries[b].1).then(a.cmp(&b)));
            let Some(best) = best else { break };
            let (at, _, candidate) = entries[best];
            if fresh.contains(&at) {
                if self.counts(entries[best].1) {
                    entries.remove(best);
                    out = Some(candidate);
                }
                break;
            }
            if self.plans >= self.options.max_plans {
                break;
            }
            match shifts(&fleet, candidate) {
                Some(shifts) => {
                    entries[best].1 = Gain::of(quick, &self.quick(&apply(current, &shifts))?);
                    fresh.insert(at);
                }
                None => {
                    entries.remove(best);
                }
            }
        }
        open.extend(entries.into_iter().map(|(_, gain, candidate)| (gain, candidate)));
        Ok(out)
    }

    /// What declarations forbid, and what following it would gain all the same: one for each lock and name.
    fn held_back<'f>(&mut self, fleet: &Fleet<'f>, found: &Found<'f>) -> Result<Vec<HeldBack>, String> {
        let quick = self.quick(self.base)?;
        let mut out: Vec<HeldBack> = Vec::new();
        for forbidden in found.forbidden.iter().filter(|f| f.potential > 0.0).take(LOOSENED) {
            let target = fleet.target(forbidden.like, forbidden.package);
            let Some(Ok(shift)) = moves::shift(fleet, forbidden.unit, &target, true) else { continue };
            let gain = Gain::of(&quick, &self.quick(&apply(self.base, std::slice::from_ref(&shift)))?);
            if !self.counts(gain) {
                continue;
            }
            let change = change::change(fleet, &shift, &forbidden.package.name);
            out.push(HeldBack {
                to: forbidden.package.clone(),
                from: change.moves.first().map(|m| m.from.clone()).unwrap_or_default(),
                functions: change.functions,
                lock: change.lock,
                declared: forbidden.declared.clone(),
                saved_ms: gain.ms,
                saved_mb: gain.mb,
            });
        }
        out.sort_by(|a, b| b.saved_ms.total_cmp(&a.saved_ms).then(b.saved_mb.total_cmp(&a.saved_mb)));
        let mut told: BTreeSet<(String, String)> = BTreeSet::new();
        out.retain(|held| told.insert((held.lock.clone(), held.to.name.clone())));
        out.truncate(HELD_BACK);
        Ok(out)
    }

    /// Whether a gain is worth advising: time, or as much memory for the same time.
    fn counts(&self, gain: Gain) -> bool {
        gain.ms >= self.least_ms || (gain.ms > -self.least_ms * 1e-3 && gain.mb >= self.least_mb)
    }

    fn quick(&mut self, inventory: &Inventory) -> Result<Effect, String> {
        self.plans += 1;
        (self.progress)(self.plans.min(self.options.max_plans), self.options.max_plans);
        Ok(effect(&(self.planner)(inventory, Effort::Quick)?))
    }
}

/// What a candidate changes in a fleet; `None` where nothing is left to change, or a lock can no longer move.
fn shifts<'f>(fleet: &Fleet<'f>, candidate: &Candidate) -> Option<Vec<UnitShift<'f>>> {
    let function = fleet.function(candidate.like);
    let package = function.closure.binary_search(candidate.package).ok().map(|at| &function.closure[at])?;
    let target = fleet.target(candidate.like, package);
    let mut out = Vec::new();
    for unit in (0..fleet.units.len()).filter(|&u| candidate.locks.contains(&fleet.units[u].lock)) {
        match moves::shift(fleet, unit, &target, false) {
            Some(Ok(shift)) => out.push(shift),
            Some(Err(_)) => return None,
            None => {}
        }
    }
    (!out.is_empty()).then_some(out)
}

/// The fleet after moves.
fn apply(inventory: &Inventory, shifts: &[UnitShift]) -> Inventory {
    let mut next = inventory.clone();
    let index: BTreeMap<&PackageId, usize> = inventory.packages.iter().enumerate().map(|(at, p)| (&p.id, at)).collect();
    for shift in shifts.iter().flat_map(|s| &s.functions) {
        let platform = inventory.functions[shift.function].platform.clone();
        next.functions[shift.function].closure = shift.closure.iter().map(|id| (*id).clone()).collect();
        for (id, set) in &shift.sets {
            if let (Some(platform), Some(&at)) = (&platform, index.get(*id)) {
                allow_set(&mut next.packages[at], platform, set.iter().map(|r| (*r).clone()).collect());
            }
        }
    }
    next
}

fn piece<'f>(
    fleet: &Fleet<'f>,
    candidate: &Candidate,
    shifts: &[UnitShift<'f>],
    alone: Effect,
    saved: Gain,
    cumulative: Effect,
    adds: Gain,
) -> Piece {
    let name = &candidate.package.name;
    let mut from: BTreeSet<&PackageId> = BTreeSet::new();
    let mut to_confirm: BTreeSet<&str> = BTreeSet::new();
    for shift in shifts {
        to_confirm.extend(shift.questions.iter().map(String::as_str));
        let before = shift.functions.iter().flat_map(|s| &fleet.function(s.function).closure);
        from.extend(before.filter(|id| id.name == *name && *id != candidate.package));
    }
    let later = |id: &&PackageId| super::ranges::direction(id, candidate.package) == Direction::Downgrade;
    let mut changes: Vec<advice::Change> = shifts.iter().map(|shift| change::change(fleet, shift, name)).collect();
    changes.sort_by(|a, b| a.lock.cmp(&b.lock));
    let mut functions: Vec<String> = changes.iter().flat_map(|c| c.functions.clone()).collect();
    functions.sort();
    let shares = |f: &&crate::model::Function| {
        f.platform.as_ref() == Some(candidate.place.0)
            && f.trust_domain == candidate.place.1
            && f.closure.binary_search(candidate.package).is_ok()
    };
    let more = to_confirm.len().saturating_sub(QUESTIONS);
    let mut told: Vec<String> = to_confirm.iter().take(QUESTIONS).map(|q| (*q).to_string()).collect();
    if more > 0 {
        told.push(format!("and {more} more"));
    }
    let mut from: Vec<&PackageId> = from.into_iter().collect();
    from.sort_by(|a, b| super::ranges::compare(a, b));
    Piece {
        to: candidate.package.clone(),
        from: from.iter().map(|id| id.version.clone()).collect(),
        direction: if from.iter().any(later) { Direction::Downgrade } else { Direction::Upgrade },
        platform: candidate.place.0.clone(),
        trust_domain: candidate.place.1.to_string(),
        shared_with: fleet.inventory.functions.iter().filter(shares).count(),
        functions,
        changes,
        to_confirm: told,
        alone,
        saved_ms: saved.ms,
        saved_mb: saved.mb,
        cumulative,
        adds_ms: adds.ms,
        adds_mb: adds.mb,
    }
}
