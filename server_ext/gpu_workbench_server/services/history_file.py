"""The minutes of the past on disk: a file a day, appended to, so that a restart forgets nothing.

A record is `magic, length, CRC-32` and a compressed payload. Whatever is not whole (a torn tail
after a kill or a full disk) is dropped when it is read. A record goes to the system in one write, a
minute after the one before, and is not forced to the disk: a power cut may cost the last minutes, a
killed server loses none.
"""

from __future__ import annotations

import logging
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import msgspec

log = logging.getLogger(__name__)

DAYS = 8
"""Files that are kept: the seven days that can be asked for, and today's."""
MINUTES_A_DAY = 24 * 60

_HEAD = struct.Struct("<4sII")
_MAGIC = b"gwm1"
_LARGEST = 64 << 20


class Part(msgspec.Struct, frozen=True):
    """One block's minute: per metric the half floats (subjects x mean, min, max)."""

    key: str
    subjects: list[str] | None
    """None: those of the record before in the same file."""
    values: dict[str, bytes]


class Minute(msgspec.Struct, frozen=True):
    number: int
    """Minutes since the epoch."""
    parts: list[Part]


class Journal:
    """The files in one directory. One writer; every method may raise `OSError`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._day: int | None = None
        self._handle = -1
        self._subjects: dict[str, list[str]] = {}
        """As the open file has them, by key."""

    def append(self, minute: Minute) -> None:
        """Write one minute, whose parts all name their subjects."""
        day = minute.number // MINUTES_A_DAY
        if day != self._day:
            self._open(day)
        parts = [self._short(part) for part in minute.parts]
        payload = zlib.compress(msgspec.msgpack.encode(Minute(minute.number, parts)), 1)
        record = _HEAD.pack(_MAGIC, len(payload), zlib.crc32(payload)) + payload
        if os.write(self._handle, record) != len(record):
            self.close()  # the torn record ends this file's readable part: mend it next time
            raise OSError("the disk is full")
        for part in minute.parts:
            self._subjects[part.key] = part.subjects or []

    def read(self) -> Iterator[Minute]:
        """All minutes that are whole, oldest first, each with its subjects."""
        for path in self._files():
            for minute, _ in _whole(path):
                yield minute

    def close(self) -> None:
        """Idempotent; the next `append` opens again."""
        if self._handle >= 0:
            os.close(self._handle)
        self._handle, self._day = -1, None

    def _short(self, part: Part) -> Part:
        if self._subjects.get(part.key) != part.subjects:
            return part
        return Part(part.key, None, part.values)

    def _open(self, day: int) -> None:
        """Append to that day's file after its last whole record; drop files that are too old."""
        self.close()
        self._directory.mkdir(parents=True, exist_ok=True)
        for old in self._files()[: -(DAYS - 1)]:
            if old != self._path(day):
                old.unlink(missing_ok=True)
        self._subjects = {}
        end = 0
        path = self._path(day)
        if path.exists():
            for minute, after in _whole(path):
                end = after
                for part in minute.parts:
                    self._subjects[part.key] = part.subjects or []
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        os.ftruncate(self._handle, end)
        self._day = day

    def _path(self, day: int) -> Path:
        return self._directory / f"minutes-{day}.log"

    def _files(self) -> list[Path]:
        return sorted(self._directory.glob("minutes-*.log"))


def _whole(path: Path) -> Iterator[tuple[Minute, int]]:
    """The records of a file up to the first that is not whole, and where each ends."""
    subjects: dict[str, list[str]] = {}
    with path.open("rb") as file:
        while len(head := file.read(_HEAD.size)) == _HEAD.size:
            magic, length, crc = _HEAD.unpack(head)
            payload = file.read(length) if magic == _MAGIC and length <= _LARGEST else b""
            if len(payload) != length or zlib.crc32(payload) != crc:
                break
            try:
                minute = msgspec.msgpack.decode(zlib.decompress(payload), type=Minute)
            except (zlib.error, msgspec.DecodeError):
                break
            parts = []
            for part in minute.parts:
                if part.subjects is not None:
                    subjects[part.key] = part.subjects
                parts.append(Part(part.key, subjects.get(part.key, []), part.values))
            yield Minute(minute.number, parts), file.tell()
