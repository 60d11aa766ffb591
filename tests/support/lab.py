"""A real Jupyter server with the extension, in directories of its own: start, kill -9, restart.

Knows nothing of what is tested on it. It listens on 127.0.0.1, has a token and XSRF checks like any
user's server, and uses simulated GPUs.

    with LabServer(tmp_path) as server:
        server.api("POST", "requests", {"what": "20GB"})
        kernel = server.start_kernel("gpu-slice", path="churn.ipynb")
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
import weakref
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar, Literal

from .waiting import wait_for

REPOSITORY = Path(__file__).resolve().parents[2]
API = "gpu-workbench/api/v1"
# Tests don't want to wait, nor to use the machine's real GPUs.
# The grace is longer than Jupyter's restarter takes to notice a dead kernel (3 s).
_QUICK = {"devices": "simulated", "lease_ttl": 30, "grace_seconds": 5.0, "tick_seconds": 0.3}
# What each app leaves out. An API needs none of JupyterLab's parts, and they take a second to load.
_OTHERS = ("dask_labextension", "jupyter_server_proxy")
_LAB = ("jupyterlab", "jupyter_lsp", "jupyter_server_terminals", "notebook_shim")
_FOREIGN = ("JUPYTER", "JPY_", "GPU_WORKBENCH", "IPYTHON", "CUDA_", "PYTEST")


class HttpError(Exception):
    """The server answered with something else than success; `body` is the decoded JSON, if any."""

    def __init__(self, status: int, body: Any) -> None:
        self.status = status
        self.body = body
        super().__init__(f"HTTP {status}: {body}")

    @property
    def code(self) -> str | None:
        return self.body.get("code") if isinstance(self.body, dict) else None


class LabServer:
    """One server process; `root` holds its config, data, runtime files, notebooks and log."""

    alive: ClassVar[weakref.WeakSet[LabServer]] = weakref.WeakSet()
    """Those that were started and not stopped: a test that fails tells the end of their logs."""

    def __init__(
        self,
        root: Path,
        *,
        app: Literal["server", "lab"] = "server",
        workbench: dict[str, Any] | None = None,
        config: dict[str, dict[str, Any]] | None = None,
        env: dict[str, str] | None = None,
        beside_dask: bool = False,
    ) -> None:
        """`workbench` are settings of the extension, `config` of anything else in the server.

        dask-labextension, where it is installed, is switched off unless a test is about it.
        """
        self.root = root
        self.app = app
        self.token = secrets.token_hex(16)
        self.port = free_port()
        self.notebooks = root / "notebooks"
        self.data_dir = root / "data"
        self.runtime_dir = root / "runtime"
        self.log_file = root / "server.log"
        self.workbench = _QUICK | (workbench or {})
        self.config = config or {}
        self.beside_dask = beside_dask
        self.process: subprocess.Popen[bytes] | None = None
        self._trouble: Exception | None = None
        self.env = self._environment() | (env or {})
        for folder in (self.notebooks, self.data_dir, self.runtime_dir, root / "home"):
            folder.mkdir(parents=True, exist_ok=True)
        install_kernelspecs(self.data_dir)

    @property
    def url(self) -> str:
        """With a slash at its end."""
        return f"http://127.0.0.1:{self.port}/"

    @property
    def pid(self) -> int:
        assert self.process is not None, "not started"
        return self.process.pid

    # --- life ---------------------------------------------------------------------------------

    def start(self, seconds: float = 120.0) -> LabServer:
        """Start it and wait until the extension answers."""
        self.spawn()
        return self.wait_up(seconds)

    def spawn(self) -> None:
        """Start it and don't wait."""
        self._write_config()
        self.alive.add(self)
        module = {"server": "jupyter_server", "lab": "jupyterlab"}[self.app]
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", module, "--no-browser", "--allow-root"],
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=self.env,
                cwd=self.root,
                start_new_session=True,
            )

    def wait_up(self, seconds: float = 120.0) -> LabServer:
        """Wait until the extension answers; AssertionError with the log's end where it doesn't."""
        try:
            wait_for(self._answers, seconds, "server up", every=0.2)
        except AssertionError as late:
            self.stop()
            raise AssertionError(f"{late}\n{self._trouble}\n{self.log_tail()}") from None
        return self

    def _answers(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise AssertionError("the server ended")
        try:
            self.api("GET", "status", timeout=5)
        except (OSError, HttpError) as trouble:
            self._trouble = trouble
            if isinstance(trouble, HttpError) and trouble.code in ("internal", "bad_configuration"):
                raise AssertionError("the extension could not start") from None
            return False
        return True

    def kill9(self) -> None:
        """SIGKILL to the server alone; kernels, clusters and jobs are on their own then."""
        os.kill(self.pid, signal.SIGKILL)
        assert self.process is not None
        self.process.wait()

    def stop(self, seconds: float = 60.0) -> None:
        """SIGTERM, as a user or a service manager would; SIGKILL if that isn't heard."""
        self.alive.discard(self)
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill9()

    def restart(self, *, kill: bool = False, same_port: bool = True) -> LabServer:
        """End it (by SIGKILL with `kill`) and start it on the same directories and token."""
        if self.process is not None and self.process.poll() is None:
            self.kill9() if kill else self.stop()
        if not same_port:
            self.port = free_port()
        return self.start()

    def __enter__(self) -> LabServer:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            print(f"{self.log_file} ends:\n{self.log_tail()}")  # pytest shows it where a test fails
        self.stop()

    def log_tail(self, lines: int = 40) -> str:
        text = self.log_file.read_text(errors="replace") if self.log_file.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    # --- calls --------------------------------------------------------------------------------

    def api(self, method: str, path: str, body: Any = None, timeout: float = 60.0) -> Any:
        """Call the extension's REST API: `api("GET", "leases?ended=1")`. Raises HttpError."""
        return self.call(method, f"{API}/{path}", body, timeout)

    def jupyter(self, method: str, path: str, body: Any = None, timeout: float = 60.0) -> Any:
        """Call Jupyter's own REST API: `jupyter("GET", "kernels")`. Raises HttpError."""
        try:
            return self.call(method, f"api/{path}", body, timeout)
        except HttpError as error:
            if (method, error.status) != ("GET", 500):
                raise
            # jupyter-server lists a kernel an instant before it knows its last activity, and then
            # answers 500 (TraitError) to whoever asks for kernels or sessions in that instant.
            return self.call(method, f"api/{path}", body, timeout)

    def call(self, method: str, path: str, body: Any = None, timeout: float = 60.0) -> Any:
        request = urllib.request.Request(
            self.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Authorization": f"token {self.token}",
                "Content-Type": "application/json",
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            text = error.read()
            try:
                raise HttpError(error.code, json.loads(text)) from None
            except ValueError:
                raise HttpError(error.code, text.decode(errors="replace")[:2000]) from None
        return json.loads(text) if text else None

    def leases(self) -> list[dict[str, Any]]:
        """The caller's leases that are not over."""
        found: list[dict[str, Any]] = self.api("GET", "leases")["leases"]
        return [one for one in found if one["state"] != "ended"]

    def all_free(self) -> bool:
        status = self.api("GET", "status")
        return bool(status["units_free"] == status["units_total"])

    def give_everything_back(self) -> None:
        """End whatever a test left, and wait until nothing is held."""
        if self.process is None or self.process.poll() is not None:
            self.start()
        wait_for(self._nothing_left, 120, "every slice free again")

    def _nothing_left(self) -> bool:
        """End what is there. What ends or restarts just now can't be ended: it is tried again."""
        sessions, kernels = self.jupyter("GET", "sessions"), self.kernel_ids()
        clusters, jobs, requests = (
            [one for one in self.api("GET", kind)[kind] if not one.get("ended_at")]
            for kind in ("clusters", "jobs", "requests")
        )
        ends = [(self.jupyter, "DELETE", f"sessions/{one['id']}") for one in sessions]
        ends += [(self.jupyter, "DELETE", f"kernels/{one}") for one in kernels]
        ends += [(self.api, "DELETE", f"clusters/{one['id']}") for one in clusters]
        ends += [(self.api, "POST", f"jobs/{one['id']}/stop") for one in jobs]
        ends += [(self.api, "DELETE", f"requests/{one['id']}") for one in requests]
        ends += [(self.api, "DELETE", f"leases/{one['id']}") for one in self.leases()]
        for call, method, path in ends:
            with suppress(HttpError):
                call(method, path)
        return not ends and self.all_free()

    # --- kernels ------------------------------------------------------------------------------

    def start_kernel(self, name: str = "gpu-slice", path: str | None = None) -> dict[str, Any]:
        """Open a session as JupyterLab does for a notebook; returns the kernel's model.

        None makes up a path: for one that is known, Jupyter answers with the kernel it has.
        """
        path = path or f"notebook-{secrets.token_hex(4)}.ipynb"
        session = self.jupyter(
            "POST",
            "sessions",
            {
                "path": path,
                "type": "notebook",
                "name": path.rpartition("/")[2],
                "kernel": {"name": name},
            },
        )
        kernel: dict[str, Any] = session["kernel"]
        return kernel

    def kernel_ids(self) -> list[str]:
        return [one["id"] for one in self.jupyter("GET", "kernels")]

    # --- set-up -------------------------------------------------------------------------------

    def _environment(self) -> dict[str, str]:
        env = {name: v for name, v in os.environ.items() if not name.startswith(_FOREIGN)}
        parts = ("server_ext", "kernels", "tests/support/absent")
        paths = [str(REPOSITORY / part) for part in parts]
        return env | {
            "HOME": str(self.root / "home"),
            "JUPYTER_CONFIG_DIR": str(self.root / "config"),
            "JUPYTER_DATA_DIR": str(self.data_dir),
            "JUPYTER_RUNTIME_DIR": str(self.runtime_dir),
            "JUPYTERLAB_SETTINGS_DIR": str(self.root / "settings"),
            "JUPYTERLAB_WORKSPACES_DIR": str(self.root / "workspaces"),
            # What lies in our own directories goes before what is installed.
            "JUPYTER_PREFER_ENV_PATH": "0",
            "IPYTHONDIR": str(self.root / "ipython"),
            "PYTHONPATH": os.pathsep.join(paths),
        }

    def _write_config(self) -> None:
        others = dict.fromkeys(_OTHERS, self.beside_dask)
        others |= dict.fromkeys(_LAB, self.app == "lab")
        settings: dict[str, dict[str, Any]] = {
            "ServerApp": {
                "ip": "127.0.0.1",
                "port": self.port,
                "port_retries": 0,
                "root_dir": str(self.notebooks),
                "open_browser": False,
                "jpserver_extensions": {"gpu_workbench_server": True, **others},
            },
            "IdentityProvider": {"token": self.token},
            "LabApp": {"expose_app_in_browser": True},
            "GpuWorkbenchApp": self.workbench,
        }
        for name, values in self.config.items():
            settings.setdefault(name, {}).update(values)
        folder = self.root / "config"
        (folder / "labconfig").mkdir(parents=True, exist_ok=True)
        off = {"disabledExtensions": {"dask-labextension": not self.beside_dask}}
        (folder / "labconfig" / "page_config.json").write_text(json.dumps(off))
        (folder / "jupyter_server_config.json").write_text(json.dumps(settings))
        (folder / "jupyter_lab_config.json").write_text(json.dumps({"LabApp": settings["LabApp"]}))


def install_kernelspecs(data_dir: Path) -> None:
    """Put this repository's kernel specs where a Jupyter with that data directory looks."""
    for spec in (REPOSITORY / "kernels" / "kernel-specs").iterdir():
        if (spec / "kernel.json").exists():
            shutil.copytree(spec, data_dir / "kernels" / spec.name, dirs_exist_ok=True)


def free_port() -> int:
    """One below those that the system hands out by itself, to kernels, workers and connections: it
    is still free when a server comes to listen on it, and again after that was killed."""
    while True:
        port = 20_000 + secrets.randbelow(12_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
