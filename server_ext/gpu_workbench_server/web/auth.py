"""Who may call: Jupyter's own identity (token, or cookie with XSRF), or the kernels' bearer token.

The bearer token is in the connection file (0600) that our own kernels, clusters and jobs inherit.
It opens these routes and nothing else of the server. A page in a browser can't set the header, so
it needs no XSRF token.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, TypeVar, cast

from jupyter_server.auth.decorator import authorized
from jupyter_server.auth.identity import User
from jupyter_server.base.handlers import JupyterHandler
from tornado import web

from ..ports import Principal
from .context import Workbench

F = TypeVar("F", bound=Callable[..., Awaitable[Any]])

SETTING = "gpu_workbench"
"""Where the tornado application keeps the `Workbench`."""


class AuthenticatedHandler(JupyterHandler):
    """Common to HTTP and WebSocket: the caller is known before a method runs, or it is a 401.

    Derives from `JupyterHandler`, not `APIHandler`: polling these routes must not count as
    activity, or an idle server would never be culled.
    """

    by_kernel_token = False

    @property
    def workbench(self) -> Workbench:
        return cast(Workbench, self.settings[SETTING])

    @property
    def who(self) -> Principal:
        return self.workbench.identity.principal(self.current_user.username)

    async def prepare(self) -> None:  # type: ignore[override]
        if not self.check_host():
            raise web.HTTPError(403, "This Host header is not allowed.")
        if self._has_kernel_token():
            owner = self.workbench.identity.principal("").user
            self.by_kernel_token = True
            # As the identity provider does for its own tokens: no XSRF and origin checks.
            self._token_authenticated = True
            self.current_user = self._jupyter_current_user = User(username=owner)
            return
        try:
            await self._identify()
        except web.HTTPError:
            if self._known():
                raise  # somebody we know, without XSRF token or from another origin
            raise self._unknown() from None
        if not self._known():
            raise self._unknown()

    def skip_check_origin(self) -> bool:
        return self.by_kernel_token or super().skip_check_origin()

    async def _identify(self) -> None:
        """Jupyter's own checks, which never redirect here."""
        await super().prepare(_redirect_to_login=False)

    def _known(self) -> bool:
        return getattr(self, "_jupyter_current_user", None) is not None

    @staticmethod
    def _unknown() -> web.HTTPError:
        return web.HTTPError(401, "Nobody is logged in here.")

    def _has_kernel_token(self) -> bool:
        kind, _, given = self.request.headers.get("Authorization", "").strip().partition(" ")
        if kind.lower() not in ("token", "bearer") or not given:
            return False
        wanted = self.workbench.kernel_token
        return bool(wanted) and hmac.compare_digest(given.strip().encode(), wanted.encode())


def permitted(action: str, resource: str) -> Callable[[F], F]:
    """Ask the server's authorizer about this action on this resource, both always named.

    The kernels' token is not a person that an authorizer could know: its scope is our routes.
    """

    def decorate(method: F) -> F:
        asked: Any = authorized(action=action, resource=resource)(method)

        @wraps(method)
        async def inner(self: AuthenticatedHandler, *args: Any, **kwargs: Any) -> Any:
            chosen = method if self.by_kernel_token else asked
            return await chosen(self, *args, **kwargs)

        # What the server's own check at start-up looks for: `prepare` lets nobody unknown through.
        setattr(inner, "__allow_unauthenticated", False)
        return cast(F, inner)

    return decorate
