"""The composition root of the Jupyter side: traits → `Settings` → objects → routes.

Alone in knowing everybody. The server comes up whatever happens here: where something is wrong, the
routes answer 503 and say what, and the rest of Jupyter does not notice.

A start costs the Jupyter server only this module and the routes; everything heavy (SQLAlchemy, the
devices) is imported and opened in a thread, after the server listens, and calls wait for it.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any, cast

from jupyter_client.kernelspec import NoSuchKernel
from jupyter_core.paths import jupyter_data_dir
from jupyter_server.extension.application import ExtensionApp
from traitlets import Bool, Dict, Enum, Float, Int, List, TraitError, Unicode
from traitlets import default as trait_default

from gpu_workbench import protocol as wire

from .compose import Running, broker_name, compose
from .domain.environment import environment_for_holder
from .errors import BadConfiguration, BrokerBusy, StoreTrouble, WorkbenchError
from .observe.events import AuditEvents
from .observe.logging import attach
from .ports import EventSink
from .rapids_kernel import NotOffered, offer
from .settings import Devices, Settings
from .web.auth import SETTING
from .web.boards import board_handlers
from .web.connection import Connection, local_url, new_token
from .web.context import Services, Workbench
from .web.dashboards import dashboard_handlers
from .web.handlers import http_handlers
from .web.identity import LocalIdentity
from .web.live import Hub
from .web.live_socket import HUB_SETTING, LiveSocket
from .web.routes import LIVE_PATH
from .web.views import Message, Views

RETRY_SECONDS = 5.0


class GpuWorkbenchApp(ExtensionApp):
    """Share GPUs from inside JupyterLab: slices, clusters, training runs."""

    name = "gpu_workbench_server"
    description = "GPU Workbench: slices of GPUs, Dask clusters and training runs in JupyterLab"
    load_other_extensions = True
    extension_url = "/lab"

    data_dir = Unicode(
        help="Directory of the store, the jobs and the clusters. One server at a time manages the "
        "GPUs from it. Default: `gpu-workbench` in Jupyter's data directory.",
    ).tag(config=True)
    devices = Enum(
        ("auto", "nvml", "simulated"),
        default_value="auto",
        help="Where GPUs come from: `nvml` is the NVIDIA driver, `simulated` needs no GPU, `auto` "
        "takes the driver where there is one.",
    ).tag(config=True)
    fleet_file = Unicode(
        "",
        help="TOML file that describes the simulated GPUs. Default: two H100-80GB, one of them cut "
        "into MIG instances.",
    ).tag(config=True)
    policy_file = Unicode(
        "",
        help="TOML file with pools, limits, quotas, order and preemption, for all that the "
        "settings from `user_limits` to `fractions` say and more; read again when it changes.",
    ).tag(config=True)
    store_url = Unicode(
        "",
        help="Where leases, queue and ledger are kept: `postgresql://USER@HOST/DATABASE` or an "
        "SQLite file. Default: an SQLite file in `data_dir`. Keep a password in ~/.pgpass.",
    ).tag(config=True)
    user_limits = Dict(
        key_trait=Unicode(),
        value_trait=Float(),
        help="The most that a user may hold, in GPU units (1.0 is a whole GPU), by user name.",
    ).tag(config=True)
    group_limits = Dict(
        key_trait=Unicode(),
        value_trait=Float(),
        help="The most that a group's members may hold together, in GPU units, by group name.",
    ).tag(config=True)
    default_user_limit = Float(
        None,
        allow_none=True,
        help="Limit of a user that `user_limits` does not name; None: no limit.",
    ).tag(config=True)
    default_group_limit = Float(
        None,
        allow_none=True,
        help="Limit of a group that `group_limits` does not name; None: no limit.",
    ).tag(config=True)
    lease_ttl = Int(
        90,
        help="Seconds for which one heartbeat keeps a lease alive: how soon a slice is free again "
        "after its server was killed. A busy server needs some patience.",
    ).tag(config=True)
    default_seconds = Int(
        2 * 3600, help="How long a lease runs where the request does not say, in seconds."
    ).tag(config=True)
    max_seconds = Int(24 * 3600, help="The longest a lease may run, in seconds.").tag(config=True)
    idle_seconds = Int(
        1800, help="Seconds without GPU activity and busy kernel after which a holder is idle."
    ).tag(config=True)
    claim_seconds = Int(
        600, help="A granted lease that nothing has taken after this many seconds is reclaimed."
    ).tag(config=True)
    whole_gpus = Bool(True, help="Offer whole GPUs.").tag(config=True)
    fractions = List(
        Float(),
        default_value=[0.25, 0.5],
        help="Shares of a GPU without MIG that are offered.",
    ).tag(config=True)
    grace_seconds = Float(
        15.0,
        help="Seconds that a process gets to end by itself, once it must, before it is killed.",
    ).tag(config=True)
    warm_start = Bool(
        True,
        help="Keep a process that has torch imported, for as long as jobs come: the next job's "
        "ranks are forked from it and make their first step within half a second.",
    ).tag(config=True)
    restart_seconds = Float(
        10.0,
        help="Seconds that a lease waits for a holder whose process is gone: a kernel's restart "
        "must fit in.",
    ).tag(config=True)
    rapids_environment = Unicode(
        "",
        help="Path of another environment in which RAPIDS is installed, a venv's or conda's: it is "
        "offered as the kernel `Python (RAPIDS)`, on a slice.",
    ).tag(config=True)
    ucx = Bool(
        False,
        help="Let clusters on whole GPUs talk over UCX (NVLink, InfiniBand) where distributed-ucxx "
        "is installed. It has neither encryption nor tokens and listens on every address: only "
        "where nobody else reaches this machine.",
    ).tag(config=True)
    live_windows = Int(
        64, help="Windows with live telemetry that one person may have open at the same time."
    ).tag(config=True)
    job_days = Float(
        30.0,
        help="Days for which the directory of a job that is over is kept: its logs, metrics, spec "
        "and the checkpoints that it left there. Its record stays.",
    ).tag(config=True)
    job_gigabytes = Float(
        50.0,
        help="GB that all directories of jobs may take; over it the oldest of those that have been "
        "over for an hour go first.",
    ).tag(config=True)
    tick_seconds = Float(
        1.0, help="Seconds between two looks at leases, queue, clusters and jobs."
    ).tag(config=True)

    @trait_default("data_dir")
    def _default_data_dir(self) -> str:
        return str(Path(jupyter_data_dir()) / "gpu-workbench")

    _bad_config: WorkbenchError | None = None
    _running: Running | None = None
    _hub: Hub | None = None
    _events: EventSink | None = None
    _connection: Connection | None = None
    _starting: asyncio.Task[None] | None = None

    # --- life, as jupyter_server calls it ---------------------------------------------------------

    def _link_jupyter_server_extension(self, serverapp: Any) -> None:
        """Read the configuration. A mistake in ours must not keep the server from starting."""
        try:
            super()._link_jupyter_server_extension(serverapp)
        except (TraitError, SystemExit) as error:
            # traitlets ends the process for a bad config file; the reason is the context.
            reason = error.__context__ if isinstance(error, SystemExit) else error
            self._bad_config = BadConfiguration(
                f"GPU Workbench's configuration is wrong: {reason or error}",
                "Correct it in the Jupyter server's configuration and start the server again.",
            )
            self.serverapp = serverapp
            self._linked = True

    def initialize_settings(self) -> None:
        self.workbench = Workbench(LocalIdentity(), new_token())
        self.settings[SETTING] = self.workbench

    def initialize_handlers(self) -> None:
        # First, so that the catch-all of the rest does not take it.
        self.handlers.append((wire.BASE_PATH + LIVE_PATH, LiveSocket))
        self.handlers.extend([*dashboard_handlers(), *board_handlers()])
        self.handlers.extend(http_handlers())

    async def _start_jupyter_server_extension(self, serverapp: Any) -> None:
        """The loop runs and the port is known: compose, in a thread."""
        attach(self.log)
        self._hub = Hub(self._look, self._watch, self._unwatch, windows=self.live_windows)
        soon = asyncio.get_running_loop().call_soon_threadsafe
        self._events = AuditEvents(self._hub, serverapp.event_logger, soon)
        serverapp.web_app.settings[HUB_SETTING] = self._hub
        self._starting = asyncio.create_task(self._come_up())

    async def stop_extension(self) -> None:
        """A clean stop: give back what our kernels hold, leave clusters and jobs running."""
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.gather(self._starting, return_exceptions=True)
        if self._connection is not None:
            self._connection.withdraw()
        self.workbench.close()
        if self._hub is not None:
            await self._hub.close()
        running, self._running = self._running, None
        if running is not None:
            await asyncio.get_running_loop().run_in_executor(None, running.close)

    def current_activity(self) -> dict[str, int] | None:
        """Clusters and jobs that run keep an otherwise idle server up: it does their heartbeats."""
        detached = self._running.detached() if self._running is not None else 0
        return {"clusters and jobs": detached} if detached else None

    # --- coming up --------------------------------------------------------------------------------

    def read_settings(self) -> Settings:
        """The traits as a frozen value. Raises `BadConfiguration`."""
        if self._bad_config is not None:
            raise self._bad_config
        return Settings(
            data_dir=Path(self.data_dir).expanduser().absolute(),
            devices=cast(Devices, self.devices),
            fleet_file=_path(self.fleet_file),
            policy_file=_path(self.policy_file),
            store_url=self.store_url,
            user_limits=dict(self.user_limits),
            group_limits=dict(self.group_limits),
            default_user_limit=self.default_user_limit,
            default_group_limit=self.default_group_limit,
            lease_ttl=self.lease_ttl,
            default_seconds=self.default_seconds,
            max_seconds=self.max_seconds,
            idle_seconds=self.idle_seconds,
            claim_seconds=self.claim_seconds,
            whole_gpus=self.whole_gpus,
            fractions=tuple(self.fractions),
            grace_seconds=self.grace_seconds,
            job_days=self.job_days,
            job_gigabytes=self.job_gigabytes,
            restart_seconds=self.restart_seconds,
            rapids_environment=_path(self.rapids_environment),
            warm_start=self.warm_start,
            ucx=self.ucx,
            tick_seconds=self.tick_seconds,
        )

    async def _come_up(self) -> None:
        """Compose; where another server or a full disk is in the way, try again until it works."""
        while True:
            try:
                await self._compose(self.read_settings())
                return
            except WorkbenchError as trouble:
                if self.workbench.trouble is None or str(self.workbench.trouble) != str(trouble):
                    self.log.warning("GPU Workbench is out of order: %s %s", trouble, trouble.hint)
                self.workbench.down(trouble)
                if not isinstance(trouble, BrokerBusy | StoreTrouble):
                    return
            except Exception:
                self.log.exception("GPU Workbench could not start")
                self.workbench.down(
                    WorkbenchError("GPU Workbench could not start.", "The server's log says why.")
                )
                return
            await asyncio.sleep(RETRY_SECONDS)

    async def _compose(self, settings: Settings) -> None:
        loop, serverapp = asyncio.get_running_loop(), cast(Any, self.serverapp)
        assert self._hub is not None and self._events is not None
        connection = Connection(Path(serverapp.runtime_dir), self.workbench.kernel_token)
        # Kernels, clusters and jobs inherit whose leases theirs are.
        os.environ[wire.BROKER_ENV] = broker_name(settings.data_dir)
        environment = environment_for_holder(
            os.environ | {wire.CONNECTION_ENV: str(connection.path)}
        )
        composing = loop.run_in_executor(
            None,
            compose,
            settings,
            self._events,
            self._hub.sample,
            serverapp.kernel_manager,
            loop,
            environment,
        )
        try:
            self._running = await asyncio.shield(composing)
        except asyncio.CancelledError:  # stopped while starting: nothing may stay behind
            (await composing).close()
            raise
        # Only now: the kernels of a server that manages nothing find the one that does.
        self._connection = connection
        connection.publish(
            local_url(
                ip=serverapp.ip,
                port=serverapp.port,
                base_url=serverapp.base_url,
                tls=bool(serverapp.certfile),
            )
        )
        self.workbench.up(self._running.services)
        self.log.info("GPU Workbench: %s", self._running.summary)
        if settings.rapids_environment is not None:
            manager = cast(Any, self.serverapp).kernel_spec_manager
            # Their default is made at the first look. Two threads at once would each make one, and
            # what is added to the one be lost.
            assert manager.kernel_dirs is not None
            await loop.run_in_executor(None, self._offer_rapids, settings, manager)

    def _offer_rapids(self, settings: Settings, manager: Any) -> None:
        """It is an extra: without it all else works."""
        assert settings.rapids_environment is not None
        try:
            offer(manager, settings.rapids_environment, settings.data_dir / "kernels")
        except (NotOffered, NoSuchKernel, OSError) as error:
            self.log.warning("GPU Workbench offers no kernel with RAPIDS: %s", error)

    # --- what the hub asks of the services --------------------------------------------------------

    async def _look(self, who: Any, news: Any) -> list[Message]:
        services: Services = await self.workbench.services()
        views = Views(services)
        if news is None:
            return await self.workbench.on_holders(views.everything, who)
        return await self.workbench.on_holders(views.changed, who, news)

    def _watch(self) -> None:
        if self._running is not None:
            self._running.services.telemetry.watch()

    def _unwatch(self) -> None:
        if self._running is not None:
            self._running.services.telemetry.unwatch()


def _path(text: str) -> Path | None:
    return Path(text).expanduser() if text else None


main = launch_new_instance = GpuWorkbenchApp.launch_instance
