//! `sweep.json`: what more memory would save.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::plan::{Aim, Share, Size, Status};

/// Value of the `schema` field.
pub const SCHEMA: &str = "warmset.sweep/1";

/// The best plans that were found for a range of budgets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Curve {
    /// [`SCHEMA`].
    pub schema: String,
    /// What wrote it.
    #[serde(default)]
    pub generator: String,
    /// Which functions an image may serve.
    pub share: Share,
    /// Which functions `objective` and `bound` are about.
    pub aim: Aim,
    /// Most images that may be kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_images: Option<usize>,
    /// `uniform` (every function weighs 1) or the trace's description.
    pub weights: String,
    /// Milliseconds that all planned functions load in the period without any image (known costs only).
    pub total_ms: f64,
    /// What the bounds are relative to.
    pub bound_covers: String,
    /// Numbers of the problem that was solved.
    pub size: Size,
    /// By budget, ascending; neither `objective` nor `bound` ever falls.
    pub points: Vec<Point>,
    /// Where more memory begins to save less than it does on average; absent when there is no such point.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub knee: Option<Knee>,
    /// The budget that was asked about besides; it is one of the points.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub marked_mb: Option<f64>,
}

/// The plan for one budget.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Point {
    /// Memory that may be used, MB.
    pub budget_mb: f64,
    /// Memory that the images take, MB.
    pub memory_mb: f64,
    /// How many they are.
    pub images: usize,
    /// Functions that have one.
    pub served: usize,
    /// Milliseconds saved in the planning period, over the functions that are aimed at.
    pub objective: f64,
    /// What of `total_ms` it saves the functions that there are, as a share; with the aim `known`, `objective / total_ms`.
    pub saved_share: f64,
    /// No plan made of the candidates saves more, ms.
    pub bound: f64,
    /// `(bound − objective) / bound`, 0 when the bound is 0.
    pub gap: f64,
    /// How far the search got.
    pub status: Status,
    /// Milliseconds that each MB saves between the point before this one (nothing at 0 MB) and this one.
    pub marginal_ms_per_mb: f64,
}

/// The point beyond which more memory is worth less than average.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Knee {
    /// Budget of the point.
    pub budget_mb: f64,
    /// Memory that its plan takes.
    pub memory_mb: f64,
    /// What it saves of the load time.
    pub saved_share: f64,
    /// How it was found.
    pub method: String,
}

impl Curve {
    /// Index of the point that is the knee.
    pub fn knee_point(&self) -> Option<usize> {
        let knee = self.knee.as_ref()?;
        self.points.iter().position(|p| p.budget_mb == knee.budget_mb)
    }
}
