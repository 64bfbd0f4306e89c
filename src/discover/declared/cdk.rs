//! AWS CDK: synthesised applications (`cdk.out`), and constructors in TypeScript, JavaScript and Python whose arguments
//! are literals.
//!
//! An application is a folder with a `cdk.json`. What was synthesised says most, and counts first; its assets are copies
//! of folders, and are led back to them: by the constructor of the same id in the sources, by the comments that esbuild
//! writes above each module, or by equal files. A constructor that nothing synthesised explains counts by itself.
//! Recognised: `Function`, `SingletonFunction`, `EdgeFunction`, `TriggerFunction`, `DockerImageFunction`,
//! `NodejsFunction` (with its default entry), `PythonFunction`, `LayerVersion`, `PythonLayerVersion`. Subclasses and
//! loops are not followed. <https://docs.aws.amazon.com/cdk/api/v2/docs/aws-cdk-lib.aws_lambda-readme.html>

use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;

use super::assembly::{self, Assembly};
use super::lambda::{self, Code, Declared, Said};
use super::program::{self, Made, Reader, Value, plain};
use super::template::{self, under};
use crate::discover::tree::Tree;
use crate::discover::{Defaults, Discovery, Inline, Layer, Site, doc, handler, paths};
use crate::model::{Area, Diagnostic, Extent, Place, Support, codes};

/// What is read of it.
pub const SUPPORT: Support = Support {
    area: Area::Declaration,
    what: "AWS CDK",
    files: "cdk.json, cdk.out/*.template.json, *.ts, *.js, *.py",
    extent: Extent::Partly,
    note: "synthesised templates, ignored by git or not, led back to their sources; constructors with literal arguments in TypeScript, JavaScript and Python; not loops, subclasses or other languages",
};

/// A program is a few hundred files; what has more is a repository.
const MAX_FILES: usize = 2_000;
/// Files of an asset that are compared with those of a folder.
const MAX_COMPARED: usize = 300;
/// Largest program read, bytes.
const MAX_PROGRAM: u64 = 1_000_000;

/// Reads every application of the tree.
pub fn find(tree: &Tree, defaults: &Defaults, found: &mut Discovery) {
    let assemblies = assembly::roots(tree);
    let marked = tree.files().filter(|path| paths::file_name(path) == "cdk.json").map(paths::parent);
    let apps: BTreeSet<&str> = marked.collect();
    let app_of =
        |dir: &str| paths::ancestors(paths::parent(dir)).find(|above| apps.contains(above)).map(str::to_string);
    let mut synthesised: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for dir in &assemblies {
        let app = app_of(dir).unwrap_or_else(|| paths::parent(dir).to_string());
        synthesised.entry(app).or_default().push(dir);
    }
    let all: BTreeSet<&str> = apps.iter().copied().chain(synthesised.keys().map(String::as_str)).collect();
    let read: Vec<Discovery> = all
        .into_par_iter()
        .map(|app| {
            let inner = |dir: &str| dir != app && apps.contains(dir);
            let constructors = if apps.contains(app) { constructors(tree, defaults, app, &inner) } else { Vec::new() };
            let outputs = synthesised.get(app).map(Vec::as_slice).unwrap_or_default();
            application(tree, defaults, app, outputs, constructors)
        })
        .collect();
    for one in read {
        found.join(one);
    }
}

/// A constructor of a function in the sources.
struct Constructor {
    /// Second argument, where it is literal.
    id: Option<String>,
    code: Code,
    site: Option<Site>,
    diagnostics: Vec<Diagnostic>,
}

fn application(
    tree: &Tree,
    defaults: &Defaults,
    app: &str,
    outputs: &[&str],
    constructors: Vec<Constructor>,
) -> Discovery {
    let mut found = Discovery::default();
    let code = |construct: &str, asset: &str| -> Option<Code> {
        by_constructor(&constructors, construct).or_else(|| by_content(tree, app, outputs, asset))
    };
    for output in outputs {
        for template in templates(tree, output, &mut found.diagnostics) {
            // Paths of assets start in the folder of their template.
            let dir = paths::parent(&template).to_string();
            let code = |construct: &str, asset: &str| code(construct, &paths::join(&dir, asset)?);
            let assembly = Assembly { app, code: &code };
            let mut one = template::of_assembly(tree, defaults, &template, &assembly);
            one.sites.iter_mut().for_each(|site| site.application = app.to_string());
            found.join(one);
        }
    }
    let ids: BTreeSet<&str> = found.sites.iter().map(|site| site.name.as_str()).collect();
    let files: BTreeSet<&str> = found.sites.iter().filter_map(|site| site.handler_file.as_deref()).collect();
    let rest: Vec<Constructor> = constructors
        .into_iter()
        .filter(|constructor| {
            let same_id = constructor.id.as_deref().is_some_and(|id| ids.contains(id));
            let handler = constructor.site.as_ref().and_then(|site| site.handler_file.as_deref());
            !same_id && !handler.is_some_and(|file| files.contains(file))
        })
        .collect();
    for constructor in rest {
        found.sites.extend(constructor.site);
        found.diagnostics.extend(constructor.diagnostics);
    }
    found
}

/// Templates of the stacks of an assembly and of the assemblies nested in it, as its manifest lists them.
fn templates(tree: &Tree, output: &str, diagnostics: &mut Vec<Diagnostic>) -> Vec<String> {
    let (mut out, mut queue, mut seen) = (BTreeSet::new(), vec![output.to_string()], BTreeSet::new());
    while let Some(dir) = queue.pop() {
        let Some(path) = paths::join(&dir, "manifest.json").filter(|_| seen.insert(dir.clone())) else { continue };
        let manifest = match tree.text(&path).map(|text| doc::parse(&text)) {
            Ok(Ok(manifest)) => manifest,
            Ok(Err(error)) => {
                diagnostics.push(Diagnostic::new(codes::TEMPLATE_INVALID, Place::at(path, error.line), error.reason));
                continue;
            }
            Err(diagnostic) => {
                diagnostics.push(diagnostic.next("synthesise the application again (cdk synth)"));
                continue;
            }
        };
        for artifact in manifest.get("artifacts").map(doc::Node::entries).unwrap_or_default() {
            let property = |name: &str| {
                let text = artifact.value.at(&["properties", name]).and_then(doc::Node::text)?;
                paths::join(&dir, text).filter(|path| paths::is_within(path, output))
            };
            match artifact.value.get("type").and_then(doc::Node::text) {
                Some("aws:cloudformation:stack") => out.extend(property("templateFile")),
                Some("cdk:cloud-assembly") => queue.extend(property("directoryName")),
                _ => {}
            }
        }
    }
    out.into_iter().collect()
}

/// The code of the one constructor whose id ends a construct's path.
fn by_constructor(constructors: &[Constructor], construct: &str) -> Option<Code> {
    let id = paths::file_name(construct);
    let mut same = constructors.iter().filter(|c| c.id.as_deref() == Some(id)).map(|c| &c.code);
    let first = same.next()?;
    let place = |code: &Code| match code {
        Code::Folder(path) | Code::File(path) => Some(path.clone()),
        Code::Image { dir, .. } => Some(dir.clone()),
        Code::Inline(_) | Code::Left(_) | Code::Stored(_) | Code::Built { .. } => None,
    };
    let known = place(first)?;
    if !same.all(|other| place(other).as_ref() == Some(&known)) {
        return None;
    }
    // An image's folder; its Dockerfile is named in the template.
    Some(if let Code::Image { dir, .. } = first { Code::Folder(dir.clone()) } else { first.clone() })
}

/// The folder or file of the application that an asset was made from, told by what lies in it.
fn by_content(tree: &Tree, app: &str, outputs: &[&str], asset: &str) -> Option<Code> {
    let files: Vec<&str> = tree.under(asset).take(MAX_COMPARED).collect();
    let in_output = |path: &str| outputs.iter().any(|output| paths::is_within(path, output));
    if let [bundle] = files[..]
        && paths::stem(bundle) == "index"
        && let Some(entry) = bundled_entry(tree, app, bundle)
    {
        return Some(Code::File(entry));
    }
    // The rarest name leads to the fewest candidates; the longest path is a good guess at that.
    let probe = files.iter().max_by_key(|path| path.len())?;
    let rel = paths::relative_to(probe, asset)?;
    let bytes = tree.read(probe).ok()?;
    let suffix = format!("/{rel}");
    let same = |a: &str, b: &[u8]| tree.size(a) == Some(b.len() as u64) && tree.read(a).is_ok_and(|bytes| bytes == b);
    let candidates = tree.under(app).filter(|path| !in_output(path)).filter_map(|path| {
        let whole = path == rel || path.ends_with(&suffix);
        let dir = path.get(..path.len().checked_sub(rel.len())?)?.trim_end_matches('/');
        (whole && same(path, &bytes)).then(|| if dir.is_empty() { ".".to_string() } else { dir.to_string() })
    });
    let mut candidates: Vec<String> = candidates.take(50).collect();
    // Of several folders that hold them all, the one that holds the least beside.
    candidates.sort_by_cached_key(|dir| (tree.under(dir).take(MAX_COMPARED * 4).count(), dir.len(), dir.clone()));
    let is_source = |dir: &String| {
        files.iter().all(|file| {
            let Some(path) = paths::relative_to(file, asset).and_then(|rel| paths::join(dir, rel)) else {
                return false;
            };
            tree.read(file).is_ok_and(|bytes| same(&path, &bytes))
        })
    };
    candidates.into_iter().find(is_source).map(Code::Folder)
}

/// esbuild notes each module's path above its code, and the entry comes last.
fn bundled_entry(tree: &Tree, app: &str, bundle: &str) -> Option<String> {
    let text = tree.text(bundle).ok()?;
    let noted = text.lines().rev().filter_map(|line| line.strip_prefix("// "));
    let sources = noted.filter(|path| {
        crate::discover::runtime::language_of(path).is_some() && !path.contains("node_modules") && !path.contains(' ')
    });
    sources
        .take(50)
        .find_map(|rel| paths::ancestors(app).find_map(|dir| paths::join(dir, rel).filter(|path| tree.contains(path))))
}

/// Constructors in the sources of an application; `inner` knows the folders of applications inside it.
fn constructors(tree: &Tree, defaults: &Defaults, app: &str, inner: &dyn Fn(&str) -> bool) -> Vec<Constructor> {
    let is_program = |path: &&str| {
        matches!(paths::extension(path), "ts" | "js" | "mjs" | "cjs" | "mts" | "cts" | "py")
            && !path.ends_with(".d.ts")
            && !path.split('/').any(|part| matches!(part, "test" | "tests" | "__tests__" | "cdk.out"))
            && !paths::stem(path).ends_with(".test")
            && tree.size(path).is_some_and(|size| size <= MAX_PROGRAM)
            && !paths::ancestors(paths::parent(path)).take_while(|dir| *dir != app).any(inner)
    };
    let mut out = Vec::new();
    for file in tree.under(app).filter(is_program).take(MAX_FILES) {
        // What is compiled from a source beside it says the same twice.
        let source = file.strip_suffix(".js").map(|stem| format!("{stem}.ts"));
        if source.is_some_and(|source| tree.contains(&source)) {
            continue;
        }
        let Ok(text) = tree.text(file) else { continue };
        if !["aws-lambda", "aws_lambda", "aws-cdk-lib", "aws_cdk"].iter().any(|word| text.contains(word)) {
            continue;
        }
        let Some(program) = program::read(file, &text) else { continue };
        let reader = Reader::new(&program, file);
        for made in reader.made(&|name| class_of(name).is_some_and(|class| class != Class::Layer)) {
            let Some(class) = class_of(&made.what) else { continue };
            let construct = Construct { tree, app, file, text: &text, made: &made, class };
            out.push(construct.read(defaults));
        }
    }
    out
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Function,
    Image,
    Nodejs,
    Python,
    Layer,
}

fn class_of(name: &str) -> Option<Class> {
    let (module, class) = name.rsplit_once('.')?;
    Some(match (module, class) {
        ("aws_lambda", "Function" | "SingletonFunction") => Class::Function,
        ("triggers", "TriggerFunction") | ("aws_cloudfront.experimental", "EdgeFunction") => Class::Function,
        ("aws_lambda", "DockerImageFunction") => Class::Image,
        ("aws_lambda_nodejs", "NodejsFunction") => Class::Nodejs,
        ("aws_lambda_python_alpha" | "aws_lambda_python", "PythonFunction") => Class::Python,
        ("aws_lambda", "LayerVersion") => Class::Layer,
        ("aws_lambda_python_alpha" | "aws_lambda_python", "PythonLayerVersion") => Class::Layer,
        _ => return None,
    })
}

struct Construct<'a> {
    tree: &'a Tree,
    app: &'a str,
    file: &'a str,
    text: &'a str,
    made: &'a Made,
    class: Class,
}

impl Construct<'_> {
    fn at(&self) -> Place {
        Place::at(self.file, self.made.line)
    }

    fn left(&self, reason: impl Into<String>) -> Code {
        let diagnostic = Diagnostic::new(codes::TEMPLATE_UNRESOLVED, self.at(), reason);
        Code::Left(diagnostic.next("run cdk synth, so that cdk.out says it, or write it as a literal"))
    }

    fn read(&self, defaults: &Defaults) -> Constructor {
        let mut diagnostics = Vec::new();
        let id = match self.made.arguments.get(1).or_else(|| self.made.named.get("id")) {
            Some(Value::Text(id)) => Some(id.clone()),
            _ => None,
        };
        let class = self.made.what.rsplit('.').next().unwrap_or_default();
        let name = id.clone().unwrap_or_else(|| format!("{class}-{}", self.made.line));
        let code = self.code();
        let site = {
            let declared = Declared {
                id: under(self.app, &name),
                name,
                declared_as: "cdk",
                declared_at: self.at(),
                runtime: self.runtime(&mut diagnostics),
                handler: self.handler(&code, &mut diagnostics),
                architecture: self.architecture(),
                code: code.clone(),
                entry_points: Vec::new(),
                bundled: false,
                environment: self.environment(),
                layers: self.layers(),
                google: false,
            };
            let id = declared.id.clone();
            let site = lambda::site(self.tree, defaults, declared, &mut diagnostics);
            for diagnostic in &mut diagnostics {
                diagnostic.function = Some(id.clone());
            }
            site.map(|site| Site { application: self.app.to_string(), ..site })
        };
        Constructor { id, code, site, diagnostics }
    }

    fn unresolved(&self, what: &str, why: &str, diagnostics: &mut Vec<Diagnostic>) -> Said {
        let reason = format!("{what} depends on {why}");
        let diagnostic = Diagnostic::new(codes::TEMPLATE_UNRESOLVED, self.at(), reason);
        diagnostics.push(diagnostic.next("run cdk synth, so that cdk.out says it, or write it as a literal"));
        Said::Unresolved
    }

    fn runtime(&self, diagnostics: &mut Vec<Diagnostic>) -> Said {
        if self.class == Class::Image {
            return Said::Nothing;
        }
        let said = |text: String| Said::Text(text, self.at());
        match self.made.named.get("runtime") {
            Some(Value::Imported(name)) => match runtime_name(name.rsplit('.').next().unwrap_or_default()) {
                Some(runtime) => said(runtime),
                None => self.unresolved("runtime", &format!("`{name}`"), diagnostics),
            },
            Some(other) => self.unresolved("runtime", &program::why(other), diagnostics),
            // The construct's own default: the newest that the library knows.
            None if self.class == Class::Nodejs => said("nodejs".into()),
            None => match &self.made.open {
                Some(why) => self.unresolved("runtime", why, diagnostics),
                None => Said::Nothing,
            },
        }
    }

    fn handler(&self, code: &Code, diagnostics: &mut Vec<Diagnostic>) -> Said {
        let said = |text: String| Said::Text(text, self.at());
        let given = match self.made.named.get("handler") {
            Some(Value::Text(text)) => Some(text.clone()),
            Some(Value::Imported(_)) => None,
            Some(other) => return self.unresolved("handler", &program::why(other), diagnostics),
            None => None,
        };
        match (self.class, code) {
            (Class::Nodejs, Code::File(entry)) => {
                let export = given.unwrap_or_else(|| "handler".into());
                let (_, name) = handler::split(&export);
                let export = if name.is_empty() { export.as_str() } else { name };
                said(format!("{}.{export}", paths::stem(entry)))
            }
            (Class::Python, _) => {
                let index = match self.made.named.get("index") {
                    Some(Value::Text(index)) => index.clone(),
                    Some(other) => return self.unresolved("index", &program::why(other), diagnostics),
                    None => "index.py".into(),
                };
                let module = index.strip_suffix(".py").unwrap_or(&index);
                said(format!("{module}.{}", given.unwrap_or_else(|| "handler".into())))
            }
            _ => given.map_or(Said::Nothing, said),
        }
    }

    fn architecture(&self) -> Said {
        let Some(Value::Imported(name)) = self.made.named.get("architecture") else { return Said::Nothing };
        let text = if name.ends_with("ARM_64") { "arm64" } else { "x86_64" };
        Said::Text(text.into(), self.at())
    }

    fn environment(&self) -> BTreeMap<String, String> {
        let Some(Value::Map(map)) = self.made.named.get("environment") else { return BTreeMap::new() };
        let literal = |(key, value): (&String, &Value)| match value {
            Value::Text(text) => Some((key.clone(), text.clone())),
            _ => None,
        };
        map.iter().filter_map(literal).collect()
    }

    /// A path as the application sees it: relative ones start in its folder.
    fn path(&self, value: &Value, what: &str) -> Code {
        match value {
            Value::Text(text) => lambda::code_at(self.tree, self.app, text, what, &self.at()),
            // A path is relative to the fleet already.
            Value::Path(path) => lambda::code_at(self.tree, ".", path, what, &self.at()),
            other => self.left(format!("{what} depends on {}", program::why(other))),
        }
    }

    fn code(&self) -> Code {
        let named = |name: &str| self.made.named.get(name);
        let open = || self.made.open.clone().unwrap_or_else(|| "nothing that is written there".into());
        match self.class {
            Class::Nodejs => match (named("entry"), &self.made.open) {
                (Some(entry), _) => match self.path(entry, "entry") {
                    Code::Folder(dir) => self.left(format!("entry `{dir}` is a folder")),
                    other => other,
                },
                (None, Some(why)) => self.left(format!("entry depends on {why}")),
                (None, None) if named("code").is_some() => self.of(named("code")),
                (None, None) => self.default_entry(),
            },
            Class::Python => match named("entry") {
                Some(entry) => self.path(entry, "entry"),
                None => self.left(format!("entry depends on {}", open())),
            },
            Class::Function | Class::Image | Class::Layer => match named("code").or_else(|| named("entry")) {
                Some(code) => self.of(Some(code)),
                None => self.left(format!("code depends on {}", open())),
            },
        }
    }

    /// `Code.fromAsset(…)` and its relatives.
    fn of(&self, code: Option<&Value>) -> Code {
        let made = match code {
            Some(Value::Made(made)) => made,
            Some(other) => return self.left(format!("code depends on {}", program::why(other))),
            None => return self.left("the function declares no code"),
        };
        let argument = || {
            let named = ["path", "directory", "code"].iter().find_map(|name| made.named.get(*name));
            made.arguments.first().or(named).cloned().unwrap_or(Value::Unknown("nothing".into()))
        };
        match plain(made.what.rsplit('.').next().unwrap_or_default()).as_str() {
            "fromasset" | "asset" | "assetcode" => self.path(&argument(), "code"),
            "fromimageasset" | "fromassetimage" | "assetimagecode" | "fromdockerbuild" => {
                let dir = match self.path(&argument(), "code") {
                    Code::Folder(dir) => dir,
                    other => return other,
                };
                let named = match made.named.get("file") {
                    Some(Value::Text(file)) => file.clone(),
                    _ => "Dockerfile".into(),
                };
                let dockerfile = paths::join(&dir, &named).unwrap_or_default();
                Code::Image { dir, dockerfile }
            }
            "frominline" | "inline" | "inlinecode" => match argument() {
                Value::Text(text) => Code::Inline(self.inline(text, made.line)),
                Value::Content(path) => match self.path(&path, "code") {
                    Code::File(file) => match self.tree.text(&file) {
                        Ok(text) => Code::Inline(Inline { text, line: 1, by_line: true, file: Some(file) }),
                        Err(diagnostic) => Code::Left(diagnostic),
                    },
                    Code::Left(diagnostic) => Code::Left(diagnostic),
                    _ => self.left("the code is read from something that is no source"),
                },
                other => {
                    let reason =
                        format!("the code is written inside the program, and depends on {}", program::why(&other));
                    Code::Left(Diagnostic::new(codes::INLINE_CODE, self.at(), reason))
                }
            },
            "frombucket" | "bucket" | "s3code" | "frombucketv2" => {
                match self.left("the code is an object in a bucket") {
                    Code::Left(diagnostic) => Code::Stored(diagnostic),
                    other => other,
                }
            }
            "fromecr" | "ecrimagecode" | "fromecrimage" => {
                self.left("the code is a container image that is built elsewhere")
            }
            _ => self.left(format!("code depends on `{}`", made.what)),
        }
    }

    /// Code in a template literal or a text with three quotes keeps its lines.
    fn inline(&self, text: String, line: u32) -> Inline {
        let wanted = text.lines().find(|l| l.trim().len() > 8).map(str::trim);
        let before = text.lines().position(|l| Some(l.trim()) == wanted).unwrap_or(0);
        let many = text.lines().count() > 1;
        let lines = self.text.lines().enumerate().skip(line.saturating_sub(1) as usize);
        let at = lines.filter(|(_, l)| wanted.is_some_and(|w| l.contains(w))).map(|(at, _)| at).next();
        match at.and_then(|at| u32::try_from((at + 1).checked_sub(before)?).ok()).filter(|at| many && *at > 0) {
            Some(line) => Inline { text, line, by_line: true, file: None },
            None => Inline { text, line, by_line: false, file: None },
        }
    }

    /// `<file>.<id>.ts` beside the file that defines the function.
    fn default_entry(&self) -> Code {
        let Some(Value::Text(id)) = self.made.arguments.get(1).or_else(|| self.made.named.get("id")) else {
            return self.left("entry depends on the construct's id, which is not literal");
        };
        let base = format!("{}.{id}", paths::stem(self.file));
        let entries = ["ts", "js", "mjs", "mts", "cts", "cjs"].iter().filter_map(|extension| {
            paths::join(paths::parent(self.file), &format!("{base}.{extension}"))
                .filter(|path| self.tree.contains(path))
        });
        match entries.into_iter().next() {
            Some(entry) => Code::File(entry),
            None => {
                let reason =
                    format!("no entry is given, and there is no `{base}.ts` or `{base}.js` beside the program");
                Code::Left(Diagnostic::new(codes::TEMPLATE_POINTS_NOWHERE, self.at(), reason))
            }
        }
    }

    fn layers(&self) -> Vec<Layer> {
        match self.made.named.get("layers") {
            Some(Value::List(items)) => items.iter().map(|item| self.layer(item)).collect(),
            Some(other) => vec![Layer { text: program::why(other), folder: None }],
            None => Vec::new(),
        }
    }

    fn layer(&self, item: &Value) -> Layer {
        let Value::Made(made) = item else { return Layer { text: program::why(item), folder: None } };
        let text = |at: usize| match made.arguments.get(at) {
            Some(Value::Text(text)) => Some(text.clone()),
            _ => None,
        };
        if class_of(&made.what) != Some(Class::Layer) {
            // `LayerVersion.fromLayerVersionArn(this, "x", "arn:…")`
            return Layer { text: text(2).unwrap_or_else(|| program::why(item)), folder: None };
        }
        let construct = Construct { made, class: Class::Layer, ..*self };
        let code = match made.named.get("entry") {
            Some(entry) => construct.path(entry, "entry"),
            None => construct.of(made.named.get("code")),
        };
        let folder = if let Code::Folder(folder) = code { Some(folder) } else { None };
        Layer { text: text(1).unwrap_or_else(|| "LayerVersion".into()), folder }
    }
}

/// `python3.12` of `PYTHON_3_12`, `nodejs20.x` of `NODEJS_20_X`; other languages as AWS spells them.
fn runtime_name(constant: &str) -> Option<String> {
    if let Some(version) = constant.strip_prefix("PYTHON_") {
        return Some(format!("python{}", version.replace('_', ".")));
    }
    if let Some(version) = constant.strip_prefix("NODEJS_") {
        let version = version.replace('_', ".").to_lowercase();
        return Some(if version == "latest" { "nodejs".into() } else { format!("nodejs{version}") });
    }
    match constant {
        "NODEJS" => Some("nodejs".into()),
        "FROM_IMAGE" => None,
        _ => {
            let lower = constant.to_lowercase();
            let family = ["java", "go", "dotnet", "ruby", "provided"].iter().find(|name| lower.starts_with(**name))?;
            let rest = lower.strip_prefix(family)?.trim_start_matches('_').trim_start_matches("core_");
            Some(format!("{family}{}", rest.replace('_', ".")))
        }
    }
}

#[cfg(test)]
mod tests;
