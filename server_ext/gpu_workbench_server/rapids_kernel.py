"""The kernel "Python (RAPIDS)": our kernel on a slice, with the interpreter of another environment.

RAPIDS is gigabytes and often lives in an environment of its own. The spec is ours but for the
interpreter, so such a kernel is leased, bound and given back as any other; it is written where only
this server looks for kernels. Imports nothing of that environment: it is asked in a process.
"""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NAME = "gpu-rapids"
DISPLAY_NAME = "Python (RAPIDS)"
_OURS = "gpu-slice"
_ASK = """
from importlib.util import find_spec
import json
needed = {"gpu_workbench": "jupyterlab-gpu-workbench", "ipykernel": "ipykernel"}
print(json.dumps({"cudf": find_spec("cudf") is not None,
    "missing": [name for module, name in needed.items() if find_spec(module) is None]}))
"""
_ASK_SECONDS = 30


class NotOffered(Exception):
    """The environment can't be used; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class RapidsEnvironment:
    """An environment that kernels can run in."""

    python: Path
    cudf: bool
    """Whether cuDF is installed there; nobody has tried to import it."""


def inspect(environment: Path) -> RapidsEnvironment:
    """Look at an environment's directory (or at its interpreter). Raises `NotOffered`. Blocking."""
    python = environment if environment.is_file() else environment / "bin" / "python"
    if not os.access(python, os.X_OK):
        raise NotOffered(f"{environment} is no Python environment: there is no {python}.")
    try:
        # Isolated: what our server was started with and in is not what that environment has.
        argv = [str(python), "-I", "-c", _ASK]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=_ASK_SECONDS)
        found = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise NotOffered(f"{python} does not run: {error}") from None
    if found["missing"]:
        line = f"{python} -m pip install {' '.join(found['missing'])}"
        raise NotOffered(f"{environment} lacks {' and '.join(found['missing'])}: {line}")
    return RapidsEnvironment(python, found["cudf"])


def offer(manager: Any, environment: Path, directory: Path) -> RapidsEnvironment:
    """Let `manager`, the server's kernel specs, have it. Raises `NotOffered`. Blocking.

    `directory` is ours; the spec is written there anew at each start.
    """
    found = inspect(environment)
    spec = manager.get_kernel_spec(_OURS).to_dict()
    spec["argv"] = [str(found.python), *spec["argv"][1:]]
    spec["display_name"] = DISPLAY_NAME
    # So that programs and `!pip` in a notebook are the environment's.
    spec["env"] = spec.get("env", {}) | {"PATH": f"{found.python.parent}{os.pathsep}${{PATH}}"}
    folder = directory / NAME
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "kernel.json").write_text(json.dumps(spec, indent=2) + "\n")
    if str(directory) not in manager.kernel_dirs:
        manager.kernel_dirs = [*manager.kernel_dirs, str(directory)]
    return found
