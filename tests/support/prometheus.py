"""A Prometheus of the tests' own: Debian's program, started and stopped by them, asked by HTTP.

It listens on 127.0.0.1 only and keeps its data in a directory of its own. Where the machine has
none, Debian's package is unpacked beside .venv's other things and not installed: an installation
would start a daemon that listens to everybody.

    python -m tests.support.prometheus        # fetch and unpack it; what `dev.py` calls
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from .waiting import wait_for

UNPACKED = Path(sys.prefix) / ".dev" / "prometheus"


def program(name: str = "prometheus") -> Path | None:
    """Prometheus or promtool; None where it is neither on the PATH nor unpacked."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:{UNPACKED / 'usr/bin'}")
    return Path(found) if found else None


def unpack() -> None:
    """Debian's package, without what it depends on: the program is one file.

    Nothing to do where the machine has a Prometheus.
    """
    if program() is not None:
        return
    if not shutil.which("apt-get"):
        sys.exit("Missing: Prometheus for the tests. Put it on the PATH.")
    UNPACKED.mkdir(parents=True, exist_ok=True)
    apt_get = ["apt-get", "-q", "-oAcquire::Retries=3"]
    if os.geteuid() == 0:
        subprocess.run([*apt_get, "update"], check=True)
    subprocess.run([*apt_get, "download", "prometheus"], cwd=UNPACKED, check=True)
    for package in UNPACKED.glob("prometheus_*.deb"):
        subprocess.run(["dpkg-deb", "-x", package, UNPACKED], check=True)
        package.unlink()


class Prometheus:
    """One server with the given configuration; `root` holds it, its data and its log."""

    def __init__(self, root: Path, config: str, port: int) -> None:
        found = program()
        assert found is not None, "Prometheus is missing: python -m tests.support.prometheus"
        self._program, self._root, self._port = found, root, port
        self._process: subprocess.Popen[bytes] | None = None
        root.mkdir(parents=True, exist_ok=True)
        (root / "prometheus.yml").write_text(config)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def __enter__(self) -> Prometheus:
        with (self._root / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    self._program,
                    f"--config.file={self._root / 'prometheus.yml'}",
                    f"--storage.tsdb.path={self._root / 'data'}",
                    f"--web.listen-address=127.0.0.1:{self._port}",
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._root,
            )
        try:
            wait_for(self._ready, 60, "Prometheus is up", every=0.2)
        except AssertionError as late:
            self._end()
            raise AssertionError(f"{late}\n{(self._root / 'log').read_text()[-2000:]}") from None
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    @property
    def pid(self) -> int:
        assert self._process is not None, "not started"
        return self._process.pid

    def get(self, path: str, **query: str) -> Any:
        """The `data` of an answer of its API; AssertionError with its words where it refuses."""
        url = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        try:
            with urllib.request.urlopen(url, timeout=20) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{path} {query}: {error.read().decode()}") from None

    def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """(labels, value) of each series that the expression has now."""
        found = self.get("query", query=expression)["result"]
        return [(one["metric"], float(one["value"][1])) for one in found]

    def _ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, "Prometheus ended"
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def _end(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


if __name__ == "__main__":
    unpack()
