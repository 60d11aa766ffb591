"""Who stands still, and why: real processes that are stopped, and a clock that is told."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from gpu_workbench.holders.watch import FROZEN_SECONDS, SILENT_SECONDS, Watch
from tests.support.waiting import wait_for


@pytest.fixture
def two() -> Iterator[list[int]]:
    """Pids of two processes that sleep."""
    sleepers = [
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) for _ in range(2)
    ]
    yield [one.pid for one in sleepers]
    for one in sleepers:
        one.kill()
        one.wait()


def signalled(pid: int, number: signal.Signals) -> None:
    """Send it, and wait until the system shows it."""
    os.kill(pid, number)
    stopped = number == signal.SIGSTOP
    wait_for(lambda: (psutil.Process(pid).status() == psutil.STATUS_STOPPED) is stopped)


def ranks(pids: list[int], beat_at: float) -> list[dict[str, Any]]:
    return [
        {"rank": number, "state": "running", "pid": pid, "beat_at": beat_at}
        for number, pid in enumerate(pids)
    ]


def kinds(watch: Watch, pids: list[int], now: float) -> dict[int, str]:
    runs = {number: Path("nowhere") for number in range(len(pids))}
    return {n: one.kind for n, one in watch.look(ranks(pids, now), runs, now).items()}


def test_one_that_is_stopped_is_frozen_after_a_while(two: list[int]) -> None:
    watch = Watch("/")
    signalled(two[1], signal.SIGSTOP)
    assert kinds(watch, two, 100.0) == {}
    assert kinds(watch, two, 100.0 + FROZEN_SECONDS) == {1: "frozen"}
    signalled(two[1], signal.SIGCONT)
    assert kinds(watch, two, 110.0) == {}


def test_all_that_are_stopped_are_paused_however_far_apart_it_began(two: list[int]) -> None:
    watch = Watch("/")
    signalled(two[0], signal.SIGSTOP)
    assert kinds(watch, two, 100.0) == {}
    signalled(two[1], signal.SIGSTOP)
    assert kinds(watch, two, 100.0 + FROZEN_SECONDS) == {}, "not frozen: the other is stopped, too"
    assert kinds(watch, two, 100.0 + 2 * FROZEN_SECONDS) == {0: "paused", 1: "paused"}


def test_who_goes_on_last_after_a_pause_is_not_frozen_at_once(two: list[int]) -> None:
    watch = Watch("/")
    for pid in two:
        signalled(pid, signal.SIGSTOP)
    for now in (100.0, 200.0):
        kinds(watch, two, now)
    signalled(two[0], signal.SIGCONT)
    assert kinds(watch, two, 200.2) == {}
    assert kinds(watch, two, 200.2 + FROZEN_SECONDS) == {1: "frozen"}


def test_a_run_is_silent_only_beyond_its_own_rhythm(two: list[int]) -> None:
    runs = {0: Path("nowhere"), 1: Path("nowhere")}
    watch = Watch("/")
    for beat in (100.0, 103.0):  # a step takes three seconds: ten of them are allowed
        assert watch.look(ranks(two, beat), runs, beat) == {}
    assert watch.look(ranks(two, 103.0), runs, 103.0 + SILENT_SECONDS + 1) == {}
    watch.look(ranks(two, 103.0), runs, 134.0)
    found = watch.look(ranks(two, 103.0), runs, 137.0)
    assert {one.kind for one in found.values()} == {"hung"}
    assert {one.since for one in found.values()} == {103.0}
