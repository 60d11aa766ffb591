"""Requests, slices and leases for tests, with everything that does not matter filled in."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from gpu_workbench_server.domain.decisions import Change
from gpu_workbench_server.domain.leases import Lease, LedgerEntry, Request, Slice
from gpu_workbench_server.domain.reservations import Reservation
from gpu_workbench_server.domain.units import PARTS


def a_request(number: int, user: str = "ada", **changes: Any) -> Request:
    request = Request(
        id=number,
        user=user,
        group=None,
        what="20GB",
        profile="fraction-0.25",
        pool="default",
        count=1,
        seconds=3600,
        created_at=1.0,
        parts=PARTS // 4,
    )
    return replace(request, **changes)


def a_slice(name: str, gpu: str = "GPU-a", **changes: Any) -> Slice:
    kind = changes.get("kind", "fraction")
    one = Slice(
        id=name,
        gpu=gpu,
        profile={"whole": "whole", "mig": "mig-1g.10gb"}.get(kind, "fraction-0.25"),
        kind="fraction",
        parts=PARTS if kind == "whole" else PARTS // 4,
        memory_bytes=20 << 30,
        tier="simulated",
        visible_device="",
    )
    return replace(one, **changes)


def a_lease(number: int, *slices: Slice, user: str = "ada", **changes: Any) -> Lease:
    lease = Lease(
        id=number,
        user=user,
        group=None,
        pool="default",
        profile="fraction-0.25",
        slices=slices,
        parts=PARTS // 4,
        purpose="kernel",
        name="a.ipynb",
        granted_at=2.0,
        ends_at=3602.0,
    )
    return replace(lease, **changes)


def granted(lease: Lease) -> list[Change]:
    """The change that grants a lease, with its request."""
    request = a_request(lease.id, lease.user, state="granted")
    return [Change("granted", request, lease)]


def an_entry(lease: Lease, end: float) -> LedgerEntry:
    return LedgerEntry(
        lease.id, lease.user, lease.group, lease.pool, lease.profile, lease.purpose, lease.name,
        lease.parts, lease.granted_at, end, "released", lease.used_gpu_seconds,
    )  # fmt: skip


def ended(lease: Lease, at: float) -> Change:
    over = replace(lease, state="ended", ended_at=at, end_reason="released")
    return Change("ended", lease=over, ledger=an_entry(lease, at))


def cleared(over: Change) -> Change:
    """After the change that ended it."""
    assert over.lease is not None
    return Change("cleared", lease=replace(over.lease, cleared=True))


def a_reservation(number: int, owner: str = "ada", **changes: Any) -> Reservation:
    one = Reservation(
        id=number,
        owner=owner,
        user=None,
        group="vision",
        pool="default",
        profile="fraction-0.25",
        what="20GB",
        count=2,
        parts=PARTS // 2,
        start=100.5,
        end=3700.25,
        created_at=1.0,
        min_memory_gb=20.0,
        name="the course",
    )
    return replace(one, **changes)


def booked(one: Reservation) -> list[Change]:
    return [Change("booked", reservation=one)]
