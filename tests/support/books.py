"""Checks a broker's books against its rules and against what was seen from outside.

Written without the domain's help: parts of a GPU, MIG positions and GPU-seconds are worked out
anew, in SQL where the store has it. Each fault is a sentence.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from gpu_workbench_server.domain.fleet import Gpu, Limits
from gpu_workbench_server.domain.leases import Lease
from gpu_workbench_server.domain.reservations import Reservation
from gpu_workbench_server.ports import News, Snapshot, Store

from .storerooms import StoreRoom

WHOLE = 42_000
PARTS_OF = {
    "fraction-0.25": 10_500,
    "fraction-0.5": 21_000,
    "whole": 42_000,
    "mig-1g.10gb": 6_000,
    "mig-2g.20gb": 12_000,
    "mig-3g.40gb": 18_000,
}
# Of a GPU with 80 GB: memory slices of a profile, and where it may start (nvidia-smi mig -lgipp).
MIG = {
    "mig-1g.10gb": (1, {0, 1, 2, 3, 4, 5, 6}),
    "mig-2g.20gb": (2, {0, 2, 4}),
    "mig-3g.40gb": (4, {0, 4}),
}

# Each line finds what may not be; none of them may give a row.
_RULES = {
    "GPU {} is granted twice": f"""
        SELECT s.gpu AS what FROM slices s JOIN leases l ON l.id = s.lease_id WHERE NOT l.cleared
        GROUP BY s.gpu
        HAVING SUM(CASE s.kind WHEN 'whole' THEN {WHOLE} ELSE s.parts END) > {WHOLE}""",
    "instance {} is granted twice": """
        SELECT s.instance AS what FROM slices s JOIN leases l ON l.id = s.lease_id
        WHERE NOT l.cleared AND s.instance IS NOT NULL
        GROUP BY s.instance HAVING COUNT(*) > 1""",
    "lease {} is over and not in the ledger, or in it and not over": """
        SELECT CAST(l.id AS TEXT) AS what FROM leases l LEFT JOIN ledger g ON g.lease_id = l.id
        WHERE (l.state = 'ended') <> (g.lease_id IS NOT NULL)""",
    "lease {} is in the ledger more than once": """
        SELECT CAST(lease_id AS TEXT) AS what FROM ledger GROUP BY lease_id HAVING COUNT(*) > 1""",
    "lease {} and its ledger entry differ": """
        SELECT CAST(l.id AS TEXT) AS what FROM leases l JOIN ledger g ON g.lease_id = l.id
        WHERE g.start <> l.granted_at OR g."end" <> l.ended_at OR g.parts <> l.parts
        OR g."user" <> l."user" """,
    "request {} has not as many slices as were asked for": """
        SELECT CAST(r.id AS TEXT) AS what FROM requests r LEFT JOIN slices s ON s.lease_id = r.id
        GROUP BY r.id, r.state, r.count
        HAVING COUNT(s.id) <> CASE r.state WHEN 'granted' THEN r.count ELSE 0 END""",
    "the parts of lease {} are not its slices'": """
        SELECT CAST(l.id AS TEXT) AS what FROM leases l JOIN slices s ON s.lease_id = l.id
        GROUP BY l.id, l.parts HAVING SUM(s.parts) <> l.parts""",
}
_ALL = " UNION ALL ".join(
    f"SELECT '{sentence.replace(chr(39), chr(39) * 2)}' AS sentence, what FROM ({query}) AS q{i}"
    for i, (sentence, query) in enumerate(_RULES.items())
)
_SUM = f'SELECT COALESCE(SUM(("end" - start) * parts), 0) / {WHOLE}.0 FROM ledger'


@dataclass
class Books:
    """What somebody outside has seen; the broker's `EventSink` in these tests."""

    now: float = 1e9
    asked: dict[int, tuple[str, str | None, str, int, bool]] = field(default_factory=dict)
    """Request id → user, group, profile, count, same node."""
    granted: dict[int, float] = field(default_factory=dict)
    ended: dict[int, float] = field(default_factory=dict)
    cleared: set[int] = field(default_factory=set)
    """By whom looks at the devices, not by the broker."""
    held: Counter[str] = field(default_factory=Counter)
    """Parts of each user and group after the last look."""
    room: dict[int, tuple[int, tuple[object, ...]]] = field(default_factory=dict)
    """By reservation: slices that it could be given at the last look, and what was given then."""

    def tell(self, news: News) -> None:
        if news.type != "lease":
            return
        lease_id = int(news.subject)
        if news.payload == "granted":
            assert lease_id not in self.granted, f"lease {lease_id} is granted once more"
            self.granted[lease_id] = self.now
        elif news.payload == "ended":
            assert lease_id not in self.ended, f"lease {lease_id} ends once more"
            # A clock that was set back can't take back time that was held.
            self.ended[lease_id] = max(self.now, self.granted[lease_id])

    def gpu_seconds(self) -> float:
        """Held by leases that are over."""
        return sum(
            (end - self.granted[lease_id]) * self._parts(lease_id) / WHOLE
            for lease_id, end in self.ended.items()
        )

    def _parts(self, lease_id: int) -> int:
        _, _, profile, count, _ = self.asked[lease_id]
        return PARTS_OF[profile] * count

    # --- faults -------------------------------------------------------------------------------

    def faults(
        self,
        room: StoreRoom,
        store: Store,
        snapshot: Snapshot,
        fleet: Iterable[Gpu],
        there: Iterable[Gpu],
        limits: Limits,
    ) -> list[str]:
        """Everything that is wrong now; empty is good. To be asked after each step.

        `snapshot` is what the store has now: reading it is most of the work. `fleet` has all GPUs
        that ever were, `there` is how they are at the moment.
        """
        by_sql = room.rows(_ALL)
        found = [sentence.format(what) for sentence, what in by_sql or ()]
        total = room.rows(_SUM)
        held = (
            sum((one.end - one.start) * one.parts for one in store.ledger()) / WHOLE
            if total is None
            else float(total[0][0])
        )
        if abs(held - self.gpu_seconds()) > 0.5:
            found.append(
                f"the ledger has {held:.3f} GPU-seconds, {self.gpu_seconds():.3f} were held"
            )
        found += self._history(store) if by_sql is None else []
        found += self._devices(snapshot, {gpu.uuid: gpu for gpu in fleet})
        found += self._quotas(limits)
        found += self._reserved(snapshot, {gpu.uuid: gpu for gpu in there if gpu.health == "ok"})
        return found

    def _history(self, store: Store) -> list[str]:
        """What SQL finds where there is some."""
        entries = Counter(one.lease_id for one in store.ledger())
        found = [f"lease {i} is in the ledger {n} times" for i, n in entries.items() if n > 1]
        for lease in store.recent_leases(None, 10**9):
            count = self.asked[lease.id][3]
            if len(lease.slices) != count:
                found.append(f"request {lease.id} has not as many slices as were asked for")
            if (lease.state == "ended") != (lease.id in entries):
                found.append(f"lease {lease.id} is over and not in the ledger, or the reverse")
        return found

    def _devices(self, snapshot: Snapshot, fleet: Mapping[str, Gpu]) -> list[str]:
        taken: Counter[str] = Counter()
        memory: dict[str, set[int]] = defaultdict(set)
        found: list[str] = []
        leases = snapshot.leases
        there = {lease.id for lease in leases}
        early = self.granted.keys() - there - self.cleared
        found += [f"lease {one} is free before its slices were seen empty" for one in early]
        for lease in leases:
            nodes = {fleet[one.gpu].node for one in lease.slices if one.gpu in fleet}
            if self.asked[lease.id][4] and len(nodes) > 1:
                found.append(f"lease {lease.id} is on {len(nodes)} nodes")
            for one in lease.slices:
                taken[one.gpu] += WHOLE if one.kind == "whole" else one.parts
                if one.kind != "mig" or one.gpu not in fleet:
                    continue
                size, starts = MIG[one.profile]
                at = {inst.uuid: inst.start for inst in fleet[one.gpu].instances}
                start = at.get(one.instance or "", -1)
                slots = set(range(start, start + size))
                if start not in starts or memory[one.gpu] & slots:
                    found.append(f"instance {one.instance} overlaps another or stands wrong")
                memory[one.gpu] |= slots
        found += [
            f"GPU {gpu} is granted {n / WHOLE:g} times" for gpu, n in taken.items() if n > WHOLE
        ]
        return found

    def _quotas(self, limits: Limits) -> list[str]:
        """Over the limit is who holds more than it and more than before: a limit may be lowered."""
        held: Counter[str] = Counter()
        limit_of: dict[str, int | None] = {}
        for lease_id in self.granted.keys() - self.ended.keys():
            user, group, *_ = self.asked[lease_id]
            held[user] += self._parts(lease_id)
            limit_of[user] = limits.user(user)
            if group is not None:
                held[group] += self._parts(lease_id)
                limit_of[group] = limits.group(group)
        over = [
            f"{name} holds {held[name] / WHOLE:g} GPUs, over the limit of {limit / WHOLE:g}"
            for name, limit in limit_of.items()
            if limit is not None and held[name] > max(limit, self.held[name])
        ]
        self.held = held
        return over

    def _reserved(self, snapshot: Snapshot, fleet: Mapping[str, Gpu]) -> list[str]:
        """Nobody else may be given what a reservation could have had a moment ago.

        Looks at each reservation alone: what others have reserved may take more from it.
        """
        found: list[str] = []
        before, self.room = self.room, {}
        for one in snapshot.reservations:
            inside = 0
            for lease in snapshot.leases:
                if lease.reservation == one.id and lease.state != "ended":
                    inside += len(lease.slices)
                    if one.user != lease.user and (one.group or "") != lease.group:
                        found.append(
                            f"lease {lease.id} is in reservation {one.id} of somebody else"
                        )
            if inside > one.count:
                found.append(f"reservation {one.id} gives {inside} slices of {one.count}")
            could = self._room(one, snapshot.leases, fleet)
            given = (self.now, tuple(sorted(fleet)))
            was, then = before.get(one.id, (0, given))
            later = then[0] <= self.now and then[1] == given[1]  # else the clock or a GPU took it
            if later and could < one.count - inside <= was:
                found.append(f"reservation {one.id} can be given only {could} slices any more")
            self.room[one.id] = could, given
        return found

    def _room(self, one: Reservation, leases: Iterable[Lease], fleet: Mapping[str, Gpu]) -> int:
        """Slices that are free by a reservation's start."""
        at = max(one.start, self.now)
        held: Counter[str] = Counter()
        taken: set[str | None] = set()
        for lease in leases:
            end = lease.ended_at or max(lease.ends_at, lease.declared_end or 0.0)
            for part in lease.slices if end > at else ():
                held[part.gpu] += part.parts
                taken.add(part.instance)
        free: Counter[str] = Counter()
        for gpu in fleet.values():
            node = gpu.node if one.same_node else ""
            if gpu.mig:
                fitting = (i for i in gpu.instances if f"mig-{i.profile}" == one.profile)
                free[node] += sum(i.uuid not in taken for i in fitting)
            elif not one.profile.startswith("mig-"):
                free[node] += (WHOLE - held[gpu.uuid]) // PARTS_OF[one.profile]
        return max(free.values(), default=0)
