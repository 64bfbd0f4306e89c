//! `closures/<id>/`: the locks of whole closures, from which a runtime installs what a cold start needs.
//!
//! Functions with the same packages at the same versions share one. There is none for a function of which a version is
//! unknown, or a package does not come from a registry: such a lock would install something else than what is deployed.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};

use super::node_lock;
use super::requirements_lock;
use super::view::{Contents, is_module, is_package};
use crate::model::inventory::Target;
use crate::model::{Diagnostic, Function, Inventory, Language, Package, PackageId, Platform};

/// Folder of the plan folder that holds them.
const WITHIN: &str = "closures";

/// One closure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closure {
    /// `py311-3f9a01c2…`: platform and a hash of what is installed.
    pub id: String,
    /// Where it runs.
    pub platform: Platform,
    /// Sorted.
    pub packages: Vec<PackageId>,
    /// What its functions name themselves, by the name they use.
    pub direct: BTreeMap<String, PackageId>,
    /// What they import of it, in the order of their sources.
    pub preload: Vec<String>,
}

impl Closure {
    /// Folder in the plan folder.
    pub fn folder(&self) -> String {
        format!("{WITHIN}/{}", self.id)
    }

    /// A set of packages that is no function's: what several closures of a platform need together.
    pub fn of(platform: &Platform, packages: Vec<PackageId>, direct: BTreeMap<String, PackageId>) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(format!("{platform}\n"));
        packages.iter().for_each(|package| hasher.update(format!("package {package}\n")));
        direct.iter().for_each(|(name, package)| hasher.update(format!("direct {name} {package}\n")));
        let hash: String = hasher.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let short: String = platform
            .short()
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
            .collect();
        Self { id: format!("{short}-{hash}"), platform: platform.clone(), packages, direct, preload: Vec::new() }
    }
}

/// The closures of a fleet, and whose they are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Closures {
    by_id: BTreeMap<String, Closure>,
    of_function: BTreeMap<String, String>,
}

impl Closures {
    /// By id.
    pub fn all(&self) -> impl Iterator<Item = &Closure> {
        self.by_id.values()
    }

    /// That of a function, by the function's id.
    pub fn of(&self, function: &str) -> Option<&Closure> {
        self.by_id.get(self.of_function.get(function)?)
    }
}

/// Gathers the closures that can be installed.
pub fn closures(inventory: &Inventory) -> Closures {
    let elsewhere: BTreeSet<&PackageId> = inventory
        .packages
        .iter()
        .filter(|p| p.source.as_deref().is_some_and(|source| source != "registry"))
        .map(|p| &p.id)
        .collect();
    let mut out = Closures::default();
    for function in &inventory.functions {
        let Some(platform) = &function.platform else { continue };
        let installable = |id: &PackageId| is_package(id) && !elsewhere.contains(id);
        if function.closure.is_empty() || !function.unresolved.is_empty() || !function.closure.iter().all(installable) {
            continue;
        }
        let mut packages = function.closure.clone();
        packages.sort();
        packages.dedup();
        let closure = Closure::of(platform, packages, direct(function));
        out.of_function.insert(function.id.clone(), closure.id.clone());
        let kept = out.by_id.entry(closure.id.clone()).or_insert(closure);
        for module in imported(function, platform.language) {
            if !kept.preload.contains(&module) {
                kept.preload.push(module);
            }
        }
    }
    out
}

/// Whether a package can stand in a lock that its ecosystem's registry serves.
pub fn is_installable(id: &PackageId, known: Option<&Package>) -> bool {
    is_package(id) && known.is_none_or(Package::is_from_registry)
}

/// npm places what a function names itself at the top; pip has one place for all.
pub fn direct(function: &Function) -> BTreeMap<String, PackageId> {
    let node = function.platform.as_ref().is_some_and(|p| p.language == Language::Node);
    let named = function.declared.iter().filter_map(|r| r.package.as_ref());
    let held = named.filter(|id| node && function.closure.contains(id));
    held.map(|id| (id.name.clone(), id.clone())).collect()
}

/// The modules of its closure that a function imports, in the order of its sources.
pub fn imported(function: &Function, language: Language) -> Vec<String> {
    let names: BTreeSet<&str> = function.closure.iter().map(|id| id.name.as_str()).collect();
    let mut modules = Vec::new();
    for import in &function.imports {
        let Target::Package { package } = &import.target else { continue };
        if !names.contains(package.as_str()) {
            continue;
        }
        for module in import.loads(package, language) {
            if is_module(&module) && !modules.contains(&module) {
                modules.push(module);
            }
        }
    }
    modules
}

/// Bytes by file name.
pub type Files = BTreeMap<String, Vec<u8>>;

/// The lock files of a closure: what uv, pip or `npm ci` install it from.
pub fn lock(closure: &Closure, packages: &BTreeMap<&PackageId, &Package>) -> (Files, Vec<Diagnostic>) {
    let contents = Contents {
        id: &closure.id,
        within: WITHIN,
        platform: &closure.platform,
        parent: None,
        packages: &closure.packages,
        added: &closure.packages,
    };
    match closure.platform.language {
        Language::Python => {
            let (lock, diagnostic) = requirements_lock::requirements_lock(&contents, packages);
            let unhashed = lock.unhashed.map(|text| ("requirements.unhashed.lock".to_string(), text.into_bytes()));
            let files = [("requirements.lock".to_string(), lock.text.into_bytes())].into_iter().chain(unhashed);
            (files.collect(), diagnostic.into_iter().collect())
        }
        Language::Node => {
            let (lock, diagnostics) = node_lock::node_lock(&contents, &closure.direct, packages);
            let files = [("package.json", lock.manifest), ("package-lock.json", lock.lock)];
            (files.into_iter().map(|(name, text)| (name.to_string(), text.into_bytes())).collect(), diagnostics)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emit::samples;

    fn ids(closures: &Closures) -> Vec<&str> {
        closures.all().map(|c| c.id.as_str()).collect()
    }

    #[test]
    fn functions_with_the_same_packages_share_a_closure_that_preloads_what_each_imports() {
        let mut inventory = samples::inventory();
        let imports = |module: &str| {
            let import = serde_json::json!({
                "file": "app.py", "line": 1, "module": module, "kind": "runtime", "to": "package", "package": "pandas"
            });
            vec![serde_json::from_value(import).unwrap()]
        };
        let table = inventory.functions.iter_mut().find(|f| f.id == "table").unwrap();
        table.imports = imports("pandas");
        let mut twin = table.clone();
        twin.id = "zz-twin".into();
        twin.imports = imports("pandas.plotting");
        let before = closures(&inventory);
        inventory.functions.push(twin);
        let after = closures(&inventory);
        assert_eq!(ids(&before), ids(&after));
        assert_eq!(after.of("table"), after.of("zz-twin"));
        assert_eq!(after.of("table").unwrap().preload, ["pandas", "pandas.plotting"]);
    }

    #[test]
    fn nothing_is_installed_of_which_a_version_or_the_source_is_not_known() {
        let mut inventory = samples::inventory();
        assert!(closures(&inventory).of("webhook").is_none(), "it has a range only");
        assert!(closures(&inventory).of("matmul").is_some());
        for package in inventory.packages.iter_mut().filter(|p| p.id.name == "numpy") {
            package.source = Some("git".into());
        }
        assert!(closures(&inventory).of("matmul").is_none());
    }

    #[test]
    fn what_a_node_function_names_itself_stands_at_the_top() {
        let id = |spec: &str| format!("npm:{spec}").parse::<PackageId>().unwrap();
        // Two need ms 2.1.3, which would therefore stand at the top; the function itself names 2.0.0.
        let packages: Vec<Package> = ["a@1.0.0", "b@1.0.0", "c@1.0.0", "ms@2.0.0", "ms@2.1.3"]
            .into_iter()
            .map(|spec| {
                let mut package = Package::new(id(spec));
                package.requires = Some(match spec {
                    "a@1.0.0" | "b@1.0.0" => vec![id("ms@2.1.3")],
                    "c@1.0.0" => vec![id("ms@2.0.0")],
                    _ => Vec::new(),
                });
                package
            })
            .collect();
        let by_id: BTreeMap<&PackageId, &Package> = packages.iter().map(|p| (&p.id, p)).collect();
        let platform: Platform = "node20-linux-x86_64-glibc".parse().unwrap();
        let all: Vec<PackageId> = packages.iter().map(|p| p.id.clone()).collect();
        let top = |direct: BTreeMap<String, PackageId>| {
            let (files, _) = lock(&Closure::of(&platform, all.clone(), direct), &by_id);
            let lock: serde_json::Value = serde_json::from_slice(&files["package-lock.json"]).unwrap();
            lock["packages"]["node_modules/ms"]["version"].as_str().unwrap().to_string()
        };
        assert_eq!(top(BTreeMap::new()), "2.1.3");
        assert_eq!(top(BTreeMap::from([("ms".to_string(), id("ms@2.0.0"))])), "2.0.0");
    }
}
