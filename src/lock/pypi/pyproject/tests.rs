use super::*;

fn read(file: &str, text: &str) -> Manifest {
    super::read(file, text, &mut |path| match path {
        "requirements.txt" => Ok("idna==3.4 # note\n\nsix\n".into()),
        path => Err(Diagnostic::new(codes::FILE_UNREADABLE, Place::file(path), "no such file")),
    })
}

fn shown(manifest: &Manifest) -> Vec<String> {
    let of = |r: &ManifestRequirement| {
        let mut out = format!("{}:{} {}", r.line, r.name, r.text);
        out += &r.exact.as_ref().map_or(String::new(), |v| format!(" ={v}"));
        out += &r.source.as_ref().map_or(String::new(), |s| format!(" from {s}"));
        out += if r.marker.is_some() { " ;" } else { "" };
        out += &match &r.scope {
            Scope::Production => String::new(),
            scope => format!(" {scope:?}"),
        };
        out + &r.extras.iter().map(|e| format!(" +{e}")).collect::<String>()
    };
    manifest.requires.iter().map(of).collect()
}

#[test]
fn pep_621_pep_735_and_uv() {
    let manifest = read(
        "pyproject.toml",
        r#"[project]
name = "My.App"
requires-python = ">=3.9"
dependencies = [
    "Requests[socks]>=2.31",
    "six==1.16.0 ; python_version < '3.12'",
    "lib",
    "bad requirement",
]
[project.optional-dependencies]
Web_UI = ["flask"]
all = ["my-app[web-ui]", "tqdm"]
[dependency-groups]
dev = ["pytest>=7", {include-group = "X"}]
x = ["ruff"]
[tool.uv]
dev-dependencies = ["mypy"]
[tool.uv.sources]
lib = { workspace = true }
[tool.uv.workspace]
members = ["packages/*"]
"#,
    );
    assert_eq!(
        shown(&manifest),
        [
            "5:requests >=2.31 +socks",
            "6:six ==1.16.0 =1.16.0 ;",
            "7:lib  from workspace",
            r#"11:flask  Extra("web-ui")"#,
            r#"11:flask  Extra("all")"#,
            r#"12:tqdm  Extra("all")"#,
            "14:pytest >=7 Dev",
            "15:ruff  Dev",
            "17:mypy  Dev",
        ]
    );
    assert_eq!((manifest.name.as_deref(), manifest.runtime.as_deref()), (Some("my-app"), Some(">=3.9")));
    assert_eq!(manifest.workspaces, ["packages/*"]);
    let said: Vec<_> = manifest.diagnostics.iter().map(|d| (d.code.as_str(), d.place.line)).collect();
    assert_eq!(said, [("requirement-invalid", 8)]);
}

#[test]
fn poetry_tables() {
    let manifest = read(
        "pyproject.toml",
        r#"[tool.poetry]
name = "app"
[tool.poetry.dependencies]
python = "^3.9"
flask = "^2.0"
six = "1.16.0"
idna = "==3.4"
numpy = [{version = "~1.26", python = "<3.12"}, {version = "^2.0", python = ">=3.12"}]
pandas = {version = "*", optional = true}
unasked = {version = "*", optional = true}
lib = {git = "https://host/x.git"}
uvicorn = {version = "^0.23", extras = ["standard"], markers = "sys_platform == 'linux'"}
[tool.poetry.extras]
data = ["pandas"]
[tool.poetry.group.test.dependencies]
pytest = "*"
[tool.poetry.dev-dependencies]
black = "*"
odd = "latest"
"#,
    );
    assert_eq!(
        shown(&manifest),
        [
            "5:flask ^2.0",
            "6:six 1.16.0 =1.16.0",
            "7:idna ==3.4 =3.4",
            "8:numpy ~1.26 ;",
            "8:numpy ^2.0 ;",
            r#"9:pandas * Extra("data")"#,
            "11:lib  from git",
            "12:uvicorn ^0.23 ; +standard",
            "16:pytest * Dev",
            "18:black * Dev",
            "19:odd latest Dev",
        ]
    );
    assert_eq!(manifest.runtime.as_deref(), Some("^3.9"));
    assert_eq!(manifest.diagnostics.iter().map(|d| d.place.line).collect::<Vec<_>>(), [19]);
}

#[test]
fn where_both_are_written_pep_621_counts_and_poetry_adds_sources() {
    let manifest = read(
        "pyproject.toml",
        "[project]\ndependencies = ['lib', 'six']\n[tool.poetry.dependencies]\nlib = {path = '../lib'}\nextra = '*'\n",
    );
    assert_eq!(shown(&manifest), ["2:lib  from path", "2:six "]);
}

#[test]
fn groups_that_include_nothing_or_themselves_are_told() {
    let text = "[dependency-groups]\na = [{include-group = 'b'}]\nb = [{include-group = 'A'}]\nc = [{include-group = 'gone'}, 'six']\n";
    let manifest = read("pyproject.toml", text);
    let said: Vec<_> = manifest.diagnostics.iter().map(|d| (d.place.line, d.reason.as_str())).collect();
    assert_eq!(said, [(4, "there is no dependency group `gone`"), (2, "dependency group `a` includes itself")]);
    assert_eq!(shown(&manifest), ["4:six  Dev"]);
}

#[test]
fn overrides_constraints_and_excludes() {
    let text = "[project]\ndependencies = ['a>=1', 'b>=1', 'c', 'd', 'e>=1']\n[tool.uv]\noverride-dependencies = [\"a==2 ; sys_platform == 'linux'\", 'e==3']\nconstraint-dependencies = ['b<3', 'c==1.5', 'zzz==1']\nexclude-dependencies = ['D']\n";
    let want = ["2:a ==2 =2 ;", "2:a >=1 ;", "2:b >=1,<3", "2:c ==1.5 =1.5", "2:e ==3 =3"];
    assert_eq!(shown(&read("pyproject.toml", text)), want);
    let text = "[project]\ndependencies = ['a>=1', 'b', 'c', 'd']\n[tool.pdm.dev-dependencies]\ntest = ['pytest', '-e file:///x/lib#egg=lib']\n[tool.pdm.resolution]\nexcludes = ['d']\n[tool.pdm.resolution.overrides]\na = '1.5'\nb = '>=2'\nc = 'https://host/c-1.0.tar.gz'\n";
    assert_eq!(
        shown(&read("pyproject.toml", text)),
        [
            "2:a ==1.5 =1.5",
            "2:b >=2",
            "2:c @ https://host/c-1.0.tar.gz =1.0 from url",
            "4:pytest  Dev",
            "4:lib @ file:///x/lib from path Dev"
        ]
    );
}

#[test]
fn files_that_setuptools_or_hatch_read() {
    for tool in [
        "[tool.setuptools.dynamic]\ndependencies = {file = ['requirements.txt']}\n",
        "[tool.hatch.metadata.hooks.requirements_txt]\nfiles = ['requirements.txt']\n",
    ] {
        let manifest = read("pyproject.toml", &format!("[project]\ndynamic = ['dependencies']\n{tool}"));
        let want = vec!["2:idna ==3.4 =3.4".to_string(), "2:six ".into()];
        assert_eq!((shown(&manifest), manifest.partial), (want, false));
    }
    let gone = "[project]\ndynamic = ['optional-dependencies']\n[tool.setuptools.dynamic.optional-dependencies]\nx = {file = 'gone.txt'}\n";
    assert_eq!(read("pyproject.toml", gone).diagnostics[0].code, "include-missing");
    // Poetry 2: what is dynamic is in its own table.
    let poetry = "[project]\ndynamic = ['dependencies']\n[project.optional-dependencies]\nx = ['six']\n[tool.poetry.dependencies]\nidna = '^3'\n";
    assert_eq!(shown(&read("pyproject.toml", poetry)), [r#"4:six  Extra("x")"#, "6:idna ^3"]);
}

#[test]
fn what_only_a_build_tells_is_said() {
    let manifest = read("pyproject.toml", "[project]\nname = 'x'\ndynamic = ['dependencies']\n");
    assert_eq!(
        (manifest.diagnostics[0].code.as_str(), manifest.diagnostics[0].place.line),
        ("requirement-unsupported", 3)
    );
    let broken = read("pyproject.toml", "[project\n");
    assert_eq!((broken.diagnostics[0].code.as_str(), broken.diagnostics[0].place.line), ("manifest-invalid", 1));
    assert_eq!(read("pyproject.toml", "[project]\ndependencies = 'six'\n").diagnostics.len(), 1);
}
