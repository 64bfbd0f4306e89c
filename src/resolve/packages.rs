//! One record for each package of a fleet, gathered from every closure that holds it.

use std::collections::{BTreeMap, BTreeSet};

use crate::lock::{Closure, Lock};
use crate::model::inventory::RequiresOn;
use crate::model::{Package, PackageId, Place, Platform};

/// What closures say about packages.
#[derive(Debug, Default)]
pub struct Gathered {
    packages: BTreeMap<PackageId, Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    requires: BTreeSet<(Platform, Vec<PackageId>)>,
    aliases: BTreeMap<String, PackageId>,
    hashes: BTreeSet<String>,
    sources: BTreeSet<String>,
    size: Option<u64>,
    reason: BTreeSet<Place>,
}

impl Gathered {
    /// Adds what one closure says.
    pub fn add(&mut self, lock: &Lock, closure: &Closure, platform: &Platform) {
        for (id, reached) in &closure.packages {
            let seen = self.packages.entry(id.clone()).or_default();
            if let Some(requires) = &reached.requires {
                seen.requires.insert((platform.clone(), requires.iter().cloned().collect()));
            }
            seen.aliases.extend(reached.aliases.iter().map(|(a, i)| (a.clone(), i.clone())));
            let Some(entry) = lock.entries.get(reached.entry) else { continue };
            seen.hashes.extend(entry.hashes.iter().cloned());
            seen.sources.extend(entry.source.clone());
            // The same version can be listed with the size of one wheel here and of another there.
            seen.size = seen.size.max(entry.size);
            seen.reason.insert(Place::at(&lock.file, entry.line));
        }
    }

    /// The records, sorted by id.
    pub fn into_packages(self) -> Vec<Package> {
        self.packages.into_iter().map(|(id, seen)| seen.into_package(id)).collect()
    }
}

impl Seen {
    fn into_package(self, id: PackageId) -> Package {
        let sets: BTreeSet<&Vec<PackageId>> = self.requires.iter().map(|(_, set)| set).collect();
        let (requires, requires_on) = match sets.len() {
            0 => (None, Vec::new()),
            1 => (sets.first().map(|set| (*set).clone()), Vec::new()),
            // Where nothing is said about a platform, everything that is needed anywhere is the safe answer.
            _ => {
                let union: BTreeSet<PackageId> = sets.iter().flat_map(|set| set.iter().cloned()).collect();
                let on = self
                    .requires
                    .iter()
                    .map(|(platform, requires)| RequiresOn { platform: platform.clone(), requires: requires.clone() })
                    .collect();
                (Some(union.into_iter().collect()), on)
            }
        };
        Package {
            requires,
            requires_on,
            aliases: self.aliases,
            hashes: self.hashes.into_iter().collect(),
            source: self.sources.into_iter().next(),
            size: self.size,
            reason: self.reason.into_iter().collect(),
            ..Package::new(id)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock::{Entry, Kind, Reached, When};
    use crate::model::Language;

    fn said(version: &str, requires: Option<&[&str]>) -> (Lock, Closure, Platform) {
        let id = PackageId::pypi("a", "1");
        let lock = Lock {
            entries: vec![Entry {
                id: id.clone(),
                line: 7,
                hashes: vec!["sha256:00".into()],
                source: None,
                size: None,
                requires: None,
                when: When::default(),
            }],
            complete: true,
            ..Lock::empty(Kind::Uv, "uv.lock")
        };
        let requires = requires.map(|r| r.iter().map(|n| PackageId::pypi(n, "1")).collect());
        let reached = Reached { entry: 0, requires, aliases: BTreeMap::new() };
        let closure = Closure { packages: BTreeMap::from([(id, reached)]), missing: vec![] };
        (lock, closure, Platform::linux(Language::Python, version))
    }

    fn gather(said: &[(Lock, Closure, Platform)]) -> Package {
        let mut all = Gathered::default();
        for (lock, closure, platform) in said {
            all.add(lock, closure, platform);
        }
        all.into_packages().remove(0)
    }

    #[test]
    fn one_answer_everywhere_needs_no_platform() {
        let package = gather(&[said("3.11", Some(&["b"])), said("3.12", Some(&["b"]))]);
        assert_eq!(package.requires, Some(vec![PackageId::pypi("b", "1")]));
        assert!(package.requires_on.is_empty());
        assert_eq!(package.reason, vec![Place::at("uv.lock", 7)]);
    }

    #[test]
    fn answers_that_differ_are_kept_by_platform_and_their_union_stands_for_the_rest() {
        let package = gather(&[said("3.9", Some(&["b", "c"])), said("3.12", Some(&["b"]))]);
        assert_eq!(package.requires, Some(vec![PackageId::pypi("b", "1"), PackageId::pypi("c", "1")]));
        let on312 = package.requires_for(&Platform::linux(Language::Python, "3.12"));
        assert_eq!(on312, vec![&[PackageId::pypi("b", "1")][..]]);
    }

    #[test]
    fn a_lock_without_edges_says_nothing_about_them() {
        assert_eq!(gather(&[said("3.11", None)]).requires, None);
        assert_eq!(gather(&[said("3.11", None), said("3.11", Some(&[]))]).requires, Some(vec![]));
    }
}
