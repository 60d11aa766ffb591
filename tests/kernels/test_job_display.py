"""How a job reads: in a line, in a block, and with what a user could have named in it."""

from __future__ import annotations

from gpu_workbench import ansi, job_display, job_metrics
from gpu_workbench import protocol as wire
from gpu_workbench.job_metrics import Comparison


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


def test_what_it_held_is_told_as_the_ledger_tells_it() -> None:
    ended = a_job(state="succeeded", hours_held=32 / 3600, hours_used=8 / 3600)
    assert "held 32 GPU-seconds, used 25 % of it" in job_display.text(ended)


def test_a_block_draws_rank_0s_curves_and_tells_them_to_those_who_do_not_see_them() -> None:
    html = job_display.html(a_job(), points(3.0, 2.0, 1.0))
    assert html.count("<svg") == 1
    assert 'aria-label="loss 1 at step 2, from 1 to 3"' in html
    assert "0.0,0.0 150.0,45.0 300.0,90.0" in html
    assert "<svg" not in job_display.html(a_job(), points(1.0)), "one point is no curve"


def test_the_largest_value_stands_where_the_line_is_low() -> None:
    falls = job_display.html(a_job(), points(3.0, 2.0, 1.0))
    assert '<text x="300" text-anchor="end" y="10"' in falls
    rises = job_display.html(a_job(), points(1.0, 2.0, 3.0))
    assert '<text x="0" y="10"' in rises


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


def test_output_keeps_its_colours_and_a_progress_bar_its_last_state() -> None:
    said = ansi.lines("epoch 1:  10%\repoch 1: 100%\n\x1b[1;31mbad\x1b[0m <b>")
    html = job_display.html(a_job(), said=said)
    assert "10%" not in html.replace("100%", "")
    assert '<span style="font-weight:bold;color:var(--jp-ansi-red,' in html
    assert ">bad</span> &lt;b&gt;" in html


def test_other_sequences_of_a_terminal_are_dropped() -> None:
    assert ansi.html("\x1b[2K\x1b[38;5;196mred\x1b[39m\x1b[48;2;1;2;3m.\x1b[m\x1b") == (
        '<span style="color:#ff0000">red</span><span style="background:#010203">.</span>'
    )


def test_a_slow_rank_and_the_throughput_are_said() -> None:
    slow = wire.RankView(rank=3, slice_id=None, pid=1, state="running", slower=1.84)
    even = wire.RankView(rank=0, slice_id=None, pid=1, state="running", slower=0.9)
    job = a_job(ranks=[even, slow], step_seconds=0.05)
    assert "20 steps/s" in job_display.text(job)
    assert "rank 3 · running · 1.8× slower than the others" in job_display.html(job)
    assert job_display.html(job).count("slower") == 1


def test_the_gpus_use_stands_beside_the_loss_step_under_step() -> None:
    steps = [
        wire.MetricPoint(rank=0, step=n, time=100.0 + n, values={"loss": 1.0 / (n + 1)})
        for n in range(10)
    ]
    use = [
        {"time": 95.0, "rank": 0, "activity": 0.0, "memory_bytes": 1},
        {"time": 102.5, "rank": 0, "activity": 0.5, "memory_bytes": 1},
        {"time": 105.0, "rank": 0, "activity": 0.9, "memory_bytes": 1},
        {"time": 105.0, "rank": 1, "activity": 0.1, "memory_bytes": 1},
        {"time": 107.0, "rank": 0, "activity": None, "memory_bytes": 1},
    ]
    line = job_metrics.gpu_line(steps, use)
    assert line == [(3.0, 0.5), (5.0, 0.9)]
    html = job_display.html(a_job(), steps, used=line)
    assert 'aria-label="GPU use 90 % at step 5, from 50 % to 90 %"' in html
    assert "0 % · step 3" in html and "100 %</text>" in html, "its axis is the whole GPU"


def test_jobs_are_compared_in_a_drawing_and_in_words() -> None:
    fast = a_job(id="job-2", name="<fast>", step_seconds=0.1)
    both = Comparison("loss", [(a_job(), [(0, 3.0), (1, 2.0)]), (fast, [(0, 3.0), (1, 1.0)])])
    assert repr(both).splitlines()[1] == (
        "<fast> (job-2) running: loss 1 at step 1, from 1 to 3, 10 steps/s"
    )
    assert both.rows[0] == {"job": "job-1f2e", "name": "train", "step": 0, "loss": 3.0}
    html = both._repr_html_()
    assert html.count("<polyline") == 2
    assert "<fast>" not in html
    nothing = Comparison("loss", [(a_job(), [])])
    assert "no loss" in repr(nothing) and "<svg" not in nothing._repr_html_()
