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

/// Expected is what TypeScript 5.9 leaves of the same text (`transpileModule`).
#[test]
fn names_are_followed_through_scopes() {
    for (source, kept) in [
        ("function f(A: number) { return A }", false),
        ("const f = function A() { return A }", false),
        ("(A => A)(1)", false),
        ("try {} catch (A) { A }", false),
        ("for (const A of []) A", false),
        ("{ let A = 1; A }", false),
        ("{ let A = 1 } A()", true),
        ("function f() { { var A = 1 } return A }", false),
        ("function f(x = A) { return x }", true),
        ("class C { A() { return this.A } }", false),
        ("const {A: b} = q", false),
        ("const x = {[A]: 1}", true),
        ("import B = A.B; let x: B", false),
        ("import B = A.B; B()", true),
        ("enum E { x = A.y }", true),
        ("declare enum E { x = A.y }", false),
        ("declare class D extends A {}", false),
        ("namespace N { export type T = A }", false),
        ("namespace N { export const x = A }", true),
        ("class C { [A.k] = 1; declare [A.j]: string }", true),
        ("class C { declare [A.k]: string }", false),
        ("declare global { interface W { a: A } }", false),
        ("function f(this: A): asserts this is A {}", false),
        ("const x = 1 satisfies A", false),
        ("export { type A }", false),
        ("export default A", true),
    ] {
        let found = imports("f.ts", format!("import A from 'a'\n{source}").as_bytes(), &Compile::default());
        let kind = if kept { ImportKind::Runtime } else { ImportKind::TypeOnly };
        assert_eq!(found.imports[0].kind, kind, "{source}");
    }
}

#[track_caller]
fn check_with(options: &Compile, file: &str, source: &str, expected: &[&str]) {
    assert_eq!(shown(&imports(file, source.as_bytes(), options)), expected, "{source}");
}

#[test]
fn projects_say_what_stays() {
    let verbatim = Compile { verbatim: true, ..Compile::default() };
    check_with(
        &verbatim,
        "f.ts",
        "import { type A } from 'a'\nimport B from 'b'\nimport type C from 'c'\nexport { type D } from 'd'",
        &["1 runtime a A", "2 runtime b default", "3 type-only c default", "4 runtime d D"],
    );
    let statements = Compile { keep_statements: true, ..Compile::default() };
    check_with(
        &statements,
        "f.ts",
        "import A from 'a'\nimport type B from 'b'",
        &["1 runtime a default", "2 type-only b default"],
    );
    let names = Compile { keep_names: true, ..Compile::default() };
    check_with(
        &names,
        "f.ts",
        "import A from 'a'\nimport { type B } from 'b'",
        &["1 runtime a default", "2 type-only b B"],
    );
    let metadata = Compile { decorator_metadata: true, ..Compile::default() };
    let source = "import { A, B, C, D, E } from 'x'\nimport { F } from 'f'\nimport { G } from 'g'\n";
    for (class, kept) in [
        ("@d class K { constructor(f: F, private g: G) {} }", "fg"),
        ("class K { @d f: F | null; g: G }", "f"),
        ("class K { @d m(f: F): Promise<G> { return 1 as any } }", "f"),
        ("class K { @d m(...g: G[]) {} }", "g"),
        ("class K { m(@d f: F) {} n(g: G) {} }", "f"),
        ("class K { m(f: F) {} }", ""),
        ("@d class K { m(f: F) {} }", ""),
    ] {
        let found = imports("f.ts", format!("{source}{class}").as_bytes(), &metadata);
        let left = found.imports.iter().skip(1).filter(|i| i.kind == ImportKind::Runtime);
        assert_eq!(left.map(|i| i.module.as_str()).collect::<String>(), kept, "{class}");
    }
}

#[test]
fn jsx_needs_what_the_project_says() {
    let react = "import React from 'react'\nexport const x = <a/>";
    check("f.tsx", react, &["1 runtime react default"]);
    check("f.tsx", "import React from 'react'\nexport const x = 1", &["1 type-only react default"]);
    let automatic = Compile { jsx: Jsx::Automatic, ..Compile::default() };
    check_with(&automatic, "f.tsx", react, &["1 type-only react default", "2 runtime react/jsx-runtime"]);
    check_with(&automatic, "f.jsx", "export const x = <></>", &["1 runtime react/jsx-runtime"]);
    check_with(&automatic, "f.tsx", "export const x = 1", &[]);
    let preact = Compile { jsx: Jsx::AutomaticDev, jsx_source: Some("preact".into()), ..Compile::default() };
    check_with(&preact, "f.tsx", "export const x = <a/>", &["1 runtime preact/jsx-dev-runtime"]);
    check("f.tsx", "/** @jsx h */\nimport { h } from 'preact'\nexport const x = <a/>", &["2 runtime preact h"]);
    check("f.tsx", "/** @jsxImportSource hono/jsx */\nexport const x = <a/>", &["2 runtime hono/jsx/jsx-runtime"]);
}

#[test]
fn every_form_that_loads() {
    // A `require` by another name, or from elsewhere.
    check("f.js", "const r = require; r('a'); (0, require)('b')", &["1 runtime a", "1 runtime b"]);
    check(
        "f.js",
        "process.mainModule.require('a')\nrequire.main.require('b')\n__non_webpack_require__('c')",
        &["1 runtime a", "2 runtime b", "3 runtime c"],
    );
    check(
        "f.mjs",
        "import { createRequire as make } from 'node:module'\nmake(import.meta.url)('a')\nlet r\nr = make(import.meta.url)\nr('b')",
        &["1 runtime node:module createRequire", "2 runtime a", "5 runtime b"],
    );
    check(
        "f.mjs",
        "const { createRequire } = await import('module')\nconst load = createRequire(import.meta.url)\nload('a')",
        &["1 dynamic module", "3 runtime a"],
    );
    check("f.js", "require('module').createRequire(__filename)('a')", &["1 runtime a", "1 runtime module"]);
    check(
        "f.ts",
        "declare const require: any\ndeclare function require(x: string): any\nrequire('a')",
        &["3 runtime a"],
    );
    // Conditions, promises, resolution.
    check("f.js", "require(x ? 'a' : 'b')", &["1 runtime a", "1 runtime b"]);
    check("f.mjs", "import.meta.resolve('a')\nawait import('b').catch(() => {})", &["1 dynamic a", "2 optional b"]);
    // Paths built from the file's own folder.
    check(
        "f.js",
        "require(__dirname + '/a')\nrequire(`${__dirname}/b`)\nrequire(path.join(__dirname, '..', 'c.js'))",
        &["1 runtime ./a", "2 runtime ./b", "3 runtime ./../c.js"],
    );
    // Patterns, and what is none.
    check(
        "f.js",
        "require('./l/' + x + '.js')\nimport(`@s/${x}`)\nrequire(path.join(__dirname, 'h', x))\nimport(`${x}/a.js`)",
        &["1 runtime ./l/**.js", "2 unknown", "3 runtime ./h/**", "4 unknown"],
    );
    check(
        "f.ts",
        "import.meta.glob('./a/*.ts')\nimport.meta.glob(['./b/*.ts', '!./b/no.ts'], { eager: true })\nrequire.context('./c', true, /x/)",
        &["1 dynamic ./a/*.ts", "2 runtime ./b/*.ts", "3 dynamic ./c/**"],
    );
    // Other threads and processes.
    check(
        "f.mjs",
        "import { fork } from 'child_process'\nnew Worker(new URL('./w.js', import.meta.url))\nfork('./c.js')\nnew URL('./data.txt', import.meta.url)",
        &["1 runtime child_process fork", "2 dynamic ./w.js", "3 dynamic ./c.js"],
    );
    check(
        "f.js",
        "require('child_process').fork(__dirname + '/c.js')\nfork('./other.js')",
        &["1 dynamic ./c.js", "1 runtime child_process"],
    );
    // For the compiler only.
    check(
        "f.ts",
        "/// <reference types=\"node\" />\n/// <reference path='g.d.ts' />\ndeclare module 'm' { import a from 'a' }",
        &["1 type-only node", "2 type-only ./g.d.ts", "3 type-only a default"],
    );
    check("f.js", "/** @type {import('a').B} */\nlet x\njest.mock('b')", &[]);
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
