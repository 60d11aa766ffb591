"""Training jobs: their record, and what one may bring. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from .diagnosis import Cause
from .elastic import IfLost

JobState = Literal[
    "waiting", "starting", "running", "stopping", "succeeded", "failed", "stopped", "lost"
]
OVER: frozenset[JobState] = frozenset({"succeeded", "failed", "stopped", "lost"})

MAX_RANKS = 1024
MAX_THREADS = 8


@dataclass(frozen=True, slots=True)
class Job:
    """What the store knows of a job; what its ranks do is in its directory."""

    id: str
    owner: str
    groups: tuple[str, ...]
    name: str
    ranks: int
    per_rank: str
    command: tuple[str, ...]
    python: str
    created_at: float
    request_id: int
    """0 until it has asked."""
    pool: str | None = None
    """Once it has asked, the one that its slices come from."""
    state: JobState = "waiting"
    message: str = ""
    has_lease: bool = False
    """Once granted, the lease has the request's id."""
    slices: tuple[str, ...] = ()
    pid: int | None = None
    pid_started: float | None = None
    started_at: float | None = None
    ended_at: float | None = None
    stop_asked_at: float | None = None
    stop_reason: str = ""
    """For people, why it is being stopped; empty where its owner asked for it."""
    cause: Cause | None = None
    """Of one that failed."""
    resumed_from: str | None = None
    sweep: str | None = None
    if_lost: IfLost = "fail"
    went_on: int = 0
    """How often it was placed anew, or went on with fewer ranks."""
    first_attempt: int = 0
    """The number of the first attempt of the supervisor that runs now."""
    earlier: tuple[int, ...] = ()
    """Leases that it had before this one."""
    hours_held: float | None = None
    """GPU-hours, of all leases that it had."""
    hours_used: float | None = None
    size_hint: str | None = None

    @property
    def over(self) -> bool:
        return self.state in OVER


def threads_per_rank(ranks: int, cpus: int) -> int:
    """Of a numerical library, so that all ranks of a machine together have a thread a CPU."""
    return max(1, min(MAX_THREADS, cpus // ranks))


# --- what a job may bring ---------------------------------------------------------------------

_OURS = re.compile(
    r"(LD_|DYLD_|JUPYTERHUB_|GPU_WORKBENCH_|PET_|TORCHELASTIC_).*"
    r"|PYTHON(PATH|HOME|STARTUP)|CUDA_VISIBLE_DEVICES|(LOCAL_|GROUP_|ROLE_)?RANK"
    r"|(LOCAL_|GROUP_|ROLE_)?WORLD_SIZE|MASTER_(ADDR|PORT)"
)


def refused_variables(env: Mapping[str, str]) -> list[str]:
    """Names that a job may not set: the loader's, the hub's, and those that place its ranks."""
    return sorted(name for name in env if "=" in name or not name or _OURS.fullmatch(name))


_PLACES = re.compile(
    r"--?(nproc|n|np|c|nnodes|node|num[-_]?(processes|machines|nodes)|machine[-_]rank|rdzv|master"
    r"|main[-_]process|standalone|gpu[-_]ids|host(file)?|H|multi[-_]gpu|max[-_]restarts)"
    r"([-_][a-z_-]+)?(=.*)?"
)


def placing_flags(words: Sequence[str]) -> list[str]:
    """Flags of a launcher that say how many ranks there are and where: the lease says that."""
    return [word for word in words if _PLACES.fullmatch(word)]
