//! Azure Functions: `host.json` marks an application, all of whose functions share one folder, one worker and one set
//! of dependencies.
//!
//! Supported: `function.json` with `scriptFile` and `entryPoint` (Python's first and Node's third programming model);
//! decorators in `function_app.py` and in the blueprints that it registers (Python's second); `app.http('name', …)` and
//! its kin (Node's fourth); the runtime's language from `local.settings.json`; `.funcignore`. The version of the
//! runtime is a setting of the deployed application: it comes from the folder or the defaults.
//! <https://learn.microsoft.com/azure/azure-functions/functions-reference-python>,
//! <https://learn.microsoft.com/azure/azure-functions/functions-reference-node>

use std::collections::BTreeSet;

use ignore::gitignore::{Gitignore, GitignoreBuilder};

use super::common::{Fleet, Says, id, variables};
use crate::discover::code::{self, Call, Module};
use crate::discover::tree::Tree;
use crate::discover::{Defaults, Discovery, Provider, Site, handler, paths, runtime};
use crate::model::support::{Area, Extent, Support};
use crate::model::{Diagnostic, Language, Place, codes};

/// What is read.
pub const SUPPORT: Support = Support {
    area: Area::Declaration,
    what: "Azure Functions",
    files: "host.json, function.json, function_app.py, app.http(…)",
    extent: Extent::Partly,
    note: "both programming models of each language, blueprints; names that code computes are reported",
};

/// Blueprints that register blueprints.
const MAX_BLUEPRINTS: usize = 64;
/// A source that registers functions is written by hand.
const MAX_SOURCE: u64 = 400_000;

/// Reads every application of the tree.
pub fn find(tree: &Tree, defaults: &Defaults, found: &mut Discovery) {
    let fleet = Fleet { tree, defaults };
    let apps: BTreeSet<&str> =
        tree.files().filter(|path| paths::file_name(path) == "host.json").map(paths::parent).collect();
    for dir in &apps {
        let Some(host) = fleet.document(&paths::join(dir, "host.json").unwrap_or_default(), found) else { continue };
        if !host.is_map() {
            continue;
        }
        let settings = fleet.file(dir, "local.settings.json").and_then(|path| fleet.quiet_document(&path));
        let settings = variables(settings.as_ref().and_then(|s| s.get("Values")));
        let app = App {
            fleet,
            dir,
            apps: &apps,
            ignored: ignored(tree, dir),
            worker: settings.get("FUNCTIONS_WORKER_RUNTIME").map(|w| w.to_ascii_lowercase()),
            settings,
        };
        app.function_json(found);
        app.python(found);
        app.node(found);
    }
}

/// What `.funcignore` keeps from being deployed.
fn ignored(tree: &Tree, dir: &str) -> Gitignore {
    let mut builder = GitignoreBuilder::new("");
    if let Some(text) = paths::join(dir, ".funcignore").and_then(|path| tree.text(&path).ok()) {
        for line in text.lines() {
            // A line that is no pattern excludes nothing, as in the deployment tool.
            let _ = builder.add_line(None, line);
        }
    }
    builder.build().unwrap_or_else(|_| Gitignore::empty())
}

struct App<'a> {
    fleet: Fleet<'a>,
    dir: &'a str,
    apps: &'a BTreeSet<&'a str>,
    ignored: Gitignore,
    worker: Option<String>,
    settings: std::collections::BTreeMap<String, String>,
}

impl App<'_> {
    /// Files of this application, without those of applications inside it and what is not deployed.
    fn files(&self) -> impl Iterator<Item = &str> {
        self.fleet.tree.under(self.dir).filter(|path| {
            let own = paths::ancestors(paths::parent(path)).find(|d| self.apps.contains(d)) == Some(self.dir);
            let inner = paths::relative_to(path, self.dir).unwrap_or(path);
            // The usual `.funcignore` of a TypeScript project leaves out `*.ts`: what is built from them is deployed.
            let source = matches!(paths::extension(path), "ts" | "mts" | "cts");
            let judged = if source { paths::parent(inner) } else { inner };
            own && (judged == "." || !self.ignored.matched_path_or_any_parents(judged, source).is_ignore())
        })
    }

    fn language(&self) -> Option<Language> {
        match self.worker.as_deref()? {
            "python" => Some(Language::Python),
            "node" => Some(Language::Node),
            _ => None,
        }
    }

    fn site(&self, name: &str, place: Place) -> Site {
        Site {
            provider: Provider::Azure,
            application: self.dir.to_string(),
            ..Site::new("azure", place, id(self.dir, name), name.to_string(), self.dir.to_string())
        }
    }

    /// One folder a function, with its bindings beside the script.
    fn function_json(&self, found: &mut Discovery) {
        let declared: Vec<&str> = self
            .files()
            .filter(|path| paths::file_name(path) == "function.json" && paths::parent(paths::parent(path)) == self.dir)
            .collect();
        for path in declared {
            let Some(root) = self.fleet.document(path, found) else { continue };
            if root.get("bindings").is_none() {
                continue;
            }
            let folder = paths::parent(path);
            let script = root.get("scriptFile").and_then(|n| n.text());
            let mut site = self.site(paths::file_name(folder), Place::at(path, root.line));
            let file = match script {
                Some(script) => self.script(folder, script),
                None => ["__init__.py", "main.py", "index.js", "index.mjs", "index.cjs", "index.ts", "run.js"]
                    .iter()
                    .find_map(|name| self.fleet.file(folder, name)),
            };
            let language = file.as_deref().and_then(runtime::language_of);
            let export = root.get("entryPoint").and_then(|n| n.text());
            let export = export.unwrap_or(if language == Some(Language::Node) { "default" } else { "main" });
            // Without a file: what is looked for, to be named.
            let named = file.clone().or_else(|| paths::join(folder, script?));
            let text = named.as_deref().and_then(|f| paths::relative_to(f, self.dir));
            site.handler = text.map(|t| format!("{}.{export}", t.rsplit_once('.').map_or(t, |(stem, _)| stem)));
            site.handler_file = file;
            let other = script.filter(|s| runtime::language_of(s).is_none()).map(paths::extension);
            match (&self.worker, other) {
                (Some(worker), _) if self.language().is_none() => {
                    self.fleet.add_unplanned(site, &format!("the {worker} worker"), found);
                }
                (None, Some(extension)) if !extension.is_empty() => {
                    self.fleet.add_unplanned(site, &format!("a script of type .{extension}"), found);
                }
                _ => self.fleet.add(site, Says::of(None, language.or(self.language())), found),
            }
        }
    }

    /// `scriptFile` as seen from the function's folder; for what a build writes, the source that it is made from.
    fn script(&self, folder: &str, script: &str) -> Option<String> {
        let path = paths::join(folder, script)?;
        if self.fleet.tree.contains(&path) {
            return Some(path);
        }
        let inner = paths::relative_to(&path, self.dir)?;
        let stem = inner.strip_suffix(".js").or_else(|| inner.strip_suffix(".mjs"))?;
        handler::locate(self.fleet.tree, self.dir, &format!("{stem}.default"), Some(Language::Node))
    }

    /// `function_app.py`, or what the settings call it.
    fn python(&self, found: &mut Discovery) {
        let name = self.settings.get("PYTHON_SCRIPT_FILE_NAME").map_or("function_app.py", String::as_str);
        let Some(main) = self.fleet.file(self.dir, name).filter(|p| runtime::language_of(p) == Some(Language::Python))
        else {
            return;
        };
        let mut seen: BTreeSet<String> = BTreeSet::from([main.clone()]);
        let mut open = vec![main.clone()];
        let mut functions: Vec<(String, u32, String, String)> = Vec::new();
        while let Some(file) = open.pop() {
            let Ok(text) = self.fleet.tree.text(&file) else { continue };
            let module = match code::python(&text) {
                Ok(module) => module,
                Err((line, reason)) => {
                    found.diagnostics.push(Diagnostic::new(codes::NESTING_TOO_DEEP, Place::at(&file, line), reason));
                    continue;
                }
            };
            let apps: BTreeSet<&str> =
                module.made.iter().filter(|(_, call)| is_app(&module, call)).map(|(name, _)| name.as_str()).collect();
            for function in &module.functions {
                let own = |d: &&Call| d.path.split_once('.').is_some_and(|(app, _)| apps.contains(app));
                let decorators: Vec<&Call> = function.decorators.iter().filter(own).collect();
                if !decorators.iter().any(|d| is_trigger(&d.path)) {
                    continue;
                }
                let given = decorators.iter().find(|d| d.path.ends_with(".function_name"));
                let given = given.and_then(|d| {
                    d.arguments.first().or_else(|| Some(&d.keywords.iter().find(|k| k.key == "name")?.value))?.text()
                });
                let name = given.unwrap_or(&function.name).to_string();
                functions.push((file.clone(), function.line, name, function.name.clone()));
            }
            for (name, call) in &module.made {
                // A whole web application behind one route; the library gives it this name.
                let wraps = module.name_in(&call.path, "azure.functions");
                if matches!(wraps.as_deref(), Some("AsgiFunctionApp" | "WsgiFunctionApp")) {
                    functions.push((file.clone(), call.line, "http_app_func".into(), name.clone()));
                }
            }
            let registered = module
                .calls
                .iter()
                .filter(|c| matches!(c.path.rsplit('.').next(), Some("register_functions" | "register_blueprint")));
            for call in registered {
                let Some(name) = call.arguments.first().and_then(tag_text) else { continue };
                let first = name.split('.').next().unwrap_or(name);
                let Some(import) = module.import(first) else { continue };
                let candidates = [import.module.clone(), format!("{}.{}", import.module, import.name)];
                if let Some(file) = candidates.iter().find_map(|m| self.module_file(&file, m))
                    && seen.len() < MAX_BLUEPRINTS
                    && seen.insert(file.clone())
                {
                    open.push(file);
                }
            }
        }
        functions.sort_by(|a, b| (a.0 != main, &a.0, a.1).cmp(&(b.0 != main, &b.0, b.1)));
        for (file, line, name, function) in functions {
            let module = paths::relative_to(&file, self.dir).unwrap_or(&file).trim_end_matches(".py");
            let site = Site {
                handler: Some(format!("{module}.{function}")),
                // The worker loads the application, which loads all of its functions.
                also_loads: if file == main { Vec::new() } else { vec![main.clone()] },
                handler_file: Some(file.clone()),
                ..self.site(&name, Place::at(&file, line))
            };
            self.fleet.add(site, Says::Language(Language::Python), found);
        }
    }

    /// The file of a Python module, from the application's folder, or relative to the importing file.
    fn module_file(&self, from: &str, module: &str) -> Option<String> {
        let name = module.trim_start_matches('.');
        let dots = module.len() - name.len();
        let mut base = if dots == 0 { self.dir.to_string() } else { paths::parent(from).to_string() };
        for _ in 1..dots {
            base = paths::join(&base, "..")?;
        }
        let path = name.replace('.', "/");
        [format!("{path}.py"), format!("{path}/__init__.py")].iter().find_map(|rel| self.fleet.file(&base, rel))
    }

    /// Files that register functions when they are loaded.
    fn node(&self, found: &mut Discovery) {
        if self.fleet.file(self.dir, "package.json").is_none() {
            return;
        }
        let mut files: Vec<(String, Module)> = Vec::new();
        for path in self.files() {
            let relevant = runtime::language_of(path) == Some(Language::Node)
                && !paths::stem(path).ends_with(".d")
                && !paths::stem(path).ends_with(".test")
                && !paths::stem(path).ends_with(".spec")
                && self.fleet.tree.size(path).is_some_and(|size| size <= MAX_SOURCE);
            // A build's output says again what its source says.
            let first = paths::relative_to(path, self.dir).and_then(|p| p.split('/').next());
            if !relevant || matches!(first, Some("dist" | "build" | "out")) {
                continue;
            }
            let Ok(text) = self.fleet.tree.text(path) else { continue };
            if !(text.contains("@azure/functions") || text.contains("durable-functions")) || !text.contains("app.") {
                continue;
            }
            if let Ok(module) = code::javascript(path, &text) {
                files.push((path.to_string(), module));
            }
        }
        let registers = |module: &Module, call: &Call| registration(module, call).is_some();
        let loaded: Vec<String> = files
            .iter()
            .filter(|(_, module)| module.calls.iter().any(|call| registers(module, call)))
            .map(|(path, _)| path.clone())
            .collect();
        for (path, module) in &files {
            for call in module.calls.iter().filter(|call| registers(module, call)) {
                let Some(name) = call.arguments.first().and_then(|n| n.text()) else {
                    let reason = format!("the name that is given to {} is only known when the code runs", call.path);
                    let place = Place::at(path, call.line);
                    found.diagnostics.push(Diagnostic::new(codes::TEMPLATE_UNRESOLVED, place, reason));
                    continue;
                };
                let file = paths::relative_to(path, self.dir).unwrap_or(path);
                let site = Site {
                    // What is registered has a name, not an export.
                    handler: Some(file.rsplit_once('.').map_or(file, |(stem, _)| stem).to_string()),
                    handler_file: Some(path.clone()),
                    also_loads: loaded.clone(),
                    ..self.site(name, Place::at(path, call.line))
                };
                self.fleet.add(site, Says::Language(Language::Node), found);
            }
        }
    }
}

/// `name` of a value that is only a name.
fn tag_text(node: &crate::discover::doc::Node) -> Option<&str> {
    match &node.value {
        crate::discover::doc::Value::Text(text) if node.tag.is_some() => Some(text),
        _ => None,
    }
}

/// Whether a call makes an application or a blueprint.
fn is_app(module: &Module, call: &Call) -> bool {
    let made = ["azure.functions", "azure.durable_functions", "azure"]
        .iter()
        .find_map(|name| module.name_in(&call.path, name));
    matches!(
        made.as_deref().map(|m| m.rsplit('.').next().unwrap_or(m)),
        Some("FunctionApp" | "Blueprint" | "DFApp" | "AsgiFunctionApp" | "WsgiFunctionApp" | "DaprFunctionApp")
    )
}

fn is_trigger(path: &str) -> bool {
    let method = path.rsplit('.').next().unwrap_or(path);
    matches!(method, "route" | "schedule" | "function_name") || method.ends_with("_trigger")
}

/// The kind of trigger that a call registers a function for.
fn registration(module: &Module, call: &Call) -> Option<String> {
    let path = ["@azure/functions", "durable-functions"].iter().find_map(|m| module.name_in(&call.path, m))?;
    let method = path.strip_prefix("app.")?;
    // `app.setup` and `app.hook.…` configure the application; a chained call belongs to the one that it is chained to.
    let registers = method != "setup" && !method.starts_with("hook.") && !call.arguments.is_empty();
    (registers && (!method.contains('.') || method.starts_with("client."))).then(|| method.to_string())
}

#[cfg(test)]
mod tests {
    use super::super::tests::run;

    #[test]
    fn function_json_names_script_and_entry_point() {
        let found = run(&[
            ("app/host.json", "{\"version\": \"2.0\"}"),
            ("app/package.json", "{}"),
            ("app/Py/function.json", "{\"scriptFile\": \"run.py\", \"entryPoint\": \"go\", \"bindings\": []}"),
            ("app/Py/run.py", "def go(req): pass"),
            ("app/Plain/function.json", "{\"bindings\": [{\"type\": \"httpTrigger\"}]}"),
            ("app/Plain/__init__.py", "def main(req): pass"),
            ("app/Ts/function.json", "{\"scriptFile\": \"../dist/Ts/index.js\", \"bindings\": []}"),
            ("app/Ts/index.ts", "export default async function (context, req) {}"),
            ("app/Net/function.json", "{\"scriptFile\": \"../bin/x.dll\", \"bindings\": []}"),
            ("app/other/x/function.json", "{\"bindings\": []}"),
            ("app/.funcignore", "Old\n"),
            ("app/Old/function.json", "{\"bindings\": []}"),
            ("app/Old/index.js", ""),
        ]);
        assert_eq!(
            found.0,
            [
                "app/Net azure app ? - bin/x.main",
                "app/Plain azure app python3.11 app/Plain/__init__.py Plain/__init__.main",
                "app/Py azure app python3.11 app/Py/run.py Py/run.go",
                "app/Ts azure app node20 app/Ts/index.ts Ts/index.default",
            ]
        );
    }

    #[test]
    fn decorators_of_an_application_and_its_blueprints_declare_functions() {
        let app = "import azure.functions as func\nfrom bp.items import bp\n\napp = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)\napp.register_functions(bp)\n\n@app.function_name(name='Hello')\n@app.route(route='hello')\ndef hello(req: func.HttpRequest): ...\n\n@app.timer_trigger(schedule='0 * * * * *', arg_name='t')\ndef tick(t): ...\n\n@app.blob_output(arg_name='o', path='x')\ndef no_trigger(o): ...\n\ndef helper(): ...\n";
        let bp = "from azure.functions import Blueprint\nbp = Blueprint()\n@bp.queue_trigger(arg_name='m', queue_name='q', connection='c')\ndef work(m): ...\n";
        let found = run(&[
            ("host.json", "{}"),
            ("local.settings.json", "{\"Values\": {\"FUNCTIONS_WORKER_RUNTIME\": \"python\"}}"),
            ("function_app.py", app),
            ("bp/items.py", bp),
            ("requirements.txt", "azure-functions\n"),
        ]);
        assert_eq!(
            found.0,
            [
                "Hello azure . python3.11 function_app.py function_app.hello",
                "tick azure . python3.11 function_app.py function_app.tick",
                "work azure . python3.11 bp/items.py bp/items.work",
            ]
        );
    }

    #[test]
    fn registered_node_functions_are_found_whatever_file_they_are_in() {
        let found = run(&[
            ("host.json", "{}"),
            ("package.json", "{\"main\": \"dist/src/functions/*.js\", \"engines\": {\"node\": \">=18\"}}"),
            (
                "src/functions/hello.ts",
                "import { app, HttpRequest } from \"@azure/functions\";\nasync function h(r: HttpRequest) {}\napp.http('hello', { methods: ['GET'], handler: h });\napp.setup({ enableHttpStream: true });\n",
            ),
            (
                "src/functions/tick.ts",
                "import { app } from '@azure/functions';\napp.timer('tick', {});\napp.timer(name(), {});",
            ),
            ("src/functions/tick.test.ts", "import { app } from '@azure/functions';\napp.timer('no', {});"),
            (".funcignore", "*.ts\nold/\n"),
            ("old/gone.ts", "import { app } from '@azure/functions';\napp.timer('gone', {});"),
            ("src/other.ts", "import { app } from './app';\napp.http('no', {});"),
        ]);
        assert_eq!(
            found.0,
            [
                "hello azure . node20 src/functions/hello.ts src/functions/hello",
                "tick azure . node20 src/functions/tick.ts src/functions/tick",
            ]
        );
        assert_eq!(found.1, ["src/functions/tick.ts:3 template-unresolved"]);
    }
}
