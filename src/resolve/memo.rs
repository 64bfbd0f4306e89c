//! Work that several functions share is done once.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Values made on first use, by key; threads that ask for the same key wait for one of them to make it.
#[derive(Debug)]
pub struct Memo<K, V> {
    cells: Mutex<HashMap<K, Arc<OnceLock<Arc<V>>>>>,
}

impl<K: Hash + Eq + Clone, V> Memo<K, V> {
    /// Nothing is made yet.
    pub fn new() -> Self {
        Self { cells: Mutex::new(HashMap::new()) }
    }

    /// The value of a key, made now if nobody asked before. `make` must not ask for the same key.
    pub fn get(&self, key: &K, make: impl FnOnce() -> V) -> Arc<V> {
        let cell = {
            let mut cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(cells.entry(key.clone()).or_default())
        };
        Arc::clone(cell.get_or_init(|| Arc::new(make())))
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
}
