"""What the broker knows in memory: the fleet, who holds what, who waits. Changed only by `put`.

`trial()` lets a planner try changes and takes them back, so that planning stays pure as seen from
outside, at a cost that grows with the number of changes and not with the size of the fleet.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from .decisions import Change
from .fairshare import Meter, Standing, payers, remembered
from .fleet import Gpu, Limits, Pool, Profile, offered_by, profiles_of
from .lanes import Lanes, SetKey, Shape
from .leases import Lease, LedgerEntry, Request, Slice
from .reservations import Reservation
from .rules import Rules
from .slots import Slots, mig_times, release, share_times
from .units import PARTS

if TYPE_CHECKING:
    from .backfill import Promise


@dataclass
class Use:
    """What is taken of one GPU."""

    parts: int = 0
    instances: set[str] = field(default_factory=set)
    leases: dict[int, int] = field(default_factory=dict)
    """By lease, its parts of this GPU."""


class State:
    """A projection of the store. Not thread-safe: one broker, one lock."""

    def __init__(
        self,
        pools: Iterable[Pool] = (Pool(),),
        limits: Limits | None = None,
        gpus: Iterable[Gpu] = (),
        rules: Rules | None = None,
    ) -> None:
        self.rules = rules or Rules()
        self.pools = {pool.name: pool for pool in pools}
        self.limits = limits or Limits()
        self.gpus: dict[str, Gpu] = {}
        self.queue: dict[int, Request] = {}
        self.leases: dict[int, Lease] = {}
        """Those whose slices are not free yet: active, asleep, or ended and not cleared."""
        self.reservations: dict[int, Reservation] = {}
        """Those that are not over."""
        self.claimed: dict[int, int] = defaultdict(int)
        """Slices held of each reservation."""
        self.use: dict[str, Use] = defaultdict(Use)
        self.user_parts: dict[str, int] = defaultdict(int)
        self.group_parts: dict[str, int] = defaultdict(int)
        self.meters: dict[str, Meter] = {}
        """Decayed usage by payer, see `fairshare.payers`."""
        self.standings: dict[str, Standing] = {}
        """A memo of `order`: what was computed for a payer since its meter moved."""
        self.marks: dict[str, int] = defaultdict(int)
        """Of each pool; changes with whatever a round of grants depends on, but for what joins the
        queue."""
        self.settled: dict[str, tuple[int, set[SetKey], Sequence[Promise]]] = {}
        """A memo of `planning`: each pool's mark after its last round, the sets of GPUs that the
        round looked at, and what was promised in it."""
        self.lanes = Lanes(self.rules)
        self.touched: set[str] = set()
        """GPUs whose use changed since placement last looked; it empties the set."""
        self.fleet_version = 0
        self.recent: deque[Request] = deque(maxlen=1024)
        """The last requests, from which placement learns what to expect; `asked` in all."""
        self.asked = 0
        self._undo: list[Callable[[], object]] | None = None
        self._offers: dict[str, list[Profile]] = {}
        self._cuts: dict[str, dict[str, Profile]] = {}
        self._keys: dict[tuple[str, str, float], SetKey] = {}
        self._able: dict[SetKey, list[Gpu]] = {}
        self._slots: dict[SetKey, Slots] = {}
        self._meets: dict[tuple[SetKey, SetKey], bool] = {}
        self.capacities: dict[tuple[str, str, bool], int] = {}
        """What the fleet gives with everything free, by pool, profile and same node; a memo."""
        self.see(gpus)

    # --- the fleet ----------------------------------------------------------------------------

    def see(self, gpus: Iterable[Gpu]) -> None:
        """Take in the devices as they are now; a vanished one stays, as lost, while it is held."""
        seen = {gpu.uuid: gpu for gpu in gpus}
        for uuid, gpu in self.gpus.items():
            if uuid not in seen and self.use[uuid].leases:
                seen[uuid] = replace(gpu, health="lost")
        before = self.gpus
        self.gpus = dict(sorted(seen.items(), key=lambda item: (item[1].node, item[1].index)))
        self._offers = {
            name: offered_by(pool, self.gpus.values()) for name, pool in self.pools.items()
        }
        self._cuts = {
            uuid: {p.name: p for p in profiles_of(gpu, self.pools[gpu.pool])}
            for uuid, gpu in self.gpus.items()
            if gpu.pool in self.pools
        }
        self.settled.clear()
        self.capacities.clear()
        for cache in (self._keys, self._able, self._slots, self._meets):
            cache.clear()
        self.fleet_version += self.gpus != before
        self.lanes = Lanes(self.rules)
        for request in self.queue.values():
            self.lanes.add(request, self.shape(request))

    def offered(self, pool: str) -> list[Profile]:
        """The pool's profiles, smallest first."""
        return self._offers.get(pool, [])

    def profile_on(self, gpu: Gpu, name: str) -> Profile | None:
        """How a GPU would be cut for a profile; None where it can't be."""
        return self._cuts.get(gpu.uuid, {}).get(name)

    def key(self, request: Request) -> SetKey:
        """The set of GPUs that can serve a request; the same for all least memories between two
        that the pool has."""
        return self.key_of(request.pool, request.profile, request.min_memory_gb)

    def key_of(self, pool: str, profile: str, min_memory_gb: float) -> SetKey:
        """As `key`, for what might be asked."""
        asked = (pool, profile, min_memory_gb)
        if asked not in self._keys:
            offered = {
                cut.memory_gb
                for gpu in self.gpus.values()
                if gpu.pool == pool and (cut := self.profile_on(gpu, profile))
            }
            least = min((gb for gb in offered if gb >= min_memory_gb), default=0.0)
            self._keys[asked] = (pool, profile, least or min_memory_gb)
        return self._keys[asked]

    def shape(self, request: Request) -> Shape:
        return Shape(self.key(request), request.count, request.same_node)

    def able(self, request: Request) -> list[Gpu]:
        """Healthy GPUs of the pool that can be cut into the requested profile, taken or not."""
        return self.able_set(self.key(request))

    def able_set(self, key: SetKey) -> list[Gpu]:
        found = self._able.get(key)
        if found is None:
            pool, profile, least = key
            found = self._able[key] = [
                gpu
                for gpu in self.gpus.values()
                if gpu.pool == pool
                and gpu.health == "ok"
                and (cut := self.profile_on(gpu, profile))
                and cut.memory_gb >= least
            ]
        return found

    def slots(self, key: SetKey) -> Slots:
        """The slots of a set of GPUs, as they are now."""
        found = self._slots.get(key)
        if found is None:
            found = Slots(self.able_set(key), partial(self._slot_times, key[1]))
            self._slots[key] = found
        return found

    def _slot_times(self, profile: str, gpu: Gpu) -> tuple[float, ...]:
        cut, use = self._cuts[gpu.uuid][profile], self.use[gpu.uuid]
        if cut.kind == "mig":
            return mig_times(gpu, cut, map(self.leases.__getitem__, use.leases))
        ends = [(release(self.leases[i]), parts) for i, parts in use.leases.items()]
        return share_times(cut.parts, PARTS - use.parts, ends)

    def roomy(self, request: Request, shut: Collection[str] = ()) -> list[Gpu]:
        """Those of `able` that have room for a slice now and are not shut."""
        slots = self.slots(self.key(request))
        return [slots.gpus[uuid] for uuid in slots.room() if uuid not in shut]

    def meet(self, one: SetKey, other: SetKey) -> bool:
        """Whether two sets of GPUs have one in common."""
        if one == other:
            return True
        if (one, other) not in self._meets:
            mine, yours = self.slots(one).gpus, self.slots(other).gpus
            self._meets[one, other] = not mine.keys().isdisjoint(yours.keys())
        return self._meets[one, other]

    # --- requests and leases ------------------------------------------------------------------

    def put(self, change: Change) -> None:
        """Take in a change: the new versions of what it carries."""
        if change.request is not None:
            self._put_request(change.request)
        if change.lease is not None:
            self._put_lease(change.lease)
        if change.reservation is not None:
            self._put_reservation(change.reservation)

    def _put_request(self, request: Request) -> None:
        old = self.queue.get(request.id)
        if self._undo is not None:
            self._undo.append(
                partial(self.marks.__setitem__, request.pool, self.marks[request.pool])
            )
            self._undo.append(partial(self._requeue, request.id, old))
        if request.state != "queued":
            self.marks[request.pool] = hash((self.marks[request.pool], request.id))
        elif old is None and request.state == "queued":
            self.recent.append(request)
            self.asked += 1
        self._requeue(request.id, request if request.state == "queued" else None)

    def _requeue(self, request_id: int, new: Request | None) -> None:
        """The one place where the queue and its lanes change."""
        old = self.queue.pop(request_id, None)
        if old is not None:
            self.lanes.drop(old, self.shape(old))
        if new is not None:
            self.queue[request_id] = new
            self.lanes.add(new, self.shape(new))

    def _put_lease(self, lease: Lease) -> None:
        old = self.leases.get(lease.id)
        meters = {payer: self.meters.get(payer, Meter()) for payer in payers(lease)}
        new = None if lease.cleared else lease
        if self._undo is not None:
            self._undo.append(partial(self.marks.__setitem__, lease.pool, self.marks[lease.pool]))
            self._undo.append(partial(self._read, meters))
            self._undo.append(partial(self._replace, new, old))
        self._replace(old, new)
        mark = self.marks[lease.pool], lease.id, lease.state, lease.cleared, lease.ends_at
        self.marks[lease.pool] = hash(mark)
        before = old.parts if old is not None and old.state != "ended" else 0
        after = lease.parts if lease.state != "ended" else 0
        if before != after:
            at = lease.granted_at if lease.ended_at is None else lease.ended_at
            half_life = self.rules.half_life
            self._read({p: one.moved(after - before, at, half_life) for p, one in meters.items()})

    def _read(self, meters: Mapping[str, Meter]) -> None:
        """The one place where meters change."""
        self.meters.update(meters)
        self.lanes.heads.stir(meters)
        for payer in meters:
            self.standings.pop(payer, None)

    def _put_reservation(self, one: Reservation) -> None:
        old = self.reservations.get(one.id)
        if self._undo is not None:
            self._undo.append(partial(self.marks.__setitem__, one.pool, self.marks[one.pool]))
            self._undo.append(partial(self._rebook, one.id, old))
        self.marks[one.pool] = hash((self.marks[one.pool], one.id, one.state))
        self._rebook(one.id, one if one.state == "booked" else None)

    def _rebook(self, reservation_id: int, new: Reservation | None) -> None:
        self.reservations.pop(reservation_id, None)
        if new is not None:
            self.reservations[reservation_id] = new

    def _replace(self, old: Lease | None, new: Lease | None) -> None:
        """The one place where occupancy and held units change."""
        for lease, sign in ((old, -1), (new, 1)):
            if lease is None:
                continue
            for one in lease.slices:
                use = self.use[one.gpu]
                use.parts += sign * one.parts
                self.touched.add(one.gpu)
                if sign > 0:
                    use.leases[lease.id] = use.leases.get(lease.id, 0) + one.parts
                    if one.instance:
                        use.instances.add(one.instance)
                else:
                    use.leases.pop(lease.id, None)
                    if one.instance:
                        use.instances.discard(one.instance)
                for slots in self._slots.values():
                    slots.touch(one.gpu)
            if lease.state != "ended":
                if lease.reservation is not None:
                    self.claimed[lease.reservation] += sign * len(lease.slices)
                self.user_parts[lease.user] += sign * lease.parts
                if lease.group:
                    self.group_parts[lease.group] += sign * lease.parts
        if new is not None:
            self.leases[new.id] = new
        elif old is not None:
            del self.leases[old.id]

    def remember(self, past: Iterable[LedgerEntry], now: float) -> None:
        """What ended leases left in the meters; once, at start, after the live ones were put."""
        for payer, average in remembered(past, now, self.rules.half_life).items():
            meter = self.meters.get(payer, Meter(at=now))
            self._read({payer: meter.remembering(average, now, self.rules.half_life)})

    @contextmanager
    def trial(self) -> Iterator[State]:
        """Changes put inside are taken back at the end. May be nested."""
        outer, self._undo = self._undo, []
        try:
            yield self
        finally:
            undo, self._undo = self._undo, None
            for take_back in reversed(undo):
                take_back()
            self._undo = outer

    @contextmanager
    def holding(self, stand_ins: Sequence[Lease]) -> Iterator[None]:
        """Inside, these count as leases. Unlike in a trial, what is put meanwhile stays."""
        for one in stand_ins:
            self._replace(None, one)
        try:
            yield
        finally:
            for one in stand_ins:
                self._replace(one, None)

    # --- questions ----------------------------------------------------------------------------

    def free_parts(self, gpu: Gpu) -> int:
        """Parts of a healthy GPU that nobody holds."""
        if gpu.health != "ok":
            return 0
        if gpu.mig:
            used = self.use[gpu.uuid].instances
            slices = gpu.geometry.compute
            free = (one for one in gpu.instances if one.uuid not in used)
            return sum(PARTS * one.compute // slices for one in free)
        return PARTS - self.use[gpu.uuid].parts

    def slices_on(self, gpu: str) -> list[tuple[Lease, Slice]]:
        """Leased slices of a GPU, oldest lease first."""
        return [
            (self.leases[lease], one)
            for lease in sorted(self.use[gpu].leases)
            for one in self.leases[lease].slices
            if one.gpu == gpu
        ]
