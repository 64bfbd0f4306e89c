//! YAML as pnpm and Yarn write it.

/// Limits for hostile files: a real lock has neither anchors nor depth, and its size is bounded by whoever read it.
pub fn options(text: &str) -> serde_saphyr::Options {
    let mut budget = serde_saphyr::Budget::default();
    budget.max_events = budget.max_events.max(text.len());
    budget.max_nodes = budget.max_nodes.max(text.len());
    budget.max_total_scalar_bytes = budget.max_total_scalar_bytes.max(text.len());
    serde_saphyr::options! { budget: Some(budget) }
}

/// Line and reason of an error in a text, in one line without the place.
pub fn reason(error: &serde_saphyr::Error, text: &str) -> (u32, String) {
    // An unfinished last line is reported on the one after it.
    let last = text.matches(['\n', '\r']).count() as u64 + 1;
    let line = error.location().map_or(0, |at| u32::try_from(at.line().min(last)).unwrap_or(u32::MAX));
    let reason = error.to_string();
    let reason = reason.lines().next().unwrap_or_default();
    // The place says the line.
    let reason = reason.strip_prefix("error: ").unwrap_or(reason);
    let reason = match reason.split_once(": ") {
        Some((at, what)) if at.starts_with("line ") => what,
        _ => reason,
    };
    (line, reason.to_string())
}
