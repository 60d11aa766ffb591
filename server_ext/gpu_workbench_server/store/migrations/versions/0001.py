"""The first tables: requests, leases with their slices, occupancy, ledger, audit, records."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from gpu_workbench_server.store import postgres, sqlite

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "audit",
        sa.Column(
            "seq",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_audit")),
    )
    op.create_table(
        "leases",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("user", sa.Text(), nullable=False),
        sa.Column("group", sa.Text(), nullable=True),
        sa.Column("pool", sa.Text(), nullable=False),
        sa.Column("profile", sa.Text(), nullable=False),
        sa.Column("parts", sa.BigInteger(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("granted_at", sa.Double(), nullable=False),
        sa.Column("ends_at", sa.Double(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("holder_kind", sa.Text(), nullable=True),
        sa.Column("holder_id", sa.Text(), nullable=True),
        sa.Column("holder_name", sa.Text(), nullable=True),
        sa.Column("holder_pid", sa.BigInteger(), nullable=True),
        sa.Column("holder_started", sa.Double(), nullable=True),
        sa.Column("ended_at", sa.Double(), nullable=True),
        sa.Column("end_reason", sa.Text(), nullable=True),
        sa.Column("cleared", sa.Boolean(), nullable=False),
        sa.Column("used_gpu_seconds", sa.Double(), nullable=True),
        sa.CheckConstraint(
            "(state = 'ended') = (ended_at IS NOT NULL)", name=op.f("ck_leases_ended_at_when_ended")
        ),
        sa.CheckConstraint(
            "end_reason IN ('released', 'expired', 'reclaimed', 'preempted', 'lost')",
            name=op.f("ck_leases_end_reason"),
        ),
        sa.CheckConstraint(
            "holder_kind IN ('kernel', 'cluster', 'job', 'cell')",
            name=op.f("ck_leases_holder_kind"),
        ),
        sa.CheckConstraint(
            "purpose IN ('kernel', 'cluster', 'job', 'cell')", name=op.f("ck_leases_purpose")
        ),
        sa.CheckConstraint(
            "state = 'ended' OR NOT cleared", name=op.f("ck_leases_cleared_only_when_ended")
        ),
        sa.CheckConstraint("state IN ('active', 'asleep', 'ended')", name=op.f("ck_leases_state")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_leases")),
    )
    op.create_index(op.f("ix_leases_cleared"), "leases", ["cleared"], unique=False)
    op.create_index(op.f("ix_leases_user_id"), "leases", ["user", "id"], unique=False)
    op.create_table(
        "occupancy",
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("parts", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("parts BETWEEN 0 AND 42000", name=op.f("ck_occupancy_never_twice")),
        sa.PrimaryKeyConstraint("device", name=op.f("pk_occupancy")),
    )
    op.create_table(
        "records",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.CheckConstraint("kind IN ('cluster', 'job')", name=op.f("ck_records_kind")),
        sa.PrimaryKeyConstraint("kind", "id", name=op.f("pk_records")),
    )
    op.create_index(
        op.f("ix_records_kind_updated_at"), "records", ["kind", "updated_at"], unique=False
    )
    op.create_table(
        "requests",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("user", sa.Text(), nullable=False),
        sa.Column("group", sa.Text(), nullable=True),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("profile", sa.Text(), nullable=False),
        sa.Column("pool", sa.Text(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("seconds", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("parts", sa.BigInteger(), nullable=False),
        sa.Column("min_memory_gb", sa.Double(), nullable=False),
        sa.Column("same_node", sa.Boolean(), nullable=False),
        sa.Column("priority", sa.BigInteger(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "purpose IN ('kernel', 'cluster', 'job', 'cell')", name=op.f("ck_requests_purpose")
        ),
        sa.CheckConstraint(
            "state IN ('queued', 'granted', 'denied', 'cancelled', 'expired')",
            name=op.f("ck_requests_state"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_requests")),
        sa.UniqueConstraint("user", "key", name=op.f("uq_requests_user_key")),
    )
    op.create_index(op.f("ix_requests_state"), "requests", ["state"], unique=False)
    op.create_table(
        "ledger",
        sa.Column("lease_id", sa.BigInteger(), nullable=False),
        sa.Column("user", sa.Text(), nullable=False),
        sa.Column("group", sa.Text(), nullable=True),
        sa.Column("pool", sa.Text(), nullable=False),
        sa.Column("profile", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("parts", sa.BigInteger(), nullable=False),
        sa.Column("start", sa.Double(), nullable=False),
        sa.Column("end", sa.Double(), nullable=False),
        sa.Column("end_reason", sa.Text(), nullable=False),
        sa.Column("used_gpu_seconds", sa.Double(), nullable=True),
        sa.CheckConstraint(
            "end_reason IN ('released', 'expired', 'reclaimed', 'preempted', 'lost')",
            name=op.f("ck_ledger_end_reason"),
        ),
        sa.ForeignKeyConstraint(["lease_id"], ["leases.id"], name=op.f("fk_ledger_lease_id")),
        sa.PrimaryKeyConstraint("lease_id", name=op.f("pk_ledger")),
    )
    op.create_index(op.f("ix_ledger_end"), "ledger", ["end"], unique=False)
    op.create_table(
        "slices",
        sa.Column("lease_id", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("gpu", sa.Text(), nullable=False),
        sa.Column("profile", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("parts", sa.BigInteger(), nullable=False),
        sa.Column("memory_bytes", sa.BigInteger(), nullable=False),
        sa.Column("tier", sa.Text(), nullable=False),
        sa.Column("visible_device", sa.Text(), nullable=False),
        sa.Column("instance", sa.Text(), nullable=True),
        sa.CheckConstraint("kind IN ('whole', 'mig', 'fraction')", name=op.f("ck_slices_kind")),
        sa.ForeignKeyConstraint(["lease_id"], ["leases.id"], name=op.f("fk_slices_lease_id")),
        sa.PrimaryKeyConstraint("lease_id", "position", name=op.f("pk_slices")),
        sa.UniqueConstraint("id", name=op.f("uq_slices_id")),
    )
    op.create_index(op.f("ix_slices_gpu"), "slices", ["gpu"], unique=False)
    own = {"sqlite": sqlite, "postgresql": postgres}[op.get_bind().dialect.name]
    for statement in own.append_only(("ledger", "audit")):
        op.execute(statement)
