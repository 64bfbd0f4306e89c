//! Reads a folder of the ReqBench form (`functions.json`, `splits.json`): pinned closures of real Python applications
//! with measured import costs.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use warmset::model::costs::{self, CostSource, LanguageCosts};
use warmset::model::inventory::{Function, Inventory, LockRef, Package, RequiresOn, State};
use warmset::model::platform::Language;
use warmset::model::{Cost, Costs, GENERATOR, PackageId, Platform};
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

/// The functions of one part of a split as a fleet, one for each class with a weight, and what their packages cost.
pub fn fleet(
    data: &Data,
    splits: &Splits,
    split: &str,
    part: &str,
) -> Result<(Inventory, Costs), Box<dyn std::error::Error>> {
    let weights: Vec<f64> = splits
        .get(split)
        .and_then(|s| s.get(part))
        .ok_or_else(|| format!("splits.json has no `{part}` of `{split}`"))
        .and_then(|w| serde_json::from_value(w.clone()).map_err(|e| e.to_string()))?;
    let platform = Platform::linux(Language::Python, "3.9");
    let id = |i: &usize| PackageId::pypi(&data.packages[*i].name, &data.packages[*i].version);
    let ids = |list: &[usize]| -> Vec<PackageId> { list.iter().map(id).collect() };

    let mut inventory = Inventory::empty();
    for (index, (closure, &weight)) in data.classes.iter().zip(&weights).enumerate() {
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
        load_ms_per_disk_mb: None,
        resident_mb_per_disk_mb: None,
    };
    let costs = Costs {
        schema: costs::SCHEMA.into(),
        generator: GENERATOR.into(),
        command: Some(format!("cargo run --release --example reqbench_fleet -- DIR {split} {part} OUT")),
        host: None,
        languages: BTreeMap::from([(Language::Python, language)]),
        entries,
    };
    Ok((inventory, costs))
}

/// The costs as the solver takes them.
pub fn prices(costs: &Costs) -> BTreeMap<PackageId, Price> {
    let price =
        |c: &Cost| Price { load_ms: c.load_ms, resident_mb: c.resident_mb, disk_mb: c.disk_mb, source: c.source };
    costs.entries.iter().map(|c| (c.package.clone(), price(c))).collect()
}
