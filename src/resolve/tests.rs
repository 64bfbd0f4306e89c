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
    let reason = "nothing that is declared, locked, local or provided explains the import of `requests`";
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
        format!("import-missing fn/app.py:{line}: {reason} `{module}`")
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
fn a_nodejs_layer_is_unpacked_to_opt() {
    let service = "
provider: {name: aws, runtime: nodejs20.x}
layers:
  my-libs: {path: layer}
functions:
  one: {handler: one.handler, layers: [{Ref: MyDashlibsLambdaLayer}]}
";
    let code = format!("import {{ a }} from '/opt/nodejs/util';\nimport zod from 'zod';\n{NODE_HANDLER}");
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
