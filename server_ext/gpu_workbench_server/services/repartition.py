"""Cutting idle GPUs anew for those who wait: what is proposed, and doing it for an admin.

Only pools whose policy says `repartition = true`, and only GPUs that nobody holds: what is proposed
is worked out again under the keeper's lock, which is held until the devices show the new instances.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gpu_workbench import protocol as wire

from ..domain.order import Order
from ..domain.repartition import Layout, Proposal, propose
from ..errors import Forbidden, WrongState
from ..ports import AuditEntry, DeviceBackend, Principal
from .keeper import Keeper


def proposals(keeper: Keeper) -> wire.Proposals:
    """What would serve the queue better, now."""
    with keeper.lock:
        return _told(keeper, _proposed(keeper))


def repartition(
    keeper: Keeper,
    devices: DeviceBackend,
    look: Callable[[], None],
    who: Principal,
    gpus: Sequence[str] | None,
) -> wire.Proposals:
    """Apply what is proposed for these GPUs (None: for all), look at them again, serve the queue.

    Raises `Forbidden` for who is no admin, `WrongState` where nothing is proposed for one of them
    now, `CanNotCut` where the device refuses: GPUs before that one are cut then.
    """
    if not who.admin:
        raise Forbidden("Only an admin may cut GPUs anew.", "Ask one.")
    with keeper.current():
        found = {one.gpu: one for one in _proposed(keeper)}
        for uuid in gpus or ():
            if uuid not in found:
                raise WrongState(
                    f"Nothing is proposed for GPU {uuid} now: it is held, or serves the queue as "
                    "it is, or its pool does not allow it.",
                    "Look at the proposals again.",
                )
        chosen = [one for one in found.values() if gpus is None or one.gpu in gpus]
        told = _told(keeper, chosen)
        try:
            for one in chosen:
                devices.repartition(one.gpu, one.layout)
                name = keeper.state.gpus[one.gpu].name
                why = f"{_text(one.instead_of)} became {_text(one.layout)}"
                entry = AuditEntry(keeper.now(), who.user, "repartitioned", name, why)
                keeper.store.commit((), [entry])
        finally:
            look()
        return told


def _proposed(keeper: Keeper) -> list[Proposal]:
    queue = Order(keeper.state, keeper.now()).everybody()
    return [
        one
        for pool in keeper.state.pools.values()
        if pool.repartition
        for one in propose(keeper.state, pool.name, queue)
    ]


def _told(keeper: Keeper, found: Sequence[Proposal]) -> wire.Proposals:
    return wire.Proposals(
        proposals=[
            wire.Proposal(
                gpu=one.gpu,
                name=keeper.state.gpus[one.gpu].name,
                pool=keeper.state.gpus[one.gpu].pool,
                now=_places(one.instead_of),
                layout=_places(one.layout),
                serves=list(one.serves),
            )
            for one in found
        ]
    )


def _places(layout: Layout) -> list[wire.MigPlace]:
    return [wire.MigPlace(profile=name, start=start) for name, start in layout]


def _text(layout: Layout) -> str:
    return " + ".join(f"{name} at {start}" for name, start in layout) or "nothing"
