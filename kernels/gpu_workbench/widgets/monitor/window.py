"""The last two minutes of some GPUs or slices, as one block of bytes. Pure.

Messages that are sent before a view is drawn are lost, so a view gets the whole window each time:
for each subject `SECONDS` activities (0..1), then `SECONDS` SM activities (0..1), then `SECONDS`
memories (GB), oldest first, as little endian 32-bit floats; NaN is unknown.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

SECONDS = 120
_GB = 1 << 30
_UNKNOWN = float("nan")
_FILLS = 10
"""Seconds that a point of the past stands for at most, until the next one."""


@dataclass(frozen=True)
class Subject:
    """What is drawn: a slice or a GPU. `memory_bytes` is its limit."""

    id: str
    label: str
    memory_bytes: int

    @property
    def memory_gb(self) -> float:
        return self.memory_bytes / _GB


class Figures(NamedTuple):
    """What a subject does at one moment; None is unknown."""

    activity: float | None = None
    sm: float | None = None
    memory_bytes: float | None = None

    def values(self) -> tuple[float, float, float]:
        """As a track holds them: NaN for what is unknown, memory in GB."""
        memory = None if self.memory_bytes is None else self.memory_bytes / _GB
        one, two, three = (_UNKNOWN if v is None else v for v in (self.activity, self.sm, memory))
        return one, two, three


@dataclass
class Track:
    """One subject's columns, oldest first; memory in GB."""

    activity: list[float] = field(default_factory=lambda: [_UNKNOWN] * SECONDS)
    sm: list[float] = field(default_factory=lambda: [_UNKNOWN] * SECONDS)
    memory: list[float] = field(default_factory=lambda: [_UNKNOWN] * SECONDS)

    @property
    def columns(self) -> tuple[list[float], list[float], list[float]]:
        return self.activity, self.sm, self.memory


class Window:
    """One second a step. Subjects that are new start unknown; those that are gone are dropped."""

    def __init__(self) -> None:
        self.subjects: tuple[Subject, ...] = ()
        self._tracks: dict[str, Track] = {}

    def watch(self, subjects: Sequence[Subject]) -> list[Subject]:
        """Take these subjects from now on; returns those that were not known."""
        new = [one for one in subjects if one.id not in self._tracks]
        self._tracks = {one.id: self._tracks.get(one.id) or Track() for one in subjects}
        self.subjects = tuple(subjects)
        return new

    def fill(self, subject: str, now: float, points: Iterable[tuple[float, Figures]]) -> None:
        """Put a past into a track, which it replaces: (time, figures), oldest first."""
        track = self._tracks[subject] = Track()
        for moment, figures in points:
            first = SECONDS - 1 - round(now - moment)
            for place in range(max(0, first), min(SECONDS, first + _FILLS)):
                for column, value in zip(track.columns, figures.values(), strict=True):
                    column[place] = value

    def step(self, values: Mapping[str, Figures]) -> None:
        """One second later; what is missing is unknown."""
        for subject, track in self._tracks.items():
            figures = values.get(subject, Figures())
            for column, value in zip(track.columns, figures.values(), strict=True):
                column.append(value)
                del column[0]

    def track(self, subject: str) -> Track:
        return self._tracks[subject]

    def encode(self) -> bytes:
        floats = array("f")
        for one in self.subjects:
            for column in self._tracks[one.id].columns:
                floats.extend(column)
        if sys.byteorder == "big":
            floats.byteswap()
        return floats.tobytes()
