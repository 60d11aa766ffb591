"""Audit events for `jupyter_events`: what happened to whom, for an administrator's own handlers.

An `EventSink` that stands before another one: it passes everything on at once, and emits an event
for what an auditor wants to know. Schemas are the YAML files in `schemas/`; their `$id` has a
version, and a change that a reader could stumble over takes a new one.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from ..ports import EventSink, News

log = logging.getLogger(__name__)

SCHEMAS = tuple(sorted(Path(__file__).with_name("schemas").glob("*.yaml")))

REQUEST = "urn:gpu-workbench:events:request:v1"
LEASE = "urn:gpu-workbench:events:lease:v1"
HOLDER = "urn:gpu-workbench:events:holder:v1"

# The kind of a change, as news carry it → the action in the schema.
_ACTIONS: dict[str, tuple[str, frozenset[str]]] = {
    "request": (REQUEST, frozenset({"queued", "granted", "denied", "cancelled", "expired"})),
    "lease": (LEASE, frozenset({"granted", "extended", "bound", "ended", "cleared"})),
}
_OVER = {"ended", "succeeded", "failed", "stopped", "lost"}
_REMEMBERED = 10_000


class EventLogger(Protocol):
    """What we use of `jupyter_events.EventLogger`; the Jupyter server has one."""

    def register_event_schema(self, schema: Any) -> None: ...

    def emit(self, *, schema_id: str, data: dict[str, Any]) -> Any: ...


class AuditEvents:
    """Emits events on their way to `sink`.

    News come from any thread, and jupyter_events starts tasks: `soon` must run a callable on the
    event loop (`loop.call_soon_threadsafe`) and return at once.
    """

    def __init__(
        self,
        sink: EventSink,
        logger: EventLogger,
        soon: Callable[[Callable[[], object]], object],
    ) -> None:
        self._sink = sink
        self._logger = logger
        self._soon = soon
        self._last: OrderedDict[tuple[str, str], str] = OrderedDict()
        """The newest action of each cluster and job: they are told at every visible change."""
        for schema in SCHEMAS:
            logger.register_event_schema(schema)

    def tell(self, news: News) -> None:
        self._sink.tell(news)
        event = self._event(news)
        if event is None:
            return
        schema, data = event
        try:
            self._soon(lambda: self._emit(schema, data))
        except RuntimeError:  # the loop is closed: the server stops
            log.debug("no event for %s", news)

    def _emit(self, schema: str, data: dict[str, Any]) -> None:
        try:
            self._logger.emit(schema_id=schema, data=data)
        except Exception:
            log.exception("the event could not be emitted")  # somebody else's handler, perhaps

    def _event(self, news: News) -> tuple[str, dict[str, Any]] | None:
        """The schema and the event of these news; None where an auditor wouldn't care."""
        if news.type in _ACTIONS:
            schema, actions = _ACTIONS[news.type]
            if news.payload not in actions:
                return None
            number = int(news.subject)
            return schema, {"action": news.payload, "id": number, "user": news.owner or ""}
        if news.type in ("cluster", "job"):
            action = self._holder_action(news)
            if action is not None:
                return HOLDER, {
                    "action": action,
                    "kind": news.type,
                    "id": news.subject,
                    "user": news.owner or "",
                    "name": str(getattr(news.payload, "name", "")),
                    "lease": getattr(news.payload, "lease_id", None),
                    "state": str(getattr(news.payload, "state", "")),
                }
        return None

    def _holder_action(self, news: News) -> str | None:
        """`started`, `found` (it ran before this server did) or `ended`, each once."""
        key, state = (news.type, news.subject), getattr(news.payload, "state", None)
        last = self._last.get(key)
        if state in _OVER:
            action = "ended"
        elif state == "running":
            action = "found" if last is None else "started"
        else:
            action = "seen"
        if (
            last == "ended"
            or last == action
            or (last in ("started", "found") and action != "ended")
        ):
            return None
        self._last[key] = action
        self._last.move_to_end(key)
        while len(self._last) > _REMEMBERED:
            self._last.popitem(last=False)
        return None if action == "seen" else action


def described() -> list[Mapping[str, Any]]:
    """The schemas as read from their files: what the docs list."""
    from jupyter_events import yaml

    return [yaml.load(path) for path in SCHEMAS]
