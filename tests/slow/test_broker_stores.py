"""A hundred thousand random steps of the real broker over the three stores, and no fault.

`GPU_WORKBENCH_STEPS` asks for another number; memory takes most of them, as it is quickest.
"""

from __future__ import annotations

import os

import pytest

from tests.contract.test_broker_stores import machine_over
from tests.support.machine import run_steps
from tests.support.postgres import Postgres
from tests.support.storerooms import memory_room, postgres_room, sqlite_room

STEPS = int(os.environ.get("GPU_WORKBENCH_STEPS", "100000"))

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


def test_memory() -> None:
    wanted = STEPS * 6 // 10
    assert run_steps(machine_over(memory_room), wanted) >= wanted


def test_sqlite() -> None:
    wanted = STEPS * 3 // 10
    assert run_steps(machine_over(sqlite_room), wanted) >= wanted


def test_postgresql(postgres: Postgres) -> None:
    wanted = STEPS // 10
    assert run_steps(machine_over(lambda: postgres_room(postgres)), wanted) >= wanted
