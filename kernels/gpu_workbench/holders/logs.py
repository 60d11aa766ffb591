"""What ranks write, bounded on disk: the beginning and the end are kept, the middle is cut out.

The beginning says how a run was set up and the end how it goes; a gigabyte of warnings in between
says nothing. A rank writes its file itself, and may write it on: blocks are given back to the
file's system while sizes and offsets stay as they are (a hole), so no reader loses its place. Where
the file system has no holes the file is cut to its beginning instead.

What was cut is noted beside the log, for readers on both sides. Standard library only.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable
from pathlib import Path

from .files import write_json

STREAMS = ("out.log", "err.log")
CUT = ".cut"
"""Suffix of the note beside a log: `{"from": offset, "to": offset}`, what is no longer there."""

LIMIT = 64 << 20
"""Bytes of one stream of one rank that are kept, and `HEAD` of them from its beginning. A rank that
writes faster than we look is over it for a moment."""
HEAD = 1 << 20
_SLACK = 8 << 20
"""Cut so much less often."""
BLOCK = 4096
_KEEP_SIZE, _PUNCH_HOLE = 1, 2


class Logs:
    """The logs of a job's ranks. Call `bound` a few times a second."""

    def __init__(self, limit: int = LIMIT, head: int = HEAD, slack: int = _SLACK) -> None:
        self._limit, self._head, self._slack = limit, head // BLOCK * BLOCK, slack
        self._cut: dict[Path, int] = {}
        """Log → the offset up to which it was cut."""

    def bound(self, runs: Iterable[Path]) -> None:
        """Cut what is too long. A full or an odd disk is no error here: the log stays as it is."""
        for run in runs:
            for name in STREAMS:
                try:
                    self._bound(run / name)
                except OSError:
                    continue

    def _bound(self, log: Path) -> None:
        size = log.stat().st_size
        already = self._cut.get(log, self._head)
        if size - already + self._head <= self._limit + self._slack:
            return
        to = (size - self._limit + self._head) // BLOCK * BLOCK
        # Told first: a reader sees a cut that is not there yet rather than zeros.
        write_json(log.with_name(log.name + CUT), {"from": self._head, "to": to})
        with log.open("r+b") as file:
            if not punch(file.fileno(), already, to - already):
                file.truncate(self._head)
                to = self._head
                write_json(log.with_name(log.name + CUT), {"from": to, "to": to})
        self._cut[log] = to


def punch(handle: int, start: int, length: int) -> bool:
    """Give the blocks of a range back; False where this system or this file system can't."""
    try:
        fallocate = ctypes.CDLL(None, use_errno=True).fallocate
    except (OSError, AttributeError):
        return False
    fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
    return bool(fallocate(handle, _PUNCH_HOLE | _KEEP_SIZE, start, length) == 0)
