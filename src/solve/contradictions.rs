//! Why demands cannot be met together: the smallest sets of them that contradict each other, with the figures.
//!
//! First each floor and each pin by itself against the limits and everything else that is not a floor or a pin; then, if
//! each could be met by itself, all of them together. A set is made small by QuickXplain (Junker 2004): dropping any one of
//! the demands that are named would make the rest possible, or at least not provably impossible.
//!
//! "Impossible" is meant as bounds are: no plan made of the candidates does it.

use super::feasible::{self, Quantity, Verdict};
use super::greedy::Limits;
use super::instance::Instance;
use super::pools::only;
use super::wishes::{Asked, LanguageOf, Pool, PriceOf, asked};
use super::{Options, candidates};
use crate::model::inventory::{Function, Inventory};
use crate::model::plan::Share;
use crate::model::wishes::{Wish, Wishes};
use crate::model::{Diagnostic, codes};

/// Demands that are named at most in one breath.
const NAMED: usize = 6;

/// Finds out why. Empty when no contradiction is proven.
pub fn contradictions(
    inventory: &Inventory,
    list: &Wishes,
    pools: &[Pool],
    options: &Options,
    price: PriceOf,
    language: LanguageOf,
) -> Vec<Diagnostic> {
    let light = light(inventory, options.share);
    let court = Court { inventory: &light, list, pools, options, price, language };
    court.sets().iter().map(|set| court.say(set)).collect()
}

/// The sets of wishes behind [`contradictions`], by index; ascending.
pub fn sets(
    inventory: &Inventory,
    list: &Wishes,
    pools: &[Pool],
    options: &Options,
    price: PriceOf,
    language: LanguageOf,
) -> Vec<Vec<usize>> {
    let light = light(inventory, options.share);
    Court { inventory: &light, list, pools, options, price, language }.sets()
}

/// What the plan that was found does not do, where no contradiction is proven.
pub fn not_found(list: &Wishes) -> Diagnostic {
    let place = list.list.first().map(|w| w.place.clone()).unwrap_or_default();
    let wanted: Vec<String> = list
        .list
        .iter()
        .filter(|w| matches!(w.wish, Wish::Floor { .. } | Wish::Pin { .. }))
        .take(NAMED)
        .map(ToString::to_string)
        .collect();
    let reason = format!(
        "no plan was found that meets all demands, and it is not proven that there is none: {} …",
        wanted.join(", ")
    );
    Diagnostic::new(codes::DEMANDS_CONTRADICT, place, reason).next("raise a limit, or lower a floor")
}

/// A fleet with only what planning needs: it is planned again for many sets of demands.
fn light(inventory: &Inventory, share: Share) -> Inventory {
    let functions = inventory
        .functions
        .iter()
        .map(|f| Function {
            platform: f.platform.clone(),
            trust_domain: f.trust_domain.clone(),
            weight: f.weight,
            state: f.state,
            closure: f.closure.clone(),
            unresolved: f.unresolved.clone(),
            // Only the superset rule asks for them.
            imports: if share == Share::Superset { f.imports.clone() } else { Vec::new() },
            ..Function::new(&f.id)
        })
        .collect();
    Inventory { functions, packages: inventory.packages.clone(), ..Inventory::empty() }
}

struct Court<'a> {
    inventory: &'a Inventory,
    list: &'a Wishes,
    pools: &'a [Pool],
    options: &'a Options,
    price: PriceOf<'a>,
    language: LanguageOf<'a>,
}

impl Court<'_> {
    /// The smallest sets that are found to be impossible.
    fn sets(&self) -> Vec<Vec<usize>> {
        let mut found: Vec<Vec<usize>> = Vec::new();
        let all: Vec<usize> = (0..self.list.list.len()).collect();
        let wants = |i: &usize| matches!(self.list.list[*i].wish, Wish::Floor { .. } | Wish::Pin { .. });
        let (wanted, around): (Vec<usize>, Vec<usize>) = all.iter().copied().partition(wants);
        // What cannot be met by itself; a quick look spares the long way for what fits easily.
        let whole = self.ask(&all);
        for &wish in &wanted {
            let with: Vec<usize> = [wish].iter().chain(&around).copied().collect();
            if self.may_fail(&whole, wish) && self.is_impossible(&with) {
                let mut set = vec![wish];
                set.extend(self.explain(&[wish], false, &around));
                found.push(self.smallest(set, with));
            }
        }
        if found.is_empty() && self.is_impossible(&all) {
            let order: Vec<usize> = around.iter().chain(&wanted).copied().collect();
            let set = self.explain(&[], false, &order);
            found.push(self.smallest(set, all));
        }
        found.iter_mut().for_each(|set| set.sort_unstable());
        found
    }

    /// What is left of an explanation when whatever does not matter is dropped; of all that was asked where the explanation
    /// is none: what excludes packages or limits images changes which images are looked at, so that more demands may show
    /// more ways, and QuickXplain reckons with fewer.
    fn smallest(&self, set: Vec<usize>, all: Vec<usize>) -> Vec<usize> {
        let mut set = if self.is_impossible(&set) { set } else { all };
        while let Some(rest) = (0..set.len()).find_map(|k| {
            let rest: Vec<usize> = set.iter().copied().filter(|&i| i != set[k]).collect();
            self.is_impossible(&rest).then_some(rest)
        }) {
            set = rest;
        }
        set
    }

    fn ask(&self, set: &[usize]) -> Asked<'_> {
        let share = self.options.share;
        asked(self.inventory, self.list, self.pools, share, &|i| set.contains(&i), self.price, self.language)
    }

    /// The limits of a pool that come from demands of a set.
    fn limits(&self, pool: &Pool, set: &[usize]) -> Limits {
        let said = |from: &[usize]| from.iter().any(|i| set.contains(i));
        let mut limits = pool.limits();
        if !said(&pool.memory_from) {
            limits.budget_mb = f64::INFINITY;
        }
        if !pool.images.as_ref().is_some_and(|(_, from)| said(from)) {
            limits.max_images = usize::MAX;
        }
        if !pool.disk.as_ref().is_some_and(|(_, from)| said(from)) {
            limits.disk_mb = f64::INFINITY;
        }
        limits
    }

    /// What a pool requires, as an instance; none when it requires nothing.
    fn instance(&self, asked: &Asked, pool: usize) -> Option<Instance> {
        let (mut problem, _) = only(&asked.problem, pool);
        problem.groups.retain(|g| !g.pins.is_empty() || !g.floors.is_empty());
        if problem.groups.is_empty() {
            return None;
        }
        let limit = self.options.max_candidates;
        let families: Vec<_> = problem.groups.iter().map(|g| candidates::candidates(g, limit)).collect();
        Some(Instance::new(&problem, families))
    }

    fn is_impossible(&self, set: &[usize]) -> bool {
        let asked = self.ask(set);
        !asked.impossible.is_empty()
            || (0..self.pools.len()).any(|pool| {
                self.instance(&asked, pool).is_some_and(|instance| {
                    feasible::possible(&instance, &self.limits(&self.pools[pool], set)) == Verdict::Impossible
                })
            })
    }

    /// Whether the whole fleet's demands leave it open that one of them fails by itself.
    fn may_fail(&self, whole: &Asked, wish: usize) -> bool {
        if whole.impossible.iter().any(|i| i.wish == wish) {
            return true;
        }
        (0..self.pools.len()).any(|pool| {
            self.instance(whole, pool).is_some_and(|mut instance| {
                instance.keep_required(|r| r.wish == wish);
                !instance.required.is_empty()
                    && !matches!(feasible::possible(&instance, &self.pools[pool].limits()), Verdict::Possible(_))
            })
        })
    }

    /// QuickXplain: a smallest part of `rest` that is impossible together with `base`. `grown`: whether `base` has grown
    /// since it was last looked at.
    fn explain(&self, base: &[usize], grown: bool, rest: &[usize]) -> Vec<usize> {
        if grown && self.is_impossible(base) {
            return Vec::new();
        }
        if rest.len() <= 1 {
            // With nothing to drop `base` alone is it, and that was looked at above or by the caller.
            return if rest.is_empty() || (!grown && self.is_impossible(base)) { Vec::new() } else { rest.to_vec() };
        }
        let (first, second) = rest.split_at(rest.len() / 2);
        let with = |more: &[usize]| base.iter().chain(more).copied().collect::<Vec<_>>();
        let from_second = self.explain(&with(first), true, second);
        let from_first = self.explain(&with(&from_second), !from_second.is_empty(), first);
        from_first.into_iter().chain(from_second).collect()
    }

    /// A contradiction in words.
    fn say(&self, set: &[usize]) -> Diagnostic {
        let wished = |i: usize| &self.list.list[i];
        let asked = self.ask(set);
        let is_limit = |i: &usize| wished(*i).wish.is_limit();
        let wanted: Vec<usize> = set.iter().copied().filter(|i| !is_limit(i)).collect();
        // The wish that cannot be met comes first, whatever its place in the file.
        let (floors, others): (Vec<usize>, Vec<usize>) =
            wanted.iter().copied().partition(|i| matches!(wished(*i).wish, Wish::Floor { .. } | Wish::Pin { .. }));
        let names =
            |list: &[usize]| list.iter().take(NAMED).map(|i| wished(*i).to_string()).collect::<Vec<_>>().join(" and ");
        let place = floors.first().or(set.first()).map(|i| wished(*i).place.clone()).unwrap_or_default();
        let diagnostic = |mut reason: String| {
            // What only narrows the choice of images has no figure of its own.
            let unsaid: Vec<usize> =
                set.iter().copied().filter(|i| !reason.contains(&wished(*i).to_string())).collect();
            if !unsaid.is_empty() {
                reason.push_str(&format!(", with {}", names(&unsaid)));
            }
            if unsaid.len() > NAMED {
                reason.push_str(&format!(" and {} more demands", unsaid.len() - NAMED));
            }
            Diagnostic::new(codes::DEMANDS_CONTRADICT, place.clone(), reason)
        };
        if let Some(impossible) = asked.impossible.first() {
            let reason = &impossible.reason;
            // Those that the reason does not name already.
            let also: Vec<usize> = set
                .iter()
                .copied()
                .filter(|i| *i != impossible.wish && !reason.contains(&wished(*i).to_string()))
                .collect();
            let with = if also.is_empty() { String::new() } else { format!(" with {}", names(&also)) };
            let more = asked.impossible.iter().filter(|i| i.wish == impossible.wish).count() - 1;
            let more = if more > 0 {
                format!("; {more} more of its functions cannot be saved so much")
            } else {
                String::new()
            };
            return diagnostic(format!("{} cannot be met{with}: {reason}{more}", wished(impossible.wish)));
        }
        let mut subject = names(&floors);
        if floors.len() > 1 {
            subject.push_str(" together");
        }
        if !others.is_empty() {
            subject = format!("{subject}, with {},", names(&others));
        }
        let verb = if floors.len() > 1 { "need" } else { "needs" };
        for (number, pool) in self.pools.iter().enumerate() {
            let limits = self.limits(pool, set);
            let Some(instance) = self.instance(&asked, number) else { continue };
            if let Some((most, i)) = pool.max_image.filter(|(_, i)| set.contains(i)) {
                let rest: Vec<usize> = set.iter().copied().filter(|k| *k != i).collect();
                if instance.required.iter().any(|r| r.any_of.is_empty())
                    && let Some(instance) = self.instance(&self.ask(&rest), number)
                {
                    let least = instance
                        .required
                        .iter()
                        .filter_map(|r| {
                            let sizes = r.any_of.iter().map(|&k| &instance.candidates[k as usize]);
                            sizes.map(|c| c.overhead + c.resident).min_by(f64::total_cmp)
                        })
                        .fold(0.0, f64::max);
                    let whose = self.whose(&asked, most, &instance);
                    return diagnostic(format!(
                        "{subject} {verb} an image of at least {least:.1} MB{whose}; the limit is {}",
                        wished(i)
                    ));
                }
            }
            if feasible::possible(&instance, &limits) != Verdict::Impossible {
                continue;
            }
            let mut bounds: Vec<(Quantity, f64, &str, &[usize])> = Vec::new();
            if limits.budget_mb.is_finite() {
                bounds.push((Quantity::Memory, limits.budget_mb, "MB of memory", &pool.memory_from));
            }
            if let Some((most, from)) = pool.images.as_ref().filter(|_| limits.max_images < usize::MAX) {
                bounds.push((Quantity::Images, *most as f64, "images", from));
            }
            if let Some((mb, from)) = pool.disk.as_ref().filter(|_| limits.disk_mb.is_finite()) {
                bounds.push((Quantity::Disk, *mb, "MB on disk", from));
            }
            let amount = |value: f64, what: &str| {
                if what == "images" { format!("{value:.0} images") } else { format!("{value:.1} {what}") }
            };
            let limit = |(_, value, what, from): &(Quantity, f64, &str, &[usize])| match from {
                [one] => wished(*one).to_string(),
                [whole, parts @ ..] => {
                    format!("{} left of {} beside {}", amount(*value, what), wished(*whole), names(parts))
                }
                [] => amount(*value, what),
            };
            let Some((first, also)) = bounds.split_first() else { continue };
            let with: Vec<String> = also.iter().map(limit).collect();
            let with = if with.is_empty() { String::new() } else { format!(" within {}", with.join(" and ")) };
            return diagnostic(match feasible::least(&instance, &limits, first.0) {
                Some(least) => {
                    // A bound that is no sharper than the limit would not be understood.
                    let need = least.known.filter(|_| least.at_least <= first.1).unwrap_or(least.at_least);
                    let need = if first.0 == Quantity::Images { (need - 1e-6).ceil() } else { need };
                    format!("{subject} {verb} at least {}{with}; the limit is {}", amount(need, first.2), limit(first))
                }
                None => format!("{subject} cannot be met within {}{with}", limit(first)),
            });
        }
        diagnostic(format!("{} cannot be met together", names(set)))
    }

    /// The function whose floor needs the largest image, when there is a floor.
    fn whose(&self, asked: &Asked, most: f64, instance: &Instance) -> String {
        let worst = instance.required.iter().max_by(|a, b| {
            let size = |r: &super::instance::Required| {
                let sizes = r.any_of.iter().map(|&k| &instance.candidates[k as usize]);
                sizes.map(|c| c.overhead + c.resident).min_by(f64::total_cmp).unwrap_or(most)
            };
            size(a).total_cmp(&size(b))
        });
        let function = worst.and_then(|r| asked.floors.iter().find(|(wish, _)| *wish == r.wish));
        function.map_or_else(String::new, |(_, id)| format!(" (for {id})"))
    }
}
