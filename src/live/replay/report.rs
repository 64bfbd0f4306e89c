//! What a replay says: arrangements side by side, and what the plan promised against what was seen.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Arrangement, Seen};
use crate::cost::stats::{median, quantile};
use crate::live::runtime::{Invocation, Started};
use crate::model::units::round;

/// Value of the `schema` field.
pub const SCHEMA: &str = "warmset.replay/1";

/// One arrangement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// `none`, `one-each`, `plan`.
    pub arrangement: String,
    /// Calls made.
    pub calls: usize,
    /// Calls whose handler returned.
    pub ok: usize,
    /// Calls by outcome.
    pub outcomes: BTreeMap<String, usize>,
    /// What the last failed call of a function said, by function.
    pub failures: BTreeMap<String, String>,
    /// Milliseconds from the request until dependencies were loaded: median.
    pub ready_ms_median: f64,
    /// 95th percentile.
    pub ready_ms_p95: f64,
    /// 99th percentile.
    pub ready_ms_p99: f64,
    /// Share of calls that started cold, as planned or as a fallback.
    pub cold_share: f64,
    /// Proportional set size of all images together, MB: mean over time.
    pub memory_mb_mean: f64,
    /// Most at once.
    pub memory_mb_max: f64,
    /// CPU seconds of all that was started, loading of images included.
    pub cpu_s: f64,
    /// Seconds from the start of the images to the end of the last call.
    pub wall_s: f64,
    /// Milliseconds by which calls began after their time, 95th percentile: how far the machine was behind.
    pub late_ms_p95: f64,
}

/// One function: promised and seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FunctionCompared {
    /// Its id.
    pub function: String,
    /// Its image in the plan.
    pub image: String,
    /// Calls in the plan's arrangement that were put onto that image.
    pub calls: usize,
    /// Milliseconds that the plan promised to save a start.
    pub promised_ms: f64,
    /// Milliseconds that were saved: what its imports took in a cold start, less all of a swap until they were ready.
    pub saved_ms: f64,
    /// The same with the CPU time of both imports, which is what plans are made with: less depends on what else the machine
    /// does. The swap itself is wall time, as plans have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saved_cpu_ms: Option<f64>,
    /// Until dependencies were ready, cold: interpreter and sandbox included. Median.
    pub cold_ready_ms: f64,
    /// The same on its image.
    pub swap_ready_ms: f64,
    /// Until the last package was loaded, cold: what the module's own code does then is left out. Known of CommonJS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cold_packages_ms: Option<f64>,
    /// The same on its image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub swap_packages_ms: Option<f64>,
}

/// Promise against reality.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Promise {
    /// By function.
    pub functions: Vec<FunctionCompared>,
    /// Milliseconds promised for one start of each of them.
    pub promised_ms: f64,
    /// Milliseconds saved.
    pub saved_ms: f64,
    /// `saved / promised - 1`.
    pub error: f64,
    /// [`FunctionCompared::saved_cpu_ms`] of all, where it is known of each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saved_cpu_ms: Option<f64>,
    /// `saved_cpu / promised - 1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_cpu: Option<f64>,
    /// MB that the plan's images may take.
    pub budget_mb: f64,
    /// MB that the plan expected.
    pub expected_mb: f64,
    /// Most that they took.
    pub memory_mb: f64,
}

/// Two arrangements against each other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Compared {
    /// Geometric mean over functions of cold over swapped, until dependencies are ready.
    pub times_faster: f64,
    /// The same for the function for which it is least.
    pub least: f64,
}

/// A whole replay.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Replay {
    /// [`SCHEMA`].
    pub schema: String,
    /// Where the calls come from.
    pub trace: String,
    /// How functions were shut in.
    pub isolation: String,
    /// Side by side, in the order in which they ran.
    pub arrangements: Vec<Summary>,
    /// The plan's promise, where the plan and cold starts were both run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promise: Option<Promise>,
    /// Cold against swapped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speed: Option<Compared>,
    /// Functions left out, and why.
    pub left_out: BTreeMap<String, String>,
}

impl Summary {
    /// Sums up one arrangement.
    pub fn of(arrangement: Arrangement, seen: &Seen) -> Self {
        let mut outcomes: BTreeMap<String, usize> = BTreeMap::new();
        seen.calls.iter().for_each(|call| *outcomes.entry(call.outcome.clone()).or_default() += 1);
        let ready: Vec<f64> = seen.calls.iter().filter_map(|call| call.ready_ms).collect();
        let cold = seen.calls.iter().filter(|call| call.image.is_none()).count();
        let ms = |share: f64| round(quantile(&ready, share), 3);
        Self {
            arrangement: arrangement.name().to_string(),
            calls: seen.calls.len(),
            ok: seen.calls.iter().filter(|call| call.ok).count(),
            outcomes,
            failures: seen
                .calls
                .iter()
                .filter(|call| !call.ok)
                .map(|call| (call.function.clone(), call.error.clone().unwrap_or_else(|| call.outcome.clone())))
                .collect(),
            ready_ms_median: ms(0.5),
            ready_ms_p95: ms(0.95),
            ready_ms_p99: ms(0.99),
            cold_share: round(cold as f64 / seen.calls.len().max(1) as f64, 6),
            memory_mb_mean: round(seen.memory_mb.iter().sum::<f64>() / seen.memory_mb.len().max(1) as f64, 3),
            memory_mb_max: round(seen.memory_mb.iter().copied().fold(0.0, f64::max), 3),
            cpu_s: round(seen.cpu_s, 3),
            wall_s: round(seen.wall_s, 3),
            late_ms_p95: round(quantile(&seen.late_ms, 0.95), 3),
        }
    }
}

/// Medians of a function's calls of one kind.
fn medians<'a>(
    calls: impl Iterator<Item = &'a Invocation>,
    value: fn(&Invocation) -> Option<f64>,
) -> BTreeMap<&'a str, (usize, f64)> {
    let mut by_function: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for call in calls {
        if let Some(value) = value(call) {
            by_function.entry(&call.function).or_default().push(value);
        }
    }
    by_function.into_iter().map(|(function, values)| (function, (values.len(), median(&values)))).collect()
}

/// Holds the plan's promise (function, image, milliseconds) against what was seen cold and on the plan's images.
pub fn compare(
    promised: &[(String, String, f64)],
    cold: &Seen,
    plan: &Seen,
    (budget_mb, expected_mb): (f64, f64),
) -> (Promise, Option<Compared>) {
    let imports = medians(cold.calls.iter(), |call| call.import_ms);
    let cold_ready = medians(cold.calls.iter(), |call| call.ready_ms);
    let swapped = || plan.calls.iter().filter(|call| call.start == Started::Swap);
    let swap_ready = medians(swapped(), |call| call.ready_ms);
    let imports_cpu = medians(cold.calls.iter(), |call| call.import_cpu_ms);
    let swaps_cpu = medians(swapped(), |call| Some(call.ready_ms? - call.import_ms? + call.import_cpu_ms?));
    let packages = |call: &Invocation| Some(call.ready_ms? - call.own_ms?);
    let (cold_packages, swap_packages) = (medians(cold.calls.iter(), packages), medians(swapped(), packages));
    let of = |all: &BTreeMap<&str, (usize, f64)>, id: &str| all.get(id).map(|(_, ms)| round(*ms, 3));
    let mut functions = Vec::new();
    for (function, image, promised_ms) in promised {
        let id = function.as_str();
        let (Some(&(_, import_ms)), Some(&(_, cold_ready_ms)), Some(&(calls, swap_ready_ms))) =
            (imports.get(id), cold_ready.get(id), swap_ready.get(id))
        else {
            continue;
        };
        functions.push(FunctionCompared {
            function: function.clone(),
            image: image.clone(),
            calls,
            promised_ms: round(*promised_ms, 3),
            saved_ms: round(import_ms - swap_ready_ms, 3),
            saved_cpu_ms: imports_cpu
                .get(id)
                .zip(swaps_cpu.get(id))
                .map(|((_, cold), (_, swap))| round(cold - swap, 3)),
            cold_ready_ms: round(cold_ready_ms, 3),
            swap_ready_ms: round(swap_ready_ms, 3),
            cold_packages_ms: of(&cold_packages, id),
            swap_packages_ms: of(&swap_packages, id),
        });
    }
    let sum = |value: fn(&FunctionCompared) -> f64| functions.iter().map(value).sum::<f64>();
    let (promised_ms, saved_ms) = (sum(|f| f.promised_ms), sum(|f| f.saved_ms));
    let saved_cpu_ms: Option<f64> = functions.iter().map(|f| f.saved_cpu_ms).sum();
    let relative = |saved: f64| if promised_ms > 0.0 { round(saved / promised_ms - 1.0, 4) } else { 0.0 };
    let ratios: Vec<f64> = functions.iter().map(|f| f.cold_ready_ms / f.swap_ready_ms.max(1e-3)).collect();
    let speed = (!ratios.is_empty()).then(|| Compared {
        times_faster: round((ratios.iter().map(|r| r.ln()).sum::<f64>() / ratios.len() as f64).exp(), 2),
        least: round(ratios.iter().copied().fold(f64::INFINITY, f64::min), 2),
    });
    let promise = Promise {
        promised_ms: round(promised_ms, 3),
        saved_ms: round(saved_ms, 3),
        error: relative(saved_ms),
        saved_cpu_ms: saved_cpu_ms.map(|ms| round(ms, 3)),
        error_cpu: saved_cpu_ms.map(relative),
        budget_mb,
        expected_mb,
        memory_mb: round(plan.memory_mb.iter().copied().fold(0.0, f64::max), 3),
        functions,
    };
    (promise, speed)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A call of `f`, with milliseconds until ready and of its import.
    fn call(image: Option<&str>, ready_ms: f64, import_ms: f64) -> Invocation {
        Invocation {
            id: "1".into(),
            function: "f".into(),
            start: if image.is_some() { Started::Swap } else { Started::Cold },
            image: image.map(str::to_string),
            because: Vec::new(),
            ok: true,
            outcome: "ok".into(),
            result: serde_json::Value::Null,
            error: None,
            traceback: None,
            ready_ms: Some(ready_ms),
            import_ms: Some(import_ms),
            import_cpu_ms: Some(import_ms / 2.0),
            own_ms: None,
            run_ms: None,
            total_ms: ready_ms,
            cpu_ms: None,
            peak_mb: None,
            attempts: 1,
            logs: String::new(),
        }
    }

    fn seen(calls: Vec<Invocation>, memory_mb: &[f64]) -> Seen {
        Seen { late_ms: vec![0.0; calls.len()], calls, memory_mb: memory_mb.to_vec(), cpu_s: 1.5, wall_s: 2.0 }
    }

    #[test]
    fn an_arrangement_is_summed_up() {
        let mut failed = call(None, 50.0, 40.0);
        (failed.ok, failed.outcome, failed.error) = (false, "time-limit".into(), Some("too long".into()));
        let all = vec![call(Some("i"), 10.0, 1.0), call(Some("i"), 20.0, 1.0), call(None, 30.0, 9.0), failed];
        let summary = Summary::of(Arrangement::Plan, &seen(all, &[10.0, 30.0, 20.0]));
        assert_eq!((summary.calls, summary.ok, summary.cold_share), (4, 3, 0.5));
        // 10, 20, 30, 50: the middle lies halfway between 20 and 30.
        assert_eq!(summary.ready_ms_median, 25.0);
        assert_eq!((summary.memory_mb_mean, summary.memory_mb_max), (20.0, 30.0));
        assert_eq!(summary.failures["f"], "too long");
        assert_eq!(summary.outcomes["time-limit"], 1);
    }

    #[test]
    fn what_was_saved_is_the_cold_import_less_the_whole_swap() {
        let cold = seen(vec![call(None, 180.0, 100.0), call(None, 200.0, 120.0), call(None, 190.0, 110.0)], &[]);
        // A fallback says nothing of the image.
        let mut fallback = call(None, 500.0, 400.0);
        fallback.start = Started::Fallback;
        let plan = seen(vec![call(Some("i"), 10.0, 2.0), fallback], &[42.0]);
        let promised = [("f".to_string(), "i".to_string(), 80.0), ("never-called".to_string(), "i".to_string(), 9.0)];
        let (promise, speed) = compare(&promised, &cold, &plan, (100.0, 50.0));
        assert_eq!(promise.functions.len(), 1);
        assert_eq!((promise.functions[0].cold_packages_ms, promise.functions[0].swap_packages_ms), (None, None));
        // 110 of import, less 10; promised were 80: a quarter more.
        assert_eq!((promise.promised_ms, promise.saved_ms, promise.error), (80.0, 100.0, 0.25));
        // 55 of CPU, less the swap's 8 and its import's 1: 46.
        assert_eq!((promise.saved_cpu_ms, promise.error_cpu), (Some(46.0), Some(-0.425)));
        assert_eq!(promise.memory_mb, 42.0);
        let speed = speed.unwrap();
        // 190 of a cold start against 10.
        assert!((speed.times_faster - 19.0).abs() < 0.01 && (speed.least - 19.0).abs() < 0.01, "{speed:?}");
    }

    #[test]
    fn a_modules_own_code_is_left_out_where_it_is_known() {
        let with_own = |mut call: Invocation, ms| {
            call.own_ms = Some(ms);
            call
        };
        let cold = seen(vec![with_own(call(None, 100.0, 60.0), 5.0), with_own(call(None, 120.0, 60.0), 7.0)], &[]);
        let plan = seen(vec![with_own(call(Some("i"), 8.0, 4.0), 5.0)], &[]);
        let (promise, _) = compare(&[("f".into(), "i".into(), 9.0)], &cold, &plan, (1.0, 1.0));
        // Halfway between 95 and 113; 3 of 8.
        assert_eq!(
            (promise.functions[0].cold_packages_ms, promise.functions[0].swap_packages_ms),
            (Some(104.0), Some(3.0))
        );
    }

    #[test]
    fn nothing_in_common_compares_nothing() {
        let (promise, speed) = compare(&[], &seen(Vec::new(), &[]), &seen(Vec::new(), &[]), (1.0, 1.0));
        assert_eq!((promise.error, promise.functions.len(), speed), (0.0, 0, None));
        assert_eq!(Summary::of(Arrangement::None, &seen(Vec::new(), &[])).ready_ms_median, 0.0);
    }
}
