"""Builds the fake driver with the machine's C compiler, and writes what it answers from.

A fake driver is a directory with `libnvidia-ml.so.1` and `nvml.state` side by side. Give the
library's path to `NvmlBackend(library=…)`, or a subprocess the directory in `LD_LIBRARY_PATH`;
never this process, or every test after it would meet GPUs that are not there.

    driver = FakeDriver(gpus=[FakeGpu(), FakeGpu(instances=h100_layout())])
    fake = install(driver, tmp_path)      # writes, builds if need be
    driver.gpus[0].lost = True
    fake.write(driver)                    # seen by the next call
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import uuid
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

HERE = Path(__file__).parent
SOURCES = ("state.c", "system.c", "metrics.c", "mig.c", "processes.c")
FLAGS = ("-std=gnu11", "-D_GNU_SOURCE", "-O1", "-Wall", "-Wextra", "-fPIC", "-shared")
LIBRARIES = ("-Wl,-Bsymbolic", "-ldl")
GIB = 1 << 30
ProcessType = Literal["compute", "graphics", "mps"]


@dataclass
class FakeInstance:
    """A MIG instance; `gi` is its GPU instance id, activity in percent (as GPM tells it)."""

    profile: str
    gi: int
    start: int
    size: int
    slices: int
    memory: int
    sms: int = 16
    ci: int = 0
    used: int = 0
    activity: int = 0
    uuid: str = ""


@dataclass
class FakeGpu:
    """A GPU; activity in percent, power in milliwatts, memory in bytes."""

    model: str = "NVIDIA H100 80GB HBM3"
    memory: int = 81559 << 20
    used: int = 0
    reserved: int = 0
    activity: int = 0
    power_mw: int = 70_000
    power_limit_mw: int = 700_000
    temperature: int = 30
    numa: int = 0
    cpus: int = 0xF
    island: int = -1
    """GPUs of the same island are linked by NVLink; -1 is none."""
    pcie_kbps: int = 1000
    lost: bool = False
    instances: list[FakeInstance] | None = None
    """None where MIG is off; an empty list is MIG without instances."""
    uuid: str = ""


@dataclass
class FakeProcess:
    """`memory` None is "not available", as the real library says in some containers."""

    gpu: int
    pid: int
    memory: int | None = GIB
    gi: int = -1
    ci: int = -1
    type: ProcessType = "compute"
    activity: int = 0


@dataclass
class FakeDriver:
    """Everything the library says. `refuse` maps function names to the code they answer with."""

    gpus: list[FakeGpu] = field(default_factory=list)
    processes: list[FakeProcess] = field(default_factory=list)
    refuse: dict[str, int] = field(default_factory=dict)
    init_code: int = 0
    version: str = "580.159.04"
    cuda: int = 13000
    log: Path | None = None
    """Gets a line "pid function" for each call."""
    pcie_delay_ms: int = 0

    def gpu_uuid(self, index: int) -> str:
        return self.gpus[index].uuid or f"GPU-{uuid.uuid5(uuid.NAMESPACE_DNS, f'fake-{index}')}"

    def instance_uuid(self, index: int, slot: int) -> str:
        given = (self.gpus[index].instances or [])[slot].uuid
        return given or f"MIG-{uuid.uuid5(uuid.NAMESPACE_DNS, f'fake-{index}-{slot}')}"

    def text(self) -> str:
        """The state file: a record a line, spaces in values as underscores."""
        lines = [f"driver {self.version}", f"cuda {self.cuda}", f"init {self.init_code}"]
        if self.log is not None:
            lines.append(f"log {self.log}")
        lines.append(f"pcie_delay_ms {self.pcie_delay_ms}")
        lines += [f"refuse {name} {code}" for name, code in self.refuse.items()]
        for index, gpu in enumerate(self.gpus):
            lines.append(f"gpu {index} {_pairs(_gpu_fields(self, index, gpu))}")
            for slot, one in enumerate(gpu.instances or ()):
                fields = _instance_fields(self, index, slot, one)
                lines.append(f"instance {index} {slot} {_pairs(fields)}")
        for p in self.processes:
            memory = "-1" if p.memory is None else str(p.memory)
            lines.append(f"process {p.gpu} {p.pid} {memory} {p.gi} {p.ci} {p.type} {p.activity}")
        return "\n".join(lines) + "\n"


def h100_layout() -> list[FakeInstance]:
    """3g.40gb + 2g.20gb + 1g.10gb + 1g.10gb, where a real H100 puts them."""
    return [
        FakeInstance("3g.40gb", gi=1, start=4, size=4, slices=3, memory=40448 << 20, sms=60),
        FakeInstance("2g.20gb", gi=3, start=0, size=2, slices=2, memory=20096 << 20, sms=32),
        FakeInstance("1g.10gb", gi=9, start=2, size=1, slices=1, memory=9984 << 20),
        FakeInstance("1g.10gb", gi=10, start=3, size=1, slices=1, memory=9984 << 20),
    ]


@dataclass(frozen=True)
class Installed:
    """A fake driver on disk."""

    directory: Path

    @property
    def library(self) -> Path:
        return self.directory / "libnvidia-ml.so.1"

    def write(self, driver: FakeDriver) -> None:
        """Replaces the state; the next call of the library sees it."""
        handle, name = tempfile.mkstemp(dir=self.directory)
        with os.fdopen(handle, "w") as file:
            file.write(driver.text())
        os.replace(name, self.directory / "nvml.state")


def install(driver: FakeDriver, directory: Path) -> Installed:
    """A directory with the library and this state."""
    directory.mkdir(parents=True, exist_ok=True)
    fake = Installed(directory)
    shutil.copy(build(), fake.library)
    fake.write(driver)
    return fake


def compiler() -> str | None:
    """The C compiler of this machine, or None: then what needs the fake driver is skipped."""
    wanted = os.environ.get("CC", "").split()[:1]
    return next((one for one in (*wanted, "gcc", "cc", "clang") if shutil.which(one)), None)


NO_COMPILER = "needs a C compiler for the fake NVML library (apt-get install gcc)"


def build() -> Path:
    """The compiled library, from a cache that is keyed by its sources and by pynvml's.

    Every function that pynvml knows and the sources lack becomes a stub that is "not supported".
    """
    stubs = _stubs()
    parts = [stubs, " ".join(FLAGS), *((HERE / n).read_text() for n in ("fake_nvml.h", *SOURCES))]
    key = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
    cache = Path(tempfile.gettempdir()) / f"gpu-workbench-fake-nvml-{os.getuid()}"
    cache.mkdir(mode=0o700, exist_ok=True)
    assert cache.stat().st_uid == os.getuid(), f"{cache} is somebody else's"
    library = cache / f"{key}.so"
    with (cache / "lock").open("w") as lock:  # several test processes may want it at once
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not library.exists():
            generated = cache / f"{key}-stubs.c"
            generated.write_text(stubs)
            target = library.with_suffix(".tmp")
            files = [str(HERE / name) for name in SOURCES]
            command = [compiler() or "gcc", *FLAGS, f"-I{HERE}", "-o", str(target)]
            subprocess.run([*command, *files, str(generated), *LIBRARIES], check=True)
            target.replace(library)
    return library


def _stubs() -> str:
    spec = find_spec("pynvml")
    assert spec is not None and spec.origin is not None
    known = re.findall(r'_nvmlGetFunctionPointer\("(nvml\w+)"\)', Path(spec.origin).read_text())
    written = "\n".join((HERE / name).read_text() for name in SOURCES)
    ours = set(re.findall(r"^(?:ret_t|const char \*)\s?(nvml\w+)\(", written, re.MULTILINE))
    ours |= set(re.findall(r"^ALIAS\((nvml\w+),", written, re.MULTILINE))
    lines = ['#include "fake_nvml.h"']
    for name in sorted(set(known) - ours):
        lines.append(f"ret_t {name}(void);")
        lines.append(f'ret_t {name}(void) {{ return fake_unsupported("{name}"); }}')
    return "\n".join(lines) + "\n"


def _pairs(fields: dict[str, object]) -> str:
    return " ".join(f"{key}={str(value).replace(' ', '_')}" for key, value in fields.items())


def _gpu_fields(driver: FakeDriver, index: int, gpu: FakeGpu) -> dict[str, object]:
    return {
        "name": gpu.model,
        "uuid": driver.gpu_uuid(index),
        "bus": f"00000000:{0x10 + index * 8:02X}:00.0",
        "memory": gpu.memory,
        "used": gpu.used,
        "reserved": gpu.reserved,
        "cpus": hex(gpu.cpus),
        "activity": gpu.activity,
        "memory_activity": gpu.activity // 2,
        "power_mw": gpu.power_mw,
        "power_limit_mw": gpu.power_limit_mw,
        "temperature": gpu.temperature,
        "sm_clock": 1980,
        "memory_clock": 2619,
        "numa": gpu.numa,
        "island": gpu.island,
        "pcie_kbps": gpu.pcie_kbps,
        "mig": int(gpu.instances is not None),
        "lost": int(gpu.lost),
    }


def _instance_fields(
    driver: FakeDriver, index: int, slot: int, one: FakeInstance
) -> dict[str, object]:
    return {
        "name": f"{driver.gpus[index].model} MIG {one.profile}",
        "uuid": driver.instance_uuid(index, slot),
        "memory": one.memory,
        "used": one.used,
        "activity": one.activity,
        "gi": one.gi,
        "ci": one.ci,
        "start": one.start,
        "size": one.size,
        "slices": one.slices,
        "sms": one.sms,
    }
