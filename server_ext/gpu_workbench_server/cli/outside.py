"""What commands need of the store and the devices: the command line's composition root.

The only module of the command line that knows them; nothing here changes anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ..domain.fleet import Gpu
from ..ports import Store


@contextmanager
def opened_store(data_dir: Path) -> Iterator[Store]:
    """The server's store, for reading, also while the server runs. Raises `StoreTrouble`."""
    from ..store.sql import SqlStore

    store = SqlStore.open(data_dir, read_only=True)
    try:
        yield store
    finally:
        store.close()


def store_file(data_dir: Path) -> Path:
    from ..store import FILE_NAME

    return data_dir / FILE_NAME


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
