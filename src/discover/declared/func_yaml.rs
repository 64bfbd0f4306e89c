//! `func.yaml`: of Knative functions (`func`), and of the Fn project, which says `schema_version`.
//!
//! Supported: runtime, name, the entry file of each language's template, Fn's `entrypoint` and images. A Knative
//! `Service` names an image only: it is reported where no Dockerfile lies beside it.
//! <https://github.com/knative/func/blob/main/docs/reference/func_yaml.md>, <https://github.com/fnproject/docs>

use super::common::{Fleet, Says, id, variables};
use crate::discover::doc::Node;
use crate::discover::{Discovery, Provider, Site, paths, runtime};
use crate::model::support::{Area, Extent, Support};
use crate::model::{Diagnostic, Language, Place, Severity, codes};

/// What is read.
pub const SUPPORT: [Support; 2] = [
    Support {
        area: Area::Declaration,
        what: "Knative functions",
        files: "func.yaml; service.yaml of Knative Serving is named",
        extent: Extent::Partly,
        note: "Python, Node.js and TypeScript templates; a Service names an image, which is not looked into",
    },
    Support {
        area: Area::Declaration,
        what: "Fn",
        files: "func.yaml with schema_version",
        extent: Extent::Full,
        note: "",
    },
];

pub(super) fn read(fleet: Fleet<'_>, path: &str, root: &Node, found: &mut Discovery) {
    if !root.is_map() || root.get("runtime").is_none() {
        return;
    }
    if root.get("schema_version").is_some() {
        fn_project(fleet, path, root, found)
    } else {
        knative(fleet, path, root, found)
    }
}

fn name_of(root: &Node, dir: &str) -> String {
    let name = root.get("name").and_then(Node::text).filter(|n| !n.is_empty());
    name.unwrap_or(if dir == "." { "root" } else { paths::file_name(dir) }).to_string()
}

fn knative(fleet: Fleet<'_>, path: &str, root: &Node, found: &mut Discovery) {
    let dir = paths::parent(path);
    let Some(entry) = root.entry("runtime") else { return };
    let Some(text) = entry.value.text() else { return };
    let name = name_of(root, dir);
    let mut site = Site {
        provider: Provider::Knative,
        environment: variables(root.at(&["run", "envs"]).or_else(|| root.get("envs"))),
        ..Site::new("knative", Place::at(path, root.line), id(dir, &name), name.clone(), dir.to_string())
    };
    let (language, files): (Language, &[&str]) = match text {
        "python" => (Language::Python, &["function/func.py", "func.py", "function/__init__.py"]),
        "node" => (Language::Node, &["index.js", "index.mjs", "src/index.js"]),
        "typescript" => (Language::Node, &["index.ts", "src/index.ts"]),
        _ => {
            fleet.add(site, Says::Runtime(text.into(), Place::at(path, entry.line)), found);
            return;
        }
    };
    site.runtime = Some(text.to_string());
    // Node's template says its entry in `main`, after the build for TypeScript.
    site.handler_file = files.iter().find_map(|rel| fleet.file(dir, rel));
    let export = if language == Language::Python {
        if site.handler_file.as_deref().is_some_and(|f| f.ends_with("function/func.py")) { "new" } else { "main" }
    } else {
        "handle"
    };
    let module = site.handler_file.as_deref().and_then(|f| paths::relative_to(f, dir)).unwrap_or(files[0]);
    site.handler = Some(format!("{}.{export}", module.rsplit_once('.').map_or(module, |(stem, _)| stem)));
    fleet.add(site, Says::Language(language), found);
}

fn fn_project(fleet: Fleet<'_>, path: &str, root: &Node, found: &mut Discovery) {
    let dir = paths::parent(path);
    let Some(entry) = root.entry("runtime") else { return };
    let Some(text) = entry.value.text() else { return };
    let name = name_of(root, dir);
    let mut site = Site {
        provider: Provider::Fn,
        environment: variables(root.get("config")),
        ..Site::new("fn", Place::at(path, root.line), id(dir, &name), name, dir.to_string())
    };
    // `fnproject/python:3.11` runs it; the runtime's own name has no version.
    let image = ["run_image", "build_image"].iter().find_map(|key| {
        let entry = root.entry(key)?;
        let (name, tag) = entry.value.text()?.rsplit_once(':')?;
        Some((format!("{}{}", paths::file_name(name), tag.split('-').next()?), Place::at(path, entry.line)))
    });
    let says = image.filter(|(text, _)| matches!(runtime::parse(text), runtime::Runtime::Version(..)));
    let says = says.unwrap_or_else(|| (text.to_string(), Place::at(path, entry.line)));
    let language = match runtime::parse(&says.0) {
        runtime::Runtime::Version(language, _) | runtime::Runtime::Language(language) => Some(language),
        runtime::Runtime::Unknown => None,
    };
    if let Some(language) = language {
        // `/python/bin/fdk /function/func.py handler`, `node func.js`.
        let words: Vec<&str> = root.get("entrypoint").and_then(Node::text).unwrap_or("").split_whitespace().collect();
        let extension = if language == Language::Python { "py" } else { "js" };
        let named = words.iter().position(|w| runtime::language_of(w) == Some(language) && w.contains('.'));
        let file = named.map_or(format!("func.{extension}"), |at| {
            words[at].trim_start_matches("/function/").trim_start_matches("./").to_string()
        });
        let export = named.and_then(|at| words.get(at + 1)).copied().unwrap_or("handler");
        site.handler = Some(format!("{}.{export}", file.rsplit_once('.').map_or(file.as_str(), |(stem, _)| stem)));
        site.handler_file = fleet.file(dir, &file);
    }
    fleet.add(site, Says::Runtime(says.0, says.1), found);
}

/// Says that a Knative service's code is an image, unless what builds it lies beside it.
pub(super) fn service(fleet: Fleet<'_>, path: &str, root: &Node, found: &mut Discovery) {
    let is_service = root.get("kind").and_then(Node::text) == Some("Service")
        && root.get("apiVersion").and_then(Node::text).is_some_and(|v| v.starts_with("serving.knative.dev/"));
    if !is_service {
        return;
    }
    let containers = root.at(&["spec", "template", "spec", "containers"]);
    for container in containers.into_iter().flat_map(Node::items) {
        let Some(image) = container.entry("image") else { continue };
        let dir = paths::parent(path);
        let built = [dir, paths::parent(dir)].iter().any(|d| fleet.file(d, "Dockerfile").is_some());
        if !built {
            let image_name = image.value.text().unwrap_or("an image");
            let reason = format!("the code is the container image `{image_name}`, which is built elsewhere");
            let mut diagnostic = Diagnostic::new(codes::TEMPLATE_UNRESOLVED, Place::at(path, image.line), reason);
            diagnostic.severity = Severity::Note;
            found.diagnostics.push(diagnostic);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::run;

    #[test]
    fn knative_and_fn_are_told_apart() {
        let found = run(&[
            ("k/func.yaml", "specVersion: 0.36.0\nname: hi\nruntime: python\nbuild:\n  builder: pack\n"),
            ("k/function/func.py", "def new(): ..."),
            ("ts/func.yaml", "specVersion: 0.36.0\nname: t\nruntime: typescript\n"),
            ("ts/src/index.ts", ""),
            ("go/func.yaml", "specVersion: 0.36.0\nname: g\nruntime: go\n"),
            (
                "f/func.yaml",
                "schema_version: 20180708\nname: pyfn\nversion: 0.0.1\nruntime: python\nbuild_image: fnproject/python:3.9-dev\nrun_image: fnproject/python:3.9\nentrypoint: /python/bin/fdk /function/run.py go\nmemory: 256\n",
            ),
            ("f/run.py", "def go(ctx, data): ..."),
            ("n/func.yaml", "schema_version: 20180708\nname: jsfn\nruntime: node\nentrypoint: node func.js\n"),
            ("n/func.js", ""),
        ]);
        assert_eq!(
            found.0,
            [
                "f/pyfn fn f python3.9 f/run.py run.go",
                "go/g knative go ? - -",
                "k/hi knative k python3.11 k/function/func.py function/func.new",
                "n/jsfn fn n node20 n/func.js func.handler",
                "ts/t knative ts node20 ts/src/index.ts src/index.handle",
            ]
        );
    }

    #[test]
    fn a_service_names_an_image() {
        let service = "apiVersion: serving.knative.dev/v1\nkind: Service\nspec:\n  template:\n    spec:\n      containers:\n      - image: registry.example/x\n";
        let found = run(&[("a/service.yaml", service), ("b/service.yaml", service), ("b/Dockerfile", "FROM scratch")]);
        assert!(found.0.is_empty());
        assert_eq!(found.1, ["a/service.yaml:7 template-unresolved"]);
    }
}
