//! The reference runtime: acts on a swap manifest and the folders that it names. Linux only.
//!
//! Each image without a parent has a keeper, a thread that starts its hosts, forks its children from them and replaces
//! what ends. A call goes to its function's image, else to a fallback, else it starts cold; it never waits for a host.

#[cfg(target_os = "linux")]
pub mod built;
#[cfg(target_os = "linux")]
mod call;
#[cfg(target_os = "linux")]
pub mod http;
#[cfg(target_os = "linux")]
mod keeper;
#[cfg(target_os = "linux")]
mod maker;
pub mod metrics;
pub mod provision;
#[cfg(target_os = "linux")]
mod recent;

#[cfg(target_os = "linux")]
pub use self::linux::*;

#[cfg(target_os = "linux")]
mod linux {
    use std::collections::BTreeMap;
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
    use std::sync::{Arc, Condvar, Mutex};
    use std::thread::JoinHandle;
    use std::time::{Duration, Instant};

    pub use super::call::{Invocation, Started};
    pub use super::maker::{Maker, Options};

    use super::keeper::{self, Live};
    use super::metrics::{CheckpointNow, ImageNow, Metrics, Snapshot};
    use super::provision::{ImageFiles, Provisioned};
    use super::recent::{self, Wanted};
    use crate::live::held;
    use crate::live::host::{Checkpoint, HostError, HostSpec, Memory};
    use crate::model::manifest::{ManifestFunction, ManifestImage, SwapManifest};

    /// A running runtime. Dropping it ends all that it has started.
    pub struct Runtime {
        pub(super) inner: Arc<Inner>,
        keepers: Vec<JoinHandle<()>>,
    }

    /// What keepers and calls share.
    pub(super) struct Inner {
        pub images: BTreeMap<String, ImageState>,
        pub functions: BTreeMap<String, ManifestFunction>,
        pub files: Provisioned,
        pub maker: Maker,
        pub metrics: Metrics,
        pub stop: AtomicBool,
        /// Nothing is loaded any more; what runs goes on.
        pub closing: Arc<AtomicBool>,
        pub numbers: AtomicU64,
        /// Which images are to be loaded, where not all are.
        pub wanted: Option<Wanted>,
    }

    /// One image and what runs of it.
    pub(super) struct ImageState {
        pub image: ManifestImage,
        pub live: Mutex<Live>,
        /// Told when something of it has ended, was taken, or the runtime stops.
        pub changed: Condvar,
        pub restarts: AtomicU64,
        /// When it was last asked for, in calls of the runtime.
        pub used: AtomicU64,
        /// When a call took a process of it (Node).
        pub taken: Mutex<Option<Instant>>,
        /// Its loaded process in files, or why there is none; absent until it is wanted.
        pub checkpoint: Mutex<Option<Result<Arc<Checkpoint>, String>>>,
        /// Whether its keeper has looked at it.
        pub settled: AtomicBool,
    }

    impl ImageState {
        /// How long the process that comes in the place of one just taken is to wait: the call should not have to share the
        /// processor with it before its dependencies are ready.
        pub fn pause(&self) -> Duration {
            const QUIET: Duration = Duration::from_millis(30);
            held(&self.taken).map_or(Duration::ZERO, |taken| QUIET.saturating_sub(taken.elapsed()))
        }

        /// What is to be said of its checkpoint.
        pub fn frozen(&self) -> Option<CheckpointNow> {
            let made = held(&self.checkpoint);
            Some(match made.as_ref()? {
                Ok(checkpoint) => {
                    let (load_ms, thaw_ms) = checkpoint.times_ms();
                    CheckpointNow { load_ms, thaw_ms, mb: checkpoint.bytes() as f64 / 1e6, why_not: None }
                }
                Err(why) => CheckpointNow { why_not: Some(why.clone()), ..CheckpointNow::default() },
            })
        }

        /// Replaces what runs of it. What ran is ended here, which may take a while, and calls do not wait for that.
        pub fn put(&self, live: Live) {
            let before = std::mem::replace(&mut *held(&self.live), live);
            drop(before);
        }
    }

    impl Inner {
        /// What starts a host of an image.
        pub fn host(&self, image: &ManifestImage, files: &ImageFiles) -> Result<HostSpec, HostError> {
            let spec = self.maker.host(image, &self.files, files)?;
            Ok(HostSpec { stop: Arc::clone(&self.closing), ..spec })
        }
    }

    /// Which images are kept.
    #[derive(Debug, Clone, Copy, PartialEq)]
    pub enum Keep {
        /// All of the manifest's.
        All,
        /// Those asked for last that together stay within so many MB; one is loaded after a call that missed it.
        Recent {
            /// Proportional set size of all of them, MB.
            budget_mb: f64,
        },
    }

    impl Runtime {
        /// Starts images, and returns at once: calls come cold until their image is there.
        pub fn start(manifest: &SwapManifest, files: Provisioned, maker: Maker, keep: Keep) -> Self {
            let images = manifest.images.iter().map(|image| {
                let missing = !files.images.contains_key(&image.id);
                let told = files.diagnostics.iter().find(|d| d.place.file == image.folder);
                let why = match told.filter(|_| missing) {
                    Some(told) => format!("the image is not here: {}", told.reason),
                    None if missing => "the image is not here".to_string(),
                    None => "the image is being loaded".to_string(),
                };
                let state = ImageState {
                    image: image.clone(),
                    live: Mutex::new(Live::Down(why)),
                    changed: Condvar::new(),
                    restarts: AtomicU64::new(0),
                    used: AtomicU64::new(0),
                    checkpoint: Mutex::new(None),
                    taken: Mutex::new(None),
                    settled: AtomicBool::new(false),
                };
                (image.id.clone(), state)
            });
            let inner = Arc::new(Inner {
                images: images.collect(),
                functions: manifest.functions.iter().map(|f| (f.id.clone(), f.clone())).collect(),
                files,
                maker,
                metrics: Metrics::default(),
                stop: AtomicBool::new(false),
                closing: Arc::default(),
                numbers: AtomicU64::new(0),
                wanted: matches!(keep, Keep::Recent { .. }).then(Wanted::default),
            });
            let keepers = match keep {
                Keep::All => keeper::start(&inner, manifest),
                Keep::Recent { budget_mb } => recent::start(&inner, budget_mb).into_iter().collect(),
            };
            Self { inner, keepers }
        }

        /// Waits until every image that is here runs or has failed once; `false` where that takes too long.
        pub fn settle(&self, limit: Duration) -> bool {
            let end = std::time::Instant::now() + limit;
            let is_open = |state: &ImageState| {
                self.inner.files.images.contains_key(&state.image.id) && !state.settled.load(Ordering::Acquire)
            };
            while self.inner.images.values().any(is_open) {
                if std::time::Instant::now() > end {
                    return false;
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            true
        }

        /// From now on nothing is loaded: images that are being loaded are given up, and those that end are not replaced.
        /// Calls that run go on, and others find what there still is.
        pub fn stop_loading(&self) {
            self.inner.closing.store(true, Ordering::SeqCst);
        }

        /// Runs a function.
        pub fn invoke(&self, function: &str, event: &serde_json::Value) -> Invocation {
            self.inner.invoke(function, event)
        }

        /// Ids of all functions.
        pub fn functions(&self) -> impl Iterator<Item = &str> {
            self.inner.functions.keys().map(String::as_str)
        }

        /// Why a function or an image is not here, and other things to tell.
        pub fn files(&self) -> &Provisioned {
            &self.inner.files
        }

        /// Counts, latencies and memory. Memory is read now: some milliseconds a process.
        pub fn snapshot(&self) -> Snapshot {
            let images = self.inner.images.iter().map(|(id, state)| {
                let mut now = {
                    let live = held(&state.live);
                    ImageNow {
                        up: live.is_up(),
                        why: live.why(),
                        ready: live.ready(),
                        restarts: state.restarts.load(Ordering::Relaxed),
                        pids: live.pids(),
                        threads: live.threads(),
                        checkpoint: state.frozen(),
                        ..ImageNow::default()
                    }
                };
                // Calls go on while the kernel adds up.
                let memory = Memory::of(&now.pids);
                (now.processes, now.pss_mb, now.rss_mb) = (memory.processes, memory.pss_mb, memory.rss_mb);
                (id.clone(), now)
            });
            let images = images.collect();
            self.inner.metrics.snapshot(images)
        }
    }

    impl Drop for Runtime {
        fn drop(&mut self) {
            self.stop_loading();
            self.inner.stop.store(true, Ordering::SeqCst);
            self.inner.images.values().for_each(|state| state.changed.notify_all());
            self.inner.wanted.iter().for_each(Wanted::wake);
            for keeper in self.keepers.drain(..) {
                let _ = keeper.join();
            }
        }
    }
}
