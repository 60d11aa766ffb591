"""All metric points of a job in one file, in the order in which they were seen.

Ranks write their own files (`gw.log`) and TensorBoard event files where the script does; this
gathers both into `DIR/metrics.jsonl`, one `{"r": rank, "s": step, "t": time, "v": {…}}` a line, so
that a reader needs one offset. Runs in the job's supervisor; TensorBoard's reader is imported only
once there is an event file.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .files import append_json_line
from .hooks import EVENT_FILES
from .metrics import METRICS

_PIECE = 1 << 20


class Points:
    """The gathered points of one job."""

    def __init__(self, directory: Path) -> None:
        self._file = directory / METRICS
        self._events = directory / "events.jsonl"
        self._offsets: dict[Path, int] = {}
        self._boards: dict[str, _Board] = {}
        self._can_read_boards = True
        self.latest: dict[str, float] = {}
        """The newest value of each metric of rank 0."""
        self.not_a_number: tuple[str, int] | None = None
        """The first metric that was not a finite number, and its step."""

    def gather(self, ranks: dict[int, Path]) -> None:
        """Take over whatever the ranks (number → directory) wrote since the last call."""
        lines: list[str] = []
        for rank, run in ranks.items():
            for point in (*self._logged(run), *self._from_boards(run)):
                self._note(rank, point)
                lines.append(json.dumps({"r": rank, **point}, separators=(",", ":")))
        if lines:
            data = ("\n".join(lines) + "\n").encode()
            handle = os.open(self._file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(data)

    def _note(self, rank: int, point: dict[str, Any]) -> None:
        for name, value in point["v"].items():
            if not math.isfinite(value):
                self.not_a_number = self.not_a_number or (name, point["s"])
            elif rank == 0:
                self.latest[name] = value

    def _logged(self, run: Path) -> Iterator[dict[str, Any]]:
        path = run / METRICS
        offset = self._offsets.get(path, 0)
        try:
            with path.open("rb") as file:
                file.seek(offset)
                data = file.read(_PIECE)
        except OSError:
            return
        whole = data.rfind(b"\n") + 1
        self._offsets[path] = offset + whole
        for line in data[:whole].splitlines():
            with contextlib.suppress(ValueError):
                yield json.loads(line)

    def _from_boards(self, run: Path) -> Iterator[dict[str, Any]]:
        if not self._can_read_boards:
            return
        try:
            paths = (run / EVENT_FILES).read_text(encoding="utf-8").splitlines()
        except OSError:
            return
        for path in paths:
            try:
                board = self._boards.get(path) or self._boards.setdefault(path, _Board(path))
                yield from board.new_points()
            except ImportError as error:
                self._can_read_boards = False
                hint = f"event files are written, but TensorBoard's reader is missing: {error}"
                append_json_line(self._events, {"event": "notice", "message": hint})
                return
            except OSError:
                continue


class _Board:
    """One TensorBoard event file, followed as it grows."""

    def __init__(self, path: str) -> None:
        from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

        self._loader = EventFileLoader(path)

    def new_points(self) -> Iterator[dict[str, Any]]:
        """Scalars since the last call, those of one step together."""
        from tensorboard.util.tensor_util import make_ndarray

        point: dict[str, Any] = {}
        for event in self._loader.Load():
            for value in event.summary.value:
                if value.metadata.plugin_data.plugin_name != "scalars":
                    continue
                if point and point["s"] != event.step:
                    yield point
                    point = {}
                point = point or {"s": event.step, "t": round(event.wall_time, 3), "v": {}}
                point["v"][value.tag] = float(make_ndarray(value.tensor).item())
        if point:
            yield point
