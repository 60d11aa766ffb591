"""Leases that are told of their end and that give way; how long a lease was declared."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    false = sa.false()
    op.add_column("leases", sa.Column("noticed", sa.Boolean, nullable=False, server_default=false))
    op.add_column("leases", sa.Column("gives_way_to", sa.BigInteger, nullable=True))
    op.add_column("leases", sa.Column("declared_end", sa.Double, nullable=True))
    op.add_column("ledger", sa.Column("declared_seconds", sa.Double, nullable=True))


def downgrade() -> None:
    op.drop_column("ledger", "declared_seconds")
    for column in ("declared_end", "gives_way_to", "noticed"):
        op.drop_column("leases", column)
