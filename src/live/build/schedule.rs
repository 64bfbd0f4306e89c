//! Which target is built when.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::{Built, Event, State};

struct Board {
    /// Targets whose parent is built, or that have none.
    ready: BTreeSet<usize>,
    states: Vec<Option<State>>,
    left: usize,
}

/// Does each piece of work once its parent's is done, at most `jobs` at a time and the first in order first. `parents`
/// holds positions that lie before the child's own, and so does `after`: what a piece without a parent waits for, however
/// that ends.
pub(super) fn run(
    parents: &[Option<usize>],
    after: &[Option<usize>],
    jobs: usize,
    stop: &AtomicBool,
    told: &(dyn Fn(Event<'_>) + Sync),
    work: &(dyn Fn(usize, Option<&Built>) -> State + Sync),
) -> Vec<State> {
    let waits = |at: usize| after.get(at).copied().flatten().filter(|_| parents[at].is_none());
    let ready = (0..parents.len()).filter(|&at| parents[at].is_none() && waits(at).is_none()).collect();
    let board = Mutex::new(Board { ready, states: vec![None; parents.len()], left: parents.len() });
    let changed = Condvar::new();
    let take = || -> Option<(usize, Option<Built>)> {
        let mut now = lock(&board);
        loop {
            if let Some(at) = now.ready.pop_first() {
                let parent = parents[at].and_then(|p| match &now.states[p] {
                    Some(State::Built(built)) => Some(built.clone()),
                    _ => None,
                });
                return Some((at, parent));
            }
            if now.left == 0 {
                return None;
            }
            now = changed.wait(now).unwrap_or_else(PoisonError::into_inner);
        }
    };
    let worker = || {
        while let Some((at, parent)) = take() {
            let state = if stop.load(Ordering::SeqCst) {
                State::Stopped
            } else {
                told(Event::Started(at));
                work(at, parent.as_ref())
            };
            told(Event::Ended(at, &state));
            let skipped = {
                let mut board = lock(&board);
                board.ready.extend((at + 1..parents.len()).filter(|&other| waits(other) == Some(at)));
                note(&mut board, parents, at, state)
            };
            changed.notify_all();
            for (at, state) in skipped {
                told(Event::Ended(at, &state));
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..jobs.clamp(1, parents.len().max(1)) {
            scope.spawn(worker);
        }
    });
    let board = board.into_inner().unwrap_or_else(PoisonError::into_inner);
    board.states.into_iter().map(|state| state.unwrap_or(State::Stopped)).collect()
}

/// Writes down how a target ended, and what that means for those that stand on it.
fn note(board: &mut Board, parents: &[Option<usize>], at: usize, state: State) -> Vec<(usize, State)> {
    let (good, stopped) = (matches!(state, State::Built(_)), state == State::Stopped);
    board.states[at] = Some(state);
    board.left -= 1;
    let mut skipped = Vec::new();
    // Parents stand before their children, so that one pass finds all descendants.
    let mut gone = BTreeSet::from([at]);
    for (child, parent) in parents.iter().enumerate().skip(at + 1) {
        let Some(parent) = parent.filter(|parent| gone.contains(parent)) else { continue };
        if good {
            board.ready.insert(child);
            continue;
        }
        gone.insert(child);
        let state = if stopped { State::Stopped } else { State::Skipped(parent) };
        board.states[child] = Some(state.clone());
        board.left -= 1;
        skipped.push((child, state));
    }
    skipped
}

fn lock(board: &Mutex<Board>) -> MutexGuard<'_, Board> {
    board.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::atomic::AtomicUsize;
    use std::time::{Duration, Instant};

    use super::super::{Failed, Image};
    use super::*;

    fn built() -> State {
        let image = Image { digest: "sha256:0".into(), bytes: 0, layers: Vec::new(), environment: BTreeMap::new() };
        State::Built(Built { image, seconds: 0.0, shared: 0, added: 0, pushed: None })
    }

    fn failed() -> State {
        State::Failed(Failed { reason: "no".into(), said: String::new(), no_base: None })
    }

    /// 0 ← 1 ← 3, 0 ← 4, 2 ← 5.
    const TREE: [Option<usize>; 6] = [None, Some(0), None, Some(1), Some(0), Some(2)];

    #[test]
    fn a_parent_is_done_before_its_child_begins() {
        for jobs in [1, 2, 8] {
            let done: Vec<AtomicBool> = TREE.iter().map(|_| AtomicBool::new(false)).collect();
            let no = AtomicBool::new(false);
            let states = run(&TREE, &[], jobs, &no, &|_| (), &|at, parent| {
                assert_eq!(parent.is_some(), TREE[at].is_some());
                assert!(TREE[at].is_none_or(|p| done[p].load(Ordering::SeqCst)));
                std::thread::sleep(Duration::from_millis(2));
                assert!(!done[at].swap(true, Ordering::SeqCst), "{at} twice");
                built()
            });
            assert!(states.iter().all(|s| *s == built()));
        }
    }

    #[test]
    fn what_does_not_depend_on_each_other_runs_at_the_same_time() {
        let (running, no) = (AtomicUsize::new(0), AtomicBool::new(false));
        // Two roots wait for each other: were they built one after the other, this would not end.
        let start = Instant::now();
        run(&[None, None], &[], 2, &no, &|_| (), &|_, _| {
            running.fetch_add(1, Ordering::SeqCst);
            while running.load(Ordering::SeqCst) < 2 {
                assert!(start.elapsed() < Duration::from_secs(60), "one at a time");
                std::thread::sleep(Duration::from_millis(1));
            }
            built()
        });
    }

    #[test]
    fn what_waits_for_another_begins_when_that_has_ended_well_or_not() {
        let (no, begun) = (AtomicBool::new(false), Mutex::new(Vec::new()));
        let after = [None, None, Some(0), None, None, None];
        let states = run(&TREE, &after, 1, &no, &|_| (), &|at, _| {
            begun.lock().unwrap().push(at);
            if at == 0 { failed() } else { built() }
        });
        assert_eq!(*begun.lock().unwrap(), [0, 2, 5]);
        assert_eq!(states[2], built());
        // Two at a time have time to begin together if nothing holds them.
        let ended = AtomicBool::new(false);
        run(&[None, None], &[None, Some(0)], 2, &no, &|_| (), &|at, _| {
            if at == 0 {
                std::thread::sleep(Duration::from_millis(30));
                ended.store(true, Ordering::SeqCst);
            }
            assert!(at == 0 || ended.load(Ordering::SeqCst));
            built()
        });
    }

    #[test]
    fn descendants_of_a_failure_are_skipped_and_the_others_go_on() {
        let (no, ended) = (AtomicBool::new(false), Mutex::new(Vec::new()));
        let told = |event: Event<'_>| {
            if let Event::Ended(at, _) = event {
                ended.lock().unwrap().push(at);
            }
        };
        let states = run(&TREE, &[], 2, &no, &told, &|at, _| if at == 1 { failed() } else { built() });
        assert_eq!(states, [built(), failed(), built(), State::Skipped(1), built(), built()]);
        let states = run(&TREE, &[], 1, &no, &told, &|at, _| if at == 0 { failed() } else { built() });
        assert_eq!(states, [failed(), State::Skipped(0), built(), State::Skipped(1), State::Skipped(0), built()]);
        let mut ended = ended.into_inner().unwrap();
        ended.sort_unstable();
        assert_eq!(ended, [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5], "each is told of once a run");
    }

    #[test]
    fn a_stop_keeps_what_is_built_and_begins_nothing_more() {
        let stop = AtomicBool::new(false);
        let states = run(&TREE, &[], 1, &stop, &|_| (), &|at, _| {
            if at == 1 {
                stop.store(true, Ordering::SeqCst);
                return State::Stopped;
            }
            built()
        });
        assert_eq!(states[0], built());
        assert_eq!(states[1..], vec![State::Stopped; 5]);
        assert!(run(&[], &[], 3, &stop, &|_| (), &|_, _| built()).is_empty());
    }
}
