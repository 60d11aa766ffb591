"""A kernel with a lease: claimed before it starts, kept over restarts, given back at its end.

Runs in the Jupyter server (or under nbclient) and talks to the broker over HTTP, in threads: the
server that answers may be the one whose loop we are on. Jupyter calls `cleanup` neither when a
start fails, nor after the fifth crash, nor when it is killed. The first two are handled here; for
the rest the lease's holder (pid and start time) and its time-to-live are the truth, and they are
the broker's.
"""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any

import psutil
from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning.local_provisioner import LocalProvisioner
from traitlets import Float, Unicode

from . import protocol as wire
from .attach import MANAGED, slice_environment
from .client import Client
from .errors import GpuWorkbenchError

# A browser that was open when its server restarted asks for kernels before the broker is up.
_PATIENCE_SECONDS = 10.0
_NOT_UP_YET = ("no_server", "no_extension", "unavailable", "broker_busy")


# setproctitle would write over the environment that tells whose process this is.
_READABLE = {"SPT_NOENV": "1"}


class SliceProvisioner(LocalProvisioner):
    """Starts a kernel on a leased slice, on this machine."""

    ask = Unicode(
        "",
        config=True,
        help="What to lease where no lease waits for the notebook: '20GB', '0.25', '1g.10gb', "
        "'gpu'. Empty: the smallest slice that is free.",
    )
    hours = Float(
        None, allow_none=True, config=True, help="For how long; None takes the pool's default."
    )

    lease_id: int | None = None
    _client: Client | None = None
    _watching = False
    _path = ""

    # --- as jupyter_client calls it -------------------------------------------------------------

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        """Claim a lease (on a restart: the same again) and put its slice into the environment."""
        given = kwargs.get("env") or os.environ
        self._path = self._notebook(given.get("JPY_SESSION_NAME", ""))
        try:
            lease = await asyncio.to_thread(self._claim)
            self.lease_id = lease.id
            launch = await super().pre_launch(**kwargs)
        except BaseException:
            await self._release()
            raise
        environment = {k: v for k, v in launch.get("env", given).items() if k not in MANAGED}
        launch["env"] = environment | slice_environment(lease) | self._server().tag | _READABLE
        return launch

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        try:
            return await super().launch_kernel(cmd, **kwargs)
        except BaseException:
            await self._release()
            raise

    async def post_launch(self, **kwargs: Any) -> None:
        """Name the process that stands for the lease. The kernel runs already: don't fail it."""
        await super().post_launch(**kwargs)
        if not self._watching and self.parent is not None:
            # The fifth crash in a row: the restarter gives up and nobody calls `cleanup`.
            self.parent.add_restart_callback(self._given_up, "dead")
            self._watching = True
        try:
            await asyncio.to_thread(self._bind)
        except Exception as error:
            self.log.warning("Lease %s could not be bound to its kernel: %s", self.lease_id, error)

    async def cleanup(self, restart: bool = False) -> None:
        await super().cleanup(restart)
        if not restart:
            await self._release()

    async def get_provisioner_info(self) -> dict[str, Any]:
        info: dict[str, Any] = await super().get_provisioner_info()
        return info | {"lease_id": self.lease_id, "path": self._path}

    async def load_provisioner_info(self, provisioner_info: dict[str, Any]) -> None:
        await super().load_provisioner_info(provisioner_info)
        self.lease_id = provisioner_info.get("lease_id")
        self._path = provisioner_info.get("path", "")

    # --- the lease; everything below but `_release` and `_given_up` runs in a thread --------------

    def _server(self) -> Client:
        if self._client is None:
            self._client = Client(timeout=10.0)
        return self._client

    def _claim(self) -> wire.Lease:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                return self._server().claim(
                    wire.Claim(path=self._path, kernel_id=self.kernel_id, ask=self._what())
                )
            except GpuWorkbenchError as error:
                if error.code not in _NOT_UP_YET or time.monotonic() > deadline:
                    raise
                time.sleep(0.25)

    def _what(self) -> wire.Ask:
        seconds = None if self.hours is None else round(self.hours * 3600)
        return wire.Ask(
            what=self.ask or self._smallest(),
            seconds=seconds,
            purpose="kernel",
            name=self._path,
        )

    def _smallest(self) -> str:
        """The smallest profile that is free, else the smallest: then the refusal says when."""
        cards = [one for one in self._server().cards() if one.when != "never"]
        if not cards:
            raise GpuWorkbenchError(
                "no_devices",
                "This server offers no slice of a GPU.",
                "The GPU panel says why; `gpu-workbench doctor` looks closer.",
            )
        best = min(cards, key=lambda one: (one.when != "now", one.units, one.memory_gb))
        return best.profile

    def _bind(self) -> None:
        if self.lease_id is None or self.pid is None:
            return
        started = psutil.Process(self.pid).create_time()
        holder = wire.Holder(
            kind="kernel",
            id=self.kernel_id,
            name=self._path or "a kernel",
            pid=self.pid,
            started=started,
        )
        self._server().bind(self.lease_id, holder)

    async def _release(self) -> None:
        """Give the lease back, once. A broker that can't be told finds out by itself."""
        lease_id, self.lease_id = self.lease_id, None
        if lease_id is None:
            return
        try:
            await asyncio.to_thread(self._server().release, lease_id)
        except Exception as error:
            self.log.warning("Lease %s could not be given back: %s", lease_id, error)

    def _given_up(self) -> None:
        """The restarter's callback: no coroutine, on the loop."""
        task = asyncio.ensure_future(self._release())
        _tasks.add(task)
        task.add_done_callback(_tasks.discard)

    def _notebook(self, session: str) -> str:
        """The notebook's path as the front end knows it, relative to the server's root."""
        root = getattr(getattr(self.parent, "parent", None), "root_dir", "")
        if session and root and os.path.isabs(session):
            inside = os.path.relpath(session, root)
            return session if inside.startswith("..") else inside
        return session


# A task that nobody refers to may be collected before it has run.
_tasks: set[asyncio.Future[None]] = set()
