//! A fleet of functions on disk, made from a seed: the same bytes on every machine.
//!
//! Services of ten functions, six of ten in Python, the others in JavaScript and TypeScript, each with five sources, of which
//! the handler reaches all. Packages are popular as in real fleets: a few are in many functions, most in few.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;

/// Functions of a service.
const SERVICE: usize = 10;
/// Source files of a function, its handler included.
#[allow(dead_code, reason = "each of those who share this module uses some of it")]
pub const SOURCES: usize = 5;
/// Packages that exist at all; those with higher numbers are what lower ones need.
const PACKAGES: usize = 400;
const DIRECT: usize = 8;
const STDLIB: [&str; 8] = ["json", "os", "logging", "datetime", "typing", "hashlib", "re", "collections"];
const BUILTIN: [&str; 8] = ["fs", "path", "crypto", "url", "util", "stream", "zlib", "os"];

/// What kind of fleet.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// How many functions.
    pub functions: usize,
    /// Another seed, another fleet.
    pub seed: u64,
    /// Every function's folder holds all that is said of it. Otherwise half of the services share one lock, and half are
    /// declared in a template of the service.
    pub alone: bool,
    /// Functions of one language only.
    pub only: Option<Only>,
    /// One function of a hundred has a file that cannot be read as what it is, one of five has no lock.
    pub flaws: bool,
}

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

fn write(root: &Path, path: &str, text: &str) -> io::Result<()> {
    let path = root.join(path);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(&path, text)
}

fn python_lock(root: &Path, dir: &str, direct: &BTreeSet<usize>) -> io::Result<()> {
    let mut text = String::new();
    for package in closure(direct) {
        let _ = write!(text, "lib-{package}==1.{}.0", package % 7);
        for build in 0..3 {
            let _ = write!(text, " \\\n    --hash=sha256:{:064x}", package * 10 + build);
        }
        text.push_str("\n    # via another\n");
    }
    write(root, &format!("{dir}/requirements.txt"), &text)
}

fn node_lock(root: &Path, dir: &str, direct: &BTreeSet<usize>) -> io::Result<()> {
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
    write(root, &format!("{dir}/package-lock.json"), &format!("{lock:#}"))?;
    write(
        root,
        &format!("{dir}/package.json"),
        &serde_json::json!({"name": "service", "dependencies": declared}).to_string(),
    )
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

/// A language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(dead_code, reason = "each of those who share this module uses some of it")]
pub enum Only {
    /// Python.
    Python,
    /// JavaScript and TypeScript.
    Node,
}

/// How a function's dependencies are written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Locked,
    Pinned,
    Ranges,
}

/// Writes a fleet, and returns the folders of its functions relative to the root, in order.
pub fn write_fleet(root: &Path, shape: Shape) -> io::Result<Vec<String>> {
    let mut random = Random(shape.seed | 1);
    let mut folders = Vec::with_capacity(shape.functions);
    for service in 0..shape.functions.div_ceil(SERVICE) {
        let python = shape.only.map_or(service % 5 < 3, |only| only == Only::Python);
        let (shared, declared) = (!shape.alone && service % 2 == 0, service % 4 < 2);
        let dir = format!("service-{service:04}");
        let pick = |random: &mut Random| -> BTreeSet<usize> { (0..DIRECT).map(|_| random.popular(PACKAGES)).collect() };
        let own = pick(&mut random);
        if shared {
            lock(root, &dir, &own, python, Said::Locked)?;
        }
        let mut template = String::from(TEMPLATE);
        for function in 0..SERVICE.min(shape.functions - service * SERVICE) {
            let folder = format!("{dir}/fn_{function}");
            let direct = if shared { own.clone() } else { pick(&mut random) };
            let flaw = if shape.flaws { random.below(100) } else { 100 };
            if !shared {
                let said = match (shape.flaws, random.below(10)) {
                    (true, 0) => Said::Pinned,
                    (true, 1) => Said::Ranges,
                    _ => Said::Locked,
                };
                lock(root, &folder, &direct, python, said)?;
            }
            let direct: Vec<usize> = direct.into_iter().collect();
            sources(root, &folder, &direct, python, function % 2 == 0, &mut random)?;
            flawed(root, &folder, python, flaw)?;
            if shape.alone && declared {
                write(
                    root,
                    &format!("{folder}/template.yaml"),
                    &(TEMPLATE.to_string() + &resource(function, ".", python)),
                )?;
            }
            template.push_str(&resource(function, &format!("fn_{function}"), python));
            folders.push(folder);
        }
        if declared && !shape.alone {
            write(root, &format!("{dir}/template.yaml"), &template)?;
        }
    }
    Ok(folders)
}

const TEMPLATE: &str = "Transform: AWS::Serverless-2016-10-31\nResources:\n";

fn resource(function: usize, code: &str, python: bool) -> String {
    let (runtime, export) = if python { ("python3.12", "lambda_handler") } else { ("nodejs20.x", "handler") };
    format!(
        "  Function{function}:\n    Type: AWS::Serverless::Function\n    Properties:\n      CodeUri: {code}/\n      \
         Handler: handler.{export}\n      Runtime: {runtime}\n"
    )
}

fn sources(
    root: &Path,
    folder: &str,
    direct: &[usize],
    python: bool,
    typed: bool,
    random: &mut Random,
) -> io::Result<()> {
    let extension = match (python, typed) {
        (true, _) => "py",
        (_, true) => "ts",
        _ => "mjs",
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
            python_source(random, direct, &loads, source == 0)
        } else {
            let suffix = if typed { "" } else { ".mjs" };
            let loads: Vec<String> = loads.iter().map(|l| format!("{l}{suffix}")).collect();
            node_source(random, direct, &loads, source == 0, typed)
        };
        write(root, &format!("{folder}/{name}.{extension}"), &text)?;
    }
    Ok(())
}

/// What is wrong with one function of a hundred.
fn flawed(root: &Path, folder: &str, python: bool, flaw: usize) -> io::Result<()> {
    match (flaw, python) {
        (0, true) => write(root, &format!("{folder}/part_2.py"), "import os\ndef broken(:\n    return (\n"),
        (0, false) => write(root, &format!("{folder}/part_2.mjs"), "import fs from 'fs';\nexport const = {;\n"),
        (1, true) => fs::write(root.join(folder).join("part_1.py"), b"import os\nname = 'caf\xE9'\n"),
        (1, false) => write(root, &format!("{folder}/package-lock.json"), "{\"lockfileVersion\": 3, \"packages\": {"),
        (2, true) => write(root, &format!("{folder}/part_3.py"), "import lib_not_declared\n"),
        _ => Ok(()),
    }
}

fn lock(root: &Path, dir: &str, direct: &BTreeSet<usize>, python: bool, said: Said) -> io::Result<()> {
    match (python, said) {
        (true, Said::Locked) => python_lock(root, dir, direct),
        (true, _) => {
            let line = |p: &usize| match said {
                Said::Ranges => format!("lib-{p}>=1.{}\n", p % 7),
                _ => format!("lib-{p}==1.{}.0\n", p % 7),
            };
            write(root, &format!("{dir}/requirements.txt"), &direct.iter().map(line).collect::<String>())
        }
        (false, Said::Locked) => node_lock(root, dir, direct),
        (false, _) => {
            let range = if said == Said::Ranges { "^" } else { "" };
            let entry = |p: &usize| (format!("lib-{p}"), format!("{range}1.{}.0", p % 7).into());
            let entries: serde_json::Map<_, _> = direct.iter().map(entry).collect();
            write(root, &format!("{dir}/package.json"), &serde_json::json!({"dependencies": entries}).to_string())
        }
    }
}
