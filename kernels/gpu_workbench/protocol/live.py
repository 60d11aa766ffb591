"""Messages of the WebSocket, and how a kernel finds its server."""

from __future__ import annotations

from typing import Any, Literal

from .base import Wire


class Event(Wire, frozen=True, kw_only=True):
    """A message of the WebSocket `/live`.

    `type` names what `data` is: `hello` (Status), `fleet` (Fleet), `request` (Request), `lease`
    (Lease), `cluster` (Cluster), `job` (Job), `sample` (Sample), `notice` (Notice). An object
    replaces what the client knew under its id.
    """

    type: Literal["hello", "fleet", "request", "lease", "cluster", "job", "sample", "notice"]
    data: Any


class Notice(Wire, frozen=True, kw_only=True):
    """Something people should know: what, when, why, and what they can do."""

    lease_id: int | None
    code: str
    message: str
    hint: str
    at: float | None = None
    """When it will happen."""


class ConnectionFile(Wire, frozen=True, kw_only=True):
    """How a kernel finds its server: written 0600 by the server, named by `CONNECTION_ENV`."""

    url: str
    """Of the server, with its base URL, without `BASE_PATH`."""
    token: str
    pid: int
    broker: str = ""
    """What `BROKER_ENV` says in processes of this server's leases."""
