"""The connection file: how kernels, clusters and jobs of this server find it, with nothing to set.

Written 0600 and whole (a new file, then moved), in Jupyter's runtime directory; its path is in this
process's environment, which kernels inherit.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import msgspec

from gpu_workbench import protocol as wire


def new_token() -> str:
    """A token of our own, for our routes only."""
    return secrets.token_hex(24)


class Connection:
    """One server's file. `publish` when its address is known, `withdraw` at a clean stop."""

    def __init__(self, directory: Path, token: str) -> None:
        self.token = token
        self.path = directory / f"gpu-workbench-{os.getpid()}.json"
        self._published = False

    def publish(self, url: str) -> None:
        """Write the file and point `CONNECTION_ENV` at it."""
        content = wire.ConnectionFile(
            url=url,
            token=self.token,
            pid=os.getpid(),
            broker=os.environ.get(wire.BROKER_ENV, ""),
        )
        self.path.parent.mkdir(parents=True, exist_ok=True)
        _sweep(self.path.parent)
        draft = self.path.with_name(f".{self.path.name}.{secrets.token_hex(4)}")
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(msgspec.json.encode(content))
            os.replace(draft, self.path)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
        os.environ[wire.CONNECTION_ENV] = str(self.path)
        self._published = True

    def withdraw(self) -> None:
        """Remove what `publish` left. Idempotent."""
        if not self._published:
            return
        self._published = False
        self.path.unlink(missing_ok=True)
        if os.environ.get(wire.CONNECTION_ENV) == str(self.path):
            del os.environ[wire.CONNECTION_ENV]


def _sweep(directory: Path) -> None:
    """Remove what killed servers left: their tokens open nothing any more."""
    for path in directory.glob("gpu-workbench-*.json"):
        pid = path.stem.rpartition("-")[2]
        if pid.isdecimal() and not _alive(int(pid)):
            path.unlink(missing_ok=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True


def local_url(*, ip: str, port: int, base_url: str, tls: bool) -> str:
    """Address at which processes of this machine reach the server."""
    if ip in ("", "0.0.0.0", "*", "localhost"):
        host = "127.0.0.1"
    elif ip == "::":
        host = "[::1]"
    else:
        host = f"[{ip}]" if ":" in ip else ip
    return f"{'https' if tls else 'http'}://{host}:{port}{base_url}"
