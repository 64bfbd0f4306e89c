#!/usr/bin/env python3
"""Makes a first corpus for each fuzz target from the project's own fixtures: small files only, one input each."""

import pathlib

ROOT = pathlib.Path(__file__).resolve().parent.parent
CORPUS = ROOT / "fuzz" / "corpus"
LOCKS = {
    "requirements.txt": "requirements", "poetry.lock": "poetry", "uv.lock": "uv", "pdm.lock": "pdm", "Pipfile.lock": "pipfile",
    "pylock.toml": "pylock", "package-lock.json": "package-lock", "npm-shrinkwrap.json": "package-lock", "pnpm-lock.yaml": "pnpm",
    "yarn.lock": "yarn", "bun.lock": "bun",
}
MANIFESTS = {"pyproject.toml", "package.json", "setup.cfg", "setup.py", "Pipfile", "environment.yml"}
SOURCES = {".py", ".js", ".mjs", ".cjs", ".ts", ".tsx", ".jsx", ".ipynb"}
LARGEST = 4_000


def text_of(path):
    try:
        return path.read_text() if path.stat().st_size <= LARGEST else None
    except (UnicodeDecodeError, OSError):
        return None


def put(target, name, text):
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"seed-{name}").write_text(text)


def main():
    for n, path in enumerate(sorted(p for p in (ROOT / "fixtures").rglob("*") if p.is_file())):
        text = text_of(path)
        if text is None:
            continue
        if path.name in LOCKS:
            put("lock", n, f"{LOCKS[path.name]}\n{text}")
        if path.name in MANIFESTS:
            put("manifest", n, f"{path.name}\n{text}")
        if path.suffix in SOURCES:
            put("source", n, f"a{path.suffix}\n{text}")
    # Small folders whole, as fleets.
    for n, folder in enumerate(sorted(p for base in ("fleet", "invalid") for p in (ROOT / "fixtures" / base).iterdir() if p.is_dir())):
        parts = [(p.relative_to(folder).as_posix(), text_of(p)) for p in sorted(folder.rglob("*")) if p.is_file()]
        fleet = "".join(f"@@ {name}\n{text}\n" for name, text in parts if text is not None)
        if 0 < len(fleet) <= 2 * LARGEST:
            put("fleet", n, fleet)
    for n, pair in enumerate([
        "numpy>=1.24,<2 ; python_version >= '3.9'\n1.26.4", "^4.17.1\n4.18.0", "npm:real@~1.2\n1.2.9", "a[b] @ https://registry.example/a-1.0-py3-none-any.whl\n1.0",
        ">=1 <2 || 3.x\n3.1.4", "~=2.2\n2.2.post1", "1.2.3-beta.1+build\n1.2.3", "python3.11-linux-x86_64-glibc\n1", "git+ssh://git@registry.example/a.git#egg=a\n1",
    ]):
        put("specifier", n, pair)
    plan = ROOT / "plans" / "fleet" / "plan.json"
    put("artefact", "plan", plan.read_text()[:LARGEST])
    put("artefact", "inventory", '{"schema":"warmset.inventory/1","functions":[{"id":"f","path":"f","platform":"python3.11-linux-x86_64-glibc","state":"locked","closure":["pypi:six==1.16.0"]}],"packages":[{"id":"pypi:six==1.16.0","requires":[]}]}')
    put("artefact", "plan-small", '{"schema":"warmset.plan/1","name":"p","budget_mb":1,"images":[],"assignments":[]}')
    put("artefact", "trace", "function,count\nf,12\ng,3\n")


if __name__ == "__main__":
    main()
