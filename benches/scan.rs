//! How long it takes to scan a fleet of 500 functions with 2,500 source files, from the folder to the inventory. The
//! fleet is made in a temporary folder from a fixed seed: 300 Python and 200 JS/TS functions in services of ten; half of
//! the services are declared in a SAM template, half of them share one lock, the others have one a function.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use criterion::{Criterion, criterion_group, criterion_main};
use warmset::discover::{self, Defaults, Limits, Tree};
use warmset::model::State;
use warmset::resolve::{ScanOptions, scan};

const SERVICES: usize = 50;
const FUNCTIONS: usize = 10;
/// Source files of a function, its handler included.
const SOURCES: usize = 5;
/// Packages that exist at all; those with higher numbers are what lower ones need.
const PACKAGES: usize = 400;
const DIRECT: usize = 8;
const STDLIB: [&str; 8] = ["json", "os", "logging", "datetime", "typing", "hashlib", "re", "collections"];
const BUILTIN: [&str; 8] = ["fs", "path", "crypto", "url", "util", "stream", "zlib", "os"];

/// xorshift64*: the same fleet on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from((self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % n as u64).unwrap_or(0)
    }

    /// A few packages are in many functions, most in few.
    fn popular(&mut self, n: usize) -> usize {
        let (a, b) = (self.below(n), self.below(n));
        a * b / n
    }
}

/// What a package needs: always the same, always higher numbers, so that there is no circle.
fn requires(package: usize) -> Vec<usize> {
    let mut random = Random(package as u64 + 1);
    random.below(2);
    (0..random.below(4)).map(|_| package + 1 + random.below(60)).filter(|p| *p < PACKAGES).collect()
}

fn closure(direct: &BTreeSet<usize>) -> BTreeSet<usize> {
    let mut all = direct.clone();
    let mut open: Vec<usize> = direct.iter().copied().collect();
    while let Some(package) = open.pop() {
        open.extend(requires(package).into_iter().filter(|p| all.insert(*p)));
    }
    all
}

fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    let folder = path.parent().expect("below the root");
    std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&path, text)).expect("a temporary folder is writable");
}

fn python_lock(root: &Path, dir: &str, direct: &BTreeSet<usize>) {
    let mut text = String::new();
    for package in closure(direct) {
        let _ = write!(text, "lib-{package}==1.{}.0", package % 7);
        for build in 0..3 {
            let _ = write!(text, " \\\n    --hash=sha256:{:064x}", package * 10 + build);
        }
        text.push_str("\n    # via another\n");
    }
    write(root, &format!("{dir}/requirements.txt"), &text);
}

fn node_lock(root: &Path, dir: &str, direct: &BTreeSet<usize>) {
    let map = |packages: &mut dyn Iterator<Item = usize>| {
        let entries: serde_json::Map<_, _> =
            packages.map(|p| (format!("lib-{p}"), format!("^1.{}.0", p % 7).into())).collect();
        serde_json::Value::Object(entries)
    };
    let declared = map(&mut direct.iter().copied());
    let mut packages = serde_json::Map::new();
    packages.insert(String::new(), serde_json::json!({"name": "service", "dependencies": declared}));
    for package in closure(direct) {
        let entry = serde_json::json!({
            "version": format!("1.{}.0", package % 7),
            "resolved": format!("https://registry.example/lib-{package}/-/lib-{package}-1.0.0.tgz"),
            "integrity": format!("sha512-{package:086}=="),
            "dependencies": map(&mut requires(package).into_iter()),
            "engines": {"node": ">=18"},
        });
        packages.insert(format!("node_modules/lib-{package}"), entry);
    }
    let lock = serde_json::json!({"name": "service", "lockfileVersion": 3, "requires": true, "packages": packages});
    write(root, &format!("{dir}/package-lock.json"), &format!("{lock:#}"));
    write(
        root,
        &format!("{dir}/package.json"),
        &serde_json::json!({"name": "service", "dependencies": declared}).to_string(),
    );
}

/// About 60 lines of the kind that handlers are made of.
fn python_source(random: &mut Random, direct: &[usize], modules: &[String], handler: bool) -> String {
    let mut text = String::from("\"\"\"Part of a service.\"\"\"\nfrom __future__ import annotations\n\n");
    for _ in 0..3 {
        let _ = writeln!(text, "import {}", STDLIB[random.below(STDLIB.len())]);
    }
    for _ in 0..2 {
        let package = direct[random.below(direct.len())];
        let _ = writeln!(text, "from lib_{package} import Client{package}, make_{package}");
    }
    for module in modules {
        let _ = writeln!(text, "from {module} import step_0, step_1");
    }
    for step in 0..5 {
        let _ = write!(
            text,
            "\n\ndef step_{step}(items: list[dict], limit: int = {}) -> dict:\n    \"\"\"Groups items by key.\"\"\"\n    \
             groups: dict = {{}}\n    for item in items[:limit]:\n        key = item.get('key') or f\"none-{{item['id']}}\"\n        \
             try:\n            groups.setdefault(key, []).append(int(item['value']) * {step})\n        \
             except (KeyError, ValueError) as error:\n            logging.warning('skipped %s: %s', key, error)\n    \
             return {{k: sum(v) / len(v) for k, v in sorted(groups.items()) if v}}\n",
            random.below(100)
        );
    }
    if handler {
        text.push_str("\n\ndef lambda_handler(event, context):\n    return step_0(event.get('Records', []))\n");
    }
    text
}

fn node_source(random: &mut Random, direct: &[usize], modules: &[String], handler: bool, typed: bool) -> String {
    let mut text = String::new();
    let mut used = Vec::new();
    for at in 0..2 {
        let _ = writeln!(text, "import * as b{at} from 'node:{}';", BUILTIN[random.below(BUILTIN.len())]);
        let package = direct[random.below(direct.len())];
        let _ = writeln!(text, "import {{ make as p{at} }} from 'lib-{package}';");
        used.extend([format!("b{at}"), format!("p{at}")]);
    }
    for (at, module) in modules.iter().enumerate() {
        let _ = writeln!(text, "import {{ step0 as l{at} }} from './{module}';");
        used.push(format!("l{at}"));
    }
    let _ = writeln!(text, "const used = [{}];", used.join(", "));
    let items = if typed { "items: Array<Record<string, string>>, limit: number" } else { "items, limit" };
    for step in 0..5 {
        let _ = write!(
            text,
            "\n/** Groups items by key. */\nexport async function step{step}({items}) {{\n  const groups = new Map();\n  \
             for (const item of items.slice(0, limit ?? {})) {{\n    const key = item.key || `none-${{item.id}}`;\n    \
             try {{\n      groups.set(key, [...(groups.get(key) ?? []), Number(item.value) * {step}]);\n    }} \
             catch (error) {{\n      console.warn('skipped', key, error);\n    }}\n  }}\n  \
             return Object.fromEntries([...groups].map(([k, v]) => [k, v.length && used.length]));\n}}\n",
            random.below(100)
        );
    }
    if handler {
        text.push_str("\nexport const handler = async (event) => step0(event.Records, 10);\n");
    }
    text
}

fn fleet(root: &Path) {
    let mut random = Random(0x5EED);
    for service in 0..SERVICES {
        let python = service % 5 < 3;
        let (shared, declared) = (service % 2 == 0, service % 4 < 2);
        let dir = format!("service-{service:02}");
        let pick = |random: &mut Random| -> BTreeSet<usize> { (0..DIRECT).map(|_| random.popular(PACKAGES)).collect() };
        let own = pick(&mut random);
        let lock = if python { python_lock } else { node_lock };
        if shared {
            lock(root, &dir, &own);
        }
        let mut template = String::from("Transform: AWS::Serverless-2016-10-31\nResources:\n");
        for function in 0..FUNCTIONS {
            let folder = format!("{dir}/fn_{function}");
            let direct = if shared { own.clone() } else { pick(&mut random) };
            if !shared {
                lock(root, &folder, &direct);
            }
            let direct: Vec<usize> = direct.into_iter().collect();
            let typed = function % 2 == 0;
            let extension = if python {
                "py"
            } else if typed {
                "ts"
            } else {
                "mjs"
            };
            for source in 0..SOURCES {
                // The handler loads the first two, each of them the next.
                let loads: Vec<String> = match source {
                    0 => vec!["part_1".into(), "part_2".into()],
                    n if n + 2 < SOURCES => vec![format!("part_{}", n + 2)],
                    _ => Vec::new(),
                };
                let name = if source == 0 { "handler".to_string() } else { format!("part_{source}") };
                let text = if python {
                    python_source(&mut random, &direct, &loads, source == 0)
                } else {
                    let suffix = if typed { "" } else { ".mjs" };
                    let loads: Vec<String> = loads.iter().map(|l| format!("{l}{suffix}")).collect();
                    node_source(&mut random, &direct, &loads, source == 0, typed)
                };
                write(root, &format!("{folder}/{name}.{extension}"), &text);
            }
            let (runtime, export) = if python { ("python3.12", "lambda_handler") } else { ("nodejs20.x", "handler") };
            let _ = write!(
                template,
                "  Function{function}:\n    Type: AWS::Serverless::Function\n    Properties:\n      CodeUri: fn_{function}/\n      \
                 Handler: handler.{export}\n      Runtime: {runtime}\n"
            );
        }
        if declared {
            write(root, &format!("{dir}/template.yaml"), &template);
        }
    }
}

fn bench(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    fleet(folder.path());
    let options = ScanOptions::default();
    let run = || scan(folder.path(), &options, &|_| {}).expect("the fleet is a folder");
    let inventory = run();
    let locked = inventory.functions.iter().filter(|f| f.state == State::Locked).count();
    eprintln!(
        "{} functions ({locked} locked), {} of {} sources read, {} packages, {} diagnostics",
        inventory.functions.len(),
        inventory.files.read,
        inventory.files.sources,
        inventory.packages.len(),
        inventory.diagnostics.iter().filter(|d| d.is_finding()).count(),
    );
    assert_eq!((inventory.functions.len(), inventory.files.read), (500, 2500));

    let mut group = criterion.benchmark_group("500-functions-2500-sources");
    group.sample_size(10);
    group.bench_function("list-files", |b| {
        b.iter(|| Tree::open(folder.path(), Limits::default()).map(|t| t.files().count()))
    });
    let tree = Tree::open(folder.path(), Limits::default()).expect("the fleet is a folder");
    group.bench_function("discover", |b| b.iter(|| discover::discover(&tree, &Defaults::default()).sites.len()));
    group.bench_function("scan", |b| b.iter(|| run().functions.len()));
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
