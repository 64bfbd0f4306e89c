//! Functions that are the same to the planner: equal platform, trust domain and closure.

use std::collections::HashMap;

use sha2::{Digest, Sha256};

use crate::model::inventory::{Inventory, State};
use crate::model::{PackageId, Platform};

/// Functions that one decision serves.
#[derive(Debug, Clone, PartialEq)]
pub struct Class {
    /// See [`class_digest`].
    pub digest: String,
    /// Where all of them run.
    pub platform: Platform,
    /// Whose images they may use.
    pub trust_domain: String,
    /// What all of them load; sorted, each once.
    pub closure: Vec<PackageId>,
    /// Whether the closure is the whole of what they load: all of them are locked.
    pub complete: bool,
    /// Indices into [`Inventory::functions`], ascending.
    pub functions: Vec<usize>,
    /// Cold starts in the planning period, summed.
    pub weight: f64,
}

/// Merges functions with equal platform, trust domain and closure; sorted by these. Functions without a platform are
/// left out.
pub fn classes(inventory: &Inventory) -> Vec<Class> {
    // Sorted only once merged: comparing closures takes much longer than hashing them.
    let mut merged: HashMap<(&Platform, &str, Vec<&PackageId>), Vec<usize>> = HashMap::new();
    for (index, function) in inventory.functions.iter().enumerate() {
        let Some(platform) = &function.platform else { continue };
        let mut closure: Vec<&PackageId> = function.closure.iter().collect();
        if !closure.is_sorted() {
            closure.sort();
        }
        closure.dedup();
        merged.entry((platform, &function.trust_domain, closure)).or_default().push(index);
    }
    let mut merged: Vec<_> = merged.into_iter().collect();
    merged.sort();
    merged
        .into_iter()
        .map(|((platform, trust_domain, closure), functions)| {
            let closure: Vec<PackageId> = closure.into_iter().cloned().collect();
            Class {
                digest: class_digest(platform, trust_domain, &closure),
                platform: platform.clone(),
                trust_domain: trust_domain.to_string(),
                closure,
                complete: functions.iter().all(|&f| inventory.functions[f].state == State::Locked),
                weight: sum_weights(functions.iter().map(|&f| inventory.functions[f].weight)),
                functions,
            }
        })
        .collect()
}

/// The first 16 hexadecimal digits of the SHA-256 of platform, trust domain and closure, one a line. The closure must be
/// sorted, as [`Class::closure`] is.
pub fn class_digest(platform: &Platform, trust_domain: &str, closure: &[PackageId]) -> String {
    let mut hasher = Sha256::new();
    hasher.update(format!("{platform}\n{trust_domain}\n"));
    for package in closure {
        hasher.update(format!("{package}\n"));
    }
    hasher.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// Adds weights in fixed point (2⁻⁶⁰ steps), so that neither their order nor splitting one in halves changes the sum.
/// What is not a positive number counts as nothing; the scanner and the trace reader refuse it earlier.
pub fn sum_weights(weights: impl Iterator<Item = f64>) -> f64 {
    const STEP: f64 = (1u64 << 60) as f64;
    const LARGEST: f64 = 1e15;
    let sum: i128 = weights
        .filter(|w| w.is_finite() && *w > 0.0)
        .map(|w| (w.min(LARGEST) * STEP).round() as i128)
        .fold(0, i128::saturating_add);
    sum as f64 / STEP
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::inventory::Function;
    use crate::model::platform::Language;

    fn function(id: &str, version: Option<&str>, domain: &str, state: State, closure: &[&str]) -> Function {
        Function {
            platform: version.map(|v| Platform::linux(Language::Python, v)),
            trust_domain: domain.into(),
            weight: 0.5,
            state,
            closure: closure.iter().map(|c| c.parse().unwrap()).collect(),
            ..Function::new(id)
        }
    }

    #[test]
    fn only_functions_alike_in_everything_that_matters_are_merged() {
        let (a, b) = ("pypi:a==1", "pypi:b==1");
        let mut inventory = Inventory::empty();
        inventory.functions = vec![
            function("1", Some("3.11"), "x", State::Locked, &[a, b]),
            function("2", Some("3.11"), "x", State::Locked, &[b, a, a]),
            function("3", Some("3.12"), "x", State::Locked, &[a, b]),
            function("4", Some("3.11"), "y", State::Locked, &[a, b]),
            function("5", Some("3.11"), "x", State::Locked, &[a]),
            function("6", None, "x", State::Unresolved, &[]),
            function("7", Some("3.11"), "x", State::Pinned, &[a]),
        ];
        let found = classes(&inventory);
        let members: Vec<&[usize]> = found.iter().map(|c| c.functions.as_slice()).collect();
        assert_eq!(members, [&[4, 6][..], &[0, 1], &[3], &[2]]);
        assert_eq!(found.iter().map(|c| c.complete).collect::<Vec<_>>(), [false, true, true, true]);
        assert_eq!(found[1].weight, 1.0);
        let digests: std::collections::BTreeSet<_> = found.iter().map(|c| &c.digest).collect();
        assert_eq!(digests.len(), 4);
    }

    #[test]
    fn the_digest_is_the_one_that_sha256sum_gives() {
        // printf 'python3.11-linux-x86_64-glibc\ndefault\npypi:a==1\n' | sha256sum
        let platform = Platform::linux(Language::Python, "3.11");
        let digest = class_digest(&platform, "default", &["pypi:a==1".parse().unwrap()]);
        assert_eq!(digest, "d51a4be3234eddd4");
    }

    #[test]
    fn weights_add_up_alike_in_any_order() {
        let weights = [0.1, 0.2, 0.3, 1e6, 7.7];
        let halves = weights.iter().rev().flat_map(|w| [w / 2.0, w / 2.0]);
        assert_eq!(sum_weights(weights.into_iter()), sum_weights(halves));
        assert_eq!(sum_weights([f64::NAN, -1.0, f64::INFINITY, 2.0].into_iter()), 2.0);
    }
}
