"""The REST routes and the OpenAPI document, from the server's table of routes."""

from __future__ import annotations

import json
from typing import Any

import markdown

from gpu_workbench.protocol import BASE_PATH
from gpu_workbench_server.web.openapi import EVENTS, document
from gpu_workbench_server.web.routes import (
    LIVE_PATH,
    LIVE_RESOURCE,
    OPENAPI_PATH,
    OPENAPI_RESOURCE,
    ROUTES,
    Route,
)


def openapi() -> str:
    return json.dumps(document(), indent=1, ensure_ascii=False) + "\n"


def page() -> str:
    rows = [described(route) for route in ROUTES]
    rows += [
        plain(OPENAPI_PATH, "This API as an OpenAPI 3.1 document", OPENAPI_RESOURCE),
        plain(LIVE_PATH, "WebSocket: one `Event` per message", LIVE_RESOURCE),
    ]
    events = [(markdown.code(name), markdown.code(kind.__name__)) for name, kind in EVENTS.items()]
    return markdown.page(
        "REST and WebSocket",
        f"All under `{BASE_PATH}` of the Jupyter server, with its login: a browser's cookie and "
        "`X-XSRFToken`, or `Authorization: token …`. Times are seconds since the epoch, durations "
        "are seconds, memory is bytes, activity is 0..1; what is unknown is `null`. The types are "
        "in [openapi.json](openapi.json).",
        "## Routes",
        markdown.table(["route", "what", "query", "body", "answer", "may"], rows),
        "## Events",
        f'A message of `{LIVE_PATH}` is `{{"type": …, "data": …}}`. An object replaces what '
        "the client knew under its id.",
        markdown.table(["type", "data"], events),
    )


def described(route: Route) -> tuple[str, ...]:
    answer = "text" if route.returns is str else markdown.code(route.returns.__name__)
    return (
        markdown.code(f"{route.method} {route.path}"),
        route.summary,
        query(route.query),
        markdown.code(route.body.__name__) if route.body else "",
        f"{route.status} {answer}",
        f"{route.action} {markdown.code(route.resource)}",
    )


def plain(path: str, what: str, resource: str) -> tuple[str, ...]:
    return (markdown.code(f"GET {path}"), what, "", "", "", f"read {markdown.code(resource)}")


def query(kind: type[Any] | None) -> str:
    fields = kind.__struct_fields__ if kind else ()
    return ", ".join(map(markdown.code, fields))
