//! Whole fleets in memory: what is found, as what, and what is said.

use super::*;

fn run(files: &[(&str, &str)]) -> Discovery {
    let files: Vec<(&str, &[u8])> = files.iter().map(|(p, t)| (*p, t.as_bytes())).collect();
    discover(&Tree::in_memory(&files), &Defaults::default())
}

fn said(found: &Discovery) -> Vec<String> {
    found.diagnostics.iter().map(|d| format!("{} {}", d.place, d.code)).collect()
}

fn summary(found: &Discovery) -> Vec<String> {
    let one = |s: &Site| {
        let platform = s.platform.as_ref().map_or("?".into(), |p| format!("{}{}-{}", p.language, p.version, p.arch));
        format!("{} {} {} {}", s.id, s.root, platform, s.handler_file.as_deref().unwrap_or("-"))
    };
    found.sites.iter().map(one).collect()
}

const SAM: &str = "\
AWSTemplateFormatVersion: '2010-09-09'
Transform: AWS::Serverless-2016-10-31
Parameters:
  Dir:
    Type: String
    Default: ./cart
Globals:
  Function:
    Runtime: python3.12
    Architectures: [arm64]
    Environment:
      Variables:
        STAGE: prod
        TABLE: !Ref Table
Resources:
  Hello:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: src/
      Handler: app.lambda_handler
      Environment:
        Variables:
          STAGE: dev
  Cart:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: !Ref Dir
      Handler: index.handler
      Runtime: nodejs20.x
      Architectures:
        - x86_64
  Gone:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: nowhere/
      Handler: app.lambda_handler
  Jar:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: target/app.jar
      Handler: x.App::handle
      Runtime: java17
  Inline:
    Type: AWS::Serverless::Function
    Properties:
      Handler: index.handler
      InlineCode: 'def handler(e, c): pass'
  Table:
    Type: AWS::DynamoDB::Table
";

#[test]
fn a_sam_template_declares_functions_with_globals_and_parameters() {
    let found = run(&[
        ("template.yaml", SAM),
        ("src/app.py", "def lambda_handler(event, context): pass"),
        ("cart/index.mjs", "export const handler = async (event) => {}"),
    ]);
    assert_eq!(
        summary(&found),
        [
            "Cart cart node20-x86_64 cart/index.mjs",
            "Hello src python3.12-aarch64 src/app.py",
            "Inline template.yaml python3.12-aarch64 -",
            "Jar . ? -",
        ]
    );
    assert_eq!(said(&found), ["template.yaml:35 template-points-nowhere", "template.yaml:42 runtime-unknown",]);
    let hello = &found.sites[1];
    assert_eq!(hello.environment, BTreeMap::from([("STAGE".to_string(), "dev".to_string())]));
    assert_eq!((hello.declared_at.line, hello.declared_as, hello.provider), (16, "sam", Provider::AwsLambda));
}

#[test]
fn code_that_only_a_deployment_knows_is_named_with_its_line() {
    let template = "{\n\t\"Resources\": {\n\t\t\"A\": {\"Type\": \"AWS::Lambda::Function\", \"Properties\": {\n\t\t\t\"Runtime\": \"python3.11\", \"Handler\": \"a.b\",\n\t\t\t\"Code\": {\"S3Bucket\": \"x\", \"S3Key\": \"y\"}}},\n\t\t\"B\": {\"Type\": \"AWS::Lambda::Function\", \"Properties\": {\n\t\t\t\"Runtime\": {\"Ref\": \"Nope\"}, \"Handler\": \"b.handler\", \"Code\": \"fn\"}}\n\t}\n}";
    let found = run(&[("t/stack.json", template), ("t/fn/b.py", "def handler(event, context): pass")]);
    assert_eq!(summary(&found), ["t/B t/fn ? t/fn/b.py"]);
    assert_eq!(said(&found), ["t/stack.json:5 template-unresolved", "t/stack.json:7 template-unresolved"]);
}

#[test]
fn an_image_is_read_through_its_dockerfile() {
    let template = "Resources:\n  F:\n    Type: AWS::Serverless::Function\n    Properties:\n      PackageType: Image\n    Metadata:\n      DockerContext: ./app\n      Dockerfile: Dockerfile.prod\n";
    let docker = "FROM registry.example/lambda/python:3.10\nCOPY app.py .\nCMD [\"app.handler\"]\n";
    let found = run(&[("template.yml", template), ("app/Dockerfile.prod", docker), ("app/app.py", "")]);
    assert_eq!(summary(&found), ["F app python3.10-x86_64 app/app.py"]);
    assert!(found.sites[0].provider == Provider::Unknown && found.diagnostics.is_empty(), "{found:?}");
}

#[test]
fn yaml_that_is_no_template_makes_no_noise() {
    let found = run(&[
        ("chart/deploy.yaml", "{{- if .Values.x }}\nkind: AWS::Lambda::Function\nResources: {{ .x }}\n"),
        ("data.json", "{ broken"),
        ("notes.yaml", "text: AWS::Serverless::Function is a type\n"),
        ("app.py", "def lambda_handler(event, context): pass"),
    ]);
    assert_eq!(said(&found), ["app.py platform-defaulted"]);
    let found = run(&[("template.yaml", "Resources:\n  F:\n    Type: AWS::Serverless::Function\n   Bad: 1\n")]);
    assert_eq!(said(&found), ["template.yaml:4 template-invalid"]);
}

#[test]
fn a_service_resolves_its_own_variables() {
    let service = "\
service: shop
custom:
  runtime: nodejs18.x
provider:
  name: aws
  runtime: ${self:custom.runtime}
  architecture: ${opt:arch, 'arm64'}
functions:
  cart:
    handler: functions/cart/handler.main
  py:
    handler: jobs/etl.run
    runtime: ${opt:py, 'python3.9'}
  late:
    handler: ${env:HANDLER}
    runtime: ${env:RUNTIME}
  gone:
    handler: functions/gone.main
  old:
    handler: x.y
    runtime: ruby3.2
";
    let found = run(&[
        ("shop/serverless.yml", service),
        ("shop/functions/cart/handler.ts", "export const main = async (event) => {}"),
        ("shop/jobs/etl.py", "def run(event, context): pass"),
    ]);
    assert_eq!(
        summary(&found),
        [
            "shop/cart shop node18-aarch64 shop/functions/cart/handler.ts",
            "shop/gone shop node18-aarch64 -",
            "shop/late shop ? -",
            "shop/old shop ? -",
            "shop/py shop python3.9-aarch64 shop/jobs/etl.py",
        ]
    );
    assert_eq!(
        said(&found),
        [
            "shop/serverless.yml:15 template-unresolved",
            "shop/serverless.yml:16 template-unresolved",
            "shop/serverless.yml:18 template-points-nowhere",
            "shop/serverless.yml:21 runtime-unknown",
        ]
    );
    assert_eq!(found.sites[0].entry.as_deref(), Some("shop/functions/cart/handler.ts"));
}

#[test]
fn included_function_files_are_read_where_they_are() {
    let service = "provider: aws\nfunctions:\n  - ${file(./a.yml)}\n  - ${file(b.yml):inner}\n  - ${file(gone.yml)}\n  - own:\n      handler: h.x\n      runtime: nodejs20.x\n";
    let found = run(&[
        ("serverless.yml", service),
        ("a.yml", "one:\n  handler: h.one\n  runtime: nodejs20.x\n"),
        ("b.yml", "inner:\n  two:\n    handler: h.two\n    runtime: nodejs22.x\n"),
        ("h.js", ""),
    ]);
    let ids: Vec<String> = found.sites.iter().map(|s| format!("{} {}", s.id, s.declared_at)).collect();
    assert_eq!(ids, ["one a.yml:1", "own serverless.yml:6", "two b.yml:2"]);
    assert_eq!(said(&found), ["serverless.yml:5 include-missing"]);
}

#[test]
fn variables_that_go_in_circles_end() {
    let service = "provider: {name: aws, runtime: '${self:custom.a}'}\ncustom: {a: '${self:custom.b}', b: '${self:custom.a}${self:custom.a}'}\nfunctions: ${self:functions}\n";
    let found = run(&[("serverless.yml", service)]);
    assert!(found.sites.is_empty());
}

#[test]
fn plain_folders_are_functions_where_a_handler_lies() {
    let handler = "def lambda_handler(event, context): pass";
    let found = run(&[
        ("package-lock.json", "{}"),
        ("package.json", "{\"engines\": {\"node\": \">=22\"}}"),
        ("py/resize/handler.py", handler),
        ("py/resize/pyproject.toml", "[project]\nname = 'x'\nrequires-python = '==3.12.*'\n"),
        ("py/lib/util.py", "def helper(event, context): pass"),
        ("py/tests/handler.py", handler),
        ("many/a.js", "exports.handler = async (event) => {}"),
        ("many/b.js", "exports.handler = async (event) => {}"),
        ("many/package.json", "{}"),
        ("ts/src/index.ts", "export const handler = async (event) => {}"),
        ("ts/package.json", "{}"),
        ("azure/Http/__init__.py", "def main(req: func.HttpRequest): pass"),
        ("azure/Http/function.json", "{}"),
    ]);
    assert_eq!(
        summary(&found),
        [
            "azure/Http azure/Http python3.11-x86_64 azure/Http/__init__.py",
            "many/a many node24-x86_64 many/a.js",
            "many/b many node24-x86_64 many/b.js",
            "py/resize py/resize python3.12-x86_64 py/resize/handler.py",
            "ts ts node24-x86_64 ts/src/index.ts",
        ]
    );
    assert_eq!(found.sites[4].handler.as_deref(), Some("src/index.handler"));
    assert!(found.sites[0].provider != Provider::AwsLambda && found.sites[3].provider == Provider::AwsLambda);
    assert_eq!(found.sites[1].entry.as_deref(), Some("many/a.js"));
    assert_eq!(said(&found), ["azure/Http/__init__.py platform-defaulted"]);
}

#[test]
fn declarations_of_one_handler_are_merged_and_their_contradictions_named() {
    let template = |runtime: &str| {
        format!(
            "Resources:\n  F:\n    Type: AWS::Serverless::Function\n    Properties:\n      CodeUri: src\n      Handler: app.handler\n      Runtime: {runtime}\n"
        )
    };
    let service = "provider: {name: aws, runtime: python3.12}\nfunctions:\n  f: {handler: src/app.handler}\n";
    let files =
        [("template.yaml", template("python3.12")), ("serverless.yml", service.into()), ("src/app.py", String::new())];
    let run_owned = |files: &[(&str, String)]| run(&files.iter().map(|(p, t)| (*p, t.as_str())).collect::<Vec<_>>());
    let found = run_owned(&files);
    assert_eq!(summary(&found), ["F src python3.12-x86_64 src/app.py"]);
    assert!(found.diagnostics.is_empty());
    let files = [("template.yaml", template("python3.9")), files[1].clone(), files[2].clone()];
    let found = run_owned(&files);
    assert_eq!(summary(&found), ["F src python3.9-x86_64 src/app.py"]);
    assert_eq!(said(&found), ["serverless.yml:3 declarations-disagree"]);
}

#[test]
fn ids_are_unique_and_both_places_are_named() {
    let template = |dir: &str| {
        format!(
            "Resources:\n  F:\n    Type: AWS::Serverless::Function\n    Properties:\n      CodeUri: {dir}\n      Handler: app.handler\n      Runtime: python3.12\n"
        )
    };
    let (a, b) = (template("a"), template("b"));
    let found = run(&[("x.yaml", &a), ("y.yaml", &b), ("a/app.py", ""), ("b/app.py", "")]);
    assert_eq!(summary(&found), ["F a python3.12-x86_64 a/app.py", "y.yaml/F b python3.12-x86_64 b/app.py"]);
    assert_eq!(said(&found), ["y.yaml:2 function-name-twice"]);
    assert!(found.diagnostics[0].reason.contains("x.yaml:2"), "{}", found.diagnostics[0].reason);
}

#[test]
fn an_empty_fleet_says_so() {
    // That there is no function at all is said by the scan, which knows how many files it has seen.
    assert!(said(&run(&[("README.md", "")])).is_empty());
}

#[test]
fn a_template_with_braces_of_its_own_is_not_passed_over() {
    let broken =
        "Resources:\n  F:\n    Type: AWS::Serverless::Function\n  Db: '{{resolve:secretsmanager:x}}'\n bad: [\n";
    let chart = "Resources:\n  F: {{ .Values.type }}\n    Type: AWS::Serverless::Function\n bad: [\n";
    let tree = Tree::in_memory(&[("template.yaml", broken.as_bytes()), ("chart.yaml", chart.as_bytes())]);
    let found = discover(&tree, &Defaults::default());
    let codes: Vec<(&str, &str)> = found.diagnostics.iter().map(|d| (d.code.as_str(), d.place.file.as_str())).collect();
    assert_eq!(codes, [("template-invalid", "template.yaml")]);
}

/// One root module may deploy a handler twice; another application that names it means the same function.
#[test]
fn functions_of_one_application_stay_apart() {
    let function = |name: &str, runtime: &str| {
        format!(
            "resource \"aws_lambda_function\" \"{name}\" {{\n  function_name = \"{name}\"\n  runtime = \"{runtime}\"\n  handler = \"app.handler\"\n  filename = \"../src\"\n}}\n"
        )
    };
    let (a, b) = (function("a", "python3.12"), function("b", "python3.9"));
    let service = "service: s\nprovider: {name: aws, runtime: python3.9}\npackage: {individually: true}\nfunctions:\n  c:\n    handler: src/app.handler\n";
    let stack = "Resources:\n  Inner:\n    Type: AWS::CloudFormation::Stack\n    Properties: {TemplateURL: inner.yaml}\n  \
                 One:\n    Type: AWS::Serverless::Function\n    Properties: {Runtime: python3.12, Handler: app.handler, CodeUri: code}\n";
    let inner = "Resources:\n  Two:\n    Type: AWS::Serverless::Function\n    Properties: {Runtime: python3.9, Handler: app.handler, CodeUri: code}\n";
    let found = run(&[
        ("tf/a.tf", &a),
        ("tf/b.tf", &b),
        ("serverless.yml", service),
        ("src/app.py", ""),
        ("stack/template.yaml", stack),
        ("stack/inner.yaml", inner),
        ("stack/code/app.py", ""),
    ]);
    let ids: Vec<&str> = found.sites.iter().map(|s| s.id.as_str()).collect();
    assert_eq!(ids, ["stack/Inner/Two", "stack/One", "tf/a", "tf/b"]);
    // The service says what one of them says: no contradiction.
    assert_eq!(said(&found), Vec::<String>::new());
    let found = run(&[("tf/a.tf", &a), ("serverless.yml", service), ("src/app.py", "")]);
    assert_eq!(said(&found), ["serverless.yml:5 declarations-disagree"]);
}
