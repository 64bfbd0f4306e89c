//! A cache of images under a memory budget: what was asked for last stays, what was not asked for longest goes (LRU).
//!
//! This is what plans are compared with: one image a function, loaded when a call has missed it (prebaking).

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;

use super::keeper::Live;
use super::linux::{ImageState, Inner};
use crate::live::held;
use crate::live::host::{ForkServer, HostError, NodeProcess};
use crate::model::Language;

/// Images that calls have missed, in the order in which they were missed.
#[derive(Debug, Default)]
pub struct Wanted {
    queue: Mutex<VecDeque<String>>,
    told: Condvar,
}

impl Wanted {
    /// A call has missed an image.
    pub fn add(&self, id: &str) {
        let mut queue = held(&self.queue);
        if !queue.iter().any(|q| q == id) {
            queue.push_back(id.to_string());
        }
        self.told.notify_all();
    }

    /// Lets the keeper look whether the runtime stops.
    pub fn wake(&self) {
        let _queue = held(&self.queue);
        self.told.notify_all();
    }
}

/// Starts the one keeper.
pub fn start(inner: &Arc<Inner>, budget_mb: f64) -> Option<JoinHandle<()>> {
    let inner = Arc::clone(inner);
    std::thread::Builder::new().name("keeper".into()).spawn(move || keep(&inner, budget_mb)).ok()
}

fn keep(inner: &Inner, budget_mb: f64) {
    let Some(wanted) = &inner.wanted else { return };
    // Memory when it was loaded; a Node image's process is taken by a call and comes again.
    let mut held_mb: BTreeMap<String, f64> = BTreeMap::new();
    // Of all that were ever loaded: what an image is expected to take the next time.
    let mut known_mb: BTreeMap<String, f64> = BTreeMap::new();
    loop {
        let mut queue = held(&wanted.queue);
        let id = loop {
            if inner.stop.load(Ordering::SeqCst) {
                drop(queue);
                inner.images.values().for_each(|state| state.put(Live::Down("the runtime stops".into())));
                return;
            }
            if let Some(id) = queue.pop_front() {
                break id;
            }
            queue = wanted.told.wait(queue).unwrap_or_else(std::sync::PoisonError::into_inner);
        };
        drop(queue);
        let Some(state) = inner.images.get(&id).filter(|state| !held(&state.live).is_up()) else { continue };
        held_mb.remove(&id);
        let mean_mb = known_mb.values().sum::<f64>() / known_mb.len().max(1) as f64;
        make_room(inner, &mut held_mb, budget_mb - known_mb.get(&id).copied().unwrap_or(mean_mb));
        match load(inner, state) {
            Ok(live) => {
                let mb = live.memory().pss_mb;
                held_mb.insert(id.clone(), mb);
                known_mb.insert(id, mb);
                state.put(live);
            }
            Err(problem) => {
                state.restarts.fetch_add(1, Ordering::Relaxed);
                state.put(Live::Down(problem.to_string()));
            }
        }
        // What was loaded may be larger than expected.
        make_room(inner, &mut held_mb, budget_mb);
    }
}

/// Ends images, the one that was asked for longest ago first, until the rest takes no more than this.
fn make_room(inner: &Inner, held_mb: &mut BTreeMap<String, f64>, most_mb: f64) {
    while held_mb.values().sum::<f64>() > most_mb {
        let used = |id: &String| inner.images.get(id).map_or(0, |state| state.used.load(Ordering::Relaxed));
        let Some(oldest) = held_mb.keys().min_by_key(|id| used(id)).cloned() else { return };
        held_mb.remove(&oldest);
        if let Some(state) = inner.images.get(&oldest) {
            // A call that runs on it keeps it until it has ended.
            state.put(Live::Down("others were asked for since".into()));
        }
    }
}

fn load(inner: &Inner, state: &ImageState) -> Result<Live, HostError> {
    let Some(files) = inner.files.images.get(&state.image.id) else {
        return Err(HostError::Setup("the image is not here".into()));
    };
    std::thread::sleep(state.pause());
    let spec = inner.host(&state.image, files)?;
    Ok(match state.image.platform.language {
        Language::Python => Live::Fork(Arc::new(ForkServer::start(&spec)?)),
        Language::Node => Live::Pool(VecDeque::from([NodeProcess::start(&spec)?])),
    })
}
