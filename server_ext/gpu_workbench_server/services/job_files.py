"""A job's directory, from the server's side: write what is to run, read what became of it.

The files' layout is the holder's (`gpu_workbench.holders`), and the two sides share nothing but
JSON. The user's code writes here too, so nothing found here is trusted: paths are built from
numbers, links are not followed, reads are capped, and odd JSON is as good as none.
"""

from __future__ import annotations

import base64
import contextlib
import json
import math
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec
from msgspec import Struct, field

from gpu_workbench import protocol as wire

from ..domain.diagnosis import End, Raised, RankEnd, diagnose
from ..domain.pace import Pace
from .job_logs import RankLog, Stream, open_plain
from .whole_files import write_whole

WANTED = "wanted.json"
FUNCTION = "function.pkl"
LAST_WORD = "last-word.json"
"""Written at the end where the disk had no room for another `status.json`; blank before that."""
MAX_REASON = 64 * 1024
POINTS_PIECE = 256 * 1024
ROUND = 1 << 40
"""Offsets of points: so far lie those of one round of thinning from those of the next."""
_LONGEST_HEAD = 64
MAX_RESULT = 256 * 1024 * 1024
MAX_STATUS = 16 * 1024 * 1024


class _Error(Struct):
    type: str = "Exception"
    message: str = ""
    time: float = 0.0
    where: str | None = None
    module: str | None = None
    traceback: str = ""
    stage: str = "run"

    def raised(self) -> Raised:
        return Raised(self.type, self.message, self.time, self.where, self.module, self.stage)


class RankStatus(Struct):
    """One rank, as the supervisor saw it."""

    rank: int
    state: Literal["waiting", "running", "succeeded", "failed", "gone"] = "waiting"
    slice_id: str | None = None
    pid: int | None = None
    exit_code: int | None = None
    step: int | None = None
    beat_at: float | None = None
    step_seconds: float | None = None
    own_seconds: float | None = None
    gone_at: float | None = None
    done_at: float | None = None
    stands: str | None = None
    stuck: Literal["frozen", "hung"] | None = None
    stood_at: str | None = None
    error: _Error | None = None

    def view(self, slower: float | None = None) -> wire.RankView:
        return wire.RankView(
            rank=self.rank,
            slice_id=self.slice_id,
            pid=self.pid,
            state=self.state,
            exit_code=self.exit_code,
            step=self.step,
            beat_at=self.beat_at,
            stands=self.stands,
            step_seconds=self.step_seconds,
            slower=slower,
        )

    def end(self) -> RankEnd:
        return RankEnd(
            self.rank,
            self.exit_code,
            self.step,
            self.beat_at,
            self.gone_at,
            None if self.error is None else self.error.raised(),
            self.stuck,
            self.stood_at,
            self.done_at,
        )


class JobStatus(Struct):
    """The supervisor's `status.json`."""

    state: Literal["running", "succeeded", "failed", "stopped"]
    started_at: float = 0.0
    ended_at: float | None = None
    attempt: int = 0
    ranks: list[RankStatus] = field(default_factory=list)
    metrics: dict[str, float | None] = field(default_factory=dict)
    not_a_number: tuple[str, int] | None = None
    stop: str | None = None
    has_result: bool = False
    python: str = "python"
    missing_torch: bool = False
    agent_error: str | None = None
    agent_log: str | None = None
    agent_signal: int | None = None
    oom_kills: int = 0
    unwritable: str = ""
    way: str = ""
    """How the ranks talk to each other, where it is worth a word."""

    def end(self) -> End:
        """The evidence for a diagnosis."""
        return End(
            ranks=tuple(one.end() for one in self.ranks),
            restarts=self.attempt,
            python=self.python,
            missing_torch=self.missing_torch,
            agent_error=self.agent_error,
            agent_log=self.agent_log,
            agent_signal=self.agent_signal,
            oom_kills=self.oom_kills,
            unwritable=self.unwritable,
        )

    def paces(self) -> dict[int, Pace]:
        """Of the ranks whose steps took a known time."""
        return {
            one.rank: Pace(one.step_seconds, one.own_seconds)
            for one in self.ranks
            if one.step_seconds is not None
        }

    def first_traceback(self) -> str | None:
        """Of the rank that failed first, where it raised."""
        rank = self.first_rank()
        error = None if rank is None else self.ranks[rank].error
        return error.traceback if error else None

    def first_rank(self) -> int | None:
        """The rank that failed first."""
        return diagnose(self.end()).rank if self.state == "failed" else None


class PointsPiece(NamedTuple):
    """Some of a job's metric points."""

    points: list[wire.MetricPoint]
    following: int
    """The offset to read on from."""
    at_end: bool
    anew: bool
    """It is from the beginning, though it was asked for what comes after."""


class JobFiles:
    """The directory of one job."""

    def __init__(self, directory: Path) -> None:
        self.path = directory

    # --- written ------------------------------------------------------------------------------

    def create(self, spec: wire.JobSpec, function: bytes | None) -> None:
        """What is to run, kept with the job. Readable by its owner only."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if function is not None:
            write_whole(self.path / FUNCTION, function, synced=True)
        write_whole(self.path / WANTED, msgspec.json.encode(spec), synced=True)

    def discard(self) -> None:
        """Of a job that was never written down."""
        shutil.rmtree(self.path, ignore_errors=True)

    def start(
        self,
        lease: wire.Lease,
        gpus: Sequence[wire.Gpu],
        attempt: int,
        since: float,
        warm: bool,
    ) -> bool:
        """What runs, where and since when: `spec.json`, which the supervisor reads.

        `attempt` is the number of its first attempt: earlier ones stay as they are, and what was
        said of them at last is forgotten. Returns whether it may be forked from a warm process:
        where both we and its spec say so.
        """
        for name in ("status.json", "agent.json", "notice.json", LAST_WORD):
            (self.path / name).unlink(missing_ok=True)
        wanted = json.loads((self.path / WANTED).read_bytes())
        warm = warm and wanted.get("warm", True)
        spec = {
            **wanted,
            "warm": warm,
            "id": self.path.name,
            "checkpoints": self.checkpoints(),
            "ranks": len(lease.slices),
            "first_attempt": attempt,
            "started_at": since,
            "lease": msgspec.to_builtins(lease),
            "places": {
                one.uuid: {"numa": one.numa, "island": one.island}
                for one in gpus
                if one.uuid in {slice_.gpu for slice_ in lease.slices}
            },
        }
        write_whole(self.path / "spec.json", json.dumps(spec).encode(), synced=True)
        return warm

    def give_notice(self, ends_at: float | None) -> None:
        """That its slices are taken back at a time soon, or (None) that they are not after all."""
        notice = self.path / "notice.json"
        if ends_at is None:
            notice.unlink(missing_ok=True)
        elif not notice.exists():
            write_whole(notice, json.dumps({"ends_at": ends_at}).encode(), synced=True)

    def want_stop(self, reason: str) -> None:
        target = {"state": "stopped", "reason": reason}
        write_whole(self.path / "target.json", json.dumps(target).encode(), synced=True)

    # --- read ---------------------------------------------------------------------------------

    def spec(self) -> wire.JobSpec | None:
        """What was ordered, without the function; None where nothing (or nothing known) is left."""
        data = self._read(WANTED, MAX_STATUS)
        try:
            return None if data is None else msgspec.json.decode(data, type=wire.JobSpec)
        except msgspec.MsgspecError:
            return None

    def function(self) -> bytes | None:
        """The pickled `(function, args, kwargs)`, of a job that runs one."""
        return self._read(FUNCTION, MAX_RESULT)

    def checkpoints(self) -> str:
        """The directory where its checkpoints are: a directory of its own, or the ordered one."""
        spec = self.spec()
        return (spec and spec.checkpoint_dir) or str(self.path / "checkpoints")

    def status(self) -> JobStatus | None:
        """The supervisor's word, or None where there is none yet."""
        return self._status("status.json")

    def last_status(self) -> JobStatus | None:
        """The last word of a supervisor that is gone, which may not have found room for it."""
        said = self._status(LAST_WORD)
        return said if said is not None and said.ended_at is not None else self.status()

    def _status(self, name: str) -> JobStatus | None:
        data = self._read(name, MAX_STATUS)
        try:
            return None if data is None else msgspec.json.decode(data, type=JobStatus)
        except msgspec.MsgspecError:
            return None

    def last_words(self) -> str:
        """The end of what the supervisor itself wrote to stderr; it is quiet unless it breaks."""
        with contextlib.suppress(OSError), open_plain(self.path / "err.log") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - 2000))
            lines = file.read(2000).decode(errors="replace").strip().splitlines()
            return lines[-1] if lines else ""
        return ""

    def log(self, attempt: int, rank: int, stream: Stream) -> RankLog:
        return RankLog(self.path / f"attempt-{attempt}" / f"rank-{rank}", stream)

    def points(self, offset: int) -> PointsPiece:
        """From an offset on, which readers get from here: the file's round and the place in it. A
        file that was thinned since is read from its beginning."""
        try:
            file = open_plain(self.path / "metrics.jsonl")
        except OSError:
            return PointsPiece([], 0, True, False)
        with file:
            size = os.fstat(file.fileno()).st_size
            base = _round_of(file.readline(_LONGEST_HEAD)) * ROUND
            known = 0 <= offset - base <= min(size, ROUND)
            start = offset - base if known else 0
            file.seek(start)
            data = file.read(POINTS_PIECE)
        whole = data.rfind(b"\n") + 1
        found = [_point(line) for line in data[:whole].splitlines()]
        points = [one for one in found if one]
        anew = not known and offset > 0
        return PointsPiece(points, base + start + whole, start + whole >= size, anew)

    def result(self, attempt: int) -> tuple[str | None, str | None]:
        """(value of rank 0 as base64, why there is none)."""
        rank = Path(f"attempt-{attempt}") / "rank-0"
        data = self._read(str(rank / "result.pkl"), MAX_RESULT)
        if data is not None:
            return base64.b64encode(data).decode(), None
        reason = self._read(str(rank / "result-error.json"), MAX_REASON)
        with contextlib.suppress(ValueError, AttributeError):
            return None, str(json.loads(reason or b"{}").get("message") or "") or None
        return None, None

    def _read(self, name: str, most: int) -> bytes | None:
        try:
            with open_plain(self.path / name) as file:
                if os.fstat(file.fileno()).st_size > most:
                    return None
                data: bytes = file.read(most)
                return data
        except OSError:
            return None


def _round_of(line: bytes) -> int:
    """How often the points were thinned (`holders.thinning`), by their file's first line."""
    with contextlib.suppress(ValueError, KeyError, TypeError):
        return min(max(0, int(json.loads(line)["round"])), 8000)
    return 0


def _point(line: bytes) -> wire.MetricPoint | None:
    with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
        one = json.loads(line)
        values = {str(k): float(v) for k, v in one["v"].items() if math.isfinite(v)}
        return wire.MetricPoint(
            rank=int(one["r"]), step=int(one["s"]), time=float(one["t"]), values=values
        )
    return None
