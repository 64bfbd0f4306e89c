#!/usr/bin/env python3
"""Makes first inputs for every fuzz target out of what the repository holds: the fixtures, and the texts that unit tests read.

Into the folder that is named, one subfolder a target; nothing else is touched. Needs Python 3.9 and nothing more.
"""

import io
import json
import pathlib
import re
import sys
import zipfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
LARGEST = 4_000
LOCKS = {
    "requirements.txt": "requirements", "poetry.lock": "poetry", "uv.lock": "uv", "pdm.lock": "pdm", "Pipfile.lock": "pipfile",
    "pylock.toml": "pylock", "package-lock.json": "package-lock", "npm-shrinkwrap.json": "package-lock", "pnpm-lock.yaml": "pnpm",
    "yarn.lock": "yarn", "bun.lock": "bun",
}
# Modules whose unit tests hold texts of a kind.
LOCK_MODULES = {
    "requirements": "requirements", "poetry": "poetry", "uv": "uv", "pdm": "pdm", "pipfile_lock": "pipfile", "pylock": "pylock",
    "package_lock": "package-lock", "npm_layout": "package-lock", "pnpm": "pnpm", "yarn": "yarn", "yarn_v1": "yarn",
    "yarn_berry": "yarn", "bun": "bun",
}
MANIFEST_MODULES = {
    "pyproject": "pyproject.toml", "package_json": "package.json", "overrides": "package.json", "workspaces": "package.json",
    "setup_cfg": "setup.cfg", "setup_py": "setup.py", "setup": "setup.py", "setup_idioms": "setup.py", "pipfile": "Pipfile",
    "conda": "environment.yml", "requirement_lines": "requirements.in",
}
MANIFESTS = set(MANIFEST_MODULES.values()) | {"environment.yaml"}
SOURCES = {".py", ".js", ".mjs", ".cjs", ".jsx", ".ts", ".mts", ".cts", ".tsx", ".ipynb"}
PROJECT = {
    "tsconfig.json", "tsconfig.base.json", "jsconfig.json", "package.json", "pnpm-workspace.yaml", "lerna.json", "pyproject.toml",
    ".python-version", ".nvmrc", ".tool-versions", "runtime.txt", "METADATA", "RECORD", "top_level.txt",
}
DECLARED = {".yaml", ".yml", ".json", ".toml", ".tf", ".tofu", ".template", ".sh", ".Dockerfile"}
NAMED = {"Dockerfile", "Containerfile", "Makefile", "Procfile", "function_app.py", ".funcignore"}
LITERAL = re.compile(r'b?r(#+)"(?P<raw>.*?)"\1|b?r"(?P<bare>[^"]*)"|b?"(?P<text>(?:[^"\\]|\\.)*)"', re.S)
ESCAPE = re.compile(r"\\(?:u\{([0-9a-fA-F]+)\}|x([0-9a-fA-F]{2})|\n\s*|(.))", re.S)
PLAIN = {"n": "\n", "t": "\t", "r": "\r", "0": "\0"}
PATH = re.compile(r"[\w@.\[\]-]+(/[\w@.\[\]-]+)*")


def unescape(match):
    if match["raw"] is not None or match["bare"] is not None:
        return match["raw"] if match["raw"] is not None else match["bare"]

    def one(e):
        if e[1] or e[2]:
            return chr(int(e[1] or e[2], 16))
        return PLAIN.get(e[3], e[3]) if e[3] else ""

    return ESCAPE.sub(one, match["text"])


def literals(code):
    """String literals of Rust code with the name that they are bound to, where they are."""
    for match in LITERAL.finditer(code):
        bound = re.search(r"(?:let|const) (\w+)(?:: &(?:'static )?(?:str|\[u8\]))? =\s*$", code[max(0, match.start() - 80):match.start()])
        yield match, unescape(match), bound and bound[1]


def pairs(test):
    """Files that one test lays out: `("path", "text")`, or with the name of a text."""
    found = list(literals(test))
    names = {name: text for _, text, name in found if name}
    files = {}
    for at, (match, path, _) in enumerate(found):
        before, after = test[:match.start()].rstrip(), test[match.end():match.end() + 80]
        if not before.endswith("(") or not PATH.fullmatch(path):
            continue
        named = re.match(r",\s*(\w+)(?:\.as_bytes\(\))?,?\s*\)", after)
        if named and named[1] in names:
            files[path] = names[named[1]]
        elif at + 1 < len(found) and re.fullmatch(r",\s*", test[match.end():found[at + 1][0].start()]):
            files[path] = found[at + 1][1]
    return files


class Corpus:
    def __init__(self, folder):
        self.folder, self.count = folder, {}

    def put(self, target, data):
        data = data.encode() if isinstance(data, str) else data
        if len(data) > 2 * LARGEST:
            return
        folder = self.folder / target
        folder.mkdir(parents=True, exist_ok=True)
        number = self.count[target] = self.count.get(target, 0) + 1
        (folder / f"seed-{number:04}").write_bytes(data)

    def file(self, path, text):
        """A file of its own: to every target that reads files of its name."""
        name, suffix = path.rsplit("/", 1)[-1], "." + path.rsplit(".", 1)[-1]
        if name in LOCKS:
            self.put("lock", f"{LOCKS[name]}\n{text}")
        if name in MANIFESTS:
            self.put("manifest", f"{name}\n{text}")
        if suffix in SOURCES and text:
            self.put("source", f"a{suffix}\n{text}")
        if name in PROJECT or name.endswith(".json") and "tsconfig" in name:
            self.put("project", f"{path}\n{text}")
        if suffix in DECLARED and name not in LOCKS or name in NAMED or name.startswith(("serverless.", "Dockerfile")):
            self.put("declaration", f"{path}\n{text}")
            if suffix in DECLARED:
                self.put("document", text)

    def fleet(self, files):
        self.put("fleet", "".join(f"@@ {path}\n{text}\n" for path, text in sorted(files.items())))


def text_of(path):
    try:
        return path.read_text() if path.stat().st_size <= LARGEST else None
    except (UnicodeDecodeError, OSError):
        return None


def fixtures(corpus):
    for path in sorted(p for p in (ROOT / "fixtures").rglob("*") if p.is_file()):
        text = text_of(path)
        if text is not None and path.name != "expect.json":
            corpus.file(path.name, text)
    for folder in sorted(p for base in ("fleet", "invalid") for p in (ROOT / "fixtures" / base).iterdir() if p.is_dir()):
        files = {p.relative_to(folder).as_posix(): text_of(p) for p in sorted(folder.rglob("*")) if p.is_file()}
        corpus.fleet({path: text for path, text in files.items() if text is not None})


def unit_tests(corpus):
    for path in sorted((ROOT / "src").rglob("*.rs")):
        _, marker, code = path.read_text().partition("#[cfg(test)]")
        if path.name == "tests.rs":
            code, marker = path.read_text(), True
        if not marker:
            continue
        module = path.stem if path.stem != "tests" else path.parent.name
        layer = path.relative_to(ROOT / "src").parts[0]
        for test in code.split("#[test]"):
            files = pairs(test)
            for name, text in files.items():
                corpus.file(name, text)
            if len(files) > 1 and layer in ("discover", "resolve"):
                corpus.fleet(files)
            for _, text, _ in literals(test):
                if layer == "lock" and len(text) > 12 and ("\n" in text or module in ("package_json", "overrides", "bun", "package_lock")):
                    if module in LOCK_MODULES:
                        corpus.put("lock", f"{LOCK_MODULES[module]}\n{text}")
                    if module in MANIFEST_MODULES:
                        corpus.put("manifest", f"{MANIFEST_MODULES[module]}\n{text}")
                if layer == "source" and len(text) > 8 and re.search(r"import|require|setup|export", text):
                    if "setup" in module:
                        corpus.put("manifest", f"setup.py\n{text}")
                    notebook = module == "notebook" and text.startswith("{")
                    suffix = "ipynb" if notebook else "py" if "python" in path.parts else "tsx"
                    corpus.put("source", f"a.{suffix}\n{text}")
                if module in ("pep508", "npm_range", "wheel", "requirements", "name", "platform") and 0 < len(text) < 200 and "\n" not in text:
                    corpus.put("specifier", f"{text}\n1.2.3")
                if module in ("doc", "values", "hcl") and len(text) > 4:
                    corpus.put("document", text)
                if module in ("hcl", "terraform") and "=" in text:
                    corpus.put("declaration", f"main.tf\n{text}")
                if module in ("program", "cdk") and len(text) > 20:
                    suffix = "py" if re.search(r"^(from|import) \w+( import|$)", text, re.M) else "ts"
                    corpus.put("declaration", f"stack.{suffix}\n{text}")
                if module == "dockerfile" and len(text) > 8:
                    corpus.put("declaration", f"Dockerfile\n{text}")


def archives(corpus):
    def zipped(files, method=zipfile.ZIP_DEFLATED):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", method) as archive:
            for name, text in files.items():
                archive.writestr(zipfile.ZipInfo(name), text, method)
        return out.getvalue()

    app = "import flask, helper\n\ndef handler(event, context):\n    return 1\n"
    built = {
        "app.py": app, "helper.py": "import six\n", "flask/__init__.py": "", "flask-2.0.1.dist-info/METADATA": "Name: Flask\nVersion: 2.0.1\nRequires-Dist: click (>=7)\n",
        "flask-2.0.1.dist-info/RECORD": "flask/__init__.py,,\n../../bin/flask,,\n",
    }
    node = {
        "index.js": "require('ms')", "package.json": '{"dependencies": {"ms": "^2"}}', "node_modules/ms/package.json": '{"name": "ms", "version": "2.1.3"}',
    }
    for files in (built, node, {"../out.py": "x", "/abs.py": "x", "a/../../b.py": "", "app.py": app}, {"c:/x.py": "", "a\\b.py": "", "app.py": app}, {}):
        corpus.put("archive", zipped(files))
        corpus.put("archive", zipped(files, zipfile.ZIP_STORED))
    corpus.put("archive", zipped({"app.py": app, "data.py": "\0" * 1_100_000}))
    link = zipfile.ZipInfo("link.py")
    link.external_attr = 0o120777 << 16
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(link, "/etc/passwd")
        archive.writestr("app.py", app)
        archive.comment = b"a comment"
    corpus.put("archive", out.getvalue())
    corpus.put("archive", b"before" + out.getvalue())
    with zipfile.ZipFile(out := io.BytesIO(), "w") as archive:
        with archive.open("app.py", "w", force_zip64=True) as entry:
            entry.write(app.encode())
    corpus.put("archive", out.getvalue())


def artefacts(corpus):
    function = {"id": "f", "path": "f", "platform": "python3.11-linux-x86_64-glibc", "state": "locked", "closure": ["pypi:six==1.16.0"]}
    package = {"id": "pypi:six==1.16.0", "requires": []}
    note = {"file": "f/app.py", "line": 3, "code": "import-missing", "severity": "warning", "reason": "x", "next_step": "y", "function": "f"}
    inventory = {"schema": "warmset.inventory/1", "functions": [function], "packages": [package]}
    shard = inventory | {"files": {"seen": 3, "sources": 2, "read": 1}, "diagnostics": [note]}
    cost = {"package": "pypi:six==1.16.0", "load_ms": 4, "resident_mb": 1.5, "disk_mb": 0.1, "confidence": "measured"}
    key = "py311-x86_64-glibc-3f9a01c2d4e5"
    record = {
        "schema": "warmset.resolved/1", "key": key, "resolved_on": "2026-01-01", "tool": "uv", "tool_version": "uv 1", "platform": "python3.11-linux-x86_64-glibc",
        "inputs": "00", "requirements": ["six"], "lock": "requirements.txt", "functions": ["f"],
    }
    for value in (
        inventory, shard, {"schema": "warmset.plan/1", "name": "p", "budget_mb": 1, "images": [], "assignments": []},
        {"schema": "warmset.costs/1", "entries": [cost], "languages": {"python": {"image_overhead_mb": 8, "swap_base_ms": 5, "swap_ms_per_mb": 1}}},
    ):
        corpus.put("artefact", json.dumps(value))
    for plan in sorted((ROOT / "plans").rglob("*.json")):
        text = plan.read_text()
        corpus.put("artefact", text)
    corpus.put("artefact", f"{json.dumps(record)}\n@@\nsix==1.16.0 --hash=sha256:{'0' * 64}\n")
    for text in ("function,count\nf,12\ng,3\n", "timestamp,function\n1,f\n2.5,f\n2026-01-01T00:00:00Z,g\n", "HashOwner,HashApp,HashFunction,Trigger,1,2,3\no,a,f,http,0,4,1\n", "six==1.16.0\nms@2.1.3 # both\n@a/b@1.0.0\n"):
        corpus.put("artefact", text)
    other = shard | {"functions": [function | {"id": "g", "state": "unlocked", "closure": []}], "parts": [{"part": "shard 1/3", "files": {"seen": 3, "sources": 2, "read": 1}, "sources_read": ["g/app.py"]}]}
    differs = inventory | {"functions": [function | {"closure": []}], "parts": [{"part": "path f", "files": {"seen": 1, "sources": 1, "read": 1}, "sources_read": []}]}
    for records in ([inventory], [shard, other], [inventory, other, differs], [shard, shard], []):
        corpus.put("merge", "".join(json.dumps(record) + "\n" for record in records))
    corpus.put("merge", json.dumps(shard, indent=1))
    for change in (b"", b"\0\0\1{", b"\x10\0\4null", b"\x20\1\2[]\x40\0\1x"):
        corpus.put("cache", change)


def specifiers(corpus):
    for pair in (
        "numpy>=1.24,<2 ; python_version >= '3.9'\n1.26.4", "^4.17.1\n4.18.0", "npm:real@~1.2\n1.2.9", ">=1 <2 || 3.x\n3.1.4", "~=2.2\n2.2.post1",
        "a[b] @ https://registry.example/a-1.0-py3-none-any.whl\n1.0", "1.2.3-beta.1+build\n1.2.3", "python3.11-linux-x86_64-glibc\n1",
        "git+ssh://git@registry.example/a.git#egg=a\n1", "a-1.0-1-cp311-abi3-manylinux_2_17_x86_64.manylinux2014_x86_64.whl\n1", "../a/./b\n../../c",
    ):
        corpus.put("specifier", pair)


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: seed.py FOLDER")
    corpus = Corpus(pathlib.Path(sys.argv[1]))
    for make in (fixtures, unit_tests, archives, artefacts, specifiers):
        make(corpus)
    for target, count in sorted(corpus.count.items()):
        print(f"{target}: {count}")


if __name__ == "__main__":
    main()
