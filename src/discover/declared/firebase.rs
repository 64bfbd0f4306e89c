//! Cloud Functions for Firebase.
//!
//! Supported: `functions` of `firebase.json` (one codebase or several) with `source` and `runtime`; what the entry
//! exports by a call of the SDK (`onRequest(…)`, `functions.https.onCall(…)`), and decorated functions in `main.py`.
//! <https://firebase.google.com/docs/functions/organize-functions>

use super::common::{Fleet, Says, id, points_nowhere};
use crate::discover::code::{self, CODE, IMPORT};
use crate::discover::doc::{Node, Value};
use crate::discover::tree::Tree;
use crate::discover::{Defaults, Discovery, Provider, Site, handler, paths, runtime};
use crate::model::support::{Area, Extent, Support};
use crate::model::{Language, Place};

/// What is read.
pub const SUPPORT: Support = Support {
    area: Area::Declaration,
    what: "Firebase",
    files: "firebase.json",
    extent: Extent::Partly,
    note: "exports that code puts together (`exports[name] = …`) are not listed",
};

/// Reads every `firebase.json` of the tree.
pub fn find(tree: &Tree, defaults: &Defaults, found: &mut Discovery) {
    let fleet = Fleet { tree, defaults };
    for path in tree.files().filter(|p| paths::file_name(p) == "firebase.json") {
        let Some(root) = fleet.document(path, found) else { continue };
        let Some(functions) = root.entry("functions") else { continue };
        match &functions.value.value {
            Value::List(codebases) => codebases.iter().for_each(|c| codebase(fleet, path, c, found)),
            Value::Map(_) => codebase(fleet, path, &functions.value, found),
            _ => {}
        }
    }
}

fn codebase(fleet: Fleet<'_>, path: &str, settings: &Node, found: &mut Discovery) {
    let dir = paths::parent(path);
    let source = settings.entry("source");
    let folder = source.and_then(|e| e.value.text()).unwrap_or("functions");
    let Some(root) = paths::join(dir, folder).filter(|d| fleet.tree.has_dir(d)) else {
        if let Some(source) = source {
            found.diagnostics.push(points_nowhere(Place::at(path, source.line), "source", folder));
        }
        return;
    };
    let says = settings.entry("runtime").and_then(|e| Some((e.value.text()?.to_string(), Place::at(path, e.line))));
    let declared = says.as_ref().map(|(text, _)| runtime::parse(text));
    let language = match declared {
        Some(runtime::Runtime::Version(language, _) | runtime::Runtime::Language(language)) => Some(language),
        Some(runtime::Runtime::Unknown) => return,
        None => None,
    };
    let python = fleet.file(&root, "main.py").filter(|_| language != Some(Language::Node));
    let node =
        || handler::google_entry(fleet.tree, &root, Language::Node).filter(|_| language != Some(Language::Python));
    let Some(entry) = python.or_else(node) else { return };
    let Ok(text) = fleet.tree.text(&entry) else { return };
    let functions: Vec<(String, u32)> = if paths::extension(&entry) == "py" {
        let Ok(module) = code::python(&text) else { return };
        let triggered = module.functions.iter().filter(|f| {
            f.decorators.iter().any(|d| {
                let first = d.path.split('.').next().unwrap_or("");
                module.import(first).is_some_and(|i| i.module.starts_with("firebase_functions"))
            })
        });
        triggered.map(|f| (f.name.clone(), f.line)).collect()
    } else {
        let Ok(module) = code::javascript(&entry, &text) else { return };
        let deployed = module.exports.iter().filter(|e| match (&e.value.tag, &e.value.value) {
            (Some(tag), Value::Text(source)) if tag == CODE => is_trigger(source),
            (Some(tag), _) => tag == IMPORT && e.key != "default",
            _ => false,
        });
        deployed.map(|e| (e.key.clone(), e.line)).collect()
    };
    let stem = paths::relative_to(&entry, &root).unwrap_or(&entry);
    let stem = stem.rsplit_once('.').map_or(stem, |(stem, _)| stem);
    for (name, line) in functions {
        let site = Site {
            handler: Some(format!("{stem}.{name}")),
            handler_file: Some(entry.clone()),
            provider: Provider::Google,
            ..Site::new("firebase", Place::at(&entry, line), id(&root, &name), name, root.clone())
        };
        fleet.add(site, Says::of(says.clone(), language), found);
    }
}

/// A call of the SDK: `onRequest(…)`, `functions.region('x').https.onCall(…)`; what is on its first line tells.
fn is_trigger(source: &str) -> bool {
    source.starts_with("functions.")
        || source.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| {
            word.strip_prefix("on").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase()))
                || matches!(word, "beforeUserCreated" | "beforeUserSignedIn")
        })
}

#[cfg(test)]
mod tests {
    use super::super::tests::run;

    #[test]
    fn exports_that_the_sdk_makes_are_functions() {
        let found = run(&[
            (
                "firebase.json",
                "{\"functions\": [{\"source\": \"fns\", \"runtime\": \"nodejs20\"}, {\"source\": \"py\", \"runtime\": \"python312\"}, {\"source\": \"gone\"}]}",
            ),
            ("fns/package.json", "{\"main\": \"lib/index.js\"}"),
            (
                "fns/src/index.ts",
                "import { onRequest } from 'firebase-functions/v2/https';\nimport * as functions from 'firebase-functions';\nimport { other } from './other';\nexport const hello = onRequest(async (req, res) => {});\nexport const old = functions.region('x').https.onCall(() => {});\nexport const LIMIT = 3;\nexport { other };\n",
            ),
            ("fns/src/other.ts", ""),
            (
                "py/main.py",
                "from firebase_functions import https_fn\n@https_fn.on_request()\ndef hi(req): ...\ndef helper(): ...\n",
            ),
            ("py/requirements.txt", ""),
        ]);
        assert_eq!(
            found.0,
            [
                "fns/hello firebase fns node20 fns/src/index.ts src/index.hello",
                "fns/old firebase fns node20 fns/src/index.ts src/index.old",
                "fns/other firebase fns node20 fns/src/index.ts src/index.other",
                "py/hi firebase py python3.12 py/main.py main.hi",
            ]
        );
        assert_eq!(found.1, ["firebase.json:1 template-points-nowhere"]);
    }
}
