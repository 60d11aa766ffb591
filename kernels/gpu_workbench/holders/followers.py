"""Files of metrics, followed as they grow: our own, TensorBoard's event files, Lightning's CSV.

Each yields points, `{"s": step, "t": time, "v": {name: value}}`, that came since the last call. The
user's code writes these files, so odd content is skipped, never raised. TensorBoard's own reader is
imported with the first event file.
"""

from __future__ import annotations

import contextlib
import csv
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

_PIECE = 1 << 20

Point = dict[str, Any]


class Follower(Protocol):
    """A file of points."""

    kind: str
    """Who writes it: a metric that comes by two kinds is one metric."""

    def new_points(self) -> Iterator[Point]:
        """Since the last call. Raises `OSError` where it can't be read now."""


def follower(path: str) -> Follower:
    """What reads a file that the script opened. Raises `ImportError` without TensorBoard."""
    return CsvFile(Path(path)) if path.endswith(".csv") else EventFile(path)


def point(step: Any, time: Any, values: Any) -> Point | None:
    """A point of what was found, with the values that are numbers; None where that is nothing."""
    with contextlib.suppress(TypeError, ValueError, AttributeError, OverflowError):
        kept: dict[str, float] = {}
        for name, value in values.items():
            with contextlib.suppress(TypeError, ValueError):
                kept[str(name)] = float(value)
        if kept:
            return {"s": int(step), "t": round(float(time), 3), "v": kept}
    return None


class Lines:
    """A rank's own `metrics.jsonl`."""

    kind = "log"

    def __init__(self, path: Path) -> None:
        self._path = path
        self.offset = 0
        """What was read so far."""

    def new_points(self) -> Iterator[Point]:
        for line in self._new_lines():
            with contextlib.suppress(ValueError, KeyError, TypeError):
                one = json.loads(line)
                if made := point(one["s"], one["t"], one["v"]):
                    yield made

    def _new_lines(self) -> list[bytes]:
        with self._path.open("rb") as file:
            with contextlib.suppress(OSError):  # nothing more, or no holes here
                self.offset = os.lseek(file.fileno(), self.offset, os.SEEK_DATA)  # behind a hole
            file.seek(self.offset)
            data = file.read(_PIECE)
        whole = data.rfind(b"\n") + 1
        self.offset += whole
        return data[:whole].splitlines()


class EventFile:
    """A TensorBoard event file, whoever writes it: torch, tensorboardX, Lightning, Accelerate."""

    kind = "board"

    def __init__(self, path: str) -> None:
        without_tensorflow()
        from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

        self._loader = EventFileLoader(path)

    def new_points(self) -> Iterator[Point]:
        """Scalars, those of one step together."""
        from tensorboard.util.tensor_util import make_ndarray

        step, time, values = 0, 0.0, dict[str, float]()
        for event in self._loader.Load():
            for value in event.summary.value:
                if value.metadata.plugin_data.plugin_name != "scalars":
                    continue
                if values and step != event.step:
                    if made := point(step, time, values):
                        yield made
                    values = {}
                step, time = event.step, event.wall_time
                with contextlib.suppress(ValueError, TypeError):
                    values[value.tag] = float(make_ndarray(value.tensor).item())
        if made := point(step, time, values):
            yield made


def without_tensorflow() -> None:
    """Let TensorBoard read by its own small code where TensorFlow is installed, too."""
    sys.modules.setdefault("tensorboard.compat.notf", ModuleType("tensorboard.compat.notf"))


class CsvFile:
    """A `metrics.csv` with a column `step`, as Lightning's CSVLogger writes: with a new metric it
    writes all of it anew, with one column more."""

    kind = "csv"

    def __init__(self, path: Path) -> None:
        self._path = path
        self._header = b""
        self._offset = 0
        self._rows = 0
        """So many were told."""

    def new_points(self) -> Iterator[Point]:
        size = self._path.stat().st_size
        with self._path.open("rb") as file:
            header = file.readline()
            if header != self._header or size < self._offset:
                self._header, self._offset, skip = header, len(header), self._rows
            else:
                skip = 0
            file.seek(self._offset)
            data = file.read()
        if not header.endswith(b"\n"):
            return
        whole = data.rfind(b"\n") + 1
        lines = data[:whole].decode(errors="replace").splitlines()
        if len(lines) < skip:  # it is being written anew: the rest comes
            self._header = b""
            return
        self._offset += whole
        self._rows += len(lines) - skip
        names = next(csv.reader([header.decode(errors="replace").strip()]), [])
        time = self._path.stat().st_mtime
        for row in csv.DictReader(lines[skip:], names):
            if made := point(row.pop("step", None), time, row):
                yield made
