#!/usr/bin/env python3
"""Run every Python function of fixtures/fleet on its event, with its real packages.

    python3 scripts/run_fixtures.py --cache DIR [--only TEXT] [--show] [--repeat N]

Each set of packages gets one virtual environment in DIR (by uv where it is there,
otherwise by venv and pip). Each handler runs in a fresh process that cannot open a
connection. One line a function, `ok` or `FAILED` with the reason; exit 1 if any failed.
Standard library only; what is run and with what packages is decided in python_fleet.py.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import python_fleet

# Runs in the child: argv is folder, platform folder, module, attribute.
BOOT = """
import importlib, json, socket, sys

def refused(*arguments, **keywords):
    raise OSError("no network in a fixture run")

socket.socket.connect = socket.socket.connect_ex = refused
socket.create_connection = socket.getaddrinfo = refused
folder, platform, module, attribute = sys.argv[1:5]
sys.path.insert(0, folder)
sys.path.append(platform)
with open(folder + "/event.json") as file:
    event = json.load(file)

class Context:
    function_name = "fixture"
    memory_limit_in_mb = 512
    aws_request_id = "00000000-0000-0000-0000-000000000000"
    invoked_function_arn = "arn:aws:lambda:eu-west-1:000000000000:function:fixture"

    def get_remaining_time_in_millis(self):
        return 30000

result = getattr(importlib.import_module(module), attribute)(event, Context())
sys.stdout.write("\\nresult " + json.dumps(result, sort_keys=True) + "\\n")
"""

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
    "AWS_DEFAULT_REGION": "eu-west-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "TZ": "UTC",
}


def run_once(function, environment: pathlib.Path, platform: pathlib.Path) -> str:
    """The result as JSON text; raises RuntimeError with the last line of the failure."""
    variables = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [
                str(environment / "bin" / "python"), "-P", "-c", BOOT,
                str(function.folder), str(platform), function.module, function.attribute,
            ],
            capture_output=True, text=True, cwd=folder, timeout=180,
            env={**variables, **ENVIRONMENT, "HOME": folder, "TMPDIR": folder},
        )
    lines = [line for line in done.stdout.splitlines() if line.startswith("result ")]
    if done.returncode != 0 or not lines:
        errors = done.stderr.strip().splitlines()
        raise RuntimeError(errors[-1] if errors else f"exit status {done.returncode}")
    return lines[-1].removeprefix("result ")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=pathlib.Path, required=True, help="folder for the environments")
    parser.add_argument("--only", default="", help="run functions whose folder contains this text")
    parser.add_argument("--show", action="store_true", help="print what each handler returned")
    parser.add_argument("--repeat", type=int, default=1, help="runs of each; all must return the same")
    arguments = parser.parse_args()
    cache = arguments.cache.resolve()
    cache.mkdir(parents=True, exist_ok=True)

    chosen = [f for f in python_fleet.functions() if arguments.only in f.name]
    failed, environments = 0, set()
    for function in chosen:
        title = f"{function.name:32} python{function.python} {function.kind:11}"
        try:
            environment, note = python_fleet.environment(function, cache)
            platform = python_fleet.platform_folder(function.python, cache)
            environments.add(environment.name)
            results = {run_once(function, environment, platform) for _ in range(arguments.repeat)}
            if len(results) > 1:
                raise RuntimeError("returned different results: " + " / ".join(sorted(results))[:300])
            # A web framework turns its own crash into an answer, so a 5xx is a failure.
            result = json.loads(results.pop())
            if isinstance(result, dict) and int(result.get("statusCode", 200)) >= 400:
                raise RuntimeError(f"status {result['statusCode']}: {result.get('body', '')}")
            print(f"ok      {title}{note}", flush=True)
            if arguments.show:
                print("        " + json.dumps(result, sort_keys=True), flush=True)
        except (RuntimeError, subprocess.TimeoutExpired, python_fleet.InstallError) as error:
            failed += 1
            print(f"FAILED  {title}{error}", flush=True)
    print(f"{len(chosen) - failed} ok, {failed} failed, {len(environments)} environments")
    return 1 if failed or not chosen else 0


if __name__ == "__main__":
    sys.exit(main())
