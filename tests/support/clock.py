"""A clock for worlds of real processes: they live in real time, so it can't go by itself."""

from __future__ import annotations

import time


class AheadClock:
    """The real time, and some more."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def now(self) -> float:
        return time.time() + self.ahead
