"""All pools of a live state, packed, and kept up to date from what the state says it touched.

A decision costs look-ups and the hosts that changed since the last one, not the size of the fleet.
"""

from __future__ import annotations

from collections.abc import Collection
from weakref import WeakKeyDictionary

from .fleet import Gpu
from .leases import Request
from .packing_pool import PackedPool, Place
from .state import State

_EPOCH = 1024
"""The mix is learned anew after so many requests, and earlier each time they have doubled from 16
on: then all hosts are ranked anew."""


class Fleet:
    """All pools of a state. Ask for one by `fleet_of(state)`: it is kept while the state lives."""

    def __init__(self) -> None:
        self._pools: dict[str, PackedPool] = {}
        self._version = self._epoch = -1

    def follow(self, state: State) -> None:
        """Takes in what changed since the last question."""
        if state.fleet_version != self._version:
            self._version, self._epoch = state.fleet_version, _epoch(state.asked)
            names = sorted({gpu.pool for gpu in state.gpus.values()})
            self._pools = {name: PackedPool(state, name) for name in names}
        elif _epoch(state.asked) != self._epoch:
            self._epoch = _epoch(state.asked)
            for pool in self._pools.values():
                pool.relearn(state)
        touched: dict[str, list[Gpu]] = {}
        for uuid in state.touched:
            gpu = state.gpus.get(uuid)
            if gpu is not None:
                touched.setdefault(gpu.pool, []).append(gpu)
        for name, gpus in touched.items():
            self._pools[name].refresh(state, gpus)
        state.touched.clear()

    def find(self, state: State, request: Request, shut: Collection[str]) -> list[Place] | None:
        """Places for the whole request outside `shut`; None where there is no room for all."""
        self.follow(state)
        pool = self._pools.get(request.pool)
        if pool is None:
            return None
        if request.profile.startswith("mig-"):
            return pool.find_instances(request, shut)
        return pool.find_shares(state, request, shut)


def _epoch(asked: int) -> int:
    return asked // _EPOCH + 8 if asked >= _EPOCH else (asked // 16).bit_length()


_FLEETS: WeakKeyDictionary[State, Fleet] = WeakKeyDictionary()


def fleet_of(state: State) -> Fleet:
    found = _FLEETS.get(state)
    if found is None:
        found = _FLEETS[state] = Fleet()
    return found
