"""The bytes of a tick: small, the same for every watcher, and unknown stays unknown."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gpu_workbench import protocol as wire
from gpu_workbench.protocol.ticks import ONE_GPU, Encoded, Encoder, Tick, decode

GOLDEN = Path(__file__).parents[2] / "labext/test/data/tick.json"
"""One tick of each view as bytes, which the front end's tests read too."""


def gpu(uuid: str = "GPU-0", **known: Any) -> wire.GpuSample:
    blank: dict[str, Any] = dict.fromkeys(
        ("activity", "memory_bytes", "power_watts", "temperature_c")
    )
    return wire.GpuSample(**({"uuid": uuid} | blank | known))


def part(slice_id: str, gpu: str = "GPU-0", **known: Any) -> wire.SliceSample:
    blank: dict[str, Any] = {"activity": None, "memory_bytes": None}
    lease = int(slice_id.partition(".")[0])
    return wire.SliceSample(
        **({"slice_id": slice_id, "lease_id": lease, "gpu": gpu} | blank | known)
    )


def sample(*gpus: wire.GpuSample, slices: tuple[wire.SliceSample, ...] = ()) -> wire.Sample:
    return wire.Sample(time=1_790_000_000.5, simulated=True, gpus=list(gpus), slices=list(slices))


def read(encoded: Encoded) -> Tick:
    found = decode(encoded.frame, {one.id: one for one in encoded.layouts})
    assert found is not None
    return found


BUSY: dict[str, Any] = {
    "activity": 0.874,
    "memory_bytes": 70 << 30,
    "power_watts": 612.3,
    "temperature_c": 61.0,
    "sm_activity": 0.032,
}


def test_the_fleets_view_has_what_the_panel_shows_within_its_steps() -> None:
    encoded = Encoder().encode(
        sample(gpu(**BUSY), gpu("GPU-1", state="lost"), slices=(part("7.0", memory_bytes=1 << 20),))
    )
    found = read(encoded)
    assert found.time == 1_790_000_000.5
    assert found.gpus["GPU-0"] == {
        "activity": pytest.approx(0.874, abs=0.0021),
        "memory_bytes": 70 << 30,
        "power_watts": pytest.approx(612.3),
        "temperature_c": 61.0,
        "sm_activity": pytest.approx(0.032, abs=0.0021),
        "state": "ok",
    }
    lost = dict.fromkeys(found.gpus["GPU-0"]) | {"state": "lost"}
    assert found.gpus["GPU-1"] == lost
    assert found.slices == {"7.0": {"activity": None, "sm_activity": None, "memory_bytes": 1 << 20}}


def test_zero_is_not_unknown_and_what_is_too_much_is_the_most_that_can_be_said() -> None:
    found = read(Encoder().encode(sample(gpu(activity=0.0, temperature_c=400.0, power_watts=0.0))))
    row = found.gpus["GPU-0"]
    assert (row["activity"], row["temperature_c"], row["power_watts"]) == (0.0, 254.0, 0.0)


@pytest.mark.parametrize("gpus", [1, 8, 1000])
def test_a_tick_is_under_forty_bytes_a_gpu_with_three_slices_on_each(gpus: int) -> None:
    many = [gpu(f"GPU-{number}", **BUSY) for number in range(gpus)]
    slices = tuple(part(f"{n}.{m}", f"GPU-{n}") for n in range(gpus) for m in range(3))
    frame = Encoder().encode(sample(*many, slices=slices)).frame
    assert (len(frame) - 16) / gpus < 40


def test_the_view_of_one_gpu_has_every_metric_of_it_and_of_its_slices_alone() -> None:
    here = gpu(
        **BUSY, throttle=("thermal", "power_cap"), xid=79, energy_joules=3.2e9, ecc_corrected=0
    )
    everything = sample(here, gpu("GPU-1"), slices=(part("7.0"), part("8.0", "GPU-1")))
    found = read(Encoder().encode(everything, "GPU-0"))
    assert list(found.gpus) == ["GPU-0"] and list(found.slices) == ["7.0"]
    row = found.gpus["GPU-0"]
    fields = {field.name for field in msgspec.structs.fields(wire.GpuSample)}
    assert row.keys() == fields - {"uuid", "trouble"}, "no metric is forgotten"
    assert row["throttle"] == ["power_cap", "thermal"]
    assert (row["xid"], row["energy_joules"], row["ecc_corrected"]) == (79, 3.2e9, 0)
    assert row["dram_activity"] is None
    assert row["power_watts"] == pytest.approx(612.3)


def test_a_gpu_that_nobody_knows_is_an_empty_view() -> None:
    found = read(Encoder().encode(sample(gpu()), "GPU-9"))
    assert (found.gpus, found.slices) == ({}, {})


def test_a_layout_stays_until_the_subjects_change() -> None:
    encoder = Encoder()
    first = encoder.encode(sample(gpu()))
    again = encoder.encode(sample(gpu(activity=1.0)))
    assert again.layouts == first.layouts
    more = encoder.encode(sample(gpu(), slices=(part("7.0"),)))
    assert more.layouts[0] is first.layouts[0], "the GPUs are the same"
    assert more.layouts[1].ids == ["7.0"] and more.layouts[1].id != first.layouts[1].id
    assert decode(more.frame, {one.id: one for one in first.layouts}) is None


def test_columns_begin_where_a_typed_array_may() -> None:
    widths = {"u8": 1, "u16": 2, "u32": 4, "f32": 4, "f64": 8}
    encoder = Encoder()
    for view in (None, "GPU-0"):
        encoded = encoder.encode(sample(*(gpu(f"GPU-{n}") for n in range(3))), view)
        for layout in encoded.layouts:
            sizes = [widths[column.type] for column in layout.columns]
            assert sizes == sorted(sizes, reverse=True)
    assert len(ONE_GPU) == len({column.name for column in ONE_GPU})


def golden() -> dict[str, Any]:
    encoder = Encoder()
    here = gpu(**BUSY, throttle=("thermal",), xid=79, energy_joules=3.2e9, pcie_tx_bytes_s=1.5e9)
    slices = (part("7.0", activity=0.5, memory_bytes=5 << 30), part("81.1", "GPU-1"))
    everything = sample(here, gpu("GPU-1", state="lost"), gpu("GPU-2", activity=0), slices=slices)
    return {
        name: {
            "layouts": [msgspec.to_builtins(one) for one in encoded.layouts],
            "frame": base64.b64encode(encoded.frame).decode(),
        }
        for name, encoded in (
            ("fleet", encoder.encode(everything)),
            ("one", encoder.encode(everything, "GPU-0")),
        )
    }


def test_the_front_end_is_tested_with_the_bytes_that_are_sent() -> None:
    assert json.loads(GOLDEN.read_text()) == golden(), f"write it anew: python -m {__name__}"


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(golden(), indent=1) + "\n")
