#!/usr/bin/env python3
"""Makes the tables from import names to distributions in src/resolve/data.

    python3 scripts/import_names.py [--cache DIR]

Facts come from two published packages, downloaded at the pinned versions below (DIR keeps them):

  pyimport2pkg 1.0.0 (MIT)           top-level names of the 15,000 most downloaded distributions, with downloads
  pigar 2.2.0 (BSD-3-Clause)         top-level names of 655 thousand distributions

popular-names.tsv   from the first, completed by the second for the same distributions: one module a line with its
                    distributions, the usual one first; a module alone means the distribution of the same name; `*` marks
                    a namespace whose parts many distributions share, `?` a module that too many others ship to say
                    what is meant by it. Lines that begin with `=` name distributions
                    that no other line names by its module. Sorted by bytes, so that it is searched without being unpacked.
rare-names.bin      pairs of module and distribution of everything else, as fingerprints: enough to confirm that a
                    declared distribution provides a module, of no use for naming one. Layout: see names/table.rs.

Left out: names that cannot be imported, and those that too many distributions ship by accident (`tests`, `docs`, `utils`).
import-names.tsv, by hand, comes before both. Standard library only.
"""

import argparse
import collections
import pathlib
import re
import sqlite3
import struct
import subprocess
import sys
import tempfile
import zipfile

SOURCES = {"pyimport2pkg": "1.0.0", "pigar": "2.2.0"}
DATA = pathlib.Path(__file__).resolve().parent.parent / "src" / "resolve" / "data"
HEADER = """\
# Made by scripts/import_names.py from the metadata gathered in pyimport2pkg {pyimport2pkg} (PyPI, MIT) and pigar {pigar} (PyPI,
# BSD-3-Clause); see NOTICE beside this file. Module, then its distributions, the most downloaded first.
"""

# Shipped by this many distributions of another name, a module is taken for an accident of packaging ...
ACCIDENT = 40
# ... unless it is one of these, looked at one by one: packages that are often vendored or forked, and namespaces.
MEANT = set("agents backports botocore build datasets discord docker ops pyrogram requirements twisted twitter".split())
NAMESPACES = set(
    """Products airflow ansys aws_cdk aws_solutions_constructs awslabs azure azureml backports ckanext collective dbt docassemble
    fds flytekitplugins google infi jaraco livekit llama_index nvidia odoo openerp opentelemetry orangecontrib plone repoze
    ruamel sage sphinxcontrib stactools tencentcloud trytond winrt xontrib xstatic z3c zc zope""".split()
)
# Shipped by this many, and by none that is downloaded this often, a module is nobody's.
CONTESTED, ESTABLISHED = 5, 250_000
# This many popular distributions under one module make a namespace as well.
SHARED = 10
# Another distribution is the usual one only when it is downloaded this much more often than that of the module's name.
CLEARLY = 3

BUCKETS = 1 << 17


def normalise(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def read(cache: pathlib.Path):
    """Downloads by distribution, pairs of the popular ones, pairs of all."""
    for name, version in SOURCES.items():
        wheel = cache / f"{name}-{version}-py3-none-any.whl"
        if not wheel.exists():
            command = ["download", "--quiet", "--no-deps", "--only-binary=:all:", "-d", str(cache), f"{name}=={version}"]
            subprocess.run([sys.executable, "-m", "pip", *command], check=True)
        for member in ("pyimport2pkg/data/mapping.db", "pigar/.db.sqlite3"):
            if member.startswith(name) and not (cache / member).exists():
                zipfile.ZipFile(wheel).extract(member, cache)
    first = sqlite3.connect(cache / "pyimport2pkg/data/mapping.db")
    downloads = collections.Counter()
    for name, count in first.execute("SELECT package_name, download_count FROM packages"):
        downloads[normalise(name)] += count
    popular = {(m, normalise(d)) for m, d in first.execute("SELECT module_name, package_name FROM mappings")}
    second = sqlite3.connect(cache / "pigar/.db.sqlite3")
    names = {i: normalise(name) for i, name in second.execute("SELECT id, name FROM distributions")}
    pairs = second.execute("SELECT name, distribution_id FROM top_level_module_names")
    return downloads, popular, {(m, names[i]) for m, i in pairs if i in names}


def fingerprint(module: str, distribution: str) -> int:
    """FNV-1a, 64 bits, then two rounds of mixing, as names/table.rs does it."""
    mask = (1 << 64) - 1
    value = 0xCBF29CE484222325
    for byte in f"{module}\0{distribution}".encode():
        value = ((value ^ byte) * 0x100000001B3) & mask
    value = ((value ^ (value >> 32)) * 0xD6E8FEB86659FD93) & mask
    return value ^ (value >> 32)


def popular_table(downloads, popular, others) -> list[str]:
    by_module = collections.defaultdict(set)
    for module, distribution in popular:
        by_module[module].add(distribution)
    lines, named = [], set()
    for module, distributions in by_module.items():
        own = normalise(module)
        if module in NAMESPACES or (len(distributions) >= SHARED and module not in MEANT):
            lines.append(f"{module}\t*")
            continue
        order = sorted(distributions, key=lambda d: (-downloads[d], d))
        if own in distributions and downloads[order[0]] < CLEARLY * downloads[own]:
            order.remove(own)
            order.insert(0, own)
        # Names of distributions are looked for under the module that they suggest.
        if own in distributions and module == own.replace("-", "_"):
            named.add(own)
        if others[module] >= CONTESTED and downloads[order[0]] < ESTABLISHED:
            lines.append("\t".join([module, "?", *order]))
            continue
        lines.append(module if order == [own] else "\t".join([module, *order]))
    lines += [f"={name}" for name in downloads if name not in named]
    return sorted(lines, key=str.encode)


def rare_table(pairs) -> bytes:
    buckets = [set() for _ in range(BUCKETS)]
    for module, distribution in pairs:
        value = fingerprint(module, distribution)
        buckets[value >> 47].add((value >> 23) & 0xFFFFFF)
    counts = bytes(len(bucket) for bucket in buckets)
    starts, total = [], 0
    for at in range(0, BUCKETS, 256):
        starts.append(total)
        total += sum(counts[at : at + 256])
    body = b"".join(value.to_bytes(3, "little") for bucket in buckets for value in sorted(bucket))
    return struct.pack(f"<{len(starts)}I", *starts) + counts + body


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--cache", type=pathlib.Path)
    cache = arguments.parse_args().cache or pathlib.Path(tempfile.mkdtemp())
    downloads, popular, pairs = read(cache)
    popular |= {(m, d) for m, d in pairs if d in downloads}
    others = collections.Counter(m for m, d in pairs | popular if normalise(m) != d)

    def meant(module: str) -> bool:
        importable = re.fullmatch(r"[^\W\d]\w*", module) and not re.fullmatch(r"__\w+__", module)
        return bool(importable) and (others[module] < ACCIDENT or module in MEANT or module in NAMESPACES)

    popular = {pair for pair in popular if meant(pair[0])}
    rare = {(m, d) for m, d in pairs if meant(m) and normalise(m) != d and (m, d) not in popular}
    # Which part of a namespace a popular distribution provides is not in the data: only that it has one.
    rare |= {(m, d) for m, d in popular if m in NAMESPACES}
    lines = popular_table(downloads, popular, others)
    (DATA / "popular-names.tsv").write_bytes((HEADER.format(**SOURCES) + "\n".join(lines) + "\n").encode())
    (DATA / "rare-names.bin").write_bytes(rare_table(rare))
    print(f"{len(downloads)} popular distributions, {len(popular)} pairs, {len(rare)} rare pairs")


main()
