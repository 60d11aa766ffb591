"""One broker per data directory: an exclusive `flock`, which no way of dying leaves behind."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from .errors import BrokerBusy, StoreTrouble


class DataDirectoryLock:
    """Held from `take` to `release`, or to the end of the process. Not inherited by children."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "broker.lock"
        self._handle: int | None = None

    def take(self) -> None:
        """Raise `BrokerBusy`, with the other's pid, where another server holds it."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreTrouble(
                f"The data directory {self.path.parent} can't be used: {error.strerror}.",
                "Set GpuWorkbenchApp.data_dir to a directory that you can write.",
            ) from None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(handle, 32).decode(errors="replace").strip() or "unknown"
            os.close(handle)
            raise BrokerBusy(
                f"Another Jupyter server (process {holder}) already manages the GPUs from "
                f"{self.path.parent}.",
                "Use the GPU panel of that server, or stop it: this one takes over then. For two "
                "at once, set GpuWorkbenchApp.data_dir.",
            ) from None
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        self._handle = handle

    def release(self) -> None:
        """Idempotent. The file stays: removing it would let two servers lock two files."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
