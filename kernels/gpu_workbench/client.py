"""HTTP to the user's own server: one method per route, wire types in and out.

Finds its server by itself (see `connection`) and finds it again after a restart. Thread-safe: each
call has a connection of its own. The token goes to the address in the connection file and nowhere
else: no proxies, no redirects. Knows nothing of notebooks and displays.
"""

from __future__ import annotations

import http.client
import ssl
import threading
from collections.abc import Sequence
from typing import Any, TypeVar, overload
from urllib.parse import urlencode, urlsplit

import msgspec

from . import connection as discovery
from . import protocol as wire
from .errors import GpuWorkbenchError, no_server

T = TypeVar("T")
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_SAFE_TO_REPEAT = ("GET", "DELETE")


class Client:
    """The server's REST API. Every method raises `GpuWorkbenchError` with the server's words.

    `server` pins one server; None takes the user's own, and looks again when that one is gone.
    `timeout` is in seconds, per call.
    """

    def __init__(self, server: wire.ConnectionFile | None = None, timeout: float = 30.0) -> None:
        self.timeout = timeout
        self._pinned = server
        self._server = server
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        """Address of the server in use."""
        return self._pick().url

    @property
    def tag(self) -> dict[str, str]:
        """What a process of a lease carries beside `slice_environment`: whose lease it is.

        A process that the server started has it already; one from outside (nbclient, a script) is
        found again by the broker only with it.
        """
        broker = self._pick().broker
        return {wire.BROKER_ENV: broker} if broker else {}

    # --- who and what ---------------------------------------------------------------------------

    def status(self) -> wire.Status:
        return self.call("GET", "status", returns=wire.Status)

    def fleet(self) -> wire.Fleet:
        return self.call("GET", "fleet", returns=wire.Fleet)

    def cards(self, count: int = 1, seconds: int | None = None) -> list[wire.Card]:
        path = _query("cards", count=count, seconds=seconds)
        return self.call("GET", path, returns=wire.Cards).cards

    # --- requests and leases --------------------------------------------------------------------

    def ask(self, ask: wire.Ask) -> wire.Request:
        return self.call("POST", "requests", ask, returns=wire.Request)

    def requests(self) -> list[wire.Request]:
        return self.call("GET", "requests", returns=wire.Requests).requests

    def request(self, request_id: int) -> wire.Request:
        return self.call("GET", f"requests/{request_id}", returns=wire.Request)

    def cancel(self, request_id: int) -> wire.Request:
        return self.call("DELETE", f"requests/{request_id}", returns=wire.Request)

    def leases(self, ended: bool = False) -> list[wire.Lease]:
        path = "leases?ended=1" if ended else "leases"
        return self.call("GET", path, returns=wire.Leases).leases

    def lease(self, lease_id: int) -> wire.Lease:
        return self.call("GET", f"leases/{lease_id}", returns=wire.Lease)

    def claim(self, claim: wire.Claim) -> wire.Lease:
        return self.call("POST", "leases/claim", claim, returns=wire.Lease)

    def bind(self, lease_id: int, holder: wire.Holder) -> wire.Lease:
        return self.call("POST", f"leases/{lease_id}/bind", holder, returns=wire.Lease)

    def extend(self, lease_id: int, seconds: int) -> wire.Lease:
        body = wire.Extend(seconds=seconds)
        return self.call("POST", f"leases/{lease_id}/extend", body, returns=wire.Lease)

    def release(self, lease_id: int) -> wire.Lease:
        """Idempotent: a lease that is over is answered as it is."""
        return self.call("DELETE", f"leases/{lease_id}", returns=wire.Lease)

    def heartbeat(self, leases: Sequence[int]) -> list[int]:
        """Ids of those that still live."""
        body = wire.Heartbeat(leases=list(leases))
        return self.call("POST", "leases/heartbeat", body, returns=wire.Heartbeat).leases

    def book(self, new: wire.NewReservation) -> wire.Reservation:
        return self.call("POST", "reservations", new, returns=wire.Reservation)

    def reservations(self) -> list[wire.Reservation]:
        return self.call("GET", "reservations", returns=wire.Reservations).reservations

    def unbook(self, reservation_id: int) -> wire.Reservation:
        return self.call("DELETE", f"reservations/{reservation_id}", returns=wire.Reservation)

    # --- telemetry ------------------------------------------------------------------------------

    def sample(self) -> wire.Sample:
        return self.call("GET", "telemetry", returns=wire.Sample)

    def history(self, subject: str, seconds: int) -> wire.History:
        """Recent past of a GPU (its UUID), a slice (its id) or a lease (`lease:81`)."""
        path = _query("telemetry/history", subject=subject, seconds=seconds, points=seconds)
        return self.call("GET", path, returns=wire.History)

    def usage(self, since: float = 0.0) -> wire.Usage:
        return self.call("GET", _query("usage", since=since), returns=wire.Usage)

    # --- the call itself ------------------------------------------------------------------------

    @overload
    def call(self, method: str, path: str, body: Any = ..., *, returns: type[T]) -> T: ...
    @overload
    def call(self, method: str, path: str, body: Any = ...) -> Any: ...
    def call(
        self, method: str, path: str, body: Any = None, *, returns: type[Any] | None = None
    ) -> Any:
        """Call a route, `path` without `BASE_PATH`: `call("GET", "jobs/7", returns=wire.Job)`."""
        payload = None if body is None else msgspec.json.encode(body)
        server = self._pick()
        try:
            status, text = self._send(server, method, path, payload)
            if status in (401, 403) and self._moved(server):
                status, text = self._send(self._pick(), method, path, payload)
        except (OSError, http.client.HTTPException) as error:
            repeat = method in _SAFE_TO_REPEAT or isinstance(error, ConnectionRefusedError)
            if not (repeat and self._moved(server)):
                raise _unreachable(server, error) from None
            try:
                status, text = self._send(self._pick(), method, path, payload)
            except (OSError, http.client.HTTPException) as again:
                raise _unreachable(self._pick(), again) from None
        if status >= 400:
            raise _problem(status, text)
        try:
            return msgspec.json.decode(text, type=Any if returns is None else returns)
        except msgspec.MsgspecError as error:
            raise GpuWorkbenchError(
                "bad_answer",
                f"The server's answer to {path} can't be read: {error}.",
                "The kernel's and the server's versions of GPU Workbench may differ: update the "
                "older one, then restart it.",
            ) from None

    def _pick(self) -> wire.ConnectionFile:
        with self._lock:
            if self._server is None:
                found = discovery.candidates()
                if not found:
                    raise no_server()
                self._server = found[0]
            return self._server

    def _moved(self, gone: wire.ConnectionFile) -> bool:
        """Take up another server than the one that failed; False where there is none."""
        if self._pinned is not None:
            return False
        with self._lock:
            others = [one for one in discovery.candidates() if one != gone]
            self._server = others[0] if others else None
            return bool(others)

    def _send(
        self, server: wire.ConnectionFile, method: str, path: str, payload: bytes | None
    ) -> tuple[int, bytes]:
        parts = urlsplit(server.url)
        if parts.hostname is None:
            raise no_server(f"{server.url!r} is no address")
        channel: http.client.HTTPConnection
        if parts.scheme == "https":
            channel = http.client.HTTPSConnection(
                parts.hostname, parts.port, timeout=self.timeout, context=_tls(parts.hostname)
            )
        else:
            channel = http.client.HTTPConnection(parts.hostname, parts.port, timeout=self.timeout)
        try:
            target = f"{parts.path.rstrip('/')}{wire.BASE_PATH}/{path}"
            headers = {"Authorization": f"token {server.token}", "Connection": "close"}
            if payload is not None:
                headers["Content-Type"] = "application/json"
            channel.request(method, target, body=payload, headers=headers)
            answer = channel.getresponse()
            return answer.status, answer.read()
        finally:
            channel.close()


def _tls(host: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if host in _LOOPBACK:
        # A server's own certificate names its public host; on loopback there is no one between.
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _query(path: str, **values: Any) -> str:
    given = {name: value for name, value in values.items() if value is not None}
    return f"{path}?{urlencode(given)}" if given else path


def _problem(status: int, text: bytes) -> GpuWorkbenchError:
    try:
        problem = msgspec.json.decode(text, type=wire.Problem)
    except msgspec.MsgspecError:
        if status == 404:
            return GpuWorkbenchError(
                "no_extension",
                "This Jupyter server has no GPU Workbench.",
                "Enable it: `jupyter server extension enable gpu_workbench_server`, then restart.",
            )
        return GpuWorkbenchError("internal", f"The server answered HTTP {status}.", "")
    return GpuWorkbenchError(problem.code, problem.message, problem.hint)


def _unreachable(server: wire.ConnectionFile, error: Exception) -> GpuWorkbenchError:
    if isinstance(error, TimeoutError):
        return GpuWorkbenchError(
            "timeout",
            f"The Jupyter server at {server.url} did not answer in time.",
            "It may be busy: try again. If it stays so, restart the server.",
        )
    return no_server(f"{server.url} does not answer: {error}")


_default: Client | None = None
_default_lock = threading.Lock()


def get_client() -> Client:
    """The client that the notebook API uses, one per process."""
    global _default
    with _default_lock:
        if _default is None:
            _default = Client()
        return _default
