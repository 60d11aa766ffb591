"""Who the caller is, where one person owns the whole Jupyter server.

Jupyter's own names ("anonymous Carpo") change with each browser, so they are not used: everything
belongs to the person the server runs as.
"""

from __future__ import annotations

import getpass
import os

from ..ports import Principal


class LocalIdentity:
    """The OS user, or the hub's name for them where a hub started this server.

    That person is the administrator of a broker that nobody else can reach.
    """

    def __init__(self, user: str | None = None) -> None:
        self._principal = Principal(user=user or owner_name(), admin=True)

    def principal(self, jupyter_username: str) -> Principal:
        """The same person for every caller that Jupyter let in."""
        return self._principal


def owner_name() -> str:
    """Name of the person this process runs as; the uid where the system has no name for it."""
    hub_user = os.environ.get("JUPYTERHUB_USER")
    if hub_user:
        return hub_user
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid-{os.getuid()}"
