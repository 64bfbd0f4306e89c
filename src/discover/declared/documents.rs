//! YAML declarations that are told apart by what they say rather than by their names: every file is read once.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::common::Fleet;
use super::{fission, func_yaml, nuclio, openfaas, openwhisk};
use crate::discover::doc::{self, Node};
use crate::discover::tree::Tree;
use crate::discover::{Defaults, Discovery, paths, runtime};
use crate::model::{Diagnostic, Place, codes};

/// Declarations are written by hand.
const MAX_BYTES: u64 = 1_000_000;
/// Sources with a declaration in their comments are small.
const MAX_SOURCE: u64 = 64_000;

/// What a file is.
enum Document {
    OpenFaas(Node),
    Func(Node),
    Service(Vec<Node>),
    Manifest(Node),
    Project(Node),
    Fission(Vec<Node>),
    Nuclio(Vec<Node>),
    Comments(String),
    Broken(Diagnostic),
}

/// Reads every declaration of OpenFaaS, Knative, Fn, OpenWhisk, DigitalOcean, Fission and Nuclio.
pub fn find(tree: &Tree, defaults: &Defaults, found: &mut Discovery) {
    let fleet = Fleet { tree, defaults };
    let mut sources: BTreeMap<&str, usize> = BTreeMap::new();
    for path in tree.files().filter(|path| runtime::language_of(path).is_some()) {
        *sources.entry(paths::parent(path)).or_default() += 1;
    }
    let alone = |path: &str| sources.get(paths::parent(path)) == Some(&1);
    let candidates: Vec<&str> = tree.files().filter(|path| may_be(tree, path, alone(path))).collect();
    let read: Vec<Option<Document>> = candidates.par_iter().map(|path| read(tree, path)).collect();
    let mut specs: BTreeMap<&str, Vec<(&str, Node)>> = BTreeMap::new();
    for (path, document) in candidates.into_iter().zip(read) {
        match document {
            None => {}
            Some(Document::OpenFaas(root)) => openfaas::read(fleet, path, &root, found),
            Some(Document::Func(root)) => func_yaml::read(fleet, path, &root, found),
            Some(Document::Service(all)) => all.iter().for_each(|root| func_yaml::service(fleet, path, root, found)),
            Some(Document::Manifest(root)) => openwhisk::manifest(fleet, path, &root, found),
            Some(Document::Project(root)) => openwhisk::project(fleet, path, &root, found),
            Some(Document::Fission(all)) => {
                specs.entry(paths::parent(path)).or_default().extend(all.into_iter().map(|root| (path, root)));
            }
            Some(Document::Nuclio(all)) => {
                for root in all.iter().filter(|root| nuclio::is_function(root)) {
                    nuclio::read(fleet, path, root, None, 0, found);
                }
            }
            Some(Document::Comments(text)) => nuclio::source(fleet, path, &text, found),
            Some(Document::Broken(diagnostic)) => found.diagnostics.push(diagnostic),
        }
    }
    for (dir, documents) in &specs {
        fission::read(fleet, dir, documents, found);
    }
}

fn may_be(tree: &Tree, path: &str, alone: bool) -> bool {
    let small = |limit| tree.size(path).is_some_and(|size| size <= limit);
    match paths::extension(path) {
        "yaml" | "yml" => small(MAX_BYTES) && paths::file_name(path) != "pnpm-lock.yaml",
        "py" | "js" => {
            let named = matches!(paths::stem(path), "handler" | "main" | "function" | "app" | "index");
            small(MAX_SOURCE) && (named || alone)
        }
        _ => false,
    }
}

fn read(tree: &Tree, path: &str) -> Option<Document> {
    let text = match tree.text(path) {
        Ok(text) => text,
        // What may hold anything else is passed over.
        Err(diagnostic) => {
            return matches!(paths::file_name(path), "func.yaml" | "func.yml").then_some(Document::Broken(diagnostic));
        }
    };
    if matches!(paths::extension(path), "py" | "js") {
        return text.contains("@nuclio.configure").then_some(Document::Comments(text));
    }
    let name = paths::file_name(path);
    let invalid = |error: doc::DocError| {
        Document::Broken(Diagnostic::new(codes::TEMPLATE_INVALID, Place::at(path, error.line), error.reason))
    };
    let one = |make: fn(Node) -> Document| Some(doc::parse(&text).map_or_else(invalid, make));
    // What only may be one is passed over where it cannot be read: charts are full of braces.
    let maybe = |make: fn(Node) -> Document| doc::parse(&text).ok().map(make);
    let all = |make: fn(Vec<Node>) -> Document| doc::parse_all(&text).ok().map(make);
    match name {
        "func.yaml" | "func.yml" => return one(Document::Func),
        "manifest.yaml" | "manifest.yml" if text.contains("packages:") || text.contains("package:") => {
            return maybe(Document::Manifest);
        }
        "project.yml" | "project.yaml" if text.contains("packages:") => return maybe(Document::Project),
        "stack.yml" | "stack.yaml" if openfaas::may_be(&text) => return one(Document::OpenFaas),
        _ => {}
    }
    if text.contains("fission.io/") || text.contains("ArchiveUploadSpec") {
        return all(Document::Fission);
    }
    if text.contains("NuclioFunction") || text.contains("nuclio.io/") {
        return all(Document::Nuclio);
    }
    if text.contains("serving.knative.dev/") {
        return all(Document::Service);
    }
    if openfaas::may_be(&text) && !name.starts_with("serverless.") { maybe(Document::OpenFaas) } else { None }
}
