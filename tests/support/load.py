"""What the operating system says of a tree of processes, noted all the time, to compare with.

Knows nothing of GPUs: it asks psutil and nobody else.
"""

from __future__ import annotations

import threading
import time

import psutil

_EVERY = 0.1


class Tree:
    """A process and all below it, watched from a thread inside a `with` block."""

    def __init__(self, pid: int) -> None:
        self._root = psutil.Process(pid)
        self._times: list[float] = []
        self._cpu: list[float] = []
        self._spent: dict[tuple[int, float], float] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.memory_bytes = 0
        """Resident now, all together."""
        self.pids: set[int] = set()

    def __enter__(self) -> Tree:
        self._look()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def cores(self, start: float, end: float) -> float:
        """Busy cores between two moments (seconds since the epoch), on the average."""
        return (self._at(end) - self._at(start)) / (end - start)

    def cores_lately(self, seconds: float) -> float:
        """The same over the last so many seconds; 0 until it has been watched for so long."""
        end = self._times[-1]
        return self.cores(end - seconds, end) if end - seconds >= self._times[0] else 0.0

    def _at(self, moment: float) -> float:
        """Processor seconds spent by then, between two looks in proportion."""
        assert self._times[0] <= moment <= self._times[-1], "not watched at that time"
        after = next(i for i, when in enumerate(self._times) if when >= moment)
        if after == 0:
            return self._cpu[0]
        early, late = self._times[after - 1], self._times[after]
        part = (moment - early) / (late - early)
        return self._cpu[after - 1] + part * (self._cpu[after] - self._cpu[after - 1])

    def _run(self) -> None:
        while not self._ended.wait(_EVERY):
            self._look()

    def _look(self) -> None:
        memory, alive = 0, set()
        try:
            everyone = [self._root, *self._root.children(recursive=True)]
        except psutil.NoSuchProcess:
            everyone = []
        for one in everyone:
            try:
                with one.oneshot():
                    cpu = one.cpu_times()
                    memory += one.memory_info().rss
                    self._spent[one.pid, one.create_time()] = cpu.user + cpu.system
                    alive.add(one.pid)
            except psutil.NoSuchProcess:
                continue  # what it spent stays counted
        self._times.append(time.time())
        self._cpu.append(sum(self._spent.values()))
        self.memory_bytes, self.pids = memory, alive
