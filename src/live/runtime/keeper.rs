//! Keeps images running: starts hosts, forks children from their parents, fills pools, replaces what has ended.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::linux::{ImageState, Inner};
use super::provision::ImageFiles;
use crate::live::held;
use crate::live::host::{Checkpoint, ForkServer, HostError, Memory, NodeProcess};
use crate::model::Language;
use crate::model::manifest::{SwapManifest, SwapMethod};

/// How often hosts are looked at when nobody has said that one has ended.
const LOOK: Duration = Duration::from_millis(100);
/// Longest pause before an image that fails again and again is started anew.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What runs of an image.
pub enum Live {
    /// Nothing, and why.
    Down(String),
    /// A Python host.
    Fork(Arc<ForkServer>),
    /// A Python process in files, as its host has threads that a fork would lose.
    Frozen(Arc<Checkpoint>),
    /// Node processes that wait.
    Pool(VecDeque<NodeProcess>),
}

impl Live {
    /// Whether a call can go to it now, as far as is known.
    pub fn is_up(&self) -> bool {
        match self {
            Live::Down(_) => false,
            Live::Fork(host) => host.alive(),
            Live::Frozen(_) => true,
            Live::Pool(ready) => !ready.is_empty(),
        }
    }

    /// Why it is down.
    pub fn why(&self) -> Option<String> {
        match self {
            Live::Down(why) => Some(why.clone()),
            Live::Fork(host) if !host.alive() => Some("the host has ended".into()),
            Live::Pool(ready) if ready.is_empty() => Some("no process is ready".into()),
            _ => None,
        }
    }

    /// Processes that wait for a call; a fork server makes them as they are needed.
    pub fn ready(&self) -> usize {
        match self {
            Live::Pool(ready) => ready.len(),
            Live::Fork(_) | Live::Frozen(_) | Live::Down(_) => 0,
        }
    }

    /// Its processes' numbers on this machine; those of its child images are theirs.
    pub fn pids(&self) -> Vec<u32> {
        match self {
            Live::Down(_) | Live::Frozen(_) => Vec::new(),
            Live::Fork(host) => host.pids(),
            Live::Pool(ready) => ready.iter().flat_map(NodeProcess::pids).collect(),
        }
    }

    /// Names of the threads that its host has besides the first: it is not forked, unless that is allowed.
    pub fn threads(&self) -> Vec<String> {
        match self {
            Live::Fork(host) => host.report().names.iter().skip(1).cloned().collect(),
            Live::Frozen(checkpoint) => checkpoint.report().names.iter().skip(1).cloned().collect(),
            Live::Pool(_) | Live::Down(_) => Vec::new(),
        }
    }

    /// Memory of those.
    pub fn memory(&self) -> Memory {
        Memory::of(&self.pids())
    }
}

/// When an image that could not be started is tried again.
#[derive(Default)]
struct Pauses(BTreeMap<String, (u32, Instant)>);

impl Pauses {
    fn is_over(&self, id: &str) -> bool {
        self.0.get(id).is_none_or(|(_, until)| Instant::now() >= *until)
    }

    fn failed(&mut self, id: &str) {
        let (times, until) = self.0.entry(id.to_string()).or_insert((0, Instant::now()));
        *until = Instant::now() + LONGEST_PAUSE.min(Duration::from_millis(200) * 2u32.pow((*times).min(10)));
        *times += 1;
    }

    /// A host that ends soon after it was started has failed too: the next pause is longer still.
    fn worked(&mut self, id: &str) {
        if self.0.get(id).is_some_and(|(_, until)| until.elapsed() > LONGEST_PAUSE) {
            self.0.remove(id);
        }
    }
}

/// What there is to do with an image that is not as it should be.
enum Trouble {
    /// It could not be started.
    Failed(HostError),
    /// Its parent is not there to fork it from: it is looked at again with the parent.
    Parent(String),
    /// Its host has ended; the next look starts another, after a pause if that goes on.
    Ended,
}

impl From<HostError> for Trouble {
    fn from(error: HostError) -> Self {
        Self::Failed(error)
    }
}

/// Starts a keeper for each image without a parent, which keeps its descendants too.
pub fn start(inner: &Arc<Inner>, manifest: &SwapManifest) -> Vec<JoinHandle<()>> {
    let mut trees: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let mut root_of: BTreeMap<&str, &str> = BTreeMap::new();
    // Parents stand before their children. One that is not there makes its children stand alone.
    for image in manifest.images.iter().filter(|i| inner.files.images.contains_key(&i.id)) {
        let forks = image.platform.language.forks();
        let parent = image.parent.as_deref().filter(|_| forks).and_then(|id| root_of.get(id).copied());
        let root = parent.unwrap_or(&image.id);
        root_of.insert(&image.id, root);
        trees.entry(root).or_default().push(image.id.clone());
    }
    trees
        .into_values()
        .filter_map(|tree| {
            let (own, ids) = (Arc::clone(inner), tree.clone());
            let keeper = std::thread::Builder::new().name("keeper".into()).spawn(move || keep(&own, &ids));
            // Where no thread can be had the images stay down, and calls start cold.
            if let Err(problem) = &keeper {
                for state in tree.iter().filter_map(|id| inner.images.get(id)) {
                    state.put(Live::Down(format!("nobody looks after it: {problem}")));
                    state.settled.store(true, Ordering::Release);
                }
            }
            keeper.ok()
        })
        .collect()
}

fn keep(inner: &Inner, tree: &[String]) {
    let mut pauses = Pauses::default();
    while !inner.stop.load(Ordering::SeqCst) {
        let mut again = false;
        for id in tree {
            if inner.closing.load(Ordering::SeqCst) {
                break;
            }
            let Some(state) = inner.images.get(id) else { continue };
            if pauses.is_over(id) {
                match tend(inner, tree, state) {
                    Ok(()) => pauses.worked(id),
                    Err(Trouble::Parent(why)) => state.put(Live::Down(why)),
                    Err(Trouble::Failed(problem)) => {
                        pauses.failed(id);
                        state.restarts.fetch_add(1, Ordering::Relaxed);
                        // A pool that could not be filled up is one all the same.
                        if !held(&state.live).is_up() {
                            state.put(Live::Down(problem.to_string()));
                        }
                    }
                    Err(Trouble::Ended) => {
                        // The first time at once, which is what most ends are.
                        if pauses.0.contains_key(id) {
                            pauses.failed(id);
                        } else {
                            pauses.0.insert(id.clone(), (0, Instant::now()));
                        }
                        state.restarts.fetch_add(1, Ordering::Relaxed);
                        // Its children share its pages, not the next one's; shut in, they have ended with it.
                        for (place, state) in descendants(inner, tree, id).enumerate() {
                            let why = if place == 0 { "the host has ended" } else { "its parent's host has ended" };
                            state.put(Live::Down(format!("{why} and is being replaced")));
                        }
                        again = true;
                    }
                }
                state.settled.store(true, Ordering::Release);
            }
        }
        let Some(root) = inner.images.get(&tree[0]) else { return };
        let live = held(&root.live);
        if !again && !inner.stop.load(Ordering::SeqCst) {
            let _ = root.changed.wait_timeout(live, LOOK);
        }
    }
    // Children first: what their parent's end would do to them is done in order.
    for state in tree.iter().rev().filter_map(|id| inner.images.get(id)) {
        state.put(Live::Down("the runtime stops".into()));
    }
}

/// An image and all that stand on it, parents first.
fn descendants<'a>(inner: &'a Inner, tree: &'a [String], id: &'a str) -> impl Iterator<Item = &'a ImageState> {
    let mut found = vec![id];
    for id in tree {
        let parent = inner.images.get(id).and_then(|state| state.image.parent.as_deref());
        if parent.is_some_and(|parent| found.contains(&parent)) {
            found.push(id);
        }
    }
    found.into_iter().filter_map(|id| inner.images.get(id))
}

/// Brings an image to what it should be, where it is not.
fn tend(inner: &Inner, tree: &[String], state: &ImageState) -> Result<(), Trouble> {
    let image = &state.image;
    let Some(files) = inner.files.images.get(&image.id) else { return Ok(()) };
    if image.platform.language == Language::Node {
        fill(inner, state)?;
        // For the calls that find it empty.
        let _ = freeze(inner, state, files);
        return Ok(());
    }
    match &*held(&state.live) {
        Live::Fork(host) if host.alive() => return Ok(()),
        Live::Frozen(_) => return Ok(()),
        Live::Fork(_) => return Err(Trouble::Ended),
        Live::Down(_) | Live::Pool(_) => {}
    }
    let parent = image.parent.as_ref().filter(|id| tree.contains(id)).and_then(|id| inner.images.get(id));
    let host = match parent {
        None => ForkServer::start(&inner.host(image, files)?)?,
        Some(parent) => {
            // There is no process to fork it from, and one that loaded the same would have the same threads.
            if matches!(&*held(&parent.live), Live::Frozen(_)) {
                let Some(checkpoint) = freeze(inner, state, files) else {
                    return Err(Trouble::Parent(format!("its parent {} is not forked", parent.image.id)));
                };
                state.put(Live::Frozen(checkpoint));
                return Ok(());
            }
            let host = match &*held(&parent.live) {
                Live::Fork(host) => Arc::clone(host),
                Live::Down(_) | Live::Pool(_) | Live::Frozen(_) => {
                    return Err(Trouble::Parent(format!("its parent {} does not run", parent.image.id)));
                }
            };
            match host.child(&inner.maker.child(image, &inner.files, files)) {
                // It was the parent that failed, and is the next to be looked at.
                Err(_) if !host.alive() => {
                    return Err(Trouble::Parent(format!("its parent {} has ended", parent.image.id)));
                }
                made => made?,
            }
        }
    };
    let threaded = host.report().names.len() > 1 && !inner.maker.options.allow_threads;
    // Until it is frozen calls hear of the threads.
    state.put(Live::Fork(Arc::new(host)));
    if threaded && let Some(checkpoint) = freeze(inner, state, files) {
        state.put(Live::Frozen(checkpoint));
    }
    Ok(())
}

/// The checkpoint of an image, which is made the first time, where CRIU is here and the manifest permits it.
fn freeze(inner: &Inner, state: &ImageState, files: &ImageFiles) -> Option<Arc<Checkpoint>> {
    let criu = inner.maker.criu.as_ref()?;
    if let Some(made) = &*held(&state.checkpoint) {
        return made.as_ref().ok().map(Arc::clone);
    }
    let image = &state.image;
    let allowed = image.swap.iter().any(|method| matches!(method, SwapMethod::Criu { .. }));
    let python = image.platform.language == Language::Python;
    let made = if allowed {
        let spec = inner.host(image, files);
        spec.and_then(|spec| Checkpoint::take(&spec, python, criu)).map(Arc::new).map_err(|e| e.to_string())
    } else {
        Err("the manifest does not name criu for it".to_string())
    };
    let ours = made.as_ref().ok().map(Arc::clone);
    *held(&state.checkpoint) = Some(made);
    ours
}

/// Starts processes until as many wait as should.
fn fill(inner: &Inner, state: &ImageState) -> Result<(), HostError> {
    let image = &state.image;
    let Some(files) = inner.files.images.get(&image.id) else { return Ok(()) };
    let wanted = inner.maker.pool(image);
    {
        let mut live = held(&state.live);
        if let Live::Pool(ready) = &mut *live {
            let before = ready.len();
            ready.retain(NodeProcess::alive);
            state.restarts.fetch_add((before - ready.len()) as u64, Ordering::Relaxed);
        }
    }
    while !inner.closing.load(Ordering::SeqCst) {
        if matches!(&*held(&state.live), Live::Pool(ready) if ready.len() >= wanted) {
            return Ok(());
        }
        std::thread::sleep(state.pause());
        let process = NodeProcess::start(&inner.host(image, files)?)?;
        let mut live = held(&state.live);
        match &mut *live {
            Live::Pool(ready) => ready.push_back(process),
            Live::Down(_) | Live::Fork(_) | Live::Frozen(_) => *live = Live::Pool(VecDeque::from([process])),
        }
    }
    Ok(())
}
