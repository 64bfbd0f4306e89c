//! Demands on a plan as people write them: options, `[plan]` tables, messages, exit statuses.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

fn warmset(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_warmset")).args(args).current_dir(folder).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Packages a (100 ms, 40 MB), b (50 ms, 20 MB, needs a), c (80 ms, 30 MB), d (60 ms, 10 MB, no size on disk), each of
/// others 100 MB on disk; a warm host takes 10 MB, a swap 1 ms. `pay/api` and `pay/web` load a and b, `pay/web` also c;
/// `hr` loads a; `log` loads d; `new` has no known version.
fn fleet(folder: &Path) {
    let function = |id: &str, closure: &[&str]| {
        let closure: Vec<String> = closure.iter().map(|p| format!("pypi:{p}==1")).collect();
        json!({"id": id, "path": id, "platform": "python3.11-linux-x86_64-glibc", "state": "locked", "closure": closure})
    };
    let mut new = function("new", &[]);
    new["state"] = json!("unresolved");
    new["unresolved"] = json!([{"name": "x", "text": "x>=1", "file": "new/requirements.txt", "line": 1}]);
    let package = |name: &str, requires: &[&str]| {
        let requires: Vec<String> = requires.iter().map(|p| format!("pypi:{p}==1")).collect();
        json!({"id": format!("pypi:{name}==1"), "requires": requires})
    };
    let inventory = json!({
        "schema": "warmset.inventory/1",
        "functions": [
            function("hr", &["a"]),
            function("log", &["d"]),
            new,
            function("pay/api", &["a", "b"]),
            function("pay/web", &["a", "b", "c"]),
        ],
        "packages": [package("a", &[]), package("b", &["a"]), package("c", &[]), package("d", &[])],
    });
    let cost = |name: &str, ms: f64, mb: f64, disk: Option<f64>| json!({"package": format!("pypi:{name}==1"), "load_ms": ms, "resident_mb": mb, "disk_mb": disk, "source": "measured"});
    let costs = json!({
        "schema": "warmset.costs/1",
        "languages": {"python": {"image_overhead_mb": 10.0, "swap_base_ms": 1.0, "swap_ms_per_mb": 0.0}},
        "entries": [
            cost("a", 100.0, 40.0, Some(100.0)),
            cost("b", 50.0, 20.0, Some(100.0)),
            cost("c", 80.0, 30.0, Some(100.0)),
            cost("d", 60.0, 10.0, None),
        ],
    });
    std::fs::write(folder.join("inventory.json"), inventory.to_string()).unwrap();
    std::fs::write(folder.join("costs.json"), costs.to_string()).unwrap();
}

fn plan(folder: &Path, args: &[&str]) -> Output {
    let all =
        [&["plan", "inventory.json", "--costs", "costs.json", "--format", "json", "--aim", "known"], args].concat();
    warmset(folder, &all)
}

/// The plan, which must have been made without findings, but that these packages have no hashes.
fn made(folder: &Path, args: &[&str]) -> Value {
    let output = plan(folder, args);
    let findings = stderr(&output);
    let hashes =
        |line: &str| line.starts_with("warning[hashes-missing]") || !line.contains("]: ") || line.starts_with("note[");
    assert!(output.status.code() != Some(2) && findings.lines().all(hashes), "{args:?}\n{findings}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Why there is no plan.
fn refused(folder: &Path, args: &[&str]) -> Vec<String> {
    let output = plan(folder, args);
    assert_eq!(output.status.code(), Some(2), "{args:?}\n{}", stderr(&output));
    assert!(output.stdout.is_empty());
    let text = stderr(&output);
    let mut reasons: Vec<String> =
        text.lines().filter_map(|l| l.strip_prefix("error[demands-contradict]: ")).map(str::to_string).collect();
    if reasons.is_empty() {
        reasons.push(text);
    }
    reasons
}

fn packages(plan: &Value) -> Vec<String> {
    let mut out: Vec<String> = plan["images"]
        .as_array()
        .unwrap()
        .iter()
        .map(|image| {
            let names: Vec<&str> = image["packages"]
                .as_array()
                .unwrap()
                .iter()
                .map(|p| p.as_str().unwrap().split('=').next().unwrap())
                .collect();
            names.join("+")
        })
        .collect();
    out.sort();
    out
}

#[test]
fn limits_of_several_kinds_shape_the_plan() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    fleet(folder);
    // Everything: a (50 MB) < a+b (30) < a+b+c (40), and d (20).
    assert_eq!(packages(&made(folder, &["--budget", "140MB"])), ["a", "a+b", "a+b+c", "d"]);
    // An image of at most 70 MB with its host's 10: a+b is one, a+b+c (100 MB) is not. c alone serves nobody better.
    let plan = made(folder, &["--budget", "140MB", "--max-image", "70MB"]);
    assert_eq!(packages(&plan), ["a", "a+b", "d"]);
    let demand = &plan["demands"][0];
    assert_eq!(
        (&demand["text"], &demand["file"], &demand["has"]),
        (&json!("max_image 70 MB"), &json!("--max-image"), &json!(70.0))
    );
    // a+b+c takes 300 MB on disk, with a and a+b below it no more. d has no known size, so it is not preloaded at all.
    let plan = made(folder, &["--budget", "140MB", "--disk", "300MB"]);
    assert_eq!(packages(&plan), ["a", "a+b", "a+b+c"]);
    assert_eq!(plan["diagnostics"][0]["code"], "disk-unknown");
    assert_eq!(plan["demands"][0]["has"], 300.0);
    assert_eq!(packages(&made(folder, &["--budget", "140MB", "--disk", "299MB"])), ["a", "a+b"]);
    // Two images: a for hr and pay/api (99 ms each) and a+b+c for pay/web (229) are 427 ms; a and a+b are 397.
    assert_eq!(packages(&made(folder, &["--budget", "140MB", "--max-images", "2"])), ["a", "a+b+c"]);
}

#[test]
fn floors_pins_and_exclusions_shape_the_plan() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    fleet(folder);
    // In 70 MB: a and d save 99 × 3 + 59 = 356 ms. A floor of 90 % of 150 ms takes a+b: 149 × 2 = 298 ms.
    let free = made(folder, &["--budget", "70MB"]);
    assert_eq!((packages(&free), &free["objective"]), (vec!["a".to_string(), "d".into()], &json!(356.0)));
    let plan = made(folder, &["--budget", "70MB", "--floor", "api=90%"]);
    assert_eq!((packages(&plan), &plan["objective"]), (vec!["a+b".to_string()], &json!(298.0)));
    let demand = &plan["demands"][0];
    assert_eq!(demand["text"], "floor api = 90 %");
    assert_eq!((&demand["has"], &demand["limit"], &demand["of"]), (&json!(0.993333), &json!(0.9), &json!("pay/api")));
    // A pin that saves nothing beside a+b stays.
    let plan = made(folder, &["--budget", "110MB", "--floor", "api=90%", "--pin", "c==1"]);
    assert_eq!(packages(&plan), ["a+b", "c"]);
    let pinned = plan["images"].as_array().unwrap().iter().find(|i| i["packages"][0] == "c==1").unwrap();
    assert_eq!((&pinned["serves"], &plan["demands"][1]["of"]), (&json!(0), &pinned["id"]));
    // The same by its id in that plan.
    std::fs::write(folder.join("old.json"), serde_json::to_string(&plan).unwrap()).unwrap();
    let pin = format!("old.json#{}", pinned["id"].as_str().unwrap());
    assert_eq!(packages(&made(folder, &["--budget", "110MB", "--pin", &pin])), ["a", "c", "d"]);
    // Without a nothing that requires it either.
    let plan = made(folder, &["--budget", "140MB", "--exclude", "A"]);
    assert_eq!(packages(&plan), ["c", "d"]);
    let unserved: Vec<(&str, &str)> = plan["unserved"]
        .as_array()
        .unwrap()
        .iter()
        .map(|u| (u["function"].as_str().unwrap(), u["why"].as_str().unwrap()))
        .collect();
    assert_eq!(unserved, [("hr", "excluded"), ("new", "unresolved"), ("pay/api", "excluded")]);
}

#[test]
fn functions_can_be_kept_to_themselves_or_cold() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    fleet(folder);
    // hr has an image of its own with the same package.
    let plan = made(folder, &["--budget", "200MB", "--alone", "hr", "--cold", "log", "--out", "plan"]);
    assert_eq!(packages(&plan), ["a", "a+b", "a+b+c"]);
    let own = plan["images"].as_array().unwrap().iter().find(|i| i["packages"].as_array().unwrap().len() == 1).unwrap();
    assert_eq!((&own["trust_domain"], &own["serves"]), (&json!("default:alone:hr"), &json!(1)));
    assert_eq!(plan["unserved"][0]["why"], "asked");
    // A plan is held against the fleet under its own demands.
    let check = warmset(folder, &["check", "inventory.json", "--plan", "plan"]);
    assert_eq!(check.status.code(), Some(0), "{}{}", String::from_utf8_lossy(&check.stdout), stderr(&check));
    let explain = |function: &str| String::from_utf8(warmset(folder, &["explain", "plan", function]).stdout).unwrap();
    assert!(explain("hr").contains("alone hr (--alone): it shares with no other function"), "{}", explain("hr"));
    assert!(explain("log").contains("cold log (--cold): no image may serve it"), "{}", explain("log"));
    // What was written is what was planned with, so it can be planned again as it is.
    let again = warmset(
        folder,
        &[
            "plan",
            "plan",
            "--costs",
            "costs.json",
            "--budget",
            "200MB",
            "--aim",
            "known",
            "--format",
            "json",
            "--alone",
            "hr",
            "--cold",
            "log",
        ],
    );
    assert_eq!(serde_json::from_slice::<Value>(&again.stdout).unwrap(), plan);
}

#[test]
fn pools_have_limits_of_their_own_and_share_no_image() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    fleet(folder);
    let tables =
        "[plan]\nmemory = '150MB'\n\n[[plan.pool]]\nname = 'pay'\nmemory = '80MB'\nhosts = 3\nfunctions = 'pay/*'\n";
    std::fs::write(folder.join("ops.toml"), tables).unwrap();
    let plan = made(folder, &["--demands", "ops.toml", "--out", "plan"]);
    // pay has 80 MB: a+b (70) saves 298 ms. The others have the 70 MB that are left: a (50) and d (20).
    assert_eq!(packages(&plan), ["a", "a+b", "d"]);
    let pools: Vec<Value> = plan["pools"].as_array().unwrap().clone();
    let figures: Vec<(&str, f64, f64, f64)> = pools
        .iter()
        .map(|p| {
            let of = |key: &str| p[key].as_f64().unwrap();
            (p["name"].as_str().unwrap(), of("budget_mb"), of("memory_mb"), of("objective"))
        })
        .collect();
    assert_eq!(figures, [("pay", 80.0, 70.0, 298.0), ("default", 70.0, 70.0, 158.0)]);
    assert_eq!((&plan["budget_mb"], &plan["objective"]), (&json!(150.0), &json!(456.0)));
    let manifest: Value =
        serde_json::from_slice(&std::fs::read(folder.join("plan/swap-manifest.json")).unwrap()).unwrap();
    assert_eq!(manifest["pools"][0], json!({"name": "pay", "hosts": 3, "budget_mb": 80.0, "memory_mb": 70.0}));
    let of: Vec<&Value> = manifest["images"].as_array().unwrap().iter().map(|i| &i["pool"]).collect();
    assert_eq!(of.iter().filter(|p| ***p == json!("pay")).count(), 1);
    // pay/web could use a by its packages, but that is the other pool's.
    let web = manifest["functions"].as_array().unwrap().iter().find(|f| f["id"] == "pay/web").unwrap();
    assert_eq!(web["fallback"], json!([{"kind": "cold"}]));
    let report = std::fs::read_to_string(folder.join("plan/report.html")).unwrap();
    assert!(report.contains("<h2 id=\"h-pools\">Pools</h2>") && report.contains("memory 80 MB of pool pay"));
    let check = warmset(folder, &["check", "inventory.json", "--plan", "plan"]);
    assert_eq!(check.status.code(), Some(0), "{}", String::from_utf8_lossy(&check.stdout));

    // So have those that are planned for what is expected too.
    let expected = warmset(
        folder,
        &[
            "plan",
            "inventory.json",
            "--costs",
            "costs.json",
            "--demands",
            "ops.toml",
            "--format",
            "json",
            "--floor",
            "web=60%",
        ],
    );
    assert_eq!(expected.status.code(), Some(0), "{}", stderr(&expected));
    let expected: Value = serde_json::from_slice(&expected.stdout).unwrap();
    assert!(expected["pools"].as_array().unwrap().len() == 2 && expected["demands"][1]["met"] == true);

    // Pools that have more than the host, functions that nobody has memory for, parts that are not said.
    assert_eq!(
        refused(folder, &["--demands", "ops.toml", "--budget", "79MB"]),
        ["memory 80 MB of pool pay (ops.toml:6) add up to more than memory 79 MB (--budget)"]
    );
    assert_eq!(
        refused(folder, &["--demands", "ops.toml", "--max-images", "4"]),
        ["images 4 (--max-images) is for the whole host: pool pay must say in `images` how much of it it has"]
    );
    std::fs::write(folder.join("ops.toml"), tables.replace("memory = '150MB'\n\n", "\n")).unwrap();
    assert!(refused(folder, &["--demands", "ops.toml"])[0].contains("3 functions are in no pool (hr …)"));
}

#[test]
fn contradictions_name_the_demands_and_the_figures() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    fleet(folder);
    let cases: &[(&[&str], &str)] = &[
        // a+b with its host takes 70 MB.
        (
            &["--budget", "69MB", "--floor", "api=90%"],
            "floor api = 90 % (--floor) needs at least 70.0 MB of memory; the limit is memory 69 MB (--budget)",
        ),
        // a for hr (50 MB), a+b on it (30), d (20).
        (
            &["--budget", "99MB", "--floor", "api=90%", "--floor", "hr=90%", "--floor", "log=90%"],
            "floor api = 90 % (--floor) and floor hr = 90 % (--floor) and floor log = 90 % (--floor) together need at \
             least 100.0 MB of memory; the limit is memory 99 MB (--budget)",
        ),
        (
            &["--budget", "1GB", "--max-images", "1", "--floor", "api=90%", "--floor", "hr=90%"],
            "floor api = 90 % (--floor) and floor hr = 90 % (--floor) together need at least 2 images; the limit is images \
             1 (--max-images)",
        ),
        (
            &["--budget", "1GB", "--disk", "150MB", "--floor", "api=90%"],
            "floor api = 90 % (--floor) needs at least 200.0 MB on disk; the limit is disk 150 MB (--disk)",
        ),
        // Two images that share nothing, because one function is alone: 50 and 70 MB.
        (
            &["--budget", "119MB", "--alone", "hr", "--floor", "api=90%", "--floor", "hr=90%"],
            "floor api = 90 % (--floor) and floor hr = 90 % (--floor) together, with alone hr (--alone), need at least 120.0 MB \
             of memory; the limit is memory 119 MB (--budget)",
        ),
        (
            &["--budget", "1GB", "--max-image", "60MB", "--floor", "pay/*=90%"],
            "floor pay/* = 90 % (--floor) needs an image of at least 100.0 MB (for pay/api); the limit is max_image 60 MB \
             (--max-image)",
        ),
        (
            &["--budget", "1GB", "--exclude", "a", "--pin", "a==1 b==1"],
            "pin a==1 b==1 (--pin) cannot be met: it holds a==1, which exclude a (--exclude) forbids",
        ),
        (
            &["--budget", "1GB", "--exclude", "c", "--floor", "web=90%"],
            "floor web = 90 % (--floor) cannot be met: pay/web loads 230.0 ms, of which 207.0 ms are asked for and no image \
             can save more than 149.0 ms; not preloaded: c==1 (80.0 ms forbidden by exclude c (--exclude))",
        ),
        (
            &["--budget", "1GB", "--cold", "hr", "--floor", "hr=10%"],
            "floor hr = 10 % (--floor) cannot be met: hr starts cold: cold hr (--cold)",
        ),
        (
            &["--budget", "1GB", "--floor", "new=10%"],
            "floor new = 10 % (--floor) cannot be met: no package of new has a known version; `warmset lock` would resolve it",
        ),
        (
            &["--budget", "1GB", "--floor", "api=100%"],
            "floor api = 100 % (--floor) cannot be met: pay/api loads 150.0 ms, of which 150.0 ms are asked for and no image \
             can save more than 149.0 ms; the swap costs the rest",
        ),
        (&["--budget", "1GB", "--pin", "b==1"], "pin b==1 (--pin) cannot be met: it lacks a==1, which b==1 requires"),
        (
            &["--budget", "1GB", "--pin", "a==2"],
            "pin a==2 (--pin) cannot be met: no function of python3.11-linux-x86_64-glibc (default) loads a==2; the fleet knows \
             1 of it",
        ),
        (
            &["--budget", "1GB", "--pin", "node20 a@1"],
            "pin a@1 (--pin) cannot be met: no function that is planned has the platform, trust domain and pool that it is for",
        ),
        (
            &["--budget", "1GB", "--alone", "hr", "--pin", "a==1"],
            "pin a==1 (--pin) cannot be met with alone hr (--alone): it could be for python3.11-linux-x86_64-glibc (default) \
             or python3.11-linux-x86_64-glibc (default:alone:hr): say its platform, trust_domain or pool",
        ),
        // d needs disk to be known; a pin of it contradicts any limit of disk.
        (
            &["--budget", "1GB", "--disk", "1GB", "--pin", "d==1"],
            "pin d==1 (--pin) cannot be met with disk 1000 MB (--disk): d==1 cannot be preloaded: its requirements or its size \
             on disk are not known, or it is there in two versions",
        ),
    ];
    for (args, reason) in cases {
        assert_eq!(refused(folder, args), [*reason], "{args:?}");
    }
    // Each demand that fails by itself is told.
    let both = refused(folder, &["--budget", "15MB", "--floor", "api=90%", "--floor", "log=90%"]);
    assert_eq!(both.len(), 2, "{both:?}");
}

#[test]
fn a_demand_that_is_not_understood_is_not_ignored() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    fleet(folder);
    let small = folder.join("small");
    std::fs::create_dir(&small).unwrap();
    std::fs::write(small.join("app.py"), "def handler(event, context):\n    return 1\n").unwrap();
    std::fs::write(small.join("requirements.txt"), "").unwrap();
    std::fs::write(
        small.join("warmset.toml"),
        "[plan]\nmemory = '1GB'\n[[plan.floor]]\nfunction = 'x'\nshare = '80%'\n",
    )
    .unwrap();
    let output = warmset(folder, &["plan", "small"]);
    assert_eq!(output.status.code(), Some(2));
    let text = stderr(&output);
    assert!(text.contains("unknown key `function` in floor") && text.contains("warmset.toml:4"), "{text}");
    // A scan says the same, and goes on.
    let scan = warmset(folder, &["scan", "small"]);
    assert_eq!(scan.status.code(), Some(1));
    assert!(stderr(&scan).contains("unknown key `function` in floor"));
    // The budget of the file is enough.
    std::fs::write(small.join("warmset.toml"), "[plan]\nmemory = '1GB'\n").unwrap();
    assert_eq!(warmset(folder, &["plan", "small"]).status.code(), Some(0));
    std::fs::remove_file(small.join("warmset.toml")).unwrap();
    let without = warmset(folder, &["plan", "small"]);
    assert_eq!(without.status.code(), Some(2));
    assert!(stderr(&without).contains("how much memory may images take? give --budget"), "{}", stderr(&without));
    // A name that fits nothing is a finding, as it is most likely a slip.
    let typo = plan(folder, &["--budget", "1GB", "--floor", "paiments=80%"]);
    assert_eq!(typo.status.code(), Some(1));
    assert!(
        stderr(&typo).contains("warning[demand-unmatched]: floor paiments = 80 %: no function is called `paiments`")
    );
}

/// What verification says of a plan that was changed by hand.
#[test]
fn a_plan_that_breaks_its_own_demands_is_found_out() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    fleet(folder);
    let args = [
        "--budget",
        "200MB",
        "--floor",
        "api=90%",
        "--exclude",
        "d",
        "--alone",
        "hr",
        "--pin",
        "python3.11 c==1",
        "--out",
        "plan",
    ];
    let plan = made(folder, &args);
    let check = |plan: &Value| {
        std::fs::write(folder.join("plan/plan.json"), plan.to_string()).unwrap();
        let output = warmset(folder, &["check", "inventory.json", "--plan", "plan"]);
        (output.status.code(), stderr(&output))
    };
    assert_eq!(check(&plan), (Some(0), String::new()));
    let at = |kind: &str| plan["demands"].as_array().unwrap().iter().position(|d| d["kind"] == kind).unwrap();
    let cases: [(&str, &str, Value, &str); 6] = [
        ("floor", "share", json!(0.999), "floor api = 99.9 %"),
        ("floor", "has", json!(0.95), "states Some(0.95)"),
        ("exclude", "package", json!("b"), "holds it"),
        ("alone", "functions", json!(["pay/api"]), "its trust domain is not the one that is asked for"),
        ("pin", "packages", json!(["pypi:b==1"]), "no image holds exactly that"),
        ("floor", "met", json!(false), "not met"),
    ];
    for (kind, key, value, reason) in cases {
        let mut broken = plan.clone();
        let demand = &mut broken["demands"][at(kind)];
        demand[key] = value;
        // The words are checked too: they have to fit what was changed.
        if key == "share" {
            demand["text"] = json!("floor api = 99.9 %");
        } else if key == "package" {
            demand["text"] = json!("exclude b");
        } else if key == "functions" {
            demand["text"] = json!("alone pay/api");
        } else if key == "packages" {
            demand["text"] = json!("pin b==1");
        }
        let (status, text) = check(&broken);
        assert!(status == Some(2) && text.contains("plan-broken") && text.contains(reason), "{kind} {key}: {text}");
    }
}

#[test]
fn a_curve_leaves_out_budgets_that_are_too_small_for_the_demands() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    fleet(folder);
    let sweep = |args: &[&str]| plan(folder, &[&["--sweep", "60MB,70MB,140MB"], args].concat());
    let output = sweep(&["--floor", "api=90%"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let curve: Value = serde_json::from_slice(&output.stdout).unwrap();
    let budgets: Vec<f64> =
        curve["points"].as_array().unwrap().iter().map(|p| p["budget_mb"].as_f64().unwrap()).collect();
    assert_eq!(budgets, [70.0, 140.0]);
    assert!(stderr(&output).contains("demands-unmet"));
    assert_eq!(refused(folder, &["--sweep", "60MB", "--floor", "api=90%", "--max-image", "60MB"]).len(), 1);
}
