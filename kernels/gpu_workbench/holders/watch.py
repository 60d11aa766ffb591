"""Ranks that live and yet do nothing: stopped by a signal, or all waiting for one that hangs.

torch gives up on such a run after ten minutes (NCCL) or thirty (gloo). Here it shows in seconds:
a stopped process by its state, a hang by the beats (steps of the optimizer, `gw.log`) that stay
away. Then every rank is asked where it stands, and the one that is not inside a collective is the
one that the others wait for.

Knows processes and a job's directory; what follows from a verdict is the supervisor's.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import psutil

from . import stacks

FROZEN_SECONDS = 5.0
"""So long a rank may be stopped, by a debugger's break say, before it counts as frozen."""
SILENT_SECONDS = 10.0
_RHYTHMS = 10
"""A run whose steps take long is silent after so many of its longest gaps."""
_ANSWER_SECONDS = 2.0


class Standing(NamedTuple):
    """A rank that stands still."""

    kind: Literal["frozen", "paused", "hung", "waits"]
    """`paused`: every rank of several is stopped, so somebody means it."""
    since: float
    """Seconds since the epoch."""
    where: str | None = None

    @property
    def words(self) -> str:
        """For people."""
        if self.kind in ("frozen", "paused"):
            return "stopped by a signal"
        at = f" at {self.where}" if self.where else ""
        return f"stands{at}" if self.kind == "hung" else f"waits{at}"


class Watch:
    """One attempt of a job. Call `look` a few times a second."""

    def __init__(self, root: str) -> None:
        """`root` is the directory of the user's code: the lines to name are there."""
        self._root = root
        self._stopped: dict[int, float] = {}
        self._paused: float | None = None
        self._newest = 0.0
        self._longest_gap = 0.0
        self._asked: float | None = None
        self._answers: dict[int, stacks.Stack | None] = {}

    def look(
        self, ranks: list[dict[str, Any]], runs: Mapping[int, Path], now: float | None = None
    ) -> dict[int, Standing]:
        """Who stands still, by rank; empty while all goes well. `now`: seconds since the epoch."""
        now = time.time() if now is None else now
        running = {one["rank"]: one for one in ranks if one["state"] == "running"}
        found = self._frozen(running, now)
        silent_since = self._silent(ranks, running, now)
        if silent_since is None:
            self._asked, self._answers = None, {}
            return found
        if self._asked is None:
            self._asked = now
            for number, one in running.items():
                if number not in found and stacks.size(runs[number]) is not None:
                    stacks.ask(one["pid"])
        if now - self._asked < _ANSWER_SECONDS:
            return found
        for number in running.keys() - found.keys() - self._answers.keys():
            self._answers[number] = stacks.read(runs[number], self._root)
        told = {number: one for number, one in self._answers.items() if one is not None}
        # Where all wait, it is for one that is frozen or gone, or for each other.
        culprits = {number for number, one in told.items() if not one.waits}
        if not culprits and not found:
            culprits = set(told) or set(running)
        for number in running.keys() - found.keys():
            where = told[number].where if number in told else None
            kind: Literal["hung", "waits"] = "hung" if number in culprits else "waits"
            found[number] = Standing(kind, silent_since, where)
        return found

    def _frozen(self, running: Mapping[int, dict[str, Any]], now: float) -> dict[int, Standing]:
        stopped = {number for number, one in running.items() if _is_stopped(one["pid"])}
        if len(running) > 1 and stopped == running.keys():
            self._paused = self._paused or now
            # Where they go on one after the other, the last one has its time anew.
            self._stopped = dict.fromkeys(stopped, now)
            if now - self._paused < FROZEN_SECONDS:
                return {}
            return {number: Standing("paused", self._paused) for number in stopped}
        self._paused = None
        self._stopped = {number: self._stopped.get(number, now) for number in stopped}
        return {
            number: Standing("frozen", since)
            for number, since in self._stopped.items()
            if now - since >= FROZEN_SECONDS
        }

    def _silent(
        self, ranks: list[dict[str, Any]], running: Mapping[int, dict[str, Any]], now: float
    ) -> float | None:
        """Since when no rank has made a step; None where that is no longer than usual.

        Nothing is known of a run that has made no step yet: loading may take its time.
        """
        beats = [one["beat_at"] for one in ranks if one["beat_at"] is not None]
        if not running or not beats or len(beats) < len(ranks):
            return None
        newest = max(beats)
        if self._newest and newest > self._newest:
            self._longest_gap = max(self._longest_gap, newest - self._newest)
        self._newest = newest
        usual = max(SILENT_SECONDS, _RHYTHMS * self._longest_gap)
        return newest if now - newest > usual else None


def _is_stopped(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_STOPPED)
    except psutil.Error:
        return False
