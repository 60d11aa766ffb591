"""`tests/gpu/accept` itself: quiet without a GPU, and rehearsed for the day when there is one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fakes.nvml import FakeDriver, install

ACCEPT = Path(__file__).with_name("accept")
RESULTS = Path(__file__).resolve().parents[2] / "docs" / "gpu-results.json"


def test_without_a_gpu_it_says_so_in_one_line_and_writes_nothing(tmp_path: Path) -> None:
    fake = install(FakeDriver(init_code=9), tmp_path)
    before = RESULTS.read_bytes() if RESULTS.exists() else None
    run = subprocess.run(
        [sys.executable, str(ACCEPT)],
        env={**os.environ, "LD_LIBRARY_PATH": str(fake.directory)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == 0, run.stderr
    (line,) = run.stdout.splitlines()
    assert line.startswith("No GPU here") and "not loaded" in line
    assert (RESULTS.read_bytes() if RESULTS.exists() else None) == before


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_its_steps_work_on_simulated_gpus() -> None:
    pytest.importorskip("torch")
    run = subprocess.run(
        [sys.executable, str(ACCEPT), "--simulated"], capture_output=True, text=True, timeout=390
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert " 0 failed" in run.stdout


def test_telemetry_is_rehearsed_and_says_that_nothing_was_run() -> None:
    run = subprocess.run(
        [sys.executable, str(ACCEPT), "telemetry", "--simulated"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.count("not run: there is no GPU here") == 3
    assert " 0 failed" in run.stdout


@pytest.mark.timeout(240)
def test_two_workers_on_one_gpu_are_rehearsed() -> None:
    run = subprocess.run(
        [sys.executable, str(ACCEPT), "clusters", "--simulated"],
        capture_output=True, text=True, timeout=230,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr
    assert " 0 failed" in run.stdout and "blocks of 32 MB come back" in run.stdout


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_training_is_rehearsed_on_the_cpu() -> None:
    pytest.importorskip("torch")
    run = subprocess.run(
        [sys.executable, str(ACCEPT), "training", "--simulated"],
        capture_output=True,
        text=True,
        timeout=290,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert " 0 failed" in run.stdout
    for section in ("one rank", "two on one GPU", "bf16", "out of memory", "step time"):
        assert section in run.stdout
