//! Plain folders: functions that no template declares.
//!
//! A folder is a function when a source file in it looks like a handler. What counts is the text at the start of a
//! line: reading thousands of files to find entry points must be fast and must not depend on whether a file parses, and
//! the layer that reads imports reports syntax errors anyway. Two questions are asked of a file: does its name say
//! handler (`handler.py`, `lambda_function.py`, `index.js`), and does it define something that a provider would call?
//! A file with another name counts only beside a manifest, and only with a signature that nothing else has.
//!
//! The import root is the folder of the handler, as every provider deploys Python. For Node a manifest right above a
//! `src` folder makes that folder the root, since packages are deployed whole there.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use rayon::prelude::*;
use serde_json::Value;

use super::programs::Programs;
use super::tree::Tree;
use super::{Defaults, Discovery, Provider, Site, paths, platform_from_folder, runtime};
use crate::model::inventory::PlatformSource;
use crate::model::{Diagnostic, Language, Place, codes};

use crate::model::support::{Area, Extent, Support};

/// What is read of it.
pub const SUPPORT: Support = Support {
    area: Area::Declaration,
    what: "plain folders",
    files: "a handler in handler.py, lambda_function.py, index.js, … or beside a manifest",
    extent: Extent::Full,
    note: "what no declaration claims",
};

/// File stems that people give to handlers.
const HANDLER_STEMS: [&str; 9] =
    ["handler", "lambda_function", "lambda_handler", "lambda", "main", "app", "index", "function", "__init__"];
/// Folders that hold no functions of their own: tests, documents, build output, other people's code.
const NO_FUNCTIONS_IN: [&str; 17] = [
    "test",
    "tests",
    "__tests__",
    "__mocks__",
    "spec",
    "e2e",
    "docs",
    "cdk.out",
    "dist",
    "build",
    "out",
    "vendor",
    "third_party",
    "venv",
    "env",
    "coverage",
    "public",
];
const MANIFESTS: [&str; 20] = [
    "requirements.txt",
    "pyproject.toml",
    "Pipfile",
    "Pipfile.lock",
    "poetry.lock",
    "uv.lock",
    "pdm.lock",
    "pylock.toml",
    "setup.py",
    "setup.cfg",
    "requirements.in",
    "environment.yml",
    "environment.yaml",
    "conda.yml",
    "conda.yaml",
    "package.json",
    "package-lock.json",
    "pnpm-lock.yaml",
    "yarn.lock",
    "function.json",
];

/// What a file offers to a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    /// Name of the exported function, `default` for a default export.
    export: String,
    /// Its shape is that of AWS Lambda.
    lambda: bool,
    /// It is a function of Azure's: beside a `function.json`, or its parameters are of Azure's types.
    azure: bool,
    /// Its name or shape is a handler's even in a file that is not called like one.
    certain: bool,
}

/// Adds a site for every handler that lies outside the folders of declared functions.
pub fn find(tree: &Tree, defaults: &Defaults, found: &mut Discovery) {
    // A project or an image may have the whole repository as its folder: packages inside it are functions of their own.
    let own_packages = |s: &Site| {
        matches!(s.declared_as, "google" | "firebase" | "appengine" | "vercel" | "netlify" | "container" | "warmset")
    };
    // Of a function that is one bundled file, the folder may hold others.
    let claimed: BTreeSet<String> = found
        .sites
        .iter()
        .filter(|s| !own_packages(s))
        .map(|s| s.entry.clone().unwrap_or_else(|| s.root.clone()))
        .collect();
    let projects: BTreeSet<String> = found.sites.iter().filter(|s| own_packages(s)).map(|s| s.root.clone()).collect();
    let is_package = |dir: &str| MANIFESTS.iter().any(|name| tree.contains(&beside(dir, name)));
    let is_claimed = |path: &str| {
        let nearest = paths::ancestors(paths::parent(path)).find(|d| projects.contains(*d) || is_package(d));
        paths::ancestors(path).any(|d| claimed.contains(d)) || nearest.is_some_and(|d| projects.contains(d))
    };
    let handlers: BTreeSet<String> = found.sites.iter().filter_map(|s| s.handler_file.clone()).collect();
    let libraries = libraries(tree);
    let twins = Twins::default();
    let candidates: Vec<&str> = tree
        .files()
        .filter(|path| {
            let stem = paths::stem(path);
            runtime::language_of(path).is_some()
                && !stem.ends_with(".d")
                && !stem.ends_with(".test")
                && !stem.ends_with(".spec")
                && !stem.starts_with("test_")
                && !path.split('/').any(|part| NO_FUNCTIONS_IN.contains(&part))
                && !handlers.contains(*path)
                && !is_claimed(path)
                && tree.archive_of(path).is_none_or(|archive| twins.is_top_of(tree, path, archive))
                && !paths::ancestors(paths::parent(path)).any(|dir| libraries.contains(dir))
        })
        .collect();
    let entries: Vec<Option<Entry>> = candidates.par_iter().map(|path| entry_of(tree, path)).collect();

    // One function for each stem: `index.ts` and the `index.js` built from it are the same one.
    let mut folders: BTreeMap<&str, BTreeMap<&str, (&str, Entry)>> = BTreeMap::new();
    let mut without: BTreeMap<&str, &str> = BTreeMap::new();
    for (path, entry) in candidates.into_iter().zip(entries) {
        let Some(entry) = entry else {
            if HANDLER_STEMS.contains(&paths::stem(path)) && paths::stem(path) != "__init__" {
                without.entry(paths::parent(path)).or_insert(path);
            }
            continue;
        };
        let files = folders.entry(paths::parent(path)).or_default();
        let is_source = paths::extension(path).contains("ts");
        if is_source || !files.contains_key(paths::stem(path)) {
            files.insert(paths::stem(path), (path, entry));
        }
    }
    let mut programs = Programs::default();
    for (dir, files) in &folders {
        for (stem, (path, entry)) in files {
            let only = files.len() == 1;
            let site = site(tree, defaults, dir, stem, path, entry, only, &mut programs, found);
            found.sites.push(site);
        }
    }
    // What is called like a handler, beside a manifest, and is none may be one that a slip hides.
    let roots: BTreeSet<String> = found.sites.iter().map(|s| s.root.clone()).collect();
    let holds_function = |dir: &str| {
        let below = roots.range(format!("{dir}/")..format!("{dir}0")).next();
        dir == "." && !roots.is_empty() || roots.contains(dir) || below.is_some()
    };
    for (dir, path) in without {
        let has_manifest = MANIFESTS.iter().any(|name| tree.contains(&beside(dir, name)));
        // A program that deploys is called `app.py` or `index.ts` too.
        let deploys = paths::ancestors(dir).any(|above| tree.contains(&beside(above, "cdk.json")));
        if has_manifest && !deploys && !holds_function(dir) {
            let reason = "it is called like a handler, but defines nothing that a provider would call";
            found.diagnostics.push(Diagnostic::new(codes::HANDLER_MISSING, Place::file(path), reason));
        }
    }
}

/// Sources outside of archives by name and size, listed when the first archive asks: a folder may hold thousands of those.
#[derive(Default)]
struct Twins<'a>(OnceCell<HashMap<(&'a str, u64), Vec<&'a str>>>);

impl<'a> Twins<'a> {
    /// Whether a file lies at the top of an archive, where a handler is, and is not packed from a source beside it: then
    /// that source is the function already.
    fn is_top_of(&self, tree: &'a Tree, path: &str, archive: &str) -> bool {
        if paths::parent(path) != archive || archive == "." {
            return paths::parent(path) == archive;
        }
        let all = self.0.get_or_init(|| {
            let mut all: HashMap<(&str, u64), Vec<&str>> = HashMap::new();
            for other in tree.files().filter(|f| runtime::language_of(f).is_some() && tree.archive_of(f).is_none()) {
                if let Some(size) = tree.size(other) {
                    all.entry((paths::file_name(other), size)).or_default().push(other);
                }
            }
            all
        });
        let same = tree.size(path).and_then(|size| all.get(&(paths::file_name(path), size)));
        let beside = paths::parent(archive);
        !same.into_iter().flatten().any(|other| paths::is_within(other, beside))
    }
}

/// Folders of packages that other packages of the same workspace depend on: shared code, not functions.
fn libraries(tree: &Tree) -> BTreeSet<String> {
    let manifests: Vec<(&str, Value)> = tree
        .files()
        .filter(|path| paths::file_name(path) == "package.json")
        .filter_map(|path| Some((paths::parent(path), serde_json::from_str(&tree.text(path).ok()?).ok()?)))
        .collect();
    let workspaces: BTreeSet<&str> = manifests
        .iter()
        .filter(|(_, manifest)| manifest.get("workspaces").is_some())
        .map(|(dir, _)| *dir)
        .chain(tree.files().filter(|p| paths::file_name(p) == "pnpm-workspace.yaml").map(paths::parent))
        .collect();
    let workspace_of = |dir: &str| paths::ancestors(dir).find(|above| workspaces.contains(above)).map(str::to_string);
    let mut asked: BTreeSet<(String, &str)> = BTreeSet::new();
    for (dir, manifest) in &manifests {
        let Some(workspace) = workspace_of(dir) else { continue };
        for field in ["dependencies", "devDependencies", "peerDependencies"] {
            for name in manifest.get(field).and_then(Value::as_object).into_iter().flat_map(|deps| deps.keys()) {
                asked.insert((workspace.clone(), name));
            }
        }
    }
    manifests
        .iter()
        .filter_map(|(dir, manifest)| Some((dir, manifest.get("name")?.as_str()?, workspace_of(dir)?)))
        .filter(|(_, name, workspace)| asked.contains(&(workspace.clone(), *name)))
        .map(|(dir, _, _)| (*dir).to_string())
        .collect()
}

#[allow(clippy::too_many_arguments, reason = "one call, all of them plain values")]
fn site(
    tree: &Tree,
    defaults: &Defaults,
    dir: &str,
    stem: &str,
    path: &str,
    entry: &Entry,
    only: bool,
    programs: &mut Programs,
    found: &mut Discovery,
) -> Site {
    let language = runtime::language_of(path).unwrap_or(Language::Python);
    let root = match language {
        Language::Node
            if paths::file_name(dir) == "src" && tree.contains(&beside(paths::parent(dir), "package.json")) =>
        {
            if tree.contains(&beside(dir, "package.json")) { dir } else { paths::parent(dir) }
        }
        _ => dir,
    };
    let name = if root == "." { "root" } else { paths::file_name(root) };
    let base = if root == "." { "root".to_string() } else { root.to_string() };
    let module = paths::relative_to(path, root).unwrap_or(path);
    let module = module.rsplit_once('.').map_or(module, |(module, _)| module);
    let mut site = Site {
        handler: Some(format!("{module}.{}", entry.export)),
        handler_file: Some(path.to_string()),
        provider: match entry {
            Entry { lambda: true, .. } => Provider::AwsLambda,
            Entry { azure: true, .. } => Provider::Azure,
            _ => Provider::Unknown,
        },
        ..Site::new(
            "folder",
            Place::file(path),
            if only { base } else { format!("{base}/{stem}") },
            if only { name.to_string() } else { (*stem).to_string() },
            root.to_string(),
        )
    };
    match programs.runtime(tree, dir, language).and_then(|wanted| wanted.version) {
        Some(version) => {
            site.platform = Some(defaults.platform(language, &version));
            site.platform_source = Some(PlatformSource::Manifest);
        }
        None => platform_from_folder(tree, defaults, language, &mut site, &mut found.diagnostics),
    }
    site
}

fn beside(dir: &str, name: &str) -> String {
    paths::join(dir, name).unwrap_or_default()
}

fn entry_of(tree: &Tree, path: &str) -> Option<Entry> {
    let dir = paths::parent(path);
    let stem = paths::stem(path);
    let named = HANDLER_STEMS.contains(&stem);
    if !named && !MANIFESTS.iter().any(|m| tree.contains(&beside(dir, m))) {
        return None;
    }
    // Azure Functions: `function.json` beside the file declares it. A package's `__init__.py` is no handler otherwise.
    let azure = tree.contains(&beside(dir, "function.json"));
    if stem == "__init__" && !azure {
        return None;
    }
    // Sources that are not UTF-8 still have ASCII keywords; the layer that reads imports decodes them properly.
    let bytes = tree.read(path).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let mut entry = if paths::extension(path) == "py" { python_entry(&text) } else { node_entry(&text) }?;
    if matches!(paths::extension(path), "tsx" | "jsx") && !entry.lambda {
        // A component takes one object too; pages of web frameworks are full of them.
        return None;
    }
    let typed = || {
        let starts = ["import azure.functions", "from azure.functions ", "from azure import functions"];
        text.lines().any(|line| starts.iter().any(|start| line.starts_with(start)))
    };
    if azure || (!entry.lambda && paths::extension(path) == "py" && typed()) {
        entry.lambda = false;
        entry.azure = true;
    } else if stem == "lambda_function" {
        entry.lambda = true;
    }
    (named || entry.certain).then_some(entry)
}

/// The first function at the top level that a provider could call; names that say handler go first.
fn python_entry(text: &str) -> Option<Entry> {
    let mut best: Option<(u8, Entry)> = None;
    for line in text.lines() {
        let assigned = line.split_once('=').map(|(name, _)| name.trim_end()).filter(|name| is_handler_name(name));
        if let Some(name) = assigned {
            // `handler = Mangum(app)`, `lambda_handler = create_handler(…)`.
            offer(&mut best, 1, Entry { export: name.into(), lambda: true, azure: false, certain: false });
            continue;
        }
        let Some(rest) = line.strip_prefix("async def ").or_else(|| line.strip_prefix("def ")) else { continue };
        let Some((name, parameters)) = rest.split_once('(') else { continue };
        let name = name.trim();
        let mut parameters = parameters.split([',', ')']).map(|p| p.split([':', '=']).next().unwrap_or(p).trim());
        let (first, second) = (parameters.next().unwrap_or_default(), parameters.next().unwrap_or_default());
        let lambda_shape = is_event(first) && is_context(second);
        let entry = |lambda, certain| Entry { export: name.to_string(), lambda, azure: false, certain };
        if matches!(name, "lambda_handler" | "handler") {
            offer(&mut best, 0, entry(true, !second.is_empty()));
        } else if lambda_shape {
            offer(&mut best, 1, entry(name != "handle", true));
        } else if is_handler_name(name) {
            offer(&mut best, 2, entry(false, false));
        } else if matches!(first, "request" | "req" | "cloud_event" | "cloudevent" | "args" | "params" | "event")
            && !name.starts_with('_')
        {
            // Google, Azure and OpenWhisk; a `main()` without arguments is a program, not a function.
            let rank = if name == "main" { 2 } else { 3 };
            offer(&mut best, rank, entry(false, false));
        }
    }
    best.map(|(_, entry)| entry)
}

fn is_handler_name(name: &str) -> bool {
    matches!(name, "lambda_handler" | "handler" | "handle" | "function_handler")
}

fn is_event(name: &str) -> bool {
    matches!(name, "event" | "evt" | "_event" | "events")
}

fn is_context(name: &str) -> bool {
    matches!(name, "context" | "ctx" | "_context" | "_" | "_ctx" | "contexts" | "lambda_context")
}

fn offer(best: &mut Option<(u8, Entry)>, rank: u8, entry: Entry) {
    if best.as_ref().is_none_or(|(r, _)| rank < *r) {
        *best = Some((rank, entry));
    }
}

/// The first export that a provider could call; one called `handler` goes first.
fn node_entry(text: &str) -> Option<Entry> {
    let mut best: Option<(u8, Entry)> = None;
    for line in text.lines() {
        let Some((name, value)) = exported(line) else { continue };
        let name = if name.is_empty() { "default" } else { name };
        // The first parameter, where the function begins on this line.
        let opening = value.trim_start().trim_start_matches("async").trim_start();
        let opening = opening.strip_prefix("function").map_or(opening, |f| f.split_once('(').map_or(f, |(_, p)| p));
        let first: String = opening
            .trim_start_matches(['*', ' ', '(', '{'])
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect();
        let called = matches!(first.as_str(), "event" | "evt" | "_event" | "e" | "_evt");
        let request = matches!(
            first.as_str(),
            "req" | "request" | "context" | "ctx" | "params" | "args" | "message" | "cloudEvent"
        );
        let is_code = ["async", "function", "(", "event", "req"].iter().any(|s| value.trim_start().starts_with(s));
        let entry = |lambda, certain| Entry { export: name.to_string(), lambda, azure: false, certain };
        match name {
            "handler" | "lambdaHandler" | "lambda_handler" => offer(&mut best, 0, entry(true, true)),
            _ if called && is_code => offer(&mut best, 1, entry(true, true)),
            "main" | "handle" => offer(&mut best, 2, entry(false, false)),
            _ if request && is_code => offer(&mut best, 3, entry(false, false)),
            _ => {}
        }
    }
    best.map(|(_, entry)| entry)
}

/// `exports.x = …`, `module.exports.x = …`, `module.exports = …`, `export const x = …`, `export async function x(…`,
/// `export default …` as name and what follows; the name is empty for the module itself.
fn exported(line: &str) -> Option<(&str, &str)> {
    let ident_end =
        |text: &str| text.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$')).unwrap_or(text.len());
    if let Some(rest) = line.strip_prefix("module.exports").or_else(|| line.strip_prefix("exports")) {
        let (name, rest) = match rest.strip_prefix('.') {
            Some(rest) => rest.split_at(ident_end(rest)),
            None => ("", rest),
        };
        let value = rest.trim_start().strip_prefix('=')?;
        if let (true, Some(object)) = (name.is_empty(), value.trim_start().strip_prefix('{')) {
            // `module.exports = { handler }`, `module.exports = { handler: … }`, with more on other lines left aside.
            let names = object.split([',', '}']).map(|part| part.trim().split(':').next().unwrap_or_default().trim());
            return names.into_iter().find(|n| matches!(*n, "handler" | "lambdaHandler" | "main")).map(|n| (n, ""));
        }
        return Some((name, value));
    }
    let rest = line.strip_prefix("export ")?.trim_start();
    if let Some(rest) = rest.strip_prefix("default ") {
        return Some(("", rest));
    }
    if let Some(names) = rest.strip_prefix('{') {
        // `export { main as handler }`.
        let names = names.split([',', '}']).map(|part| part.rsplit(" as ").next().unwrap_or(part).trim());
        return names.into_iter().find(|n| matches!(*n, "handler" | "lambdaHandler" | "main")).map(|n| (n, ""));
    }
    for keyword in ["const ", "let ", "var "] {
        if let Some(rest) = rest.strip_prefix(keyword) {
            let (name, rest) = rest.split_at(ident_end(rest));
            // A type annotation may hold `=>`: what counts is what follows the first `=` that is not part of one.
            let at =
                rest.char_indices().find(|(at, c)| *c == '=' && !rest[at + 1..].starts_with('>')).map(|(at, _)| at)?;
            return Some((name, &rest[at + 1..]));
        }
    }
    let function = rest.strip_prefix("async ").unwrap_or(rest).strip_prefix("function")?;
    let function = function.trim_start_matches(['*', ' ']);
    let (name, rest) = function.split_at(ident_end(function));
    Some((name, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn python(text: &str) -> Option<(String, bool, bool)> {
        python_entry(text).map(|e| (e.export, e.lambda, e.certain))
    }

    fn node(text: &str) -> Option<(String, bool, bool)> {
        node_entry(text).map(|e| (e.export, e.lambda, e.certain))
    }

    #[test]
    fn a_folder_whose_handler_a_slip_hides_is_named() {
        let tree = Tree::in_memory(&[
            ("a/app.py", b"def handler(event, context):\n    return 1\n"),
            ("a/requirements.txt", b""),
            ("b/app.py", b"def broken(:\n"),
            ("b/requirements.txt", b""),
            ("c/app.py", b"print('no manifest: a script')\n"),
        ]);
        let mut found = Discovery::default();
        find(&tree, &Defaults::default(), &mut found);
        let said: Vec<(&str, &str)> =
            found.diagnostics.iter().map(|d| (d.code.as_str(), d.place.file.as_str())).collect();
        assert!(said.contains(&("handler-missing", "b/app.py")), "{said:?}");
        assert!(!said.iter().any(|(code, file)| *code == "handler-missing" && *file != "b/app.py"), "{said:?}");
    }

    #[test]
    fn whose_platform_a_plain_function_runs_on_is_told_by_its_shape() {
        let azure: &[u8] = b"import azure.functions as func\n\ndef main(req: func.HttpRequest):\n    pass\n";
        let tree = Tree::in_memory(&[
            ("a/__init__.py", b"def main(req):\n    pass\n"),
            ("a/function.json", b"{\"bindings\": []}"),
            ("b/main.py", azure),
            ("c/main.py", b"def handler(event, context):\n    import azure.functions\n"),
            ("d/main.py", b"def hello(request):\n    pass\n"),
        ]);
        let mut found = Discovery::default();
        find(&tree, &Defaults::default(), &mut found);
        let said: Vec<(&str, Provider)> = found.sites.iter().map(|s| (s.id.as_str(), s.provider)).collect();
        let expected =
            [("a", Provider::Azure), ("b", Provider::Azure), ("c", Provider::AwsLambda), ("d", Provider::Unknown)];
        assert_eq!(said, expected);
    }

    #[test]
    fn what_others_of_a_workspace_depend_on_is_a_library() {
        let handler: &[u8] = b"exports.handler = async (event) => event;";
        let tree = Tree::in_memory(&[
            ("package.json", br#"{"workspaces": ["a", "shared"]}"#),
            ("a/package.json", br#"{"name": "a", "dependencies": {"@x/shared": "1.0.0"}}"#),
            ("a/index.js", handler),
            ("shared/package.json", br#"{"name": "@x/shared"}"#),
            ("shared/index.js", handler),
        ]);
        let mut found = Discovery::default();
        find(&tree, &Defaults::default(), &mut found);
        let ids: Vec<&str> = found.sites.iter().map(|s| s.id.as_str()).collect();
        assert_eq!(ids, ["a"]);
    }

    #[test]
    fn a_package_that_only_shares_its_name_with_a_dependency_is_no_library() {
        let handler: &[u8] = b"exports.handler = async (event) => event;";
        let tree = Tree::in_memory(&[
            ("a/package.json", br#"{"name": "a", "dependencies": {"express": "4"}}"#),
            ("a/index.js", handler),
            ("express/package.json", br#"{"name": "express"}"#),
            ("express/index.js", handler),
        ]);
        let mut found = Discovery::default();
        find(&tree, &Defaults::default(), &mut found);
        assert_eq!(found.sites.len(), 2);
    }

    #[test]
    fn pages_are_no_functions() {
        let page: &[u8] = b"export default function Page({ params }) {\n  return <p>{params.id}</p>;\n}\n";
        let tree = Tree::in_memory(&[
            ("package.json", b"{}"),
            ("pages/index.tsx", page),
            ("mail/index.jsx", b"export const handler = async (event) => render(<Mail {...event} />);\n"),
        ]);
        let mut found = Discovery::default();
        find(&tree, &Defaults::default(), &mut found);
        let ids: Vec<&str> = found.sites.iter().map(|s| s.id.as_str()).collect();
        assert_eq!(ids, ["mail"]);
    }

    #[test]
    fn python_handlers_are_known_by_name_or_shape() {
        for (text, expected) in [
            ("def lambda_handler(event, context):", Some(("lambda_handler", true, true))),
            ("def helper(x):\n    pass\ndef handler(event: dict, context=None):", Some(("handler", true, true))),
            ("def process(event, context):", Some(("process", true, true))),
            ("handler = Mangum(app)", Some(("handler", true, false))),
            ("def main(req: func.HttpRequest) -> str:", Some(("main", false, false))),
            ("def hello(request):", Some(("hello", false, false))),
            ("def handle(req):", Some(("handle", false, false))),
            ("def main():\n    pass", None),
            ("class A:\n    def handler(self, event):\n        pass", None),
            ("def add(a, b):", None),
        ] {
            assert_eq!(python(text), expected.map(|(n, l, c)| (n.to_string(), l, c)), "{text}");
        }
    }

    #[test]
    fn node_handlers_are_known_by_name_or_shape() {
        for (text, expected) in [
            ("exports.handler = async (event) => {", Some(("handler", true, true))),
            ("module.exports.hello = async event => {", Some(("hello", true, true))),
            ("module.exports.create = (event, context, callback) => {", Some(("create", true, true))),
            ("export const handler: Handler<A, B> = async (event) => {", Some(("handler", true, true))),
            ("export const get: (e: X) => Y = async function (event) {", Some(("get", true, true))),
            ("export async function lambdaHandler(event) {", Some(("lambdaHandler", true, true))),
            ("export default async (event) => {", Some(("default", true, true))),
            ("export default async function (req, res) {", Some(("default", false, false))),
            ("module.exports = { handler };", Some(("handler", true, true))),
            ("export { main as handler };", Some(("handler", true, true))),
            ("module.exports = async function (context, req) {", Some(("default", false, false))),
            ("module.exports = { a, b };", None),
            ("module.exports = router;", None),
            ("export const PORT = 3000;", None),
            ("export const add = (a, b) => a + b;", None),
        ] {
            assert_eq!(node(text), expected.map(|(n, l, c)| (n.to_string(), l, c)), "{text}");
        }
    }
}
