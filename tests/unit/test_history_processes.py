"""The past of processes: by a name that no second process gets, of so many and no more."""

from __future__ import annotations

import pytest

from gpu_workbench import protocol as wire
from gpu_workbench_server.domain.readings import DeviceProcess
from gpu_workbench_server.services.history import Histories
from gpu_workbench_server.services.history_processes import ENDED_SECONDS, MOST, ProcessPasts

NOON = 1_790_000_040.0
"""The start of a minute."""
GPU = "GPU-0"


def process(
    pid: int = 101,
    activity: float | None = 0.5,
    started: float | None = NOON - 100,
    lease_id: int | None = 7,
    gpu: str = GPU,
    instance: str | None = None,
) -> DeviceProcess:
    return DeviceProcess(
        pid, gpu, 1 << 30, activity, lease_id=lease_id, started=started, instance=instance
    )


class Past:
    """Histories of one GPU, at which `look` looks once a second."""

    def __init__(self) -> None:
        self.histories = Histories()
        self.time = NOON - 1

    def look(self, *processes: DeviceProcess, after: float = 1.0) -> None:
        self.time += after
        gpu = wire.GpuSample(
            uuid=GPU, activity=0.1, memory_bytes=1, power_watts=None, temperature_c=None
        )
        sample = wire.Sample(time=self.time, simulated=True, gpus=[gpu], slices=[])
        self.histories.put(sample, processes)

    def subject(self, one: DeviceProcess) -> str:
        found = self.histories.subject_of(one)
        assert found is not None
        return found

    def activity(self, *subjects: str, seconds: int = 2) -> list[list[float | None]]:
        """Of the last seconds, each subject's."""
        end = self.time + 1
        found = self.histories.range(subjects, end - seconds, end, seconds, ["activity"])
        return [one.mean for one in found.series]

    def knows(self, subject: str) -> bool:
        return bool(self.activity(subject))


def test_each_process_has_its_own_past() -> None:
    past = Past()
    one, two = process(101, 0.25), process(102, 0.75)
    past.look(one, two)
    past.look(process(101, 0.5), two)
    assert past.activity(past.subject(one), past.subject(two)) == [[0.25, 0.5], [0.75, 0.75]]
    found = past.histories.range([past.subject(two)], NOON, NOON + 2, 2)
    assert [(one.metric, one.mean) for one in found.series] == [
        ("activity", [0.75, 0.75]),
        ("memory_bytes", [1 << 30, 1 << 30]),
    ]
    assert past.histories.lease_of(past.subject(one)) == 7


def test_it_has_least_and_most_over_longer_ranges() -> None:
    past = Past()
    for second in range(600):
        past.look(process(activity=(second % 60) / 60))
    found = past.histories.range([past.subject(process())], NOON, NOON + 600, 10, ["activity"])
    (series,) = found.series
    assert series.min is not None and series.max is not None
    assert series.mean == pytest.approx([29.5 / 60] * 10, abs=1e-3)
    assert series.max == pytest.approx([59 / 60] * 10, abs=1e-3)


def test_a_process_on_two_devices_has_a_past_on_each() -> None:
    past = Past()
    places = [process(), process(gpu="GPU-1"), process(gpu="GPU-1", instance="MIG-2")]
    past.look(*places)
    names = {past.subject(one) for one in places}
    assert len(names) == 3 and all(one.startswith("process:101@1789999940@") for one in names)


def test_a_pid_that_comes_back_is_another_process() -> None:
    past = Past()
    first, second = process(activity=0.25), process(activity=0.75, started=NOON + 1)
    past.look(first)
    past.look(second)
    before, after = f"process:101@{NOON - 100:.0f}@{GPU}", past.subject(second)
    assert after != before
    assert past.activity(before, after) == [[0.25, None], [None, 0.75]]
    assert past.histories.subject_of(first) is None, "that one has ended"


def test_where_no_start_can_be_seen_a_pid_that_was_away_or_of_another_lease_is_another() -> None:
    past = Past()
    hidden = process(started=None, lease_id=None)
    past.look(hidden)
    first = past.subject(hidden)
    past.look(hidden)
    assert past.subject(hidden) == first
    past.look()
    past.look(hidden)
    assert past.subject(hidden) != first
    mine, theirs = process(200, started=None), process(200, started=None, lease_id=8)
    past.look(mine)
    name = past.subject(mine)
    past.look(theirs)
    assert past.subject(theirs) != name
    assert (past.histories.lease_of(name), past.activity(name)) == (7, [[0.5, None]])


def test_a_look_that_failed_does_not_make_another_process_of_it() -> None:
    past = Past()
    past.look(process())
    name = past.subject(process())
    past.look()
    past.look(process(started=NOON - 99.5))
    assert past.subject(process()) == name
    assert past.activity(name, seconds=3) == [[0.5, None, 0.5]]


def test_a_process_that_young_still_showed_no_lease_is_its_lease_s_from_then_on() -> None:
    past = Past()
    past.look(process(lease_id=None))
    past.look(process())
    past.look(process(lease_id=None))
    assert past.histories.lease_of(past.subject(process())) == 7


def test_one_that_ended_is_remembered_for_a_day() -> None:
    past = Past()
    past.look(process())
    name = past.subject(process())
    past.look(process(102))
    past.look(process(102), after=ENDED_SECONDS - 120)
    assert past.knows(name)
    past.look(process(102), after=240)
    assert not past.knows(name) and past.histories.lease_of(name) is None
    assert past.knows(past.subject(process(102)))


def test_only_so_many_are_remembered_those_that_live_and_then_the_last_ones() -> None:
    past = Past()
    living = process(1)
    for pid in range(1000, 1000 + 2 * MOST):
        past.look(living, process(pid))
    names = [f"process:{pid}@{NOON - 100:.0f}@{GPU}" for pid in range(1000, 1000 + 2 * MOST)]
    assert [one for one in names if past.knows(one)] == names[-(MOST - 1) :]
    assert past.knows(past.subject(living))


def test_more_than_can_be_remembered_have_no_past_until_one_of_the_others_ends() -> None:
    past = Past()
    all_ = [process(pid) for pid in range(MOST + 1)]
    past.look(*all_)
    past.look(*all_)
    assert [one.pid for one in all_ if past.histories.subject_of(one) is None] == [MOST]
    past.look(*all_[1:])
    past.look(*all_[1:])
    assert past.histories.subject_of(all_[MOST]) is not None
    assert past.activity(past.subject(all_[MOST])) == [[None, 0.5]], "nothing of who was there"


def test_a_week_of_the_most_processes_costs_what_the_documentation_says() -> None:
    past = Past()
    all_ = [process(pid) for pid in range(MOST + 10)]
    sizes = []
    for after in (0, 7 * 86_400, 7 * 86_400):
        past.look(*all_, after=after)
        past.look(*all_)
        sizes.append(past.histories.nbytes)
    gpu = 2 * 75_240
    assert sizes[-1] - gpu == pytest.approx(MOST * 2 * 75_240), "telemetry.md: 19 MB"
    assert sizes[-1] == sizes[-2]


def test_who_is_forgotten_leaves_nothing_behind() -> None:
    pasts = ProcessPasts()
    pasts.put(NOON, [])
    assert pasts.block is None, "where nothing runs nothing is made"
    pasts.put(NOON + 1, [process()])
    pasts.put(NOON + 2, [])
    assert pasts.block is not None
    pasts.put(NOON + 2 + ENDED_SECONDS + 60, [])
    assert pasts.block is None and pasts.subject_of(process()) is None


@pytest.mark.parametrize("subject", ["gpus", "lease:7", "7.0", GPU, "process:", "", "lease:"])
def test_no_other_subject_tells_of_a_process(subject: str) -> None:
    past = Past()
    past.look(process())
    found = past.histories.range([subject], NOON, NOON + 1, 1)
    assert {one.subject for one in found.series} <= {GPU}


def test_a_clock_that_was_wrong_does_not_hide_what_comes_after() -> None:
    past = Past()
    past.look(process(), after=1e6)
    past.look(process(), after=-1e6)
    assert past.activity(past.subject(process()), seconds=1) == [[0.5]]
