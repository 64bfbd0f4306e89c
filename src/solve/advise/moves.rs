//! What moving a package to another version changes in the closures of the functions that share a lock, and whether every
//! range that is known allows it.
//!
//! The version comes with what it requires where it is already (its [`Target`]): all of that moves too, where the ranges
//! allow, as only then what it loads is the same. In Python a closure has one version of a name, so that a range which
//! forbids it keeps the name where it is; in npm whoever forbids it keeps the old version beside the new one.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::advice::Direction;
use crate::model::inventory::Requirement;
use crate::model::{Ecosystem, PackageId, Platform};

use super::fleet::{Edges, Fleet, Target};
use super::ranges::{self, Allows};

/// What changes for the functions of one lock.
#[derive(Debug, Clone, PartialEq)]
pub struct UnitShift<'a> {
    /// Index into [`Fleet::units`].
    pub unit: usize,
    /// The functions whose closures change.
    pub functions: Vec<Shift<'a>>,
    /// What no lock says.
    pub questions: BTreeSet<String>,
}

/// What changes for one function.
#[derive(Debug, Clone, PartialEq)]
pub struct Shift<'a> {
    /// Index into the inventory's functions.
    pub function: usize,
    /// Its closure afterwards.
    pub closure: BTreeSet<&'a PackageId>,
    /// What packages then require in it, where that is known.
    pub sets: Vec<(&'a PackageId, BTreeSet<&'a PackageId>)>,
}

/// Versions of one name that go and come in a lock.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change<'a> {
    /// Those that go.
    pub from: BTreeSet<&'a PackageId>,
    /// Those that come.
    pub to: BTreeSet<&'a PackageId>,
}

impl Change<'_> {
    /// Which way it goes; `None` where something only comes or goes.
    pub fn direction(&self) -> Option<Direction> {
        let pairs = || self.from.iter().flat_map(|a| self.to.iter().map(move |b| ranges::direction(a, b)));
        pairs().next()?;
        Some(if pairs().any(|d| d == Direction::Downgrade) { Direction::Downgrade } else { Direction::Upgrade })
    }
}

/// Why functions cannot move.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    /// In words, with the place where it is written.
    pub because: String,
    /// What a function declares itself, where that is what forbids it: loosening it would help.
    pub declared: Option<Requirement>,
}

impl<'a> UnitShift<'a> {
    /// Versions that change in the lock, by name.
    pub fn changes(&self, fleet: &Fleet<'a>) -> BTreeMap<&'a str, Change<'a>> {
        let mut all: BTreeMap<&str, Change<'_>> = BTreeMap::new();
        for shift in &self.functions {
            let before: BTreeSet<&PackageId> = fleet.function(shift.function).closure.iter().collect();
            for gone in before.difference(&shift.closure) {
                all.entry(&gone.name).or_default().from.insert(gone);
            }
            for new in shift.closure.difference(&before) {
                all.entry(&new.name).or_default().to.insert(new);
            }
        }
        all
    }
}

/// What moving the functions of a lock to a target changes; `None` where none of them has another version of it.
///
/// With `loose`, what the functions themselves declare of the target's name is not asked.
pub fn shift<'a>(
    fleet: &Fleet<'a>,
    unit: usize,
    target: &Target<'a>,
    loose: bool,
) -> Option<Result<UnitShift<'a>, Refusal>> {
    let name = &target.package.name;
    let is_other = |id: &PackageId| id.name == *name && id.ecosystem == target.package.ecosystem;
    let functions = fleet.units[unit].functions.iter().copied().filter(|&f| {
        let closure = &fleet.function(f).closure;
        closure.iter().any(is_other) && closure.binary_search(target.package).is_err()
    });
    let functions: Vec<usize> = functions.collect();
    if functions.is_empty() {
        return None;
    }
    if let Some(stranger) = target.edges.keys().find(|id| !fleet.is_from_registry(id)) {
        let because = format!("{} comes from no registry", stranger.spec());
        return Some(Err(Refusal { because, declared: None }));
    }
    // Names that stay where they are: in Python one lock has one version of a name for all of its functions. Those of
    // functions that do not move stay from the start.
    let python = target.package.ecosystem == Ecosystem::Pypi;
    let staying = fleet.units[unit].functions.iter().filter(|f| python && !functions.contains(f));
    let others = staying.flat_map(|&f| &fleet.function(f).closure).filter(|id| !target.edges.contains_key(id));
    let named: BTreeSet<&str> = target.edges.keys().map(|id| id.name.as_str()).filter(|n| n != name).collect();
    let mut kept: BTreeSet<&'a str> = others.map(|id| id.name.as_str()).filter(|n| named.contains(n)).collect();
    'again: loop {
        let mut out = UnitShift { unit, functions: Vec::new(), questions: BTreeSet::new() };
        for &at in &functions {
            let Some(platform) = fleet.function(at).platform.as_ref() else { continue };
            let here = fleet.target_for(at, target, platform);
            let mut mover = Mover { loose, unit, ..Mover::new(fleet, at, here, &kept) };
            match mover.run() {
                Ok(shift) => {
                    out.functions.push(shift);
                    out.questions.append(&mut mover.questions);
                }
                // Each name once: the loop ends.
                Err(Stop::Keep(stays, refusal)) => {
                    if stays == name || !kept.insert(stays) {
                        return Some(Err(refusal));
                    }
                    continue 'again;
                }
                Err(Stop::Refused(refusal)) => return Some(Err(refusal)),
            }
        }
        return Some(match two_versions(fleet, &out).filter(|_| python) {
            Some(name) => {
                let because = format!("{} would hold two versions of {name}", fleet.units[unit].lock);
                Err(Refusal { because, declared: None })
            }
            None => Ok(out),
        });
    }
}

/// A name of which the functions of a lock would have two versions on one platform, where they have one now.
fn two_versions<'a>(fleet: &Fleet<'a>, shift: &UnitShift<'a>) -> Option<&'a str> {
    type Versions<'v> = BTreeMap<(Option<&'v Platform>, &'v str), BTreeSet<&'v PackageId>>;
    let (mut before, mut after) = (Versions::new(), Versions::new());
    for &at in &fleet.units[shift.unit].functions {
        let function = fleet.function(at);
        let moved = shift.functions.iter().find(|s| s.function == at);
        for id in &function.closure {
            before.entry((function.platform.as_ref(), &id.name)).or_default().insert(id);
        }
        let now: BTreeSet<&PackageId> = moved.map_or_else(|| function.closure.iter().collect(), |s| s.closure.clone());
        for id in now {
            after.entry((function.platform.as_ref(), &id.name)).or_default().insert(id);
        }
    }
    let had = |key: &_| before.get(key).map_or(0, BTreeSet::len);
    after.into_iter().find(|(key, versions)| versions.len() > had(key).max(1)).map(|((_, name), _)| name)
}

/// Why a function does not move as was tried.
enum Stop<'a> {
    /// This name must stay.
    Keep(&'a str, Refusal),
    /// It cannot move at all.
    Refused(Refusal),
}

/// Moves one function.
struct Mover<'f, 'a> {
    fleet: &'f Fleet<'a>,
    at: usize,
    unit: usize,
    target: Target<'a>,
    kept: &'f BTreeSet<&'a str>,
    edges: std::rc::Rc<Edges<'a>>,
    platform: Option<&'a Platform>,
    /// Versions of the target's names, the highest first.
    wanted: BTreeMap<&'a str, Vec<&'a PackageId>>,
    questions: BTreeSet<String>,
    /// Why an npm dependent or the function itself keeps the old version.
    stays_because: Option<Refusal>,
    loose: bool,
}

impl<'f, 'a> Mover<'f, 'a> {
    fn new(fleet: &'f Fleet<'a>, at: usize, target: Target<'a>, kept: &'f BTreeSet<&'a str>) -> Self {
        let mut wanted: BTreeMap<&str, Vec<&PackageId>> = BTreeMap::new();
        for id in target.edges.keys().filter(|id| !kept.contains(id.name.as_str())) {
            wanted.entry(&id.name).or_default().push(id);
        }
        for of_name in wanted.values_mut() {
            let first = target.package;
            of_name.sort_by(|a, b| (*b == first).cmp(&(*a == first)).then_with(|| ranges::compare(b, a)));
        }
        let platform = fleet.function(at).platform.as_ref();
        let edges = fleet.edges(at);
        Self {
            fleet,
            at,
            unit: 0,
            target,
            kept,
            edges,
            platform,
            wanted,
            questions: BTreeSet::new(),
            stays_because: None,
            loose: false,
        }
    }

    fn run(&mut self) -> Result<Shift<'a>, Stop<'a>> {
        let python = self.target.package.ecosystem == Ecosystem::Pypi;
        let old = self.edges.clone();
        // Every requirer's edges, with the versions that they lead to afterwards.
        let mut mapped: Edges<'a> = Edges::new();
        let renamed = if python { self.python()? } else { BTreeMap::new() };
        for (from, requires) in old.iter() {
            let requires = requires.as_ref().map(|all| {
                let new = all.iter().map(|to| match python {
                    true => renamed.get(to).copied().unwrap_or(to),
                    false => self.npm_edge(from, to),
                });
                new.collect::<BTreeSet<_>>()
            });
            mapped.insert(from, requires);
        }
        let mut roots: Vec<&'a PackageId> = roots(self.fleet, self.at, &old).into_iter().collect();
        for root in &mut roots {
            *root = if python { renamed.get(root).copied().unwrap_or(root) } else { self.npm_root(root) };
        }
        let replaced: BTreeMap<&PackageId, &PackageId> = renamed.iter().map(|(from, to)| (*to, *from)).collect();
        let after = self.reach(&roots, &mapped, &replaced);
        let after = self.keep_imported(&roots, after, &mapped, &replaced);
        if !after.contains_key(self.target.package) {
            let name = &self.target.package.name;
            let silent = || Refusal { because: format!("nothing says what requires {name}"), declared: None };
            return Err(Stop::Refused(self.stays_because.take().unwrap_or_else(silent)));
        }
        self.accept_new(&after)?;
        self.ask_of_workspaces();
        let known = |id: &PackageId, set: &BTreeSet<&PackageId>| {
            let sets = self.fleet.package(id).zip(self.platform).map(|(p, on)| p.requires_for(on)).unwrap_or_default();
            sets.into_iter().any(|have| have.len() == set.len() && have.iter().all(|r| set.contains(r)))
        };
        let sets = after.iter().filter_map(|(id, set)| Some((*id, set.clone()?))).filter(|(id, set)| !known(id, set));
        Ok(Shift { function: self.at, sets: sets.collect(), closure: after.keys().copied().collect() })
    }

    /// What Python's closure has of the target's names, and what it has instead afterwards.
    fn python(&mut self) -> Result<BTreeMap<&'a PackageId, &'a PackageId>, Stop<'a>> {
        let edges = self.edges.clone();
        let mut map = BTreeMap::new();
        for id in edges.keys() {
            if let Some(to) = self.wanted.get(id.name.as_str()).and_then(|of_name| of_name.first())
                && to != id
            {
                map.insert(*id, *to);
            }
        }
        let mut silent: BTreeSet<&PackageId> = BTreeSet::new();
        for (from, to) in &map {
            let keep = |refusal: Refusal| Err(Stop::Keep(from.name.as_str(), refusal));
            if !ranges::is_ordinary(from, to) || !self.fleet.is_from_registry(from) {
                let because = format!("no resolver replaces {} by {}", from.spec(), to.spec());
                return keep(Refusal { because, declared: None });
            }
            for requirement in self.fleet.declared(self.at, &from.name) {
                if !self.may_ignore(&from.name) && !ranges::declared(requirement, to) {
                    return keep(forbids(self.fleet.function(self.at).id.as_str(), requirement));
                }
            }
            for (dependent, requires) in edges.iter() {
                // What moves itself is known to fit: it comes from one closure.
                let moves = map.contains_key(dependent);
                match requires {
                    Some(requires) if requires.contains(from) && !moves => match self.fleet.allows(dependent, to) {
                        Allows::Yes => {}
                        Allows::No => return keep(asks(self.fleet, dependent, to)),
                        Allows::Unknown => self.ask(dependent, to),
                    },
                    None if !moves => {
                        silent.insert(dependent);
                    }
                    _ => {}
                }
            }
        }
        self.ask_of_silent(&silent);
        Ok(map)
    }

    /// What an npm requirer takes of a dependency afterwards.
    fn npm_edge(&mut self, from: &'a PackageId, to: &'a PackageId) -> &'a PackageId {
        let Some(of_name) = self.candidates(to) else { return to };
        let package = self.fleet.package(from);
        if package.is_some_and(|p| p.aliases.values().any(|id| id == to)) {
            return to;
        }
        if let Some(new) = of_name.iter().find(|new| self.fleet.allows(from, new) == Allows::Yes) {
            return new;
        }
        if to.name == self.target.package.name {
            if self.fleet.allows(from, self.target.package) == Allows::Unknown {
                self.ask(from, self.target.package);
                return self.target.package;
            }
            let because = asks(self.fleet, from, self.target.package);
            self.stays_because.get_or_insert(because);
        }
        to
    }

    /// What an npm function takes of what it asks for itself.
    fn npm_root(&mut self, root: &'a PackageId) -> &'a PackageId {
        let Some(of_name) = self.candidates(root) else { return root };
        let declared: Vec<&Requirement> =
            self.fleet.function(self.at).declared.iter().filter(|r| r.package.as_ref() == Some(root)).collect();
        if declared.is_empty() {
            return root;
        }
        let ignored = self.may_ignore(&root.name) && declared.iter().all(|r| r.name == root.name);
        if let Some(new) = of_name.iter().find(|new| ignored || declared.iter().all(|r| ranges::declared(r, new))) {
            return new;
        }
        if root.name == self.target.package.name {
            let forbidding =
                declared.iter().find(|r| !ranges::declared(r, self.target.package)).unwrap_or(&declared[0]);
            // What the function states itself is what its owner can change.
            self.stays_because = Some(forbids(self.fleet.function(self.at).id.as_str(), forbidding));
        }
        root
    }

    /// Whether what functions declare of a name does not count.
    fn may_ignore(&self, name: &str) -> bool {
        self.loose && name == self.target.package.name
    }

    /// The versions that could take the place of one, if it is of the target's names and not among them.
    fn candidates(&self, id: &PackageId) -> Option<Vec<&'a PackageId>> {
        let of_name = self.wanted.get(id.name.as_str())?;
        if of_name.contains(&id) || !self.fleet.is_from_registry(id) {
            return None;
        }
        Some(of_name.iter().copied().filter(|new| ranges::is_ordinary(id, new)).collect())
    }

    /// Everything that roots lead to, and what each requires.
    fn reach(
        &mut self,
        roots: &[&'a PackageId],
        mapped: &Edges<'a>,
        replaced: &BTreeMap<&'a PackageId, &'a PackageId>,
    ) -> Edges<'a> {
        let mut after = Edges::new();
        let mut queue: Vec<&'a PackageId> = roots.to_vec();
        while let Some(id) = queue.pop() {
            if after.contains_key(id) {
                continue;
            }
            let requires = match mapped.get(id) {
                Some(own) => own.clone(),
                None => self.of_new(id, mapped, replaced),
            };
            // Of what requires nobody knows what, what the version before it led to may still be needed.
            let before = replaced.get(id).and_then(|old| mapped.get(*old)).filter(|_| requires.is_none());
            queue.extend(before.into_iter().flatten().flatten());
            queue.extend(requires.iter().flatten());
            after.insert(id, requires);
        }
        after
    }

    /// What a version that comes in requires.
    fn of_new(
        &mut self,
        id: &'a PackageId,
        mapped: &Edges<'a>,
        replaced: &BTreeMap<&'a PackageId, &'a PackageId>,
    ) -> Option<BTreeSet<&'a PackageId>> {
        let of_target = self.target.edges.get(id).cloned().flatten();
        let Some(requires) = of_target.or_else(|| self.required_in_lock(id)) else {
            self.questions.insert(match (self.target.guessed, self.platform) {
                (true, Some(platform)) => format!("what {} requires on {platform}", id.spec()),
                _ => format!("what {} requires: no lock says", id.spec()),
            });
            return None;
        };
        let here = |r: &&'a PackageId| -> &'a PackageId {
            if !self.kept.contains(r.name.as_str()) {
                return r;
            }
            let own = self.edges.keys().find(|id| id.name == r.name).copied();
            own.or_else(|| self.in_lock(|id| id.name == r.name)).unwrap_or(r)
        };
        let mut requires: BTreeSet<&'a PackageId> = requires.iter().map(here).collect();
        if id == self.target.package && self.fleet.extras(self.at, &id.name) != self.target.extras {
            self.questions.insert(format!("what {} requires with the extras that are asked of it", id.spec()));
            let before = replaced.get(id).and_then(|old| mapped.get(*old)).and_then(Option::as_ref);
            let names: BTreeSet<&str> = requires.iter().map(|r| r.name.as_str()).collect();
            let more: Vec<_> = before.into_iter().flatten().filter(|r| !names.contains(r.name.as_str())).collect();
            requires.extend(more);
        }
        Some(requires)
    }

    /// What other functions of the lock have on this platform.
    fn in_lock(&self, is: impl Fn(&PackageId) -> bool) -> Option<&'a PackageId> {
        let functions = self.fleet.units[self.unit].functions.iter().map(|&f| self.fleet.function(f));
        let here = functions.filter(|f| f.platform.as_ref() == self.platform);
        here.flat_map(|f| &f.closure).find(|id| is(id))
    }

    /// What a package requires there.
    fn required_in_lock(&self, id: &PackageId) -> Option<BTreeSet<&'a PackageId>> {
        let functions = self.fleet.units[self.unit].functions.iter();
        let here = functions.filter(|&&f| self.fleet.function(f).platform.as_ref() == self.platform);
        here.filter_map(|&f| self.fleet.edges(f).get(id).cloned().flatten()).next()
    }

    /// What a function imports without declaring it must not go.
    fn keep_imported(
        &mut self,
        roots: &[&'a PackageId],
        after: Edges<'a>,
        mapped: &Edges<'a>,
        replaced: &BTreeMap<&'a PackageId, &'a PackageId>,
    ) -> Edges<'a> {
        let names: BTreeSet<&str> = after.keys().map(|id| id.name.as_str()).collect();
        let imported = self.fleet.imported(self.at);
        let lost = |id: &&&PackageId| imported.contains(id.name.as_str()) && !names.contains(id.name.as_str());
        let lost: Vec<&PackageId> = self.edges.keys().filter(lost).copied().collect();
        if lost.is_empty() {
            return after;
        }
        for id in &lost {
            let function = &self.fleet.function(self.at).id;
            self.questions.insert(format!("{function} imports {} without declaring it: declare it first", id.name));
        }
        let roots: Vec<&PackageId> = roots.iter().copied().chain(lost).collect();
        self.reach(&roots, mapped, replaced)
    }

    /// Whether what requires something else than before allows it: what comes in, and the closure that it comes from may
    /// itself rest on what was only assumed.
    fn accept_new(&mut self, after: &Edges<'a>) -> Result<(), Stop<'a>> {
        let mut unknown: Vec<(&PackageId, &PackageId)> = Vec::new();
        for (id, requires) in after {
            let before = self.edges.get(id).and_then(Option::as_ref);
            for to in requires.iter().flatten().filter(|to| before.is_none_or(|b| !b.contains(*to))) {
                match self.fleet.allows(id, to) {
                    Allows::Yes => {}
                    Allows::No => return Err(Stop::Keep(id.name.as_str(), asks(self.fleet, id, to))),
                    Allows::Unknown => unknown.push((id, to)),
                }
            }
        }
        unknown.into_iter().for_each(|(id, to)| self.ask(id, to));
        Ok(())
    }

    fn ask(&mut self, dependent: &PackageId, to: &PackageId) {
        self.questions.insert(format!("whether {} allows {}: no lock says", dependent.spec(), to.spec()));
    }

    fn ask_of_silent(&mut self, silent: &BTreeSet<&PackageId>) {
        let Some(first) = silent.first() else { return };
        let others = match silent.len() - 1 {
            0 => String::new(),
            n => format!(" and {n} more"),
        };
        self.questions.insert(format!("what {}{others} of its closure require: no lock says", first.spec()));
    }

    /// Code of the fleet that a function links may ask for packages too.
    fn ask_of_workspaces(&mut self) {
        let function = self.fleet.function(self.at);
        for requirement in function.declared.iter().filter(|r| r.package.is_none()) {
            if !function.unresolved.iter().any(|r| r.name == requirement.name) {
                self.questions.insert(format!("what {} asks for: it is code of the fleet", requirement.name));
            }
        }
    }
}

/// What is loaded without anything of the closure requiring it: what is declared, and what no known edge leads to.
fn roots<'a>(fleet: &Fleet<'a>, at: usize, edges: &Edges<'a>) -> BTreeSet<&'a PackageId> {
    let declared: BTreeSet<&PackageId> =
        fleet.function(at).declared.iter().filter_map(|r| r.package.as_ref()).collect();
    let required: BTreeSet<&PackageId> = edges.values().flatten().flatten().copied().collect();
    let mut roots: BTreeSet<&'a PackageId> =
        edges.keys().copied().filter(|id| declared.contains(id) || !required.contains(id)).collect();
    // Packages that only require each other.
    let mut reached: BTreeSet<&PackageId> = BTreeSet::new();
    let mut queue: Vec<&PackageId> = roots.iter().copied().collect();
    let mut rest = edges.keys();
    loop {
        while let Some(id) = queue.pop() {
            if reached.insert(id) {
                queue.extend(edges.get(id).into_iter().flatten().flatten());
            }
        }
        match rest.find(|id| !reached.contains(*id)) {
            Some(id) => {
                roots.insert(id);
                queue.push(id);
            }
            None => return roots,
        }
    }
}

fn forbids(function: &str, requirement: &Requirement) -> Refusal {
    let because = format!("{function} declares {} at {}", requirement.text, requirement.place);
    Refusal { because, declared: Some(requirement.clone()) }
}

fn asks(fleet: &Fleet, dependent: &PackageId, to: &PackageId) -> Refusal {
    let texts = fleet.package(dependent).and_then(|p| p.ranges.get(&to.name)).map(|t| t.join(" / "));
    let because = format!("{} requires {} {}", dependent.spec(), to.name, texts.unwrap_or_default());
    Refusal { because, declared: None }
}
