"""Why somebody waits and until when: a table of situations, each with code, sentence, estimate.

Times count from the moment of the question; None is "nothing that is known brings it".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from gpu_workbench_server.domain.decisions import Bound, Cleared, Ended, FleetSeen, Ticked
from gpu_workbench_server.domain.estimates import Forecast, forecast
from gpu_workbench_server.domain.fleet import Gpu, Limits
from gpu_workbench_server.domain.habits import Habits
from gpu_workbench_server.domain.leases import Holder, LedgerEntry
from gpu_workbench_server.domain.reasons import CODES
from gpu_workbench_server.domain.rules import Rules
from gpu_workbench_server.domain.units import PARTS
from tests.support.fleets import Script, gpu, mig_gpu, state_of

HOUR = 3600


@dataclass
class Case:
    """A situation: what is there, what happens, and what the last request is told."""

    name: str
    gpus: tuple[Gpu, ...]
    play: Callable[[Script], int]
    code: str
    sentence: str
    at: float | None
    by: float | None = None
    limits: Limits | None = None
    rules: Rules | None = None
    waits_for: tuple[int, ...] | None = None
    habits: Habits | None = None


def after(*asks: tuple[str, dict[str, object]]) -> Callable[[Script], int]:
    """Requests in a row; the last one is asked about."""

    def play(script: Script) -> int:
        asked = 0
        for what, more in asks:
            asked = script.ask(what, **more)  # type: ignore[arg-type]
        return asked

    return play


def a(what: str, user: str = "ana", **more: object) -> tuple[str, dict[str, object]]:
    return what, {"user": user, "seconds": HOUR, **more}


def clearing(script: Script) -> int:
    first = script.ask("gpu", seconds=HOUR)
    script.run(Ended(first, "released"))
    return script.ask("gpu", "ben", seconds=HOUR)


def drained(*left: Gpu) -> Callable[[Script], int]:
    def play(script: Script) -> int:
        script.ask("gpu", seconds=HOUR, count=len(script.state.gpus))
        asked = script.ask("gpu", "ben", seconds=HOUR, count=len(script.state.gpus))
        keep = {one.uuid for one in left}
        seen = script.state.gpus.values()
        script.run(
            FleetSeen(tuple(g if g.uuid in keep else replace(g, health="drained") for g in seen))
        )
        return asked

    return play


def later(seconds: float, play: Callable[[Script], int]) -> Callable[[Script], int]:
    """The same, and the question comes so much later."""

    def played(script: Script) -> int:
        asked = play(script)
        script.now += seconds
        return asked

    return played


def giving_way(script: Script) -> int:
    held = script.ask("gpu", "eve", "speech", seconds=24 * HOUR)
    script.run(Bound(held, Holder("kernel", "k")))
    script.now += 700
    asked = script.ask("gpu", "ana", "vision", seconds=HOUR)
    script.run(Ticked({}))
    return asked


def used_before(script: Script) -> int:
    """Ana has had the GPU for a day; then ben and she ask for what somebody else holds."""
    first = script.ask("gpu", "ana", seconds=24 * HOUR)
    script.run(Bound(first, Holder("kernel", "k")))
    script.now += 24 * HOUR - 1
    script.run(Ended(first, "released"))
    script.run(Cleared(first))
    script.ask("gpu", "eve", seconds=HOUR)
    asked = script.ask("gpu", "ana", seconds=HOUR)
    script.ask("gpu", "ben", seconds=HOUR)
    return asked


def early_birds(share: float) -> Habits:
    """Everybody gives back after this share of the declared time."""
    return Habits(
        LedgerEntry(
            i, "u", None, "default", "whole", "kernel", "", PARTS, 0.0, 100 * share, "released",
            None, 100.0,
        )
        for i in range(40)
    )  # fmt: skip


def mixed_birds() -> Habits:
    """Half give back after a quarter of the time, nearly all others after half of it."""
    shares = [0.25] * 22 + [0.5] * 15 + [1.0] * 3
    return Habits(
        LedgerEntry(
            i, "u", None, "default", "whole", "kernel", "", PARTS, 0.0, 100 * one, "released",
            None, 100.0,
        )
        for i, one in enumerate(shares)
    )  # fmt: skip


BANDS = Rules(half_life=12 * HOUR, band=0.5)
QUOTAS = Rules(deserved=Limits(groups={"vision": PARTS, "speech": 0}))
NODES = (gpu(0, "a"), gpu(1, "a"), gpu(0, "b"), gpu(1, "b"))

CASES = [
    Case(
        "the only GPU is taken", (gpu(0),), after(a("gpu"), a("gpu", "ben")),
        "waits_for_slices", "Waits for whole GPU in pool default, when lease 1 ends.",
        HOUR, HOUR, waits_for=(1,),
    ),
    Case(
        "half an hour later it is half an hour less", (gpu(0),),
        later(1800, after(a("gpu"), a("gpu", "ben"))),
        "waits_for_slices", "when lease 1 ends", 1800, 1800,
    ),
    Case(
        "a fraction waits for a fraction", (gpu(0),), after(a("gpu"), a("0.5", "ben")),
        "waits_for_slices", "Waits for 1/2 GPU in pool default, when lease 1 ends.", HOUR,
    ),
    Case(
        "the first of two that end is named", (gpu(0), gpu(1)),
        after(a("gpu", seconds=900), a("gpu"), a("gpu", "ben")),
        "waits_for_slices", "when lease 1 ends", 900, waits_for=(1,),
    ),
    Case(
        "a gang waits for its last part", (gpu(0), gpu(1)),
        after(a("gpu", seconds=900), a("gpu"), a("gpu", "ben", count=2)),
        "waits_for_slices", "Waits for 2 of 2 × whole GPU, when lease 2 ends.", HOUR,
        waits_for=(2,),
    ),
    Case(
        "a gang with some of its part free", (gpu(0), gpu(1)),
        after(a("gpu"), a("gpu", "ben", count=2)),
        "waits_for_slices", "Waits for 1 of 2 × whole GPU, when lease 1 ends.", HOUR,
    ),
    Case(
        "a MIG slice of a size that is gone", (mig_gpu(0),),
        after(a("3g.40gb"), a("3g.40gb", "ben")),
        "waits_for_slices", "Waits for 3g.40gb in pool default, when lease 1 ends.", HOUR,
    ),
    Case(
        "two fractions must end for a whole GPU", (gpu(0),),
        after(a("0.5", seconds=600), a("0.5", seconds=1200), a("gpu", "ben")),
        "waits_for_slices", "when lease 2 ends", 1200,
    ),
    Case(
        "enough is free, on two nodes", NODES,
        after(a("gpu"), a("gpu", "eve", count=2, same_node=True), a("gpu", "ben", count=2,
              same_node=True)),
        "waits_for_slices", "Waits for 1 of 2 × whole GPU", HOUR,
    ),
    Case(
        "one is free on each node", (gpu(0, "a"), gpu(1, "a"), gpu(0, "b"), gpu(1, "b")),
        later(0, lambda script: _one_on_each(script)),
        "same_node", "2 × whole GPU are free, but no node has 2 of them together.", HOUR,
    ),
    Case(
        "its processes are being ended", (gpu(0),), clearing,
        "clearing", "lease 1 has ended and its last processes are being ended", 0.0,
    ),
    Case(
        "second in the queue", (gpu(0),), after(a("gpu"), a("gpu", "ben"), a("gpu", "eve")),
        "behind_others", "An earlier request goes first.", 2 * HOUR, 2 * HOUR,
    ),
    Case(
        "third in the queue", (gpu(0),),
        after(a("gpu"), a("gpu", "ben"), a("gpu", "eve"), a("gpu", "kim")),
        "behind_others", "2 earlier requests go first.", 3 * HOUR,
    ),
    Case(
        "room that is kept for a gang", (gpu(0), gpu(1)),
        after(a("gpu"), a("gpu", "ben", count=2), a("gpu", "eve", seconds=2 * HOUR)),
        "would_delay", "in 60 min; a lease no longer than that could start now", 2 * HOUR,
    ),
    Case(
        "room that is kept, and hardly any time left", (gpu(0), gpu(1)),
        after(a("gpu", seconds=59), a("gpu", "ben", count=2), a("gpu", "eve")),
        "behind_others", "An earlier request goes first.", 59 + HOUR,
    ),
    Case(
        "the gang before it has a limit of its own", (gpu(0),),
        after(a("0.5"), a("0.5", "ben", seconds=600), a("0.5", "ana"), a("0.5", "eve")),
        "waits_for_slices", "when lease 2 ends", 600,
        limits=Limits(users={"ana": PARTS // 2}),
    ),
    Case(
        "a user's limit", (gpu(0),), after(a("0.5"), a("0.25")),
        "user_limit", "You hold 0.5 GPU of your limit of 0.5", HOUR,
        limits=Limits(default_user=PARTS // 2), waits_for=(1,),
    ),
    Case(
        "a group's limit", (gpu(0),),
        after(a("0.5", group="vision"), a("0.25", "ben", group="vision")),
        "group_limit", "Your group holds 0.5 GPU of your group's limit of 0.5", HOUR,
        limits=Limits(groups={"vision": PARTS // 2}), waits_for=(1,),
    ),
    Case(
        "the user's limit is named before the group's", (gpu(0),),
        after(a("0.5", group="vision"), a("0.25", group="vision")),
        "user_limit", "You hold 0.5 GPU", HOUR,
        limits=Limits(default_user=PARTS // 2, default_group=PARTS // 2),
    ),
    Case(
        "all its GPUs are drained", (gpu(0),), drained(),
        "gpus_unavailable", "Every GPU of pool default that has whole GPU is drained or lost", None,
    ),
    Case(
        "too few of its GPUs are left", (gpu(0), gpu(1)), drained(gpu(0)),
        "gpus_unavailable", "Only 1 of 2 × whole GPU are in service in pool default", None,
    ),
    Case(
        "somebody has a higher priority", (gpu(0),),
        after(a("gpu"), a("gpu", "ben", priority=5), a("gpu", "eve")),
        "priority", "A request with priority 5 goes first.", 2 * HOUR,
    ),
    Case(
        "a priority of its own puts it first", (gpu(0),),
        after(a("gpu"), a("gpu", "ben"), a("gpu", "eve", priority=1)),
        "waits_for_slices", "when lease 1 ends", HOUR,
    ),
    Case(
        "it would borrow, somebody else would not", (gpu(0),),
        after(a("gpu", "eve"), a("gpu", "ana", group="vision"), a("gpu", "kim", group="speech")),
        "borrowing", "Your group holds 0 GPU of 0 deserved: this would be borrowed", 2 * HOUR,
        rules=QUOTAS,
    ),
    Case(
        "a borrowed lease gives way to it", (gpu(0),), giving_way,
        "giving_way", "lease 1 was borrowed and has been asked to give way", 120,
        rules=QUOTAS, waits_for=(1,),
    ),
    Case(
        "it has had more than its share", (gpu(0),), used_before,
        "fair_share", "Your share of late is 0.75 of the quota; a request with 0.00 goes first.",
        2 * HOUR, rules=BANDS,
    ),
    Case(
        "everybody gives back after a quarter of the time", (gpu(0),),
        after(a("gpu"), a("gpu", "ben")),
        "waits_for_slices", "when lease 1 ends", HOUR / 4, HOUR / 4, habits=early_birds(0.25),
    ),
    Case(
        "who has run longer than most is judged by those who did", (gpu(0),),
        later(HOUR / 2, after(a("gpu"), a("gpu", "ben"))),
        "waits_for_slices", "when lease 1 ends", HOUR / 2, HOUR / 2, habits=early_birds(0.25),
    ),
    Case(
        "half give back early and some do not", (gpu(0),), after(a("gpu"), a("gpu", "ben")),
        "waits_for_slices", "when lease 1 ends", HOUR / 4, HOUR / 2, habits=mixed_birds(),
    ),
]  # fmt: skip


def _one_on_each(script: Script) -> int:
    """A GPU of each node is taken; a gang of two on one node is asked for."""
    leases = [script.ask("gpu", seconds=HOUR) for _ in range(4)]
    spared: set[str] = set()
    for lease_id in leases:
        node = script.state.gpus[script.state.leases[lease_id].slices[0].gpu].node
        if node not in spared:
            spared.add(node)
            script.run(Ended(lease_id, "released"))
            script.run(Cleared(lease_id))
    return script.ask("gpu", "ben", seconds=HOUR, count=2, same_node=True)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "-"))
def test_a_request_is_told_why_it_waits_and_until_when(case: Case) -> None:
    script = Script(state_of(*case.gpus, limits=case.limits, rules=case.rules))
    asked = case.play(script)
    told: Forecast = forecast(script.state, script.now, {asked}, case.habits)[asked]
    assert told.reason.code in CODES
    assert (told.reason.code, told.reason.sentence) == (case.code, told.reason.sentence)
    assert case.sentence in told.reason.sentence
    assert told.expected_at == (None if case.at is None else pytest.approx(script.now + case.at))
    if case.by is not None:
        assert told.expected_by == pytest.approx(script.now + case.by)
    if case.waits_for is not None:
        assert told.reason.waits_for == case.waits_for


def test_the_table_has_at_least_25_situations_and_nearly_every_code() -> None:
    assert len(CASES) >= 25
    assert set(CODES) - {case.code for case in CASES} == {"reserved", "starting"}
