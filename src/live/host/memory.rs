//! Which processes are a host's, and what memory they take.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

/// Memory of some processes together.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Memory {
    /// Resident set, MB: what is shared counts for each.
    pub rss_mb: f64,
    /// Proportional set, MB: what n processes share counts for each with its nth part.
    pub pss_mb: f64,
    /// Memory that no other process has, MB.
    pub private_mb: f64,
    /// How many processes.
    pub processes: usize,
}

impl Memory {
    /// Of these processes; those that have ended meanwhile count nothing.
    pub fn of(pids: &[u32]) -> Self {
        let mut sum = Self::default();
        for pid in pids {
            let Ok(text) = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")) else { continue };
            let one = parse(&text);
            sum.rss_mb += one.rss_mb;
            sum.pss_mb += one.pss_mb;
            sum.private_mb += one.private_mb;
            sum.processes += 1;
        }
        sum
    }
}

/// proc_pid_smaps(5): `Pss:   1234 kB`, with kB of 1024 bytes.
fn parse(text: &str) -> Memory {
    let field = |name: &str| {
        let value =
            text.lines().find_map(|l| l.strip_prefix(name)?.trim().strip_suffix("kB")?.trim().parse::<f64>().ok());
        value.unwrap_or(0.0) * 1024.0 / 1e6
    };
    Memory {
        rss_mb: field("Rss:"),
        pss_mb: field("Pss:"),
        private_mb: field("Private_Clean:") + field("Private_Dirty:"),
        processes: 1,
    }
}

/// A process and all that descend from it, but for those below `without`.
pub(super) fn descendants(root: u32, without: &BTreeSet<u32>) -> Vec<u32> {
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse::<u32>().ok()) else { continue };
        if let Some(parent) = fs::read_to_string(entry.path().join("stat")).ok().and_then(|s| parent(&s)) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut found = Vec::new();
    let mut open = vec![root];
    while let Some(pid) = open.pop() {
        if !without.contains(&pid) {
            found.push(pid);
            open.extend(children.get(&pid).into_iter().flatten());
        }
    }
    found.sort_unstable();
    found
}

/// proc_pid_stat(5): the name in parentheses may hold anything.
fn parent(stat: &str) -> Option<u32> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kilobytes_of_the_kernel_are_1024_bytes() {
        let text = "55d0-7ffe ---p 00000000 00:00 0 [rollup]\nRss:  2000 kB\nPss:  1000 kB\nPss_Dirty: 7 kB\n\
                    Private_Clean: 250 kB\nPrivate_Dirty: 250 kB\n";
        assert_eq!(parse(text), Memory { rss_mb: 2.048, pss_mb: 1.024, private_mb: 0.512, processes: 1 });
    }

    #[test]
    fn a_name_with_parentheses_is_no_trap() {
        assert_eq!(parent("12 (a) R (b) S 7 12 12 0"), Some(7));
        assert_eq!(parent("12 (a"), None);
    }

    #[test]
    fn this_process_descends_from_its_parent() {
        let own = std::process::id();
        let parent = std::os::unix::process::parent_id();
        assert!(descendants(parent, &BTreeSet::new()).contains(&own));
        assert!(!descendants(parent, &BTreeSet::from([own])).contains(&own));
        assert!(Memory::of(&[own]).pss_mb > 0.1);
    }
}
