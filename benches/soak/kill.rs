//! Kills processes of the runtime at random.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal};

use crate::trace::Random;
use crate::watch::{self, Role};

/// One kill.
pub struct Kill {
    pub at: Instant,
    pub role: Role,
}

/// Kills until it is stopped; `mean` is between two kills, which come as independent events do.
pub fn go(runtime: u32, seed: u64, mean: Duration, stop: &AtomicBool) -> Vec<Kill> {
    let mut random = Random::new(seed ^ 0x6b69_6c6c);
    let mut kills = Vec::new();
    loop {
        let pause = mean.mul_f64(-random.unit().ln());
        let end = Instant::now() + pause.min(mean * 5);
        while Instant::now() < end {
            if stop.load(Ordering::SeqCst) {
                return kills;
            }
            std::thread::sleep(Duration::from_millis(5).min(end.saturating_duration_since(Instant::now())));
        }
        let tree = watch::descendants(runtime);
        let roles = watch::roles(&tree);
        let mut by_role: BTreeMap<Role, Vec<u32>> = BTreeMap::new();
        for process in tree.iter().filter(|p| !p.ended) {
            let role = roles.get(&process.pid).copied().unwrap_or(Role::Other);
            if Role::KILLED.contains(&role) {
                by_role.entry(role).or_default().push(process.pid);
            }
        }
        // First the role, so that many functions do not hide the few hosts.
        let pick = random.below(by_role.len());
        let Some((role, pids)) = by_role.into_iter().nth(pick) else { continue };
        let pid = pids[random.below(pids.len())];
        let at = Instant::now();
        if kill(pid, &tree) {
            kills.push(Kill { at, role });
        }
    }
}

/// Ends a process if it is still the one that was seen.
fn kill(pid: u32, seen: &[watch::Process]) -> bool {
    let Some(number) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return false };
    let Ok(process) = rustix::process::pidfd_open(number, PidfdFlags::empty()) else { return false };
    let parent = std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .ok()
        .and_then(|stat| stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse::<u32>().ok());
    let same = parent.is_some() && parent == seen.iter().find(|p| p.pid == pid).map(|p| p.parent);
    same && rustix::process::pidfd_send_signal(&process, Signal::KILL).is_ok()
}
