use super::*;
use crate::discover::Provider;
use crate::model::Place;

fn site(root: &str) -> Site {
    let site = Site::new("sam", Place::file("template.yaml"), "f".into(), "f".into(), root.into());
    Site { provider: Provider::AwsLambda, ..site }
}

fn raw(module: &str, how: How) -> RawImport {
    RawImport { line: 1, module: module.into(), names: Vec::new(), kind: ImportKind::Runtime, how }
}

/// What a specifier means in a file of the function in the folder `app`, in one word: files, `builtin`, `npm:NAME`, `-`.
fn shown(modules: &Modules<'_>, file: &str, module: &str, how: How, node: &str) -> String {
    let platform = Platform::linux(Language::Node, node);
    match modules.meaning(&site("packages/app"), &platform, file, &raw(module, how)) {
        Meaning::Local(files) => files.join(" "),
        Meaning::Linked(_, files) => files.join(" "),
        Meaning::Builtin => "builtin".into(),
        Meaning::NoBuiltin => "no builtin".into(),
        Meaning::Package(name) => format!("npm:{name}"),
        Meaning::NotFound => "-".into(),
        Meaning::Alias => "alias".into(),
        Meaning::Unknown => "unknown".into(),
    }
}

const APP: &[u8] = br##"{"name": "app", "type": "module", "exports": {".": "./main.js", "./self": "./lib/self.js", "./internal/*": null},
    "imports": {"#dep": {"node": "lib-conditions", "default": "./dep.js"}, "#local": "./lib/local.js", "#lib/*.js": "./lib/*.js",
    "#lib/*": "./lib/*.js", "#cond": {"import": "./lib/esm.js", "require": "./lib/cjs.cjs"}, "#null": null, "#builtin": "node:fs",
    "#plain": "fs", "#nested": {"browser": "./b.js", "node": {"require": "./lib/cjs.cjs", "default": "./lib/esm.js"}},
    "#array": ["./lib/local.js"], "#bad": "../outside.js"}}"##;

const CONDITIONS: &[u8] = br#"{"name": "lib-conditions", "exports": {".": {"import": "./i.mjs", "require": "./r.cjs"},
    "./sub": {"node": "./n.js", "default": "./d.js"}, "./feature/*": "./src/f/*.js", "./feature/secret/*": null,
    "./*.css": "./styles/*.css", "./only-browser": {"browser": "./b.js"}, "./nest": {"node": {"import": "./i.mjs"}, "default": "./d.js"},
    "./arr": [{"import": "./i.mjs"}, "./d.js"], "./long*": "./src/short/*.js", "./longer*": "./src/long/*.js"}}"#;

fn workspace() -> Tree {
    Tree::in_memory(&[
        ("package.json", br#"{"workspaces": ["packages/*"]}"#),
        ("packages/app/package.json", APP),
        ("packages/app/main.js", b""),
        ("packages/app/lib/self.js", b""),
        ("packages/app/lib/local.js", b""),
        ("packages/app/lib/esm.js", b""),
        ("packages/app/lib/cjs.cjs", b""),
        ("packages/app/lib/deep/x.js", b""),
        ("packages/app/dir/index.js", b""),
        ("packages/app/withmain/package.json", br#"{"main": "./entry"}"#),
        ("packages/app/withmain/entry.js", b""),
        ("packages/app/data.json", b"{}"),
        ("packages/conditions/package.json", CONDITIONS),
        ("packages/conditions/i.mjs", b""),
        ("packages/conditions/r.cjs", b""),
        ("packages/conditions/n.js", b""),
        ("packages/conditions/d.js", b""),
        ("packages/conditions/src/f/a.js", b""),
        ("packages/conditions/src/f/secret/b.js", b""),
        ("packages/conditions/styles/m.css", b""),
        ("packages/conditions/src/short/X.js", b""),
        ("packages/conditions/src/long/X.js", b""),
        ("packages/main/package.json", br#"{"name": "lib-main", "main": "lib/index.js"}"#),
        ("packages/main/lib/index.js", b""),
        ("packages/main/other.js", b""),
        ("packages/sugar/package.json", br#"{"name": "lib-sugar", "exports": "./only.js"}"#),
        ("packages/sugar/only.js", b""),
        ("packages/sugar/hidden.js", b""),
        ("packages/built/package.json", br#"{"name": "@own/built", "main": "./dist/index.js"}"#),
        ("packages/built/src/index.ts", b""),
        ("elsewhere/package.json", br#"{"name": "lib-elsewhere", "main": "x.js"}"#),
        ("elsewhere/x.js", b""),
    ])
}

/// Expected is what Node.js 20.20 answers for the same folders, to `import.meta.resolve` and to `require.resolve`.
#[test]
fn packages_of_a_workspace_resolve_as_in_node() {
    let tree = workspace();
    let modules = Modules::new(&tree);
    for (module, imported, required) in [
        ("lib-conditions", "conditions/i.mjs", "conditions/r.cjs"),
        ("lib-conditions/sub", "conditions/n.js", "conditions/n.js"),
        ("lib-conditions/feature/a", "conditions/src/f/a.js", "conditions/src/f/a.js"),
        ("lib-conditions/feature/secret/b", "-", "-"),
        ("lib-conditions/m.css", "conditions/styles/m.css", "conditions/styles/m.css"),
        ("lib-conditions/only-browser", "-", "-"),
        ("lib-conditions/nest", "conditions/i.mjs", "conditions/d.js"),
        ("lib-conditions/arr", "conditions/i.mjs", "conditions/d.js"),
        ("lib-conditions/i.mjs", "-", "-"),
        ("lib-conditions/longX", "conditions/src/short/X.js", "conditions/src/short/X.js"),
        ("lib-conditions/longerX", "conditions/src/long/X.js", "conditions/src/long/X.js"),
        ("lib-main", "main/lib/index.js", "main/lib/index.js"),
        ("lib-main/other.js", "main/other.js", "main/other.js"),
        ("lib-sugar", "sugar/only.js", "sugar/only.js"),
        ("lib-sugar/hidden.js", "-", "-"),
        ("app", "app/main.js", "app/main.js"),
        ("app/self", "app/lib/self.js", "app/lib/self.js"),
        ("app/main.js", "-", "-"),
        ("app/internal/x", "-", "-"),
        ("#dep", "conditions/i.mjs", "conditions/r.cjs"),
        ("#local", "app/lib/local.js", "app/lib/local.js"),
        ("#lib/local.js", "app/lib/local.js", "app/lib/local.js"),
        ("#lib/deep/x", "app/lib/deep/x.js", "app/lib/deep/x.js"),
        ("#cond", "app/lib/esm.js", "app/lib/cjs.cjs"),
        ("#null", "-", "-"),
        ("#builtin", "-", "-"),
        ("#plain", "builtin", "builtin"),
        ("#nested", "app/lib/esm.js", "app/lib/cjs.cjs"),
        ("#array", "app/lib/local.js", "app/lib/local.js"),
        ("#bad", "-", "-"),
        ("#gone", "-", "-"),
        ("./data.json", "app/data.json", "app/data.json"),
        ("./dir/index.js", "app/dir/index.js", "app/dir/index.js"),
        ("fs", "builtin", "builtin"),
    ] {
        let whole = |path: &str| if path.contains('.') { format!("packages/{path}") } else { path.to_string() };
        let file = "packages/app/main.js";
        assert_eq!(shown(&modules, file, module, How::Import, "20"), whole(imported), "import {module}");
        assert_eq!(shown(&modules, file, module, How::Require, "20"), whole(required), "require {module}");
    }
    // Only `require` finds these; compilers let `import` find them too.
    for (module, expected) in [("./dir", "dir/index.js"), ("./withmain", "withmain/entry.js"), ("./data", "data.json")]
    {
        assert_eq!(
            shown(&modules, "packages/app/main.js", module, How::Import, "20"),
            format!("packages/app/{expected}")
        );
    }
}

#[test]
fn what_is_no_package_of_the_tree() {
    let tree = workspace();
    let modules = Modules::new(&tree);
    let show = |module: &str, node: &str| shown(&modules, "packages/app/main.js", module, How::Import, node);
    // The entry is a build's output: its source is there.
    assert_eq!(show("@own/built", "20"), "packages/built/src/index.ts");
    // Not in the workspace, and not linked.
    assert_eq!(show("lib-elsewhere", "20"), "npm:lib-elsewhere");
    assert_eq!(show("express/lib/x", "20"), "npm:express");
    assert_eq!(show("node:sqlite", "20"), "no builtin");
    assert_eq!(show("node:sqlite", "24"), "builtin");
    assert_eq!(show("@/components/x", "20"), "alias");
    assert_eq!(show("virtual:x", "20"), "unknown");
    assert_eq!(show("./gone", "20"), "-");
    assert_eq!(show("raw-loader!./data.json", "20"), "packages/app/data.json");
}

#[test]
fn packages_are_linked_by_path() {
    let tree = Tree::in_memory(&[
        ("f/package.json", br#"{"dependencies": {"one": "file:../lib/one", "two": "workspace:*"}}"#),
        ("f/app.js", b""),
        ("lib/one/package.json", br#"{"name": "called-otherwise", "main": "m.js"}"#),
        ("lib/one/m.js", b""),
        ("lib/two/package.json", br#"{"name": "two"}"#),
        ("lib/two/index.ts", b""),
    ]);
    let modules = Modules::new(&tree);
    assert_eq!(shown(&modules, "f/app.js", "one", How::Import, "20"), "lib/one/m.js");
    assert_eq!(shown(&modules, "f/app.js", "two", How::Import, "20"), "lib/two/index.ts");
    assert_eq!(
        modules.declared("f/app.js", "one"),
        Some(Declared::By("f/package.json".into(), "file:../lib/one".into()))
    );
    assert_eq!(modules.declared("lib/two/index.ts", "one"), None);
}

#[test]
fn paths_are_probed_as_compilers_do() {
    let tree = Tree::in_memory(&[
        ("a/main.ts", b""),
        ("a/plain.js", b""),
        ("a/x.ts", b""),
        ("a/y.js", b""),
        ("a/y.ts", b""),
        ("a/dir/index.mjs", b""),
        ("a/z.test.js", b""),
        ("a/App.vue", b""),
        ("b/data.json", b""),
        ("index.js", b""),
        ("gen/src/made.ts", b""),
        ("a/tsconfig.json", br#"{"compilerOptions": {"rootDirs": [".", "../gen/src"]}}"#),
    ]);
    let modules = Modules::new(&tree);
    for (file, module, expected) in [
        ("a/main.ts", "./x", "a/x.ts"),
        ("a/main.ts", "./x.js", "a/x.ts"),
        ("a/main.ts", "./y.js", "a/y.js"),
        ("a/main.ts", "./y", "a/y.ts"),
        ("a/plain.js", "./y", "a/y.js"),
        ("a/main.ts", "./dir", "a/dir/index.mjs"),
        ("a/main.ts", "./dir/", "a/dir/index.mjs"),
        ("a/main.ts", "./z.test", "a/z.test.js"),
        ("a/main.ts", "./App.vue", "a/App.vue"),
        ("a/main.ts", "../b/data", "b/data.json"),
        ("a/main.ts", "../b/data.json?raw", "b/data.json"),
        ("a/main.ts", "..", "index.js"),
        ("a/main.ts", "./made", "gen/src/made.ts"),
        ("a/main.ts", "./x/", "-"),
        ("a/main.ts", "./gone", "-"),
        ("a/main.ts", "../../out", "-"),
        ("a/main.ts", "/a/x", "unknown"),
    ] {
        assert_eq!(shown(&modules, file, module, How::Import, "20"), expected, "{module} in {file}");
    }
    // Nothing is added to a path; TypeScript's source stands for what it is compiled to.
    assert_eq!(shown(&modules, "a/main.ts", "./x.js", How::Path, "20"), "a/x.ts");
    assert_eq!(shown(&modules, "a/main.ts", "./x", How::Path, "20"), "-");
}

#[test]
fn patterns_are_the_local_files_that_match() {
    let many: Vec<String> = (0..1_001).map(|n| format!("many/l/{n}.js")).collect();
    let mut files: Vec<(&str, &[u8])> = vec![
        ("f/app.js", b""),
        ("f/locales/en.js", b""),
        ("f/locales/de.ts", b""),
        ("f/locales/de.test.ts", b""),
        ("f/locales/more/at.js", b""),
        ("f/locales/list.txt", b""),
        ("f/handlers/user/index.ts", b""),
        ("many/app.js", b""),
    ];
    files.extend(many.iter().map(|file| (file.as_str(), &b""[..])));
    let tree = Tree::in_memory(&files);
    let modules = Modules::new(&tree);
    for (file, module, expected) in [
        ("f/app.js", "./locales/*.js", "f/locales/de.ts f/locales/en.js"),
        ("f/app.js", "./locales/**.js", "f/locales/de.ts f/locales/en.js f/locales/more/at.js"),
        ("f/app.js", "./handlers/**", "f/handlers/user/index.ts"),
        ("f/app.js", "./handlers/*", "f/handlers/user/index.ts"),
        ("f/app.js", "./gone/*.js", "-"),
        ("f/app.js", "../../../*.js", "-"),
        ("many/app.js", "./l/*.js", "unknown"),
    ] {
        assert_eq!(shown(&modules, file, module, How::Pattern, "20"), expected, "{module}");
    }
}

#[test]
fn layers_lie_in_opt() {
    let tree = Tree::in_memory(&[
        ("f/app.ts", b""),
        ("layer/nodejs/config.mjs", b""),
        ("built/util.ts", b""),
        ("f/tsconfig.json", br#"{"compilerOptions": {"paths": {"/opt/nodejs/aliased": ["../built/util"]}}}"#),
    ]);
    let modules = Modules::new(&tree);
    let layer = |folder: &str| crate::discover::Layer { text: folder.into(), folder: Some(folder.into()) };
    let mut site = site("f");
    site.layers = vec![layer("layer"), layer("built")];
    let platform = Platform::linux(Language::Node, "20");
    for (module, expected) in [
        ("/opt/nodejs/config.mjs", "layer/nodejs/config.mjs"),
        ("/opt/nodejs/util", "built/util.ts"),
        ("/opt/nodejs/aliased", "built/util.ts"),
    ] {
        let meaning = modules.meaning(&site, &platform, "f/app.ts", &raw(module, How::Import));
        assert_eq!(meaning, Meaning::Local(vec![expected.to_string()]), "{module}");
    }
}

#[test]
fn forms_that_a_file_cannot_have_are_named() {
    let tree = Tree::in_memory(&[
        ("esm/package.json", br#"{"type": "module"}"#),
        ("cjs/package.json", br#"{"type": "commonjs"}"#),
        ("none/package.json", b"{}"),
    ]);
    let modules = Modules::new(&tree);
    for (file, how, refused) in [
        ("esm/a.js", How::Require, true),
        ("esm/a.js", How::Created, false),
        ("esm/a.js", How::Import, false),
        ("esm/a.cjs", How::Require, false),
        ("esm/a.cjs", How::Import, true),
        ("esm/a.ts", How::Require, false),
        ("cjs/a.js", How::Import, true),
        ("cjs/a.js", How::Require, false),
        ("cjs/a.mjs", How::Require, true),
        ("none/a.js", How::Import, false),
        ("none/a.js", How::Require, false),
    ] {
        assert_eq!(modules.refused(file, &raw("x", how)).is_some(), refused, "{file} {how:?}");
    }
}
