"""A job's gathered points, bounded on disk: the newest stay as they were, the older thin out.

Each round leaves of eight values of one metric of one rank the least and the largest, at the steps
where they were logged: what is left was all logged so, and no spike is lost. The newest quarter is
left whole. A value that has lived through many rounds is one of few, so a run of any length fits,
finest where it is now.

The file is replaced at once; its first line then says which round it was, so that a reader whose
place was in the file before begins again. Standard library only.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

LIMIT = 16 << 20
"""Bytes of a job's points; they are over it until the next look."""
WHOLE_SHARE = 0.25
_BUCKET = 8
_AT_ONCE = 4096
"""Lines that are looked at together: memory is bounded, too."""


def thin(path: Path, limit: int = LIMIT) -> bool:
    """Thin the file of points where it is over its limit; whether it became much smaller. An
    `OSError` leaves it as it was."""
    before = path.stat().st_size
    if before <= limit:
        return False
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with path.open("rb") as old, os.fdopen(handle, "wb") as new:
            kept_from = int(os.fstat(old.fileno()).st_size * (1 - WHOLE_SHARE))
            new.write(json.dumps({"round": round_of(old.readline()) + 1}).encode() + b"\n")
            old.seek(0)
            older = _lines_until(old, kept_from)
            while lines := list(islice(older, _AT_ONCE)):
                new.writelines(_thinned(lines))
            for piece in iter(lambda: old.read(1 << 20), b""):
                new.write(piece)
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
    return path.stat().st_size < 0.9 * before


def round_of(first_line: bytes) -> int:
    """How often the file with that first line was thinned."""
    with contextlib.suppress(ValueError, KeyError, TypeError):
        return int(json.loads(first_line)["round"])
    return 0


def _lines_until(file: Any, end: int) -> Iterator[bytes]:
    while file.tell() < end and (line := file.readline()):
        yield line


def _thinned(lines: Iterable[bytes]) -> Iterator[bytes]:
    points = [one for one in map(_read, lines) if one is not None]
    series: dict[tuple[Any, str], list[int]] = {}
    for place, point in enumerate(points):
        for name, value in point["v"].items():
            if value == value:  # not-a-number is neither least nor largest; the job tells of it
                series.setdefault((point["r"], name), []).append(place)
    kept: dict[int, set[str]] = {}
    for (_, name), places in series.items():
        for at in range(0, len(places), _BUCKET):
            bucket = places[at : at + _BUCKET]
            for place in (
                min(bucket, key=lambda one: points[one]["v"][name]),
                max(bucket, key=lambda one: points[one]["v"][name]),
            ):
                kept.setdefault(place, set()).add(name)
    for place in sorted(kept):
        values = {name: one for name, one in points[place]["v"].items() if name in kept[place]}
        yield json.dumps({**points[place], "v": values}, separators=(",", ":")).encode() + b"\n"


def _read(line: bytes) -> dict[str, Any] | None:
    with contextlib.suppress(ValueError, AttributeError):
        found = json.loads(line)
        if isinstance(found.get("v"), dict) and "r" in found:
            return dict(found)
    return None
