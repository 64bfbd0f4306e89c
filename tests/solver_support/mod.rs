//! Small fleets for the solver's tests, and an oracle that tries every plan.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use warmset::graph::classes::classes;
use warmset::model::costs::{CostSource, LanguageCosts};
use warmset::model::inventory::{Function, Inventory, Package, State};
use warmset::model::plan::Share;
use warmset::model::platform::Language;
use warmset::model::{PackageId, Plan, Platform};
use warmset::solve::{self, Context, Options, Price, Problem, Solution};

/// A fleet with its prices.
#[derive(Debug, Clone)]
pub struct Fleet {
    pub inventory: Inventory,
    pub prices: BTreeMap<PackageId, Price>,
    pub language: LanguageCosts,
}

pub fn python(version: &str) -> Platform {
    Platform::linux(Language::Python, version)
}

pub fn pypi(name: &str) -> PackageId {
    PackageId::pypi(name, "1")
}

pub fn language(overhead: f64, swap_base: f64, swap_per_mb: f64) -> LanguageCosts {
    LanguageCosts {
        image_overhead_mb: overhead,
        swap_base_ms: swap_base,
        swap_ms_per_mb: swap_per_mb,
        waste_ms_per_mb: None,
        load_ms_per_disk_mb: None,
        resident_mb_per_disk_mb: None,
    }
}

pub fn function(id: &str, platform: Platform, domain: &str, weight: f64, closure: &[PackageId]) -> Function {
    Function {
        platform: Some(platform),
        trust_domain: domain.into(),
        weight,
        state: State::Locked,
        closure: closure.to_vec(),
        ..Function::new(id)
    }
}

impl Fleet {
    /// Packages as name, load, resident, requires; functions as weight and closure.
    pub fn new(packages: &[(&str, f64, f64, &[&str])], functions: &[(f64, &[&str])], costs: LanguageCosts) -> Self {
        let mut inventory = Inventory::empty();
        let mut prices = BTreeMap::new();
        for (name, load_ms, resident_mb, requires) in packages {
            let mut package = Package::new(pypi(name));
            package.requires = Some(requires.iter().map(|r| pypi(r)).collect());
            inventory.packages.push(package);
            let price =
                Price { load_ms: *load_ms, resident_mb: *resident_mb, disk_mb: None, source: CostSource::Measured };
            prices.insert(pypi(name), price);
        }
        for (i, (weight, closure)) in functions.iter().enumerate() {
            let closure: Vec<PackageId> = closure.iter().map(|c| pypi(c)).collect();
            inventory.functions.push(function(&format!("f{i}"), python("3.11"), "default", *weight, &closure));
        }
        inventory.sort();
        Self { inventory, prices, language: costs }
    }

    pub fn price(&self, id: &PackageId) -> Option<Price> {
        self.prices.get(id).copied()
    }

    pub fn problem(&self) -> Problem {
        self.problem_under(Share::Subset)
    }

    pub fn problem_under(&self, share: Share) -> Problem {
        let classes = classes(&self.inventory);
        let mut problem = solve::problem(&self.inventory, &classes, &|id, _| self.price(id), &|_| self.language).0;
        if share == Share::Superset {
            solve::superset::widen(&mut problem, &self.inventory, &classes);
        }
        problem
    }

    pub fn plan(&self, options: &Options) -> (Solution, Plan) {
        let classes = classes(&self.inventory);
        let problem = self.problem_under(options.share);
        let diagnostics = solve::problem(&self.inventory, &classes, &|id, _| self.price(id), &|_| self.language).1;
        let solution = solve::plan(&problem, options, &|_| ());
        let context = Context { modules: &|id| vec![id.name.clone()], weights: "uniform", diagnostics, before: None };
        let plan = solve::to_plan(&self.inventory, &classes, &problem, &solution, options, context);
        (solution, plan)
    }

    pub fn verify(&self, plan: &Plan) -> Vec<String> {
        solve::verify::verify(plan, &self.inventory, &|id, _| self.price(id), &|_| self.language)
    }

    /// What the best plan made of the candidates saves: every subset of them is tried. None when there are too many.
    pub fn brute_force(&self, options: &Options) -> Option<f64> {
        let problem = self.problem_under(options.share);
        let mut images: Vec<(usize, BTreeSet<PackageId>)> = Vec::new();
        for (g, group) in problem.groups.iter().enumerate() {
            let family = solve::candidates::candidates(group, 10_000);
            assert!(family.complete);
            let names = |set: &solve::Set| set.ones().map(|i| group.items[i].id.clone()).collect();
            images.extend(family.sets.iter().map(|set| (g, names(set))));
        }
        if images.len() > 13 {
            return None;
        }
        let sum =
            |ids: &BTreeSet<PackageId>, what: fn(&Price) -> f64| ids.iter().map(|id| what(&self.prices[id])).sum();
        let resident: Vec<f64> = images.iter().map(|(_, ids)| sum(ids, |p| p.resident_mb)).collect();
        // For each function, what each image saves it; 0 where it may not use it.
        let value: Vec<Vec<f64>> = self
            .inventory
            .functions
            .iter()
            .map(|f| {
                let of = |(i, (group, ids)): (usize, &(usize, BTreeSet<PackageId>))| {
                    let group = &problem.groups[*group];
                    let there = f.platform.as_ref() == Some(&group.platform) && f.trust_domain == group.trust_domain;
                    if there { self.saves(options.share, f, ids, resident[i]) } else { 0.0 }
                };
                images.iter().enumerate().map(of).collect()
            })
            .collect();
        let mut best = 0.0f64;
        for chosen in 0u32..1 << images.len() {
            let has = |i: usize| chosen >> i & 1 == 1;
            if options.max_images.is_some_and(|most| chosen.count_ones() as usize > most) {
                continue;
            }
            let memory: f64 = (0..images.len())
                .filter(|&i| has(i))
                .map(|i| {
                    let shared = (0..images.len())
                        .filter(|&j| j != i && has(j) && images[j].0 == images[i].0)
                        .filter(|&j| images[j].1.is_subset(&images[i].1))
                        .map(|j| resident[j])
                        .fold(0.0, f64::max);
                    self.language.image_overhead_mb + resident[i] - shared
                })
                .sum();
            if memory > options.budget_mb + 1e-9 {
                continue;
            }
            let saved: f64 = self
                .inventory
                .functions
                .iter()
                .zip(&value)
                .map(|(f, value)| {
                    f.weight * (0..images.len()).filter(|&i| has(i)).map(|i| value[i]).fold(0.0, f64::max)
                })
                .sum();
            best = best.max(saved);
        }
        Some(best)
    }
}

impl Fleet {
    /// What one start of a function saves on an image, by the words of the rule; 0 where it may not use it.
    fn saves(&self, share: Share, f: &Function, image: &BTreeSet<PackageId>, resident: f64) -> f64 {
        let named = |id: &PackageId| f.closure.iter().filter(|other| other.name == id.name).count();
        // Functions of equal closures are one class: what is not known of one is not known of any.
        let sorted = |f: &Function| f.closure.iter().cloned().collect::<BTreeSet<_>>();
        let alike =
            |g: &&Function| (&g.platform, &g.trust_domain, sorted(g)) == (&f.platform, &f.trust_domain, sorted(f));
        let locked = self.inventory.functions.iter().filter(alike).all(|g| g.state == State::Locked);
        let mut load = 0.0;
        let mut wasted = 0.0;
        for id in image {
            let price = self.prices[id];
            if f.closure.contains(id) && named(id) == 1 {
                load += price.load_ms;
                continue;
            }
            let twice = image.iter().filter(|other| other.name == id.name).count() > 1;
            if share == Share::Subset || !locked || named(id) > 0 || twice {
                return 0.0;
            }
            wasted += price.resident_mb;
        }
        let swap = self.language.swap_base_ms + self.language.swap_ms_per_mb * resident;
        (load - swap - self.language.waste_ms_per_mb.unwrap_or(0.0) * wasted).max(0.0)
    }
}

/// Random fleets in which packages occur in two versions, some functions are not locked, and waste may be charged.
pub fn drifting_fleets() -> impl Strategy<Value = Fleet> {
    (fleets(), 0u32..3).prop_map(|(mut fleet, waste)| {
        // p3 and p4 become other versions of p0 and p1.
        let rename = |id: &mut PackageId| match id.name.as_str() {
            "p3" => *id = PackageId::pypi("p0", "2"),
            "p4" => *id = PackageId::pypi("p1", "2"),
            _ => {}
        };
        for package in &mut fleet.inventory.packages {
            rename(&mut package.id);
            package.requires.iter_mut().flatten().for_each(rename);
        }
        for function in &mut fleet.inventory.functions {
            function.closure.iter_mut().for_each(rename);
            if function.weight == 1.0 {
                function.state = State::Pinned;
            }
        }
        let renamed = |(mut id, price)| {
            rename(&mut id);
            (id, price)
        };
        fleet.prices = fleet.prices.into_iter().map(renamed).collect();
        fleet.inventory.sort();
        fleet.language.waste_ms_per_mb = (waste > 0).then(|| f64::from(waste) / 4.0);
        fleet
    })
}

/// Random fleets of up to five packages and six functions, on one or two platforms and trust domains.
pub fn fleets() -> impl Strategy<Value = Fleet> {
    let package = (0u32..60, 0u32..40, any::<u8>());
    let function = (1u8..32, 1u32..9, 0u8..8);
    (prop::collection::vec(package, 2..6), prop::collection::vec(function, 1..7), (0u32..8, 0u32..6, 0u32..3)).prop_map(
        |(packages, functions, (overhead, base, per_mb))| {
            let mut inventory = Inventory::empty();
            let mut prices = BTreeMap::new();
            let name = |i: usize| pypi(&format!("p{i}"));
            let mut requires: Vec<Vec<usize>> = Vec::new();
            for (i, &(load, resident, mask)) in packages.iter().enumerate() {
                // A sparse graph without circles: a package requires only earlier ones.
                requires.push((0..i).filter(|k| mask & (mask >> 3) >> k & 1 == 1).collect());
                let mut package = Package::new(name(i));
                package.requires = Some(requires[i].iter().map(|&k| name(k)).collect());
                inventory.packages.push(package);
                let price = Price {
                    load_ms: f64::from(load),
                    resident_mb: f64::from(resident) / 2.0,
                    disk_mb: None,
                    source: CostSource::Measured,
                };
                prices.insert(name(i), price);
            }
            for (i, &(mask, weight, kind)) in functions.iter().enumerate() {
                let mut closure: BTreeSet<usize> = (0..packages.len()).filter(|k| mask >> k & 1 == 1).collect();
                for k in (0..packages.len()).rev() {
                    if closure.contains(&k) {
                        closure.extend(&requires[k]);
                    }
                }
                let platform = python(if kind == 7 { "3.12" } else { "3.11" });
                let domain = if kind == 6 { "other" } else { "default" };
                let closure: Vec<PackageId> = closure.into_iter().map(name).collect();
                inventory.functions.push(self::function(
                    &format!("f{i}"),
                    platform,
                    domain,
                    f64::from(weight),
                    &closure,
                ));
            }
            inventory.sort();
            let language = language(f64::from(overhead) / 2.0, f64::from(base), f64::from(per_mb) / 4.0);
            Fleet { inventory, prices, language }
        },
    )
}
