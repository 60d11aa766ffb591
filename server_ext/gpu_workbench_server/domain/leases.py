"""Requests, leases, slices, holders: frozen records. What may follow what: see `transitions`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .fleet import SliceKind, Tier

RequestState = Literal["queued", "granted", "denied", "cancelled", "expired"]
LeaseState = Literal["active", "asleep", "ended"]
EndReason = Literal["released", "expired", "reclaimed", "preempted", "lost"]
Purpose = Literal["kernel", "cluster", "job", "cell"]


@dataclass(frozen=True, slots=True)
class Slice:
    """A leased part of a GPU. `id` is unique for ever; `instance` is the MIG instance's UUID."""

    id: str
    gpu: str
    profile: str
    kind: SliceKind
    parts: int
    memory_bytes: int
    tier: Tier
    visible_device: str
    instance: str | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """What somebody asked for. Times in seconds since the epoch."""

    id: int
    user: str
    group: str | None
    what: str
    profile: str
    pool: str
    count: int
    seconds: int
    created_at: float
    parts: int
    """Of all `count` slices together."""
    min_memory_gb: float = 0.0
    same_node: bool = False
    priority: int = 0
    purpose: Purpose = "kernel"
    name: str = ""
    key: str | None = None
    state: RequestState = "queued"


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that stands for a lease; pid and start time together name a process."""

    kind: Purpose
    id: str
    name: str = ""
    pid: int | None = None
    started: float | None = None


@dataclass(frozen=True, slots=True)
class Lease:
    """A granted request, with the request's id."""

    id: int
    user: str
    group: str | None
    pool: str
    profile: str
    slices: tuple[Slice, ...]
    parts: int
    purpose: Purpose
    name: str
    granted_at: float
    ends_at: float
    state: LeaseState = "active"
    holder: Holder | None = None
    ended_at: float | None = None
    end_reason: EndReason | None = None
    cleared: bool = False
    """No process is left on the slices: only now are they free for somebody else."""
    used_gpu_seconds: float | None = None
    noticed: bool = False
    """Its holder was told that it ends soon."""
    gives_way_to: int | None = None
    """It is borrowed and ends early for this request or reservation."""
    declared_end: float | None = None
    """For a lease that gives way: when it would have ended."""
    reservation: int | None = None
    """It holds slices of this one."""

    @property
    def declared_seconds(self) -> float:
        """For how long it was taken, extensions included."""
        end = self.ends_at if self.declared_end is None else self.declared_end
        return end - self.granted_at


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """What one ended lease held and used, written once, at its end."""

    lease_id: int
    user: str
    group: str | None
    pool: str
    profile: str
    purpose: Purpose
    name: str
    parts: int
    start: float
    end: float
    end_reason: EndReason
    used_gpu_seconds: float | None
    declared_seconds: float | None = None
    """For how long it was taken; None where that was not written down."""

    @property
    def held_gpu_seconds(self) -> float:
        from .units import PARTS

        return (self.end - self.start) * self.parts / PARTS
