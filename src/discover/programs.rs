//! The runtime that a deploying program gives to the plain folders below it: CDK applications and Terraform modules.
//!
//! The programs are not run. What they name is found in their text: where all runtimes of one language that a program
//! names are the same one, its functions in that language run on it; where it names several, or takes one from a
//! variable, nobody can say without running it.

use std::collections::{BTreeMap, BTreeSet};

use super::paths;
use super::runtime;
use super::tree::Tree;
use super::version::Wanted;
use crate::model::{Language, Place};

/// Languages that CDK applications are written in.
const CDK_SOURCES: [&str; 7] = ["ts", "js", "mjs", "py", "java", "cs", "go"];
/// A program has tens of files; what has more is a repository.
const MAX_FILES: usize = 400;

/// What the programs of a tree name, each read once.
#[derive(Debug, Default)]
pub struct Programs {
    named: BTreeMap<String, BTreeMap<String, Place>>,
    /// Whether a folder holds a Terraform module.
    terraform: BTreeMap<String, bool>,
}

impl Programs {
    /// The one runtime of a language that the nearest program above a folder names.
    pub fn runtime(&mut self, tree: &Tree, dir: &str, language: Language) -> Option<Wanted> {
        let project = paths::ancestors(dir).find_map(|above| {
            let is_cdk = paths::join(above, "cdk.json").is_some_and(|path| tree.contains(&path));
            (is_cdk || self.is_terraform(tree, above)).then_some((above, is_cdk))
        });
        let (project, is_cdk) = project?;
        let named = self.named.entry(project.to_string()).or_insert_with(|| {
            let files: Vec<&str> = if is_cdk {
                tree.under(project)
                    .filter(|path| CDK_SOURCES.contains(&paths::extension(path)))
                    .take(MAX_FILES)
                    .collect()
            } else {
                terraform(tree, project).collect()
            };
            let mut named = BTreeMap::new();
            for file in files {
                let Ok(text) = tree.text(file) else { continue };
                for (line, name) in names(&text, is_cdk) {
                    named.entry(name).or_insert_with(|| Place::at(file, line));
                }
            }
            named
        });
        let of_language = |name: &str| match runtime::parse(name) {
            runtime::Runtime::Version(l, version) if l == language => Some(Some(version)),
            // A version that does not exist, or `latest`: of this language, but nothing to go by.
            runtime::Runtime::Language(l) if l == language => Some(None),
            _ => None,
        };
        let found: Vec<_> = named.iter().filter_map(|(name, at)| Some((name, at, of_language(name)?))).collect();
        let versions: BTreeSet<_> = found.iter().map(|(_, _, version)| version).collect();
        match (&found[..], versions.len()) {
            ([(name, place, Some(version)), ..], 1) => {
                Some(Wanted { version: Some(version.clone()), text: (*name).clone(), place: (*place).clone() })
            }
            _ => None,
        }
    }

    /// Asked of the same folders for every function below them.
    fn is_terraform(&mut self, tree: &Tree, dir: &str) -> bool {
        if let Some(known) = self.terraform.get(dir) {
            return *known;
        }
        let is = terraform(tree, dir).next().is_some();
        self.terraform.insert(dir.to_string(), is);
        is
    }
}

fn terraform<'a>(tree: &'a Tree, dir: &str) -> impl Iterator<Item = &'a str> + use<'a> {
    tree.files_in(dir).filter(|path| paths::extension(path) == "tf")
}

/// Runtimes that a program names, as providers spell them, with their lines: `Runtime.PYTHON_3_12` and
/// `Runtime.NODEJS_20_X` (`Runtime_NODEJS_20_X()` in Go), or `runtime = "python3.12"` in Terraform.
fn names(text: &str, is_cdk: bool) -> Vec<(u32, String)> {
    let mut found = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        if is_cdk {
            for rest in line.split("Runtime").skip(1) {
                let Some(rest) = rest.strip_prefix(['.', '_']) else { continue };
                let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
                let (name, _) = rest.split_at(end);
                if let Some(version) = name.strip_prefix("PYTHON_") {
                    found.push((number, format!("python{}", version.replace('_', "."))));
                } else if let Some(version) = name.strip_prefix("NODEJS_") {
                    let version = version.strip_suffix("_X").unwrap_or(version).to_ascii_lowercase();
                    found.push((number, format!("nodejs{}", version.replace('_', "."))));
                } else if name == "NODEJS" {
                    found.push((number, "nodejs".to_string()));
                }
            }
        } else if let Some((key, value)) = line.split_once('=') {
            let value = value.trim();
            let literal = value.strip_prefix('"').and_then(|v| v.split('"').next());
            if key.trim() == "runtime" {
                match literal.filter(|v| !v.contains("${")) {
                    Some(name) => found.push((number, name.to_string())),
                    // From a variable: of whichever language.
                    None => found.extend(["python3", "nodejs"].map(|name| (number, name.to_string()))),
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runtimes_are_named_as_providers_spell_them() {
        let cdk =
            "runtime: lambda.Runtime.NODEJS_20_X,\n_lambda.Runtime.PYTHON_3_12, Runtime.JAVA_17\nRuntime_PYTHON_3_9()";
        let expected = [(1, "nodejs20"), (2, "python3.12"), (3, "python3.9")];
        assert_eq!(names(cdk, true), expected.map(|(n, t)| (n, t.to_string())));
        assert_eq!(names("compatibleRuntimes = x\nclass Runtime:\nNodejsRuntime.X", true), []);
        assert_eq!(names("Runtime.NODEJS_LATEST", true), [(1, "nodejslatest".to_string())]);
        let terraform = "  runtime       = \"nodejs24.x\"\n  runtime = var.runtime\n# runtime\n";
        let expected = [(1, "nodejs24.x"), (2, "python3"), (2, "nodejs")];
        assert_eq!(names(terraform, false), expected.map(|(n, t)| (n, t.to_string())));
    }

    #[test]
    fn a_program_that_names_one_runtime_decides_it() {
        let tree = Tree::in_memory(&[
            ("one/cdk.json", b""),
            ("one/lib/stack.ts", b"a(Runtime.NODEJS_24_X);\nb(Runtime.NODEJS_24_X)\nc(Runtime.PYTHON_3_13)"),
            ("one/lambda/index.js", b""),
            ("two/cdk.json", b""),
            ("two/stack.py", b"Runtime.PYTHON_3_12\nRuntime.PYTHON_3_13"),
            ("tf/main.tf", b"runtime = \"python3.13\""),
            ("tf/src/app.py", b""),
            ("var/main.tf", b"runtime = var.x"),
            ("var/other.tf", b"runtime = \"nodejs20.x\""),
            ("latest/cdk.json", b""),
            ("latest/a.ts", b"Runtime.NODEJS_LATEST"),
        ]);
        let mut programs = Programs::default();
        let mut of = |dir: &str, language| {
            programs.runtime(&tree, dir, language).map(|w| (w.version.unwrap_or_default(), w.place.to_string()))
        };
        let some = |version: &str, place: &str| Some((version.to_string(), place.to_string()));
        assert_eq!(of("one/lambda", Language::Node), some("24", "one/lib/stack.ts:1"));
        assert_eq!(of("one/lambda", Language::Python), some("3.13", "one/lib/stack.ts:3"));
        assert_eq!(of("two", Language::Python), None);
        assert_eq!(of("tf/src", Language::Python), some("3.13", "tf/main.tf:1"));
        assert_eq!(of("tf/src", Language::Node), None);
        assert_eq!(of("var", Language::Node), None);
        assert_eq!(of("latest", Language::Node), None);
        assert_eq!(of("elsewhere", Language::Node), None);
    }
}
