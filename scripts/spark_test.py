"""Runs deploy/spark/scan_fleet.py for real on a generated fleet, kills a worker and a piped process in the middle, and compares
the inventory byte for byte with what one machine makes.

    python3 scripts/spark_test.py --warmset target/release/warmset --gen target/release/examples/gen_fleet --functions 10000

To be run by a Python that has PySpark, on a machine with Java; prints what was done and how long it took.
"""

import argparse
import filecmp
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

JOB = Path(__file__).resolve().parent.parent / "deploy" / "spark" / "scan_fleet.py"

# The first task takes its Python worker with it; the second prints some records and is killed; all others work.
FLAKY = """#!/bin/sh
marks='{marks}'
case " $* " in
*" scan "*)
  if mkdir "$marks/worker" 2>/dev/null; then
    head -n 20 | '{warmset}' "$@"
    kill -9 "$PPID"
    exit 0
  elif mkdir "$marks/process" 2>/dev/null; then
    head -n 20 | '{warmset}' "$@"
    kill -9 $$
  fi ;;
esac
exec '{warmset}' "$@"
"""


def run(command, allowed=(0, 1), **more):
    started = time.monotonic()
    done = subprocess.run(command, check=False, **more)
    if done.returncode not in allowed:
        sys.exit(f"{command[0]} ended with status {done.returncode}")
    return time.monotonic() - started


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--warmset", type=Path, required=True)
    parser.add_argument("--gen", type=Path, help="the example gen_fleet")
    parser.add_argument("--fleet", type=Path, help="a fleet that is there, with its list of paths beside it as FLEET.txt")
    parser.add_argument("--functions", type=int, default=10000)
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    warmset = args.warmset.resolve()

    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        fleet = args.fleet or scratch / "fleet"
        paths = Path(f"{fleet}.txt")
        if not args.fleet:
            with open(paths, "wb") as out:
                run([args.gen, fleet, str(args.functions), "7", "--alone", "--flaws"], (0,), stdout=out)
        with open(paths, "rb") as listed:
            here = run([warmset, "-q", "scan", fleet, "--stdin", "--out", scratch / "here.json"], stdin=listed, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        folder = run([warmset, "-q", "scan", fleet, "--out", scratch / "folder.json"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        marks = scratch / "marks"
        marks.mkdir()
        flaky = scratch / "warmset-flaky"
        flaky.write_text(FLAKY.format(marks=marks, warmset=warmset))
        flaky.chmod(0o755)
        master = f"local[{args.workers},4]"
        options = f"--master {master} --driver-memory 2g --conf spark.ui.enabled=false pyspark-shell"
        environment = os.environ | {
            "PYSPARK_SUBMIT_ARGS": options,
            "PYSPARK_PYTHON": sys.executable,
            "SPARK_LOCAL_IP": "127.0.0.1",
            "TMPDIR": str(scratch),
        }
        # The wrapper is the child of the Python worker.
        job = [sys.executable, JOB, "--fleet", fleet.resolve(), "--paths", paths.resolve().as_uri(), "--paths-per-task", str(max(args.functions // 20, 20))]
        log = open(scratch / "spark.log", "w+b")
        times = {}
        for name, binary in [("spark", warmset), ("spark_with_losses", flaky)]:
            out = scratch / f"{name}.json"
            try:
                times[name] = run([*job, "--warmset", binary, "--out", out], env=environment, stderr=log)
            except SystemExit:
                log.seek(0)
                sys.stderr.write(log.read().decode(errors="replace")[-6000:])
                raise
            for other in ["here.json", "folder.json"]:
                if not filecmp.cmp(out, scratch / other, shallow=False):
                    sys.exit(f"{name}: the inventory differs from {other}")
        lost = sorted(mark.name for mark in marks.iterdir())
        if lost != ["process", "worker"]:
            sys.exit(f"killed were only {lost}")
        size = (scratch / "here.json").stat().st_size
        with open(scratch / "here.json", "rb") as read:
            functions = len(json.load(read)["functions"]) if size < 1_000_000_000 else args.functions
        times = {"one_machine_by_path": here, "one_machine_by_folder": folder, **times}
        print(json.dumps({
            "functions": functions,
            "workers": args.workers,
            "inventory_mb": round(size / 1e6, 1),
            "seconds": {name: round(seconds, 1) for name, seconds in times.items()},
            "killed": lost,
            "same_bytes": True,
        }))


if __name__ == "__main__":
    main()
