//! OpenFaaS stack files.
//!
//! Supported: `functions` with `lang`, `handler` (a folder), `environment`, `build_args`; the template tells the language
//! and, where it is named after one, the version. A `lang` of `dockerfile` is read through the Dockerfile in the handler's
//! folder. What a template installs is not known: it is fetched when the function is built.
//! <https://docs.openfaas.com/reference/yaml/>

use super::common::{Fleet, Says, id, points_nowhere, variables};
use super::container;
use crate::discover::doc::{Entry, Node};
use crate::discover::{Discovery, Provider, Site, handler, paths, runtime};
use crate::model::support::{Area, Extent, Support};
use crate::model::{Language, Place};

/// What is read.
pub const SUPPORT: Support = Support {
    area: Area::Declaration,
    what: "OpenFaaS",
    files: "stack.yaml, stack.yml and others with provider: {name: openfaas}",
    extent: Extent::Partly,
    note: "what a template installs beside the function is not known",
};

/// Whether a text may be a stack file.
pub(super) fn may_be(text: &str) -> bool {
    text.contains("functions:") && text.contains("lang:") && text.contains("handler:")
}

pub(super) fn read(fleet: Fleet<'_>, path: &str, root: &Node, found: &mut Discovery) {
    let provider = root.at(&["provider", "name"]).and_then(Node::text);
    let named = matches!(paths::file_name(path), "stack.yml" | "stack.yaml");
    let ours = provider.map_or(named, |name| matches!(name, "openfaas" | "faas"));
    if !ours {
        return;
    }
    for function in root.get("functions").into_iter().flat_map(Node::entries) {
        one(fleet, path, function, found);
    }
}

fn one(fleet: Fleet<'_>, path: &str, function: &Entry, found: &mut Discovery) {
    let dir = paths::parent(path);
    let body = &function.value;
    let text = |key: &str| body.entry(key).and_then(|e| Some((e.value.text()?, Place::at(path, e.line))));
    let Some((lang, lang_at)) = text("lang") else { return };
    let place = Place::at(path, function.line);
    let Some((folder, folder_at)) = text("handler") else { return };
    let Some(root) = paths::join(dir, folder).filter(|d| fleet.tree.has_dir(d)) else {
        found.diagnostics.push(points_nowhere(folder_at, "handler", folder).for_function(id(dir, &function.key)));
        return;
    };
    let mut site = Site {
        provider: Provider::OpenFaas,
        environment: variables(body.get("environment")),
        ..Site::new("openfaas", place, id(dir, &function.key), function.key.clone(), root.clone())
    };
    if lang.eq_ignore_ascii_case("dockerfile") {
        container::build(fleet, site, &root, "Dockerfile", found);
        return;
    }
    // `node18`, `python3-http`, `python311-flask`; a build argument may choose the version.
    let chosen = body.get("build_args").into_iter().flat_map(Node::entries).find_map(|e| {
        let language = match e.key.as_str() {
            "PYTHON_VERSION" => "python",
            "NODE_VERSION" | "NODEJS_VERSION" => "node",
            _ => return None,
        };
        Some((format!("{language}{}", e.value.text()?), Place::at(path, e.line)))
    });
    let says = chosen.unwrap_or((lang.to_string(), lang_at));
    let language = match runtime::parse(&says.0) {
        runtime::Runtime::Version(language, _) | runtime::Runtime::Language(language) => Some(language),
        runtime::Runtime::Unknown => None,
    };
    let file = language.map(|l| (l, handler::locate(fleet.tree, &root, "handler.handle", Some(l))));
    site.handler = file.is_some().then(|| match language {
        Some(Language::Node) => "handler.default".to_string(),
        _ => "handler.handle".to_string(),
    });
    site.handler_file = file.and_then(|(_, file)| file);
    site.beneath = language.map(|_| format!("the template {lang}"));
    fleet.add(site, Says::Runtime(says.0, says.1), found);
}

#[cfg(test)]
mod tests {
    use super::super::tests::run;

    #[test]
    fn a_stack_names_templates_and_folders() {
        let stack = "version: 1.0\nprovider:\n  name: openfaas\n  gateway: http://x\nfunctions:\n  resize:\n    lang: python3-http\n    handler: ./resize\n    image: x/resize:latest\n    environment:\n      mode: fast\n    build_args:\n      PYTHON_VERSION: \"3.12\"\n  hash:\n    lang: node20\n    handler: ./hash\n  tool:\n    lang: go\n    handler: ./tool\n  gone:\n    lang: python3\n    handler: ./gone\n  own:\n    lang: dockerfile\n    handler: ./own\n";
        let found = run(&[
            ("f/stack.yaml", stack),
            ("f/resize/handler.py", "def handle(event, context): ..."),
            ("f/hash/handler.js", "module.exports = async (event, context) => {}"),
            ("f/tool/handler.go", ""),
            ("f/own/Dockerfile", "FROM python:3.10-slim\nCOPY app.py .\nCMD [\"python\", \"app.py\"]\n"),
            ("f/own/app.py", ""),
        ]);
        assert_eq!(
            found.0,
            [
                "f/hash openfaas f/hash node20 f/hash/handler.js handler.default",
                "f/own openfaas f/own python3.10 f/own/app.py app.py",
                "f/resize openfaas f/resize python3.12 f/resize/handler.py handler.handle",
                "f/tool openfaas f/tool ? - -",
            ]
        );
        assert_eq!(found.1, ["f/stack.yaml:18 runtime-unknown", "f/stack.yaml:22 template-points-nowhere"]);
    }

    #[test]
    fn files_of_other_providers_are_left_alone() {
        let found = run(&[("x.yml", "provider: {name: aws}\nfunctions:\n  a: {lang: x, handler: y}\n")]);
        assert!(found.0.is_empty() && found.1.is_empty());
    }
}
