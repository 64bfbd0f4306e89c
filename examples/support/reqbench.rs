//! Reads a folder of the ReqBench form (`functions.json`, `splits.json`): pinned closures of real Python applications
//! with measured import costs; and judges plans as `score.py` beside it does.
#![allow(dead_code, reason = "each example uses a part of it")]

use std::collections::BTreeMap;
use std::path::Path;

use fixedbitset::FixedBitSet;
use serde::Deserialize;
use warmset::model::costs::{CostSource, LanguageCosts};
use warmset::model::inventory::{Function, Inventory, LockRef, Package, RequiresOn, State};
use warmset::model::platform::Language;
use warmset::model::{Cost, Costs, PackageId, Platform};
use warmset::solve::Price;

/// What the folder's packages and closures are.
#[derive(Deserialize)]
pub struct Data {
    packages: Vec<Entry>,
    classes: Vec<Vec<usize>>,
}

#[derive(Deserialize)]
struct Entry {
    name: String,
    version: String,
    load_ms: f64,
    resident_mb: f64,
    requires: Vec<usize>,
    #[serde(default)]
    requires_also: Vec<Vec<usize>>,
}

/// Weight of each class in each part of each split.
pub type Splits = BTreeMap<String, serde_json::Value>;

/// Resident MB of one image besides its packages, as the data's README says.
pub const IMAGE_MB: f64 = 3.61;

/// Reads both files.
pub fn read(dir: &Path) -> Result<(Data, Splits), Box<dyn std::error::Error>> {
    let data = serde_json::from_str(&std::fs::read_to_string(dir.join("functions.json"))?)?;
    let splits = serde_json::from_str(&std::fs::read_to_string(dir.join("splits.json"))?)?;
    Ok((data, splits))
}

/// One row of `forklift_v3.json`: what Forklift reaches with a number of nodes, and the memory that it takes.
#[derive(Deserialize)]
pub struct Row {
    pub nodes: usize,
    pub budget_mb: f64,
    pub train_saved: f64,
    pub test_saved: f64,
}

/// The rows of each split.
pub fn rows(dir: &Path) -> Result<BTreeMap<String, Vec<Row>>, Box<dyn std::error::Error>> {
    let path = dir.join("forklift_v3.json");
    let text = std::fs::read_to_string(&path)
        .map_err(|e| format!("{}: {e}; it names the splits, node counts and budgets to plan for", path.display()))?;
    Ok(serde_json::from_str(&text).map_err(|e| format!("{}: {e}", path.display()))?)
}

/// Weight of each class in one part of a split.
pub fn weights(splits: &Splits, split: &str, part: &str) -> Result<Vec<f64>, Box<dyn std::error::Error>> {
    let found = splits.get(split).and_then(|s| s.get(part));
    let found = found.ok_or_else(|| format!("splits.json has no `{part}` of `{split}`"))?;
    Ok(serde_json::from_value(found.clone())?)
}

/// What images save functions, worked out from names and closures only.
pub struct Judge<'a> {
    data: &'a Data,
    index: BTreeMap<String, usize>,
    closures: Vec<FixedBitSet>,
}

impl<'a> Judge<'a> {
    pub fn new(data: &'a Data) -> Self {
        let index = data.packages.iter().enumerate().map(|(i, p)| (format!("{}=={}", p.name, p.version), i)).collect();
        let set = |closure: &Vec<usize>| {
            let mut set = FixedBitSet::with_capacity(data.packages.len());
            closure.iter().for_each(|&i| set.insert(i));
            set
        };
        Self { data, index, closures: data.classes.iter().map(set).collect() }
    }

    fn load_ms(&self, set: &FixedBitSet) -> f64 {
        set.ones().map(|i| self.data.packages[i].load_ms).sum()
    }

    /// Share of all load time that functions save: each takes the image with the longest load time of those that hold
    /// nothing that it does not load. An image with a package that the data do not name serves nobody.
    pub fn saved(&self, images: &[Vec<String>], weights: &[f64]) -> f64 {
        let set = |image: &Vec<String>| {
            let mut set = FixedBitSet::with_capacity(self.data.packages.len());
            for package in image {
                set.insert(*self.index.get(package)?);
            }
            (!set.is_clear()).then_some(set)
        };
        let mut sets: Vec<(f64, FixedBitSet)> =
            images.iter().filter_map(set).map(|set| (self.load_ms(&set), set)).collect();
        sets.sort_by(|a, b| b.0.total_cmp(&a.0));
        let (mut saved, mut total) = (0.0, 0.0);
        for (closure, weight) in self.closures.iter().zip(weights).filter(|(_, weight)| **weight > 0.0) {
            total += weight * self.load_ms(closure);
            saved += weight * sets.iter().find(|(_, set)| set.is_subset(closure)).map_or(0.0, |(load, _)| *load);
        }
        if total > 0.0 { saved / total } else { 0.0 }
    }
}

/// The functions of one part of a split as a fleet, one for each class with a weight, and what their packages cost.
pub fn fleet(
    data: &Data,
    splits: &Splits,
    split: &str,
    part: &str,
) -> Result<(Inventory, Costs), Box<dyn std::error::Error>> {
    let weights = weights(splits, split, part)?;
    let command = format!("cargo run --release --example reqbench_fleet -- DIR {split} {part} OUT");
    Ok(fleet_of(data, &weights, command))
}

/// Functions with the given weight of each class.
pub fn fleet_of(data: &Data, weights: &[f64], command: String) -> (Inventory, Costs) {
    let platform = Platform::linux(Language::Python, "3.9");
    let id = |i: &usize| PackageId::pypi(&data.packages[*i].name, &data.packages[*i].version);
    let ids = |list: &[usize]| -> Vec<PackageId> { list.iter().map(id).collect() };

    let mut inventory = Inventory::empty();
    for (index, (closure, &weight)) in data.classes.iter().zip(weights).enumerate() {
        if weight > 0.0 {
            inventory.functions.push(Function {
                platform: Some(platform.clone()),
                weight,
                state: State::Locked,
                lock: Some(LockRef::new("functions.json", "requirements")),
                closure: ids(closure),
                ..Function::new(format!("class-{index:04}"))
            });
        }
    }
    for (index, entry) in data.packages.iter().enumerate() {
        let mut package = Package::new(id(&index));
        if entry.requires_also.is_empty() {
            package.requires = Some(ids(&entry.requires));
        } else {
            package.requires_on = std::iter::once(&entry.requires)
                .chain(&entry.requires_also)
                .map(|set| RequiresOn { platform: platform.clone(), requires: ids(set) })
                .collect();
        }
        inventory.packages.push(package);
    }
    inventory.sort();

    let mut entries: Vec<Cost> = data
        .packages
        .iter()
        .enumerate()
        .map(|(index, entry)| Cost {
            package: id(&index),
            platform: None,
            load_ms: entry.load_ms,
            resident_mb: entry.resident_mb,
            disk_mb: None,
            source: CostSource::Measured,
            how: None,
            basis: (entry.load_ms == 0.0).then(|| "the source's measurement failed, or found nothing".to_string()),
            samples: None,
            spread: None,
            modules: Vec::new(),
        })
        .collect();
    entries.sort_by(|a, b| a.package.cmp(&b.package));
    let language = LanguageCosts {
        image_overhead_mb: IMAGE_MB,
        swap_base_ms: 0.0,
        swap_ms_per_mb: 0.0,
        waste_ms_per_mb: None,
        load_ms_per_disk_mb: None,
        resident_mb_per_disk_mb: None,
    };
    let costs = Costs {
        command: Some(command),
        languages: BTreeMap::from([(Language::Python, language)]),
        entries,
        ..Costs::empty()
    };
    (inventory, costs)
}

/// The costs as the solver takes them.
pub fn prices(costs: &Costs) -> BTreeMap<PackageId, Price> {
    let price =
        |c: &Cost| Price { load_ms: c.load_ms, resident_mb: c.resident_mb, disk_mb: c.disk_mb, source: c.source };
    costs.entries.iter().map(|c| (c.package.clone(), price(c))).collect()
}
