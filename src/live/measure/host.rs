//! What else the machine does while something is measured.

use std::fs;

/// Runnable processes, mean of the last minute; 0 where the system does not tell.
pub fn load_average() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or(0.0)
}

/// Ticks of all processors since the start: in all, and taken by other guests of the same machine.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Ticks {
    all: u64,
    stolen: u64,
}

impl Ticks {
    /// Now.
    pub fn now() -> Self {
        Self::read(&fs::read_to_string("/proc/stat").unwrap_or_default())
    }

    /// The first line: `cpu user nice system idle iowait irq softirq steal guest guest_nice`; guests count as user too.
    fn read(text: &str) -> Self {
        let line = text.lines().next().unwrap_or_default();
        let ticks: Vec<u64> = line.split_whitespace().skip(1).take(8).filter_map(|word| word.parse().ok()).collect();
        Self { all: ticks.iter().sum(), stolen: ticks.get(7).copied().unwrap_or(0) }
    }

    /// The share that other guests took since `before`.
    pub fn stolen_since(self, before: Self) -> f64 {
        let all = self.all.saturating_sub(before.all);
        if all == 0 { 0.0 } else { self.stolen.saturating_sub(before.stolen) as f64 / all as f64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steal_is_the_eighth_figure_of_the_first_line() {
        let before = Ticks::read("cpu  100 0 50 800 10 0 0 40 7 0\ncpu0 1 2 3\n");
        assert_eq!(before, Ticks { all: 1000, stolen: 40 });
        let after = Ticks::read("cpu  110 0 60 860 10 0 0 60 7 0\n");
        assert!((after.stolen_since(before) - 0.2).abs() < 1e-12);
        assert_eq!(before.stolen_since(before), 0.0);
        assert_eq!(Ticks::read(""), Ticks::default());
    }
}
