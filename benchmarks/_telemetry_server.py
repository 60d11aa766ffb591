"""A Jupyter server with one extension on a fake driver, for the telemetry benchmark.

The peer, jupyterlab-nvdashboard 0.15, is installed beside: into a directory of the benchmark's own,
without its dependencies, which are ours too.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.fakes.nvml.build import Installed

ROOT = Path(__file__).resolve().parents[1]
PEER = "jupyterlab-nvdashboard==0.15.*"
PEER_PLACE = ROOT / "benchmarks/out/nvdashboard"


def install_peer() -> Path:
    """Where the peer can be imported from; installs it the first time (1 MB)."""
    if not (PEER_PLACE / "jupyterlab_nvdashboard").is_dir():
        print(f"  … installing {PEER} into {PEER_PLACE.relative_to(ROOT)}", file=sys.stderr)
        subprocess.run(
            [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
             "--no-deps", "--target", str(PEER_PLACE), PEER],
            check=True,
        )  # fmt: skip
    return PEER_PLACE


@dataclass(frozen=True)
class Server:
    """One that runs."""

    url: str
    token: str
    process: psutil.Process
    fake: Installed | None

    def cpu(self) -> float:
        """Seconds so far, of all threads that live; by the scheduler, which counts nanoseconds."""
        tasks = Path(f"/proc/{self.process.pid}/task").glob("*/schedstat")
        return sum(int(one.read_text().split()[0]) for one in tasks) / 1e9

    def rss(self) -> int:
        return int(self.process.memory_info().rss)

    def nvml_calls(self) -> int:
        return 0 if self.fake is None else sum(self.fake.calls().values())


@contextmanager
def serving(
    extension: str,
    place: Path,
    fake: Installed | None,
    options: Sequence[str] = (),
    pcie_ms: int = 0,
    python_path: Path | None = None,
    module: str = "jupyter_server",
) -> Iterator[Server]:
    """A server with that extension alone, its state under `place`; ended afterwards."""
    place.mkdir(parents=True, exist_ok=True)
    token, port = secrets.token_hex(16), _free_port()
    paths = [str(one) for one in (python_path, *sys.path) if one]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
        "FAKE_NVML_PCIE_MS": str(pcie_ms),
        "JUPYTER_TOKEN": token,
        **{f"JUPYTER_{kind}_DIR": str(place / kind.lower()) for kind in ("CONFIG", "RUNTIME")},
        "JUPYTER_DATA_DIR": str(place / "data"),
    }
    if fake is not None:
        environment["LD_LIBRARY_PATH"] = str(fake.directory)
    command = [
        *(sys.executable, "-m", module, "--no-browser", "--ServerApp.ip=127.0.0.1"),
        *(f"--ServerApp.port={port}", "--ServerApp.port_retries=0", "--allow-root"),
        f"--ServerApp.jpserver_extensions={_alone(extension)}",
        *("--ServerApp.log_level=WARN", f"--ServerApp.root_dir={place}", *options),
    ]
    with (place / "log").open("w") as log:
        process = subprocess.Popen(command, env=environment, cwd=place, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    try:
        _wait(f"{url}/api/status?token={token}", process, place / "log")
        yield Server(url, token, psutil.Process(process.pid), fake)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _alone(extension: str) -> dict[str, bool]:
    """It, and none of those that the environment has switched on: the other side, above all."""
    folder = Path(sys.prefix, "etc/jupyter/jupyter_server_config.d")
    found = [json.loads(one.read_text()) for one in folder.glob("*.json")]
    others = [name for one in found for name in one["ServerApp"].get("jpserver_extensions", {})]
    return {**dict.fromkeys(others, False), extension: True}


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the server did not start:\n{log.read_text()}") from None
            time.sleep(0.1)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port
