"""One pool of a live state as hosts to pack: where the slices of a request would go.

Knows GPUs by what is free on them; not how a lease is written down (see `placement`), nor who is
next (see `planning`). A question is a trial: what it tries is taken back before it is answered.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator
from contextlib import contextmanager
from itertools import groupby
from operator import or_
from typing import NamedTuple, TypeVar

from .fleet import Gpu
from .leases import Request
from .mig_masks import Masks, mask_of, span
from .packing import Host, Objective, Shape, learn
from .packing_index import Index
from .packing_topology import Seat, gather, spread
from .state import State
from .units import PARTS

_PRIOR = 20
"""Requests that each offered profile counts for before anything is known."""

Score = tuple[float, int, int]
S = TypeVar("S")
K = TypeVar("K", bound=Hashable)


class Place(NamedTuple):
    """`times` slices of a GPU, or one instance of it."""

    gpu: str
    times: int = 1
    instance: str | None = None


class _Node(NamedTuple):
    """A host as its index sees it: equal nodes are equally good."""

    host: Host
    seats: tuple[Seat, ...]


class _Mig(NamedTuple):
    """A MIG GPU as its index sees it: (profile, start, size) of free instances, and the mask."""

    memory_gb: float
    free: tuple[tuple[str, int, int], ...]
    mask: int


class PackedPool:
    """One pool's GPUs, cut by nobody (packed by `Objective`) or into MIG instances (by `Masks`)."""

    def __init__(self, state: State, name: str) -> None:
        self.name = name
        able = [gpu for gpu in state.gpus.values() if gpu.pool == name and gpu.health == "ok"]
        plain = sorted((gpu for gpu in able if not gpu.mig), key=_host_key)
        self.hosts = [list(group) for _, group in groupby(plain, key=_host_key)]
        self.migs = [gpu for gpu in able if gpu.mig]
        self.host_of = {gpu.uuid: at for at, group in enumerate(self.hosts) for gpu in group}
        self.mig_of = {gpu.uuid: at for at, gpu in enumerate(self.migs)}
        self.models = sorted({_model(group[0]) for group in self.hosts})
        self.largest = max(map(len, self.hosts), default=0)
        self._shapes: dict[tuple[str, int, float], Shape | None] = {}
        self.masks: dict[float, Masks] = {}
        self.objective: Objective | None = None
        self.nodes: Index[_Node, Shape] = Index(
            (self.node(state, group) for group in self.hosts), self._score
        )
        self.cut: Index[_Mig, str] = Index(
            (self.mig(state, gpu) for gpu in self.migs), self._mig_score
        )
        self.relearn(state)

    def relearn(self, state: State) -> None:
        """Takes in the mix of recent requests; scores are computed anew when they are needed."""
        counts: Counter[tuple[str, int]] = Counter()
        for offered in state.offered(self.name):
            counts[offered.name, 1] += _PRIOR
        for asked in state.recent:
            if asked.pool == self.name:
                counts[asked.profile, min(asked.count, self.largest) or 1] += 1
        shapes: dict[Shape, float] = {}
        for (profile, count), times in counts.items():
            shape = self.shape(state, profile, count)
            if shape is not None:
                shapes[shape] = shapes.get(shape, 0) + times
        capacity = Counter({model: 0 for model in self.models})
        for group in self.hosts:
            capacity[_model(group[0])] += PARTS * len(group)
        self.objective = Objective(learn(shapes, capacity), PARTS) if shapes else None
        wanted: Counter[str] = Counter()
        for (profile, _), times in counts.items():
            wanted[profile.removeprefix("mig-")] += times
        for gb, geometry in {gpu.memory_gb: gpu.geometry for gpu in self.migs}.items():
            names = {one.profile for g in self.migs if g.memory_gb == gb for one in g.instances}
            rules = {name: rule for name in sorted(names) if (rule := geometry.rule(name))}
            self.masks[gb] = Masks(rules, wanted, geometry.memory)
        self.nodes.rescore()
        self.cut.rescore()

    def shape(
        self, state: State, profile: str, count: int, min_memory_gb: float = 0.0
    ) -> Shape | None:
        """What a request asks of one host; None where no host could be cut so."""
        asked = profile, count, min_memory_gb
        if asked not in self._shapes:  # the hosts are the same for the life of this object
            self._shapes[asked] = self._shape(state, *asked)
        return self._shapes[asked]

    def _shape(self, state: State, profile: str, count: int, min_memory_gb: float) -> Shape | None:
        cuts = {}
        for group in self.hosts:
            cut = state.profile_on(group[0], profile)
            if cut is not None and cut.memory_gb >= min_memory_gb:
                cuts[_model(group[0])] = cut.parts
        if not cuts:
            return None
        models = () if len(cuts) == len(self.models) else tuple(sorted(cuts))
        return Shape(count, next(iter(cuts.values())), models=models)

    def node(self, state: State, group: list[Gpu], shut: Collection[str] = ()) -> _Node:
        seats = tuple(
            Seat(
                0 if gpu.uuid in shut else state.free_parts(gpu),
                -1 if gpu.island is None else gpu.island,
                -1 if gpu.numa is None else gpu.numa,
            )
            for gpu in group
        )
        return _Node(Host(_model(group[0]), tuple(sorted(seat.free for seat in seats))), seats)

    def mig(self, state: State, gpu: Gpu) -> _Mig:
        used = state.use[gpu.uuid].instances
        free = tuple((i.profile, i.start, i.size) for i in gpu.instances if i.uuid not in used)
        taken = mask_of((i.start, i.size) for i in gpu.instances if i.uuid in used)
        return _Mig(gpu.memory_gb, free, taken)

    def _score(self, node: _Node, shape: Shape) -> Score | None:
        found = self.objective.best(node.host, shape) if self.objective else None
        if found is None:
            return None
        if shape.gpus == 1:
            return found.score, 0, 0
        return found.score, *spread(node.seats, gather(node.seats, found.way.taken))

    def _mig_score(self, gpu: _Mig, profile: str) -> Score | None:
        found = self.spot(gpu, profile)
        return None if found is None else (found[0], 0, 0)

    def spot(self, gpu: _Mig, profile: str) -> tuple[float, int, int] | None:
        """(score, start, size) of the free instance whose loss hurts the mix least."""
        masks = self.masks.get(gpu.memory_gb)
        found = [
            (masks.score(gpu.mask, span(start, size)), -start, size)
            for name, start, size in gpu.free
            if masks and name == profile
        ]
        if not found:
            return None
        score, start, size = min(found)
        return score, -start, size

    def refresh(self, state: State, gpus: Iterable[Gpu]) -> None:
        """These GPUs are held by more or by less than before."""
        hosts = set()
        for gpu in gpus:
            if gpu.uuid in self.mig_of:
                self.cut.set(self.mig_of[gpu.uuid], self.mig(state, gpu))
            elif gpu.uuid in self.host_of:
                hosts.add(self.host_of[gpu.uuid])
        for at in hosts:
            self.nodes.set(at, self.node(state, self.hosts[at]))

    # --- where a request would go ---------------------------------------------------------------

    def find_shares(
        self, state: State, request: Request, shut: Collection[str]
    ) -> list[Place] | None:
        """Whole GPUs or fractions: on one host where one has room, else on as few as it takes."""
        shape = self.shape(state, request.profile, 1, request.min_memory_gb)
        if shape is None:
            return None
        most = self.largest * (PARTS // shape.share)
        number = min(request.count, most)
        if request.same_node and number < request.count:
            return self._over_models(state, request, shut)
        found: list[Place] = []
        left = request.count
        with _trial(self.nodes) as put:
            while left:
                places = self._on_one(
                    shape._replace(gpus=number), shut, put if number < left else None
                )
                if places is not None:
                    found += places
                    left -= number
                    number = min(number, left)
                elif request.same_node:
                    return self._over_models(state, request, shut)
                elif number == 1:
                    return None
                else:
                    number //= 2
        return found

    def _on_one(
        self, shape: Shape, shut: Collection[str], put: Callable[[int, _Node], None] | None
    ) -> list[Place] | None:
        """A shape on the best host, which is then so much fuller where there is more to place."""

        def view(at: int) -> _Node | None:
            """A host some of whose GPUs are shut, as the request may see it."""
            gpus, node = self.hosts[at], self.nodes.states[at]
            closed = [gpu.uuid in shut for gpu in gpus]
            if True not in closed:
                return None
            if all(map(or_, closed, (not seat.free for seat in node.seats))):
                return _Node(node.host._replace(free=(0,)), ())  # mostly so
            pairs = zip(node.seats, closed, strict=True)
            return _seated(node, [s._replace(free=0) if shut else s for s, shut in pairs])

        at = self.nodes.best(shape, view if shut else None)
        if at is None or self.objective is None:
            return None
        node = (view(at) if shut else None) or self.nodes.states[at]
        option = self.objective.best(node.host, shape)
        assert option is not None
        places = gather(node.seats, option.way.taken)
        if put is not None:
            seats = list(self.nodes.states[at].seats)
            for position, times in places:
                left = seats[position].free - times * shape.share
                seats[position] = seats[position]._replace(free=left)
            put(at, _seated(node, seats))
        return [Place(self.hosts[at][position].uuid, times) for position, times in places]

    def _over_models(
        self, state: State, request: Request, shut: Collection[str]
    ) -> list[Place] | None:
        """A gang on one node whose GPUs are not all alike; the fullest GPUs first."""
        for _, groups in groupby(self.hosts, key=lambda group: group[0].node):
            found: list[Place] = []
            left = request.count
            gpus = [gpu for group in groups for gpu in group if gpu.uuid not in shut]
            for gpu in sorted(gpus, key=lambda g: (state.free_parts(g), g.index)):
                cut = state.profile_on(gpu, request.profile)
                if cut is None or cut.memory_gb < request.min_memory_gb:
                    continue
                times = min(left, state.free_parts(gpu) // cut.parts)
                if times:
                    found.append(Place(gpu.uuid, times))
                    left -= times
            if left == 0:
                return found
        return None

    def find_instances(self, request: Request, shut: Collection[str]) -> list[Place] | None:
        """MIG instances as they stand: those whose loss hurts the mix least."""
        profile = request.profile.removeprefix("mig-")
        if not request.same_node:
            found = self._instances(profile, request.count, shut, None)
            return found and found[1]
        on_node: dict[str, list[int]] = {}
        for at, gpu in enumerate(self.migs):
            on_node.setdefault(gpu.node, []).append(at)
        choices = [self._instances(profile, request.count, shut, on) for on in on_node.values()]
        return min((c for c in choices if c), key=lambda c: c[0], default=(0.0, None))[1]

    def _instances(
        self, profile: str, count: int, shut: Collection[str], among: list[int] | None
    ) -> tuple[float, list[Place]] | None:
        """`count` instances one by one, on all GPUs or on those `among` them; with their cost."""
        cost, found = 0.0, []
        with _trial(self.cut) as put:
            for number in range(count):
                at = self._best_cut(profile, shut, among)
                spot = None if at is None else self.spot(self.cut.states[at], profile)
                if at is None or spot is None:
                    return None
                gpu, (score, start, size) = self.cut.states[at], spot
                (one,) = (i for i in self.migs[at].instances if i.start == start)
                found.append(Place(self.migs[at].uuid, 1, one.uuid))
                cost += score
                if number + 1 < count:
                    rest = tuple(i for i in gpu.free if i[1] != start)
                    put(at, _Mig(gpu.memory_gb, rest, gpu.mask | span(start, size)))
        return cost, found

    def _best_cut(self, profile: str, shut: Collection[str], among: list[int] | None) -> int | None:
        def view(at: int) -> _Mig | None:
            return _Mig(0.0, (), 0) if self.migs[at].uuid in shut else None

        if among is None:
            return self.cut.best(profile, view if shut else None)
        scores = [
            (spot[0], at)
            for at in among
            if self.migs[at].uuid not in shut and (spot := self.spot(self.cut.states[at], profile))
        ]
        return min(scores, default=(0.0, None))[1]


@contextmanager
def _trial(index: Index[S, K]) -> Iterator[Callable[[int, S], None]]:
    """Gives a `put(host, state)` whose changes are taken back at the end."""
    before: dict[int, S] = {}

    def put(at: int, state: S) -> None:
        before.setdefault(at, index.states[at])
        index.set(at, state)

    try:
        yield put
    finally:
        for at, state in before.items():
            index.set(at, state)


def _seated(node: _Node, seats: list[Seat]) -> _Node:
    free = tuple(sorted(seat.free for seat in seats))
    return _Node(node.host._replace(free=free), tuple(seats))


def _model(gpu: Gpu) -> str:
    return f"{gpu.model} {gpu.memory_gb:g}"


def _host_key(gpu: Gpu) -> tuple[str, str]:
    """GPUs of one node that are alike make up a host to pack."""
    return gpu.node, _model(gpu)
