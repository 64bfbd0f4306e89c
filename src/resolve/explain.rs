//! Why a package is in a function's closure: the shortest chain from what the function itself asks for.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;

use crate::model::inventory::{Requirement, Target};
use crate::model::{Function, Import, Inventory, Package, PackageId, Place};

/// The answer.
#[derive(Debug, Clone, Serialize)]
pub struct Why {
    /// Function id.
    pub function: String,
    /// The package asked about.
    pub package: PackageId,
    /// The direct dependency that it comes from, as declared; absent when the lock does not record edges.
    pub declared: Option<Requirement>,
    /// From the direct dependency to the package, each with the lock entries that fix its version.
    pub chain: Vec<Step>,
    /// Imports of the function that refer to the first of the chain.
    pub imports: Vec<Import>,
    /// The day on which `warmset lock` resolved the function; absent where its versions are its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolved_on: Option<String>,
}

/// One package on the way.
#[derive(Debug, Clone, Serialize)]
pub struct Step {
    /// The package.
    pub package: PackageId,
    /// Where its version is written.
    pub at: Vec<Place>,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WhyNot {
    /// No such function.
    #[error("there is no function `{0}`; `warmset scan` lists them")]
    NoFunction(String),
    /// Asked for, but without a version.
    #[error("`{package}` is asked for at {place} but has no known version: {text}")]
    Unresolved {
        /// Its name.
        package: String,
        /// Where it is asked for.
        place: Place,
        /// How.
        text: String,
    },
    /// Installed, but not loaded.
    #[error(
        "`{package}` is installed with `{function}`, but only other functions that share {lock} import what leads to it"
    )]
    InstalledOnly {
        /// As asked.
        package: String,
        /// The function.
        function: String,
        /// The lock that they share.
        lock: String,
    },
    /// Not there at all.
    #[error("`{package}` is not in the closure of `{function}`, which holds {size} packages")]
    NotThere {
        /// As asked.
        package: String,
        /// The function.
        function: String,
        /// Packages that are there.
        size: usize,
    },
}

/// Finds a function by its id.
pub fn function<'a>(inventory: &'a Inventory, id: &str) -> Result<&'a Function, WhyNot> {
    inventory.functions.iter().find(|f| f.id == id).ok_or_else(|| WhyNot::NoFunction(id.to_string()))
}

/// Why a package (`numpy`, `numpy==1.26.4`, `pypi:numpy==1.26.4`) is in a function's closure.
///
/// Several versions of one name can be there (npm); the one with the shortest chain is explained.
pub fn why(inventory: &Inventory, function_id: &str, wanted: &str) -> Result<Why, WhyNot> {
    let function = function(inventory, function_id)?;
    let packages: BTreeMap<&PackageId, &Package> = inventory.packages.iter().map(|p| (&p.id, p)).collect();
    let matches = |id: &PackageId| id.to_string() == wanted || id.spec() == wanted || same_name(id, wanted);
    let targets: Vec<&PackageId> = function.closure.iter().filter(|id| matches(id)).collect();
    if targets.is_empty() {
        if let Some(open) = function.unresolved.iter().find(|r| r.name.eq_ignore_ascii_case(wanted)) {
            return Err(WhyNot::Unresolved {
                package: wanted.to_string(),
                place: open.place.clone(),
                text: open.text.clone(),
            });
        }
        if function.installed_only.iter().any(matches) {
            return Err(WhyNot::InstalledOnly {
                package: wanted.to_string(),
                function: function_id.to_string(),
                lock: function.lock.as_ref().map(|l| l.file.clone()).unwrap_or_default(),
            });
        }
        return Err(WhyNot::NotThere {
            package: wanted.to_string(),
            function: function_id.to_string(),
            size: function.closure.len(),
        });
    }

    // Breadth first from everything that the function asks for itself.
    let mut from: BTreeMap<&PackageId, Option<&PackageId>> = BTreeMap::new();
    let mut queue: VecDeque<&PackageId> = VecDeque::new();
    for id in function.declared.iter().filter_map(|r| r.package.as_ref()) {
        if from.insert(id, None).is_none() {
            queue.push_back(id);
        }
    }
    while let Some(id) = queue.pop_front() {
        let Some((package, platform)) = packages.get(id).zip(function.platform.as_ref()) else { continue };
        for next in package.requires_for(platform).into_iter().flatten() {
            if function.closure.binary_search(next).is_ok() && !from.contains_key(next) {
                from.insert(next, Some(id));
                queue.push_back(next);
            }
        }
    }
    let chain_to = |target: &PackageId| {
        let mut chain = vec![target.clone()];
        let mut at = target;
        while let Some(Some(previous)) = from.get(at) {
            chain.push((*previous).clone());
            at = previous;
        }
        chain.reverse();
        chain
    };
    let mut chains: Vec<Vec<PackageId>> = targets.iter().map(|t| chain_to(t)).collect();
    // A target that nothing reaches has a chain of itself alone; prefer one that is reached.
    chains.sort_by_key(|chain| (!from.contains_key(&chain[0]), chain.len()));
    let chain = chains.swap_remove(0);
    let head = &chain[0];
    Ok(Why {
        resolved_on: function.lock.as_ref().and_then(|l| l.resolved_on.clone()),
        function: function_id.to_string(),
        package: chain[chain.len() - 1].clone(),
        declared: function.declared.iter().find(|r| r.package.as_ref() == Some(head)).cloned(),
        imports: function
            .imports
            .iter()
            .filter(|i| matches!(&i.target, Target::Package { package } if *package == head.name))
            .cloned()
            .collect(),
        chain: chain
            .iter()
            .map(|id| Step {
                package: id.clone(),
                at: packages.get(id).map(|p| places(function, p)).unwrap_or_default(),
            })
            .collect(),
    })
}

/// Where this function's lock fixes the version; where others fix it, if its own does not say.
fn places(function: &Function, package: &Package) -> Vec<Place> {
    let own: Vec<Place> = package
        .reason
        .iter()
        .filter(|place| match &function.lock {
            Some(lock) => place.file == lock.file,
            None => function.declared.iter().any(|r| r.place == **place),
        })
        .cloned()
        .collect();
    if own.is_empty() { package.reason.clone() } else { own }
}

fn same_name(id: &PackageId, wanted: &str) -> bool {
    match id.ecosystem {
        crate::model::Ecosystem::Pypi => id.name == crate::model::normalise_pypi(wanted),
        crate::model::Ecosystem::Npm => id.name == wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Language, Platform, read};

    fn inventory() -> Inventory {
        let platform = Platform::linux(Language::Python, "3.11");
        let text = format!(
            r#"{{"schema":"warmset.inventory/1","functions":[{{"id":"f","path":"f","platform":"{platform}","state":"partial","lock":{{"file":"f/uv.lock","kind":"uv"}},
            "imports":[{{"file":"f/app.py","line":2,"module":"requests","kind":"runtime","to":"package","package":"requests"}}],
            "declared":[{{"name":"requests","text":"requests>=2","file":"f/pyproject.toml","line":5,"package":"pypi:requests==2.31.0"}}],
            "closure":["pypi:idna==3.6","pypi:requests==2.31.0","pypi:six==1.16.0"],
            "unresolved":[{{"name":"boto3","text":"boto3>=1.20","file":"f/requirements.txt","line":1}}]}}],
            "packages":[{{"id":"pypi:idna==3.6","requires":[],"reason":[{{"file":"e/uv.lock","line":7}},{{"file":"f/uv.lock","line":30}}]}},
            {{"id":"pypi:requests==2.31.0","requires":["pypi:idna==3.6"]}},{{"id":"pypi:six==1.16.0","requires":[]}}]}}"#
        );
        read::inventory("i.json", &text).unwrap()
    }

    #[test]
    fn a_chain_leads_from_the_import_to_the_lock_entry() {
        let why = why(&inventory(), "f", "idna").unwrap();
        let names: Vec<&str> = why.chain.iter().map(|s| s.package.name.as_str()).collect();
        assert_eq!(names, ["requests", "idna"]);
        assert_eq!(why.declared.unwrap().place, Place::at("f/pyproject.toml", 5));
        assert_eq!(why.imports[0].line, 2);
        assert_eq!(why.chain[1].at, [Place::at("f/uv.lock", 30)]);
    }

    #[test]
    fn a_package_that_no_edge_reaches_stands_alone() {
        let why = why(&inventory(), "f", "pypi:six==1.16.0").unwrap();
        assert!(why.declared.is_none() && why.chain.len() == 1);
    }

    #[test]
    fn no_answer_says_why_not() {
        let fails = |f: &str, p: &str| why(&inventory(), f, p).unwrap_err();
        assert!(matches!(fails("g", "idna"), WhyNot::NoFunction(_)));
        assert!(matches!(fails("f", "boto3"), WhyNot::Unresolved { .. }));
        assert!(matches!(fails("f", "idna==9"), WhyNot::NotThere { size: 3, .. }));
    }
}
