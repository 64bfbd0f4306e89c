//! Fleets of any size for the planner, shaped by the statistics of real applications.
//!
//! The figures below were computed from ReqBench's `functions.json` (Apache-2.0: the pinned closures of 1,321 real Python
//! applications with measured import costs), counting each function once. Nothing of the data itself is here.
//! What the data does not say is assumed, and marked so.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use warmset::graph::classes::{Class, class_digest};
use warmset::model::costs::{CostSource, LanguageCosts};
use warmset::model::inventory::{DEFAULT_TRUST_DOMAIN, Function, Inventory, LockRef, Package, RequiresOn, State};
use warmset::model::platform::Language;
use warmset::model::{Cost, Costs, PackageId, Platform};

/// Closures by the number of packages in them that no other requires, from 1 to 10.
const ROOTS: [u32; 10] = [110, 167, 94, 46, 32, 10, 7, 3, 1, 1];
/// Packages by the number of their direct requirements, from 0.
const REQUIRES: [u32; 13] = [208, 87, 25, 21, 23, 13, 6, 6, 1, 4, 1, 1, 10];
/// Load milliseconds and resident MB of packages at 0, 10, …, 90, 95, 98 and 100 % of them.
const LOAD_MS: [f64; 13] =
    [0.0, 0.0, 0.117, 0.286, 0.748, 1.464, 2.889, 5.884, 10.231, 17.716, 35.833, 49.917, 357.583];
const RESIDENT_MB: [f64; 13] = [0.0, 0.0, 0.0, 0.0, 0.025, 0.156, 0.355, 0.914, 1.719, 3.508, 7.938, 17.061, 53.106];
const QUANTILES: [f64; 13] = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 1.0];
/// Half-width by which a package's quantile of memory strays from that of its load time: gives about the rank correlation
/// of 0.92 that the data has.
const STRAY: f64 = 0.25;
/// A name of popularity rank r is wanted in proportion to 1 / (r + shift): the uses of the first 30 root names (213, 209,
/// 209, 163, 130, 116 … 27) and the in-degrees of the first 40 required names (20, 16, 14, 12 … 3) decay like that.
const ROOT_SHIFT: f64 = 7.0;
const REQUIRED_SHIFT: f64 = 4.0;
/// Names by the number of their releases in the period, from 1: of the 50 most popular names 12, 14, 19, 3 and 2 occur in
/// so many versions.
const RELEASES: [u32; 5] = [12, 14, 19, 3, 2];
/// Of 10 functions one brings a closure that is new (1,321 applications: 473 closures; a provider's fleet repeats itself
/// more: assumed); the others copy an earlier one, so that classes have Zipf sizes (Simon's process).
const COPIES: usize = 10;
/// Assumed: names that a language's functions draw from.
const NAMES: usize = 3_000;
/// Assumed: share of direct dependencies held back at the release before.
const HELD_BACK: f64 = 0.1;
/// Assumed: share of new closures with packages of the owner's own, and how many such packages a trust domain has.
const PRIVATE: f64 = 0.2;
const PRIVATE_NAMES: u64 = 40;
/// Assumed: a function starts cold at least x times in the period with probability 1/x, at most once a minute of a day.
const MOST_STARTS: f64 = 1_440.0;
/// Assumed: shares of platforms and trust domains.
const PLATFORMS: [(Language, &str, &str, u32); 8] = [
    (Language::Python, "3.11", "x86_64", 24),
    (Language::Python, "3.12", "x86_64", 18),
    (Language::Node, "20", "x86_64", 16),
    (Language::Python, "3.9", "x86_64", 12),
    (Language::Node, "18", "x86_64", 10),
    (Language::Python, "3.12", "aarch64", 10),
    (Language::Python, "3.10", "x86_64", 6),
    (Language::Node, "20", "aarch64", 4),
];
const DOMAINS: [(&str, u32); 3] = [(DEFAULT_TRUST_DOMAIN, 6), ("finance", 3), ("health", 1)];
/// Resident MB of a host besides its packages: 3.61 is that of the data; what swapping takes is as in warmset's own table.
const HOST: LanguageCosts = LanguageCosts {
    image_overhead_mb: 3.61,
    swap_base_ms: 2.0,
    swap_ms_per_mb: 0.2,
    waste_ms_per_mb: None,
    load_ms_per_disk_mb: None,
    resident_mb_per_disk_mb: None,
};

/// What to generate.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Functions in all.
    pub functions: usize,
    /// The same seed gives the same fleet.
    pub seed: u64,
    /// One platform and trust domain only: the hardest case, as nothing separates.
    pub single: bool,
}

/// A fleet whose functions are not spelt out.
pub struct Fleet {
    shape: Shape,
    /// Closures with who has them, in the order in which they came up.
    drafts: Vec<Draft>,
    /// For each function its draft and its cold starts.
    functions: Vec<(u32, f64)>,
    packages: Vec<Made>,
}

struct Draft {
    platform: usize,
    domain: usize,
    /// Indices into [`Fleet::packages`], sorted by id.
    closure: Vec<u32>,
}

/// A package at one version.
struct Made {
    id: PackageId,
    private: bool,
    load_ms: f64,
    resident_mb: f64,
    /// The sets of direct requirements that closures hold beside it.
    requires: BTreeSet<Vec<u32>>,
}

/// SplitMix64 (Steele, Lea, Flood, OOPSLA 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to 1, without 1.
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }

    /// An index, each in proportion to its weight.
    fn pick(&mut self, weights: impl Iterator<Item = u32> + Clone) -> usize {
        let total: u32 = weights.clone().sum();
        let mut at = self.below(total as usize) as u32;
        for (index, weight) in weights.enumerate() {
            if at < weight {
                return index;
            }
            at -= weight;
        }
        0
    }
}

/// Ranks in proportion to 1 / (rank + shift).
struct Zipf(Vec<f64>);

impl Zipf {
    fn new(names: usize, shift: f64) -> Self {
        let mut sum = 0.0;
        Self(
            (0..names)
                .map(|rank| {
                    sum += 1.0 / (rank as f64 + shift);
                    sum
                })
                .collect(),
        )
    }

    /// A rank below `end`.
    fn draw(&self, random: &mut Random, end: usize) -> usize {
        let total = self.0[end - 1];
        let at = random.unit() * total;
        self.0[..end].partition_point(|&sum| sum <= at).min(end - 1)
    }
}

/// The value of a quantile, straight lines between those that are known.
fn quantile(values: &[f64; 13], at: f64) -> f64 {
    let at = at.clamp(0.0, 1.0);
    let k = QUANTILES.windows(2).position(|w| at <= w[1]).unwrap_or(11);
    let share = (at - QUANTILES[k]) / (QUANTILES[k + 1] - QUANTILES[k]);
    values[k] + share * (values[k + 1] - values[k])
}

/// A name with its releases.
struct Name {
    text: String,
    /// When each release came out, from 0 to 1; the first at 0.
    releases: Vec<f64>,
    /// Other names.
    requires: Vec<usize>,
    load_ms: f64,
    resident_mb: f64,
}

/// The packages of one language. Names come by how often others require them: each requires only names before it.
struct Catalogue {
    names: Vec<Name>,
    /// Names by how often functions ask for them directly.
    roots: Vec<usize>,
    popularity: Zipf,
}

const WORDS: [&str; 16] = [
    "amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heron", "inlet", "juniper", "kelp", "larch",
    "moss", "north", "opal", "pine",
];

fn name(number: usize) -> String {
    format!("{}-{}-{}", WORDS[number % 16], WORDS[number / 16 % 16], number / 256)
}

impl Catalogue {
    fn new(random: &mut Random) -> Self {
        let required = Zipf::new(NAMES, REQUIRED_SHIFT);
        let names: Vec<Name> = (0..NAMES)
            .map(|n| {
                let wanted = random.pick(REQUIRES.iter().copied());
                let mut requires = BTreeSet::new();
                for _ in 0..wanted {
                    if n > 0 {
                        requires.insert(required.draw(random, n));
                    }
                }
                let releases = random.pick(RELEASES.iter().copied()) + 1;
                let mut times: Vec<f64> = (1..releases).map(|_| random.unit()).collect();
                times.push(0.0);
                times.sort_by(f64::total_cmp);
                let at = random.unit();
                let stray = at + (random.unit() * 2.0 - 1.0) * STRAY;
                Name {
                    text: name(n),
                    releases: times,
                    requires: requires.into_iter().collect(),
                    load_ms: quantile(&LOAD_MS, at),
                    resident_mb: quantile(&RESIDENT_MB, stray),
                }
            })
            .collect();
        let mut roots: Vec<usize> = (0..NAMES).collect();
        for k in (1..NAMES).rev() {
            roots.swap(k, random.below(k + 1));
        }
        Self { names, roots, popularity: Zipf::new(NAMES, ROOT_SHIFT) }
    }

    /// Names and releases of a new closure, by name, and whether each is asked for directly.
    fn closure(&self, random: &mut Random) -> BTreeMap<usize, usize> {
        // Newer functions are commoner: the fleet grows.
        let time = random.unit().max(random.unit());
        let roots = random.pick(ROOTS.iter().copied()) + 1;
        let mut held = BTreeMap::new();
        let mut pending = Vec::new();
        for _ in 0..roots {
            let root = self.roots[self.popularity.draw(random, NAMES)];
            let back = usize::from(random.unit() < HELD_BACK);
            held.insert(root, back);
            pending.push(root);
        }
        let mut closure = BTreeMap::new();
        while let Some(name) = pending.pop() {
            if closure.contains_key(&name) {
                continue;
            }
            let latest = self.names[name].releases.partition_point(|&at| at <= time) - 1;
            closure.insert(name, latest.saturating_sub(held.get(&name).copied().unwrap_or(0)));
            pending.extend(&self.names[name].requires);
        }
        closure
    }
}

/// Makes a fleet.
pub fn generate(shape: Shape) -> Fleet {
    let mut random = Random(shape.seed);
    let catalogues = [Catalogue::new(&mut random), Catalogue::new(&mut random)];
    let mut fleet = Fleet { shape, drafts: Vec::new(), functions: Vec::new(), packages: Vec::new() };
    let mut known: HashMap<PackageId, u32> = HashMap::new();
    let mut seen: HashMap<(usize, usize, Vec<u32>), u32> = HashMap::new();
    let distinct = shape.functions.div_ceil(COPIES);
    for number in 0..shape.functions {
        let is_new = fleet.drafts.len() < distinct && number % COPIES == 0;
        let draft = if is_new { fleet.draft(&catalogues, &mut random, &mut known, &mut seen) } else { None };
        let draft = match draft {
            Some(draft) => draft,
            None => fleet.functions.get(random.below(number)).map_or(0, |&(draft, _)| draft),
        };
        let starts = (1.0 / (1.0 - random.unit())).floor().min(MOST_STARTS);
        fleet.functions.push((draft, starts));
    }
    fleet
}

impl Fleet {
    /// A closure that is not there yet; none when that takes too long.
    fn draft(
        &mut self,
        catalogues: &[Catalogue; 2],
        random: &mut Random,
        known: &mut HashMap<PackageId, u32>,
        seen: &mut HashMap<(usize, usize, Vec<u32>), u32>,
    ) -> Option<u32> {
        const TRIES: usize = 1_000;
        for _ in 0..TRIES {
            let (platform, domain) = match self.shape.single {
                true => (0, 0),
                false => (random.pick(PLATFORMS.iter().map(|p| p.3)), random.pick(DOMAINS.iter().map(|d| d.1))),
            };
            let language = PLATFORMS[platform].0;
            let catalogue = &catalogues[usize::from(language == Language::Node)];
            let named = catalogue.closure(random);
            let mut index_of: BTreeMap<usize, u32> = BTreeMap::new();
            for (&n, &release) in &named {
                let name = &catalogue.names[n];
                let id = id(language, &name.text, release);
                // A release weighs a little more than the one before.
                let growth = 1.0 + 0.05 * release as f64;
                let made = Made {
                    id: id.clone(),
                    private: false,
                    load_ms: thousandths(name.load_ms * growth),
                    resident_mb: thousandths(name.resident_mb * growth),
                    requires: BTreeSet::new(),
                };
                index_of.insert(n, self.package(known, id, made));
            }
            let mut closure: Vec<u32> = index_of.values().copied().collect();
            if random.unit() < PRIVATE {
                for _ in 0..=random.below(2) {
                    let own = format!("{}-own-{}", DOMAINS[domain].0, random.next() % PRIVATE_NAMES);
                    let id = id(language, &own, random.below(3));
                    let made = Made {
                        id: id.clone(),
                        private: true,
                        load_ms: thousandths(quantile(&LOAD_MS, random.unit())),
                        resident_mb: thousandths(quantile(&RESIDENT_MB, random.unit())),
                        requires: BTreeSet::from([Vec::new()]),
                    };
                    let index = self.package(known, id, made);
                    // One version of a distribution in a closure.
                    let is_there = closure.iter().any(|&p| self.packages[p as usize].id.name == own);
                    if !is_there {
                        closure.push(index);
                    }
                }
            }
            closure.sort_by(|&a, &b| self.packages[a as usize].id.cmp(&self.packages[b as usize].id));
            let next = self.drafts.len() as u32;
            if *seen.entry((platform, domain, closure.clone())).or_insert(next) != next {
                continue;
            }
            for (&n, &package) in &index_of {
                let set = catalogue.names[n].requires.iter().map(|r| index_of[r]).collect();
                self.packages[package as usize].requires.insert(set);
            }
            self.drafts.push(Draft { platform, domain, closure });
            return Some(next);
        }
        None
    }

    fn package(&mut self, known: &mut HashMap<PackageId, u32>, id: PackageId, made: Made) -> u32 {
        let next = self.packages.len() as u32;
        let index = *known.entry(id).or_insert(next);
        if index == next {
            self.packages.push(made);
        }
        index
    }

    fn ids(&self, list: &[u32]) -> Vec<PackageId> {
        let mut ids: Vec<PackageId> = list.iter().map(|&p| self.packages[p as usize].id.clone()).collect();
        ids.sort();
        ids
    }

    /// Everything but the functions.
    pub fn packages(&self) -> Inventory {
        let mut inventory = Inventory::empty();
        let platforms: Vec<Platform> = (0..PLATFORMS.len()).map(platform).collect();
        for made in &self.packages {
            let mut package = Package::new(made.id.clone());
            package.source = made.private.then(|| "path".to_string());
            match made.requires.first() {
                Some(only) if made.requires.len() == 1 => package.requires = Some(self.ids(only)),
                _ => {
                    let language = platforms.iter().filter(|p| p.language.ecosystem() == made.id.ecosystem);
                    package.requires_on = language
                        .flat_map(|p| made.requires.iter().map(move |set| (p, set)))
                        .map(|(p, set)| RequiresOn { platform: p.clone(), requires: self.ids(set) })
                        .collect();
                }
            }
            inventory.packages.push(package);
        }
        inventory.sort();
        inventory
    }

    /// The whole inventory: some 2 kB a function in memory.
    pub fn inventory(&self) -> Inventory {
        let mut inventory = self.packages();
        inventory.functions = self
            .functions
            .iter()
            .enumerate()
            .map(|(number, &(draft, weight))| {
                let draft = &self.drafts[draft as usize];
                Function {
                    platform: Some(platform(draft.platform)),
                    trust_domain: DOMAINS[draft.domain].0.into(),
                    weight,
                    state: State::Locked,
                    lock: Some(LockRef::new("requirements.txt", "requirements")),
                    closure: self.ids(&draft.closure),
                    ..Function::new(format!("f{number:07}"))
                }
            })
            .collect();
        inventory
    }

    /// What [`warmset::graph::classes::classes`] would make of the inventory, without spelling out its functions.
    #[allow(dead_code, reason = "not every program that uses this file plans from memory")]
    pub fn classes(&self) -> Vec<Class> {
        let mut members: Vec<Vec<usize>> = vec![Vec::new(); self.drafts.len()];
        self.functions.iter().enumerate().for_each(|(f, &(draft, _))| members[draft as usize].push(f));
        let mut classes: Vec<Class> = self
            .drafts
            .iter()
            .zip(members)
            .map(|(draft, functions)| {
                let (platform, trust_domain) = (platform(draft.platform), DOMAINS[draft.domain].0.to_string());
                let closure = self.ids(&draft.closure);
                Class {
                    digest: class_digest(&platform, &trust_domain, &closure),
                    platform,
                    trust_domain,
                    closure,
                    complete: true,
                    weight: functions.iter().map(|&f| self.functions[f].1).sum(),
                    functions,
                }
            })
            .collect();
        classes.sort_by(|a, b| {
            (&a.platform, &a.trust_domain, &a.closure).cmp(&(&b.platform, &b.trust_domain, &b.closure))
        });
        classes
    }

    /// What the packages cost.
    pub fn costs(&self) -> Costs {
        let mut entries: Vec<Cost> = self
            .packages
            .iter()
            .map(|made| Cost {
                package: made.id.clone(),
                platform: None,
                load_ms: made.load_ms,
                resident_mb: made.resident_mb,
                disk_mb: None,
                source: CostSource::Measured,
                how: None,
                basis: None,
                samples: None,
                spread: None,
                modules: Vec::new(),
            })
            .collect();
        entries.sort_by(|a, b| a.package.cmp(&b.package));
        let Shape { functions, seed, .. } = self.shape;
        Costs {
            command: Some(format!("cargo run --release --example gen_plan_fleet -- OUT {functions} {seed}")),
            languages: BTreeMap::from([(Language::Python, HOST), (Language::Node, HOST)]),
            entries,
            ..Costs::empty()
        }
    }
}

fn platform(index: usize) -> Platform {
    let (language, version, arch, _) = PLATFORMS[index];
    Platform { arch: arch.into(), ..Platform::linux(language, version) }
}

fn id(language: Language, name: &str, release: usize) -> PackageId {
    let version = format!("1.{release}.0");
    match language {
        Language::Python => PackageId::pypi(name, &version),
        Language::Node => PackageId::npm(name, &version),
    }
}

fn thousandths(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}
