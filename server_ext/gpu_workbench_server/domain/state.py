"""What the broker knows in memory: the fleet, who holds what, who waits. Changed only by `put`.

`trial()` lets a planner try changes and takes them back, so that planning stays pure as seen from
outside, at a cost that grows with the number of changes and not with the size of the fleet.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from .decisions import Change
from .fleet import Gpu, Limits, Pool, Profile, offered_by, profiles_of
from .leases import Lease, Request, Slice
from .units import PARTS


@dataclass
class Use:
    """What is taken of one GPU."""

    parts: int = 0
    instances: set[str] = field(default_factory=set)
    leases: set[int] = field(default_factory=set)


class State:
    """A projection of the store. Not thread-safe: one broker, one lock."""

    def __init__(
        self,
        pools: Iterable[Pool] = (Pool(),),
        limits: Limits | None = None,
        gpus: Iterable[Gpu] = (),
    ) -> None:
        self.pools = {pool.name: pool for pool in pools}
        self.limits = limits or Limits()
        self.gpus: dict[str, Gpu] = {}
        self.queue: dict[int, Request] = {}
        self.leases: dict[int, Lease] = {}
        """Those whose slices are not free yet: active, asleep, or ended and not cleared."""
        self.use: dict[str, Use] = defaultdict(Use)
        self.user_parts: dict[str, int] = defaultdict(int)
        self.group_parts: dict[str, int] = defaultdict(int)
        self._undo: list[tuple[Request | Lease | None, int, str]] | None = None
        self._offers: dict[str, list[Profile]] = {}
        self._cuts: dict[str, dict[str, Profile]] = {}
        self._able: dict[tuple[str, str, float], list[Gpu]] = {}
        self.see(gpus)

    # --- the fleet ----------------------------------------------------------------------------

    def see(self, gpus: Iterable[Gpu]) -> None:
        """Take in the devices as they are now; a vanished one stays, as lost, while it is held."""
        seen = {gpu.uuid: gpu for gpu in gpus}
        for uuid, gpu in self.gpus.items():
            if uuid not in seen and self.use[uuid].leases:
                seen[uuid] = replace(gpu, health="lost")
        self.gpus = dict(sorted(seen.items(), key=lambda item: (item[1].node, item[1].index)))
        self._offers = {
            name: offered_by(pool, self.gpus.values()) for name, pool in self.pools.items()
        }
        self._cuts = {
            uuid: {p.name: p for p in profiles_of(gpu, self.pools[gpu.pool])}
            for uuid, gpu in self.gpus.items()
            if gpu.pool in self.pools
        }
        self._able.clear()

    def offered(self, pool: str) -> list[Profile]:
        """The pool's profiles, smallest first."""
        return self._offers.get(pool, [])

    def profile_on(self, gpu: Gpu, name: str) -> Profile | None:
        """How a GPU would be cut for a profile; None where it can't be."""
        return self._cuts.get(gpu.uuid, {}).get(name)

    def able(self, request: Request) -> list[Gpu]:
        """Healthy GPUs of the pool that can be cut into the requested profile, taken or not."""
        key = (request.pool, request.profile, request.min_memory_gb)
        found = self._able.get(key)
        if found is None:
            found = self._able[key] = [
                gpu
                for gpu in self.gpus.values()
                if gpu.pool == request.pool
                and gpu.health == "ok"
                and (cut := self.profile_on(gpu, request.profile))
                and cut.memory_gb >= request.min_memory_gb
            ]
        return found

    # --- requests and leases ------------------------------------------------------------------

    def put(self, change: Change) -> None:
        """Take in a change: the new versions of what it carries."""
        if change.request is not None:
            self._put_request(change.request)
        if change.lease is not None:
            self._put_lease(change.lease)

    def _put_request(self, request: Request) -> None:
        if self._undo is not None:
            self._undo.append((self.queue.get(request.id), request.id, "request"))
        if request.state == "queued":
            self.queue[request.id] = request
        else:
            self.queue.pop(request.id, None)

    def _put_lease(self, lease: Lease) -> None:
        old = self.leases.get(lease.id)
        if self._undo is not None:
            self._undo.append((old, lease.id, "lease"))
        self._replace(old, None if lease.cleared else lease)

    def _replace(self, old: Lease | None, new: Lease | None) -> None:
        """The one place where occupancy and held units change."""
        for lease, sign in ((old, -1), (new, 1)):
            if lease is None:
                continue
            for one in lease.slices:
                use = self.use[one.gpu]
                use.parts += sign * one.parts
                if sign > 0:
                    use.leases.add(lease.id)
                    if one.instance:
                        use.instances.add(one.instance)
                else:
                    use.leases.discard(lease.id)
                    if one.instance:
                        use.instances.discard(one.instance)
            if lease.state != "ended":
                self.user_parts[lease.user] += sign * lease.parts
                if lease.group:
                    self.group_parts[lease.group] += sign * lease.parts
        if new is not None:
            self.leases[new.id] = new
        elif old is not None:
            del self.leases[old.id]

    @contextmanager
    def trial(self) -> Iterator[State]:
        """Changes put inside are taken back at the end. May be nested."""
        outer, self._undo = self._undo, []
        try:
            yield self
        finally:
            undo, self._undo = self._undo, None
            for was, key, kind in reversed(undo):
                if kind == "lease":
                    self._replace(self.leases.get(key), was if isinstance(was, Lease) else None)
                elif isinstance(was, Request):
                    self.queue[key] = was
                else:
                    self.queue.pop(key, None)
            self._undo = outer

    # --- questions ----------------------------------------------------------------------------

    def free_parts(self, gpu: Gpu) -> int:
        """Parts of a healthy GPU that nobody holds."""
        if gpu.health != "ok":
            return 0
        if gpu.mig:
            used = self.use[gpu.uuid].instances
            return sum(PARTS * one.compute // 7 for one in gpu.instances if one.uuid not in used)
        return PARTS - self.use[gpu.uuid].parts

    def slices_on(self, gpu: str) -> list[tuple[Lease, Slice]]:
        """Leased slices of a GPU, oldest lease first."""
        return [
            (self.leases[lease], one)
            for lease in sorted(self.use[gpu].leases)
            for one in self.leases[lease].slices
            if one.gpu == gpu
        ]

    def waiting(self) -> list[Request]:
        """The queue in its order."""
        return sorted(self.queue.values(), key=lambda r: (-r.priority, r.created_at, r.id))
