"""Errors of the hardware: kept for who looks later, and told after a restart."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from gpu_workbench_server.domain.readings import ErrorKind, HardwareError
from gpu_workbench_server.services.hardware_errors import KEPT, HardwareErrors

GPU, OTHER = "GPU-1", "GPU-2"
NOON = 1_800_000_000.0


def error(kind: ErrorKind, at: float, code: int | None = None, gpu: str = GPU) -> HardwareError:
    return HardwareError(gpu, kind, NOON + at, code)


def test_the_newest_is_told_first_of_one_gpu_or_of_all() -> None:
    errors = HardwareErrors()
    errors.add([error("xid", 0, 79), error("ecc_corrected", 5, gpu=OTHER)])
    errors.add([error("xid", 10, 48)])
    assert [one.code for one in errors.of(GPU)] == [48, 79]
    assert [(one.gpu, one.kind) for one in errors.of()] == [
        (GPU, "xid"),
        (OTHER, "ecc_corrected"),
        (GPU, "xid"),
    ]


def test_the_same_again_within_a_minute_is_one_with_a_count() -> None:
    errors = HardwareErrors()
    for second in (0, 20, 59, 61):
        errors.add([error("xid", second, 13), error("xid", second, 31)])
    assert [(one.code, one.count, one.at - NOON) for one in errors.of(GPU)] == [
        (13, 1, 61),
        (31, 1, 61),
        (13, 3, 0),
        (31, 3, 0),
    ]


def test_a_memory_that_errs_all_day_hides_no_xid_and_takes_no_more_room() -> None:
    errors = HardwareErrors()
    errors.add([error("xid", 0, 79)])
    for minute in range(24 * 60):
        errors.add([error("ecc_corrected", 60.0 * minute)])
    assert len(errors.of(GPU)) == KEPT + 1
    assert errors.of(GPU)[-1].code == 79


def test_they_are_told_after_a_restart_and_go_on(tmp_path: Path) -> None:
    path = tmp_path / "telemetry" / "errors.json"
    HardwareErrors(path).add([error("xid", 0, 79), error("remap_failed", 1)])
    again = HardwareErrors(path)
    again.add([error("xid", 30, 79)])
    assert [(one.kind, one.count) for one in HardwareErrors(path).of(GPU)] == [
        ("remap_failed", 1),
        ("xid", 2),
    ]


def test_a_file_that_is_something_else_costs_what_was_in_it_only(tmp_path: Path) -> None:
    path = tmp_path / "errors.json"
    path.write_text("[{")
    errors = HardwareErrors(path)
    errors.add([error("xid", 0, 79)])
    assert len(HardwareErrors(path).of(GPU)) == 1


def test_a_disk_that_takes_nothing_is_said_once_and_memory_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "telemetry").write_text("a file is in the way of the directory")
    errors = HardwareErrors(tmp_path / "telemetry" / "errors.json")
    with caplog.at_level(logging.WARNING):
        for minute in range(3):
            errors.add([error("xid", 60.0 * minute, 79)])
    assert caplog.text.count("can't be written") == 1
    assert caplog.text.count("XID 79") == 3
    assert len(errors.of(GPU)) == 3
