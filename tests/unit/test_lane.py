"""A thread that does one step again and again."""

from __future__ import annotations

import threading
import time

from gpu_workbench_server.services.lane import Lane


def test_it_ends_whenever_it_is_asked_to_without_waiting_for_its_period() -> None:
    longest = 0.0
    for _ in range(300):
        lane = Lane("test", lambda: None, lambda: 30.0)
        lane.start()
        began = time.monotonic()
        lane.stop()
        longest = max(longest, time.monotonic() - began)
    assert longest < 10, "it slept through"


def test_woken_it_does_its_step_at_once() -> None:
    steps = threading.Semaphore(0)
    lane = Lane("test", steps.release, lambda: 30.0)
    lane.start()
    assert steps.acquire(timeout=10)
    lane.wake()
    assert steps.acquire(timeout=10), "before its period is over"
    lane.stop()
