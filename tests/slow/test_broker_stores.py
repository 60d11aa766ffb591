"""A hundred thousand random steps of the real broker over the three stores, and no fault.

`GPU_WORKBENCH_STEPS` asks for another number; memory takes most of them, as it is quickest.
"""

from __future__ import annotations

import os
import time

import pytest

from tests.contract.test_broker_stores import machine_over
from tests.support.machine import StoreMachine, run_steps
from tests.support.postgres import Postgres
from tests.support.storerooms import memory_room, postgres_room, sqlite_room

STEPS = int(os.environ.get("GPU_WORKBENCH_STEPS", "100000"))

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


def test_memory() -> None:
    take("memory", machine_over(memory_room), STEPS * 6 // 10)


def test_sqlite() -> None:
    take("SQLite", machine_over(sqlite_room), STEPS * 3 // 10)


def test_postgresql(postgres: Postgres) -> None:
    take("PostgreSQL", machine_over(lambda: postgres_room(postgres)), STEPS // 10)


def take(store: str, machine: type[StoreMachine], wanted: int) -> None:
    """So many steps; says how many it were and how long they took (pytest -s shows it)."""
    began = time.monotonic()
    taken = run_steps(machine, wanted)
    print(f"{store}: {taken} steps without a fault in {time.monotonic() - began:.0f} s")
    assert taken >= wanted
