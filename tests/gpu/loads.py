"""`accept telemetry`: our figures beside nvidia-smi's for an idle GPU, a copy-bound and a
matrix-bound load, GPM included, and how long a sample takes. Without torch's GPU: a rehearsal."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable

from findings import Rows

from gpu_workbench_server.domain.readings import GpuReading
from gpu_workbench_server.ports import DeviceBackend

_COPY = "import torch; a=torch.empty(1<<30,dtype=torch.uint8,device='cuda'); b=a.clone()\n"
_MATRIX = "import torch; a=torch.randn(8192,8192,dtype=torch.half,device='cuda')\n"
_AGAIN = "while True:\n for _ in range(50): {}\n torch.cuda.synchronize()\n"
PROGRAMS = {
    "idle": None,
    "copy": _COPY + _AGAIN.format("b.copy_(a)"),
    "matrix": _MATRIX + _AGAIN.format("a @ a"),
}
WARM_SECONDS = 15.0

_Figure = Callable[[GpuReading], float | None]
_SMI: dict[str, tuple[_Figure, Callable[[float], float]]] = {
    "utilization.gpu": (lambda one: _times(one.activity, 100), lambda smi: 15.0),
    "memory.used": (lambda one: _times(one.memory_bytes, 1 / (1 << 20)), lambda smi: 64.0),
    "power.draw": (lambda one: one.power_watts, lambda smi: max(15.0, 0.15 * smi)),
    "temperature.gpu": (lambda one: one.temperature_c, lambda smi: 3.0),
    "clocks.sm": (lambda one: one.sm_clock_mhz, lambda smi: 0.1 * smi),
    "clocks.mem": (lambda one: one.memory_clock_mhz, lambda smi: 0.1 * smi),
}  # what nvidia-smi calls it: ours in its unit, and how far they may be apart

_PROFILE: dict[str, list[tuple[str, str, Callable[[float], bool]]]] = {
    "idle": [("sm_activity", "< 5 %", lambda share: share < 0.05)],
    "copy": [
        ("dram_activity", "> 40 %", lambda share: share > 0.4),
        ("tensor_activity", "< 5 %", lambda share: share < 0.05),
    ],
    "matrix": [
        ("sm_activity", "> 50 %", lambda share: share > 0.5),
        ("tensor_activity", "> 20 %", lambda share: share > 0.2),
    ],
}


def compare(rows: Rows, devices: DeviceBackend) -> None:
    """All loads, one after the other, on the first GPU."""
    for load, program in PROGRAMS.items():
        if devices.simulated:
            rows.check(load, "beside nvidia-smi", None, "not run: there is no GPU here")
            continue
        child = program and subprocess.Popen([sys.executable, "-c", program])
        try:
            time.sleep(WARM_SECONDS if child else 2.0)
            if child and child.poll() is not None:
                rows.check(load, "the load runs", False, f"exit status {child.returncode}")
                continue
            _one_load(rows, load, devices)
        finally:
            if child:
                child.kill()
                child.wait()
    _time_it(rows, devices)


def _one_load(rows: Rows, load: str, devices: DeviceBackend) -> None:
    devices.read_slow()
    time.sleep(1.0)
    devices.read_slow()
    our, told = devices.read([]).gpus[0], _nvidia_smi()
    for name, (value, apart) in _SMI.items():
        ours, smi = value(our), told.get(name)
        if ours is None or smi is None:
            rows.check(load, name, None, f"ours {ours}, nvidia-smi {smi}")
        else:
            seen = f"ours {ours:.0f}, nvidia-smi {smi:.0f}"
            rows.check(load, f"{name} as nvidia-smi says", abs(ours - smi) <= apart(smi), seen)
    for field, bound, holds in _PROFILE[load]:
        share = getattr(our, field)
        seen = "not told" if share is None else f"{share:.0%}"
        rows.check(load, f"{field} {bound} (GPM)", None if share is None else holds(share), seen)


def _time_it(rows: Rows, devices: DeviceBackend) -> None:
    for lane, look in (
        ("a sample", lambda: devices.read([])),
        ("the slow lane", devices.read_slow),
    ):
        took = []
        for _ in range(20):
            began = time.perf_counter()
            look()
            took.append(time.perf_counter() - began)
            time.sleep(0.11)  # as close as GPM allows
        seen = f"median {statistics.median(took) * 1e3:.1f} ms, most {max(took) * 1e3:.1f} ms"
        fast = None if devices.simulated else statistics.median(took) < 0.1
        rows.check("time", f"{lane} takes less than 100 ms", fast, seen)


def _times(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


def _nvidia_smi() -> dict[str, float]:
    query = f"--query-gpu={','.join(_SMI)}"
    argv = ["nvidia-smi", "-i", "0", query, "--format=csv,noheader,nounits"]
    try:
        run = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return {}
    found: dict[str, float] = {}
    for name, text in zip(_SMI, run.stdout.strip().split(", "), strict=False):
        try:
            found[name] = float(text)
        except ValueError:  # [N/A]
            continue
    return found
