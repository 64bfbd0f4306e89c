//! Vercel projects: files that become functions by where they lie.
//!
//! A project is a folder with a `vercel.json` or with a `package.json` that depends on Next.js or on Vercel's own
//! packages. Supported: the `api` folder (JavaScript, TypeScript, Python; names that begin with `_` or `.` are not
//! functions), files that `functions` names, `services` with an entry point, legacy `builds`; Next.js: `pages/api`, route handlers (`app/**/route.ts`), middleware, and
//! `proxy.ts`, as Next.js 16 calls it (<https://nextjs.org/docs/app/api-reference/file-conventions/proxy>). What is marked for
//! the edge runtime is named. Pages that a server renders are not listed.
//! <https://vercel.com/docs/functions>, <https://vercel.com/docs/project-configuration>

use std::collections::{BTreeMap, BTreeSet};

use super::common::{Fleet, Says, id, matches};
use super::container;
use crate::discover::code::{self, Module};
use crate::discover::doc::{self, Node};
use crate::discover::tree::Tree;
use crate::discover::{Defaults, Discovery, Provider, Site, paths, runtime};
use crate::model::support::{Area, Extent, Support};
use crate::model::{Diagnostic, Language, Place, codes};

/// What is read.
pub const SUPPORT: Support = Support {
    area: Area::Declaration,
    what: "Vercel and Next.js",
    files: "vercel.json, api/, pages/api/, app/**/route.ts, middleware.ts, proxy.ts",
    extent: Extent::Partly,
    note: "pages that a server renders, and entry points of other frameworks, are not listed; edge functions are named",
};

/// Packages that only a project which is deployed to Vercel has.
const VERCEL_PACKAGES: [&str; 3] = ["@vercel/node", "@vercel/edge", "@vercel/functions"];

/// Reads every project of the tree.
pub fn find(tree: &Tree, defaults: &Defaults, found: &mut Discovery) {
    let fleet = Fleet { tree, defaults };
    let mut projects: BTreeMap<&str, Project> = BTreeMap::new();
    for path in tree.files() {
        let dir = paths::parent(path);
        match paths::file_name(path) {
            "vercel.json" | "now.json" => {
                if let Some(root) = fleet.document(path, found) {
                    projects.entry(dir).or_default().config = Some((path.to_string(), root));
                }
            }
            "package.json" => {
                let Some(root) = quick(fleet, path) else { continue };
                let depends = |name: &str| {
                    ["dependencies", "devDependencies"]
                        .iter()
                        .any(|f| root.get(f).is_some_and(|d| d.get(name).is_some()))
                };
                let next = depends("next");
                if next || VERCEL_PACKAGES.iter().any(|p| depends(p)) {
                    projects.entry(dir).or_default().next = next;
                }
            }
            _ => {}
        }
    }
    let mut taken: BTreeSet<String> = BTreeSet::new();
    // Inner projects first: what lies in one is not the outer one's.
    for (dir, project) in projects.iter().rev() {
        let reader = Reader { fleet, dir, project };
        reader.services(&mut taken, found);
        reader.read(&mut taken, found);
    }
    unmatched(tree, found);
}

/// A manifest that names one of the packages looked for.
fn quick(fleet: Fleet<'_>, path: &str) -> Option<Node> {
    let text = fleet.tree.text(path).ok()?;
    (text.contains("\"next\"") || text.contains("@vercel/")).then(|| doc::parse(&text).ok())?
}

#[derive(Default)]
struct Project {
    config: Option<(String, Node)>,
    next: bool,
}

struct Reader<'a> {
    fleet: Fleet<'a>,
    dir: &'a str,
    project: &'a Project,
}

/// What kind of file a function is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Below `api`, or named by a build.
    Api,
    /// Below Next's `pages/api`.
    Page,
    /// A route handler of Next's `app`.
    Route,
    /// Runs before requests; on the edge unless it says otherwise.
    Middleware,
    /// What Next.js 16 calls middleware: always on Node.js.
    Proxy,
}

impl Reader<'_> {
    fn read(&self, taken: &mut BTreeSet<String>, found: &mut Discovery) {
        let builds = self.project.config.as_ref().and_then(|(_, root)| root.get("builds"));
        let files: Vec<(&str, &str)> = self
            .fleet
            .tree
            .under(self.dir)
            .filter_map(|path| Some((path, paths::relative_to(path, self.dir)?)))
            .filter(|(path, _)| runtime::language_of(path).is_some() && !paths::stem(path).ends_with(".d"))
            .collect();
        for (path, inner) in files {
            let kind = match builds {
                // With builds there is nothing that is found by its place.
                Some(builds) => self.built(builds, inner),
                None => self.kind(inner).or_else(|| self.is_named(inner).then_some(Kind::Api)),
            };
            let Some(kind) = kind else { continue };
            if taken.insert(path.to_string()) {
                self.function(path, inner, kind, found);
            }
        }
    }

    /// Whether `functions` names this very file: then it is one, wherever it lies.
    fn is_named(&self, inner: &str) -> bool {
        let functions = self.project.config.as_ref().and_then(|(_, root)| root.get("functions"));
        functions.is_some_and(|f| f.entries().iter().any(|e| e.key.trim_start_matches("./") == inner))
    }

    fn built(&self, builds: &Node, inner: &str) -> Option<Kind> {
        let build = builds.items().iter().find(|b| {
            let uses = b.get("use").and_then(Node::text).unwrap_or("");
            let source = b.get("src").and_then(Node::text).unwrap_or("");
            ["@vercel/node", "@vercel/python", "@now/node", "@now/python"].iter().any(|u| uses.starts_with(u))
                && matches(source.trim_start_matches('/'), inner)
        });
        build.map(|_| Kind::Api)
    }

    fn kind(&self, inner: &str) -> Option<Kind> {
        let parts: Vec<&str> = inner.split('/').collect();
        let hidden = parts.iter().any(|p| p.starts_with(['_', '.'])) || parts.contains(&"node_modules");
        let script = matches!(paths::extension(inner), "js" | "ts" | "jsx" | "tsx" | "mjs" | "mts" | "cjs" | "cts");
        let stem = paths::stem(inner);
        let test = stem.ends_with(".test") || stem.ends_with(".spec") || stem.starts_with("test_");
        if self.project.next {
            let own: &[&str] = if parts.first() == Some(&"src") { &parts[1..] } else { &parts };
            match own {
                ["pages", "api", ..] if script && !test => return Some(Kind::Page),
                ["app", .., _] if stem == "route" && matches!(paths::extension(inner), "js" | "ts" | "jsx" | "tsx") => {
                    // A folder whose name begins with `_` is private, one in brackets is a parameter.
                    let private = own.iter().any(|p| p.starts_with('_') && !p.starts_with("%5F"));
                    return (!private).then_some(Kind::Route);
                }
                [_] if matches!(stem, "middleware" | "proxy") && matches!(paths::extension(inner), "js" | "ts") => {
                    return Some(if stem == "proxy" { Kind::Proxy } else { Kind::Middleware });
                }
                _ => {}
            }
        }
        let in_api = parts.len() > 1 && parts[0] == "api";
        if in_api && !hidden && !test && !matches!(paths::extension(inner), "jsx" | "tsx") {
            return Some(Kind::Api);
        }
        let middleware = parts.len() == 1 && stem == "middleware" && matches!(paths::extension(inner), "js" | "ts");
        (middleware && self.project.config.is_some()).then_some(Kind::Middleware)
    }

    fn function(&self, path: &str, inner: &str, kind: Kind, found: &mut Discovery) {
        let Some(language) = runtime::language_of(path) else { return };
        let text = self.fleet.tree.text(path).unwrap_or_default();
        let module = match language {
            Language::Node => code::javascript(path, &text).unwrap_or_default(),
            Language::Python => Module::default(),
        };
        if language == Language::Python && !text.is_empty() && !answers(&text) && !self.is_named(inner) {
            // A helper beside the functions: nothing that a server could be given.
            return;
        }
        let stem = inner.rsplit_once('.').map_or(inner, |(stem, _)| stem);
        let own_folder = self.fleet.package_root(paths::parent(path), self.dir, language);
        let export = export(&module, language, &text);
        let root = if language == Language::Python { own_folder } else { self.dir.to_string() };
        let site_stem = paths::relative_to(path, &root).unwrap_or(path);
        let site_stem = site_stem.rsplit_once('.').map_or(site_stem, |(stem, _)| stem);
        let mut site = Site {
            handler: Some(format!("{site_stem}.{export}")),
            handler_file: Some(path.to_string()),
            provider: Provider::Vercel,
            ..Site::new("vercel", Place::file(path), id(self.dir, stem), stem.to_string(), root)
        };
        let configured = self.configured(inner);
        if let Some((runtime, place)) = &configured
            && !runtime.starts_with("@vercel/")
        {
            let place = place.clone();
            site.handler = None;
            site.handler_file = None;
            let reason = format!("a runtime of its own, `{runtime}`");
            self.fleet.add_unplanned(Site { declared_at: place, ..site }, &reason, found);
            return;
        }
        let says = module.export("runtime").or_else(|| module.export("config").and_then(|c| c.get("runtime")));
        let says = says.and_then(Node::text);
        let edge = match kind {
            Kind::Proxy => false,
            Kind::Middleware => says != Some("nodejs"),
            _ => matches!(says, Some("edge" | "experimental-edge")),
        };
        if edge {
            self.fleet.add_unplanned(site, "the edge runtime", found);
            return;
        }
        self.fleet.add(site, Says::Language(language), found);
    }

    /// Services with an entry point: `main:app`, a file, or a Dockerfile. Those of Node frameworks are projects.
    fn services(&self, taken: &mut BTreeSet<String>, found: &mut Discovery) {
        let Some((path, root)) = &self.project.config else { return };
        let services = ["services", "experimentalServices"].iter().filter_map(|key| root.get(key));
        for service in services.flat_map(Node::entries) {
            let text = |key: &str| service.value.get(key).and_then(Node::text);
            let Some(folder) = paths::join(self.dir, text("root").unwrap_or(".")) else { continue };
            let mut site = Site {
                provider: Provider::Vercel,
                ..Site::new(
                    "vercel",
                    Place::at(path, service.line),
                    id(self.dir, &service.key),
                    service.key.clone(),
                    folder.clone(),
                )
            };
            let python = matches!(text("framework"), Some("fastapi" | "flask" | "django" | "starlette" | "python"));
            let (file, export) = match text("entrypoint") {
                Some("Dockerfile") => {
                    container::build(self.fleet, site, &folder, "Dockerfile", found);
                    continue;
                }
                Some(entry) => match entry.split_once(':') {
                    Some((module, object)) => {
                        let module = module.replace('.', "/");
                        (self.fleet.file(&folder, &format!("{module}.py")), object.to_string())
                    }
                    None => (self.fleet.file(&folder, entry), "app".to_string()),
                },
                // Where the frameworks' presets look.
                None if python => {
                    let names =
                        ["app", "index", "server", "main", "src/app", "src/index", "src/main", "app/main", "app/app"];
                    (names.iter().find_map(|n| self.fleet.file(&folder, &format!("{n}.py"))), "app".to_string())
                }
                None => continue,
            };
            let Some(file) = file.filter(|f| runtime::language_of(f).is_some()) else { continue };
            let language = runtime::language_of(&file);
            site.root = self.fleet.package_root(paths::parent(&file), &folder, language.unwrap_or(Language::Python));
            let module = paths::relative_to(&file, &site.root).unwrap_or(&file);
            let export = if language == Some(Language::Node) { "default" } else { &export };
            site.handler = Some(format!("{}.{export}", module.rsplit_once('.').map_or(module, |(stem, _)| stem)));
            taken.insert(file.clone());
            site.handler_file = Some(file);
            self.fleet.add(site, Says::of(None, language), found);
        }
    }

    /// The runtime that `functions` of `vercel.json` gives to a file.
    fn configured(&self, inner: &str) -> Option<(String, Place)> {
        let (path, root) = self.project.config.as_ref()?;
        let entry = root.get("functions")?.entries().iter().find(|e| matches(&e.key, inner))?;
        let runtime = entry.value.entry("runtime")?;
        Some((runtime.value.text()?.to_string(), Place::at(path, runtime.line)))
    }
}

/// Whether a Python file holds what Vercel's runtime looks for: a class `handler`, or an application `app`.
fn answers(text: &str) -> bool {
    text.lines().any(|line| {
        [
            "class handler",
            "app =",
            "app=",
            "app:",
            "application =",
            "handler =",
            "from app import",
            "def handler",
            "def app",
        ]
        .iter()
        .any(|start| line.starts_with(start))
            || (line.starts_with("from ") && line.contains(" import ") && line.trim_end().ends_with(" app"))
    })
}

fn export(module: &Module, language: Language, text: &str) -> String {
    if language == Language::Python {
        return if text.contains("class handler") { "handler".into() } else { "app".into() };
    }
    let methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];
    if module.export("default").is_some() {
        return "default".into();
    }
    let method = methods.iter().find(|m| module.export(m).is_some());
    method.map_or_else(
        || ["middleware", "proxy"].into_iter().find(|name| module.export(name).is_some()).unwrap_or("default").into(),
        |m| (*m).to_string(),
    )
}

/// Says which entries of `functions` match no file: a slip, or a file that a build writes.
fn unmatched(tree: &Tree, found: &mut Discovery) {
    for path in tree.files().filter(|p| paths::file_name(p) == "vercel.json") {
        let Some(root) = tree.text(path).ok().and_then(|t| doc::parse(&t).ok()) else { continue };
        let dir = paths::parent(path);
        let entries = root.get("functions").into_iter().flat_map(Node::entries);
        for entry in entries.filter(|e| !e.key.contains(['*', '{'])) {
            let there = paths::join(dir, &entry.key).is_some_and(|p| tree.contains(&p) || tree.is_excluded(&p));
            if !there {
                let reason = format!("`{}` does not exist", entry.key);
                let mut diagnostic =
                    Diagnostic::new(codes::TEMPLATE_POINTS_NOWHERE, Place::at(path, entry.line), reason);
                diagnostic.severity = crate::model::Severity::Warning;
                found.diagnostics.push(diagnostic);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::run;

    #[test]
    fn files_of_a_next_project_are_functions_by_their_place() {
        let found = run(&[
            ("web/package.json", "{\"dependencies\": {\"next\": \"14\"}, \"engines\": {\"node\": \"20.x\"}}"),
            ("web/pages/api/hello.ts", "export default function handler(req, res) {}"),
            ("web/pages/index.tsx", "export default function Page() {}"),
            ("web/src/app/api/[id]/route.ts", "export async function GET() {}"),
            ("web/src/app/edge/route.ts", "export const runtime = 'edge';\nexport async function POST() {}"),
            ("web/src/app/_lib/route.ts", "export async function GET() {}"),
            ("web/middleware.ts", "export function middleware() {}\nexport const config = { matcher: '/' };"),
            ("web/src/proxy.ts", "export async function proxy(request) {}\nexport const config = { matcher: '/' };"),
            ("lib/package.json", "{\"dependencies\": {\"express\": \"4\"}}"),
            ("lib/api/x.ts", "export default function () {}"),
        ]);
        assert_eq!(
            found.0,
            [
                "web/middleware vercel web ? web/middleware.ts middleware.middleware",
                "web/pages/api/hello vercel web node20 web/pages/api/hello.ts pages/api/hello.default",
                "web/src/app/api/[id]/route vercel web node20 web/src/app/api/[id]/route.ts src/app/api/[id]/route.GET",
                "web/src/app/edge/route vercel web ? web/src/app/edge/route.ts src/app/edge/route.POST",
                "web/src/proxy vercel web node20 web/src/proxy.ts src/proxy.proxy",
            ]
        );
        assert_eq!(found.1, ["web/middleware.ts runtime-unknown", "web/src/app/edge/route.ts runtime-unknown"]);
    }

    #[test]
    fn services_and_named_files_are_functions() {
        let found = run(&[
            (
                "vercel.json",
                "{\"services\": {\n\"web\": {\"root\": \"web\", \"framework\": \"nextjs\"},\n\"api\": {\"root\": \"api-svc/\", \"entrypoint\": \"main:app\"},\n\"chat\": {\"root\": \"chat\", \"framework\": \"flask\"}},\n\"functions\": {\"server.ts\": {\"maxDuration\": 60}}}",
            ),
            ("package.json", "{}"),
            ("api-svc/main.py", "app = 1"),
            ("api-svc/requirements.txt", ""),
            ("chat/server.py", "app = 1"),
            ("server.ts", "export default {}"),
        ]);
        assert_eq!(
            found.0,
            [
                "api vercel api-svc python3.11 api-svc/main.py main.app",
                "chat vercel chat python3.11 chat/server.py server.app",
                "server vercel . node20 server.ts server.default",
            ]
        );
    }

    #[test]
    fn the_api_folder_of_a_project_holds_functions() {
        let found = run(&[
            (
                "p/vercel.json",
                "{\"functions\": {\"api/old.php\": {\"runtime\": \"vercel-php@0.6\"}, \"api/gone.ts\": {}}}",
            ),
            ("p/api/hello.ts", "export default (req, res) => {}"),
            ("p/api/_util.ts", "export const x = 1"),
            (
                "p/api/deep/index.py",
                "from http.server import BaseHTTPRequestHandler\nclass handler(BaseHTTPRequestHandler): ...",
            ),
            ("p/api/helper.py", "def add(a, b): ..."),
            ("p/api/old.php", ""),
            ("p/requirements.txt", ""),
            ("b/vercel.json", "{\"builds\": [{\"src\": \"src/*.js\", \"use\": \"@vercel/node\"}]}"),
            ("b/src/one.js", "module.exports = (req, res) => {}"),
            ("b/api/two.js", "module.exports = (req, res) => {}"),
        ]);
        assert_eq!(
            found.0,
            [
                "b/src/one vercel b node20 b/src/one.js src/one.default",
                "p/api/deep/index vercel p python3.11 p/api/deep/index.py api/deep/index.handler",
                "p/api/hello vercel p node20 p/api/hello.ts api/hello.default",
            ]
        );
        assert_eq!(found.1, ["p/vercel.json:1 template-points-nowhere"]);
    }
}
