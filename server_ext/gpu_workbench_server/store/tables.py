"""The tables, as SQLAlchemy Core sees them. Columns are named as the domain's fields.

Knows no dialect: what only SQLite understands is in `sqlite.py`. A change here needs a migration
(a test compares the two).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, get_args

import sqlalchemy as sa

from ..domain.fleet import SliceKind
from ..domain.leases import EndReason, LeaseState, Purpose, RequestState
from ..domain.reservations import ReservationState
from ..domain.units import PARTS

# Constraints need names, or a later migration can't drop them.
metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _one_of(column: str, words: Iterable[str]) -> sa.CheckConstraint:
    """A null passes, as SQL has it."""
    listed = ", ".join(f"'{word}'" for word in words)
    return sa.CheckConstraint(f"{column} IN ({listed})", name=column)


def _text(name: str, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, sa.Text, nullable=options.pop("nullable", False), **options)


def _number(name: str, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, sa.Double, nullable=options.pop("nullable", False), **options)


def _whole_number(name: str, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger, nullable=options.pop("nullable", False), **options)


requests = sa.Table(
    "requests",
    metadata,
    _whole_number("id", primary_key=True, autoincrement=False),
    _text("user"),
    _text("group", nullable=True),
    _text("what"),
    _text("profile"),
    _text("pool"),
    _whole_number("count"),
    _whole_number("seconds"),
    _number("created_at"),
    _whole_number("parts"),
    _number("min_memory_gb"),
    sa.Column("same_node", sa.Boolean, nullable=False),
    _whole_number("priority"),
    _text("purpose"),
    _text("name"),
    _text("key", nullable=True),
    _text("state"),
    sa.UniqueConstraint("user", "key"),
    _one_of("purpose", get_args(Purpose)),
    _one_of("state", get_args(RequestState)),
    sa.Index(None, "state"),
)

leases = sa.Table(
    "leases",
    metadata,
    _whole_number("id", primary_key=True, autoincrement=False),
    _text("user"),
    _text("group", nullable=True),
    _text("pool"),
    _text("profile"),
    _whole_number("parts"),
    _text("purpose"),
    _text("name"),
    _number("granted_at"),
    _number("ends_at"),
    _text("state"),
    _text("holder_kind", nullable=True),
    _text("holder_id", nullable=True),
    _text("holder_name", nullable=True),
    _whole_number("holder_pid", nullable=True),
    _number("holder_started", nullable=True),
    _number("ended_at", nullable=True),
    _text("end_reason", nullable=True),
    sa.Column("cleared", sa.Boolean, nullable=False),
    _number("used_gpu_seconds", nullable=True),
    sa.Column("noticed", sa.Boolean, nullable=False, server_default=sa.false()),
    _whole_number("gives_way_to", nullable=True),
    _number("declared_end", nullable=True),
    _whole_number("reservation", nullable=True),
    _one_of("purpose", get_args(Purpose)),
    _one_of("holder_kind", get_args(Purpose)),
    _one_of("state", get_args(LeaseState)),
    _one_of("end_reason", get_args(EndReason)),
    sa.CheckConstraint("(state = 'ended') = (ended_at IS NOT NULL)", name="ended_at_when_ended"),
    sa.CheckConstraint("state = 'ended' OR NOT cleared", name="cleared_only_when_ended"),
    sa.Index(None, "cleared"),
    sa.Index(None, "user", "id"),
)

reservations = sa.Table(
    "reservations",
    metadata,
    _whole_number("id", primary_key=True, autoincrement=False),
    _text("owner"),
    _text("user", nullable=True),
    _text("group", nullable=True),
    _text("pool"),
    _text("profile"),
    _text("what"),
    _whole_number("count"),
    _whole_number("parts"),
    _number("start"),
    _number("end"),
    _number("created_at"),
    sa.Column("same_node", sa.Boolean, nullable=False),
    _number("min_memory_gb"),
    _text("name"),
    _text("key", nullable=True),
    sa.Column("claimed", sa.Boolean, nullable=False),
    _text("state"),
    sa.UniqueConstraint("owner", "key"),
    _one_of("state", get_args(ReservationState)),
    sa.CheckConstraint('start < "end"', name="forwards"),
    sa.Index(None, "state"),
)

slices = sa.Table(
    "slices",
    metadata,
    sa.Column("lease_id", sa.ForeignKey("leases.id"), primary_key=True),
    _whole_number("position", primary_key=True, autoincrement=False),
    _text("id", unique=True),
    _text("gpu"),
    _text("profile"),
    _text("kind"),
    _whole_number("parts"),
    _whole_number("memory_bytes"),
    _text("tier"),
    _text("visible_device"),
    _text("instance", nullable=True),
    _one_of("kind", get_args(SliceKind)),
    sa.Index(None, "gpu"),
)

# One row per GPU or MIG instance that is held in part or whole; see occupancy.py. Its check is
# what makes a double grant impossible even to a broker gone wrong, or to two of them.
occupancy = sa.Table(
    "occupancy",
    metadata,
    _text("device", primary_key=True),
    _whole_number("parts"),
    sa.CheckConstraint(f"parts BETWEEN 0 AND {PARTS}", name="never_twice"),
)

ledger = sa.Table(
    "ledger",
    metadata,
    sa.Column("lease_id", sa.ForeignKey("leases.id"), primary_key=True),
    _text("user"),
    _text("group", nullable=True),
    _text("pool"),
    _text("profile"),
    _text("purpose"),
    _text("name"),
    _whole_number("parts"),
    _number("start"),
    _number("end"),
    _text("end_reason"),
    _number("used_gpu_seconds", nullable=True),
    _number("declared_seconds", nullable=True),
    _one_of("end_reason", get_args(EndReason)),
    sa.Index(None, "end"),
)

audit = sa.Table(
    "audit",
    metadata,
    # SQLite counts by itself only where the type is INTEGER, which has 64 bits there.
    sa.Column(
        "seq",
        sa.BigInteger().with_variant(sa.Integer, "sqlite"),
        primary_key=True,
        autoincrement=True,
    ),
    _number("at"),
    _text("actor"),
    _text("action"),
    _text("subject"),
    _text("detail"),
)

records = sa.Table(
    "records",
    metadata,
    _text("kind", primary_key=True),
    _text("id", primary_key=True),
    _text("owner"),
    sa.Column("body", sa.JSON, nullable=False),
    _number("updated_at"),
    _one_of("kind", ("cluster", "job")),
    sa.Index(None, "kind", "updated_at"),
)

APPEND_ONLY = (ledger.name, audit.name)
"""Tables whose rows are never changed or deleted."""
