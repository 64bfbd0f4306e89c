use super::*;

fn edges(lock: &Lock, edges: &[Edge]) -> Vec<(String, Scope, Vec<String>)> {
    let ids = |edge: &Edge| edge.to.iter().map(|&to| lock.entries[to].id.spec()).collect();
    edges.iter().map(|edge| (edge.name.clone(), edge.scope.clone(), ids(edge))).collect()
}

fn edge(name: &str, scope: Scope, to: &[&str]) -> (String, Scope, Vec<String>) {
    (name.to_string(), scope, to.iter().map(ToString::to_string).collect())
}

const V9: &str = "lockfileVersion: '9.0'

importers:
  .:
    dependencies:
      cjs:
        specifier: npm:real@^1.0.0
        version: real@1.0.0
      w:
        specifier: workspace:*
        version: link:packages/w
    devDependencies:
      dom:
        specifier: ^18.0.0
        version: 18.2.0(react@18.2.0)
  packages/w:
    dependencies:
      dom:
        specifier: ^18.0.0
        version: 18.2.0(react@17.0.2)
      out:
        specifier: link:../../../out
        version: link:../../../out
    optionalDependencies:
      native:
        specifier: 1.0.0
        version: 1.0.0

packages:

  'dom@18.2.0':
    resolution: {integrity: sha512-aaa}
    peerDependencies:
      react: '*'

  native@1.0.0:
    resolution: {integrity: sha512-bbb}
    os: [linux]
    cpu: [x64]
    libc: [glibc]

  react@17.0.2:
    resolution: {integrity: sha512-ccc}

  react@18.2.0:
    resolution: {integrity: sha512-ddd}

  real@1.0.0:
    resolution: {integrity: sha512-eee}

  tar@https://codeload.github.com/o/r/tar.gz/0a1b:
    resolution: {tarball: https://codeload.github.com/o/r/tar.gz/0a1b}
    version: 2.0.0

snapshots:

  'dom@18.2.0(react@17.0.2)':
    dependencies:
      react: 17.0.2

  'dom@18.2.0(react@18.2.0)':
    dependencies:
      react: 18.2.0

  native@1.0.0:
    optional: true

  react@17.0.2: {}

  react@18.2.0: {}

  real@1.0.0(patch_hash=0a1b2c):
    dependencies:
      tar: https://codeload.github.com/o/r/tar.gz/0a1b

  tar@https://codeload.github.com/o/r/tar.gz/0a1b: {}
";

#[test]
fn snapshots_importers_and_workspaces_are_read() {
    let lock = read("pnpm-lock.yaml", &V9.replace("version: real@1.0.0", "version: real@1.0.0(patch_hash=0a1b2c)"));
    assert!(lock.diagnostics.is_empty(), "{:?}", lock.diagnostics);
    let index = |spec: &str| lock.entries.iter().position(|entry| entry.id.spec() == spec).unwrap();
    assert_eq!(
        edges(&lock, &lock.importers["."]),
        [
            edge("cjs", Scope::Production, &["real@1.0.0"]),
            edge("dom", Scope::Dev, &["dom@18.2.0"]),
            edge("w", Scope::Production, &["w@link:packages/w"])
        ]
    );
    assert_eq!(lock.importers["."][0].text, "npm:real@^1.0.0");
    assert_eq!(lock.importers["."][0].line, 6);
    let workspace = &lock.entries[index("w@link:packages/w")];
    assert_eq!(workspace.source.as_deref(), Some("workspace"));
    assert_eq!(
        edges(&lock, workspace.requires.as_deref().unwrap()),
        [
            edge("dom", Scope::Production, &["dom@18.2.0"]),
            edge("native", Scope::Optional, &["native@1.0.0"]),
            edge("out", Scope::Production, &["out@link:../out"])
        ]
    );
    let react = |edges: &[Edge], name: &str| {
        let dom = edges.iter().find(|edge| edge.name == name).unwrap().to[0];
        lock.entries[lock.entries[dom].requires.as_ref().unwrap()[0].to[0]].id.spec()
    };
    assert_eq!(react(&lock.importers["packages/w"], "dom"), "react@17.0.2");
    assert_eq!(react(&lock.importers["."], "dom"), "react@18.2.0");
    assert_eq!(lock.entries[index("out@link:../out")].source.as_deref(), Some("path"));
    assert_eq!(lock.entries[index("out@link:../out")].requires.as_ref().map(Vec::len), None);
    assert_eq!(lock.entries[index("real@1.0.0")].source.as_deref(), Some("patch"));
    assert_eq!(lock.entries[index("tar@2.0.0")].source.as_deref(), Some("git"));
    let native = &lock.entries[index("native@1.0.0")];
    assert_eq!((native.line, native.when.libc.as_slice()), (65, &["glibc".to_string()][..]));
    assert_eq!(native.hashes, ["sha512-bbb"]);
}

#[test]
fn keys_of_every_version_are_read() {
    for (key, expected) in [
        ("x@1.0.0", Some(("x", "1.0.0"))),
        ("@s/string_x@1.0.0(a@1.0.0(b@2.0.0))(c@3.0.0)", Some(("@s/string_x", "1.0.0"))),
        ("x@file:a(b)/c", Some(("x", "file:a(b)/c"))),
        ("/x@1.0.0(a@1.0.0)", Some(("x", "1.0.0"))),
        ("/@s/x/1.0.0_a@1.0.0+b@2.0.0", Some(("@s/x", "1.0.0"))),
        ("/x/1.0.0_@s+a@1.0.0", Some(("x", "1.0.0"))),
        ("registry.example/@s/x/1.1.0", Some(("@s/x", "1.1.0"))),
        ("github.com/o/r", None),
        ("file:../x", None),
        ("/x/y", None),
        ("x@", None),
        ("@", None),
        ("", None),
        (")", None),
        ("é@é", None),
    ] {
        assert_eq!(split_key(key), expected, "{key}");
    }
}

#[test]
fn what_cannot_be_read_is_said() {
    let nested = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for (text, code) in [
        ("no mapping", "lock-invalid"),
        ("- 1", "lock-invalid"),
        ("lockfileVersion: 5.4\npackages:\n  - x", "lock-invalid"),
        ("lockfileVersion: '10.0'", "lock-unsupported"),
        ("lockfileVersion: 4", "lock-unsupported"),
        ("packages: {}", "lock-unsupported"),
        ("lockfileVersion: '6.0'\npackages: {nonsense: {}}", "lock-invalid"),
        (nested.as_str(), "lock-invalid"),
    ] {
        let lock = read("pnpm-lock.yaml", text);
        assert_eq!(lock.diagnostics.first().map(|d| d.code.as_str()), Some(code), "{text:.80}");
        assert!(lock.entries.is_empty());
    }
    assert!(read("pnpm-lock.yaml", "").diagnostics.is_empty());
}

#[test]
fn platforms_differ() {
    let lock = read("pnpm-lock.yaml", V9);
    let on = |platform: &str| -> bool {
        let platform = platform.parse().unwrap();
        let walked = crate::lock::closure::closure(&lock, &lock.importers["packages/w"], &[], &platform);
        walked.packages.contains_key(&PackageId::npm("native", "1.0.0"))
    };
    assert!(on("node20-linux-x86_64-glibc"));
    assert!(!on("node20-linux-x86_64-musl") && !on("node20-linux-aarch64-glibc"));
}

#[test]
fn what_is_overridden_is_kept_by_name() {
    let text = "lockfileVersion: '9.0'\noverrides:\n  a: 1.3.7\n  '@s/b@^1': 1.0.0\n  c>d: 1.0.0\n";
    let lock = read("pnpm-lock.yaml", text);
    assert_eq!(lock.overrides.iter().collect::<Vec<_>>(), ["@s/b", "a"]);
}
