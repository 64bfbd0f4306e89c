use std::cell::Cell;
use std::collections::BTreeMap;

use super::*;

fn value(text: &str) -> Value {
    let source = format!(
        "locals {{\n  a = \"x\"\n  b = \"${{local.a}}/y\"\n  ring = local.ring\n  fns = {{ one = {{ h = \"a.b\" }}, two = {{ h = \"c.d\" }} }}\n}}\nv = {text}\n"
    );
    let root = parse("m.tf", &source).unwrap();
    let block = &root.blocks[0];
    let locals = block.attributes.iter().map(|(name, a)| (name.clone(), &a.given)).collect();
    let variables = BTreeMap::from([("d".to_string(), Value::Text("def".into()))]);
    let steps = Cell::new(1_000);
    let scope = Scope { variables: &variables, locals: &locals, module: "mod", bound: Vec::new(), steps: &steps };
    scope.given(&root.attributes["v"].given)
}

#[test]
fn what_the_files_decide_is_worked_out() {
    for (text, expected) in [
        ("\"plain\"", "plain"),
        ("local.b", "x/y"),
        ("\"${path.module}/src\"", "mod/src"),
        ("var.d", "def"),
        ("local.fns[\"two\"].h", "c.d"),
        ("local.fns.one.h", "a.b"),
        ("join(\"-\", [for k, v in local.fns : k])", "one-two"),
        ("format(\"%s-%s\", local.a, \"z\")", "x-z"),
        ("true ? \"yes\" : var.nope", "yes"),
        ("var.d == \"def\" ? \"yes\" : \"no\"", "yes"),
        ("lookup({a = \"1\"}, \"b\", \"2\")", "2"),
        ("merge({a = \"1\"}, {a = \"3\"}).a", "3"),
        ("<<-EOT\n    def f():\n      pass\n  EOT\n", "def f():\n  pass\n"),
        ("concat([1], [\"q\"])[1]", "q"),
        ("basename(\"a/b.zip\")", "b.zip"),
    ] {
        assert_eq!(value(text).text(), Some(expected), "{text}: {:?}", value(text));
    }
}

#[test]
fn what_only_a_run_tells_is_named() {
    for (text, why) in [
        ("var.nope", "variable nope, which has no default"),
        ("\"${var.nope}/x\"", "variable nope, which has no default"),
        ("aws_s3_object.code.key", "aws_s3_object.code.key"),
        ("data.archive_file.z[\"k\"].output_path", "data.archive_file.z.output_path"),
        ("join(\"\", [var.nope])", "variable nope, which has no default"),
        ("file(\"${path.module}/a.py\")", "the contents of mod/a.py"),
        ("local.ring", "expressions that go round in a circle"),
    ] {
        assert_eq!(value(text).why(), why, "{text}");
    }
    let key = |value| if let Value::Of { key, .. } = value { key } else { None };
    assert_eq!(key(value("data.archive_file.z[\"k\"].output_path")).as_deref(), Some("k"));
}

#[test]
fn deep_nesting_and_broken_files_are_refused() {
    for open in ["[", "(", "{a=", "!", "\"${", "1+", "true?1:"] {
        assert!(parse("m.tf", &format!("a = {}", open.repeat(100_000))).is_err(), "{open}");
    }
    assert!(parse("m.tf", &"a {\n".repeat(100_000)).is_err());
    assert_eq!(parse("m.tf", "a = 1\nb = \n").unwrap_err().line, 2);
}

#[test]
fn the_json_syntax_gives_the_same_blocks() {
    let text = "{\"resource\": {\"aws_lambda_function\": {\"f\": {\n\"runtime\": \"python3.12\", \"handler\": \"${var.h}\",\n\"environment\": {\"variables\": {\"A\": \"b\"}}}}}}";
    let root = parse_json("m.tf.json", text).unwrap();
    let [block] = &root.blocks[..] else { panic!("{root:?}") };
    assert_eq!(
        (block.kind.as_str(), block.labels.join("."), block.line),
        ("resource", "aws_lambda_function.f".into(), 1)
    );
    assert_eq!(block.attributes["runtime"].line, 2);
    assert_eq!(block.inner("environment").count(), 1);
}
