#!/usr/bin/env python3
"""Measure what the packages of the Python fixtures cost to load.

    python3 scripts/measure_prior.py --cache DIR [--repetitions 7] [--out src/cost/prior-python.json]

DIR is the cache of run_fixtures.py; environments that are missing are made. Each
repetition is a fresh process that imports what the functions of one environment import
(read from their sources, lazy imports too, type-checking ones not), with compiled
bytecode in place. Units: MB = 10^6 bytes, ms = CPU milliseconds.

What is measured (import_probe.py has the tracer):
  load_ms, resident_mb   exclusive CPU time and growth of resident memory of each module,
      summed by the distribution whose RECORD lists the module's file. A module of the
      standard library, a built-in or a namespace is charged to the distribution whose
      module triggers its first import; imports that a handler makes itself come in the
      order of its source. Median over repetitions, then median over environments.
      The tracer's own time is taken out in proportion: an environment's CPU times are
      scaled to what the same imports take without it. A negative median (memory was
      returned) counts as 0.
  spread   (p75 - p25) / median of load_ms over all samples; 0 when the median is 0.
  packages that no import of any fixture loads (a closure has them all the same) get
      the cost of importing their own top-level modules after everything else; their
      names stand in fit.never_imported.
  disk_mb  sum of the files in RECORD, without bytecode.
  image_overhead_mb   private memory of a warm host with no package, while another
      process of the same interpreter runs.
  swap_*   least squares over environments: CPU ms of parent and child from fork to the
      child's first answer, against the resident MB that the packages added.
  *_per_disk_mb   median ratio over packages of at least 0.5 MB. A poor predictor, and fit
      says how poor; the power law there, from the same packages, is better.
"""

import argparse
import ast
import collections
import json
import math
import os
import pathlib
import platform
import re
import statistics
import subprocess
import sys
import tempfile

import python_fleet

PROBE = python_fleet.ROOT / "scripts" / "import_probe.py"
FORK_ENVIRONMENTS = 12
MANY_MODULES = 12
RATIO_FROM_MB = 0.5
MB = 1e6


# --- what functions import ---------------------------------------------------


class Imports(ast.NodeVisitor):
    """[module, name] of each absolute import, in the order of the source."""

    def __init__(self) -> None:
        self.found: list[tuple[str, str | None]] = []

    def visit_If(self, node: ast.If) -> None:
        if "TYPE_CHECKING" in ast.unparse(node.test):
            for statement in node.orelse:
                self.visit(statement)
        else:
            self.generic_visit(node)

    def visit_Import(self, node: ast.Import) -> None:
        self.found += [(alias.name, None) for alias in node.names]

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        if node.level == 0 and node.module:
            self.found += [(node.module, alias.name) for alias in node.names]

    def visit_Call(self, node: ast.Call) -> None:
        literal = node.args and isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, str)
        if literal and ast.unparse(node.func) in ("importlib.import_module", "import_module", "__import__"):
            self.found.append((node.args[0].value, None))
        self.generic_visit(node)


def imports_of(folder: pathlib.Path) -> list[tuple[str, str | None]]:
    """Third-party imports of all sources in a function's folder, each once."""
    own = {path.stem for path in folder.glob("*.py")} | {path.name for path in folder.iterdir() if path.is_dir()}
    visitor = Imports()
    for path in sorted(folder.rglob("*.py")):
        visitor.visit(ast.parse(path.read_bytes()))
    skip = own | set(sys.stdlib_module_names)
    return list(dict.fromkeys(pair for pair in visitor.found if pair[0].split(".")[0] not in skip))


# --- probing -----------------------------------------------------------------


def probe(environment: pathlib.Path, mode: str, request: dict | None = None) -> dict:
    variables = {name: os.environ[name] for name in ("PATH",) if name in os.environ}
    with tempfile.TemporaryDirectory() as home:
        done = subprocess.run(
            [str(environment / "bin" / "python"), "-P", str(PROBE), mode],
            input=repr(request), capture_output=True, text=True, cwd=home, timeout=300,
            env={**variables, "HOME": home, "OPENBLAS_NUM_THREADS": "1", "PYTHONHASHSEED": "0", "TZ": "UTC"},
        )
    lines = [line for line in done.stdout.splitlines() if line.startswith("probe ")]
    if done.returncode != 0 or not lines:
        raise SystemExit(f"{mode} probe failed in {environment.name}:\n{done.stderr[-2000:]}")
    return json.loads(lines[-1].removeprefix("probe "))


def top_level(files: list[str]) -> list[str]:
    """Names that an import statement can give to load a distribution, from its RECORD.

    A folder without `__init__` is a namespace: the packages and modules in it count.
    """
    suffix = re.compile(r"(\.cpython-[^/]*|\.abi3)?\.(py|so)$")
    paths = [file.split("/") for file in files if suffix.search(file) and ".." not in file.split("/")]
    packages = {tuple(path[:-1]) for path in paths if re.match(r"__init__\.", path[-1])}
    names = set()
    for path in paths:
        module = [*path[:-1], suffix.sub("", path[-1])]
        for depth in range(1, len(path)):
            if tuple(path[:depth]) in packages:
                module = path[:depth]
                break
        if all(part.isidentifier() for part in module):
            names.add(".".join(module))
    public = {name for name in names if not any(part.startswith("_") for part in name.split("."))}
    # A tests folder at the top is not what anybody imports.
    public = {name for name in public if name.split(".")[0] not in ("test", "tests", "docs", "examples")} or public
    names = public or names
    if len(names) > MANY_MODULES:  # generated message modules: name their folders
        names = {name.rpartition(".")[0] or name for name in names}
    return sorted(names)


class Environment:
    """One environment, the functions that run in it, and its samples."""

    def __init__(self, path: pathlib.Path, python: str) -> None:
        self.path = path
        self.python = python
        self.functions: list[str] = []
        self.imports: list[tuple[str, str | None]] = []
        self.then: list[tuple[str, str | None]] = []
        self.installed: dict[str, dict] = {}
        self.traced: list[dict] = []
        self.whole: list[dict] = []

    def warm_up(self) -> None:
        """The first run: reads what is installed, and finds what the imports leave out."""
        answer = probe(self.path, "trace", {"imports": self.imports, "then": []})
        self.installed = {package_id(entry["key"]): entry for entry in answer["installed"]}
        loaded = {package_id(key) for key in answer["imports"] if key}
        for package in sorted(self.installed.keys() - loaded):
            self.then += [(name, None) for name in top_level(self.installed[package]["files"])]
        probe(self.path, "trace", {"imports": self.imports, "then": self.then})

    def repeat(self) -> None:
        answer = probe(self.path, "trace", {"imports": self.imports, "then": self.then})
        self.traced.append({"imports": answer["imports"], "then": answer["then"]})
        self.whole.append(probe(self.path, "whole", {"imports": self.imports}))


def package_id(key: str) -> str:
    name, _, version = key.partition("==")
    return f"pypi:{python_fleet.normalised(name)}=={version}"


def platform_id(python: str) -> str:
    libc = "glibc" if platform.libc_ver()[0] == "glibc" else "musl"
    return f"python{python}-{platform.system().lower()}-{platform.machine()}-{libc}"


# --- from samples to the table -----------------------------------------------


def quartile_spread(values: list[float]) -> float:
    middle = statistics.median(values)
    if middle <= 0 or len(values) < 2:
        return 0.0
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return (high - low) / middle


def untraced_share(environment: Environment, part: slice) -> float:
    """What part of the traced CPU time the same imports take without the tracer."""
    traced = statistics.median(sum(ns for ns, _ in run["imports"].values()) for run in environment.traced[part])
    return min(1.0, statistics.median(run["cpu"] for run in environment.whole[part]) / traced)


def entries_of(environments: list[Environment], part: slice = slice(None)) -> tuple[list[dict], list[str]]:
    """Table entries, and `package platform` of those that nothing imported."""
    gathered = collections.defaultdict(lambda: {"imports": [], "then": []})
    facts: dict[tuple[str, str], dict] = {}
    for environment in environments:
        where = platform_id(environment.python)
        share = untraced_share(environment, part)
        for package, entry in environment.installed.items():
            facts[package, where] = entry
            for phase in ("imports", "then"):
                key = entry["key"]
                runs = [run[phase][key] for run in environment.traced[part] if key in run[phase]]
                if runs:
                    gathered[package, where][phase].append([(ns * share, size) for ns, size in runs])
    entries, never = [], []
    for (package, where), entry in sorted(facts.items()):
        groups = gathered[package, where]["imports"]
        how = "imports" if groups else "direct"
        if not groups:
            never.append(f"{package} {where}")
            groups = gathered[package, where]["then"]
        samples = [sample for group in groups for sample in group]
        cpu = [max(0, ns) / 1e6 for ns, _ in samples]
        middles = [(statistics.median(s[0] for s in group), statistics.median(s[1] for s in group)) for group in groups]
        entries.append(
            {
                "package": package,
                "platform": where,
                "load_ms": round(max(0.0, statistics.median(m[0] for m in middles) / 1e6), 3) if middles else 0.0,
                "resident_mb": round(max(0.0, statistics.median(m[1] for m in middles) / MB), 3) if middles else 0.0,
                "disk_mb": round(entry["disk"] / MB, 3),
                "source": "prior",
                "how": how,
                "samples": len(samples),
                "spread": round(quartile_spread(cpu), 3) if cpu else 0.0,
                "modules": top_level(entry["files"]),
            }
        )
    return entries, never


def line_fit(points: list[tuple[float, float]]) -> tuple[float, float, float]:
    """Intercept, slope and R² of the least-squares line."""
    slope, intercept = statistics.linear_regression(*zip(*points))
    mean = statistics.fmean(y for _, y in points)
    left = sum((y - intercept - slope * x) ** 2 for x, y in points)
    return intercept, slope, 1 - left / sum((y - mean) ** 2 for _, y in points)


def ratio_fit(entries: list[dict], field: str) -> tuple[float, float]:
    """Median of field / disk_mb over packages of a size, and the median relative error
    over all packages: the small ones, whose ratio is far higher, are what it misses."""
    pairs = [(e["disk_mb"], e[field]) for e in entries if e["disk_mb"] > 0 and e[field] > 0]
    ratio = statistics.median(y / x for x, y in pairs if x >= RATIO_FROM_MB)
    return ratio, statistics.median(abs(ratio * x - y) / y for x, y in pairs)


def power_fit(entries: list[dict], field: str) -> dict:
    """field = factor * disk_mb ** exponent by least squares of logarithms."""
    pairs = [(e["disk_mb"], e[field]) for e in entries if e["disk_mb"] > 0 and e[field] > 0]
    logs = [(math.log(x), math.log(y)) for x, y in pairs]
    exponent, intercept = statistics.linear_regression(*zip(*logs))
    factor = math.exp(intercept)
    error = statistics.median(abs(factor * x**exponent - y) / y for x, y in pairs)
    return {"factor": round(factor, 3), "exponent": round(exponent, 3), "median_error": round(error, 3)}


def overhead_mb(environment: pathlib.Path, repetitions: int) -> float:
    python = str(environment / "bin" / "python")
    sibling = subprocess.Popen([python, "-c", "import json, socket; input()"], stdin=subprocess.PIPE)
    try:
        samples = [probe(environment, "idle")["private"] for _ in range(repetitions)]
    finally:
        sibling.communicate(b"\n")
    return statistics.median(samples) / MB


def swap_points(environments: list[Environment], forks: int) -> list[dict]:
    """Fork cost for environments spread evenly from the smallest to the largest."""
    order = sorted(environments, key=lambda e: statistics.median(run["resident"] for run in e.whole))
    count = min(FORK_ENVIRONMENTS, len(order))
    chosen = [order[round(i * (len(order) - 1) / max(count - 1, 1))] for i in range(count)]
    points = []
    for environment in dict.fromkeys(chosen):
        answer = probe(environment.path, "fork", {"imports": environment.imports, "forks": forks})
        points.append(
            {
                "functions": environment.functions,
                "resident_mb": round(answer["resident"] / MB, 3),
                "cpu_ms": round(statistics.median(answer["cpu"]) / 1e6, 3),
                "wall_ms": round(statistics.median(answer["wall"]) / 1e6, 3),
            }
        )
    return points


def predictions(environments: list[Environment]) -> list[dict]:
    """Sum of table entries of what an environment loads, against the load measured whole.

    The table is made of every other repetition, and the load comes from the rest.
    """
    entries, _ = entries_of(environments, slice(0, None, 2))
    table = {(e["package"], e["platform"]): e for e in entries}
    out = []
    for environment in environments:
        where = platform_id(environment.python)
        loaded = {package_id(key) for key in environment.traced[0]["imports"] if key}
        if not loaded:
            continue
        cpu = statistics.median(run["cpu"] for run in environment.whole[1::2]) / 1e6
        resident = statistics.median(run["resident"] for run in environment.whole[1::2]) / MB
        said_cpu = sum(table[package, where]["load_ms"] for package in loaded)
        said_resident = sum(table[package, where]["resident_mb"] for package in loaded)
        out.append(
            {
                "functions": environment.functions,
                "load_ms": round(cpu, 1),
                "load_error": round(said_cpu / cpu - 1, 3),
                "resident_mb": round(resident, 1),
                "resident_error": round(said_resident / resident - 1, 3),
            }
        )
    return out


def gather(cache: pathlib.Path) -> list[Environment]:
    by_path: dict[pathlib.Path, Environment] = {}
    for function in python_fleet.functions():
        path, note = python_fleet.environment(function, cache)
        if note:
            raise SystemExit(f"{function.name}: {note}; a prior needs the real platform")
        environment = by_path.setdefault(path, Environment(path, function.python))
        environment.functions.append(function.name)
        environment.imports += [pair for pair in imports_of(function.folder) if pair not in environment.imports]
    return [environment for environment in by_path.values() if environment.imports]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=pathlib.Path, required=True, help="cache of run_fixtures.py")
    parser.add_argument("--samples", type=pathlib.Path, help="keep the raw samples here; more runs add to them")
    parser.add_argument("--repetitions", type=int, default=7, help="at least 2, those in SAMPLES included")
    parser.add_argument("--forks", type=int, default=40)
    default = python_fleet.ROOT / "src" / "cost" / "prior-python.json"
    parser.add_argument("--out", type=pathlib.Path, default=default)
    arguments = parser.parse_args()

    environments = gather(arguments.cache.resolve())
    earlier = {}
    if arguments.samples and arguments.samples.exists():
        earlier = json.loads(arguments.samples.read_text())
    for environment in environments:
        environment.warm_up()
        kept = earlier.get(environment.path.name, {"traced": [], "whole": []})
        environment.traced, environment.whole = kept["traced"], kept["whole"]
    # Round by round, so that a busy minute on the host touches each environment once.
    for number in range(arguments.repetitions):
        for environment in environments:
            environment.repeat()
        print(f"round {number + 1} of {arguments.repetitions} done", file=sys.stderr, flush=True)
        if arguments.samples:
            kept = {e.path.name: {"traced": e.traced, "whole": e.whole} for e in environments}
            arguments.samples.write_text(json.dumps(kept))

    if len(environments[0].whole) < 2:
        parser.error("at least two repetitions are needed: one half is checked against the other")
    entries, never = entries_of(environments)
    points = swap_points(environments, arguments.forks)
    base, per_mb, swap_r2 = line_fit([(p["resident_mb"], p["cpu_ms"]) for p in points])
    load_ratio, load_error = ratio_fit(entries, "load_ms")
    resident_ratio, resident_error = ratio_fit(entries, "resident_mb")
    errors = predictions(environments)
    pythons = sorted({environment.python for environment in environments})
    table = {
        "schema": "warmset.costs/1",
        "generator": "scripts/measure_prior.py",
        "command": "python3 scripts/measure_prior.py --cache DIR"
        f" --repetitions {len(environments[0].whole)} --forks {arguments.forks}",
        "host": f"CPython {' and '.join(pythons)}, {platform.system().lower()} {platform.machine()}, "
        f"{os.cpu_count()} cores (shared host)",
        "languages": {
            "python": {
                "image_overhead_mb": round(overhead_mb(environments[0].path, arguments.repetitions), 3),
                "swap_base_ms": round(base, 3),
                "swap_ms_per_mb": round(per_mb, 3),
                "load_ms_per_disk_mb": round(load_ratio, 3),
                "resident_mb_per_disk_mb": round(resident_ratio, 3),
            }
        },
        "fit": {
            "swap_r2": round(swap_r2, 3),
            "swap_points": points,
            "load_per_disk_median_error": round(load_error, 3),
            "resident_per_disk_median_error": round(resident_error, 3),
            "load_per_disk_power": power_fit(entries, "load_ms"),
            "resident_per_disk_power": power_fit(entries, "resident_mb"),
            "closure_load_mean_error": round(statistics.fmean(abs(e["load_error"]) for e in errors), 3),
            "closure_resident_mean_error": round(statistics.fmean(abs(e["resident_error"]) for e in errors), 3),
            "closures": errors,
            "never_imported": never,
        },
        "entries": entries,
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(dump(table))
    print(f"{len(entries)} entries from {len(environments)} environments; mean error of a closure: "
          f"load {table['fit']['closure_load_mean_error']:.1%}, resident {table['fit']['closure_resident_mean_error']:.1%}")
    return 0


def dump(table: dict) -> str:
    """Indented, but one line an entry: a new measurement should make a readable diff."""
    rows = {"entries": table["entries"], "swap_points": table["fit"]["swap_points"],
            "closures": table["fit"]["closures"]}
    holes = {**table, "entries": "@entries", "fit": {**table["fit"], "swap_points": "@swap_points", "closures": "@closures"}}
    text = json.dumps(holes, indent=2)
    for name, items in rows.items():
        pad = "    " if name == "entries" else "      "
        body = ",\n".join(pad + json.dumps(item) for item in items)
        text = text.replace(f'"@{name}"', f"[\n{body}\n{pad[2:]}]")
    return text + "\n"


if __name__ == "__main__":
    sys.exit(main())
