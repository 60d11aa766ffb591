"""A forked process's own tags, where the system shows them.

A process is found again by its environment in `/proc/PID/environ`, which is what its program was
started with: a worker that is forked from a warm process, without a program of its own, would show
its parent's for life. So whoever starts such a parent leaves room (`ROOM`), and the child writes
its own values over it, in place. Linux; elsewhere nothing happens, and the holder's own files
still tell its processes.
"""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Mapping

from .. import protocol as wire

ROOM = {wire.LEASE_ENV: "0" * 12, wire.SLICES_ENV: "," * 160, wire.KEY_ENV: " " * 100}
"""What to start a parent of tagged processes with: lease 0 is nobody's, the rest is empty."""

_FILL = {wire.LEASE_ENV: "0", wire.SLICES_ENV: ",", wire.KEY_ENV: " "}
_ENV_START, _ENV_END = 49, 50  # of /proc/PID/stat, counted from 0


def show(environment: Mapping[str, str]) -> None:
    """Show these values of `environment` as this process's; what has no room stays as it was."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        start, end = _place()
        shown = ctypes.string_at(start, end - start)
        for name in ROOM:
            value = environment.get(name)
            if value is not None:
                _write(start, shown, name, value)


def _place() -> tuple[int, int]:
    """From where to where the environment lies that this process was started with."""
    with open("/proc/self/stat", "rb") as file:
        # The second field is the program's name, which may hold anything but a last bracket.
        fields = file.read().rpartition(b")")[2].split()
    start, end = int(fields[_ENV_START - 2]), int(fields[_ENV_END - 2])
    if not 0 < start < end:
        raise ValueError("not told")
    return start, end


def _write(start: int, shown: bytes, name: str, value: str) -> None:
    prefix = b"\0" + name.encode() + b"="
    at = (b"\0" + shown).find(prefix)
    if at < 0:
        return
    first = at + len(prefix) - 1
    room = shown.index(b"\0", first) - first
    fill = _FILL[name]
    filled = value.rjust(room, fill) if fill == "0" else value.ljust(room, fill)
    data = filled.encode()
    if len(data) == room:
        ctypes.memmove(start + first, data, room)
