"""A job once more: its kept spec, run anew or from one of its checkpoints.

Reads the job's directory and says what is to be ordered; orders nothing.
"""

from __future__ import annotations

import base64
import math
from pathlib import Path

from msgspec.structs import replace

from gpu_workbench import checkpoints
from gpu_workbench import protocol as wire

from ..domain.jobs import Job
from ..errors import BadRequest, NotFound, WrongState
from .job_orders import Order, read_order
from .job_records import JobRecords

_LATE = 10.0
"""A file may be dated a little after the end that was noted: clocks of file servers differ."""


class KeptSpecs:
    """Thread-safe: it only reads."""

    def __init__(self, records: JobRecords) -> None:
        self._records = records

    def spec(self, job: Job) -> wire.JobSpec:
        """As it was ordered, with its function."""
        files = self._records.files(job.id)
        spec = files.spec()
        if spec is None:
            raise NotFound(
                f"What {job.id} ran is not kept any more.", "Launch it anew from its notebook."
            )
        function = files.function() if spec.script is None else None
        return replace(
            spec, function_b64=None if function is None else base64.b64encode(function).decode()
        )

    def again(self, job: Job, body: wire.Again) -> Order:
        spec = self.spec(job)
        spec = replace(
            spec,
            ranks=spec.ranks if body.ranks is None else body.ranks,
            per_rank=spec.per_rank if body.per_rank is None else body.per_rank,
            pool=spec.pool if body.pool is None else body.pool,
            resume_from=None,
        )
        return read_order(spec, job.python)

    def resume(self, job: Job, body: wire.Resume) -> Order:
        if not job.over:
            raise WrongState(f"{job.id} is {job.state}.", "Stop it first; then it can go on.")
        spec = self.spec(job)
        spec = replace(
            spec,
            ranks=spec.ranks if body.ranks is None else body.ranks,
            resume_from=self._chosen(job, body.checkpoint).path,
        )
        return read_order(spec, job.python)

    def checkpoints(self, job: Job) -> list[wire.Checkpoint]:
        """Those that it made, after the one that it went on from."""
        files = self._records.files(job.id)
        spec = files.spec()
        made = checkpoints.find(
            Path(files.checkpoints()),
            since=job.started_at or job.created_at,
            until=math.inf if job.ended_at is None else job.ended_at + _LATE,
            ranks=len(job.slices) or job.ranks,  # fewer, where some were lost on the way
        )
        before = None
        if spec is not None and spec.resume_from is not None:
            before = checkpoints.read(Path(spec.resume_from))
        known = {one.path for one in made}
        return [*([before] if before and before.path not in known else []), *made]

    def _chosen(self, job: Job, path: str | None) -> wire.Checkpoint:
        found = self.checkpoints(job)
        whole = [one for one in found if one.whole and path in (None, one.path)]
        if whole:
            return whole[-1]
        where = self._records.files(job.id).checkpoints()
        if path is not None:
            broken = any(one.path == path for one in found)
            why = "is not whole" if broken else f"is no checkpoint of {job.id}"
            raise BadRequest(f"{path} {why}.", "Take one that is listed as whole, or leave it out.")
        raise BadRequest(
            f"{job.id} left no whole checkpoint in {where}.",
            "Its script has to save there (gw.checkpoint_dir()), or say where by checkpoint_dir=; "
            "to start it anew, run it again.",
        )
