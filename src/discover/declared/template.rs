//! SAM and CloudFormation templates.
//!
//! Supported: `AWS::Serverless::Function` and `AWS::Lambda::Function` in YAML and JSON, `Globals.Function`, intrinsic
//! functions as far as the template decides them ([`crate::discover::values`]), container images with a local Dockerfile, CDK
//! assets (`aws:asset:path`). Not followed: nested stacks that live elsewhere, macros, `AWS::Include`.
//! <https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-resource-function.html>

use std::collections::BTreeMap;

use rayon::prelude::*;

use crate::discover::doc::{self, Entry, Node};
use crate::discover::runtime::{self, Runtime};
use crate::discover::tree::Tree;
use crate::discover::values::{self, Unknown};
use crate::discover::{Defaults, Discovery, Layer, Site, handler, paths, platform_from_folder, version};
use crate::model::codes;
use crate::model::inventory::PlatformSource;
use crate::model::{Diagnostic, Language, Place};

use crate::model::support::{Area, Extent, Support};

/// What is read of it.
pub const SUPPORT: Support = Support {
    area: Area::Declaration,
    what: "SAM and CloudFormation",
    files: "`*.yaml`, `*.yml`, `*.json`, `*.template`",
    extent: Extent::Partly,
    note: "functions with runtime, code folder, layers, container images; values that only deployment knows are named; no macros, no `AWS::Include`",
};

/// Reads every template of the tree.
pub fn find(tree: &Tree, defaults: &Defaults, found: &mut Discovery) {
    let candidates: Vec<&str> = tree.files().filter(|path| may_be_template(path)).collect();
    let parsed: Vec<Discovery> = candidates.par_iter().map(|path| read(tree, defaults, path)).collect();
    for one in parsed {
        found.sites.extend(one.sites);
        found.diagnostics.extend(one.diagnostics);
    }
}

fn may_be_template(path: &str) -> bool {
    let name = paths::file_name(path);
    matches!(paths::extension(path), "yaml" | "yml" | "json" | "template")
        && !name.starts_with("serverless.")
        && !matches!(
            name,
            "package.json" | "package-lock.json" | "npm-shrinkwrap.json" | "tsconfig.json" | "pnpm-lock.yaml"
        )
}

/// Whether people would call the file a template whatever it holds.
fn is_named_template(path: &str) -> bool {
    paths::stem(path) == "template" || paths::extension(path) == "template"
}

fn read(tree: &Tree, defaults: &Defaults, path: &str) -> Discovery {
    let mut found = Discovery::default();
    let text = match tree.text(path) {
        Ok(text) => text,
        Err(diagnostic) => {
            // Data files that happen to end in .json are none of this tool's business; CloudFormation takes 1 MB at most.
            if is_named_template(path) {
                found.diagnostics.push(diagnostic);
            }
            return found;
        }
    };
    if !text.contains("AWS::Serverless::Function") && !text.contains("AWS::Lambda::Function") {
        return found;
    }
    match doc::parse(&text) {
        Ok(root) => {
            let Some(resources) = root.get("Resources").filter(|r| r.is_map()) else { return found };
            let template = Template { tree, defaults, path, dir: paths::parent(path), root: &root };
            for resource in resources.entries() {
                template.resource(resource, &mut found);
            }
        }
        // Chart templates and documents that only mention a function type are not templates that could be deployed.
        Err(error) if text.contains("Resources") && !is_made_by_another(&text) => {
            let place = Place::at(path, error.line);
            found.diagnostics.push(Diagnostic::new(codes::TEMPLATE_INVALID, place, error.reason));
        }
        Err(_) => {}
    }
    found
}

/// Whether a text is itself a template of Helm, Jinja or the like. CloudFormation has braces of its own:
/// `{{resolve:ssm:…}}` and the parameters of automation documents.
fn is_made_by_another(text: &str) -> bool {
    ["{{ .", "{{.", "{{-", "{{ if", "{{ range", "{%"].iter().any(|mark| text.contains(mark))
}

struct Template<'a> {
    tree: &'a Tree,
    defaults: &'a Defaults,
    path: &'a str,
    dir: &'a str,
    root: &'a Node,
}

/// Where a function's code is.
enum Code {
    Folder(String),
    /// A container image built from this Dockerfile, in this folder.
    Image {
        dir: String,
        dockerfile: String,
    },
    Left(Diagnostic),
}

impl Template<'_> {
    fn at(&self, line: u32) -> Place {
        Place::at(self.path, line)
    }

    fn resource(&self, resource: &Entry, found: &mut Discovery) {
        let (declared_as, sam) = match resource.value.get("Type").and_then(Node::text) {
            Some("AWS::Serverless::Function") => ("sam", true),
            Some("AWS::Lambda::Function") => ("cloudformation", false),
            _ => return,
        };
        let name = resource.key.clone();
        let id = if self.dir == "." { name.clone() } else { format!("{}/{name}", self.dir) };
        let mut diagnostics: Vec<Diagnostic> = Vec::new();
        let site = self.site(resource, sam, declared_as, name, &id, &mut diagnostics);
        found.diagnostics.extend(diagnostics.into_iter().map(|d| d.for_function(&id)));
        found.sites.extend(site);
    }

    /// A property of the function, or of `Globals.Function` for SAM.
    fn property(&self, resource: &Entry, sam: bool, key: &str) -> Option<&Entry> {
        // Borrowed from the template, which outlives the entry handed in.
        let resource = self.root.get("Resources")?.entries().iter().find(|e| std::ptr::eq(*e, resource))?;
        let own = resource.value.get("Properties").and_then(|p| p.entry(key));
        own.or_else(|| self.root.at(&["Globals", "Function"]).filter(|_| sam)?.entry(key))
    }

    fn unresolved(&self, what: &str, unknown: &Unknown) -> Diagnostic {
        let reason = format!("{what} depends on {}", unknown.why);
        Diagnostic::new(codes::TEMPLATE_UNRESOLVED, self.at(unknown.line), reason)
    }

    /// The text of a property; what cannot be resolved is reported and counts as absent.
    fn text(&self, entry: Option<&Entry>, diagnostics: &mut Vec<Diagnostic>) -> Option<(String, u32)> {
        let entry = entry?;
        match values::literal(self.root, &entry.value) {
            Ok(text) => Some((text, entry.line)),
            Err(unknown) => {
                diagnostics.push(self.unresolved(&entry.key, &unknown));
                None
            }
        }
    }

    fn site(
        &self,
        resource: &Entry,
        sam: bool,
        declared_as: &'static str,
        name: String,
        id: &str,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Option<Site> {
        let property = |key: &str| self.property(resource, sam, key);
        let runtime = self.text(property("Runtime"), diagnostics);
        let known = runtime.as_ref().map(|(text, _)| runtime::parse(text));
        let mut site = Site {
            id: id.to_string(),
            name,
            root: self.dir.to_string(),
            handler: self.text(property("Handler"), diagnostics).map(|(text, _)| text),
            handler_file: None,
            platform: None,
            platform_source: None,
            runtime: runtime.as_ref().map(|(text, _)| text.clone()),
            declared_at: self.at(resource.line),
            declared_as,
            environment: self.environment(resource, sam),
            aws_lambda: true,
            entry: None,
            layers: self.layers(resource, sam),
        };
        let unplanned = if let (Some((text, line)), Some(Runtime::Unknown)) = (&runtime, &known) {
            diagnostics.push(runtime::not_planned_for(text, self.at(*line)));
            true
        } else {
            false
        };
        match self.code(resource, sam) {
            Code::Folder(root) => site.root = root,
            Code::Image { dir, dockerfile } => {
                site.root = dir;
                site.aws_lambda = false;
                self.image(&dockerfile, resource, &mut site, diagnostics);
                self.locate(resource, sam, &mut site, diagnostics);
                return Some(site);
            }
            // That a compiled artefact is not there yet matters little when its runtime is not planned for.
            Code::Left(_) if unplanned => return Some(site),
            Code::Left(diagnostic) => {
                diagnostics.push(diagnostic);
                return None;
            }
        }
        if unplanned {
            return Some(site);
        }
        let language = match &known {
            Some(Runtime::Version(language, _) | Runtime::Language(language)) => Some(*language),
            _ => None,
        };
        site.handler_file = site.handler.as_deref().and_then(|h| handler::locate(self.tree, &site.root, h, language));
        self.locate(resource, sam, &mut site, diagnostics);
        match known {
            Some(Runtime::Version(language, version)) => {
                site.platform = Some(self.defaults.platform(language, &version));
                site.platform_source = Some(PlatformSource::Declared);
            }
            Some(Runtime::Language(language)) => {
                platform_from_folder(self.tree, self.defaults, language, &mut site, diagnostics);
            }
            // An unresolved runtime has been reported; a folder that says its version still tells the platform.
            _ => {
                let language = site.handler_file.as_deref().and_then(runtime::language_of);
                self.read_folder_only(language, &mut site);
                if property("Runtime").is_none() {
                    let reason = "the function declares no runtime";
                    diagnostics.push(Diagnostic::new(codes::RUNTIME_UNKNOWN, site.declared_at.clone(), reason));
                }
            }
        }
        self.architecture(resource, sam, &mut site, diagnostics);
        Some(site)
    }

    fn read_folder_only(&self, language: Option<Language>, site: &mut Site) {
        let Some(language) = language else { return };
        let near = site.handler_file.as_deref().map_or(site.root.as_str(), paths::parent);
        let wanted = version::wanted(self.tree, near, language, self.defaults.version(language));
        if let Some(version) = wanted.and_then(|w| w.version) {
            site.platform = Some(self.defaults.platform(language, &version));
            site.platform_source = Some(PlatformSource::Manifest);
        }
    }

    fn locate(&self, resource: &Entry, sam: bool, site: &mut Site, diagnostics: &mut Vec<Diagnostic>) {
        let language = site.platform.as_ref().map(|p| p.language);
        let Some(text) = &site.handler else { return };
        if site.handler_file.is_none() {
            site.handler_file = handler::locate(self.tree, &site.root, text, language);
        }
        // `/opt/…` lies in a layer, and so does nothing that this template's folder could hold; a name without a dot is
        // a program (`bootstrap`, `run.sh`).
        let elsewhere = text.starts_with('/') || text.ends_with(".sh") || handler::split(text).1.is_empty();
        if site.handler_file.is_none() && !elsewhere {
            let line = self.property(resource, sam, "Handler").map_or(resource.line, |e| e.line);
            let reason = format!("handler `{text}` is not in `{}`; all of that folder is read", site.root);
            let mut diagnostic = Diagnostic::new(codes::TEMPLATE_POINTS_NOWHERE, self.at(line), reason);
            // The function stays in the plan with its folder's dependencies.
            diagnostic.severity = crate::model::Severity::Warning;
            diagnostics.push(diagnostic);
        }
    }

    fn architecture(&self, resource: &Entry, sam: bool, site: &mut Site, diagnostics: &mut Vec<Diagnostic>) {
        let Some(entry) = self.property(resource, sam, "Architectures") else { return };
        let Some(first) = entry.value.items().first() else { return };
        let arch = match values::literal(self.root, first).as_deref() {
            Ok("arm64") => "aarch64",
            Ok("x86_64") => "x86_64",
            Ok(other) => {
                let reason = format!("architecture `{other}` is neither x86_64 nor arm64");
                diagnostics.push(Diagnostic::new(codes::RUNTIME_UNKNOWN, self.at(first.line), reason));
                site.platform = None;
                site.platform_source = None;
                return;
            }
            Err(unknown) => {
                diagnostics.push(self.unresolved("Architectures", unknown));
                return;
            }
        };
        if let Some(platform) = &mut site.platform {
            platform.arch = arch.into();
        }
    }

    fn environment(&self, resource: &Entry, sam: bool) -> BTreeMap<String, String> {
        let own = resource.value.at(&["Properties", "Environment", "Variables"]);
        let global = self.root.at(&["Globals", "Function", "Environment", "Variables"]).filter(|_| sam);
        // The function's own variables come last and win.
        let entries = global.into_iter().chain(own).flat_map(Node::entries);
        entries.filter_map(|e| Some((e.key.clone(), values::literal(self.root, &e.value).ok()?))).collect()
    }

    /// The function's own layers and, for SAM, those of `Globals`, which SAM adds to them.
    fn layers(&self, resource: &Entry, sam: bool) -> Vec<Layer> {
        let own = resource.value.at(&["Properties", "Layers"]);
        let global = self.root.at(&["Globals", "Function", "Layers"]).filter(|_| sam);
        global.into_iter().chain(own).flat_map(Node::items).map(|item| self.layer(item)).collect()
    }

    fn layer(&self, item: &Node) -> Layer {
        let Some(name) = values::referred(item) else {
            let text = values::literal(self.root, item).or_else(|u| values::sketch(item).ok_or(u));
            return Layer { text: text.unwrap_or_else(|unknown| unknown.why), folder: None };
        };
        let content = self.root.get("Resources").and_then(|r| r.get(name)).and_then(|resource| {
            match resource.get("Type").and_then(Node::text)? {
                "AWS::Serverless::LayerVersion" => resource.at(&["Properties", "ContentUri"]),
                "AWS::Lambda::LayerVersion" => resource.at(&["Properties", "Content"]),
                _ => None,
            }
        });
        let folder = content
            .and_then(|content| values::literal(self.root, content).ok())
            .and_then(|text| paths::join(self.dir, &text))
            .filter(|path| self.tree.has_dir(path))
            .map(|path| self.tree.real(&path).into_owned());
        Layer { text: name.to_string(), folder }
    }

    fn code(&self, resource: &Entry, sam: bool) -> Code {
        let property = |key: &str| self.property(resource, sam, key);
        let left = |code, line, reason: String| Code::Left(Diagnostic::new(code, self.at(line), reason));
        let package_type = property("PackageType").and_then(|e| values::literal(self.root, &e.value).ok());
        let image = property("ImageUri").or_else(|| property("Code").filter(|c| c.value.get("ImageUri").is_some()));
        let metadata = resource.value.get("Metadata");
        if package_type.as_deref() == Some("Image") || image.is_some() {
            return self.image_code(resource, metadata);
        }
        if let Some(inline) = property("InlineCode") {
            return left(codes::INLINE_CODE, inline.line, "the code is written inside the template".into());
        }
        // What CDK writes beside its templates; `sam local` reads it too.
        if let Some(asset) = metadata.and_then(|m| m.entry("aws:asset:path")) {
            let folder =
                asset.value.text().and_then(|rel| paths::join(self.dir, rel)).filter(|dir| self.tree.has_dir(dir));
            return match folder {
                Some(dir) => Code::Folder(dir),
                None => left(codes::TEMPLATE_UNRESOLVED, asset.line, "the code is an asset that a build makes".into()),
            };
        }
        let Some(entry) = property(if sam { "CodeUri" } else { "Code" }) else {
            // `sam build` takes the template's own folder when nothing is said.
            return if sam {
                Code::Folder(self.dir.to_string())
            } else {
                left(codes::TEMPLATE_UNRESOLVED, resource.line, "the function declares no code".into())
            };
        };
        if let Some(inline) = entry.value.entry("ZipFile") {
            return left(codes::INLINE_CODE, inline.line, "the code is written inside the template".into());
        }
        if ["Bucket", "S3Bucket", "S3Key", "Key"].iter().any(|key| entry.value.get(key).is_some()) {
            return left(codes::TEMPLATE_UNRESOLVED, entry.line, format!("{} is an object in a bucket", entry.key));
        }
        let text = match values::literal(self.root, &entry.value) {
            Ok(text) => text,
            Err(unknown) => return Code::Left(self.unresolved(&entry.key, &unknown)),
        };
        if text.starts_with("s3://") || text.starts_with("https://") {
            return left(codes::TEMPLATE_UNRESOLVED, entry.line, format!("{} is an object in a bucket", entry.key));
        }
        self.folder(&text, entry)
    }

    fn folder(&self, text: &str, entry: &Entry) -> Code {
        let left = |code, reason: String| Code::Left(Diagnostic::new(code, self.at(entry.line), reason));
        let Some(path) = paths::join(self.dir, text) else {
            let reason = format!("{} `{text}` leaves the scanned folder", entry.key);
            return left(codes::TEMPLATE_POINTS_NOWHERE, reason);
        };
        if self.tree.has_dir(&path) {
            return Code::Folder(self.tree.real(&path).into_owned());
        }
        if self.tree.contains(&path) || matches!(paths::extension(&path), "zip" | "jar") {
            // A single source file is deployed alone; an archive cannot be looked into yet.
            return if runtime::language_of(&path).is_some() {
                Code::Folder(paths::parent(&path).to_string())
            } else {
                left(codes::TEMPLATE_UNRESOLVED, format!("{} `{text}` is an archive", entry.key))
            };
        }
        let reason = if self.tree.is_excluded(&path) {
            format!("{} `{text}` is hidden, installed or excluded by an ignore file", entry.key)
        } else {
            format!("{} `{text}` does not exist", entry.key)
        };
        left(codes::TEMPLATE_POINTS_NOWHERE, reason)
    }

    fn image_code(&self, resource: &Entry, metadata: Option<&Node>) -> Code {
        let context = metadata.and_then(|m| m.entry("DockerContext"));
        let Some(context) = context else {
            let reason = "the code is a container image that is built elsewhere".to_string();
            return Code::Left(Diagnostic::new(codes::TEMPLATE_UNRESOLVED, self.at(resource.line), reason));
        };
        let text = match values::literal(self.root, &context.value) {
            Ok(text) => text,
            Err(unknown) => return Code::Left(self.unresolved("DockerContext", &unknown)),
        };
        match self.folder(&text, context) {
            Code::Folder(dir) => {
                let named = metadata.and_then(|m| m.get("Dockerfile")).and_then(Node::text).unwrap_or("Dockerfile");
                let dockerfile = paths::join(&dir, named).unwrap_or_default();
                Code::Image { dir, dockerfile }
            }
            other => other,
        }
    }

    fn image(&self, dockerfile: &str, resource: &Entry, site: &mut Site, diagnostics: &mut Vec<Diagnostic>) {
        let (platform, command) = match self.tree.text(dockerfile) {
            Ok(text) => version::dockerfile(&text),
            Err(diagnostic) => {
                diagnostics.push(diagnostic);
                (None, None)
            }
        };
        site.handler = site.handler.take().or(command);
        match platform {
            Some((language, version, libc)) => {
                let mut platform = self.defaults.platform(language, &version);
                platform.libc = libc.into();
                site.platform = Some(platform);
                site.platform_source = Some(PlatformSource::Declared);
                self.architecture(resource, true, site, diagnostics);
            }
            None if self.tree.contains(dockerfile) => {
                let reason =
                    "its last stage is not built from a Python or Node.js image of a version that warmset plans for";
                diagnostics.push(Diagnostic::new(codes::RUNTIME_UNKNOWN, Place::file(dockerfile), reason));
            }
            None => {}
        }
    }
}
