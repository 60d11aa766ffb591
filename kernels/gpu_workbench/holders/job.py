"""A training job's supervisor: `python -m gpu_workbench.holders.job DIR`.

Starts torch's elastic agent (or mpirun) with N ranks, watches what they leave on disk, and writes
what it saw to `DIR/status.json`. It outlives kernel, browser and server; it knows none of them,
only its directory (`spec.json`, `target.json`) and SIGTERM. It imports no torch, and it draws no
conclusions: who failed first, and what to say of it, is `domain.diagnosis` on the server. A rank
that is stopped by a signal, or hangs longer than the spec allows, it kills: from there on it is a
lost rank like any other, which torch's agent restarts or gives up on.

Nothing that it started is left when it ends: orphans are adopted, then all descendants are killed.
If it is killed itself, the kernel kills the agent and the ranks (`die_with_parent`).
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec

from .. import protocol as wire
from . import agent as agents
from .agent import AGENT
from .files import NOTICE, SPEC, STATUS, TARGET, append_json_line, read_json, tail, write_json
from .forks import Child
from .lastword import forget, say, take_room
from .launchers import mpi_command, mpi_failures, rank_program
from .logs import Logs
from .memory import oom_kills
from .metrics import read_beat
from .pinning import BACKEND_ENV, Pinning, Place, pin
from .points import Points
from .processes import adopt_orphans, alive, catches, kill_family, reap
from .rank import DONE, ERROR, RANK, RESULT, run_directory
from .snapshot import keep_code
from .watch import Standing, Watch

_TICK = 0.2
_BEATS_EVERY = 1.0
_RESTLESS = ("step", "beat_at", "step_seconds", "own_seconds")
"""What of a rank changes with every step."""


def agent_environment(directory: Path, spec: dict[str, Any]) -> dict[str, str]:
    """What the agent needs besides our own environment: torchrun's options, as `PET_*` variables.

    The agent's rendezvous is a file (it listens nowhere) and the ranks' is on loopback.
    """
    ranks = int(spec["ranks"])
    return {
        # As torchrun does where nobody says; the server says.
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"),
        **pinning(spec).environment,
        **(spec.get("env") or {}),
        "PET_NNODES": "1",
        "PET_NPROC_PER_NODE": str(ranks),
        "PET_MAX_RESTARTS": str(int(spec.get("max_restarts") or 0)),
        "PET_RDZV_BACKEND": "c10d",
        "PET_RDZV_CONF": "store_type=file",
        "PET_RDZV_ENDPOINT": str(directory / "rendezvous"),
        "PET_RDZV_ID": secrets.token_hex(8),
        "PET_LOCAL_ADDR": "127.0.0.1",
        "PET_MONITOR_INTERVAL": "0.1",
        # Where nobody says it makes a directory in /tmp for each run, and never removes it.
        "PET_LOG_DIR": str(directory / "torchelastic"),
        # Without it a restart after a killed rank hangs or fails in 7 of 10 (pytorch#135712).
        "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1",
    }


def pinning(spec: dict[str, Any]) -> Pinning:
    """How the ranks of this job talk to each other."""
    slices = msgspec.convert(spec["lease"].get("slices", ()), list[wire.Slice])
    places = {gpu: Place(**one) for gpu, one in (spec.get("places") or {}).items()}
    return pin(slices, places, spec.get("env") or {}, _loopback())


def _loopback() -> str:
    names = {name for _, name in socket.if_nameindex()}
    return "lo" if "lo" in names else "lo0"


class Supervisor:
    """One job, from its start to its end."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._spec = read_json(directory / SPEC) or {}
        self._ranks = int(self._spec["ranks"])
        self._grace = float(self._spec.get("grace_seconds") or 10.0)
        self._launcher = self._spec.get("launcher") or "torch"
        self._way = pinning(self._spec)
        self._hang_seconds: float | None = self._spec.get("hang_seconds")
        script = self._spec.get("script")
        self._root = os.path.dirname(os.path.abspath(script)) if script else self._spec.get("cwd")
        self._points = Points(directory)
        self._logs = Logs()
        self._watch = Watch(str(self._root))
        self._standing: dict[int, Standing] = {}
        self._ended: dict[int, Standing] = {}
        """Ranks of this attempt that we killed, and why."""
        self._oom_kills = oom_kills()
        self._agent_signal: int | None = None
        """That ended the launcher, where it was not us."""
        self._attempt = int(self._spec.get("first_attempt") or 0)
        self._gone: dict[int, float] = {}
        self._stop: str | None = None
        self._stop_at: float | None = None
        self._all_done_at: float | None = None
        self._started = time.time()
        self._written: dict[str, Any] = {}
        self._unwritable = ""
        """Why a status could not be written, as "OSError: No space left on device"."""
        self._beats_at = 0.0
        self._told: set[int] = set()
        """Pids that know that the lease ends soon."""

    def run(self) -> None:
        """Start, watch, end. The final state is in `status.json` when it returns."""
        adopt_orphans()
        take_room(self._directory)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._want_stop("stopped"))
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        if self._launcher != "mpi" and importlib.util.find_spec("torch") is None:
            self._finish("failed", missing_torch=True)
            return
        try:
            agent = self._start()
        except OSError as error:
            self._finish("failed", start_error=str(error))
            return
        with contextlib.suppress(OSError):
            keep_code(Path(str(self._root)), self._directory)
        while agent.poll() is None:
            self._look(agent)
            self._write("running", self._seen())
            time.sleep(_TICK)
        if (agent.returncode or 0) < 0:  # 0 where `kill_family` has seen its end
            self._agent_signal = -int(agent.returncode or 0)
        kill_family()
        if self._launcher == "mpi":
            said = tail(self._directory / "agent.log", lines=40)
            with contextlib.suppress(OSError):
                write_json(self._directory / AGENT, {"failures": mpi_failures(said)})
        self._look(None)
        seen = self._seen()
        if self._is_done(seen):
            self._finish("succeeded")
        elif self._stop is not None:
            self._finish("stopped")
        else:
            self._finish("failed")

    def _start(self) -> subprocess.Popen[bytes] | Child:
        self._event("start", ranks=self._ranks, way=self._way.note)
        environment = os.environ | agent_environment(self._directory, self._spec)
        if self._launcher == "mpi":
            program = rank_program(str(self._directory))
            command = mpi_command(self._ranks, self._spec.get("launcher_args") or [], program)
            return agents.start_program(command, self._directory, environment)
        return agents.start(self._directory, environment)

    # --- while it runs ------------------------------------------------------------------------

    def _look(self, agent: subprocess.Popen[bytes] | Child | None) -> None:
        """One tick: take in what the ranks wrote, and end the agent where it must end."""
        while run_directory(self._directory, self._attempt + 1, 0).parent.is_dir():
            self._attempt += 1
            self._gone.clear()
            self._ended.clear()
            self._watch = Watch(str(self._root))
            self._all_done_at = None
            self._event("restart", attempt=self._attempt)
        self._points.gather(self._run_directories())
        self._logs.bound(self._run_directories().values())
        if agent is None:
            return
        reap(except_for=agent.pid)
        target = read_json(self._directory / TARGET) or {}
        if target.get("state") == "stopped":
            self._want_stop(str(target.get("reason") or "stopped"))
        if not self._directory.is_dir():  # who could still stop it, or ask what became of it?
            self._want_stop("its directory is gone")
        self._pass_notice_on()
        now = time.monotonic()
        if self._stop is not None:
            if self._stop_at is None:
                self._stop_at = now
                self._event("stop", reason=self._stop)
                agent.terminate()
            elif now - self._stop_at > self._grace:
                kill_family()
        # Work that is done may still hang in a library's clean-up (NCCL, DDP): done is the word of
        # the ranks, and the grace is for what they do after it.
        elif self._is_done(seen := self._seen()):
            self._all_done_at = self._all_done_at or now
            if now - self._all_done_at > self._grace:
                self._event("hung_after_done")
                kill_family()
        elif self._launcher == "mpi" and any(one["state"] == "failed" for one in seen):
            # torch's agent ends the others; under mpirun they wait for the one that raised, and
            # that one, in MPI's own clean-up, for them.
            self._event("rank_failed")
            kill_family()
        else:
            self._end_what_stands(seen)

    def _pass_notice_on(self) -> None:
        """The lease ends soon: SIGUSR1, once, to each rank that has a handler, so that it can save.

        As Slurm does with `--signal=USR1@60`. `gw.ends_in` reads the same notice.
        """
        if not (self._directory / NOTICE).exists():
            self._told.clear()
            return
        for one in self._seen():
            pid = one["pid"]
            if one["state"] == "running" and pid not in self._told and catches(pid, signal.SIGUSR1):
                self._told.add(pid)
                self._event("notice", rank=one["rank"])
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGUSR1)

    def _end_what_stands(self, seen: list[dict[str, Any]]) -> None:
        """Look who stands still; kill what is frozen, and what hangs for longer than is allowed."""
        before, self._standing = self._standing, self._watch.look(seen, self._run_directories())
        running = {one["rank"]: one["pid"] for one in seen if one["state"] == "running"}
        for rank, stands in self._standing.items():
            if before.get(rank) != stands:
                self._event("stands", rank=rank, kind=stands.kind, where=stands.where)
            if stands.kind == "frozen" or self._hangs_too_long(stands):
                self._ended[rank] = stands
                self._event("kill", rank=rank, kind=stands.kind, where=stands.where)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(running[rank], signal.SIGKILL)

    def _hangs_too_long(self, one: Standing) -> bool:
        allowed = self._hang_seconds
        return one.kind == "hung" and allowed is not None and time.time() - one.since > allowed

    def _want_stop(self, reason: str) -> None:
        self._stop = self._stop or reason

    def _run_directories(self) -> dict[int, Path]:
        return {n: run_directory(self._directory, self._attempt, n) for n in range(self._ranks)}

    def _is_done(self, ranks: list[dict[str, Any]]) -> bool:
        return all(rank["state"] == "succeeded" for rank in ranks)

    def _seen(self) -> list[dict[str, Any]]:
        """Each rank as its files and its process show it."""
        failures = (read_json(self._directory / AGENT) or {}).get("failures") or []
        codes = {one["rank"]: one["exit_code"] for one in failures}
        return [
            self._rank_seen(rank, run, codes.get(rank))
            for rank, run in self._run_directories().items()
        ]

    def _rank_seen(self, rank: int, run: Path, exit_code: int | None) -> dict[str, Any]:
        started, beat = read_json(run / RANK), read_beat(run)
        stands, ended = self._standing.get(rank), self._ended.get(rank)
        error, done = read_json(run / ERROR), read_json(run / DONE)
        state = "waiting"
        if started is not None:
            state = "running" if alive(started["pid"], started["started"]) else "gone"
            if state == "gone":
                self._gone.setdefault(rank, time.time())
        if done is not None:
            state, exit_code = "succeeded", 0
        elif error is not None or exit_code not in (None, 0):
            state = "failed"
        return {
            "rank": rank,
            "slice_id": started["slice_id"] if started else None,
            "pid": started["pid"] if started else None,
            "state": state,
            "exit_code": exit_code,
            "step": beat.step if beat else None,
            "beat_at": beat.at if beat else None,
            "step_seconds": beat.step_seconds if beat else None,
            "own_seconds": beat.own_seconds if beat else None,
            "gone_at": self._gone.get(rank),
            "done_at": done["time"] if done else None,
            "stands": stands.words if stands and state == "running" else None,
            "stuck": ended.kind if ended else None,
            "stood_at": ended.where if ended else None,
            "error": error,
        }

    # --- what is written ----------------------------------------------------------------------

    def _finish(
        self, state: str, missing_torch: bool = False, start_error: str | None = None
    ) -> None:
        agent = read_json(self._directory / AGENT) or {}
        started = any(rank["pid"] for rank in self._seen())
        self._event("end", state=state)
        self._write(
            state,
            self._seen(),
            ended_at=time.time(),
            missing_torch=missing_torch,
            oom_kills=oom_kills() - self._oom_kills,
            agent_error=start_error or agent.get("error"),
            agent_signal=self._agent_signal or agent.get("killed_by"),
            # Where no rank came up, the agent's own last words are all there is.
            agent_log=None if started else tail(self._directory / "agent.log", lines=12),
        )

    def _write(self, state: str, ranks: list[dict[str, Any]], **more: Any) -> None:
        """Replace `status.json` where something changed; where only beats did, once a second."""
        status = {
            "state": state,
            "pid": os.getpid(),
            "started_at": self._started,
            "attempt": self._attempt,
            "ranks": ranks,
            "metrics": self._points.latest,
            "not_a_number": self._points.not_a_number,
            "stop": self._stop,
            "has_result": (self._run_directories()[0] / RESULT).exists(),
            "python": sys.executable,
            "unwritable": self._unwritable,
            "way": self._way.note if BACKEND_ENV in self._way.environment else "",
            **more,
        }
        changed = _still(status) != _still(self._written)
        if changed or (
            status != self._written and time.monotonic() - self._beats_at >= _BEATS_EVERY
        ):
            self._beats_at = time.monotonic()
            try:
                write_json(self._directory / STATUS, status)
            except OSError as error:  # a full disk must not end a run; the next look tries again
                self._unwritable = f"{type(error).__name__}: {error.strerror}"
                if "ended_at" in status:
                    say(self._directory, {**status, "unwritable": self._unwritable})
                return
            if "ended_at" in status:
                forget(self._directory)
            self._written = {**status, "metrics": dict(self._points.latest)}

    def _event(self, event: str, **facts: Any) -> None:
        line = {"time": time.time(), "event": event, **facts}
        with contextlib.suppress(OSError):
            append_json_line(self._directory / "events.jsonl", line)


def _still(status: dict[str, Any]) -> dict[str, Any]:
    """The part of a status that does not change with every step."""
    ranks = [
        {k: v for k, v in rank.items() if k not in _RESTLESS} for rank in status.get("ranks", [])
    ]
    return {**status, "ranks": ranks, "metrics": None}


if __name__ == "__main__":
    Supervisor(Path(sys.argv[1])).run()
