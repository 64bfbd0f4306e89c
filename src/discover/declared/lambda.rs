//! From what a declaration says of an AWS Lambda function to a [`Site`], the same for every language that declares it.

use std::collections::BTreeMap;

use crate::discover::runtime::{self, Runtime};
use crate::discover::tree::Tree;
use crate::discover::{Defaults, Inline, Layer, Provider, Site, handler, paths, platform_from_folder, version};
use crate::model::inventory::PlatformSource;
use crate::model::{Diagnostic, Language, Place, Severity, codes};

/// A value of a declaration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// The declaration does not speak of it.
    Nothing,
    /// Its text, and where it stands.
    Text(String, Place),
    /// Only a deployment tells; that has been reported.
    Unresolved,
}

impl Said {
    fn text(&self) -> Option<&str> {
        if let Said::Text(text, _) = self { Some(text) } else { None }
    }
}

/// Where a function's code is.
#[derive(Debug, Clone)]
pub enum Code {
    /// All of a folder (or of an archive) is deployed.
    Folder(String),
    /// One file is, and what it imports where a bundler packs it.
    File(String),
    /// A container image built from this Dockerfile, in this folder.
    Image {
        /// Build context.
        dir: String,
        /// Path of the Dockerfile, relative to the fleet.
        dockerfile: String,
    },
    /// It is written inside the declaration.
    Inline(Inline),
    /// Not in the fleet, and why.
    Left(Diagnostic),
    /// An object in a bucket, as it is reported where no source of the fleet is it.
    Stored(Diagnostic),
    /// An archive that a build makes, as it is reported where no source of the fleet is it.
    Built {
        /// Path of the archive, relative to the fleet.
        archive: String,
        /// What to say.
        otherwise: Diagnostic,
    },
}

/// Files that are looked through for the source of code that lies elsewhere.
const MAX_LOOKED_THROUGH: usize = 2_000;
/// Modules that any function may have: their name tells no source.
const USUAL_MODULES: [&str; 9] =
    ["index", "handler", "app", "main", "function", "lambda", "lambda_function", "lambda_handler", "bootstrap"];

/// What a declaration says of one function.
#[derive(Debug)]
pub struct Declared {
    /// As [`Site::id`].
    pub id: String,
    /// As [`Site::name`].
    pub name: String,
    /// As [`Site::declared_as`].
    pub declared_as: &'static str,
    /// As [`Site::declared_at`].
    pub declared_at: Place,
    /// `python3.12`.
    pub runtime: Said,
    /// `app.handler`.
    pub handler: Said,
    /// `arm64` or `x86_64`.
    pub architecture: Said,
    /// Where its code is.
    pub code: Code,
    /// Sources that a bundler starts from (`EntryPoints` of esbuild), relative to the code folder.
    pub entry_points: Vec<String>,
    /// A bundler packages it, by the declaration's word.
    pub bundled: bool,
    /// Literal environment variables.
    pub environment: BTreeMap<String, String>,
    /// In the order of the declaration.
    pub layers: Vec<Layer>,
    /// A function of Google's: its handler names only what is exported.
    pub google: bool,
}

/// The site of a function; `None`, with the reason reported, where its code is not in the fleet.
pub fn site(tree: &Tree, defaults: &Defaults, declared: Declared, diagnostics: &mut Vec<Diagnostic>) -> Option<Site> {
    let from = diagnostics.len();
    let id = declared.id.clone();
    let site = Maker { tree, defaults, diagnostics }.site(declared);
    for diagnostic in diagnostics.iter_mut().skip(from) {
        *diagnostic = diagnostic.clone().for_function(&id);
    }
    site
}

struct Maker<'a> {
    tree: &'a Tree,
    defaults: &'a Defaults,
    diagnostics: &'a mut Vec<Diagnostic>,
}

impl Maker<'_> {
    fn site(mut self, declared: Declared) -> Option<Site> {
        let known = declared.runtime.text().map(runtime::parse);
        let mut site = Site {
            handler: declared.handler.text().map(str::to_string),
            runtime: declared.runtime.text().map(str::to_string),
            environment: declared.environment.clone(),
            provider: if declared.google { Provider::Google } else { Provider::AwsLambda },
            layers: declared.layers.clone(),
            bundled: declared.bundled || matches!(declared.code, Code::File(_)),
            ..Site::new(
                declared.declared_as,
                declared.declared_at.clone(),
                declared.id.clone(),
                declared.name.clone(),
                String::new(),
            )
        };
        let unplanned = match (&declared.runtime, &known) {
            (Said::Text(text, place), Some(Runtime::Unknown)) => {
                self.diagnostics.push(runtime::not_planned_for(text, place.clone()));
                true
            }
            _ => false,
        };
        let code = match self.found_elsewhere(&declared, known.as_ref()) {
            Some((code, file)) => {
                site.handler_file = file;
                code
            }
            None => declared.code.clone(),
        };
        match &code {
            Code::Folder(root) => site.root.clone_from(root),
            Code::File(file) => {
                site.root = paths::parent(file).to_string();
                site.handler_file = Some(file.clone());
                site.entry = Some(file.clone());
            }
            Code::Inline(inline) => {
                // There is no folder: what is beside the template is not deployed.
                site.root.clone_from(inline.file.as_ref().unwrap_or(&declared.declared_at.file));
                site.inline = Some(inline.clone());
            }
            Code::Image { dir, dockerfile } => {
                site.root.clone_from(dir);
                site.provider = Provider::Unknown;
                self.image(dockerfile, &declared, &mut site);
                self.locate(&declared, &mut site);
                return Some(site);
            }
            // That a compiled artefact is not there yet matters little when its runtime is not planned for.
            Code::Left(_) | Code::Stored(_) | Code::Built { .. } if unplanned => {
                site.root = paths::parent(&declared.declared_at.file).to_string();
                return Some(site);
            }
            Code::Left(diagnostic) | Code::Stored(diagnostic) | Code::Built { otherwise: diagnostic, .. } => {
                self.diagnostics.push(diagnostic.clone());
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
        if site.handler_file.is_none() && site.inline.is_none() {
            site.handler_file = match language.filter(|_| declared.google) {
                Some(language) => handler::google_entry(self.tree, &site.root, language),
                None => site.handler.as_deref().and_then(|h| handler::locate(self.tree, &site.root, h, language)),
            };
        }
        self.locate(&declared, &mut site);
        match known {
            Some(Runtime::Version(language, version)) => {
                site.platform = Some(self.defaults.platform(language, &version));
                site.platform_source = Some(PlatformSource::Declared);
            }
            Some(Runtime::Language(language)) => {
                platform_from_folder(self.tree, self.defaults, language, &mut site, self.diagnostics);
            }
            // An unresolved runtime has been reported; a folder that says its version still tells the platform.
            _ => {
                self.read_folder_only(&mut site);
                if declared.runtime == Said::Nothing {
                    let reason = "the function declares no runtime";
                    self.diagnostics.push(Diagnostic::new(codes::RUNTIME_UNKNOWN, site.declared_at.clone(), reason));
                }
            }
        }
        self.architecture(&declared, &mut site);
        Some(site)
    }

    /// Where the code is when what the declaration names is not it: in a bucket, in an archive that is not built yet, or
    /// a placeholder inside the template. CloudFormation writes inline code to a file `index`, so that a handler in
    /// another module cannot be in it.
    fn found_elsewhere(&mut self, declared: &Declared, known: Option<&Runtime>) -> Option<(Code, Option<String>)> {
        let language = match known {
            Some(Runtime::Version(language, _) | Runtime::Language(language)) => *language,
            _ => return None,
        };
        let text = declared.handler.text()?;
        let (module, export) = handler::split(text);
        match &declared.code {
            Code::Built { archive, otherwise } => {
                let dir = paths::parent(archive);
                // What a build writes to `dist` is made from what lies beside that folder; an archive that is packed by
                // hand lies beside its source.
                let (folder, named) = if handler::is_build_folder(paths::file_name(dir)) {
                    (paths::parent(dir), format!("{}/{text}", paths::file_name(dir)))
                } else {
                    (dir, text.to_string())
                };
                let file = handler::locate(self.tree, folder, &named, Some(language))?;
                let reason = format!("{}; `{file}` is taken for its source", otherwise.reason);
                let mut said = Diagnostic::new(codes::TEMPLATE_POINTS_NOWHERE, otherwise.place.clone(), reason);
                said.severity = Severity::Note;
                self.diagnostics.push(said.next(otherwise.next_step.clone()));
                Some((Code::Folder(folder.to_string()), Some(file)))
            }
            Code::Stored(otherwise) => {
                let (root, file) = self.by_name(declared, module, language)?;
                let reason = format!(
                    "{}; `{file}`, the only file that the handler can name, is taken for its source",
                    otherwise.reason
                );
                let mut said = Diagnostic::new(codes::TEMPLATE_UNRESOLVED, otherwise.place.clone(), reason);
                said.severity = Severity::Note;
                self.diagnostics.push(said);
                Some((Code::Folder(root), Some(file)))
            }
            Code::Inline(inline)
                if module != "index"
                    && !export.is_empty()
                    && !text.starts_with('/')
                    && matches!(declared.declared_as, "sam" | "cloudformation" | "cdk") =>
            {
                let place = Place::at(&declared.declared_at.file, inline.line);
                let reason = format!(
                    "inline code is deployed as `index`, and the handler is in `{module}`: what is written here is a placeholder"
                );
                match self.by_name(declared, module, language) {
                    Some((root, file)) => {
                        let reason = format!(
                            "{reason}; `{file}`, the only file that the handler can name, is taken for its source"
                        );
                        self.diagnostics.push(Diagnostic::new(codes::INLINE_CODE, place, reason));
                        Some((Code::Folder(root), Some(file)))
                    }
                    None => {
                        let diagnostic = Diagnostic::new(codes::TEMPLATE_UNRESOLVED, place, reason);
                        let diagnostic = diagnostic.next("name the folder that is deployed, or correct the handler");
                        Some((Code::Left(diagnostic), None))
                    }
                }
            }
            _ => None,
        }
    }

    /// The only file beside or below a declaration (for a module in a package: or below the folder above it) that can
    /// be the module of a handler, with the folder that the module's path starts in.
    fn by_name(&self, declared: &Declared, module: &str, language: Language) -> Option<(String, String)> {
        let module = module.trim_start_matches("./");
        let path = if language == Language::Python { module.replace('.', "/") } else { module.to_string() };
        if USUAL_MODULES.contains(&path.as_str()) {
            return None;
        }
        let dir = paths::parent(&declared.declared_at.file);
        // A template in a folder of its own has its sources beside that folder.
        let above = paths::parent(dir);
        let top = if path.contains('/') && above != "." && dir != "." { above } else { dir };
        let files: Vec<&str> = self.tree.under(top).take(MAX_LOOKED_THROUGH + 1).collect();
        if files.len() > MAX_LOOKED_THROUGH {
            return None;
        }
        let mut roots = files.into_iter().filter_map(|file| {
            let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
            let root = stem.strip_suffix(path.as_str())?;
            let root = if root.is_empty() { "." } else { root.strip_suffix('/')? };
            let inside = file.split('/').any(|part| matches!(part, "test" | "tests" | "node_modules" | "cdk.out"));
            (runtime::language_of(file) == Some(language) && !inside).then(|| (root.to_string(), file.to_string()))
        });
        let (only, file) = roots.next()?;
        // `x.ts` and the `x.js` built from it are one module.
        let located = handler::locate(self.tree, &only, &format!("{module}.x"), Some(language));
        roots.all(|(root, _)| root == only).then(|| (only, located.unwrap_or(file)))
    }

    fn read_folder_only(&self, site: &mut Site) {
        let Some(language) = site.handler_file.as_deref().and_then(runtime::language_of) else { return };
        let near = site.handler_file.as_deref().map_or(site.root.as_str(), paths::parent);
        let wanted = version::wanted(self.tree, near, language, self.defaults.version(language));
        if let Some(version) = wanted.and_then(|w| w.version) {
            site.platform = Some(self.defaults.platform(language, &version));
            site.platform_source = Some(PlatformSource::Manifest);
        }
    }

    fn locate(&mut self, declared: &Declared, site: &mut Site) {
        let language = site.platform.as_ref().map(|p| p.language);
        let Some(text) = &site.handler else { return };
        if site.inline.is_some() {
            return;
        }
        if site.handler_file.is_none() {
            site.handler_file = handler::locate(self.tree, &site.root, text, language)
                .or_else(|| self.entry_point(declared, &site.root, text))
                .or_else(|| self.in_layer(site, text, language));
        }
        // `/opt/…` lies in a layer; a name without a dot is a program (`bootstrap`, `run.sh`).
        let elsewhere = text.starts_with('/') || text.ends_with(".sh") || handler::split(text).1.is_empty();
        if site.handler_file.is_none() && !elsewhere {
            let place = match &declared.handler {
                Said::Text(_, place) => place.clone(),
                _ => site.declared_at.clone(),
            };
            let reason = format!("handler `{text}` is not in `{}`; all of that folder is read", site.root);
            let mut diagnostic = Diagnostic::new(codes::TEMPLATE_POINTS_NOWHERE, place, reason);
            // The function stays in the plan with its folder's dependencies.
            diagnostic.severity = Severity::Warning;
            self.diagnostics.push(diagnostic);
        }
    }

    /// A bundler writes each entry point to the top of what is deployed, under its own name.
    fn entry_point(&self, declared: &Declared, root: &str, text: &str) -> Option<String> {
        let (module, _) = handler::split(text);
        let named = |rel: &&String| paths::stem(rel) == paths::file_name(module);
        let only = declared.entry_points.first().filter(|_| declared.entry_points.len() == 1);
        let rel = declared.entry_points.iter().find(named).or(only)?;
        paths::join(root, rel).filter(|file| self.tree.contains(file))
    }

    /// Lambda looks for a handler's module on Python's path, layers included.
    fn in_layer(&self, site: &Site, text: &str, language: Option<Language>) -> Option<String> {
        let folders = site.layers.iter().filter_map(|layer| layer.folder.as_deref());
        folders
            .flat_map(|folder| [format!("{folder}/python"), folder.to_string()])
            .find_map(|root| handler::locate(self.tree, &root, text, language))
            .filter(|file| runtime::language_of(file) == Some(Language::Python))
    }

    fn architecture(&mut self, declared: &Declared, site: &mut Site) {
        let Said::Text(text, place) = &declared.architecture else { return };
        let arch = match text.as_str() {
            "arm64" => "aarch64",
            "x86_64" => "x86_64",
            other => {
                let reason = format!("architecture `{other}` is neither x86_64 nor arm64");
                self.diagnostics.push(Diagnostic::new(codes::RUNTIME_UNKNOWN, place.clone(), reason));
                site.platform = None;
                site.platform_source = None;
                return;
            }
        };
        if let Some(platform) = &mut site.platform {
            platform.arch = arch.into();
        }
    }

    fn image(&mut self, dockerfile: &str, declared: &Declared, site: &mut Site) {
        let (platform, command) = match self.tree.text(dockerfile) {
            Ok(text) => version::dockerfile(&text),
            Err(diagnostic) => {
                self.diagnostics.push(diagnostic);
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
                self.architecture(declared, site);
            }
            None if self.tree.contains(dockerfile) => {
                let reason =
                    "its last stage is not built from a Python or Node.js image of a version that warmset plans for";
                let mut said = Diagnostic::new(codes::RUNTIME_UNKNOWN, Place::file(dockerfile), reason);
                let text = self.tree.text(dockerfile).unwrap_or_default();
                if !["python", "node"].iter().any(|name| text.contains(name)) {
                    // An image of another language is in order.
                    said.severity = Severity::Note;
                }
                self.diagnostics.push(said);
            }
            None => {}
        }
    }
}

/// The code at a path that a declaration names, as seen from `dir`; `what` is its name for people (`CodeUri`).
pub fn code_at(tree: &Tree, dir: &str, text: &str, what: &str, place: &Place) -> Code {
    let left = |code, reason: String| Code::Left(Diagnostic::new(code, place.clone(), reason));
    let Some(path) = paths::join(dir, text) else {
        return left(codes::TEMPLATE_POINTS_NOWHERE, format!("{what} `{text}` leaves the scanned folder"));
    };
    if tree.has_dir(&path) {
        return Code::Folder(tree.real(&path).into_owned());
    }
    let is_archive = matches!(paths::extension(&path), "zip" | "jar" | "war");
    if tree.contains(&path) {
        return if is_archive {
            Code::Folder(path)
        } else if runtime::language_of(&path).is_some() {
            Code::File(tree.real(&path).into_owned())
        } else {
            left(codes::TEMPLATE_UNRESOLVED, format!("{what} `{text}` is a file that is neither source nor archive"))
        };
    }
    if is_archive {
        let reason = if tree.is_excluded(&path) {
            format!("{what} `{text}` is an archive that an ignore file excludes")
        } else {
            format!("{what} `{text}` is an archive that a build makes")
        };
        let diagnostic = Diagnostic::new(codes::TEMPLATE_POINTS_NOWHERE, place.clone(), reason);
        let mut diagnostic = diagnostic.next("build it where it is named, or name the folder that it is made from");
        diagnostic.severity = Severity::Warning;
        return Code::Built { archive: path, otherwise: diagnostic };
    }
    let reason = if tree.is_excluded(&path) {
        format!("{what} `{text}` is hidden, installed or excluded by an ignore file")
    } else {
        format!("{what} `{text}` does not exist")
    };
    left(codes::TEMPLATE_POINTS_NOWHERE, reason)
}

/// The content of a layer at a path: a folder of the tree (an archive that the tree can list is one).
pub fn layer_at(tree: &Tree, dir: &str, text: &str) -> Option<String> {
    paths::join(dir, text).filter(|path| tree.has_dir(path)).map(|path| tree.real(&path).into_owned())
}
