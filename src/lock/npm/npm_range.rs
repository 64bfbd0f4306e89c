//! npm's version ranges: node-semver's grammar for ranges, SemVer 2.0.0 precedence for exact versions.

use std::cmp::Ordering;

/// Longer texts are no ranges that npm itself would read: its limit is 256 characters a version.
const MAX_RANGE: usize = 4096;

/// Whether a version satisfies a range as npm judges it; `None` where either is no range or version (tags, URLs,
/// paths). An alias (`npm:real@^1.0.0`) is judged by its range.
pub fn satisfies(range: &str, version: &str) -> Option<bool> {
    let range = alias(range).map_or(range, |(_, range)| range).trim();
    if range.len() > MAX_RANGE || version.len() > MAX_RANGE {
        return None;
    }
    let version = nodejs_semver::Version::parse(version.trim()).ok()?;
    if range.is_empty() {
        return Some(version.pre_release().is_empty());
    }
    Some(nodejs_semver::Range::parse(range).ok()?.satisfies(&version))
}

/// Whether a range names one version: `1.2.3`, `=1.2.3`, `v1.2.3`, an alias of one.
pub fn is_exact(range: &str) -> bool {
    exact(range).is_some()
}

/// The version that an exact range names, without `=` and `v`.
pub fn exact(range: &str) -> Option<String> {
    let range = alias(range).map_or(range, |(_, range)| range).trim();
    let version = range.strip_prefix('=').unwrap_or(range).trim_start();
    let version = version.strip_prefix('v').unwrap_or(version);
    semver::Version::parse(version).ok().map(|_| version.to_string())
}

/// Real name and range of an alias: `npm:real@^1.0.0`; the range is empty where none is given.
pub fn alias(text: &str) -> Option<(&str, &str)> {
    let real = text.trim().strip_prefix("npm:")?;
    let at = real.char_indices().skip(1).find(|&(_, c)| c == '@').map(|(i, _)| i);
    let (name, range) = at.map_or((real, ""), |at| (&real[..at], &real[at + 1..]));
    (!name.is_empty()).then_some((name, range))
}

/// Order of versions: SemVer precedence first, texts that are no versions before all others, text last.
pub fn compare(a: &str, b: &str) -> Ordering {
    match (semver::Version::parse(a), semver::Version::parse(b)) {
        (Ok(x), Ok(y)) => x.cmp(&y).then_with(|| a.cmp(b)),
        (Ok(_), Err(_)) => Ordering::Greater,
        (Err(_), Ok(_)) => Ordering::Less,
        (Err(_), Err(_)) => a.cmp(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expected values: `node -p "require('semver').satisfies(version, range)"`, node-semver 7.
    #[test]
    fn ranges_agree_with_node_semver() {
        for (range, version, expected) in [
            ("^4.17.1", "4.19.2", true),
            ("^4.17.1", "5.0.0", false),
            ("~1.2.3", "1.3.0", false),
            ("1.x || >=2.5.0 || 5.0.0 - 7.2.3", "1.9.9", true),
            ("1.x || >=2.5.0 || 5.0.0 - 7.2.3", "2.4.0", false),
            ("^0.2.3", "0.3.0", false),
            ("*", "1.0.0-beta.1", false),
            ("", "1.0.0", true),
            ("", "1.0.0-beta.1", false),
            (">=1.0.0-beta.1 <2", "1.0.0-beta.2", true),
            (">= 1.2", "1.2.0", true),
            ("npm:string-width@^4.2.0", "4.2.3", true),
            ("=v1.2.3", "1.2.3", true),
        ] {
            assert_eq!(satisfies(range, version), Some(expected), "{range} {version}");
        }
    }

    #[test]
    fn what_is_no_range_is_unknown() {
        for range in ["latest", "github:o/r", "file:../x", "https://host.example/x.tgz", "workspace:^"] {
            assert_eq!(satisfies(range, "1.0.0"), None, "{range}");
        }
        assert_eq!(satisfies("^1.0.0", "git+ssh://host.example/o/r.git#1"), None);
        assert_eq!(satisfies(&">=1 ".repeat(5000), "1.0.0"), None);
    }

    #[test]
    fn exact_ranges_name_one_version() {
        for (range, version) in [
            ("1.2.3", "1.2.3"),
            ("=1.2.3", "1.2.3"),
            ("v1.2.3-rc.1", "1.2.3-rc.1"),
            ("npm:a@1.0.0", "1.0.0"),
            (" = v1.0.0 ", "1.0.0"),
        ] {
            assert_eq!(exact(range).as_deref(), Some(version), "{range}");
        }
        for range in ["^1.2.3", "1.2", "1.2.x", "*", "", "latest", ">=1.2.3", "1.2.3 || 2.0.0", "npm:a"] {
            assert!(!is_exact(range), "{range}");
        }
    }

    #[test]
    fn aliases_give_the_real_name() {
        assert_eq!(alias("npm:@s/x@^1"), Some(("@s/x", "^1")));
        assert_eq!(alias("npm:x"), Some(("x", "")));
        assert_eq!(alias("npm:"), None);
        assert_eq!(alias("^1.0.0"), None);
    }

    #[test]
    fn versions_are_ordered_by_precedence() {
        let mut versions = ["1.10.0", "1.9.0", "weird", "1.10.0-rc.2", "1.10.0-rc.10"];
        versions.sort_by(|a, b| compare(a, b));
        assert_eq!(versions, ["weird", "1.9.0", "1.10.0-rc.2", "1.10.0-rc.10", "1.10.0"]);
    }
}
