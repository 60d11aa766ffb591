"""All metric points of a job in one file, in the order in which they were seen.

Ranks write their own files (`gw.log`), and event files or a CSV where their loggers do; this
gathers all into `DIR/metrics.jsonl`, one `{"r": rank, "s": step, "t": time, "v": {…}}` a line, so
that a reader needs one offset. Both are bounded (`thinning`, and holes in what a rank wrote).
Runs in the job's supervisor.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Iterator
from pathlib import Path

from .files import append_json_line
from .followers import Follower, Lines, Point, follower
from .hooks import noted_files
from .logs import BLOCK, punch
from .metrics import METRICS
from .thinning import LIMIT, thin


class Points:
    """The gathered points of one job."""

    def __init__(self, directory: Path, limit: int = LIMIT) -> None:
        """`limit` is of the gathered points, and of the end of each rank's own, in bytes."""
        self._limit = limit
        self._file = directory / METRICS
        self._events = directory / "events.jsonl"
        self._followers: dict[Path, Follower | None] = {}
        """None for a file that can't be read: that was told, once."""
        self._homes: dict[tuple[Path, str], tuple[str, Path]] = {}
        """(a rank's directory, metric) → the kind of logger that it is taken from, and where that
        writes."""
        self._unwritten = b""
        self._given_back: dict[Path, int] = {}
        """A rank's own file → the offset up to which its blocks were given back."""
        self.latest: dict[str, float] = {}
        """The newest value of each metric of rank 0."""
        self.not_a_number: tuple[str, int] | None = None
        """The first metric that was not a finite number, and its step."""

    def gather(self, ranks: dict[int, Path]) -> None:
        """Take over whatever the ranks (number → directory) wrote since the last call."""
        lines: list[str] = []
        for rank, run in ranks.items():
            for point in self._new(run):
                self._note(rank, point)
                lines.append(json.dumps({"r": rank, **point}, separators=(",", ":")))
        self._unwritten += "".join(f"{line}\n" for line in lines).encode()
        if self._unwritten:
            with contextlib.suppress(OSError):  # a full disk: written when there is room again
                handle = os.open(self._file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
                try:
                    self._unwritten = self._unwritten[os.write(handle, self._unwritten) :]
                finally:
                    os.close(handle)
                while not self._unwritten and thin(self._file, self._limit):
                    pass  # many ranks may have written several limits at once
        for run in ranks.values():
            self._bound(run / METRICS)

    def _bound(self, path: Path) -> None:
        """Of what a rank wrote itself the end is kept, for TensorBoard: all of it was gathered."""
        one = self._followers.get(path)
        already = self._given_back.get(path, 0)
        if not isinstance(one, Lines) or one.offset - already <= 2 * self._limit:
            return
        to = (one.offset - self._limit) // BLOCK * BLOCK
        with contextlib.suppress(OSError), path.open("r+b") as file:
            punch(file.fileno(), already, to - already)
            self._given_back[path] = to

    def _note(self, rank: int, point: Point) -> None:
        for name, value in point["v"].items():
            if not math.isfinite(value):
                self.not_a_number = self.not_a_number or (name, point["s"])
            elif rank == 0:
                self.latest[name] = value

    def _new(self, run: Path) -> Iterator[Point]:
        for path in (run / METRICS, *noted_files(run)):
            one = self._follow(path)
            if one is None:
                continue
            try:
                for point in one.new_points():
                    if values := self._mine(run, one.kind, path.parent, point["v"]):
                        yield {**point, "v": values}
            except OSError:
                continue
            except Exception as error:  # a broken file costs its points, not the run
                self._give_up(path, f"{type(error).__name__}: {error}")

    def _mine(
        self, run: Path, kind: str, directory: Path, values: dict[str, float]
    ) -> dict[str, float]:
        """A metric that two loggers write is taken from the first one. Where one logger writes it
        into two directories these are two: `loss`, then `loss (validation)`."""
        mine = {}
        for name, value in values.items():
            home = self._homes.setdefault((run, name), (kind, directory))
            if home[0] == kind:
                mine[name if home[1] == directory else f"{name} ({directory.name})"] = value
        return mine

    def _follow(self, path: Path) -> Follower | None:
        if path not in self._followers:
            try:
                self._followers[path] = Lines(path) if path.name == METRICS else follower(str(path))
            except ImportError as error:
                self._give_up(path, f"TensorBoard's reader is missing: {error}")
        return self._followers[path]

    def _give_up(self, path: Path, why: str) -> None:
        self._followers[path] = None
        message = f"the metrics of {path} are not read: {why}"
        append_json_line(self._events, {"event": "notice", "message": message})
