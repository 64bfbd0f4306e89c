//! From tables of costs to one price for each package and platform of an inventory.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;

use super::estimate;
use crate::model::codes;
use crate::model::costs::SCHEMA;
use crate::model::inventory::Target;
use crate::model::{
    Cost, CostSource, Costs, Diagnostic, Ecosystem, How, Inventory, Language, LanguageCosts, PackageId, Place, Platform,
};

/// What one package costs on one platform.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Price {
    /// Exclusive CPU milliseconds.
    pub load_ms: f64,
    /// Exclusive resident MB.
    pub resident_mb: f64,
    /// MB on disk, where known.
    pub disk_mb: Option<f64>,
    /// Where the figure comes from.
    pub source: CostSource,
}

/// A cost that the user states for every package without a figure: milliseconds and MB.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AssumedCost {
    /// CPU milliseconds.
    pub load_ms: f64,
    /// Resident MB.
    pub resident_mb: f64,
}

/// Costs indexed by package and platform.
#[derive(Debug, Clone)]
pub struct Prices {
    by_package: HashMap<PackageId, Vec<Cost>>,
    languages: BTreeMap<Language, LanguageCosts>,
}

/// The table that ships with warmset: both languages in one.
pub fn prior() -> Costs {
    let mut all = Costs::empty();
    for text in [include_str!("prior-python.json"), include_str!("prior-node.json")] {
        let table: Costs = serde_json::from_str(text).expect("the shipped table is tested to be valid");
        all.languages.extend(table.languages);
        all.entries.extend(table.entries);
    }
    all
}

/// Reads a `costs.json` that somebody else wrote.
pub fn read(file: &str, text: &str) -> Result<Costs, Diagnostic> {
    let invalid = |line: usize, reason: String| {
        Diagnostic::new(codes::ARTEFACT_INVALID, Place::at(file, u32::try_from(line).unwrap_or(0)), reason)
    };
    let value: Value = serde_json::from_str(text).map_err(|e| invalid(e.line(), format!("not valid JSON: {e}")))?;
    crate::model::check_schema(file, &value, SCHEMA)?;
    let costs: Costs = serde_json::from_str(text).map_err(|e| invalid(e.line(), e.to_string()))?;
    for cost in &costs.entries {
        if ![cost.load_ms, cost.resident_mb, cost.disk_mb.unwrap_or(0.0)].iter().all(|v| v.is_finite() && *v >= 0.0) {
            return Err(invalid(0, format!("the cost of {} is negative or not a number", cost.package)));
        }
    }
    for (language, c) in &costs.languages {
        if ![c.image_overhead_mb, c.swap_base_ms, c.swap_ms_per_mb, c.waste_ms(1.0)]
            .iter()
            .all(|v| v.is_finite() && *v >= 0.0)
        {
            return Err(invalid(0, format!("the costs of {language} are negative or not numbers")));
        }
    }
    for w in &costs.warmups {
        if ![w.first_ms, w.later_ms, w.saved_ms, w.added_mb].iter().all(|v| v.is_finite() && *v >= 0.0) {
            return Err(invalid(0, format!("the warm-up of {} is negative or not a number", w.function)));
        }
    }
    Ok(costs)
}

/// One price for each package and platform that the inventory's closures name, as a table of its own.
///
/// The user's figures come first, then the shipped table, then estimates (another version of the same package, size),
/// then what the user assumes. What is still without a price is named in one diagnostic.
pub fn resolve(inventory: &Inventory, user: Option<&Costs>, assumed: Option<AssumedCost>) -> (Costs, Vec<Diagnostic>) {
    let prior = prior();
    let mut languages = prior.languages.clone();
    if let Some(user) = user {
        languages.extend(user.languages.iter().map(|(k, v)| (*k, *v)));
    }
    let tables: Vec<Table<'_>> = user.iter().copied().chain([&prior]).map(Table::new).collect();
    let sizes: HashMap<&PackageId, u64> =
        inventory.packages.iter().filter_map(|p| p.size.map(|s| (&p.id, s))).collect();
    let wanted: BTreeSet<(&PackageId, &Platform)> = inventory
        .functions
        .iter()
        .filter_map(|f| f.platform.as_ref().map(|p| (f, p)))
        .flat_map(|(f, p)| f.closure.iter().map(move |id| (id, p)))
        .collect();

    let imported: BTreeSet<&str> = inventory
        .functions
        .iter()
        .flat_map(|f| &f.imports)
        .filter_map(|i| match &i.target {
            Target::Package { package } => Some(package.as_str()),
            _ => None,
        })
        .collect();

    let mut entries = Vec::with_capacity(wanted.len());
    let mut unknown: BTreeSet<&PackageId> = BTreeSet::new();
    for (id, platform) in wanted {
        let found = tables
            .iter()
            .find_map(|t| t.exact(id, platform))
            .or_else(|| tables.iter().find_map(|t| t.other_version(id, platform)))
            .or_else(|| estimate::from_size(id, sizes.get(id).copied(), languages.get(&platform.language)))
            .or_else(|| assumed.map(|a| from_assumption(id, a)));
        match found {
            Some(cost) => {
                let cost = if imported.contains(id.name.as_str()) { cost } else { as_required(cost) };
                entries.push(Cost { platform: Some(platform.clone()), ..cost });
            }
            None => {
                unknown.insert(id);
            }
        }
    }
    let mut diagnostics = Vec::new();
    if !unknown.is_empty() {
        let first: Vec<String> = unknown.iter().take(5).map(|id| id.to_string()).collect();
        let more = if unknown.len() > 5 { " …" } else { "" };
        diagnostics.push(Diagnostic::new(
            codes::COST_UNKNOWN,
            Place::default(),
            format!("no cost is known for {} packages: {}{more}", unknown.len(), first.join(", ")),
        ));
    }
    let functions: BTreeSet<&str> = inventory.functions.iter().map(|f| f.id.as_str()).collect();
    let warmups = user.iter().flat_map(|user| &user.warmups).filter(|w| functions.contains(w.function.as_str()));
    let costs = Costs { languages, entries, warmups: warmups.cloned().collect(), ..Costs::empty() };
    (costs, diagnostics)
}

/// What a package costs a function that does not import it itself: nothing, where it was seen that what requires it
/// leaves it alone (an SDK's other credential providers, an HTTP client's optional transports).
fn as_required(cost: Cost) -> Cost {
    if cost.how.is_none_or(|how| how == How::Imports) {
        return cost;
    }
    Cost { load_ms: 0.0, resident_mb: 0.0, basis: Some("installed, but not loaded by what requires it".into()), ..cost }
}

fn from_assumption(id: &PackageId, assumed: AssumedCost) -> Cost {
    Cost {
        package: id.clone(),
        platform: None,
        load_ms: assumed.load_ms,
        resident_mb: assumed.resident_mb,
        disk_mb: None,
        source: CostSource::Assumed,
        how: None,
        basis: Some("--assume-cost".into()),
        samples: None,
        spread: None,
        modules: Vec::new(),
    }
}

/// A table of costs, by name.
struct Table<'a> {
    by_name: BTreeMap<Ecosystem, HashMap<&'a str, Vec<&'a Cost>>>,
}

impl<'a> Table<'a> {
    fn new(costs: &'a Costs) -> Self {
        let mut by_name: BTreeMap<Ecosystem, HashMap<&str, Vec<&Cost>>> = BTreeMap::new();
        for cost in &costs.entries {
            by_name.entry(cost.package.ecosystem).or_default().entry(&cost.package.name).or_default().push(cost);
        }
        Self { by_name }
    }

    fn of(&self, id: &PackageId) -> &[&'a Cost] {
        self.by_name.get(&id.ecosystem).and_then(|names| names.get(id.name.as_str())).map_or(&[], Vec::as_slice)
    }

    /// The same version: measured on this platform, or anywhere, or on the nearest other platform (named in `basis`).
    fn exact(&self, id: &PackageId, platform: &Platform) -> Option<Cost> {
        let same: Vec<&&Cost> = self.of(id).iter().filter(|c| c.package.version == id.version).collect();
        let here = same
            .iter()
            .find(|c| c.platform.as_ref() == Some(platform))
            .or_else(|| same.iter().find(|c| c.platform.is_none()));
        if let Some(cost) = here {
            return Some((**cost).clone());
        }
        same.iter()
            .min_by_key(|c| c.platform.clone())
            .map(|c| Cost { basis: c.platform.as_ref().map(|p| format!("measured on {p}")), ..(**c).clone() })
    }

    /// Another version of the same package, the one whose number shares most of its leading parts: an estimate.
    fn other_version(&self, id: &PackageId, platform: &Platform) -> Option<Cost> {
        let nearest = self.of(id).iter().max_by(|a, b| {
            let rank =
                |c: &Cost| (shared_parts(&c.package.version, &id.version), c.platform.as_ref() == Some(platform));
            rank(a)
                .cmp(&rank(b))
                .then_with(|| a.package.version.cmp(&b.package.version))
                .then_with(|| b.platform.cmp(&a.platform))
        })?;
        Some(Cost {
            package: id.clone(),
            source: CostSource::Estimated,
            basis: Some(format!("{} ({})", nearest.package, nearest.source)),
            samples: None,
            spread: None,
            ..(*nearest).clone()
        })
    }
}

/// Leading dot-separated parts that two versions have in common.
fn shared_parts(a: &str, b: &str) -> usize {
    a.split('.').zip(b.split('.')).take_while(|(x, y)| x == y).count()
}

impl Prices {
    /// Indexes a table.
    pub fn new(costs: &Costs) -> Self {
        let mut by_package: HashMap<PackageId, Vec<Cost>> = HashMap::new();
        for cost in &costs.entries {
            by_package.entry(cost.package.clone()).or_default().push(cost.clone());
        }
        Self { by_package, languages: costs.languages.clone() }
    }

    fn entry(&self, id: &PackageId, platform: &Platform) -> Option<&Cost> {
        let all = self.by_package.get(id)?;
        all.iter().find(|c| c.platform.as_ref() == Some(platform)).or_else(|| all.iter().find(|c| c.platform.is_none()))
    }

    /// The price of a package on a platform, if there is one.
    pub fn get(&self, id: &PackageId, platform: &Platform) -> Option<Price> {
        let c = self.entry(id, platform)?;
        Some(Price { load_ms: c.load_ms, resident_mb: c.resident_mb, disk_mb: c.disk_mb, source: c.source })
    }

    /// The modules that load a package, where the table names them.
    pub fn modules(&self, id: &PackageId) -> Vec<String> {
        self.by_package.get(id).and_then(|all| all.first()).map(|c| c.modules.clone()).unwrap_or_default()
    }

    /// What a warm host of a language costs.
    pub fn language(&self, language: Language) -> LanguageCosts {
        self.languages.get(&language).copied().unwrap_or(LanguageCosts {
            image_overhead_mb: 0.0,
            swap_base_ms: 0.0,
            swap_ms_per_mb: 0.0,
            waste_ms_per_mb: None,
            load_ms_per_disk_mb: None,
            resident_mb_per_disk_mb: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Function, Package};

    fn cost(id: &str, platform: Option<&str>, load_ms: f64) -> Cost {
        Cost {
            package: id.parse().unwrap(),
            platform: platform.map(|p| p.parse().unwrap()),
            load_ms,
            resident_mb: 1.0,
            disk_mb: None,
            source: CostSource::Measured,
            how: None,
            basis: None,
            samples: None,
            spread: None,
            modules: Vec::new(),
        }
    }

    fn user(entries: Vec<Cost>) -> Costs {
        Costs { entries, ..Costs::empty() }
    }

    fn fleet(ids: &[&str]) -> Inventory {
        let mut inventory = Inventory::empty();
        let closure: Vec<PackageId> = ids.iter().map(|i| i.parse().unwrap()).collect();
        inventory.packages = closure.iter().cloned().map(Package::new).collect();
        inventory.functions.push(Function {
            platform: Some(Platform::linux(Language::Python, "3.11")),
            closure,
            ..Function::new("f")
        });
        inventory
    }

    #[test]
    fn the_shipped_table_is_valid_and_sorted() {
        let prior = prior();
        assert!(prior.languages.contains_key(&Language::Python) && prior.languages.contains_key(&Language::Node));
        assert!(
            prior.entries.iter().all(|c| c.source == CostSource::Prior && c.load_ms >= 0.0 && c.resident_mb >= 0.0)
        );
    }

    #[test]
    fn the_platform_decides_among_figures_of_one_version() {
        let table = user(vec![
            cost("pypi:zz-private==1.0", Some("python3.12-linux-x86_64-glibc"), 5.0),
            cost("pypi:zz-private==1.0", Some("python3.11-linux-x86_64-glibc"), 7.0),
        ]);
        let (costs, diagnostics) = resolve(&fleet(&["pypi:zz-private==1.0"]), Some(&table), None);
        assert_eq!(costs.entries[0].load_ms, 7.0);
        assert!(diagnostics.is_empty());
    }

    #[test]
    fn another_version_is_an_estimate_that_says_so() {
        let table = user(vec![cost("pypi:zz-private==1.2.9", None, 3.0), cost("pypi:zz-private==2.0.0", None, 9.0)]);
        let (costs, _) = resolve(&fleet(&["pypi:zz-private==1.2.3"]), Some(&table), None);
        assert_eq!(costs.entries[0].load_ms, 3.0);
        assert_eq!(costs.entries[0].source, CostSource::Estimated);
        assert_eq!(costs.entries[0].basis.as_deref(), Some("pypi:zz-private==1.2.9 (measured)"));
    }

    #[test]
    fn a_package_with_a_similar_name_lends_nothing() {
        let table = user(vec![cost("pypi:zz-private-extra==1.0", None, 3.0)]);
        let (costs, diagnostics) = resolve(&fleet(&["pypi:zz-private==1.0"]), Some(&table), None);
        assert!(costs.entries.is_empty());
        assert_eq!(diagnostics[0].code, "cost-unknown");
    }

    #[test]
    fn what_nobody_imports_and_nothing_loads_costs_nothing() {
        let table = user(vec![Cost { how: Some(How::Direct), ..cost("pypi:zz-a==1.0", None, 3.0) }]);
        let mut inventory = fleet(&["pypi:zz-a==1.0"]);
        let (costs, _) = resolve(&inventory, Some(&table), None);
        assert_eq!((costs.entries[0].load_ms, costs.entries[0].resident_mb), (0.0, 0.0));
        inventory.functions[0].imports.push(crate::model::Import {
            file: "f/app.py".into(),
            line: 1,
            module: "zz_a".into(),
            names: vec![],
            kind: crate::model::ImportKind::Runtime,
            target: Target::Package { package: "zz-a".into() },
        });
        let (costs, _) = resolve(&inventory, Some(&table), None);
        assert_eq!(costs.entries[0].load_ms, 3.0);
    }

    #[test]
    fn an_assumption_is_only_for_what_has_no_figure() {
        let table = user(vec![cost("pypi:zz-a==1.0", None, 3.0)]);
        let assumed = AssumedCost { load_ms: 8.0, resident_mb: 2.0 };
        let (costs, diagnostics) = resolve(&fleet(&["pypi:zz-a==1.0", "pypi:zz-b==1.0"]), Some(&table), Some(assumed));
        let sources: Vec<CostSource> = costs.entries.iter().map(|c| c.source).collect();
        assert_eq!(sources, [CostSource::Measured, CostSource::Assumed]);
        assert!(diagnostics.is_empty());
    }

    #[test]
    fn negative_costs_and_newer_schemas_are_refused() {
        let negative = r#"{"schema":"warmset.costs/1","entries":[{"package":"pypi:a==1","load_ms":-1,"resident_mb":0,"source":"measured"}]}"#;
        assert_eq!(read("c.json", negative).unwrap_err().code, "artefact-invalid");
        assert_eq!(read("c.json", r#"{"schema":"warmset.costs/9"}"#).unwrap_err().code, "schema-newer");
        assert_eq!(read("c.json", "{").unwrap_err().code, "artefact-invalid");
        let misspelt = r#"{"schema":"warmset.costs/1","entires":[]}"#;
        assert_eq!(read("c.json", misspelt).unwrap_err().code, "artefact-invalid");
    }
}
