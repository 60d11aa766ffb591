"""The minutes on disk: whole records only, whatever ended the one who wrote them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gpu_workbench import protocol as wire
from gpu_workbench_server.services.history import Histories
from gpu_workbench_server.services.history_file import DAYS, MINUTES_A_DAY, Journal, Minute, Part
from tests.support.waiting import wait_for

NOON = 1_790_000_040.0


def minute(number: int, *subjects: str) -> Minute:
    names = list(subjects or ("GPU-0",))
    return Minute(number, [Part("gpus", names, {"activity": b"\0" * 6 * len(names)})])


def numbers(directory: Path) -> list[int]:
    return [one.number for one in Journal(directory).read()]


def look(time: float, activity: float = 0.5) -> wire.Sample:
    gpu = wire.GpuSample(
        uuid="GPU-0", activity=activity, memory_bytes=1 << 30, power_watts=None, temperature_c=None
    )
    part = wire.SliceSample(
        slice_id="7.0", lease_id=7, activity=activity, memory_bytes=None, gpu="GPU-0"
    )
    return wire.Sample(time=time, simulated=True, gpus=[gpu], slices=[part])


def test_what_is_written_is_read_again_with_its_subjects(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    written = [minute(100, "a", "b"), minute(101, "a", "b"), minute(102, "b")]
    for one in written:
        journal.append(one)
    assert list(Journal(tmp_path).read()) == written
    journal.close()
    journal.close()


def test_a_torn_tail_is_dropped_and_the_next_minute_follows_what_was_whole(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    for number in range(100, 105):
        journal.append(minute(number))
    journal.close()
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    for cut in range(1, 40):
        path.write_bytes(whole[:-cut])
        assert numbers(tmp_path) == [100, 101, 102, 103]
    path.write_bytes(whole + b"gwm1 and then the power went")
    again = Journal(tmp_path)
    again.append(minute(105))
    again.close()
    assert numbers(tmp_path) == [100, 101, 102, 103, 104, 105]


@pytest.mark.parametrize("damage", [b"", b"\0" * 500, os.urandom(500)])
def test_a_file_that_is_something_else_costs_that_day_only(tmp_path: Path, damage: bytes) -> None:
    journal = Journal(tmp_path)
    journal.append(minute(20_000 * MINUTES_A_DAY))
    journal.append(minute(20_001 * MINUTES_A_DAY))
    journal.close()
    sorted(tmp_path.iterdir())[0].write_bytes(damage)
    assert numbers(tmp_path) == [20_001 * MINUTES_A_DAY]


def test_so_many_days_are_kept_and_no_more(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    for day in range(20):
        journal.append(minute((20_000 + day) * MINUTES_A_DAY))
    journal.close()
    assert len(list(tmp_path.iterdir())) == DAYS
    assert numbers(tmp_path)[-1] == 20_019 * MINUTES_A_DAY


def test_a_restart_forgets_only_the_minute_that_was_not_over(tmp_path: Path) -> None:
    before = Histories(tmp_path)
    before.load()
    for second in range(0, 600, 5):
        before.put(look(NOON + second, second / 600))
    before.close()
    after = Histories(tmp_path)
    after.load()
    for subject in ("GPU-0", "lease:7"):
        asked = ([subject], NOON, NOON + 600, 10, ["activity"])
        old, new = before.range(*asked).series[0].mean, after.range(*asked).series[0].mean
        assert new[:9] == old[:9] and new[9] is None
    after.put(look(NOON + 700))
    assert after.range(["GPU-0"], NOON, NOON + 701, 701, ["activity"]).series[0].mean[700] == 0.5


def test_a_server_killed_at_any_moment_leaves_its_minutes(tmp_path: Path) -> None:
    writer = (
        "import sys; from pathlib import Path; from tests.unit.test_history_file import *\n"
        "past = Histories(Path(sys.argv[1])); past.load(); at = float(sys.argv[2])\n"
        "while True: past.put(look(at)); print(at, flush=True); at += 60.0\n"
    )
    start = NOON
    for _ in range(3):
        with subprocess.Popen(
            [sys.executable, "-c", writer, str(tmp_path), str(start)], stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            told = [float(process.stdout.readline()) for _ in range(150)]
            process.send_signal(signal.SIGKILL)
            told += [float(line) for line in process.stdout.read().split() if line.strip()]
        known = numbers(tmp_path)
        # A look closes the minute before it, which is on disk before the look is over.
        assert set(range(int(told[0]) // 60, int(told[-2]) // 60)) <= set(known)
        assert known == sorted(known)
        start = told[-1] + 120


def test_a_disk_that_takes_nothing_is_said_once_and_memory_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "telemetry").write_text("a file is in the way of the directory")
    past = Histories(tmp_path / "telemetry")
    past.load()
    for step in range(20):
        past.put(look(NOON + step * 60))
    assert len([one for one in caplog.records if "can't be written" in one.message]) == 1
    assert past.range(["GPU-0"], NOON, NOON + 600).series
    (tmp_path / "telemetry").unlink()
    for step in range(20, 23):
        past.put(look(NOON + step * 60))
    wait_for(lambda: numbers(tmp_path / "telemetry"))
