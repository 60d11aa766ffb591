"""What a watcher of the WebSocket sees: each object as that person may see it, encoded once.

Level-triggered: news only says what to look at again, the services say how it is now. So nothing
here decides who may see what: an object that a service does not show is not sent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import msgspec

from gpu_workbench import protocol as wire

from ..errors import NotFound
from ..ports import News, Principal
from .context import Services

Key = tuple[str, str]


class Message(NamedTuple):
    """One event, encoded; a newer one of the same key replaces it."""

    key: Key
    data: bytes


def event(kind: Any, subject: str, data: Any) -> Message:
    """Encode one `wire.Event`."""
    return Message((kind, subject), msgspec.json.encode(wire.Event(type=kind, data=data)))


class Views:
    """Blocking: runs in a worker thread."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def everything(self, who: Principal) -> list[Message]:
        """All that a watcher needs at first, in the order in which it is useful."""
        broker, services = self._services.broker, self._services
        messages = [
            event("hello", "", broker.status(who)),
            event("fleet", "", broker.fleet(who)),
        ]
        messages += [event("request", str(one.id), one) for one in broker.requests(who)]
        messages += [event("lease", str(one.id), one) for one in broker.leases(who)]
        messages += [event("cluster", one.id, one) for one in services.clusters.list(who)]
        messages += [event("job", one.id, one) for one in services.jobs.list(who)]
        messages += [event("sweep", one.id, one) for one in services.sweeps.list(who)]
        # Last: the window knows the leases by then. It may have been away when they were given.
        messages += [event("notice", str(one.lease_id), one) for one in broker.notices(who)]
        return messages

    def changed(self, who: Principal, news: Iterable[News]) -> list[Message]:
        """What the news is about, as it is now, once per object."""
        messages: dict[Key, Message] = {}
        told = list(news)
        # One forecast for the whole queue, not one for each request that moved in it.
        moved = any(one.type == "request" for one in told)
        queue = {str(one.id): one for one in self._services.broker.requests(who)} if moved else {}
        for one in told:
            if one.type == "request" and one.subject in queue:
                message: Message | None = event("request", one.subject, queue[one.subject])
            else:
                message = self._look(who, one)
            if message is not None:
                messages[message.key] = message
            if one.type in ("lease", "fleet"):  # what is free and what binds moves with them
                status = event("hello", "", self._services.broker.status(who))
                messages[status.key] = status
        return list(messages.values())

    def _look(self, who: Principal, news: News) -> Message | None:
        broker, services = self._services.broker, self._services
        look: dict[str, Callable[[], Any]] = {
            "fleet": lambda: broker.fleet(who),
            "request": lambda: broker.request(who, int(news.subject)),
            "lease": lambda: broker.lease(who, int(news.subject)),
            "cluster": lambda: services.clusters.get(who, news.subject),
            "job": lambda: services.jobs.get(who, news.subject),
            "sweep": lambda: services.sweeps.get(who, news.subject),
            "notice": lambda: self._notice(who, news),
        }
        try:
            found = look[news.type]()
        except NotFound:
            return self._gone(news)
        subject = "" if news.type == "fleet" else news.subject
        return None if found is None else event(news.type, subject, found)

    @staticmethod
    def _notice(who: Principal, news: News) -> Any:
        mine = news.owner is None or news.owner == who.user or who.admin
        return news.payload if mine else None

    @staticmethod
    def _gone(news: News) -> Message | None:
        """Somebody else's request has left the queue: the hub makes its last event, see `left`."""
        if news.type == "request" and news.payload in ("granted", "denied", "cancelled", "expired"):
            return Message(("request", news.subject), b"")
        return None


def left(last: bytes, state: wire.RequestState) -> bytes:
    """The last that is told of somebody else's request: it waits no more."""
    known = msgspec.json.decode(msgspec.json.decode(last, type=_RawEvent).data, type=wire.Request)
    gone = msgspec.structs.replace(known, state=state, position=None, reason=None, expected_at=None)
    return event("request", str(known.id), gone).data


OVER = {
    *("granted", "denied", "cancelled", "expired", "ended"),
    *("succeeded", "failed", "stopped", "lost", "done"),
}
"""States after which nothing, or one last thing, is told of a request, lease, cluster, job or
sweep."""


def over(key: Key, data: bytes) -> bool:
    """Whether an event need not be remembered: the next of this object differs, or never comes."""
    kind = key[0]
    if kind not in ("request", "lease", "cluster", "job", "sweep"):
        return kind == "notice"
    return msgspec.json.decode(data, type=_State).data.state in OVER


class _RawEvent(msgspec.Struct):
    data: msgspec.Raw


class _Stateful(msgspec.Struct):
    state: str = ""


class _State(msgspec.Struct):
    data: _Stateful
