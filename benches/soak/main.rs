//! Soak: an hour of bursty calls in ten minutes while hosts are killed at random. Nothing may be lost, doubled or leaked,
//! and memory stays flat.
//!
//! ```text
//! cargo bench --bench soak [-- --minutes 10 --calls 50000 --seed 1 --kill-every 4 --retries 0 --standby 1 --at-once 48]
//! cargo bench --bench soak -- --test        a few seconds, as CI runs it
//! ```
//!
//! It drives `warmset serve` over its socket, as users do: so its descriptors, threads and memory are the runtime's alone,
//! an answer that is lost on its way is lost, and what is left after its end can be looked for. What is counted comes from
//! outside of it: callers (one connection a call), executions (a FIFO to which handlers write, see `fleet.rs`), and /proc.
//! As root in full isolation, else in what the user is permitted, which is said. Needs no registry. Ends with 1 and a list
//! where something is found.

#[cfg(target_os = "linux")]
#[path = "../../tests/common/mod.rs"]
mod common;
#[cfg(target_os = "linux")]
mod fleet;
#[cfg(target_os = "linux")]
mod judge;
#[cfg(target_os = "linux")]
mod kill;
#[cfg(target_os = "linux")]
mod run;
#[cfg(target_os = "linux")]
#[path = "../../tests/runtime_support/mod.rs"]
mod runtime_support;
#[cfg(target_os = "linux")]
mod trace;
#[cfg(target_os = "linux")]
mod watch;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    run::main()
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("skipped: the reference runtime is for Linux");
}
