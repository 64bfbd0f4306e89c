//! Cloud Run functions (Google Cloud Functions), and the Functions Framework anywhere.
//!
//! Supported: functions that register themselves (`@functions_framework.http` in `main.py`, `functions.http('name', …)`
//! in what `package.json` calls `main`), functions that a literal deployment command names (`gcloud functions deploy
//! NAME --entry-point X --runtime R --source DIR`, `gcloud run deploy --function X`) in shell scripts, Makefiles,
//! `package.json` scripts and Cloud Build files, and the target of `functions-framework --target X` in a `Procfile` or
//! `package.json`. A function without any of these is a plain folder. `app.yaml` declares a service, not a function.
//! <https://cloud.google.com/run/docs/write-functions>

use std::collections::BTreeSet;

use rayon::prelude::*;

use super::common::{Fleet, Says, id, points_nowhere};
use crate::discover::code::{self, FUNCTION};
use crate::discover::tree::Tree;
use crate::discover::{Defaults, Discovery, Provider, Site, handler, paths, runtime};
use crate::model::support::{Area, Extent, Support};
use crate::model::{Diagnostic, Language, Place, codes};

/// What is read.
pub const SUPPORT: Support = Support {
    area: Area::Declaration,
    what: "Google Cloud Run functions",
    files: "main.py, package.json (functions-framework), *.sh, Makefile, Procfile, cloudbuild.yaml",
    extent: Extent::Partly,
    note: "functions that register themselves; `gcloud functions deploy` and `--target` where they are literal",
};

const FRAMEWORK: &str = "@google-cloud/functions-framework";

/// Reads commands first: they say name and runtime; then what registers itself.
pub fn find(tree: &Tree, defaults: &Defaults, found: &mut Discovery) {
    let fleet = Fleet { tree, defaults };
    let files: Vec<&str> = tree.files().collect();
    let commands: Vec<Vec<(Place, Vec<String>)>> = files
        .par_iter()
        .map(|path| {
            if !may_hold_commands(path) {
                return Vec::new();
            }
            let Ok(text) = tree.text(path) else { return Vec::new() };
            commands(path, &text)
        })
        .collect();
    for (place, words) in commands.into_iter().flatten() {
        command(fleet, &place, &words, found);
    }
    for path in &files {
        match paths::file_name(path) {
            "main.py" => python(fleet, path, found),
            "package.json" => node(fleet, path, found),
            _ => {}
        }
    }
}

fn may_hold_commands(path: &str) -> bool {
    let name = paths::file_name(path);
    paths::extension(path) == "sh"
        || matches!(name, "Makefile" | "makefile" | "Procfile" | "package.json")
        || (name.starts_with("cloudbuild") && matches!(paths::extension(path), "yaml" | "yml" | "json"))
}

/// Every command of interest in a file, as words: lines that `\` joins count as one, and so do the items of a list of
/// arguments in a Cloud Build step.
fn commands(path: &str, text: &str) -> Vec<(Place, Vec<String>)> {
    let mut found = Vec::new();
    if !(text.contains("deploy") || text.contains("--target")) {
        return found;
    }
    if paths::file_name(path).starts_with("cloudbuild") {
        let Ok(root) = crate::discover::doc::parse(text) else { return found };
        for step in root.get("steps").into_iter().flat_map(|s| s.items()) {
            let name = step.get("name").and_then(|n| n.text()).unwrap_or_default();
            let entry = step.get("entrypoint").and_then(|n| n.text());
            let Some(args) = step.get("args") else { continue };
            let mut words: Vec<String> = args.items().iter().filter_map(|n| n.text().map(str::to_string)).collect();
            if entry == Some("gcloud") || (entry.is_none() && name.contains("gcloud")) {
                words.insert(0, "gcloud".into());
            }
            if words.first().is_some_and(|w| w == "gcloud") {
                found.push((Place::at(path, args.line), words));
            }
        }
        return found;
    }
    if paths::file_name(path) == "package.json" {
        let Ok(root) = crate::discover::doc::parse(text) else { return found };
        for script in root.get("scripts").into_iter().flat_map(|s| s.entries()) {
            let Some(text) = script.value.text() else { continue };
            found.extend(in_line(text).into_iter().map(|words| (Place::at(path, script.line), words)));
        }
        return found;
    }
    let mut lines = (1u32..).zip(text.lines());
    while let Some((number, line)) = lines.next() {
        let mut joined = line.trim_end().to_string();
        while joined.ends_with('\\') && joined.len() < 8_192 {
            joined.pop();
            match lines.next() {
                Some((_, more)) => joined.push_str(more.trim()),
                None => break,
            }
            joined = joined.trim_end().to_string();
        }
        if !line.trim_start().starts_with('#') {
            found.extend(in_line(&joined).into_iter().map(|words| (Place::at(path, number), words)));
        }
    }
    found
}

/// Commands in a line of shell; those that `&&`, `||`, `;` and `|` part are several.
fn in_line(line: &str) -> Vec<Vec<String>> {
    let mut all = vec![Vec::new()];
    let (mut word, mut quote, mut open) = (String::new(), None, false);
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                open = true;
            }
            (None, ';' | '&' | '|') => {
                if open || !word.is_empty() {
                    all.last_mut().into_iter().for_each(|w| w.push(std::mem::take(&mut word)));
                }
                open = false;
                all.push(Vec::new());
            }
            (None, c) if c.is_whitespace() => {
                if open || !word.is_empty() {
                    all.last_mut().into_iter().for_each(|w| w.push(std::mem::take(&mut word)));
                }
                open = false;
            }
            (None, '\\') => word.extend(chars.next()),
            (_, c) => word.push(c),
        }
    }
    if open || !word.is_empty() {
        all.last_mut().into_iter().for_each(|w| w.push(std::mem::take(&mut word)));
    }
    let is_command = |words: &&Vec<String>| {
        let gcloud = words.iter().position(|w| w == "gcloud");
        gcloud.is_some_and(|at| words[at..].iter().any(|w| w == "deploy"))
            || words.iter().any(|w| w.rsplit('/').next() == Some("functions-framework"))
    };
    all.iter().filter(is_command).cloned().collect()
}

/// The value of `--name value` or `--name=value`.
fn option<'a>(words: &'a [String], names: &[&str]) -> Option<&'a str> {
    words.iter().enumerate().find_map(|(at, word)| {
        names.iter().find_map(|name| {
            let rest = word.strip_prefix(name)?;
            match rest.strip_prefix('=') {
                Some(value) => Some(value),
                None if rest.is_empty() => words.get(at + 1).map(String::as_str),
                None => None,
            }
        })
    })
}

fn literal(text: &str) -> bool {
    !text.contains(['$', '`', '<', '{'])
}

fn command(fleet: Fleet<'_>, place: &Place, words: &[String], found: &mut Discovery) {
    let here = paths::parent(&place.file);
    let gcloud = words.iter().position(|w| w == "gcloud");
    let words = gcloud.map_or(words, |at| &words[at..]);
    let (name, target, runtime_text) = if gcloud.is_some() {
        let plain = |w: &&String| !w.starts_with('-');
        let mut nouns = words.iter().skip(1).filter(plain).filter(|w| !matches!(w.as_str(), "alpha" | "beta"));
        let (group, verb, name) = (nouns.next(), nouns.next(), nouns.next());
        let is = |word: Option<&String>, what: &str| word.is_some_and(|w| w == what);
        let functions = is(group, "functions") && is(verb, "deploy");
        let run = is(group, "run") && is(verb, "deploy") && option(words, &["--function"]).is_some();
        if !functions && !run {
            return;
        }
        let entry = option(words, &["--entry-point", "--function"]);
        let given = name.map(String::as_str);
        let name = given.filter(|n| literal(n)).or(entry).or(given);
        (name, entry.or(name), option(words, &["--runtime", "--base-image"]))
    } else {
        let target = option(words, &["--target"]);
        (target, target, None)
    };
    let (Some(name), Some(target)) = (name, target) else { return };
    let source = option(words, &["--source"]).unwrap_or(".");
    if gcloud.is_none() && runtime_text.is_none() && !literal(target) {
        return;
    }
    if !literal(name) || !literal(target) || !literal(source) || source.contains("://") {
        let reason = format!("the command that deploys `{name}` takes `{target}` from `{source}`, which it is given");
        found.diagnostics.push(Diagnostic::new(codes::TEMPLATE_UNRESOLVED, place.clone(), reason));
        return;
    }
    let root = paths::join(here, source).filter(|dir| fleet.tree.has_dir(dir));
    // A script may be started from the top of its repository.
    let Some(root) = root.or_else(|| paths::join(".", source).filter(|dir| fleet.tree.has_dir(dir))) else {
        found.diagnostics.push(points_nowhere(place.clone(), "--source", source));
        return;
    };
    let says = runtime_text.filter(|r| literal(r)).map(|r| {
        // A base image ends with the name of its runtime.
        (r.rsplit('/').next().unwrap_or(r).to_string(), place.clone())
    });
    let declared = says.as_ref().and_then(|(text, _)| match runtime::parse(text) {
        runtime::Runtime::Version(language, _) | runtime::Runtime::Language(language) => Some(language),
        runtime::Runtime::Unknown => None,
    });
    let languages = declared.map_or(vec![Language::Python, Language::Node], |l| vec![l]);
    let file = languages.iter().find_map(|l| handler::google_entry(fleet.tree, &root, *l));
    if file.is_none() && says.is_none() {
        // Another language, or a script that does not lie where it is run.
        return;
    }
    let module = file
        .as_deref()
        .and_then(|f| paths::relative_to(f, &root))
        .map_or("main", |f| f.rsplit_once('.').map_or(f, |(stem, _)| stem));
    let other_language = says.is_some() && declared.is_none();
    let site = Site {
        handler: (!other_language).then(|| format!("{module}.{target}")),
        handler_file: file.filter(|_| !other_language),
        provider: Provider::Google,
        ..Site::new("google", place.clone(), id(&root, name), name.to_string(), root)
    };
    fleet.add(site, Says::of(says, None), found);
}

/// `@functions_framework.http`, `.cloud_event` and `.typed` in `main.py`.
fn python(fleet: Fleet<'_>, path: &str, found: &mut Discovery) {
    let Ok(text) = fleet.tree.text(path) else { return };
    if !text.contains("functions_framework") {
        return;
    }
    // What cannot be parsed is reported where imports are read.
    let Ok(module) = code::python(&text) else { return };
    let dir = paths::parent(path);
    for function in &module.functions {
        let registers = function.decorators.iter().any(|d| {
            let kind = module.name_in(&d.path, "functions_framework");
            matches!(kind.as_deref(), Some("http" | "cloud_event" | "typed" | "event"))
        });
        if !registers {
            continue;
        }
        let site = Site {
            handler: Some(format!("main.{}", function.name)),
            handler_file: Some(path.to_string()),
            provider: Provider::Google,
            ..Site::new(
                "google",
                Place::at(path, function.line),
                id(dir, &function.name),
                function.name.clone(),
                dir.to_string(),
            )
        };
        fleet.add(site, Says::Language(Language::Python), found);
    }
}

/// A package that depends on the framework: what its entry registers, or else what it exports.
fn node(fleet: Fleet<'_>, path: &str, found: &mut Discovery) {
    let Ok(text) = fleet.tree.text(path) else { return };
    if !text.contains(FRAMEWORK) {
        return;
    }
    let Ok(manifest) = crate::discover::doc::parse(&text) else { return };
    let depends = |field: &str| manifest.get(field).is_some_and(|d| d.get(FRAMEWORK).is_some());
    let dir = paths::parent(path);
    let Some(entry) = handler::google_entry(fleet.tree, dir, Language::Node) else { return };
    if !depends("dependencies") && !depends("devDependencies") {
        return;
    }
    let Ok(module) = fleet.tree.text(&entry).map_err(|_| ()).and_then(|t| code::javascript(&entry, &t).map_err(|_| ()))
    else {
        return;
    };
    let mut functions: Vec<(String, u32)> = Vec::new();
    let mut seen = BTreeSet::new();
    for call in &module.calls {
        let kind = module.name_in(&call.path, FRAMEWORK);
        if !matches!(kind.as_deref(), Some("http" | "cloudEvent" | "typed")) {
            continue;
        }
        match call.arguments.first().and_then(|n| n.text()) {
            Some(name) => functions.push((name.to_string(), call.line)),
            None => {
                let reason = format!("the name that is given to {} is only known when the code runs", call.path);
                found.diagnostics.push(Diagnostic::new(
                    codes::TEMPLATE_UNRESOLVED,
                    Place::at(&entry, call.line),
                    reason,
                ));
            }
        }
    }
    // A declared target is one of the exports, and the only one that is served.
    let targeted = found.sites.iter().any(|s| s.declared_as == "google" && s.root == dir);
    if functions.is_empty() && !targeted && depends("dependencies") {
        let exports = module.exports.iter().filter(|e| e.value.tag.as_deref() == Some(FUNCTION));
        functions.extend(exports.map(|e| (e.key.clone(), e.line)));
    }
    let stem = paths::relative_to(&entry, dir).unwrap_or(&entry);
    let stem = stem.rsplit_once('.').map_or(stem, |(stem, _)| stem);
    for (name, line) in functions {
        if !seen.insert(name.clone()) {
            continue;
        }
        let site = Site {
            handler: Some(format!("{stem}.{name}")),
            handler_file: Some(entry.clone()),
            provider: Provider::Google,
            ..Site::new("google", Place::at(&entry, line), id(dir, &name), name.clone(), dir.to_string())
        };
        fleet.add(site, Says::Language(Language::Node), found);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::run;
    use super::*;

    #[test]
    fn registered_functions_are_declared_by_their_code() {
        let found = run(&[
            (
                "py/main.py",
                "import functions_framework\nfrom functions_framework import cloud_event as ce\n\n@functions_framework.http\ndef hello(request): ...\n\n@ce\ndef on_event(event): ...\n\ndef helper(request): ...\n",
            ),
            ("py/requirements.txt", ""),
            (
                "js/package.json",
                "{\"main\": \"src/index.js\", \"dependencies\": {\"@google-cloud/functions-framework\": \"^3\"}}",
            ),
            (
                "js/src/index.js",
                "const functions = require('@google-cloud/functions-framework');\nfunctions.http('one', () => {});\nfunctions.cloudEvent('two', () => {});\n",
            ),
            ("old/package.json", "{\"dependencies\": {\"@google-cloud/functions-framework\": \"^3\"}}"),
            ("old/index.js", "exports.hi = (req, res) => {};\nexports.LIMIT = 3;\n"),
        ]);
        assert_eq!(
            found.0,
            [
                "js/one google js node20 js/src/index.js src/index.one",
                "js/two google js node20 js/src/index.js src/index.two",
                "old/hi google old node20 old/index.js index.hi",
                "py/hello google py python3.11 py/main.py main.hello",
                "py/on_event google py python3.11 py/main.py main.on_event",
            ]
        );
    }

    #[test]
    fn literal_deployment_commands_declare_functions_with_runtimes() {
        let found = run(&[
            (
                "deploy.sh",
                "#!/bin/sh\n# gcloud functions deploy no --runtime python312\ngcloud functions deploy cart --gen2 \\\n  --runtime=python312 --entry-point 'main_cart' \\\n  --source ./cart --trigger-http\ngcloud functions deploy $NAME --source $DIR\ncd x && gcloud run deploy svc --function handler --base-image nodejs22 --source api\ngcloud run deploy other --image x\n",
            ),
            ("cart/main.py", "import functions_framework\n@functions_framework.http\ndef main_cart(request): ...\n"),
            ("api/index.js", "exports.handler = () => {};"),
            (
                "cb/cloudbuild.yaml",
                "steps:\n- name: gcr.io/google.com/cloudsdktool/cloud-sdk\n  entrypoint: gcloud\n  args: [functions, deploy, built, --runtime, java17, --source=.]\n",
            ),
            ("web/Procfile", "web: functions-framework --target=hello --port 8080\n"),
            ("web/main.py", "def hello(request): ...\ndef other(request): ...\n"),
        ]);
        assert_eq!(
            found.0,
            [
                "api/svc google api node22 api/index.js index.handler",
                "cart/cart google cart python3.12 cart/main.py main.main_cart",
                "cb/built google cb ? - -",
                "web/hello google web python3.11 web/main.py main.hello",
            ]
        );
        assert_eq!(found.1, ["cb/cloudbuild.yaml:4 runtime-unknown", "deploy.sh:6 template-unresolved"]);
    }

    #[test]
    fn words_of_a_line_are_those_of_a_shell() {
        let one = in_line("a; gcloud functions deploy 'x y' --set-env-vars \"A=b c\" \\z && echo gcloud");
        assert_eq!(one, [["gcloud", "functions", "deploy", "x y", "--set-env-vars", "A=b c", "z"]]);
    }
}
