"""From when on each slot of a set of GPUs is free: the planner's index.

A set is all GPUs that can be cut into one profile; a slot is room for one slice of it. A slot that
is free now has the time `FREE`, any other the end of the lease that is in its way. A changed GPU is
only marked, and looked at when somebody asks: taking back a trial costs next to nothing.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Mapping

from .fleet import Gpu, Profile
from .leases import Lease

FREE = 0.0
MANY = 0.02
"""From that share of changed GPUs on, going through all slots is cheaper than moving a few."""

Slot = tuple[float, str, int]
"""Time, GPU, number on it."""


def release(lease: Lease) -> float:
    """When a lease's slices are to be free again."""
    return lease.ended_at if lease.ended_at is not None else lease.ends_at


def mig_times(gpu: Gpu, profile: Profile, leases: Iterable[Lease]) -> tuple[float, ...]:
    """When each instance of a profile on a GPU is free, soonest first."""
    taken = {one.instance: release(lease) for lease in leases for one in lease.slices}
    found = (one for one in gpu.instances if f"mig-{one.profile}" == profile.name)
    return tuple(sorted(taken.get(one.uuid, FREE) for one in found))


def share_times(each: int, free: int, ends: Iterable[tuple[float, int]]) -> tuple[float, ...]:
    """When each slot of `each` parts on a GPU is free, soonest first: `free` parts of it are now,
    others from an end on."""
    times = [FREE] * (free // each)
    for end, parts in sorted(ends):
        free += parts
        times += [end] * (free // each - len(times))
    return tuple(times)


class Slots:
    """The slots of one set of GPUs."""

    def __init__(self, gpus: Iterable[Gpu], times_of: Callable[[Gpu], tuple[float, ...]]) -> None:
        """`times_of` computes a GPU's slot times from the state as it is."""
        self.gpus: Mapping[str, Gpu] = {gpu.uuid: gpu for gpu in gpus}
        self._times_of = times_of
        self._times: dict[str, tuple[float, ...]] = dict.fromkeys(self.gpus, ())
        self._sorted: list[Slot] = []
        self._listed: dict[str, tuple[float, ...]] = {}
        """The times that `_sorted` shows for a GPU, where they are not `_times`."""
        self._changed: set[str] = set(self.gpus)
        self._room: dict[str, int] = {}
        self._free = 0
        self._on_node: dict[str, int] = {}

    def touch(self, gpu: str) -> None:
        """What is leased of a GPU has changed."""
        if gpu in self.gpus:
            self._changed.add(gpu)

    def room(self) -> Mapping[str, int]:
        """GPUs with free slots, and how many."""
        self._look()
        return self._room

    def fits(self, count: int, same_node: bool) -> bool:
        """Whether so many slots are free now, on one node if they must."""
        self._look()
        if not same_node:
            return self._free >= count
        return self._free >= count and max(self._on_node.values(), default=0) >= count

    @property
    def free(self) -> int:
        """Slots that are free now."""
        self._look()
        return self._free

    def total(self, same_node: bool) -> int:
        """Slots with everything given back; of the largest node, where it must be one."""
        self._look()
        nodes: dict[str, int] = {}
        for uuid, times in self._times.items():
            node = self.gpus[uuid].node if same_node else ""
            nodes[node] = nodes.get(node, 0) + len(times)
        return max(nodes.values(), default=0)

    def soonest(
        self, count: int, same_node: bool, taken: frozenset[str] = frozenset()
    ) -> tuple[float, frozenset[str]] | None:
        """When so many slots are free together and on which GPUs; None where never.

        `taken` GPUs are promised to somebody else.
        """
        found: dict[str, list[str]] = {}
        for time, uuid, _ in self._in_order():
            if uuid in taken:
                continue
            here = found.setdefault(self.gpus[uuid].node if same_node else "", [])
            here.append(uuid)
            if len(here) == count:
                return time, frozenset(here)
        return None

    def _look(self) -> None:
        for uuid in self._changed:
            gpu, old = self.gpus[uuid], self._times[uuid]
            new = self._times_of(gpu)
            if new == old:
                continue
            self._listed.setdefault(uuid, old)
            self._times[uuid] = new
            more = new.count(FREE) - old.count(FREE)
            if more:
                self._free += more
                self._on_node[gpu.node] = self._on_node.get(gpu.node, 0) + more
                self._room[uuid] = self._room.get(uuid, 0) + more
                if not self._room[uuid]:
                    del self._room[uuid]
        self._changed.clear()

    def _in_order(self) -> list[Slot]:
        self._look()
        if len(self._listed) > MANY * len(
            self._times
        ):  # two runs to merge, which sorting does in one pass
            self._sorted = [one for one in self._sorted if one[1] not in self._listed]
            self._sorted += sorted(
                (time, uuid, n) for uuid in self._listed for n, time in enumerate(self._times[uuid])
            )
            self._sorted.sort()
            self._listed.clear()
        for uuid, old in self._listed.items():
            new = self._times[uuid]
            for n, time in enumerate(old):
                if n >= len(new) or new[n] != time:
                    del self._sorted[bisect_left(self._sorted, (time, uuid, n))]
            for n, time in enumerate(new):
                if n >= len(old) or old[n] != time:
                    insort(self._sorted, (time, uuid, n))
        self._listed.clear()
        return self._sorted
