//! `warmset measure` for real, on packages that the tests build: no network, and nothing that depends on how long it takes.
#![cfg(unix)]

mod common;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// A folder with a fleet, wheels to install from, and a cache.
struct Bench {
    dir: tempfile::TempDir,
    python: String,
    registry: Option<String>,
}

/// Burns CPU time by counting, so that it is more than nothing on every machine.
const BURN: &str = "total = 0\nfor n in range(3_000_000):\n    total += n\n";

impl Bench {
    /// None where there is no Python, or nothing to install with.
    fn new() -> Option<Self> {
        if !common::tool("python3") {
            return None;
        }
        let asked = Command::new("python3").args(["-c", "import sys; print('%d.%d' % sys.version_info[:2])"]).output();
        let python = String::from_utf8(asked.unwrap().stdout).unwrap().trim().to_string();
        let bench = Self { dir: tempfile::tempdir().unwrap(), python, registry: None };
        for folder in ["fleet", "wheels", "tmp"] {
            std::fs::create_dir(bench.path(folder)).unwrap();
        }
        Some(bench)
    }

    fn path(&self, rel: &str) -> PathBuf {
        self.dir.path().join(rel)
    }

    fn write(&self, rel: &str, text: &str) {
        std::fs::create_dir_all(self.path(rel).parent().unwrap()).unwrap();
        std::fs::write(self.path(rel), text).unwrap();
    }

    /// Builds a wheel of one module (PEP 427) and gives the line that locks it.
    fn wheel(&self, name: &str, code: &str) -> String {
        let info = format!("{name}-1.0.dist-info");
        let mut files = BTreeMap::from([
            (format!("{name}/__init__.py"), code.to_string()),
            (format!("{info}/METADATA"), format!("Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")),
            (format!("{info}/WHEEL"), "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n".to_string()),
        ]);
        let record: String = files.keys().map(|file| format!("{file},,\n")).collect();
        files.insert(format!("{info}/RECORD"), format!("{record}{info}/RECORD,,\n"));
        let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        for (file, text) in files {
            zip.start_file(file, zip::write::SimpleFileOptions::default()).unwrap();
            zip.write_all(text.as_bytes()).unwrap();
        }
        let bytes = zip.finish().unwrap().into_inner();
        let hash: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        std::fs::write(self.path(&format!("wheels/{name}-1.0-py3-none-any.whl")), bytes).unwrap();
        format!("{}==1.0 --hash=sha256:{hash}\n", name.replace('_', "-"))
    }

    fn function(&self, id: &str, lock: &str, code: &str) {
        self.write(&format!("fleet/{id}/requirements.txt"), lock);
        self.write(&format!("fleet/{id}/lambda_function.py"), code);
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_warmset"));
        command.args(args).current_dir(self.dir.path()).stdin(Stdio::null()).stdout(Stdio::piped());
        command.stderr(Stdio::piped()).env("TMPDIR", self.path("tmp")).env("XDG_CACHE_HOME", self.path("home"));
        for tool in ["UV", "PIP"] {
            command.env(format!("{tool}_NO_INDEX",), "1").env(format!("{tool}_FIND_LINKS"), self.path("wheels"));
        }
        command.env("UV_CACHE_DIR", self.path("uv")).env("npm_config_cache", self.path("npm"));
        if let Some(registry) = &self.registry {
            command.env("npm_config_registry", registry);
        }
        command
    }

    fn run(&self, args: &[&str]) -> (i32, Value, String) {
        let output: Output = self.command(args).output().unwrap();
        let value = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
        (output.status.code().unwrap_or(-1), value, String::from_utf8_lossy(&output.stderr).into_owned())
    }

    fn measure_args<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        let mut args = vec!["measure", "fleet", "--out", "costs.json", "--repetitions", "5", "--format", "json"];
        args.extend(["--python", &self.python]);
        args.extend(more);
        args
    }

    fn measure(&self, more: &[&str]) -> (i32, Value, String) {
        self.run(&self.measure_args(more))
    }

    fn costs(&self) -> Value {
        serde_json::from_str(&std::fs::read_to_string(self.path("costs.json")).unwrap()).unwrap()
    }

    fn samples(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        files(&self.path("home/warmset/measure/samples"))
    }
}

fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    walkdir::WalkDir::new(folder)
        .into_iter()
        .filter_map(Result::ok)
        .filter(|e| e.file_type().is_file() && e.path().extension().is_some_and(|e| e == "json"))
        .map(|e| (e.path().to_path_buf(), std::fs::read(e.path()).unwrap()))
        .collect()
}

fn entry<'a>(costs: &'a Value, package: &str) -> &'a Value {
    costs["entries"].as_array().unwrap().iter().find(|e| e["package"] == package).unwrap_or_else(|| panic!("{package}"))
}

fn codes(report: &Value) -> Vec<(String, String)> {
    let all = report["diagnostics"].as_array().cloned().unwrap_or_default();
    // How much the figures spread depends on the machine.
    let kept = all.iter().filter(|d| d["code"] != "spread-wide");
    let text = |v: &Value| v.as_str().unwrap_or_default().to_string();
    kept.map(|d| (text(&d["code"]), text(&d["function"]))).collect()
}

const HANDLER: &str = "\ndef lambda_handler(event, context):\n    return {}\n";

#[test]
fn each_package_is_charged_with_its_own_modules_and_the_plan_takes_the_table() {
    let Some(bench) = Bench::new() else { return };
    // a burns and takes 20 MB and needs b, which has next to nothing; nobody imports c.
    let a = bench.wheel("zz_a", &format!("import zz_b\nkept = bytearray(20_000_000)\n{BURN}"));
    let b = bench.wheel("zz_b", "kept = bytearray(1_000_000)\n");
    let c = bench.wheel("zz_c", BURN);
    bench.function("one", &format!("{a}{b}{c}"), &format!("import zz_a{HANDLER}"));
    bench.function("two", &b, &format!("def f():\n    import zz_b{HANDLER}"));
    bench.function("plain", "", &format!("import json{HANDLER}"));
    let (status, report, stderr) = bench.measure(&[]);
    assert!(codes(&report).is_empty() && status <= 1, "{stderr}");
    assert!(stderr.contains("this installs packages, and runs their code"), "{stderr}");
    assert_eq!((&report["functions"], &report["nothing_to_load"]), (&json!(2), &json!(1)));
    // Two closures without a conflict: one environment.
    assert_eq!((&report["closures_installed"], &report["environments"]), (&json!(2), &json!(1)));

    let costs = bench.costs();
    assert_eq!(costs, report["costs"]);
    let schema: Value = serde_json::from_str(&warmset::emit::schemas()["costs.schema.json"]).unwrap();
    assert!(jsonschema::is_valid(&schema, &costs), "{costs}");
    let (a, b, c) = (entry(&costs, "pypi:zz-a==1.0"), entry(&costs, "pypi:zz-b==1.0"), entry(&costs, "pypi:zz-c==1.0"));
    let ms = |e: &Value| e["load_ms"].as_f64().unwrap();
    assert!(ms(a) > 20.0 * ms(b), "what b takes is not a's: {a} {b}");
    assert!(a["resident_mb"].as_f64().unwrap() > 15.0 && b["resident_mb"].as_f64().unwrap() < 5.0, "{a} {b}");
    assert_eq!((&a["how"], &b["how"], &c["how"]), (&json!("imports"), &json!("imports"), &json!("direct")));
    assert!(ms(c) > 20.0 * ms(b), "{c}");
    assert_eq!((&a["modules"], &a["source"], &a["samples"]), (&json!(["zz_a"]), &json!("measured"), &json!(5)));
    assert_eq!(b["samples"], 10, "both functions load it");
    assert!(costs["host"].as_str().unwrap().contains("load average"), "{}", costs["host"]);
    assert!(costs["languages"]["python"]["image_overhead_mb"].as_f64().unwrap() > 0.0);
    if cfg!(target_os = "linux") {
        // Swaps were timed on warm hosts: a bare one each round, and one for each of the two loads.
        let samples = bench.samples();
        let swaps: Vec<Value> = samples
            .iter()
            .filter(|(path, _)| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("host-")))
            .map(|(_, bytes)| serde_json::from_slice::<Value>(bytes).unwrap()["answer"].clone())
            .collect();
        assert!(swaps.len() > 5, "{:?}", samples.keys());
        for swap in &swaps {
            let wall = swap["wall_ms"].as_array().unwrap();
            assert!(wall.len() == 25 && wall.iter().all(|ms| ms.as_f64() > Some(0.0)), "{swap}");
            assert!(swap["bytes"][0].as_f64() > Some(1e6), "{swap}");
        }
    }
    let predicted = costs["prediction"]["functions"].as_array().unwrap();
    assert_eq!(predicted.iter().map(|p| p["function"].as_str().unwrap()).collect::<Vec<_>>(), ["one", "two"]);

    let plan =
        ["plan", "fleet", "--python", &bench.python, "--costs", "costs.json", "--budget", "64MB", "--format", "json"];
    let (_, plan, stderr) = bench.run(&plan);
    assert_eq!(plan["value_by_source"], json!({"measured": 1.0}), "{stderr}");
}

#[test]
fn what_cannot_be_installed_or_loaded_is_said_and_the_others_go_on() {
    let Some(bench) = Bench::new() else { return };
    let a = bench.wheel("zz_a", "x = 1\n");
    let broken = bench.wheel("zz_broken", "import zz_nowhere\n");
    let gone = format!("zz-gone==1.0 --hash=sha256:{}\n", "0".repeat(64));
    bench.function("good", &a, &format!("import zz_a{HANDLER}"));
    bench.function("gone", &format!("{a}{gone}"), &format!("import zz_gone{HANDLER}"));
    bench.function("broken", &broken, &format!("import zz_a\nimport zz_broken{HANDLER}"));
    bench.function("optional", &broken, &format!("try:\n    import zz_broken\nexcept ImportError:\n    pass{HANDLER}"));
    let (status, report, stderr) = bench.measure(&[]);
    assert_eq!(status, 1, "{stderr}");
    let wanted = [("not-measured", "broken"), ("not-measured", "gone")].map(|(a, b)| (a.to_string(), b.to_string()));
    let mut found = codes(&report);
    found.sort();
    assert_eq!(found, wanted, "{stderr}");
    assert!(stderr.contains("zz_nowhere") && stderr.contains("could not install them"), "{stderr}");
    assert_eq!(report["functions"], 2, "an optional import may fail");
    assert_eq!(entry(&bench.costs(), "pypi:zz-a==1.0")["how"], "imports");

    let (status, _, stderr) =
        bench.run(&["measure", "fleet", "--python", &bench.python, "--only", "gone", "--out", "other.json"]);
    assert_eq!(status, 2);
    assert!(stderr.contains("nothing could be measured") && !bench.path("other.json").exists(), "{stderr}");
    let (status, _, stderr) = bench.measure(&["--only", "nobody"]);
    assert!(status == 2 && stderr.contains("there is no function `nobody`"), "{stderr}");
}

#[test]
fn whoever_is_killed_goes_on_after_the_last_finished_repetition() {
    let Some(bench) = Bench::new() else { return };
    let a = bench.wheel("zz_a", BURN);
    let b = bench.wheel("zz_b", "x = 1\n");
    bench.function("one", &a, &format!("import zz_a{HANDLER}"));
    bench.function("two", &b, &format!("import zz_b{HANDLER}"));
    let mut child =
        bench.command(&bench.measure_args(&[])).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let start = Instant::now();
    while bench.samples().len() < 4 && child.try_wait().unwrap().is_none() {
        assert!(start.elapsed() < Duration::from_secs(300), "nothing was measured");
        std::thread::sleep(Duration::from_millis(5));
    }
    // Another one may not measure meanwhile, unless this one was quick enough to end.
    let (status, _, stderr) = bench.measure(&[]);
    assert!(child.try_wait().unwrap().is_some() || (status == 2 && stderr.contains("another warmset")), "{stderr}");
    child.kill().unwrap();
    child.wait().unwrap();
    let before = bench.samples();
    // What a killed repetition leaves is no sample.
    bench.write("home/warmset/measure/scratch/run-left/answer.json", "{}");

    let (status, report, stderr) = bench.measure(&[]);
    assert!(status <= 1 && codes(&report).is_empty(), "{stderr}");
    let after = bench.samples();
    assert!(before.iter().all(|(path, bytes)| after.get(path) == Some(bytes)), "what was finished stays as it was");
    assert_eq!(report["repetitions_kept"], before.len());
    assert_eq!(report["repetitions_run"].as_u64().unwrap() as usize, after.len() - before.len());
    assert!(!bench.path("home/warmset/measure/scratch/run-left").exists());
    assert_eq!(std::fs::read_dir(bench.path("home/warmset/measure/scratch")).unwrap().count(), 0);

    // Stopped politely it ends what it runs, and says that it goes on from there.
    let mut child = bench.command(&bench.measure_args(&["--cache", "cold"])).spawn().unwrap();
    while !bench.path("cold/measure/samples").is_dir() && child.try_wait().unwrap().is_none() {
        assert!(start.elapsed() < Duration::from_secs(600), "nothing was measured");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(2) && stderr.contains("goes on from there"), "{stderr}");
    assert_eq!(std::fs::read_dir(bench.path("cold/measure/scratch")).unwrap().count(), 0);

    let first = bench.costs();
    let (_, report, _) = bench.measure(&[]);
    assert_eq!(report["repetitions_run"], 0);
    assert_eq!(bench.costs(), first, "the same samples make the same table");
}

#[test]
fn a_first_call_that_pays_is_made_before_an_image_serves() {
    let Some(bench) = Bench::new() else { return };
    // The first call fills a table in the package; a fork of a process that has called it has the table.
    let code = "import zz_data\ntable = None\ndef render():\n    global table\n    if table is None:\n        import zz_late\n        table = zz_late.fill()\n    return len(table)\n";
    let render = bench.wheel("zz_render", code);
    let data = bench.wheel("zz_data", BURN);
    let late = bench
        .wheel("zz_late", &format!("def fill():\n    {}    return [total] * 100_000\n", BURN.replace('\n', "\n    ")));
    let lock = format!("{render}{data}{late}");
    bench.function("page", &lock, "import zz_render\nimport socket\ndef lambda_handler(event, context):\n    assert event.pop('rows') == 2\n    open('left-behind', 'w').close()\n    return zz_render.render()\n");
    bench.write("fleet/page/event.json", r#"{"rows": 2}"#);
    let look = "import sys\nimport zz_render\ndef lambda_handler(event, context):\n    return [zz_render.table is not None, 'lambda_function' in sys.modules]\n";
    bench.write("look/look.py", look);
    bench.function("caller", &lock, "import zz_render\nimport socket\ndef lambda_handler(event, context):\n    socket.create_connection(('127.0.0.1', 9))\n");
    bench.write("fleet/caller/events/a.json", "{}");
    let (status, report, stderr) = bench.measure(&["--warmup"]);
    assert!(status <= 1, "{stderr}");
    assert!(stderr.contains("the functions' handlers"), "{stderr}");
    assert_eq!(codes(&report), [("warmup-not-measured".to_string(), "caller".to_string())]);
    assert!(!bench.path("fleet/page/left-behind").exists(), "handlers run in a copy of their code");
    let warmup = &bench.costs()["warmups"][0];
    assert_eq!(
        (&warmup["function"], &warmup["module"], &warmup["call"]),
        (&json!("page"), &json!("lambda_function"), &json!("lambda_handler"))
    );
    assert_eq!((&warmup["event"], &warmup["modules"]), (&json!({"rows": 2}), &json!(["zz_late"])));
    assert_eq!(warmup["packages"], json!(["zz-data==1.0", "zz-late==1.0", "zz-render==1.0"]));
    let ms = |key: &str| warmup[key].as_f64().unwrap();
    assert!(ms("first_ms") > 20.0 * ms("later_ms") && ms("saved_ms") > 0.5 * ms("first_ms"), "{warmup}");

    // What swaps cost on this machine is of no account here.
    let mut costs = bench.costs();
    costs["languages"] = json!({});
    bench.write("costs.json", &costs.to_string());
    let options = ["--python", &bench.python, "--costs", "costs.json", "--budget", "64MB"];
    let (_, plan, stderr) =
        bench.run(&[&["plan", "fleet", "--out", "plan", "--format", "json"], &options[..]].concat());
    let image = &plan["images"][0];
    assert_eq!(image["warmup"][0]["function"], "page", "{stderr}{plan}");
    assert_eq!(plan["warmups"]["memory_mb"], image["warmup"][0]["added_mb"]);
    let read = |file: &str| -> Value {
        serde_json::from_str(&std::fs::read_to_string(bench.path("plan").join(file)).unwrap()).unwrap()
    };
    let manifest = read("swap-manifest.json");
    assert_eq!(manifest["images"][0]["warmup"], image["warmup"]);
    let preload = read(&format!("images/{}/preload.json", image["id"].as_str().unwrap()));
    assert_eq!(preload["warmup"], image["warmup"]);
    let sum = |plan: &str, more: &str| -> f64 {
        manifest["images"][0]["costs"][plan].as_f64().unwrap()
            - image[plan].as_f64().unwrap()
            - image["warmup"][0][more].as_f64().unwrap()
    };
    assert!(sum("added_mb", "added_mb").abs() < 1e-6 && sum("resident_mb", "added_mb").abs() < 1e-6);

    // A host that is given the code makes the call; what serves afterwards has its table and not its code.
    let views = std::fs::read_dir(bench.path("home/warmset/measure/views")).unwrap().map(|e| e.unwrap().path());
    let view = views.into_iter().find(|path| path.join("zz_render").is_dir()).unwrap();
    let once = |warm: bool| -> Value {
        let mut list = preload.clone();
        match warm {
            true => list["warmup"][0]["path"] = json!(bench.path("fleet/page")),
            false => list["warmup"] = json!([]),
        }
        bench.write("preload.json", &list.to_string());
        let request = json!({"id": "1", "path": bench.path("look"), "handler": "look.lambda_handler", "event": {}});
        bench.write("request.json", &request.to_string());
        let host = bench.path("plan").join("images").join(image["id"].as_str().unwrap()).join("host.py");
        let mut python = Command::new("python3");
        python.arg(host).args(["preload.json", "--once", "request.json"]).current_dir(bench.dir.path());
        let output = python.env("PYTHONPATH", &view).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        serde_json::from_slice::<Value>(&output.stdout).unwrap_or_else(|_| panic!("{said}"))["result"].clone()
    };
    assert_eq!((once(true), once(false)), (json!([true, false]), json!([false, false])));

    // Where the memory is not there, the image serves without it.
    let budget = format!("{}MB", plan["memory_mb"].as_f64().unwrap() + 0.000_01);
    let tight =
        ["plan", "fleet", "--python", &bench.python, "--costs", "costs.json", "--budget", &budget, "--format", "json"];
    let (_, tight, stderr) = bench.run(&tight);
    assert_eq!(tight["images"].as_array().unwrap().len(), 1, "{stderr}");
    let added = image["warmup"][0]["added_mb"].as_f64().unwrap();
    assert_eq!(tight["warmups"].is_null(), added > 0.000_01, "{tight}");
    // An inventory alone does not say where the handlers are.
    let (status, _, stderr) = bench.run(&["measure", "plan", "--out", "x.json", "--warmup"]);
    assert!(status == 2 && stderr.contains("--code"), "{stderr}");
}

/// Answers `GET /NAME` with what npm asks of a registry, and `GET /NAME.tgz` with the archive.
fn registry(archives: BTreeMap<String, (Value, Vec<u8>)>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let here = format!("http://{}", listener.local_addr().unwrap());
    let url = here.clone();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = Vec::new();
            let mut chunk = [0; 4096];
            while !request.windows(4).any(|w| w == b"\r\n\r\n") {
                match stream.read(&mut chunk) {
                    Ok(n) if n > 0 => request.extend_from_slice(&chunk[..n]),
                    _ => break,
                }
            }
            let text = String::from_utf8_lossy(&request).into_owned();
            let path = text.split(' ').nth(1).unwrap_or("/").trim_start_matches('/').to_string();
            let name = path.trim_end_matches(".tgz");
            let (status, body) = match archives.get(name) {
                Some((_, bytes)) if path.ends_with(".tgz") => ("200 OK", bytes.clone()),
                Some((manifest, _)) => {
                    let mut version = manifest.clone();
                    version["dist"]["tarball"] = json!(format!("{url}/{name}.tgz"));
                    let all = json!({"name": name, "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": version}});
                    ("200 OK", all.to_string().into_bytes())
                }
                None => ("404 Not Found", b"{}".to_vec()),
            };
            let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
        }
    });
    here
}

#[test]
fn node_packages_are_measured_by_require_and_by_import() {
    if !common::tool("node") || !common::tool("npm") {
        return;
    }
    let Some(mut bench) = Bench::new() else { return };
    let asked = Command::new("node").args(["-p", "process.versions.node.split('.')[0]"]).output().unwrap();
    let major = String::from_utf8(asked.stdout).unwrap().trim().to_string();
    let burn = "let total = 0; for (let n = 0; n < 30_000_000; n++) total += n % 7;\n";
    let sources = [
        ("zz-heavy", "commonjs", format!("require('zz-light'); require('crypto');\n{burn}exports.total = total;")),
        ("zz-light", "commonjs", "exports.x = 1;".to_string()),
        ("zz-esm", "module", "import 'zz-light'; export const y = 2;".to_string()),
        ("zz-alone", "commonjs", format!("{burn}exports.total = total;")),
    ];
    let mut archives = BTreeMap::new();
    let mut packages = serde_json::Map::new();
    for (name, kind, code) in sources {
        let manifest = json!({"name": name, "version": "1.0.0", "type": kind, "main": "index.js"});
        bench.write(&format!("npm-src/{name}/package.json"), &manifest.to_string());
        bench.write(&format!("npm-src/{name}/index.js"), &code);
        let folder = bench.path(&format!("npm-src/{name}"));
        let mut pack = Command::new("npm");
        pack.args(["pack", "--json"]).current_dir(&folder).env("npm_config_cache", bench.path("npm"));
        let output = pack.output().unwrap();
        let told: Value = serde_json::from_slice(&output.stdout).unwrap();
        let integrity = told[0]["integrity"].as_str().unwrap().to_string();
        let bytes = std::fs::read(folder.join(told[0]["filename"].as_str().unwrap())).unwrap();
        let mut told = manifest;
        told["dist"] = json!({"integrity": integrity});
        archives.insert(name.to_string(), (told, bytes));
        packages.insert(format!("node_modules/{name}"), json!({"version": "1.0.0", "integrity": integrity}));
    }
    packages["node_modules/zz-heavy"]["dependencies"] = json!({"zz-light": "1.0.0"});
    packages["node_modules/zz-esm"]["dependencies"] = json!({"zz-light": "1.0.0"});
    bench.registry = Some(registry(archives));
    let function = |id: &str, file: &str, code: &str, names: &[&str]| {
        let wanted: BTreeMap<&str, &str> = names.iter().map(|n| (*n, "1.0.0")).collect();
        let manifest = json!({"name": id, "version": "1.0.0", "dependencies": wanted});
        let mut all = serde_json::Map::from_iter([(String::new(), manifest.clone())]);
        let mut kept: Vec<&str> = names.to_vec();
        kept.push("zz-light");
        all.extend(
            packages.iter().filter(|(k, _)| kept.iter().any(|n| k.ends_with(n))).map(|(k, v)| (k.clone(), v.clone())),
        );
        let lock = json!({"name": id, "version": "1.0.0", "lockfileVersion": 3, "packages": all});
        bench.write(&format!("fleet/{id}/package.json"), &manifest.to_string());
        bench.write(&format!("fleet/{id}/package-lock.json"), &lock.to_string());
        bench.write(&format!("fleet/{id}/{file}"), code);
    };
    let handler = "exports.handler = async (event) => heavy.total + event.n;";
    function("cjs", "index.js", &format!("const heavy = require('zz-heavy');\n{handler}"), &["zz-heavy", "zz-alone"]);
    bench.write("fleet/cjs/event.json", r#"{"n": 1}"#);
    function("esm", "index.mjs", "import 'zz-esm';\nexport const handler = async () => 1;", &["zz-esm"]);

    let (status, report, stderr) = bench.measure(&["--node", &major, "--warmup"]);
    assert!(status <= 1 && codes(&report).is_empty(), "{stderr}");
    assert_eq!((&report["functions"], &report["environments"]), (&json!(2), &json!(1)), "{stderr}");
    let costs = bench.costs();
    let ms = |name: &str| entry(&costs, &format!("npm:{name}@1.0.0"))["load_ms"].as_f64().unwrap();
    assert!(ms("zz-heavy") > 5.0 * ms("zz-light"), "{costs}");
    let how = |name: &str| entry(&costs, &format!("npm:{name}@1.0.0"))["how"].clone();
    assert_eq!(
        [how("zz-heavy"), how("zz-light"), how("zz-esm"), how("zz-alone")],
        ["imports", "imports", "imports", "direct"]
    );
    assert_eq!(entry(&costs, "npm:zz-light@1.0.0")["modules"], json!(["zz-light"]));
    assert_eq!(costs["warmups"][0]["function"], "cjs");
    assert_eq!(costs["warmups"][0]["packages"], json!(["zz-heavy@1.0.0", "zz-light@1.0.0"]));
    assert!(costs["languages"]["node"]["image_overhead_mb"].as_f64().unwrap() > 10.0, "{}", costs["languages"]);
    let left =
        walkdir::WalkDir::new(bench.path("home/warmset/measure/views")).max_depth(2).into_iter().map(Result::unwrap);
    assert!(left.filter(|e| e.file_name().to_string_lossy().starts_with(".warmset-code")).count() == 0);
}
