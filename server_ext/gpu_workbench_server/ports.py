"""What the services need of the outside, as Protocols. Who implements them: see each docstring.

Implementations live in `store/`, `devices/`, `engines/` and `web/`; they import the domain and
never a service.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from gpu_workbench import protocol as wire

from .domain.decisions import Change
from .domain.fleet import Gpu
from .domain.leases import Lease, LedgerEntry, Request, Slice
from .domain.readings import HardwareError, Reading
from .domain.repartition import Layout
from .domain.reservations import Reservation


class Clock(Protocol):
    """Seconds since the epoch. `SystemClock` live; tests bring their own."""

    def now(self) -> float: ...


# --- store ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Who did what, when, why. Append-only."""

    at: float
    actor: str
    action: str
    subject: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that the broker needs in memory: what is not over yet, and the next free id."""

    requests: tuple[Request, ...]
    """Queued ones."""
    leases: tuple[Lease, ...]
    """Those not cleared."""
    next_id: int
    reservations: tuple[Reservation, ...] = ()
    """Booked ones."""


RecordKind = Literal["cluster", "job"]


@dataclass(frozen=True, slots=True)
class Record:
    """A cluster's or job's facts, as its service wrote them (JSON-able)."""

    kind: RecordKind
    id: str
    owner: str
    body: Mapping[str, Any]
    updated_at: float


class Store(Protocol):
    """The truth. `store.sql.SqlStore` and `store.memory.MemoryStore`; one contract suite for both.

    Every method is atomic and durable when it returns, and raises `StoreTrouble` (nothing changed)
    where it can't be.
    """

    def load(self) -> Snapshot: ...

    def commit(self, changes: Sequence[Change], audit: Sequence[AuditEntry] = ()) -> None:
        """Write the new versions of all that changed, ledger entries and audit, or nothing."""

    def find_request(self, user: str, key: str) -> Request | None:
        """The user's request of that idempotency key, whatever its state."""

    def find_reservation(self, owner: str, key: str) -> Reservation | None:
        """The owner's reservation of that idempotency key, whatever its state."""

    def request(self, request_id: int) -> Request | None: ...

    def lease(self, lease_id: int) -> Lease | None: ...

    def recent_leases(self, user: str | None, limit: int = 100) -> list[Lease]:
        """Newest first, ended ones included; None is everybody's."""

    def ledger(
        self, user: str | None = None, since: float = 0.0, until: float | None = None
    ) -> list[LedgerEntry]:
        """Entries whose end lies in [since, until), oldest first."""

    def asked_at(self, user: str | None = None, since: float = 0.0) -> Mapping[int, float]:
        """When each request was made that became a lease of `ledger(user, since)`, or one that has
        not ended."""

    def audit(self, limit: int = 200) -> list[AuditEntry]:
        """Newest first."""

    def put_record(self, record: Record) -> None: ...

    def records(
        self, kind: RecordKind, limit: int | None = 500, state_not_in: Collection[str] = ()
    ) -> list[Record]:
        """Newest first; only those whose body's `state` is none of these."""

    def close(self) -> None: ...


# --- devices ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Held:
    """What a backend must know of a lease to attribute load: its slices and its known processes."""

    lease_id: int
    slices: tuple[Slice, ...]
    pids: Mapping[int, str | None]
    """Root pid (descendants count too) → slice id, or None where the process may use them all."""


class DeviceBackend(Protocol):
    """Where GPUs come from: `devices.nvml.NvmlBackend`, `devices.simulated.SimulatedBackend`.

    No metric is required; a GPU that is gone is reported `lost`, the rest goes on. `inventory` and
    `read` raise `NoDevices` where there is no driver.
    """

    simulated: bool

    def inventory(self) -> Sequence[Gpu]:
        """All GPUs with their MIG instances, as they are now."""

    def read(self, held: Sequence[Held]) -> Reading:
        """One sample of everything; never waits for a window of time or for `read_slow`.

        `held` are the leases to attribute processes to.
        """

    def read_slow(self) -> Sequence[HardwareError]:
        """Look at what takes time to tell; the next `read` carries it. From a thread of its own.

        Returns what the hardware did wrong since the last look, oldest first.
        """

    def processes_of(self, lease: Held) -> list[int]:
        """Pids that still use the lease's slices: a slice is free only when this is empty."""

    def repartition(self, uuid: str, layout: Layout) -> None:
        """Other MIG instances on a GPU that nobody holds; `inventory` shows them from then on.

        Raises `CanNotCut`, whose hint says how an admin does it, and nothing has changed then.
        """

    def close(self) -> None: ...


# --- engines ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """A holder's process: argv (never a shell), a filtered environment, a directory of its own.

    The engine adds nothing to `env` but the key; `out.log` and `err.log` go to `directory`.
    """

    key: str
    """Idempotent: submitting the same key again finds the running one."""
    argv: tuple[str, ...]
    env: Mapping[str, str]
    directory: Path
    cwd: Path | None = None
    warm: Literal["cluster", "job"] | None = None
    """It may be forked from a process that has imported already what such a holder needs."""


@dataclass(frozen=True, slots=True)
class ProcessRef:
    """How to find a submission again after any restart."""

    key: str
    pid: int
    started: float


EngineState = Literal["running", "gone"]


class Engine(Protocol):
    """Where holders run. `engines.local.LocalEngine`: detached process groups on this machine."""

    def submit(self, spec: ProcessSpec) -> ProcessRef: ...

    def find(self, key: str) -> ProcessRef | None:
        """The live process of that key, also one whose submission was cut off half-way."""

    def state(self, ref: ProcessRef) -> EngineState: ...

    def terminate(self, ref: ProcessRef) -> None:
        """Ask it to end (SIGTERM to the process); returns at once."""

    def kill_lease(self, lease_id: int) -> list[int]:
        """SIGKILL every process that carries the lease's id; returns their pids."""

    def kill_key(self, key: str) -> list[int]:
        """SIGKILL every process that was started under the key; returns their pids."""

    def lease_pids(self, lease_id: int) -> list[int]:
        """Live pids that carry the lease's id in their environment."""


# --- people and news --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls: the name that leases and quotas are kept under."""

    user: str
    groups: tuple[str, ...] = ()
    admin: bool = False

    @property
    def group(self) -> str | None:
        """The group that pays."""
        return self.groups[0] if self.groups else None


class Identity(Protocol):
    """Who the caller of the Jupyter server is: `web.identity.LocalIdentity` on one's machine."""

    def principal(self, jupyter_username: str) -> Principal: ...


class BrokerApi(Protocol):
    """The broker, as everybody but itself sees it: wire types in and out, on behalf of somebody.

    `services.broker.Broker` is the in-process one. Thread-safe; a call takes a few milliseconds.
    All raise `NotFound` for an id that is not there or not the caller's.
    """

    def status(self, who: Principal) -> wire.Status: ...

    def fleet(self, who: Principal) -> wire.Fleet: ...

    def cards(
        self, who: Principal, count: int = 1, seconds: int | None = None
    ) -> list[wire.Card]: ...

    def proposals(self, who: Principal) -> wire.Proposals:
        """Idle MIG GPUs whose other geometry would serve the queue better."""

    def repartition(self, who: Principal, gpus: Sequence[str] | None = None) -> wire.Proposals:
        """Apply proposals, for these GPUs or all; for admins. Returns what was done."""

    def ask(self, who: Principal, ask: wire.Ask) -> wire.Request:
        """Granted or queued; raises `BadAsk` or a `Refused` where it can never be had."""

    def requests(self, who: Principal) -> list[wire.Request]:
        """Everybody's queued ones, in order; names of others' are blank unless admin."""

    def request(self, who: Principal, request_id: int) -> wire.Request: ...

    def cancel(self, who: Principal, request_id: int) -> wire.Request: ...

    def leases(self, who: Principal, ended: bool = False) -> list[wire.Lease]:
        """The caller's own (an admin's: everybody's); with `ended`, recent ended ones too."""

    def notices(self, who: Principal) -> list[wire.Notice]:
        """What stands to be said of the caller's own leases now."""

    def lease(self, who: Principal, lease_id: int) -> wire.Lease: ...

    def claim(self, who: Principal, claim: wire.Claim) -> wire.Lease:
        """The unbound kernel lease that waits for this path, or a new one now, or `NotNow`."""

    def bind(self, who: Principal, lease_id: int, holder: wire.Holder) -> wire.Lease: ...

    def extend(self, who: Principal, lease_id: int, seconds: int) -> wire.Lease: ...

    def release(
        self, who: Principal, lease_id: int, reason: wire.EndReason = "released"
    ) -> wire.Lease:
        """Idempotent: a lease that is over is returned as it is."""

    def heartbeat(self, who: Principal, lease_ids: Sequence[int]) -> list[int]:
        """Good for the lease time-to-live; returns the ids that are still alive."""

    def usage(self, who: Principal, since: float = 0.0) -> wire.Usage: ...

    def book(self, who: Principal, new: wire.NewReservation) -> wire.Reservation:
        """Booked; raises `Forbidden`, `BadAsk` or a `Refused` where it can't be."""

    def reservations(self, who: Principal) -> list[wire.Reservation]:
        """Everybody's, by start; names of others' are blank unless admin."""

    def unbook(self, who: Principal, reservation_id: int) -> wire.Reservation: ...

    def calendar(
        self, who: Principal, since: float | None = None, until: float | None = None
    ) -> list[wire.Occasion]:
        """Reservations, and leases until their declared ends, that touch [since, until)."""


NewsType = Literal["fleet", "request", "lease", "cluster", "job", "sweep", "notice"]


FOR_ADMINS = ""
"""As the owner of news: nobody is called so, and administrators see everybody's."""


@dataclass(frozen=True, slots=True)
class News:
    """Something changed. `owner` None is for everybody."""

    type: NewsType
    subject: str
    owner: str | None = None
    payload: Any = None


class EventSink(Protocol):
    """Told only after the store has it. Called from any thread; must not block."""

    def tell(self, news: News) -> None: ...
