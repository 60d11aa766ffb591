"""What must be done every second, in a thread of its own: never on the event loop.

A chore that fails is logged once and tried again; the others go on.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping

log = logging.getLogger(__name__)


class Housekeeping:
    """Runs each chore in turn, then waits for the rest of `interval` seconds."""

    def __init__(self, chores: Mapping[str, Callable[[], object]], interval: float = 1.0) -> None:
        self._chores = dict(chores)
        self._interval = interval
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name="gpu-workbench-housekeeping", daemon=True
        )
        self._failing: dict[str, str] = {}

    @property
    def failing(self) -> Mapping[str, str]:
        """Chores whose last try failed, and how."""
        return dict(self._failing)

    def start(self) -> None:
        self._thread.start()

    def stop(self, patience: float = 5.0) -> None:
        """Ask it to end and wait for the chore that runs, at most `patience` seconds."""
        self._stop.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(patience)

    def round(self) -> None:
        """Every chore once."""
        for name, chore in self._chores.items():
            if self._stop.is_set():
                return
            try:
                chore()
            except Exception as error:
                told = f"{type(error).__name__}: {error}"
                if self._failing.get(name) != told:
                    log.warning("GPU Workbench: %s failed: %s", name, told, exc_info=True)
                self._failing[name] = told
            else:
                if self._failing.pop(name, None) is not None:
                    log.info("GPU Workbench: %s works again", name)

    def _run(self) -> None:
        while not self._stop.is_set():
            began = time.monotonic()
            self.round()
            self._stop.wait(max(0.01, self._interval - (time.monotonic() - began)))
