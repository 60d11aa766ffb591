"""Tornado handlers, made from the table of routes.

Every answer is JSON, every failure a `Problem`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any

import msgspec
from tornado import web

from gpu_workbench import protocol as wire

from ..errors import WorkbenchError
from . import openapi
from .auth import AuthenticatedHandler, permitted
from .call import Call, decode_body, decode_query
from .routes import JSON, OPENAPI_PATH, OPENAPI_RESOURCE, ROUTES, Route

_CODES = {
    400: ("bad_request", "See openapi.json for what the route takes."),
    401: ("unauthenticated", "Log in to JupyterLab again, or send the server's token."),
    403: ("forbidden", "Reload the page; if that does not help, ask who runs this server."),
    404: ("not_found", "The routes are listed in openapi.json."),
    405: ("method_not_allowed", "The methods of every route are in openapi.json."),
}


class ApiHandler(AuthenticatedHandler):
    """Base of all our HTTP routes."""

    async def prepare(self) -> None:  # type: ignore[override]
        await super().prepare()
        if not self.check_origin():
            raise web.HTTPError(403, "Calls from other sites are not allowed.")

    def set_default_headers(self) -> None:
        super().set_default_headers()
        self.set_header("Content-Type", "application/json; charset=utf-8")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Cache-Control", "no-store")

    async def answer(self, route: Route, item: str) -> None:
        """Decode, call, encode; an error of ours becomes its own status and body."""
        try:
            services = await self.workbench.services()
        except WorkbenchError as trouble:
            self.refuse(trouble, status=503)  # whatever it is, the whole plugin is out of order
            return
        try:
            arguments = {
                name: self.get_query_argument(name) for name in self.request.query_arguments
            }
            call: Call[Any, Any] = Call(
                who=self.who,
                workbench=self.workbench,
                services=services,
                item=item,
                body=decode_body(self.request.body, route.body),
                query=decode_query(arguments, route.query),
            )
            result = await route.handler(call)
        except WorkbenchError as error:
            if error.status >= 500:
                self.log.warning("GPU Workbench: %s %s: %s", route.method, route.path, error)
            self.refuse(error)
            return
        self.set_status(route.status)
        if route.media == JSON:
            self.finish(msgspec.json.encode(result))
        else:
            self.set_header("Content-Type", route.media)
            self.finish(result)

    def refuse(self, error: WorkbenchError, status: int | None = None) -> None:
        self.set_status(status or error.status)
        problem = wire.Problem(code=error.code, message=error.message, hint=error.hint)
        self.finish(msgspec.json.encode(problem))

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Whatever else went wrong: the same three fields, never a traceback or a page."""
        code, hint = _CODES.get(status_code, ("internal", "The server's log says more."))
        message = "Something went wrong inside GPU Workbench."
        error = (kwargs.get("exc_info") or (None, None, None))[1]
        if isinstance(error, web.HTTPError):
            message = _sentence(error)
        problem = wire.Problem(code=code, message=message, hint=hint)
        self.set_header("Content-Type", "application/json; charset=utf-8")
        self.finish(msgspec.json.encode(problem))


class UnknownRoute(ApiHandler):
    """Anything else under our address: JSON, not the lab's page."""

    async def prepare(self) -> None:  # type: ignore[override]
        await super().prepare()
        raise web.HTTPError(404, f"There is no route {self.request.method} {self.request.path}.")


class OpenApiHandler(ApiHandler):
    """The description of this very table."""

    @permitted("read", OPENAPI_RESOURCE)
    async def get(self) -> None:
        try:
            await self.workbench.services()
        except WorkbenchError as trouble:
            self.refuse(trouble, status=503)
            return
        self.finish(openapi.encoded())


def http_handlers() -> list[tuple[str, type[ApiHandler]]]:
    """(pattern, handler) of every path; the catch-all is last."""
    made = [
        (pattern, _handler_of(list(routes)))
        for pattern, routes in groupby(
            sorted(ROUTES, key=_specific_first), key=lambda route: route.pattern
        )
    ]
    return [
        *made,
        (wire.BASE_PATH + OPENAPI_PATH.replace(".", r"\."), OpenApiHandler),
        (r"/gpu-workbench(?:/.*)?", UnknownRoute),
    ]


def _specific_first(route: Route) -> tuple[bool, str]:
    # "leases/claim" before "leases/{id}"; methods of one path beside each other.
    return ("{id}" in route.path, route.path)


def _handler_of(routes: Sequence[Route]) -> type[ApiHandler]:
    methods = {route.method.lower(): _method_of(route) for route in routes}
    return type(f"Handler_{routes[0].operation}", (ApiHandler,), methods)


def _method_of(route: Route) -> Callable[..., Any]:
    @permitted(route.action, route.resource)
    async def method(self: ApiHandler, item: str = "") -> None:
        await self.answer(route, item)

    return method


def _sentence(error: web.HTTPError) -> str:
    """What tornado or Jupyter said, as one sentence without the status line."""
    text = error.log_message or error.reason or "The call was refused"
    if error.args:
        with contextlib.suppress(TypeError, ValueError):
            text = text % error.args
    return text if text.endswith(".") else f"{text}."
