"""The replay behind `dev.py bench placement`, on a small trace made here."""

from __future__ import annotations

import random
import statistics
from pathlib import Path

import pytest

from benchmarks._policies import POLICIES, replay
from benchmarks._trace import FULL, Trace, load
from gpu_workbench_server.domain.packing import Host, Shape


def small_trace() -> Trace:
    """40 hosts of two models and 200 tasks, some of which insist on the rare model."""
    rng = random.Random(7)
    hosts = [Host("A", (FULL,) * 8, 96_000, 400_000)] * 30
    hosts += [Host("B", (FULL,) * 2, 96_000, 400_000)] * 10
    kinds = [
        (30, Shape(1, 810, 3_000, 1)),
        (30, Shape(1, 1000, 11_000, 1)),
        (20, Shape(1, 470, 12_000, 1)),
        (15, Shape(1, 1000, 18_000, 1, ("B",))),
        (5, Shape(8, 1000, 64_000, 1)),
    ]
    weights = [weight for weight, _ in kinds]
    tasks = rng.choices([shape for _, shape in kinds], weights, k=200)
    return Trace(tuple(hosts), tuple(tasks))


def mean(policy: str, trace: Trace) -> float:
    rule = POLICIES[policy](trace)
    return statistics.fmean(replay(trace, rule, seed, (1.0, 1.3))[0] for seed in range(5))


def test_ours_allocates_more_than_fgd_and_best_fit() -> None:
    trace = small_trace()
    ours = mean("ours", trace)
    assert ours > mean("fgd", trace)
    assert ours > mean("bestfit", trace)
    assert ours < 100


def test_the_same_seed_gives_the_same_figure() -> None:
    trace = small_trace()
    once = replay(trace, POLICIES["ours"](trace), 1, (1.0,))
    assert replay(trace, POLICIES["ours"](trace), 1, (1.0,)) == once


def test_what_is_asked_for_reaches_the_load() -> None:
    trace = small_trace()
    asked = sum(shape.demand for shape in trace.arrivals(1, 1.3))
    assert 1.3 * trace.total <= asked < 1.3 * trace.total + 8 * FULL


def test_missing_data_is_said_with_its_origin(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="kubernetes-scheduler-simulator"):
        load(tmp_path, "default")
