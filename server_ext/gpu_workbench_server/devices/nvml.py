"""Real GPUs: `ports.DeviceBackend` over NVML. Holds the connection to the driver and the locks.

A GPU that is lost is reported so and the rest goes on; a driver that went away is looked for again.
Knows leases only as what to attribute processes to.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pynvml

from ..domain.fleet import Gpu
from ..domain.leases import Slice
from ..domain.readings import (
    DeviceProcess,
    GpuReading,
    HardwareError,
    ProcessKind,
    Reading,
    SliceReading,
)
from ..domain.repartition import Layout
from ..errors import CanNotCut, NoDevices
from ..ports import Held
from ..procscan import EnvironScanner
from .nvml_fast import lost_gpu, read_gpu, read_slice
from .nvml_inventory import Device, read_devices
from .nvml_library import DriverGone, GpuLost, NvmlLibrary, ask
from .nvml_mig import cut
from .nvml_processes import (
    Listed,
    OnDevice,
    is_mps_server,
    is_on,
    list_processes,
    owner_here,
    slice_of,
)
from .nvml_slow import SlowLane
from .processes import Owner, ProcessTable, partners

AGAIN_SECONDS = 5.0
"""How often a driver that does not start is tried by `read` and `processes_of`."""


class NvmlBackend:
    """Implements `ports.DeviceBackend`; safe to call from several threads.

    `library` is another NVML library than the system's; `broker` is what `BROKER_ENV` says in
    processes of ours. The driver is looked for at the first call, and again at every `inventory`
    that found none.

    Two locks: `_slow_lock` for the slow lane, which may block in the driver, and for leaving the
    library; `_lock` for all the rest. Who needs both takes `_lock` first.
    """

    simulated = False

    def __init__(self, library: Path | None = None, broker: str = "") -> None:
        self._library = NvmlLibrary(library)
        self._lock = threading.RLock()
        self._slow_lock = threading.Lock()
        self._table = ProcessTable(EnvironScanner(broker))
        self._slow = SlowLane()
        self._devices: list[Device] = []
        self._connected = False
        self._refused: NoDevices | None = None
        self._refused_at = 0.0

    def inventory(self) -> Sequence[Gpu]:
        with self._lock:
            try:
                self._connect()
                return self._look()
            except DriverGone:  # under us: what does it say to somebody new?
                self._disconnect()
                self._connect()
                return self._look()

    def read(self, held: Sequence[Held]) -> Reading:
        with self._lock:
            self._devices_now()
            told = self._slow.told()
            # Looking for them costs more than all the rest: only where something runs.
            some = any(one.processes for one in told.listed.values())
            owners = self._table.owners(held) if some else {}
            shared = partners(held) if some else {}
            gpus: list[GpuReading] = []
            slices: list[SliceReading] = []
            processes: list[DeviceProcess] = []
            try:
                for device in self._devices:
                    here = _slices_on(device, held)
                    try:
                        gpu = read_gpu(device, told)
                        ran = told.listed.get(device.gpu.uuid)
                        found = (
                            None if ran is None else self._named(device, ran, here, owners, shared)
                        )
                        parts = [read_slice(device, gpu, one, found, told) for _, one in here]
                    except GpuLost:
                        gpus.append(lost_gpu(device, told))
                        slices += [SliceReading(one.id) for _, one in here]
                        continue
                    gpus.append(gpu)
                    slices += parts
                    processes += found or ()
            except DriverGone:
                self._disconnect()
                raise
            return Reading(tuple(gpus), tuple(slices), tuple(processes))

    def read_slow(self) -> Sequence[HardwareError]:
        """One round of the slow lane; nothing where the driver is not there: `read` says so."""
        with self._slow_lock:
            if self._connected:
                with suppress(DriverGone):
                    self._slow.look(self._devices)
            return self._slow.take_errors()

    def processes_of(self, lease: Held) -> list[int]:
        """Pids that the driver shows on the lease's slices, and live ones that carry its id.

        On a whole GPU or a MIG instance everybody's compute processes count; what only draws there
        (a desktop's X server), and what runs on another part of a shared GPU, counts only if it
        belongs to the lease. Pids are the host's, also in a container.
        """
        with self._lock:
            self._devices_now()
            owners = self._table.owners([lease])
            tagged = self._table.owners([Held(lease.lease_id, lease.slices, {})])
            found = {pid for pid in tagged if self._table.alive(pid)}
            devices = {device.gpu.uuid: device for device in self._devices}
            for one in lease.slices:
                device = devices.get(one.gpu)
                if device is None or device.gpu.health == "lost":
                    continue
                try:
                    listed = list(list_processes(device))
                except GpuLost:
                    continue
                except DriverGone:
                    self._disconnect()
                    raise
                for process in listed:
                    exclusive = one.kind != "fraction" and not process.graphics
                    if not is_on(one, process, device):
                        continue
                    if process.pid in owners or (exclusive and not is_mps_server(process.pid)):
                        found.add(process.pid)
            return sorted(found)

    def repartition(self, uuid: str, layout: Layout) -> None:
        """Cut an idle GPU anew; the next `inventory` shows it. Never one with a process on it."""
        with self._lock:
            self.inventory()
            device = next((one for one in self._devices if one.gpu.uuid == uuid), None)
            if device is None or device.gpu.health == "lost":
                raise CanNotCut(f"The driver shows no GPU {uuid} now.", "List the fleet.")
            if not device.gpu.mig:
                raise CanNotCut(
                    f"{device.gpu.name} is not in MIG mode.",
                    f"As root, while nobody uses it: nvidia-smi -i {uuid} -mig 1",
                )
            running = sorted({process.pid for process in list_processes(device)})
            if running:
                raise CanNotCut(
                    f"{device.gpu.name} is in use, by {', '.join(map(str, running))}.",
                    "Wait until nothing runs on it, then try again.",
                )
            before = tuple((one.profile, one.start) for one, _ in device.instances.values())
            cut(device.handle.raw, uuid, before, layout)

    def close(self) -> None:
        with self._lock:
            self._disconnect()
            self._devices = []
            self._refused = None

    # --- the connection -----------------------------------------------------------------------

    def _devices_now(self) -> None:
        """Connected, and knowing the GPUs; `NoDevices` where that can't be."""
        if self._refused is not None and time.monotonic() - self._refused_at < AGAIN_SECONDS:
            raise self._refused
        if not self._connected or not self._devices or self._slow.moved:
            self.inventory()

    def _connect(self) -> None:
        if self._connected:
            return
        try:
            self._library.start()
        except NoDevices as error:
            self._refused, self._refused_at = error, time.monotonic()
            raise
        self._refused = None
        self._connected = True

    def _disconnect(self) -> None:
        """What is known of the GPUs stays; what they don't tell is asked again."""
        with self._slow_lock:
            self._connected = False
            self._slow.close()
            self._library.stop()
        for device in self._devices:
            for handle in (device.handle, *(one for _, one in device.instances.values())):
                handle.forget()

    def _look(self) -> Sequence[Gpu]:
        if ask(pynvml.nvmlDeviceGetCount) is None:
            raise DriverGone("The NVIDIA driver does not count its GPUs.", "See `nvidia-smi -L`.")
        self._slow.moved = False
        self._devices = read_devices(self._devices)
        if not self._devices:
            raise NoDevices(
                "The NVIDIA driver runs, but shows no GPU.",
                "See `nvidia-smi -L`; in a container, start it with the GPUs.",
            )
        return [device.gpu for device in self._devices]

    # --- processes ----------------------------------------------------------------------------

    def _named(
        self,
        device: Device,
        listed: Listed,
        here: Sequence[tuple[int, Slice]],
        owners: dict[int, Owner],
        shared: dict[int, set[int]],
    ) -> list[DeviceProcess]:
        busy = listed.activity
        found: list[DeviceProcess] = []
        for process in listed.processes:
            known = owners.get(process.pid)
            owner = owner_here(process, device, here, known, shared)
            one = slice_of(process, device, here, owner)
            instance = device.instances.get(-1 if process.gi is None else process.gi)
            found.append(
                DeviceProcess(
                    pid=process.pid,
                    gpu=device.gpu.uuid,
                    memory_bytes=process.memory_bytes,
                    activity=None if busy is None else busy.get(process.pid, 0.0),
                    instance=None if instance is None else instance[0].uuid,
                    slice_id=None if one is None else one.id,
                    lease_id=None if owner is None else owner.lease_id,
                    kind=_kind(process, owner),
                    command=None if owner is not None else self._table.command(process.pid),
                    started=self._table.started(process.pid),
                )
            )
        return found


def _kind(process: OnDevice, owner: Owner | None) -> ProcessKind:
    if process.graphics:
        return "graphics"
    served = process.mps or (owner is None and is_mps_server(process.pid))
    return "mps" if served else "compute"


def _slices_on(device: Device, held: Sequence[Held]) -> list[tuple[int, Slice]]:
    """Leased slices of this GPU, with their leases' ids."""
    return [
        (lease.lease_id, one)
        for lease in held
        for one in lease.slices
        if one.gpu == device.gpu.uuid
    ]
