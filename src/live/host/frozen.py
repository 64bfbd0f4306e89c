"""A Python process that loads an image's modules, waits to be frozen, and runs one function when it has been thawed.

    frozen.py HOST     HOST is the path of host.py

Lines of JSON on the socket $WARMSET_CONTROL (a descriptor): the work list comes in and a report goes out, as swap.py has
them; then it is frozen. After that one request comes in, {"op": "thawed", ...} to see whether it works or one as host.py
has them, and its answer goes out. Threads that loading has started are frozen and thawed with the rest.
"""

import importlib.util
import json
import os
import sys


def load_host(file):
    """host.py under a name that no function's module can have."""
    spec = importlib.util.spec_from_file_location("_warmset_host", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read_line(number):
    parts = []
    while not parts or not parts[-1].endswith(b"\n"):
        part = os.read(number, 1 << 20)
        if not part:
            os._exit(0)
        parts.append(part)
    return json.loads(b"".join(parts))


def tell(number, text):
    data = memoryview(text.encode("utf-8") + b"\n")
    while data:
        data = data[os.write(number, data):]


def thread_names():
    names = []
    for task in sorted(os.listdir("/proc/self/task"), key=int):
        with open("/proc/self/task/%s/comm" % task, encoding="utf-8", errors="replace") as stream:
            names.append(stream.read().strip())
    return names


def renew():
    """What is random is that of all processes thawed from the same files: `random` and numpy's generator (host.py seeds
    that one), and OpenSSL's, which takes new seeds by itself only where its process has another number."""
    if "random" in sys.modules:
        sys.modules["random"].seed()
    if "_ssl" not in sys.modules:
        return os.urandom(16).hex()
    ssl = sys.modules["_ssl"]
    ssl.RAND_add(os.urandom(32), 32.0)
    return ssl.RAND_bytes(16).hex()


def main(arguments):
    host = load_host(arguments[0])
    number = int(os.environ.pop("WARMSET_CONTROL"))
    os.set_inheritable(number, False)
    if sys.path and os.path.abspath(sys.path[0]) == os.path.dirname(os.path.abspath(__file__)):
        del sys.path[0]
    spec = read_line(number)
    sys.path[:0] = [folder for folder in spec.get("site") or [] if folder not in sys.path]
    report = host.load(spec)
    report.update(names=thread_names(), pid=os.getpid())
    tell(number, json.dumps({"ready": report}))
    request = read_line(number)
    random = renew()
    if request.get("op") == "thawed":
        tell(number, json.dumps({"id": None, "ok": True, "result": random}))
        os._exit(0)
    host.gc.enable()
    if request.pop("closure", None):
        sys.path.append("/opt/closure")
    answer = host.run(request)
    # With the answer it may be ended.
    sys.stdout.flush()
    sys.stderr.flush()
    tell(number, answer)
    # Not sys.exit: what a function left running does not keep the process.
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
