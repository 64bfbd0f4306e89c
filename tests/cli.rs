//! The program as its users meet it: exit statuses, what stdout holds, and that the same input gives the same bytes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

const BUDGET: [&str; 2] = ["--budget", "256MiB"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn fleet() -> String {
    root().join("fixtures/fleet").display().to_string()
}

fn warmset(args: &[&str]) -> Output {
    warmset_in(root(), args)
}

fn warmset_in(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_warmset")).args(args).current_dir(folder).output().unwrap()
}

fn status(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn parsed(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}\n{}{}", stdout(output), stderr(output)))
}

/// Every file under a folder, by its relative path.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    walkdir::WalkDir::new(folder)
        .into_iter()
        .map(Result::unwrap)
        .filter(|e| e.file_type().is_file())
        .map(|e| (e.path().strip_prefix(folder).unwrap().to_path_buf(), std::fs::read(e.path()).unwrap()))
        .collect()
}

fn same(a: &Path, b: &Path) {
    let (a, b) = (files(a), files(b));
    assert!(a.len() > 5);
    assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>());
    for (path, bytes) in &a {
        assert!(*bytes == b[path], "{} differs", path.display());
    }
}

fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Two functions that share hashed numpy, one that has a package of its own.
fn small_fleet(folder: &Path) {
    let hash = "0".repeat(64);
    for (name, package) in [("a", "numpy==1.26.4"), ("b", "numpy==1.26.4"), ("c", "requests==2.31.0")] {
        let module = package.split('=').next().unwrap();
        write(
            &folder.join(name).join("app.py"),
            &format!("import {module}\n\n\ndef handler(event, context):\n    return 1\n"),
        );
        write(&folder.join(name).join("requirements.txt"), &format!("{package} --hash=sha256:{hash}\n"));
        write(&folder.join(name).join(".python-version"), "3.11\n");
    }
}

const ASSUMED: [&str; 2] = ["--assume-cost", "200ms,20MB"];

fn plan_small(fleet: &Path, out: &Path) -> Output {
    let output = warmset(&[&["plan", text(fleet), "--out", text(out)], &BUDGET[..], &ASSUMED[..]].concat());
    assert!(status(&output) <= 1, "{}", stderr(&output));
    output
}

#[test]
fn the_plan_folder_depends_on_nothing_but_the_fleet() {
    let dir = tempfile::tempdir().unwrap();
    let copy = dir.path().join("elsewhere/copy of the fleet");
    for (path, bytes) in files(Path::new(&fleet())) {
        let target = copy.join(path);
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        std::fs::write(target, bytes).unwrap();
    }
    let plan = |fleet: &str, threads: &str, out: &str| {
        let out = dir.path().join(out);
        let args = [&["plan", fleet, "--threads", threads, "--name", "p", "--out", text(&out)], &BUDGET[..]].concat();
        let output = warmset(&args);
        assert!(status(&output) <= 1, "{}", stderr(&output));
        // All but the line that says where it was written.
        let said: Vec<String> =
            stdout(&output).lines().filter(|l| !l.starts_with("written")).map(String::from).collect();
        (out, said)
    };
    let (one, said) = plan(&fleet(), "1", "one");
    for (fleet, threads, out) in [(fleet(), "4", "four"), (text(&copy).to_string(), "2", "copy")] {
        let (other, also_said) = plan(&fleet, threads, out);
        same(&one, &other);
        assert_eq!(said, also_said);
    }
    // Onto itself: what is there already changes nothing.
    let before = files(&one);
    plan(&fleet(), "2", "one");
    assert!(before == files(&one));
    for (path, bytes) in &before {
        let text = String::from_utf8_lossy(bytes);
        assert!(!text.contains(dir.path().to_str().unwrap()), "{} names a folder of this machine", path.display());
        assert!(!text.contains(env!("CARGO_MANIFEST_DIR")), "{} names a folder of this machine", path.display());
    }
}

#[test]
fn stages_chained_by_their_artefacts_are_the_whole() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let fleet = fleet();
    let whole = at("whole");
    let run = |args: &[&str]| {
        let output = warmset(args);
        assert!(status(&output) <= 1, "{args:?}: {}", stderr(&output));
        output
    };
    run(&[&["plan", &fleet, "--name", "p", "--out", text(&whole)], &BUDGET[..]].concat());
    run(&["scan", &fleet, "--out", text(&at("inventory.json"))]);
    assert_eq!(std::fs::read(at("inventory.json")).unwrap(), std::fs::read(whole.join("inventory.json")).unwrap());
    assert_eq!(
        stdout(&run(&["scan", &fleet, "--format", "json"])).into_bytes(),
        std::fs::read(at("inventory.json")).unwrap()
    );

    run(&[&["plan", text(&at("inventory.json")), "--name", "p", "--out", text(&at("staged"))], &BUDGET[..]].concat());
    same(&whole, &at("staged"));
    run(&["emit", text(&whole), "--name", "p", "--out", text(&at("again"))]);
    same(&whole, &at("again"));
    let plan = at("plan.json");
    let printed = run(&[&["plan", text(&at("inventory.json")), "--format", "json"], &BUDGET[..]].concat());
    assert_eq!(printed.stdout, std::fs::read(whole.join("plan.json")).unwrap());
    std::fs::write(&plan, &printed.stdout).unwrap();
    run(&["emit", text(&plan), "--inventory", text(&at("inventory.json")), "--name", "p", "--out", text(&at("third"))]);
    let mut without_costs = files(&whole);
    without_costs.remove(Path::new("costs.json"));
    without_costs.remove(Path::new("inventory.json"));
    let mut third = files(&at("third"));
    third.remove(Path::new("inventory.json"));
    assert!(without_costs == third);
}

#[test]
fn json_is_json_and_keeps_its_schema() {
    let schemas = tempfile::tempdir().unwrap();
    assert_eq!(status(&warmset(&["schema", "--out", text(schemas.path())])), 0);
    let schema = |name: &str| -> Value {
        serde_json::from_slice(&std::fs::read(schemas.path().join(format!("{name}.schema.json"))).unwrap()).unwrap()
    };
    let valid = |name: &str, value: &Value| {
        let validator = jsonschema::validator_for(&schema(name)).unwrap();
        let errors: Vec<String> =
            validator.iter_errors(value).map(|e| format!("{}: {e}", e.instance_path())).take(3).collect();
        assert!(errors.is_empty(), "{name}: {errors:?}");
        assert!(!validator.is_valid(&json!({"schema": 7})));
    };
    let out = schemas.path().join("plan");
    let plan = warmset(&[&["plan", &fleet(), "--format", "json", "--out", text(&out)], &BUDGET[..]].concat());
    valid("plan", &parsed(&plan));
    valid("inventory", &parsed(&warmset(&["scan", &fleet(), "--format", "json"])));
    for name in ["plan", "inventory", "costs", "swap-manifest"] {
        let file = out.join(format!("{name}.json"));
        valid(name, &serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap());
    }
}

#[test]
fn artefacts_written_by_hand_are_planned() {
    let dir = tempfile::tempdir().unwrap();
    let function = |id: &str, closure: &[&str]| json!({"id": id, "path": id, "platform": "python3.11-linux-x86_64-glibc", "state": "locked", "closure": closure});
    let inventory = json!({
        "schema": "warmset.inventory/1",
        "functions": [
            function("one", &["pypi:big==1", "pypi:small==1"]),
            function("two", &["pypi:big==1"]),
        ],
        "packages": [{"id": "pypi:big==1", "requires": []}, {"id": "pypi:small==1", "requires": []}],
    });
    let costs = json!({
        "schema": "warmset.costs/1",
        "entries": [
            {"package": "pypi:big==1", "load_ms": 1000.0, "resident_mb": 40.0, "source": "measured"},
            {"package": "pypi:small==1", "load_ms": 100.0, "resident_mb": 5.0, "source": "measured"},
        ],
    });
    let (inventory_file, costs_file) = (dir.path().join("i.json"), dir.path().join("c.json"));
    write(&inventory_file, &inventory.to_string());
    write(&costs_file, &costs.to_string());
    let plan = |budget: &str, wanted: i32| {
        let args =
            ["plan", text(&inventory_file), "--costs", text(&costs_file), "--budget", budget, "--format", "json"];
        let output = warmset(&args);
        assert_eq!(status(&output), wanted, "{}", stderr(&output));
        parsed(&output)
    };
    let roomy = plan("1GB", 0);
    assert_eq!(roomy["total_ms"], 2100.0);
    assert_eq!(roomy["value_by_source"]["measured"], 1.0);
    assert_eq!(roomy["assignments"].as_array().map(Vec::len), Some(2));
    // Both functions are served whole: all but two swaps is saved.
    assert!(roomy["saved_share"].as_f64().is_some_and(|s| s > 0.95 && s < 1.0));
    // Less than the 40 MB of `big`: whatever is kept fits, and a warning says so when nothing does.
    let tight = plan("20MB", 0);
    assert!(tight["memory_mb"].as_f64() <= Some(20.0));
    assert!(tight["objective"].as_f64() < roomy["objective"].as_f64());
    let none = plan("4MB", 1);
    assert_eq!(none["images"], json!([]));
    assert_eq!(none["diagnostics"][0]["code"], "budget-too-small");
}

#[test]
fn check_says_what_changed_and_ends_with_its_status() {
    let dir = tempfile::tempdir().unwrap();
    let (fleet, plan) = (dir.path().join("fleet"), dir.path().join("plan"));
    small_fleet(&fleet);
    plan_small(&fleet, &plan);
    let check = |more: &[&str]| warmset_in(dir.path(), &[&["check", "fleet", "--plan", "plan"], more].concat());
    let codes = |output: &Output| -> Vec<String> {
        let found = parsed(output);
        let findings = found["findings"].as_array().unwrap();
        findings.iter().map(|f| f["code"].as_str().unwrap().to_string()).collect()
    };
    let unchanged = check(&["--format", "json"]);
    assert_eq!((status(&unchanged), codes(&unchanged)), (0, vec![]), "{}", stderr(&unchanged));
    assert_eq!(parsed(&unchanged)["fits"], true);
    assert_eq!(status(&check(&["--min-saved", "0.1"])), 0);
    let fell = check(&["--min-saved", "1", "--format", "json"]);
    assert_eq!((status(&fell), codes(&fell)), (1, vec!["saved-share-fell".to_string()]));

    // A function more.
    write(&fleet.join("new fn,1/app.py"), "import numpy\n\n\ndef handler(event, context):\n    return 1\n");
    write(&fleet.join("new fn,1/requirements.txt"), "numpy==1.26.4\n");
    let added = check(&["--format", "json"]);
    assert_eq!(status(&added), 1);
    assert!(codes(&added).contains(&"function-added".to_string()), "{:?}", codes(&added));
    // Where it is said, the place is seen from the folder of the command, and escaped.
    let github = stdout(&check(&["--format", "github"]));
    assert!(github.starts_with("::warning file=fleet/new fn%2C1/"), "{github}");
    sarif(&check(&["--format", "sarif"]), "fleet/new%20fn%2C1/");
    std::fs::remove_dir_all(fleet.join("new fn,1")).unwrap();

    // Another version: the closure changed, and the image is lost to the function.
    write(&fleet.join("a/requirements.txt"), &format!("numpy==2.0.0 --hash=sha256:{}\n", "0".repeat(64)));
    let changed = check(&["--format", "json"]);
    assert_eq!(status(&changed), 1);
    for code in ["closure-changed", "image-lost"] {
        assert!(codes(&changed).contains(&code.to_string()), "{code}: {:?}", codes(&changed));
    }
    std::fs::remove_dir_all(fleet.join("a")).unwrap();
    assert!(codes(&check(&["--format", "json"])).contains(&"function-removed".to_string()));

    // What cannot be told is 2, not 1.
    write(&plan.join("plan.json"), "{\"schema\": \"warmset.plan/1\"");
    assert_eq!(status(&check(&[])), 2);
    assert_eq!(status(&warmset_in(dir.path(), &["check", "fleet", "--plan", "nowhere"])), 2);
    assert_eq!(status(&warmset_in(dir.path(), &["check", "nowhere", "--plan", "plan"])), 2);
}

/// What code scanning asks of SARIF 2.1.0: version, driver, rules that results name, levels, relative places from line 1.
#[test]
fn check_tells_new_errors_of_the_fleet_from_those_that_were_planned_with() {
    let dir = tempfile::tempdir().unwrap();
    let (fleet, plan) = (dir.path().join("fleet"), dir.path().join("plan"));
    small_fleet(&fleet);
    let template = |name: &str| {
        format!(
            "Resources:\n  {name}:\n    Type: AWS::Serverless::Function\n    Properties:\n      Runtime: python3.11\n      \
             Handler: app.handler\n      CodeUri: nowhere/{name}\n"
        )
    };
    write(&fleet.join("old/template.yaml"), &template("Old"));
    assert_eq!(status(&plan_small(&fleet, &plan)), 1, "the plan itself reports it");
    let check = || warmset_in(dir.path(), &["check", "fleet", "--plan", "plan", "--format", "json"]);
    let known = check();
    assert_eq!(status(&known), 0, "{}", stdout(&known));
    write(&fleet.join("new/template.yaml"), &template("New"));
    let news = check();
    assert_eq!(status(&news), 1);
    assert_eq!(parsed(&news)["findings"][0]["code"], "template-points-nowhere");
    assert_eq!(parsed(&news)["findings"].as_array().map(Vec::len), Some(1));
}

fn sarif(output: &Output, uri: &str) {
    let log = parsed(output);
    assert_eq!(log["version"], "2.1.0");
    let run = &log["runs"][0];
    assert_eq!(run["tool"]["driver"]["name"], "warmset");
    let rules: Vec<&str> =
        run["tool"]["driver"]["rules"].as_array().unwrap().iter().map(|r| r["id"].as_str().unwrap()).collect();
    let results = run["results"].as_array().unwrap();
    assert!(!results.is_empty());
    for result in results {
        assert!(rules.contains(&result["ruleId"].as_str().unwrap()));
        assert!(["error", "warning", "note"].contains(&result["level"].as_str().unwrap()));
        assert!(!result["message"]["text"].as_str().unwrap().is_empty());
        let place = &result["locations"][0]["physicalLocation"];
        assert!(place["artifactLocation"]["uri"].as_str().is_some_and(|u| u.starts_with(uri)), "{place}");
        assert!(place["region"]["startLine"].as_u64().is_some_and(|l| l >= 1));
    }
}

#[test]
fn every_command_ends_with_the_status_that_the_help_names() {
    let dir = tempfile::tempdir().unwrap();
    let (good, plan) = (dir.path().join("fleet"), dir.path().join("plan"));
    small_fleet(&good);
    assert_eq!(status(&plan_small(&good, &plan)), 0);
    let finding = dir.path().join("finding");
    small_fleet(&finding);
    write(&finding.join("a/requirements.txt"), "-r nowhere.txt\nnumpy==1.26.4\n");
    let (good, plan, finding) = (text(&good), text(&plan), text(&finding));
    let lock = format!("{good}/a/requirements.txt");
    let out = dir.path().join("out");
    let out = text(&out);
    let cases: &[(i32, &[&str])] = &[
        (0, &["scan", good]),
        (1, &["scan", finding]),
        (2, &["scan", "nowhere"]),
        (0, &["scan", finding, "--exit-zero"]),
        (0, &["scan", good, "--shard", "1/2"]),
        (2, &["scan", good, "--shard", "2/2"]),
        (2, &["scan", good, "--format", "jsonl"]),
        (2, &["merge", "nowhere.json"]),
        (0, &["graph", good, "--format", "dot"]),
        (1, &["graph", finding, "--format", "json"]),
        (2, &["graph", "nowhere"]),
        (0, &["plan", good, "--budget", "1GB"]),
        (1, &["plan", finding, "--budget", "1GB"]),
        (2, &["plan", "nowhere", "--budget", "1GB"]),
        (2, &["plan", good]),
        (0, &["advise", good, "--budget", "1GB"]),
        (2, &["advise", "nowhere", "--budget", "1GB"]),
        (2, &["advise", good]),
        (0, &["emit", plan, "--out", out]),
        (2, &["emit", good, "--out", out]),
        (2, &["emit", plan, "--out", good]),
        (0, &["inspect", &lock]),
        (2, &["inspect", "nowhere"]),
        (0, &["explain", good, "a", "numpy"]),
        (0, &["explain", plan, "a"]),
        (2, &["explain", good, "a", "pandas"]),
        (2, &["explain", plan, "nobody"]),
        (2, &["explain", good, "a"]),
        (0, &["schema"]),
        (0, &["completions", "bash"]),
        (2, &["completions", "dos"]),
        (0, &["--help"]),
        (0, &["--version"]),
        (2, &[]),
        (2, &["fly"]),
    ];
    for (wanted, args) in cases {
        let output = warmset(args);
        assert_eq!(status(&output), *wanted, "{args:?}\n{}{}", stdout(&output), stderr(&output));
        if *wanted == 2 {
            assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{args:?}: stdout is the result");
        }
    }
    // A folder with other things in it is not written over.
    assert!(Path::new(good).join("a/app.py").is_file());
}

#[test]
fn options_that_make_no_sense_are_refused_by_name() {
    let fleet = fleet();
    for (args, named) in [
        (&["--budget", "0"][..], "--budget"),
        (&["--budget=-1MB"], "--budget"),
        (&["--budget", "lots"], "--budget"),
        (&["--budget", "1GB", "--assume-cost", "5"], "--assume-cost"),
        (&["--budget", "1GB", "--keep-alive", "0", "--trace", "Cargo.toml"], "--keep-alive"),
        (&["--budget", "1GB", "--keep-alive=-3"], "--keep-alive"),
        (&["--budget", "1GB", "--time-limit", "nan"], "--time-limit"),
        (&["--budget", "1GB", "--time-limit", "0"], "--time-limit"),
        (&["--budget", "1GB", "--max-images=-1"], "--max-images"),
        (&["--budget", "1GB", "--max-images", "0"], "--max-images"),
        (&["--budget", "1GB", "--python", "snake"], "--python"),
        (&["--budget", "1GB", "--node", "x"], "--node"),
        (&["--budget", "1GB", "--arch", "z80"], "--arch"),
        (&["--budget", "1GB", "--pins", "nowhere.txt"], "nowhere.txt"),
        (&["--budget", "1GB", "--costs", "nowhere.json"], "nowhere.json"),
        (&["--budget", "1GB", "--trace", "nowhere.csv"], "nowhere.csv"),
        (&["--budget", "1GB", "--threads", "many"], "--threads"),
    ] {
        let output = warmset(&[&["plan", &fleet], args].concat());
        assert_eq!(status(&output), 2, "{args:?}: {}{}", stdout(&output), stderr(&output));
        assert!(stderr(&output).contains(named), "{args:?}: {}", stderr(&output));
    }
    let output = warmset(&["check", &fleet, "--plan", "plans/fleet", "--min-saved", "48"]);
    assert_eq!(status(&output), 2);
    assert!(stderr(&output).contains("--min-saved"));
    let output = warmset(&["graph", &fleet, "--top", "0"]);
    assert_eq!(status(&output), 2);
    assert!(stderr(&output).contains("--top"));
}

#[test]
fn pipes_get_no_escapes_and_may_be_closed() {
    let fleet = fleet();
    let plan = [&["plan", &fleet], &BUDGET[..]].concat();
    for args in [&["scan", &fleet][..], &["graph", &fleet], &plan, &["scan", &fleet, "--format", "json"]] {
        let output = warmset(args);
        assert!(!output.stdout.contains(&0x1b), "{args:?}");
        assert!(!output.stderr.contains(&0x1b), "{args:?}");
        let long = stdout(&output).lines().map(|l| l.chars().count()).max().unwrap();
        assert!(args.contains(&"json") || long <= 120, "{args:?}: a line of {long} characters");
    }
    let mut child = Command::new(env!("CARGO_BIN_EXE_warmset"))
        .args(["scan", &fleet, "--format", "json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.code().is_some_and(|c| c <= 1));
    let said = stderr(&output).to_lowercase();
    assert!(!said.contains("pipe") && !said.contains("panic"), "{said}");
}

#[test]
fn graphs_are_the_same_with_any_number_of_threads_and_can_be_read() {
    let fleet = fleet();
    for format in ["text", "json", "dot", "graphml", "svg"] {
        let draw = |threads: &str| {
            let output = warmset(&["graph", &fleet, "--format", format, "--threads", threads]);
            assert!(status(&output) <= 1, "{}", stderr(&output));
            stdout(&output)
        };
        let one = draw("1");
        assert_eq!(one, draw("4"), "{format}");
        if matches!(format, "graphml" | "svg") {
            tags_match(&one);
        }
    }
    let graph = parsed(&warmset(&["graph", &fleet, "--format", "json"]));
    let packages = graph["packages"].as_array().unwrap();
    let in_bundles: usize =
        graph["bundles"].as_array().unwrap().iter().map(|b| b["packages"].as_array().unwrap().len()).sum();
    assert_eq!(packages.len(), in_bundles);
}

/// Elements are closed in the order in which they were opened.
fn tags_match(xml: &str) {
    let mut open: Vec<&str> = Vec::new();
    for piece in xml.split('<').skip(1) {
        let (tag, _) = piece.split_once('>').expect("a tag without an end");
        if tag.starts_with('?') || tag.ends_with('/') {
            continue;
        }
        match tag.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop(), Some(name)),
            None => open.push(tag.split(' ').next().unwrap()),
        }
    }
    assert!(open.is_empty(), "{open:?}");
}

/// The help of every command as it was reviewed. `WARMSET_UPDATE=1 cargo test --test cli` writes `tests/cli/*.txt` anew.
/// `c` is a patch behind the others, and what its lock was made from allows theirs.
fn drifted_fleet(folder: &Path) {
    let hash = "0".repeat(64);
    for (name, version) in [("a", "1.26.4"), ("b", "1.26.4"), ("c", "1.26.3")] {
        let file = |file: &str, content: &str| write(&folder.join(name).join(file), content);
        file("app.py", "import numpy\n\n\ndef handler(event, context):\n    return 1\n");
        file("requirements.in", if name == "c" { "# any of 1.26\nnumpy>=1.26,<1.27\n" } else { "numpy==1.26.4\n" });
        file("requirements.txt", &format!("numpy=={version} --hash=sha256:{hash}\n    # via -r requirements.in\n"));
        file(".python-version", "3.11\n");
    }
}

#[test]
fn advice_names_the_change_and_what_it_saves_comes_true() {
    let dir = tempfile::tempdir().unwrap();
    let fleet = dir.path().join("fleet");
    drifted_fleet(&fleet);
    // One image of numpy fits: 200 ms less the swap for each function that it serves.
    let small = ["--budget", "45MB", "--assume-cost", "200ms,20MB"];
    let advise = |more: &[&str]| warmset(&[&["advise", text(&fleet)], &small[..], more].concat());
    let output = advise(&["--format", "json"]);
    assert_eq!(status(&output), 1, "{}", stderr(&output));
    let advice = parsed(&output);
    let schema: Value =
        serde_json::from_str(&std::fs::read_to_string(root().join("schemas/advice.schema.json")).unwrap()).unwrap();
    assert!(jsonschema::validator_for(&schema).unwrap().is_valid(&advice));
    let piece = &advice["advice"][0];
    assert_eq!(piece["to"], "pypi:numpy==1.26.4");
    assert_eq!((&piece["from"], &piece["functions"]), (&json!(["1.26.3"]), &json!(["c"])));
    let change = &piece["changes"][0];
    assert_eq!(change["lock"], "c/requirements.txt");
    assert_eq!(change["moves"][0]["declared"][0]["file"], "c/requirements.in");
    assert_eq!(change["moves"][0]["declared"][0]["line"], 2);
    assert_eq!(
        change["steps"],
        json!(["uv pip compile requirements.in -o requirements.txt --upgrade-package numpy==1.26.4"])
    );
    let said = stdout(&advise(&[]));
    assert!(said.contains("c/requirements.in:2 declares numpy>=1.26,<1.27"), "{said}");
    assert_eq!(status(&advise(&["--exit-zero"])), 0);
    // Followed: the plan saves what was promised.
    let lock = fleet.join("c/requirements.txt");
    let locked = std::fs::read_to_string(&lock).unwrap();
    write(&lock, &locked.replace("1.26.3", "1.26.4"));
    let plan = parsed(&warmset(&[&["plan", text(&fleet), "--aim", "known", "--format", "json"], &small[..]].concat()));
    assert_eq!(plan["objective"], piece["cumulative"]["objective"]);
    assert!(plan["objective"].as_f64() > advice["before"]["objective"].as_f64());
    assert_eq!(status(&advise(&[])), 0, "nothing is left to advise");
    // What its owner holds back is told, and is no advice.
    write(&lock, &locked);
    write(&fleet.join("c/requirements.in"), "numpy==1.26.3\n");
    let output = advise(&["--format", "json"]);
    assert_eq!(status(&output), 0);
    let held = &parsed(&output)["held_back"][0];
    assert_eq!(
        (&held["declared"]["text"], &held["declared"]["file"]),
        (&json!("numpy==1.26.3"), &json!("c/requirements.in"))
    );
}

#[test]
fn the_help_is_as_it_was_reviewed() {
    let folder = root().join("tests/cli");
    let commands = [
        "",
        "scan",
        "measure",
        "merge",
        "graph",
        "plan",
        "advise",
        "emit",
        "inspect",
        "explain",
        "check",
        "schema",
        "completions",
    ];
    for command in commands {
        let args: Vec<&str> = if command.is_empty() { vec!["--help"] } else { vec![command, "--help"] };
        let output = Command::new(env!("CARGO_BIN_EXE_warmset")).args(&args).env("COLUMNS", "100").output().unwrap();
        let help = stdout(&output);
        let file = folder.join(format!("{}.txt", if command.is_empty() { "warmset" } else { command }));
        if std::env::var_os("WARMSET_UPDATE").is_some() {
            write(&file, &help);
        }
        let wanted = std::fs::read_to_string(&file).unwrap_or_default();
        assert_eq!(help, wanted, "{}: WARMSET_UPDATE=1 cargo test --test cli", file.display());
    }
}

#[test]
fn the_completions_in_the_repository_are_current() {
    let file = |shell| match shell {
        "bash" => "warmset.bash",
        "fish" => "warmset.fish",
        "zsh" => "_warmset",
        _ => "_warmset.ps1",
    };
    for shell in ["bash", "zsh", "fish", "powershell"] {
        let made = stdout(&warmset(&["completions", shell]));
        let kept = std::fs::read_to_string(root().join("completions").join(file(shell))).unwrap();
        assert!(made == kept, "completions/{} is stale: cargo run --example golden", file(shell));
    }
}
