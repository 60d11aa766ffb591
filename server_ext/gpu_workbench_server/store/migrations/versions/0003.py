"""Reservations, and the leases that hold slices of one."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "reservations",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("user", sa.Text(), nullable=True),
        sa.Column("group", sa.Text(), nullable=True),
        sa.Column("pool", sa.Text(), nullable=False),
        sa.Column("profile", sa.Text(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("parts", sa.BigInteger(), nullable=False),
        sa.Column("start", sa.Double(), nullable=False),
        sa.Column("end", sa.Double(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("same_node", sa.Boolean(), nullable=False),
        sa.Column("min_memory_gb", sa.Double(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=True),
        sa.Column("claimed", sa.Boolean(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "state IN ('booked', 'over', 'cancelled', 'lapsed')", name=op.f("ck_reservations_state")
        ),
        sa.CheckConstraint('start < "end"', name=op.f("ck_reservations_forwards")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reservations")),
        sa.UniqueConstraint("owner", "key", name=op.f("uq_reservations_owner_key")),
    )
    op.create_index(op.f("ix_reservations_state"), "reservations", ["state"], unique=False)
    op.add_column("leases", sa.Column("reservation", sa.BigInteger, nullable=True))


def downgrade() -> None:
    op.drop_column("leases", "reservation")
    op.drop_table("reservations")
