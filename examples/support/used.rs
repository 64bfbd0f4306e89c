//! What this process has used so far, as far as the system says.

/// CPU seconds of all its threads (of those that still run), and its peak resident MB.
pub fn used() -> (f64, f64) {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let ns = tasks.filter_map(|task| {
        let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<f64>().ok()
    });
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap_or_default();
    let peak = peak.trim().trim_end_matches(" kB").parse::<f64>().unwrap_or(0.0);
    (ns.sum::<f64>() / 1e9, peak * 1024.0 / 1e6)
}
