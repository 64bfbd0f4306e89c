//! `serverless.ts` and `serverless.js`: a service that is written as data in a program.
//!
//! The exported object is read with its constants, and so is what it takes from other files of the service: relative
//! imports, and those that `paths` of the TypeScript configuration resolves. Nothing is run; what would have to be stays
//! unknown, and is reported where it matters.

use std::collections::BTreeSet;

use crate::discover::code::{self, FOLDER, IMPORT, Module};
use crate::discover::doc::{self, Entry, Node, Value};
use crate::discover::paths;
use crate::discover::tree::Tree;

/// Files that files take values from.
const MAX_FILES: usize = 12;
/// Values of the whole service, imported ones included.
const MAX_VALUES: usize = 100_000;

/// The service as a tree, with `line and reason` where the file exports no object.
pub(super) fn service(tree: &Tree, path: &str, text: &str) -> Result<Node, (u32, String)> {
    let module = code::javascript(path, text)?;
    let root = module
        .export("default")
        .ok_or_else(|| (0, "the service is described by a program that exports no object".to_string()))?;
    let mut reader =
        Reader { tree, dir: paths::parent(path), aliases: aliases(tree, paths::parent(path)), left: MAX_VALUES };
    let root = reader.settle(root, &module, path, &mut BTreeSet::new());
    if root.is_map() {
        Ok(root)
    } else {
        Err((root.line, "the service is described by a program, which warmset does not run".into()))
    }
}

struct Reader<'a> {
    tree: &'a Tree,
    dir: &'a str,
    /// `@functions/*` and the path that it stands for.
    aliases: Vec<(String, String)>,
    left: usize,
}

impl Reader<'_> {
    /// A value of `file` with what it takes from other files put in. `open` are the files that are being read.
    fn settle(&mut self, node: &Node, module: &Module, file: &str, open: &mut BTreeSet<String>) -> Node {
        let Some(left) = self.left.checked_sub(1) else { return node.clone() };
        self.left = left;
        let value = match &node.value {
            Value::Text(local) if node.tag.as_deref() == Some(IMPORT) => {
                return self.imported(local, node.line, module, file, open).unwrap_or_else(|| node.clone());
            }
            Value::Text(text) if node.tag.is_none() && text.contains(FOLDER) => {
                let folder = paths::parent(file);
                let inner =
                    if folder == self.dir { "." } else { paths::relative_to(folder, self.dir).unwrap_or(folder) };
                Value::Text(text.replace(FOLDER, inner))
            }
            Value::List(items) => Value::List(items.iter().map(|i| self.settle(i, module, file, open)).collect()),
            Value::Map(entries) => {
                let mut out: Vec<Entry> = Vec::new();
                for entry in entries {
                    let value = self.settle(&entry.value, module, file, open);
                    match value.value {
                        // `...imported` adds its own keys.
                        Value::Map(inner) if entry.key == "..." => out.extend(inner),
                        _ => out.push(Entry { key: entry.key.clone(), line: entry.line, value }),
                    }
                }
                Value::Map(out)
            }
            other => other.clone(),
        };
        Node { line: node.line, tag: node.tag.clone(), value }
    }

    /// What another file gives by a name; lines are those of the place that asks for it.
    fn imported(
        &mut self,
        local: &str,
        line: u32,
        module: &Module,
        file: &str,
        open: &mut BTreeSet<String>,
    ) -> Option<Node> {
        let import = module.import(local)?;
        let target = self.resolve(file, &import.module)?;
        if open.len() >= MAX_FILES || !open.insert(target.clone()) {
            return None;
        }
        let value = self.tree.text(&target).ok().and_then(|text| {
            if paths::extension(&target) == "json" {
                return doc::parse(&text).ok();
            }
            let other = code::javascript(&target, &text).ok()?;
            let node = match import.name.as_str() {
                "*" if other.export("default").is_none() => {
                    Node { line, tag: None, value: Value::Map(other.exports.clone()) }
                }
                "*" => other.export("default")?.clone(),
                name => other.export(name).cloned().or_else(|| other.export("default")?.get(name).cloned())?,
            };
            Some(self.settle(&node, &other, &target, open))
        });
        open.remove(&target);
        value.map(|value| at_line(value, line))
    }

    /// The file of a module specifier.
    fn resolve(&self, from: &str, specifier: &str) -> Option<String> {
        let base = if specifier.starts_with('.') {
            paths::join(paths::parent(from), specifier)?
        } else {
            self.aliases.iter().find_map(|(pattern, target)| {
                let (before, after) = pattern.split_once('*').unwrap_or((pattern, ""));
                let rest = specifier.strip_prefix(before)?.strip_suffix(after)?;
                if !pattern.contains('*') && !rest.is_empty() {
                    return None;
                }
                paths::join(self.dir, &target.replacen('*', rest, 1))
            })?
        };
        let endings = ["", ".ts", ".js", ".mjs", ".cjs", ".json", "/index.ts", "/index.js"];
        endings.iter().map(|end| format!("{base}{end}")).find(|path| self.tree.contains(path))
    }
}

fn at_line(mut node: Node, line: u32) -> Node {
    node.line = line;
    node.value = match node.value {
        Value::List(items) => Value::List(items.into_iter().map(|i| at_line(i, line)).collect()),
        Value::Map(entries) => {
            Value::Map(entries.into_iter().map(|e| Entry { key: e.key, line, value: at_line(e.value, line) }).collect())
        }
        other => other,
    };
    node
}

/// `compilerOptions.paths` of the service's folder, also through one `extends`.
fn aliases(tree: &Tree, dir: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for name in ["tsconfig.json", "tsconfig.paths.json", "jsconfig.json"] {
        let root = paths::join(dir, name).and_then(|p| tree.text(&p).ok()).and_then(|t| doc::parse(&t).ok());
        let Some(options) = root.as_ref().and_then(|r| r.get("compilerOptions")) else { continue };
        let base = options.get("baseUrl").and_then(Node::text).unwrap_or(".");
        for entry in options.get("paths").into_iter().flat_map(Node::entries) {
            let target = entry.value.items().first().and_then(Node::text);
            found.extend(target.map(|t| (entry.key.clone(), format!("{base}/{t}"))));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::tests::{run, sites};

    #[test]
    fn services_in_code_are_read_as_far_as_they_are_data() {
        let service = "import type { AWS } from '@serverless/typescript';\nimport hello from '@functions/hello';\nimport { shared } from './shared';\n\nconst runtime = 'nodejs20.x';\nconst config: AWS = {\n  service: 's',\n  plugins: ['serverless-esbuild'],\n  provider: { name: 'aws', runtime, environment: { STAGE: '${opt:stage, \"dev\"}' } },\n  functions: {\n    hello,\n    ...shared,\n    own: { handler: 'src/own.main', runtime: 'python3.12' },\n    late: { handler: process.env.HANDLER },\n    made: makeFunction('x'),\n  },\n};\nmodule.exports = config;\n";
        let files = [
            ("svc/serverless.ts", service),
            ("svc/tsconfig.json", "{\"extends\": \"./tsconfig.paths.json\"}"),
            (
                "svc/tsconfig.paths.json",
                "{\"compilerOptions\": {\"baseUrl\": \".\", \"paths\": {\"@functions/*\": [\"src/functions/*\"]}}}",
            ),
            (
                "svc/src/functions/hello/index.ts",
                "import { handlerPath } from '@libs/handler-resolver';\nexport default {\n  handler: `${handlerPath(__dirname)}/handler.main`,\n};\n",
            ),
            ("svc/src/functions/hello/handler.ts", "export const main = 1;"),
            ("svc/shared.ts", "export const shared = { job: { handler: 'src/job.run' } };"),
            ("svc/src/job.ts", ""),
            ("svc/src/own.py", ""),
        ];
        let found = run(&files);
        assert_eq!(
            found.0,
            [
                "svc/hello serverless svc node20 svc/src/functions/hello/handler.ts src/functions/hello/handler.main",
                "svc/job serverless svc node20 svc/src/job.ts src/job.run",
                "svc/late serverless svc node20 - -",
                "svc/own serverless svc python3.12 svc/src/own.py src/own.main",
            ]
        );
        assert_eq!(found.1, ["svc/serverless.ts:14 template-unresolved", "svc/serverless.ts:15 template-unresolved"]);
        let all = sites(&files);
        assert!(all.iter().all(|s| s.bundled));
        assert_eq!(all[0].declared_at.to_string(), "svc/serverless.ts:11");
        assert_eq!(all[0].environment["STAGE"], "dev");
    }

    #[test]
    fn programs_and_circles_are_named() {
        let found = run(&[
            ("a/serverless.js", "module.exports = async () => ({ provider: {}, functions: {} });\n"),
            (
                "b/serverless.ts",
                "import { functions } from './b';\nexport default { provider: { name: 'aws' }, functions };\n",
            ),
            ("b/b.ts", "import { functions } from './c';\nexport { functions };\n"),
            ("b/c.ts", "import { functions } from './b';\nexport { functions };\n"),
            ("c/serverless.js", "const gulp = require('gulp');\n"),
        ]);
        assert!(found.0.is_empty());
        assert_eq!(found.1, ["a/serverless.js:1 template-unresolved", "b/serverless.ts:2 template-unresolved"]);
    }

    #[test]
    fn the_requirements_file_that_a_plugin_installs_is_the_functions() {
        let all = sites(&[
            (
                "serverless.yml",
                "plugins: [serverless-python-requirements]\ncustom: {pythonRequirements: {fileName: prod.txt}}\nprovider: {name: aws, runtime: python3.12}\nfunctions:\n  a: {handler: a.go}\n",
            ),
            ("a.py", ""),
            ("prod.txt", ""),
        ]);
        assert_eq!(all[0].installs, ["prod.txt"]);
        assert!(!all[0].bundled);
    }
}
