//! Google App Engine: a service for each `app.yaml`, with Python or Node.js runtimes of both environments.
//!
//! Supported: `runtime` of the standard environment (`python313`, `nodejs22`), `runtime_config` of the flexible one,
//! `entrypoint` (gunicorn, uvicorn and the like; `python x.py`; `node x.js`) and what is started without one: `app` of
//! `main.py`, the `start` script or `server.js`. Other languages and Python 2 are named; `runtime: custom` is a
//! Dockerfile, which is read as one.
//! <https://cloud.google.com/appengine/docs/standard/reference/app-yaml>

use super::common::{Fleet, Says, id, variables};
use crate::discover::doc::{self, Node};
use crate::discover::tree::Tree;
use crate::discover::{Defaults, Discovery, Site, paths, runtime};
use crate::model::support::{Area, Extent, Support};
use crate::model::{Language, Place};

/// What is read.
pub const SUPPORT: Support = Support {
    area: Area::Declaration,
    what: "Google App Engine",
    files: "app.yaml",
    extent: Extent::Partly,
    note: "Python and Node.js, standard and flexible; other languages and Python 2 are named; not handlers of single scripts",
};

/// Reads every service of the tree.
pub fn find(tree: &Tree, defaults: &Defaults, found: &mut Discovery) {
    let fleet = Fleet { tree, defaults };
    for path in tree.files().filter(|path| matches!(paths::file_name(path), "app.yaml" | "app.yml")) {
        if let Some(root) = fleet.quiet_document(path) {
            service(fleet, path, &root, found);
        }
    }
}

/// `python313` as language and version; the version is empty in the flexible environment.
fn split(runtime: &str) -> (&str, &str) {
    runtime.split_at(runtime.find(|c: char| c.is_ascii_digit()).unwrap_or(runtime.len()))
}

fn service(fleet: Fleet<'_>, path: &str, root: &Node, found: &mut Discovery) {
    let Some(entry) = root.entry("runtime") else { return };
    let Some(text) = entry.value.text() else { return };
    let (family, digits) = split(text);
    if !digits.chars().all(|c| c.is_ascii_digit())
        || !matches!(family, "python" | "nodejs" | "go" | "java" | "php" | "ruby" | "dotnet")
    {
        // Some other tool's file, or `custom`.
        return;
    }
    let dir = paths::parent(path);
    let own_id = if dir == "." { "root".to_string() } else { dir.to_string() };
    let folder = if dir == "." { "root" } else { paths::file_name(dir) };
    let name = ["service", "module"].iter().find_map(|key| root.get(key)?.text());
    let mut site = Site {
        environment: variables(root.get("env_variables")),
        application: dir.to_string(),
        ..Site::new(
            "appengine",
            Place::at(path, root.line),
            own_id,
            name.unwrap_or(folder).to_string(),
            dir.to_string(),
        )
    };
    if let Some(name) = name.filter(|name| *name != "default") {
        site.id = id(dir, name);
    }
    let language = match (family, digits) {
        ("python", digits) if !digits.starts_with('2') => Language::Python,
        ("nodejs", _) => Language::Node,
        _ => {
            site.runtime = Some(text.to_string());
            fleet.add_unplanned(site, &format!("App Engine's runtime `{text}`"), found);
            return;
        }
    };
    let given = ["runtime_version", "python_version"].iter().find_map(|key| root.at(&["runtime_config", key])?.text());
    let version = match (language, digits) {
        (_, "") => given.map(str::to_string),
        // `python313` is 3.13.
        (Language::Python, digits) => digits.split_at_checked(1).map(|(major, minor)| format!("{major}.{minor}")),
        (Language::Node, digits) => Some(digits.to_string()),
    };
    // `python_version: 3` asks for the newest.
    let version = version.filter(|v| runtime::version(language, v).is_some() || !digits.is_empty());
    let entrypoint = root.get("entrypoint");
    let command = entrypoint.and_then(|e| e.text().or_else(|| e.get("shell")?.text()));
    let (file, export) = match language {
        Language::Python => python(command),
        Language::Node => (node(fleet, dir, command), "default".to_string()),
    };
    site.handler = Some(format!("{}.{export}", file.rsplit_once('.').map_or(file.as_str(), |(stem, _)| stem)));
    site.handler_file = fleet.file(dir, &file);
    let says = match version {
        Some(version) => Says::Runtime(format!("{family}{version}"), Place::at(path, entry.line)),
        None => Says::Language(language),
    };
    fleet.add(site, says, found);
}

/// The file and the object that a command serves.
fn python(command: Option<&str>) -> (String, String) {
    let words: Vec<&str> =
        command.unwrap_or_default().split_whitespace().map(|w| w.trim_matches(['"', '\''])).collect();
    let is_path = |text: &str| {
        text.starts_with(|c: char| c.is_alphabetic() || c == '_')
            && text.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '.')
    };
    let object = words.iter().find_map(|word| {
        let (module, object) = word.split_once(':')?;
        (is_path(module) && is_path(object.trim_end_matches("()"))).then_some((module, object.trim_end_matches("()")))
    });
    if let Some((module, object)) = object {
        return (format!("{}.py", module.replace('.', "/")), object.to_string());
    }
    if let Some(script) = words.iter().find(|w| w.ends_with(".py")) {
        let object = words.iter().position(|w| *w == "--callable").and_then(|at| words.get(at + 1));
        return (script.trim_start_matches("./").to_string(), object.unwrap_or(&"app").to_string());
    }
    // `gunicorn mysite.wsgi` serves `application`.
    let server = words.iter().position(|w| matches!(paths::file_name(w), "gunicorn" | "waitress-serve"));
    let module = server.and_then(|at| words.last().filter(|w| at + 1 < words.len() && is_path(w) && w.contains('.')));
    match module {
        Some(module) => (format!("{}.py", module.replace('.', "/")), "application".into()),
        None => ("main.py".into(), "app".into()),
    }
}

/// The file that a command starts, the package's own `start` where there is none.
fn node(fleet: Fleet<'_>, dir: &str, command: Option<&str>) -> String {
    let script = |line: &str| {
        let words = line.split_whitespace().map(|w| w.trim_matches(['"', '\'']));
        words.into_iter().find(|w| runtime::language_of(w) == Some(Language::Node)).map(str::to_string)
    };
    let start = || {
        let manifest = fleet.tree.text(&fleet.file(dir, "package.json")?).ok()?;
        let manifest = doc::parse(&manifest).ok()?;
        let line = manifest.at(&["scripts", "start"])?.text()?;
        script(line).or_else(|| {
            // `node .`, `node server`
            let name = line.strip_prefix("node ")?.split_whitespace().find(|w| !w.starts_with('-'))?;
            let name = if name == "." { manifest.get("main")?.text()? } else { name };
            [name.to_string(), format!("{name}.js")].into_iter().find(|rel| fleet.file(dir, rel).is_some())
        })
    };
    let file = command.and_then(script).or_else(start).unwrap_or_else(|| "server.js".into());
    file.trim_start_matches("./").to_string()
}

#[cfg(test)]
mod tests {
    use super::super::tests::run;

    #[test]
    fn a_service_says_its_runtime_and_what_serves_it() {
        let found = run(&[
            ("std/app.yaml", "runtime: python313\napp_engine_apis: true\n"),
            ("std/main.py", "def home(request):\n    pass\napp = wrap(get_wsgi_application())\n"),
            ("std/requirements.txt", "Django==6.0.5; python_version >= \"3.12\"\n"),
            (
                "flex/app.yaml",
                "runtime: python\nenv: flex\nentrypoint: gunicorn -b :$PORT --threads=4 web.main:create()\nservice: api\nruntime_config:\n  operating_system: ubuntu24\n  runtime_version: 3.12\n",
            ),
            ("flex/web/main.py", ""),
            ("dj/app.yaml", "runtime: python312\nentrypoint: gunicorn -b :$PORT mysite.wsgi\n"),
            ("dj/mysite/wsgi.py", ""),
            ("node/app.yaml", "runtime: nodejs22\n"),
            ("node/package.json", "{\"scripts\": {\"start\": \"node index\"}}"),
            ("node/index.js", ""),
            ("old/app.yaml", "runtime: python27\nthreadsafe: true\n"),
            ("old/main.py", "def handler(request):\n    pass\n"),
            ("gone/app.yaml", "runtime: python313\n"),
            ("other/app.yaml", "runtime: docker-compose\nname: x\n"),
            ("custom/app.yaml", "runtime: custom\nenv: flex\n"),
        ]);
        assert_eq!(
            found.0,
            [
                "dj appengine dj python3.12 dj/mysite/wsgi.py mysite/wsgi.application",
                "flex/api appengine flex python3.12 flex/web/main.py web/main.create",
                "gone appengine gone python3.13 - main.app",
                "node appengine node node22 node/index.js index.default",
                "old appengine old ? - -",
                "std appengine std python3.13 std/main.py main.app",
            ]
        );
        assert_eq!(found.1, ["gone/app.yaml:1 template-points-nowhere", "old/app.yaml:1 runtime-unknown"]);
    }
}
