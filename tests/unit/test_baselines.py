"""The schedulers that the queue benchmark stands beside: their rules, on cases worked by hand."""

from __future__ import annotations

from benchmarks._baselines import pooled_bound, shortest_first
from benchmarks._preemptive import completion_times, srsf, srtf
from gpu_workbench_server.simulate.jobs import Job


def job(number: int, submitted: float, seconds: float, gpus: int = 1, kind: str = "") -> Job:
    return Job(number, "ada", submitted, seconds, gpus, kind=kind)


def test_srtf_interrupts_the_longer_job_and_charges_restarts_at_every_event() -> None:
    jobs = (job(1, 0, 100, 8, kind="bert"), job(2, 10, 20, 8, kind="bert"))
    jobs += tuple(job(n, 0, 1000, 8) for n in range(3, 10))
    free = completion_times(jobs, srtf, overhead=False)
    assert (free[1], free[2]) == (100, 20)
    charged = completion_times(jobs, srtf)
    assert charged[2] == 20  # its own last stretch costs nothing
    assert charged[1] == 120  # ten seconds at each of two events


def test_srsf_prefers_fewer_gpus_where_srtf_prefers_less_time() -> None:
    jobs = (*(job(n, 0, 100, 8) for n in range(1, 9)), job(9, 0, 200, 1))
    assert completion_times(jobs, srtf, overhead=False)[9] == 300
    assert completion_times(jobs, srsf, overhead=False)[9] == 200


def test_more_than_a_node_takes_whole_free_nodes() -> None:
    jobs = (*(job(n, 0, 10 * n, 1) for n in range(1, 3)), job(3, 0, 1000, 64))
    assert completion_times(jobs, srtf, overhead=False)[3] == 1020
    assert shortest_first(jobs)[3] == 1020


def test_no_schedule_is_better_than_one_pooled_machine() -> None:
    jobs = tuple(job(n, n * 3 % 40, 10 + n * 7 % 90, 2 ** (n % 6)) for n in range(1, 60))
    bound = sum(pooled_bound(jobs).values())
    for found in (
        completion_times(jobs, srtf, overhead=False),
        completion_times(jobs, srsf, overhead=False),
        shortest_first(jobs),
    ):
        assert len(found) == len(jobs)
        assert sum(found.values()) >= bound
