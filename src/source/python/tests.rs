use super::*;
use crate::model::ImportKind;

/// One import a line: `line kind module names`.
fn shown(found: &FileImports) -> Vec<String> {
    let line = |i: &crate::source::RawImport| {
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

/// What is read by whichever parser, after checking that both agree where the first can read it at all.
fn read_both(source: &str) -> FileImports {
    let found = imports("f.py", source.as_bytes());
    let nesting = nesting::scan(source, Syntax::Python);
    assert_eq!(read("f.py", source, nesting, parse_ruff).unwrap(), found, "{source}");
    found
}

#[track_caller]
fn check(source: &str, expected: &[&str]) {
    let found = read_both(source);
    assert_eq!(shown(&found), expected, "{source}");
    let unknown = found.imports.iter().filter(|i| i.kind == ImportKind::DynamicUnknown).count();
    assert_eq!(found.diagnostics.len(), unknown, "{:?}", found.diagnostics);
}

#[test]
fn statements() {
    check("import os", &["1 runtime os"]);
    check("import os.path as p, sys", &["1 runtime os.path", "1 runtime sys"]);
    check("from a.b import c, d as e", &["1 runtime a.b c,d"]);
    check(
        "from . import a\nfrom .. import b\nfrom ...c.d import *",
        &["1 runtime . a", "2 runtime .. b", "3 runtime ...c.d *"],
    );
    check("from a import (\n  b,\n  c,\n)\nimport d", &["1 runtime a b,c", "5 runtime d"]);
    check(
        "x = 1; import a; \\\nimport b\r\nimport c\rimport d",
        &["1 runtime a", "2 runtime b", "3 runtime c", "4 runtime d"],
    );
    check("# import a\n'''\nimport b\n'''\nx = 'import c'", &[]);
    check("\u{feff}import os", &["1 runtime os"]);
    check("", &[]);
}

#[test]
fn a_class_body_runs_with_its_module_and_a_function_body_later() {
    check("class A:\n  import a\n  def f(self):\n    import b", &["2 runtime a", "4 lazy b"]);
    check(
        "async def f():\n  async with x:\n    import a\n  async for y in z:\n    import b",
        &["3 lazy a", "5 lazy b"],
    );
    check("if __name__ == '__main__':\n  import a\nelse:\n  import b", &["2 optional a", "4 runtime b"]);
    check("if x:\n  import a\nelif y:\n  import b\nelse:\n  import c", &["2 runtime a", "4 runtime b", "6 runtime c"]);
    check(
        "for x in y:\n  import a\nelse:\n  import b\nwhile x:\n  import c\nelse:\n  import d\nwith x:\n  import e",
        &["2 runtime a", "4 runtime b", "6 runtime c", "8 runtime d", "10 runtime e"],
    );
    check("match x:\n  case 1:\n    import a\n  case [2, *_] if y:\n    import b", &["3 runtime a", "5 runtime b"]);
}

#[test]
fn what_only_the_type_checker_sees() {
    check(
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n  import a\nelse:\n  import b",
        &["1 runtime typing TYPE_CHECKING", "3 type-only a", "5 runtime b"],
    );
    check("import typing as t\nif t.TYPE_CHECKING:\n  from a import b", &["1 runtime typing", "3 type-only a b"]);
    check(
        "from typing import TYPE_CHECKING as TC\nif TC:\n  import a",
        &["1 runtime typing TYPE_CHECKING", "3 type-only a"],
    );
    check("if not TYPE_CHECKING:\n  import a\nelse:\n  import b", &["2 runtime a", "4 type-only b"]);
    check("if TYPE_CHECKING and x:\n  import a\nelse:\n  import b", &["2 type-only a", "4 runtime b"]);
    check("if TYPE_CHECKING or x:\n  import a", &["2 runtime a"]);
    check("if not TYPE_CHECKING or x:\n  import a\nelse:\n  import b", &["2 runtime a", "4 type-only b"]);
    check("if False:\n  import a\nif 0:\n  import b", &["2 type-only a", "4 type-only b"]);
    check("if x:\n  pass\nelif TYPE_CHECKING:\n  import a\nelse:\n  import b", &["4 type-only a", "6 runtime b"]);
    check("def f():\n  if TYPE_CHECKING:\n    try:\n      import a\n    except ImportError: pass", &["4 type-only a"]);
}

#[test]
fn what_may_be_absent() {
    check(
        "try:\n  import a\nexcept ImportError:\n  import b\nelse:\n  import c\nfinally:\n  import d",
        &["2 optional a", "4 optional b", "6 runtime c", "8 runtime d"],
    );
    for handler in
        ["ModuleNotFoundError", "(OSError, ImportError)", "Exception as e", "builtins.ImportError", "BaseException"]
    {
        check(&format!("try:\n  import a\nexcept {handler}:\n  pass"), &["2 optional a"]);
    }
    check("try:\n  import a\nexcept:\n  pass", &["2 optional a"]);
    check("try:\n  import a\nexcept* ImportError:\n  pass", &["2 optional a"]);
    check("try:\n  import a\nexcept ValueError:\n  import b\nfinally:\n  pass", &["2 runtime a", "4 runtime b"]);
    check("try:\n  def f():\n    import a\nexcept ImportError: pass", &["3 optional a"]);
    check("def f():\n  try:\n    import a\n  except ImportError: pass", &["3 optional a"]);
    check(
        "import contextlib as c\nwith c.suppress(ImportError):\n  import a",
        &["1 runtime contextlib", "3 optional a"],
    );
    check(
        "from contextlib import suppress\nwith suppress(KeyError):\n  import a",
        &["1 runtime contextlib suppress", "3 runtime a"],
    );
}

#[test]
fn calls_that_import() {
    check("import importlib\nx = importlib.import_module('a.b')", &["1 runtime importlib", "2 dynamic a.b"]);
    check("import importlib as il\nf(il.import_module(name='a'))", &["1 runtime importlib", "2 dynamic a"]);
    check("from importlib import import_module as im\nim('a')", &["1 runtime importlib import_module", "2 dynamic a"]);
    check(
        "__import__('a')\n__import__('b', globals(), level=1)\n__import__('c', {}, {}, [], 2)",
        &["1 dynamic a", "2 dynamic .b", "3 dynamic ..c"],
    );
    check("import builtins\nbuiltins.__import__('a')", &["1 runtime builtins", "2 dynamic a"]);
    check("import importlib\nload = importlib.import_module\nload('a')", &["1 runtime importlib", "3 dynamic a"]);
    check(
        "import importlib\nimportlib.import_module('.b', package='a.x')\nimportlib.import_module('..b', 'a.x')",
        &["1 runtime importlib", "2 dynamic a.x.b", "3 dynamic a.b"],
    );
    check("import importlib\nimportlib.import_module('.b', __package__)", &["1 runtime importlib", "2 dynamic .b"]);
    check(
        "import importlib\nimportlib.import_module('a' '.b' + '.c')\nimportlib.import_module(f'd')",
        &["1 runtime importlib", "2 dynamic a.b.c", "3 dynamic d"],
    );
    check(
        "import importlib\ndef f(x):\n  importlib.import_module(x)\n  __import__(f'a.{x}')\n  __import__(**x)",
        &["1 runtime importlib", "3 unknown", "4 unknown", "5 unknown"],
    );
    check("try:\n  __import__('a')\nexcept ImportError: pass", &["2 optional a"]);
    check("if TYPE_CHECKING:\n  __import__('a')", &["2 type-only a"]);
    // A function of the same name that is not importlib's.
    check("from mine import import_module\nimport_module('a')", &["1 runtime mine import_module"]);
}

#[test]
fn calls_are_found_in_every_expression() {
    for expression in [
        "x = CALL",
        "x += CALL",
        "x: int = CALL",
        "x: CALL = 1",
        "x[CALL] = 1",
        "x = y[CALL:1]",
        "f(a, *CALL)",
        "f(**CALL)",
        "f(k=CALL)",
        "lambda: CALL",
        "lambda x=CALL: x",
        "[x for x in CALL]",
        "{CALL for x in y}",
        "{CALL: 1}",
        "{1: CALL}",
        "{**CALL}",
        "(x for x in y if CALL)",
        "{a: CALL for a in b}",
        "f'{CALL}'",
        "f'{x:{CALL}}'",
        "a if CALL else b",
        "not CALL",
        "a and CALL",
        "a < CALL",
        "CALL.x",
        "(x := CALL)",
        "del x[CALL]",
        "assert x, CALL",
        "raise CALL",
        "raise x from CALL",
        "@CALL\ndef f(): pass",
        "@CALL\nclass C: pass",
        "class C(CALL): pass",
        "class C(metaclass=CALL): pass",
        "def f(x=CALL): pass",
        "def f(x: CALL): pass",
        "def f(*, x=CALL): pass",
        "def f(*x: CALL): pass",
        "def f() -> CALL: pass",
        "def f(): return CALL",
        "def f(): yield CALL",
        "def f(): yield from CALL",
        "async def f(): await CALL",
        "for x in CALL: pass",
        "while CALL: pass",
        "if CALL: pass",
        "if x: pass\nelif CALL: pass",
        "with CALL: pass",
        "with x as y[CALL]: pass",
        "try: pass\nexcept CALL: pass",
        "try: pass\nexcept* x: CALL",
        "match CALL:\n  case _: pass",
        "match x:\n  case _ if CALL: pass",
        "match x:\n  case {'a': [1, C(z=2)]}: CALL",
        "CALL",
        "print(-CALL, ~x)",
        "global g; CALL",
        "return_ = (1, CALL)",
        "x = [CALL]",
    ] {
        let found = read_both(&expression.replace("CALL", "__import__('a')"));
        let modules: Vec<_> = found.imports.iter().map(|i| (i.module.as_str(), i.kind)).collect();
        assert_eq!(modules, [("a", ImportKind::Dynamic)], "{expression}");
    }
}

#[test]
fn modern_syntax_is_read() {
    for source in [
        "x = f\"{d[\"k\"]}\"",                     // PEP 701
        "x = f\"{f\"{f\"{1}\"}\"}\"",              // PEP 701, nested
        "x = f'{a\n}'",                            // PEP 701, line break
        "def f[T: int, *Ts, **P](x: T) -> T: ...", // PEP 695
        "type X[T] = list[T]",                     // PEP 695
        "class C[T = int]: ...",                   // PEP 696
        "x = t'{a}'",                              // PEP 750
        "try: pass\nexcept A, B: pass",            // PEP 758
        "if (n := 1): pass",                       // PEP 572
        "match x:\n  case {'a': 1, **r} | [1, *_]: pass",
        "try: pass\nexcept* A: pass", // PEP 654
        "with (open(a) as b, open(c) as d): pass",
        "x = [i async for i in y()]",
        "def f(a, /, b, *, c): pass",
        "print(*a, sep='')\nx = yield_ = 1",
        "x = 0o17 + 1_000 + 0xFF",
    ] {
        let found = imports("f.py", format!("{source}\nimport seen").as_bytes());
        assert_eq!(found.diagnostics, [], "{source}");
        assert_eq!(found.imports.len(), 1, "{source}");
    }
    // PEP 810: written `lazy`, loaded when first used.
    assert_eq!(
        shown(&imports("f.py", b"lazy import a\nlazy from b import c\nimport d")),
        ["1 lazy a", "2 lazy b c", "3 runtime d"]
    );
}

#[track_caller]
fn refused(bytes: &[u8], code: &str, line: u32, imports_kept: usize) -> String {
    let found = imports("f.py", bytes);
    let [diagnostic] = &found.diagnostics[..] else { panic!("{found:?}") };
    assert_eq!(
        (diagnostic.code.as_str(), diagnostic.place.line, found.imports.len()),
        (code, line, imports_kept),
        "{diagnostic:?}"
    );
    diagnostic.reason.clone()
}

#[test]
fn what_cannot_be_read_is_said() {
    assert!(
        refused(b"import a\nx = = 1\nimport b", "python-syntax", 2, 2).contains("2 imports were read around the error")
    );
    refused(b"def f(:\n  pass", "python-syntax", 1, 0);
    assert!(refused(b"import a\nprint 'x'", "python-2", 2, 1).starts_with("a print statement is Python 2"));
    refused(b"try:\n  import a\nexcept A, e:\n  print 'x'", "python-2", 3, 1);
    refused(b"exec 'x'", "python-2", 1, 0);
    refused(b"raise E, 'x'", "python-2", 1, 0);
    refused(b"x = `1`", "python-2", 1, 0);
    refused(b"import a\n\0", "file-binary", 2, 0);
    refused(b"\xff\xfei\0", "file-encoding", 0, 0);
    refused(b"import a\n# \xe9", "file-encoding", 2, 0);
    assert_eq!(imports("f.py", b"# coding: latin-1\nimport a # \xe9").imports.len(), 1);
}

#[test]
fn nothing_overflows_the_stack() {
    let deep = |open: &str, close: &str, n: usize| format!("x = {}1{}", open.repeat(n), close.repeat(n));
    let mut chain = "if a: pass\n".to_string();
    chain.push_str(&"elif a: pass\n".repeat(5_000));
    let mut blocks: String = (0..90).map(|level| format!("{}if a:\n", " ".repeat(level))).collect();
    blocks.push_str(&format!("{}import seen", " ".repeat(90)));
    let sources = [
        ("", deep("(", ")", 190)),
        ("", deep("[", "]", 190)),
        ("", deep("{1:", "}", 190)),
        ("", deep("f(", ")", 190)),
        ("", deep("not ", "", 5_000)),
        ("", deep("-", "", 5_000)),
        ("", deep("1+", "", 5_000)),
        ("", deep("1**", "", 5_000)),
        ("", deep("lambda: ", "", 3_000)),
        ("", deep("a if b else ", "", 3_000)),
        ("", deep("", ".a", 5_000)),
        ("", deep("", "(1)", 5_000)),
        ("", deep("await ", "", 3_000)),
        ("", chain),
        ("", blocks),
        ("nesting-too-deep", deep("(", ")", 100_000)),
        ("nesting-too-deep", deep("[", "", 100_000)),
        ("nesting-too-deep", deep("-", "", 100_000)),
        ("nesting-too-deep", deep("1+", "", 100_000)),
        ("nesting-too-deep", deep("", ".a", 100_000)),
        ("nesting-too-deep", deep("lambda a, b: ", "", 50_000)),
        ("nesting-too-deep", (0..1_000).map(|level| format!("{}if a:\n", " ".repeat(level))).collect()),
    ];
    for stack in [2, 8] {
        for (code, source) in sources.clone() {
            let shown: String = source.chars().take(40).collect();
            let whole = format!("{source}\n__import__('seen')");
            let worker = std::thread::Builder::new().stack_size(stack << 20);
            let found = worker.spawn(move || imports("f.py", whole.as_bytes())).unwrap().join().unwrap();
            let codes: Vec<&str> = found.diagnostics.iter().map(|d| d.code.as_str()).collect();
            if code.is_empty() {
                assert!(codes.is_empty() || codes == ["python-syntax"], "{shown}: {codes:?}");
                assert!(!found.imports.is_empty(), "{shown}");
            } else {
                assert_eq!(codes, [code], "{shown}");
            }
        }
    }
}

/// As `check`, with the versions of Python 3 that an import is for: `1 runtime a [..9]`.
#[track_caller]
fn check_versions(source: &str, expected: &[&str]) {
    let found = read_both(source);
    let mut lines = shown(&found);
    for (&at, &(from, below)) in &found.only_on {
        let bound = |n: u32| if n == 0 || n == u32::MAX { String::new() } else { n.to_string() };
        lines[at] += &format!(" [{}..{}]", bound(from), bound(below));
    }
    assert_eq!(lines, expected, "{source}");
}

#[test]
fn what_other_versions_and_systems_run() {
    check_versions(
        "import sys\nif sys.version_info >= (3, 11):\n  import tomllib\nelse:\n  import tomli as tomllib",
        &["1 runtime sys", "3 runtime tomllib [11..]", "5 runtime tomli [..11]"],
    );
    check_versions(
        "from sys import version_info as v\nif v < (3, 8):\n  import a\nelif v < (3, 10):\n  import b\nelse:\n  import c",
        &["1 runtime sys version_info", "3 runtime a [..8]", "5 runtime b [8..10]", "7 runtime c [10..]"],
    );
    check_versions("import sys\nif (3, 9) <= x:\n  import a", &["1 runtime sys", "3 runtime a"]);
    for (test, body, orelse) in [
        ("sys.version_info[0] == 2", "type-only a", "runtime b"),
        ("sys.version_info[0] < 3", "type-only a", "runtime b"),
        ("sys.version_info.major >= 3", "runtime a", "type-only b"),
        ("sys.version_info >= (3,)", "runtime a", "type-only b"),
        ("sys.version_info < (3, 0)", "type-only a", "runtime b"),
        ("sys.version_info[:2] >= (3, 9)", "runtime a [9..]", "runtime b [..9]"),
        ("sys.version_info[:2] == (3, 9)", "runtime a [9..10]", "runtime b"),
        // Whether 3.9 itself is in depends on the slice that is not there.
        ("sys.version_info > (3, 9)", "runtime a [9..]", "runtime b [..10]"),
        ("sys.version_info >= (3, 9, 2)", "runtime a [9..]", "runtime b [..10]"),
        ("sys.version_info[1] > 9", "runtime a [10..]", "runtime b [..10]"),
        ("not sys.version_info >= (3, 9)", "runtime a [..9]", "runtime b [9..]"),
        ("sys.version_info >= (3, 9) and x", "runtime a [9..]", "runtime b"),
        ("sys.version_info >= (3, 9) or x", "runtime a", "runtime b [..9]"),
        ("sys.platform == 'win32'", "type-only a", "runtime b"),
        ("sys.platform != 'win32'", "runtime a", "type-only b"),
        ("sys.platform.startswith('linux')", "runtime a", "type-only b"),
        ("sys.platform.startswith('win')", "type-only a", "runtime b"),
        ("os.name == 'nt'", "type-only a", "runtime b"),
        ("platform.system() == 'Windows'", "type-only a", "runtime b"),
        ("six.PY2", "type-only a", "runtime b"),
        ("sys.maxsize > 9", "runtime a", "runtime b"),
        ("x == 'win32'", "runtime a", "runtime b"),
    ] {
        let source = format!("if {test}:\n  import a\nelse:\n  import b");
        check_versions(&source, &[&format!("2 {body}"), &format!("4 {orelse}")]);
    }
}

#[test]
fn names_that_are_given_to_modules() {
    let with = |code: &str| format!("from importlib import import_module\n{code}");
    for (code, expected) in [
        ("NAME = 'a'\nimport_module(NAME)", &["3 dynamic a"][..]),
        ("NAME: str = 'a'\ndef f():\n  import_module(NAME)", &["4 dynamic a"]),
        ("P = 'a'\nimport_module(f'{P}.b')\nimport_module(P + '.c')", &["3 dynamic a.b", "4 dynamic a.c"]),
        ("for m in ('a', 'b'):\n  import_module(m)", &["3 dynamic a", "3 dynamic b"]),
        ("ALL = ['a', 'b']\nfor m in ALL:\n  import_module(f'p.{m}')", &["4 dynamic p.a", "4 dynamic p.b"]),
        ("import_module(f'{__package__}.x')\nimport_module(__name__ + '.y')", &["2 dynamic .x", "3 dynamic .y"]),
        // Given twice, in a function, or under a name that a parameter may hide.
        ("N = 'a'\nN = 'b'\nimport_module(N)", &["4 unknown"]),
        ("N = 'a'\nN += 'b'\nimport_module(N)", &["4 unknown"]),
        ("def f():\n  global N\n  N = 'a'\nimport_module(N)", &["5 unknown"]),
        ("name = 'a'\ndef f(name):\n  import_module(name)", &["4 unknown"]),
        ("N = N\nimport_module(N)", &["3 unknown"]),
    ] {
        let expected = [&["1 runtime importlib import_module"], expected].concat();
        check(&with(code), &expected);
    }
}

#[test]
fn calls_that_ask_or_load_otherwise() {
    check(
        "from importlib.util import find_spec\nif find_spec('a'):\n  pass\nfind_spec(x)",
        &["1 runtime importlib.util find_spec", "2 optional a"],
    );
    check("import lazy_loader as lazy\nnp = lazy.load('numpy')", &["1 runtime lazy_loader", "2 dynamic numpy"]);
    check("import runpy\nrunpy.run_module('a.b')", &["1 runtime runpy", "2 dynamic a.b"]);
    check("import pkgutil\npkgutil.resolve_name('a.b:f')", &["1 runtime pkgutil", "2 dynamic a.b"]);
    for (import, call) in [
        ("import pkgutil", "pkgutil.iter_modules(__path__)"),
        ("from pkgutil import walk_packages", "walk_packages()"),
        ("from importlib.metadata import entry_points", "entry_points(group='x')"),
        ("import importlib.metadata", "importlib.metadata.entry_points()"),
        ("import pkg_resources", "pkg_resources.iter_entry_points('x')"),
        ("import importlib.util as u", "u.spec_from_file_location('a', 'b')"),
        ("import imp", "imp.load_source('a', 'b')"),
    ] {
        let found = read_both(&format!("{import}\nfor x in {call}: pass"));
        assert_eq!(shown(&found)[1..], ["2 unknown"], "{call}");
        assert_eq!(found.diagnostics.len(), 1);
        assert!(found.diagnostics[0].reason.ends_with("which no import names"), "{:?}", found.diagnostics);
    }
    // Neither is the name in a string or the method of something else.
    check("x = 'pkgutil.iter_modules()'\nself.iter_modules()\nobj.entry_points()", &[]);
}

#[test]
fn folders_that_are_added_to_the_path() {
    for (code, expected) in [
        ("sys.path.append('lib')", &["start lib"][..]),
        ("sys.path.insert(0, './vendor')", &["start ./vendor"]),
        ("sys.path.append('/var/task/lib')", &["start lib"]),
        ("sys.path.append('/opt/python')", &[]),
        ("sys.path.append(os.path.dirname(__file__))", &["beside "]),
        ("sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), 'a', 'b'))", &["beside a/b"]),
        ("HERE = os.path.dirname(os.path.realpath(__file__))\nsys.path.insert(0, HERE + '/lib')", &["beside lib"]),
        ("HERE = os.path.dirname(__file__)\nsys.path.insert(0, f'{HERE}/lib')", &["beside lib"]),
        ("sys.path.append(os.path.dirname(os.path.dirname(__file__)))", &["beside .."]),
        ("sys.path.append(os.path.join(os.path.dirname(__file__), '..', 'x'))", &["beside ../x"]),
        ("sys.path.append(str(Path(__file__).parent / 'lib'))", &["beside lib"]),
        ("sys.path.append(str(Path(__file__).resolve().parents[1]))", &["beside .."]),
        ("ROOT = Path(__file__).parent\nsys.path.append(str(ROOT.parent.joinpath('x')))", &["beside ../x"]),
        ("sys.path.extend(['a', str(Path(__file__).parent)])", &["start a", "beside "]),
        ("import site\nsite.addsitedir('lib')", &["start lib"]),
        ("sys.path.append(os.environ['X'])\nsys.path.append(x)\nsys.path.append()", &[]),
        ("sys.path.append(__file__)", &[]),
        ("my.sys.path.append('a')", &[]),
    ] {
        let found = read_both(&format!("import sys, os\nfrom pathlib import Path\n{code}"));
        let folder =
            |f: &crate::source::SearchFolder| format!("{} {}", if f.beside_file { "beside" } else { "start" }, f.path);
        assert_eq!(found.search.iter().map(folder).collect::<Vec<_>>(), expected, "{code}");
    }
}
