"""What commands need of the store and the devices: the command line's composition root.

The only module of the command line that knows them; nothing here changes anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ..domain.fleet import Gpu
from ..errors import BadConfiguration, WorkbenchError
from ..settings import Settings

if TYPE_CHECKING:
    from ..store.sql import SqlStore


def settings(data_dir: Path | None = None) -> Settings:
    """What the Jupyter server of this environment is configured to use, or with the store of
    `data_dir`.

    Reads the configuration files that the server reads, in the same order. Raises
    `BadConfiguration`.
    """
    from jupyter_core.paths import jupyter_config_path
    from traitlets.config import Application, Config

    from ..app import GpuWorkbenchApp

    given = Config()
    try:
        for name in ("jupyter_config", "jupyter_server_config", "jupyter_lab_config"):
            for one, _ in Application._load_config_files(
                name, path=jupyter_config_path(), raise_config_file_errors=True
            ):
                given.merge(one)
        if data_dir is not None:
            given.GpuWorkbenchApp.update(data_dir=str(data_dir), store_url="")
        return GpuWorkbenchApp(config=given).read_settings()
    except WorkbenchError:
        raise
    except Exception as error:  # a configuration file is a program: it may raise anything
        raise BadConfiguration(
            f"Jupyter's configuration can't be read: {error}",
            "Correct it; `jupyter --paths` lists where configuration files are.",
        ) from error


@contextmanager
def opened_store(settings: Settings) -> Iterator[SqlStore]:
    """The server's store, for reading, also while the server runs. Raises `StoreTrouble`."""
    from ..store.sql import SqlStore

    store = SqlStore.open(settings.store_url or settings.data_dir, read_only=True)
    try:
        yield store
    finally:
        store.close()


def missing_store(settings: Settings) -> bool:
    """Whether the store is a file that is not there yet."""
    from ..store import FILE_NAME

    return not settings.store_url and not (settings.data_dir / FILE_NAME).exists()


def real_gpus() -> Sequence[Gpu]:
    """What the NVIDIA driver shows now; `NoDevices` says why there is nothing."""
    from ..devices.nvml import NvmlBackend

    backend = NvmlBackend()
    try:
        return backend.inventory()
    finally:
        backend.close()


def simulated_gpus(fleet: Path | None) -> Sequence[Gpu]:
    """Of a fleet file, or the default fleet; `BadConfiguration` says what is wrong with it."""
    from ..devices.fleet_file import default_fleet, read_fleet

    return default_fleet() if fleet is None else read_fleet(fleet)
