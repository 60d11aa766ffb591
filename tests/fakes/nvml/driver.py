"""What a fake driver answers, as objects, and as the text file that the C library reads."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Literal

GIB = 1 << 30
ProcessType = Literal["compute", "graphics", "mps"]


@dataclass
class FakeInstance:
    """A MIG instance; `gi` is its GPU instance id, shares in percent (as GPM tells them)."""

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
    sm: int = 0
    occupancy: int = 0
    tensor: int = 0
    dram: int = 0
    uuid: str = ""


@dataclass
class FakeProfile:
    """A MIG profile: NVML's number and the driver's id of it, and where it may stand."""

    name: str
    number: int
    id: int
    slices: int
    memory_mb: int
    size: int
    starts: tuple[int, ...]

    def text(self) -> str:
        fields = (self.number, self.id, self.name, self.slices, self.memory_mb, self.size)
        return " ".join(map(str, (*fields, *self.starts)))


@dataclass
class FakeGpu:
    """A GPU; shares in percent, power in milliwatts, memory in bytes, clocks in MHz.

    As it stands a Hopper: `gpm` and `pcie_counters` off make it an older one.
    """

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
    pcie_counters: bool = True
    nvlink_kbps: int = 0
    sm_clock: int = 1980
    memory_clock: int = 2619
    throttle: int = 0
    """A mask of `nvmlClocksEventReason…`."""
    encoder: int = 0
    decoder: int = 0
    ecc_corrected: int = 0
    ecc_uncorrected: int = 0
    remapped_corrected: int = 0
    """Rows of memory, as `remapped_uncorrected`."""
    remapped_uncorrected: int = 0
    remap_pending: bool = False
    remap_failed: bool = False
    energy_mj: int = 0
    gpm: bool = True
    sm: int = 0
    occupancy: int = 0
    tensor: int = 0
    dram: int = 0
    lost: bool = False
    instances: list[FakeInstance] | None = None
    """None where MIG is off; an empty list is MIG without instances."""
    uuid: str = ""
    profiles: list[FakeProfile] = field(default_factory=list)
    """What MIG could cut it into; a driver that tells nothing has none."""


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
    pcie_delay_ms: int = 0
    """How long a look at the PCIe throughput really blocks; `FAKE_NVML_PCIE_MS` overrides it."""
    xids: list[tuple[int, int]] = field(default_factory=list)
    """Critical errors so far: GPU and code. An event set hears of those that come after it."""
    generation: int = 0
    """A driver that was loaded again has another one: whoever was connected must start anew."""

    def gpu_uuid(self, index: int) -> str:
        return self.gpus[index].uuid or f"GPU-{uuid.uuid5(uuid.NAMESPACE_DNS, f'fake-{index}')}"

    def instance_uuid(self, index: int, slot: int) -> str:
        given = (self.gpus[index].instances or [])[slot].uuid
        return given or f"MIG-{uuid.uuid5(uuid.NAMESPACE_DNS, f'fake-{index}-{slot}')}"

    def text(self) -> str:
        """The state file: a record a line, spaces in values as underscores."""
        lines = [f"driver {self.version}", f"cuda {self.cuda}", f"init {self.init_code}"]
        lines += [f"pcie_delay_ms {self.pcie_delay_ms}", f"generation {self.generation}"]
        lines += [f"xid {gpu} {code}" for gpu, code in self.xids]
        lines += [f"refuse {name} {code}" for name, code in self.refuse.items()]
        for index, gpu in enumerate(self.gpus):
            lines.append(f"gpu {index} {_pairs(_gpu_fields(self, index, gpu))}")
            lines += [f"profile {index} {one.text()}" for one in gpu.profiles]
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


def seven_small() -> list[FakeInstance]:
    """1g.10gb seven times: as fine as an H100 can be cut."""
    return [
        FakeInstance("1g.10gb", gi=7 + at, start=at, size=1, slices=1, memory=9984 << 20)
        for at in range(7)
    ]


def profiles_of(per_slice: tuple[str, ...], memory_slices: int = 8) -> list[FakeProfile]:
    """The MIG profiles of a GPU by name, as `nvidia-smi mig -lgipp` lists them."""
    wide: dict[str, tuple[int, int, tuple[int, ...]]] = {
        "1g": (0, 1, tuple(range(7))),
        "2g": (1, 2, (0, 2, 4)),
        "3g": (2, 4, (0, 4)),
        "4g": (3, 4, (0,)),
        "7g": (4, 8, (0,)),
        "1g-double": (9, 2, (0, 2, 4, 6)),
    }
    narrow = {"1g": (0, 1, (0, 1, 2, 3)), "2g": (1, 2, (0, 2)), "4g": (3, 4, (0,))}
    found, seen = [], set[str]()
    for name in per_slice:
        kind = name.partition(".")[0]
        if kind in seen:
            kind += "-double"
        seen.add(kind)
        number, size, starts = (wide if memory_slices == 8 else narrow)[kind]
        gb = int(name.partition(".")[2].removesuffix("gb"))
        found.append(FakeProfile(name, number, 19 - number, int(name[0]), gb << 10, size, starts))
    return found


A30 = ("1g.6gb", "2g.12gb", "4g.24gb")
A100_80 = H100_80 = ("1g.10gb", "1g.20gb", "2g.20gb", "3g.40gb", "4g.40gb", "7g.80gb")
H200 = ("1g.18gb", "1g.35gb", "2g.35gb", "3g.71gb", "4g.71gb", "7g.141gb")


_PROFILED = ("activity", "sm", "occupancy", "tensor", "dram")
_AS_IT_IS = (
    *("sm_clock", "memory_clock", "throttle", "encoder", "decoder", "ecc_corrected"),
    *("ecc_uncorrected", "energy_mj", "pcie_kbps", "pcie_counters", "nvlink_kbps", "gpm"),
    *("remapped_corrected", "remapped_uncorrected", "remap_pending", "remap_failed"),
    *_PROFILED,
)


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
        "memory_activity": gpu.activity // 2,
        "power_mw": gpu.power_mw,
        "power_limit_mw": gpu.power_limit_mw,
        "temperature": gpu.temperature,
        **{name: int(getattr(gpu, name)) for name in _AS_IT_IS},
        "numa": gpu.numa,
        "island": gpu.island,
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
        **{name: getattr(one, name) for name in _PROFILED},
        "gi": one.gi,
        "ci": one.ci,
        "start": one.start,
        "size": one.size,
        "slices": one.slices,
        "sms": one.sms,
    }
