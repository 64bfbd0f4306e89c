//! Inputs that are made to break a scanner. Each ends with a diagnostic that names the file and a next step, and the
//! functions beside it are read as if it were not there.
//!
//! Nothing here is timed: what takes quadratic time or unbounded memory on these inputs takes minutes or kills the test.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

const PYTHON: &str = "def lambda_handler(event, context):\n    return 1\n";
const NODE: &str = "exports.handler = async (event) => 1;\n";
/// Brackets, of which any parser that recurses would have overrun its stack.
const DEEP: usize = 100_000;

/// A fleet with one function that is as it should be.
struct Fleet(tempfile::TempDir);

impl Fleet {
    fn new() -> Self {
        let fleet = Self(tempfile::tempdir().unwrap());
        fleet.put("good/lambda_function.py", format!("import six\n\n{PYTHON}"));
        fleet.put("good/requirements.txt", "six==1.16.0\n");
        fleet
    }

    fn path(&self, path: &str) -> std::path::PathBuf {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    }

    fn put(&self, path: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(path), bytes).unwrap();
    }

    /// A file of so many bytes that takes no room on the disk.
    fn put_sparse(&self, path: &str, bytes: u64) {
        File::create(self.path(path)).unwrap().set_len(bytes).unwrap();
    }

    /// Scans, and checks what must hold whatever the fleet holds.
    fn scan(&self) -> Scanned {
        let output = warmset(self.0.path(), &["scan", ".", "--format", "json", "-q"]);
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(matches!(output.status.code(), Some(0 | 1)), "{:?}: {text:.2000}", output.status);
        let inventory: Value = serde_json::from_slice(&output.stdout).unwrap();
        let good = inventory["functions"].as_array().unwrap().iter().find(|f| f["id"] == "good").unwrap();
        assert_eq!(
            (good["closure"].to_string().as_str(), &good["state"]),
            ("[\"pypi:six==1.16.0\"]", &"pinned".into())
        );
        for d in inventory["diagnostics"].as_array().unwrap() {
            let (reason, next) = (d["reason"].as_str().unwrap(), d["next_step"].as_str().unwrap());
            assert!(!reason.is_empty() && reason.len() < 1_100 && !next.is_empty(), "{d}");
        }
        // Whoever gets it can read it.
        let kept = tempfile::NamedTempFile::new().unwrap();
        fs::write(kept.path(), &output.stdout).unwrap();
        let merged = warmset(self.0.path(), &["merge", "-q", "--exit-zero", &kept.path().to_string_lossy()]);
        assert!(merged.status.success(), "{}", String::from_utf8_lossy(&merged.stderr));
        Scanned(inventory)
    }
}

struct Scanned(Value);

impl Scanned {
    /// Codes of the findings about a file.
    fn codes(&self, file: &str) -> BTreeSet<&str> {
        let all = self.0["diagnostics"].as_array().unwrap().iter();
        all.filter(|d| d["file"] == file && d["severity"] != "note").map(|d| d["code"].as_str().unwrap()).collect()
    }

    fn has(&self, id: &str) -> bool {
        self.0["functions"].as_array().unwrap().iter().any(|f| f["id"] == id)
    }
}

fn warmset(folder: &Path, args: &[&str]) -> std::process::Output {
    Command::new(env!("CARGO_BIN_EXE_warmset")).args(args).current_dir(folder).output().unwrap()
}

/// Files that a function of their folder depends on: name, what stands before and after what is nested.
const KINDS: &[(&str, &str, &str)] = &[
    ("lambda_function.py", "x = ", "\n\ndef lambda_handler(event, context):\n    return 1\n"),
    ("index.js", "x = ", ";\nexports.handler = async (event) => 1;\n"),
    ("index.ts", "const x = ", ";\nexport const handler = async (event) => 1;\n"),
    ("index.mjs", "const x = ", ";\nexport const handler = async (event) => 1;\n"),
    ("package-lock.json", "{\"lockfileVersion\": 3, \"packages\": ", "}"),
    ("npm-shrinkwrap.json", "{\"lockfileVersion\": 1, \"dependencies\": ", "}"),
    ("pnpm-lock.yaml", "lockfileVersion: '9.0'\npackages: ", "\n"),
    ("yarn.lock", "__metadata:\n  version: 8\na: ", "\n"),
    ("bun.lock", "{\"lockfileVersion\": 1, \"packages\": ", "}"),
    ("package.json", "{\"name\": \"x\", \"dependencies\": ", "}"),
    ("requirements.txt", "a==", "\n"),
    ("poetry.lock", "[metadata]\nlock-version = ", "\n"),
    ("uv.lock", "version = 1\nmanifest = ", "\n"),
    ("pdm.lock", "[metadata]\nlock_version = ", "\n"),
    ("Pipfile.lock", "{\"default\": ", "}"),
    ("pylock.toml", "lock-version = ", "\n"),
    ("pyproject.toml", "[project]\nname = \"x\"\ndependencies = ", "\n"),
    ("Pipfile", "[packages]\na = ", "\n"),
    ("setup.py", "from setuptools import setup\nsetup(install_requires=", ")\n"),
    ("template.yaml", "Resources:\n  F:\n    Type: AWS::Serverless::Function\n    Properties: ", "\n"),
    ("x.json", "{\"Resources\": {\"F\": {\"Type\": \"AWS::Lambda::Function\", \"Properties\": ", "}}}"),
    ("serverless.yml", "provider: {name: aws}\nfunctions: ", "\n"),
    ("serverless.ts", "export default { provider: { name: 'aws' }, functions: ", " };\n"),
    ("main.tf", "resource \"aws_lambda_function\" \"f\" {\n  x = ", "\n}\n"),
    ("main.tf.json", "{\"resource\": {\"aws_lambda_function\": {\"f\": {\"x\": ", "}}}}"),
    ("host.json", "{\"version\": ", "}"),
    ("vercel.json", "{\"functions\": ", "}"),
    ("netlify.toml", "[functions]\nx = ", "\n"),
    ("firebase.json", "{\"functions\": ", "}"),
    ("stack.yml", "provider: {name: openfaas}\nfunctions: ", "\n"),
    ("func.yaml", "specVersion: 0.36.0\nname: ", "\n"),
    ("warmset.toml", "[defaults]\npython = ", "\n"),
];

/// A folder for each kind, in which a handler makes the file matter; the paths of the files.
fn folders(fleet: &Fleet, put: impl Fn(&Fleet, &str, &str, &str)) -> Vec<String> {
    let mut files = Vec::new();
    for (name, before, after) in KINDS {
        // One for the fleet, at its top.
        let path =
            if *name == "warmset.toml" { (*name).to_string() } else { format!("{}/{name}", name.replace('.', "-")) };
        put(fleet, &path, before, after);
        let folder = name.replace('.', "-");
        let node = ["lock.json", "wrap.json", "pnpm", "yarn", "bun", "package.json"].iter().any(|n| name.contains(n));
        match *name {
            "lambda_function.py" | "index.js" | "index.ts" | "index.mjs" => {
                let declared = format!(
                    "Resources:\n  F:\n    Type: AWS::Serverless::Function\n    Properties: {{CodeUri: ., Handler: {}, Runtime: {}}}\n",
                    if name.ends_with("py") { "lambda_function.lambda_handler" } else { "index.handler" },
                    if name.ends_with("py") { "python3.12" } else { "nodejs20.x" },
                );
                fleet.put(&format!("{folder}/template.yaml"), declared);
            }
            _ if node => fleet.put(&format!("{folder}/index.js"), NODE),
            _ => fleet.put(&format!("{folder}/lambda_function.py"), PYTHON),
        }
        if name.contains("lock") && node {
            fleet.put(&format!("{folder}/package.json"), "{\"dependencies\": {\"a\": \"1\"}}");
        }
        files.push(path);
    }
    files
}

#[test]
fn a_hundred_thousand_brackets_in_every_format() {
    let text_there = [".yaml", ".yml", "yarn.lock", "host.json", "vercel.json", "firebase.json"];
    for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("(", ")")] {
        let fleet = Fleet::new();
        let nested = format!("{}1{}", open.repeat(DEEP), close.repeat(DEEP));
        let files = folders(&fleet, |fleet, path, before, after| fleet.put(path, format!("{before}{nested}{after}")));
        let scanned = fleet.scan();
        // Parentheses are text in YAML, as which JSON that is none is read too; a file that may be OpenFaaS is passed over where it cannot be read.
        let silent: Vec<&String> = files
            .iter()
            .filter(|file| scanned.codes(file).is_empty() && !file.ends_with("stack.yml"))
            // Keys that nobody knows are passed over at any depth.
            .filter(|file| open != "{\"a\":" || !file.ends_with("package-lock.json"))
            .filter(|file| open != "(" || !text_there.iter().any(|end| file.ends_with(end)))
            .collect();
        assert!(silent.is_empty(), "nothing is said about {silent:?} with {open}");
    }
    // Notebooks are read when asked for.
    let fleet = Fleet::new();
    fleet.put("a.ipynb", format!("{{\"cells\": {}1{}}}", "[".repeat(DEEP), "]".repeat(DEEP)));
    let output = warmset(fleet.0.path(), &["inspect", "a.ipynb"]);
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code().is_some() && said.contains("a.ipynb"), "{said:.500}");
}

#[test]
fn a_nul_in_every_kind_of_file() {
    let fleet = Fleet::new();
    let files = folders(&fleet, |fleet, path, before, after| fleet.put(path, format!("{before}\"\0\"{after}")));
    let wide = |text: &str| [b"\xFF\xFE".to_vec(), text.encode_utf16().flat_map(u16::to_le_bytes).collect()].concat();
    let scanned = fleet.scan();
    // Data may have any name, and is none of this tool's business.
    let data = ["x-json/x.json", "stack-yml/stack.yml"];
    for file in files.iter().filter(|file| !data.contains(&file.as_str())) {
        assert!(!scanned.codes(file).is_empty(), "nothing is said about {file}");
    }
    // The same in UTF-16, where every other byte is one anyway.
    let fleet = Fleet::new();
    let files = folders(&fleet, |fleet, path, before, after| fleet.put(path, wide(&format!("{before}\"\0\"{after}"))));
    let scanned = fleet.scan();
    for file in files.iter().filter(|file| !data.contains(&file.as_str())) {
        assert!(!scanned.codes(file).is_empty(), "nothing is said about {file} in UTF-16");
    }
}

#[test]
fn packages_whose_names_and_versions_are_none() {
    let fleet = Fleet::new();
    let mut locks = Vec::new();
    for (at, (name, version)) in
        [("-", "1"), ("a", "1 2"), ("a b", "1"), ("a==b", "1"), ("", "1")].into_iter().enumerate()
    {
        let mut put = |file: &str, text: String, handler: &str, code: &str| {
            let folder = format!("{at}-{}", file.replace('.', "-"));
            fleet.put(&format!("{folder}/{file}"), text);
            fleet.put(&format!("{folder}/{handler}"), code);
            locks.push(folder);
        };
        let python = |put: &mut dyn FnMut(&str, String, &str, &str), file: &str, text: String| {
            put(file, text, "lambda_function.py", PYTHON)
        };
        python(
            &mut put,
            "uv.lock",
            format!(
                "version = 1\n[[package]]\nname = \"x\"\nversion = \"1\"\nsource = {{ virtual = \".\" }}\ndependencies = [{{ name = \"{name}\" }}]\n[[package]]\nname = \"{name}\"\nversion = \"{version}\"\nsource = {{ registry = \"https://registry.example\" }}\n"
            ),
        );
        python(
            &mut put,
            "pdm.lock",
            format!(
                "[metadata]\nlock_version = \"4.4\"\ngroups = [\"default\"]\n[[package]]\nname = \"{name}\"\nversion = \"{version}\"\ngroups = [\"default\"]\n"
            ),
        );
        python(
            &mut put,
            "pylock.toml",
            format!(
                "lock-version = \"1.0\"\ncreated-by = \"x\"\n[[packages]]\nname = \"{name}\"\nversion = \"{version}\"\n"
            ),
        );
        python(
            &mut put,
            "Pipfile.lock",
            format!("{{\"_meta\": {{}}, \"default\": {{\"{name}\": {{\"version\": \"=={version}\"}}}}}}"),
        );
        put(
            "package-lock.json",
            format!(
                "{{\"lockfileVersion\": 3, \"packages\": {{\"\": {{\"dependencies\": {{\"{name}\": \"*\"}}}}, \"node_modules/{name}\": {{\"version\": \"{version}\"}}}}}}"
            ),
            "index.js",
            NODE,
        );
        put(
            "package.json",
            format!("{{\"dependencies\": {{\"{name}\": \"1.0.0\", \"b\": \"npm:{name}@1.0.0\"}}}}"),
            "index.js",
            NODE,
        );
    }
    let scanned = fleet.scan();
    for folder in locks {
        assert!(scanned.has(&folder), "{folder}");
    }
}

#[test]
fn files_larger_than_any_of_their_kind() {
    let fleet = Fleet::new();
    let files = folders(&fleet, |fleet, path, _, _| fleet.put_sparse(path, 300_000_000));
    fleet.put_sparse("lock/uv.lock", 60_000_000);
    fleet.put("lock/lambda_function.py", PYTHON);
    fleet.put_sparse("zip/fn.zip", 3_000_000_000);
    let scanned = fleet.scan();
    assert_eq!(scanned.codes("lock/uv.lock"), BTreeSet::from(["file-binary"]), "this one is read");
    // A template may have any name, and a YAML file of a megabyte is data.
    let data = ["x-json/x.json", "stack-yml/stack.yml", "func-yaml/func.yaml"];
    for file in files.iter().filter(|file| !data.contains(&file.as_str())) {
        assert_eq!(scanned.codes(file), BTreeSet::from(["file-too-large"]), "{file}");
    }
}

#[test]
fn requirements_that_include_each_other() {
    let fleet = Fleet::new();
    fleet.put("loop/lambda_function.py", PYTHON);
    // Each of many includes all: every path through them would be walked by a reader that only knows its own branch.
    let all: String = (0..40).map(|n| format!("-r r{n}.txt\n-c r{n}.txt\n")).collect();
    for n in 0..40 {
        fleet.put(&format!("loop/r{n}.txt"), format!("{all}six==1.16.0\n"));
    }
    fleet.put("loop/requirements.txt", "-r requirements.txt\n-r r0.txt\n");
    let scanned = fleet.scan();
    assert!(scanned.codes("loop/requirements.txt").contains("lock-cycle"), "{}", scanned.0["diagnostics"]);
    assert!(scanned.has("loop"));
}

#[test]
fn files_and_variables_that_name_each_other_many_times() {
    let fleet = Fleet::new();
    let times = |n: usize, text: &str| vec![text; n].join(", ");
    // Sixteen to the power of the depth, each.
    fleet.put("extends/tsconfig.json", format!("{{\"extends\": [{}]}}", times(16, "\"./tsconfig.json\"")));
    fleet.put(
        "references/tsconfig.json",
        format!("{{\"files\": [], \"references\": [{}]}}", times(16, "{\"path\": \".\"}")),
    );
    for folder in ["extends", "references"] {
        fleet.put(&format!("{folder}/package.json"), "{}");
        fleet.put(
            &format!("{folder}/index.ts"),
            "import '@a/b';\nexport const handler = async (event: unknown) => 1;\n",
        );
    }
    let mut variables = String::from("provider: {name: aws, runtime: python3.12}\ncustom:\n");
    for n in 0..40 {
        variables += &format!("  a{n}: \"${{{}}}\"\n", times(12, &format!("self:custom.a{}", n + 1)));
    }
    fleet.put(
        "variables/serverless.yml",
        variables + "functions:\n  f: {handler: \"${self:custom.a0}\"}\n  g: {handler: app.go}\n",
    );
    fleet.put("variables/app.py", "def go(event, context):\n    return 1\n");
    for n in 0..6 {
        fleet.put(&format!("lists/f{n}.yml"), format!("- ${{file(f{}.yml)}}\n", n + 1).repeat(40));
    }
    fleet.put("lists/f6.yml", "- g: {handler: app.go}\n");
    fleet.put("lists/app.py", "def go(event, context):\n    return 1\n");
    fleet.put("lists/serverless.yml", "provider: {name: aws, runtime: python3.12}\nfunctions: ${file(f0.yml)}\n");
    let scanned = fleet.scan();
    for id in ["extends", "references", "variables/f", "variables/g", "lists/g"] {
        assert!(scanned.has(id), "{id}");
    }
    assert!(!scanned.codes("variables/serverless.yml").is_empty(), "{}", scanned.0["diagnostics"]);
}

#[cfg(unix)]
#[test]
fn links_that_give_a_file_any_number_of_paths() {
    let fleet = Fleet::new();
    fleet.put("fn/lambda_function.py", PYTHON);
    fleet.put("fn/requirements.txt", "-r d/r.txt\n");
    fleet.put("fn/d/r.txt", "-r a/r.txt\n-r b/r.txt\n-r c/r.txt\n");
    for link in ["a", "b", "c"] {
        std::os::unix::fs::symlink(".", fleet.path(&format!("fn/d/{link}"))).unwrap();
    }
    let scanned = fleet.scan();
    assert!(scanned.has("fn"));
    assert!(scanned.0["diagnostics"].to_string().contains("nesting-too-deep"), "{}", scanned.0["diagnostics"]);
}

#[test]
fn odd_encodings_are_read_where_they_are_declared() {
    let fleet = Fleet::new();
    let wide = |text: &str| [b"\xFF\xFE".to_vec(), text.encode_utf16().flat_map(u16::to_le_bytes).collect()].concat();
    let closure = |scanned: &Scanned, id: &str| {
        let all = scanned.0["functions"].as_array().unwrap().iter().find(|f| f["id"] == id).unwrap()["closure"].clone();
        all.as_array().unwrap().len()
    };
    fleet.put("wide/lambda_function.py", PYTHON);
    fleet.put("wide/requirements.txt", wide("six==1.16.0\r\n"));
    fleet.put("mark/index.js", NODE);
    fleet.put("mark/package.json", "\u{feff}{\"dependencies\": {\"ms\": \"2.1.3\"}}");
    fleet.put(
        "latin/lambda_function.py",
        [b"# -*- coding: latin-1 -*-\nimport six # \xE9\n".as_slice(), PYTHON.as_bytes()].concat(),
    );
    fleet.put("latin/requirements.txt", b"# coding: latin-1\n# \xE9\nsix==1.16.0\n");
    fleet.put("bare/lambda_function.py", [b"import six # \xE9\n".as_slice(), PYTHON.as_bytes()].concat());
    fleet.put("bare/requirements.txt", b"# \xE9\nsix==1.16.0\n");
    fleet.put("odd/lambda_function.py", PYTHON);
    fleet.put("odd/requirements.txt", b"\xFF\xFEs\0i");
    let scanned = fleet.scan();
    assert_eq!(["wide", "mark", "latin"].map(|id| closure(&scanned, id)), [1, 1, 1]);
    for file in ["bare/lambda_function.py", "bare/requirements.txt", "odd/requirements.txt"] {
        assert_eq!(scanned.codes(file), BTreeSet::from(["file-encoding"]), "{file}");
    }
    for file in ["wide/requirements.txt", "mark/package.json", "latin/lambda_function.py", "latin/requirements.txt"] {
        assert!(scanned.codes(file).is_empty(), "{file}: {:?}", scanned.codes(file));
    }
}

#[cfg(unix)]
#[test]
fn links_in_circles_out_of_the_fleet_and_names_that_are_no_text() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;

    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret.py"), "import secret_of_another\n").unwrap();
    let fleet = Fleet::new();
    fleet.put("fn/lambda_function.py", format!("import secret, stolen\n\n{PYTHON}"));
    symlink(outside.path().join("secret.py"), fleet.path("fn/secret.py")).unwrap();
    symlink(outside.path(), fleet.path("fn/stolen")).unwrap();
    symlink("..", fleet.path("fn/up")).unwrap();
    symlink("b", fleet.path("fn/a")).unwrap();
    symlink("a", fleet.path("fn/b")).unwrap();
    symlink("fn", fleet.path("again")).unwrap();
    symlink("../../../../../../../../etc/passwd", fleet.path("fn/requirements.txt")).unwrap();
    // A chain of folders, each with a link to the top: followed, it would have more paths than can be counted.
    for depth in 0..12 {
        let folder = (0..=depth).map(|n| format!("d{n}")).collect::<Vec<_>>().join("/");
        fs::create_dir_all(fleet.path(&folder).join("x")).unwrap();
        symlink(fleet.0.path(), fleet.path(&format!("{folder}/top"))).unwrap();
    }
    // Not every file system takes such a name.
    let odd = fleet.0.path().join(OsStr::from_bytes(b"fn/b\xFFd.py"));
    let named = fs::write(&odd, "import six\n").is_ok();
    let scanned = fleet.scan();
    assert!(scanned.has("fn"));
    for link in ["fn/secret.py", "fn/stolen", "fn/requirements.txt"] {
        assert_eq!(scanned.codes(link), BTreeSet::from(["link-leaves-root"]), "{link}");
    }
    assert_eq!(scanned.codes("fn/a"), BTreeSet::from(["file-unreadable"]));
    assert!(!named || scanned.codes("fn/b\u{fffd}d.py").contains("file-unreadable"), "{}", scanned.0["diagnostics"]);
    assert!(!scanned.0.to_string().contains("secret_of_another"));
}

/// An archive of so many empty files (APPNOTE 4.3.7, 4.3.12, 4.3.14 to 4.3.16), made by hand as a library takes a while.
fn entries_without_end(count: u32) -> Vec<u8> {
    let words = |words: &[(u64, usize)]| -> Vec<u8> {
        words.iter().flat_map(|(value, size)| value.to_le_bytes()[..*size].to_vec()).collect()
    };
    let mut out = words(&[(0x0403_4b50, 4), (20, 2)]);
    out.resize(26, 0);
    out.extend([4, 0, 0, 0]);
    out.extend(b"a.py");
    let start = out.len() as u64;
    for n in 0..count {
        let name = format!("m{n:06}.py");
        let mut head = words(&[(0x0201_4b50, 4), (20, 2), (20, 2)]);
        head.resize(28, 0);
        head.push(u8::try_from(name.len()).unwrap());
        head.resize(46, 0);
        out.extend(head);
        out.extend(name.as_bytes());
    }
    let (size, at) = (out.len() as u64 - start, out.len() as u64);
    let count = u64::from(count);
    out.extend(words(&[
        (0x0606_4b50, 4),
        (44, 8),
        (45, 2),
        (45, 2),
        (0, 4),
        (0, 4),
        (count, 8),
        (count, 8),
        (size, 8),
        (start, 8),
    ]));
    out.extend(words(&[(0x0706_4b50, 4), (0, 4), (at, 8), (1, 4)]));
    let none = u64::from(u32::MAX);
    out.extend(words(&[(0x0605_4b50, 4), (0, 2), (0, 2), (none, 2), (none, 2), (none, 4), (none, 4), (0, 2)]));
    out
}

#[test]
fn archives_that_expand_or_reach_out() {
    use zip::write::{SimpleFileOptions, ZipWriter};

    let fleet = Fleet::new();
    let handler = |zip: &mut ZipWriter<File>| {
        zip.start_file("lambda_function.py", SimpleFileOptions::default()).unwrap();
        zip.write_all(PYTHON.as_bytes()).unwrap();
    };
    let zip = |name: &str| ZipWriter::new(File::create(fleet.path(name)).unwrap());
    let mut bomb = zip("bomb.zip");
    handler(&mut bomb);
    bomb.start_file("helper.py", SimpleFileOptions::default()).unwrap();
    let zeros = vec![0; 1 << 20];
    (0..64).for_each(|_| bomb.write_all(&zeros).unwrap());
    bomb.finish().unwrap();
    // Inside another one it is a file like any other.
    let mut nested = zip("nested.zip");
    handler(&mut nested);
    nested.start_file("inner.zip", SimpleFileOptions::default()).unwrap();
    nested.write_all(&fs::read(fleet.path("bomb.zip")).unwrap()).unwrap();
    nested.finish().unwrap();
    fleet.put("many.zip", entries_without_end(100_001));
    let mut out = zip("out.zip");
    handler(&mut out);
    out.start_file("../../evil.py", SimpleFileOptions::default()).unwrap();
    out.start_file("/absolute.py", SimpleFileOptions::default()).unwrap();
    out.add_symlink("link.py", "/etc/passwd", SimpleFileOptions::default()).unwrap();
    out.finish().unwrap();
    // The flag of an encrypted entry (APPNOTE 4.4.4, bit 0) in both of its headers.
    let mut locked = zip("locked.zip");
    handler(&mut locked);
    locked.start_file("secret.py", SimpleFileOptions::default()).unwrap();
    locked.finish().unwrap();
    let mut bytes = fs::read(fleet.path("locked.zip")).unwrap();
    let headers = |bytes: &[u8], mark: &[u8]| {
        (0..bytes.len() - 4).filter(|at| bytes[*at..].starts_with(mark)).collect::<Vec<_>>()
    };
    let local = headers(&bytes, b"PK\x03\x04")[1];
    let central = headers(&bytes, b"PK\x01\x02")[1];
    bytes[local + 6] |= 1;
    bytes[central + 8] |= 1;
    fleet.put("locked.zip", bytes);

    let scanned = fleet.scan();
    for (archive, code) in [
        ("bomb.zip", "archive-expands"),
        ("many.zip", "archive-expands"),
        ("out.zip", "archive-unsafe"),
        ("locked.zip", "archive-unsafe"),
    ] {
        assert_eq!(scanned.codes(archive), BTreeSet::from([code]), "{archive}");
    }
    for id in ["bomb.zip", "nested.zip", "out.zip", "locked.zip"] {
        assert!(scanned.has(id), "{id}");
    }
    assert!(scanned.codes("nested.zip").is_empty());
}
