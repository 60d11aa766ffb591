"""The description of the API: valid, complete, the same every time."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from gpu_workbench_server.web.handlers import http_handlers
from gpu_workbench_server.web.openapi import EVENTS, document
from gpu_workbench_server.web.routes import ROUTES

METHODS = {"get", "post", "delete"}


def references(value: Any) -> set[str]:
    """All `$ref` targets in a document."""
    if isinstance(value, dict):
        own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*(references(one) for one in value.values()))
    if isinstance(value, list):
        return set().union(*(references(one) for one in value))
    return set()


def test_every_route_is_described_with_its_method() -> None:
    paths = document()["paths"]
    for route in ROUTES:
        operation = paths[route.path][route.method.lower()]
        assert operation["summary"] == route.summary
        assert str(route.status) in operation["responses"]
        assert ("requestBody" in operation) == (route.body is not None)
    described = {(path, method) for path, item in paths.items() for method in item}
    routed = {(route.path, route.method.lower()) for route in ROUTES}
    assert described - routed == {("/openapi.json", "get"), ("/live", "get")}


def test_every_described_path_has_a_handler_with_that_method() -> None:
    handlers = http_handlers()
    for route in ROUTES:
        handler = next(cls for pattern, cls in handlers if pattern == route.pattern)
        assert route.method.lower() in vars(handler)


def test_the_document_is_well_formed() -> None:
    spec = document()
    assert spec["openapi"].startswith("3.1")
    schemas = spec["components"]["schemas"]
    assert {ref.rpartition("/")[2] for ref in references(spec)} <= set(schemas)
    names = [
        operation["operationId"] for item in spec["paths"].values() for operation in item.values()
    ]
    assert len(names) == len(set(names)), "an operation's name is unique"
    for path, item in spec["paths"].items():
        assert set(item) <= METHODS
        for operation in item.values():
            inside = {p["name"] for p in operation.get("parameters", ()) if p["in"] == "path"}
            assert inside == ({"id"} if "{id}" in path else set())


def test_every_type_of_live_event_is_described() -> None:
    branches = document()["components"]["schemas"]["Event"]["oneOf"]
    assert [one["properties"]["type"]["const"] for one in branches] == list(EVENTS)


async def test_the_server_serves_the_document(workbench: Any) -> None:
    code, served = await workbench.call("GET", "openapi.json")
    assert code == 200
    assert served == json.loads(json.dumps(document()))


def test_it_is_printed_the_same_every_time() -> None:
    command = [sys.executable, "-m", "gpu_workbench_server.web.openapi"]
    first = subprocess.run(command, check=True, capture_output=True).stdout
    again = subprocess.run(command, check=True, capture_output=True).stdout
    assert first == again
    assert json.loads(first)["info"]["title"] == "GPU Workbench"
