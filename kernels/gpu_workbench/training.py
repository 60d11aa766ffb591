"""`gw.launch`: a function or a script on N ranks, each on a slice of its own.

The job runs in processes of its own and outlives the kernel; what is here holds nothing but its id
and asks the server. `gw.log` is the other end: what a rank says about its steps.
"""

from __future__ import annotations

import base64
import os
import pickle
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Literal, SupportsFloat

from msgspec.structs import replace

from . import ansi, job_display, job_logs, job_metrics
from . import protocol as wire
from .client import Client, get_client
from .errors import GpuWorkbenchError
from .handles import Handle
from .holders import metrics
from .job_logs import Stream, Text
from .job_metrics import Comparison, Link, Rows
from .ordering import What, job_spec

_SAID_LINES, _SAID_CHARACTERS, _TRACE_LINES = 6, 4000, 14


class JobFailed(GpuWorkbenchError):
    """The job has no result. `traceback` is that of the rank that failed first, where it raised."""

    def __init__(self, message: str, hint: str = "", traceback: str | None = None) -> None:
        super().__init__("job_failed", message, hint)
        self.traceback = traceback

    def _render_traceback_(self) -> list[str]:
        return [*((self.traceback or "").splitlines()), *super()._render_traceback_()]


def launch(
    what: What,
    *script_args: str,
    ranks: int = 2,
    per_rank: str = "0.25",
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    hours: float | None = None,
    pool: str | None = None,
    name: str | None = None,
    env: Mapping[str, str] | None = None,
    max_restarts: int = 0,
    hang_seconds: float | None = None,
    if_lost: Literal["fail", "replace", "fewer"] = "fail",
    warm: bool = True,
    checkpoint_dir: str | os.PathLike[str] | None = None,
    resume_args: Sequence[str] = (),
) -> JobHandle:
    """Run a function, a script, a notebook or a launcher's line on ranks, each on its own slice.

    A function gets `args` and `kwargs`. `per_rank` is a slice as in `gw.request`: "0.5", "20GB",
    "1g.10gb", "gpu"; `pool` is where they come from. Returns at once; where nothing is free the job
    waits in the queue. Ranks find each other as under torchrun: call
    `torch.distributed.init_process_group()`. A rank that is lost or stopped by a signal ends the
    attempt at once; one that hangs is told within seconds, and ended where no rank has made a step
    for `hang_seconds`. Up to `max_restarts` times all ranks start again where they are; after that
    a lost rank is the job's end, or with `if_lost="replace"` all are placed anew, or with "fewer"
    the others go on without it. Raises `GpuWorkbenchError` where it can't be run.

    `checkpoint_dir` is where a script saves by itself; without it `gw.checkpoint_dir()` is a
    directory of the job's own. `resume_args` are added to a script's arguments where there is a
    checkpoint to go on from: `["--resume", "{checkpoint}"]`. `warm=False` gives every rank a fresh
    interpreter, also where ranks could be forked from one that has torch.

        job = gw.launch(train, ranks=2, per_rank="0.5", args=(config,))
        job.watch(); job.result()
        gw.launch("train.py", "--epochs", "3", ranks=2)
        gw.launch("accelerate launch --mixed_precision bf16 train.py", ranks=2)
        gw.launch("mpirun python prepare.py", ranks=4)
        gw.launch("report.ipynb", ranks=1)
    """
    new = job_spec(
        what,
        script_args,
        args,
        kwargs,
        ranks=ranks,
        per_rank=per_rank,
        hours=hours,
        pool=pool,
        name=name,
        env=dict(env or {}),
        max_restarts=max_restarts,
        hang_seconds=hang_seconds,
        if_lost=if_lost,
        warm=warm,
        checkpoint_dir=None if checkpoint_dir is None else os.fspath(checkpoint_dir),
        resume_args=list(resume_args),
    )
    client = get_client()
    return JobHandle(client.call("POST", "jobs", new, returns=wire.Job), client)


def jobs() -> list[JobHandle]:
    """My jobs, newest first."""
    client = get_client()
    found = client.call("GET", "jobs", returns=wire.Jobs).jobs
    return [JobHandle(one, client) for one in found]


def job(job_id: str) -> JobHandle:
    """A job by its id: also one that another kernel launched."""
    client = get_client()
    return JobHandle(client.call("GET", f"jobs/{job_id}", returns=wire.Job), client)


def compare(*jobs: JobHandle | str, metric: str = "loss") -> Comparison:
    """One metric of several jobs, drawn together: `gw.compare(job, "job-1f2e", metric="loss")`.

    `.rows` is for a data frame. Raises `GpuWorkbenchError` for a job that is not there.
    """
    handles = [one if isinstance(one, JobHandle) else job(one) for one in jobs]
    lines = [(one.status, job_metrics.series(one._all_points(), metric)) for one in handles]
    return Comparison(metric, lines)


def log(step: int, **values: SupportsFloat) -> None:
    """Note metrics of this rank at a step: `gw.log(step, loss=loss, lr=0.1)`.

    Takes numbers and one-element tensors; costs microseconds. Outside of a job it does nothing but
    say so once.
    """
    run = metrics.current()
    if run is None:
        warnings.warn(
            "gw.log: this is not a rank of a job, so nothing is noted; start it by gw.launch(…)",
            stacklevel=2,
        )
        return
    run.log(int(step), metrics.numbers(values))


class JobHandle(Handle[wire.Job]):
    """A job by its id. Throw it away and the job goes on; `gw.job(id)` is the same again."""

    _KIND = "jobs"

    def __init__(self, last: wire.Job, client: Client) -> None:
        super().__init__(last, client)
        self._points: list[wire.MetricPoint] = []
        self._points_offset = 0
        self._said = ""
        self._said_offset = 0

    @property
    def state(self) -> wire.JobState:
        """`waiting`, `starting`, `running`, `stopping`, then how it ended."""
        return self.status.state

    def metrics(self) -> Rows:
        """All points so far, of all ranks, as rows for a data frame: `pandas.DataFrame(…)`."""
        return job_metrics.rows(self._all_points())

    def gpu_use(self) -> Rows:
        """What its slices did meanwhile, as rows: `time`, `rank`, `activity` (0 to 1),
        `memory_bytes`; empty a day after its end."""
        return job_metrics.gpu_use(self._client, self.status)

    def tensorboard(self, timeout: float = 60.0) -> Link:
        """TensorBoard on this run, started where it does not run yet: shows a link to it.

        It has what the ranks' loggers wrote and what came by `gw.log`, and ends when nobody has
        looked for fifteen minutes. Raises `GpuWorkbenchError` where it is not installed.
        """
        return job_metrics.tensorboard(self._client, self.id, timeout)

    def _all_points(self) -> list[wire.MetricPoint]:
        while True:
            path = f"jobs/{self.id}/metrics?offset={self._points_offset}"
            chunk = self._client.call("GET", path, returns=wire.MetricChunk)
            if chunk.anew:
                self._points = []
            self._points += chunk.points
            if chunk.next_offset == self._points_offset:
                return self._points
            self._points_offset = chunk.next_offset

    def logs(
        self,
        rank: int | None = None,
        tail: int | None = None,
        stream: Stream | None = None,
        search: str | None = None,
    ) -> Text:
        """What a rank wrote, its last `tail` lines where given; `stream` "out" or "err", or both.

        Without `rank` it is the one that failed first, or rank 0. With `search` it is every line of
        every rank (or of `rank`) that has it, whatever its case.
        """
        if search is not None:
            found = job_logs.search(self._client, self.id, search, rank, stream)
            return job_logs.last(found, tail)
        if rank is None:
            cause = self.status.cause
            rank = (cause.rank if cause else None) or 0
        return job_logs.last(job_logs.read(self._client, self.id, rank, stream), tail)

    def _last_lines(self, now: wire.Job) -> list[str]:
        """The end of rank 0's output, or of the traceback of the rank that failed first."""
        if now.state == "failed":
            path = f"jobs/{self.id}/result"
            trace = self._client.call("GET", path, returns=wire.JobResult).traceback
            if trace:
                return trace.splitlines()[-_TRACE_LINES:]
        path = f"jobs/{self.id}/logs?rank=0&stream=out&offset={self._said_offset}"
        chunk = self._client.call("GET", path, returns=wire.LogChunk)
        self._said = (self._said + chunk.text)[-_SAID_CHARACTERS:]
        self._said_offset = chunk.next_offset
        return ansi.lines(self._said.rstrip("\n"))[-_SAID_LINES:]

    @property
    def spec(self) -> wire.JobSpec:
        """What was ordered, all of it."""
        return self._client.call("GET", f"jobs/{self.id}/spec", returns=wire.JobSpec)

    @property
    def code(self) -> dict[str, str]:
        """The code beside the script as it was at the start: path → text."""
        found = self._client.call("GET", f"jobs/{self.id}/code", returns=wire.Code)
        return {one.path: one.text for one in found.files}

    def again(self, **changes: Any) -> JobHandle:
        """A new job of the same spec with some fields changed: `job.again(ranks=4, args=["-x"])`.

        It starts from the beginning; `resume` goes on. Raises `TypeError` for an unknown field.
        """
        new = replace(self.spec, **{"resume_from": None, **changes})
        return JobHandle(self._client.call("POST", "jobs", new, returns=wire.Job), self._client)

    def checkpoints(self) -> list[wire.Checkpoint]:
        """What it can be resumed from, newest last; one that is not `whole` was cut off."""
        path = f"jobs/{self.id}/checkpoints"
        return self._client.call("GET", path, returns=wire.Checkpoints).checkpoints

    def resume(self, ranks: int | None = None, checkpoint: str | None = None) -> JobHandle:
        """A new job that goes on from the newest whole checkpoint, or from the one at a path.

        Raises `GpuWorkbenchError` where there is none, and while this one is not over.
        """
        body = wire.Resume(ranks=ranks, checkpoint=checkpoint)
        made = self._client.call("POST", f"jobs/{self.id}/resume", body, returns=wire.Job)
        return JobHandle(made, self._client)

    def result(self, timeout: float | None = None) -> Any:
        """What the function returned on rank 0 (None for a script); waits for it.

        Raises `JobFailed` with the diagnosis, and `TimeoutError`. Interrupting leaves it running.
        """
        ended = self.wait(timeout)
        told = self._client.call("GET", f"jobs/{self.id}/result", returns=wire.JobResult)
        if ended.state != "succeeded" or told.error:
            raise JobFailed(
                f"{ended.name} ({self.id}) {ended.state}: {told.error or ended.message}.",
                (ended.cause.hint if ended.cause else "") or "The ranks' logs: job.logs(rank=…).",
                told.traceback,
            )
        return None if told.value_b64 is None else pickle.loads(base64.b64decode(told.value_b64))

    def _live(self, now: wire.Job) -> tuple[str, str]:
        return job_display.text(now), self._block(now, self._last_lines(now))

    def _text(self) -> str:
        return job_display.text(self._fresh())

    def _html(self) -> str:
        now = self._fresh()
        try:
            return self._block(now)
        except GpuWorkbenchError:
            return job_display.html(now, self._points)

    def _block(self, now: wire.Job, said: Sequence[str] = ()) -> str:
        points = self._all_points()
        used = job_metrics.gpu_line(points, job_metrics.gpu_use(self._client, now))
        return job_display.html(now, points, said, used)
