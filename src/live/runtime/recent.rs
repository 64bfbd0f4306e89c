//! A cache of images under a memory budget: what was asked for last stays, what was not asked for longest goes (LRU).
//!
//! This is what plans are compared with: one image a function, loaded when a call has missed it (prebaking).

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;

use super::keeper::Live;
use super::linux::{ImageState, Inner};
use crate::live::host::{ForkServer, HostError, NodeProcess};
use crate::live::sandbox::held;
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
    loop {
        let mut queue = held(&wanted.queue);
        let id = loop {
            if inner.stop.load(Ordering::SeqCst) {
                drop(queue);
                inner.images.values().for_each(|state| *held(&state.live) = Live::Down("the runtime stops".into()));
                return;
            }
            if let Some(id) = queue.pop_front() {
                break id;
            }
            queue = wanted.told.wait(queue).unwrap_or_else(std::sync::PoisonError::into_inner);
        };
        drop(queue);
        let Some(state) = inner.images.get(&id).filter(|state| !held(&state.live).is_up()) else { continue };
        match load(inner, state) {
            Ok(live) => {
                held_mb.insert(id.clone(), live.memory().pss_mb);
                *held(&state.live) = live;
            }
            Err(problem) => {
                state.restarts.fetch_add(1, Ordering::Relaxed);
                *held(&state.live) = Live::Down(problem.to_string());
            }
        }
        while held_mb.values().sum::<f64>() > budget_mb {
            let used = |id: &String| inner.images.get(id).map_or(0, |state| state.used.load(Ordering::Relaxed));
            let Some(oldest) = held_mb.keys().min_by_key(|id| used(id)).cloned() else { break };
            held_mb.remove(&oldest);
            if let Some(state) = inner.images.get(&oldest) {
                // A call that runs on it keeps it until it has ended.
                *held(&state.live) = Live::Down("others were asked for since".into());
            }
        }
    }
}

fn load(inner: &Inner, state: &ImageState) -> Result<Live, HostError> {
    let Some(files) = inner.files.images.get(&state.image.id) else {
        return Err(HostError::Setup("the image is not here".into()));
    };
    let spec = inner.maker.host(&state.image, &inner.files, files)?;
    Ok(match state.image.platform.language {
        Language::Python => Live::Fork(Arc::new(ForkServer::start(&spec)?)),
        Language::Node => Live::Pool(VecDeque::from([NodeProcess::start(&spec)?])),
    })
}
