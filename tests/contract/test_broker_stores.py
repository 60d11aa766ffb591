"""Whatever is asked, given back, lost, edited or restarted: the books are right after each step.

The real broker over each of the three stores; a few thousand steps here, `GPU_WORKBENCH_STEPS` in
`tests/slow`. And each bug that is sown on purpose is found.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from gpu_workbench_server.errors import StoreTrouble
from gpu_workbench_server.ports import Principal
from tests.support.bugs import BUGS, Bug
from tests.support.machine import ADMIN, StoreMachine, Wrong, run_steps
from tests.support.postgres import Postgres
from tests.support.storerooms import StoreRoom, memory_room, postgres_room, sqlite_room

STEPS = {"memory": 1500, "sqlite": 700, "postgres": 500}
Rooms = Callable[[], AbstractContextManager[StoreRoom]]


@pytest.fixture(params=sorted(STEPS))
def rooms(request: pytest.FixtureRequest) -> Rooms:
    if request.param == "postgres":
        server: Postgres = request.getfixturevalue("postgres")
        return lambda: postgres_room(server)
    return {"memory": memory_room, "sqlite": sqlite_room}[request.param]


def machine_over(rooms: Rooms, bug: Bug | None = None) -> type[StoreMachine]:
    return type("Machine", (StoreMachine,), {"a_room": staticmethod(rooms), "bug": bug})


def test_the_books_are_right_after_each_step(rooms: Rooms, request: pytest.FixtureRequest) -> None:
    steps = STEPS[request.node.callspec.params["rooms"]]
    assert run_steps(machine_over(rooms), steps) >= steps


def test_what_a_drained_gpu_takes_from_a_reservation_is_nobodys_fault() -> None:
    state = machine_over(memory_room)()
    state.start()
    state.change_fleet(number=0, health="drained")
    state.ask(what="gpu", who=Principal("ana"), count=1, same_node=False, seconds=1)
    state.book("0.5", ADMIN, (None, None), 3, True, 30.0, 300.0)  # two of them on either node
    state.nothing_is_wrong()
    state.extend(number=0, seconds=60)
    state.nothing_is_wrong()
    state.teardown()


def trusting_room() -> AbstractContextManager[StoreRoom]:
    """Of a store that does not mind a double grant."""
    return sqlite_room(trusting=True)


@pytest.mark.parametrize("rooms", [memory_room, trusting_room])
@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_bug_sown_on_purpose_is_found(bug: Bug, rooms: Rooms) -> None:
    with pytest.raises((Wrong, StoreTrouble)) as caught:
        run_state_machine_as_test(
            machine_over(rooms, bug),
            settings=settings(
                max_examples=300,  # it ends with the first that finds it, mostly one of 10
                stateful_step_count=60,
                phases=[Phase.generate],
                derandomize=True,
                deadline=None,
                database=None,
                report_multiple_bugs=False,
                suppress_health_check=list(HealthCheck),
            ),
        )
    if not isinstance(caught.value, StoreTrouble):  # the store's own guard was quicker
        assert bug.caught_as in str(caught.value)
