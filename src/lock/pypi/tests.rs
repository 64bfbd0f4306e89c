//! One lock, several platforms: the platform is a parameter of the closure, in every format that can say what differs.

use crate::lock::closure::{closure, incompatible};
use crate::lock::{Kind, Lock, read};
use crate::model::PackageId;

const UV: &str = r#"version = 1
requires-python = ">=3.9"
[[package]]
name = "app"
version = "0"
source = { virtual = "." }
dependencies = [
    { name = "arm", marker = "platform_machine == 'aarch64'" },
    { name = "native" },
    { name = "tomli", marker = "python_full_version < '3.11'" },
]
[[package]]
name = "arm"
version = "1"
source = { registry = "https://registry.example/simple" }
[[package]]
name = "native"
version = "1"
source = { registry = "https://registry.example/simple" }
wheels = [
    { url = "https://registry.example/native-1-cp39-abi3-manylinux2014_x86_64.whl", hash = "sha256:aa" },
    { url = "https://registry.example/native-1-cp39-abi3-manylinux2014_aarch64.whl", hash = "sha256:bb" },
]
[[package]]
name = "tomli"
version = "2"
source = { registry = "https://registry.example/simple" }
"#;

const POETRY: &str = r#"[[package]]
name = "arm"
version = "1"
groups = ["main"]
markers = "platform_machine == \"aarch64\""
[[package]]
name = "native"
version = "1"
groups = ["main"]
files = [
    {file = "native-1-cp39-abi3-manylinux2014_x86_64.whl", hash = "sha256:aa"},
    {file = "native-1-cp39-abi3-manylinux2014_aarch64.whl", hash = "sha256:bb"},
]
[[package]]
name = "tomli"
version = "2"
groups = ["main"]
markers = "python_version < \"3.11\""
[metadata]
lock-version = "2.1"
python-versions = ">=3.9"
"#;

const PDM: &str = r#"[metadata]
lock_version = "4.5.0"
strategy = ["inherit_metadata"]
[[metadata.targets]]
requires_python = ">=3.9"
[[package]]
name = "arm"
version = "1"
groups = ["default"]
marker = "platform_machine == \"aarch64\""
[[package]]
name = "native"
version = "1"
groups = ["default"]
files = [
    {file = "native-1-cp39-abi3-manylinux2014_x86_64.whl", hash = "sha256:aa"},
    {file = "native-1-cp39-abi3-manylinux2014_aarch64.whl", hash = "sha256:bb"},
]
[[package]]
name = "tomli"
version = "2"
groups = ["default"]
marker = "python_version < \"3.11\""
"#;

const PYLOCK: &str = r#"lock-version = "1.0"
requires-python = ">=3.9"
created-by = "x"
[[packages]]
name = "arm"
version = "1"
marker = "platform_machine == 'aarch64'"
[[packages]]
name = "native"
version = "1"
wheels = [
    {name = "native-1-cp39-abi3-manylinux2014_x86_64.whl", hashes = {sha256 = "aa"}},
    {name = "native-1-cp39-abi3-manylinux2014_aarch64.whl", hashes = {sha256 = "bb"}},
]
[[packages]]
name = "tomli"
version = "2"
marker = "python_version < '3.11'"
"#;

const PIPFILE: &str = r#"{"_meta": {"pipfile-spec": 6}, "default": {
"arm": {"version": "==1", "markers": "platform_machine == 'aarch64'"},
"native": {"version": "==1", "hashes": ["sha256:aa", "sha256:bb"]},
"tomli": {"version": "==2", "markers": "python_version < '3.11'"}}}"#;

const REQUIREMENTS: &str = "arm==1 ; platform_machine == 'aarch64' --hash=sha256:aa\nnative==1 --hash=sha256:bb\ntomli==2 ; python_version < '3.11' --hash=sha256:cc\n";

const ALL: [(Kind, &str); 6] = [
    (Kind::Uv, UV),
    (Kind::Poetry, POETRY),
    (Kind::Pdm, PDM),
    (Kind::Pylock, PYLOCK),
    (Kind::Pipfile, PIPFILE),
    (Kind::Requirements, REQUIREMENTS),
];

#[allow(clippy::result_large_err)]
fn lock(kind: Kind, text: &str) -> Lock {
    let lock = read(kind, "lock", text, &mut |_| unreachable!());
    assert_eq!(lock.diagnostics, [], "{}", kind.as_str());
    lock
}

/// Packages on a platform, and what is said against it.
fn on(lock: &Lock, platform: &str) -> (Vec<String>, Vec<String>) {
    let platform = platform.parse().unwrap();
    let found = closure(lock, &lock.importers["."], &[], &platform);
    assert_eq!(found.missing, [], "{}", lock.kind.as_str());
    let said = incompatible(lock, &found, &platform).into_iter().map(|d| d.reason).collect();
    (found.packages.keys().map(PackageId::spec).collect(), said)
}

#[test]
fn python_version_and_architecture_change_the_closure_in_every_format() {
    for (kind, text) in ALL {
        let lock = lock(kind, text);
        for (platform, want) in [
            ("python3.9-linux-x86_64-glibc", vec!["native==1", "tomli==2"]),
            ("python3.13-linux-x86_64-glibc", vec!["native==1"]),
            ("python3.9-linux-aarch64-glibc", vec!["arm==1", "native==1", "tomli==2"]),
            ("python3.13-linux-aarch64-glibc", vec!["arm==1", "native==1"]),
        ] {
            let (packages, said) = on(&lock, platform);
            assert_eq!((packages, said.len()), (want.iter().map(|w| (*w).to_string()).collect(), 0), "{platform}");
        }
    }
}

/// No marker knows the libc, so the closure is the same; what cannot be installed there is told, where files have names.
#[test]
fn musl_is_told_where_the_format_names_files() {
    let want = "native==1: the lock has no wheel for musllinux on x86_64, and no source archive";
    for (kind, text) in ALL {
        let (packages, said) = on(&lock(kind, text), "python3.13-linux-x86_64-musl");
        assert_eq!(packages, ["native==1"], "{}", kind.as_str());
        let names_files = !matches!(kind, Kind::Pipfile | Kind::Requirements);
        assert_eq!(said, if names_files { vec![want.to_string()] } else { vec![] }, "{}", kind.as_str());
    }
}

#[test]
fn a_python_that_the_lock_is_not_made_for_is_told() {
    for (kind, text) in ALL {
        let (_, said) = on(&lock(kind, text), "python3.8-linux-x86_64-glibc");
        let says = !matches!(kind, Kind::Pipfile | Kind::Requirements);
        assert_eq!(said.iter().any(|s| s.contains("the lock is made for") && s.contains(">=3.9")), says, "{said:?}");
    }
}

/// Nesting, NULs and noise in every reader: a diagnostic, never a panic.
#[test]
#[allow(clippy::result_large_err)]
fn hostile_texts_are_told_in_every_format() {
    let nested = |head: &str, open: &str| format!("{head}{}", open.repeat(100_000));
    for (kind, text) in ALL {
        for text in [
            nested("x = ", "["),
            nested("x = ", "{a="),
            nested("[[package]]\nname = 'a'\nversion = '1'\ndependencies = ", "["),
            nested("", "{\"a\":"),
            "\0\0\0".to_string(),
            format!("{}\0", &text[..text.len() / 2]),
            "é".repeat(1_000_000),
        ] {
            let lock = read(kind, "lock", &text, &mut |_| Ok(String::new()));
            assert!(!lock.diagnostics.is_empty(), "{}: {}", kind.as_str(), &text[..20.min(text.len())].escape_debug());
        }
    }
}
