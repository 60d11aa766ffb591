"""Waiting for a condition with a deadline, instead of sleeping for luck."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_for(
    condition: Callable[[], T], seconds: float = 60.0, what: str = "", every: float = 0.05
) -> T:
    """Call `condition` until it answers something true, and return that; AssertionError if late."""
    deadline = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not after {seconds:g} s: {what or condition}; last: {answer!r}")
        time.sleep(every)
