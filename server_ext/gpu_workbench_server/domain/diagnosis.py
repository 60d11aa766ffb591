"""What to say of a training job that failed: the first cause, not its echoes. Pure.

When one rank dies the others fail a moment later with errors of their own ("connection closed by
peer"), and only one of all these tracebacks helps. `diagnose` names that one and what to do.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence
from dataclasses import dataclass

from .causes import CAUSES, cause_of


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
    stage: str = "run"
    """"load" where it was raised before any of the user's code ran."""


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
    stuck: str | None = None
    """Why the supervisor ended it: "frozen" or "hung"."""
    stood_at: str | None = None
    """Where it stood when the supervisor looked: "train.py:12"."""
    done_at: float | None = None

    @property
    def failed(self) -> bool:
        return self.raised is not None or self.exit_code not in (None, 0) or self.stuck is not None

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
    agent_signal: int | None = None
    """That ended from outside who started the ranks (torch's agent, what it forks them from, or
    mpirun); they end with it."""
    oom_kills: int = 0
    """Processes that the kernel killed for memory in the job's control group while it ran."""
    unwritable: str = ""
    """Why nothing could be written into the job's own directory: "OSError: No space left …"."""


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a run failed."""

    code: str
    """One of `causes.CAUSES`."""
    sentence: str
    hint: str
    rank: int | None = None
    """Who failed first, where it was one rank."""


# How somebody else's death looks from a rank that survived it: gloo, NCCL, and torch's store.
_PEER_LOST = re.compile(
    r"Connection (closed|reset|refused)|Broken pipe|recvValue failed|failed to (recv|send)"
    r"|ncclRemoteError|remote process exited|Timed out waiting \d+ ?ms"
    r"|DistNetworkError|DistStoreError|wait timeout after|Watchdog caught",
    re.IGNORECASE,
)
_CRASHES = frozenset({signal.SIGSEGV, signal.SIGILL, signal.SIGFPE})
_HARD = _CRASHES | {signal.SIGKILL, signal.SIGBUS}


def first_cause(ranks: Sequence[RankEnd]) -> RankEnd | None:
    """The rank whose failure came first, or None where none failed.

    Time alone misleads: a killed rank leaves no time of its own, and its peer's error is written
    before anybody noticed. So the kind of end is judged first, then the time.
    """

    def order(one: RankEnd) -> tuple[int, float, int]:
        if one.stuck or one.signal in _HARD:
            kind = 0 if one.stuck != "hung" else 1
        elif one.signal == signal.SIGTERM:
            kind = 5  # the agent ends the others by it
        elif one.signal is not None:
            kind = 3  # SIGABRT: its own assertion, or a watchdog's word about a peer
        elif one.raised and _PEER_LOST.search(f"{one.raised.type}: {one.raised.message}"):
            kind = 4
        else:
            kind = 2
        at = one.raised.at if one.raised else one.gone_at
        return kind, float("inf") if at is None else at, one.rank

    return min((one for one in ranks if one.failed), key=order, default=None)


def diagnose(end: End) -> Cause:
    """Who failed first, of what and where, in one sentence for people; and what would help."""
    if end.missing_torch:
        return Cause("missing_torch", *_install("torch", end.python))
    first = first_cause(end.ranks)
    if end.agent_signal is not None and (first is None or _is_echo(first)):
        return _said(*_launcher_killed(end.agent_signal, end))
    if end.unwritable and _untold(first):
        return _said(*_unwritten(first, end.unwritable), first.rank if first else None)
    if first is None:
        return _said("not_started", _agent_failed(end))
    again = f" (after {_count(end.restarts, 'restart')})" if end.restarts else ""
    if first.stuck is not None:
        return _said(first.stuck, _stood_still(first) + again, first.rank)
    if first.raised is None:
        code, sentence = _ended(first, end.oom_kills)
        return _said(code, sentence + again, first.rank)
    if first.raised.module and first.raised.stage == "run":
        sentence, hint = _install(first.raised.module, end.python)
        who = _who(first.rank, first.raised, end.ranks)
        return Cause("missing_module", f"{who}: {sentence}{again}", hint, first.rank)
    code = _code(first.raised, end.ranks)
    return _said(code, _raised(first, first.raised, end, code) + again, first.rank)


def _is_echo(one: RankEnd) -> bool:
    """Whether its end says nothing of its own: somebody else was lost, or it was just ended."""
    if one.stuck is not None:
        return False
    return one.raised is None or bool(_PEER_LOST.search(f"{one.raised.type}: {one.raised.message}"))


def _launcher_killed(number: int, end: End) -> tuple[str, str]:
    """(code, sentence) where the process that had started the ranks was killed."""
    steps = [one.step for one in end.ranks if one.step is not None]
    after = f" after step {max(steps)}" if steps else ", before any rank's first step"
    said = f"the launcher of its ranks was killed by {_signal_name(number)}{after}"
    if number == signal.SIGKILL and end.oom_kills:
        return "host_memory", f"{said}: the system, for lack of memory"
    return "launcher_killed", said


def _untold(first: RankEnd | None) -> bool:
    """Whether nothing says why: on a full disk a rank leaves no error, nor that it is done."""
    return first is None or (
        first.raised is None and first.stuck is None and (first.exit_code or 0) > 0
    )


def _unwritten(first: RankEnd | None, why: str) -> tuple[str, str]:
    """(code, sentence) of a run whose end could not be written down."""
    kind, _, words = why.partition(": ")
    code = "disk_full" if cause_of(kind, words) == "disk_full" else "no_access"
    who = "how its ranks ended is not known"
    if first is not None:
        who = f"rank {first.rank} ended with exit code {first.exit_code}"
    return code, f"{who}: nothing could be written into the job's own directory: {words}"


def _code(raised: Raised, ranks: Sequence[RankEnd]) -> str:
    if raised.type == "SystemExit":
        return "bad_arguments" if raised.message == "2" else "exit_code"
    found = cause_of(raised.type, raised.message)
    if raised.stage == "load" and found == "exception":
        return "cannot_load"
    lost = _PEER_LOST.search(f"{raised.type}: {raised.message}")
    if lost and any(one.done_at is not None and one.done_at <= raised.at for one in ranks):
        return "left_early"
    return found


def _raised(first: RankEnd, raised: Raised, end: End, code: str) -> str:
    who = _who(first.rank, raised, end.ranks)
    where = f" at {raised.where}" if raised.where else ""
    if raised.type == "SystemExit":
        return f"{who} ended itself with exit code {raised.message or 1}{where}"
    lines = raised.message.strip().splitlines()
    what = f"{raised.type}: {_short(lines[0])}" if lines else raised.type
    after = f", after step {first.step}" if first.step is not None else ""
    waited = ""
    if code == "left_early":
        done = [str(one.rank) for one in end.ranks if one.done_at is not None]
        waited = f", while rank {', '.join(done)} was done already"
    elif code == "collective_timeout":
        absent = [
            str(one.rank)
            for one in end.ranks
            if not (one.raised or one.done_at) and one.signal in (None, signal.SIGTERM)
        ]
        waited = f", waiting for rank {', '.join(absent)}" if absent else ""
    return f"{who}: {what}{where}{after}{waited}"


def _who(number: int, raised: Raised, ranks: Sequence[RankEnd]) -> str:
    same = (raised.type, raised.where)
    alike = [one for one in ranks if one.raised and (one.raised.type, one.raised.where) == same]
    return "every rank" if len(alike) == len(ranks) > 1 else f"rank {number}"


def _ended(one: RankEnd, oom_kills: int) -> tuple[str, str]:
    """(code, sentence) of a rank that left no exception."""
    code = one.exit_code or 0
    when = ""
    if one.step is None:
        when = ", before its first step"
    elif one.beat_at is not None and one.gone_at is not None:
        when = f", {max(0.0, one.gone_at - one.beat_at):.0f} s after step {one.step}"
    if code > 0:
        return "exit_code", f"rank {one.rank} ended with exit code {code}{when}"
    said = f"rank {one.rank} was killed by {_signal_name(-code)}{when}"
    if -code == signal.SIGKILL and oom_kills:
        return "host_memory", f"{said}: the system, for lack of memory"
    if -code == signal.SIGKILL:
        return "killed", said
    if -code == signal.SIGBUS:
        return "shared_memory", said
    return ("crashed" if -code in _CRASHES else "aborted"), said


def _stood_still(one: RankEnd) -> str:
    where = f" at {one.stood_at}" if one.stood_at else ""
    after = f" after step {one.step}" if one.step is not None else " before its first step"
    if one.stuck == "frozen":
        return f"rank {one.rank} was stopped by a signal{after}, and was ended"
    return f"rank {one.rank} hung{where}{after}, and was ended"


def _agent_failed(end: End) -> str:
    if end.agent_error:
        return f"the ranks could not be started: {_short(end.agent_error)}"
    lines = (end.agent_log or "").strip().splitlines()
    if lines:
        return f"the ranks could not be started: {_short(lines[-1])}"
    return "torch's launcher ended without a word about any rank"


def _said(code: str, sentence: str, rank: int | None = None) -> Cause:
    return Cause(code, sentence, CAUSES[code].hint, rank)


def _install(module: str, python: str) -> tuple[str, str]:
    package = module.split(".")[0]
    return (
        f"the module {module!r} is not installed where this job runs",
        f"Install it with: {python} -m pip install {package}",
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
