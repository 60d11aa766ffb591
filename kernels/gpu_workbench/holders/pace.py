"""How long a rank's steps take, and how much of each is its own work. Pure: no clock, no files.

Ranks that meet in a collective at every step all take as long as the slowest, so the length of a
step names nobody. What differs is how far a rank gets before it has to wait: from the end of a step
to the backward pass, where gradients are exchanged, it is alone (data, forward pass).
"""

from __future__ import annotations

from collections import deque
from statistics import median
from typing import NamedTuple

WINDOW = 50
"""Steps that the medians are over."""
_WARM_UP = 3
_LEAST = 5
_ANEW_SECONDS = 0.5


class Figures(NamedTuple):
    """Medians, in seconds; None where too little is known."""

    step: float | None = None
    own: float | None = None
    """From the end of a step until the next backward pass begins."""


class Pace:
    """One rank of one attempt. Times are those of a monotonic clock, in seconds."""

    def __init__(self) -> None:
        self._at: float | None = None
        self._backward: float | None = None
        self._seen = 0
        self._steps: deque[float] = deque(maxlen=WINDOW)
        self._own: deque[float] = deque(maxlen=WINDOW)
        self._figures, self._figured_at = Figures(), 0.0

    def backward(self, now: float) -> None:
        """A backward pass begins; of several in a step the last one counts: it is the one that
        exchanges gradients where they are accumulated."""
        self._backward = now

    def stepped(self, now: float, steps: int = 1) -> None:
        """So many steps have been made since the last call."""
        if steps <= 0:  # said once more of the same step
            return
        if self._at is not None:
            self._seen += 1
            # The first ones import, compile and allocate.
            if self._seen > _WARM_UP:
                self._steps.append((now - self._at) / steps)
                if self._backward is not None:
                    self._own.append(self._backward - self._at)
        self._at, self._backward = now, None

    def figures(self, now: float) -> Figures:
        """Computed anew twice a second at most: this is called at every step."""
        if now - self._figured_at >= _ANEW_SECONDS:
            self._figured_at = now
            self._figures = Figures(_median(self._steps), _median(self._own))
        return self._figures


def _median(values: deque[float]) -> float | None:
    return median(values) if len(values) >= _LEAST else None
