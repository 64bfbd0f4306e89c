//! Zip archives as functions and layers, packed by programs that know nothing of warmset.

mod common;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

/// Packs with Python's zipfile: lines of `path` and text, `\n` written out.
fn pack(archive: &Path, files: &[(&str, &str)]) {
    std::fs::create_dir_all(archive.parent().unwrap()).unwrap();
    let program = "import json, sys, zipfile\n\
                   with zipfile.ZipFile(sys.argv[1], 'w', zipfile.ZIP_DEFLATED) as z:\n    \
                   [z.writestr(name, text) for name, text in json.loads(sys.argv[2])]\n";
    let files = serde_json::to_string(files).unwrap();
    let status = Command::new("python3").args(["-c", program]).arg(archive).arg(files).status().unwrap();
    assert!(status.success());
}

fn scan(path: &Path, folder: &Path) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_warmset"))
        .args(["scan", "--format", "json", "-q"])
        .arg(path)
        .current_dir(folder)
        .output()
        .unwrap();
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&output.stderr)))
}

fn closure(inventory: &Value, id: &str) -> Vec<String> {
    let functions = inventory["functions"].as_array().unwrap();
    let function = functions.iter().find(|f| f["id"] == id).unwrap_or_else(|| panic!("no {id} in {inventory}"));
    let closure = function["closure"].as_array().unwrap();
    closure.iter().map(|id| id.as_str().unwrap().to_string()).collect()
}

const HANDLER: &str = "import flask\nimport helper\n\ndef lambda_handler(event, context):\n    return 1\n";

fn flask() -> Vec<(&'static str, &'static str)> {
    vec![
        ("lambda_function.py", HANDLER),
        ("helper.py", "import json\n"),
        ("flask/__init__.py", "import secrets_of_flask\n"),
        ("flask/app.py", "def lambda_handler(event, context): pass\n"),
        (
            "flask-2.0.1.dist-info/METADATA",
            "Metadata-Version: 2.1\nName: Flask\nVersion: 2.0.1\nRequires-Dist: click (>=7)\n",
        ),
        ("flask-2.0.1.dist-info/RECORD", "flask/__init__.py,sha256=x,1\nflask/app.py,,\n../../bin/flask,,\n"),
        ("click.py", "x = 1\n"),
        ("click-8.1.0.dist-info/METADATA", "Name: click\nVersion: 8.1.0\n"),
        ("click-8.1.0.dist-info/RECORD", "click.py,,\n"),
    ]
}

#[test]
fn a_built_archive_is_a_function_whose_lock_is_what_it_holds() {
    if !common::tool("python3") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    pack(&dir.path().join("fleet/api.zip"), &flask());
    pack(&dir.path().join("fleet/data.zip"), &[("rows.csv", "1,2\n")]);
    let inventory = scan(Path::new("fleet"), dir.path());
    assert_eq!(inventory["functions"].as_array().unwrap().len(), 1, "{inventory}");
    assert_eq!(closure(&inventory, "api.zip"), ["pypi:click==8.1.0", "pypi:flask==2.0.1"]);
    let f = &inventory["functions"][0];
    assert_eq!((&f["state"], &f["lock"]["kind"]), (&"locked".into(), &"installed".into()));
    let text = f["imports"].to_string();
    assert!(text.contains("api.zip/helper.py") && !text.contains("secrets_of_flask"), "{text}");
    assert!(text.contains("\"package\":\"flask\""), "{text}");

    // The same as the root.
    let root = scan(Path::new("fleet/api.zip"), dir.path());
    assert_eq!(closure(&root, "root"), ["pypi:click==8.1.0", "pypi:flask==2.0.1"]);

    // Beside the source that it was packed from it is no second function.
    std::fs::create_dir_all(dir.path().join("fleet/src")).unwrap();
    std::fs::write(dir.path().join("fleet/src/lambda_function.py"), HANDLER).unwrap();
    let inventory = scan(Path::new("fleet"), dir.path());
    let ids: Vec<_> = inventory["functions"].as_array().unwrap().iter().map(|f| f["id"].clone()).collect();
    assert_eq!(ids, ["src"]);
}

#[test]
fn a_template_may_name_archives_as_code_and_layer() {
    if !common::tool("python3") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let template = "Resources:\n  Api:\n    Type: AWS::Serverless::Function\n    Properties:\n      CodeUri: build/api.zip\n      \
                    Handler: src/index.handler\n      Runtime: nodejs20.x\n      Layers: [!Ref Shared]\n  Shared:\n    \
                    Type: AWS::Serverless::LayerVersion\n    Properties:\n      ContentUri: build/layer.zip\n";
    std::fs::create_dir_all(dir.path().join("build")).unwrap();
    std::fs::write(dir.path().join("template.yaml"), template).unwrap();
    pack(
        &dir.path().join("build/api.zip"),
        &[
            ("src/index.js", "const ms = require('ms');\nrequire('left');\nexports.handler = async (event) => ms;\n"),
            ("package.json", r#"{"dependencies": {"ms": "^2"}}"#),
            ("node_modules/ms/package.json", r#"{"name": "ms", "version": "2.1.3"}"#),
            ("node_modules/ms/index.js", "require('nothing')"),
            ("node_modules/ms/dist/package.json", r#"{"type": "module"}"#),
        ],
    );
    pack(
        &dir.path().join("build/layer.zip"),
        &[("nodejs/node_modules/left/package.json", r#"{"name": "left", "version": "1.0.0"}"#)],
    );
    let inventory = scan(Path::new("."), dir.path());
    assert_eq!(closure(&inventory, "Api"), ["npm:left@1.0.0", "npm:ms@2.1.3"], "{inventory}");
    assert_eq!(inventory["functions"][0]["state"], "locked");
    let text = inventory["functions"][0]["imports"].to_string();
    assert!(!text.contains("missing") && !text.contains("nothing"), "{text}");
}

#[test]
fn hostile_archives_give_diagnostics_and_nothing_else() {
    if !common::tool("python3") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    pack(
        &dir.path().join("fleet/a.zip"),
        &[("lambda_function.py", HANDLER), ("../../evil.py", "x"), ("/abs.py", "x"), ("inner.zip", "PK\u{5}\u{6}")],
    );
    let zeros = "\0".repeat(5_000);
    pack(
        &dir.path().join("fleet/b.zip"),
        &[("app.py", zeros.as_str()), ("index.js", "exports.handler = (event) => 1\n")],
    );
    std::fs::write(dir.path().join("fleet/c.zip"), "no archive").unwrap();
    let inventory = scan(Path::new("fleet"), dir.path());
    let ids: Vec<_> = inventory["functions"].as_array().unwrap().iter().map(|f| f["id"].clone()).collect();
    assert_eq!(ids, ["a.zip", "b.zip"]);
    let codes: BTreeSet<(String, String)> = inventory["diagnostics"]
        .as_array()
        .unwrap()
        .iter()
        .map(|d| (d["file"].as_str().unwrap().to_string(), d["code"].as_str().unwrap().to_string()))
        .collect();
    for expected in [("a.zip", "archive-unsafe"), ("c.zip", "archive-invalid")] {
        assert!(codes.contains(&(expected.0.to_string(), expected.1.to_string())), "{expected:?}: {codes:?}");
    }
    assert!(!dir.path().join("evil.py").exists());
}

/// What pip installs into a folder is what warmset finds in it, packed or not.
#[test]
fn what_pip_installs_is_what_is_found() {
    if !common::tool("python3") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let build = dir.path().join("fleet/fn");
    std::fs::create_dir_all(&build).unwrap();
    std::fs::write(build.join("lambda_function.py"), HANDLER.replace("flask", "jinja2")).unwrap();
    let pip = |args: &[&str]| {
        let mut command = Command::new("python3");
        command.args(["-m", "pip"]).args(args).current_dir(&build).stdin(Stdio::null()).output().unwrap()
    };
    let installed = pip(&["install", "--quiet", "--only-binary", ":all:", "--target", ".", "jinja2==3.1.6"]);
    if !installed.status.success() {
        common::skip(&format!("pip reaches no index: {}", String::from_utf8_lossy(&installed.stderr)));
        return;
    }
    let listed = pip(&["list", "--path", ".", "--format", "json"]);
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    let mut expected: Vec<String> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|p| format!("pypi:{}=={}", p["name"].as_str().unwrap().to_lowercase(), p["version"].as_str().unwrap()))
        .collect();
    expected.sort();
    assert_eq!(closure(&scan(Path::new("fleet"), dir.path()), "fn"), expected);
    let zip = Command::new("python3").args(["-m", "zipfile", "-c", "../fn.zip", "."]).current_dir(&build).status();
    assert!(zip.unwrap().success());
    std::fs::remove_dir_all(&build).unwrap();
    let packed = scan(Path::new("fleet/fn.zip"), dir.path());
    assert_eq!(closure(&packed, "root"), expected, "{packed}");
    let imports = packed["functions"][0]["imports"].to_string();
    assert!(!imports.contains("missing") || imports.contains("helper"), "{imports}");
}

fn write(root: &Path, files: &[(&str, &str)]) {
    for (path, text) in files {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

/// The places below `/opt` that AWS documents for layers of Python and Node.js.
#[test]
fn packages_that_lie_in_a_layer_join_the_closure() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    write(
        root,
        &[
            (
                "template.yaml",
                "Resources:\n  Libs:\n    Type: AWS::Serverless::LayerVersion\n    Properties: {ContentUri: layers/libs}\n  \
                 Py:\n    Type: AWS::Serverless::Function\n    Properties: {Runtime: python3.12, Handler: app.handler, CodeUri: py, Layers: [!Ref Libs]}\n  \
                 Js:\n    Type: AWS::Serverless::Function\n    Properties: {Runtime: nodejs20.x, Handler: index.handler, CodeUri: js, Layers: [!Ref Libs]}\n",
            ),
            ("py/app.py", "import flask\nimport click\n\ndef handler(event, context):\n    return flask, click\n"),
            (
                "js/index.js",
                "const ms = require('ms'); const x = require('@s/x');\nexports.handler = async () => ms(x);\n",
            ),
            ("layers/libs/python/click.py", ""),
            ("layers/libs/python/click-8.1.0.dist-info/METADATA", "Name: click\nVersion: 8.1.0\n"),
            ("layers/libs/python/click-8.1.0.dist-info/RECORD", "click.py,,\n"),
            (
                "layers/libs/python/lib/python3.12/site-packages/Flask-2.0.1.dist-info/METADATA",
                "Name: Flask\nVersion: 2.0.1\nRequires-Dist: click\n",
            ),
            ("layers/libs/python/lib/python3.12/site-packages/flask/__init__.py", "import nothing_to_see\n"),
            // Another version of Python does not look there.
            ("layers/libs/python/lib/python3.9/site-packages/old-1.dist-info/METADATA", "Name: old\nVersion: 1\n"),
            ("layers/libs/nodejs/node_modules/ms/package.json", r#"{"name": "ms", "version": "2.1.3"}"#),
            ("layers/libs/nodejs/node_modules/ms/lib/package.json", r#"{"name": "inner", "version": "0.0.0"}"#),
            ("layers/libs/nodejs/node_modules/ms/index.js", "require('nothing-to-see')\n"),
            (
                "layers/libs/nodejs/node20/node_modules/@s/x/package.json",
                r#"{"name": "@s/x", "version": "1.0.0", "dependencies": {"y": "1"}}"#,
            ),
            (
                "layers/libs/nodejs/node20/node_modules/@s/x/node_modules/y/package.json",
                r#"{"name": "y", "version": "1.5.0"}"#,
            ),
        ],
    );
    let inventory = scan(root, root);
    assert_eq!(closure(&inventory, "Py"), ["pypi:click==8.1.0", "pypi:flask==2.0.1"]);
    assert_eq!(closure(&inventory, "Js"), ["npm:@s/x@1.0.0", "npm:ms@2.1.3", "npm:y@1.5.0"]);
    for function in inventory["functions"].as_array().unwrap() {
        let imports = function["imports"].to_string();
        assert!(!imports.contains("missing") && !imports.contains("nothing"), "{imports}");
        assert_eq!(function["state"], "locked");
    }
}

/// As a provider finds a package that was deployed as a folder, and as a checkout looks after `npm install`.
#[test]
fn packages_that_lie_beside_a_function_are_its_lock() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    let handler = "const ms = require('ms');\nexports.handler = async (event) => ms(event);\n";
    let manifest = r#"{"dependencies": {"ms": "^2.0.0"}, "devDependencies": {"jest": "*"}}"#;
    let installed = |name: &str, version: &str| format!(r#"{{"name": "{name}", "version": "{version}"}}"#);
    write(
        root,
        &[
            ("checkout/package.json", manifest),
            ("checkout/index.js", handler),
            ("checkout/node_modules/ms/package.json", &installed("ms", "2.1.3")),
            ("checkout/node_modules/jest/package.json", &installed("jest", "29.0.0")),
            ("ignored/.gitignore", "node_modules\n"),
            ("ignored/package.json", manifest),
            ("ignored/index.js", handler),
            ("ignored/node_modules/ms/package.json", &installed("ms", "2.1.3")),
            ("half/package.json", r#"{"dependencies": {"ms": "^2.0.0", "left-pad": "^1.0.0"}}"#),
            ("half/index.js", handler),
            ("half/node_modules/ms/package.json", &installed("ms", "2.1.3")),
        ],
    );
    let inventory = scan(root, root);
    let of = |id: &str| {
        let functions = inventory["functions"].as_array().unwrap();
        let state = functions.iter().find(|f| f["id"] == id).unwrap()["state"].clone();
        (closure(&inventory, id), state)
    };
    assert_eq!(of("checkout"), (vec!["npm:ms@2.1.3".to_string()], "locked".into()));
    assert_eq!(of("ignored"), (vec![], "unresolved".into()));
    // What lacks something was not built yet.
    assert_eq!(of("half"), (vec![], "unresolved".into()));
}
