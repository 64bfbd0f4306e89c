//! The tables of import names that are shipped, searched where they lie: nothing is unpacked when the program starts.
//!
//! | file | what it says | order of precedence |
//! |---|---|---|
//! | `import-names.tsv` | corrections and parts of namespaces, by hand | first |
//! | `popular-names.tsv` | modules of the 15,000 most downloaded distributions | second |
//! | `rare-names.bin` | fingerprints of 175,000 more pairs of module and distribution | only for what is declared |
//!
//! `scripts/import_names.py` makes the last two, and says from what. Together they take 1.1 MB of the binary; as text the
//! rare pairs alone would take 6 MB. A fingerprint cannot be turned into a name, which is as it should be: to
//! name a distribution that hardly anybody uses to somebody whose import is missing does more harm than good.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use crate::model::normalise_pypi;

/// Module and distribution; the order of a module's rows is that of their likelihood.
pub(super) const BY_HAND: &str = include_str!("../data/import-names.tsv");

/// Lines sorted by bytes: a module and its distributions (behind `?` if none is the usual one); `*` for a namespace;
/// `=` and a distribution.
pub(super) const POPULAR: &str = include_str!("../data/popular-names.tsv");

/// 512 little-endian `u32`: pairs before each 256th bucket. Then the size of each of 131,072 buckets, a byte each. Then
/// the pairs, three bytes each: bits 23 to 46 of the fingerprint, whose upper 17 bits are the number of the bucket.
const RARE: &[u8] = include_bytes!("../data/rare-names.bin");
const BUCKETS: usize = 1 << 17;
const STRIDE: usize = 256;

/// Rows by hand, by module and by distribution.
pub(super) struct ByHand {
    pub(super) distributions: BTreeMap<&'static str, Vec<&'static str>>,
    pub(super) modules: BTreeMap<&'static str, Vec<&'static str>>,
}

pub(super) fn by_hand() -> &'static ByHand {
    static TABLE: OnceLock<ByHand> = OnceLock::new();
    TABLE.get_or_init(|| {
        let mut table = ByHand { distributions: BTreeMap::new(), modules: BTreeMap::new() };
        for line in BY_HAND.lines().filter(|line| !line.starts_with('#')) {
            let mut fields = line.split('\t');
            if let (Some(module), Some(distribution)) = (fields.next(), fields.next()) {
                table.distributions.entry(module).or_default().push(distribution);
                table.modules.entry(distribution).or_default().push(module);
            }
        }
        table
    })
}

/// What is known of a top-level module.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Popular {
    /// Its distributions, the usual one first.
    From(Vec<String>),
    /// Its distributions, none of which is the usual one.
    Contested(Vec<String>),
    /// Many distributions have a part of it.
    Namespace,
}

/// The popular distributions of a top-level module.
pub(super) fn popular(module: &str) -> Option<Popular> {
    let line = line_of(module)?;
    let mut fields = line.split('\t').skip(1).peekable();
    match fields.peek() {
        None => Some(Popular::From(vec![normalise_pypi(module)])),
        Some(&"*") => Some(Popular::Namespace),
        Some(&"?") => Some(Popular::Contested(fields.skip(1).map(str::to_string).collect())),
        Some(_) => Some(Popular::From(fields.map(str::to_string).collect())),
    }
}

/// Whether a distribution (normalised) is among the popular ones.
pub(super) fn is_popular(distribution: &str) -> bool {
    line_of(&format!("={distribution}")).is_some()
        || {
            let module = distribution.replace('-', "_");
            matches!(popular(&module), Some(Popular::From(names) | Popular::Contested(names)) if names.iter().any(|name| name == distribution))
        }
}

/// The line whose first field is `key`, by bisection.
fn line_of(key: &str) -> Option<&'static str> {
    if key.is_empty() || key.starts_with('#') {
        return None;
    }
    let bytes = POPULAR.as_bytes();
    // Always at the beginning of a line.
    let (mut low, mut high) = (0, bytes.len());
    while low < high {
        let middle = low + (high - low) / 2;
        let start = bytes[low..middle].iter().rposition(|&b| b == b'\n').map_or(low, |at| low + at + 1);
        let end = bytes[middle..high].iter().position(|&b| b == b'\n').map_or(high, |at| middle + at);
        let line = POPULAR.get(start..end)?;
        let field = line.split('\t').next().unwrap_or_default();
        // The header comes before every name but is no name itself: `#` sorts before letters and `=`.
        match field.as_bytes().cmp(key.as_bytes()) {
            std::cmp::Ordering::Equal => return Some(line),
            std::cmp::Ordering::Less => low = end + 1,
            std::cmp::Ordering::Greater => high = start,
        }
    }
    None
}

/// The popular distribution that holds a part of a namespace, by its possible names without separators.
pub(super) fn popular_part(part: &str, squashed: &[String]) -> Option<&'static str> {
    let start = format!("={}-", normalise_pypi(part.split('.').next()?));
    let apache = format!("=apache-{}-", normalise_pypi(part.split('.').next()?));
    [start, apache].iter().find_map(|start| {
        let from = POPULAR.as_bytes();
        // The first line that is not before `start`.
        let (mut low, mut high) = (0, from.len());
        while low < high {
            let middle = low + (high - low) / 2;
            let begin = from[low..middle].iter().rposition(|&b| b == b'\n').map_or(low, |at| low + at + 1);
            let end = from[middle..high].iter().position(|&b| b == b'\n').map_or(high, |at| middle + at);
            if &from[begin..end] < start.as_bytes() { low = end + 1 } else { high = begin }
        }
        let lines = POPULAR.get(low..)?.lines().take_while(|line| line.starts_with(start.as_str()));
        let name = |line: &'static str| line.get(1..);
        lines.filter_map(name).find(|name| squashed.contains(&super::squashed(name)))
    })
}

/// The public modules of a popular distribution, unless its only one has its name.
pub(super) fn public_modules(distribution: &str) -> Option<Vec<&'static str>> {
    static BY_DISTRIBUTION: OnceLock<BTreeMap<&'static str, Vec<&'static str>>> = OnceLock::new();
    let table = BY_DISTRIBUTION.get_or_init(|| {
        let mut table: BTreeMap<&'static str, Vec<&'static str>> = BTreeMap::new();
        for line in POPULAR.lines().filter(|line| !line.starts_with(['#', '=', '_'])) {
            let mut fields = line.split('\t');
            let Some(module) = fields.next() else { continue };
            for distribution in fields.filter(|name| !matches!(*name, "*" | "?")) {
                table.entry(distribution).or_default().push(module);
            }
        }
        table
    });
    table.get(distribution).cloned()
}

/// FNV-1a, 64 bits, then two rounds of mixing.
fn fingerprint(module: &str, distribution: &str) -> u64 {
    let mut value: u64 = 0xCBF2_9CE4_8422_2325;
    for byte in module.bytes().chain([0]).chain(distribution.bytes()) {
        value = (value ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
    }
    value = (value ^ (value >> 32)).wrapping_mul(0xD6E8_FEB8_6659_FD93);
    value ^ (value >> 32)
}

/// Whether a rarer distribution is known to provide a top-level module. Wrong once in five million for a pair that is not
/// listed.
pub(super) fn is_rare_pair(module: &str, distribution: &str) -> bool {
    let value = fingerprint(module, distribution);
    let (Ok(bucket), wanted) = (usize::try_from(value >> 47), (value >> 23) & 0xFF_FFFF) else { return false };
    let (starts, rest) = RARE.split_at(BUCKETS / STRIDE * 4);
    let (sizes, pairs) = rest.split_at(BUCKETS);
    let block = bucket / STRIDE;
    let Some(&[a, b, c, d]) = starts.get(block * 4..block * 4 + 4) else { return false };
    let before: usize = sizes[block * STRIDE..bucket].iter().map(|&size| usize::from(size)).sum();
    let Ok(first) = usize::try_from(u32::from_le_bytes([a, b, c, d])) else { return false };
    let from = (first + before) * 3;
    let Some(own) = pairs.get(from..from + usize::from(sizes[bucket]) * 3) else { return false };
    own.chunks_exact(3).any(|pair| u64::from(pair[0]) | u64::from(pair[1]) << 8 | u64::from(pair[2]) << 16 == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn rows_by_hand_are_well_formed() {
        let mut seen = BTreeSet::new();
        for line in BY_HAND.lines().filter(|line| !line.starts_with('#')) {
            let mut fields = line.split('\t');
            let (module, distribution) = (fields.next().unwrap(), fields.next().expect(line));
            assert!(seen.insert((module, distribution)), "{line} twice");
            assert_eq!(normalise_pypi(distribution), distribution, "{line}");
            assert!(module.split('.').all(|part| !part.is_empty() && !part.contains([' ', '-'])), "{line}");
        }
        assert!(seen.len() > 60);
    }

    /// Bisection finds every line, so they are in order and none is there twice.
    #[test]
    fn every_popular_line_is_found() {
        let lines: Vec<&str> = POPULAR.lines().filter(|line| !line.starts_with('#')).collect();
        assert!(lines.len() > 15_000);
        for line in lines {
            let key = line.split('\t').next().unwrap();
            assert_eq!(line_of(key), Some(line));
        }
        for key in ["", "#", "# Made", "zzzz", "=", "=zzzz", "a module of no name", "\u{ff}"] {
            assert_eq!(line_of(key), None, "{key}");
        }
    }

    #[test]
    fn popular_modules_name_their_distributions() {
        let from = |names: &[&str]| Some(Popular::From(names.iter().map(ToString::to_string).collect()));
        assert_eq!(popular("numpy"), from(&["numpy"]));
        assert_eq!(popular("PIL"), from(&["pillow"]));
        assert_eq!(popular("jwt"), from(&["pyjwt", "jwt"]));
        assert_eq!(popular("google"), Some(Popular::Namespace));
        assert_eq!(popular("tests"), None);
        assert!(is_popular("google-cloud-storage") && is_popular("requests") && is_popular("pyyaml"));
        assert!(!is_popular("yaml") && !is_popular("cv2") && !is_popular(""));
    }

    /// Pairs from the metadata of distributions outside the popular ones, and pairs that are none.
    #[test]
    fn rare_pairs_are_known_and_others_are_not() {
        let (mut hits, names) = (0, ["numpy", "requests", "attrs", "pillow", "flask", "rich", "click"]);
        for number in 0..20_000 {
            hits += names.iter().filter(|name| is_rare_pair(&format!("module_{number}"), name)).count();
        }
        assert_eq!(hits, 0);
        assert!(is_rare_pair("docx", "bayoo-docx"));
        assert!(is_rare_pair("yaml", "pyyaml-tabs"));
        assert!(!is_rare_pair("yaml", "bayoo-docx"));
    }
}
