"""Brings a database to this version's tables, or says why that can't be.

Alembic is imported only where there is something to do: it costs a third of a second.
"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from .. import __version__
from ..errors import StoreTrouble
from . import tables

HEAD = "0003"
"""The newest revision in migrations/versions (a test compares)."""

FOLDER = Path(__file__).with_name("migrations")


def revision(connection: sa.Connection) -> str | None:
    """The database's revision; None for an empty database."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    found = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
    return None if found is None else str(found)


def check(connection: sa.Connection) -> bool:
    """Whether the tables are this version's; raises `StoreTrouble` where they are newer."""
    found = revision(connection)
    if found is None:
        strangers = set(sa.inspect(connection).get_table_names()) & set(tables.metadata.tables)
        if strangers:
            raise StoreTrouble(
                f"The database has tables of our names ({', '.join(sorted(strangers))}) and no "
                "version.",
                "Nothing was changed. It was not made by GPU Workbench: give another file.",
            )
        return False
    if found != HEAD and not (FOLDER / "versions" / f"{found}.py").exists():
        raise StoreTrouble(
            f"The database is of a newer version of GPU Workbench (revision {found}; version "
            f"{__version__} knows up to {HEAD}).",
            "Nothing was changed. Upgrade jupyterlab-gpu-workbench, or set another data directory.",
        )
    return found == HEAD


def upgrade(connection: sa.Connection) -> None:
    """Run what is missing inside the connection's transaction: all of it or nothing."""
    # Asked again inside the write transaction: another process may have been quicker.
    if check(connection):
        return
    from alembic import command
    from alembic.config import Config

    config = Config()
    # ConfigParser expands "%"; a path may contain one.
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
