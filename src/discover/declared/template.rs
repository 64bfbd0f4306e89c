//! SAM and CloudFormation templates.
//!
//! Supported: `AWS::Serverless::Function` and `AWS::Lambda::Function` in YAML and JSON, whatever the file is called;
//! `Globals.Function`; intrinsic functions as far as the template decides them ([`crate::discover::values`]); nested
//! stacks and applications whose template is a file of the fleet, with the parameters that they are given; layers;
//! inline code; container images with a local Dockerfile; `Fn::ForEach` and `AWS::Include` ([`super::expand`]); CDK
//! assets (`aws:asset:path`). Not followed: stacks that live elsewhere, other macros.
//!
//! A function under a `Condition` counts whatever the condition comes to: another deployment may create it.
//! <https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-resource-function.html>

use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;

use super::assembly::{self, Assembly};
use super::expand;
use super::lambda::{self, Code, Declared, Said};
use crate::discover::doc::{self, Entry, Node};
use crate::discover::tree::Tree;
use crate::discover::values::{self, Given, Scope, Unknown};
use crate::discover::{Defaults, Discovery, Inline, Layer, Site, paths};
use crate::model::{Area, Diagnostic, Extent, Place, Severity, Support, codes};

/// What is read of them.
pub const SUPPORT: Support = Support {
    area: Area::Declaration,
    what: "SAM and CloudFormation",
    files: "*.yaml, *.yml, *.json, *.template with AWS:: resources",
    extent: Extent::Partly,
    note: "nested stacks, layers, inline code, Globals, mappings, conditions, Fn::ForEach and AWS::Include of local files; not other macros, nor code and stacks that lie in a bucket",
};

/// Nested stacks nest a few levels in practice.
const MAX_STACKS_DEEP: usize = 8;
/// Stacks that nested ones come to; two that each hold two of the next come to millions.
const MAX_STACKS: usize = 5_000;

/// A template as a parent stack deploys it.
#[derive(Debug, Clone)]
struct Nested {
    /// Logical id in the parent.
    name: String,
    /// Its template, relative to the fleet.
    path: String,
    given: Given,
}

/// What one template holds, with certain parameters.
#[derive(Debug, Default)]
struct Read {
    found: Discovery,
    nested: Vec<Nested>,
}

/// Reads every template of the tree that is not part of a CDK assembly.
pub fn find(tree: &Tree, defaults: &Defaults, found: &mut Discovery) {
    let assemblies = assembly::roots(tree);
    let in_assembly = |path: &str| paths::ancestors(paths::parent(path)).any(|dir| assemblies.contains(dir));
    let candidates: Vec<&str> = tree.files().filter(|path| may_be_template(path) && !in_assembly(path)).collect();
    let read: Vec<(&str, Read)> = candidates
        .par_iter()
        .map(|path| (*path, read(tree, defaults, path, &Given::new(), paths::parent(path), None)))
        .filter(|(_, read)| {
            !(read.found.sites.is_empty() && read.found.diagnostics.is_empty() && read.nested.is_empty())
        })
        .collect();
    found.join(stacks(tree, defaults, read));
}

/// Puts nested stacks into their parents: a template that a parent deploys counts there and not by itself.
fn stacks(tree: &Tree, defaults: &Defaults, mut read: Vec<(&str, Read)>) -> Discovery {
    let nested: BTreeSet<String> = read.iter().flat_map(|(_, r)| &r.nested).map(|n| n.path.clone()).collect();
    let mut stacks = Stacks {
        tree,
        defaults,
        found: Discovery::default(),
        seen: BTreeSet::new(),
        left: MAX_STACKS,
        said: BTreeMap::new(),
    };
    // Those that only a circle of stacks deploys come last, where nothing has led to them.
    read.sort_by_key(|(path, _)| nested.contains(*path));
    for (path, one) in read {
        if nested.contains(path) && stacks.seen.contains(path) {
            continue;
        }
        stacks.seen.insert(path.to_string());
        stacks.add(path, one.found);
        let top = paths::parent(path);
        for inner in one.nested {
            stacks.walk(path, &inner, top, &mut vec![path.to_string()]);
        }
    }
    stacks.found
}

struct Stacks<'a> {
    tree: &'a Tree,
    defaults: &'a Defaults,
    found: Discovery,
    seen: BTreeSet<String>,
    left: usize,
    /// Functions of nested stacks by their declaration, with the top stack that they were found from.
    said: BTreeMap<Place, Vec<(String, Site)>>,
}

impl Stacks<'_> {
    /// Adds what a template holds; of two top stacks that deploy the same nested one alike, the first counts.
    fn add(&mut self, top: &str, found: Discovery) {
        for mut site in found.sites {
            site.application = top.to_string();
            let before = self.said.entry(site.declared_at.clone()).or_default();
            let bare = Site { id: String::new(), application: String::new(), ..site.clone() };
            if before.iter().any(|(other, same)| other != top && *same == bare) {
                continue;
            }
            before.push((top.to_string(), bare));
            self.found.sites.push(site);
        }
        self.found.diagnostics.extend(found.diagnostics);
    }

    fn walk(&mut self, top: &str, nested: &Nested, prefix: &str, open: &mut Vec<String>) {
        self.seen.insert(nested.path.clone());
        if open.contains(&nested.path) || open.len() > MAX_STACKS_DEEP || self.left == 0 {
            let reason = "nested stacks go round in a circle, or come to more than warmset follows";
            self.found.diagnostics.push(Diagnostic::new(codes::TEMPLATE_UNRESOLVED, Place::file(&nested.path), reason));
            return;
        }
        self.left -= 1;
        let prefix = under(prefix, &nested.name);
        let one = read(self.tree, self.defaults, &nested.path, &nested.given, &prefix, None);
        self.add(top, one.found);
        open.push(nested.path.clone());
        for inner in &one.nested {
            self.walk(top, inner, &prefix, open);
        }
        open.pop();
    }
}

/// `name` below an id's prefix; a folder's `.` is left out.
pub fn under(prefix: &str, name: &str) -> String {
    if prefix == "." { name.to_string() } else { format!("{prefix}/{name}") }
}

/// The functions of one template of a cloud assembly, and of the stacks nested in it.
pub fn of_assembly(tree: &Tree, defaults: &Defaults, path: &str, assembly: &Assembly<'_>) -> Discovery {
    let mut found = Discovery::default();
    let mut queue = vec![Nested { name: String::new(), path: path.to_string(), given: Given::new() }];
    let mut seen = BTreeSet::new();
    while let Some(next) = queue.pop() {
        if seen.len() < MAX_STACKS && seen.insert(next.path.clone()) {
            let one = read(tree, defaults, &next.path, &next.given, assembly.app, Some(assembly));
            found.join(one.found);
            queue.extend(one.nested);
        }
    }
    found
}

fn may_be_template(path: &str) -> bool {
    let name = paths::file_name(path);
    // `serverless.template` is what Amazon's own tools for .NET write.
    matches!(paths::extension(path), "yaml" | "yml" | "json" | "template")
        && (!name.starts_with("serverless.") || name == "serverless.template")
        && !matches!(
            name,
            "package.json" | "package-lock.json" | "npm-shrinkwrap.json" | "tsconfig.json" | "pnpm-lock.yaml"
        )
}

/// Whether people would call the file a template whatever it holds.
fn is_named_template(path: &str) -> bool {
    paths::stem(path) == "template" || paths::extension(path) == "template"
}

const FUNCTIONS: [&str; 2] = ["AWS::Serverless::Function", "AWS::Lambda::Function"];
const STACKS: [&str; 2] = ["AWS::CloudFormation::Stack", "AWS::Serverless::Application"];

fn read(
    tree: &Tree,
    defaults: &Defaults,
    path: &str,
    given: &Given,
    prefix: &str,
    assembly: Option<&Assembly<'_>>,
) -> Read {
    let mut out = Read::default();
    let text = match tree.text(path) {
        Ok(text) => text,
        Err(diagnostic) => {
            // Data files that happen to end in .json are none of this tool's business; CloudFormation takes 1 MB at most.
            if is_named_template(path) {
                out.found.diagnostics.push(diagnostic);
            }
            return out;
        }
    };
    let may_hold = FUNCTIONS.iter().chain(&STACKS).chain(&["AWS::Include"]).any(|word| text.contains(word));
    if !may_hold || !text.contains("Resources") {
        return out;
    }
    let root = match doc::parse(&text) {
        Ok(root) => root,
        // Chart templates and documents that only mention a function type are not templates that could be deployed.
        Err(error) if !is_made_by_another(&text) => {
            let place = Place::at(path, error.line);
            out.found.diagnostics.push(Diagnostic::new(codes::TEMPLATE_INVALID, place, error.reason));
            return out;
        }
        Err(_) => return out,
    };
    if root.get("Resources").is_none() {
        return out;
    }
    let root = if expand::is_needed(&text) {
        expand::expand(tree, path, &Scope { template: &root, given }, &mut out.found.diagnostics)
    } else {
        root
    };
    let Some(resources) = root.get("Resources").filter(|r| r.is_map()) else { return out };
    let scope = Scope { template: &root, given };
    let template = Template { tree, defaults, path, dir: paths::parent(path), text: &text, scope, prefix, assembly };
    for resource in resources.entries() {
        match resource.value.get("Type").and_then(Node::text) {
            Some("AWS::Serverless::Function") => template.function(resource, true, &mut out.found),
            Some("AWS::Lambda::Function") => template.function(resource, false, &mut out.found),
            Some(kind @ ("AWS::CloudFormation::Stack" | "AWS::Serverless::Application")) => {
                let at = if kind == "AWS::CloudFormation::Stack" { "TemplateURL" } else { "Location" };
                out.nested.extend(template.nested(resource, at, &mut out.found.diagnostics));
            }
            _ => {}
        }
    }
    out
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
    text: &'a str,
    scope: Scope<'a>,
    prefix: &'a str,
    assembly: Option<&'a Assembly<'a>>,
}

impl Template<'_> {
    fn at(&self, line: u32) -> Place {
        Place::at(self.path, line)
    }

    fn unresolved(&self, what: &str, unknown: &Unknown) -> Diagnostic {
        let reason = format!("{what} depends on {}", unknown.why);
        Diagnostic::new(codes::TEMPLATE_UNRESOLVED, self.at(unknown.line), reason)
    }

    /// A property of the resource, or of `Globals.Function` for SAM, once choices are made.
    fn property<'n>(&self, resource: &'n Entry, sam: bool, key: &str) -> Option<(u32, &'n Node)>
    where
        Self: 'n,
    {
        let template: &'n Node = self.scope.template;
        let properties = resource.value.get("Properties").and_then(|p| self.scope.pick(p));
        let own = properties.and_then(|p| p.entry(key));
        let entry = own.or_else(|| template.at(&["Globals", "Function"]).filter(|_| sam)?.entry(key))?;
        Some((entry.line, self.scope.pick(&entry.value)?))
    }

    /// The text of a property; what cannot be resolved is reported.
    fn said(&self, what: &str, property: Option<(u32, &Node)>, diagnostics: &mut Vec<Diagnostic>) -> Said {
        let Some((line, node)) = property else { return Said::Nothing };
        match self.scope.literal(node) {
            Ok(text) => Said::Text(text, self.at(line)),
            Err(unknown) => {
                diagnostics.push(self.unresolved(what, &unknown));
                Said::Unresolved
            }
        }
    }

    fn function(&self, resource: &Entry, sam: bool, found: &mut Discovery) {
        let metadata = resource.value.get("Metadata");
        let construct = self.assembly.and_then(|_| metadata?.get("aws:cdk:path")?.text()).map(construct_of);
        let name = construct.map_or(resource.key.as_str(), |path| paths::file_name(path)).to_string();
        let id = under(self.prefix, construct.unwrap_or(&resource.key));
        let property = |key: &str| self.property(resource, sam, key);
        let mut diagnostics: Vec<Diagnostic> = Vec::new();
        let runtime = self.said("Runtime", property("Runtime"), &mut diagnostics);
        let handler = self.said("Handler", property("Handler"), &mut diagnostics);
        let first = property("Architectures").and_then(|(_, node)| self.scope.items(node).into_iter().next());
        let architecture = self.said("Architectures", first.map(|node| (node.line, node)), &mut diagnostics);
        let declared = Declared {
            id: id.clone(),
            name,
            declared_as: match (self.assembly, sam) {
                (Some(_), _) => "cdk",
                (None, true) => "sam",
                (None, false) => "cloudformation",
            },
            declared_at: self.at(resource.line),
            runtime,
            handler,
            architecture,
            code: self.code(resource, sam),
            entry_points: metadata
                .and_then(|m| m.at(&["BuildProperties", "EntryPoints"]))
                .map(|list| list.items().iter().filter_map(|item| item.text().map(str::to_string)).collect())
                .unwrap_or_default(),
            bundled: metadata.and_then(|m| m.get("BuildMethod")?.text()) == Some("esbuild"),
            environment: self.environment(resource, sam),
            layers: self.layers(resource, sam),
            google: false,
        };
        let site = lambda::site(self.tree, self.defaults, declared, &mut diagnostics);
        found.diagnostics.extend(diagnostics.into_iter().map(|d| d.for_function(&id)));
        found.sites.extend(site);
    }

    fn environment(&self, resource: &Entry, sam: bool) -> BTreeMap<String, String> {
        let own = resource.value.at(&["Properties", "Environment", "Variables"]);
        let global = self.scope.template.at(&["Globals", "Function", "Environment", "Variables"]).filter(|_| sam);
        // The function's own variables come last and win.
        let entries = global.into_iter().chain(own).flat_map(Node::entries);
        entries.filter_map(|e| Some((e.key.clone(), self.scope.literal(&e.value).ok()?))).collect()
    }

    /// The function's own layers and, for SAM, those of `Globals`, which SAM adds to them.
    fn layers(&self, resource: &Entry, sam: bool) -> Vec<Layer> {
        let own = resource.value.at(&["Properties", "Layers"]);
        let global = self.scope.template.at(&["Globals", "Function", "Layers"]).filter(|_| sam);
        let lists = global.into_iter().chain(own);
        lists.flat_map(|list| self.scope.items(list)).map(|item| self.layer(item)).collect()
    }

    fn layer(&self, item: &Node) -> Layer {
        let text = || {
            let text = self.scope.literal(item).or_else(|u| values::sketch(item).ok_or(u));
            text.unwrap_or_else(|unknown| unknown.why)
        };
        let declared =
            values::referred(item).and_then(|name| Some((name, self.scope.template.get("Resources")?.get(name)?)));
        let Some((name, resource)) = declared else { return Layer { text: text(), folder: None } };
        let folder = || {
            let content = match resource.get("Type").and_then(Node::text)? {
                "AWS::Serverless::LayerVersion" => resource.at(&["Properties", "ContentUri"]),
                "AWS::Lambda::LayerVersion" => resource.at(&["Properties", "Content"]),
                _ => None,
            };
            let metadata = resource.get("Metadata");
            if let Some(asset) = metadata.and_then(|m| m.get("aws:asset:path")).and_then(Node::text) {
                let construct = metadata.and_then(|m| m.get("aws:cdk:path")).and_then(Node::text).map(construct_of);
                return match self.assembly.and_then(|a| (a.code)(construct.unwrap_or_default(), asset)) {
                    Some(Code::Folder(folder)) => Some(folder),
                    _ => lambda::layer_at(self.tree, self.dir, asset),
                };
            }
            // `sam build` takes the template's own folder when nothing is said, as for functions.
            let text = self.scope.literal(content?).ok()?;
            lambda::layer_at(self.tree, self.dir, &text)
        };
        Layer { text: name.to_string(), folder: folder() }
    }

    fn nested(&self, resource: &Entry, key: &str, diagnostics: &mut Vec<Diagnostic>) -> Option<Nested> {
        let (line, node) = self.property(resource, false, key)?;
        let metadata = resource.value.get("Metadata");
        let asset = metadata.and_then(|m| m.get("aws:asset:path")).and_then(Node::text);
        let note = |reason: String| {
            let mut diagnostic = Diagnostic::new(codes::TEMPLATE_UNRESOLVED, self.at(line), reason);
            diagnostic.severity = Severity::Note;
            diagnostic.next("scan the folder that holds its template too, if its functions belong to this fleet")
        };
        let text = match (asset, self.scope.literal(node)) {
            (Some(asset), _) => asset.to_string(),
            (None, Ok(text)) => text,
            (None, Err(unknown)) => {
                let what = values::sketch(node).unwrap_or(unknown.why);
                diagnostics.push(note(format!("the stack {} comes from elsewhere ({what})", resource.key)));
                return None;
            }
        };
        if text.contains("://") {
            diagnostics.push(note(format!("the stack {} comes from elsewhere ({text})", resource.key)));
            return None;
        }
        let Some(path) = paths::join(self.dir, &text).filter(|path| self.tree.contains(path)) else {
            let reason = format!("{key} `{text}` does not exist");
            diagnostics.push(Diagnostic::new(codes::TEMPLATE_POINTS_NOWHERE, self.at(line), reason));
            return None;
        };
        let parameters = resource.value.at(&["Properties", "Parameters"]);
        let given = parameters.map(Node::entries).unwrap_or_default().iter().map(|entry| {
            let value = self.scope.literal(&entry.value);
            (entry.key.clone(), value.map_err(|_| format!("parameter {}, which its parent stack gives", entry.key)))
        });
        Some(Nested { name: resource.key.clone(), path, given: given.collect() })
    }

    fn code(&self, resource: &Entry, sam: bool) -> Code {
        let property = |key: &str| self.property(resource, sam, key);
        let left = |code, line, reason: String| Code::Left(Diagnostic::new(code, self.at(line), reason));
        let package_type = property("PackageType").and_then(|(_, node)| self.scope.literal(node).ok());
        let image = property("ImageUri").or_else(|| property("Code").filter(|(_, c)| c.get("ImageUri").is_some()));
        let metadata = resource.value.get("Metadata");
        if package_type.as_deref() == Some("Image") || image.is_some() {
            return self.image(resource, metadata);
        }
        if let Some((line, inline)) = property("InlineCode") {
            return self.inline(line, inline);
        }
        // What CDK writes beside its templates; `sam local` reads it too.
        if let Some(asset) = metadata.and_then(|m| m.entry("aws:asset:path")) {
            return self.asset(resource, asset);
        }
        let (key, (line, node)) = match (property("CodeUri").filter(|_| sam), property("Code")) {
            (Some(found), _) => ("CodeUri", found),
            (None, Some(found)) => ("Code", found),
            // `sam build` takes the template's own folder when nothing is said.
            (None, None) if sam => return Code::Folder(self.dir.to_string()),
            (None, None) => {
                return left(codes::TEMPLATE_UNRESOLVED, resource.line, "the function declares no code".into());
            }
        };
        if let Some(inline) = node.entry("ZipFile") {
            return match self.scope.pick(&inline.value) {
                Some(code) => self.inline(inline.line, code),
                None => left(codes::TEMPLATE_UNRESOLVED, inline.line, "the function declares no code".into()),
            };
        }
        let bucket = |line| {
            let reason = format!("{key} is an object in a bucket");
            Code::Stored(Diagnostic::new(codes::TEMPLATE_UNRESOLVED, self.at(line), reason))
        };
        if ["Bucket", "S3Bucket", "S3Key", "Key"].iter().any(|key| node.get(key).is_some()) {
            return bucket(line);
        }
        let text = match self.scope.literal(node) {
            Ok(text) => text,
            Err(unknown) => return Code::Left(self.unresolved(key, &unknown)),
        };
        if text.contains("://") {
            return bucket(line);
        }
        lambda::code_at(self.tree, self.dir, &text, key, &self.at(line))
    }

    /// Code inside the template. Intrinsic functions in it are replaced by texts when it is deployed, never by imports,
    /// so that the unfilled text of a `!Sub` tells as much.
    fn inline(&self, line: u32, node: &Node) -> Code {
        let text = match self.scope.literal(node) {
            // Filling in may change what stands on which line.
            Ok(text) => values::sketch(node).unwrap_or(text),
            Err(unknown) => match values::sketch(node) {
                Some(text) => text,
                None => {
                    let reason = format!("the code is written inside the template, and depends on {}", unknown.why);
                    return Code::Left(Diagnostic::new(codes::INLINE_CODE, self.at(unknown.line), reason));
                }
            },
        };
        let first = text.lines().next().unwrap_or_default().trim();
        let lines: Vec<&str> = self.text.lines().skip(line.saturating_sub(1) as usize).take(8).collect();
        let second = text.lines().nth(1).map(str::trim);
        let starts = |at: usize| {
            lines.get(at).is_some_and(|l| l.trim() == first)
                && second.is_none_or(|second| lines.get(at + 1).is_some_and(|l| l.trim() == second))
        };
        let at = (1..lines.len()).find(|at| starts(*at)).filter(|_| text.lines().count() > 1);
        let inline = match at {
            Some(at) => Inline { text, line: line + u32::try_from(at).unwrap_or(0), by_line: true, file: None },
            None => Inline { text, line, by_line: false, file: None },
        };
        Code::Inline(inline)
    }

    fn asset(&self, resource: &Entry, asset: &Entry) -> Code {
        let rel = asset.value.text().unwrap_or_default();
        if let Some(assembly) = self.assembly {
            let construct = resource.value.at(&["Metadata", "aws:cdk:path"]).and_then(Node::text).map(construct_of);
            if let Some(code) = (assembly.code)(construct.unwrap_or_default(), rel) {
                return code;
            }
        }
        let folder = paths::join(self.dir, rel).filter(|path| self.tree.has_dir(path));
        match folder {
            Some(dir) => Code::Folder(self.tree.real(&dir).into_owned()),
            None => {
                let reason = "the code is an asset that a build makes";
                let diagnostic = Diagnostic::new(codes::TEMPLATE_UNRESOLVED, self.at(asset.line), reason);
                Code::Left(diagnostic.next("run cdk synth, so that the asset lies in cdk.out"))
            }
        }
    }

    fn image(&self, resource: &Entry, metadata: Option<&Node>) -> Code {
        let asset = metadata.and_then(|m| m.entry("aws:asset:path"));
        let context = metadata.and_then(|m| m.entry("DockerContext")).or(asset);
        let Some(context) = context else {
            let reason = "the code is a container image that is built elsewhere".to_string();
            return Code::Left(Diagnostic::new(codes::TEMPLATE_UNRESOLVED, self.at(resource.line), reason));
        };
        let named = metadata.and_then(|m| m.get("Dockerfile").or_else(|| m.get("aws:asset:dockerfile-path")));
        let named = named.and_then(Node::text).unwrap_or("Dockerfile");
        let found = if asset.is_some_and(|asset| std::ptr::eq(asset, context)) {
            self.asset(resource, context)
        } else {
            match self.scope.literal(&context.value) {
                Ok(text) => lambda::code_at(self.tree, self.dir, &text, &context.key, &self.at(context.line)),
                Err(unknown) => Code::Left(self.unresolved("DockerContext", &unknown)),
            }
        };
        match found {
            Code::Folder(dir) => {
                let dockerfile = paths::join(&dir, named).unwrap_or_default();
                Code::Image { dir, dockerfile }
            }
            other => other,
        }
    }
}

/// `Stack/Fn` of `Stack/Fn/Resource`, the path that CDK notes with every resource.
fn construct_of(path: &str) -> &str {
    path.strip_suffix("/Resource").unwrap_or(path)
}

#[cfg(test)]
mod tests;
