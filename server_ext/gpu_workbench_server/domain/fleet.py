"""GPUs, pools and the profiles a pool offers. Knows nothing of who holds what."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from .mig import Geometry, MigInstance, geometry_for
from .units import PARTS, parts_of_share

SliceKind = Literal["whole", "mig", "fraction"]
Tier = Literal["mig", "cgroup-vram", "mps", "framework-cap", "watchdog", "simulated"]
Health = Literal["ok", "drained", "lost"]


@dataclass(frozen=True, slots=True)
class Gpu:
    """A physical or simulated device. `memory_gb` is the label's, `memory_bytes` the usable."""

    uuid: str
    index: int
    model: str
    memory_bytes: int
    memory_gb: float
    node: str = "localhost"
    pool: str = "default"
    numa: int | None = None
    island: int | None = None
    """NVLink island; None where there is no NVLink."""
    cpus: tuple[int, ...] = ()
    mig: bool = False
    instances: tuple[MigInstance, ...] = ()
    simulated: bool = False
    health: Health = "ok"
    told: Geometry | None = None
    """What the driver tells of MIG; None where the tables of `mig` must do."""

    @property
    def name(self) -> str:
        return f"gpu{self.index}" if self.node == "localhost" else f"{self.node}/gpu{self.index}"

    @property
    def geometry(self) -> Geometry:
        """What MIG can do on it."""
        return self.told or geometry_for(self.memory_gb)


@dataclass(frozen=True, slots=True)
class Profile:
    """A kind of slice: `parts` of a GPU (see units), `memory_gb` as on the label."""

    name: str
    kind: SliceKind
    parts: int
    memory_gb: float
    tier: Tier

    @property
    def enforced(self) -> bool:
        return self.tier in ("mig", "cgroup-vram")

    @property
    def label(self) -> str:
        """What stands on a card: "1g.10gb", "1/4 GPU", "whole GPU"."""
        if self.kind == "mig":
            return self.name.removeprefix("mig-")
        if self.kind == "whole":
            return "whole GPU"
        share = self.parts / PARTS
        return (
            f"1/{round(1 / share)} GPU"
            if abs(1 / share - round(1 / share)) < 1e-9
            else (f"{share:g} GPU")
        )


@dataclass(frozen=True, slots=True)
class Pool:
    """GPUs under one policy, on one engine. Durations in seconds."""

    name: str = "default"
    engine: Literal["local", "slurm", "kubernetes"] = "local"
    gpus: tuple[str, ...] = ()
    """Which GPUs are in it: UUIDs, names ("gpu3") or words of the model; see `assigned`."""
    whole: bool = True
    fractions: tuple[float, ...] = (0.25, 0.5)
    default_seconds: int = 2 * 3600
    max_seconds: int = 24 * 3600
    idle_seconds: int = 1800
    claim_seconds: int = 600
    """A granted lease that nobody takes for this long is reclaimed."""
    repartition: bool = False
    """Whether an admin may have idle MIG GPUs of the pool cut anew."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Upper bounds in GPU parts. A missing name falls back to the default; None is no limit."""

    users: dict[str, int] = field(default_factory=dict)
    groups: dict[str, int] = field(default_factory=dict)
    default_user: int | None = None
    default_group: int | None = None

    def user(self, name: str) -> int | None:
        return self.users.get(name, self.default_user)

    def group(self, name: str) -> int | None:
        return self.groups.get(name, self.default_group)


def assigned(gpus: Iterable[Gpu], pools: Sequence[Pool]) -> list[Gpu]:
    """The GPUs, each in its pool: the first that claims it, else the one it says it is in, else
    the first that claims nothing. One that no pool takes keeps its own and is not offered."""
    names = {pool.name for pool in pools}
    rest = next((pool.name for pool in pools if not pool.gpus), None)
    found = []
    for gpu in gpus:
        claims = (pool.name for pool in pools if any(_is(gpu, word) for word in pool.gpus))
        known = gpu.pool if gpu.pool in names else rest or gpu.pool
        found.append(replace(gpu, pool=next(claims, known)))
    return found


def _is(gpu: Gpu, word: str) -> bool:
    return word in (gpu.uuid, gpu.name) or word.lower() in gpu.model.lower()


def profiles_of(gpu: Gpu, pool: Pool) -> list[Profile]:
    """What this GPU can be cut into under its pool's policy, smallest first."""
    if gpu.mig:
        slices = gpu.geometry.compute
        found = {
            one.profile: Profile(
                f"mig-{one.profile}",
                "mig",
                PARTS * one.compute // slices,
                one.memory_gb,
                "simulated" if gpu.simulated else "mig",
            )
            for one in gpu.instances
        }
        return sorted(found.values(), key=_size)
    soft: Tier = "simulated" if gpu.simulated else "framework-cap"
    offered = [
        Profile(
            f"fraction-{share:g}",
            "fraction",
            parts_of_share(share),
            round(gpu.memory_gb * share, 1),
            soft,
        )
        for share in pool.fractions
    ]
    if pool.whole:
        tier: Tier = "simulated" if gpu.simulated else "watchdog"
        offered.append(Profile("whole", "whole", PARTS, gpu.memory_gb, tier))
    return sorted(offered, key=_size)


def offered_by(pool: Pool, gpus: Iterable[Gpu]) -> list[Profile]:
    """All profiles of a pool, smallest first; the largest memory where GPUs of a pool differ."""
    best: dict[str, Profile] = {}
    for gpu in gpus:
        if gpu.pool != pool.name:
            continue
        for profile in profiles_of(gpu, pool):
            known = best.get(profile.name)
            if known is None or profile.memory_gb > known.memory_gb:
                best[profile.name] = profile
    return sorted(best.values(), key=_size)


def _size(profile: Profile) -> tuple[float, int, str]:
    return (profile.memory_gb, profile.parts, profile.name)
