"""What a rank leaves behind while it runs: metrics and a beat, cheap enough for every step.

Runs inside the user's training process, so it is light (no torch, no msgspec), never raises for a
full disk, and knows nothing of servers: it writes into the directory that `RUN_ENV` names, and the
job's supervisor reads there.

- `metrics.jsonl`: one line a call of `log`, `{"s": step, "t": time, "v": {name: value}}`.
- `beat`: the newest step and its time, overwritten in place: it tells a slow rank from a dead one.

Nothing is buffered in the process: what was logged before a SIGKILL is in the kernel's page cache.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
import weakref
from pathlib import Path
from typing import Any, SupportsFloat

from ..protocol import RUN_ENV

METRICS = "metrics.jsonl"
BEAT = "beat"

_BEAT_WIDTH = 48


class RunLog:
    """The files of one rank of one attempt."""

    def __init__(self, directory: Path) -> None:
        self._metrics = _open(directory / METRICS, os.O_APPEND)
        self._beat = _open(directory / BEAT, 0)
        self._steps: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()
        self._logged: int | None = None

    def log(self, step: int, values: dict[str, float]) -> None:
        """One point; `step` becomes the rank's step from now on."""
        now = time.time()
        line = json.dumps({"s": step, "t": round(now, 3), "v": values}, separators=(",", ":"))
        with contextlib.suppress(OSError):  # a full disk must not end a training run
            os.write(self._metrics, line.encode() + b"\n")
        self._logged = step
        self._write_beat(step, now)

    def stepped(self, optimizer: Any) -> None:
        """An optimizer made a step. Of several optimizers (a GAN's) the furthest one counts."""
        count = self._steps.get(optimizer, 0) + 1
        self._steps[optimizer] = count
        if self._logged is None:
            self._write_beat(max(self._steps.values()), time.time())
        else:
            self._write_beat(self._logged, time.time())

    def _write_beat(self, step: int, now: float) -> None:
        text = f"{step} {now:.3f}".ljust(_BEAT_WIDTH - 1)[: _BEAT_WIDTH - 1] + "\n"
        with contextlib.suppress(OSError):
            os.pwrite(self._beat, text.encode(), 0)


def _open(path: Path, flag: int) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | flag, 0o600)


def read_beat(directory: Path) -> tuple[int, float] | None:
    """The rank's newest step and when it was made, or None where it has made none."""
    try:
        step, at = (directory / BEAT).read_text().split()
        return int(step), float(at)
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
