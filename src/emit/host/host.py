"""The warm host of a Python image: loads the image's modules once, then forks a fresh process for every request.

    host.py PRELOAD                  load, listen on $WARMSET_SOCKET (default /run/warmset/host.sock), serve until SIGTERM
    host.py PRELOAD --check          load, print {"loaded", "ms", "rss_mb", "threads"} as JSON, end
    host.py PRELOAD --once REQUEST   load, answer the one request in the file REQUEST (`-` is standard input), end

A connection carries one request and one answer, each a JSON object on a line of its own:
    {"id", "path", "handler", "event", "environment", "function", "timeout_ms"}   `path` is the code folder, `handler` is `module.attribute`
    {"id", "ok": true, "result", "load_ms", "run_ms"}  or  {"id", "ok": false, "error", "traceback"}
A connection that closes before it has sent a line is a probe and gets no answer. What the host itself has to say goes
to standard error, one JSON object a line. Exit status: 0 done, 1 a module or the request failed, 2 called wrongly,
3 loading started threads, which a fork would lose (WARMSET_ALLOW_THREADS=1 goes on regardless).

Standard library only. Isolation (namespaces, limits, another user) is for whoever starts the host: warmset's own runtime
brings a second file for it, which uses this one as a module.
"""

import gc
import importlib
import json
import os
import selectors
import signal
import socket
import sys
import time
import traceback

DEFAULT_SOCKET = "/run/warmset/host.sock"
MAX_REQUEST = 64 * 1024 * 1024
READ_SECONDS = 30.0
# Thread pools are created when these libraries load; a fork keeps only the thread that called it.
ONE_THREAD = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


def say(**fields):
    """Writes one JSON line to standard error."""
    sys.stderr.write(json.dumps(fields) + "\n")
    sys.stderr.flush()


def call_by_name(module, dotted):
    target = importlib.import_module(module)
    for part in dotted.split("."):
        target = getattr(target, part)
    return target


def preload(file):
    """Loads what the file lists, as `load` does."""
    with open(file, encoding="utf-8") as stream:
        spec = json.load(stream)
    if spec.get("schema") != "warmset.preload/1" or spec.get("language") != "python":
        say(level="error", error="%s is not a Python preload list of schema warmset.preload/1" % file)
        sys.exit(2)
    return load(spec)


def load(spec):
    """Imports `modules` and makes the calls of `warmup`; says what failed and ends if it must not."""
    unset = [name for name in ONE_THREAD if name not in os.environ]
    os.environ.update(dict.fromkeys(unset, "1"))
    gc.disable()
    loaded = []
    started = time.process_time()
    for entry in spec["modules"]:
        name, optional = (entry, False) if isinstance(entry, str) else (entry["module"], entry.get("optional", False))
        module, _, part = name.partition(":")
        try:
            importlib.import_module(module)
            take(module, part)
            loaded.append(name)
        except Exception as problem:  # whatever a module raises while it loads
            say(level="warning" if optional else "error", module=name, error=describe(problem))
            if not optional:
                sys.exit(1)
    for entry in spec.get("warmup", []):
        try:
            if entry.get("function") is not None:
                warm_by_handler(entry)
            else:
                call_by_name(entry["module"], entry["call"])()
        except Exception as problem:  # it costs time later, and nothing else
            say(level="warning", module=entry["module"], call=entry["call"], error=describe(problem))
    for name in unset:
        del os.environ[name]
    # Frozen objects are never visited again, so a child's collections do not copy the pages that it shares.
    gc.collect()
    gc.freeze()
    spent = (time.process_time() - started) * 1000.0
    return {"loaded": loaded, "ms": round(spent, 3), "rss_mb": resident_mb(), "threads": thread_count()}


def take(module, name):
    """What `from module import name` loads besides: where the module has no such name it is a module of its own.

    That one may need what only some functions have, so that it is left to them where it cannot be loaded."""
    if not name or hasattr(sys.modules[module], name):
        return
    try:
        importlib.import_module("%s.%s" % (module, name))
    except Exception as problem:
        say(level="info", module="%s:%s" % (module, name), left_out=describe(problem))


def warm_by_handler(entry):
    """Calls a function's handler with its event, and forgets the function: only what its packages keep stays.

    `path` is its code folder, which whoever starts the host adds; a host without the code leaves the call out."""
    folder = os.path.abspath(entry["path"]) if entry.get("path") else None
    if folder is None or not os.path.isdir(folder):
        say(level="info", module=entry["module"], call=entry["call"], left_out="the function's code is not here")
        return
    here, path, environment, known = os.getcwd(), list(sys.path), dict(os.environ), dict(sys.modules)
    try:
        os.environ.update({str(k): str(v) for k, v in (entry.get("environment") or {}).items()})
        os.chdir(folder)
        sys.path.insert(0, folder)
        importlib.invalidate_caches()
        module = entry["module"].replace("/", ".")
        forget_namesake(module.split(".")[0], folder)
        handler = call_by_name(module, entry["call"])
        handler(entry.get("event"), Context({"id": "warm-up", "function": entry["function"], "timeout_ms": 60000}))
    except SystemExit as problem:
        raise RuntimeError("the handler ended the process: %s" % describe(problem))
    finally:
        os.chdir(here)
        sys.path[:] = path
        for name in [n for n in os.environ if n not in environment]:
            del os.environ[name]
        os.environ.update(environment)
        for name, loaded in list(sys.modules.items()):
            if within(loaded, folder):
                del sys.modules[name]
        for name, loaded in known.items():
            sys.modules.setdefault(name, loaded)
        for finder in [f for f in sys.path_importer_cache if f == folder or f.startswith(folder + os.sep)]:
            del sys.path_importer_cache[finder]


def within(module, folder):
    """Whether a module was loaded from a folder."""
    try:
        places = [getattr(module, "__file__", None), *(getattr(module, "__path__", None) or [])]
    except Exception:  # what stands in sys.modules need not be a module
        return False
    return any(isinstance(p, str) and os.path.abspath(p).startswith(folder + os.sep) for p in places)


def resident_mb():
    try:
        with open("/proc/self/statm", encoding="ascii") as stream:
            return round(int(stream.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6, 3)
    except OSError:
        return None


def thread_count():
    try:
        return len(os.listdir("/proc/self/task"))
    except OSError:
        return sys.modules["threading"].active_count() if "threading" in sys.modules else 1


def describe(problem):
    return "%s: %s" % (type(problem).__name__, problem)


class Context:
    """The part of a function's context that does not depend on a provider."""

    def __init__(self, request):
        self.aws_request_id = request.get("id")
        self.function_name = request.get("function")
        timeout = request.get("timeout_ms")
        self._deadline = None if timeout is None else time.monotonic() + float(timeout) / 1000.0

    def get_remaining_time_in_millis(self):
        return 0 if self._deadline is None else max(0, int((self._deadline - time.monotonic()) * 1000))


def run(request, ready=None):
    """Answers one request in this process, which must end afterwards: it is no longer clean. `ready` is called when the
    handler's module has been loaded, and what it returns becomes part of the answer."""
    answer = {"id": request.get("id") if isinstance(request, dict) else None}
    try:
        if not isinstance(request, dict):
            raise ValueError("a request is a JSON object")
        if request.get("op", "invoke") != "invoke":
            raise ValueError("unknown op %r: this host knows invoke" % (request["op"],))
        module, _, attribute = str(request["handler"]).rpartition(".")
        module = module.replace("/", ".")
        if not module:
            raise ValueError("a handler is written module.attribute, not %r" % (request["handler"],))
        os.environ.update({str(k): str(v) for k, v in (request.get("environment") or {}).items()})
        folder = os.path.abspath(request["path"])
        os.chdir(folder)
        sys.path.insert(0, folder)
        # Not invalidate_caches: that would have every folder of the image listed again.
        sys.path_importer_cache.pop(folder, None)
        reseed()
        forget_namesake(module.split(".")[0], folder)
        # Of this thread: a library's pool waits busily, and no start waits for it. Python 3.6 knows that of processes only.
        cpu = getattr(time, "thread_time", time.process_time)
        started, spent = time.perf_counter(), cpu()
        handler = getattr(importlib.import_module(module), attribute)
        loaded = time.perf_counter()
        if ready is not None:
            answer.update(ready(), load_cpu_ms=round((cpu() - spent) * 1e3, 3))
        result = handler(request.get("event"), Context(request))
        done = time.perf_counter()
        answer.update(ok=True, result=result)
        answer.update(load_ms=round((loaded - started) * 1e3, 3), run_ms=round((done - loaded) * 1e3, 3))
        return json.dumps(answer)
    except BaseException as problem:  # SystemExit and KeyboardInterrupt of a function are its failure, not the host's
        answer.pop("result", None)
        answer.update(ok=False, error=describe(problem), traceback=traceback.format_exc())
        return json.dumps(answer)


def reseed():
    """numpy's global generator would repeat the same numbers in every fork; `random` reseeds itself."""
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.seed()


def forget_namesake(name, folder):
    """The function's own module wins over a preloaded one of the same name, as it would in a cold start."""
    loaded = sys.modules.get(name)
    own = os.path.isfile(os.path.join(folder, name + ".py")) or os.path.isdir(os.path.join(folder, name))
    if loaded is not None and own:
        for other in [n for n in sys.modules if n == name or n.startswith(name + ".")]:
            del sys.modules[other]


def read_line(connection):
    """The bytes before the first line feed; empty when the peer closed without sending one."""
    connection.settimeout(READ_SECONDS)
    data = bytearray()
    while b"\n" not in data:
        chunk = connection.recv(65536)
        if not chunk:
            return b""
        data += chunk
        if len(data) > MAX_REQUEST:
            raise ValueError("the request is larger than %d bytes" % MAX_REQUEST)
    connection.settimeout(None)
    return bytes(data.split(b"\n", 1)[0])


def answer_connection(connection):
    """What a forked child does: read, run, answer."""
    try:
        line = read_line(connection)
        if not line.strip():
            return
        request = json.loads(line)
    except (OSError, ValueError) as problem:
        reply = json.dumps({"id": None, "ok": False, "error": describe(problem), "traceback": ""})
    else:
        reply = run(request)
    sys.stdout.flush()
    try:
        connection.sendall(reply.encode("utf-8") + b"\n")
    except OSError:
        pass  # the caller has gone; there is nobody to tell


def listen(path):
    try:
        # A socket that a killed host left behind: only ever remove a socket, never a file.
        if os.path.exists(path):
            probe = socket.socket(socket.AF_UNIX)
            try:
                probe.connect(path)
            except ConnectionRefusedError:
                os.unlink(path)
            else:
                say(level="error", error="another host already listens on %s" % path)
                sys.exit(1)
            finally:
                probe.close()
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(path)
        listener.listen(128)
        listener.setblocking(False)
        return listener
    except OSError as problem:
        say(level="error", error="cannot listen on %s: %s (set WARMSET_SOCKET to a writable place)" % (path, problem))
        sys.exit(1)


class Server:
    """Forks a child a connection and tells the caller when a child ended without an answer."""

    def __init__(self, listener):
        self.listener = listener
        self.children = {}
        self.stopping = False
        self.wake_read, self.wake_write = socket.socketpair()
        self.wake_read.setblocking(False)
        self.wake_write.setblocking(False)

    def serve(self, grace=5.0):
        signal.set_wakeup_fd(self.wake_write.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.stop)
        events = selectors.DefaultSelector()
        events.register(self.listener, selectors.EVENT_READ)
        events.register(self.wake_read, selectors.EVENT_READ)
        deadline = None
        while not self.stopping or self.children:
            if self.stopping and deadline is None:
                deadline = time.monotonic() + grace
                events.unregister(self.listener)
            if deadline is not None and time.monotonic() >= deadline:
                for pid in self.children:
                    os.kill(pid, signal.SIGKILL)
            for key, _ in events.select(0.1 if self.stopping else None):
                if key.fileobj is self.wake_read:
                    try:
                        self.wake_read.recv(4096)
                    except BlockingIOError:
                        pass
                elif not self.stopping:
                    self.accept(events)
            self.reap()

    def stop(self, *_):
        self.stopping = True

    def accept(self, events):
        try:
            connection, _ = self.listener.accept()
        except OSError:
            return  # the caller gave up between the event and the accept
        try:
            pid = os.fork()
        except OSError as problem:
            self.refuse(connection, "the host cannot fork: %s" % problem)
            return
        if pid:
            self.children[pid] = connection
            return
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_DFL)
            events.close()
            for other in (self.listener, self.wake_read, self.wake_write, *self.children.values()):
                other.close()
            gc.enable()
            answer_connection(connection)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            # Not sys.exit: exit handlers of preloaded libraries belong to the host.
            os._exit(status)

    def reap(self):
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            connection = self.children.pop(pid, None)
            if connection is None:
                continue
            if status != 0:
                how = "signal %d" % os.WTERMSIG(status) if os.WIFSIGNALED(status) else "status %d" % (status >> 8)
                self.refuse(connection, "the function's process ended with %s before it answered" % how)
            connection.close()

    @staticmethod
    def refuse(connection, why):
        reply = json.dumps({"id": None, "ok": False, "error": why, "traceback": ""})
        try:
            connection.settimeout(1.0)
            connection.sendall(reply.encode("utf-8") + b"\n")
        except OSError:
            pass
        connection.close()


def main(arguments):
    if not arguments or arguments[0].startswith("-"):
        say(level="error", error="usage: host.py PRELOAD [--check | --once REQUEST]")
        return 2
    # Python put this file's folder first: the functions must not be able to import from it.
    if sys.path and os.path.abspath(sys.path[0]) == os.path.dirname(os.path.abspath(__file__)):
        del sys.path[0]
    report = preload(arguments[0])
    mode = arguments[1:]
    if mode == ["--check"]:
        print(json.dumps(report))
        return 0
    if len(mode) == 2 and mode[0] == "--once":
        with sys.stdin if mode[1] == "-" else open(mode[1], encoding="utf-8") as stream:
            request = json.load(stream)
        gc.enable()
        reply = run(request)
        print(reply)
        return 0 if json.loads(reply)["ok"] else 1
    if mode:
        say(level="error", error="usage: host.py PRELOAD [--check | --once REQUEST]")
        return 2
    if report["threads"] > 1 and os.environ.get("WARMSET_ALLOW_THREADS") != "1":
        say(level="error", error="loading started %d threads, which a fork would lose" % (report["threads"] - 1))
        return 3
    path = os.environ.get("WARMSET_SOCKET", DEFAULT_SOCKET)
    listener = listen(path)
    say(level="info", ready=path, pid=os.getpid(), **report)
    try:
        Server(listener).serve()
    finally:
        os.unlink(path)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
