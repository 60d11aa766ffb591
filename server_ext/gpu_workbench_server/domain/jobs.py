"""Training jobs: their record, and what to say of one that failed.

Pure. `diagnose` names the first cause: when one rank dies the others fail a moment later with
errors of their own ("connection closed by peer"), and only one of all these tracebacks helps.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

JobState = Literal[
    "waiting", "starting", "running", "stopping", "succeeded", "failed", "stopped", "lost"
]
OVER: frozenset[JobState] = frozenset({"succeeded", "failed", "stopped", "lost"})

MAX_RANKS = 1024


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

    @property
    def over(self) -> bool:
        return self.state in OVER


# --- what a job may bring ---------------------------------------------------------------------

_OURS = re.compile(
    r"(LD_|DYLD_|JUPYTERHUB_|GPU_WORKBENCH_|PET_|TORCHELASTIC_).*"
    r"|PYTHON(PATH|HOME|STARTUP)|CUDA_VISIBLE_DEVICES|(LOCAL_|GROUP_|ROLE_)?RANK"
    r"|(LOCAL_|GROUP_|ROLE_)?WORLD_SIZE|MASTER_(ADDR|PORT)"
)


def refused_variables(env: Mapping[str, str]) -> list[str]:
    """Names that a job may not set: the loader's, the hub's, and those that place its ranks."""
    return sorted(name for name in env if "=" in name or not name or _OURS.fullmatch(name))


# --- diagnosis --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Raised:
    """An exception that ended a rank."""

    type: str
    message: str
    at: float
    where: str | None = None
    """Place in the user's code: "train.py:12"."""
    module: str | None = None
    """The missing one, of a ModuleNotFoundError."""


@dataclass(frozen=True, slots=True)
class RankEnd:
    """What is known of one rank's end."""

    rank: int
    exit_code: int | None = None
    """Negative: the signal that ended it; None where nobody saw it."""
    step: int | None = None
    beat_at: float | None = None
    gone_at: float | None = None
    raised: Raised | None = None

    @property
    def failed(self) -> bool:
        return self.raised is not None or self.exit_code not in (None, 0)

    @property
    def signal(self) -> int | None:
        """The signal that ended it, unless it had raised before."""
        code = self.exit_code
        return -code if self.raised is None and code is not None and code < 0 else None


@dataclass(frozen=True, slots=True)
class End:
    """Evidence about the end of one run, gathered from the job's directory."""

    ranks: tuple[RankEnd, ...] = ()
    restarts: int = 0
    python: str = "python"
    missing_torch: bool = False
    agent_error: str | None = None
    agent_log: str | None = None


# How somebody else's death looks from a rank that survived it: gloo, NCCL, and torch's store.
_PEER_LOST = re.compile(
    r"Connection (closed|reset|refused)|Broken pipe|recvValue failed|failed to (recv|send)"
    r"|ncclRemoteError|remote process exited|Timed out waiting \d+ ?ms"
    r"|DistNetworkError|DistStoreError|wait timeout after|Watchdog caught",
    re.IGNORECASE,
)
_HARD = frozenset({signal.SIGKILL, signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE})


def first_cause(ranks: Sequence[RankEnd]) -> RankEnd | None:
    """The rank whose failure came first, or None where none failed.

    Time alone misleads: a killed rank leaves no time of its own, and its peer's error is written
    before anybody noticed. So the kind of end is judged first, then the time.
    """

    def order(one: RankEnd) -> tuple[int, float, int]:
        if one.signal in _HARD:
            kind = 0
        elif one.signal == signal.SIGTERM:
            kind = 4  # the agent ends the others by it
        elif one.signal is not None:
            kind = 2  # SIGABRT: its own assertion, or a watchdog's word about a peer
        elif one.raised and _PEER_LOST.search(f"{one.raised.type}: {one.raised.message}"):
            kind = 3
        else:
            kind = 1
        at = one.raised.at if one.raised else one.gone_at
        return kind, float("inf") if at is None else at, one.rank

    return min((one for one in ranks if one.failed), key=order, default=None)


def diagnose(end: End) -> str:
    """One sentence for people: who failed first, of what, where; and what would help, if known."""
    if end.missing_torch:
        return _install("torch", end.python)
    first = first_cause(end.ranks)
    if first is None:
        return _agent_failed(end)
    again = f" (after {_count(end.restarts, 'restart')})" if end.restarts else ""
    raised = first.raised
    if raised is None:
        return _ended(first) + again
    if raised.module:
        return f"rank {first.rank}: {_install(raised.module, end.python)}"
    alike = [
        one
        for one in end.ranks
        if one.raised and (one.raised.type, one.raised.where) == (raised.type, raised.where)
    ]
    who = "every rank" if len(alike) == len(end.ranks) > 1 else f"rank {first.rank}"
    where = f" at {raised.where}" if raised.where else ""
    if raised.type == "SystemExit":
        return f"{who} ended itself with exit code {raised.message or 1}{where}{again}"
    lines = raised.message.strip().splitlines()
    what = f"{raised.type}: {_short(lines[0])}" if lines else raised.type
    after = f", after step {first.step}" if first.step is not None else ""
    return f"{who}: {what}{where}{after}{again}"


def _ended(one: RankEnd) -> str:
    code = one.exit_code or 0
    when = ""
    if one.step is None:
        when = ", before its first step"
    elif one.beat_at is not None and one.gone_at is not None:
        when = f", {max(0.0, one.gone_at - one.beat_at):.0f} s after step {one.step}"
    if code > 0:
        return f"rank {one.rank} ended with exit code {code}{when}"
    why = ": often the system, for lack of memory" if -code == signal.SIGKILL else ""
    return f"rank {one.rank} was killed by {_signal_name(-code)}{when}{why}"


def _agent_failed(end: End) -> str:
    if end.agent_error:
        return f"the ranks could not be started: {_short(end.agent_error)}"
    lines = (end.agent_log or "").strip().splitlines()
    if lines:
        return f"the ranks could not be started: {_short(lines[-1])}"
    return "torch's launcher ended without a word about any rank"


def _install(module: str, python: str) -> str:
    package = module.split(".")[0]
    return (
        f"the module {module!r} is not installed where this job runs; "
        f"install it with: {python} -m pip install {package}"
    )


def _short(text: str, most: int = 300) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
