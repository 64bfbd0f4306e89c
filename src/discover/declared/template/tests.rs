//! Templates in memory: nested stacks, code inside them, loops and includes.

use crate::discover::{Defaults, Discovery, Tree, discover};
use crate::model::Severity;

fn run(files: &[(&str, &str)]) -> Discovery {
    let files: Vec<(&str, &[u8])> = files.iter().map(|(p, t)| (*p, t.as_bytes())).collect();
    discover(&Tree::in_memory(&files), &Defaults::default())
}

fn sites(found: &Discovery) -> Vec<String> {
    let one = |s: &crate::discover::Site| {
        let platform = s.platform.as_ref().map_or("?".into(), |p| format!("{}{}", p.language, p.version));
        format!("{} {} {platform} {}", s.id, s.root, s.handler_file.as_deref().unwrap_or("-"))
    };
    found.sites.iter().map(one).collect()
}

fn said(found: &Discovery) -> Vec<String> {
    found.diagnostics.iter().map(|d| format!("{} {}", d.place, d.code)).collect()
}

const CHILD: &str = "\
Parameters:
  Runtime: {Type: String, Default: python3.9}
  Dir: {Type: String}
Resources:
  F:
    Type: AWS::Serverless::Function
    Properties: {Runtime: !Ref Runtime, Handler: app.handler, CodeUri: !Ref Dir}
";

#[test]
fn a_nested_stack_counts_where_its_parents_deploy_it() {
    let parent = "\
Resources:
  One:
    Type: AWS::CloudFormation::Stack
    Properties:
      TemplateURL: ./nested/child.yaml
      Parameters: {Runtime: python3.12, Dir: ../one}
  Two:
    Type: AWS::Serverless::Application
    Properties:
      Location: nested/child.yaml
      Parameters: {Dir: !Sub '../${AWS::Partition}'}
  Far:
    Type: AWS::Serverless::Application
    Properties:
      Location: {ApplicationId: arn, SemanticVersion: 1.0.0}
  Bucket:
    Type: AWS::CloudFormation::Stack
    Properties: {TemplateURL: 'https://registry.example/x.yaml'}
  Gone:
    Type: AWS::CloudFormation::Stack
    Properties: {TemplateURL: gone.yaml}
";
    let files = [
        ("stack.yaml", parent),
        ("nested/child.yaml", CHILD),
        ("one/app.py", ""),
        ("aws/app.py", ""),
        ("other/alone.yaml", CHILD),
    ];
    let found = run(&files);
    assert_eq!(sites(&found), ["One/F one python3.12 one/app.py", "Two/F aws python3.9 aws/app.py"]);
    assert_eq!(
        said(&found),
        [
            "other/alone.yaml:7 template-unresolved",
            "stack.yaml:15 template-unresolved",
            "stack.yaml:18 template-unresolved",
            "stack.yaml:21 template-points-nowhere",
        ]
    );
}

#[test]
fn two_parents_that_deploy_the_same_say_it_once_and_circles_end() {
    let parent = "Resources:\n  C:\n    Type: AWS::CloudFormation::Stack\n    Properties: {TemplateURL: child.yaml, Parameters: {Dir: fn}}\n";
    let files = [("dev.yaml", parent), ("prod.yaml", parent), ("child.yaml", CHILD), ("fn/app.py", "")];
    assert_eq!(sites(&run(&files)), ["C/F fn python3.9 fn/app.py"]);
    let ring = |to: &str| {
        format!(
            "{CHILD}  C:\n    Type: AWS::CloudFormation::Stack\n    Properties: {{TemplateURL: {to}, Parameters: {{Dir: fn}}}}\n"
        )
    };
    let (a, b) = (ring("b.yaml"), ring("a.yaml"));
    let found = run(&[("a.yaml", &a), ("b.yaml", &b), ("fn/app.py", "")]);
    assert_eq!(sites(&found), ["C/F fn python3.9 fn/app.py"]);
    assert!(said(&found).contains(&"a.yaml template-unresolved".to_string()), "{:?}", said(&found));
}

#[test]
fn nested_stacks_that_double_are_bounded() {
    let mut files: Vec<(String, String)> = Vec::new();
    for level in 0..40 {
        let stack = |name: &str| {
            format!(
                "  {name}:\n    Type: AWS::CloudFormation::Stack\n    Properties: {{TemplateURL: t{}.yaml}}\n",
                level + 1
            )
        };
        let many: String = (0..8).map(|n| stack(&format!("S{n}"))).collect();
        files.push((format!("t{level}.yaml"), format!("Resources:\n{many}")));
    }
    let files: Vec<(&str, &str)> = files.iter().map(|(p, t)| (p.as_str(), t.as_str())).collect();
    assert!(run(&files).sites.is_empty());
}

#[test]
fn inline_code_is_the_function_s_code_with_its_lines() {
    let template = "\
Resources:
  Yaml:
    Type: AWS::Lambda::Function
    Properties:
      Runtime: python3.12
      Handler: index.handler
      Code:
        ZipFile: !Sub |
          import json

          import requests
          def handler(event, context): return '${AWS::Region}'
  Joined:
    Type: AWS::Lambda::Function
    Properties:
      Runtime: nodejs20.x
      Handler: index.handler
      Code:
        ZipFile: !Join ['', ['const x = ', \"require('y');\"]]
";
    let json = "{\"Resources\": {\n\"J\": {\"Type\": \"AWS::Serverless::Function\", \"Properties\": {\"Runtime\": \"python3.12\",\n\"InlineCode\": \"import a\\nimport b\\n\", \"Handler\": \"index.x\"}}}}";
    let found = run(&[("t.yaml", template), ("j.json", json), ("app/handler.py", "def handler(event, context): pass")]);
    let inline = |id: &str| {
        let site = found.sites.iter().find(|s| s.id == id).unwrap();
        let inline = site.inline.clone().unwrap();
        (site.root.clone(), inline.line, inline.by_line, inline.text.lines().next().unwrap_or_default().to_string())
    };
    assert_eq!(inline("Yaml"), ("t.yaml".into(), 9, true, "import json".into()));
    assert_eq!(inline("Joined"), ("t.yaml".into(), 19, false, "const x = require('y');".into()));
    assert_eq!(inline("J"), ("j.json".into(), 3, false, "import a".into()));
    assert_eq!(found.sites.len(), 4, "the folder beside it is a function of its own");
}

#[test]
fn code_that_lies_elsewhere_is_found_by_a_handler_that_names_one_file() {
    let template = "\
Resources:
  Stub:
    Type: AWS::Lambda::Function
    Properties: {Runtime: python3.12, Handler: billing.handler.run, Code: {ZipFile: 'def run(e, c): pass'}}
  Stored:
    Type: AWS::Lambda::Function
    Properties: {Runtime: nodejs20.x, Handler: lib/mailer.send, Code: {S3Bucket: b, S3Key: k}}
  Twice:
    Type: AWS::Lambda::Function
    Properties: {Runtime: python3.12, Handler: pkg.same.run, Code: {ZipFile: 'def run(e, c): pass'}}
  Usual:
    Type: AWS::Lambda::Function
    Properties: {Runtime: nodejs20.x, Handler: app.handler, Code: {S3Bucket: b, S3Key: k}}
  Beside:
    Type: AWS::Lambda::Function
    Properties: {Runtime: python3.12, Handler: chat.run, Code: {ZipFile: '# placeholder'}}
";
    let found = run(&[
        ("svc/infra/t.yaml", template),
        ("svc/infra/chat.py", ""),
        ("svc/src/billing/handler.py", ""),
        ("svc/src/tests/billing/handler.py", ""),
        ("svc/mail/lib/mailer.ts", ""),
        ("svc/mail/lib/mailer.js", ""),
        ("svc/a/pkg/same.py", ""),
        ("svc/b/pkg/same.py", ""),
        ("svc/infra/app.js", ""),
        ("chat.py", ""),
    ]);
    let sites: Vec<(&str, &str, &str)> = found
        .sites
        .iter()
        .map(|s| (s.name.as_str(), s.root.as_str(), s.handler_file.as_deref().unwrap_or("-")))
        .collect();
    assert_eq!(
        sites,
        [
            ("Beside", "svc/infra", "svc/infra/chat.py"),
            ("Stored", "svc/mail", "svc/mail/lib/mailer.ts"),
            ("Stub", "svc/src", "svc/src/billing/handler.py"),
        ]
    );
    let said: Vec<(&str, bool)> =
        found.diagnostics.iter().map(|d| (d.code.as_str(), d.severity == Severity::Note)).collect();
    let (note, warning) = (true, false);
    assert_eq!(
        said,
        [
            ("inline-code", note),
            ("template-unresolved", note),
            ("template-unresolved", warning),
            ("template-unresolved", warning),
            ("inline-code", note),
        ]
    );
}

#[test]
fn loops_and_includes_are_written_out() {
    let template = "\
Transform: AWS::LanguageExtensions
Parameters: {Names: {Type: CommaDelimitedList, Default: 'a, b'}}
Resources:
  Fn::ForEach::Functions:
    - Name
    - !Ref Names
    - Fn${Name}:
        Type: AWS::Serverless::Function
        Properties: {Runtime: python3.12, Handler: !Sub '${Name}.handler', CodeUri: src}
  Fn::ForEach::Late:
    - Name
    - !Ref Nowhere
    - L${Name}: {Type: AWS::Serverless::Function}
  Fn::Transform:
    Name: AWS::Include
    Parameters: {Location: more.yaml}
  Plain:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: src
      Handler: a.handler
      Fn::Transform: {Name: AWS::Include, Parameters: {Location: ./common.yaml}}
";
    let more = "More:\n  Type: AWS::Serverless::Function\n  Properties: {Runtime: python3.11, Handler: b.handler, CodeUri: src}\n";
    let found = run(&[
        ("template.yaml", template),
        ("more.yaml", more),
        ("common.yaml", "Runtime: python3.10\n"),
        ("src/a.py", ""),
        ("src/b.py", ""),
    ]);
    assert_eq!(
        sites(&found),
        [
            "Fna src python3.12 src/a.py",
            "Fnb src python3.12 src/b.py",
            "More src python3.11 src/b.py",
            "Plain src python3.10 src/a.py",
        ]
    );
    assert_eq!(said(&found), ["template.yaml:12 template-unresolved"]);
    assert_eq!(found.sites[2].declared_at.line, 14);
}

#[test]
fn loops_inside_loops_are_bounded() {
    let mut body = "\"X${A}\": {Type: AWS::Serverless::Function}".to_string();
    let list = vec!["v"; 100].join(", ");
    for level in 0..7 {
        body = format!("\"Fn::ForEach::L{level}\": [A, [{list}], {{{body}}}]");
    }
    let found = run(&[("template.yaml", &format!("Resources: {{{body}}}\n"))]);
    assert!(said(&found).iter().any(|s| s == "template.yaml:1 template-unresolved"), "{:?}", said(&found).first());
}

#[test]
fn esbuild_writes_each_entry_point_to_the_top() {
    let template = "\
Resources:
  F:
    Type: AWS::Serverless::Function
    Properties: {Runtime: nodejs20.x, Handler: app.handler, CodeUri: .}
    Metadata:
      BuildMethod: esbuild
      BuildProperties: {EntryPoints: [src/handlers/app.ts]}
";
    let found = run(&[("template.yaml", template), ("src/handlers/app.ts", "")]);
    assert_eq!(sites(&found), ["F . node20 src/handlers/app.ts"]);
}

#[test]
fn conditions_that_defaults_decide_choose_values_and_layers() {
    let template = "\
Parameters: {Stage: {Type: String, Default: prod}}
Conditions: {Prod: !Equals [!Ref Stage, prod]}
Resources:
  Libs: {Type: AWS::Serverless::LayerVersion, Properties: {ContentUri: layer}}
  F:
    Type: AWS::Serverless::Function
    Condition: Prod
    Properties:
      Runtime: !If [Prod, python3.12, python3.8]
      Handler: app.handler
      CodeUri: src
      Layers: !If [Prod, [!Ref Libs, !If [Prod, !Ref AWS::NoValue, arn]], []]
";
    let found = run(&[("t.template", template), ("src/app.py", ""), ("layer/python/x.py", "")]);
    assert_eq!(sites(&found), ["F src python3.12 src/app.py"]);
    let layers: Vec<_> = found.sites[0].layers.iter().map(|l| (l.text.as_str(), l.folder.as_deref())).collect();
    assert_eq!(layers, [("Libs", Some("layer"))]);
}
