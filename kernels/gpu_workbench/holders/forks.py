"""A forked process in place of a started one: how it is made, and what it must shed to be like one.

A child that runs somebody's code leaves by `SystemExit`, so that its interpreter ends as any other
does: threads are waited for, what is registered with `atexit` runs, files that were left open are
flushed. Knows nothing of jobs and clusters. Linux.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import socket
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NoReturn

from . import tags


class Child:
    """A forked child, as much of `subprocess.Popen` as is needed."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Its exit code once it has ended, negative for a signal."""
        if self.returncode is None:
            try:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:  # somebody else has asked already
                pid, status = self.pid, 0
            if pid == self.pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def terminate(self) -> None:
        if self.poll() is None:
            os.kill(self.pid, signal.SIGTERM)


def child(run: Callable[[], int]) -> Child:
    """Run this, code of ours, in a forked child."""
    pid = os.fork()
    if pid == 0:
        leave_at_once(run)
    return Child(pid)


class _Left(SystemExit):
    """On its way out of a forked interpreter."""


def leave(run: Callable[[], int]) -> NoReturn:
    """In a child that runs somebody's code: run, then end the interpreter as it always ends.

    No frame above is returned to, but they are left one by one: none may clean up behind us.
    """
    raise _Left(_status(run))


def leave_at_once(run: Callable[[], int]) -> NoReturn:
    """In a process whose code is all ours: run, then end. Taking torch apart takes seconds."""
    status = _status(run)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(status)


def _status(run: Callable[[], int]) -> int:
    try:
        return run()
    except _Left:  # a fork of a fork
        raise
    except BaseException:
        traceback.print_exc()
        return 1


def fork_in_session(environment: Mapping[str, str]) -> int:
    """Fork a leader of a session of its own: 0 in the child, its pid in the parent.

    When it returns in the parent, the child shows the tags of `environment`; the child returns only
    after that. So whatever is killed between, a child that works can be found.
    """
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid:
        theirs.close()
        with ours, contextlib.suppress(OSError):
            ours.recv(1)
            ours.send(b"1")
        return pid
    with theirs:
        ours.close()
        os.setsid()
        tags.show(environment)
        try:
            theirs.send(b"1")
            told = theirs.recv(1)
        except OSError:
            told = b""
    if not told:  # our parent is gone, and whoever asked it starts another one
        os._exit(1)
    return 0


def as_started(environment: Mapping[str, str], cwd: str | os.PathLike[str]) -> None:
    """Be as a process that was started with this environment, here."""
    for number in signal.valid_signals():
        # What is ignored stays so, as over an exec; but nobody would be told of children that end.
        if callable(signal.getsignal(number)) or number == signal.SIGCHLD:
            with contextlib.suppress(OSError, ValueError):
                interrupt = number == signal.SIGINT
                signal.signal(number, signal.default_int_handler if interrupt else signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    os.environ.clear()
    os.environ.update(environment)
    tags.show(environment)
    os.chdir(cwd)
    sys.path[0] = str(cwd)
    importlib.invalidate_caches()
    tempfile.tempdir = None
    _own_secrets()


def _own_secrets() -> None:
    """What is drawn once a process, when a module is imported, is drawn again."""
    processes = sys.modules.get("multiprocessing.process")
    if processes is not None:
        processes.current_process().authkey = os.urandom(32)
    numpy_random, torch = sys.modules.get("numpy.random"), sys.modules.get("torch")
    if numpy_random is not None:
        numpy_random.seed()
    if torch is not None:
        torch.default_generator.seed()


def log_to(out: Path, err: Path) -> None:
    """Append stdout and stderr to these files, for their owner only; stdin is empty."""
    devnull = os.open(os.devnull, os.O_RDONLY)
    os.dup2(devnull, 0)
    os.close(devnull)
    for number, path in ((1, out), (2, err)):
        log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(log, number)
        os.close(log)
