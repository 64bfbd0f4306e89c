//! Memory of processes: what the kernel adds up, and the pages that a checkpoint would have to hold.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::FileExt;

/// Of some processes together, MB.
#[derive(Debug, Clone, Copy, Default)]
pub struct Held {
    /// Proportional set size.
    pub pss: f64,
    /// Pages that no other process has and that differ from any file.
    pub private_dirty: f64,
}

/// What processes hold now; those that have ended hold nothing.
pub fn held(pids: &[u32]) -> Held {
    let mut all = Held::default();
    for pid in pids {
        let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
        // proc_pid_smaps(5): `Pss:   1234 kB`, with kB of 1024 bytes.
        let field = |name: &str| {
            let line =
                text.lines().find_map(|l| l.strip_prefix(name)?.trim().strip_suffix("kB")?.trim().parse::<f64>().ok());
            line.unwrap_or(0.0) * 1024.0 / 1e6
        };
        all.pss += field("Pss:");
        all.private_dirty += field("Private_Dirty:");
    }
    all
}

/// Digests of the pages that are a process's own by content: present, not a file's, and not all zero. That is what a
/// checkpoint writes (proc_pid_pagemap(5): bit 63 present, bit 61 a file's or shared). `None` where it may not be read.
pub fn pages(pid: u32) -> Option<Vec<u64>> {
    const PAGE: u64 = 4096;
    /// Of a reserved range that nobody has touched there is no end.
    const MOST: u64 = 1 << 22;
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).ok()?;
    let (pagemap, memory) =
        (File::open(format!("/proc/{pid}/pagemap")).ok()?, File::open(format!("/proc/{pid}/mem")).ok()?);
    let mut out = Vec::new();
    for line in maps.lines() {
        let range = line.split(' ').next().and_then(|range| range.split_once('-'));
        let Some((Ok(from), Ok(to))) = range.map(|(a, b)| (u64::from_str_radix(a, 16), u64::from_str_radix(b, 16)))
        else {
            continue;
        };
        if line.ends_with("[vsyscall]") || line.ends_with("[vvar]") || (to - from) / PAGE > MOST {
            continue;
        }
        let mut entries = vec![0u8; ((to - from) / PAGE * 8) as usize];
        if pagemap.read_exact_at(&mut entries, from / PAGE * 8).is_err() {
            continue;
        }
        for (at, entry) in entries.chunks_exact(8).enumerate() {
            let entry = u64::from_le_bytes(entry.try_into().unwrap_or_default());
            let mut page = [0u8; PAGE as usize];
            let own = entry >> 63 == 1 && entry >> 61 & 1 == 0;
            if own && memory.read_exact_at(&mut page, from + at as u64 * PAGE).is_ok() && page.iter().any(|b| *b != 0) {
                let mut hasher = DefaultHasher::new();
                page.hash(&mut hasher);
                out.push(hasher.finish());
            }
        }
    }
    Some(out)
}

/// MB of so many pages.
pub fn mb_of(pages: usize) -> f64 {
    pages as f64 * 4096.0 / 1e6
}

/// All pages of processes together, and how many have a content of their own.
pub fn together(pids: &[u32]) -> Option<(usize, BTreeSet<u64>)> {
    let mut count = 0;
    let mut distinct = BTreeSet::new();
    for pid in pids {
        let pages = pages(*pid)?;
        count += pages.len();
        distinct.extend(pages);
    }
    Some((count, distinct))
}
