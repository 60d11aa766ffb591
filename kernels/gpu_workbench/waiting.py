"""From an ask to a lease: shows position and reason while it waits, and leaves nothing behind.

The request is known by a key of ours, so that an interrupt between "asked" and "answered" can still
be undone.
"""

from __future__ import annotations

import contextlib
import time

from . import protocol as wire
from .client import Client
from .display import Live, block, expected, row, short
from .errors import GpuWorkbenchError

POLL_SECONDS = 0.7
# How long a wait bears that the server does not answer: it may be restarting.
_PATIENCE_SECONDS = 60.0


def wait_for_grant(
    client: Client, ask: wire.Ask, *, wait: bool = True, timeout: float | None = None
) -> wire.Lease:
    """Ask, wait, and return the granted lease. `ask.key` must be set; `timeout` is in seconds."""
    live = Live()
    try:
        request = client.ask(ask)
        if request.state == "queued" and not wait:
            raise _not_now(request)
        deadline = None if timeout is None else time.monotonic() + timeout
        queued = request.state == "queued"
        while request.state == "queued":
            live.show(waiting_text(request), waiting_html(request))
            if deadline is not None and time.monotonic() >= deadline:
                raise _too_late(request, timeout or 0.0)
            pause = POLL_SECONDS
            if deadline is not None:
                pause = min(pause, max(0.0, deadline - time.monotonic()))
            time.sleep(pause)
            request = _look_again(client, request.id)
        if request.state != "granted":
            reason = request.reason.sentence if request.reason else ""
            raise GpuWorkbenchError(
                "not_now", f"The request was {request.state}. {reason}".strip(), "Ask again."
            )
        lease = client.lease(request.id)
    except BaseException as error:
        if not (isinstance(error, GpuWorkbenchError) and error.code in _REFUSALS):
            _undo(client, ask)
            if isinstance(error, KeyboardInterrupt):
                live.show("Not waiting any more.", block(row("plain", "Not waiting any more")))
        raise
    if queued:
        got = f"Granted: {short(lease.profile)}, lease {lease.id}"
        live.show(got, block(row("mine", got)))
    return lease


# The server refused: there is no request that would have to be undone.
_REFUSALS = ("bad_ask", "unknown_profile", "never_fits", "over_limit", "too_long", "no_server")


def waiting_text(request: wire.Request) -> str:
    """`waiting for 2 × 1g.10gb · position 2 · in about 12 min (at 14:32)`, then the reason."""
    head = " · ".join(["waiting for " + _what(request), *_facts(request)])
    return f"{head}\n  {request.reason.sentence}" if request.reason else head


def waiting_html(request: wire.Request) -> str:
    note = request.reason.sentence if request.reason else ""
    title = f"Waiting for {_what(request)}"
    return block(row("wait", title, *_facts(request), note=note))


def _what(request: wire.Request) -> str:
    number = f"{request.count} × " if request.count > 1 else ""
    return number + short(request.profile)


def _facts(request: wire.Request) -> list[str]:
    place = f"position {request.position}" if request.position else ""
    return [one for one in (place, expected(request.expected_at)) if one]


def _look_again(client: Client, request_id: int) -> wire.Request:
    began = time.monotonic()
    while True:
        try:
            return client.request(request_id)
        except GpuWorkbenchError as error:
            unreachable = error.code in ("no_server", "no_extension", "timeout", "unavailable")
            if not unreachable or time.monotonic() - began > _PATIENCE_SECONDS:
                raise
        time.sleep(POLL_SECONDS)


def _undo(client: Client, ask: wire.Ask) -> None:
    """Take the request back, granted or not. The same key finds it, or makes one to cancel."""
    with contextlib.suppress(GpuWorkbenchError):
        request = client.ask(ask)
        if request.state == "queued":
            request = client.cancel(request.id)
        if request.state == "granted":  # perhaps only just now
            client.release(request.id)


def _not_now(request: wire.Request) -> GpuWorkbenchError:
    reason = request.reason.sentence if request.reason else "It is not free."
    when = expected(request.expected_at)
    return GpuWorkbenchError(
        "not_now",
        f"{short(request.profile)} is not free now: {reason}",
        f"It is expected {when}; ask with wait=True." if when else "Ask with wait=True.",
    )


def _too_late(request: wire.Request, timeout: float) -> GpuWorkbenchError:
    reason = request.reason.sentence if request.reason else ""
    return GpuWorkbenchError(
        "timeout",
        f"{short(request.profile)} was not granted within {timeout:g} s. {reason}".strip(),
        "The request was taken back. Wait longer, or ask for something smaller.",
    )
