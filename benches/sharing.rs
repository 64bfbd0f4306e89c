//! What sharing saves: ten functions with the same dependencies on ten own images against one shared image, then the
//! fixture fleet's whole plan against an own image for each of its functions. Bytes of root file systems, memory that
//! is really held (proportional set size), and the pages that a checkpoint would hold.
//!
//! `cargo bench --bench sharing [-- FUNCTION...]`; `--test` takes three functions instead of ten and leaves out the fleet.
//! As root in full isolation, else with what the user is permitted. Installs packages on the first run.

#[cfg(target_os = "linux")]
#[path = "sharing/memory.rs"]
mod memory;
#[cfg(target_os = "linux")]
#[path = "sharing/plan.rs"]
mod plan;
#[cfg(target_os = "linux")]
#[path = "sharing/ten.rs"]
mod ten;

#[cfg(target_os = "linux")]
fn main() {
    linux::main();
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("sharing: skipped, hosts run on Linux only");
}

#[cfg(target_os = "linux")]
mod linux {
    use std::collections::BTreeMap;
    use std::fs;
    use std::path::{Path, PathBuf};
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;
    use std::time::Duration;

    use warmset::live::host::CallLimits;
    use warmset::live::install::{Scratch, Store};
    use warmset::live::runtime::provision::{Provisioned, Sources, provision};
    use warmset::live::runtime::{Maker, Options};
    use warmset::live::sandbox::{Group, Limits, Permitted, probe};
    use warmset::model::manifest::SwapManifest;
    use warmset::model::read;

    use super::{plan, ten};

    /// Functions whose dependencies ten others have too: from little to much memory, and one of Node.
    const LIKE: [&str; 4] = ["functionbench/chameleon", "sam-shop/InvoicePdf", "analytics/daily_report", "web-catalog"];

    /// Everything that both parts need.
    pub struct Bench {
        pub manifest: SwapManifest,
        pub files: Provisioned,
        pub permitted: Permitted,
        pub warmset: PathBuf,
        pub store: Store,
        pub scratch: Scratch,
    }

    impl Bench {
        fn open(only: Option<&[String]>) -> Self {
            let root = Path::new(env!("CARGO_MANIFEST_DIR"));
            let folder = root.join("plans/fleet");
            let text = fs::read_to_string(folder.join("swap-manifest.json")).expect("the golden plan");
            let mut manifest = read::manifest("swap-manifest.json", &text).expect("a manifest");
            if let Some(only) = only {
                manifest.functions.retain(|f| only.contains(&f.id));
                manifest.closures.retain(|c| manifest.functions.iter().any(|f| f.closure.as_ref() == Some(&c.id)));
                manifest.images.clear();
            }
            let warmset = PathBuf::from(env!("CARGO_BIN_EXE_warmset"));
            let permitted = probe(&warmset, 300_000).expect("a trial");
            for lack in &permitted.lacks {
                println!("without {}: {}", lack.what, lack.why);
            }
            let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).unwrap_or_else(|| {
                PathBuf::from(std::env::var_os("HOME").expect("a home folder for packages, or XDG_CACHE_HOME"))
                    .join(".cache")
            });
            let store = Store::open(&cache.join("warmset"), Duration::from_secs(600)).expect("a store");
            let scratch = store.scratch().expect("a scratch folder");
            let inside = Path::new("/opt/warm/node_modules");
            let sources = Sources {
                plan: &folder,
                code: &root.join("fixtures/fleet"),
                state: scratch.path(),
                modules_at: permitted.isolation.is_isolated().then_some(inside),
            };
            let files = provision(&manifest, sources, &store, &AtomicBool::new(false), &|_| ()).expect("provisioned");
            Self { manifest, files, permitted, warmset, store, scratch }
        }

        /// As `warmset serve` makes hosts unless told otherwise.
        pub fn maker(&self) -> Maker {
            let functions = self.scratch.path().join("functions");
            fs::create_dir_all(&functions).expect("a folder");
            Maker {
                options: Options {
                    warmset: self.warmset.clone(),
                    isolation: self.permitted.isolation,
                    network: false,
                    allow_threads: false,
                    standby: 0,
                    pool: Some(1),
                    limits: CallLimits { time: Duration::from_secs(120), ..CallLimits::default() },
                    bounds: Limits { pids: Some(256), cpus: None, memory_mb: None },
                    retries: 0,
                    start_limit: Duration::from_secs(120),
                },
                criu: None,
                group: self.group(),
                shared: vec![functions, self.store.environments()],
                scratch: self.scratch.path().to_path_buf(),
            }
        }

        pub fn group(&self) -> Option<Arc<Group>> {
            Group::new(&self.permitted.hierarchies).expect("control groups")
        }
    }

    /// Regular files below a folder: bytes by path, links not followed.
    pub fn tree(folder: &Path) -> BTreeMap<PathBuf, u64> {
        let files = walkdir::WalkDir::new(folder).into_iter().flatten().filter(|e| e.file_type().is_file());
        files
            .filter_map(|e| Some((e.path().strip_prefix(folder).ok()?.to_path_buf(), e.metadata().ok()?.len())))
            .collect()
    }

    /// Their sum, MB.
    pub fn mb(tree: &BTreeMap<PathBuf, u64>) -> f64 {
        tree.values().sum::<u64>() as f64 / 1e6
    }

    /// What is in one and not in the other, MB: a layer on top of it.
    pub fn besides_mb(tree: &BTreeMap<PathBuf, u64>, below: &BTreeMap<PathBuf, u64>) -> f64 {
        tree.iter().filter(|(path, size)| below.get(*path) != Some(*size)).map(|(_, size)| *size).sum::<u64>() as f64
            / 1e6
    }

    /// `-91.0 %`.
    pub fn saved(with: f64, without: f64) -> String {
        if without > 0.0 { format!("{:+.1} %", 100.0 * (with / without - 1.0)) } else { "-".into() }
    }

    pub fn main() {
        let args: Vec<String> = std::env::args().skip(1).collect();
        let is_test = args.iter().any(|a| a == "--test");
        let mut like: Vec<String> = args.into_iter().filter(|a| !a.starts_with('-')).collect();
        if like.is_empty() {
            let default: &[&str] = if is_test { &["functionbench/chameleon", "web-catalog"] } else { &LIKE };
            like = default.iter().map(ToString::to_string).collect();
        }
        let bench = Bench::open(is_test.then_some(&like));
        let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        println!("load average {}; MB of 10^6 bytes", load.split(' ').next().unwrap_or(""));
        let count = if is_test { 3 } else { 10 };
        for function in &like {
            ten::compare(&bench, function, count);
        }
        if !is_test {
            plan::compare(&bench);
        }
    }
}
