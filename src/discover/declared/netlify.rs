//! Netlify projects.
//!
//! Supported: `[functions] directory` (also the older `[build] functions`) below `[build] base`, the folder
//! `netlify/functions` by itself; files, and folders with a file of their name or an `index`; `NODE_VERSION` and
//! `AWS_LAMBDA_JS_RUNTIME` of `[build.environment]`. Edge functions are named.
//! <https://docs.netlify.com/functions/get-started/>, <https://docs.netlify.com/configure-builds/file-based-configuration/>

use std::collections::BTreeMap;

use super::common::{Fleet, Says, id};
use crate::discover::doc::{self, Node};
use crate::discover::tree::Tree;
use crate::discover::{Defaults, Discovery, Provider, Site, paths, runtime};
use crate::model::support::{Area, Extent, Support};
use crate::model::{Diagnostic, Language, Place, codes};

/// What is read.
pub const SUPPORT: Support = Support {
    area: Area::Declaration,
    what: "Netlify",
    files: "netlify.toml, netlify/functions/, netlify/edge-functions/",
    extent: Extent::Full,
    note: "edge functions are named",
};

const DEFAULT_FOLDER: &str = "netlify/functions";
const EDGE_FOLDER: &str = "netlify/edge-functions";

struct Project {
    /// What paths are relative to.
    base: String,
    functions: String,
    edge: String,
    /// As declared, with its place.
    runtime: Option<(String, Place)>,
}

/// Reads every project of the tree.
pub fn find(tree: &Tree, defaults: &Defaults, found: &mut Discovery) {
    let fleet = Fleet { tree, defaults };
    let mut projects: BTreeMap<String, Project> = BTreeMap::new();
    for path in tree.files().filter(|p| paths::file_name(p) == "netlify.toml") {
        if let Some(project) = configured(tree, path, found) {
            projects.insert(project.base.clone(), project);
        }
    }
    for dir in tree.dirs() {
        for folder in [DEFAULT_FOLDER, EDGE_FOLDER] {
            let base =
                if dir == folder { Some(".") } else { dir.strip_suffix(folder).and_then(|d| d.strip_suffix('/')) };
            let Some(base) = base else { continue };
            let nothing_said = !projects.keys().any(|b| paths::is_within(base, b));
            if nothing_said || projects.contains_key(base) {
                projects.entry(base.to_string()).or_insert_with(|| plain(base));
            }
        }
    }
    for project in projects.values() {
        for (name, path) in functions_in(tree, &project.functions) {
            let language = Language::Node;
            let root = fleet.package_root(paths::parent(&path), &project.base, language);
            let inner = paths::relative_to(&path, &root).unwrap_or(&path);
            let stem = inner.rsplit_once('.').map_or(inner, |(stem, _)| stem).to_string();
            let export =
                if tree.text(&path).is_ok_and(|t| t.contains("export default")) { "default" } else { "handler" };
            let site = Site {
                handler: Some(format!("{stem}.{export}")),
                handler_file: Some(path.clone()),
                provider: Provider::Netlify,
                ..Site::new("netlify", Place::file(&path), id(&project.base, &name), name, root)
            };
            fleet.add(site, Says::of(project.runtime.clone(), Some(language)), found);
        }
        for (name, path) in functions_in(tree, &project.edge) {
            let site = Site::new("netlify", Place::file(&path), id(&project.base, &name), name, project.base.clone());
            fleet.add_unplanned(Site { handler_file: Some(path), ..site }, "the edge runtime", found);
        }
    }
}

fn plain(base: &str) -> Project {
    Project {
        base: base.to_string(),
        functions: paths::join(base, DEFAULT_FOLDER).unwrap_or_default(),
        edge: paths::join(base, EDGE_FOLDER).unwrap_or_default(),
        runtime: None,
    }
}

fn configured(tree: &Tree, path: &str, found: &mut Discovery) -> Option<Project> {
    let root = match tree.text(path).map(|text| doc::parse_toml(&text)) {
        Ok(Ok(root)) => root,
        Ok(Err(error)) => {
            found.diagnostics.push(Diagnostic::new(codes::TEMPLATE_INVALID, Place::at(path, error.line), error.reason));
            return None;
        }
        Err(diagnostic) => {
            found.diagnostics.push(diagnostic);
            return None;
        }
    };
    let text = |at: &[&str]| root.at(at).and_then(Node::text).map(|t| t.trim_start_matches('/'));
    let base = paths::join(paths::parent(path), text(&["build", "base"]).unwrap_or_default())?;
    let functions = text(&["functions", "directory"]).or_else(|| text(&["build", "functions"]));
    let edge = text(&["build", "edge_functions"]);
    let environment = root.at(&["build", "environment"]);
    let runtime = [("AWS_LAMBDA_JS_RUNTIME", ""), ("NODE_VERSION", "nodejs")].iter().find_map(|(key, prefix)| {
        let entry = environment?.entry(key)?;
        let name = format!("{prefix}{}", entry.value.text()?.trim_start_matches('v'));
        // `lts/*` and the like choose for the build; they are no runtime.
        (runtime::parse(&name) != runtime::Runtime::Unknown).then(|| (name, Place::at(path, entry.line)))
    });
    let project = plain(&base);
    Some(Project {
        functions: functions.and_then(|f| paths::join(&base, f)).unwrap_or(project.functions),
        edge: edge.and_then(|f| paths::join(&base, f)).unwrap_or(project.edge),
        runtime,
        base: project.base,
    })
}

/// Files of a folder, and its folders with a file of their name or an `index`, by name.
fn functions_in(tree: &Tree, folder: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for path in tree.under(folder) {
        let Some(inner) = paths::relative_to(path, folder) else { continue };
        let stem = paths::stem(path);
        let node = runtime::language_of(path) == Some(Language::Node) && !stem.ends_with(".d");
        if !node || stem.ends_with(".test") || stem.ends_with(".spec") {
            continue;
        }
        match inner.split('/').collect::<Vec<_>>()[..] {
            [_] => {
                found.entry(stem.to_string()).or_insert_with(|| path.to_string());
            }
            [dir, _] if stem == dir || stem == "index" => {
                let entry = found.entry(dir.to_string()).or_insert_with(|| path.to_string());
                // The file of the folder's name goes before its index.
                if stem == dir {
                    *entry = path.to_string();
                }
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::tests::run;

    #[test]
    fn folders_are_configured_or_the_usual_ones() {
        let found = run(&[
            (
                "site/netlify.toml",
                "[build]\n  base = \"web\"\n[build.environment]\n  NODE_VERSION = \"18\"\n[functions]\n  directory = \"fns\"\n",
            ),
            ("site/web/package.json", "{}"),
            ("site/web/fns/hello.ts", "export default async () => new Response('x');"),
            ("site/web/fns/cart/cart.js", "exports.handler = async () => ({});"),
            ("site/web/fns/cart/util.js", ""),
            ("site/web/fns/deep/index.mjs", "export const handler = async () => ({});"),
            ("site/web/netlify/functions/no.js", "exports.handler = 1"),
            ("plain/netlify/functions/one.js", "exports.handler = async () => ({});"),
            ("plain/netlify/edge-functions/geo.ts", "export default () => {}"),
            ("broken/netlify.toml", "[build\n"),
        ]);
        assert_eq!(
            found.0,
            [
                "plain/geo netlify plain ? plain/netlify/edge-functions/geo.ts -",
                "plain/one netlify plain node20 plain/netlify/functions/one.js netlify/functions/one.handler",
                "site/web/cart netlify site/web node18 site/web/fns/cart/cart.js fns/cart/cart.handler",
                "site/web/deep netlify site/web node18 site/web/fns/deep/index.mjs fns/deep/index.handler",
                "site/web/hello netlify site/web node18 site/web/fns/hello.ts fns/hello.default",
            ]
        );
        assert_eq!(
            found.1,
            ["broken/netlify.toml:1 template-invalid", "plain/netlify/edge-functions/geo.ts runtime-unknown"]
        );
    }
}
