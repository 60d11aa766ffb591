"""Directories of jobs that are over are kept for so many days and bytes, oldest gone first.

The record stays: what ran, how it ended and what it cost. Logs, metrics, spec and the checkpoints
in a job's own directory go with it; those that a script saved elsewhere are not touched.
"""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path

from ..domain.jobs import Job
from ..ports import Clock
from .job_records import JobRecords

log = logging.getLogger(__name__)

FRESH_SECONDS = 3600.0
"""However large they are, the directories of so long ago are kept: somebody may be looking."""


class JobCleaning:
    def __init__(
        self, records: JobRecords, clock: Clock, keep_seconds: float, keep_bytes: float
    ) -> None:
        self._records = records
        self._clock = clock
        self._keep_seconds = keep_seconds
        self._keep_bytes = keep_bytes
        self._sizes: dict[str, int] = {}
        """Of those that are over: they grow no more."""

    def clean(self) -> list[str]:
        """Remove what is too old or too much; returns the names of what was removed."""
        now = self._clock.now()
        jobs = {job.id: job for job in self._records.all()}
        sizes = {place.name: self._size(place, jobs) for place in self._records.directories()}
        paths = {name: self._records.files(name).path for name in sizes}
        ended = sorted((_ended(jobs.get(name), path), name) for name, path in paths.items())
        old = {name for at, name in ended if now - at > self._keep_seconds}
        needed = self._needed([job for job in jobs.values() if job.id not in old])
        total = sum(sizes.values())
        removed = []
        for at, name in ended:
            too_much = total > self._keep_bytes and now - at > FRESH_SECONDS
            if name in needed or not (name in old or too_much):
                continue
            shutil.rmtree(paths[name], ignore_errors=True)
            self._sizes.pop(name, None)
            total -= sizes[name]
            removed.append(name)
        if removed:
            log.info("directories of jobs that are long over were removed: %s", removed)
        return removed

    def _needed(self, jobs: list[Job]) -> set[str]:
        """Directories that hold what a kept job goes on from."""
        root = self._records.root
        found = set()
        for job in jobs:
            spec = self._records.files(job.id).spec()
            place = Path(spec.resume_from) if spec and spec.resume_from else None
            if place is not None and place.is_relative_to(root):
                found.add(place.relative_to(root).parts[0])
        return found

    def _size(self, place: Path, jobs: dict[str, Job]) -> int:
        known = self._sizes.get(place.name)
        if known is not None:
            return known
        size = 0
        for folder, _, files in os.walk(place):
            for name in files:
                try:
                    found = os.lstat(os.path.join(folder, name))
                    size += min(found.st_size, found.st_blocks * 512)  # a cut log has a hole
                except OSError:
                    continue  # it was replaced while we looked
        job = jobs.get(place.name)
        if job is not None and job.over:
            self._sizes[place.name] = size
        return size


def _ended(job: Job | None, place: Path) -> float:
    """When it was over; of one that is no more known, when something was last written there."""
    if job is None:
        try:
            return place.stat().st_mtime
        except OSError:
            return float("inf")
    return job.ended_at or job.created_at if job.over else float("inf")
