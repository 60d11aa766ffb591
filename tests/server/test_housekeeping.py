"""The chores of every second: a failing one is said once and harms no other."""

from __future__ import annotations

import logging
import threading

import pytest

from gpu_workbench_server.compose import every
from gpu_workbench_server.housekeeping import Housekeeping
from tests.support.waiting import wait_for


def test_a_failing_chore_is_logged_once_and_the_others_go_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    done: list[str] = []
    trouble: list[Exception] = [RuntimeError("disk full")]

    def fails() -> None:
        if trouble:
            raise trouble[0]

    housekeeping = Housekeeping({"first": fails, "second": lambda: done.append("second")})
    with caplog.at_level(logging.INFO):
        for _ in range(5):
            housekeeping.round()
    assert done == ["second"] * 5
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert housekeeping.failing == {"first": "RuntimeError: disk full"}

    trouble[0] = RuntimeError("disk gone")
    housekeeping.round()
    trouble.clear()
    with caplog.at_level(logging.INFO):
        housekeeping.round()
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING", "INFO"]
    assert not housekeeping.failing


def test_it_runs_in_a_thread_of_its_own_until_it_is_stopped() -> None:
    threads: set[str] = set()
    rounds: list[int] = []

    def chore() -> None:
        threads.add(threading.current_thread().name)
        rounds.append(1)

    housekeeping = Housekeeping({"chore": chore}, interval=0.01)
    housekeeping.start()
    wait_for(lambda: len(rounds) > 3)
    housekeeping.stop()
    after = len(rounds)
    assert threads == {"gpu-workbench-housekeeping"}
    housekeeping.stop()
    assert len(rounds) == after


def test_a_rare_chore_is_done_once_in_so_many_rounds() -> None:
    done: list[int] = []
    chore = every(3, lambda: done.append(1))
    for _ in range(7):
        chore()
    assert len(done) == 2
