//! Python itself as the oracle: its `ast` and this module must see the same statements in the standard library.

use std::collections::BTreeMap;
use std::process::Command;

use super::*;
use crate::model::ImportKind;

/// Prints `path \t line \t module \t names` for every import statement of every library file that this Python compiles,
/// and a line with the path alone for each such file; those below the folders in `WARMSET_TEST_FOLDERS` as well. The library's own tests, and more than every sixth file, only with
/// `WARMSET_TEST_ALL` set: without optimisation they take minutes.
const SCRIPT: &str = r#"
import ast, os, sysconfig, warnings
warnings.simplefilter("ignore")
roots = [sysconfig.get_path("stdlib"), *filter(None, os.environ.get("WARMSET_TEST_FOLDERS", "").split(os.pathsep))]
for folder, folders, files in (entry for root in roots for entry in os.walk(root)):
    skipped = ("site-packages", "__pycache__") + (() if "WARMSET_TEST_ALL" in os.environ else ("test", "tests", "idlelib"))
    folders[:] = sorted(f for f in folders if f not in skipped)
    for name in sorted(files):
        if not name.endswith(".py"):
            continue
        path = os.path.join(folder, name)
        try:
            tree = ast.parse(open(path, "rb").read())
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        print(path)
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    print(path, node.lineno, alias.name, "", sep="\t")
            elif isinstance(node, ast.ImportFrom):
                module = "." * node.level + (node.module or "")
                print(path, node.lineno, module, ",".join(a.name for a in node.names), sep="\t")
"#;

type Statements = Vec<(u32, String, String)>;

fn python_says() -> Option<BTreeMap<String, Statements>> {
    let python = std::env::var("WARMSET_TEST_PYTHON").unwrap_or_else(|_| "python3".to_string());
    let output = Command::new(python).args(["-c", SCRIPT]).env("PYTHONIOENCODING", "utf-8").output().ok()?;
    if !output.status.success() {
        return None;
    }
    let mut files: BTreeMap<String, Statements> = BTreeMap::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let file = files.entry(fields[0].to_string()).or_default();
        if let [_, number, module, names] = fields[..] {
            file.push((number.parse().ok()?, module.to_string(), names.to_string()));
        }
    }
    Some(files)
}

fn statements(found: &FileImports) -> Statements {
    let is_statement = |kind| !matches!(kind, ImportKind::Dynamic | ImportKind::DynamicUnknown);
    let import = |i: &crate::source::RawImport| (i.line, i.module.clone(), i.names.join(","));
    found.imports.iter().filter(|i| is_statement(i.kind)).map(import).collect()
}

#[test]
fn the_standard_library_is_read_as_python_reads_it() {
    let Some(mut expected) = python_says().filter(|files| !files.is_empty()) else {
        let required = std::env::var_os("WARMSET_REQUIRE_TOOLS").is_some_and(|v| !v.is_empty() && v != "0");
        assert!(!required, "WARMSET_REQUIRE_TOOLS is set, and python3 does not run");
        println!("skipped: no python3");
        return;
    };
    if std::env::var_os("WARMSET_TEST_ALL").is_none() {
        let mut number = 0;
        expected.retain(|_, _| {
            number += 1;
            number % 6 == 0
        });
    }
    let (mut differ, mut disagree, mut first_parser, mut optional_calls) = (Vec::new(), Vec::new(), 0, 0);
    let (mut rustpython_time, mut ruff_time) = (std::time::Duration::ZERO, std::time::Duration::ZERO);
    for (path, expected) in &expected {
        let bytes = std::fs::read(path).unwrap();
        let found = imports(path, &bytes);
        // `try: __import__("x")` counts as an optional import here, and as no statement there.
        let mut ours = statements(&found);
        let mut theirs = expected.clone();
        ours.sort();
        theirs.sort();
        let extra: Vec<_> = ours.iter().filter(|i| !theirs.contains(i)).cloned().collect();
        let calls = extra.iter().filter(|(line, _, names)| names.is_empty() && is_call(&bytes, *line)).count();
        optional_calls += calls;
        let codes = found.diagnostics.iter().filter(|d| d.code != codes::DYNAMIC_IMPORT.id).count();
        if theirs.iter().any(|i| !ours.contains(i))
            || extra.len() != calls
            || ours.len() != theirs.len() + calls
            || codes > 0
        {
            differ.push((path.clone(), extra, found.diagnostics.clone()));
        }
        let text = encoding::decode(&bytes).unwrap();
        let mut nesting = nesting::scan(&text, Syntax::Python);
        nesting.depth += deepest_indent(&text);
        let start = std::time::Instant::now();
        let by_rustpython =
            read(path, &text, nesting, |text, calls| match rustpython_parser::ast::Suite::parse(text, "") {
                Ok(suite) => Parsed::Whole(lower_rustpython::lower(&suite, calls)),
                Err(e) => Parsed::Broken { offset: 0, reason: e.to_string(), nodes: Vec::new() },
            });
        rustpython_time += start.elapsed();
        let start = std::time::Instant::now();
        let by_ruff = read(path, &text, nesting, parse_ruff);
        ruff_time += start.elapsed();
        if by_rustpython.as_ref().is_some_and(|f| f.diagnostics.iter().all(|d| d.code == codes::DYNAMIC_IMPORT.id)) {
            first_parser += 1;
            if by_rustpython != by_ruff {
                disagree.push(path.clone());
            }
        }
    }
    println!(
        "{} files; rustpython-parser reads {first_parser} in {rustpython_time:.1?}, Ruff's parser all in {ruff_time:.1?}; \
         {} differ from Python's ast; parsers disagree on {}; {optional_calls} guarded calls",
        expected.len(),
        differ.len(),
        disagree.len()
    );
    assert_eq!(disagree, Vec::<String>::new());
    assert!(differ.is_empty(), "{differ:#?}");
}

/// Whether a line imports by a call: the one kind of import that is no statement but may be optional or type-only.
fn is_call(bytes: &[u8], line: u32) -> bool {
    let line = bytes.split(|&b| b == b'\n').nth(line as usize - 1).unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    classify::CALLS.iter().any(|word| line.contains(word))
}
