"""A cluster's directory, from the server's side: what it is, what is wanted of it, what it says.

The layout is the holder's (`gpu_workbench.holders`), the types are the wire's. The user's own
processes write here, so what is found is not trusted: reads are capped, and what can't be read is
as good as absent.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path
from typing import TypeVar

import msgspec

from gpu_workbench import protocol as wire

from .sockets import remove_sockets
from .whole_files import write_whole

T = TypeVar("T")

_MOST = 4 * 1024 * 1024
_LAST_BYTES = 4096
_LAST_LINES = 5


class ClusterFiles:
    """The directory of one cluster; it is made where it is first written to."""

    def __init__(self, directory: Path) -> None:
        self.path = directory

    def write_spec(self, spec: wire.ClusterSpec) -> None:
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(self.path / "spec.json", msgspec.json.encode(spec))

    def want(self, target: wire.ClusterTarget) -> None:
        """Tell the holder what is wanted; where it knows, only that its server lives."""
        if self._read("target.json", wire.ClusterTarget) == target:
            with contextlib.suppress(OSError):
                os.utime(self.path / "target.json")
        elif self.path.is_dir():
            write_whole(self.path / "target.json", msgspec.json.encode(target))

    def status(self) -> wire.ClusterStatus | None:
        """What the cluster said of itself last; None where it said nothing yet."""
        return self._read("status.json", wire.ClusterStatus)

    def last_words(self) -> str:
        """The end of the error log: Dask writes only what went wrong there."""
        try:
            with (self.path / "err.log").open("rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - _LAST_BYTES))
                text = file.read(_LAST_BYTES).decode(errors="replace")
        except OSError:
            return ""
        return "\n".join([line for line in text.splitlines() if line.strip()][-_LAST_LINES:])

    def tidy(self) -> None:
        """Of a cluster that is over, only its facts and logs stay: no keys, no spilled data."""
        shutil.rmtree(self.path / "spill", ignore_errors=True)
        for name in ("tls-key.pem", "tls-cert.pem", "tls-ca.pem"):
            with contextlib.suppress(OSError):
                (self.path / name).unlink()
        status = self.status()
        remove_sockets((status and status.dashboard_socket) or "")

    def _read(self, name: str, kind: type[T]) -> T | None:
        try:
            with (self.path / name).open("rb") as file:
                return msgspec.json.decode(file.read(_MOST), type=kind)
        except (OSError, msgspec.MsgspecError):
            return None
