"""`nvitop` and `nvidia-ml-py` see the same numbers from the fake driver as our backend reports."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from gpu_workbench_server.compose import SystemClock
from gpu_workbench_server.devices.nvml import NvmlBackend
from gpu_workbench_server.ports import Held
from gpu_workbench_server.services.telemetry import Telemetry
from tests.fakes.nvml import FakeDriver, FakeGpu, Installed, h100_layout, install
from tests.support.devices import slice_of

PYNVML = """
import json, pynvml as n
n.nvmlInit()
out = []
for i in range(n.nvmlDeviceGetCount()):
    h = n.nvmlDeviceGetHandleByIndex(i)
    mig = n.nvmlDeviceGetMigMode(h)[0]
    out.append(dict(
        uuid=n.nvmlDeviceGetUUID(h),
        activity=None if mig else n.nvmlDeviceGetUtilizationRates(h).gpu / 100,
        memory_bytes=n.nvmlDeviceGetMemoryInfo(h, n.nvmlMemory_v2).used,
        power_watts=n.nvmlDeviceGetPowerUsage(h) / 1000,
        temperature_c=float(n.nvmlDeviceGetTemperature(h, 0)),
        sm_clock_mhz=n.nvmlDeviceGetClockInfo(h, n.NVML_CLOCK_SM),
        memory_clock_mhz=n.nvmlDeviceGetClockInfo(h, n.NVML_CLOCK_MEM),
        encoder=None if mig else n.nvmlDeviceGetEncoderUtilization(h)[0] / 100,
        decoder=None if mig else n.nvmlDeviceGetDecoderUtilization(h)[0] / 100,
        ecc_uncorrected=n.nvmlDeviceGetTotalEccErrors(h, 1, 0),
        energy_joules=n.nvmlDeviceGetTotalEnergyConsumption(h) / 1000,
        pcie_tx_bytes_s=n.nvmlDeviceGetPcieThroughput(h, 0) * 1024.0,
    ))
print(json.dumps(out))
"""

NVITOP = """
import json
from nvitop import Device, MigDevice, NA
known = lambda value: None if value is NA else value
out = []
for d in Device.all():
    out.append(dict(
        uuid=d.uuid(),
        activity=None if d.gpu_utilization() is NA else d.gpu_utilization() / 100,
        memory_bytes=known(d.memory_used()),
        power_watts=known(d.power_usage()) / 1000,
        temperature_c=float(d.temperature()),
        sm_clock_mhz=known(d.sm_clock()),
        memory_clock_mhz=known(d.memory_clock()),
        encoder=None if d.encoder_utilization() is NA else d.encoder_utilization() / 100,
        decoder=None if d.decoder_utilization() is NA else d.decoder_utilization() / 100,
        instances={m.uuid(): m.memory_used() for m in d.mig_devices()},
    ))
print(json.dumps(out))
"""


@pytest.fixture
def fake(tmp_path: Path) -> Installed:
    instances = h100_layout()
    for at, one in enumerate(instances):
        one.used = (at + 1) << 30
    busy = FakeGpu(
        used=20 << 30,
        reserved=500 << 20,
        activity=87,
        power_mw=512_250,
        temperature=71,
        sm_clock=1755,
        encoder=12,
        decoder=34,
        ecc_uncorrected=3,
        energy_mj=987_654,
        pcie_kbps=4096,
    )
    return install(FakeDriver(gpus=[busy, FakeGpu(used=10 << 30, instances=instances)]), tmp_path)


def said(program: str, fake: Installed) -> list[dict[str, Any]]:
    """What a program says that meets the fake driver as if it were the machine's."""
    env = {**os.environ, "LD_LIBRARY_PATH": str(fake.directory)}
    command = [sys.executable, "-c", program]
    run = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    return list(json.loads(run.stdout.splitlines()[-1]))


@pytest.mark.parametrize("program", [PYNVML, NVITOP], ids=["nvidia-ml-py", "nvitop"])
def test_our_figures_are_theirs(fake: Installed, program: str) -> None:
    theirs = said(program, fake)
    backend = NvmlBackend(fake.library)
    cut = backend.inventory()[1]
    seen: Counter[str] = Counter()
    slices = []
    for one in cut.instances:
        slices.append(slice_of(cut, f"mig-{one.profile}", one.uuid, seen[one.profile]))
        seen[one.profile] += 1
    held = [Held(1, tuple(slices), {})]
    telemetry = Telemetry(backend, lambda: held, SystemClock(), lambda sample: None)
    for _ in range(2):
        telemetry.tick_slow()
        ours = telemetry.tick()  # what the API answers with
    backend.close()
    for their, our in zip(theirs, ours.gpus, strict=True):
        instances = their.pop("instances", {})
        if our.uuid == cut.uuid:
            their.pop("activity")  # ours comes from GPM, which they don't ask
            told = {one.slice_id: one.memory_bytes for one in ours.slices}
            assert not instances or told == instances
        rate = their.pop("pcie_tx_bytes_s", None)
        if rate is not None and our.pcie_tx_bytes_s is not None:  # None: no two samples of GPM
            assert our.pcie_tx_bytes_s == pytest.approx(rate, rel=0.02)  # over real time
        assert {name: getattr(our, name) for name in their} == pytest.approx(their, abs=1e-3)
