"""The simulated fleet as a TOML file says it, or the default one. Reads files, knows no processes.

[[gpu]]
model = "NVIDIA H100 80GB HBM3"
memory_gb = 80
count = 2                    # that many alike; 1
node = "localhost"
pool = "default"
numa = 0                     # optional
island = 0                   # optional: NVLink
mig = ["3g.40gb", "1g.10gb"] # optional: the instances, where MIG is on
starts = [4, 0]              # optional: where they stand on the memory slices
"""

from __future__ import annotations

import tomllib
import uuid
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..domain.fleet import Gpu
from ..domain.mig import MigInstance, first_layout, layout_faults, rule_for
from ..domain.repartition import Layout
from ..domain.units import GIB
from ..errors import BadConfiguration

DEFAULT_FLEET = """
[[gpu]]
model = "NVIDIA H100 80GB HBM3"
memory_gb = 80
numa = 0
island = 0

[[gpu]]
model = "NVIDIA H100 80GB HBM3"
memory_gb = 80
numa = 0
island = 0
mig = ["3g.40gb", "2g.20gb", "1g.10gb", "1g.10gb"]
"""

_TYPES: dict[str, type | tuple[type, ...]] = {
    "model": str,
    "memory_gb": (int, float),
    "count": int,
    "node": str,
    "pool": str,
    "numa": int,
    "island": int,
    "mig": list,
    "starts": list,
}
_HINT = (
    "Each [[gpu]] has model and memory_gb, and may have count, node, pool, numa, island, "
    'mig = ["3g.40gb", …] and starts = [4, …].'
)
_NAMES = uuid.uuid5(uuid.NAMESPACE_DNS, "simulated.gpu-workbench")


def default_fleet() -> tuple[Gpu, ...]:
    """Two H100-80GB: one for whole GPUs and fractions, one cut by MIG."""
    return parse_fleet(DEFAULT_FLEET, "the default fleet")


def read_fleet(path: Path) -> tuple[Gpu, ...]:
    """The fleet of a file; `BadConfiguration` says what is wrong with it."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise BadConfiguration(
            f"The fleet file {path} can't be read: {reason}.",
            "Give the path of a TOML file, or none for the default fleet.",
        ) from error
    return parse_fleet(text, str(path))


def parse_fleet(text: str, source: str) -> tuple[Gpu, ...]:
    """The fleet of a TOML text; `source` names it in errors."""
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadConfiguration(f"{source} is not TOML: {error}.", _HINT) from error
    entries = tables.get("gpu")
    unknown = set(tables) - {"gpu"}
    if unknown or not isinstance(entries, list) or not entries:
        what = f"unknown key {sorted(unknown)[0]!r}" if unknown else "no [[gpu]]"
        raise BadConfiguration(f"{source}: {what}.", _HINT)
    gpus: list[Gpu] = []
    next_index: Counter[str] = Counter()
    for number, entry in enumerate(entries, start=1):
        where = f"{source}, [[gpu]] {number}"
        checked = _check(entry, where)
        for _ in range(checked.get("count", 1)):
            node = checked.get("node", "localhost")
            gpus.append(_gpu(checked, node, next_index[node], where))
            next_index[node] += 1
    return tuple(gpus)


def cut_anew(gpu: Gpu, layout: Layout) -> Gpu:
    """The GPU with other MIG instances; `BadConfiguration` where they can't stand there."""
    profiles, starts = [name for name, _ in layout], [start for _, start in layout]
    identity = uuid.uuid5(_NAMES, gpu.uuid)
    made = _instances(profiles, starts, gpu.memory_gb, identity, gpu.name)
    return replace(gpu, instances=made)


def _check(entry: Any, where: str) -> dict[str, Any]:
    if not isinstance(entry, dict):
        raise BadConfiguration(f"{where} is not a table.", _HINT)
    for key, value in entry.items():
        expected = _TYPES.get(key)
        if expected is None:
            raise BadConfiguration(f"{where}: unknown key {key!r}.", _HINT)
        if not isinstance(value, expected) or isinstance(value, bool):
            raise BadConfiguration(f"{where}: {key} = {value!r} is of the wrong type.", _HINT)
    for key in ("model", "memory_gb"):
        if key not in entry:
            raise BadConfiguration(f"{where}: {key} is missing.", _HINT)
    if entry["memory_gb"] <= 0 or entry.get("count", 1) < 1:
        raise BadConfiguration(f"{where}: memory_gb and count must be above 0.", _HINT)
    return entry


def _gpu(entry: dict[str, Any], node: str, index: int, where: str) -> Gpu:
    memory_gb = float(entry["memory_gb"])
    identity = uuid.uuid5(_NAMES, f"{node}/{index}/{entry['model']}")
    mig = entry.get("mig")
    return Gpu(
        uuid=f"GPU-{identity}",
        index=index,
        model=entry["model"],
        memory_bytes=round(memory_gb * GIB),
        memory_gb=memory_gb,
        node=node,
        pool=entry.get("pool", "default"),
        numa=entry.get("numa"),
        island=entry.get("island"),
        mig=mig is not None,
        instances=_instances(mig or [], entry.get("starts"), memory_gb, identity, where),
        simulated=True,
    )


def _instances(
    profiles: list[Any], starts: list[Any] | None, memory_gb: float, gpu: uuid.UUID, where: str
) -> tuple[MigInstance, ...]:
    if starts is None:
        try:
            starts = list(first_layout([str(one) for one in profiles], memory_gb))
        except ValueError as error:
            raise BadConfiguration(f"{where}: {error}.", _HINT) from error
    if len(starts) != len(profiles) or not all(isinstance(one, int) for one in starts):
        raise BadConfiguration(f"{where}: starts must be one number per instance of mig.", _HINT)
    found: list[MigInstance] = []
    for profile, start in zip(profiles, starts, strict=True):
        rule = rule_for(str(profile), memory_gb)
        if rule is None:
            raise BadConfiguration(f"{where}: {profile} is not a MIG profile.", _HINT)
        gb = float(str(profile).split(".")[1].split("gb")[0])
        identity = uuid.uuid5(gpu, f"{profile}@{start}")
        memory = round(gb * GIB)
        found.append(
            MigInstance(f"MIG-{identity}", str(profile), start, memory, gb, rule.compute, rule.size)
        )
    faults = layout_faults(found, memory_gb)
    if faults:
        raise BadConfiguration(f"{where}: {'; '.join(faults)}.", _HINT)
    return tuple(found)
