"""What a simulation saw: of each job and of the fleet over time, and the figures made of it.

Knows nothing of how it came about.
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from .jobs import Job

SHORT = 10.0
"""Slowdown counts a job as at least so many seconds long, so that one-second jobs don't rule it."""


@dataclass(slots=True)
class Story:
    """What became of one job. Times in seconds of the trace."""

    job: Job
    started: float | None = None
    """First start."""
    ended: float | None = None
    refused: str = ""
    extended: int = 0
    interrupted: int = 0
    """Times that it lost its slices before it was done, and asked again for the rest."""
    expected_at: float | None = None
    """What it was told when it came: its start, as likely before as after."""
    expected_by: float | None = None
    """The same, nine times in ten."""

    @property
    def wait(self) -> float:
        """From its submission to its first start."""
        return math.nan if self.started is None else self.started - self.job.submitted

    @property
    def completion(self) -> float:
        return math.nan if self.ended is None else self.ended - self.job.submitted

    @property
    def slowdown(self) -> float:
        return max(1.0, self.completion / max(self.job.seconds, SHORT))


@dataclass(frozen=True, slots=True)
class Moment:
    """The fleet from `at` on, until the next moment. GPU units."""

    at: float
    held: float
    fragments: float
    waiting: int


@dataclass(slots=True)
class Outcome:
    """One trace under one policy."""

    name: str
    total: float
    """GPU units of the fleet."""
    stories: list[Story]
    moments: list[Moment] = field(default_factory=list)
    decisions: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Figures:
    """The table's rows. Seconds, per cent of GPUs, or counts; NaN where there is nothing."""

    jobs: int
    refused: int
    unfinished: int
    makespan: float
    mean_completion: float
    mean_wait: float
    median_wait: float
    p90_wait: float
    longest_wait: float
    mean_slowdown: float
    allocated: float
    """Of all GPUs, over the whole time."""
    allocated_busy: float
    """Of all GPUs, over the time in which somebody waited."""
    fragmentation: float
    """Of all GPUs, over the time in which somebody waited."""
    fairness: float
    extensions: int
    interruptions: int


def figures(outcome: Outcome) -> Figures:
    """The figures of one outcome."""
    done = [one for one in outcome.stories if one.ended is not None]
    waits = sorted(one.wait for one in outcome.stories if one.started is not None)
    refused = sum(bool(one.refused) for one in outcome.stories)
    begin = min((one.job.submitted for one in outcome.stories), default=0.0)
    end = max((one.ended for one in done if one.ended is not None), default=begin)
    overall, busy = _averages(outcome.moments, end)
    return Figures(
        jobs=len(outcome.stories),
        refused=refused,
        unfinished=len(outcome.stories) - refused - len(done),
        makespan=end - begin,
        mean_completion=mean(one.completion for one in done),
        mean_wait=mean(waits),
        median_wait=quantile(waits, 0.5),
        p90_wait=quantile(waits, 0.9),
        longest_wait=waits[-1] if waits else math.nan,
        mean_slowdown=mean(one.slowdown for one in done),
        allocated=100 * overall[0] / outcome.total,
        allocated_busy=100 * busy[0] / outcome.total,
        fragmentation=100 * busy[1] / outcome.total,
        fairness=fairness(done),
        extensions=sum(one.extended for one in outcome.stories),
        interruptions=sum(one.interrupted for one in outcome.stories),
    )


def fairness(stories: Iterable[Story]) -> float:
    """Jain's index over users of how fast their jobs went: run time over completion time.

    1: all users waited in the same proportion; 1/n: one of n users got everything at once and the
    others nothing. NaN for fewer than two users. (Jain, Chiu, Hawe, DEC TR-301, 1984.)
    """
    speeds: dict[str, list[float]] = defaultdict(list)
    for one in stories:
        speeds[one.job.user].append(1 / one.slowdown)
    if len(speeds) < 2:
        return math.nan
    x = [statistics.fmean(own) for own in speeds.values()]
    return sum(x) ** 2 / (len(x) * sum(one * one for one in x))


def mean(values: Iterable[float]) -> float:
    known = list(values)
    return statistics.fmean(known) if known else math.nan


def quantile(ordered: Sequence[float], share: float) -> float:
    """The value below which that share of the ascending values lies; NaN where there are none."""
    if not ordered:
        return math.nan
    return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1 if share else 0)]


def _averages(
    moments: Sequence[Moment], end: float
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Time averages of (held, fragments): of the whole time, and of when somebody waited."""
    sums = {True: [0.0, 0.0, 0.0], False: [0.0, 0.0, 0.0]}
    until = [*(moment.at for moment in moments[1:]), end]
    for one, after in zip(moments, until, strict=False):
        span = max(0.0, after - one.at)
        for column, value in enumerate((1.0, one.held, one.fragments)):
            sums[one.waiting > 0][column] += span * value
    busy = sums[True]
    both = [a + b for a, b in zip(sums[True], sums[False], strict=True)]

    def average(found: list[float]) -> tuple[float, float]:
        if not found[0]:
            return (math.nan, math.nan)
        return (found[1] / found[0], found[2] / found[0])

    return average(both), average(busy)


@dataclass(frozen=True, slots=True)
class EstimateError:
    """How right the estimates were of those who had to wait. Seconds."""

    told: int
    median: float
    p90: float
    median_of_wait: float
    """Median of error over wait: 0.1 is off by a tenth of the wait."""
    kept: float
    """Share that had started by the time that was to hold nine times in ten."""


def estimate_errors(stories: Iterable[Story]) -> EstimateError:
    told = [
        (abs(one.started - one.expected_at), one)
        for one in stories
        if one.started is not None and one.expected_at is not None
    ]
    errors = sorted(error for error, _ in told)
    shares = sorted(error / one.wait for error, one in told if one.wait > 0)
    kept = [
        one.started <= one.expected_by + 1
        for _, one in told
        if one.expected_by is not None and one.started is not None
    ]
    return EstimateError(
        len(told),
        quantile(errors, 0.5),
        quantile(errors, 0.9),
        quantile(shares, 0.5),
        mean(map(float, kept)),
    )
