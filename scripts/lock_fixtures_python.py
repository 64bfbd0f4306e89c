#!/usr/bin/env python3
"""Make the Python locks in fixtures/fleet anew, with the tools that people use.

    python3 scripts/lock_fixtures_python.py            write the locks
    python3 scripts/lock_fixtures_python.py --check    exit 1 if a lock would change

Needs `uv`, `poetry` and `pip-compile` on PATH (pip-compile under Python 3.11: it
locks for the interpreter it runs on) and a package index. Requirement locks follow
scripts/fixtures_constraints.txt; poetry and uv keep what their lock already has, so
a second run changes nothing unless a manifest or the constraints changed.

uv writes the index's address into its lock. The committed locks say registry.example
instead, with paths and file names as they were. All work is done in a copy.
"""

import argparse
import hashlib
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib

import pythons

ROOT = pathlib.Path(__file__).resolve().parent.parent
FLEET = ROOT / "fixtures" / "fleet"
CONSTRAINTS = ROOT / "scripts" / "fixtures_constraints.txt"
EXAMPLE = "https://registry.example"

# folder, Python, tool, hashes?, annotations? : variety on purpose, as in real fleets.
REQUIREMENTS = [
    ("functionbench/chameleon", "3.11", "pip-compile", True, False),
    ("functionbench/matmul", "3.11", "pip-compile", True, False),
    ("functionbench/model-training", "3.11", "pip-compile", True, True),
    ("functionbench/video-processing", "3.11", "uv", True, True),
    ("py-etl-inventory", "3.11", "uv", True, False),
    ("py-etl-s3", "3.11", "pip-compile", True, True),
    ("py-feature-api", "3.11", "uv", False, False),
    ("py-gcs-archive", "3.11", "uv", True, True),
    ("py-quotes-api", "3.12", "uv", True, True),
    ("py-scrape", "3.11", "uv", True, False),
    ("sam-shop/checkout_webhook", "3.12", "uv", True, True),
    ("sam-shop/invoice_pdf", "3.12", "uv", True, True),
    ("sam-shop/orders_api", "3.12", "uv", True, False),
]
POETRY = ["functionbench/lr-prediction", "py-forecast", "py-users-db"]
UV = [("analytics", "3.11"), ("py-auth-jwt", "3.12"), ("py-profile-api", "3.12"), ("py-rates-client", "3.11")]


def run(command: list[str], folder: pathlib.Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed in {folder.name}:\n{(done.stdout + done.stderr)[-3000:]}")


def interpreter(version: str) -> str:
    found = pythons.find(version)
    if found is None:
        raise SystemExit(f"no Python {version} on this machine")
    return found


def requirements(folder: pathlib.Path, python: str, tool: str, hashes: bool, annotate: bool) -> str:
    out = folder / "requirements.txt"
    # Both tools keep pins that their output file already has: seeding it with the
    # constraints pins the fleet's versions and leaves no `-c` in the annotations.
    shutil.copy(CONSTRAINTS, out)
    options = ["--no-emit-index-url", "--no-emit-find-links", "--no-header", "--quiet"]
    options += ["--generate-hashes"] if hashes else []
    options += [] if annotate else ["--no-annotate"]
    if tool == "uv":
        target = ["--python-version", python, "--python-platform", "x86_64-manylinux_2_28"]
        command = ["uv", "pip", "compile", *target, *options]
    else:
        command = ["pip-compile", "--strip-extras", *options]
    run([*command, "requirements.in", "-o", "requirements.txt"], folder)
    return out.read_text()


def hosts(scratch: pathlib.Path) -> tuple[str, str]:
    """The index and the file host that this machine's uv writes into locks."""
    probe = scratch / "probe"
    probe.mkdir()
    (probe / "pyproject.toml").write_text(
        '[project]\nname = "probe"\nversion = "0"\nrequires-python = ">=3.11"\ndependencies = ["idna"]\n'
    )
    run(["uv", "lock", "--quiet", "--python", sys.executable], probe)
    lock = (probe / "uv.lock").read_text()
    index = re.search(r'registry = "(https?://[^"]*?)/?"', lock)[1]
    files = re.search(r'url = "(https?://[^/"]+)/', lock)[1]
    return index, files


def uv_lock(folder: pathlib.Path, python: str, index: str, files: str) -> str:
    path = folder / "uv.lock"
    if path.exists():
        text = path.read_text().replace(f"{EXAMPLE}/simple", index)
        path.write_text(text.replace(f"{EXAMPLE}/", f"{files}/"))
    run(["uv", "lock", "--quiet", "--python", interpreter(python)], folder)
    text = path.read_text().replace(index, f"{EXAMPLE}/simple")
    return text.replace(f"{files}/", f"{EXAMPLE}/")


SOURCE = '\n[package.source]\ntype = "legacy"\nurl = "{index}"\nreference = "registry"\n'


def poetry_lock(folder: pathlib.Path, index: str) -> str:
    """Lock through the simple index, which a mirror always has.

    Poetry's built-in index needs an API beyond PEP 503/691 for each release. Naming the
    simple index as a source avoids it; the source is then taken out of the lock again,
    and poetry itself checks the result against the manifest as committed.
    """
    manifest, path = folder / "pyproject.toml", folder / "poetry.lock"
    committed = manifest.read_text()
    source = SOURCE.format(index=index)
    manifest.write_text(
        f'{committed}\n[[tool.poetry.source]]\nname = "registry"\nurl = "{index}/"\npriority = "primary"\n'
    )
    if path.exists():
        head, *packages = path.read_text().split("\n[[package]]\n")
        last, metadata = packages.pop().split("\n[metadata]\n")
        packages = [package + source for package in [*packages, last]]
        path.write_text("\n[[package]]\n".join([head, *packages]) + "\n[metadata]\n" + metadata)
    run(["poetry", "lock", "--no-interaction"], folder)
    manifest.write_text(committed)
    text = path.read_text().replace(source, "")
    text = re.sub(r'content-hash = "\w+"', f'content-hash = "{content_hash(committed)}"', text)
    path.write_text(text)
    run(["poetry", "check", "--lock", "--no-interaction"], folder)
    return text


def content_hash(manifest: str) -> str:
    """Poetry's hash of the parts of a manifest that decide its lock."""
    data = tomllib.loads(manifest)
    poetry = data.get("tool", {}).get("poetry", {})
    keys = ("requires-python", "dependencies", "optional-dependencies")
    project = {key: data["project"][key] for key in keys if key in data.get("project", {})}
    groups = data.get("dependency-groups", {})
    legacy = ("dependencies", "source", "extras", "dev-dependencies")
    content = {
        key: poetry.get(key)
        for key in (*legacy, "group")
        if key in poetry or (key in legacy and not project and not groups)
    }
    if project or groups:
        content = {"tool": {"poetry": content}}
        content |= {"project": project} if project else {}
        content |= {"dependency-groups": groups} if groups else {}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def foreign_hosts(text: str) -> list[str]:
    """Addresses in a lock that are neither the example host nor a source repository."""
    found = re.findall(r"https?://[A-Za-z0-9.-]+", text)
    return sorted({url for url in found if not re.search(r"registry\.example$|(github|gitlab)\.com$", url)})


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--check", action="store_true", help="write nothing; exit 1 if a lock would change")
    check = arguments.parse_args().check

    made: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as scratch_name:
        scratch = pathlib.Path(scratch_name)
        copy = scratch / "fleet"
        shutil.copytree(FLEET, copy, ignore=shutil.ignore_patterns("node_modules", "__pycache__", ".venv"))
        for folder, *how in REQUIREMENTS:
            made[f"{folder}/requirements.txt"] = requirements(copy / folder, *how)
        index, files = hosts(scratch)
        for folder in POETRY:
            made[f"{folder}/poetry.lock"] = poetry_lock(copy / folder, index)
        for folder, python in UV:
            made[f"{folder}/uv.lock"] = uv_lock(copy / folder, python, index, files)

    changed = 0
    for name, text in sorted(made.items()):
        if foreign := foreign_hosts(text):
            raise SystemExit(f"{name} names hosts: {', '.join(foreign)}")
        path = FLEET / name
        if path.exists() and path.read_text() == text:
            print(f"same     {name}")
            continue
        changed += 1
        print(f"{'differs' if check else 'written'}  {name}")
        if not check:
            path.write_text(text)
    print(f"{len(made)} locks, {changed} {'differ' if check else 'written'}")
    return 1 if check and changed else 0


if __name__ == "__main__":
    sys.exit(main())
