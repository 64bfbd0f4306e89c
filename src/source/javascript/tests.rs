use super::*;
use crate::model::ImportKind;
use crate::source::RawImport;

/// One import a line: `line kind specifier names`.
fn shown(found: &FileImports) -> Vec<String> {
    let line = |i: &RawImport| {
        let kind = match i.kind {
            ImportKind::Runtime => "runtime",
            ImportKind::TypeOnly => "type-only",
            ImportKind::Optional => "optional",
            ImportKind::Lazy => "lazy",
            ImportKind::Dynamic => "dynamic",
            ImportKind::DynamicUnknown => "unknown",
        };
        format!("{} {kind} {} {}", i.line, i.module, i.names.join(",")).trim_end().to_string()
    };
    found.imports.iter().map(line).collect()
}

#[track_caller]
fn check(file: &str, source: &str, expected: &[&str]) {
    let found = imports(file, source.as_bytes(), &Compile::default());
    assert_eq!(shown(&found), expected, "{source}\n{:?}", found.diagnostics);
    let unknown = found.imports.iter().filter(|i| i.kind == ImportKind::DynamicUnknown).count();
    assert_eq!(found.diagnostics.len(), unknown, "{source}\n{:?}", found.diagnostics);
}

#[test]
fn statements() {
    for file in ["f.js", "f.mjs", "f.jsx"] {
        check(file, "import 'a'", &["1 runtime a"]);
        check(file, "import a from 'a'\r\nimport * as b from 'b'", &["1 runtime a default", "2 runtime b *"]);
        check(file, "import a, { b as c, 'd-e' as f } from 'x/y'", &["1 runtime x/y default,b,d-e"]);
        check(
            file,
            "export { a, b as c } from 'x'\nexport * from 'y'\nexport * as z from 'z'",
            &["1 runtime x a,b", "2 runtime y *", "3 runtime z *"],
        );
        check(file, "import a from 'a' with { type: 'json' }", &["1 runtime a default"]);
    }
    check("f.js", "import ''\n// import 'a'\nconst s = \"import 'b'\"", &[]);
    check("f.js", "#!/usr/bin/env node\nimport 'a'", &["2 runtime a"]);
    check("f.js", "\u{feff}require('a')", &["1 runtime a"]);
    check("f.js", "", &[]);
}

#[test]
fn require_and_when_it_runs() {
    check("f.js", "const a = require('a'), { b } = require(`b`).c", &["1 runtime a", "1 runtime b"]);
    check("f.cjs", "require('a' + '/b')\nmodule.require('c')", &["1 runtime a/b", "2 runtime c"]);
    check(
        "f.js",
        "function f() { require('a') }\nconst g = () => require('b')\nclass C { m() { require('c') } }",
        &["1 lazy a", "2 lazy b", "3 lazy c"],
    );
    check(
        "f.js",
        "class C { static a = require('a'); b = require('b'); static { require('c') } }",
        &["1 runtime a", "1 lazy b", "1 runtime c"],
    );
    check("f.js", "if (x) { require('a') } else require('b')", &["1 runtime a", "1 runtime b"]);
    check(
        "f.js",
        "try { require('a') } catch { require('b') } finally { require('c') }",
        &["1 optional a", "1 optional b", "1 runtime c"],
    );
    check("f.js", "try { require('a') } finally { }", &["1 runtime a"]);
    check("f.js", "function f() { try { require('a') } catch (e) {} }", &["1 optional a"]);
    check("f.js", "if (x) return\nrequire('a')", &["2 runtime a"]);
    check("f.js", "require.resolve('a')", &["1 dynamic a"]);
    check(
        "f.js",
        "require(x)\nrequire(`a/${x}`)\nrequire.resolve(x)\nrequire()",
        &["1 unknown", "2 unknown", "3 unknown"],
    );
}

#[test]
fn another_require_is_not_nodes() {
    check("f.js", "function f(require) { require('a') }\nrequire('b')", &["2 runtime b"]);
    check("f.js", "define((require, exports) => { require('a') })", &[]);
    check("f.js", "function f() { const require = x; require('a') }\nrequire('b')", &["2 runtime b"]);
    check("f.js", "import require from 'x'\nrequire('a')", &["1 runtime x default"]);
    check("f.js", "function require(x) {}\nrequire('a')", &[]);
    check(
        "f.mjs",
        "import { createRequire } from 'module'\nconst require = createRequire(import.meta.url)\nrequire('a')",
        &["1 runtime module createRequire", "3 runtime a"],
    );
    check(
        "f.mjs",
        "import m from 'node:module'\nconst load = m.createRequire(import.meta.url)\nload('a')\nload.resolve('b')",
        &["1 runtime node:module default", "3 runtime a", "4 dynamic b"],
    );
    check(
        "f.cjs",
        "const { createRequire: make } = require('module')\nconst load = make(__filename)\nload('a')",
        &["1 runtime module", "3 runtime a"],
    );
}

#[test]
fn import_as_a_call() {
    check("f.js", "import('a')\nawait import(`b`)", &["1 dynamic a", "2 dynamic b"]);
    check("f.js", "async function f() { await import('a') }", &["1 dynamic a"]);
    check("f.js", "try { await import('a') } catch {}", &["1 optional a"]);
    check("f.js", "import(x)\nimport(`./a/${x}.js`)", &["1 unknown", "2 dynamic ./a/**.js"]);
    check("f.ts", "const a = await import('a' as string)", &["1 dynamic a"]);
}

#[test]
fn what_typescript_drops() {
    check(
        "f.ts",
        "import type { A } from 'a'\nimport type B from 'b'\nimport { type C, type D } from 'c'",
        &["1 type-only a A", "2 type-only b default", "3 type-only c C,D"],
    );
    check(
        "f.ts",
        "export type { A } from 'a'\nexport type * from 'b'\nexport { type C } from 'c'\nexport { type D, e } from 'd'",
        &["1 type-only a A", "2 type-only b *", "3 type-only c C", "4 runtime d D,e"],
    );
    check("f.ts", "import { A, b } from 'a'\nlet x: A = b", &["1 runtime a A,b"]);
    check("f.ts", "import { A } from 'a'\nlet x: A<string>", &["1 type-only a A"]);
    check(
        "f.ts",
        "import * as A from 'a'\nlet x: A.B | typeof A.c\ninterface I extends A.D {}\nclass C implements A.E {}\ntype T = A.F",
        &["1 type-only a *"],
    );
    check("f.ts", "import { A } from 'a'\nclass C extends A {}", &["1 runtime a A"]);
    check("f.ts", "import { A } from 'a'\nexport { A }", &["1 runtime a A"]);
    check("f.ts", "import { A } from 'a'\nexport type { A }", &["1 type-only a A"]);
    check("f.ts", "import { A } from 'a'\nconst x = { A }", &["1 runtime a A"]);
    check("f.ts", "import { A } from 'a'\nf<A>(1 as unknown as A)", &["1 type-only a A"]);
    check("f.ts", "import { A } from 'a'\n@A class B {}", &["1 runtime a A"]);
    check(
        "f.ts",
        "import 'a'\nimport {} from 'b'\nexport {} from 'c'",
        &["1 runtime a", "2 type-only b", "3 type-only c"],
    );
    check("f.js", "import {} from 'b'", &["1 runtime b"]);
    check(
        "f.ts",
        "import a = require('a')\na()\nimport b = require('b')\nlet x: b.C",
        &["1 runtime a", "3 type-only b"],
    );
    check("f.ts", "export import a = require('a')", &["1 runtime a"]);
    check("f.ts", "let x: import('a').B", &["1 type-only a"]);
    check(
        "f.tsx",
        "import React from 'react'\nimport { A } from 'a'\nexport const x = <A>text</A>",
        &["1 runtime react default", "2 runtime a A"],
    );
    // In JavaScript nothing is dropped.
    check("f.js", "import { A } from 'a'", &["1 runtime a A"]);
}

#[test]
fn dialects_are_tried() {
    check("f.js", "import a from 'a'\nconst x = <div>{require('b')}</div>", &["1 runtime a default", "2 runtime b"]);
    check(
        "f.js",
        "// @flow\nimport a from 'a'\nfunction f(x: number): string { return a(x) }",
        &["2 runtime a default"],
    );
    check("f.ts", "import a from 'a'\nconst x = <any>a", &["1 runtime a default"]);
    check("f.js", "with (a) { require('b') }", &["1 runtime b"]);
    check("f.cts", "import a = require('a')\nexport = a", &["1 runtime a"]);
    check("f.mts", "import { a } from 'a'\na satisfies unknown", &["1 runtime a a"]);
    check(
        "f.js",
        "x = a?.b ?? c; class C { #p = 1n; static async *m() { for await (const x of y) {} } }\nimport 'z'",
        &["2 runtime z"],
    );
}

#[track_caller]
fn refused(file: &str, bytes: &[u8], code: &str, line: u32, kept: usize) {
    let found = imports(file, bytes, &Compile::default());
    let [diagnostic] = &found.diagnostics[..] else { panic!("{found:?}") };
    let got = (diagnostic.code.as_str(), diagnostic.place.line, found.imports.len());
    assert_eq!(got, (code, line, kept), "{diagnostic:?}");
}

#[test]
fn what_cannot_be_read_is_said() {
    refused("f.js", b"import 'a'\nconst = 1", "javascript-syntax", 2, 0);
    refused("f.ts", b"\n\nlet x: = 1", "javascript-syntax", 3, 0);
    refused("f.js", b"\xff\xfei\0", "file-encoding", 0, 0);
    refused("f.js", b"require('a')\n\0", "file-binary", 2, 0);
    refused("f.js", b"require('a')\n// \xe9", "file-encoding", 2, 1);
}

#[test]
fn nothing_overflows_the_stack() {
    let deep = |open: &str, close: &str, n: usize| format!("x = {}1{}", open.repeat(n), close.repeat(n));
    let sources = [
        ("", deep("(", ")", 900)),
        ("", deep("[", "]", 900)),
        ("", deep("{a:", "}", 450)),
        ("", deep("f(", ")", 900)),
        ("", deep("!", "", 5_000)),
        ("", deep("typeof ", "", 5_000)),
        ("", deep("1+", "", 5_000)),
        ("", deep("a=>", "", 3_000)),
        ("", deep("a?b:", "", 3_000)),
        ("", format!("x = b{}", ".a".repeat(5_000))),
        ("", deep("a=", "", 3_000)),
        ("", deep("new ", "", 3_000)),
        ("", "if (a) {} else ".repeat(3_000) + ";"),
        ("", deep("`${", "}`", 450)),
        ("", deep("<a>{", "}</a>", 450)),
        ("", deep("1**", "", 3_000)),
        ("", deep("()=>{", "}", 450)),
        ("", deep("(function(){return ", "})()", 400)),
        ("nesting-too-deep", deep("(", ")", 100_000)),
        ("nesting-too-deep", deep("[", "", 100_000)),
        ("nesting-too-deep", deep("!", "", 100_000)),
        ("nesting-too-deep", deep("1+", "", 100_000)),
        ("nesting-too-deep", deep("", ".a", 100_000)),
        ("nesting-too-deep", deep("a=>", "", 100_000)),
        ("nesting-too-deep", deep("`${", "}`", 100_000)),
        ("nesting-too-deep", deep("<a>", "</a>", 100_000)),
    ];
    for stack in [2, 8] {
        for (code, source) in sources.clone() {
            let shown: String = source.chars().take(40).collect();
            let whole = format!("{source}\nrequire('seen')");
            let worker = std::thread::Builder::new().stack_size(stack << 20);
            let found =
                worker.spawn(move || imports("f.js", whole.as_bytes(), &Compile::default())).unwrap().join().unwrap();
            let codes: Vec<&str> = found.diagnostics.iter().map(|d| d.code.as_str()).collect();
            if code.is_empty() {
                assert_eq!(codes, [""; 0], "{shown}");
                assert_eq!(found.imports.len(), 1, "{shown}");
            } else {
                assert_eq!(codes, [code], "{shown}");
            }
        }
    }
}
