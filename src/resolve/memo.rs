//! Work that several functions share is done once.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::discover::trace::{self, Trace};

/// Values made on first use, by key; threads that ask for the same key wait for one of them to make it.
#[derive(Debug)]
pub struct Memo<K, V> {
    cells: Mutex<Cells<K, V>>,
}

#[derive(Debug)]
struct Cells<K, V> {
    by_key: HashMap<K, Cell<V>>,
    turn: u64,
}

#[derive(Debug)]
struct Cell<V> {
    value: Arc<OnceLock<(Arc<V>, Trace)>>,
    used: u64,
}

impl<K: Hash + Eq + Clone, V> Memo<K, V> {
    /// Nothing is made yet.
    pub fn new() -> Self {
        Self { cells: Mutex::new(Cells { by_key: HashMap::new(), turn: 0 }) }
    }

    /// The value of a key, made now if nobody asked lately. `make` must not ask for the same key.
    pub fn get(&self, key: &K, make: impl FnOnce() -> V) -> Arc<V> {
        let cell = {
            let mut cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
            let turn = cells.turn;
            if !cells.by_key.contains_key(key) {
                cells.by_key.insert(key.clone(), Cell { value: Arc::default(), used: turn });
            }
            match cells.by_key.get_mut(key) {
                Some(cell) => {
                    cell.used = turn;
                    Arc::clone(&cell.value)
                }
                None => Arc::default(),
            }
        };
        // Whoever takes the value depends on what it was made from.
        let (value, trace) = cell.get_or_init(|| {
            let (value, trace) = if trace::is_on() { trace::of(make) } else { (make(), Trace::default()) };
            (Arc::new(value), trace)
        });
        trace::join(trace);
        Arc::clone(value)
    }

    /// Begins a turn and forgets what was not asked for in the last one, so that memory holds what is in use and not
    /// everything that ever was.
    pub fn turn(&self) {
        let mut cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
        let last = cells.turn;
        cells.by_key.retain(|_, cell| cell.used == last);
        cells.turn += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn a_value_is_made_once_whatever_the_threads() {
        let memo = Memo::new();
        let made = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    memo.get(&"key", || made.fetch_add(1, Ordering::SeqCst));
                });
            }
        });
        assert_eq!(made.into_inner(), 1);
    }

    #[test]
    fn what_a_turn_did_not_use_is_forgotten_and_made_again() {
        let memo = Memo::new();
        let made = AtomicUsize::new(0);
        let ask = |key: &'static str| {
            memo.get(&key, || made.fetch_add(1, Ordering::SeqCst));
            made.load(Ordering::SeqCst)
        };
        assert_eq!((ask("shared"), ask("once")), (1, 2));
        memo.turn();
        assert_eq!(ask("shared"), 2, "used in the last turn");
        memo.turn();
        assert_eq!(ask("shared"), 2, "used in every turn");
        assert_eq!(ask("once"), 3, "not used for a turn");
    }
}
