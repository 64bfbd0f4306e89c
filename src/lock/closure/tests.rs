use super::*;
use crate::lock::{Manifest, pep508, poetry, requirements, uv};

mod pyproject {
    pub fn read(file: &str, text: &str) -> super::Manifest {
        crate::lock::pypi::pyproject::read(file, text, &mut |_| unreachable!())
    }
}

fn python(version: &str) -> Platform {
    format!("python{version}-linux-x86_64-glibc").parse().unwrap()
}

fn specs(closure: &Closure) -> Vec<String> {
    closure.packages.keys().map(PackageId::spec).collect()
}

fn missing(closure: &Closure) -> Vec<String> {
    let of = |(by, name, text): &(Option<PackageId>, String, String)| {
        format!("{} -> {name} {text}", by.as_ref().map_or(".".into(), PackageId::spec))
    };
    closure.missing.iter().map(of).collect()
}

/// An npm lock from `name@version` and edges `(from, to, scope)`; from `.` is the importer, to `-` is nothing.
fn npm(entries: &[(&str, When)], edges: &[(&str, &str, Scope)]) -> Lock {
    let mut lock = Lock::empty(Kind::PackageLock, "package-lock.json");
    let at = |spec: &str| entries.iter().position(|(s, _)| *s == spec);
    let of = |from: &str| -> Vec<Edge> {
        let out = edges.iter().filter(|(f, ..)| *f == from);
        out.map(|(_, to, scope)| Edge {
            name: to.split('@').next().unwrap().into(),
            text: "*".into(),
            line: 0,
            to: at(to).into_iter().collect(),
            extras: vec![],
            marker: None,
            scope: scope.clone(),
        })
        .collect()
    };
    for (spec, when) in entries {
        lock.entries.push(Entry {
            id: PackageId::from_spec(Ecosystem::Npm, spec).unwrap(),
            line: 0,
            hashes: vec![],
            source: None,
            size: None,
            requires: Some(of(spec)),
            when: when.clone(),
        });
    }
    lock.importers.insert(".".into(), of("."));
    lock
}

fn walked(lock: &Lock, platform: &str) -> Closure {
    closure(lock, &lock.importers["."], &[], &platform.parse().unwrap())
}

#[test]
fn scopes_decide_what_counts() {
    let any = When::default;
    let lock = npm(
        &[("a@1.0.0", any()), ("b@1.0.0", any()), ("dev@1.0.0", any()), ("peer@1.0.0", any()), ("c@1.0.0", any())],
        &[
            (".", "a@1.0.0", Scope::Production),
            (".", "dev@1.0.0", Scope::Dev),
            ("a@1.0.0", "b@1.0.0", Scope::Optional),
            ("a@1.0.0", "peer@1.0.0", Scope::Peer),
            ("a@1.0.0", "gone@1", Scope::OptionalPeer),
            ("a@1.0.0", "lost@1", Scope::Peer),
            ("a@1.0.0", "off@1", Scope::Optional),
            // A circle ends.
            ("b@1.0.0", "a@1.0.0", Scope::Production),
            ("b@1.0.0", "c@1.0.0", Scope::Extra("x".into())),
        ],
    );
    let found = walked(&lock, "node20-linux-x86_64-glibc");
    assert_eq!(specs(&found), ["a@1.0.0", "b@1.0.0", "peer@1.0.0"]);
    assert_eq!(missing(&found), ["a@1.0.0 -> lost *"]);
    let requires = found.packages[&PackageId::npm("a", "1.0.0")].requires.clone().unwrap();
    assert_eq!(requires.into_iter().map(|r| r.name).collect::<Vec<_>>(), ["b", "peer"]);
}

#[test]
fn systems_decide_what_can_be_installed() {
    let when = |os: &[&str], cpu: &[&str], libc: &[&str]| {
        let own = |list: &[&str]| list.iter().map(|s| (*s).to_string()).collect();
        When { marker: None, os: own(os), cpu: own(cpu), libc: own(libc) }
    };
    let entries = [
        ("gnu-x64@1.0.0", when(&["linux"], &["x64"], &["glibc"])),
        ("musl-arm@1.0.0", when(&["linux"], &["arm64"], &["musl"])),
        ("mac@1.0.0", when(&["darwin"], &[], &[])),
        ("not-win@1.0.0", when(&["!win32"], &["any"], &[])),
        ("not-arm@1.0.0", when(&[], &["!arm64", "!arm"], &[])),
    ];
    let names: Vec<String> = entries.iter().map(|(s, _)| (*s).to_string()).collect();
    let optional: Vec<_> = names.iter().map(|n| (".", n.as_str(), Scope::Optional)).collect();
    let lock = npm(&entries, &optional);
    let on = |platform: &str| specs(&walked(&lock, platform));
    assert_eq!(on("node20-linux-x86_64-glibc"), ["gnu-x64@1.0.0", "not-arm@1.0.0", "not-win@1.0.0"]);
    assert_eq!(on("node20-linux-aarch64-musl"), ["musl-arm@1.0.0", "not-win@1.0.0"]);
    assert_eq!(on("node20-windows-x86_64-none"), ["not-arm@1.0.0"]);
    // Needed, but not to be had here.
    let lock = npm(&entries, &[(".", "mac@1.0.0", Scope::Production)]);
    assert_eq!(missing(&walked(&lock, "node20-linux-x86_64-glibc")), [". -> mac *"]);
}

#[test]
fn aliases_and_repeated_packages_are_kept() {
    let any = When::default;
    let mut lock = npm(
        &[("a@1.0.0", any()), ("real@2.0.0", any()), ("real@2.0.0", any())],
        &[(".", "a@1.0.0", Scope::Production), ("a@1.0.0", "real@2.0.0", Scope::Production)],
    );
    lock.entries[0].requires.as_mut().unwrap()[0].name = "alias".into();
    let found = walked(&lock, "node20-linux-x86_64-glibc");
    let a = &found.packages[&PackageId::npm("a", "1.0.0")];
    assert_eq!(a.aliases, BTreeMap::from([("alias".to_string(), PackageId::npm("real", "2.0.0"))]));
}

const UV: &str = r#"version = 1
[[package]]
name = "app"
version = "0.1.0"
source = { virtual = "." }
dependencies = [
    { name = "lib" },
    { name = "numpy", version = "1.26.4", marker = "python_full_version < '3.12'" },
    { name = "numpy", version = "2.0.0", marker = "python_full_version >= '3.12'" },
    { name = "torch", version = "2.0", marker = "extra == 'extra-3-app-cpu'" },
    { name = "httpx", extra = ["all"] },
]
[package.optional-dependencies]
web = [{ name = "six" }]
[package.dev-dependencies]
dev = [{ name = "pytest" }]
[[package]]
name = "lib"
version = "0.2.0"
source = { editable = "lib" }
dependencies = [{ name = "idna" }]
[[package]]
name = "httpx"
version = "0.28.1"
source = { registry = "https://r" }
[package.optional-dependencies]
all = [{ name = "httpx", extra = ["socks"] }]
socks = [{ name = "socksio" }, { name = "gone" }]
[[package]]
name = "numpy"
version = "1.26.4"
source = { registry = "https://r" }
[[package]]
name = "numpy"
version = "2.0.0"
source = { registry = "https://r" }
[[package]]
name = "torch"
version = "2.0"
source = { registry = "https://r" }
[[package]]
name = "idna"
version = "3.4"
source = { registry = "https://r" }
[[package]]
name = "six"
version = "1.16.0"
source = { registry = "https://r" }
[[package]]
name = "socksio"
version = "1.0.0"
source = { registry = "https://r" }
[[package]]
name = "pytest"
version = "8"
source = { registry = "https://r" }
"#;

#[test]
fn forks_extras_members_and_conflicts_of_uv() {
    let lock = uv::read("uv.lock", UV);
    let of = |extras: &[&str], version: &str| {
        let extras: Vec<String> = extras.iter().map(|e| (*e).to_string()).collect();
        closure(&lock, &lock.importers["."], &extras, &python(version))
    };
    // The member is walked through, not listed; the extra of an extra is asked for.
    assert_eq!(specs(&of(&[], "3.11")), ["httpx==0.28.1", "idna==3.4", "numpy==1.26.4", "socksio==1.0.0"]);
    assert_eq!(specs(&of(&[], "3.12"))[2], "numpy==2.0.0");
    assert_eq!(missing(&of(&[], "3.12")), ["httpx==0.28.1 -> gone "]);
    let with = of(&["Web", "cpu"], "3.12");
    assert!(specs(&with).contains(&"six==1.16.0".into()) && specs(&with).contains(&"torch==2.0".into()));
    assert_eq!(specs(&closure(&lock, &lock.importers["lib"], &[], &python("3.12"))), ["idna==3.4"]);
}

#[test]
fn one_version_of_a_name_is_chosen_whatever_the_order() {
    let lock = |first: &str, second: &str| {
        let pin = "c = {version = \"<2\"}";
        poetry::read("poetry.lock", &format!("[[package]]\nname='a'\nversion='1'\n[package.dependencies]\n{first}\n[[package]]\nname='b'\nversion='1'\n[package.dependencies]\n{second}\n[[package]]\nname='c'\nversion='1.5'\n[[package]]\nname='c'\nversion='2.5'\n[metadata]\nlock-version='2.0'\n").replace("PIN", pin))
    };
    let manifest = pyproject::read("pyproject.toml", "[tool.poetry.dependencies]\na='*'\nb='*'\n");
    let on = |lock: &Lock| specs(&closure(lock, &roots_from_manifest(lock, &manifest), &[], &python("3.12")));
    assert_eq!(on(&lock("PIN", "c = '*'")), ["a==1", "b==1", "c==1.5"]);
    assert_eq!(on(&lock("c = '*'", "PIN")), ["a==1", "b==1", "c==1.5"]);
    assert_eq!(on(&lock("c = '*'", "c = '>=1'")), ["a==1", "b==1", "c==2.5"]);
}

#[test]
fn requirements_files_without_edges_say_so() {
    let lock = requirements::read("r.txt", "a==1\nb==2 ; python_version < '3.8'\nc>=3\n", &mut |_| unreachable!());
    let found = closure(&lock, &lock.importers["."], &[], &python("3.12"));
    assert_eq!((specs(&found), missing(&found)), (vec!["a==1".to_string()], vec![". -> c >=3".to_string()]));
    assert!(found.packages.values().all(|r| r.requires.is_none()));
}

#[test]
fn an_entry_whose_marker_fails_is_not_missing() {
    let text = "click==8.0\n    # via -r x.in\ncolorama==0.4 ; sys_platform == 'win32'\n    # via click\n";
    let lock = requirements::read("r.txt", text, &mut |_| unreachable!());
    let found = closure(&lock, &lock.importers["."], &[], &python("3.12"));
    assert_eq!((specs(&found), missing(&found)), (vec!["click==8.0".to_string()], vec![]));
}

#[test]
fn many_versions_and_many_packages_end() {
    let same: String =
        (0..2_000).map(|i| format!("[[package]]\nname='a'\nversion='{i}'\n[package.dependencies]\na='*'\n")).collect();
    let lock = poetry::read("poetry.lock", &same);
    assert_eq!(lock.diagnostics.iter().map(|d| d.code.as_str()).collect::<Vec<_>>(), ["lock-invalid"]);
    let manifest = pyproject::read("pyproject.toml", "[tool.poetry.dependencies]\na='*'\n");
    assert_eq!(closure(&lock, &roots_from_manifest(&lock, &manifest), &[], &python("3.12")).packages.len(), 1);
    let lines: String = (0..2_000).map(|i| format!("a=={i}  # via a\n")).collect();
    let lock = requirements::read("r.txt", &lines, &mut |_| unreachable!());
    assert_eq!((lock.entries.len(), lock.diagnostics.len()), (2_000, 1_999));
    let chain: String = (0..20_000).map(|i| format!("p{}==1\n    # via p{i}\n", i + 1)).collect();
    let lock = requirements::read("r.txt", &chain, &mut |_| unreachable!());
    assert_eq!(closure(&lock, &lock.importers["."], &[], &python("3.12")).packages.len(), 20_000);
}

proptest::proptest! {
    /// Lines of real forms in any order, repeated and left out, never panic, and what is reached is an entry.
    #[test]
    fn shuffled_locks_are_walked(order in proptest::collection::vec(0usize..80, 0..60)) {
        let lines: Vec<&str> = UV.lines().collect();
        let text: String = order.iter().filter_map(|i| lines.get(*i)).map(|l| format!("{l}\n")).collect();
        for lock in [uv::read("uv.lock", &text), uv::read("uv.lock", &format!("version = 1\n{text}")), poetry::read("poetry.lock", &text)] {
            let manifest = pyproject::read("pyproject.toml", &text);
            let roots = roots_from_manifest(&lock, &manifest);
            let importers = lock.importers.values().chain([&roots]);
            for edges in importers {
                let found = closure(&lock, edges, &["web".into()], &python("3.12"));
                proptest::prop_assert!(found.packages.iter().all(|(id, r)| lock.entries[r.entry].id == *id));
            }
            contradictions(&lock, &manifest, &pep508::satisfies);
        }
    }
}

#[test]
fn a_lock_that_does_not_fit_its_manifest_is_told() {
    let lock = poetry::read(
        "poetry.lock",
        "[[package]]\nname='a'\nversion='1.5'\n[[package]]\nname='b'\nversion='3.0'\n[metadata]\nlock-version='2.0'\n",
    );
    let manifest = pyproject::read(
        "pyproject.toml",
        "[tool.poetry.dependencies]\na='^1.2'\nb='^2.0'\nc='*'\nd={version='*', markers=\"sys_platform == 'win32'\"}\ne={git='https://h/e'}\n",
    );
    let found = contradictions(&lock, &manifest, &pep508::satisfies);
    let said: Vec<_> = found.iter().map(|d| (d.place.line, d.reason.as_str())).collect();
    assert_eq!(
        said,
        [(3, "b ^2.0 is declared, and poetry.lock locks 3.0"), (4, "c is declared, and poetry.lock does not lock it")]
    );
    // A requirements file that promises nothing may lack what it likes, but not hold what is excluded.
    let partial = requirements::read("r.txt", "b==3.0\n", &mut |_| unreachable!());
    assert_eq!(contradictions(&partial, &manifest, &pep508::satisfies).len(), 1);
}

#[test]
fn a_requirement_that_the_lock_was_made_for_or_overrides_contradicts_nothing() {
    use crate::lock::package_json;
    let any = When::default;
    let mut lock = npm(
        &[("a@2.0.0", any()), ("b@2.0.0", any()), ("c@2.0.0", any()), ("a@1.0.0", any())],
        &[
            (".", "a@2.0.0", Scope::Production),
            (".", "b@2.0.0", Scope::Production),
            (".", "c@2.0.0", Scope::Production),
        ],
    );
    let manifest = |file: &str, text: &str| package_json::read(file, text);
    let satisfies = |range: &str, version: &str| satisfies(Ecosystem::Npm, range, version);
    let asks = r#"{"dependencies": {"a": "^1", "b": "^1", "c": "^1"}}"#;
    let said = |lock: &Lock, manifest: &Manifest| contradictions(lock, manifest, &satisfies).len();
    assert_eq!(said(&lock, &manifest("package.json", asks)), 3);
    lock.overrides.insert("a".into());
    assert_eq!(said(&lock, &manifest("package.json", asks)), 2);
    for edge in lock.importers.get_mut(".").unwrap().iter_mut().filter(|e| e.name == "b") {
        edge.text = "npm:^1".into();
    }
    assert_eq!(said(&lock, &manifest("package.json", asks)), 1);
    let replaced = r#"{"dependencies": {"c": "^1"}, "resolutions": {"c": "2.0.0"}}"#;
    assert_eq!(said(&lock, &manifest("package.json", replaced)), 0);
    // A member is compared with what the lock says of it, not of the root.
    let mut edge = lock.importers["."][0].clone();
    edge.to = vec![3];
    lock.overrides.clear();
    lock.importers.insert("m".into(), vec![edge]);
    assert_eq!(said(&lock, &manifest("m/package.json", r#"{"dependencies": {"a": "^1"}}"#)), 0);
    assert_eq!(said(&lock, &manifest("m/package.json", r#"{"dependencies": {"a": "^2"}}"#)), 1);
}
