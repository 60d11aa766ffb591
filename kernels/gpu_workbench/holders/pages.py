"""Dask's own pages of a scheduler: on a Unix socket, and made when somebody first looks at them.

They ask nobody who they are, so they are where only their user may come. Bokeh, which they are made
of, takes as long to import as all the rest of Dask: a cluster that nobody watches goes without.
"""

from __future__ import annotations

import asyncio
import importlib
from pathlib import Path
from typing import Any

from distributed import Scheduler
from tornado.netutil import bind_unix_socket
from tornado.web import Application, RequestHandler

# Of Dask, without types.
_Scheduler: Any = Scheduler


class QuietScheduler(_Scheduler):  # type: ignore[misc]
    """A scheduler whose pages are at `pages`, a Unix socket, and nowhere else."""

    def __init__(self, *args: Any, pages: Path, **kwargs: Any) -> None:
        self._pages = pages
        super().__init__(*args, dashboard=False, **kwargs)

    def start_http_server(self, *args: Any, **kwargs: Any) -> None:
        super().start_http_server(*args, **kwargs)
        self.http_server.stop()  # listening on the network, before anybody could have called
        self.http_server.add_socket(bind_unix_socket(str(self._pages), mode=0o600))
        self.http_server.request_callback = Unmade(self)


class Unmade(Application):
    """Answers in the scheduler's place until the pages are made, which it does at the first call.

    Whatever that asks for: what plots there are is told by a route of the scheduler's own, too.
    """

    def __init__(self, scheduler: QuietScheduler) -> None:
        super().__init__([(r".*", _Make)])
        self._scheduler = scheduler
        self._making = asyncio.Lock()

    async def make(self) -> None:
        """Once; who comes meanwhile waits. The scheduler goes on: Bokeh comes in a thread."""
        scheduler, name = self._scheduler, "distributed.dashboard.scheduler"
        async with self._making:
            if scheduler.http_server.request_callback is self:
                made = await asyncio.to_thread(importlib.import_module, name)
                made.connect(scheduler.http_application, scheduler.http_server, scheduler)
                scheduler.http_server.request_callback = scheduler.http_application


class _Make(RequestHandler):
    application: Unmade

    async def get(self) -> None:
        """Make them, then let the same be asked for again."""
        await self.application.make()
        self.redirect(self.request.uri or "/")
