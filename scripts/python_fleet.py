"""The Python functions of fixtures/fleet and their environments (standard library only).

Used by run_fixtures.py and measure_prior.py. It reads just enough of the fixtures to
run them, and shares no code with warmset, so that it can stand against it as a witness.

Where a function's packages come from, first that is there:
  uv.lock or poetry.lock in its folder or above it; requirements.txt; the dependencies
  in pyproject.toml; nothing. Locks are installed as they are, without resolving. The
  rest is resolved under scripts/fixtures_constraints.txt, so that it stays the same.
"""

from __future__ import annotations

import ast
import dataclasses
import hashlib
import pathlib
import re
import shutil
import subprocess
import tomllib

import pythons

ROOT = pathlib.Path(__file__).resolve().parent.parent
FLEET = ROOT / "fixtures" / "fleet"
CONSTRAINTS = ROOT / "scripts" / "fixtures_constraints.txt"
DEFAULT_PYTHON = "3.11"
HANDLER_FILES = ("handler.py", "lambda_function.py", "app.py", "main.py")
HANDLER_NAMES = ("handler", "lambda_handler")
# What the Lambda runtime brings along; installed aside, last on the path.
PLATFORM_PACKAGES = ("boto3",)


@dataclasses.dataclass(frozen=True)
class Requirement:
    line: str  # as PEP 508 writes it, without hashes
    hashes: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Function:
    name: str  # folder below fixtures/fleet
    folder: pathlib.Path
    python: str  # "3.11"
    module: str
    attribute: str
    kind: str  # uv.lock, poetry.lock, hashed, pinned, ranges, none
    requirements: tuple[Requirement, ...]

    @property
    def locked(self) -> bool:
        return self.kind in ("uv.lock", "poetry.lock", "hashed", "none")

    @property
    def key(self) -> str:
        """Equal for functions that can share an environment."""
        lines = sorted(requirement.line for requirement in self.requirements)
        text = "\n".join([self.python, "locked" if self.locked else "resolved", *lines])
        return f"py{self.python}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def requirement_name(line: str) -> str:
    return normalised(re.match(r"[A-Za-z0-9._-]+", line)[0])


# --- functions ---------------------------------------------------------------


def _sam_functions(template: pathlib.Path):
    """(folder, python, handler) of each function; enough YAML for our own templates."""
    text = template.read_text()
    runtime = re.search(r"^Globals:.*?^ +Runtime: (\S+)", text, re.DOTALL | re.MULTILINE)
    resources = re.search(r"^Resources:\n(.*?)^\S", text, re.DOTALL | re.MULTILINE)[1]
    for body in re.split(r"^  (?=\w+:$)", resources, flags=re.MULTILINE):
        kind = re.search(r"^    Type: AWS::(?:Serverless|Lambda)::Function$", body, re.MULTILINE)
        fields = dict(re.findall(r"^      (Handler|CodeUri|Code|Runtime): (\S+)$", body, re.MULTILINE))
        if not kind:
            continue
        folder = template.parent / fields.get("CodeUri", fields.get("Code", "."))
        python = fields.get("Runtime", runtime and runtime[1])
        if python and python.startswith("python"):
            yield folder.resolve(), python.removeprefix("python"), fields["Handler"]


def _plain_handler(folder: pathlib.Path) -> tuple[str, str] | None:
    for file in HANDLER_FILES:
        path = folder / file
        if not path.exists():
            continue
        defined = set()
        for node in ast.parse(path.read_bytes()).body:
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                defined.add(node.name)
            elif isinstance(node, ast.Assign):
                defined |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        for name in HANDLER_NAMES:
            if name in defined:
                return path.stem, name
    return None


def _declared_python(folder: pathlib.Path) -> str:
    for place in [folder, *folder.parents]:
        manifest = place / "pyproject.toml"
        said = None
        if manifest.exists():
            data = tomllib.loads(manifest.read_text())
            said = data.get("project", {}).get("requires-python")
            said = said or data.get("tool", {}).get("poetry", {}).get("dependencies", {}).get("python")
        elif (place / ".python-version").exists():
            said = (place / ".python-version").read_text()
        found = re.search(r"3\.\d+", said or "")
        if found:
            return found[0]
        if place == FLEET:
            break
    return DEFAULT_PYTHON


def functions() -> list[Function]:
    found = {}
    for template in sorted(FLEET.glob("**/template.yaml")):
        for folder, python, handler in _sam_functions(template):
            module, _, attribute = handler.rpartition(".")
            found[folder] = (python, module, attribute)
    for event in sorted(FLEET.glob("**/event.json")):
        folder = event.parent
        if folder in found or "node_modules" in folder.parts:
            continue
        handler = _plain_handler(folder)
        if handler:
            found[folder] = (_declared_python(folder), *handler)
    out = []
    for folder, (python, module, attribute) in sorted(found.items()):
        kind, requirements = requirements_of(folder)
        name = folder.relative_to(FLEET).as_posix()
        out.append(Function(name, folder, python, module, attribute, kind, tuple(requirements)))
    return out


# --- what they require -------------------------------------------------------


def read_requirements(text: str) -> list[Requirement]:
    out = []
    for line in re.sub(r"\\\n", " ", text).splitlines():
        line = re.sub(r"(^|\s)#.*", "", line).strip()
        if not line or line.startswith("-"):
            continue
        head, *hashes = re.split(r"\s+--hash=", line)
        out.append(Requirement(head.strip(), tuple(hash_.strip() for hash_ in hashes)))
    return out


def read_poetry_lock(path: pathlib.Path) -> list[Requirement]:
    out = []
    for package in tomllib.loads(path.read_text())["package"]:
        if "main" not in package["groups"] or package["optional"]:
            continue
        marker = package.get("markers", "")
        if isinstance(marker, dict):
            marker = marker.get("main", "")
        line = f"{package['name']}=={package['version']}" + (f" ; {marker}" if marker else "")
        out.append(Requirement(line, tuple(file["hash"] for file in package["files"])))
    return out


def read_uv_lock(path: pathlib.Path, member: str) -> list[Requirement]:
    """The production closure of one workspace member, markers joined along each way."""
    packages = {package["name"]: package for package in tomllib.loads(path.read_text())["package"]}
    reached: dict[str, set[str]] = {}
    seen, work = set(), [(member, None, "")]
    while work:
        step = work.pop()
        if step in seen:
            continue
        seen.add(step)
        name, extra, marker = step
        package = packages[name]
        reached.setdefault(name, set()).add(marker)
        edges = package.get("dependencies", [])
        if extra is not None:
            edges = package.get("optional-dependencies", {}).get(extra, [])
        for edge in edges:
            own = f"({edge['marker']})" if "marker" in edge else ""
            joined = " and ".join(part for part in (marker, own) if part)
            for wanted in (None, *edge.get("extra", [])):
                work.append((edge["name"], wanted, joined))
    out = []
    for name, markers in sorted(reached.items()):
        package = packages[name]
        if "registry" not in package["source"]:
            continue
        line = f"{name}=={package['version']}"
        if "" not in markers:
            line += " ; " + " or ".join(f"({marker})" for marker in sorted(markers))
        files = [*package.get("wheels", []), *filter(None, [package.get("sdist")])]
        out.append(Requirement(line, tuple(file["hash"] for file in files)))
    return out


def requirements_of(folder: pathlib.Path) -> tuple[str, list[Requirement]]:
    for place in [folder, *folder.parents]:
        if (place / "poetry.lock").exists():
            return "poetry.lock", read_poetry_lock(place / "poetry.lock")
        if (place / "uv.lock").exists():
            member = tomllib.loads((folder / "pyproject.toml").read_text())["project"]["name"]
            return "uv.lock", read_uv_lock(place / "uv.lock", normalised(member))
        if place == FLEET:
            break
    if (folder / "requirements.txt").exists():
        found = read_requirements((folder / "requirements.txt").read_text())
        if any(requirement.hashes for requirement in found):
            return "hashed", found
        exact = all(re.search(r"[^=!<>~]==[^=]", requirement.line) for requirement in found)
        return ("pinned" if exact else "ranges"), found
    if (folder / "pyproject.toml").exists():
        project = tomllib.loads((folder / "pyproject.toml").read_text()).get("project", {})
        return "ranges", [Requirement(line) for line in project.get("dependencies", [])]
    return "none", []


# --- environments ------------------------------------------------------------


class InstallError(Exception):
    """An environment could not be made; the text is the installer's last lines."""


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise InstallError(" | ".join(lines[-4:]) or f"{command[0]} failed")


def _interpreter(version: str) -> tuple[str, str]:
    """The interpreter, and a note when it is not the version asked for."""
    found = pythons.find(version)
    if found:
        return found, ""
    other = pythons.find(DEFAULT_PYTHON) or shutil.which("python3")
    if not other:
        raise InstallError("no Python interpreter on this machine")
    return other, f"no python{version} here, ran on the default"


def _python_of(environment: pathlib.Path) -> str:
    return str(environment / "bin" / "python")


def _constraints_without(requirements, path: pathlib.Path) -> None:
    """The fleet's versions, less those that the function itself pins to another."""
    own = {requirement_name(r.line) for r in requirements if "==" in r.line}
    kept = [r.line for r in read_requirements(CONSTRAINTS.read_text()) if requirement_name(r.line) not in own]
    path.write_text("\n".join(kept) + "\n")


def environment(function: Function, cache: pathlib.Path) -> tuple[pathlib.Path, str]:
    """The function's virtual environment, made when it is not in the cache yet."""
    interpreter, note = _interpreter(function.python)
    place = cache / function.key
    done = place / "installed"
    if done.exists():
        return place, note
    shutil.rmtree(place, ignore_errors=True)
    uv = shutil.which("uv")
    if uv:
        _run([uv, "venv", "--quiet", "--python", interpreter, str(place)])
    else:
        _run([interpreter, "-m", "venv", str(place)])
    if function.requirements:
        listing = place / "requirements.txt"
        lines = [" ".join([r.line, *(f"--hash={h}" for h in r.hashes)]) for r in function.requirements]
        listing.write_text("\n".join(lines) + "\n")
        options = ["-r", str(listing)]
        if function.locked:
            options += ["--no-deps", "--require-hashes"]
        else:
            _constraints_without(function.requirements, place / "constraints.txt")
            options += ["-c", str(place / "constraints.txt")]
        _install(uv, _python_of(place), options)
    done.write_text("ok\n")
    return place, note


def _install(uv: str | None, python: str, options: list[str]) -> None:
    if uv:
        _run([uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", python, *options])
    else:
        _run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *options])


def platform_folder(python: str, cache: pathlib.Path) -> pathlib.Path:
    """A folder with what the platform provides, for handlers that do not lock it."""
    interpreter, _ = _interpreter(python)
    place = cache / f"platform-py{python}"
    done = place / "installed"
    if not done.exists():
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        options = ["--target", str(place), "-c", str(CONSTRAINTS), *PLATFORM_PACKAGES]
        _install(shutil.which("uv"), interpreter, options)
        done.write_text("ok\n")
    return place
