"""Taking a slice into this kernel and giving it back: `request`, `attach`, `release`, `leases`.

A lease taken here is for the process that asks (holder `cell`): it outlives the cell, not the
process. What is waited for and not wanted any more is cancelled, however the wait ends.
"""

from __future__ import annotations

import os
import threading
import uuid
import warnings

from . import protocol as wire
from .attach import MANAGED, cuda_in_use, into_this_process, slice_environment
from .client import Client, get_client
from .display import Rich, at, block, gigabytes, left, row, short
from .errors import GpuWorkbenchError
from .waiting import wait_for_grant


class LeaseHandle(Rich):
    """A lease that this process took. Releases itself at the end of a `with` block.

    `id`, `slices`, `ends_at` and `state` are as last heard from the server; `refresh` asks again.
    """

    def __init__(self, lease: wire.Lease, client: Client) -> None:
        self._lease = lease
        self._client = client

    @property
    def id(self) -> int:
        return self._lease.id

    @property
    def slices(self) -> list[wire.Slice]:
        return list(self._lease.slices)

    @property
    def ends_at(self) -> float:
        """Seconds since the epoch."""
        return self._lease.ends_at

    @property
    def state(self) -> wire.LeaseState:
        return self._lease.state

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs in its environment to run on this lease."""
        return slice_environment(self._lease)

    def refresh(self) -> LeaseHandle:
        self._lease = self._client.lease(self.id)
        return self

    def extend(self, hours: float = 1.0) -> LeaseHandle:
        """Hold it longer by `hours`. Raises `GpuWorkbenchError` (`too_long`) past the limit."""
        self._lease = self._client.extend(self.id, round(hours * 3600))
        return self

    def release(self) -> None:
        """Give it back. Safe to call again; this kernel lives on, without the slice."""
        self._lease = self._client.release(self.id)
        _leave(self._lease)

    def __enter__(self) -> LeaseHandle:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    # --- looks ----------------------------------------------------------------------------------

    def _facts(self) -> tuple[str, list[str]]:
        one = self._lease
        number = f"{len(one.slices)} × " if len(one.slices) > 1 else ""
        title = f"{number}{short(one.profile)}"
        facts = [f"lease {one.id}", f"{gigabytes(one.slices[0].memory_bytes)} each"]
        if len(one.slices) == 1:
            facts[1] = gigabytes(one.slices[0].memory_bytes)
        if one.state == "ended":
            facts.append(f"over ({one.end_reason})")
        else:
            facts += [left(one.ends_at), f"until {at(one.ends_at)}"]
        if one.slices[0].tier == "simulated":
            facts.append("simulated")
        return title, facts

    def _text(self) -> str:
        title, facts = self._facts()
        return f"{title} · {' · '.join(facts)}"

    def _html(self) -> str:
        title, facts = self._facts()
        return block(row("plain" if self.state == "ended" else "mine", title, *facts))


def request(
    what: str = "gpu",
    *,
    hours: float | None = None,
    count: int = 1,
    pool: str | None = None,
    same_node: bool = False,
    priority: int = 0,
    name: str | None = None,
    wait: bool = True,
    timeout: float | None = None,
) -> LeaseHandle:
    """Lease a slice (or `count` of them) and put it into this kernel's environment.

    `what` is a memory ("20GB"), a share ("0.25"), a profile ("1g.10gb") or "gpu". Where it is not
    free at once, this shows position and reason and waits, at most `timeout` seconds; the stop
    button (or Ctrl-C) ends the wait and leaves nothing behind. With `wait=False` it raises instead.

    Raises `GpuWorkbenchError`: `never_fits`, `over_limit`, `too_long`, `not_now`, `timeout`, ….

        lease = gw.request("20GB", hours=2)
        ...
        lease.release()
    """
    client = get_client()
    ask = wire.Ask(
        what=what,
        count=count,
        seconds=None if hours is None else round(hours * 3600),
        pool=pool,
        same_node=same_node,
        priority=priority,
        purpose="cell",
        name=_own_name() if name is None else name,
        key=uuid.uuid4().hex,
    )
    lease = wait_for_grant(client, ask, wait=wait, timeout=timeout)
    try:
        return _take(lease, client)
    except BaseException:
        client.release(lease.id)
        raise


def attach(lease_id: int | None = None) -> LeaseHandle:
    """Take a granted lease into this kernel, for example one from the GPU panel.

    None takes the one this kernel was started with, else the one that waits to be taken.
    Raises `GpuWorkbenchError`: `not_found`, `wrong_state` (somebody else has taken it).
    """
    client = get_client()
    own = os.environ.get(wire.LEASE_ENV, "")
    if lease_id is None and own.isdigit():
        return LeaseHandle(client.lease(int(own)), client)
    if lease_id is None:
        waiting = [one for one in client.leases() if one.mine and one.holder is None]
        if not waiting:
            raise GpuWorkbenchError(
                "not_found",
                "No lease of yours waits to be taken.",
                'Ask for one: gw.request("20GB"), or in the GPU panel.',
            )
        lease_id = waiting[-1].id
    elif own == str(lease_id):
        return LeaseHandle(client.lease(lease_id), client)
    return _take(client.lease(lease_id), client)


def release(lease: LeaseHandle | int | None = None) -> None:
    """Give a lease back; None gives back all that this kernel took since its start.

    The slice that a kernel was started on goes with the kernel: releasing it by its id ends it.
    """
    if isinstance(lease, LeaseHandle):
        lease.release()
        return
    client = get_client()
    if lease is not None:
        LeaseHandle(client.lease(lease), client).release()
        return
    with _lock:
        mine = [one for one, _ in _taken]
    if not mine and os.environ.get(wire.LEASE_ENV):
        raise GpuWorkbenchError(
            "wrong_state",
            "This kernel was started on its slice and can't go on without it.",
            "Shut the kernel down to give the slice back.",
        )
    for lease_id in reversed(mine):
        LeaseHandle(client.lease(lease_id), client).release()


def leases() -> list[LeaseHandle]:
    """All that you hold now, in any notebook."""
    client = get_client()
    return [LeaseHandle(one, client) for one in client.leases() if one.mine]


# --- this process -----------------------------------------------------------------------------

_lock = threading.RLock()
# Leases taken by this process, and what its environment was before each.
_taken: list[tuple[int, dict[str, str]]] = []


def _take(lease: wire.Lease, client: Client) -> LeaseHandle:
    """Bind the lease to this process and go onto its slices."""
    bound = client.bind(lease.id, _this_process(lease.name))
    with _lock:
        before = {name: os.environ[name] for name in MANAGED if name in os.environ}
        _taken.append((lease.id, before))
        into_this_process(slice_environment(bound) | client.tag)
    starter = None if bound.slices[0].tier == "simulated" else cuda_in_use()
    if starter:
        warnings.warn(
            f"{starter} has already started CUDA in this kernel, which stays on the GPU it saw "
            f"first. To use lease {bound.id}, restart the kernel and request before the first use.",
            stacklevel=3,
        )
    return LeaseHandle(bound, client)


def _leave(lease: wire.Lease) -> None:
    """Go back to what the environment was before the lease, unless it was not taken here."""
    with _lock:
        for place, (lease_id, before) in enumerate(_taken):
            if lease_id != lease.id:
                continue
            del _taken[place]
            if place == len(_taken):
                into_this_process(before)
            else:  # a later one is in force: it leads back to what was before this one
                _taken[place] = (_taken[place][0], before)
            break
        else:
            return
    starter = None if lease.slices[0].tier == "simulated" else cuda_in_use()
    if starter:
        warnings.warn(
            f"{starter} still has memory on the GPU: the slice is free for others when this kernel "
            "is restarted.",
            stacklevel=3,
        )


def _this_process(name: str) -> wire.Holder:
    import psutil

    pid = os.getpid()
    return wire.Holder(
        kind="cell",
        id=f"process-{pid}-{uuid.uuid4().hex[:8]}",
        name=name or _own_name(),
        pid=pid,
        started=psutil.Process(pid).create_time(),
    )


def _own_name() -> str:
    """What people call this process: its notebook, or its script."""
    import sys

    session = os.environ.get("JPY_SESSION_NAME", "")
    script = sys.argv[0] if sys.argv and sys.argv[0] not in ("", "-c") else ""
    if session:
        return os.path.basename(session)
    return "a kernel" if "ipykernel" in script else os.path.basename(script) or "a Python process"
