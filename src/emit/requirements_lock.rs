//! `requirements.lock`: what an image adds to its parent, with hashes, as pip's hash-checking mode reads it.

use std::collections::BTreeMap;

use super::view::Contents;
use crate::model::{Diagnostic, Package, PackageId, Place, codes};

/// The locks of a Python image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequirementsLock {
    /// `requirements.lock`. Names packages without hashes in comments, so that its digest covers them too.
    pub text: String,
    /// Whether `text` has anything to install.
    pub hashed: bool,
    /// `requirements.unhashed.lock`, where some packages have no hash: pip refuses a file that has hashes for some
    /// packages only, and dropping the hashes of the others would weaken them too.
    pub unhashed: Option<String>,
}

/// Writes the locks of an image or a closure; says which packages no lock gives hashes for.
pub fn requirements_lock(
    contents: &Contents<'_>,
    packages: &BTreeMap<&PackageId, &Package>,
) -> (RequirementsLock, Option<Diagnostic>) {
    let (mut hashed, mut bare) = (Vec::new(), Vec::new());
    for id in contents.added {
        let mut hashes: Vec<&str> = packages
            .get(id)
            .map(|p| p.hashes.iter().map(String::as_str).filter(|h| is_digest(h)).collect())
            .unwrap_or_default();
        hashes.sort_unstable();
        hashes.dedup();
        if hashes.is_empty() { bare.push(id.spec()) } else { hashed.push((id.spec(), hashes)) }
    }
    let what = contents.within.trim_end_matches('s');
    let mut text = format!("# Made by warmset for {what} {} ({}).\n", contents.id, contents.platform);
    match contents.parent {
        Some(parent) => text.push_str(&format!("# What it adds to its parent {parent}.\n")),
        None => text.push_str("# All that it holds.\n"),
    }
    for spec in &bare {
        text.push_str(&format!("# In requirements.unhashed.lock: {spec}\n"));
    }
    for (spec, hashes) in &hashed {
        text.push_str(spec);
        for hash in hashes {
            text.push_str(&format!(" \\\n    --hash={hash}"));
        }
        text.push('\n');
    }
    let unhashed = (!bare.is_empty()).then(|| {
        let mut lines =
            vec!["# No lock of the fleet gives hashes for these: pip takes what the index serves.".to_string()];
        lines.extend(bare.iter().cloned());
        lines.join("\n") + "\n"
    });
    let diagnostic = (!bare.is_empty()).then(|| {
        let place = Place::file(contents.file("requirements.unhashed.lock"));
        Diagnostic::new(codes::HASHES_MISSING, place, format!("no hashes for {}", bare.join(", ")))
    });
    (RequirementsLock { text, hashed: !hashed.is_empty(), unhashed }, diagnostic)
}

/// `sha256:` and 64 hexadecimal digits (or the longer SHA-2 ones that pip also takes).
fn is_digest(hash: &str) -> bool {
    let Some((algorithm, digits)) = hash.split_once(':') else { return false };
    let length = match algorithm {
        "sha256" => 64,
        "sha384" => 96,
        "sha512" => 128,
        _ => return false,
    };
    digits.len() == length && digits.bytes().all(|b| b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emit::samples;
    use crate::emit::view::views;

    fn lock_of(id: &str) -> (RequirementsLock, Option<Diagnostic>) {
        let (plan, inventory) = (samples::plan(), samples::inventory());
        let packages = inventory.packages.iter().map(|p| (&p.id, p)).collect();
        let (views, _) = views(&plan);
        requirements_lock(&views.iter().find(|v| v.image.id == id).unwrap().contents(), &packages)
    }

    #[test]
    fn a_child_locks_only_what_it_adds() {
        let (lock, diagnostic) = lock_of("py311-numpy-pandas-3f9a");
        assert_eq!(diagnostic, None);
        assert!(lock.hashed && lock.unhashed.is_none());
        let names: Vec<&str> = lock.text.lines().filter(|l| l.contains("==")).collect();
        assert_eq!(names, ["pandas==2.2.2 \\", "python-dateutil==2.9.0 \\", "six==1.16.0 \\"]);
        assert!(lock.text.contains("adds to its parent py311-numpy-1a2b"));
    }

    #[test]
    fn hashes_are_sorted_and_each_continues_the_line() {
        let (lock, _) = lock_of("py311-numpy-1a2b");
        let a = "a".repeat(64);
        let b = "b".repeat(64);
        assert!(lock.text.ends_with(&format!("numpy==1.26.4 \\\n    --hash=sha256:{a} \\\n    --hash=sha256:{b}\n")));
    }

    #[test]
    fn a_package_without_hashes_does_not_weaken_the_others() {
        let (lock, diagnostic) = lock_of("py312-jinja2-pyaes-77aa");
        assert!(lock.hashed);
        assert!(lock.unhashed.as_deref().unwrap().lines().any(|l| l == "pyaes==1.6.1"));
        assert!(!lock.text.lines().any(|l| l.starts_with("pyaes")));
        assert!(lock.text.contains("# In requirements.unhashed.lock: pyaes==1.6.1\n"));
        let diagnostic = diagnostic.unwrap();
        assert_eq!(diagnostic.code, "hashes-missing");
        assert_eq!(diagnostic.place.file, "images/py312-jinja2-pyaes-77aa/requirements.unhashed.lock");
    }

    #[test]
    fn only_digests_that_pip_takes_count() {
        assert!(is_digest(&format!("sha256:{}", "0".repeat(64))));
        for text in ["sha256:abc", "md5:00000000000000000000000000000000", "sha512-abc=", "", &"0".repeat(64)] {
            assert!(!is_digest(text), "{text}");
        }
    }
}
