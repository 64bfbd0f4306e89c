#!/usr/bin/env python3
"""Makes src/resolve/data/python-stdlib.tsv: top-level modules of Python's standard library, by version.

    python3 scripts/make_stdlib_table.py PYTHON... > src/resolve/data/python-stdlib.tsv

Each PYTHON is an interpreter of another minor version, 3.6 to 3.13. From 3.10 the names are `sys.stdlib_module_names`
(all platforms); before, what the interpreter has built in or in its library folder, and those names of 3.10 that only
other platforms have. What 3.14 added and removed is from "What's New In Python 3.14"; keep it until an interpreter
of that version is given as well.
"""
import json
import subprocess
import sys

LIST = r"""
import json, os, sys, sysconfig
names = getattr(sys, "stdlib_module_names", None)
if names is None:
    names = set(sys.builtin_module_names)
    for key in ("stdlib", "platstdlib"):
        folder = sysconfig.get_path(key)
        for sub in (folder, os.path.join(folder, "lib-dynload")):
            for entry in os.listdir(sub):
                path = os.path.join(sub, entry)
                name = entry.split(".")[0]
                if entry.endswith((".py", ".so")) or os.path.isfile(os.path.join(path, "__init__.py")):
                    names.add(name)
print(json.dumps([sys.version_info[1], sorted(names)]))
"""
# Only Windows or macOS has them, in every version.
OTHER_PLATFORMS = {"_msi", "_overlapped", "_scproxy", "_winapi", "msilib", "msvcrt", "nt", "winreg", "winsound"}
ADDED_314 = {"_ast_unparse", "_hmac", "_py_warnings", "_remote_debugging", "_types", "_zstd", "annotationlib", "compression"}
REMOVED_314 = set()
NOT_LIBRARY = {"__phello__", "test", "site-packages", "__pycache__"}


def main() -> None:
    by_minor = {}
    for python in sys.argv[1:]:
        minor, names = json.loads(subprocess.run([python, "-c", LIST], check=True, capture_output=True, text=True).stdout)
        names = {n for n in names if n.isidentifier() and n not in NOT_LIBRARY and not n.startswith("_sysconfigdata")}
        by_minor[minor] = names | (OTHER_PLATFORMS if minor < 10 else set())
    if 14 not in by_minor and 13 in by_minor:
        by_minor[14] = (by_minor[13] | ADDED_314) - REMOVED_314
    if sorted(by_minor) != list(range(6, 15)):
        sys.exit(f"give interpreters of 3.6 to 3.13, not of {sorted(by_minor)}")
    print("# Made by scripts/make_stdlib_table.py: module, first minor version, last minor version (empty: still there).")
    for name in sorted(set().union(*by_minor.values())):
        have = [minor for minor in range(6, 15) if name in by_minor[minor]]
        # A module that is missing in between was optional in that build.
        since, until = have[0], have[-1]
        print(f"{name}\t{since}\t{'' if until == 14 else until}")


if __name__ == "__main__":
    main()
