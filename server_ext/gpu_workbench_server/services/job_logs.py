"""A rank's log: a piece of it, and the lines with a word in them.

The supervisor cuts the middle out of a log that grows too long (`holders.logs`) and notes the cut
beside it; here a sentence stands in its place. The user's code writes the files, so nothing found
is trusted: links are not followed, reads are capped.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple

Stream = Literal["out", "err"]

LOG_PIECE = 64 * 1024
_SEARCH_PIECE = 1 << 20
_LONGEST_LINE = 2000


class Piece(NamedTuple):
    """Part of a log; `following` is where the next one begins."""

    start: int
    following: int
    text: str
    at_end: bool


class Match(NamedTuple):
    """A line with what was looked for in it, and where in the log it begins."""

    offset: int
    text: str


class RankLog:
    """One stream of one rank of one attempt."""

    def __init__(self, run: Path, stream: Stream) -> None:
        self._path = run / f"{stream}.log"

    def read(self, offset: int) -> Piece:
        """At most 64 KiB. A negative offset counts from the end; one past the end (a new attempt
        has a new log) starts again; one in what was cut goes on behind it."""
        try:
            file = open_plain(self._path)
        except OSError:
            return Piece(0, 0, "", True)
        with file:
            size = _size(file)
            cut = self._cut(size)
            start = max(0, size + offset) if offset < 0 else offset
            start = 0 if start > size else start
            note, most, begin = "", LOG_PIECE, start
            if cut is not None and start < cut[0]:
                most = min(most, cut[0] - start)
            elif cut is not None and start < max(cut[1], cut[0] + 1):
                note, begin = _note(cut), cut[1]
            file.seek(begin)
            data = file.read(most)
        if begin + len(data) < size:
            data = _whole_characters(data)
        text = note + data.decode(errors="replace") if data else ""
        following = begin + len(data)
        return Piece(start, following, text, following >= size)

    def search(self, text: str) -> Iterator[Match]:
        """Every line that has it, in upper or lower case, from the beginning."""
        wanted = text.lower()
        try:
            file = open_plain(self._path)
        except OSError:
            return
        with file:
            size = _size(file)
            cut = self._cut(size)
            for begin, end in ((0, cut[0]), (cut[1], size)) if cut else ((0, size),):
                for offset, data in _whole_lines(file, begin, end):
                    if wanted in data.decode(errors="replace").lower():
                        yield from _matches(offset, data, wanted)

    def _cut(self, size: int) -> tuple[int, int] | None:
        """From where to where nothing is left of it."""
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            with open_plain(self._path.with_name(f"{self._path.name}.cut")) as file:
                note = json.loads(file.read(1000))
            begin, end = int(note["from"]), int(note["to"])
            return (begin, end) if 0 <= begin <= end <= size else None
        return None


def _note(cut: tuple[int, int]) -> str:
    size = f"{(cut[1] - cut[0]) / 1e6:.0f} MB" if cut[1] > cut[0] else "something"
    return f"\n… {size} of this log was cut out here: its beginning and its end are kept …\n"


def _whole_lines(file: BinaryIO, begin: int, end: int) -> Iterator[tuple[int, bytes]]:
    """Pieces that end with a line's end, but for the last one and for endless lines."""
    while begin < end:
        file.seek(begin)
        data = file.read(min(_SEARCH_PIECE, end - begin))
        if begin + len(data) < end:
            data = data[: data.rfind(b"\n") + 1] or data
        if not data:
            return
        yield begin, data
        begin += len(data)


def _matches(offset: int, data: bytes, wanted: str) -> Iterator[Match]:
    for line in data.splitlines(keepends=True):
        text = line.decode(errors="replace")
        if wanted in text.lower():
            yield Match(offset, text.rstrip("\r\n")[:_LONGEST_LINE])
        offset += len(line)


def open_plain(path: Path) -> Any:
    """Open a regular file for reading, following no link, neither it nor the rank's directory.

    Raises `OSError`; also for a pipe, which would block us.
    """
    for part in (path.parent, path.parent.parent):
        if part.is_symlink():
            raise OSError(f"a link: {part}")
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(f"not a file: {path}")
    return os.fdopen(handle, "rb")


def _size(file: BinaryIO) -> int:
    return os.fstat(file.fileno()).st_size


def _whole_characters(data: bytes) -> bytes:
    """Without the first bytes of a UTF-8 character whose rest comes with the next piece."""
    for back in range(1, min(4, len(data)) + 1):
        byte = data[-back]
        if byte & 0xC0 != 0x80:
            need = 1 if byte < 0x80 else 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return data if need <= back else data[:-back]
    return data
