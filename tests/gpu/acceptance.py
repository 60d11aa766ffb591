"""What is shown on a real GPU, with the product's own parts and no server: the inventory, a lease
and a kernel's environment on each kind of slice, the sampler, a job, and a Dask cluster.

Runs with plain Python: torch, nvidia-ml-py, psutil, msgspec and cloudpickle, nothing of Jupyter;
the cluster with distributed, and on a GPU dask-cuda, rmm and cupy.
Each finding is a row (ok, FAIL or unknown, with what was seen); any FAIL makes it exit 1.
`--simulated` rehearses the same steps without a GPU and writes nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from clusters import two_on_one_gpu
from findings import Rows, nvidia_smi, shown_devices
from loads import compare
from programs import IN_A_KERNEL, job_function
from trains import train
from workplace import WHO, Workplace

from gpu_workbench import protocol as wire
from gpu_workbench.attach import slice_environment
from gpu_workbench_server.devices.nvml import NvmlBackend
from gpu_workbench_server.devices.simulated import SimulatedBackend
from gpu_workbench_server.errors import NoDevices
from gpu_workbench_server.ports import DeviceBackend

GIB = 1 << 30
KERNEL_SECONDS = 120
"""After which a program that hangs is killed."""


def main(arguments: list[str], results: Path) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parts = ("all", "telemetry", "training", "clusters")
    parser.add_argument("what", nargs="?", default="all", choices=parts)
    parser.add_argument("--simulated", action="store_true", help="rehearse without a GPU")
    options = parser.parse_args(arguments)
    broker = f"acceptance-{os.getpid()}"
    devices: DeviceBackend = NvmlBackend(broker=broker)
    if options.simulated:
        devices = SimulatedBackend(broker=broker)
    try:
        gpus = devices.inventory()
    except NoDevices as error:
        print(f"No GPU here, nothing to accept: {error.message}")
        return 0
    rows = Rows()
    began = time.monotonic()
    if options.what in ("all", "telemetry"):
        attempt(rows, "telemetry", compare, devices)
    if options.what == "telemetry":
        devices.close()
        return _verdict(rows, began)
    with tempfile.TemporaryDirectory() as directory:
        place = Workplace(devices, broker, Path(directory))
        try:
            if options.what == "training":
                attempt(rows, "training", train, place)
                return _verdict(rows, began)
            if options.what == "clusters":
                attempt(rows, "cluster", two_on_one_gpu, place)
                return _verdict(rows, began)
            offered = [one.name for one in place.broker.fleet(WHO).pools[0].profiles]
            largest = "whole" if "whole" in offered else offered[-1]
            attempt(rows, "inventory", _inventory, place)
            for profile in offered:
                attempt(rows, profile, _kernel, place, profile)
            attempt(rows, "job, 1 rank", _job, place, 1, largest)
            attempt(rows, "job, 2 ranks", _job, place, 2, offered[0])
            attempt(rows, "training", train, place)
            if find_spec("distributed") is not None:
                attempt(rows, "cluster", two_on_one_gpu, place)
            attempt(rows, "ledger", _ledger, place)
        finally:
            place.close()
    verdict = _verdict(rows, began)
    if not options.simulated:
        told = nvidia_smi() or []
        facts = {
            "date": time.strftime("%Y-%m-%d", time.gmtime()),
            "devices": [gpu.model for gpu in gpus],
            "driver": told[0]["driver_version"] if told else None,
            "python": sys.version.split()[0],
            "seconds": round(time.monotonic() - began),
        }
        rows.write(results, facts)
        print(f"written: {results}")
    return verdict


def _verdict(rows: Rows, began: float) -> int:
    print(f"{len(rows.rows)} findings, {rows.failed} failed, {time.monotonic() - began:.0f} s")
    return 1 if rows.failed else 0


def attempt(rows: Rows, section: str, part: Callable[..., None], *arguments: Any) -> None:
    """One section; what goes wrong in it is a finding and keeps no other from being made."""
    try:
        part(rows, *arguments)
    except Exception as error:
        traceback.print_exc()
        rows.check(section, "went through", False, f"{type(error).__name__}: {error}")


def _inventory(rows: Rows, place: Workplace) -> None:
    gpus = place.devices.inventory()
    rows.check("inventory", "GPUs seen", bool(gpus), ", ".join(gpu.model for gpu in gpus))
    told = None if place.devices.simulated else nvidia_smi()
    if told is None:
        rows.check("inventory", "the same as nvidia-smi says", None, "nvidia-smi does not run")
    else:
        for gpu, line in zip(gpus, told, strict=False):
            same = (gpu.uuid, gpu.model) == (line["uuid"], line["name"])
            memory = abs(gpu.memory_bytes / (1 << 20) - float(line["memory.total"])) < 2
            mig = gpu.mig == (line["mig.mode.current"] == "Enabled")
            seen = f"{gpu.uuid} {gpu.memory_bytes >> 20} MiB, label {gpu.memory_gb:g} GB"
            rows.check(
                "inventory", f"{gpu.name}: as nvidia-smi says", same and memory and mig, seen
            )
        rows.check("inventory", "as many as nvidia-smi says", len(gpus) == len(told), len(told))
        shown = shown_devices() or set()
        instances = {one.uuid for gpu in gpus for one in gpu.instances}
        rows.check("inventory", "MIG instances are listed", instances <= shown, len(instances))
    for gpu in gpus:
        seen = f"numa {gpu.numa}, island {gpu.island}, {len(gpu.cpus)} CPUs"
        rows.check("inventory", f"{gpu.name}: its place", None if gpu.numa is None else True, seen)
    began = time.perf_counter()
    looks = 20
    for _ in range(looks):
        reading = place.devices.read([])
    each = (time.perf_counter() - began) / looks * 1000
    first = reading.gpus[0]
    rows.check("sampler", "one look at all GPUs, ms", each < 250, f"{each:.2f}")
    for name in ("activity", "memory_bytes", "power_watts", "temperature_c"):
        value = getattr(first, name)
        rows.check("sampler", f"gpu0: {name}", None if value is None else True, value)


def _kernel(rows: Rows, place: Workplace, profile: str) -> None:
    """A lease, a process with the environment that its kernel would get, and the way back."""
    lease = place.lease(profile)
    slice_ = lease.slices[0]
    rows.check(profile, "granted; its isolation tier", lease.state == "active", slice_.tier)
    tags = slice_environment(lease)
    kernel = subprocess.Popen(
        [sys.executable, "-c", IN_A_KERNEL],
        env=place.environment | tags,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert kernel.stdin is not None and kernel.stdout is not None
    watchdog = threading.Timer(KERNEL_SECONDS, kernel.kill)
    watchdog.start()
    try:
        found = _line(kernel.stdout.readline())
        _sees_its_device(rows, place, profile, slice_, found)
        _is_attributed(rows, place, profile, lease, kernel.pid)
        kernel.stdin.write("\n")
        kernel.stdin.flush()
        beyond = _line(kernel.stdout.readline()).get("beyond")
        if slice_.kind == "fraction" and not place.devices.simulated:
            rows.check(
                profile, "more than its share of memory is refused", beyond == "refused", beyond
            )
        rows.check(
            profile, "the program ended well", kernel.wait(timeout=60) == 0, kernel.returncode
        )
    finally:
        watchdog.cancel()
        kernel.kill()
        kernel.wait()
        took = place.give_back(lease)
        rows.check(profile, "given back; free again after, s", took < 30, f"{took:.1f}")


def _sees_its_device(
    rows: Rows, place: Workplace, profile: str, slice_: wire.Slice, found: dict[str, Any]
) -> None:
    rows.check(
        profile,
        "CUDA_VISIBLE_DEVICES names its one device",
        found.get("visible") == slice_.visible_device,
        found.get("visible") or "(empty)",
    )
    if place.devices.simulated:
        rows.check(profile, "torch sees no GPU", found.get("count") == 0, found.get("torch"))
        return
    rows.check(profile, "torch sees exactly one device", found.get("count") == 1, found.get("name"))
    uuid = str(found.get("uuid") or "")
    # Of a MIG instance torch may tell the instance's UUID or its parent's, with or without prefix.
    known = [slice_.visible_device, slice_.gpu]
    same = any(uuid.split("-", 1)[-1] in one for one in known) if len(uuid) > 8 else None
    if slice_.kind == "mig" and not same:
        same = None
    rows.check(profile, "and it is the one that was leased", same, uuid or "torch does not tell")
    total = int(found.get("total") or 0)
    if slice_.kind != "fraction":
        near = abs(total - slice_.memory_bytes) < 0.05 * slice_.memory_bytes
        rows.check(profile, "with the memory of the lease", near, f"{total / GIB:.1f} GiB")


def _is_attributed(rows: Rows, place: Workplace, profile: str, lease: wire.Lease, pid: int) -> None:
    held = next(one for one in place.reaper.held() if one.lease_id == lease.id)
    rows.check(profile, "in use while it runs", pid in place.devices.processes_of(held), pid)
    place.devices.read_slow()  # lists what runs there
    seen = [one for one in place.devices.read([held]).processes if one.pid == pid]
    if not seen:  # in a container the driver tells the host's pids
        rows.check(profile, "the driver shows its process", None, "not under this pid")
        return
    rows.check(profile, "the driver shows its process", seen[0].lease_id == lease.id, pid)
    memory = seen[0].memory_bytes
    least = GIB // 4 if place.devices.simulated else GIB
    rows.check(profile, "and its memory", None if memory is None else memory >= least, memory)


def _job(rows: Rows, place: Workplace, ranks: int, profile: str) -> None:
    section = f"job, {ranks} rank{'s' if ranks > 1 else ''}"
    began = time.monotonic()
    job = place.launch(job_function(), (5.0,), ranks=ranks, per_rank=profile, seconds=600)
    rows.check(section, f"on {profile}", job.state == "succeeded", f"{job.state}: {job.message}")
    found = place.result(job)
    if not isinstance(found, dict):
        rows.check(section, "its result", False, place.jobs.logs(WHO, job.id, 0, "err", 0).text)
        return
    wanted, count = ("cpu", 0) if place.devices.simulated else ("cuda", 1)
    rows.check(section, "a rank sees its one device", found["count"] == count, found["visible"])
    rows.check(section, "trained on", found["device"] == wanted, found["device"])
    rows.check(section, "all ranks met", found["met"] == ranks, found["met"])
    falls = found["last"] < found["first"]
    rows.check(section, "the loss falls", falls, f"{found['first']:.3f} → {found['last']:.3f}")
    rows.check(section, "steps", found["steps"] >= 5, found["steps"])
    rows.check(section, "from launch to its end, s", True, f"{time.monotonic() - began:.1f}")


def _ledger(rows: Rows, place: Workplace) -> None:
    place.until(lambda: not place.broker.alive(), 60, "everything is given back")
    usage = place.broker.usage(WHO)
    rows.check("ledger", "held, GPU-seconds", usage.held_gpu_seconds > 0, usage.held_gpu_seconds)
    used = usage.used_gpu_seconds
    rows.check("ledger", "used, GPU-seconds", None if used is None else used > 0, used)


def _line(text: str) -> dict[str, Any]:
    """What the program said; empty where it died first (its stderr is above)."""
    found = json.loads(text) if text.strip() else {}
    return found if isinstance(found, dict) else {}
