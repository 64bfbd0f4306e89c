//! OpenWhisk deployment manifests (`wskdeploy`) and DigitalOcean's `project.yml`, which is built on the same platform.
//!
//! Supported: `packages` (also below `project`, and the older single `package`), actions with a file, a folder or an
//! archive, `runtime`, `main`, `inputs`; DigitalOcean's `packages/NAME/FUNCTION` folders and files. Sequences are no
//! functions.
//! <https://github.com/apache/openwhisk-wskdeploy/blob/master/specification/README.md>,
//! <https://docs.digitalocean.com/products/functions/reference/project-configuration/>

use super::common::{Fleet, Says, id, points_nowhere, variables};
use crate::discover::doc::{Entry, Node, Value};
use crate::discover::{Discovery, Provider, Site, handler, paths, runtime};
use crate::model::support::{Area, Extent, Support};
use crate::model::{Diagnostic, Language, Place, codes};

/// What is read.
pub const SUPPORT: [Support; 2] = [
    Support {
        area: Area::Declaration,
        what: "OpenWhisk",
        files: "manifest.yaml, manifest.yml",
        extent: Extent::Partly,
        note: "code inside a manifest and Docker actions are named, not read",
    },
    Support {
        area: Area::Declaration,
        what: "DigitalOcean Functions",
        files: "project.yml with packages/",
        extent: Extent::Full,
        note: "",
    },
];

/// `manifest.yaml`.
pub(super) fn manifest(fleet: Fleet<'_>, path: &str, root: &Node, found: &mut Discovery) {
    let packages = root.get("packages").or_else(|| root.at(&["project", "packages"]));
    for package in packages.into_iter().flat_map(Node::entries) {
        for action in package.value.get("actions").into_iter().flat_map(Node::entries) {
            one(fleet, path, &package.key, action, found);
        }
    }
    if let Some(package) = root.get("package") {
        let name = package.get("name").and_then(Node::text).unwrap_or("default");
        for action in package.get("actions").into_iter().flat_map(Node::entries) {
            one(fleet, path, name, action, found);
        }
    }
}

fn qualified(package: &str, name: &str) -> String {
    if matches!(package, "default" | "__default__") { name.to_string() } else { format!("{package}/{name}") }
}

fn one(fleet: Fleet<'_>, path: &str, package: &str, action: &Entry, found: &mut Discovery) {
    let dir = paths::parent(path);
    let body = &action.value;
    let place = Place::at(path, action.line);
    let id = id(dir, &qualified(package, &action.key));
    let leave = |code, line, reason: String, found: &mut Discovery| {
        found.diagnostics.push(Diagnostic::new(code, Place::at(path, line), reason).for_function(&id));
    };
    if let Some(inline) = body.entry("code") {
        leave(codes::INLINE_CODE, inline.line, "the code is written inside the manifest".into(), found);
        return;
    }
    let Some(function) = body.entry("function").or_else(|| body.entry("location")) else {
        if let Some(image) = body.entry("docker") {
            leave(codes::TEMPLATE_UNRESOLVED, image.line, "the code is a container image".into(), found);
        }
        return;
    };
    let Some(text) = function.value.text().filter(|t| !t.contains(['$', '{']) && !t.contains("://")) else {
        let reason = "where the code is is only known at deployment".to_string();
        leave(codes::TEMPLATE_UNRESOLVED, function.line, reason, found);
        return;
    };
    let Some(code) = paths::join(dir, text).filter(|p| fleet.tree.contains(p) || fleet.tree.has_dir(p)) else {
        found.diagnostics.push(points_nowhere(Place::at(path, function.line), "function", text).for_function(&id));
        return;
    };
    let mut site = Site {
        provider: Provider::OpenWhisk,
        ..Site::new("openwhisk", place, id.clone(), action.key.clone(), code.clone())
    };
    let runtime = body.entry("runtime").and_then(|e| Some((e.value.text()?.to_string(), Place::at(path, e.line))));
    place_code(fleet, &mut site, &code, runtime.as_ref(), body.get("main").and_then(Node::text));
    if runtime.is_none() && site.handler_file.is_none() && fleet.tree.contains(&code) {
        site.handler = None;
        fleet.add_unplanned(site, &format!("a file of type .{}", paths::extension(&code)), found);
        return;
    }
    fleet.add(site, Says::of(runtime, None), found);
}

/// Code folder, handler's file and handler of an action whose code is a file, or a folder (an archive is one).
fn place_code(fleet: Fleet<'_>, site: &mut Site, code: &str, runtime: Option<&(String, Place)>, main: Option<&str>) {
    let declared = runtime.and_then(|(text, _)| match runtime::parse(text) {
        runtime::Runtime::Version(language, _) | runtime::Runtime::Language(language) => Some(language),
        runtime::Runtime::Unknown => None,
    });
    let main = main.unwrap_or("main");
    let file = if fleet.tree.has_dir(code) {
        site.root = code.to_string();
        let python = || fleet.file(code, "__main__.py");
        let node = || handler::google_entry(fleet.tree, code, Language::Node);
        match declared {
            Some(Language::Python) => python(),
            Some(Language::Node) => node(),
            None if runtime.is_none() => python().or_else(node),
            None => None,
        }
    } else {
        site.root = paths::parent(code).to_string();
        Some(code.to_string()).filter(|c| runtime::language_of(c).is_some())
    };
    let known = runtime.is_none() || declared.is_some();
    let module = file.as_deref().and_then(|f| paths::relative_to(f, &site.root)).unwrap_or("__main__");
    let module = module.rsplit_once('.').map_or(module, |(stem, _)| stem).to_string();
    site.handler = known.then(|| format!("{module}.{main}"));
    site.handler_file = file;
}

/// `project.yml`.
pub(super) fn project(fleet: Fleet<'_>, path: &str, root: &Node, found: &mut Discovery) {
    let dir = paths::parent(path);
    for package in root.get("packages").into_iter().flat_map(Node::items) {
        let Some(package_name) = package.get("name").and_then(Node::text) else { continue };
        let functions = ["functions", "actions"].iter().find_map(|key| package.get(key));
        let Some(functions) = functions.filter(|f| matches!(f.value, Value::List(_))) else { continue };
        for function in functions.items() {
            let Some(name) = function.get("name").and_then(Node::text) else { continue };
            let qualified = qualified(package_name, name);
            let id = id(dir, &qualified);
            let place = Place::at(path, function.line);
            let base = format!("packages/{package_name}/{name}");
            let code = ["", ".py", ".js", ".mjs", ".ts", ".zip"]
                .iter()
                .filter_map(|suffix| paths::join(dir, &format!("{base}{suffix}")))
                .find(|p| fleet.tree.has_dir(p) || fleet.tree.contains(p));
            let runtime = function.entry("runtime");
            let runtime = runtime.and_then(|e| Some((e.value.text()?.to_string(), Place::at(path, e.line))));
            let Some(code) = code else {
                let other = runtime.as_ref().is_some_and(|(text, _)| runtime::parse(text) == runtime::Runtime::Unknown);
                if !other {
                    found.diagnostics.push(points_nowhere(place, "the function's folder", &base).for_function(&id));
                }
                continue;
            };
            let mut site = Site {
                provider: Provider::OpenWhisk,
                environment: variables(root.get("environment"))
                    .into_iter()
                    .chain(variables(package.get("environment")))
                    .chain(variables(function.get("environment")))
                    .collect(),
                ..Site::new("digitalocean", place, id, name.to_string(), code.clone())
            };
            place_code(fleet, &mut site, &code, runtime.as_ref(), function.get("main").and_then(Node::text));
            fleet.add(site, Says::of(runtime, None), found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::run;

    #[test]
    fn actions_are_files_or_folders() {
        let manifest = "packages:\n  shop:\n    actions:\n      cart:\n        function: actions/cart.js\n        runtime: nodejs:18\n        main: handle\n      ml:\n        function: actions/ml\n        runtime: python:3.9\n      inline:\n        code: |\n          function main() {}\n        runtime: nodejs:18\n      gone:\n        function: actions/gone.py\n    sequences:\n      s:\n        actions: cart, ml\n  default:\n    actions:\n      top:\n        function: top.py\n      page:\n        function: page.php\n";
        let found = run(&[
            ("manifest.yaml", manifest),
            ("actions/cart.js", ""),
            ("actions/ml/__main__.py", ""),
            ("top.py", "def main(args): ..."),
            ("page.php", "<?php"),
        ]);
        assert_eq!(
            found.0,
            [
                "page openwhisk . ? - -",
                "shop/cart openwhisk actions node18 actions/cart.js cart.handle",
                "shop/ml openwhisk actions/ml python3.9 actions/ml/__main__.py __main__.main",
                "top openwhisk . python3.11 top.py top.main",
            ]
        );
        assert_eq!(
            found.1,
            [
                "manifest.yaml:12 inline-code",
                "manifest.yaml:16 template-points-nowhere",
                "manifest.yaml:24 runtime-unknown"
            ]
        );
    }

    #[test]
    fn digitalocean_names_folders_by_package_and_function() {
        let project = "packages:\n  - name: sample\n    functions:\n      - name: hello\n        runtime: 'python:3.11'\n        main: go\n      - name: single\n        runtime: 'nodejs:default'\n      - name: gone\n        runtime: 'php:default'\n";
        let found = run(&[
            ("project.yml", project),
            ("packages/sample/hello/__main__.py", ""),
            ("packages/sample/single.js", ""),
            ("other/project.yml", "name: x\n"),
        ]);
        assert_eq!(
            found.0,
            [
                "sample/hello digitalocean packages/sample/hello python3.11 packages/sample/hello/__main__.py __main__.go",
                "sample/single digitalocean packages/sample node20 packages/sample/single.js single.main",
            ]
        );
    }
}
