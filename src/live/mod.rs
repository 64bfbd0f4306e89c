//! What runs something: installers, tracers, image builders, the reference runtime.
//!
//! Invariant: whatever it starts, it ends, with everything that was started in turn; it writes only below folders that
//! its caller names, and prints nothing.

pub mod build;
#[cfg(unix)]
pub mod criu;
pub mod handler;
pub mod install;
pub mod measure;
pub mod process;
#[cfg(target_os = "linux")]
pub mod replay;
pub mod runtime;

#[cfg(target_os = "linux")]
pub mod host;
#[cfg(target_os = "linux")]
pub mod sandbox;

/// A guard that a panic in another thread does not take away.
#[cfg(target_os = "linux")]
pub(crate) fn held<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
