"""What both SQL stores are put through alike: races, and statements that a database must refuse."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from gpu_workbench_server.domain.decisions import Change
from gpu_workbench_server.domain.units import PARTS
from gpu_workbench_server.errors import StoreTrouble
from gpu_workbench_server.store.sql import SqlStore

from .leasing import a_lease, a_request, a_slice, granted

REWRITES = (
    "UPDATE ledger SET parts = 0",
    "DELETE FROM ledger",
    "UPDATE audit SET actor = 'eve'",
    "DELETE FROM audit",
)
"""History may only be added to."""

NO_SUCH_STATES = (
    "UPDATE requests SET state = 'lost'",
    "UPDATE leases SET state = 'sleeping'",
    "UPDATE leases SET cleared = true",
    "UPDATE leases SET end_reason = 'bored'",
    "UPDATE slices SET kind = 'slice'",
    f"UPDATE occupancy SET parts = {PARTS + 1}",
)
"""On a store with one active lease."""


def at_once(calls: Sequence[Callable[[], object]]) -> None:
    """Run them all in threads of their own, and wait."""
    threads = [threading.Thread(target=call) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def race_for_gpus(one: SqlStore, two: SqlStore, gpus: int = 20) -> None:
    """Both grant more than half of each GPU at once: exactly one of them gets each."""
    done: list[int] = []

    def grant(store: SqlStore, number: int) -> None:
        part = a_slice(f"{number}.0", gpu=f"GPU-{number // 2}", parts=PARTS // 2 + 1)
        with suppress(StoreTrouble):
            store.commit(granted(a_lease(number, part)))
            done.append(number)

    at_once(
        [
            lambda store=store, number=2 * gpu + half: grant(store, number)  # type: ignore[misc]
            for gpu in range(1, gpus + 1)
            for half, store in enumerate((one, two))
        ]
    )
    held = [lease.slices[0].gpu for lease in one.load().leases]
    assert sorted(held) == sorted({f"GPU-{gpu}" for gpu in range(1, gpus + 1)})
    assert len(done) == gpus
    assert two.load() == one.load()


def open_at_once(where: str | Path, times: int = 4) -> None:
    """So many open a new database at the same moment: each gets it, and it is one."""
    opened: list[SqlStore] = []
    at_once([lambda: opened.append(SqlStore.open(where))] * times)
    assert len(opened) == times
    opened[0].commit([Change("queued", a_request(1))])
    assert [len(store.load().requests) for store in opened] == [1] * times
    for store in opened:
        store.close()
