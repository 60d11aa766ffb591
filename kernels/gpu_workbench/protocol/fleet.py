"""GPUs, slices, pools, profiles, and the cards of the request form."""

from __future__ import annotations

from typing import Literal

from .base import Problem, Wire

SliceKind = Literal["whole", "mig", "fraction"]
IsolationTier = Literal["mig", "cgroup-vram", "mps", "framework-cap", "watchdog", "simulated"]
GpuHealth = Literal["ok", "drained", "lost"]
CardWhen = Literal["now", "queued", "over_limit", "never"]


class Slice(Wire, frozen=True, kw_only=True):
    """A part of a GPU that a lease holds."""

    id: str
    gpu: str
    """UUID of the GPU it is cut from."""
    kind: SliceKind
    profile: str
    memory_bytes: int
    units: float
    visible_device: str
    """What `CUDA_VISIBLE_DEVICES` must say: a GPU or MIG UUID, empty for a simulated slice."""
    tier: IsolationTier


class SliceView(Wire, frozen=True, kw_only=True):
    """One segment of a GPU's bar: leased or free."""

    profile: str
    label: str
    units: float
    memory_bytes: int
    slice_id: str | None = None
    """None where the segment is free."""
    lease_id: int | None = None
    mine: bool = False
    holder: str | None = None
    """Name of the holder, where the reader may see it."""
    ends_at: float | None = None
    offer: str | None = None
    """For a free segment: the profile to ask for when it is clicked."""


class Gpu(Wire, frozen=True, kw_only=True):
    """A physical (or simulated) device and how it is cut at the moment."""

    uuid: str
    index: int
    node: str
    name: str
    """Short name for people, unique in the fleet: `gpu0`."""
    model: str
    memory_bytes: int
    memory_gb: float
    """As on the label."""
    mig: bool
    simulated: bool
    health: GpuHealth
    pool: str
    numa: int | None
    island: int | None = None
    """GPUs of one island are connected by NVLink; None: there is none."""
    segments: list[SliceView]


class Profile(Wire, frozen=True, kw_only=True):
    """A kind of slice that a pool offers."""

    name: str
    kind: SliceKind
    memory_gb: float
    units: float
    tier: IsolationTier
    enforced: bool
    """False where the bounds are cooperative: a process could step over them."""


class Pool(Wire, frozen=True, kw_only=True):
    name: str
    engine: Literal["local", "slurm", "kubernetes"]
    profiles: list[Profile]
    default_seconds: int
    max_seconds: int
    idle_seconds: int


class Fleet(Wire, frozen=True, kw_only=True):
    gpus: list[Gpu]
    pools: list[Pool]
    simulated: bool
    units_total: float
    units_free: float
    trouble: Problem | None = None
    """Why no (or not every) GPU can be seen."""


class Quota(Wire, frozen=True, kw_only=True):
    """What binds one user or group, in GPU units; `limit` None means no limit."""

    name: str
    scope: Literal["user", "group"]
    held: float
    limit: float | None
    deserved: float | None = None
    """What is theirs by right; None where nothing is, and so nothing counts as borrowed."""
    weight: float = 1.0
    """How much of what is left over goes to them, against others with 1."""
    average: float = 0.0
    """Held in the past, which counts less the longer ago it is."""
    share: float = 0.0
    """Held and average over deserved (or one GPU) and weight: the lower goes first."""


class Status(Wire, frozen=True, kw_only=True):
    """Who the caller is and how the broker does: the first call of every client."""

    api_version: str
    version: str
    user: str
    groups: list[str]
    admin: bool
    simulated: bool
    quotas: list[Quota]
    lease_ttl: int
    units_total: float
    units_free: float


class Card(Wire, frozen=True, kw_only=True):
    """One choice of the request form: a profile and when it could be had."""

    profile: str
    pool: str
    label: str
    kind: SliceKind
    memory_gb: float
    units: float
    tier: IsolationTier
    when: CardWhen
    expected_at: float | None = None
    expected_by: float | None = None
    reason: str = ""


class Cards(Wire, frozen=True, kw_only=True):
    cards: list[Card]


class MigPlace(Wire, frozen=True, kw_only=True):
    """A MIG instance of a geometry: its profile, and the first memory slice it stands on."""

    profile: str
    start: int


class Proposal(Wire, frozen=True, kw_only=True):
    """An idle GPU that could be cut anew, and which waiting requests would start then."""

    gpu: str
    """UUID."""
    name: str
    pool: str
    now: list[MigPlace]
    layout: list[MigPlace]
    serves: list[int]
    """Ids of requests, if all proposals of the list were applied."""


class Proposals(Wire, frozen=True, kw_only=True):
    proposals: list[Proposal]


class Repartition(Wire, frozen=True, kw_only=True):
    """Apply what is proposed now for these GPUs."""

    gpus: list[str] | None = None
    """UUIDs; None is every GPU that something is proposed for."""
