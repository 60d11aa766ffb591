"""The broker: decides who gets which slice, on behalf of somebody, in wire types.

Rights and wire types are here; the state, its changes and their order are the `keeper`'s. It starts
no process and ends none: that is the business of the user's own server.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from gpu_workbench import protocol as wire

from ..domain.decide import admit
from ..domain.decisions import (
    Bound,
    Cancelled,
    Change,
    Cleared,
    Ended,
    Extended,
    Metered,
    Submitted,
)
from ..domain.leases import Holder, Lease
from ..domain.order import Order
from ..domain.state import State
from ..domain.units import PARTS, gpu_units
from ..errors import NoDevices, NotFound, NotNow, WorkbenchError
from ..ports import Clock, DeviceBackend, EventSink, News, Principal, Store
from . import bookings, repartition, views
from .cards import cards, wanted
from .keeper import SYSTEM, Keeper
from .policy import Policy

__all__ = ["SYSTEM", "Broker"]

EXPLAINED = 200
"""Of so many, from the head of the queue, a listing says why they wait and until when."""


class Broker:
    """The in-process `ports.BrokerApi`. Call `start` once, then `tick` about once a second."""

    def __init__(
        self,
        store: Store,
        devices: DeviceBackend,
        clock: Clock,
        sink: EventSink,
        policy: Policy,
        on_decision: Callable[[float], object] = lambda seconds: None,
    ) -> None:
        """`on_decision` is told how long each decision took, in seconds."""
        self.policy = policy
        self.keeper = Keeper(store, clock, sink, policy, on_decision)
        self._lock = self.keeper.lock
        self._store = store
        self._devices = devices
        self._sink = sink
        self._trouble: wire.Problem | None = None
        self._policy_trouble: wire.Problem | None = None

    # --- life ---------------------------------------------------------------------------------

    def start(self) -> None:
        """Rebuild from the store, look at the devices, check the invariants."""
        with self._lock:
            self.keeper.rebuild()
            self.refresh_fleet()
            self.keeper.check()

    def refresh_fleet(self) -> None:
        """Look at the devices again; where they can't be seen, say why and keep what is known."""
        with self._lock:
            try:
                gpus = self._devices.inventory()
            except NoDevices as error:
                self._trouble = _problem(error, error.hint)
                return
            self._trouble = None
            if self.keeper.see(gpus):
                self._sink.tell(News("fleet", "fleet"))

    def adopt(self, policy: Policy) -> None:
        """Another policy from now on. Leases keep what they have; who waits is judged anew."""
        with self.keeper.current():
            self.keeper.rebuild(policy)
            self.policy, self._policy_trouble = policy, None
            self.refresh_fleet()
            self.keeper.check()
            self._sink.tell(News("fleet", "fleet"))

    def keep_policy(self, because: WorkbenchError) -> None:
        """A new policy could not be read: say so, and keep the one in force."""
        self._policy_trouble = _problem(
            because, f" {because.hint} Until then the policy before it stays in force."
        )
        self._sink.tell(News("fleet", "fleet"))

    def tick(self) -> None:
        """Time passes: ends, lapsed heartbeats, unclaimed leases; and the queue is served."""
        self.keeper.tick()

    # --- what is there ------------------------------------------------------------------------

    def status(self, who: Principal) -> wire.Status:
        with self._lock:
            total, free = self._units()
            return wire.Status(
                api_version=wire.API_VERSION,
                version=_version(),
                user=who.user,
                groups=list(who.groups),
                admin=who.admin,
                simulated=self._devices.simulated,
                quotas=views.quotas(who, self._state, self.keeper.now()),
                lease_ttl=self.policy.lease_ttl,
                units_total=total,
                units_free=free,
            )

    def fleet(self, who: Principal) -> wire.Fleet:
        with self._lock:
            total, free = self._units()
            return wire.Fleet(
                gpus=[views.gpu(who, self._state, one) for one in self._state.gpus.values()],
                pools=[
                    views.pool(one, self._state.offered(name))
                    for name, one in self._state.pools.items()
                ],
                simulated=self._devices.simulated,
                units_total=total,
                units_free=free,
                trouble=self._trouble or self._policy_trouble,
            )

    def cards(self, who: Principal, count: int = 1, seconds: int | None = None) -> list[wire.Card]:
        """Each profile of each pool, and when the caller could have it: a dry run."""
        with self._lock:
            return cards(self._state, who, self.keeper.now(), count, seconds, self.keeper.habits)

    def proposals(self, who: Principal) -> wire.Proposals:
        return repartition.proposals(self.keeper)

    def repartition(self, who: Principal, gpus: Sequence[str] | None = None) -> wire.Proposals:
        return repartition.repartition(self.keeper, self._devices, self.refresh_fleet, who, gpus)

    # --- requests -----------------------------------------------------------------------------

    def ask(self, who: Principal, ask: wire.Ask) -> wire.Request:
        with self.keeper.current():
            if ask.key:
                known = self._store.find_request(who.user, ask.key)
                if known:
                    return self.request(who, known.id)
            now = self.keeper.now()
            request = admit(self._state, wanted(who, ask), self.keeper.next_id, now)
            if ask.dry_run:
                with self._state.trial():
                    self._state.put(Change("queued", request))
                    told = self.keeper.told(request.id).get(request.id)
                return views.request(who, request, told)
            self.keeper.take_id()
            self.keeper.run(Submitted(request), who)
            return self.request(who, request.id)

    def requests(self, who: Principal) -> list[wire.Request]:
        with self._lock:
            now = self.keeper.now()
            waiting = Order(self._state, now).everybody()
            told = self.keeper.told(*(one.id for one in waiting[:EXPLAINED]))
            return [views.request(who, one, told.get(one.id)) for one in waiting]

    def request(self, who: Principal, request_id: int) -> wire.Request:
        with self._lock:
            one = self._state.queue.get(request_id)
            if one is not None:
                return views.request(who, one, self.keeper.told(one.id).get(one.id))
            one = self._store.request(request_id)
            if one is None or not views.may_see(who, one.user):
                raise NotFound(f"There is no request {request_id} of yours.", "List requests.")
            return views.request(who, one)

    def cancel(self, who: Principal, request_id: int) -> wire.Request:
        """Idempotent for a request that waits no more; a granted one must be released instead."""
        with self.keeper.current():
            one = self.request(who, request_id)
            if not (one.mine or who.admin):
                raise NotFound(f"There is no request {request_id} of yours.", "List requests.")
            if one.state == "queued":
                self.keeper.run(Cancelled(request_id), who)
                one = self.request(who, request_id)
            return one

    # --- leases -------------------------------------------------------------------------------

    def leases(self, who: Principal, ended: bool = False) -> list[wire.Lease]:
        with self._lock:
            seen = [one for one in self.alive() if views.may_see(who, one.user)]
            alive = [views.lease(who, one) for one in seen]
            if not ended:
                return alive
            past = self._store.recent_leases(None if who.admin else who.user)
            return alive + [views.lease(who, one) for one in past if one.state == "ended"]

    def notices(self, who: Principal) -> list[wire.Notice]:
        """What stands to be said of the caller's own leases now."""
        with self._lock:
            mine = [one for one in self.alive() if one.user == who.user and one.noticed]
            return [views.notice(one, self.keeper.now()) for one in mine]

    def lease(self, who: Principal, lease_id: int) -> wire.Lease:
        return views.lease(who, self._own(who, lease_id))

    def claim(self, who: Principal, claim: wire.Claim) -> wire.Lease:
        with self.keeper.current():
            found = self._claimable(who, claim)
            if found is None:
                if claim.ask is None:
                    raise NotNow(
                        f"No slice is waiting for {claim.path or 'this kernel'}.",
                        "Ask for one in the GPU panel, or with gw.request().",
                    )
                found = self._at_once(who, claim.ask)
            holder = wire.Holder(kind="kernel", id=claim.kernel_id, name=claim.path or found.name)
            return self.bind(who, found.id, holder)

    def bind(self, who: Principal, lease_id: int, holder: wire.Holder) -> wire.Lease:
        with self.keeper.current():
            self._own(who, lease_id)
            taken = Holder(holder.kind, holder.id, holder.name, holder.pid, holder.started)
            self.keeper.run(Bound(lease_id, taken), who)
            self.keeper.beat(lease_id)
            return self.lease(who, lease_id)

    def extend(self, who: Principal, lease_id: int, seconds: int) -> wire.Lease:
        with self.keeper.current():
            self._own(who, lease_id)
            self.keeper.run(Extended(lease_id, seconds), who)
            return self.lease(who, lease_id)

    def release(
        self, who: Principal, lease_id: int, reason: wire.EndReason = "released"
    ) -> wire.Lease:
        with self.keeper.current():
            if self._own(who, lease_id).state != "ended":
                self.keeper.run(Ended(lease_id, reason), who)
            return self.lease(who, lease_id)

    def heartbeat(self, who: Principal, lease_ids: Sequence[int]) -> list[int]:
        with self._lock:
            alive = []
            for lease_id in lease_ids:
                lease = self._state.leases.get(lease_id)
                if lease and lease.state != "ended" and views.may_see(who, lease.user):
                    self.keeper.beat(lease_id)
                    alive.append(lease_id)
            return alive

    def usage(self, who: Principal, since: float = 0.0) -> wire.Usage:
        with self._lock:
            now = self.keeper.now()
            past = self._store.ledger(None if who.admin else who.user, since)
            asked = self._store.asked_at(None if who.admin else who.user, since)
            rows = [views.usage_row(one, asked) for one in past]
            rows += [
                views.running_row(one, now, asked)
                for one in self._state.leases.values()
                if one.state != "ended" and views.may_see(who, one.user)
            ]
            used = [row.used_gpu_seconds for row in rows if row.used_gpu_seconds is not None]
            return wire.Usage(
                rows=rows,
                held_gpu_seconds=round(sum(row.held_gpu_seconds for row in rows), 3),
                used_gpu_seconds=round(sum(used), 3) if used else None,
            )

    # --- reservations -------------------------------------------------------------------------

    def book(self, who: Principal, new: wire.NewReservation) -> wire.Reservation:
        made = bookings.make(self.keeper, self.policy, who, new)
        return bookings.shown(self.keeper, who, made)

    def reservations(self, who: Principal) -> list[wire.Reservation]:
        return bookings.listed(self.keeper, who)

    def unbook(self, who: Principal, reservation_id: int) -> wire.Reservation:
        gone = bookings.cancel(self.keeper, who, reservation_id)
        return bookings.shown(self.keeper, who, gone)

    def calendar(
        self, who: Principal, since: float | None = None, until: float | None = None
    ) -> list[wire.Occasion]:
        return bookings.occasions(self.keeper, who, since, until)

    # --- for the server that acts ---------------------------------------------------------------

    def uncleared(self) -> list[Lease]:
        """Leases that have ended and whose slices wait to be found empty."""
        with self._lock:
            return [one for one in self._state.leases.values() if one.state == "ended"]

    def alive(self) -> list[Lease]:
        """Leases that have not ended, oldest first."""
        return self.keeper.alive()

    def clear(self, lease_id: int) -> None:
        """The slices of an ended lease are empty: they are free from now on."""
        with self._lock:
            self.keeper.run(Cleared(lease_id))
            self.keeper.forget_beat(lease_id)

    def meter(self, used: Mapping[int, float]) -> None:
        """GPU-seconds used so far, per lease."""
        if used:
            with self._lock:
                self.keeper.run(Metered(used))

    # --- inside -------------------------------------------------------------------------------

    @property
    def _state(self) -> State:
        return self.keeper.state

    def _own(self, who: Principal, lease_id: int) -> Lease:
        lease = self._state.leases.get(lease_id) or self._store.lease(lease_id)
        if lease is None or not views.may_see(who, lease.user):
            raise NotFound(f"There is no lease {lease_id} of yours.", "List your leases.")
        return lease

    def _claimable(self, who: Principal, claim: wire.Claim) -> Lease | None:
        """Its own lease again, else the one that waits for its path, else any that names none."""
        mine = [le for le in self.alive() if le.user == who.user and le.purpose == "kernel"]
        for lease in mine:
            if lease.holder and lease.holder.id == claim.kernel_id:
                return lease
        free = [le for le in mine if le.holder is None]
        for lease in free:
            if claim.path and lease.name == claim.path:
                return lease
        return next((le for le in free if not le.name), None)

    def _at_once(self, who: Principal, ask: wire.Ask) -> Lease:
        request = self.ask(who, ask)
        if request.state == "granted":
            return self._own(who, request.id)
        self.cancel(who, request.id)
        sentence = request.reason.sentence if request.reason else "Nothing is free."
        raise NotNow(
            f"No slice of {request.profile.removeprefix('mig-')} is free now. {sentence}",
            "Ask for one in the GPU panel and open the notebook when it is granted.",
        )

    def _units(self) -> tuple[float, float]:
        gpus = [gpu for gpu in self._state.gpus.values() if gpu.health == "ok"]
        free = sum(self._state.free_parts(gpu) for gpu in gpus)
        return gpu_units(PARTS * len(gpus)), gpu_units(free)


def _problem(error: WorkbenchError, hint: str) -> wire.Problem:
    return wire.Problem(code=error.code, message=error.message, hint=hint.strip())


def _version() -> str:
    from .. import __version__

    return __version__
