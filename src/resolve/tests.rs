//! Folders to inventories, for what only shows when the parts work together.

use std::collections::BTreeMap;

use super::{ScanOptions, scan_tree};
use crate::discover::Tree;
use crate::model::{Inventory, State};

fn inventory(files: &[(&str, &str)]) -> Inventory {
    let files: Vec<(&str, &[u8])> = files.iter().map(|(path, text)| (*path, text.as_bytes())).collect();
    scan_tree(&Tree::in_memory(&files), &ScanOptions::default(), &|_| {})
}

/// State and direct dependencies of each function.
fn states(inventory: &Inventory) -> BTreeMap<&str, (State, Vec<&str>)> {
    inventory
        .functions
        .iter()
        .map(|f| (f.id.as_str(), (f.state, f.declared.iter().map(|r| r.name.as_str()).collect())))
        .collect()
}

/// Code, place and the function of what is worse than a note, and of `layer-unread`.
fn findings(inventory: &Inventory) -> Vec<String> {
    let mut found: Vec<String> = inventory
        .diagnostics
        .iter()
        .filter(|d| d.is_finding() || d.code == "layer-unread")
        .map(|d| format!("{} {}: {}", d.code, d.place, d.reason))
        .collect();
    found.sort();
    found
}

const HANDLER: &str = "def lambda_handler(event, context):\n    pass\n";
const NODE_HANDLER: &str = "export const handler = async (event) => event;\n";

#[test]
fn what_the_deploying_program_needs_is_not_the_functions() {
    let python = format!("import requests\n{HANDLER}");
    let node = format!("import {{ parse }} from 'date-fns';\nparse('x');\n{NODE_HANDLER}");
    let found = inventory(&[
        ("py/cdk.json", "{}"),
        ("py/requirements.txt", "aws-cdk-lib==2.100.0\nconstructs\n"),
        ("py/src/lambda_function.py", HANDLER),
        ("py/asks/lambda_function.py", &python),
        ("js/package.json", r#"{"dependencies": {"aws-cdk-lib": "2.100.0", "date-fns": "3.6.0", "uuid": "^9"}}"#),
        ("js/lambda/index.ts", &node),
        ("js/plain/index.ts", NODE_HANDLER),
        ("own/package.json", r#"{"dependencies": {"uuid": "^9"}}"#),
        ("own/fn/index.ts", NODE_HANDLER),
    ]);
    let expected = BTreeMap::from([
        ("js/lambda", (State::Pinned, vec!["date-fns"])),
        ("js/plain", (State::Locked, vec![])),
        // Not beside a program that deploys it: a manifest above the folder is the function's.
        ("own/fn", (State::Unresolved, vec!["uuid"])),
        ("py/asks", (State::Unresolved, vec![])),
        ("py/src", (State::Locked, vec![])),
    ]);
    assert_eq!(states(&found), expected);
    let closure: Vec<String> = found.functions[0].closure.iter().map(ToString::to_string).collect();
    assert_eq!(closure, ["npm:date-fns@3.6.0"]);
    let reason = "nothing that is declared, locked, local or provided explains the import of `requests`; it usually comes from `requests`";
    assert_eq!(findings(&found), [format!("import-missing py/asks/lambda_function.py:1: {reason}")]);
}

#[test]
fn layers_hold_modules_and_dependencies() {
    let template = "
Globals:
  Function:
    Runtime: python3.12
    Handler: app.lambda_handler
    CodeUri: fn/
Resources:
  Libs:
    Type: AWS::Serverless::LayerVersion
    Properties: {ContentUri: layers/libs}
  Own:
    Type: AWS::Serverless::Function
    Properties:
      Layers: [!Ref Libs]
  Both:
    Type: AWS::Serverless::Function
    Properties:
      Layers:
        - !Ref Libs
        - !Sub 'arn:aws:lambda:${AWS::Region}:1:layer:Tools:3'
  None:
    Type: AWS::Serverless::Function
";
    let app = format!("import shared.models\nimport numpy.linalg\nimport numpy as np\nimport tools\n{HANDLER}");
    let vendor = "from shared import models\nimport pika\ndef lambda_handler(event, context):\n    pass\n";
    let template = &format!(
        "{template}  Vendored:
    Type: AWS::Serverless::Function
    Properties: {{CodeUri: other, Layers: [!Ref Vendor]}}
  Vendor:
    Type: AWS::Serverless::LayerVersion
    Properties: {{ContentUri: layers/vendor}}
"
    );
    let found = inventory(&[
        ("template.yaml", template),
        ("fn/app.py", &app),
        ("layers/libs/requirements.txt", "numpy==2.0.1\n"),
        ("layers/libs/python/shared/__init__.py", ""),
        ("layers/libs/python/shared/models.py", "from .base import Base\nimport decimal\n"),
        ("layers/libs/python/shared/base.py", "import json\n"),
        ("other/app.py", vendor),
        ("other/shared/models.py", ""),
        ("layers/vendor/python/pika/__init__.py", "import ConfigParser\n"),
        ("layers/vendor/python/pika-1.3.2.dist-info/METADATA", ""),
    ]);
    let states = states(&found);
    assert_eq!(states["Own"], (State::Pinned, vec!["numpy"]));
    assert_eq!(states["Both"], (State::Pinned, vec!["numpy"]));
    assert_eq!(states["None"], (State::Unresolved, vec![]));
    let missing = |module: &str, line: u32| {
        let reason = "nothing that is declared, locked, local or provided explains the import of";
        let advice = if module == "numpy" { "; it usually comes from `numpy`" } else { "" };
        format!("import-missing fn/app.py:{line}: {reason} `{module}`{advice}")
    };
    assert_eq!(
        findings(&found),
        [
            missing("shared.models", 1),
            missing("numpy", 2),
            missing("tools", 4),
            missing("tools", 4),
            "layer-unread fn/app.py:4: `tools` may come from the layer arn:aws:lambda:${AWS::Region}:1:layer:Tools:3"
                .to_string(),
        ]
    );
    // Its layer's packages are installed there: their metadata is read, their sources are not.
    assert_eq!(states["Vendored"], (State::Locked, vec![]));
    let vendored = found.functions.iter().find(|f| f.id == "Vendored").unwrap();
    assert_eq!(vendored.closure, [crate::model::PackageId::pypi("pika", "1.3.2")]);
    let own = found.functions.iter().find(|f| f.id == "Own").unwrap();
    let files: Vec<&str> = own.imports.iter().map(|i| i.file.as_str()).collect();
    assert!(files.contains(&"layers/libs/python/shared/base.py"), "{files:?}");
}

#[test]
fn code_inside_a_template_has_its_imports_and_nothing_that_lies_beside_it() {
    let template = "
Resources:
  In:
    Type: AWS::Lambda::Function
    Properties:
      Runtime: python3.12
      Handler: index.handler
      Code:
        ZipFile: |
          import json

          import requests
          import beside
";
    let script = "  Js:
    Type: AWS::Lambda::Function
    Properties:
      Runtime: nodejs20.x
      Handler: index.handler
      Code: {ZipFile: \"require('./beside'); exports.handler = () => 1\"}
";
    let found = inventory(&[("js.yaml", &format!("Resources:\n{script}")), ("beside.js", "")]);
    assert!(findings(&found).iter().any(|d| d.starts_with("import-missing js.yaml:7")), "{:?}", findings(&found));
    let found = inventory(&[("template.yaml", template), ("requirements.txt", "requests==2.0.0\n"), ("beside.py", "")]);
    assert_eq!(states(&found)["In"], (State::Unresolved, vec![]));
    let reason = "nothing that is declared, locked, local or provided explains the import of";
    let missing = |module: &str, line: u32| format!("import-missing template.yaml:{line}: {reason} `{module}`");
    let usual = "; it usually comes from `requests`";
    assert_eq!(findings(&found), [missing("requests", 12) + usual, missing("beside", 13)]);
}

#[test]
fn a_nodejs_layer_is_unpacked_to_opt() {
    let service = "
provider: {name: aws, runtime: nodejs20.x}
layers:
  my-libs: {path: layer}
functions:
  one: {handler: one.handler, layers: [{Ref: MyDashlibsLambdaLayer}]}
";
    let code = format!("import {{ a }} from '/opt/nodejs/util';\nimport zod from 'zod';\nzod(a);\n{NODE_HANDLER}");
    let found = inventory(&[
        ("serverless.yml", service),
        ("one.ts", &code),
        ("layer/nodejs/util.js", "export const a = require('fs');"),
        ("layer/nodejs/package.json", r#"{"dependencies": {"zod": "3.23.8"}}"#),
    ]);
    assert_eq!(states(&found)["one"], (State::Pinned, vec!["zod"]));
    assert_eq!(findings(&found), Vec::<String>::new());
    assert!(found.functions[0].imports.iter().any(|i| i.file == "layer/nodejs/util.js"));
}

/// `name@version` of a function's closure.
fn closures(inventory: &Inventory) -> BTreeMap<&str, Vec<String>> {
    inventory.functions.iter().map(|f| (f.id.as_str(), f.closure.iter().map(|id| id.spec()).collect())).collect()
}

#[test]
fn any_manifest_of_python_gives_what_it_declares() {
    let found = inventory(&[
        ("cfg/setup.cfg", "[options]\ninstall_requires =\n    six==1.16.0\n    idna>=3\n"),
        ("cfg/setup.py", "from setuptools import setup\nsetup()\n"),
        ("cfg/pyproject.toml", "[build-system]\nrequires = ['setuptools']\n"),
        ("cfg/lambda_function.py", HANDLER),
        ("conda/environment.yml", "dependencies: [python=3.9, numpy=1.21, {pip: [six==1.16.0]}]\n"),
        ("conda/lambda_function.py", HANDLER),
        ("pip/Pipfile", "[packages]\nsix = '==1.16.0'\n"),
        ("pip/lambda_function.py", HANDLER),
        ("py/setup.py", "from setuptools import setup\nsetup(install_requires=open('deps.txt').readlines())\n"),
        ("py/deps.txt", "six==1.16.0\n"),
        ("py/lambda_function.py", HANDLER),
        ("run/setup.py", "from setuptools import setup\nsetup(install_requires=['six==1.16.0'] + load())\n"),
        ("run/lambda_function.py", HANDLER),
        ("yaml/environment.yml", "dev: {KEY: value}\n"),
        ("yaml/requirements.in", "six==1.16.0\n"),
        ("yaml/lambda_function.py", HANDLER),
    ]);
    let expected = BTreeMap::from([
        ("cfg", (State::Partial, vec!["idna", "six"])),
        ("conda", (State::Partial, vec!["numpy", "six"])),
        ("pip", (State::Pinned, vec!["six"])),
        ("py", (State::Pinned, vec!["six"])),
        // More is required than anybody can tell.
        ("run", (State::Partial, vec!["six"])),
        ("yaml", (State::Pinned, vec!["six"])),
    ]);
    assert_eq!(states(&found), expected);
    assert!(closures(&found).values().all(|packages| packages == &["six==1.16.0"]), "{:?}", closures(&found));
    assert_eq!(found.functions[1].platform.as_ref().unwrap().version, "3.9");
}

#[test]
fn of_several_locks_one_counts_and_the_others_are_named() {
    let pylock = "lock-version = '1.0'\ncreated-by = 'x'\n[[packages]]\nname = 'six'\nversion = '1.16.0'\n";
    let pdm = "[metadata]\nlock_version = '4.5.0'\nstrategy = ['inherit_metadata']\n[[package]]\nname = 'six'\nversion = '1.16.0'\ngroups = ['default']\n[[package]]\nname = 'idna'\nversion = '3.4'\ngroups = ['default']\n";
    let found = inventory(&[
        ("both/pdm.lock", pdm),
        ("both/pylock.toml", pylock),
        ("both/requirements.txt", "six\n"),
        ("both/lambda_function.py", HANDLER),
        ("named/pylock.prod.toml", pylock),
        ("named/lambda_function.py", HANDLER),
        ("names/pylock.a.toml", pylock),
        ("names/pylock.b.toml", pylock),
        ("names/pyproject.toml", "[project]\nname = 'x'\ndependencies = ['six']\n"),
        ("names/lambda_function.py", HANDLER),
        ("pip/Pipfile", "[packages]\nsix = '*'\n"),
        ("pip/Pipfile.lock", r#"{"default": {"six": {"version": "==1.16.0"}, "idna": {"version": "==3.4"}}}"#),
        ("pip/lambda_function.py", HANDLER),
        ("poetry/poetry.lock", "[[package]]\nname = 'six'\nversion = '1.16.0'\n[metadata]\nlock-version = '2.0'\n"),
        ("poetry/lambda_function.py", HANDLER),
        // With its manifest, what it does not ask for is not loaded.
        ("roots/pdm.lock", pdm),
        ("roots/pyproject.toml", "[project]\nname = 'x'\ndependencies = ['six']\n"),
        ("roots/lambda_function.py", HANDLER),
    ]);
    let both = vec!["idna==3.4".to_string(), "six==1.16.0".to_string()];
    let six = vec!["six==1.16.0".to_string()];
    assert_eq!(
        closures(&found),
        BTreeMap::from([
            ("both", both.clone()),
            ("named", six.clone()),
            ("names", vec![]),
            ("pip", both),
            ("poetry", vec![]),
            ("roots", six),
        ])
    );
    let states = states(&found);
    assert_eq!(states["pip"], (State::Locked, vec!["six"]));
    assert_eq!(
        (states["poetry"].0, states["named"].0, states["names"].0),
        (State::Unresolved, State::Locked, State::Unresolved)
    );
    let competing: Vec<String> = found
        .diagnostics
        .iter()
        .filter(|d| d.code == "locks-several")
        .map(|d| format!("{}: {}", d.place, d.reason))
        .collect();
    assert_eq!(
        competing,
        [
            "both/pdm.lock: pdm.lock counts, pylock.toml does not",
            "names/pylock.a.toml: pylock.b.toml lies beside it, and no pylock.toml says which is deployed"
        ]
    );
}

const YARN: &str = "# yarn lockfile v1\n\n\nms@2.0.0:\n  version \"2.0.0\"\n\nms@^2.1.0:\n  version \"2.1.3\"\n";
const NPM: &str = r#"{"lockfileVersion": 3, "packages": {"": {"dependencies": {"ms": "^2.1.0"}},
  "node_modules/ms": {"version": "2.1.2"}}}"#;

#[test]
fn members_of_a_yarn_workspace_share_its_lock() {
    let member = |range: &str| format!(r#"{{"name": "m", "dependencies": {{"ms": "{range}"}}}}"#);
    let (old, new, stale) = (member("2.0.0"), member("^2.1.0"), member("^3"));
    let found = inventory(&[
        ("w/package.json", r#"{"workspaces": {"packages": ["fns/*"]}}"#),
        ("w/yarn.lock", YARN),
        ("w/fns/old/package.json", &old),
        ("w/fns/old/index.js", NODE_HANDLER),
        ("w/fns/new/package.json", &new),
        ("w/fns/new/index.js", NODE_HANDLER),
        ("w/apart/package.json", &new),
        ("w/apart/index.js", NODE_HANDLER),
        ("w/fns/stale/package.json", &stale),
        ("w/fns/stale/index.js", NODE_HANDLER),
    ]);
    let expected = BTreeMap::from([
        ("w/apart", vec![]),
        ("w/fns/new", vec!["ms@2.1.3".to_string()]),
        ("w/fns/old", vec!["ms@2.0.0".to_string()]),
        ("w/fns/stale", vec![]),
    ]);
    assert_eq!(closures(&found), expected);
    let states: Vec<State> = found.functions.iter().map(|f| f.state).collect();
    assert_eq!(states, [State::Unresolved, State::Locked, State::Locked, State::Partial]);
    let said = findings(&found);
    assert!(said.iter().any(|d| d.starts_with("lock-contradicts-manifest w/fns/stale/package.json:1")), "{said:?}");
}

#[test]
fn of_several_locks_the_named_package_managers_counts() {
    let asks = |more: &str| format!(r#"{{{more}"dependencies": {{"ms": "^2.1.0"}}}}"#);
    let (plain, named) = (asks(""), asks("\"packageManager\": \"yarn@1.22.22\", "));
    let found = inventory(&[
        ("named/package.json", &named),
        ("named/index.js", NODE_HANDLER),
        ("named/package-lock.json", NPM),
        ("named/yarn.lock", YARN),
        ("plain/package.json", &plain),
        ("plain/index.js", NODE_HANDLER),
        ("plain/package-lock.json", NPM),
        ("plain/yarn.lock", YARN),
        ("binary/package.json", &plain),
        ("binary/index.js", NODE_HANDLER),
        ("binary/bun.lockb", "#!/usr/bin/env bun\nbun-lockfile-format-v0\n"),
    ]);
    let expected = BTreeMap::from([
        ("binary", vec![]),
        ("named", vec!["ms@2.1.3".to_string()]),
        ("plain", vec!["ms@2.1.2".to_string()]),
    ]);
    assert_eq!(closures(&found), expected);
    let several: Vec<String> =
        found.diagnostics.iter().filter(|d| d.code == "locks-several").map(|d| d.reason.clone()).collect();
    assert_eq!(
        several,
        ["yarn.lock counts, package-lock.json does not", "package-lock.json counts, yarn.lock does not"]
    );
    let binary = found.diagnostics.iter().find(|d| d.code == "lock-unsupported").unwrap();
    assert!(binary.place.file == "binary/bun.lockb" && binary.next_step.contains("--save-text-lockfile"));
}

#[test]
fn a_yarn_lock_with_nothing_to_say_what_is_asked_for_locks_nothing() {
    let found = inventory(&[("f/yarn.lock", YARN), ("f/index.js", NODE_HANDLER)]);
    assert!(found.functions.iter().all(|f| f.state == State::Unresolved), "{:?}", found.functions);
    assert!(found.diagnostics.iter().any(|d| d.code == "lock-incomplete"), "{:?}", found.diagnostics);
}

#[test]
fn what_a_patch_changed_is_marked() {
    let lock = "lockfileVersion: '9.0'\nimporters:\n  .:\n    dependencies:\n      ms:\n        specifier: 2.1.3\n        version: 2.1.3(patch_hash=0a)\n\
                packages:\n  ms@2.1.3:\n    resolution: {integrity: sha512-a}\nsnapshots:\n  ms@2.1.3(patch_hash=0a): {}\n";
    let found = inventory(&[
        ("f/package.json", r#"{"dependencies": {"ms": "2.1.3"}}"#),
        ("f/pnpm-lock.yaml", lock),
        ("f/index.js", NODE_HANDLER),
    ]);
    assert_eq!(found.packages[0].source.as_deref(), Some("patch"));
    assert!(!found.packages[0].is_from_registry());
}

/// The files that no handler reaches, with what they import, by function.
fn unreached(inventory: &Inventory) -> BTreeMap<&str, Vec<String>> {
    let list = |f: &'_ crate::model::Function| {
        f.unreached.iter().map(|u| format!("{}: {}", u.file, u.packages.join(" "))).collect()
    };
    inventory.functions.iter().map(|f| (f.id.as_str(), list(f))).collect()
}

#[test]
fn what_no_handler_reaches_is_listed_apart() {
    let node = "import { a } from './lib/a';\nimport type { T } from './types';\nexport const handler = async (event) => a(event);\n";
    let found = inventory(&[
        ("fn/package.json", r#"{"dependencies": {"axios": "1.0.0", "vitest": "2.0.0"}}"#),
        ("fn/index.ts", node),
        ("fn/lib/a.ts", "import axios from 'axios'; export const a = axios;"),
        ("fn/types.ts", "import pg from 'pg'; export type T = typeof pg; export const p = pg;"),
        ("fn/dead.ts", "import fs from 'fs'; import './lib/a'; import { z } from 'zod'; z(fs);"),
        ("fn/index.test.ts", "import { it } from 'vitest'; it('x');"),
        // Another function's code is its own.
        ("fn/inner/index.ts", NODE_HANDLER),
        ("fn/inner/rest.ts", "import 'left-pad';"),
        ("py/app.py", "import helper\n\ndef lambda_handler(event, context):\n    pass\n"),
        ("py/helper.py", ""),
        ("py/tool.py", "import requests, os, helper\n"),
        ("py/typed.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import numpy\n"),
    ]);
    let expected = BTreeMap::from([
        ("fn", vec!["fn/dead.ts: zod".to_string(), "fn/index.test.ts: vitest".into(), "fn/types.ts: pg".into()]),
        ("fn/inner", vec!["fn/inner/rest.ts: left-pad".into()]),
        ("py", vec!["py/tool.py: requests".into(), "py/typed.py: ".into()]),
    ]);
    assert_eq!(unreached(&found), expected);
    // Installed all the same.
    let closure: Vec<String> = found.functions[0].closure.iter().map(ToString::to_string).collect();
    assert_eq!(closure, ["npm:axios@1.0.0", "npm:vitest@2.0.0"]);
    // What is wrong there is nobody's concern.
    assert!(findings(&found).is_empty(), "{:?}", findings(&found));
    assert_eq!((found.files.sources, found.files.read), (11, 5));
}

#[test]
fn functions_with_one_folder_leave_the_same_files() {
    let found = inventory(&[
        (
            "serverless.yml",
            "service: s\nprovider:\n  name: aws\n  runtime: nodejs20.x\nfunctions:\n  a:\n    handler: a.handler\n  b:\n    handler: b.handler\n",
        ),
        ("a.js", "exports.handler = () => require('./shared');"),
        ("b.js", "exports.handler = () => 1;"),
        ("shared.js", ""),
        ("dead.js", "require('x')"),
    ]);
    let dead = vec!["dead.js: x".to_string()];
    assert_eq!(unreached(&found), BTreeMap::from([("a", dead.clone()), ("b", dead)]));
}

#[test]
fn what_a_function_loads_and_nobody_reads_is_named() {
    let handler = "import x from './App.vue';\nimport '@/store';\nimport('node:nothing');\nimport dev from 'esbuild';\nimport { s } from '@own/shared';\nx(dev, s);\nexport const handler = async (event) => event;\n";
    let found = inventory(&[
        ("package.json", r#"{"workspaces": ["*"]}"#),
        (
            "fn/package.json",
            r#"{"type": "module", "devDependencies": {"esbuild": "1.0.0"}, "dependencies": {"@own/shared": "*"}}"#,
        ),
        ("fn/index.js", handler),
        ("fn/App.vue", "<script>import 'pinia'</script>"),
        ("shared/package.json", r#"{"name": "@own/shared", "main": "src/index.js", "dependencies": {"ms": "2.1.3"}}"#),
        ("shared/src/index.js", "exports.s = require('ms');"),
    ]);
    let said: Vec<String> = found
        .diagnostics
        .iter()
        .map(|d| format!("{} {}: {}", d.code, d.place, d.reason))
        .filter(|d| !d.starts_with("v"))
        .collect();
    let expected = [
        "source-unread fn/index.js:1: what `fn/App.vue` imports is not read",
        "source-unread fn/index.js:2: `@/store` is an alias that neither a tsconfig.json nor a package.json explains",
        "import-missing fn/index.js:3: Node.js 20 has no module `node:nothing`",
        "import-missing fn/index.js:4: `esbuild` is declared for development only, and `fn/index.js` imports it",
    ];
    for line in expected {
        let line = line.replace("source-unread fn/index.js:2", "alias-unread fn/index.js:2");
        assert!(said.contains(&line), "{line} among {said:#?}");
    }
    let to = |module: &str| {
        let imports = &found.functions[0].imports;
        imports.iter().find(|i| i.module == module).map(|i| format!("{} {:?}", i.file, i.target)).unwrap()
    };
    assert_eq!(to("@own/shared"), "fn/index.js Local");
    // Declared by the package that imports it.
    assert_eq!(to("ms"), "shared/src/index.js Package { package: \"ms\" }");
    // No lock says which version of it.
    let open: Vec<&str> = found.functions[0].unresolved.iter().map(|r| r.text.as_str()).collect();
    assert!(open.contains(&"ms@2.1.3"), "{open:?}");
}

#[test]
fn what_another_folders_manifest_asks_for_has_no_version() {
    let service =
        "service: s\nprovider: {name: aws, runtime: nodejs20.x}\nfunctions:\n  hello: {handler: inner/func.handler}\n";
    let code = format!("import fdk from 'fdk';\nimport s3 from '@aws-sdk/client-s3';\nfdk(s3);\n{NODE_HANDLER}");
    let with = |own: &str| {
        inventory(&[
            ("serverless.yml", service),
            ("package.json", own),
            ("inner/package.json", r#"{"dependencies": {"@aws-sdk/client-s3": "^3", "fdk": ">=1"}}"#),
            ("inner/func.js", &code),
        ])
    };
    for (own, state) in [("{}", State::Unresolved), (r#"{"dependencies": {"ms": "2.1.3"}}"#, State::Partial)] {
        let found = with(own);
        assert_eq!(found.functions[0].state, state, "{own}");
        // The platform provides the SDK.
        assert_eq!(found.functions[0].unresolved.iter().map(|r| r.text.as_str()).collect::<Vec<_>>(), ["fdk@>=1"]);
        assert_eq!(findings(&found), Vec::<String>::new());
    }
}

/// What a Python function imports from where, as `module target`.
fn targets(inventory: &Inventory) -> Vec<String> {
    let imports = inventory.functions.iter().flat_map(|f| &f.imports);
    imports
        .map(|i| {
            let target = serde_json::to_value(&i.target).unwrap()["to"].as_str().unwrap().to_string();
            format!("{} {} {target}", i.module, serde_json::to_value(i.kind).unwrap().as_str().unwrap())
        })
        .collect()
}

#[test]
fn the_platform_decides_what_is_written_for_other_versions() {
    let code = format!(
        "import sys\nif sys.version_info >= (3, 11):\n  import tomllib\nelse:\n  import tomli\n\
         if sys.platform == 'win32':\n  import winfriend\n{HANDLER}"
    );
    let template = |version: &str| {
        format!(
            "Resources:\n  F:\n    Type: AWS::Serverless::Function\n    Properties: {{Runtime: {version}, Handler: app.lambda_handler, CodeUri: fn}}\n"
        )
    };
    for (version, expected) in [
        ("python3.12", ["sys runtime stdlib", "tomllib runtime stdlib", "tomli type-only missing"]),
        ("python3.9", ["sys runtime stdlib", "tomllib type-only missing", "tomli runtime missing"]),
    ] {
        let found = inventory(&[("template.yaml", &template(version)), ("fn/app.py", &code)]);
        let targets = targets(&found);
        assert!(expected.iter().all(|e| targets.iter().any(|t| t == e)), "{version}: {targets:?}");
        assert!(targets.contains(&"winfriend type-only missing".to_string()), "{targets:?}");
        assert_eq!(findings(&found).len(), usize::from(version == "python3.9"), "{:?}", findings(&found));
    }
}

#[test]
fn code_says_where_its_modules_lie() {
    let code = format!(
        "import os, sys\nsys.path.insert(0, os.path.join(os.path.dirname(__file__), 'vendored'))\n\
         sys.path.append('../outside')\nimport inner\nimport outer\nfrom typing import TYPE_CHECKING\n\
         if TYPE_CHECKING:\n  import types_only\nimport fast\nfrom .. import up\n{HANDLER}"
    );
    let found = inventory(&[
        (
            "template.yaml",
            "Resources:\n  F:\n    Type: AWS::Serverless::Function\n    Properties: {Runtime: python3.12, Handler: app.lambda_handler, CodeUri: fn}\n",
        ),
        ("fn/app.py", &code),
        ("fn/vendored/inner.py", "import json\n"),
        ("fn/types_only.py", "import boto3_stubs_only\n"),
        ("fn/fast.abi3.so", "binary"),
        ("outside/outer.py", ""),
    ]);
    let files: Vec<&str> = found.functions[0].imports.iter().map(|i| i.file.as_str()).collect();
    assert!(files.contains(&"fn/vendored/inner.py"), "{files:?}");
    // Nothing is loaded for the type checker, and nothing from outside is deployed.
    assert!(!files.contains(&"fn/types_only.py") && !files.contains(&"outside/outer.py"), "{files:?}");
    assert_eq!(
        findings(&found),
        [
            "import-missing fn/app.py:10: the relative import of `..` leads out of the function's folder",
            "import-missing fn/app.py:5: nothing that is declared, locked, local or provided explains the import of `outer`",
        ]
    );
    let note = found.diagnostics.iter().find(|d| d.code == "compiled-module").unwrap();
    assert_eq!(
        (note.place.to_string(), note.reason.as_str()),
        ("fn/app.py:9".into(), "`fast` is the compiled file fn/fast.abi3.so")
    );
}

#[test]
fn a_lock_of_more_packages_than_anybody_has_is_named_and_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    for (folder, packages) in [("large", 6), ("small", 5)] {
        std::fs::create_dir(dir.path().join(folder)).unwrap();
        let listed: String =
            (0..packages).map(|n| format!(", \"node_modules/p{n}\": {{\"version\": \"1.0.{n}\"}}")).collect();
        let lock = format!(
            "{{\"lockfileVersion\": 3, \"packages\": {{\"\": {{\"dependencies\": {{\"p0\": \"*\"}}}}{listed}}}}}"
        );
        std::fs::write(dir.path().join(folder).join("package-lock.json"), lock).unwrap();
        std::fs::write(dir.path().join(folder).join("package.json"), r#"{"dependencies": {"p0": "*"}}"#).unwrap();
        std::fs::write(dir.path().join(folder).join("index.js"), NODE_HANDLER).unwrap();
    }
    let options = ScanOptions {
        limits: crate::discover::Limits { max_lock_entries: 5, ..Default::default() },
        ..ScanOptions::default()
    };
    let found = super::scan(dir.path(), &options, &|_| {}).unwrap();
    assert_eq!(closures(&found), BTreeMap::from([("large", vec![]), ("small", vec!["p0@1.0.0".to_string()])]));
    let said = findings(&found);
    let expected =
        "file-too-large large/package-lock.json: it holds 6 packages, and locks of more than 5 are not followed";
    assert!(said.contains(&expected.to_string()), "{said:?}");
}
