"""What a rank leaves behind while it runs: metrics and a beat, cheap enough for every step.

Runs inside the user's training process, so it is light (no torch, no msgspec), never raises for a
full disk, and knows nothing of servers: it writes into the directory that `RUN_ENV` names, and the
job's supervisor reads there.

- `metrics.jsonl`: one line a call of `log`, `{"s": step, "t": time, "v": {name: value}}`.
- `beat`: the newest step, its time and the rank's pace, overwritten in place: it tells a slow rank
  from a dead one.

Nothing is buffered in the process: what was logged before a SIGKILL is in the kernel's page cache.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
import weakref
from pathlib import Path
from typing import Any, NamedTuple, SupportsFloat

from ..protocol import RUN_ENV
from .pace import Pace

METRICS = "metrics.jsonl"
BEAT = "beat"

_BEAT_WIDTH = 80


class RunLog:
    """The files of one rank of one attempt."""

    def __init__(self, directory: Path) -> None:
        self._metrics = _open(directory / METRICS, os.O_APPEND)
        self._beat = _open(directory / BEAT, 0)
        self._steps: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()
        self._furthest = 0
        self._logged: int | None = None
        self._pace = Pace()

    def log(self, step: int, values: dict[str, float]) -> None:
        """One point; `step` becomes the rank's step from now on."""
        self.note(step, values)
        if not self._steps:  # no optimizer that tells
            self._pace.stepped(time.monotonic(), step - (self._logged or 0))
        self._logged = step
        self._write_beat(step)

    def note(self, step: int, values: dict[str, float]) -> None:
        """One point of somebody who does not know how far the rank is."""
        point = {"s": step, "t": round(time.time(), 3), "v": values}
        with contextlib.suppress(OSError):  # a full disk must not end a training run
            os.write(self._metrics, json.dumps(point, separators=(",", ":")).encode() + b"\n")

    def note_last(self, values: dict[str, float]) -> None:
        """One point at the step that the rank came to."""
        self.note(self._furthest if self._logged is None else self._logged, values)

    def backward(self) -> None:
        """A backward pass begins."""
        self._pace.backward(time.monotonic())

    def stepped(self, optimizer: Any) -> None:
        """An optimizer made a step. Of several optimizers (a GAN's) the furthest one counts."""
        count = self._steps.get(optimizer, 0) + 1
        self._steps[optimizer] = count
        if count > self._furthest:
            self._furthest = count
            self._pace.stepped(time.monotonic())
        self._write_beat(self._furthest if self._logged is None else self._logged)

    def _write_beat(self, step: int) -> None:
        figures = self._pace.figures(time.monotonic())
        pace = " ".join("-" if one is None else f"{one:.6g}" for one in figures)
        text = f"{step} {time.time():.3f} {pace}".ljust(_BEAT_WIDTH - 1)[: _BEAT_WIDTH - 1] + "\n"
        with contextlib.suppress(OSError):
            os.pwrite(self._beat, text.encode(), 0)


def _open(path: Path, flag: int) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | flag, 0o600)


class Beat(NamedTuple):
    """A rank's newest step."""

    step: int
    at: float
    """Seconds since the epoch."""
    step_seconds: float | None
    """Of a step, the median of the last ones; None while that is not known."""
    own_seconds: float | None
    """Of a step, until the ranks meet (`pace`)."""


def read_beat(directory: Path) -> Beat | None:
    """The rank's newest step and when it was made, or None where it has made none."""
    try:
        step, at, *pace = (directory / BEAT).read_text().split()
        took, own = (None if one == "-" else float(one) for one in pace)
        return Beat(int(step), float(at), took, own)
    except (OSError, ValueError):
        return None


# --- of this process --------------------------------------------------------------------------

_current: RunLog | None = None


def current() -> RunLog | None:
    """This process's log, or None where it is not a rank of a job.

    A forked child (a data loader's worker) shares its rank's files: whole lines do not mix.
    """
    global _current
    directory = os.environ.get(RUN_ENV)
    if not directory:
        return None
    if _current is None:
        with contextlib.suppress(OSError):
            _current = RunLog(Path(directory))
    return _current


def numbers(values: dict[str, SupportsFloat]) -> dict[str, float]:
    """Plain floats; tensors and arrays of one element too. Raises `TypeError` naming the value."""
    plain: dict[str, float] = {}
    for name, value in values.items():
        try:
            detach = getattr(value, "detach", None)  # a loss that still has its graph
            plain[name] = float(value if detach is None else detach())
        except (TypeError, ValueError, RuntimeError) as error:
            raise TypeError(
                f"log: {name}={type(value).__name__} is not one number ({error}); "
                "pass loss.item(), a mean, or len(...)"
            ) from None
    return plain
