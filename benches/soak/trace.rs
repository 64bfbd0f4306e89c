//! An hour of calls as Azure Functions has them: few functions have most of them, and each comes in bursts.

use warmset::cost::schedule::{self, Fit, Schedule};

/// splitmix64: the same numbers for a seed on every machine.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// In (0, 1].
    pub fn unit(&mut self) -> f64 {
        ((self.next() >> 11) + 1) as f64 / (1u64 << 53) as f64
    }

    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }
}

/// Minutes of the trace's own time.
const MINUTES: usize = 60;

/// The calls: `ids` are in the order of how often they are called. Counts by minute are a Pareto distribution's (index
/// 1.3) around shares that fall as the rank rises (Zipf), in the columns of Azure 2019, and read as `replay` reads them.
pub fn hour(seed: u64, ids: &[&str], calls: usize, seconds: f64) -> Schedule {
    let mut random = Random::new(seed);
    let mut counts: Vec<Vec<f64>> = (0..ids.len())
        .map(|rank| {
            let share = 1.0 / (rank as f64 + 1.5);
            // Every third is silent most of the time.
            (0..MINUTES)
                .map(|_| {
                    let sleeps = rank % 3 == 2 && random.unit() < 0.6;
                    let burst = random.unit().powf(-1.0 / 1.3).min(12.0);
                    if sleeps { 0.0 } else { share * burst }
                })
                .collect()
        })
        .collect();
    let sum: f64 = counts.iter().flatten().sum();
    let factor = calls as f64 / sum;
    counts.iter_mut().flatten().for_each(|count| *count = (*count * factor).ceil());
    let mut text = "HashOwner,HashApp,HashFunction,Trigger".to_string();
    (1..=MINUTES).for_each(|minute| text.push_str(&format!(",{minute}")));
    text.push('\n');
    for (id, counts) in ids.iter().zip(&counts) {
        text.push_str(&format!("o,a,{id},http"));
        counts.iter().for_each(|count| text.push_str(&format!(",{count}")));
        text.push('\n');
    }
    let fit = Fit { span_s: Some(seconds), most: Some(calls), keep_alive_s: None };
    let (schedule, told) = schedule::read("soak.csv", text.as_bytes(), ids, fit).expect("a trace");
    assert!(told.is_empty(), "{told:?}");
    schedule
}
