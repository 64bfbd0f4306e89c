//! What a runtime counts: starts by kind, latencies and memory by image, as JSON and in Prometheus' text format
//! (version 0.0.4).

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

/// Upper ends of the latency classes, seconds.
pub const BUCKETS: [f64; 14] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0];

/// Latencies in classes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    /// How many fell into each class of [`BUCKETS`] and no lower one; the last counts those beyond.
    pub counts: [u64; BUCKETS.len() + 1],
    /// All together, seconds.
    pub sum_s: f64,
}

impl Histogram {
    fn add(&mut self, seconds: f64) {
        let class = BUCKETS.iter().position(|end| seconds <= *end).unwrap_or(BUCKETS.len());
        self.counts[class] += 1;
        self.sum_s += seconds;
    }
}

/// What is counted of one way of starting: on which image, and how.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Starts {
    /// Image, or empty for a cold start.
    pub image: String,
    /// `swap`, `fallback`, `criu` or `cold`.
    pub start: String,
    /// By outcome: `ok`, `error`, `time-limit` …
    pub outcomes: BTreeMap<String, u64>,
    /// From the request until dependencies were loaded.
    pub ready: Histogram,
    /// From the request until all had ended.
    pub total: Histogram,
}

/// An image as it is now.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ImageNow {
    /// Whether calls can go to it.
    pub up: bool,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Processes that wait for a call.
    pub ready: usize,
    /// How often it has been started anew, failures included.
    pub restarts: u64,
    /// Its processes.
    pub processes: usize,
    /// Their proportional set size, MB.
    pub pss_mb: f64,
    /// Their resident set size, MB.
    pub rss_mb: f64,
    /// Their numbers.
    pub pids: Vec<u32>,
    /// Threads that loading has started in a Python host: calls are refused, unless that was allowed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub threads: Vec<String>,
    /// Its loaded process in files, where one was wanted: what CRIU thaws for a call that finds no other process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<CheckpointNow>,
}

/// A loaded process in files.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CheckpointNow {
    /// Milliseconds that it took from its start until it had loaded: what a cold start of the same costs.
    pub load_ms: f64,
    /// Milliseconds that it took to thaw it until it answered.
    pub thaw_ms: f64,
    /// Size of its files, MB.
    pub mb: f64,
    /// Why there is none after all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why_not: Option<String>,
}

/// All of it at one moment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// By image and kind of start.
    pub starts: Vec<Starts>,
    /// By id.
    pub images: BTreeMap<String, ImageNow>,
}

/// Counts while the runtime runs.
#[derive(Debug, Default)]
pub struct Metrics(Mutex<BTreeMap<(String, String), Starts>>);

impl Metrics {
    /// Counts one call: `ready_s` where its dependencies were loaded.
    pub fn count(&self, image: &str, start: &str, outcome: &str, ready_s: Option<f64>, total_s: f64) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of = all.entry((image.to_string(), start.to_string())).or_insert_with(|| Starts {
            image: image.to_string(),
            start: start.to_string(),
            ..Starts::default()
        });
        *of.outcomes.entry(outcome.to_string()).or_default() += 1;
        ready_s.into_iter().for_each(|s| of.ready.add(s));
        of.total.add(total_s);
    }

    /// Counts one call.
    #[cfg(target_os = "linux")]
    pub fn record(&self, told: &super::call::Invocation) {
        let image = told.image.as_deref().unwrap_or("");
        self.count(image, told.start.name(), &told.outcome, told.ready_ms.map(|ms| ms / 1e3), told.total_ms / 1e3);
    }

    /// What was counted so far, beside what images are now.
    pub fn snapshot(&self, images: BTreeMap<String, ImageNow>) -> Snapshot {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Snapshot { starts: all.values().cloned().collect(), images }
    }
}

impl Snapshot {
    /// In Prometheus' text format.
    pub fn prometheus(&self) -> String {
        let mut out = String::new();
        family(&mut out, "warmset_invocations_total", "counter", "Calls, by image, kind of start and outcome.");
        for of in &self.starts {
            for (outcome, count) in &of.outcomes {
                let labels = [("image", of.image.as_str()), ("start", &of.start), ("outcome", outcome)];
                sample(&mut out, "warmset_invocations_total", &labels, *count as f64);
            }
        }
        type Pick = fn(&Starts) -> &Histogram;
        let histograms: [(&str, &str, Pick); 2] = [
            ("warmset_ready_seconds", "From the request until dependencies were loaded.", |of| &of.ready),
            ("warmset_invocation_seconds", "From the request until all of the call had ended.", |of| &of.total),
        ];
        for (name, help, pick) in histograms {
            family(&mut out, name, "histogram", help);
            for of in &self.starts {
                histogram(&mut out, name, [("image", of.image.as_str()), ("start", &of.start)], pick(of));
            }
        }
        type Value = fn(&ImageNow) -> f64;
        let gauges: [(&str, &str, &str, Value); 6] = [
            ("warmset_image_up", "gauge", "Whether calls can go to the image.", |i| f64::from(u8::from(i.up))),
            ("warmset_image_ready_processes", "gauge", "Processes that wait for a call.", |i| i.ready as f64),
            ("warmset_image_processes", "gauge", "Processes of the image.", |i| i.processes as f64),
            ("warmset_image_pss_bytes", "gauge", "Proportional set size of its processes.", |i| {
                (i.pss_mb * 1e6).round()
            }),
            ("warmset_image_rss_bytes", "gauge", "Resident set size of its processes.", |i| (i.rss_mb * 1e6).round()),
            ("warmset_image_restarts_total", "counter", "Starts after the first, failures included.", |i| {
                i.restarts as f64
            }),
        ];
        for (name, kind, help, value) in gauges {
            family(&mut out, name, kind, help);
            for (id, image) in &self.images {
                sample(&mut out, name, &[("image", id)], value(image));
            }
        }
        out
    }
}

fn family(out: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn histogram(out: &mut String, name: &str, labels: [(&str, &str); 2], of: &Histogram) {
    let mut below = 0;
    for (at, count) in of.counts.iter().enumerate() {
        below += count;
        let end = BUCKETS.get(at).map_or_else(|| "+Inf".to_string(), ToString::to_string);
        sample(out, &format!("{name}_bucket"), &[labels[0], labels[1], ("le", &end)], below as f64);
    }
    sample(out, &format!("{name}_sum"), &labels, of.sum_s);
    sample(out, &format!("{name}_count"), &labels, below as f64);
}

fn sample(out: &mut String, name: &str, labels: &[(&str, &str)], value: f64) {
    let escaped = |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let labels: Vec<String> = labels.iter().map(|(key, value)| format!("{key}=\"{}\"", escaped(value))).collect();
    let _ = writeln!(out, "{name}{{{}}} {value}", labels.join(","));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot() -> Snapshot {
        let metrics = Metrics::default();
        metrics.count("a", "swap", "ok", Some(0.004), 0.02);
        metrics.count("a", "swap", "ok", Some(0.005), 0.03);
        metrics.count("", "cold", "time-limit", None, 60.0);
        let image = ImageNow { up: true, pss_mb: 1.5, ..ImageNow::default() };
        metrics.snapshot(BTreeMap::from([("a\"b".to_string(), image)]))
    }

    #[test]
    fn classes_add_up_and_hold_their_upper_end() {
        let text = snapshot().prometheus();
        for line in [
            r#"warmset_invocations_total{image="a",start="swap",outcome="ok"} 2"#,
            r#"warmset_ready_seconds_bucket{image="a",start="swap",le="0.002"} 0"#,
            r#"warmset_ready_seconds_bucket{image="a",start="swap",le="0.005"} 2"#,
            r#"warmset_ready_seconds_bucket{image="a",start="swap",le="+Inf"} 2"#,
            r#"warmset_ready_seconds_count{image="",start="cold"} 0"#,
            r#"warmset_invocation_seconds_bucket{image="",start="cold",le="30"} 0"#,
            r#"warmset_invocation_seconds_bucket{image="",start="cold",le="+Inf"} 1"#,
            r#"warmset_image_pss_bytes{image="a\"b"} 1500000"#,
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\n{text}");
        }
    }

    #[test]
    fn each_family_is_described_once_and_before_its_samples() {
        let text = snapshot().prometheus();
        let mut seen = std::collections::BTreeSet::new();
        let mut current = String::new();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                current = rest.split(' ').next().unwrap().to_string();
                assert!(seen.insert(current.clone()), "{current} twice");
            } else if !line.starts_with('#') {
                assert!(line.starts_with(&current), "{line} stands under {current}");
            }
        }
        assert_eq!(seen.len(), 9);
    }
}
