//! One record for each package of a fleet, gathered from every closure that holds it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::lock::{Closure, Lock};
use crate::model::inventory::RequiresOn;
use crate::model::{Function, Package, PackageId, Place, Platform};

/// What closures say about packages. What is gathered does not depend on the order in which it was added, nor on
/// whether something was added twice.
#[derive(Debug, Default)]
pub struct Gathered {
    packages: HashMap<PackageId, Seen>,
    files: Files,
}

/// Names of files, each kept once: a package is named in as many locks as there are functions that load it.
#[derive(Debug, Default)]
struct Files {
    by_name: HashMap<String, u32>,
    names: Vec<String>,
}

impl Files {
    fn number(&mut self, name: &str) -> u32 {
        if let Some(number) = self.by_name.get(name) {
            return *number;
        }
        let number = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        self.names.push(name.to_string());
        self.by_name.insert(name.to_string(), number);
        number
    }
}

#[derive(Debug, Default)]
struct Seen {
    /// Platforms of the closures that hold it.
    held_on: BTreeSet<Platform>,
    /// What they say that it needs, and where.
    requires: BTreeMap<Platform, BTreeSet<Vec<PackageId>>>,
    ranges: BTreeMap<String, BTreeSet<String>>,
    aliases: BTreeMap<String, PackageId>,
    hashes: BTreeSet<String>,
    source: Option<String>,
    size: Option<u64>,
    /// Numbers of files, and lines. May hold repeats.
    reason: Vec<(u32, u32)>,
}

impl Seen {
    fn held(&mut self, platform: &Platform) {
        if !self.held_on.contains(platform) {
            self.held_on.insert(platform.clone());
        }
    }

    fn requires(&mut self, platform: &Platform, set: Vec<PackageId>) {
        if let Some(sets) = self.requires.get_mut(platform) {
            sets.insert(set);
        } else {
            self.requires.insert(platform.clone(), BTreeSet::from([set]));
        }
    }

    fn ranges(&mut self, name: &str, texts: impl IntoIterator<Item = impl AsRef<str>>) {
        for text in texts {
            let text = text.as_ref();
            if !self.ranges.get(name).is_some_and(|known| known.contains(text)) {
                self.ranges.entry(name.to_string()).or_default().insert(text.to_string());
            }
        }
    }

    fn alias(&mut self, alias: &str, id: &PackageId) {
        match self.aliases.get_mut(alias) {
            Some(known) if *id < *known => *known = id.clone(),
            Some(_) => {}
            None => {
                self.aliases.insert(alias.to_string(), id.clone());
            }
        }
    }

    fn hashes(&mut self, hashes: &[String]) {
        for hash in hashes {
            if !self.hashes.contains(hash) {
                self.hashes.insert(hash.clone());
            }
        }
    }

    fn source(&mut self, source: Option<&String>) {
        if let Some(source) = source
            && self.source.as_ref().is_none_or(|known| source < known)
        {
            self.source = Some(source.clone());
        }
    }
}

impl Gathered {
    fn seen(&mut self, id: &PackageId) -> &mut Seen {
        if !self.packages.contains_key(id) {
            self.packages.insert(id.clone(), Seen::default());
        }
        self.packages.entry(id.clone()).or_default()
    }

    /// Adds what one closure says.
    pub fn add(&mut self, lock: &Lock, closure: &Closure, platform: &Platform) {
        let file = self.files.number(&lock.file);
        for (id, reached) in &closure.packages {
            let seen = self.seen(id);
            seen.held(platform);
            if let Some(requires) = &reached.requires {
                let known = seen.requires.get(platform).is_some_and(|sets| {
                    sets.iter().any(|set| set.len() == requires.len() && set.iter().eq(requires.iter()))
                });
                if !known {
                    seen.requires(platform, requires.iter().cloned().collect());
                }
            }
            reached.ranges.iter().for_each(|(name, texts)| seen.ranges(name, texts));
            for (alias, id) in &reached.aliases {
                seen.alias(alias, id);
            }
            let Some(entry) = lock.entries.get(reached.entry) else { continue };
            seen.hashes(&entry.hashes);
            seen.source(entry.source.as_ref());
            // The same version can be listed with the size of one wheel here and of another there.
            seen.size = seen.size.max(entry.size);
            seen.reason.push((file, entry.line));
        }
    }

    /// Adds what others gathered.
    pub fn join(&mut self, other: Gathered) {
        let numbers: Vec<u32> = other.files.names.iter().map(|name| self.files.number(name)).collect();
        for (id, theirs) in other.packages {
            let seen = self.packages.entry(id).or_default();
            theirs.held_on.iter().for_each(|platform| seen.held(platform));
            for (platform, sets) in theirs.requires {
                seen.requires.entry(platform).or_default().extend(sets);
            }
            theirs.ranges.iter().for_each(|(name, texts)| seen.ranges(name, texts));
            theirs.aliases.iter().for_each(|(alias, id)| seen.alias(alias, id));
            seen.hashes.extend(theirs.hashes);
            seen.source(theirs.source.as_ref());
            seen.size = seen.size.max(theirs.size);
            let numbered = |file: u32| numbers.get(file as usize).copied().unwrap_or(u32::MAX);
            seen.reason.extend(theirs.reason.into_iter().map(|(file, line)| (numbered(file), line)));
        }
    }

    /// Notes on which platforms a function's closure holds its packages. All functions of an inventory come first, then
    /// its packages.
    pub fn hold(&mut self, function: &Function) {
        let Some(platform) = &function.platform else { return };
        for id in &function.closure {
            self.seen(id).held(platform);
        }
    }

    /// Adds a record of an inventory of which [`Gathered::hold`] has seen all functions, and nothing else.
    pub fn record(&mut self, package: Package) {
        let seen = self.packages.entry(package.id).or_default();
        let stated: Vec<Platform> = if !package.requires_on.is_empty() {
            Vec::new()
        } else if package.stated_on.is_empty() {
            seen.held_on.iter().cloned().collect()
        } else {
            package.stated_on
        };
        for on in package.requires_on {
            seen.requires(&on.platform, on.requires);
        }
        if let Some(requires) = package.requires {
            for platform in &stated {
                seen.requires(platform, requires.clone());
            }
        }
        package.ranges.iter().for_each(|(name, texts)| seen.ranges(name, texts));
        package.aliases.iter().for_each(|(alias, id)| seen.alias(alias, id));
        seen.hashes.extend(package.hashes);
        seen.source(package.source.as_ref());
        seen.size = seen.size.max(package.size);
        for place in package.reason {
            let file = self.files.number(&place.file);
            seen.reason.push((file, place.line));
        }
    }

    /// The records, sorted by id.
    pub fn into_packages(self) -> Packages {
        let mut packages: Vec<(PackageId, Seen)> = self.packages.into_iter().collect();
        packages.sort_by(|a, b| a.0.cmp(&b.0));
        Packages { packages: packages.into_iter(), files: self.files.names }
    }
}

/// Packages of an inventory, sorted by id, each made when it is asked for.
#[derive(Debug)]
pub struct Packages {
    packages: std::vec::IntoIter<(PackageId, Seen)>,
    files: Vec<String>,
}

impl Iterator for Packages {
    type Item = Package;

    fn next(&mut self) -> Option<Package> {
        let (id, seen) = self.packages.next()?;
        Some(seen.into_package(id, &self.files))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.packages.size_hint()
    }
}

impl ExactSizeIterator for Packages {}

impl Seen {
    fn into_package(self, id: PackageId, files: &[String]) -> Package {
        let sets: BTreeSet<&Vec<PackageId>> = self.requires.values().flatten().collect();
        let mut stated_on = Vec::new();
        let (requires, requires_on) = match sets.len() {
            0 => (None, Vec::new()),
            1 => {
                if self.requires.len() != self.held_on.len() {
                    stated_on = self.requires.keys().cloned().collect();
                }
                (sets.first().map(|set| (*set).clone()), Vec::new())
            }
            // Where nothing is said about a platform, everything that is needed anywhere is the safe answer.
            _ => {
                let union: BTreeSet<PackageId> = sets.iter().flat_map(|set| set.iter().cloned()).collect();
                let on = self
                    .requires
                    .iter()
                    .flat_map(|(platform, sets)| sets.iter().map(move |set| (platform, set)))
                    .map(|(platform, requires)| RequiresOn { platform: platform.clone(), requires: requires.clone() })
                    .collect();
                (Some(union.into_iter().collect()), on)
            }
        };
        let mut reason: Vec<Place> =
            self.reason.iter().filter_map(|(file, line)| Some(Place::at(files.get(*file as usize)?, *line))).collect();
        reason.sort();
        reason.dedup();
        Package {
            requires,
            requires_on,
            stated_on,
            ranges: self.ranges.into_iter().map(|(name, texts)| (name, texts.into_iter().collect())).collect(),
            aliases: self.aliases,
            hashes: self.hashes.into_iter().collect(),
            source: self.source,
            size: self.size,
            reason,
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
        let reached = Reached { entry: 0, requires, ..Reached::default() };
        let closure = Closure { packages: BTreeMap::from([(id, reached)]), missing: vec![] };
        (lock, closure, Platform::linux(Language::Python, version))
    }

    fn gather(said: &[(Lock, Closure, Platform)]) -> Package {
        let mut all = Gathered::default();
        for (lock, closure, platform) in said {
            all.add(lock, closure, platform);
        }
        all.into_packages().next().unwrap()
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
