//! Fission specs: the custom resources of one `specs` folder, which name each other.
//!
//! Supported: Function → Package → Environment and ArchiveUploadSpec (`archive://NAME`) with its globs, source and
//! deployment archives, `functionName`. The language, and a version where it has one, come from the environment's image;
//! what that image installs is not known. Archives that lie elsewhere and literal ones are named.
//! <https://fission.io/docs/reference/crd-reference/>

use std::collections::BTreeMap;

use super::common::{Fleet, Says, id};
use crate::discover::doc::Node;
use crate::discover::{Discovery, Provider, Site, handler, paths, runtime};
use crate::model::support::{Area, Extent, Support};
use crate::model::{Diagnostic, Language, Place, codes};

/// What is read.
pub const SUPPORT: Support = Support {
    area: Area::Declaration,
    what: "Fission",
    files: "specs/*.yaml of fission.io",
    extent: Extent::Partly,
    note: "code in archives of the same folder's globs; what an environment's image installs is not known",
};

/// Documents of one folder, with the file that each is from.
pub(super) fn read(fleet: Fleet<'_>, dir: &str, documents: &[(&str, Node)], found: &mut Discovery) {
    let mut by_kind: BTreeMap<(&str, &str), &Node> = BTreeMap::new();
    for (_, document) in documents {
        let kind = document.get("kind").and_then(Node::text).unwrap_or("");
        // An ArchiveUploadSpec has its name at the top.
        let name = document.at(&["metadata", "name"]).or_else(|| document.get("name")).and_then(Node::text);
        by_kind.insert((kind, name.unwrap_or("")), document);
    }
    let resources = Resources { fleet, app: paths::parent(dir), by_kind };
    for (file, document) in documents.iter().filter(|(_, d)| d.get("kind").and_then(Node::text) == Some("Function")) {
        resources.function(file, document, found);
    }
}

struct Resources<'a> {
    fleet: Fleet<'a>,
    /// The folder that holds `specs`: globs start there.
    app: &'a str,
    by_kind: BTreeMap<(&'a str, &'a str), &'a Node>,
}

impl Resources<'_> {
    fn named(&self, kind: &str, name: Option<&Node>) -> Option<&Node> {
        self.by_kind.get(&(kind, name?.text()?)).copied()
    }

    fn function(&self, file: &str, document: &Node, found: &mut Discovery) {
        let Some(name) = document.at(&["metadata", "name"]).and_then(Node::text) else { return };
        let line = document.entry("metadata").map_or(document.line, |m| m.line);
        let place = Place::at(file, line);
        let id = id(self.app, name);
        let mut site = Site {
            provider: Provider::Fission,
            ..Site::new("fission", place.clone(), id.clone(), name.to_string(), self.app.to_string())
        };
        let leave = |code, reason: &str, found: &mut Discovery| {
            found.diagnostics.push(Diagnostic::new(code, place.clone(), reason).for_function(&id));
        };
        let executor = document.at(&["spec", "InvokeStrategy", "ExecutionStrategy", "ExecutorType"]);
        if executor.and_then(Node::text) == Some("container") || document.at(&["spec", "podspec"]).is_some() {
            leave(codes::TEMPLATE_UNRESOLVED, "the code is a container image", found);
            return;
        }
        let Some(package) = self.named("Package", document.at(&["spec", "package", "packageref", "name"])) else {
            leave(codes::TEMPLATE_UNRESOLVED, "its package is not among the specs of this folder", found);
            return;
        };
        let environment = document.at(&["spec", "environment", "name"]);
        let environment = environment.or_else(|| package.at(&["spec", "environment", "name"]));
        let image = self.named("Environment", environment).and_then(|e| e.at(&["spec", "runtime", "image"]));
        let says = image.and_then(Node::text).and_then(runtime_of_image).map(|text| (text, place.clone()));
        if let (Some(image), None) = (image.and_then(Node::text), &says) {
            self.fleet.add_unplanned(site, &format!("the environment image {image}"), found);
            return;
        }
        site.beneath = image.and_then(Node::text).map(|i| format!("the environment image {i}"));
        // What is deployed comes first; a source archive is built into it.
        let archives = ["deployment", "source"].iter().filter_map(|key| package.at(&["spec", key]));
        let mut include = None;
        for archive in archives {
            let url = archive.get("url").and_then(Node::text).unwrap_or("");
            if archive.get("literal").and_then(Node::text).is_some_and(|l| !l.is_empty()) {
                leave(codes::INLINE_CODE, "the code is written inside its package", found);
                return;
            }
            let spec = url.strip_prefix("archive://").and_then(|n| self.by_kind.get(&("ArchiveUploadSpec", n)));
            include = include.or_else(|| spec?.get("include"));
        }
        let globs: Vec<&str> = include.into_iter().flat_map(Node::items).filter_map(Node::text).collect();
        let Some(first) = globs.first() else {
            leave(codes::TEMPLATE_UNRESOLVED, "its archive is not among the specs of this folder", found);
            return;
        };
        // What a glob takes from a folder lies at the top of the archive.
        let fixed: Vec<&str> = first.split('/').take_while(|p| !p.contains(['*', '?', '[', '{'])).collect();
        let mut base = paths::join(self.app, &fixed.join("/")).unwrap_or_else(|| self.app.to_string());
        let entry = document.at(&["spec", "package", "functionName"]).and_then(Node::text).filter(|n| !n.is_empty());
        if paths::extension(&base) == "zip" && !self.fleet.tree.contains(&base) && !self.fleet.tree.has_dir(&base) {
            // Made from the folder of its name, or from the one that it is written to, when the entry lies there.
            let sources = [base.trim_end_matches(".zip").to_string(), paths::parent(&base).to_string()];
            let holds = |dir: &&String| entry.is_some_and(|e| handler::locate(self.fleet.tree, dir, e, None).is_some());
            let Some(source) = sources.iter().find(holds) else {
                leave(codes::TEMPLATE_UNRESOLVED, &format!("its archive `{first}` is made by a build"), found);
                return;
            };
            base.clone_from(source);
        }
        let single = (globs.len() == 1 && self.fleet.tree.contains(&base)).then(|| base.clone());
        site.root = if self.fleet.tree.has_dir(&base) { base } else { paths::parent(&base).to_string() };
        if !self.fleet.tree.has_dir(&site.root) {
            let reason = format!("`{first}` does not exist");
            leave(codes::TEMPLATE_POINTS_NOWHERE, &reason, found);
            return;
        }
        let language = says.as_ref().and_then(|(text, _)| match runtime::parse(text) {
            runtime::Runtime::Version(language, _) | runtime::Runtime::Language(language) => Some(language),
            runtime::Runtime::Unknown => None,
        });
        match (entry, single) {
            (Some(entry), _) if entry.contains('.') => {
                site.handler_file = handler::locate(self.fleet.tree, &site.root, entry, language);
                site.handler = Some(entry.to_string());
            }
            (entry, Some(file)) => {
                let export = entry.unwrap_or(if language == Some(Language::Node) { "default" } else { "main" });
                site.handler = Some(format!("{}.{export}", paths::stem(&file)));
                site.handler_file = Some(file);
            }
            // A folder of Python's first environment has `user.py`; Node's is a package.
            (entry, None) => {
                site.handler_file = match language {
                    Some(Language::Node) => handler::google_entry(self.fleet.tree, &site.root, Language::Node),
                    _ => self.fleet.file(&site.root, "user.py").or_else(|| self.fleet.file(&site.root, "main.py")),
                };
                let stem = site.handler_file.as_deref().map(paths::stem);
                site.handler = stem.map(|stem| format!("{stem}.{}", entry.unwrap_or("main")));
            }
        }
        self.fleet.add(site, Says::of(says, None), found);
    }
}

/// `fission/python-env`, `ghcr.io/fission/node-env-16:1.2`, `fission/python-fastapi-env` → `python`, `node16`, `python`.
fn runtime_of_image(image: &str) -> Option<String> {
    let name = paths::file_name(image.split('@').next()?);
    let name = name.split(':').next()?;
    let mut words = name.split('-');
    let language = match words.next()? {
        "python" | "python3" => "python",
        "node" | "nodejs" => "node",
        _ => return None,
    };
    let version = words.find(|w| w.starts_with(|c: char| c.is_ascii_digit())).unwrap_or("");
    Some(format!("{language}{version}"))
}

#[cfg(test)]
mod tests {
    use super::super::tests::run;
    use super::*;

    #[test]
    fn images_tell_the_language() {
        for (image, expected) in [
            ("fission/python-env", Some("python")),
            ("ghcr.io/fission/python-env-3.10:latest", Some("python3.10")),
            ("fission/node-env-16:1.0", Some("node16")),
            ("fission/python-fastapi-env", Some("python")),
            ("fission/go-env", None),
            ("acme/custom", None),
        ] {
            assert_eq!(runtime_of_image(image).as_deref(), expected, "{image}");
        }
    }

    #[test]
    fn an_archive_that_a_build_makes_is_the_folder_that_holds_the_entry() {
        let spec = "include:\n- back.zip\nkind: ArchiveUploadSpec\nname: z\n---\napiVersion: fission.io/v1\nkind: Environment\nmetadata: {name: py}\nspec: {runtime: {image: fission/python-env}}\n---\napiVersion: fission.io/v1\nkind: Package\nmetadata: {name: p}\nspec: {source: {url: 'archive://z'}, environment: {name: py}}\n---\napiVersion: fission.io/v1\nkind: Function\nmetadata: {name: f}\nspec: {package: {functionName: app.go, packageref: {name: p}}}\n";
        let found = run(&[("a/specs/f.yaml", spec), ("a/back/app.py", "def go(): ..."), ("b/specs/f.yaml", spec)]);
        assert_eq!(found.0, ["a/f fission a/back python3.11 a/back/app.py app.go"]);
        assert_eq!(found.1, ["b/specs/f.yaml:18 template-unresolved"]);
    }

    #[test]
    fn resources_of_a_folder_are_followed_to_the_code() {
        let env = "apiVersion: fission.io/v1\nkind: Environment\nmetadata:\n  name: py\nspec:\n  runtime:\n    image: fission/python-env-3.11\n";
        let one = "include:\n- hello.py\nkind: ArchiveUploadSpec\nname: hello-a\n---\napiVersion: fission.io/v1\nkind: Package\nmetadata:\n  name: hello-p\nspec:\n  deployment:\n    type: url\n    url: archive://hello-a\n  environment:\n    name: py\n---\napiVersion: fission.io/v1\nkind: Function\nmetadata:\n  name: hello\nspec:\n  environment:\n    name: py\n  package:\n    packageref:\n      name: hello-p\n";
        let many = "include:\n- src/**/*\nkind: ArchiveUploadSpec\nname: src-a\n---\napiVersion: fission.io/v1\nkind: Package\nmetadata:\n  name: src-p\nspec:\n  source:\n    url: archive://src-a\n  environment:\n    name: py\n---\napiVersion: fission.io/v1\nkind: Function\nmetadata:\n  name: big\nspec:\n  package:\n    functionName: user.go\n    packageref:\n      name: src-p\n---\napiVersion: fission.io/v1\nkind: Function\nmetadata:\n  name: lost\nspec:\n  package:\n    packageref:\n      name: nowhere\n";
        let found = run(&[
            ("a/specs/env.yaml", env),
            ("a/specs/hello.yaml", one),
            ("a/specs/big.yaml", many),
            ("a/hello.py", "def main(): ..."),
            ("a/src/user.py", "def go(): ..."),
            ("a/src/requirements.txt", ""),
        ]);
        assert_eq!(
            found.0,
            [
                "a/big fission a/src python3.11 a/src/user.py user.go",
                "a/hello fission a python3.11 a/hello.py hello.main",
            ]
        );
        assert_eq!(found.1, ["a/specs/big.yaml:28 template-unresolved"]);
    }
}
