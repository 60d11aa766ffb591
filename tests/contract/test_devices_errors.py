"""What the NVML backend tells of errors in the hardware: each, once, whoever looks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pynvml
import pytest

from gpu_workbench_server.domain.readings import ErrorKind
from tests.fakes.nvml import FakeGpu
from tests.support.devices import NvmlRig

Told = list[tuple[str, ErrorKind, int | None, int]]


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[NvmlRig]:
    one = NvmlRig(str(tmp_path), tmp_path, [FakeGpu(ecc_corrected=7), FakeGpu()])
    one.backend.inventory()
    assert told(one) == [], "nobody knows when that was which is there at the first look"
    yield one
    one.close()


def told(rig: NvmlRig) -> Told:
    return [(one.gpu, one.kind, one.code, one.count) for one in rig.backend.read_slow()]


def test_what_grows_is_told_once_with_by_how_much(rig: NvmlRig) -> None:
    uuid = rig.driver.gpu_uuid(0)
    rig.driver.gpus[0].ecc_corrected += 3
    rig.driver.gpus[0].ecc_uncorrected += 1
    rig.driver.gpus[0].remapped_uncorrected += 2
    rig.driver.gpus[0].remap_failed = True
    rig.write()
    assert told(rig) == [
        (uuid, "ecc_corrected", None, 3),
        (uuid, "ecc_uncorrected", None, 1),
        (uuid, "remapped_uncorrected", None, 2),
        (uuid, "remap_failed", None, 1),
    ]
    assert told(rig) == []


def test_each_xid_of_a_failure_is_told_and_not_only_its_last(rig: NvmlRig) -> None:
    first, second = rig.driver.gpu_uuid(0), rig.driver.gpu_uuid(1)
    rig.driver.xids = [(0, 48), (1, 13), (0, 63), (0, 45)]
    rig.write()
    assert told(rig) == [
        (first, "xid", 48, 1),
        (second, "xid", 13, 1),
        (first, "xid", 63, 1),
        (first, "xid", 45, 1),
    ]
    assert told(rig) == []


def test_a_driver_that_was_loaded_anew_counts_from_nought(rig: NvmlRig) -> None:
    rig.driver.gpus[0].ecc_corrected = 2
    rig.driver.generation += 1
    rig.write()
    rig.backend.read_slow()  # which meets the driver gone
    rig.backend.inventory()
    assert told(rig) == [(rig.driver.gpu_uuid(0), "ecc_corrected", None, 2)]


def test_a_gpu_without_ecc_has_no_errors_to_tell(rig: NvmlRig) -> None:
    rig.driver.refuse = {"nvmlDeviceGetFieldValues": pynvml.NVML_ERROR_NOT_SUPPORTED}
    rig.driver.gpus[0].ecc_uncorrected += 1
    rig.write()
    assert told(rig) == []
    one = rig.backend.read([]).gpus[0]
    assert (one.ecc_uncorrected, one.remapped_uncorrected, one.remap_failed) == (None,) * 3


def test_the_first_xid_of_a_gpu_that_is_lost_with_it_is_told(rig: NvmlRig) -> None:
    rig.driver.xids = [(0, 79)]
    rig.driver.gpus[0].lost = True
    rig.write()
    assert (rig.driver.gpu_uuid(0), "xid", 79, 1) in told(rig)
