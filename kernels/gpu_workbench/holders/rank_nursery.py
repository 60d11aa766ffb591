"""Ranks forked from one process that has torch imported, instead of started one by one.

torch's elastic agent decides when ranks start; `serve_from_here` makes it ask a child that was
forked from the agent while that had one thread and nothing open. The child forks the ranks, waits
for them and tells the agent how each ended: an order, an answer and an end are one packet each.
It dies with the agent, and the ranks with it. Knows torch's agent and `rank`, not the supervisor.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from . import forks, rank, warmth
from .processes import die_with_parent

_PACKET = 1 << 20
_KILLED = -int(signal.SIGKILL)
_HANDLED = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
"""With SIGINT what the agent handles: a program that it starts ignores none of them."""

Popen = Callable[[Any, tuple[str, ...], dict[str, str]], Any]


def preload() -> None:
    """Import what an agent and its ranks need. Starts nothing and touches no CUDA.

    `torch._dynamo` is what torch itself imports at the first step of any optimizer.
    """
    for name in ("torch.distributed.run", "torch._dynamo", "msgspec", "cloudpickle"):
        with contextlib.suppress(Exception):  # whoever needs it will say so
            importlib.import_module(name)
    from . import agent, hooks, metrics, stacks  # noqa: F401

    gc.freeze()  # what is shared stays shared


def serve_from_here(directory: Path) -> Nursery | None:
    """From now on torch's agent, in this process, gets its ranks forked. Call it before it starts.

    Where a fork would not do (another thread, another torch), ranks are started as ever: None.
    """
    from torch.distributed.elastic.multiprocessing.subprocess_handler import SubprocessHandler

    handler: Any = SubprocessHandler  # its methods are torch's own business
    started = getattr(handler, "_popen", None)
    if started is None or not warmth.is_single():
        return None
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for one in (ours, theirs):
        one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _PACKET)
    agent = os.getpid()
    pid = os.fork()
    if pid == 0:
        ours.close()
        _serve(theirs, directory, agent)
    theirs.close()
    nursery = Nursery(ours, str(directory), started, pid)
    handler._popen = lambda self, args, env: nursery.popen(self, args, env)
    return nursery


# --- in the agent -----------------------------------------------------------------------------


class Nursery:
    """The agent's end."""

    def __init__(self, line: socket.socket, directory: str, started: Popen, pid: int) -> None:
        self._pid = pid
        self._line = line
        self._words = ("-m", "gpu_workbench.holders.rank", directory)
        self._started = started
        self.ended: dict[int, int] = {}
        """pid → exit code, of ranks that are over."""
        self.gone = False
        self._forked: set[int] = set()

    def took_along(self, pids: Iterable[int]) -> int | None:
        """The signal that killed it, if it was killed and all these ranks ended with it."""
        if not self.gone or any(pid not in self._forked or pid in self.ended for pid in pids):
            return None
        with contextlib.suppress(ChildProcessError):
            pid, status = os.waitpid(self._pid, os.WNOHANG)
            if pid and os.WIFSIGNALED(status):
                return os.WTERMSIG(status)
        return None

    def popen(self, handler: Any, args: tuple[str, ...], env: dict[str, str]) -> Any:
        """A rank: forked where it is one of ours, or started."""
        if not self.gone and tuple(args[-3:]) == self._words:
            try:
                self._line.send(json.dumps(env).encode())
            except OSError:
                self._lose()
            while not self.gone:
                told = self._hear(None)
                if told and "started" in told:
                    self._forked.add(told["started"])
                    return _Rank(self, told["started"])
        return self._started(handler, args, env)

    def hear_all(self, seconds: float = 0.0) -> None:
        """Take in what has ended; wait so long for the first word of it."""
        while not self.gone and self._hear(seconds) is not None:
            seconds = 0.0

    def _hear(self, seconds: float | None) -> dict[str, int] | None:
        ready, _, _ = select.select([self._line], [], [], seconds)
        if not ready:
            return None
        packet = self._line.recv(_PACKET)
        if not packet:
            self._lose()
            return None
        told: dict[str, int] = json.loads(packet)
        if "ended" in told:
            self.ended[told["ended"]] = told["code"]
        return told

    def _lose(self) -> None:
        """It was killed, and its ranks with it."""
        self.gone = True
        self._line.close()


class _Rank:
    """As much of `subprocess.Popen` as torch's agent uses."""

    def __init__(self, nursery: Nursery, pid: int) -> None:
        self._nursery = nursery
        self.pid = pid

    @property
    def returncode(self) -> int | None:
        lost = _KILLED if self._nursery.gone else None
        return self._nursery.ended.get(self.pid, lost)

    def poll(self) -> int | None:
        self._nursery.hear_all()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        deadline = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            left = 1.0 if deadline is None else deadline - time.monotonic()
            if left <= 0:
                raise subprocess.TimeoutExpired("rank", timeout or 0.0)
            self._nursery.hear_all(min(left, 1.0))
        return code


# --- the nursery itself, and its children -----------------------------------------------------


def _serve(line: socket.socket, directory: Path, agent: int) -> NoReturn:
    """Until the agent is gone; in a child, until its rank is over."""
    die_with_parent(agent)
    preload()
    nursery = os.getpid()
    children: dict[int, int] = {}  # an open pidfd → pid
    orders = line.fileno()
    while True:
        ready, _, _ = select.select([orders, *children], [], [])
        for ended in [one for one in ready if one != orders]:
            pid = children.pop(ended)
            os.close(ended)
            code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            line.send(json.dumps({"ended": pid, "code": code}).encode())
        if orders not in ready:
            continue
        order = line.recv(_PACKET)
        if not order:
            os._exit(0)
        environment = json.loads(order)
        pid = forks.fork_in_session(environment)
        if pid == 0:
            die_with_parent(nursery)
            line.close()
            for other in children:
                os.close(other)
            forks.leave(partial(_run, environment, directory))
        children[os.pidfd_open(pid)] = pid
        line.send(json.dumps({"started": pid}).encode())


def _run(environment: Mapping[str, str], directory: Path) -> int:
    """One rank, in its fork, or in a program of its own where the fork would not be the same."""
    forks.as_started(environment, directory)
    for number in _HANDLED:
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    environment = rank.enter_slice(directory)
    if not (warmth.fits(environment) and warmth.is_single()):
        os.execve(sys.executable, rank.second_stage(directory), environment)
    forks.as_started(environment, directory)
    sys.argv = rank.second_stage(directory)[3:]
    sys.modules["__main__"] = _main_module()
    return rank.run_rank(directory)


def _main_module() -> ModuleType:
    """What `python -m gpu_workbench.holders.rank` would have, for multiprocessing's children."""
    main = ModuleType("__main__")
    main.__file__, main.__spec__ = rank.__file__, rank.__spec__
    return main
