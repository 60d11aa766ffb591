"""How a job reads: in a line, in a block, and with what a user could have named in it."""

from __future__ import annotations

from gpu_workbench import job_display
from gpu_workbench import protocol as wire


def a_job(**changes: object) -> wire.Job:
    rank = wire.RankView(rank=0, slice_id="7.0", pid=1, state="running", step=410)
    facts: dict[str, object] = {
        "id": "job-1f2e",
        "name": "train",
        "state": "running",
        "user": "ana",
        "lease_id": 7,
        "request_id": 7,
        "ranks": [rank],
        "per_rank": "0.25",
        "created_at": 1.0,
        "started_at": 100.0,
        "ended_at": 142.0,
        "message": "running on 1 rank",
        "command": ["python", "train.py"],
        "step": 410,
        "metrics": {"loss": 0.12345},
    }
    return wire.Job(**(facts | changes))  # type: ignore[arg-type]


def points(*values: float) -> list[wire.MetricPoint]:
    return [
        wire.MetricPoint(rank=0, step=step, time=1.0, values={"loss": value})
        for step, value in enumerate(values)
    ]


def test_a_line_says_what_it_is_and_how_far() -> None:
    first, second = job_display.text(a_job()).splitlines()
    assert first == "▶ train (job-1f2e) running · 1 rank · step 410 · loss 0.1235 · 0:42"
    assert second == "  running on 1 rank"


def test_a_block_draws_rank_0s_curves_and_tells_them_to_those_who_do_not_see_them() -> None:
    html = job_display.html(a_job(), points(3.0, 2.0, 1.0))
    assert html.count("<svg") == 1
    assert 'aria-label="loss 1 at step 2, from 1 to 3"' in html
    assert "0.0,0.0 150.0,45.0 300.0,90.0" in html
    assert "<svg" not in job_display.html(a_job(), points(1.0)), "one point is no curve"


def test_a_long_run_draws_a_few_hundred_points_and_its_newest() -> None:
    html = job_display.html(a_job(), points(*[1.0 / (n + 1) for n in range(50_000)]))
    assert len(html) < 10_000
    assert "at step 49999" in html


def test_names_and_output_can_not_be_markup() -> None:
    evil = "<img src=x onerror=alert(1)>"
    html = job_display.html(
        a_job(name=evil, message=evil, metrics={evil: 1.0}),
        [wire.MetricPoint(rank=0, step=n, time=1.0, values={evil + '"': 1.0}) for n in range(3)],
        said=[evil],
    )
    assert "<img" not in html
    assert '>"' not in html
