"""Whatever a database can throw → `StoreTrouble`, with words on what to do."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from sqlalchemy.exc import DatabaseError, IntegrityError, SQLAlchemyError

from ..errors import StoreTrouble
from .sqlite import file_of
from .succession import DEFECT

_UNCHANGED = "Nothing was changed. "
_DAMAGED = ("malformed", "not a database", "corrupt", "invalid page", "could not read block")
_GONE = (
    *("connection refused", "no such file or directory", "could not translate host name"),
    *("server closed the connection", "terminating connection", "connection is closed"),
    *("starting up", "shutting down", "timeout expired", "connection timeout", "consuming input"),
    *("no route to host", "network is unreachable", "connection reset", "connection is lost"),
    *("recovery mode", "name or service not known", "failed to resolve host", "broken pipe"),
)
# Of PostgreSQL's messages, which every server gives in its own language: SQLSTATE goes first.
_BY_STATE = {
    "53100": "full",
    "55P03": "locked",
    "42501": "rights",
    "25006": "reading",
    "53300": "crowded",
    "57P01": "gone",
    "57P02": "gone",
    "57P03": "gone",
    "28P01": "password",
    "28000": "password",
    "3D000": "missing",
    "XX001": "damaged",
    "XX002": "damaged",
}
_BY_TEXT: dict[str, tuple[str, ...]] = {
    "password": ("password authentication", "no password supplied", "no pg_hba.conf entry"),
    "missing": ("does not exist",),
    "damaged": _DAMAGED,
    "full": ("full", "no space"),
    "locked": ("locked", "busy", "lock timeout"),
    "crowded": ("too many clients", "too many connections", "remaining connection slots"),
    "reading": ("read-only transaction",),
    "rights": ("readonly", "read-only", "permission", "unable to"),
}


@contextmanager
def guarded(url: sa.URL, doing: str) -> Iterator[None]:
    """Raise `StoreTrouble` for any error of the database or the disk met inside.

    `doing` completes "The broker's store could not be …".
    """
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error, OSError, ValueError, OverflowError) as error:
        cause = getattr(error, "orig", None) or error
        raise StoreTrouble(
            f"The broker's store {shown(url)} could not be {doing}: {str(cause).strip()}.",
            _hint(error, url),
        ) from error
    except ModuleNotFoundError as error:
        raise StoreTrouble(
            f"The broker's store {shown(url)} could not be {doing}: {error}.",
            "PostgreSQL needs the extra hub: pip install 'jupyterlab-gpu-workbench[hub]'.",
        ) from error


def unsure(url: sa.URL, error: Exception) -> StoreTrouble:
    """The server went away in the middle of a commit and did not come back to say more."""
    return StoreTrouble(
        f"The broker's store {shown(url)} went away during a commit, and it is not known whether "
        f"it arrived: {str(getattr(error, 'orig', error)).strip()}.",
        "The commit is there whole or not at all. Bring PostgreSQL back and look again.",
    )


def shown(url: sa.URL) -> str:
    """A store as people and logs may see it: a file, or the URL without its secrets."""
    query = {name: value for name, value in url.query.items() if "password" not in name.lower()}
    return str(file_of(url) or url.set(query=query).render_as_string(hide_password=True))


def _hint(error: Exception, url: sa.URL) -> str:
    """What would help; nothing was changed in any case."""
    path = file_of(url)
    folder = path.parent if path else "the database"
    if isinstance(error, IntegrityError):
        return DEFECT
    match _kind(error, path is None):
        case "damaged":
            return damaged_hint(url)
        case "full" if path is None:
            return f"{_UNCHANGED}Free some space on the database server's disk, then try again."
        case "full":
            return f"{_UNCHANGED}Free some space in {folder}, then try again."
        case "locked":
            return f"{_UNCHANGED}Another process holds the store: try again in a moment."
        case "gone":
            return (
                f"{_UNCHANGED}Make sure that PostgreSQL runs and can be reached from here; the "
                "next call connects again by itself."
            )
        case "password":
            return f"{_UNCHANGED}Check user and password in the URL, and the server's pg_hba.conf."
        case "missing":
            return (
                f"{_UNCHANGED}Make the database (createdb {url.database}) or correct the URL, "
                "then start again."
            )
        case "crowded":
            return f"{_UNCHANGED}Raise max_connections of the server, or close other clients."
        case "reading":
            return f"{_UNCHANGED}The store is open for reading only, or the server is a replica."
        case "rights" if path is None:
            return f"{_UNCHANGED}Grant {url.username or 'the user'} all on this database's schema."
        case "rights":
            return f"{_UNCHANGED}Make sure that you may write to {folder}."
    if isinstance(error, (DatabaseError, sqlite3.Error, OSError)):
        return f"{_UNCHANGED}Check {folder} and its disk, then try again."
    return f"{_UNCHANGED}What was to be stored can't be stored as it is."


def _kind(error: Exception, server: bool) -> str | None:
    """What sort of trouble it is, by PostgreSQL's SQLSTATE or by the words of the message."""
    cause = getattr(error, "orig", None) or error
    state = getattr(cause, "sqlstate", None)
    if state in _BY_STATE:
        return _BY_STATE[state]
    text = str(cause).lower()
    if server and any(words in text for words in _GONE):
        return "gone"
    for kind, words in _BY_TEXT.items():
        if any(one in text for one in words):
            return kind
    return None


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
