"""The simulator: traces in, the live broker's own decisions in virtual time, figures out."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from gpu_workbench_server.cli import main
from gpu_workbench_server.cli.simulate import factors
from gpu_workbench_server.domain.fleet import Gpu, Limits, Pool
from gpu_workbench_server.domain.rules import Rules
from gpu_workbench_server.domain.units import PARTS
from gpu_workbench_server.services.policy import Policy
from gpu_workbench_server.simulate import plot
from gpu_workbench_server.simulate.jobs import Job, Trace, declared_wrong
from gpu_workbench_server.simulate.record import (
    Moment,
    Outcome,
    Story,
    estimate_errors,
    fairness,
    figures,
)
from gpu_workbench_server.simulate.report import as_json, estimate_rows, rows, span, thinned
from gpu_workbench_server.simulate.run import Simulation
from gpu_workbench_server.simulate.traces import nodes

MURI = "job_id,num_gpu,submit_time,iterations,model_name,iteration_time\n"
DAY = 86400
LONG = Policy(pools=(Pool(max_seconds=30 * DAY),))


def job(number: int, submitted: float, seconds: float, gpus: int = 1, **more: object) -> Job:
    return Job(number, str(more.pop("user", "ada")), submitted, seconds, gpus, **more)  # type: ignore[arg-type]


def replay(
    *jobs: Job, fleet: tuple[Gpu, ...] = nodes(1, 1), policy: Policy = LONG, estimates: bool = False
) -> Outcome:
    return Simulation(Trace("test", jobs, fleet), policy, estimates).run()


def spans(outcome: Outcome) -> dict[int, tuple[float | None, float | None]]:
    return {one.job.id: (one.started, one.ended) for one in outcome.stories}


# --- the loop -----------------------------------------------------------------------------------


def test_jobs_run_one_after_the_other_where_there_is_one_gpu() -> None:
    found = replay(job(1, 0, 100), job(2, 10, 50), job(3, 20, 5))
    assert spans(found) == {1: (0, 100), 2: (100, 150), 3: (150, 155)}


def test_what_comes_at_the_same_instant_is_in_the_queue_before_anybody_is_served() -> None:
    smaller_first = Policy(LONG.pools, rules=Rules(size_weight=10, size_cap=math.inf))
    found = replay(job(1, 0, 100), job(2, 0, 10), policy=smaller_first)
    assert spans(found) == {2: (0, 10), 1: (10, 110)}


def test_a_small_job_is_backfilled_where_it_delays_nobody() -> None:
    jobs = (job(1, 0, 100), job(2, 1, 100, 2), job(3, 2, 50), job(4, 3, 500))
    found = spans(replay(*jobs, fleet=nodes(1, 2)))
    assert found[3] == (2, 52)
    assert found[2] == (100, 200)
    assert found[4] == (200, 700)


def test_a_gang_of_one_node_waits_for_one_node() -> None:
    jobs = (job(1, 0, 100), job(2, 0, 30), job(3, 1, 10, 2, same_node=True))
    assert spans(replay(*jobs, fleet=nodes(1, 2)))[3] == (100, 110)


def test_who_declared_too_little_extends_and_is_not_interrupted() -> None:
    found = replay(job(1, 0, 1000, declared=500.0))
    (story,) = found.stories
    assert (story.started, story.ended, story.interrupted) == (0, 1000, 0)
    assert story.extended == 2  # by half of what it declared, each time


def test_who_may_hold_no_longer_extends_day_by_day() -> None:
    (story,) = replay(job(1, 0, 3 * DAY), policy=Policy()).stories
    assert (story.ended, story.extended) == (3 * DAY, 2)


def test_a_share_takes_the_smallest_fraction_on_offer_that_holds_it() -> None:
    found = replay(*(job(n, 0, 100, share=0.2) for n in range(1, 6)))
    assert [one.started for one in found.stories] == [0, 0, 0, 0, 100]
    assert figures(found).allocated_busy == 100


def test_what_can_never_be_had_is_refused_with_its_reason() -> None:
    found = replay(job(1, 0, 10, gpus=2), job(2, 0, 10))
    assert "more than pool default has" in found.stories[0].refused
    assert figures(found).refused == 1
    assert spans(found)[2] == (0, 10)


def test_a_limit_of_the_policy_holds_back_only_its_own_user() -> None:
    policy = Policy(LONG.pools, Limits({"ada": PARTS}))
    jobs = (job(1, 0, 100), job(2, 1, 100), job(3, 2, 100, user="bo"))
    assert spans(replay(*jobs, fleet=nodes(1, 2), policy=policy)) == {
        1: (0, 100),
        2: (100, 200),
        3: (2, 102),
    }


def test_a_borrower_gives_way_and_asks_again_for_the_rest() -> None:
    rules = Rules(Limits(groups={"a": PARTS, "b": PARTS}), min_run=100, grace=20)
    jobs = (
        job(1, 0, 5000, group="b", user="bo"),
        job(2, 1, 5000, group="b", user="bo"),
        job(3, 50, 1000, group="a"),
    )
    found = replay(*jobs, fleet=nodes(1, 2), policy=Policy(LONG.pools, rules=rules))
    first, borrower, claimant = found.stories
    assert (first.interrupted, borrower.interrupted, claimant.interrupted) == (0, 1, 0)
    assert claimant.started == 121  # the borrower had its 100 s, then 20 s of grace
    assert claimant.ended is not None
    assert borrower.ended == claimant.ended + 5000 - 120
    assert figures(found).interruptions == 1


def test_slices_are_free_only_once_they_are_cleared() -> None:
    trace = Trace("test", (job(1, 0, 100), job(2, 0, 100)), nodes(1, 1))
    found = Simulation(trace, LONG, clear_seconds=7).run()
    assert spans(found)[2] == (107, 207)


def test_expected_starts_are_right_where_everybody_declares_the_truth() -> None:
    found = replay(*(job(n, n, 100) for n in range(1, 9)), estimates=True)
    errors = estimate_errors(found.stories)
    assert errors.told == 7  # the first did not have to wait
    assert (errors.median, errors.p90, errors.kept) == (0, 0, 1)
    assert estimate_rows([found])[1][1] == "0 s"


def test_the_same_trace_gives_the_same_outcome() -> None:
    jobs = tuple(job(n, n * 3 % 40, 10 + n * 7 % 90, 1 + n % 4) for n in range(1, 60))
    first, again = (replay(*jobs, fleet=nodes(2, 4)) for _ in range(2))
    assert spans(first) == spans(again)
    assert first.moments == again.moments
    assert all(one.ended is not None for one in first.stories)


def test_never_more_is_held_than_there_is() -> None:
    jobs = tuple(job(n, n, 50 + n % 30, 1 + n % 8, declared=20.0) for n in range(1, 80))
    found = replay(*jobs, fleet=nodes(2, 4))
    assert 0 < max(moment.held for moment in found.moments) <= 8
    assert found.moments[-1].held == 0
    assert all(moment.fragments <= 8 - moment.held + 1e-6 for moment in found.moments)


# --- figures ------------------------------------------------------------------------------------


def told(number: int, user: str, started: float, ended: float) -> Story:
    return Story(Job(number, user, 0, 100), started, ended)


def test_figures_are_averages_over_time_and_jobs() -> None:
    found = Outcome("t", 4, [told(1, "a", 0, 100), told(2, "b", 100, 200)])
    found.moments = [Moment(0, 4, 0, 1), Moment(100, 2, 1, 0), Moment(200, 0, 0, 0)]
    one = figures(found)
    assert (one.makespan, one.mean_completion, one.mean_wait, one.longest_wait) == (
        200,
        150,
        50,
        100,
    )
    assert (one.allocated, one.allocated_busy, one.fragmentation) == (75, 100, 0)
    assert one.mean_slowdown == 1.5
    assert (one.median_wait, one.p90_wait) == (0, 100)


def test_fairness_is_one_where_all_wait_alike_and_less_where_one_does_not() -> None:
    assert fairness([told(1, "a", 100, 200), told(2, "b", 100, 200)]) == pytest.approx(1)
    assert fairness([told(1, "a", 0, 100), told(2, "b", 900, 1000)]) == pytest.approx(0.6, abs=0.01)
    assert math.isnan(fairness([told(1, "a", 0, 100)]))


def test_a_table_of_nothing_has_dashes_and_json_has_nulls() -> None:
    nothing = Outcome("t", 4, [])
    assert rows([figures(nothing)])[4] == ("mean time from request to end", "–")
    assert as_json({"p": nothing})["p"]["figures"]["mean_wait"] is None
    assert estimate_rows([nothing]) == []


def test_spans_are_for_people() -> None:
    seconds = (4.4, 440, 7500, 3 * DAY + 4 * 3600)
    assert [span(one) for one in seconds] == ["4 s", "7 min 20 s", "2 h 05 min", "3 d 04 h"]


def test_the_fleet_over_time_is_thinned_evenly_and_keeps_its_ends() -> None:
    moments = [Moment(at, 0, 0, 0) for at in range(1000)]
    found = thinned(moments, 5)
    assert [moment.at for moment in found] == [0, 250, 500, 749, 999]
    assert thinned(moments[:3], 5) == moments[:3]


LEDGER = (
    "lease_id,user,pool,profile,purpose,name,granted_at,until,held_gpu_seconds,"
    "used_gpu_seconds,end_reason\n"
    "1,ada,default,fraction-0.25,kernel,x.ipynb,1000,1100,50,,released\n"
    "2,bo,default,whole,job,train,1050,1150,100,7,expired\n"
)


# --- on the command line ------------------------------------------------------------------------


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    path = tmp_path / "small.csv"
    path.write_text(MURI + "".join(f"{n},1,{n}000,100,bert,{100 + n}\n" for n in range(8)))
    return path


def test_the_command_compares_policies_and_writes_json(
    trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("one", "two"):
        (tmp_path / f"{name}.toml").write_text('[order]\nbackfill = "conservative"\n')
    policies = [f"--policy={tmp_path / name}.toml" for name in ("one", "two")]
    out = tmp_path / "out.json"
    asked = ["simulate", f"--trace={trace}", "--format=muri", "--fleet=1x2", *policies]
    assert main([*asked, "--estimates", "--errors=0.5-3", f"--json={out}"]) == 0
    printed = capsys.readouterr().out
    assert "small: 8 jobs on 2 GPUs of 1 node." in printed
    assert "longest wait" in printed
    assert "expected start: median error" in printed
    found = json.loads(out.read_text())
    assert list(found) == ["one", "two"]
    assert found["one"]["figures"] == found["two"]["figures"]
    assert len(found["one"]["jobs"]) == 8


def test_the_command_draws_a_picture(trace: Path, tmp_path: Path) -> None:
    picture = tmp_path / "out.svg"
    asked = ["simulate", f"--trace={trace}", "--format=muri", f"--plot={picture}"]
    assert main(asked) == 0
    assert picture.read_text().rstrip().endswith("</svg>")


def test_a_missing_matplotlib_is_said_before_anything_is_replayed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(plot, "find_spec", lambda name: None)
    assert main(["simulate", f"--trace={tmp_path / 'gone'}", "--plot=out.png"]) == 1
    assert "pip install 'jupyterlab-gpu-workbench[examples]'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--fleet=big"], "“big” is no fleet."),
        (["--plot=out.doc"], "out.doc is no picture."),
        (["--policy=typo.toml"], "The policy file typo.toml can't be read"),
        (["--json=/nowhere/out.json"], "/nowhere/out.json can't be written"),
    ],
)
def test_what_is_wrong_with_a_call_is_said_in_a_sentence(
    trace: Path, more: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["simulate", f"--trace={trace}", "--format=muri", *more]) == 1
    assert says in capsys.readouterr().err


def test_bounds_of_errors_are_read() -> None:
    assert factors("0.5-3") == (0.5, 3)
    assert factors("2") == (2, 2)
    for text in ("3-1", "0-1", "x", "-"):
        with pytest.raises(Exception, match=r"is not like 0\.5-3"):
            factors(text)


def test_declared_durations_can_be_made_wrong() -> None:
    (wrong,) = declared_wrong((job(1, 0, 100),), (3.0,))
    assert (wrong.declared, wrong.seconds) == (300, 100)


def test_the_ledger_is_the_default_format(tmp_path: Path) -> None:
    path = tmp_path / "usage.csv"
    path.write_text(LEDGER)
    assert main(["simulate", f"--trace={path}", "--fleet=1x1"]) == 0
