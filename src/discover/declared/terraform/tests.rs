use super::*;

fn run(files: &[(&str, &str)]) -> (Vec<String>, Vec<String>) {
    let files: Vec<(&str, &[u8])> = files.iter().map(|(p, t)| (*p, t.as_bytes())).collect();
    let mut found = Discovery::default();
    find(&Tree::in_memory(&files), &Defaults::default(), &mut found);
    found.sites.sort_by(|a, b| a.id.cmp(&b.id));
    found.diagnostics.sort();
    found.diagnostics.dedup();
    let site = |s: &crate::discover::Site| {
        let platform = s.platform.as_ref().map_or("?".into(), |p| format!("{}{}-{}", p.language, p.version, p.arch));
        let layers: Vec<_> = s.layers.iter().map(|l| l.folder.clone().unwrap_or(format!("?{}", l.text))).collect();
        format!("{} {} {platform} {} {}", s.id, s.root, s.handler_file.as_deref().unwrap_or("-"), layers.join(","))
    };
    let said = found.diagnostics.iter().map(|d| format!("{} {} {}", d.place, d.code, d.reason));
    (found.sites.iter().map(|s| site(s).trim_end().to_string()).collect(), said.collect())
}

#[test]
fn archives_are_followed_to_their_sources() {
    let main = r#"
locals { runtime = "python3.12" }
variable "arch" { default = "arm64" }
data "archive_file" "dir" {
  type        = "zip"
  source_dir  = "${path.module}/src"
  output_path = "${path.module}/out/dir.zip"
}
data "archive_file" "one" {
  type        = "zip"
  source_file = "one/app.py"
  output_path = "one.zip"
}
resource "aws_lambda_layer_version" "libs" {
  layer_name = "libs"
  filename   = data.archive_file.libs.output_path
}
data "archive_file" "libs" {
  source_dir  = "layer"
  output_path = "libs.zip"
}
resource "aws_lambda_function" "a" {
  function_name = "a-${terraform.workspace}"
  filename      = data.archive_file.dir.output_path
  handler       = "app.handler"
  runtime       = local.runtime
  architectures = [var.arch]
  layers        = [aws_lambda_layer_version.libs.arn, "arn:x"]
  environment {
    variables = { STAGE = "prod", TABLE = aws_dynamodb_table.t.name }
  }
}
resource "aws_lambda_function" "b" {
  filename = "one.zip"
  handler  = "app.handler"
  runtime  = "python3.11"
}
resource "aws_s3_object" "o" { source = data.archive_file.dir.output_path }
resource "aws_lambda_function" "c" {
  s3_bucket = "x"
  s3_key    = aws_s3_object.o.key
  handler   = "app.handler"
  runtime   = local.runtime
}
resource "aws_lambda_function" "gone" {
  filename = "build/gone.zip"
  handler  = "app.handler"
  runtime  = local.runtime
}
resource "aws_lambda_function" "built" {
  filename = "./dist/index.zip"
  handler  = "index.handler"
  runtime  = "nodejs22.x"
}
resource "aws_lambda_function" "packed" {
  filename = "./packed.zip"
  handler  = "mine.handler"
  runtime  = local.runtime
}
resource "aws_lambda_function" "image" {
  image_uri    = "registry.example/x:1"
  package_type = "Image"
}
"#;
    let files = [
        ("tf/main.tf", main),
        ("tf/src/app.py", ""),
        ("tf/one/app.py", ""),
        ("tf/layer/python/x.py", ""),
        ("tf/src/index.ts", ""),
        ("tf/mine.py", ""),
    ];
    let (sites, said) = run(&files);
    assert_eq!(
        sites,
        [
            "tf/a tf/src python3.12-aarch64 tf/src/app.py tf/layer,?arn:x",
            "tf/b tf/one python3.11-x86_64 tf/one/app.py",
            "tf/built tf node22-x86_64 tf/src/index.ts",
            "tf/c tf/src python3.12-x86_64 tf/src/app.py",
            "tf/packed tf python3.12-x86_64 tf/mine.py",
        ]
    );
    assert_eq!(
        said,
        [
            "tf/main.tf:46 template-points-nowhere filename `build/gone.zip` is an archive that a build makes",
            "tf/main.tf:51 template-points-nowhere filename `./dist/index.zip` is an archive that a build makes; `tf/src/index.ts` is taken for its source",
            "tf/main.tf:56 template-points-nowhere filename `./packed.zip` is an archive that a build makes; `tf/mine.py` is taken for its source",
            "tf/main.tf:61 template-unresolved the code is a container image that is built elsewhere",
        ]
    );
}

#[test]
fn instances_and_modules_are_written_out() {
    let main = r#"
module "api" {
  source   = "./modules/fn"
  for_each = { get = "get.handler", put = "put.handler" }
  handler  = each.value
  dir      = "${path.module}/code"
}
resource "aws_lambda_function" "late" {
  for_each = var.functions
  filename = "late.zip"
  handler  = each.value.handler
  runtime  = "nodejs20.x"
}
resource "aws_lambda_function" "off" {
  count    = 0
  filename = "late.zip"
}
resource "aws_lambda_function" "pair" {
  count    = 2
  filename = "code"
  handler  = ["get.handler", "put.handler"][count.index]
  runtime  = "nodejs22.x"
}
"#;
    let module = r#"
variable "handler" {}
variable "dir" {}
data "archive_file" "z" {
  source_dir  = var.dir
  output_path = "${path.module}/z.zip"
}
resource "aws_lambda_function" "this" {
  filename = data.archive_file.z.output_path
  handler  = var.handler
  runtime  = "nodejs20.x"
}
"#;
    let files = [("main.tf", main), ("modules/fn/main.tf", module), ("code/get.js", ""), ("code/put.js", "")];
    let (sites, said) = run(&files);
    assert_eq!(
        sites,
        [
            "api[get]/this code node20-x86_64 code/get.js",
            "api[put]/this code node20-x86_64 code/put.js",
            "pair[0] code node22-x86_64 code/get.js",
            "pair[1] code node22-x86_64 code/put.js",
        ]
    );
    let codes: Vec<&str> = said.iter().filter_map(|s| s.split(' ').next()).collect();
    assert_eq!(codes, ["main.tf:8", "main.tf:10", "main.tf:11", "main.tf:14"], "{said:?}");
}

#[test]
fn the_community_module_and_json_and_tofu_are_read() {
    let json = r#"{"resource": {"aws_lambda_function": {"j": {"filename": "src", "handler": "app.f", "runtime": "python3.13"}}}}"#;
    let community = r#"
module "fn" {
  source        = "terraform-aws-modules/lambda/aws"
  version       = "~> 7.0"
  handler       = "app.f"
  runtime       = "python3.10"
  source_path   = [{ path = "../src", pip_requirements = true }]
  layers        = [module.layer.lambda_layer_arn]
}
module "layer" {
  source       = "terraform-aws-modules/lambda/aws"
  create_layer = true
  source_path  = "../layer"
}
"#;
    let (sites, said) = run(&[
        ("x.tf.json", json),
        ("src/app.py", ""),
        ("layer/python/m.py", ""),
        ("stack/a.tofu", community),
        ("stack/a.tf", "broken {"),
    ]);
    assert_eq!(sites, ["j src python3.13-x86_64 src/app.py", "stack/fn src python3.10-x86_64 src/app.py layer",]);
    assert_eq!(said, Vec::<String>::new());
}

#[test]
fn code_may_be_written_inside_and_google_names_its_export() {
    let main = r#"
data "archive_file" "in" {
  source {
    filename = "index.py"
    content  = <<-EOT
      import json
      def handler(event, context): pass
    EOT
  }
  output_path = "in.zip"
}
resource "aws_lambda_function" "inline" {
  filename = data.archive_file.in.output_path
  handler  = "index.handler"
  runtime  = "python3.12"
}
data "archive_file" "g" {
  source_dir  = "g"
  output_path = "g.zip"
}
resource "google_storage_bucket_object" "g" { source = data.archive_file.g.output_path }
resource "google_cloudfunctions2_function" "g" {
  name = "g"
  build_config {
    runtime     = "python312"
    entry_point = "hello"
    source {
      storage_source {
        object = google_storage_bucket_object.g.name
      }
    }
  }
}
"#;
    let files = [("main.tf", main), ("g/main.py", "")];
    let (sites, said) = run(&files);
    assert_eq!(sites, ["g g python3.12-x86_64 g/main.py", "inline main.tf python3.12-x86_64 -"]);
    assert_eq!(said, Vec::<String>::new());
    let tree = Tree::in_memory(&[("main.tf", main.as_bytes()), ("g/main.py", b"")]);
    let mut found = Discovery::default();
    find(&tree, &Defaults::default(), &mut found);
    let inline = found.sites.iter().find_map(|s| s.inline.clone()).unwrap();
    assert_eq!((inline.line, inline.by_line, inline.text.lines().next()), (6, true, Some("import json")));
}

#[test]
fn modules_that_call_each_other_end() {
    let call = |to: &str| {
        format!(
            "module \"m\" {{\n source = \"../{to}\"\n}}\nresource \"aws_lambda_function\" \"f\" {{\n filename = \"x\"\n}}\n"
        )
    };
    let (a, b) = (call("b"), call("a"));
    let (sites, said) = run(&[("a/main.tf", &a), ("b/main.tf", &b)]);
    assert!(sites.is_empty() && !said.is_empty());
}
