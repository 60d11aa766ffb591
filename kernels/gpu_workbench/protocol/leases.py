"""Requests, leases and holders."""

from __future__ import annotations

from typing import Literal

from msgspec import field

from .base import Wire
from .fleet import Slice

RequestState = Literal["queued", "granted", "denied", "cancelled", "expired"]
LeaseState = Literal["active", "asleep", "ended"]
EndReason = Literal["released", "expired", "reclaimed", "preempted", "lost"]
HolderKind = Literal["kernel", "cluster", "job", "cell"]


class Ask(Wire, frozen=True, kw_only=True):
    """Body of `POST /requests`, and of a dry run."""

    what: str
    """A memory ("20GB"), a share ("0.25"), a profile ("1g.10gb", "mig-1g.10gb") or "gpu"."""
    count: int = 1
    seconds: int | None = None
    """None takes the pool's default."""
    pool: str | None = None
    same_node: bool = False
    priority: int = 0
    purpose: HolderKind = "kernel"
    name: str = ""
    """For people: a notebook's path, a cluster's or a job's name."""
    key: str | None = None
    """Chosen by the client: asking again with the same key returns the same request."""
    dry_run: bool = False


class Reason(Wire, frozen=True, kw_only=True):
    """Why a request waits or was denied; `code` is from a closed list."""

    code: str
    sentence: str
    waits_for: list[int] = field(default_factory=list)
    """Leases whose end it waits for."""
    held: float | None = None
    """GPU units held, where a limit or quota binds."""
    limit: float | None = None
    """The limit or quota that binds, in GPU units."""
    reservation: int | None = None
    """The reservation that it waits for."""


class Request(Wire, frozen=True, kw_only=True):
    """What somebody asked for. Its lease, once granted, has the same id."""

    id: int
    state: RequestState
    user: str
    mine: bool
    what: str
    profile: str
    pool: str
    count: int
    seconds: int
    same_node: bool
    priority: int
    purpose: HolderKind
    name: str
    units: float
    created_at: float
    position: int | None = None
    """1 is next; None unless queued."""
    reason: Reason | None = None
    expected_at: float | None = None
    """By then it starts with a chance of one half."""
    expected_by: float | None = None
    """By then it starts nine times in ten."""


class Holder(Wire, frozen=True, kw_only=True):
    """What a lease is for, and the process that stands for it."""

    kind: HolderKind
    id: str
    name: str
    pid: int | None = None
    started: float | None = None
    """Start time of `pid` (seconds since the epoch): a pid alone may be reused."""


class Lease(Wire, frozen=True, kw_only=True):
    """A granted request."""

    id: int
    state: LeaseState
    user: str
    mine: bool
    pool: str
    profile: str
    slices: list[Slice]
    units: float
    purpose: HolderKind
    name: str
    granted_at: float
    ends_at: float
    holder: Holder | None = None
    """None until a kernel, cluster, job or cell has taken it."""
    ended_at: float | None = None
    end_reason: EndReason | None = None
    cleared: bool = False
    """True once no process is left on its slices; only then are they free again."""
    reservation: int | None = None
    """The reservation whose slices it holds."""


class Extend(Wire, frozen=True, kw_only=True):
    seconds: int


class Heartbeat(Wire, frozen=True, kw_only=True):
    leases: list[int]


class Claim(Wire, frozen=True, kw_only=True):
    """Body of `POST /leases/claim`: a kernel about to start takes a waiting lease, or a new one."""

    path: str
    """The notebook (session) path the kernel is for; may be empty."""
    kernel_id: str
    ask: Ask | None = None
    """What to ask for where no lease waits for this path; it is not queued."""


class Requests(Wire, frozen=True, kw_only=True):
    requests: list[Request]


class Leases(Wire, frozen=True, kw_only=True):
    leases: list[Lease]
