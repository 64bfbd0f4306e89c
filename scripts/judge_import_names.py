#!/usr/bin/env python3
"""Judges the tables of import names by the metadata of installed distributions.

    python3 scripts/judge_import_names.py [--write] [--only NAMES] [--install NAMES] [FOLDER...]

FOLDERs are searched for `*.dist-info` (site-packages, targets of `pip install --target`). The truth is each distribution's
RECORD: the folders and modules it installs, down to where a namespace ends, less private ones and tests. Each is asked of the
tables twice, by examples/import_names.rs: among the distributions of the same folder, as a lock would restrict it, and
without any. --only limits the judgement to distributions listed in a file (one a line); those never installed are
counted as not judged. --install first installs the distributions listed in a file, as wheels and without what they require,
into a folder of each below ${XDG_CACHE_HOME:-~/.cache}/warmset-ci/names (uv; nothing is built or imported); as each is alone
there, the restriction is to all of them at once. --write keeps the truth in src/resolve/data/judged-names.tsv, which a test holds the tables to.
Standard library only; without --install nothing is downloaded, and no distribution is imported.
"""

import argparse
import collections
import csv
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
TRUTH = ROOT / "src" / "resolve" / "data" / "judged-names.tsv"
# Shipped beside the code by mistake or for development: nobody imports them from an installation.
BESIDE = re.compile(r"_.*|tests?|testing|docs?|examples?|samples?|scripts|benchmarks?|tools|build|dist|bin|conftest|setup|.*_tests?|test_.*|.*__mypyc")
MODULE = re.compile(r"([^\W\d]\w*)(\.[^/]+\.(so|pyd)|\.(py|so|pyd))$")
# A module in a namespace package is looked for no deeper than this.
DEEPEST = 4


def normalise(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def modules(info: pathlib.Path) -> set[str]:
    """Importable names that a distribution installs, the shortest that it has to itself."""
    record = info / "RECORD"
    files = [row[0] for row in csv.reader(record.open(encoding="utf-8")) if row] if record.exists() else []
    parts = [file.split("/") for file in files if MODULE.search(file.rsplit("/", 1)[-1])]
    packages = {"/".join(p[:-1]) for p in parts if p[-1].startswith("__init__.")}
    found = set()
    for path in parts:
        *folders, file = path
        if any(not folder.isidentifier() for folder in folders):
            continue
        names = folders if file.startswith("__init__.") else folders + [MODULE.search(file).group(1)]
        # Down to the first folder with an __init__, that is the end of a namespace.
        for depth in range(1, len(names) + 1):
            if depth == len(names) or "/".join(names[:depth]) in packages:
                if depth <= DEEPEST and not any(BESIDE.fullmatch(name) for name in names[:depth]):
                    found.add(".".join(names[:depth]))
                break
    # A namespace that is made of __init__ files with a line in each (pkg_resources, pkgutil).
    for name in list(found):
        init = info.parent / name.replace(".", "/") / "__init__.py"
        if name.count(".") == 0 and init.exists() and init.stat().st_size < 400:
            text = init.read_text(errors="replace")
            if "declare_namespace" in text or "extend_path" in text:
                found.discard(name)
                inner = {".".join(p[:2]) for p in parts if p[0] == name and len(p) > 2}
                found |= {i for i in inner if all(x.isidentifier() for x in i.split("."))}
    return found


def install(names: list[str]) -> pathlib.Path:
    """The newest wheel of each for the first of some Python versions that has one."""
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "warmset-ci" / "names"
    for name in names:
        target = cache / normalise(name)
        for version in ("3.12", "3.9", "3.7"):
            if any(target.glob("*.dist-info")):
                break
            command = ["uv", "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:", "--python-version", version]
            command += ["--python-platform", "x86_64-manylinux_2_28", "--target", str(target), name]
            subprocess.run(command, check=False, capture_output=True)
    return cache


def ask(questions: list[str]) -> list[tuple[str, list[str]]]:
    command = ["cargo", "run", "--quiet", "-j2", "--example", "import_names"]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, input="\n".join(questions) + "\n")
    answers = [line.split("\t") for line in done.stdout.splitlines()]
    return [(kind, names.split(",") if names else []) for _, kind, names in answers]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--only", type=pathlib.Path)
    parser.add_argument("--install", type=pathlib.Path)
    parser.add_argument("folders", nargs="*", type=pathlib.Path)
    arguments = parser.parse_args()
    if arguments.install:
        arguments.folders.append(install(arguments.install.read_text().split()))
    elif not arguments.folders:
        parser.error("no folder to look in")
    truth = collections.defaultdict(set)
    beside = collections.defaultdict(set)
    for folder in arguments.folders:
        for info in sorted(folder.rglob("*.dist-info")):
            name = normalise(info.name.removesuffix(".dist-info").rsplit("-", 1)[0])
            beside[info.parent].add(name)
            if not name.startswith("types-") and not name.endswith("-stubs"):
                for module in modules(info):
                    truth[module, name].add(info.parent)
    wanted = {normalise(n) for n in arguments.only.read_text().split()} if arguments.only else {d for _, d in truth}
    rows = sorted((module, name) for module, name in truth if name in wanted)
    judged = {name for _, name in rows}
    print(f"{len(judged)} distributions with {len(rows)} names; not judged: {' '.join(sorted(wanted - judged)) or 'none'}")
    if arguments.write:
        header = "# Made by scripts/judge_import_names.py from installed metadata (RECORD): module, distribution.\n"
        TRUTH.write_text(header + "".join(f"{module}\t{name}\n" for module, name in rows))
    providers = collections.defaultdict(set)
    for module, name in truth:
        providers[module].add(name)
    everything = set().union(*beside.values())
    near = {folder: everything if len(names) == 1 else names for folder, names in beside.items()}
    restricted = [f"{m}\t{','.join(sorted(near[min(truth[m, d])] | {d}))}" for m, d in rows]
    bad = 0
    for title, questions in ("among those installed beside", restricted), ("without restriction", [m for m, _ in rows]):
        count = collections.Counter()
        wrong = []
        for (module, name), (kind, names) in zip(rows, ask(questions), strict=True):
            if kind == "one" and names == [name]:
                verdict = "right"
            elif name in names:
                # Any of them is right where several install it.
                verdict = "right, of several" if names[0] in providers[module] else "ambiguous, another one first"
            else:
                verdict = "none" if kind == "none" else "wrong"
                wrong.append(f"  {module}: {name}, not {' or '.join(names) or 'unknown'}")
            count[verdict] += 1
        right = count["right"] + count["right, of several"]
        print(f"{title}: {100 * right / len(rows):.1f} % right;", ", ".join(f"{v} {k}" for k, v in sorted(count.items())))
        print("\n".join(wrong))
        bad += right < 0.95 * len(rows)
    return 1 if bad else 0


sys.exit(main())
