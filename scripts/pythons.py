"""Find an interpreter of a Python version on this machine (standard library only)."""

import functools
import os
import pathlib
import re
import shutil
import subprocess


def _works(command: str, version: str) -> bool:
    """A shim can be on PATH and still refuse to run, so ask it."""
    probe = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        done = subprocess.run([command, "-c", probe], capture_output=True, text=True, timeout=30)
    except OSError:
        return False
    return done.returncode == 0 and done.stdout.strip() == version


def _order(path: pathlib.Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", path.name)]


@functools.cache
def find(version: str) -> str | None:
    """The path of a `python<version>` (such as "3.12"), or None when there is none."""
    on_path = shutil.which(f"python{version}")
    if on_path and _works(on_path, version):
        return on_path
    root = pathlib.Path(os.environ.get("PYENV_ROOT", pathlib.Path.home() / ".pyenv"))
    for folder in sorted(root.glob(f"versions/{version}.*"), key=_order, reverse=True):
        command = str(folder / "bin" / "python")
        if _works(command, version):
            return command
    return None
