"""How much of what is free can't be used: FGD's fragmentation, kept up to date host by host.

A host's fragment is what the next job, drawn from the trace's own mix, could not use of its free
GPUs, in GPU units (Weng et al., "Beware of Fragmentation", USENIX ATC'23). A job of more GPUs than
a host has counts as one that wants the whole host.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from ..domain.fleet import Gpu
from ..domain.leases import Request
from ..domain.state import State
from ..domain.units import PARTS

COMMON = 0.95
"""The mix is the commonest shapes that together make this share of the jobs."""


def mix_of(requests: Iterable[Request]) -> dict[tuple[int, int], float]:
    """How often each shape (slices, parts of one) is asked for, the rare ones left out."""
    counts = Counter((one.count, one.parts // one.count) for one in requests)
    total, kept = sum(counts.values()), dict[tuple[int, int], float]()
    covered = 0
    for shape, count in counts.most_common():
        if covered >= COMMON * total:
            break
        kept[shape] = count / total
        covered += count
    whole = sum(kept.values())
    return {shape: share / whole for shape, share in kept.items()}


class Fragments:
    """`total` in GPU units, after `touch` of each GPU whose leases changed."""

    def __init__(self, state: State, mix: Mapping[tuple[int, int], float]) -> None:
        self._state, self._mix = state, mix
        self._hosts: dict[str, list[Gpu]] = defaultdict(list)
        for gpu in state.gpus.values():
            self._hosts[gpu.node].append(gpu)
        self._of = {host: self._fragment(host) for host in self._hosts}
        self.total = sum(self._of.values())

    def touch(self, gpus: Iterable[str]) -> None:
        for host in {self._state.gpus[uuid].node for uuid in gpus if uuid in self._state.gpus}:
            new = self._fragment(host)
            self.total += new - self._of[host]
            self._of[host] = new

    def _fragment(self, host: str) -> float:
        gpus = self._hosts[host]
        free = [self._state.free_parts(gpu) for gpu in gpus]
        everything = sum(free)
        if not everything:
            return 0.0
        lost = 0.0
        for (count, parts), share in self._mix.items():
            fit = [room for room in free if room >= parts]
            slices = sum(room // parts for room in fit)
            usable = sum(fit) if slices >= min(count, len(gpus) * (PARTS // parts)) else 0
            lost += share * (everything - usable)
        return lost / PARTS
