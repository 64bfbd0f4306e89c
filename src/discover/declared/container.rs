//! Container functions: a Dockerfile that copies code and says what to run.
//!
//! Supported: what [`crate::discover::dockerfile`] reads; the program in `CMD` and `ENTRYPOINT` (a handler on Lambda's
//! images, `python x.py`, `python -m x`, `node x.js`, `npm start`, gunicorn, uvicorn and the like); requirements that
//! `RUN pip install -r` names. An image that is neither of Python nor of Node.js may bring packages of its own: what it
//! brings is not known. A Dockerfile on a plain language image counts where no other declaration has its code.
//! <https://docs.aws.amazon.com/lambda/latest/dg/images-create.html>

use super::common::{Fleet, Says, id};
use crate::discover::doc::{self, Node};
use crate::discover::dockerfile::{self, Base, Stage, absolute, base_of, below};
use crate::discover::tree::Tree;
use crate::discover::{Defaults, Discovery, Site, handler, paths, runtime};
use crate::model::inventory::PlatformSource;
use crate::model::support::{Area, Extent, Support};
use crate::model::{Diagnostic, Language, Place, codes};

/// What is read.
pub const SUPPORT: Support = Support {
    area: Area::Declaration,
    what: "Container functions",
    files: "Dockerfile, Dockerfile.*, *.Dockerfile, Containerfile",
    extent: Extent::Partly,
    note: "copied code and the command; nothing is built, what RUN writes and a base image brings is not known",
};

fn is_dockerfile(path: &str) -> bool {
    let name = paths::file_name(path);
    matches!(name, "Dockerfile" | "Containerfile")
        || (name.starts_with("Dockerfile.") && paths::extension(name) != "dockerignore")
        || paths::extension(name).eq_ignore_ascii_case("dockerfile")
}

/// Reads every Dockerfile whose code nothing else declares.
pub fn find(tree: &Tree, defaults: &Defaults, found: &mut Discovery) {
    let fleet = Fleet { tree, defaults };
    for path in tree.files().filter(|p| is_dockerfile(p)) {
        let Ok(text) = tree.text(path) else { continue };
        let stages = dockerfile::stages(&text);
        let Some(image) = Image::read(fleet, path, &stages) else { continue };
        let lambda = image.base.as_ref().is_some_and(|b| b.lambda);
        // A service may have images in folders of their own below it.
        let others = found.sites.iter().filter(|s| s.declared_as != "appengine" || s.root == image.root);
        let taken = others.into_iter().any(|s| {
            let same = s.root == image.root && s.handler_file.is_none();
            let near = paths::is_within(&s.root, &image.root) || paths::is_within(&image.root, &s.root);
            // One handler that two files declare is for the merge to compare.
            let compared = s.handler_file.is_some() && s.handler_file == image.file;
            same || (!lambda && near && !compared)
        });
        if taken || (!lambda && image.file.is_none()) {
            continue;
        }
        let dir = paths::parent(path);
        let folder = if dir == "." { "root" } else { paths::file_name(dir) };
        // `Dockerfile.worker` beside `Dockerfile` is another function.
        let variant = paths::file_name(path).strip_prefix("Dockerfile.").or_else(|| {
            (paths::file_name(path) != "Dockerfile" && paths::file_name(path) != "Containerfile")
                .then(|| paths::stem(path))
        });
        let name = variant.map_or_else(|| folder.to_string(), |v| format!("{folder}-{v}"));
        let own_id = match (variant, dir) {
            (None, ".") => "root".to_string(),
            (None, dir) => dir.to_string(),
            (Some(variant), dir) => id(dir, variant),
        };
        let line = stages.last().map_or(0, |s| s.line);
        let site = Site::new("container", Place::at(path, line), own_id, name, image.root.clone());
        image.add(fleet, site, path, line, found);
    }
}

/// Finishes a function whose declaration names the folder that a Dockerfile builds.
pub(super) fn build(fleet: Fleet<'_>, mut site: Site, dir: &str, file: &str, found: &mut Discovery) {
    let path = paths::join(dir, file).unwrap_or_default();
    let text = match fleet.tree.text(&path) {
        Ok(text) => text,
        Err(diagnostic) => {
            found.diagnostics.push(diagnostic.for_function(&site.id));
            found.sites.push(site);
            return;
        }
    };
    let stages = dockerfile::stages(&text);
    let line = stages.last().map_or(0, |s| s.line);
    match Image::read(fleet, &path, &stages) {
        Some(image) => {
            site.root.clone_from(&image.root);
            image.add(fleet, site, &path, line, found);
        }
        None => {
            let image = stages.last().map_or("nothing", |s| s.image.as_str());
            fleet.add_unplanned(site, &format!("an image on {image}"), found);
        }
    }
}

/// What the last stage of a Dockerfile comes to.
struct Image {
    base: Option<Base>,
    name: String,
    root: String,
    handler: Option<String>,
    file: Option<String>,
    installs: Vec<String>,
    /// A command that installs packages by name.
    by_name: Option<String>,
}

impl Image {
    fn read(fleet: Fleet<'_>, path: &str, stages: &[Stage]) -> Option<Image> {
        let stage = stages.last()?;
        if stage.copies.is_empty() {
            return None;
        }
        let base = base_of(&stage.image);
        let inside = Inside { fleet, stage, context: context(fleet.tree, paths::parent(path), stage) };
        let mut argv: Vec<String> = stage.entrypoint.clone();
        argv.extend(stage.cmd.iter().cloned());
        let lambda = base.as_ref().is_some_and(|b| b.lambda)
            || argv.iter().any(|w| w.contains("awslambdaric") || w.contains("aws-lambda-ric"));
        let started = if lambda {
            argv.iter().rev().find(|w| w.contains('.') && !w.starts_with('-') && !w.contains(' ')).map(|text| Started {
                text: text.clone(),
                file: inside.lambda_handler(text, base.as_ref().map(|b| b.language)),
            })
        } else {
            inside.program(&argv, 2)
        };
        let file = started.as_ref().and_then(|s| s.file.clone());
        let language = base.as_ref().map(|b| b.language).or_else(|| file.as_deref().and_then(runtime::language_of))?;
        let (installs, by_name) = inside.installs(language);
        Some(Image {
            root: inside.root(file.as_deref()),
            handler: started.map(|s| s.text),
            file,
            installs,
            by_name,
            name: stage.image.clone(),
            base: base.map(|b| Base { lambda, ..b }),
        })
    }

    fn add(self, fleet: Fleet<'_>, mut site: Site, path: &str, line: u32, found: &mut Discovery) {
        site.handler = self.handler;
        site.handler_file = self.file;
        site.installs = self.installs;
        site.beneath = match (&self.base, &self.by_name) {
            (_, Some(command)) => Some(format!("the command `{command}`")),
            (None, None) => Some(format!("the image {}", self.name)),
            _ => None,
        };
        let Some(base) = self.base else {
            let reason = format!("what the image {} brings is not known", self.name);
            found.diagnostics.push(
                Diagnostic::new(codes::LAYER_UNREAD, Place::at(path, line), reason)
                    .for_function(&site.id)
                    .next("declare what the function needs in its own manifest"),
            );
            fleet.add(site, Says::Nothing, found);
            return;
        };
        match base.version {
            Some(version) => {
                let mut platform = fleet.defaults.platform(base.language, &version);
                platform.libc = base.libc.into();
                site.runtime = Some(self.name);
                site.platform = Some(platform);
                site.platform_source = Some(PlatformSource::Declared);
                if site.handler_file.is_none()
                    && let Some(handler) = &site.handler
                {
                    let reason = format!("`{handler}` is not in `{}`; all of that folder is read", site.root);
                    let mut diagnostic = Diagnostic::new(codes::TEMPLATE_POINTS_NOWHERE, Place::at(path, line), reason);
                    diagnostic.severity = crate::model::Severity::Warning;
                    found.diagnostics.push(diagnostic.for_function(&site.id));
                }
                found.sites.push(site);
            }
            // `python:3`, `node:lts`, or a version that is not planned for.
            None => fleet.add(site, Says::Language(base.language), found),
        }
    }
}

/// The folder that paths of `COPY` start from: the Dockerfile's own, or the nearest above it that has all of them.
fn context(tree: &Tree, dir: &str, stage: &Stage) -> String {
    let literal: Vec<&str> = stage
        .copies
        .iter()
        .filter(|c| !c.part)
        .map(|c| c.local.as_str())
        .filter(|p| !p.contains(['*', '?', '[', '$']) && !matches!(p.trim_end_matches('/'), "" | "."))
        .collect();
    let has_all = |base: &&str| {
        literal.iter().all(|p| paths::join(base, p).is_some_and(|p| tree.contains(&p) || tree.has_dir(&p)))
    };
    // Without any path to go by, the Dockerfile's folder.
    paths::ancestors(dir).take(8).find(|base| has_all(base)).unwrap_or(dir).to_string()
}

/// What a command starts.
struct Started {
    text: String,
    file: Option<String>,
}

struct Inside<'a> {
    fleet: Fleet<'a>,
    stage: &'a Stage,
    context: String,
}

impl Inside<'_> {
    fn local(&self, copied: &str) -> Option<String> {
        paths::join(&self.context, copied)
    }

    /// The file of the fleet that lies at a path of the image.
    fn file_at(&self, path: &str) -> Option<String> {
        let tree = self.fleet.tree;
        self.stage.copies.iter().rev().find_map(|copy| {
            let local = self.local(&copy.local)?;
            if tree.contains(&local) {
                let to = if copy.into { absolute(&copy.to, paths::file_name(&local)) } else { copy.to.clone() };
                return (to == path).then_some(local);
            }
            if copy.local.contains(['*', '?']) {
                // A pattern: what matches lies in the target by its name.
                let inner = below(path, &copy.to)?;
                let dir = paths::parent(&local);
                let file = paths::join(dir, inner)?;
                let wanted = paths::relative_to(&file, &self.context).unwrap_or(&file);
                return (tree.contains(&file) && super::common::matches(&copy.local, wanted)).then_some(file);
            }
            let inner = below(path, &copy.to)?;
            paths::join(&local, inner).filter(|file| tree.contains(file))
        })
    }

    /// The source behind a module path without extension.
    fn module_at(&self, folder: &str, module: &str, language: Option<Language>) -> Option<String> {
        let python = [".py", "/__init__.py", "/__main__.py"];
        let node = [".ts", ".mts", ".js", ".mjs", ".cjs", "/index.ts", "/index.js"];
        let dotted = module.replace('.', "/");
        let python = python.iter().map(|s| format!("{dotted}{s}")).filter(|_| language != Some(Language::Node));
        let node = node.iter().map(|s| format!("{module}{s}")).filter(|_| language != Some(Language::Python));
        python.chain(node).find_map(|rel| self.file_at(&absolute(folder, &rel)))
    }

    fn lambda_handler(&self, text: &str, language: Option<Language>) -> Option<String> {
        let (module, _) = handler::split(text);
        [self.stage.workdir.as_str(), "/var/task"].iter().find_map(|dir| self.module_at(dir, module, language)).or_else(
            || {
                // What a build writes is made from a source beside it.
                let root = self.root(None);
                handler::locate(self.fleet.tree, &root, text, language)
            },
        )
    }

    /// The program that a command starts; `hops` bounds scripts that call scripts.
    fn program(&self, argv: &[String], hops: usize) -> Option<Started> {
        let shell: Vec<String>;
        let mut words: &[String] = argv;
        // `sh -c 'exec python x.py'`
        if let [first, flag, line, ..] = words
            && matches!(paths::file_name(first), "sh" | "bash" | "ash")
            && flag.starts_with('-')
            && flag.contains('c')
        {
            shell = line.split_whitespace().map(str::to_string).collect();
            words = &shell;
        }
        const WRAPPERS: [&str; 12] = [
            "exec",
            "tini",
            "dumb-init",
            "--",
            "poetry",
            "uv",
            "pipenv",
            "run",
            "env",
            "opentelemetry-instrument",
            "ddtrace-run",
            "npx",
        ];
        while let Some((first, rest)) = words.split_first()
            && (WRAPPERS.contains(&paths::file_name(first)) || first.contains('='))
        {
            words = rest;
        }
        let (first, rest) = words.split_first()?;
        let workdir = self.stage.workdir.as_str();
        let name = paths::file_name(first);
        if matches!(name, "npm" | "yarn" | "pnpm" | "bun") && hops > 0 {
            let script = rest.iter().find(|w| !w.starts_with('-') && *w != "run").map(String::as_str)?;
            let manifest = self.file_at(&absolute(workdir, "package.json"))?;
            let root = doc::parse(&self.fleet.tree.text(&manifest).ok()?).ok()?;
            let line = root.at(&["scripts", script]).and_then(Node::text)?;
            // The last command of the script is what stays.
            let last = line.rsplit("&&").next().unwrap_or(line);
            let words: Vec<String> = last.split_whitespace().map(str::to_string).collect();
            return self.program(&words, hops - 1);
        }
        let is_python = name.starts_with("python") || name == "fastapi" || name == "streamlit";
        if is_python && let Some(at) = rest.iter().position(|w| w == "-m") {
            let module = rest.get(at + 1)?;
            let file = self.module_at(workdir, module, Some(Language::Python));
            if file.is_some() {
                return Some(Started { text: module.clone(), file });
            }
            // `python -m uvicorn app:app`
            return self.program(&rest[at + 1..], hops.checked_sub(1)?);
        }
        if name == "functions-framework" || name == "functions-framework-python" {
            let target = rest.iter().find_map(|w| w.strip_prefix("--target="))?;
            return Some(Started { text: format!("main.{target}"), file: self.file_at(&absolute(workdir, "main.py")) });
        }
        if is_python || matches!(name, "node" | "nodejs" | "ts-node" | "tsx" | "nodemon") {
            let script = rest.iter().find(|w| runtime::language_of(w).is_some())?;
            let path = absolute(workdir, script);
            let source = || {
                let stem = script.rsplit_once('.').map_or(script.as_str(), |(s, _)| s).trim_start_matches("./");
                handler::locate(self.fleet.tree, &self.root(None), &format!("{stem}.default"), Some(Language::Node))
            };
            let file = self.file_at(&path).or_else(|| if is_python { None } else { source() });
            return Some(Started { text: script.clone(), file });
        }
        if runtime::language_of(first).is_some() {
            return Some(Started { text: first.clone(), file: self.file_at(&absolute(workdir, first)) });
        }
        // gunicorn, uvicorn, hypercorn, waitress-serve, daphne, celery: `module:object`, by itself or after an option.
        let object = rest.iter().find(|w| {
            w.split_once(':').is_some_and(|(module, object)| {
                !module.is_empty()
                    && module.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.'))
                    && object.starts_with(|c: char| c.is_alphabetic() || c == '_')
            })
        })?;
        let (module, _) = object.split_once(':')?;
        let below =
            rest.iter().position(|w| matches!(w.as_str(), "--chdir" | "--app-dir")).and_then(|at| rest.get(at + 1));
        let folder = below.map_or_else(|| workdir.to_string(), |dir| absolute(workdir, dir));
        let file = self.module_at(&folder, module, Some(Language::Python));
        Some(Started { text: object.replace(':', "."), file })
    }

    /// The folder of the fleet that lies where the program works.
    fn root(&self, file: Option<&str>) -> String {
        let tree = self.fleet.tree;
        let workdir = self.stage.workdir.as_str();
        let copied = self.stage.copies.iter().rev().find_map(|copy| {
            let local = self.local(&copy.local).filter(|l| tree.has_dir(l))?;
            let inner = below(workdir, &copy.to)?;
            paths::join(&local, inner).filter(|dir| tree.has_dir(dir))
        });
        // `COPY app ./app` puts a folder where it lies in the context, too.
        let mirrored = || {
            let same = self.stage.copies.iter().any(|copy| {
                let inner = below(&copy.to, workdir);
                let local = copy.local.trim_start_matches("./").trim_end_matches('/');
                let target = if copy.into && !tree.has_dir(&self.local(&copy.local).unwrap_or_default()) {
                    paths::parent(local)
                } else {
                    local
                };
                inner.is_some_and(|inner| inner == target || (inner.is_empty() && target == "."))
            });
            same.then(|| self.context.clone())
        };
        // `WORKDIR /`, `COPY . /app`, `python -m app.main`: the copied folder, from which manifests are looked for.
        let above = || {
            let file = file?;
            let locals = self.stage.copies.iter().rev().filter(|copy| below(&copy.to, workdir).is_some());
            locals.filter_map(|copy| self.local(&copy.local)).find(|l| tree.has_dir(l) && paths::is_within(file, l))
        };
        // A single file in the working folder stands for the folder that it is from.
        copied
            .or_else(mirrored)
            .or_else(above)
            .or_else(|| file.map(|f| paths::parent(f).to_string()))
            .unwrap_or_else(|| self.context.clone())
    }

    /// The files that commands install from, and a command that installs packages by name.
    fn installs(&self, language: Language) -> (Vec<String>, Option<String>) {
        let mut files = Vec::new();
        let mut by_name = None;
        for (_, workdir, run) in &self.stage.runs {
            for command in run.split([';', '|', '&']) {
                let words: Vec<&str> = command.split_whitespace().collect();
                let installs = |tool: &str, verbs: &[&str]| {
                    words
                        .iter()
                        .position(|w| paths::file_name(w).starts_with(tool))
                        .is_some_and(|at| words[at + 1..].iter().any(|w| verbs.contains(w)))
                };
                let add = |rel: &str, files: &mut Vec<String>| {
                    let there = self.file_at(&absolute(workdir, rel));
                    if let Some(file) = there.filter(|f| !files.contains(f)) {
                        files.push(file);
                    }
                };
                match language {
                    Language::Python if installs("pip", &["install"]) => {
                        let mut named = false;
                        let after = words.iter().position(|w| *w == "install").map_or(0, |at| at + 1);
                        let mut rest = words[after..].iter();
                        while let Some(word) = rest.next() {
                            if let Some(file) = word.strip_prefix("--requirement=") {
                                add(file, &mut files);
                            } else if matches!(*word, "-r" | "--requirement") {
                                if let Some(file) = rest.next() {
                                    add(file.trim_matches(['"', '\'']), &mut files);
                                }
                            } else if matches!(
                                *word,
                                "-t" | "--target"
                                    | "-i"
                                    | "--index-url"
                                    | "--extra-index-url"
                                    | "-f"
                                    | "-c"
                                    | "--platform"
                                    | "--timeout"
                                    | "--trusted-host"
                                    | "--prefix"
                                    | "--no-binary"
                                    | "--only-binary"
                            ) {
                                rest.next();
                            } else if matches!(*word, "." | "-e") {
                                add("pyproject.toml", &mut files);
                            } else if !word.starts_with('-') {
                                // Tools that install, and Lambda's own client, are no dependencies of the code.
                                let bare = word.trim_matches(['"', '\'']);
                                let bare = bare.split(['=', '<', '>', '[', '~', '!']).next().unwrap_or(bare);
                                named |= !matches!(
                                    bare,
                                    "pip"
                                        | "setuptools"
                                        | "wheel"
                                        | "poetry"
                                        | "pipenv"
                                        | "uv"
                                        | "pdm"
                                        | "awslambdaric"
                                );
                            }
                        }
                        if named {
                            by_name.get_or_insert_with(|| command.trim().chars().take(80).collect());
                        }
                    }
                    Language::Python
                        if installs("poetry", &["install"])
                            || installs("uv", &["sync"])
                            || installs("pdm", &["install", "sync"]) =>
                    {
                        for name in ["uv.lock", "poetry.lock", "pdm.lock", "pyproject.toml"] {
                            add(name, &mut files);
                        }
                    }
                    Language::Node
                        if installs("npm", &["install", "ci", "i"])
                            || installs("yarn", &["install"])
                            || installs("pnpm", &["install", "i"]) =>
                    {
                        for name in
                            ["package-lock.json", "npm-shrinkwrap.json", "pnpm-lock.yaml", "yarn.lock", "package.json"]
                        {
                            add(name, &mut files);
                        }
                    }
                    _ => {}
                }
            }
        }
        (files, by_name)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{run, sites};

    #[test]
    fn a_lambda_image_names_its_handler() {
        let found = run(&[
            (
                "f/Dockerfile",
                "FROM registry.example/lambda/python:3.12\nCOPY src/ ${LAMBDA_TASK_ROOT}\nCOPY reqs.txt .\nRUN pip install -r reqs.txt --target .\nCMD [ \"app.handler\" ]\n",
            ),
            ("f/src/app.py", "def handler(event, context): ..."),
            ("f/reqs.txt", "requests==2.31.0\n"),
            (
                "n/Dockerfile",
                "FROM registry.example/lambda/nodejs:20\nWORKDIR /var/task\nCOPY . .\nRUN npm ci && npm run build\nCMD [\"dist/index.handler\"]\n",
            ),
            ("n/src/index.ts", "export const handler = async () => {};"),
            ("n/package.json", "{}"),
            ("no/Dockerfile", "FROM python:3.12\nRUN pip install x\n"),
        ]);
        assert_eq!(
            found.0,
            [
                "f container f/src python3.12 f/src/app.py app.handler",
                "n container n node20 n/src/index.ts dist/index.handler"
            ]
        );
        assert!(found.1.is_empty(), "{:?}", found.1);
    }

    #[test]
    fn programs_of_plain_images_are_found_through_stages_and_scripts() {
        let found = run(&[
            (
                "web/Dockerfile",
                "FROM node:18-alpine AS build\nWORKDIR /w\nCOPY package.json ./\nRUN npm ci\nCOPY server.js ./\nFROM node:18-alpine\nWORKDIR /app\nCOPY --from=build /w ./\nCMD [\"npm\", \"start\"]\n",
            ),
            ("web/package.json", "{\"scripts\": {\"start\": \"node server.js\"}}"),
            ("web/server.js", ""),
            (
                "api/Dockerfile",
                "FROM python:3.10\nWORKDIR /code\nCOPY ./app /code/app\nCMD [\"gunicorn\", \"--bind\", \":8080\", \"app.main:app\"]\n",
            ),
            ("api/app/main.py", "app = 1"),
            ("ml/Dockerfile", "FROM tensorflow/tensorflow:2.15.0\nCOPY serve.py /\nCMD python serve.py\n"),
            ("ml/serve.py", ""),
            ("tool/Dockerfile", "FROM python:3.10\nCOPY . .\nCMD [\"bash\"]\n"),
        ]);
        assert_eq!(
            found.0,
            [
                "api container api python3.10 api/app/main.py app.main.app",
                "ml container ml python3.11 ml/serve.py serve.py",
                "web container web node18 web/server.js server.js",
            ]
        );
        assert_eq!(found.1, ["ml/Dockerfile:1 layer-unread"]);
    }

    #[test]
    fn a_module_of_a_folder_copied_below_the_working_one_has_that_folder_as_its_root() {
        let found = run(&[
            ("svc/Dockerfile", "FROM python:3.12\nCOPY . /app\nCMD [\"python\", \"-m\", \"app.cli.main\"]\n"),
            ("svc/cli/main.py", ""),
            ("svc/other.py", ""),
            ("one/Dockerfile", "FROM python:3.12\nCOPY src/main.py /\nCMD [\"python\", \"/main.py\"]\n"),
            ("one/src/main.py", ""),
        ]);
        assert_eq!(
            found.0,
            [
                "one container one/src python3.12 one/src/main.py /main.py",
                "svc container svc python3.12 svc/cli/main.py app.cli.main"
            ]
        );
    }

    #[test]
    fn what_is_installed_and_what_lies_beneath_is_said() {
        let sites = sites(&[
            (
                "a/Dockerfile",
                "FROM python:3.11\nWORKDIR /a\nCOPY . .\nRUN pip install --no-cache-dir -r deps/prod.txt && pip install flask==2.0\nCMD [\"python\", \"run.py\"]\n",
            ),
            ("a/run.py", ""),
            ("a/deps/prod.txt", ""),
        ]);
        assert_eq!(sites[0].installs, ["a/deps/prod.txt"]);
        assert_eq!(sites[0].beneath.as_deref(), Some("the command `pip install flask==2.0`"));
    }

    #[test]
    fn a_dockerfile_beside_a_declared_function_is_not_another_one() {
        let found = run(&[
            (
                "serverless.yml",
                "provider: {name: aws, runtime: nodejs20.x}\nfunctions:\n  a: {handler: index.handler}\n",
            ),
            ("index.js", "exports.handler = async () => {};"),
            ("Dockerfile", "FROM node:20\nCOPY . .\nCMD [\"node\", \"local.js\"]\n"),
            ("local.js", ""),
        ]);
        assert_eq!(found.0, ["a serverless . node20 index.js index.handler"]);
    }
}
