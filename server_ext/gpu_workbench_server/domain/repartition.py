"""Which MIG geometry would serve the queue better: a proposal for GPUs that are idle, never an act.

Knows placement rules, what waits and which GPUs nobody holds. An admin applies a proposal or not;
changing instances needs a GPU without processes, so one that is held in part is left alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from .fleet import Gpu
from .leases import Request
from .mig import Rule
from .mig_masks import fits, span
from .state import State

Layout = tuple[tuple[str, int], ...]
"""(profile, start) of each instance, from left to right."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """Cut `gpu` anew: `layout` instead of `instead_of`; `serves` are waiting requests that would
    start at once if all proposals of the plan were applied."""

    gpu: str
    instead_of: Layout
    layout: Layout
    serves: tuple[int, ...]


def layouts(rules: Mapping[str, Rule]) -> tuple[Layout, ...]:
    """All ways to cut a GPU to which nothing can be added, one for each multiset of profiles."""
    return _layouts(tuple(sorted(rules.items())))


@cache
def _layouts(rules: tuple[tuple[str, Rule], ...]) -> tuple[Layout, ...]:
    found: dict[tuple[str, ...], Layout] = {}
    for mask, layout in _cuts(rules, 0, ()):
        if not any(fits(rule, mask) for _, rule in rules):
            found.setdefault(tuple(sorted(name for name, _ in layout)), layout)
    return tuple(found.values())


def _cuts(
    rules: tuple[tuple[str, Rule], ...], mask: int, so_far: Layout
) -> Iterator[tuple[int, Layout]]:
    yield mask, so_far
    slices = max((max(rule.starts) + rule.size for _, rule in rules), default=0)
    for start in range(mask.bit_length(), slices):
        for name, rule in rules:
            if start in rule.starts:
                yield from _cuts(rules, mask | span(start, rule.size), (*so_far, (name, start)))


def propose(state: State, pool: str, queue: Iterable[Request]) -> tuple[Proposal, ...]:
    """New geometries for idle MIG GPUs of a pool, so that more of the queue, in its order, starts.

    Requests are looked at one by one; each takes what stands free first, and then the idle GPU
    whose new layout leaves most for those behind. One that can't be served whole changes nothing.
    The profiles considered are those that the pool has now.
    """
    gpus = [g for g in state.gpus.values() if g.pool == pool and g.mig and g.health == "ok"]
    plan = _Plan(state, gpus)
    waiting = [r for r in queue if r.pool == pool and r.profile.startswith("mig-")]
    for at, request in enumerate(waiting):
        if not request.same_node:
            plan.serve(request, waiting[at + 1 :])
    return plan.proposals()


class _Plan:
    """Free instances and idle GPUs, as requests are served in thought."""

    def __init__(self, state: State, gpus: list[Gpu]) -> None:
        self.gpus = {gpu.uuid: gpu for gpu in gpus}
        self.free: Counter[str] = Counter()
        """Free instances on GPUs that stay as they are."""
        self.made: Counter[str] = Counter()
        """Free instances on idle GPUs whose layout the plan has settled."""
        self.idle: list[str] = []
        for gpu in gpus:
            used = state.use[gpu.uuid].instances
            if used or state.use[gpu.uuid].leases:
                self.free.update(i.profile for i in gpu.instances if i.uuid not in used)
            else:
                self.idle.append(gpu.uuid)
        names = {i.profile for gpu in gpus for i in gpu.instances}
        self.rules: dict[float, dict[str, Rule]] = {
            gb: {n: rule for n in names if (rule := geometry.rule(n))}
            for gb, geometry in {gpu.memory_gb: gpu.geometry for gpu in gpus}.items()
        }
        self.cut: dict[str, Layout] = {}
        self.taken: Counter[tuple[str, str]] = Counter()
        self.serves: dict[str, list[int]] = {}

    def serve(self, request: Request, behind: list[Request]) -> None:
        """Take what the request needs, or leave all as it was."""
        profile = request.profile.removeprefix("mig-")
        made, idle, cut = self.made.copy(), list(self.idle), dict(self.cut)
        more = max(0, request.count - self.free[profile])
        while self.made[profile] < more:
            opened = self._open(profile, more - self.made[profile], behind)
            if opened is None:
                self.made, self.idle, self.cut = made, idle, cut
                return
        self.free[profile] -= request.count - more
        self.made[profile] -= more
        for uuid, layout in reversed(self.cut.items()):
            held = Counter(name for name, _ in layout)[profile] - self.taken[uuid, profile]
            take = min(more, held)
            if take:
                self.taken[uuid, profile] += take
                more -= take
                self.serves.setdefault(uuid, []).append(request.id)

    def _open(self, profile: str, wanted: int, behind: list[Request]) -> str | None:
        """Give an idle GPU the layout that serves this and most of those behind."""
        later = Counter[str]()
        for request in behind:
            later[request.profile.removeprefix("mig-")] += request.count
        best: tuple[int, int, int, int, str, Layout] | None = None
        for order, uuid in enumerate(self.idle):
            now = _current(self.gpus[uuid])
            stands = any(name == profile for name, _ in now)
            for layout in (now,) if stands else layouts(self.rules[self.gpus[uuid].memory_gb]):
                has = Counter(name for name, _ in layout)
                mine = min(has[profile], wanted)
                if not mine:
                    continue
                has[profile] -= mine
                after = sum(min(count, later[name]) for name, count in has.items())
                # As it stands is better than cut anew; of equal ones the first GPU.
                key = (int(stands), mine + after, mine, -order, uuid, layout)
                if best is None or key[:4] > best[:4]:
                    best = key
        if best is None:
            return None
        uuid, layout = best[4:]
        self.idle.remove(uuid)
        self.cut[uuid] = layout
        self.made.update(name for name, _ in layout)
        return uuid

    def proposals(self) -> tuple[Proposal, ...]:
        return tuple(
            Proposal(uuid, _current(self.gpus[uuid]), layout, tuple(self.serves.get(uuid, ())))
            for uuid, layout in self.cut.items()
            if layout != _current(self.gpus[uuid])
        )


def _current(gpu: Gpu) -> Layout:
    return tuple(sorted(((i.profile, i.start) for i in gpu.instances), key=lambda one: one[1]))
