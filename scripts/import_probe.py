"""Runs inside a measured environment: import modules under a tracer, or fork after them.

    python import_probe.py trace    stdin: {"imports": [...], "then": [...]}
    python import_probe.py whole    stdin: {"imports": [...]}
    python import_probe.py fork     stdin: {"imports": [...], "forks": N}
    python import_probe.py idle

Prints one JSON object. An import is [module, name or null]: `import module`, or
`from module import name`. Standard library only, and little of it: a module that the
probe itself has loaded is a module whose cost nobody is charged with.
"""

import gc
import os
import sys
import time

PAGE = os.sysconf("SC_PAGE_SIZE")
STATM = os.open("/proc/self/statm", os.O_RDONLY)


def resident() -> int:
    """Bytes of resident memory."""
    return int(os.pread(STATM, 128, 0).split()[1]) * PAGE


def perform(module: str, name: str | None) -> str | None:
    """What the import statement does; the reason when it fails, else None."""
    try:
        __import__(module)
        loaded = sys.modules[module]
        if name and name != "*" and not hasattr(loaded, name):
            __import__(f"{module}.{name}")
    except Exception as error:  # an optional import may fail in any way it likes
        return f"{module}: {type(error).__name__}"
    return None


class Tracer:
    """Exclusive CPU time and resident growth of each call of the import machinery.

    CPython calls `_frozen_importlib._find_and_load` only for a module that is not in
    `sys.modules`. A node is [module, parent index, CPU ns, bytes], own share only.
    """

    def __init__(self) -> None:
        self.nodes: list[list] = []
        self.stack: list[list[int]] = []  # [node, CPU ns of children, bytes of children]

    def install(self) -> None:
        import _frozen_importlib

        original = _frozen_importlib._find_and_load

        def traced(name, import_):
            node = len(self.nodes)
            self.nodes.append([name, self.stack[-1][0] if self.stack else -1, 0, 0])
            frame = [node, 0, 0]
            self.stack.append(frame)
            memory, cpu = resident(), time.process_time_ns()
            try:
                return original(name, import_)
            finally:
                cpu, memory = time.process_time_ns() - cpu, resident() - memory
                self.stack.pop()
                self.nodes[node][2:] = [cpu - frame[1], memory - frame[2]]
                if self.stack:
                    self.stack[-1][1] += cpu
                    self.stack[-1][2] += memory

        _frozen_importlib._find_and_load = traced


def distribution_files() -> tuple[dict[str, str], list[dict]]:
    """File → distribution by each RECORD, and what is installed. Called after measuring."""
    from importlib import metadata

    owner, installed = {}, []
    for distribution in metadata.distributions():
        name = distribution.metadata["Name"]
        key, size, files = f"{name}=={distribution.version}", 0, []
        for file in distribution.files or []:
            if file.suffix == ".pyc":
                continue
            path = os.path.realpath(distribution.locate_file(file))
            owner[path] = key
            if os.path.isfile(path):
                size += os.path.getsize(path)
                files.append(str(file))
        installed.append({"key": key, "disk": size, "files": files})
    return owner, installed


def owners(nodes: list[list], owner: dict[str, str]) -> list[str | None]:
    """The distribution of each node. One without (standard library, built-in, namespace,
    not found) goes to the nearest importer that has one: who triggers it first pays."""
    out: list[str | None] = []
    for name, parent, *_ in nodes:
        module = sys.modules.get(name)
        file = getattr(module, "__file__", None) or getattr(getattr(module, "__spec__", None), "origin", None)
        found = owner.get(os.path.realpath(file)) if file and os.path.isabs(file) else None
        out.append(found or (out[parent] if parent >= 0 else None))
    return out


def trace(request: dict) -> dict:
    tracer = Tracer()
    tracer.install()
    failed = [reason for pair in request["imports"] if (reason := perform(*pair))]
    first = len(tracer.nodes)
    failed_then = [reason for pair in request["then"] if (reason := perform(*pair))]
    nodes = list(tracer.nodes)  # what follows imports too
    owner, installed = distribution_files()
    charged: list[dict[str, list[int]]] = [{}, {}]
    for index, (node, key) in enumerate(zip(nodes, owners(nodes, owner))):
        sums = charged[index >= first].setdefault(key or "", [0, 0])
        sums[0] += node[2]
        sums[1] += node[3]
    return {
        "imports": charged[0], "then": charged[1], "installed": installed,
        "failed": failed, "failed_then": failed_then, "modules": len(nodes),
    }


def whole(request: dict) -> dict:
    memory, cpu = resident(), time.process_time_ns()
    for pair in request["imports"]:
        perform(*pair)
    return {"cpu": time.process_time_ns() - cpu, "resident": resident() - memory}


HANDLER = """
import json
def handler(event, context):
    return json.dumps({"items": [str(n) for n in range(event["n"])]})
"""


def ready() -> None:
    """What a child does before it can serve: compile a handler, touch what is loaded, answer."""
    scope: dict = {}
    exec(compile(HANDLER, "handler.py", "exec"), scope)
    for module in list(sys.modules.values()):
        getattr(module, "__name__", None)
    scope["handler"]({"n": 50}, None)


def fork(request: dict) -> dict:
    import json  # noqa: F401  the warm host has it

    ready()
    memory = resident()
    for pair in request["imports"]:
        perform(*pair)
    gc.collect()
    gc.freeze()
    grown, cpu, wall = resident() - memory, [], []
    for _ in range(request["forks"]):
        read, write = os.pipe()
        start, start_wall = time.process_time_ns(), time.perf_counter_ns()
        child = os.fork()
        if child == 0:
            ready()
            os.write(write, b"%d" % time.process_time_ns())
            os._exit(0)
        used = time.process_time_ns() - start
        child_cpu = int(os.read(read, 32))
        wall.append(time.perf_counter_ns() - start_wall)
        cpu.append(used + child_cpu)
        os.waitpid(child, 0)
        os.close(read)
        os.close(write)
    return {"resident": grown, "cpu": cpu, "wall": wall}


def idle(_: dict) -> dict:
    """Private memory of a warm host that has loaded nothing yet: what it needs to listen,
    fork and call a handler. Another process of the same interpreter runs meanwhile (the
    caller sees to it), so the interpreter's own text counts as shared, as it would be."""
    import importlib.util, json, selectors, signal, socket  # noqa: E401,F401

    gc.collect()
    private = 0
    with open("/proc/self/smaps_rollup") as file:
        for line in file:
            if line.startswith(("Private_Clean:", "Private_Dirty:")):
                private += int(line.split()[1]) * 1024
    return {"private": private}


def main() -> None:
    mode, request = sys.argv[1], {}
    if mode != "idle":
        # Not json: its cost belongs to whoever imports it.
        request = eval(sys.stdin.read(), {"__builtins__": {}}, {})
    answer = {"trace": trace, "whole": whole, "fork": fork, "idle": idle}[mode](request)
    import json

    print("\nprobe " + json.dumps(answer))


if __name__ == "__main__":
    main()
