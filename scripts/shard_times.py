"""Time by number of shards: scans a fleet in 1, 2, 4, 8 and 16 shards, one after the other on this machine, joins them, and compares
the bytes with those of one scan. Prints a row of a Markdown table for each.

    python3 scripts/shard_times.py --warmset target/release/warmset --gen target/release/examples/gen_fleet --functions 10000

Elapsed times mean something on an idle machine only; CPU time always does.
"""

import argparse
import filecmp
import os
import subprocess
import tempfile
import time
from pathlib import Path


def run(command):
    """Elapsed and CPU seconds, and the largest resident memory in MB."""
    started = time.monotonic()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)
    if os.waitstatus_to_exitcode(status) not in (0, 1):
        raise SystemExit(f"{command} ended with {os.waitstatus_to_exitcode(status)}")
    return time.monotonic() - started, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--warmset", type=Path, required=True)
    parser.add_argument("--gen", type=Path, help="the example gen_fleet")
    parser.add_argument("--fleet", type=Path, help="a fleet that is there")
    parser.add_argument("--functions", type=int, default=10000)
    parser.add_argument("--shards", type=int, nargs="+", default=[1, 2, 4, 8, 16])
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        fleet = args.fleet or scratch / "fleet"
        if not args.fleet:
            subprocess.run([args.gen, fleet, str(args.functions), "7", "--flaws"], check=True, stdout=subprocess.DEVNULL)
        scan = [args.warmset, "-q", "scan", fleet]
        whole = scratch / "whole.json"
        run([*scan, "--out", whole])
        print("| shards | longest shard, elapsed | longest shard, CPU | all shards, CPU | largest memory | merge, elapsed |")
        print("|--:|--:|--:|--:|--:|--:|")
        for count in args.shards:
            parts = [scratch / f"{index}-of-{count}.json" for index in range(count)]
            took = [run([*scan, "--shard", f"{i}/{count}", "--out", part]) for i, part in enumerate(parts)]
            joined = scratch / "joined.json"
            merge, _, _ = run([args.warmset, "-q", "merge", *parts, "--out", joined])
            if not filecmp.cmp(joined, whole, shallow=False):
                raise SystemExit(f"{count} shards: the bytes differ from one scan's")
            elapsed, cpu, memory = (max(t[at] for t in took) for at in range(3))
            print(f"| {count} | {elapsed:.1f} s | {cpu:.1f} s | {sum(t[1] for t in took):.1f} s | {memory:.0f} MB | {merge:.1f} s |", flush=True)
            for part in parts:
                part.unlink()


if __name__ == "__main__":
    main()
