//! `costs.json`: what loading each package costs, and where that figure comes from.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::name::PackageId;
use super::platform::{Language, Platform};

/// Value of the `schema` field.
pub const SCHEMA: &str = "warmset.costs/1";

/// Costs of packages and of swapping, by platform and language.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Costs {
    /// [`SCHEMA`].
    pub schema: String,
    /// What wrote it.
    #[serde(default)]
    pub generator: String,
    /// The command that made the figures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// The machine they were measured on, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// What does not depend on the package.
    #[serde(default)]
    pub languages: BTreeMap<Language, LanguageCosts>,
    /// Sorted by package and platform.
    pub entries: Vec<Cost>,
    /// First calls of handlers, where they were measured; sorted by function.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warmups: Vec<MeasuredWarmup>,
    /// How well the table predicts what it was made of, where it was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prediction: Option<Prediction>,
}

impl Costs {
    /// A table without an entry.
    pub fn empty() -> Self {
        Self {
            schema: SCHEMA.into(),
            generator: super::GENERATOR.into(),
            command: None,
            host: None,
            languages: BTreeMap::new(),
            entries: Vec::new(),
            warmups: Vec::new(),
            prediction: None,
        }
    }
}

/// A handler whose first call in a process takes longer than the next ones. Times are CPU milliseconds, medians.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MeasuredWarmup {
    /// Id of the function.
    pub function: String,
    /// Where it was measured.
    pub platform: Platform,
    /// Module (Python) or file without its ending (Node) that holds the handler, in the function's folder.
    pub module: String,
    /// Attribute or export that is the handler.
    pub call: String,
    /// The event that it was called with, from the function's event file.
    pub event: serde_json::Value,
    /// Loading the handler's module and its first call, in a process that has loaded the packages that the function imports.
    pub first_ms: f64,
    /// Calls after it.
    pub later_ms: f64,
    /// What the first call is spared by an earlier one in the process that it was forked from: `first_ms` less the same when
    /// the handler's module was forgotten and is loaded again; 0 where that is not so in three of four repetitions.
    pub saved_ms: f64,
    /// Resident MB that the call leaves in the process.
    pub added_mb: f64,
    /// Modules of packages that the first call loads and the imports do not: preloaded, they are paid before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub modules: Vec<String>,
    /// `name==version` or `name@version` of everything that imports and calls load; sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub packages: Vec<String>,
}

/// What the table says of whole closures, against what their loading took without a tracer. The figures come from one half
/// of the repetitions and the truth from the other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Prediction {
    /// Of CPU time.
    pub load: Errors,
    /// Of resident memory.
    pub resident: Errors,
    /// By id.
    pub functions: Vec<Predicted>,
}

/// Relative errors, without their signs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Errors {
    /// Half of the functions are predicted better than this.
    pub median: f64,
    /// Their mean.
    pub mean: f64,
    /// The largest.
    pub worst: f64,
}

/// One function's closure, predicted and measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Predicted {
    /// Id of the function.
    pub function: String,
    /// CPU milliseconds that it took.
    pub load_ms: f64,
    /// CPU milliseconds that the table says.
    pub predicted_load_ms: f64,
    /// `predicted / measured − 1`.
    pub load_error: f64,
    /// Resident MB that it took.
    pub resident_mb: f64,
    /// Resident MB that the table says.
    pub predicted_resident_mb: f64,
    /// `predicted / measured − 1`.
    pub resident_error: f64,
}

/// Costs that belong to a language's warm host, not to a package.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LanguageCosts {
    /// Resident MB of a warm host that has loaded nothing.
    pub image_overhead_mb: f64,
    /// Milliseconds to swap a function onto an empty image.
    pub swap_base_ms: f64,
    /// Milliseconds more for each resident MB of the image.
    pub swap_ms_per_mb: f64,
    /// Milliseconds charged to each start for each resident MB of the image that the function does not need: a price that
    /// the user sets (`--waste-ms-per-mb`), not a measurement. Absent: 0, as `swap_ms_per_mb` is charged for all of the image
    /// already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waste_ms_per_mb: Option<f64>,
    /// Load milliseconds for each MB on disk, for packages that nobody measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load_ms_per_disk_mb: Option<f64>,
    /// Resident MB for each MB on disk, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resident_mb_per_disk_mb: Option<f64>,
}

impl LanguageCosts {
    /// Milliseconds that one start pays for so many resident MB that it does not need, beside the swap.
    pub fn waste_ms(&self, unneeded_mb: f64) -> f64 {
        self.waste_ms_per_mb.unwrap_or(0.0) * unneeded_mb
    }
}

/// Where a cost comes from, the most trustworthy first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CostSource {
    /// Measured on this fleet.
    Measured,
    /// From the table that ships with warmset, which a script in its repository measured.
    Prior,
    /// From the size on disk, or from another version of the same package: `basis` says which.
    Estimated,
    /// Given by the user for everything that has no figure (`--assume-cost`).
    Assumed,
}

impl std::fmt::Display for CostSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            CostSource::Measured => "measured",
            CostSource::Prior => "prior",
            CostSource::Estimated => "estimated",
            CostSource::Assumed => "assumed",
        })
    }
}

/// What it took to load a package where it was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum How {
    /// Functions' own imports led to it.
    Imports,
    /// Only importing it by its own name did: what requires it leaves it alone at a cold start.
    Direct,
    /// Nothing to load: data, types, or a binary that another package maps.
    Disk,
}

/// What one package costs to load, excluding what it loads from other packages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Cost {
    /// The package.
    pub package: PackageId,
    /// Where it was measured; absent when the figure holds anywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// Exclusive CPU milliseconds.
    pub load_ms: f64,
    /// Exclusive resident MB.
    pub resident_mb: f64,
    /// MB on disk once installed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_mb: Option<f64>,
    /// Where the figure comes from.
    pub source: CostSource,
    /// What it took to load the package where it was measured; absent counts as [`How::Imports`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub how: Option<How>,
    /// For an estimate: what it rests on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basis: Option<String>,
    /// Number of measurements.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub samples: Option<u32>,
    /// Interquartile range of `load_ms` over its median.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spread: Option<f64>,
    /// Module names that load the package when imported.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub modules: Vec<String>,
}
