//! A stable part of a fleet, for several machines.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

/// Part `index` of `count`, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shard {
    index: u32,
    count: u32,
}

impl Shard {
    /// `None` unless `index` is below `count`.
    pub fn new(index: u32, count: u32) -> Option<Self> {
        (index < count).then_some(Self { index, count })
    }

    /// Which part.
    pub fn index(self) -> u32 {
        self.index
    }

    /// Of how many.
    pub fn count(self) -> u32 {
        self.count
    }

    /// Whether a key falls into this part. It depends on the key and on the number of parts alone, so that a function
    /// that is added moves no other.
    pub fn holds(self, key: &str) -> bool {
        let digest = Sha256::digest(key.as_bytes());
        let head = digest.iter().take(8).fold(0u64, |sum, byte| sum << 8 | u64::from(*byte));
        // The part of 2^64 that the number lies in: every part is the same size, whatever their number.
        (u128::from(head) * u128::from(self.count)) >> 64 == u128::from(self.index)
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text.split_once('/').and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
        parsed
            .and_then(|(index, count)| Shard::new(index, count))
            .ok_or_else(|| format!("`{text}` is not a shard: expected for example 0/4, 1/4, 2/4, 3/4"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_in_one_part_and_the_parts_are_of_a_size() {
        for count in [1, 2, 3, 7, 16] {
            let mut sizes = vec![0u32; count as usize];
            for key in 0..4000 {
                let key = format!("service-{key}");
                let holders: Vec<u32> =
                    (0..count).filter(|i| Shard::new(*i, count).is_some_and(|s| s.holds(&key))).collect();
                assert_eq!(holders.len(), 1, "{key} of {count}");
                sizes[holders[0] as usize] += 1;
            }
            let fair = 4000 / count;
            assert!(sizes.iter().all(|s| *s > fair * 7 / 10 && *s < fair * 13 / 10), "{sizes:?}");
        }
    }

    /// sha256("a") starts with ca978112, sha256("b") with 3e23e816: 0xca is in the last quarter, 0x3e in the first.
    #[test]
    fn parts_are_ranges_of_the_hash() {
        assert!("3/4".parse::<Shard>().unwrap().holds("a"));
        assert!("0/4".parse::<Shard>().unwrap().holds("b"));
    }

    #[test]
    fn shards_are_read_as_they_are_written() {
        assert_eq!("2/5".parse::<Shard>().unwrap().to_string(), "2/5");
        for text in ["", "1", "4/4", "0/0", "-1/3", "1/", "a/b", "1/2/3"] {
            assert!(text.parse::<Shard>().is_err(), "{text}");
        }
    }
}
