//! What is to be solved, as plain data: packages with prices, and what each class of functions could use of them.
//!
//! A [`Group`] is one platform, trust domain and pool; nothing is shared across groups but the budget of their pool. Only packages that may
//! enter an image are in it, and each class is cut down to its *core*: the largest part of its closure that can be
//! loaded by itself. As an image must be dependency-closed, it fits into a closure exactly when it fits into its core.

use std::collections::{BTreeMap, BTreeSet};

use fixedbitset::FixedBitSet;

pub use crate::cost::Price;
use crate::graph::classes::{Class, sum_weights};
use crate::model::costs::LanguageCosts;
use crate::model::inventory::{Inventory, Package};
use crate::model::platform::Language;
use crate::model::{Code, Diagnostic, PackageId, Place, Platform, codes};

/// A set of packages of one group, by index into [`Group::items`].
pub type Set = FixedBitSet;

/// A package that may enter an image.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// The package.
    pub id: PackageId,
    /// What it costs.
    pub price: Price,
    /// Sets of other items, any one of which must be loaded with it: one empty set when it requires nothing, none at
    /// all when what it requires cannot be had.
    pub requires: Vec<Set>,
}

/// What the superset rule asks of a class besides its core.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wide {
    /// What its functions load of the group's packages.
    pub closure: Set,
    /// What they must not find loaded.
    pub barred: Set,
}

/// Functions that could use the same packages, from one class or several.
#[derive(Debug, Clone, PartialEq)]
pub struct Demand {
    /// Indices of the classes, ascending.
    pub classes: Vec<usize>,
    /// The core of their closures.
    pub core: Set,
    /// What one start counts for in the objective that is maximised; 0 when they never start.
    pub weight: f64,
    /// Cold starts in the planning period of the functions that there are: 0 for what is only expected to come, which
    /// has no classes either.
    pub known: f64,
    /// Under the superset rule, for classes that there are: what else counts of them. A core may then occur several times.
    pub wide: Option<Wide>,
}

/// An image that must be kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Pin {
    /// Its packages; dependency-closed.
    pub set: Set,
    /// Index of the wish that it comes from.
    pub wish: usize,
}

/// An image that is there already.
#[derive(Debug, Clone, PartialEq)]
pub struct Old {
    /// Its packages; dependency-closed.
    pub set: Set,
    /// Those of the image that it is forked from.
    pub parent: Option<Set>,
}

/// A class that must be served well.
#[derive(Debug, Clone, PartialEq)]
pub struct Floor {
    /// Index into [`Group::demands`].
    pub demand: usize,
    /// Least milliseconds that one of its starts must save.
    pub least_ms: f64,
    /// Index of the wish that it comes from.
    pub wish: usize,
}

/// One platform and trust domain, as far as one pool goes.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// Number of its pool.
    pub pool: usize,
    /// Name of its pool, unless it is that of all functions that no other takes.
    pub pool_name: Option<String>,
    /// Most resident MB of one image, warm host included; infinite when not limited.
    pub max_image_mb: f64,
    /// Where its images run.
    pub platform: Platform,
    /// Whose functions they serve.
    pub trust_domain: String,
    /// Costs of the warm host and of swapping.
    pub language: LanguageCosts,
    /// Sorted by id.
    pub items: Vec<Item>,
    /// Sorted by core, each core once and never empty.
    pub demands: Vec<Demand>,
    /// Images that must be kept.
    pub pins: Vec<Pin>,
    /// Classes that must be served well.
    pub floors: Vec<Floor>,
    /// Images that are there already and need not be built; sorted by set.
    pub old: Vec<Old>,
}

/// Everything that a plan is made for.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    /// Sorted by platform, trust domain and pool.
    pub groups: Vec<Group>,
    /// For each class, the number of its pool; none when its functions shall start cold.
    pub class_pool: Vec<Option<usize>>,
    /// For each class, whether a package of its closure is excluded.
    pub class_excluded: Vec<bool>,
    /// For each class, the milliseconds that one of its functions loads without an image, as far as prices are known.
    pub class_load_ms: Vec<f64>,
    /// For each class, the packages without a price.
    pub class_unpriced: Vec<usize>,
    /// For each class, its weight.
    pub class_weight: Vec<f64>,
    /// Number of functions in all classes.
    pub functions: usize,
}

impl Problem {
    /// Milliseconds that all functions load in the planning period without any image (known prices only).
    pub fn total_ms(&self) -> f64 {
        self.class_load_ms.iter().zip(&self.class_weight).map(|(load, weight)| load * weight).sum()
    }
}

impl Group {
    /// Whether an image that holds a set may be so large.
    pub fn allows(&self, set: &Set) -> bool {
        let most = self.max_image_mb;
        most.is_infinite()
            || self.language.image_overhead_mb.max(0.0) + self.resident_mb(set) <= most * (1.0 + 1e-12) + 1e-9
    }

    /// Milliseconds to load a set.
    pub fn load_ms(&self, set: &Set) -> f64 {
        set.ones().map(|i| self.items[i].price.load_ms).sum()
    }

    /// Resident MB of a set, without the warm host.
    pub fn resident_mb(&self, set: &Set) -> f64 {
        set.ones().map(|i| self.items[i].price.resident_mb).sum()
    }

    /// MB on disk of a set; packages whose size is not known count as nothing.
    pub fn disk_mb(&self, set: &Set) -> f64 {
        set.ones().filter_map(|i| self.items[i].price.disk_mb).sum()
    }

    /// Milliseconds to swap a function onto an image that holds a set.
    pub fn swap_ms(&self, set: &Set) -> f64 {
        self.language.swap_base_ms + self.language.swap_ms_per_mb * self.resident_mb(set)
    }

    /// Milliseconds that one start saves on an image that holds a set: `load − swap`, which may be negative.
    pub fn value_ms(&self, set: &Set) -> f64 {
        self.load_ms(set) - self.swap_ms(set)
    }

    /// The largest dependency-closed part of a set: what remains after taking out, again and again, every package none
    /// of whose sets of requirements is wholly there. Unions of closed sets are closed, so there is exactly one.
    pub fn core(&self, set: &Set) -> Set {
        let mut core = set.clone();
        loop {
            let lost: Vec<usize> =
                core.ones().filter(|&i| !self.items[i].requires.iter().any(|r| r.is_subset(&core))).collect();
            if lost.is_empty() {
                return core;
            }
            for i in lost {
                core.remove(i);
            }
        }
    }
}

/// What is asked about who may be served and what images may hold.
pub struct Rules<'a> {
    /// Number of the pool of a class; none when its functions shall start cold.
    pub pool: &'a dyn Fn(usize) -> Option<usize>,
    /// Name of a pool, unless it is that of all functions that no other takes.
    pub name: &'a dyn Fn(usize) -> Option<String>,
    /// Most resident MB of one image of a pool.
    pub max_image_mb: &'a dyn Fn(usize) -> f64,
    /// Whether a pool limits disk, so that only packages of known size may be in its images.
    pub needs_disk: &'a dyn Fn(usize) -> bool,
    /// Whether no image may hold a package.
    pub excluded: &'a dyn Fn(&PackageId) -> bool,
}

impl Rules<'_> {
    /// Nothing asked.
    pub const NONE: Rules<'static> = Rules {
        pool: &|_| Some(0),
        name: &|_| None,
        max_image_mb: &|_| f64::INFINITY,
        needs_disk: &|_| false,
        excluded: &|_| false,
    };
}

/// Builds the problem from a fleet and its prices, and says what had to be left out.
pub fn problem(
    inventory: &Inventory,
    classes: &[Class],
    price: &dyn Fn(&PackageId, &Platform) -> Option<Price>,
    language: &dyn Fn(Language) -> LanguageCosts,
) -> (Problem, Vec<Diagnostic>) {
    problem_under(inventory, classes, price, language, &Rules::NONE)
}

/// The same under rules.
pub fn problem_under(
    inventory: &Inventory,
    classes: &[Class],
    price: &dyn Fn(&PackageId, &Platform) -> Option<Price>,
    language: &dyn Fn(Language) -> LanguageCosts,
    rules: &Rules,
) -> (Problem, Vec<Diagnostic>) {
    let packages: BTreeMap<&PackageId, &Package> = inventory.packages.iter().map(|p| (&p.id, p)).collect();
    let mut found = Problem {
        groups: Vec::new(),
        class_pool: (0..classes.len()).map(rules.pool).collect(),
        class_excluded: classes.iter().map(|c| c.closure.iter().any(rules.excluded)).collect(),
        class_load_ms: vec![0.0; classes.len()],
        class_unpriced: vec![0; classes.len()],
        class_weight: classes.iter().map(|c| c.weight).collect(),
        functions: classes.iter().map(|c| c.functions.len()).sum(),
    };
    let mut left_out = LeftOut::default();

    let mut by_platform: BTreeMap<&Platform, Vec<usize>> = BTreeMap::new();
    for (index, class) in classes.iter().enumerate() {
        by_platform.entry(&class.platform).or_default().push(index);
    }
    for (platform, members) in by_platform {
        let facts = platform_facts(platform, &members, classes, &packages, price, &mut left_out);
        for &c in &members {
            let priced: Vec<f64> =
                classes[c].closure.iter().filter_map(|p| facts.prices.get(p)).map(|price| price.load_ms).collect();
            found.class_unpriced[c] = classes[c].closure.len() - priced.len();
            found.class_load_ms[c] = priced.iter().sum();
        }
        let mut by_domain: BTreeMap<(&str, usize), Vec<usize>> = BTreeMap::new();
        for &c in &members {
            if let Some(pool) = found.class_pool[c] {
                by_domain.entry((&classes[c].trust_domain, pool)).or_default().push(c);
            }
        }
        for (who, members) in by_domain {
            let costs = language(platform.language);
            found.groups.extend(group(platform, who, costs, &members, classes, &facts, rules, &mut left_out));
        }
    }
    (found, left_out.into_diagnostics())
}

/// What is known of the packages of one platform.
struct Facts<'a> {
    prices: BTreeMap<&'a PackageId, Price>,
    /// Packages that may enter an image, with their sets of requirements.
    usable: BTreeMap<&'a PackageId, Vec<BTreeSet<&'a PackageId>>>,
}

fn platform_facts<'a>(
    platform: &Platform,
    members: &[usize],
    classes: &'a [Class],
    packages: &BTreeMap<&'a PackageId, &'a Package>,
    price: &dyn Fn(&PackageId, &Platform) -> Option<Price>,
    left_out: &mut LeftOut,
) -> Facts<'a> {
    // What every complete closure that holds a package holds besides: its requirements are among that.
    let mut always_with: BTreeMap<&PackageId, BTreeSet<&PackageId>> = BTreeMap::new();
    let mut present: BTreeSet<&PackageId> = BTreeSet::new();
    let unknown = |id: &PackageId| packages.get(id).is_none_or(|p| p.requires_for(platform).is_empty());
    for &c in members {
        present.extend(&classes[c].closure);
        if !classes[c].complete {
            continue;
        }
        let whole: BTreeSet<&PackageId> = classes[c].closure.iter().collect();
        for id in &classes[c].closure {
            if unknown(id) {
                always_with.entry(id).and_modify(|s| s.retain(|p| whole.contains(p))).or_insert_with(|| whole.clone());
            }
        }
    }

    let mut facts = Facts { prices: BTreeMap::new(), usable: BTreeMap::new() };
    for &id in &present {
        let Some(known) = price(id, platform).filter(|p| p.load_ms >= 0.0 && p.resident_mb >= 0.0) else {
            left_out.unpriced.insert(id.to_string());
            continue;
        };
        if !known.load_ms.is_finite() || !known.resident_mb.is_finite() {
            left_out.unpriced.insert(id.to_string());
            continue;
        }
        facts.prices.insert(id, known);
        let package = packages.get(id).copied();
        if package.is_some_and(|p| !p.is_from_registry()) {
            left_out.not_shareable.insert(id.to_string());
            continue;
        }
        let sets: Vec<BTreeSet<&PackageId>> = package
            .map(|p| p.requires_for(platform))
            .unwrap_or_default()
            .into_iter()
            .map(|set| set.iter().filter(|r| *r != id).collect())
            .collect();
        let sets = if !sets.is_empty() {
            if sets.iter().all(|set| set.iter().any(|r| !present.contains(r))) {
                left_out.requirement_absent.insert(id.to_string());
            }
            sets
        } else if let Some(together) = always_with.get(id) {
            left_out.requires_inferred.insert(id.to_string());
            vec![together.iter().copied().filter(|r| *r != id).collect()]
        } else {
            left_out.requires_unknown.insert(id.to_string());
            continue;
        };
        facts.usable.insert(id, sets);
    }
    facts
}

#[allow(clippy::too_many_arguments, reason = "all that a group rests on")]
fn group(
    platform: &Platform,
    (domain, pool): (&str, usize),
    language: LanguageCosts,
    members: &[usize],
    classes: &[Class],
    facts: &Facts,
    rules: &Rules,
    left_out: &mut LeftOut,
) -> Option<Group> {
    let needs_disk = (rules.needs_disk)(pool);
    let mut closures: Vec<(usize, Vec<&PackageId>)> = Vec::new();
    for &c in members {
        let mut usable: Vec<&PackageId> =
            classes[c].closure.iter().filter(|id| facts.usable.contains_key(id) && !(rules.excluded)(id)).collect();
        if needs_disk {
            let known = |id: &PackageId| facts.prices[id].disk_mb.is_some_and(|mb| mb.is_finite() && mb >= 0.0);
            left_out.disk_unknown.extend(usable.iter().filter(|id| !known(id)).map(ToString::to_string));
            usable.retain(|id| known(id));
        }
        // Python loads one version of a distribution: a closure that names two says nothing about which.
        let mut versions: BTreeMap<&str, usize> = BTreeMap::new();
        if platform.language == Language::Python {
            for id in &classes[c].closure {
                *versions.entry(&id.name).or_default() += 1;
            }
            left_out.version_clash.extend(versions.iter().filter(|&(_, &n)| n > 1).map(|(name, _)| name.to_string()));
        }
        usable.retain(|id| versions.get(id.name.as_str()).is_none_or(|&n| n == 1));
        closures.push((c, usable));
    }
    let ids: Vec<&PackageId> =
        closures.iter().flat_map(|(_, ids)| ids.iter().copied()).collect::<BTreeSet<_>>().into_iter().collect();
    let index: BTreeMap<&PackageId, usize> = ids.iter().enumerate().map(|(i, id)| (*id, i)).collect();
    let to_set = |ids: &mut dyn Iterator<Item = &PackageId>| -> Option<Set> {
        let mut set = Set::with_capacity(index.len());
        for id in ids {
            set.insert(*index.get(id)?);
        }
        Some(set)
    };

    let items = ids
        .iter()
        .map(|&id| {
            // A set that names something outside the group can never be loaded whole.
            let mut requires: Vec<Set> =
                facts.usable[id].iter().filter_map(|set| to_set(&mut set.iter().copied())).collect();
            requires.sort();
            requires.dedup();
            Item { id: id.clone(), price: facts.prices[id], requires }
        })
        .collect();
    let mut group = Group {
        pool,
        pool_name: (rules.name)(pool),
        max_image_mb: (rules.max_image_mb)(pool),
        platform: platform.clone(),
        trust_domain: domain.to_string(),
        language,
        items,
        demands: Vec::new(),
        pins: Vec::new(),
        floors: Vec::new(),
        old: Vec::new(),
    };
    let mut cores: BTreeMap<Set, Vec<usize>> = BTreeMap::new();
    for (c, ids) in closures {
        let core = group.core(&to_set(&mut ids.into_iter())?);
        if !core.is_clear() {
            cores.entry(core).or_default().push(c);
        }
    }
    group.demands = cores
        .into_iter()
        .map(|(core, members)| {
            let weight = sum_weights(members.iter().map(|&c| classes[c].weight));
            Demand { classes: members, core, weight, known: weight, wide: None }
        })
        .collect();
    (!group.demands.is_empty()).then_some(group)
}

/// Names of packages that the planner could not use as it would have liked to, by reason.
#[derive(Default)]
struct LeftOut {
    unpriced: BTreeSet<String>,
    not_shareable: BTreeSet<String>,
    requires_inferred: BTreeSet<String>,
    requires_unknown: BTreeSet<String>,
    requirement_absent: BTreeSet<String>,
    version_clash: BTreeSet<String>,
    disk_unknown: BTreeSet<String>,
}

impl LeftOut {
    fn into_diagnostics(self) -> Vec<Diagnostic> {
        let mut out = Vec::new();
        let mut say = |code: Code, names: &BTreeSet<String>, what: &str| {
            if !names.is_empty() {
                out.push(Diagnostic::new(code, Place::default(), format!("{} {what}: {}", names.len(), first(names))));
            }
        };
        say(codes::COST_UNKNOWN, &self.unpriced, "packages without a known cost are not preloaded");
        say(
            codes::DISK_UNKNOWN,
            &self.disk_unknown,
            "packages of unknown size on disk are not preloaded where disk is limited",
        );
        say(codes::SOURCE_NOT_SHAREABLE, &self.not_shareable, "packages that no registry serves are not preloaded");
        say(
            codes::REQUIRES_UNKNOWN,
            &self.requires_inferred,
            "packages with unknown requirements are preloaded only with all that every locked closure has beside them",
        );
        say(
            codes::REQUIRES_UNKNOWN,
            &self.requires_unknown,
            "packages with unknown requirements, which no locked closure holds, are not preloaded",
        );
        say(
            codes::REQUIRES_UNKNOWN,
            &self.requirement_absent,
            "packages require something that no closure on their platform names at a version, and are not preloaded",
        );
        say(
            codes::VERSIONS_CLASH,
            &self.version_clash,
            "distributions occur in two versions in one closure, which are not preloaded for it",
        );
        out
    }
}

/// The first few names, and how many more there are.
fn first(names: &BTreeSet<String>) -> String {
    const SHOWN: usize = 5;
    let shown: Vec<&str> = names.iter().take(SHOWN).map(String::as_str).collect();
    match names.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
