"""`ports.Engine` on this machine: every holder a detached process in a session of its own.

Survives its server: nothing here is a child's parent in any way that matters. What was started is
written down *before* it is started, and found again by that and by the tags in its environment, so
that a kill between two lines leaks nothing. Knows no lease's state and no service.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil

from gpu_workbench.protocol import KEY_ENV

from ..domain.environment import environment_for_holder
from ..ports import EngineState, ProcessRef, ProcessSpec
from ..procscan import EnvironScanner, Tagged, is_alive, started_at
from . import nursery

__all__ = ["LocalEngine", "environment_for_holder"]

_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_KILL_SECONDS = 5.0
_LOOKS_IN_VAIN = 3
_TIDIES = re.compile(r"from [\w.]+\.resource_tracker import main|.*/torch_shm_manager$")
"""The helpers of multiprocessing (joblib has one, too) and of torch that unlink in /dev/shm what
others left there when they were killed: it would stay until the machine restarts."""
_TIDY_SECONDS = 3.0


class LocalEngine:
    """Starts holders on this machine. Thread-safe, and safe beside another one on its directory."""

    def __init__(self, directory: Path, broker: str = "") -> None:
        """`directory` is the engine's own, for one small file per key; it is made where it is not.

        `broker` is what `BROKER_ENV` says in the environment of all our processes.
        """
        self._directory = directory
        self._scanner = EnvironScanner(broker)
        self._lock = threading.Lock()
        self._children: dict[int, subprocess.Popen[bytes]] = {}
        self._nurseries = nursery.Nurseries()
        self._warming = threading.Lock()
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def submit(self, spec: ProcessSpec) -> ProcessRef:
        """Start it, or find what runs under its key. Raises `OSError` where it can't be started."""
        with self._locked(spec.key):
            running = self.find(spec.key)
            if running is not None:
                return running
            return self._forked(spec) if spec.warm else self._started(spec)

    def _started(self, spec: ProcessSpec) -> ProcessRef:
        self._write(spec.key, {"argv": list(spec.argv)})
        child = self._spawn(spec)
        with self._lock:
            self._children[child.pid] = child
        return self._noted(spec.key, list(spec.argv), child.pid)

    def _forked(self, spec: ProcessSpec) -> ProcessRef:
        """From a process that has imported already what this one needs."""
        argv = nursery.argv(spec)
        spec.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._write(spec.key, {"argv": argv})
        try:
            with self._warming:
                pid = self._nurseries.fork(spec)
        except nursery.NotWarm:  # it may have been killed between the fork and its answer
            return self.find(spec.key) or self._started(spec)
        return self._noted(spec.key, argv, pid)

    def _noted(self, key: str, argv: list[str], pid: int) -> ProcessRef:
        ref = ProcessRef(key, pid, started_at(pid) or time.time())
        self._write(key, {"argv": argv, "pid": ref.pid, "started": ref.started})
        return ref

    def find(self, key: str) -> ProcessRef | None:
        """The live process of that key, also where its submission was cut off half-way."""
        self._reap()
        record = self._read(key)
        if record is None:
            return None
        if "pid" in record:
            ref = ProcessRef(key, record["pid"], record["started"])
            return ref if self.state(ref) == "running" else None
        # The submission was cut off after the start at most. The holder itself leads a session and
        # has the command line that was noted; what it started shares its tags, but not these two,
        # unless it was forked: then it is younger.
        argv = record["argv"]
        found = [
            (started, one.pid)
            for one in self._scanner.scan()
            if one.key == key and _leads_session(one.pid) and _runs(one.pid, argv)
            if (started := started_at(one.pid)) is not None
        ]
        if not found:
            return None
        started, pid = min(found)
        self._write(key, {"argv": argv, "pid": pid, "started": started})
        return ProcessRef(key, pid, started)

    def state(self, ref: ProcessRef) -> EngineState:
        self._reap()
        if is_alive(ref.pid, ref.started):
            return "running"
        # The clock was set: the tag still tells whose pid this is.
        found = self._scanner.tags(ref.pid)
        return "running" if found and found.key == ref.key and _leads_session(ref.pid) else "gone"

    def terminate(self, ref: ProcessRef) -> None:
        """SIGTERM to the process; returns at once, also where it is gone."""
        if self.state(ref) == "running":
            with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                psutil.Process(ref.pid).terminate()

    def kill_lease(self, lease_id: int) -> list[int]:
        """SIGKILL every process of the lease until none is left; returns their pids.

        Looks again after each round, since a process may fork while we look. Gives up after 5 s on
        what can't be killed (it hangs in the kernel); `lease_pids` goes on showing it. What removes
        the others' shared memory once they are gone, and then ends, has 3 s for it.
        """
        return self._kill_all(lambda one: one.lease_id == lease_id)

    def kill_key(self, key: str) -> list[int]:
        """The same for all that was started under the key, whatever its lease."""
        return self._kill_all(lambda one: one.key == key)

    def _kill_all(self, ours: Callable[[Tagged], bool]) -> list[int]:
        killed: set[int] = set()
        began = time.monotonic()
        in_vain = 0  # what forks without end may slip past one look
        while in_vain < _LOOKS_IN_VAIN and (late := time.monotonic() - began) < _KILL_SECONDS:
            in_vain += 1
            for one in self._scanner.look():
                if ours(one):
                    in_vain = 0
                    if late < _TIDY_SECONDS and _tidies(one.pid):
                        continue
                    killed.add(self._kill(one.pid))
            self._reap()
        return sorted(killed)

    def lease_pids(self, lease_id: int) -> list[int]:
        self._reap()
        return sorted(self._scanner.pids_of(lease_id))

    def close(self) -> None:
        """End what is kept warm; holders live on."""
        with self._warming:
            self._nurseries.close()

    @staticmethod
    def _kill(pid: int) -> int:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
        return pid

    # --- processes ----------------------------------------------------------------------------

    @staticmethod
    def _spawn(spec: ProcessSpec) -> subprocess.Popen[bytes]:
        spec.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _log(spec.directory / "out.log") as out, _log(spec.directory / "err.log") as err:
            return subprocess.Popen(
                spec.argv,
                env={**spec.env, KEY_ENV: spec.key},
                cwd=spec.cwd or spec.directory,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )

    def _reap(self) -> None:
        """Our own dead children are zombies until somebody asks how they ended."""
        with self._lock:
            for pid, child in list(self._children.items()):
                if child.poll() is not None:
                    del self._children[pid]

    # --- what was started ---------------------------------------------------------------------

    @contextlib.contextmanager
    def _locked(self, key: str) -> Iterator[None]:
        """One submission of a key at a time, across threads and processes; a kill unlocks."""
        handle = os.open(self._path(key, ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _path(self, key: str, suffix: str) -> Path:
        if not _KEY.fullmatch(key):
            raise ValueError(f"not a key: {key!r}")
        return self._directory / f"{key}{suffix}"

    def _write(self, key: str, record: dict[str, Any]) -> None:
        path = self._path(key, ".json")
        half = path.with_suffix(f".{os.getpid()}.{threading.get_ident()}")
        half.write_text(json.dumps(record), encoding="utf-8")
        os.replace(half, path)

    def _read(self, key: str) -> dict[str, Any] | None:
        try:
            found = json.loads(self._path(key, ".json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) and "argv" in found else None


def _log(path: Path) -> Any:
    """A log to append to, for its owner only."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")


def _leads_session(pid: int) -> bool:
    try:
        return os.getsid(pid) == pid
    except OSError:
        return False


def _tidies(pid: int) -> bool:
    """Does it clean up after others? Where it is stopped it is made to go on."""
    try:
        process = psutil.Process(pid)
        found = any(_TIDIES.match(word) for word in process.cmdline())
        if found and process.status() == psutil.STATUS_STOPPED:
            process.resume()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False
    return found


def _runs(pid: int, argv: list[str]) -> bool:
    """Is this its command line? An interpreter may stand before it, where argv[0] is a script."""
    try:
        return psutil.Process(pid).cmdline()[-len(argv) :] == argv
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False
