use super::*;

fn wants(name: &str, text: &str) -> Requirement {
    Requirement { name: name.into(), text: text.into(), place: Place::at("requirements.txt", 1), package: None }
}

fn python() -> Platform {
    Platform::linux(Language::Python, "3.11")
}

fn lines(platform: &Platform, declared: &[Requirement]) -> Vec<String> {
    Ask::of(platform, declared).requirements.into_iter().map(|(_, line)| line).collect()
}

#[test]
fn python_requirements_are_asked_for_as_pep_508_says_them() {
    let asked = |name: &str, text: &str| lines(&python(), &[wants(name, text)]).pop();
    assert_eq!(asked("requests", "requests[socks]>=2.30").as_deref(), Some("requests[socks]>=2.30"));
    assert_eq!(asked("flask", "flask").as_deref(), Some("flask"));
    // Poetry: https://python-poetry.org/docs/dependency-specification/
    for (range, expected) in [
        ("^1.2.3", ">=1.2.3,<2"),
        ("^0.2.3", ">=0.2.3,<0.3"),
        ("^0.0.3", ">=0.0.3,<0.0.4"),
        ("^0.0", ">=0.0,<0.1"),
        ("^0", ">=0,<1"),
        ("~1.2.3", ">=1.2.3,<1.3"),
        ("~1", ">=1,<2"),
        ("*", ""),
        ("1.4", "==1.4"),
    ] {
        assert_eq!(asked("x", &format!("x@{range}")), Some(format!("x{expected}")), "{range}");
    }
    assert_eq!(asked("x", "x~=1.4,!=1.4.2").as_deref(), Some("x~=1.4,!=1.4.2"));
    for text in [
        "x @ https://registry.example/x-1.0.tar.gz",
        "x @ git+ssh://git@registry.example/x",
        "x@^1 || ^2",
        "x>=1\n--pre",
        "x>=1 `id`",
    ] {
        assert_eq!(asked("x", text), None, "{text}");
    }
    let mut pinned = wants("x", "x");
    pinned.package = Some(PackageId::pypi("x", "2.0"));
    assert_eq!(lines(&python(), &[pinned.clone()]), ["x==2.0"]);
    pinned.package = Some(PackageId::pypi("x", UNKNOWN_VERSION));
    assert_eq!(Ask::of(&python(), &[pinned]).left_out.len(), 1);
}

#[test]
fn npm_requirements_from_elsewhere_than_a_registry_are_left_out() {
    let node = Platform::linux(Language::Node, "20");
    let asked = |text: &str| lines(&node, &[wants("a", text)]).pop();
    assert_eq!(asked("a@^1.2").as_deref(), Some("^1.2"));
    assert_eq!(asked("a").as_deref(), Some("*"));
    assert_eq!(asked("a@npm:@scope/real@^1").as_deref(), Some("npm:@scope/real@^1"));
    for text in [
        "a@user/repo",
        "a@github:user/repo",
        "a@git+ssh://x/y",
        "a@file:../b",
        "a@workspace:*",
        "a@https://x/y.tgz",
        "a@../b",
    ] {
        assert_eq!(asked(text), None, "{text}");
    }
}

#[test]
fn the_key_follows_what_is_asked_and_where_but_not_the_order_or_the_file() {
    let a = Ask::of(&python(), &[wants("a", "a"), wants("b", "b>1")]);
    let mut moved = wants("a", "a");
    moved.place = Place::at("elsewhere/requirements.txt", 9);
    assert_eq!(a.key(), Ask::of(&python(), &[wants("b", "b>1"), moved]).key());
    assert_ne!(a.key(), Ask::of(&python(), &[wants("a", "a"), wants("b", "b>2")]).key());
    let arm = Platform { arch: "aarch64".into(), ..python() };
    assert_ne!(a.inputs(), Ask::of(&arm, &[wants("a", "a"), wants("b", "b>1")]).inputs());
    assert!(a.key().starts_with("py311-x86_64-glibc-"), "{}", a.key());
}

#[test]
fn no_call_can_run_code_of_a_package() {
    let rules = Rules::default();
    let ask = Ask::of(&python(), &[wants("a", "a")]);
    for tool in [Tool::Uv, Tool::Pip] {
        let call = call(&ask, tool, &rules).unwrap();
        assert!(call.args.windows(2).any(|w| w == ["--only-binary", ":all:"]), "{call:?}");
        assert!(call.args.windows(2).any(|w| w == ["--python-version", "3.11"]), "{call:?}");
    }
    let uv = |platform: &Platform| call(&Ask::of(platform, &[]), Tool::Uv, &rules).unwrap().args.join(" ");
    assert!(uv(&python()).contains("x86_64-manylinux_2_17"));
    assert!(uv(&Platform::linux(Language::Python, "3.13")).contains("x86_64-manylinux_2_28"));
    let musl = Platform { libc: "musl".into(), arch: "aarch64".into(), ..python() };
    assert!(uv(&musl).contains("aarch64-unknown-linux-musl"));
    let node = Platform { arch: "aarch64".into(), ..Platform::linux(Language::Node, "20") };
    let ask = Ask::of(&node, &[wants("a", "a@1")]);
    for tool in [Tool::Npm, Tool::Pnpm] {
        let call = call(&ask, tool, &rules).unwrap();
        assert!(call.args.iter().any(|a| a == "--ignore-scripts"), "{call:?}");
        assert!(call.files[0].1.contains("\"a\": \"1\""), "{call:?}");
    }
    assert!(call(&ask, Tool::Npm, &rules).unwrap().args.windows(2).any(|w| w == ["--cpu", "arm64"]));
    let dated = Rules { exclude_newer: Some("2026-01-01".into()), ..Rules::default() };
    assert!(call(&ask, Tool::Pnpm, &dated).is_none(), "it would not keep the date");
    assert!(call(&ask, Tool::Npm, &dated).unwrap().args.windows(2).any(|w| w == ["--before", "2026-01-01"]));
}

#[test]
fn answers_are_checked_and_lose_their_addresses() {
    let ask = Ask::of(&python(), &[wants("a", "a")]);
    let good = "a==1.0 \\\n    --hash=sha256:00\n    # via -r requirements.in\n";
    assert_eq!(lock_text(&ask, Tool::Uv, good).as_deref(), Ok(good));
    assert!(lock_text(&ask, Tool::Uv, "b==1.0 --hash=sha256:00\n").unwrap_err().contains("without a"));
    assert!(lock_text(&ask, Tool::Uv, "<html>login</html>").is_err());
    assert!(lock_text(&ask, Tool::Pip, "{}").is_err());
    let node = Platform::linux(Language::Node, "20");
    let ask = Ask::of(&node, &[wants("a", "a@1")]);
    let npm = r#"{"lockfileVersion": 3, "packages": {"": {"dependencies": {"a": "1"}},
        "node_modules/a": {"version": "1.0.0", "resolved": "https://u:p@registry.example/a.tgz", "integrity": "sha512-x"}}}"#;
    let text = lock_text(&ask, Tool::Npm, npm).unwrap();
    assert!(!text.contains("registry.example") && text.contains("sha512-x"), "{text}");
    assert!(lock_text(&ask, Tool::Npm, "{\"lockfileVersion\": 3, \"packages\": {}}").is_err());
    assert!(lock_text(&ask, Tool::Npm, "npm ERR!").is_err());
}

#[test]
fn a_report_of_pip_becomes_a_lock_with_edges() {
    // The form of pip 23's `--report`, cut to what is read.
    let report = r#"{"version": "1", "install": [
      {"requested": true, "metadata": {"name": "Flask", "version": "2.0.1", "requires_dist": ["click>=7", "asgiref; extra == 'async'"]},
       "download_info": {"archive_info": {"hashes": {"sha256": "aa"}}}},
      {"requested": false, "metadata": {"name": "click", "version": "8.1.0"},
       "download_info": {"archive_info": {"hashes": {"sha256": "bb"}}}}]}"#;
    let text = lock_text(&Ask::of(&python(), &[wants("flask", "flask")]), Tool::Pip, report).unwrap();
    let lock = read(Kind::Requirements, "requirements.txt", &text);
    assert!(lock.complete && lock.diagnostics.is_empty(), "{lock:?}");
    let flask = lock.entries.iter().find(|e| e.id.name == "flask").unwrap();
    assert_eq!(
        flask.requires.as_deref().map(|r| r.iter().map(|e| e.name.clone()).collect::<Vec<_>>()),
        Some(vec!["click".into()])
    );
}

#[test]
fn last_words_are_few_and_keep_no_secret() {
    let said = "Resolving…\nerror: No solution found\n  cause: see https://user:secret@registry.example/simple/x/ in /tmp/abc/x\n\nhint: try again\n//registry.example/:_authToken=npm_123\n";
    let words = last_words(said, &["/tmp/abc"]);
    assert!(words.contains("error: No solution found; cause: see <address> in …/x"), "{words}");
    for secret in ["secret", "registry.example", "npm_123", "/tmp"] {
        // The mark that stands for a secret is not one.
        assert!(!words.replace("<secret>", "").contains(secret), "{words}");
    }
    assert!(last_words(&"x".repeat(10_000), &[]).chars().count() < 610);
    assert!(last_words(&"line\n".repeat(100), &[]).len() < 40);
}

fn record(ask: &Ask, functions: &[&str]) -> String {
    serde_json::to_string(&Record {
        schema: SCHEMA.into(),
        key: ask.key(),
        resolved_on: "2026-11-23".into(),
        tool: "uv".into(),
        tool_version: "1".into(),
        exclude_newer: None,
        platform: ask.platform.clone(),
        inputs: ask.inputs(),
        requirements: vec![],
        lock: "requirements.txt".into(),
        functions: functions.iter().map(|f| (*f).to_string()).collect(),
    })
    .unwrap()
}

const LOCK: &str = "a==1.0 --hash=sha256:00\n    # via -r requirements.in\nb==2.0 --hash=sha256:01\n    # via a\n";

fn scanned(requirements: &str, locks: Locks) -> crate::model::Inventory {
    let tree = crate::discover::Tree::in_memory(&[
        ("f/lambda_function.py", b"import a\ndef lambda_handler(event, context): pass\n"),
        ("f/requirements.txt", requirements.as_bytes()),
    ]);
    super::super::scan_tree(&tree, &super::super::ScanOptions { locks, ..Default::default() }, &|_| {})
}

fn with_lock(asked: &[Requirement]) -> Locks {
    let mut locks = Locks::default();
    let ask = Ask::of(&python(), asked);
    locks.add("locks", &record(&ask, &["f"]), LOCK).unwrap();
    locks
}

#[test]
fn a_function_takes_what_was_resolved_for_it() {
    let before = scanned("a>=1\n", Locks::default());
    assert_eq!(before.functions[0].state, State::Unresolved);
    let inventory = scanned("a>=1\n", with_lock(&[wants("a", "a>=1")]));
    let f = &inventory.functions[0];
    assert_eq!(f.state, State::Locked, "{:?}", inventory.diagnostics);
    assert_eq!(f.closure, [PackageId::pypi("a", "1.0"), PackageId::pypi("b", "2.0")]);
    assert_eq!(f.declared[0].package, Some(PackageId::pypi("a", "1.0")));
    let lock = f.lock.as_ref().unwrap();
    assert_eq!((lock.kind.as_str(), lock.resolved_on.as_deref()), ("resolved", Some("2026-11-23")));
    assert!(!inventory.diagnostics.iter().any(|d| d.code == "version-unknown"), "{:?}", inventory.diagnostics);
}

#[test]
fn what_is_stale_is_said_and_not_used() {
    let inventory = scanned("a>=2\n", with_lock(&[wants("a", "a>=1")]));
    assert_eq!(inventory.functions[0].state, State::Unresolved);
    assert!(inventory.diagnostics.iter().any(|d| d.code == "lock-stale"), "{:?}", inventory.diagnostics);
}

#[test]
fn what_was_left_out_stays_open() {
    let text = "a>=1\nc @ git+https://registry.example/c\n-e ./local\n";
    let inventory = scanned(text, with_lock(&[wants("a", "a>=1")]));
    let f = &inventory.functions[0];
    assert_eq!(f.state, State::Partial, "{f:?}");
    assert_eq!(f.closure.len(), 2, "{:?}", f.closure);
    let inventory = scanned("a>=1\n-e ./local\n", with_lock(&[wants("a", "a>=1")]));
    assert_eq!(inventory.functions[0].state, State::Partial, "nobody knows what ./local needs");
}
