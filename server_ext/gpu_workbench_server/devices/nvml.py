"""Real GPUs: `ports.DeviceBackend` over NVML.

No metric is required: what the driver does not tell is None. A GPU that is lost is reported so and
the rest goes on. Knows leases only as what to attribute processes to.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pynvml

from ..domain.fleet import Gpu
from ..domain.leases import Slice
from ..domain.readings import DeviceProcess, GpuReading, Reading, SliceReading
from ..domain.repartition import Layout
from ..domain.units import PARTS
from ..errors import CanNotCut, NoDevices
from ..ports import Held
from ..procscan import EnvironScanner
from .gpm import Gpm
from .nvml_inventory import Device, read_devices
from .nvml_library import GpuLost, NvmlLibrary, ask
from .nvml_mig import cut
from .nvml_processes import is_mps_server, is_on, list_processes, process_activity, slice_of
from .processes import Owner, ProcessTable


class NvmlBackend:
    """Implements `ports.DeviceBackend`; safe to call from several threads.

    `library` is another NVML library than the system's; `broker` is what `BROKER_ENV` says in
    processes of ours. The driver is looked for at the first call, and again at every `inventory`
    that found none.
    """

    simulated = False

    def __init__(self, library: Path | None = None, broker: str = "") -> None:
        self._library = NvmlLibrary(library)
        self._lock = threading.RLock()
        self._table = ProcessTable(EnvironScanner(broker))
        self._gpm = Gpm()
        self._devices: list[Device] = []

    def inventory(self) -> Sequence[Gpu]:
        with self._lock:
            self._library.start()
            if ask(pynvml.nvmlDeviceGetCount) is None:
                self._library.stop()  # the driver went away under us: what does it say now?
                self._library.start()
            self._devices = read_devices(self._devices)
            if not self._devices:
                raise NoDevices(
                    "The NVIDIA driver runs, but shows no GPU.",
                    "See `nvidia-smi -L`; in a container, start it with the GPUs.",
                )
            return [device.gpu for device in self._devices]

    def read(self, held: Sequence[Held]) -> Reading:
        with self._lock:
            if not self._devices:
                self.inventory()
            owners = self._table.owners(held)
            gpus: list[GpuReading] = []
            slices: list[SliceReading] = []
            processes: list[DeviceProcess] = []
            for device in self._devices:
                here = [
                    (lease.lease_id, one)
                    for lease in held
                    for one in lease.slices
                    if one.gpu == device.gpu.uuid
                ]
                try:
                    gpu = self._read_gpu(device)
                    found = self._read_processes(device, here, owners)
                    parts = [self._read_slice(device, gpu, one, found) for _, one in here]
                except GpuLost:
                    gpus.append(GpuReading(device.gpu.uuid, state="lost"))
                    slices += [SliceReading(one.id) for _, one in here]
                    continue
                gpus.append(gpu)
                slices += parts
                processes += found
            return Reading(tuple(gpus), tuple(slices), tuple(processes))

    def read_slow(self) -> None:
        """Nothing yet that takes time."""

    def processes_of(self, lease: Held) -> list[int]:
        """Pids that the driver shows on the lease's slices, and live ones that carry its id.

        On a whole GPU or a MIG instance everybody's compute processes count; what only draws there
        (a desktop's X server), and what runs on another part of a shared GPU, counts only if it
        belongs to the lease. Pids are the host's, also in a container.
        """
        with self._lock:
            if not self._devices:
                self.inventory()
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
            cut(device.handle, uuid, before, layout)

    def close(self) -> None:
        with self._lock:
            self._gpm.close()
            self._devices = []
            self._library.stop()

    def _read_gpu(self, device: Device) -> GpuReading:
        gpu, handle = device.gpu, device.handle
        if gpu.health == "lost":
            raise GpuLost(gpu.uuid)
        rates = ask(pynvml.nvmlDeviceGetUtilizationRates, handle)
        if rates is not None:
            activity: float | None = rates.gpu / 100
        else:
            activity = self._gpm.activity(gpu.uuid, handle)
        power = ask(pynvml.nvmlDeviceGetPowerUsage, handle)
        celsius = ask(pynvml.nvmlDeviceGetTemperature, handle, pynvml.NVML_TEMPERATURE_GPU)
        return GpuReading(
            uuid=gpu.uuid,
            activity=activity,
            memory_bytes=_used_bytes(handle),
            power_watts=None if power is None else power / 1000,
            temperature_c=None if celsius is None else float(celsius),
        )

    def _read_slice(
        self, device: Device, gpu: GpuReading, one: Slice, processes: Sequence[DeviceProcess]
    ) -> SliceReading:
        if one.kind == "whole":
            return SliceReading(one.id, gpu.activity, gpu.memory_bytes)
        if one.kind == "mig":
            for gi, (instance, handle) in device.instances.items():
                if instance.uuid == one.instance:
                    activity = self._gpm.activity(device.gpu.uuid, device.handle, instance.uuid, gi)
                    return SliceReading(one.id, activity, _used_bytes(handle))
            return SliceReading(one.id)
        mine = [process for process in processes if process.slice_id == one.id]
        if not mine and any(process.lease_id is None for process in processes):
            return SliceReading(one.id)  # it may be one of those that nobody is known to own
        busy = [p.activity for p in mine if p.activity is not None]
        memory = [p.memory_bytes for p in mine if p.memory_bytes is not None]
        return SliceReading(
            slice_id=one.id,
            activity=min(1.0, sum(busy) * PARTS / one.parts) if len(busy) == len(mine) else None,
            memory_bytes=sum(memory) if len(memory) == len(mine) else None,
        )

    def _read_processes(
        self, device: Device, here: Sequence[tuple[int, Slice]], owners: dict[int, Owner]
    ) -> list[DeviceProcess]:
        listed = list(list_processes(device))
        busy = process_activity(device.handle) if listed and not device.gpu.mig else None
        found: list[DeviceProcess] = []
        for process in listed:
            owner = owners.get(process.pid)
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
                )
            )
        return found


def _used_bytes(handle: Any) -> int | None:
    """What is in use, without what the driver reserves where it tells the two apart."""
    memory = ask(pynvml.nvmlDeviceGetMemoryInfo, handle, pynvml.nvmlMemory_v2)
    if memory is None:
        memory = ask(pynvml.nvmlDeviceGetMemoryInfo, handle)
    return None if memory is None else int(memory.used)
