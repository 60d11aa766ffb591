"""Whatever a database can throw → `StoreTrouble`, with words on what to do."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from sqlalchemy.exc import DatabaseError, IntegrityError, SQLAlchemyError

from ..errors import StoreTrouble
from .sqlite import file_of


@contextmanager
def guarded(url: sa.URL, doing: str) -> Iterator[None]:
    """Raise `StoreTrouble` for any error of the database or the disk met inside.

    `doing` completes "The broker's store could not be …".
    """
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error, OSError, ValueError, OverflowError) as error:
        cause = getattr(error, "orig", None) or error
        where = file_of(url) or url.render_as_string(hide_password=True)
        raise StoreTrouble(
            f"The broker's store {where} could not be {doing}: {cause}.",
            _hint(error, str(cause).lower(), url),
        ) from error


def _hint(error: Exception, text: str, url: sa.URL) -> str:
    """What would help; nothing was changed in any case."""
    path = file_of(url)
    folder = path.parent if path else "the database"
    if isinstance(error, IntegrityError):
        return "Nothing was changed. This is a defect of GPU Workbench: please report it."
    if "malformed" in text or "not a database" in text or "corrupt" in text:
        return damaged_hint(url)
    if "full" in text or "no space" in text:
        return f"Nothing was changed. Free some space in {folder}, then try again."
    if "locked" in text or "busy" in text:
        return "Nothing was changed. Another process holds the store: try again in a moment."
    if "readonly" in text or "read-only" in text or "permission" in text or "unable to" in text:
        return f"Nothing was changed. Make sure that you may write to {folder}."
    if isinstance(error, (DatabaseError, sqlite3.Error, OSError)):
        return f"Nothing was changed. Check {folder} and its disk, then try again."
    return "Nothing was changed. What was to be stored can't be stored as it is."


def damaged_hint(url: sa.URL) -> str:
    """For a file that can't be read as a database."""
    path = file_of(url)
    if path is None:
        return "Nothing was changed. Restore the database from a backup."
    return (
        f"Nothing was changed. Move {path} (with {path.name}-wal and {path.name}-shm, where they "
        "exist) somewhere else and start again: a new, empty store is made, and the old one's "
        "ledger can still be rescued with sqlite3's .recover."
    )
