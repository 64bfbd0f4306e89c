"""The fork server of warmset's own runtime: host.py's loading, and a process in namespaces of its own for every call.

    swap.py HOST     HOST is the path of host.py; everything else comes over the socket $WARMSET_CONTROL (a descriptor)

The control socket (SOCK_SEQPACKET) carries one JSON object a message, with descriptors; the first is the connection on
which the host answers, one JSON object a line, after which it closes it:
    {"op": "load"}    connection: the work list comes in until its end, a report goes out
    {"op": "image"}   connection, control socket and standard error of a host forked from this one: the same
    {"op": "slot", "slot"}
                      cgroup.procs files only: a slot that the next process to stand by moves into ahead of time
    {"op": "run", "limits", "code", "closure", "network", "slot"}
                      connection, channel, log, and any number of cgroup.procs files: the request comes in on the channel
                      and the function's answer goes out on it, straight from the function's process; on the connection
                      the host says how that process ended. The caller's end of the connection closing ends the function.
The descriptors of a call are never the host's business again, so nothing that a function says can pass for the host's word.

With "isolated" in the work list each function gets new mount, UTS, IPC, PID and network namespaces. A raw clone makes
the PID namespace, as os.fork cannot, and unshare needs a right over the PID namespace to come back that a host in a
user namespace does not have. What glibc's fork would do besides is done here: the thread's id and robust list are
renewed, and Python's own hooks run. pthread_atfork handlers do not run, which matters only where there are threads.
The host is never process 1 of its namespace: functions are, and libraries take an unchanged number for "not forked".
"""

import ctypes
import errno
import fcntl
import gc
import importlib.util
import json
import os
import platform
import resource
import select
import signal
import socket
import stat
import struct
import sys
import time
import traceback

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x00020000, 0x04000000, 0x08000000
CLONE_NEWPID, CLONE_NEWNET = 0x20000000, 0x40000000
CLONE_CHILD_CLEARTID, CLONE_CHILD_SETTID = 0x00200000, 0x01000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_BIND = 1, 2, 4, 8, 4096
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, PR_GET_TID_ADDRESS = 1, 4, 24, 38, 40
# clone, set_robust_list, get_robust_list, keyctl, capset; close_range has one number everywhere
NUMBERS = {"x86_64": (56, 273, 274, 250, 126), "aarch64": (220, 99, 100, 219, 91)}
CLOSE_RANGE = 436
KEYCTL_JOIN_SESSION_KEYRING = 1
FUNCTION, CLOSURE = "/opt/function", "/opt/closure"
# Exit status of a function's process that could not be shut in: no code of the function has run.
NOT_ISOLATED = 97
FIRST_ID, IDS = 1000, 60000
MAX_FDS = 16

host = None  # host.py, loaded by main


def load_host(file):
    """host.py under a name that no function's module can have."""
    spec = importlib.util.spec_from_file_location("_warmset_host", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Kernel:
    """System calls that Python has no name for."""

    def __init__(self):
        self.libc = ctypes.CDLL(None, use_errno=True)
        # PyDLL keeps the interpreter's lock through the call: the child needs it.
        self.locked = ctypes.PyDLL(None, use_errno=True)
        self.locked.syscall.restype = self.libc.syscall.restype = ctypes.c_long
        self.numbers = NUMBERS.get(platform.machine())
        self.tid = self.tid_address()
        self.robust = self.robust_list()

    def tid_address(self):
        """Where libc keeps the main thread's id: a forked process has another."""
        address = ctypes.c_void_p()
        if self.libc.prctl(PR_GET_TID_ADDRESS, ctypes.byref(address), 0, 0, 0) or not address.value:
            return None
        # musl uses the word for something else.
        return address.value if ctypes.c_int.from_address(address.value).value == os.getpid() else None

    def robust_list(self):
        if self.numbers is None:
            return None
        head, size = ctypes.c_void_p(), ctypes.c_size_t()
        if self.libc.syscall(self.numbers[2], 0, ctypes.byref(head), ctypes.byref(size)) or not head.value:
            return None
        return head, size

    def check(self, result, what):
        if result == -1:
            code = ctypes.get_errno()
            raise OSError(code, "%s: %s" % (what, os.strerror(code)))
        return result

    def fork_into_pid_namespace(self):
        """os.fork, with a new PID namespace of which the child is the first process."""
        if self.numbers is None:
            raise OSError(errno.ENOSYS, "clone: no system call numbers for %s" % platform.machine())
        flags = CLONE_NEWPID | int(signal.SIGCHLD)
        if self.tid is not None:
            flags |= CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID
        last = (0, self.tid or 0) if platform.machine() == "aarch64" else (self.tid or 0, 0)
        arguments = [ctypes.c_ulong(n) for n in (flags, 0, 0, *last)]
        call, number = self.locked.syscall, self.numbers[0]
        self.locked.PyOS_BeforeFork()
        pid = call(number, *arguments)
        if pid == 0:
            self.locked.PyOS_AfterFork_Child()
            if self.robust is not None:
                self.libc.syscall(self.numbers[1], *self.robust)
            return 0
        self.locked.PyOS_AfterFork_Parent()
        return self.check(pid, "clone")

    def unshare(self, flags):
        self.check(self.libc.unshare(flags), "unshare")

    def mount(self, source, target, kind, flags, data=None):
        encode = lambda text: None if text is None else os.fsencode(text)  # noqa: E731
        result = self.libc.mount(encode(source), encode(target), encode(kind), ctypes.c_ulong(flags), encode(data))
        self.check(result, "mount %s" % target)

    def tmpfs(self, target, mode, data=""):
        self.mount("tmpfs", target, "tmpfs", MS_NOSUID | MS_NODEV, "mode=%s%s" % (mode, data))

    def prctl(self, option, value):
        self.check(self.libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0), "prctl %d" % option)

    def drop_bounding_set(self):
        """Nothing that is executed from now on gets a capability; what this process has it keeps."""
        for capability in range(64):
            if self.libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0):
                return

    def drop_capabilities(self):
        header = (ctypes.c_uint32 * 2)(0x20080522, 0)
        self.check(self.libc.syscall(self.numbers[4], header, (ctypes.c_uint32 * 6)()), "capset")

    def new_session_keyring(self):
        """Keys that one function leaves are not the next one's. Kernels without keys have nothing to leave."""
        self.libc.syscall(self.numbers[3], KEYCTL_JOIN_SESSION_KEYRING, None)

    def close_range(self, first, last):
        if self.libc.syscall(CLOSE_RANGE, first, last, 0) == 0:
            return
        for name in os.listdir("/proc/self/fd"):
            if first <= int(name) <= last:
                try:
                    os.close(int(name))
                except OSError:
                    pass  # it was that of the listing


def loopback_up():
    """127.0.0.1 works in a new network namespace; there is nothing else in it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh", b"lo", 1))  # SIOCSIFFLAGS, IFF_UP


class Call:
    """A function's process, seen from the host."""

    def __init__(self, connection, limits):
        self.connection = connection
        self.pid = None
        self.slot = None
        self.started = time.monotonic()
        milliseconds = limits.get("time_ms")
        self.deadline = None if milliseconds is None else self.started + milliseconds / 1000.0
        self.killed = None

    def kill(self, why):
        if self.killed is None and self.pid is not None:
            self.killed = why
            try:
                os.kill(self.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass


class Server:
    """Takes orders from the control socket until its other end is closed."""

    def __init__(self, control):
        self.kernel = Kernel()
        self.spec = {}
        self.kept = []
        self.loaded = False
        self.start_over(control)

    def start_over(self, control):
        """The state of a host that has done nothing yet: a host forked from another begins with it."""
        self.control = control
        self.count = os.getpid() * 997 % IDS
        self.calls = {}
        self.hosts = {}
        self.ready = []
        self.slots = []
        self.lost = 0
        self.refill_at = None
        self.wake_read, self.wake_write = socket.socketpair()
        self.wake_read.setblocking(False)
        self.wake_write.setblocking(False)
        self.poll = select.poll()
        self.poll.register(control, select.POLLIN)
        self.poll.register(self.wake_read, select.POLLIN)
        signal.set_wakeup_fd(self.wake_write.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def isolated(self):
        return bool(self.spec.get("isolated"))

    def serve(self):
        while True:
            self.refill()
            for number, event in self.poll.poll(self.patience()):
                if number == self.control.fileno():
                    if not self.order():
                        return self.leave()
                elif number == self.wake_read.fileno():
                    try:
                        self.wake_read.recv(4096)
                    except BlockingIOError:
                        pass
                else:
                    self.hang_up(number)
            now = time.monotonic()
            for call in list(self.calls.values()):
                if call.deadline is not None and now >= call.deadline:
                    call.kill("time")
            self.reap()

    def patience(self):
        """Milliseconds until the next deadline."""
        deadlines = [c.deadline for c in self.calls.values() if c.deadline is not None and c.killed is None]
        if self.refill_at is not None:
            deadlines.append(self.refill_at)
        return max(0, int((min(deadlines) - time.monotonic()) * 1000) + 1) if deadlines else None

    def hang_up(self, number):
        """The caller has gone, or wants no more: so has the function."""
        self.poll.unregister(number)
        for call in self.calls.values():
            if call.connection.fileno() == number:
                call.kill("caller")

    def leave(self):
        """The runtime has gone: nobody wants an answer any more."""
        for pid in [*self.calls, *self.hosts, *(child[0] for child in self.ready)]:
            try:
                os.kill(pid, signal.SIGKILL)
                if pid in self.calls and not self.isolated():
                    os.killpg(pid, signal.SIGKILL)
            except OSError:
                pass
            try:
                os.waitpid(pid, 0)
            except OSError:
                pass

    def order(self):
        data, numbers, _, _ = socket.recv_fds(self.control, 65536, MAX_FDS)
        if not data:
            return False
        message = json.loads(data)
        if message["op"] == "slot":
            self.slots.append((message["slot"], numbers))
            return True
        files = [socket.socket(fileno=numbers[0])] if numbers else []
        rest = numbers[1:]
        try:
            {"load": self.load, "image": self.image, "run": self.run}[message["op"]](message, files[0], rest)
        except Exception as problem:
            tell(files, {"error": host.describe(problem)})
            if files:
                files[0].close()
        finally:
            for number in rest:
                os.close(number)
        return True

    def load(self, message, connection, _rest):
        """Loads what the list says, in this process."""
        spec = json.loads(receive_all(connection))
        first = not self.loaded
        self.spec = {**self.spec, **spec}
        for folder in reversed(spec.get("site") or []):
            if folder not in sys.path:
                sys.path.insert(0, folder)
        if first and self.isolated():
            self.kernel.drop_bounding_set()
        if not first:
            importlib.invalidate_caches()
        self.loaded = True
        try:
            report = host.load(spec)
        except SystemExit:
            tell([connection], {"error": "a module of the image cannot be loaded: its standard error says which"})
            connection.close()
            os._exit(1)
        self.done(report, connection)

    def done(self, report, connection):
        """Notes what the modules have left open, and reports."""
        self.kept, lost = files_of_modules({self.control.fileno(), self.wake_read.fileno(), self.wake_write.fileno(),
                                            connection.fileno()})
        if lost:
            host.say(level="warning", descriptors=lost, reason="modules opened them, and functions do not get them")
        report.update(names=thread_names(), pid=os.getpid())
        tell([connection], {"ready": report})
        connection.close()

    def image(self, message, connection, rest):
        """Forks a host that goes on from here: its pages are this one's until either writes to them."""
        spec = json.loads(receive_all(connection))
        self.refuse_threads()
        pid = os.fork()
        if pid:
            self.hosts[pid] = True
            connection.close()
            return
        try:
            os.dup2(rest[1], 1)
            os.dup2(rest[1], 2)
            control = socket.socket(fileno=os.dup(rest[0]))
            self.let_go()
            self.start_over(control)
            if not self.isolated():
                # With a PID namespace of its own it ends with the host that it came from anyhow.
                self.kernel.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            for number in rest:
                os.close(number)
            rest.clear()
            if self.isolated():
                self.kernel.unshare(CLONE_NEWNS)
                if spec.get("packages"):
                    self.kernel.mount(spec["packages"], "/opt/warm", None, MS_BIND)
            self.load_forked(spec, connection)
            self.serve()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(1)

    def load_forked(self, spec, connection):
        self.spec = {**self.spec, "standby": 0, **{k: v for k, v in spec.items() if k != "site"}}
        if not self.isolated():
            spec = dict(spec, site=[spec["packages"]] if spec.get("packages") else [])
        for folder in reversed(spec.get("site") or []):
            sys.path.insert(0, folder)
        importlib.invalidate_caches()
        # What the parent has frozen stays so: a collection would write to all of it, and nothing of it would be shared.
        # Whoever asked does not wait for ever, and cannot end what has not said its number.
        signal.setitimer(signal.ITIMER_REAL, spec.get("limit_s") or 0)
        try:
            report = host.load(spec)
        except SystemExit:
            tell([connection], {"error": "a module of the image cannot be loaded: its standard error says which"})
            os._exit(1)
        signal.setitimer(signal.ITIMER_REAL, 0)
        self.done(report, connection)

    def refuse_threads(self):
        names = thread_names()
        if len(names) > 1 and not self.spec.get("allow_threads"):
            raise RuntimeError("refused: %d threads besides the first (%s), which a fork would lose"
                               % (len(names) - 1, ", ".join(names[1:])))

    def run(self, message, connection, rest):
        self.refuse_threads()
        limits = message.get("limits") or {}
        call = Call(connection, limits)
        self.count += 1
        message["number"] = self.count
        # Who brings a slot of its own wants the process in that one.
        while self.ready and not (message.get("own_slot") and self.ready[0][2] is not None):
            call.pid, waiting, slot, doors = self.ready.pop(0)
            try:
                # It has its slot, unless there was none for it.
                socket.send_fds(waiting, [json.dumps(message).encode()], rest if slot is None else rest[:2])
            except OSError:
                # It has ended, and nobody has looked yet: the next one takes the call.
                call.pid = None
                self.standby_ended(waiting, slot, doors)
                continue
            waiting.close()
            for number in doors:
                os.close(number)
            self.lost = 0
            call.slot = message.get("slot") if slot is None else slot
            break
        else:
            call.slot = message.get("slot")
            call.pid = self.fork()
            if call.pid == 0:
                self.in_child(message, rest)
        self.calls[call.pid] = call
        connection.setblocking(False)
        self.poll.register(connection, select.POLLRDHUP)

    def fork(self):
        return self.kernel.fork_into_pid_namespace() if self.isolated() else os.fork()

    def refill(self):
        """Processes that stand by: forked, in their slots and namespaces, without a function.

        To move into a control group takes the kernel some 5 to 15 ms (it waits until no processor forks), more than all
        the rest together: so that is what it pays most to have done ahead of time."""
        if self.refill_at is not None:
            if time.monotonic() < self.refill_at:
                return
            self.refill_at = None
        while len(self.ready) < int(self.spec.get("standby") or 0) and self.loaded and not self.too_many_threads():
            if self.spec.get("slots") and not self.slots:
                return
            slot, doors = self.slots.pop(0) if self.slots else (None, [])
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            try:
                pid = self.fork()
            except OSError as problem:
                host.say(level="warning", error="no process stands by: %s" % problem)
                self.spec["standby"] = 0
                return
            if pid == 0:
                ours.close()
                # A connection is over only when nobody holds it any more.
                self.let_go()
                self.in_child(None, doors, theirs)
            theirs.close()
            # Its slot is the next one's, should it end before a call has taken it.
            self.ready.append((pid, ours, slot, doors))

    def standby_ended(self, waiting, slot, doors):
        """One that stood by has ended by itself or was ended. Its slot is free; if they go on ending, so the pauses grow."""
        waiting.close()
        if slot is not None:
            self.slots.append((slot, doors))
        if self.lost:
            self.refill_at = time.monotonic() + min(5.0, 0.01 * 2 ** min(self.lost, 10))
        self.lost += 1

    def too_many_threads(self):
        return not self.spec.get("allow_threads") and len(os.listdir("/proc/self/task")) > 1

    def in_child(self, message, numbers, waiting=None):
        """All that a function's process does; it never returns."""
        status = 1
        try:
            child = Child(self.kernel, self.spec, self.kept)
            try:
                if waiting is not None:
                    child.join(numbers)
                    child.prepare()
                    data, numbers, _, _ = socket.recv_fds(waiting, 65536, MAX_FDS)
                    if not data:
                        os._exit(0)
                    message = json.loads(data)
                    child.join(numbers[2:])
                else:
                    child.join(numbers[2:])
                    child.prepare()
                child.enter(message, numbers)
            except Exception as problem:
                os.write(numbers[1] if len(numbers) > 1 else 2, ("%s\n" % host.describe(problem)).encode())
                status = NOT_ISOLATED
            else:
                child.work(message)
                status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            try:
                sys.stderr.flush()
            finally:
                # Not sys.exit: exit handlers of preloaded libraries belong to the host.
                os._exit(status)

    def let_go(self):
        """In a forked host: what belongs to the one that it came from."""
        signal.set_wakeup_fd(-1)
        for call in self.calls.values():
            call.connection.close()
        for _, waiting, _, _ in self.ready:
            waiting.close()
        for doors in [child[3] for child in self.ready] + [slot[1] for slot in self.slots]:
            for number in doors:
                os.close(number)
        self.control.close()
        self.wake_read.close()
        self.wake_write.close()

    def reap(self):
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self.hosts.pop(pid, None)
            for at, (standby, waiting, slot, doors) in enumerate(self.ready):
                if standby == pid:
                    del self.ready[at]
                    self.standby_ended(waiting, slot, doors)
                    break
            call = self.calls.pop(pid, None)
            if call is None:
                continue
            if not self.isolated():
                # It led a session: what it left running in it ends too.
                try:
                    os.killpg(pid, signal.SIGKILL)
                except OSError:
                    pass
            number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
            code = None if number else status >> 8
            tell([call.connection], {
                "status": code, "signal": number, "killed": call.killed, "slot": call.slot,
                "peak_mb": round(usage.ru_maxrss * 1024 / 1e6, 3),
                "cpu_ms": round((usage.ru_utime + usage.ru_stime) * 1e3, 3)})
            try:
                self.poll.unregister(call.connection)
            except KeyError:
                pass
            call.connection.close()


class Child:
    """A function's process, from the inside, in the order in which it gives up what it can do."""

    def __init__(self, kernel, spec, kept):
        self.kernel = kernel
        self.spec = spec
        self.kept = kept
        self.isolated = bool(spec.get("isolated"))

    def join(self, numbers):
        """First of all: what follows is charged to the call, and bounded."""
        for number in numbers:
            os.write(number, b"0")

    def prepare(self):
        """What does not depend on the function."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        if not self.isolated:
            os.setsid()
            self.kernel.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            return
        kernel = self.kernel
        flags = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC
        kernel.unshare(flags if self.spec.get("network") else flags | CLONE_NEWNET)
        socket.sethostname("function")
        kernel.mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
        kernel.new_session_keyring()
        if not self.spec.get("network"):
            loopback_up()

    def enter(self, message, numbers):
        """What depends on it; afterwards nothing that this process or its children do needs or has a right."""
        limits = message.get("limits") or {}
        if self.isolated:
            self.mounts(message, limits)
        with open(os.devnull, "rb") as nothing:
            os.dup2(nothing.fileno(), 0)
        # The standard streams' descriptors are the log's from here on, and 3 is the channel.
        channel, log = os.dup(numbers[0]), os.dup(numbers[1])
        channel = fcntl.fcntl(channel, fcntl.F_DUPFD, 20)
        log = fcntl.fcntl(log, fcntl.F_DUPFD, 20)
        os.dup2(channel, 3, inheritable=False)
        os.dup2(log, 1)
        os.dup2(log, 2)
        self.close_others()
        self.bound(limits)
        if self.isolated:
            self.drop(message["number"])

    def mounts(self, message, limits):
        kernel = self.kernel
        if message.get("code"):
            kernel.mount(message["code"], FUNCTION, None, MS_BIND)
        if message.get("closure"):
            kernel.mount(message["closure"], CLOSURE, None, MS_BIND)
        # Only now: the binds above come from below these folders.
        for folder in self.spec.get("hidden") or []:
            kernel.tmpfs(folder, "555", ",size=4k,nr_inodes=2")
        kernel.tmpfs("/tmp", "1777", ",size=%dm,nr_inodes=65536" % (limits.get("tmp_mb") or 64))
        if message.get("network") is False and self.spec.get("network"):
            kernel.unshare(CLONE_NEWNET)
            loopback_up()

    def close_others(self):
        """All but the streams, the channel, and files that modules read: those get a position of their own."""
        first = 4
        for number in self.kept:
            try:
                fresh = os.open("/proc/self/fd/%d" % number, os.O_RDONLY)
                os.lseek(fresh, os.lseek(number, 0, os.SEEK_CUR), os.SEEK_SET)
            except OSError:
                continue  # it cannot be opened again, so it is closed
            os.dup2(fresh, number, inheritable=False)
            if number > first:
                self.kernel.close_range(first, number - 1)
            first = number + 1
        self.kernel.close_range(first, 0x7FFFFFFF)

    @staticmethod
    def bound(limits):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        files = limits.get("nofile")
        if files:
            hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
            files = files if hard == resource.RLIM_INFINITY else min(files, hard)
            resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
        os.umask(0o022)

    def drop(self, number):
        kernel = self.kernel
        if self.spec.get("ids"):
            # Another id for every call: what a user has across processes (keys, counters) is not shared.
            ident = FIRST_ID + number % IDS
            os.setgroups([])
            os.setresgid(ident, ident, ident)
            os.setresuid(ident, ident, ident)
        else:
            kernel.drop_capabilities()
        kernel.prctl(PR_SET_NO_NEW_PRIVS, 1)
        # Changing ids has cleared it.
        kernel.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

    def work(self, message):
        gc.enable()
        channel = socket.socket(fileno=3)
        request = json.loads(receive_all(channel))
        code = FUNCTION if self.isolated else message.get("code")
        closure = CLOSURE if self.isolated else message.get("closure")
        request["path"] = code
        if message.get("closure"):
            sys.path.append(closure)
        sent = request.pop("sent_ns", None)

        def ready():
            return {} if sent is None else {"ready_ms": round((time.monotonic_ns() - sent) / 1e6, 3)}

        reply = host.run(request, ready).encode("utf-8")
        most = (message.get("limits") or {}).get("output_bytes")
        if most is not None and len(reply) > most:
            reply = json.dumps({"ok": False, "too_large": len(reply)}).encode()
        sys.stdout.flush()
        try:
            channel.sendall(reply + b"\n")
        except OSError:
            pass  # the caller has gone


def thread_names():
    """Names of this process's threads, the first first."""
    names = []
    for task in sorted(os.listdir("/proc/self/task"), key=int):
        try:
            with open("/proc/self/task/%s/comm" % task, encoding="utf-8", errors="replace") as stream:
                names.append(stream.read().strip())
        except OSError:
            pass  # it has ended
    return names


def files_of_modules(own):
    """Descriptors that modules opened while they loaded: files that they read, and a count of all others."""
    kept, lost = [], 0
    for name in os.listdir("/proc/self/fd"):
        number = int(name)
        if number < 4 or number in own:
            continue
        try:
            regular = stat.S_ISREG(os.fstat(number).st_mode)
            reading = fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY
        except OSError:
            continue  # it was that of the listing
        if regular and reading:
            kept.append(number)
        else:
            lost += 1
    return sorted(kept), lost


def receive_all(connection):
    parts = []
    while True:
        part = connection.recv(1 << 20)
        if not part:
            return b"".join(parts)
        parts.append(part)


def tell(connections, message):
    for connection in connections[:1]:
        try:
            connection.setblocking(True)
            connection.settimeout(5.0)
            connection.sendall(json.dumps(message).encode("utf-8") + b"\n")
        except OSError:
            pass  # the caller has gone


def main(arguments):
    global host
    host = load_host(arguments[0])
    number = int(os.environ.pop("WARMSET_CONTROL"))
    os.set_inheritable(number, False)
    control = socket.socket(fileno=number)
    if sys.path and os.path.abspath(sys.path[0]) == os.path.dirname(os.path.abspath(__file__)):
        del sys.path[0]
    Server(control).serve()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
