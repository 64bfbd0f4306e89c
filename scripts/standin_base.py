#!/usr/bin/env python3
"""Make a STAND-IN for an official base image out of this machine's own interpreter.

    python3 scripts/standin_base.py python3.11 --out ROOTFS [--prefix DIR]
    python3 scripts/standin_base.py node20 --out ROOTFS [--node FILE --npm DIR]

Where no registry of images is reachable, the generated Dockerfiles still need something to start
from. The folder that this writes is a root file system: the interpreter under /usr/local as in the
official slim images, pip or npm, a shell, the core utilities, tar, and the shared libraries of
Debian's slim images that published wheels link to. It is laid out like the official image and is NOT that image:
/etc/os-release and the label say so, and whoever reports figures must, too.

Nothing of this machine's configuration is copied: no index settings, no certificates, no packages
beside pip and npm. Standard library only; runs without root.
"""

import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

# What a shell form RUN of a Dockerfile and an entry point may call; those of coreutils that builds use.
PROGRAMS = (
    "sh", "bash", "tar", "gzip", "grep", "sed", "find", "xargs",
    "basename", "cat", "chmod", "chown", "cp", "cut", "date", "dirname", "du", "echo", "env", "false", "head", "id",
    "install", "ln", "ls", "mkdir", "mktemp", "mv", "nproc", "pwd", "readlink", "realpath", "rm", "rmdir", "sha256sum",
    "sleep", "sort", "stat", "tail", "tee", "test", "touch", "tr", "true", "uname", "uniq", "wc",
)
# In Debian's slim images whatever is installed; wheels count on them (PEP 600).
LIBRARIES = ("libstdc++.so.6", "libgcc_s.so.1", "libz.so.1", "libc.so.6", "libm.so.6", "libmvec.so.1", "libpthread.so.0",
             "libdl.so.2", "librt.so.1", "libutil.so.1", "libanl.so.1", "libresolv.so.2", "libnss_files.so.2",
             "libnss_dns.so.2")
FOLDERS = ("dev", "etc", "proc", "root", "run", "sys", "tmp", "usr/bin", "usr/lib", "usr/lib64", "usr/local/bin",
           "usr/local/lib", "usr/sbin", "var/tmp")
LINKS = {"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "lib64": "usr/lib64"}
# Of the standard library: tests and graphics, which the official images lack or cannot use, and build leftovers.
LEFT_OUT = {"test", "tests", "idlelib", "idle_test", "tkinter", "turtledemo", "lib2to3", "site-packages",
            "dist-packages", "__pycache__"}
FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
    "etc/group": "root:x:0:\nnogroup:x:65534:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    "etc/os-release": 'PRETTY_NAME="warmset stand-in, not the official image"\nID=warmset-stand-in\n',
}


class Trouble(Exception):
    pass


def said(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Trouble(f"{command[0]}: {done.stderr.strip()}")
    return done.stdout.strip()


def needed(files) -> set[pathlib.Path]:
    """Shared libraries that the files load, by the machine's own loader."""
    found = set()
    files = [str(file) for file in files]
    for start in range(0, len(files), 100):
        done = subprocess.run(["ldd", *files[start:start + 100]], capture_output=True, text=True, check=False)
        for line in done.stdout.splitlines():
            path = re.search(r"(/\S+) \(0x", line)
            if path:
                found.add(pathlib.Path(path[1]))
            elif "not found" in line:
                print(f"stand-in: {line.strip()}", file=sys.stderr)
    return found


def is_elf(path: pathlib.Path) -> bool:
    with open(path, "rb") as file:
        return file.read(4) == b"\x7fELF"


class Root:
    def __init__(self, folder: pathlib.Path):
        self.folder = folder
        for name in FOLDERS:
            (folder / name).mkdir(parents=True, exist_ok=True)
        for name, target in LINKS.items():
            (folder / name).symlink_to(target)
        for name, text in FILES.items():
            (folder / name).write_text(text)
        for name in ("tmp", "var/tmp"):
            (folder / name).chmod(0o1777)

    def copy(self, source: pathlib.Path, name: str) -> None:
        target = self.folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source.resolve(), target)
        target.chmod(0o755 if os.access(source, os.X_OK) else 0o644)

    def tree(self, source: pathlib.Path, name: str, left_out=frozenset()) -> None:
        def ignore(_, names):
            return {n for n in names if n in left_out or n.startswith("config-") or n.endswith((".pyc", ".a"))}

        shutil.copytree(source, self.folder / name, symlinks=True, ignore=ignore, dirs_exist_ok=True)

    def programs(self) -> None:
        for program in PROGRAMS:
            found = shutil.which(program, path="/usr/bin:/bin:/usr/sbin:/sbin")
            if found:
                self.copy(pathlib.Path(found), f"usr/bin/{program}")

    def libraries(self) -> None:
        """Last: copies what everything that is there now links to, and what published wheels link to."""
        elves = [f for f in self.folder.rglob("*") if f.is_file() and not f.is_symlink() and is_elf(f)]
        wanted = needed(elves)
        for line in said("/sbin/ldconfig", "-p").splitlines():
            name, _, path = line.strip().partition(" => ")
            # The machine's own architecture stands first in the cache.
            if name.split(" ")[0] in LIBRARIES and not any(w.name == name.split(" ")[0] for w in wanted):
                wanted |= {pathlib.Path(path)} | needed([path])
        for library in sorted(wanted):
            inside = str(library).lstrip("/")
            for name, target in LINKS.items():
                if inside.startswith(name + "/"):
                    inside = target + inside[len(name):]
            # A library beside the interpreter was copied with it and is found relative to /usr/local.
            if not (self.folder / inside).exists() and not (self.folder / "usr/local/lib" / library.name).exists():
                self.copy(library, inside)
        (self.folder / "etc/ld.so.conf").write_text("/usr/local/lib\n/usr/lib/x86_64-linux-gnu\n/usr/lib/aarch64-linux-gnu\n")
        said("/sbin/ldconfig", "-r", str(self.folder))

    def readable(self) -> None:
        """The unprivileged user of the image reads what the machine keeps for its owner."""
        for path in self.folder.rglob("*"):
            if not path.is_symlink() and path.name not in ("tmp",):
                path.chmod(path.stat().st_mode | (0o755 if path.is_dir() else 0o644))


def python(root: Root, version: str, prefix: pathlib.Path | None) -> str:
    command = str(prefix / f"bin/python{version}") if prefix else f"python{version}"
    ask = "import sys, sysconfig, os; print(os.path.realpath(sys.executable), sysconfig.get_path('stdlib'), sys.version.split()[0])"
    executable, library, full = said(command, "-I", "-c", ask).split()
    if not full.startswith(version + "."):
        raise Trouble(f"{command} is Python {full}")
    root.copy(pathlib.Path(executable), f"usr/local/bin/python{version}")
    root.tree(pathlib.Path(library), f"usr/local/lib/python{version}", LEFT_OUT)
    for shared in pathlib.Path(library).parent.glob("libpython*.so*"):
        if not shared.is_symlink():
            root.copy(shared, f"usr/local/lib/{shared.name}")
    for name in ("python", "python3"):
        (root.folder / "usr/local/bin" / name).symlink_to(f"python{version}")
    # pip as the standard library brings it: a distribution's own pip may lack what it vendors.
    with tempfile.TemporaryDirectory() as scratch:
        said(command, "-m", "venv", scratch)
        for place in ("site-packages", "dist-packages"):
            target = f"usr/local/lib/python{version}/{place}"
            (root.folder / target).mkdir(exist_ok=True)
        for found in pathlib.Path(scratch).glob("lib/python*/site-packages/pip*"):
            root.tree(found, f"usr/local/lib/python{version}/site-packages/{found.name}", {"__pycache__"})
    # Debian's own builds look in dist-packages.
    dist = root.folder / f"usr/local/lib/python{version}/dist-packages"
    dist.rmdir()
    dist.symlink_to("site-packages")
    return f"Python {full}"


def node(root: Root, version: str, binary: pathlib.Path | None, npm: pathlib.Path | None) -> str:
    found = binary or shutil.which("node")
    if not found:
        raise Trouble("node is not installed")
    full = said(str(found), "--version").removeprefix("v")
    if full.split(".")[0] != version:
        raise Trouble(f"{found} is Node {full}")
    if npm is None:
        which = shutil.which("npm")
        if not which:
            raise Trouble("npm is not installed")
        npm = pathlib.Path(which).resolve().parent.parent
    # Debian's npm takes its modules from folders of the system: follow the links, so that it is whole.
    shutil.copytree(npm, root.folder / "usr/local/lib/node_modules/npm", dirs_exist_ok=True,
                    ignore=shutil.ignore_patterns("npmrc", "docs", "man", "*.md"))
    root.copy(pathlib.Path(found), "usr/local/bin/node")
    for name in ("npm", "npx"):
        (root.folder / "usr/local/bin" / name).symlink_to(f"../lib/node_modules/npm/bin/{name}-cli.js")
    return f"Node {full}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", help="python3.11, node20, ...")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="folder for the root file system; must not exist")
    parser.add_argument("--prefix", type=pathlib.Path, help="installation of Python to copy, instead of the one on PATH")
    parser.add_argument("--node", type=pathlib.Path, help="Node binary to copy, instead of the one on PATH")
    parser.add_argument("--npm", type=pathlib.Path, help="npm's folder to copy, instead of the one on PATH")
    arguments = parser.parse_args()
    asked = re.fullmatch(r"(python)(3\.\d+)|(node)(\d+)", arguments.what)
    if not asked:
        parser.error("name a language and its version: python3.11, node20")
    try:
        arguments.out.mkdir(parents=True)
        root = Root(arguments.out)
        if asked[1]:
            what = python(root, asked[2], arguments.prefix)
        else:
            what = node(root, asked[4], arguments.node, arguments.npm)
        root.programs()
        root.libraries()
        root.readable()
    except (OSError, Trouble, shutil.Error) as problem:
        print(f"stand-in: {problem}", file=sys.stderr)
        return 1
    print(f"{arguments.out}: stand-in with {what}, not the official image")
    return 0


if __name__ == "__main__":
    sys.exit(main())
