"""A thread that does one step again and again, at a rhythm that may change. Knows no step."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

LEAST_REST = 0.25
"""Of its period a lane rests at least this share, however long its step takes."""


class Lane:
    """`step` must not raise; `period` is asked before each wait (seconds)."""

    def __init__(self, name: str, step: Callable[[], object], period: Callable[[], float]) -> None:
        self._name = name
        self._step = step
        self._period = period
        self._wake = threading.Event()
        self._stopping = False
        self._thread: threading.Thread | None = None

    def start(self, first: Callable[[], object] = lambda: None) -> None:
        """`first` is done once, in the thread."""
        self._stopping = False
        self._thread = threading.Thread(
            target=self._run, args=(first,), name=f"gpu-workbench-{self._name}", daemon=True
        )
        self._thread.start()

    def wake(self) -> None:
        """Do the next step now."""
        self._wake.set()

    def stop(self) -> None:
        """Idempotent; returns when the thread has ended, or after 10 s."""
        self._stopping = True
        self._wake.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout=10)
        self._thread = None

    def _run(self, first: Callable[[], object]) -> None:
        first()
        while True:
            self._wake.clear()
            if self._stopping:  # asked after that: who stops says so first, then wakes
                return
            began = time.monotonic()
            self._step()
            period = self._period()
            self._wake.wait(max(LEAST_REST * period, period - (time.monotonic() - began)))
