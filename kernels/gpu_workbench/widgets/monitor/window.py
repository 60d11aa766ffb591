"""The last two minutes of some GPUs or slices, as one block of bytes. Pure.

Messages that are sent before a view is drawn are lost, so a view gets the whole window each time:
for each subject `SECONDS` activities (0..1), then `SECONDS` memories (GB), oldest first, as little
endian 32-bit floats; NaN is unknown.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

SECONDS = 120
_GB = 1 << 30
_UNKNOWN = float("nan")


@dataclass(frozen=True)
class Subject:
    """What is drawn: a slice or a GPU. `memory_bytes` is its limit."""

    id: str
    label: str
    memory_bytes: int


@dataclass
class _Track:
    activity: list[float] = field(default_factory=lambda: [_UNKNOWN] * SECONDS)
    memory: list[float] = field(default_factory=lambda: [_UNKNOWN] * SECONDS)


class Window:
    """One second a step. Subjects that are new start unknown; those that are gone are dropped."""

    def __init__(self) -> None:
        self.subjects: tuple[Subject, ...] = ()
        self._tracks: dict[str, _Track] = {}

    def watch(self, subjects: Sequence[Subject]) -> list[Subject]:
        """Take these subjects from now on; returns those that were not known."""
        new = [one for one in subjects if one.id not in self._tracks]
        self._tracks = {one.id: self._tracks.get(one.id) or _Track() for one in subjects}
        self.subjects = tuple(subjects)
        return new

    def fill(
        self,
        subject: str,
        now: float,
        points: Iterable[tuple[float, float | None, float | None]],
    ) -> None:
        """Put a past into a track: (time, activity, memory in bytes), oldest first.

        A point stands for the seconds until the next one, as far as that is less than ten.
        """
        track = self._tracks[subject]
        for moment, activity, memory in points:
            first = SECONDS - 1 - round(now - moment)
            for place in range(max(0, first), min(SECONDS, first + 10)):
                track.activity[place] = _UNKNOWN if activity is None else activity
                track.memory[place] = _UNKNOWN if memory is None else memory / _GB

    def step(self, values: dict[str, tuple[float | None, float | None]]) -> None:
        """One second later: (activity, memory in bytes) by subject; what is missing is unknown."""
        for subject, track in self._tracks.items():
            activity, memory = values.get(subject, (None, None))
            track.activity = [*track.activity[1:], _UNKNOWN if activity is None else activity]
            track.memory = [*track.memory[1:], _UNKNOWN if memory is None else memory / _GB]

    def series(self, subject: str) -> tuple[list[float], list[float]]:
        """Activities and memories (GB), oldest first."""
        track = self._tracks[subject]
        return track.activity, track.memory

    def encode(self) -> bytes:
        floats = array("f")
        for one in self.subjects:
            for values in self.series(one.id):
                floats.extend(values)
        if sys.byteorder == "big":
            floats.byteswap()
        return floats.tobytes()
