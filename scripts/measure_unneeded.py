#!/usr/bin/env python3
"""What a start pays for memory of its image that it does not need: a process loads modules, freezes the collector and forks
children that use one of them; their private memory and the CPU time of both are printed as JSON lines.

    python3 -m venv v && v/bin/pip install numpy pandas jinja2 requests
    for more in "" requests numpy numpy,pandas; do v/bin/python scripts/measure_unneeded.py "$more"; done
"""
import gc
import json
import os
import statistics
import sys
import time

import jinja2


def memory():
    """MB by kind, of this process."""
    kinds = {}
    with open("/proc/self/smaps_rollup") as lines:
        for line in lines:
            parts = line.split()
            if len(parts) >= 2 and parts[0].endswith(":") and parts[1].isdigit():
                kinds[parts[0][:-1]] = int(parts[1]) / 1024
    return kinds


def work():
    jinja2.Template("{% for i in r %}{{ i }}{% endfor %}").render(r=range(2000))
    gc.collect()


def start():
    """Private MB of one child, and CPU milliseconds of parent and child."""
    read, write = os.pipe()
    before = time.process_time()
    child = os.fork()
    if child == 0:
        work()
        os.write(write, json.dumps([memory()["Private_Dirty"], time.process_time()]).encode())
        os._exit(0)
    os.close(write)
    private, seconds = json.loads(os.read(read, 4096))
    os.close(read)
    os.waitpid(child, 0)
    return private, (seconds + time.process_time() - before) * 1e3


more = [m for m in sys.argv[1].split(",") if m] if len(sys.argv) > 1 else []
for module in more:
    __import__(module)
gc.collect()
gc.freeze()
resident = memory()["Rss"]
starts = [start() for _ in range(40)]
print(
    json.dumps(
        {
            "unneeded": more,
            "resident_mb": round(resident, 1),
            "private_mb_of_a_start": round(statistics.median(s[0] for s in starts), 2),
            "cpu_ms_of_a_start": round(statistics.median(s[1] for s in starts), 2),
        }
    )
)
