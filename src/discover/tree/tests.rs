//! Folders on disk and in memory.

use super::*;

fn write(root: &Path, rel: &str, bytes: &[u8]) {
    let path = root.join(rel);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

fn codes_of(tree: &Tree) -> Vec<(String, String)> {
    tree.diagnostics().iter().map(|d| (d.code.clone(), d.place.file.clone())).collect()
}

#[test]
fn installed_packages_ignored_and_hidden_files_are_not_listed() {
    let dir = tempfile::tempdir().unwrap();
    for rel in [
        "app.py",
        ".nvmrc",
        ".env",
        ".aws-sam/build/app.py",
        "app/.well-known/flags/route.ts",
        "node_modules/x/index.js",
        "env/pyvenv.cfg",
        "env/lib/x.py",
        "out/gen.js",
        "sub/a.py",
        "sub/secret.py",
    ] {
        write(dir.path(), rel, b"x");
    }
    write(dir.path(), ".gitignore", b"/out/\n");
    write(dir.path(), "sub/.gitignore", b"secret.py\n");
    let tree = Tree::open(dir.path(), Limits::default()).unwrap();
    assert_eq!(tree.files().collect::<Vec<_>>(), [".nvmrc", "app.py", "app/.well-known/flags/route.ts", "sub/a.py"]);
    assert!(tree.is_excluded("out") && !tree.is_excluded("sub") && !tree.is_excluded("nowhere"));
}

#[test]
fn ignored_scripts_that_nothing_compiles_to_are_sources() {
    let dir = tempfile::tempdir().unwrap();
    for rel in [
        "lib/stack.ts",
        "lib/stack.js",
        "src/index.js",
        "src/kept.js",
        "src/node_modules/x/index.js",
        "dist/out.js",
        "hidden/app.js",
        "py/app.js",
        "plain/gen.js",
    ] {
        write(dir.path(), rel, b"x");
    }
    write(dir.path(), ".gitignore", b"dist\n");
    for folder in ["lib", "src", "hidden", "py"] {
        write(dir.path(), &format!("{folder}/.gitignore"), b"# compiled\n*.js\n!kept.js\n");
    }
    write(dir.path(), "hidden/.ignore", b"app.js\n");
    write(dir.path(), "plain/.gitignore", b"gen.js\n");
    let tree = Tree::open(dir.path(), Limits::default()).unwrap();
    assert_eq!(tree.files().collect::<Vec<_>>(), ["lib/stack.ts", "py/app.js", "src/index.js", "src/kept.js"]);
}

#[test]
fn ignore_files_above_the_root_do_not_count() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), ".gitignore", b"*.py\n");
    write(dir.path(), "fleet/app.py", b"x");
    let tree = Tree::open(&dir.path().join("fleet"), Limits::default()).unwrap();
    assert_eq!(tree.files().collect::<Vec<_>>(), ["app.py"]);
}

#[cfg(unix)]
#[test]
fn links_are_followed_inside_the_root_only() {
    use std::os::unix::fs::symlink;
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "outside/secret.py", b"x");
    write(dir.path(), "fleet/shared/util.py", b"x = 1\n");
    let fleet = dir.path().join("fleet");
    symlink("../outside", fleet.join("out")).unwrap();
    symlink("../gone", fleet.join("out-gone")).unwrap();
    symlink("nowhere.py", fleet.join("dangling.py")).unwrap();
    symlink("shared", fleet.join("linked")).unwrap();
    symlink("shared/util.py", fleet.join("one.py")).unwrap();
    symlink(".", fleet.join("loop")).unwrap();
    symlink("ring", fleet.join("ring")).unwrap();
    let tree = Tree::open(&fleet, Limits::default()).unwrap();
    assert_eq!(tree.files().collect::<Vec<_>>(), ["one.py", "shared/util.py"]);
    let expected = [
        ("file-unreadable", "dangling.py"),
        ("link-leaves-root", "out"),
        ("link-leaves-root", "out-gone"),
        ("file-unreadable", "ring"),
    ];
    let mut found = codes_of(&tree);
    found.sort_by(|a, b| a.1.cmp(&b.1));
    assert_eq!(found, expected.map(|(c, p)| (c.to_string(), p.to_string())));
    assert_eq!(tree.text("linked/util.py").unwrap(), "x = 1\n");
    assert_eq!(tree.text("one.py").unwrap(), "x = 1\n");
    assert!(tree.has_dir("loop/shared") && tree.contains("loop/loop/linked/util.py"));
}

#[test]
fn folders_beyond_the_depth_are_named() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "a/b/c/d/deep.py", b"x");
    write(dir.path(), "a/b/seen.py", b"x");
    let limits = Limits { max_depth: 2, ..Limits::default() };
    let tree = Tree::open(dir.path(), limits).unwrap();
    assert_eq!(codes_of(&tree), [("tree-too-deep".to_string(), "a/b/c".to_string())]);
    assert!(tree.has_dir("a/b"));
}

#[test]
fn a_coding_cookie_says_which_letters_are_meant() {
    let latin = b"# -*- coding: latin-1 -*-\n# caf\xe9\na==1\n".to_vec();
    assert_eq!(decode("r.txt", latin).unwrap(), "# -*- coding: latin-1 -*-\n# caf\u{e9}\na==1\n");
    for other in [&b"# caf\xe9\n"[..], b"a==1\n\n# coding: latin-1\n\xe9", b"# coding: utf-8\n\xe9"] {
        assert_eq!(decode("r.txt", other.to_vec()).unwrap_err().code, "file-encoding");
    }
}

#[test]
fn text_is_decoded_or_named_as_what_it_is() {
    let tree = Tree::in_memory(&[
        ("bom.py", b"\xEF\xBB\xBFx = 1"),
        ("wide.py", b"\xFF\xFEx\0=\0"),
        ("big.py", b"\xFE\xFF\0x"),
        ("odd.py", b"\xFF\xFEx"),
        ("latin.py", b"# fine\nname = 'caf\xE9'\n"),
        ("binary.py", b"\x7fELF\n\0\0"),
    ]);
    assert_eq!(tree.text("bom.py").unwrap(), "x = 1");
    assert_eq!(tree.text("wide.py").unwrap(), "x=");
    assert_eq!(tree.text("big.py").unwrap(), "x");
    let failed = |rel: &str| tree.text(rel).map_err(|d| (d.code, d.place.line)).unwrap_err();
    assert_eq!(failed("odd.py"), ("file-encoding".to_string(), 0));
    assert_eq!(failed("latin.py"), ("file-encoding".to_string(), 2));
    assert_eq!(failed("binary.py"), ("file-binary".to_string(), 2));
    assert_eq!(failed("absent.py"), ("file-unreadable".to_string(), 0));
}

#[test]
fn large_files_are_refused_by_kind() {
    let mut tree = Tree::in_memory(&[("app.py", b"12345"), ("uv.lock", b"12345"), ("requirements-dev.txt", b"12345")]);
    tree.limits = Limits { max_file_bytes: 4, max_lock_bytes: 5, max_depth: 1, ..Limits::default() };
    assert_eq!(tree.read("app.py").unwrap_err().code, "file-too-large");
    assert!(tree.read("uv.lock").is_ok() && tree.read("requirements-dev.txt").is_ok());
}

#[test]
fn a_folder_holds_what_starts_with_its_name_and_a_slash() {
    let tree = Tree::in_memory(&[("a/x.py", b""), ("a/b/y.py", b""), ("a-b/z.py", b""), ("ab/w.py", b"")]);
    assert_eq!(tree.under("a").collect::<Vec<_>>(), ["a/b/y.py", "a/x.py"]);
    assert_eq!(tree.files_in("a").collect::<Vec<_>>(), ["a/x.py"]);
    assert_eq!(tree.under(".").count(), 4);
    assert!(tree.has_dir("a/b") && tree.has_dir(".") && !tree.has_dir("a/x.py"));
}

#[test]
fn a_root_that_is_no_folder_is_an_error_with_its_name() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "file", b"");
    let error = Tree::open(&dir.path().join("file"), Limits::default()).unwrap_err().to_string();
    assert!(error.ends_with("file` is not a folder"), "{error}");
    assert!(Tree::open(&dir.path().join("absent"), Limits::default()).is_err());
}
