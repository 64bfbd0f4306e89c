//! Nuclio functions: `function.yaml`, and the same written as comments in a source file after `@nuclio.configure`.
//!
//! Supported: `spec.runtime`, `spec.handler` (`module:function`), `spec.env`, `spec.build`. Code that is written inside
//! (`functionSourceCode`) or lies elsewhere (`codeEntryType`) is named; what build commands and base images install is
//! not known. Comments are looked for in files that are called like a handler, or are alone in their folder.
//! <https://docs.nuclio.io/en/stable/reference/function-configuration/function-configuration-reference.html>

use super::common::{Fleet, Says, id, variables};
use crate::discover::doc::{self, Node};
use crate::discover::{Discovery, Provider, Site, paths, runtime};
use crate::model::support::{Area, Extent, Support};
use crate::model::{Diagnostic, Language, Place, codes};

/// What is read.
pub const SUPPORT: Support = Support {
    area: Area::Declaration,
    what: "Nuclio",
    files: "function.yaml of nuclio.io, @nuclio.configure in sources",
    extent: Extent::Partly,
    note: "what build commands and base images install is not known",
};

/// Whether a document is one.
pub(super) fn is_function(root: &Node) -> bool {
    let kind = root.get("kind").and_then(Node::text);
    let version = root.get("apiVersion").and_then(Node::text).unwrap_or("");
    kind == Some("NuclioFunction") || (kind == Some("Function") && version.starts_with("nuclio.io"))
}

/// `function.yaml`; `line_offset` is where it starts, when it is part of another file.
pub(super) fn read(
    fleet: Fleet<'_>,
    path: &str,
    root: &Node,
    source: Option<&str>,
    offset: u32,
    found: &mut Discovery,
) {
    let Some(spec) = root.get("spec") else { return };
    let dir = paths::parent(path);
    let at = |line: u32| Place::at(path, line + offset);
    let folder = if dir == "." { "root" } else { paths::file_name(dir) };
    let fallback = source.map_or(folder, paths::stem);
    let name = root.at(&["metadata", "name"]).and_then(Node::text).unwrap_or(fallback).to_string();
    let id = id(dir, &name);
    let mut site = Site {
        provider: Provider::Nuclio,
        environment: variables(spec.get("env")),
        ..Site::new("nuclio", at(root.line), id.clone(), name, dir.to_string())
    };
    let build = spec.get("build");
    let inside = build.and_then(|b| b.entry("functionSourceCode"));
    let elsewhere = build.and_then(|b| b.entry("codeEntryType")).filter(|e| e.value.text() != Some("sourceCode"));
    if let Some(entry) = inside.or(elsewhere) {
        let (code, reason) = if inside.is_some() {
            (codes::INLINE_CODE, "the code is written inside its declaration")
        } else {
            (codes::TEMPLATE_UNRESOLVED, "the code is fetched when the function is built")
        };
        found.diagnostics.push(Diagnostic::new(code, at(entry.line), reason).for_function(&id));
        return;
    }
    let path_entry = build.and_then(|b| b.get("path")).and_then(Node::text);
    if let Some(root) = path_entry.and_then(|p| paths::join(dir, p)).filter(|d| fleet.tree.has_dir(d)) {
        site.root = root;
    }
    let says = spec.entry("runtime").and_then(|e| Some((e.value.text()?.to_string(), at(e.line))));
    let language = says.as_ref().and_then(|(text, _)| match runtime::parse(text) {
        runtime::Runtime::Version(language, _) | runtime::Runtime::Language(language) => Some(language),
        runtime::Runtime::Unknown => None,
    });
    let text = spec.get("handler").and_then(Node::text).unwrap_or("");
    let (module, function) = text.rsplit_once(':').unwrap_or(("", text));
    let module = module.trim_end_matches(".py").trim_end_matches(".js");
    let sources = || fleet.tree.files_in(&site.root).filter(|f| runtime::language_of(f) == language);
    let file = match (source, language) {
        (Some(source), _) => Some(source.to_string()),
        (None, None) => None,
        (None, Some(language)) => {
            let extension = if language == Language::Python { "py" } else { "js" };
            let named = (!module.is_empty()).then(|| format!("{}.{extension}", module.replace('.', "/")));
            named.and_then(|rel| fleet.file(&site.root, &rel)).or_else(|| {
                // Without a module, or with one that says something else, the only source is meant.
                let mut all = sources();
                let only = all.next().map(str::to_string);
                only.filter(|_| all.next().is_none())
            })
        }
    };
    if language.is_some() {
        let function = if function.is_empty() { "handler" } else { function };
        let module = if module.is_empty() { file.as_deref().map_or("main", paths::stem) } else { module };
        site.handler = Some(format!("{module}.{function}"));
    }
    site.handler_file = file;
    // Installed by commands, or there already: it may explain what nothing else does.
    let installs = build.and_then(|b| b.get("commands")).map(Node::items).unwrap_or_default();
    let installs = installs.iter().filter_map(Node::text).find(|c| c.contains("pip") || c.contains("npm"));
    let image = build.and_then(|b| b.get("baseImage")).and_then(Node::text);
    site.beneath =
        installs.map(|c| format!("the build command `{c}`")).or_else(|| image.map(|i| format!("the image {i}")));
    fleet.add(site, Says::of(says, None), found);
}

/// The configuration in a source's comments, as YAML, and the line that it starts after.
pub(super) fn in_comments(text: &str) -> Option<(String, u32)> {
    let mut lines = (1u32..).zip(text.lines());
    let strip = |line: &str| {
        let line = line.trim_start();
        line.strip_prefix("//").or_else(|| line.strip_prefix('#')).map(str::to_string)
    };
    lines.find(|(_, line)| strip(line).is_some_and(|l| l.trim() == "@nuclio.configure"))?;
    let (start, _) =
        lines.find(|(_, line)| strip(line).is_some_and(|l| l.trim().trim_end_matches(':') == "function.yaml"))?;
    let mut out = String::new();
    for (_, line) in lines {
        let Some(inner) = strip(line) else { break };
        out.push_str(&inner);
        out.push('\n');
    }
    Some((out, start))
}

/// Reads the comments of a source.
pub(super) fn source(fleet: Fleet<'_>, path: &str, text: &str, found: &mut Discovery) {
    let Some((yaml, offset)) = in_comments(text) else { return };
    match doc::parse(&yaml) {
        Ok(root) => read(fleet, path, &root, Some(path), offset, found),
        Err(error) => found.diagnostics.push(Diagnostic::new(
            codes::TEMPLATE_INVALID,
            Place::at(path, error.line + offset),
            error.reason,
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::run;

    #[test]
    fn function_yaml_names_module_and_function() {
        let yaml = "apiVersion: nuclio.io/v1\nkind: NuclioFunction\nmetadata:\n  name: face\nspec:\n  runtime: python:3.9\n  handler: face:go\n  env:\n  - name: MODE\n    value: fast\n  build:\n    commands:\n    - pip install pillow\n";
        let inline = "kind: NuclioFunction\nspec:\n  runtime: nodejs\n  handler: main:handler\n  build:\n    functionSourceCode: eA==\n";
        let found = run(&[
            ("face/function.yaml", yaml),
            ("face/face.py", ""),
            ("face/other.py", ""),
            ("inline/function.yaml", inline),
            ("go/function.yaml", "kind: NuclioFunction\nspec:\n  runtime: golang\n  handler: x:Y\n"),
        ]);
        assert_eq!(found.0, ["face/face nuclio face python3.9 face/face.py face.go", "go/go nuclio go ? - -"]);
        assert_eq!(found.1, ["go/function.yaml:3 runtime-unknown", "inline/function.yaml:6 inline-code"]);
    }

    #[test]
    fn comments_of_a_source_are_a_declaration_too() {
        let python = "import os\n# @nuclio.configure\n#\n# function.yaml:\n#   metadata:\n#     name: parser\n#   spec:\n#     runtime: python:3.11\n#     handler: parse\n\ndef parse(context, event): ...\n";
        let broken = "// @nuclio.configure\n//\n// function.yaml:\n//   spec: [\n";
        let found = run(&[("p/parser.py", python), ("b/handler.js", broken)]);
        assert_eq!(found.0, ["p/parser nuclio p python3.11 p/parser.py parser.parse"]);
        assert_eq!(found.1.len(), 1);
        assert!(found.1[0].starts_with("b/handler.js:") && found.1[0].ends_with("template-invalid"), "{:?}", found.1);
    }
}
