"""Messages of the WebSocket, and how a kernel finds its server."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import field

from .base import Wire


class Event(Wire, frozen=True, kw_only=True):
    """A message of the WebSocket `/live`.

    `type` names what `data` is: `hello` (Status), `fleet` (Fleet), `request` (Request), `lease`
    (Lease), `cluster` (Cluster), `job` (Job), `sweep` (Sweep), `layout` (Layout), `notice`
    (Notice). An object replaces what the client knew under its id. A sweep is told when a run of
    it changes its state: what runs make meanwhile, their jobs tell. Ticks are binary messages: see
    `Layout`.
    """

    type: Literal[
        "hello", "fleet", "request", "lease", "cluster", "job", "sweep", "layout", "notice"
    ]
    data: Any


class Looking(Wire, frozen=True, kw_only=True):
    """What a client of the WebSocket says: whether its window can be seen, and what it shows."""

    hidden: bool = False
    """A hidden window is sent nothing until it is shown again; then all that is new."""
    gpu: str | None = None
    """UUID of the one GPU of which every metric is wanted, beside the fleet's few."""
    awaits: list[int] = field(default_factory=list)
    """Numbers of leases of which even a hidden window is told: when one of them is granted it has
    something to do, as to open the notebook that waits for it."""


ColumnType = Literal["u8", "u16", "u32", "f32", "f64"]


class Column(Wire, frozen=True, kw_only=True):
    """One column of a tick: a value is raw x scale; unknown is the largest integer, or NaN."""

    name: str
    """As the field of `GpuSample` or `SliceSample`."""
    type: ColumnType
    scale: float
    labels: list[str] | None = None
    """The raw value is the place of one of these."""
    flags: bool = False
    """With `labels`: the raw value has one bit for each of them, the first is bit 0."""


class Layout(Wire, frozen=True, kw_only=True):
    """How to read the binary ticks of one view: whose values are where.

    A tick is a header of 16 bytes and two tables, each a column after the other, little-endian.
    Header: version (u8), 0 (u8), the ids of the layouts of its GPUs and of its slices (u16 each), 0
    (u16), the time (f64). The second table begins at the next multiple of 8. A layout replaces the
    one of the same view and table; a tick whose layouts are not known is to be ignored.
    """

    id: int
    gpu: str | None
    """The view: the fleet, or one GPU with every metric (by UUID)."""
    table: Literal["gpus", "slices"]
    ids: list[str]
    """The row of each subject: UUIDs of GPUs, or ids of slices."""
    columns: list[Column]


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
