"""Who may go first where somebody ahead finds no room: easy, conservative and none, side by side.

Each situation is a fleet, who runs until when, and who waits in which order. It says who of those
starts now under each rule, and what conservative promises the others. Conservative promises a start
to everybody, as far as the GPUs reach, and nobody may go before it at the cost of any of these;
easy minds the first only; with none, nobody passes the first.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from gpu_workbench_server.domain.decisions import Cleared, Ended
from gpu_workbench_server.domain.estimates import forecast
from gpu_workbench_server.domain.fleet import Gpu
from gpu_workbench_server.domain.planning import promises
from gpu_workbench_server.domain.rules import Backfill, Rules
from tests.support.fleets import Script, gpu, mig_gpu, state_of


@dataclass(frozen=True)
class Ask:
    seconds: int
    count: int = 1
    what: str = "gpu"
    same_node: bool = False
    user: str = ""


def pair(seconds: int, user: str = "") -> Ask:
    return Ask(seconds, 2, same_node=True, user=user)


@dataclass(frozen=True)
class Situation:
    """Numbers are those in `waits`; promises are seconds from now. Those of `runs` that are `back`
    have been given back when the waiting come."""

    says: str
    fleet: tuple[Gpu, ...]
    runs: tuple[Ask, ...]
    waits: tuple[Ask, ...]
    easy: set[int] = field(default_factory=set)
    conservative: set[int] = field(default_factory=set)
    none: set[int] = field(default_factory=set)
    promised: dict[int, float] = field(default_factory=dict)
    back: tuple[int, ...] = ()


TWO, THREE = (gpu(0), gpu(1)), (gpu(0), gpu(1), gpu(2))
NODES = (gpu(0, "a"), gpu(1, "a"), gpu(0, "b"), gpu(1, "b"))
HALF_BUSY = Situation("", NODES, (Ask(600), Ask(1), Ask(1200)), (), back=(1,))
"""On each of two nodes one of two GPUs is busy, for 600 and for 1200 s."""

SITUATIONS = [
    Situation(
        "a short one passes where it is over before the first can start",
        TWO, (Ask(600),), (Ask(600, 2), Ask(500)),
        easy={1}, conservative={1}, promised={0: 600},
    ),
    Situation(
        "one that ends just when the first is to start passes too",
        TWO, (Ask(600),), (Ask(600, 2), Ask(600)),
        easy={1}, conservative={1}, promised={0: 600},
    ),
    Situation(
        "one that is a second too long does not",
        TWO, (Ask(600),), (Ask(600, 2), Ask(601)),
        promised={0: 600},
    ),
    Situation(
        "a long one that would delay the first waits, though a GPU is free",
        THREE, (Ask(600), Ask(900)), (Ask(600, 2), Ask(9000)),
        promised={0: 600, 1: 900},
    ),
    replace(
        HALF_BUSY, says="the second has a promise too, which only conservative makes",
        waits=(pair(600), pair(600), Ask(9000)),
        easy={2}, promised={0: 600, 1: 1200},
    ),
    replace(
        HALF_BUSY, says="one that is over before the second is to start passes both",
        waits=(pair(600), pair(600), Ask(1200)),
        easy={2}, conservative={2}, promised={0: 600, 1: 1200},
    ),
    replace(
        HALF_BUSY, says="the second is promised its start also where it is the same user's",
        waits=(pair(600, "ana"), pair(600, "ana"), Ask(9000)),
        easy={2}, promised={0: 600, 1: 1200},
    ),
    Situation(
        "who is second takes no GPU that the first is promised",
        TWO, (Ask(600), Ask(900)), (Ask(600), Ask(600)),
        promised={0: 600, 1: 900},
    ),
    Situation(
        "where every GPU is promised, who comes last has no promise, and still passes nobody",
        TWO, (Ask(600),), (Ask(600, 2), Ask(600, 2), Ask(601)),
        promised={0: 600},
    ),
    Situation(
        "on GPUs of which the first has no use, nobody waits for it",
        (gpu(0), mig_gpu(1)), (Ask(600),), (Ask(600), Ask(9000, what="1g.10gb")),
        easy={1}, conservative={1}, none={1}, promised={0: 600},
    ),
    Situation(
        "a fraction keeps off a whole GPU that is promised, and passes on another",
        TWO, (Ask(600, what="0.5"), Ask(1, what="0.5"), Ask(900, what="0.5")),
        (Ask(600), Ask(9000, what="0.5")),
        easy={1}, conservative={1}, promised={0: 600}, back=(1,),
    ),
]  # fmt: skip


def played(situation: Situation, backfill: Backfill) -> tuple[Script, list[int]]:
    script = Script(state_of(*situation.fleet, rules=Rules(backfill=backfill)))

    def ask(one: Ask, user: str) -> int:
        return script.ask(
            one.what,
            one.user or user,
            count=one.count,
            seconds=one.seconds,
            same_node=one.same_node,
        )

    runs = [ask(one, f"r{number}") for number, one in enumerate(situation.runs)]
    assert all(map(script.holds, runs))
    for number in situation.back:
        script.run(Ended(runs[number], "released"))
        script.run(Cleared(runs[number]))
    return script, [ask(one, f"w{number}") for number, one in enumerate(situation.waits)]


@pytest.mark.parametrize("backfill", ["easy", "conservative", "none"])
@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda one: one.says)
def test_who_starts(situation: Situation, backfill: Backfill) -> None:
    script, waits = played(situation, backfill)
    started = {number for number, one in enumerate(waits) if script.holds(one)}
    assert started == getattr(situation, backfill)


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda one: one.says)
def test_what_is_promised(situation: Situation) -> None:
    script, waits = played(situation, "conservative")
    made = promises(script.state, script.now)
    assert {waits.index(one.request_id): one.start - script.now for one in made} == (
        situation.promised
    )
    gpus = [uuid for one in made for uuid in one.gpus]
    assert len(gpus) == len(set(gpus)), "no GPU is promised twice"


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda one: one.says)
def test_easy_promises_the_first_what_conservative_does(situation: Situation) -> None:
    script, waits = played(situation, "easy")
    made = promises(script.state, script.now)
    assert {waits.index(one.request_id): one.start - script.now for one in made} == {
        number: start for number, start in situation.promised.items() if number == 0
    }


@pytest.mark.parametrize("backfill", ["easy", "conservative"])
@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda one: one.says)
def test_a_promise_is_kept_when_leases_run_as_long_as_declared(
    situation: Situation, backfill: Backfill
) -> None:
    script, waits = played(situation, backfill)
    began = script.now
    kept = {0: situation.promised[0]} if backfill == "easy" else situation.promised
    while script.state.queue:
        script.now = min(one.ends_at for one in script.state.leases.values())
        due = [i for i, one in script.state.leases.items() if one.ends_at <= script.now]
        for lease_id in due:
            script.run(Ended(lease_id, "expired"))
        for lease_id in due:
            script.run(Cleared(lease_id))
        for number, start in kept.items():
            if script.now >= began + start:
                assert waits[number] not in script.state.queue


def test_who_would_delay_a_second_promise_is_told_so() -> None:
    situation = next(one for one in SITUATIONS if "only conservative" in one.says)
    script, waits = played(situation, "conservative")
    told = forecast(script.state, script.now)[waits[2]]
    assert told.reason.code == "would_delay"
    assert "in 20 min" in told.reason.sentence
