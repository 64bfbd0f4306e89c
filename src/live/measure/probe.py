"""Runs inside a measured environment: loads modules under a tracer, forks after them, or calls a handler.

    python probe.py MODE REQUEST ANSWER

trace    load `import` lines, then `then` lines, and say what each module took
asks     load them, and say which module asks for which, loaded already or not; no figures
whole    load them without a tracer, and say what all of it took
fork     load them, fork `forks` times, and say what each child took to its first answer
idle     load nothing but what a warm host needs, and say what memory is its own
call     load them, then call a handler several times, forget its own modules, and call it once more

A request has a line for each fact, its words separated by tabs: `import MODULE NAME...` (what `from MODULE import NAME`
loads), `then MODULE`, `forks N`, `calls N`, `folder DIR`, `handler MODULE.ATTRIBUTE`, `event FILE`, `limit SECONDS`. The answer
is a file with one JSON object. The folder of packages comes from PYTHONPATH.

Standard library only, and little of it before the figures are taken: a module that the probe itself has loaded is a module
whose cost nobody is charged with.
"""

import gc
import os
import sys
import time

PAGE = os.sysconf("SC_PAGE_SIZE")
STATM = os.open("/proc/self/statm", os.O_RDONLY)


def resident():
    """Bytes of resident memory."""
    return int(os.pread(STATM, 128, 0).split()[1]) * PAGE


def perform(module, names, failed):
    """What the import statement does; what it raises goes to `failed`."""
    try:
        __import__(module)
        loaded = sys.modules[module]
        for name in names:
            if name != "*" and not hasattr(loaded, name):
                __import__(module + "." + name)
    except Exception as error:  # an optional import may fail in any way it likes
        failed.append([module, type(error).__name__ + ": " + str(error)])


class Tracer:
    """Exclusive CPU time and resident growth of each call of the import machinery.

    CPython calls `_frozen_importlib._find_and_load` only for a module that is not in `sys.modules`. A node is
    [module, index of the node that imports it, CPU ns, bytes], own share only.
    """

    def __init__(self):
        self.nodes = []
        self.stack = []  # [node, CPU ns of what it imports, bytes likewise]

    def install(self):
        import _frozen_importlib

        original = _frozen_importlib._find_and_load
        nodes, stack, clock = self.nodes, self.stack, time.process_time_ns

        def traced(name, import_):
            node = len(nodes)
            nodes.append([name, stack[-1][0] if stack else -1, 0, 0])
            frame = [node, 0, 0]
            stack.append(frame)
            memory, cpu = resident(), clock()
            try:
                return original(name, import_)
            finally:
                cpu, memory = clock() - cpu, resident() - memory
                stack.pop()
                nodes[node][2:] = [cpu - frame[1], memory - frame[2]]
                if stack:
                    stack[-1][1] += cpu
                    stack[-1][2] += memory

        _frozen_importlib._find_and_load = traced


def where(name, root):
    """The module's file below `root`, with `/`; None for the standard library, built-ins and namespaces."""
    module = sys.modules.get(name)
    file = getattr(module, "__file__", None) or getattr(getattr(module, "__spec__", None), "origin", None)
    if not isinstance(file, str) or not file.startswith(root + os.sep):
        return None
    return file[len(root) + 1 :].replace(os.sep, "/")


def trace(request):
    tracer, failed, failed_then = Tracer(), [], []
    tracer.install()
    for module, names in request["import"]:
        perform(module, names, failed)
    first = len(tracer.nodes)
    for module, names in request["then"]:
        perform(module, names, failed_then)
    nodes = [[*node, where(node[0], request["root"])] for node in tracer.nodes]
    return {"nodes": nodes[:first], "then": nodes, "first": first, "failed": failed, "failed_then": failed_then}


def asks(request):
    """Who asks for what: an import statement reaches `builtins.__import__` also where the module is loaded."""
    import builtins

    original, found, failed = builtins.__import__, {}, []

    def noted(name, globals=None, locals=None, fromlist=(), level=0):
        loaded = original(name, globals, locals, fromlist, level)
        asker = globals.get("__name__") if globals else None
        if isinstance(asker, str) and asker != "__main__":
            if level:
                parts = (globals.get("__package__") or "").split(".")
                base = ".".join(parts[: len(parts) - level + 1])
                name = base + "." + name if name else base
            mine = found.setdefault(asker, set())
            mine.add(name)
            for item in fromlist or ():
                mine.add(name + "." + str(item))
        return loaded

    builtins.__import__ = noted
    for module, names in request["import"]:
        perform(module, names, failed)
    builtins.__import__ = original
    known = {a: sorted(n for n in names if n in sys.modules and n != a) for a, names in found.items()}
    return {"asks": known, "files": {a: where(a, request["root"]) for a in known}, "failed": failed}


def whole(request):
    failed, loads = [], request["import"]
    memory, cpu = resident(), time.process_time_ns()
    for module, names in loads:
        perform(module, names, failed)
    cpu, memory = time.process_time_ns() - cpu, resident() - memory
    return {"cpu": cpu, "bytes": memory, "failed": failed}


HANDLER = """
import json
def handler(event, context):
    return json.dumps({"items": [str(n) for n in range(event["n"])]})
"""


def ready():
    """What a child does before it can serve: compile a handler, touch what is loaded, answer."""
    scope = {}
    exec(compile(HANDLER, "handler.py", "exec"), scope)
    for module in list(sys.modules.values()):
        getattr(module, "__name__", None)
    scope["handler"]({"n": 50}, None)


def fork(request):
    import json  # noqa: F401  the warm host has it

    ready()
    memory, failed = resident(), []
    for module, names in request["import"]:
        perform(module, names, failed)
    gc.collect()
    gc.freeze()
    grown, samples = resident() - memory, []
    for _ in range(request["forks"]):
        read, write = os.pipe()
        start = time.process_time_ns()
        child = os.fork()
        if child == 0:
            ready()
            os.write(write, b"%d" % time.process_time_ns())
            os._exit(0)
        used = time.process_time_ns() - start
        samples.append(used + int(os.read(read, 32)))
        os.waitpid(child, 0)
        os.close(read)
        os.close(write)
    return {"bytes": grown, "cpu": samples, "failed": failed}


def idle(_):
    """What a warm host needs that has loaded nothing yet. This process has loaded the same and stays meanwhile, so that the
    text of interpreter and extensions counts as shared, as it would be among hosts."""
    import importlib.util, json, selectors, signal, socket  # noqa: E401,F401

    request, answer = sys.argv[2:]
    status = os.spawnv(os.P_WAIT, sys.executable, [sys.executable, os.path.abspath(__file__), "alone", request, answer])
    with open(answer, encoding="utf-8") as file:
        return {} if status else eval(file.read(), {"__builtins__": {}}, {})


def alone(_):
    """Its private memory: it can listen, fork and call a handler."""
    import importlib.util, json, selectors, signal, socket  # noqa: E401,F401

    gc.collect()
    return {"bytes": private()}


def private():
    total = 0
    with open("/proc/self/smaps_rollup") as file:
        for line in file:
            if line.startswith(("Private_Clean:", "Private_Dirty:")):
                total += int(line.split()[1]) * 1024
    return total


class Context:
    """The part of a function's context that does not depend on a provider."""

    aws_request_id = "warmset"
    function_name = "warmset"

    @staticmethod
    def get_remaining_time_in_millis():
        return 60_000


def refuse_network(event, arguments):
    if event in ("socket.connect", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname"):
        raise ConnectionRefusedError("a measured handler has no network")


def own(folder):
    """Names of the modules that lie in the handler's folder."""
    inside = folder + os.sep
    names = []
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if name != "__main__" and isinstance(file, str) and file.startswith(inside):
            names.append(name)
    return names


def call(request):
    failed = []
    for module, names in request["import"]:
        perform(module, names, failed)
    sys.addaudithook(refuse_network)
    folder, root = request["folder"], request["root"]
    name, _, attribute = request["handler"].rpartition(".")
    os.chdir(folder)
    sys.path.insert(0, folder)
    import importlib
    import json

    with open(request["event"], encoding="utf-8") as file:
        text = file.read()
    loaded, memory = set(sys.modules), resident()

    def once(load):
        event = json.loads(text)
        cpu = time.process_time_ns()
        handler = getattr(importlib.import_module(name), attribute) if load else loaded_handler
        handler(event, Context())
        return time.process_time_ns() - cpu, handler

    first, loaded_handler = once(True)
    mine = set(own(folder))
    added = [n for n in sys.modules if n not in loaded and n not in mine]
    later = [once(False)[0] for _ in range(request["calls"])]
    for module in own(folder):
        del sys.modules[module]
    loaded_handler = None
    gc.collect()
    grown = resident() - memory
    importlib.invalidate_caches()
    again, loaded_handler = once(True)
    lies = [where(n, root) for n in list(sys.modules)]
    return {
        "first": first,
        "later": later,
        "again": again,
        "bytes": grown,
        "modules": [n for n in added if where(n, root)],
        "files": sorted({f for f in lies if f}),
        "failed": failed,
    }


def read(path):
    request = {"import": [], "then": [], "root": os.environ.get("PYTHONPATH", "")}
    with open(path, encoding="utf-8") as file:
        for line in file.read().splitlines():
            word, *rest = line.split("\t")
            if word in ("import", "then"):
                request[word].append((rest[0], rest[1:]))
            elif word in ("forks", "calls", "limit"):
                request[word] = int(rest[0])
            else:
                request[word] = rest[0]
    return request


def main():
    mode, request, answer = sys.argv[1:]
    here = os.path.dirname(os.path.abspath(__file__))
    # What the interpreter has installed for itself is in no image.
    outside = [p for p in sys.path if p != here and not p.endswith(("site-packages", "dist-packages"))]
    root = os.environ.get("PYTHONPATH", "")
    sys.path[:] = [p for p in sys.path if p == root or p in outside]
    asked = read(request)
    # Whoever started this sees to the time; if that is killed, nobody else does.
    import _signal  # built in, and loaded by the interpreter itself

    _signal.alarm(asked.get("limit", 0))
    result = {"trace": trace, "asks": asks, "whole": whole, "fork": fork, "idle": idle, "alone": alone, "call": call}[mode](asked)
    import json

    with open(answer, "w", encoding="utf-8") as file:
        json.dump(result, file)


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    # Threads and exit handlers of packages are nobody's concern any more.
    os._exit(0)
