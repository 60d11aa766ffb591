"""What went wrong in the hardware of each GPU, kept for who looks later. No clock, no thread.

The newest of each kind of each GPU, so that a memory that errs all day hides no XID. In a file,
too: errors are rare, what follows one may be the end of the machine, and it must be told after it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from pathlib import Path

import msgspec

from gpu_workbench import protocol as wire

from ..domain.readings import HardwareError
from .whole_files import write_whole

log = logging.getLogger(__name__)

KEPT = 20
"""Of each kind of each GPU."""
TOGETHER_SECONDS = 60.0
"""The same again within this time is one with a count."""

_Key = tuple[str, str]


class HardwareErrors:
    """Thread-safe. `path` is the file; None keeps them in memory only."""

    def __init__(self, path: Path | None = None) -> None:
        self._lock = threading.Lock()
        self._path = path
        self._known: dict[_Key, list[wire.HardwareError]] = {}
        """By GPU and kind, oldest first."""
        self._complained = False
        if path is not None:
            self._load(path)

    def add(self, errors: Iterable[HardwareError]) -> None:
        """Keep them, on the disk when it returns where that can be."""
        with self._lock:
            new = list(errors)
            for one in new:
                self._put(one)
            if new and self._path is not None:
                self._save(self._path)

    def of(self, gpu: str | None = None) -> list[wire.HardwareError]:
        """Of one GPU (UUID), or of all; newest first."""
        with self._lock:
            found = [
                one
                for (uuid, _), kept in self._known.items()
                if gpu in (None, uuid)
                for one in kept
            ]
        return sorted(found, key=lambda one: one.at, reverse=True)

    def _put(self, one: HardwareError) -> None:
        kept = self._known.setdefault((one.gpu, one.kind), [])
        last = next((old for old in reversed(kept) if old.code == one.code), None)
        if last is not None and one.at - last.at < TOGETHER_SECONDS:
            kept[kept.index(last)] = msgspec.structs.replace(last, count=last.count + one.count)
            return
        kept.append(
            wire.HardwareError(
                gpu=one.gpu, kind=one.kind, at=one.at, code=one.code, count=one.count
            )
        )
        del kept[:-KEPT]
        log.warning("a hardware error of the GPU %s: %s", one.gpu, _words(one))

    def _load(self, path: Path) -> None:
        try:
            for one in msgspec.json.decode(path.read_bytes(), type=list[wire.HardwareError]):
                self._known.setdefault((one.gpu, one.kind), []).append(one)
        except FileNotFoundError:
            return
        except (OSError, msgspec.MsgspecError) as error:
            log.warning("the hardware errors of before can't be read: %s", error)

    def _save(self, path: Path) -> None:
        everything = [one for kept in self._known.values() for one in kept]
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, msgspec.json.encode(everything), synced=True)
            self._complained = False
        except OSError as error:
            if not self._complained:
                log.warning("hardware errors can't be written, and go with this server: %s", error)
            self._complained = True


def _words(one: HardwareError) -> str:
    return f"XID {one.code}" if one.kind == "xid" else f"{one.kind.replace('_', ' ')} +{one.count}"
