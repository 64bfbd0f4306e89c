//! Artefacts from text, checked before anything relies on them.

use std::collections::BTreeSet;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::diagnostic::{Diagnostic, Place};
use super::inventory::{self, Function, Inventory};
use super::manifest::{self, SwapManifest};
use super::plan::{self, Plan};
use super::{check_schema, codes};

fn artefact<T: DeserializeOwned>(file: &str, text: &str, schema: &str) -> Result<T, Diagnostic> {
    let invalid = |e: &serde_json::Error, what: &str| {
        let line = u32::try_from(e.line()).unwrap_or(0);
        Diagnostic::new(codes::ARTEFACT_INVALID, Place::at(file, line), format!("{what}: {e}"))
    };
    let value: Value = serde_json::from_str(text).map_err(|e| invalid(&e, "not valid JSON"))?;
    check_schema(file, &value, schema)?;
    // From the text again: only then does an error know its line.
    serde_json::from_str(text).map_err(|e| invalid(&e, "not as the schema says"))
}

/// Reads an `inventory.json` that any tool may have written.
///
/// Ids that occur twice and weights that are no numbers are errors; packages that a closure names and nothing defines
/// are added as unknown and reported among the inventory's own diagnostics.
pub fn inventory(file: &str, text: &str) -> Result<Inventory, Diagnostic> {
    let mut inventory: Inventory = artefact(file, text, inventory::SCHEMA)?;
    let invalid = |reason: String| Diagnostic::new(codes::ARTEFACT_INVALID, Place::file(file), reason);
    let mut seen = BTreeSet::new();
    for function in &inventory.functions {
        if !seen.insert(function.id.as_str()) {
            return Err(invalid(format!("two functions have the id `{}`", function.id)));
        }
        if let Some(reason) = cannot_be_meant(function) {
            return Err(invalid(reason));
        }
    }
    let mut defined = BTreeSet::new();
    for package in &inventory.packages {
        if !defined.insert(package.id.clone()) {
            return Err(invalid(format!("the package {} is defined twice", package.id)));
        }
    }
    let strangers: BTreeSet<_> =
        inventory.functions.iter().flat_map(|f| &f.closure).filter(|id| !defined.contains(*id)).cloned().collect();
    if !strangers.is_empty() {
        let first: Vec<String> = strangers.iter().take(3).map(ToString::to_string).collect();
        inventory.diagnostics.push(Diagnostic::new(
            codes::REFERENCE_UNKNOWN,
            Place::file(file),
            format!(
                "closures name {} packages that are not defined, for example {}",
                strangers.len(),
                first.join(", ")
            ),
        ));
        inventory.packages.extend(strangers.into_iter().map(super::Package::new));
    }
    inventory.sort();
    Ok(inventory)
}

/// What no function can be, whoever wrote it.
pub fn cannot_be_meant(function: &Function) -> Option<String> {
    if !function.weight.is_finite() || function.weight < 0.0 {
        return Some(format!("the weight of `{}` is negative or not a number", function.id));
    }
    let platform = function.platform.as_ref()?;
    let stranger = function.closure.iter().find(|id| id.ecosystem != platform.language.ecosystem())?;
    Some(format!("`{}` runs on {platform} but its closure holds {stranger}", function.id))
}

/// Reads a `plan.json`.
pub fn plan(file: &str, text: &str) -> Result<Plan, Diagnostic> {
    let plan: Plan = artefact(file, text, plan::SCHEMA)?;
    let ids: BTreeSet<&str> = plan.images.iter().map(|i| i.id.as_str()).collect();
    let broken = |reason: String| Err(Diagnostic::new(codes::PLAN_BROKEN, Place::file(file), reason));
    if ids.len() < plan.images.len() {
        return broken("two images have the same id".into());
    }
    for image in &plan.images {
        if !image.id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)) || image.id.starts_with('.') {
            return broken(format!("`{}` cannot be the name of an image", image.id));
        }
        if let Some(parent) = image.parent.as_deref().filter(|p| !ids.contains(p)) {
            return broken(format!("the parent {parent} of {} is not in the plan", image.id));
        }
        if image.package_ids().len() < image.packages.len() {
            return broken(format!("{} lists a package without a version", image.id));
        }
    }
    if let Some(assignment) = plan.assignments.iter().find(|a| !ids.contains(a.image.as_str())) {
        return broken(format!(
            "`{}` is assigned to {}, which is not in the plan",
            assignment.function, assignment.image
        ));
    }
    Ok(plan)
}

/// Reads a `swap-manifest.json`. Images come after their parents, and their folders lie in the manifest's own.
pub fn manifest(file: &str, text: &str) -> Result<SwapManifest, Diagnostic> {
    let manifest: SwapManifest = artefact(file, text, manifest::SCHEMA)?;
    let mut seen = BTreeSet::new();
    let broken = |reason: String| Err(Diagnostic::new(codes::ARTEFACT_INVALID, Place::file(file), reason));
    for image in &manifest.images {
        if !names_an_image(&image.id) {
            return broken(format!("`{}` cannot be the name of an image", image.id));
        }
        if let Some(parent) = image.parent.as_deref().filter(|parent| !seen.contains(parent)) {
            return broken(format!("the parent {parent} of {} does not come before it", image.id));
        }
        if !seen.insert(image.id.as_str()) {
            return broken(format!("two images have the id {}", image.id));
        }
        if image.folder.split('/').any(|part| matches!(part, "" | "." | "..")) || image.folder.contains('\\') {
            return broken(format!("the folder of {} lies outside the plan's", image.id));
        }
        let plain = |c: u8| c.is_ascii_alphanumeric() || b"._-/:@".contains(&c);
        if image.reference.starts_with(['-', '/']) || !image.reference.bytes().all(plain) {
            return broken(format!("`{}` is no reference of an image", image.reference));
        }
    }
    let functions = manifest.functions.iter().map(|f| ("functions", f.id.as_str()));
    let mut seen = BTreeSet::new();
    for (what, id) in functions.chain(manifest.closures.iter().map(|c| ("closures", c.id.as_str()))) {
        if !seen.insert((what, id)) {
            return broken(format!("two {what} have the id {id}"));
        }
    }
    Ok(manifest)
}

fn names_an_image(id: &str) -> bool {
    let sound = id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    sound && !id.is_empty() && !id.starts_with(['.', '-'])
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = r#""schema":"warmset.inventory/1""#;

    #[test]
    fn ids_of_a_manifest_are_unique() {
        let manifest = |functions: &str, closures: &str| {
            let head = r#""schema":"warmset.swap-manifest/1","name":"t","budget_mb":1.0,"memory_mb":1.0"#;
            let text = format!(r#"{{{head},"images":[],"closures":[{closures}],"functions":[{functions}]}}"#);
            super::manifest("m", &text).map_err(|d| d.reason)
        };
        let function = |id: &str| {
            format!(
                r#"{{"id":"{id}","path":"f","handler":"a.b","platform":null,"image":null,"closure":null,
                "fallback":[],"loads":[],"environment":{{}}}}"#
            )
        };
        let closure = |id: &str| {
            format!(
                r#"{{"id":"{id}","platform":"python3.11-linux-x86_64-glibc","folder":"closures/{id}",
                "lock":{{"file":"requirements.lock","sha256":""}},"packages":[],"preload":[]}}"#
            )
        };
        let two = |a: String, b: String| format!("{a},{b}");
        // A function and a closure may have the same one.
        assert_eq!(manifest(&two(function("a"), function("b")), &closure("a")).map(|_| ()), Ok(()));
        let said = manifest(&two(function("a"), function("a")), "").unwrap_err();
        assert_eq!(said, "two functions have the id a");
        let said = manifest("", &two(closure("a"), closure("a"))).unwrap_err();
        assert_eq!(said, "two closures have the id a");
    }

    #[test]
    fn the_smallest_inventory_that_another_tool_may_write() {
        let text = format!(
            r#"{{{HEAD},"functions":[{{"id":"f","path":"f","platform":"python3.11-linux-x86_64-glibc","state":"locked",
               "closure":["pypi:six==1.16.0"]}}],"packages":[{{"id":"pypi:six==1.16.0","requires":[]}}]}}"#
        );
        let inventory = inventory("i.json", &text).unwrap();
        assert_eq!(inventory.functions[0].weight, 1.0);
        assert_eq!(inventory.functions[0].trust_domain, "default");
        assert!(inventory.diagnostics.is_empty());
    }

    #[test]
    fn undefined_packages_are_reported_and_known_to_be_unknown() {
        let text = format!(
            r#"{{{HEAD},"functions":[{{"id":"f","path":"f","platform":"python3.11-linux-x86_64-glibc","state":"locked",
               "closure":["pypi:six==1.16.0"]}}]}}"#
        );
        let inventory = inventory("i.json", &text).unwrap();
        assert_eq!(inventory.diagnostics[0].code, "reference-unknown");
        assert_eq!(inventory.packages[0].requires, None);
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let function =
            |id: &str, extra: &str| format!(r#"{{"id":"{id}","path":"f","state":"locked","closure":[]{extra}}}"#);
        for (text, code) in [
            (format!(r#"{{{HEAD},"functions":[{},{}]}}"#, function("f", ""), function("f", "")), "artefact-invalid"),
            (format!(r#"{{{HEAD},"functions":[{}]}}"#, function("f", r#","weight":-1"#)), "artefact-invalid"),
            (r#"{"schema":"warmset.inventory/2","functions":[]}"#.to_string(), "schema-newer"),
            (r#"{"functions":[]}"#.to_string(), "artefact-invalid"),
            ("not json".to_string(), "artefact-invalid"),
        ] {
            assert_eq!(inventory("i.json", &text).unwrap_err().code, code, "{text}");
        }
    }

    #[test]
    fn a_manifest_whose_images_leave_its_folder_or_their_order_is_refused() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(root.join("plans/fleet/swap-manifest.json")).unwrap();
        let good: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(manifest("m.json", &text).unwrap().images.len(), good["images"].as_array().unwrap().len());
        let last = good["images"].as_array().unwrap().len() - 1;
        let spoilt: [(usize, &str, Value); 8] = [
            (0, "id", "../x".into()),
            (0, "id", "-x".into()),
            (0, "id", good["images"][1]["id"].clone()),
            (0, "parent", good["images"][last]["id"].clone()),
            (0, "folder", "../images/x".into()),
            (0, "folder", "/etc".into()),
            (0, "reference", "--privileged".into()),
            (0, "reference", "a b".into()),
        ];
        for (at, field, value) in spoilt {
            let mut broken = good.clone();
            broken["images"][at][field] = value.clone();
            let said = manifest("m.json", &broken.to_string()).map(|_| ()).unwrap_err();
            assert_eq!(said.code, "artefact-invalid", "{field} {value}");
        }
    }
}
