//! Dependency specifiers (PEP 508), version specifiers (PEP 440) and Poetry's ranges, as they are met in real files.
//!
//! ```text
//! specifier = name [ "[" extra *( "," extra ) "]" ] ( [ "(" ] versions [ ")" ] | "@" url ) [ ";" marker ]
//! versions  = clause *( "," clause ) [ "," ]          clause = operator version
//! range     = versions-or-Poetry *( "||" versions-or-Poetry )
//! Poetry    = "^" version | "~" version | version | version ".*" | "*", joined by commas or blanks
//! ```
//! Markers, extras and versions are pep508_rs' and pep440_rs'. Around them: URLs are never expanded from the environment of
//! the process, `>=1.0.*` is read as `>=1.0` (pip did so for years), `===` takes any text, and what could make the
//! marker algebra explode is refused.

use std::str::FromStr;

use pep440_rs::{Version, VersionSpecifiers};
use pep508_rs::{ExtraName, MarkerTree, VerbatimUrl};

use crate::model::normalise_pypi;

/// No real marker is longer; uv's conflict markers reach some two thousand bytes.
const MAX_MARKER: usize = 8_192;
/// Brackets inside brackets: the marker parser recurses.
const MAX_MARKER_DEPTH: usize = 32;
/// Distinct values of variables that a decision diagram cannot order well: its size can double with every two of them.
const MAX_MARKER_VALUES: usize = 24;

/// A dependency specifier taken apart.
#[derive(Debug, Clone, Default)]
pub struct Specifier {
    /// Normalised name.
    pub name: String,
    /// Normalised extras, sorted.
    pub extras: Vec<String>,
    /// The version specifier as written, or `@ URL`; empty = any version.
    pub text: String,
    /// When it applies.
    pub marker: Option<MarkerTree>,
    /// The version that it fixes, as written: `==1.2`, `===1.2`, or the one that an archive's file name holds.
    pub exact: Option<String>,
    /// `None` = an index; else `git`, `url`, `path`.
    pub source: Option<String>,
}

/// Takes a specifier apart; the error is a reason for a diagnostic.
pub fn parse(text: &str) -> Result<Specifier, String> {
    let text = text.trim();
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))).unwrap_or(text.len());
    let (name, mut rest) = text.split_at(end);
    let alphanumeric = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    if !alphanumeric(name.chars().next()) || !alphanumeric(name.chars().next_back()) {
        return Err(format!("`{}` does not start with a package name", shorten(text)));
    }
    let mut out = Specifier { name: normalise_pypi(name), ..Specifier::default() };
    rest = rest.trim_start();
    if let Some(inner) = rest.strip_prefix('[') {
        let (extras, after) =
            inner.split_once(']').ok_or_else(|| format!("`{}` has no closing bracket", shorten(text)))?;
        out.extras = self::extras(extras.split(','))?;
        rest = after.trim_start();
    }
    if let Some(url) = rest.strip_prefix('@') {
        let (url, marker) = split_url(url.trim());
        if url.is_empty() {
            return Err(format!("`{}` has no URL after `@`", shorten(text)));
        }
        out.marker = optional_marker(marker)?;
        out.text = format!("@ {url}");
        out.source = Some(url_kind(url).into());
        out.exact = archive(url).filter(|(n, _)| *n == out.name).map(|(_, version)| version);
        return Ok(out);
    }
    let (versions, marker) = rest.split_once(';').unwrap_or((rest, ""));
    let versions = versions.trim();
    out.marker = optional_marker(marker)?;
    out.text = versions.strip_prefix('(').and_then(|v| v.strip_suffix(')')).unwrap_or(versions).trim().to_string();
    if !out.text.is_empty() && !out.text.starts_with("===") && clauses(&out.text).is_none() {
        return Err(format!("`{}` is not a version specifier", shorten(&out.text)));
    }
    out.exact = exact(&out.text);
    Ok(out)
}

/// Normalised extras, sorted, without repetition.
pub fn extras<'a>(names: impl Iterator<Item = &'a str>) -> Result<Vec<String>, String> {
    let mut out = Vec::new();
    for name in names.map(str::trim).filter(|n| !n.is_empty()) {
        let name = ExtraName::new(name.to_string()).map_err(|_| format!("`{}` is not an extra", shorten(name)))?;
        out.push(name.to_string());
    }
    out.sort();
    out.dedup();
    Ok(out)
}

/// The version that a specifier fixes, as written: one `==` clause without wildcard, or `===`.
pub fn exact(versions: &str) -> Option<String> {
    let version = versions.strip_prefix("===").or_else(|| versions.strip_prefix("=="))?.trim();
    let plain = !version.is_empty() && !version.contains(|c: char| c.is_whitespace() || matches!(c, ',' | '*' | '$'));
    plain.then(|| version.to_string())
}

/// A marker; the error is a reason for a diagnostic.
pub fn marker(text: &str) -> Result<MarkerTree, String> {
    let fail = |why: &str| Err(format!("marker `{}` {why}", shorten(text)));
    // PEP 508 has none, in strings neither; the library's parser slices inside of them.
    if !text.is_ascii() {
        return fail("holds characters that no marker has");
    }
    let (mut depth, mut deepest, mut quote) = (0usize, 0usize, None);
    let mut values = std::collections::BTreeSet::new();
    let mut start = 0;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(q), c) if c == q => {
                values.insert(&text[start..at]);
                quote = None;
            }
            (Some(_), _) => {}
            (None, '"' | '\'') => (quote, start) = (Some(c), at + 1),
            (None, '(') => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            (None, ')') => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    let unordered = text.contains("extra") || text.contains(" in ");
    if text.len() > MAX_MARKER || deepest > MAX_MARKER_DEPTH || (unordered && values.len() > MAX_MARKER_VALUES) {
        return fail("is more complex than warmset follows");
    }
    MarkerTree::parse_str::<VerbatimUrl>(text).or_else(|_| fail("is not one that PEP 508 knows"))
}

fn optional_marker(text: &str) -> Result<Option<MarkerTree>, String> {
    match text.trim() {
        "" => Ok(None),
        text => marker(text).map(Some),
    }
}

/// Both markers, where there are any.
pub fn and(a: Option<MarkerTree>, b: Option<MarkerTree>) -> Option<MarkerTree> {
    match (a, b) {
        (Some(mut a), Some(b)) => {
            a.and(b);
            Some(a)
        }
        (a, b) => a.or(b),
    }
}

/// A URL ends where a marker starts: at a semicolon after a blank.
fn split_url(text: &str) -> (&str, &str) {
    let mut blank = false;
    for (at, c) in text.char_indices() {
        if c == ';' && blank {
            return (text[..at].trim_end(), &text[at + 1..]);
        }
        blank = c.is_whitespace();
    }
    (text, "")
}

/// `git`, `path` or `url`.
pub fn url_kind(url: &str) -> &'static str {
    match url.split_once(':').map(|(scheme, _)| scheme) {
        Some(scheme) if scheme.starts_with("git") => "git",
        Some("file") => "path",
        // One letter is a Windows drive.
        Some(scheme) if scheme.len() > 1 && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c)) => {
            "url"
        }
        _ => "path",
    }
}

/// Normalised name and version in the file name of a wheel (PEP 427) or source archive (PEP 625).
pub fn archive(url: &str) -> Option<(String, String)> {
    let path = url.split(['#', '?']).next()?;
    let file = path.rsplit(['/', '\\']).next()?.replace("%2B", "+").replace("%2b", "+");
    let (name, version) = if let Some(stem) = file.strip_suffix(".whl") {
        let mut parts = stem.split('-');
        (parts.next()?, parts.next()?)
    } else {
        let stem = [".tar.gz", ".zip", ".tar.bz2", ".tgz"].iter().find_map(|suffix| file.strip_suffix(suffix))?;
        stem.rsplit_once('-')?
    };
    let plain = !name.is_empty() && Version::from_str(version).is_ok();
    plain.then(|| (normalise_pypi(name), version.to_string()))
}

/// Comma-separated clauses as pep440_rs reads them, with what pip tolerates.
fn clauses(text: &str) -> Option<VersionSpecifiers> {
    let mut kept = Vec::new();
    for clause in text.split(',').map(str::trim).filter(|c| !c.is_empty()) {
        let ordered = clause.starts_with(['>', '<']);
        kept.push(if ordered { clause.strip_suffix(".*").unwrap_or(clause) } else { clause });
    }
    if kept.is_empty() { None } else { VersionSpecifiers::from_str(&kept.join(",")).ok() }
}

/// Whether a version is inside a range: PEP 440 clauses, or Poetry's `^`, `~`, bare versions, wildcards and `||`.
/// `None` where the range or the version cannot be understood: nobody should conclude anything then.
pub fn satisfies(range: &str, version: &str) -> Option<bool> {
    if let Some(text) = range.trim().strip_prefix("===") {
        return Some(text.trim().eq_ignore_ascii_case(version.trim()));
    }
    let version = Version::from_str(version.trim()).ok()?;
    // `==1.2.*` compares release numbers pairwise, and `1` stands for `1.0.0`.
    let width = version.release().len().max(8);
    let release: Vec<u64> = version.release().iter().copied().chain(std::iter::repeat(0)).take(width).collect();
    let version = version.with_release(release);
    let mut any = false;
    for alternative in alternatives(range)? {
        any |= alternative.contains(&version);
    }
    Some(any)
}

/// A Python version range as a marker; `None` where it cannot be understood or allows everything.
pub fn python_marker(range: &str) -> Option<MarkerTree> {
    let mut any: Option<MarkerTree> = None;
    for alternative in alternatives(range)? {
        let mut all = MarkerTree::TRUE;
        for clause in alternative.iter() {
            all.and(marker(&format!("python_full_version {} '{}'", operator(clause), clause_version(clause))).ok()?);
        }
        match &mut any {
            Some(any) => any.or(all),
            None => any = Some(all),
        }
    }
    any.filter(|m| !m.is_true())
}

fn operator(clause: &pep440_rs::VersionSpecifier) -> String {
    match clause.operator() {
        pep440_rs::Operator::EqualStar => "==".into(),
        pep440_rs::Operator::NotEqualStar => "!=".into(),
        other => other.to_string(),
    }
}

fn clause_version(clause: &pep440_rs::VersionSpecifier) -> String {
    let star = if clause.operator().is_star() { ".*" } else { "" };
    format!("{}{star}", clause.version())
}

/// The alternatives of a range; an empty specifier allows everything.
fn alternatives(range: &str) -> Option<Vec<VersionSpecifiers>> {
    range.split('|').filter(|part| !part.trim().is_empty() || !range.contains('|')).map(alternative).collect()
}

fn alternative(text: &str) -> Option<VersionSpecifiers> {
    let mut kept = Vec::new();
    for token in tokens(text) {
        if token == "*" {
            continue;
        }
        if let Some(version) = token.strip_prefix('^') {
            kept.extend(bounds(version, |release| release.iter().position(|n| *n > 0).unwrap_or(release.len() - 1))?);
        } else if let Some(version) = token.strip_prefix('~').filter(|v| !v.starts_with('=')) {
            kept.extend(bounds(version, |release| usize::from(release.len() > 1))?);
        } else if token.starts_with(|c: char| c.is_ascii_digit() || c == 'v') {
            kept.push(format!("=={token}"));
        } else if let Some(version) = token.strip_prefix('=').filter(|v| !v.starts_with('=')) {
            kept.push(format!("=={version}"));
        } else {
            kept.push(token);
        }
    }
    if kept.is_empty() { Some(VersionSpecifiers::empty()) } else { clauses(&kept.join(",")) }
}

/// Clauses of one alternative: commas and blanks separate them, but an operator may stand apart from its version.
fn tokens(text: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for word in text.split(|c: char| c == ',' || c.is_whitespace()).filter(|w| !w.is_empty()) {
        match out.last_mut() {
            Some(last) if last.ends_with(['=', '<', '>', '~', '^', '!']) => last.push_str(word),
            _ => out.push(word.to_string()),
        }
    }
    out
}

/// `>=version` and `<` the version with the number at `bump` raised and all after it dropped.
fn bounds(version: &str, bump: impl Fn(&[u64]) -> usize) -> Option<[String; 2]> {
    let lower = Version::from_str(version.trim().trim_end_matches(".*")).ok()?;
    let at = bump(lower.release());
    let mut upper = lower.release().get(..=at)?.to_vec();
    let last = upper.last_mut()?;
    *last = last.checked_add(1)?;
    Some([format!(">={lower}"), format!("<{}", Version::new(upper).with_epoch(lower.epoch()))])
}

/// The start of a text that may be long, for a reason.
pub fn shorten(text: &str) -> String {
    let mut short: String = text.chars().take(80).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if short.len() < text.len() && text.chars().nth(80).is_some() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn characters_outside_ascii_are_in_no_marker() {
        for text in ["(extra == 'a' and.ơ3>a", "os_name == 'é'", "é == 'nt'", "os_name == 'nt' andé"] {
            assert!(marker(text).unwrap_err().contains("no marker has"), "{text}");
        }
    }

    #[test]
    fn specifiers_are_taken_apart() {
        let s = parse("Requests [Security, socks_x] >= 2.8.1, == 2.8.* ; python_version < \"2.7\"").unwrap();
        assert_eq!((s.name.as_str(), s.text.as_str()), ("requests", ">= 2.8.1, == 2.8.*"));
        assert_eq!(s.extras, ["security", "socks-x"]);
        assert!(s.marker.is_some() && s.exact.is_none() && s.source.is_none());
        let s = parse("a (==1.2-alpha)").unwrap();
        assert_eq!((s.text.as_str(), s.exact.as_deref()), ("==1.2-alpha", Some("1.2-alpha")));
        assert_eq!(parse("yolo===2004d").unwrap().exact.as_deref(), Some("2004d"));
        assert_eq!(parse("x==0.7.*").unwrap().exact, None);
        assert_eq!(parse("x==1.0,<2").unwrap().exact, None);
        // Tolerated: pip accepted both for years, and files keep them.
        assert_eq!(parse("x>=1.0.*").unwrap().text, ">=1.0.*");
        assert_eq!(parse("x>=1.0,").unwrap().text, ">=1.0,");
    }

    #[test]
    fn urls_keep_their_kind_and_tell_versions_by_archive_names() {
        for (text, source, exact) in [
            ("a @ git+https://host/a@v1 ; sys_platform == 'linux'", "git", None),
            ("a@https://host/x/archive/1.26.8.zip", "url", None),
            (
                "torch @ https://host/whl/cpu/torch-2.1.0%2Bcpu-cp311-cp311-linux_x86_64.whl#sha256=0",
                "url",
                Some("2.1.0+cpu"),
            ),
            ("a @ file:///home/a-1.0.tar.gz", "path", Some("1.0")),
            ("a @ ../b-1.0.tar.gz", "path", None),
        ] {
            let s = parse(text).unwrap();
            assert_eq!((s.source.as_deref(), s.exact.as_deref()), (Some(source), exact), "{text}");
        }
        assert!(parse("a @ git+https://host/a@v1 ; sys_platform == 'linux'").unwrap().marker.is_some());
        assert_eq!(parse("a @ https://host/a;b").unwrap().text, "@ https://host/a;b");
    }

    #[test]
    fn the_environment_of_the_process_is_never_read() {
        assert_eq!(parse("a @ https://host/${HOME}/a.zip").unwrap().text, "@ https://host/${HOME}/a.zip");
    }

    #[test]
    fn what_is_no_specifier_is_refused() {
        for text in [
            "asdf==",
            "==1.0",
            "asdf 1.0",
            "foo|bar=='1.2.4'",
            "foo{bar}==%%",
            "foo,bar==1",
            "foo=='x'",
            "a[b",
            "a @ ",
            "é==1",
            "a-==1",
            "a;nonsense",
            "a; python_version <",
            "django==5.*.*",
            "",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn markers_that_could_explode_are_refused() {
        assert!(marker(&format!("{}python_version > '3'{}", "(".repeat(100_000), ")".repeat(100_000))).is_err());
        let pairs: Vec<String> = (0..40).map(|i| format!("(extra == 'a{i:02}' and extra == 'b{i:02}')")).collect();
        assert!(marker(&pairs.join(" or ")).is_err());
        assert!(marker("extra == 'extra-7-project-cpu' or (extra == 'group-7-project-dev')").is_ok());
    }

    // Expected values from packaging.specifiers and from the tables in Poetry's documentation.
    #[test]
    fn ranges_of_both_kinds() {
        for (range, inside, outside) in [
            ("^1.2.3", "1.9.0", "2.0.0"),
            ("^0.2.3", "0.2.9", "0.3.0"),
            ("^0.0.3", "0.0.3", "0.0.4"),
            ("^0.0", "0.0.9", "0.1.0"),
            ("^0", "0.9", "1.0"),
            ("^1", "1.9", "2.0"),
            ("~1.2.3", "1.2.9", "1.3.0"),
            ("~1.2", "1.2.9", "1.3"),
            ("~1", "1.9", "2.0"),
            ("1.2.3", "1.2.3", "1.2.4"),
            ("1.2.*", "1.2.7", "1.3"),
            ("==1.2.*", "1.2", "1"),
            (">=1,<2", "1.5", "2.0"),
            (">= 1.0 < 2", "1.5", "2"),
            ("~=1.4.2", "1.4.9", "1.5"),
            ("!=1.3.*", "1.4", "1.3.1"),
            ("^2.7 || ^3.6", "3.9", "3.5"),
            ("===1.0", "1.0", "1.0.0"),
            ("==2.1.0", "2.1.0+cpu", "2.1.1+cpu"),
            (">=1.0.*", "1.0", "0.9"),
        ] {
            assert_eq!(satisfies(range, inside), Some(true), "{range} {inside}");
            assert_eq!(satisfies(range, outside), Some(false), "{range} {outside}");
        }
        assert_eq!((satisfies("*", "1"), satisfies("", "1")), (Some(true), Some(true)));
        assert_eq!((satisfies("latest", "1"), satisfies(">=1", "2004d")), (None, None));
    }

    #[test]
    fn python_ranges_become_markers() {
        let holds = |range: &str, python: &str| {
            let environment = crate::lock::environment::marker_environment(&python.parse().unwrap());
            python_marker(range).is_none_or(|m| m.evaluate(&environment, &[]))
        };
        let (old, new) = ("python3.8-linux-x86_64-glibc", "python3.13-linux-x86_64-glibc");
        for (range, on_old, on_new) in [
            ("^3.9", false, true),
            (">=3.7,<3.12", true, false),
            ("*", true, true),
            ("!=3.8.*,>=3.6", false, true),
            ("~3.8 || ~3.13", true, true),
        ] {
            assert_eq!((holds(range, old), holds(range, new)), (on_old, on_new), "{range}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(?s).{0,80}", version in "[0-9a-z.!+*^~|=<> -]{0,20}") {
            let _ = parse(&text);
            let _ = parse(&format!("a{version}"));
            let _ = parse(&format!("a;{text}"));
            let _ = (satisfies(&version, "1.0"), satisfies(&text, &version), python_marker(&version), archive(&text));
        }
    }
}
