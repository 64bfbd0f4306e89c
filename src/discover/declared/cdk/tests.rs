//! Applications in memory. What `cdk synth` writes (aws-cdk-lib 2) was looked up in a real `cdk.out`.

use super::*;

fn found(files: &[(&str, &str)]) -> Discovery {
    let files: Vec<(&str, &[u8])> = files.iter().map(|(p, t)| (*p, t.as_bytes())).collect();
    let mut found = Discovery::default();
    find(&Tree::in_memory(&files), &Defaults::default(), &mut found);
    found.sites.sort_by(|a, b| a.id.cmp(&b.id));
    found.diagnostics.sort();
    found
}

fn sites(found: &Discovery) -> Vec<String> {
    let one = |s: &Site| {
        let platform = s.platform.as_ref().map_or("?".into(), |p| format!("{}{}-{}", p.language, p.version, p.arch));
        let layers: Vec<_> = s.layers.iter().map(|l| l.folder.clone().unwrap_or(format!("?{}", l.text))).collect();
        let handler = s.handler.as_deref().unwrap_or("-");
        let file = s.handler_file.as_deref().unwrap_or("-");
        format!("{} {} {platform} {handler} {file} {}", s.id, s.root, layers.join(",")).trim_end().to_string()
    };
    found.sites.iter().map(one).collect()
}

fn said(found: &Discovery) -> Vec<String> {
    found.diagnostics.iter().map(|d| format!("{} {}: {}", d.place, d.code, d.reason)).collect()
}

const TS: &str = "\
import * as cdk from 'aws-cdk-lib';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import { NodejsFunction, NodejsFunctionProps } from 'aws-cdk-lib/aws-lambda-nodejs';
import * as path from 'path';
export class MyStack extends cdk.Stack {
  constructor(scope: cdk.App, id: string) {
    super(scope, id);
    const layer = new lambda.LayerVersion(this, 'Libs', { code: lambda.Code.fromAsset('layer') });
    const old = lambda.LayerVersion.fromLayerVersionArn(this, 'Old', 'arn:aws:lambda:x');
    new lambda.Function(this, 'Py', {
      runtime: lambda.Runtime.PYTHON_3_12,
      architecture: lambda.Architecture.ARM_64,
      handler: 'app.handler',
      code: lambda.Code.fromAsset(path.join(__dirname, '../fn/py')),
      environment: { STAGE: 'prod', TABLE: table.tableName },
      layers: [layer, old],
    });
    const common: NodejsFunctionProps = { runtime: lambda.Runtime.NODEJS_22_X, bundling: { externalModules: [] } };
    new NodejsFunction(this, 'Cart', { ...common, entry: 'fn/js/cart.ts', handler: 'main' });
    new NodejsFunction(this, 'beside', { runtime: lambda.Runtime.NODEJS_LATEST });
    for (const name of ['a', 'b']) {
      new NodejsFunction(this, name, { entry: `fn/js/${name}.ts`, runtime: lambda.Runtime.NODEJS_20_X });
    }
    new lambda.Function(this, 'Inline', {
      runtime: lambda.Runtime.NODEJS_20_X,
      handler: 'index.handler',
      code: lambda.Code.fromInline(`
        const aws = require('aws-sdk');
        exports.handler = async () => {};
      `),
    });
    new lambda.DockerImageFunction(this, 'Img', { code: lambda.DockerImageCode.fromImageAsset('img') });
    new lambda.Function(this, 'Far', {
      runtime: lambda.Runtime.PYTHON_3_12, handler: 'x.y', code: lambda.Code.fromBucket(bucket, 'k'),
    });
  }
}
";

const TREE: [(&str, &str); 9] = [
    ("app/cdk.json", "{\"app\": \"npx ts-node bin/app.ts\"}"),
    ("app/lib/my.ts", TS),
    ("app/lib/my.beside.ts", ""),
    ("app/fn/py/app.py", "import json\n"),
    ("app/fn/js/cart.ts", ""),
    ("app/fn/js/a.ts", ""),
    ("app/layer/python/m.py", ""),
    ("app/img/Dockerfile", "FROM registry.example/lambda/python:3.11\nCMD [\"app.handler\"]\n"),
    ("app/img/app.py", "import json\n"),
];

#[test]
fn constructors_with_literal_arguments_declare_functions() {
    let found = found(&TREE);
    assert_eq!(
        sites(&found),
        [
            "app/Cart app/fn/js node22-x86_64 cart.main app/fn/js/cart.ts",
            "app/Img app/img python3.11-x86_64 app.handler app/img/app.py",
            "app/Inline app/lib/my.ts node20-x86_64 index.handler -",
            "app/Py app/fn/py python3.12-aarch64 app.handler app/fn/py/app.py app/layer,?arn:aws:lambda:x",
            "app/beside app/lib node20-x86_64 my.beside.handler app/lib/my.beside.ts",
        ]
    );
    let py = &found.sites[3];
    assert_eq!(py.environment, BTreeMap::from([("STAGE".to_string(), "prod".to_string())]));
    assert_eq!((py.declared_at.line, py.declared_as), (10, "cdk"));
    assert_eq!(found.sites[0].entry.as_deref(), Some("app/fn/js/cart.ts"));
    let inline = found.sites[2].inline.as_ref().unwrap();
    assert_eq!((inline.line, inline.by_line), (27, true));
    let said: Vec<String> = said(&found);
    assert_eq!(
        said,
        [
            "app/lib/my.ts:20 platform-defaulted: nothing says which node runs it, node 20 is assumed",
            "app/lib/my.ts:22 template-unresolved: entry depends on `name`",
            "app/lib/my.ts:33 template-unresolved: the code is an object in a bucket",
        ]
    );
}

#[test]
fn python_applications_spell_the_same_in_their_own_way() {
    let stack = "\
import os
from aws_cdk import Stack, aws_lambda as _lambda
from aws_cdk import aws_lambda_python_alpha as python
HERE = os.path.dirname(os.path.abspath(__file__))
class S(Stack):
    def __init__(self, scope, id, **kwargs):
        super().__init__(scope, id, **kwargs)
        self.libs = python.PythonLayerVersion(self, 'Libs', entry='layer')
        fn = _lambda.Function(
            self,
            id='A',
            runtime=_lambda.Runtime.PYTHON_3_11,
            code=_lambda.Code.from_asset(path='src'),
            handler='app.handler',
            layers=[self.libs],
            memory_size=128,
        )
        python.PythonFunction(self, 'B', entry=os.path.join(HERE, '..', 'py'), index='main.py',
                              handler='run', runtime=_lambda.Runtime.PYTHON_3_13)
        _lambda.Function(self, 'C', code=_lambda.Code.from_asset(self.where), handler='x.y',
                         runtime=_lambda.Runtime.PYTHON_3_13)
        _lambda.Function(self, 'J', code=_lambda.Code.from_asset('target/x.jar'), handler='x.Y',
                         runtime=_lambda.Runtime.JAVA_21)
";
    let found = found(&[
        ("cdk.json", "{}"),
        ("stacks/s.py", stack),
        ("src/app.py", ""),
        ("py/main.py", ""),
        ("layer/requirements.txt", ""),
        ("tests/unit/s.py", stack),
    ]);
    assert_eq!(
        sites(&found),
        [
            "A src python3.11-x86_64 app.handler src/app.py layer",
            "B py python3.13-x86_64 main.run py/main.py",
            "J stacks ? x.Y -",
        ]
    );
    assert_eq!(
        said(&found),
        [
            "stacks/s.py:20 template-unresolved: code depends on `self.where`",
            "stacks/s.py:22 runtime-unknown: runtime `java21` is not one that warmset plans for",
        ]
    );
}

const MANIFEST: &str = "{\"artifacts\": {\"Main\": {\"type\": \"aws:cloudformation:stack\", \"properties\": {\"templateFile\": \"Main.template.json\"}}, \"Tree\": {\"type\": \"cdk:tree\"}}}";
const TEMPLATE: &str = r#"{"Resources": {
"Py72": {"Type": "AWS::Lambda::Function", "Properties": {"Runtime": "python3.10", "Handler": "app.handler",
  "Code": {"S3Bucket": "b", "S3Key": "k.zip"}, "Layers": [{"Ref": "Libs1"}]},
  "Metadata": {"aws:cdk:path": "Main/Py/Resource", "aws:asset:path": "asset.py", "aws:asset:is-bundled": false}},
"Cart1": {"Type": "AWS::Lambda::Function", "Properties": {"Runtime": "nodejs22.x", "Handler": "index.main",
  "Code": {"S3Bucket": "b", "S3Key": "c.zip"}},
  "Metadata": {"aws:cdk:path": "Main/Cart/Resource", "aws:asset:path": "asset.cart", "aws:asset:is-bundled": true}},
"Libs1": {"Type": "AWS::Lambda::LayerVersion", "Properties": {"Content": {"S3Bucket": "b", "S3Key": "l.zip"}},
  "Metadata": {"aws:cdk:path": "Main/Libs/Resource", "aws:asset:path": "asset.layer"}},
"Custom1": {"Type": "AWS::Lambda::Function", "Properties": {"Runtime": "nodejs22.x", "Handler": "index.handler",
  "Code": {"S3Bucket": "b", "S3Key": "d.zip"}},
  "Metadata": {"aws:cdk:path": "Main/Custom::X/Handler", "aws:asset:path": "asset.custom"}},
"In": {"Type": "AWS::CloudFormation::Stack", "Properties": {"TemplateURL": {"Fn::Join": ["", ["https://", {"Ref": "AWS::Region"}]]}},
  "Metadata": {"aws:asset:path": "MainIn.nested.template.json"}}
}}"#;
const NESTED: &str = r#"{"Resources": {"N1": {"Type": "AWS::Lambda::Function", "Properties": {"Runtime": "python3.10",
  "Handler": "index.handler", "Code": {"ZipFile": "import json\ndef handler(e, c): pass\n"}},
  "Metadata": {"aws:cdk:path": "Main/In/N/Resource"}}}}"#;

#[test]
fn what_was_synthesised_counts_first_and_leads_back_to_its_sources() {
    let mut files = TREE.to_vec();
    files.extend([
        ("app/cdk.out/cdk.out", "{\"version\": \"36.0.0\"}"),
        ("app/cdk.out/manifest.json", MANIFEST),
        ("app/cdk.out/Main.template.json", TEMPLATE),
        ("app/cdk.out/MainIn.nested.template.json", NESTED),
        ("app/cdk.out/asset.py/app.py", "import json\n"),
        ("app/cdk.out/asset.layer/python/m.py", ""),
        ("app/cdk.out/asset.cart/index.js", "// fn/js/cart.ts\n"),
        ("app/cdk.out/asset.custom/index.js", "exports.handler = 1;"),
    ]);
    let found = found(&files);
    let expected = [
        "app/Img app/img python3.11-x86_64 app.handler app/img/app.py",
        "app/Inline app/lib/my.ts node20-x86_64 index.handler -",
        "app/Main/Cart app/fn/js node22-x86_64 index.main app/fn/js/cart.ts",
        "app/Main/Custom::X/Handler app/cdk.out/asset.custom node22-x86_64 index.handler app/cdk.out/asset.custom/index.js",
        "app/Main/In/N app/cdk.out/MainIn.nested.template.json python3.10-x86_64 index.handler -",
        "app/Main/Py app/fn/py python3.10-x86_64 app.handler app/fn/py/app.py app/layer",
        "app/beside app/lib node20-x86_64 my.beside.handler app/lib/my.beside.ts",
    ];
    assert_eq!(sites(&found), expected);
    // Without the constructors the assets themselves tell: equal files, and what esbuild notes.
    let alone: Vec<_> = files.into_iter().filter(|(path, _)| *path != "app/lib/my.ts").collect();
    let found = super::tests::found(&alone);
    let roots: Vec<&str> = found.sites.iter().map(|s| s.root.as_str()).collect();
    assert_eq!(
        roots,
        ["app/fn/js", "app/cdk.out/asset.custom", "app/cdk.out/MainIn.nested.template.json", "app/fn/py"]
    );
}

#[test]
fn an_output_that_git_ignores_is_read_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let write = |rel: &str, text: &str| {
        let path = dir.path().join(rel);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write(".gitignore", "cdk.out\n");
    write("cdk.json", "{}");
    write("fn/app.py", "def handler(event, context): return 1\n");
    write("cdk.out/cdk.out", "{}");
    write("cdk.out/manifest.json", MANIFEST);
    write("cdk.out/Main.template.json", TEMPLATE);
    write("cdk.out/asset.py/app.py", "def handler(event, context): return 1\n");
    write("cdk.out/asset.py/node_modules/x/index.js", "");
    let tree = Tree::open(dir.path(), crate::discover::Limits::default()).unwrap();
    assert_eq!(tree.files().collect::<Vec<_>>(), ["cdk.json", "fn/app.py"]);
    assert_eq!(tree.under(".").count(), 2);
    assert_eq!(tree.under("cdk.out/asset.py").collect::<Vec<_>>(), ["cdk.out/asset.py/app.py"]);
    let mut found = Discovery::default();
    find(&tree, &Defaults::default(), &mut found);
    let ids: Vec<_> = found.sites.iter().map(|s| (s.id.as_str(), s.root.as_str())).collect();
    assert_eq!(ids, [("Main/Py", "fn")]);
}

#[test]
fn runtimes_are_spelt_as_aws_spells_them() {
    for (constant, expected) in [
        ("PYTHON_3_12", Some("python3.12")),
        ("NODEJS_20_X", Some("nodejs20.x")),
        ("NODEJS_LATEST", Some("nodejs")),
        ("JAVA_17", Some("java17")),
        ("DOTNET_CORE_3_1", Some("dotnet3.1")),
        ("PROVIDED_AL2023", Some("providedal2023")),
        ("FROM_IMAGE", None),
        ("whatever", None),
    ] {
        assert_eq!(runtime_name(constant).as_deref(), expected, "{constant}");
    }
}

/// The code of a function is often kept in a file that the program reads.
#[test]
fn code_that_is_read_from_a_file_is_that_file() {
    let ts = "\
import fs = require('fs');
import * as path from 'path';
import * as lambda from 'aws-cdk-lib/aws-lambda';
new lambda.Function(this, 'Cron', {
  runtime: lambda.Runtime.PYTHON_3_12, handler: 'index.main',
  code: new lambda.InlineCode(fs.readFileSync('code/cron.py', { encoding: 'utf-8' })),
});
new lambda.Function(this, 'Beside', {
  runtime: lambda.Runtime.NODEJS_20_X, handler: 'index.main',
  code: lambda.Code.fromInline(fs.readFileSync(path.join(__dirname, 'x.js')).toString()),
});
new lambda.Function(this, 'Gone', {
  runtime: lambda.Runtime.NODEJS_20_X, handler: 'index.main',
  code: lambda.Code.fromInline(fs.readFileSync('gone.js', 'utf8')),
});
";
    let py = "\
from aws_cdk import aws_lambda as lambda_
with open('one.py', encoding='utf8') as fp:
    one = fp.read()
lambda_.Function(self, 'One', code=lambda_.InlineCode(one), handler='index.f', runtime=lambda_.Runtime.PYTHON_3_12)
with open('two.py') as fp:
    two = fp.read()
lambda_.Function(self, 'Two', code=lambda_.InlineCode(two), handler='index.f', runtime=lambda_.Runtime.PYTHON_3_12)
";
    let found = found(&[
        ("ts/cdk.json", "{}"),
        ("ts/lib/stack.ts", ts),
        ("ts/lib/x.js", "require('pg')"),
        ("ts/code/cron.py", "import six\n"),
        ("py/cdk.json", "{}"),
        ("py/app.py", py),
        ("py/one.py", "import one"),
        ("py/two.py", "import two"),
    ]);
    let read: Vec<String> = found
        .sites
        .iter()
        .map(|s| format!("{} {} {:?}", s.id, s.root, s.inline.as_ref().map(|i| i.text.trim_end())))
        .collect();
    assert_eq!(
        read,
        [
            "py/One py/one.py Some(\"import one\")",
            "py/Two py/two.py Some(\"import two\")",
            "ts/Beside ts/lib/x.js Some(\"require('pg')\")",
            "ts/Cron ts/code/cron.py Some(\"import six\")",
        ]
    );
    assert_eq!(said(&found), ["ts/lib/stack.ts:12 template-points-nowhere: code `gone.js` does not exist"]);
}
