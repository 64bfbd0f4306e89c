//! Whether a requirement allows a version: what functions declare, and what packages ask of each other.

use std::cmp::Ordering;
use std::str::FromStr;

use pep440_rs::Version;

use crate::lock::closure::satisfies;
use crate::lock::npm::npm_range;
use crate::model::advice::Direction;
use crate::model::inventory::{Package, Requirement};
use crate::model::{Ecosystem, PackageId, normalise_pypi};

/// An answer that may be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allows {
    /// The range holds it, or the two were locked together.
    Yes,
    /// The range does not hold it.
    No,
    /// Nothing says.
    Unknown,
}

/// The version range of a declared requirement, without name, extras and marker; `None` for what names no range of a
/// registry: URLs, paths, aliases.
pub fn range(requirement: &Requirement, ecosystem: Ecosystem) -> Option<String> {
    let text = requirement.text.trim();
    match ecosystem {
        Ecosystem::Pypi => {
            let end =
                text.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))).unwrap_or(text.len());
            let named = normalise_pypi(&text[..end]) == requirement.name;
            let rest = if named { text[end..].trim_start() } else { text };
            let rest = rest.strip_prefix('[').and_then(|r| r.split_once(']')).map_or(rest, |(_, after)| after).trim();
            if rest.starts_with("@ ") || rest.contains("://") {
                return None;
            }
            let rest = rest.strip_prefix('@').unwrap_or(rest);
            let rest = rest.split(';').next().unwrap_or_default().trim();
            Some(rest.strip_prefix('(').and_then(|r| r.strip_suffix(')')).unwrap_or(rest).trim().to_string())
        }
        Ecosystem::Npm => {
            let rest = text.strip_prefix(&requirement.name).map_or(text, |rest| rest.strip_prefix('@').unwrap_or(rest));
            npm_range::alias(rest).is_none().then(|| rest.trim().to_string())
        }
    }
}

/// Whether a declared requirement allows a package. What is no range allows nothing: a URL, a path, a tag or an alias is
/// somebody's decision.
pub fn declared(requirement: &Requirement, id: &PackageId) -> bool {
    requirement.name == id.name
        && range(requirement, id.ecosystem).is_some_and(|r| satisfies(id.ecosystem, &r, &id.version) == Some(true))
}

/// Extras that a declared requirement asks for, sorted.
pub fn extras(requirement: &Requirement) -> Vec<String> {
    let inner = requirement.text.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
    let mut all: Vec<String> =
        inner.map_or("", |(extras, _)| extras).split(',').map(normalise_pypi).filter(|e| !e.is_empty()).collect();
    all.sort();
    all
}

/// Whether a package allows another as its dependency: some lock has the two together, or its recorded ranges say.
/// Ranges of other platforms may be among those, so that they decide only where they agree.
pub fn dependent(package: Option<&Package>, id: &PackageId) -> Allows {
    let Some(package) = package else { return Allows::Unknown };
    let sets = package.requires.iter().chain(package.requires_on.iter().map(|on| &on.requires));
    if sets.into_iter().any(|set| set.contains(id)) {
        return Allows::Yes;
    }
    let Some(texts) = package.ranges.get(&id.name).filter(|texts| !texts.is_empty()) else { return Allows::Unknown };
    let answers: Vec<Option<bool>> = texts.iter().map(|text| satisfies(id.ecosystem, text, &id.version)).collect();
    match answers.as_slice() {
        all if all.iter().all(|a| *a == Some(true)) => Allows::Yes,
        all if all.iter().all(|a| *a == Some(false)) => Allows::No,
        _ => Allows::Unknown,
    }
}

/// Whether a resolver would take a version instead of another at all: neither towards a pre-release, nor from or to a build
/// of somebody's own (`+cu121`).
pub fn is_ordinary(from: &PackageId, to: &PackageId) -> bool {
    match from.ecosystem {
        Ecosystem::Pypi => match (Version::from_str(&from.version), Version::from_str(&to.version)) {
            (Ok(a), Ok(b)) => !a.is_local() && !b.is_local() && (!b.any_prerelease() || a.any_prerelease()),
            _ => false,
        },
        Ecosystem::Npm => match (semver::Version::parse(&from.version), semver::Version::parse(&to.version)) {
            (Ok(a), Ok(b)) => b.pre.is_empty() || !a.pre.is_empty(),
            _ => false,
        },
    }
}

/// Order of two versions of one name.
pub fn compare(a: &PackageId, b: &PackageId) -> Ordering {
    match a.ecosystem {
        Ecosystem::Pypi => match (Version::from_str(&a.version), Version::from_str(&b.version)) {
            (Ok(x), Ok(y)) => x.cmp(&y),
            _ => a.version.cmp(&b.version),
        },
        Ecosystem::Npm => npm_range::compare(&a.version, &b.version),
    }
}

/// Which way a move goes.
pub fn direction(from: &PackageId, to: &PackageId) -> Direction {
    if compare(from, to) == Ordering::Greater { Direction::Downgrade } else { Direction::Upgrade }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Place;
    use std::collections::BTreeMap;

    fn requirement(name: &str, text: &str) -> Requirement {
        Requirement { name: name.into(), text: text.into(), place: Place::at("f", 1), package: None }
    }

    #[test]
    fn ranges_are_taken_out_of_the_text_that_declares_them() {
        for (name, text, range_text) in [
            ("numpy", "numpy~=1.26.0", Some("~=1.26.0")),
            ("numpy", "numpy@^1.26", Some("^1.26")),
            ("pyjwt", "PyJWT[crypto]>=2,<3 ; python_version < '3.13'", Some(">=2,<3")),
            ("zope-interface", "zope.interface (>=5)", Some(">=5")),
            ("numpy", "numpy", Some("")),
            ("numpy", "1.26", Some("1.26")),
            ("pip", "pip @ https://host.example/pip.whl", None),
        ] {
            assert_eq!(range(&requirement(name, text), Ecosystem::Pypi).as_deref(), range_text, "{text}");
        }
        for (name, text, range_text) in [
            ("express", "express@^4.19.0", Some("^4.19.0")),
            ("@aws-sdk/client-s3", "@aws-sdk/client-s3@3.940.0", Some("3.940.0")),
            ("lodash", "lodash", Some("")),
            ("old", "old@npm:express@^3", None),
        ] {
            assert_eq!(range(&requirement(name, text), Ecosystem::Npm).as_deref(), range_text, "{text}");
        }
    }

    #[test]
    fn what_is_no_range_allows_nothing() {
        let id = PackageId::npm("a", "1.0.0");
        for text in ["a@file:../a", "a@latest", "a@git+ssh://host.example/a.git", "a@npm:b@1", "a@^2"] {
            assert!(!declared(&requirement("a", text), &id), "{text}");
        }
        assert!(declared(&requirement("a", "a@1.x"), &id));
        assert!(!declared(&requirement("b", "b@1.x"), &id));
    }

    #[test]
    fn a_dependent_says_by_its_ranges_or_by_having_been_locked_together() {
        let numpy = |v: &str| PackageId::pypi("numpy", v);
        let package = Package {
            requires: Some(vec![numpy("2.1.0")]),
            ranges: BTreeMap::from([("numpy".to_string(), vec![">=1.23.2".to_string(), ">=1.26.0".to_string()])]),
            ..Package::new(PackageId::pypi("pandas", "2.2.3"))
        };
        let says = |id: PackageId| dependent(Some(&package), &id);
        assert_eq!(says(numpy("2.1.0")), Allows::Yes);
        assert_eq!(says(numpy("1.26.4")), Allows::Yes);
        assert_eq!(says(numpy("1.22.0")), Allows::No);
        assert_eq!(says(numpy("1.25.0")), Allows::Unknown, "one platform's range allows it, another's does not");
        assert_eq!(says(PackageId::pypi("pytz", "2024.1")), Allows::Unknown);
        assert_eq!(dependent(None, &numpy("1")), Allows::Unknown);
    }

    #[test]
    fn prereleases_and_local_builds_are_nobody_else_s_target() {
        let is = |a: &str, b: &str| is_ordinary(&PackageId::pypi("torch", a), &PackageId::pypi("torch", b));
        assert!(is("2.1.0", "2.2.0") && is("2.2.0", "2.1.0") && is("2.2.0rc1", "2.2.0rc2"));
        assert!(!is("2.1.0", "2.2.0rc1") && !is("2.1.0", "2.1.0+cpu") && !is("2.1.0+cpu", "2.1.0") && !is("x", "1"));
        assert!(!is_ordinary(&PackageId::npm("a", "1.0.0"), &PackageId::npm("a", "1.1.0-beta.1")));
        let way = |a: &str, b: &str| direction(&PackageId::pypi("a", a), &PackageId::pypi("a", b));
        assert_eq!((way("1.9", "1.10"), way("1.10", "1.9")), (Direction::Upgrade, Direction::Downgrade));
    }
}
