"""Domain objects ⇄ rows. Knows columns, no connection."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa

from ..domain.leases import Holder, Lease, LedgerEntry, Request, Slice
from ..domain.reservations import Reservation
from ..ports import AuditEntry, Record
from . import tables
from .succession import refused

Row = dict[str, Any]

_HOLDER = ("kind", "id", "name", "pid", "started")


def request_row(request: Request) -> Row:
    return asdict(request)


def request_of(row: Mapping[str, Any]) -> Request:
    return Request(**row)


def reservation_row(one: Reservation) -> Row:
    return asdict(one)


def reservation_of(row: Mapping[str, Any]) -> Reservation:
    return Reservation(**row)


def lease_row(lease: Lease) -> Row:
    """The lease without its slices, its holder flattened."""
    row = {column: getattr(lease, column) for column in _LEASE_COLUMNS}
    for name in _HOLDER:
        row[f"holder_{name}"] = None if lease.holder is None else getattr(lease.holder, name)
    return row


_LEASE_COLUMNS = [
    column.name for column in tables.leases.columns if not column.name.startswith("holder_")
]


def slice_rows(lease: Lease) -> list[Row]:
    return [
        {"lease_id": lease.id, "position": position, **asdict(one)}
        for position, one in enumerate(lease.slices)
    ]


def slice_of(row: Mapping[str, Any]) -> Slice:
    return Slice(**{k: v for k, v in row.items() if k not in ("lease_id", "position")})


def lease_of(row: Mapping[str, Any], slices: Iterable[Slice]) -> Lease:
    held = {name: row[f"holder_{name}"] for name in _HOLDER}
    return Lease(
        **{column: row[column] for column in _LEASE_COLUMNS},
        slices=tuple(slices),
        holder=None if held["kind"] is None else Holder(**held),
    )


def ledger_row(entry: LedgerEntry) -> Row:
    return asdict(entry)


def ledger_of(row: Mapping[str, Any]) -> LedgerEntry:
    return LedgerEntry(**row)


def audit_row(entry: AuditEntry) -> Row:
    return asdict(entry)


def audit_of(row: Mapping[str, Any]) -> AuditEntry:
    return AuditEntry(**{k: v for k, v in row.items() if k != "seq"})


def plain(record: Record) -> Any:
    """The body as a database gives it back; raises `StoreTrouble` where it is no JSON."""
    try:
        return json.loads(json.dumps(dict(record.body), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise refused(f"{record.kind} {record.id}: {error}") from error


def record_row(record: Record) -> Row:
    return {
        "kind": record.kind,
        "id": record.id,
        "owner": record.owner,
        "body": plain(record),
        "updated_at": record.updated_at,
    }


def record_of(row: Mapping[str, Any]) -> Record:
    return Record(**row)


def mappings(result: sa.Result[Any]) -> list[Mapping[str, Any]]:
    """All rows of a result, by column name."""
    return [dict(row) for row in result.mappings()]
