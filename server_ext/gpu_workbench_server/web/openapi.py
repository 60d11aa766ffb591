"""The OpenAPI 3.1 document, made from the table of routes and the wire types.

`python -m gpu_workbench_server.web.openapi` prints it, always in the same order: the TypeScript
types are generated from that, and a check fails where the two drift apart.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import msgspec

from gpu_workbench import protocol as wire

from .routes import LIVE_PATH, OPENAPI_PATH, ROUTES, Route

_REF = "#/components/schemas/{name}"

EVENTS: dict[str, type[Any]] = {
    "hello": wire.Status,
    "fleet": wire.Fleet,
    "request": wire.Request,
    "lease": wire.Lease,
    "cluster": wire.Cluster,
    "job": wire.Job,
    "sweep": wire.Sweep,
    "layout": wire.Layout,
    "notice": wire.Notice,
}
"""What `data` of a live event is, by its type."""


def document() -> dict[str, Any]:
    """The whole document as JSON-able values."""
    types = _types()
    schemas, components = msgspec.json.schema_components(types, ref_template=_REF)
    reference = dict(zip(types, schemas, strict=True))
    components["Event"] = _event_schema(reference)
    paths: dict[str, dict[str, Any]] = {}
    for route in sorted(ROUTES, key=lambda one: (one.path, one.method)):
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, reference)
    paths[OPENAPI_PATH] = {"get": _plain("openapi_get", "This document", "200", "OpenAPI 3.1")}
    paths[LIVE_PATH] = {
        "get": _plain(
            "live_open",
            "WebSocket: an `Event` per text message, a tick per binary one (see `Layout`)",
            "101",
            "Switching to the WebSocket protocol",
        )
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "GPU Workbench",
            "version": wire.API_VERSION,
            "description": "Times are seconds since the epoch, durations seconds, memory bytes, "
            "activity 0..1. What is unknown is null.",
        },
        "servers": [{"url": wire.BASE_PATH, "description": "under the Jupyter server's base URL"}],
        "security": [{"token": []}, {"cookie": []}],
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": dict(sorted(components.items())),
            "securitySchemes": {
                "token": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "description": "`token …`: the server's, or the one in the connection file",
                },
                "cookie": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "X-XSRFToken",
                    "description": "beside the login cookie, for everything but GET",
                },
            },
        },
    }


@lru_cache(maxsize=1)
def encoded() -> bytes:
    """The document as it is served."""
    return msgspec.json.encode(document())


def _types() -> list[Any]:
    wanted: list[Any] = [wire.Problem, wire.Event, wire.Looking, *EVENTS.values()]
    for route in ROUTES:
        wanted += [kind for kind in (route.returns, route.body) if kind is not None]
    return list(dict.fromkeys(wanted))


def _event_schema(reference: dict[Any, Any]) -> dict[str, Any]:
    """One branch per type, so that a generated client can tell them apart."""
    return {
        "title": "Event",
        "description": (wire.Event.__doc__ or "").strip(),
        "oneOf": [
            {
                "type": "object",
                "properties": {"type": {"const": name}, "data": reference[kind]},
                "required": ["type", "data"],
            }
            for name, kind in EVENTS.items()
        ],
    }


def _operation(route: Route, reference: dict[Any, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.operation,
        "tags": [route.noun],
        "summary": route.summary,
        "x-jupyter-action": route.action,
        "x-jupyter-resource": route.resource,
    }
    parameters = _parameters(route)
    if parameters:
        operation["parameters"] = parameters
    if route.body is not None:
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": reference[route.body]}},
        }
    operation["responses"] = {
        str(route.status): {
            "description": "Done",
            "content": {route.media.partition(";")[0]: {"schema": reference[route.returns]}},
        },
        "default": {
            "description": "What went wrong, and what would work",
            "content": {"application/json": {"schema": reference[wire.Problem]}},
        },
    }
    return operation


def _parameters(route: Route) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "integer" if route.number else "string"},
        }
        for name in re.findall(r"{(\w+)}", route.path)
    ]
    if route.query is not None:
        (_,), known = msgspec.json.schema_components([route.query], ref_template=_REF)
        schema = known[route.query.__name__]
        for name, field in schema["properties"].items():
            field = dict(field)
            described = field.pop("description", None)
            parameter: dict[str, Any] = {
                "name": name,
                "in": "query",
                "required": name in schema.get("required", ()),
                "schema": field,
            }
            if described:
                parameter["description"] = described
            found.append(parameter)
    return found


def _plain(name: str, summary: str, status: str, description: str) -> dict[str, Any]:
    return {
        "operationId": name,
        "tags": [name.partition("_")[0]],
        "summary": summary,
        "responses": {status: {"description": description}},
    }


if __name__ == "__main__":
    import json

    print(json.dumps(document(), indent=2, ensure_ascii=False))
