"""Warm parents: a holder is forked from one that has imported what it needs, not started anew.

There is one for each kind of holder, interpreter and environment. Knows the nursery's lines of JSON
(`gpu_workbench.holders.nursery`) and nothing of what is forked. Whatever goes wrong is `NotWarm`:
the caller starts a process in the ordinary way then.
"""

from __future__ import annotations

import contextlib
import json
import select
import subprocess
from pathlib import Path
from typing import Any

from gpu_workbench.protocol import KEY_ENV, LEASE_ENV, SLICES_ENV

from ..ports import ProcessSpec

_TAGS = (KEY_ENV, LEASE_ENV, SLICES_ENV)
_WAIT_FOR_IMPORTS = {"cluster": 10.0, "job": 0.0}
"""Seconds: Dask is there sooner than a cluster is started without; torch is not."""
_ANSWER_SECONDS = 10.0
_MOST = 4

_Key = tuple[str, str, frozenset[tuple[str, str]]]


class NotWarm(Exception):
    """It can't be forked; start it."""


def argv(spec: ProcessSpec) -> list[str]:
    """The command line of the nursery for `spec`, and so that of what it forks."""
    return [spec.argv[0], "-m", "gpu_workbench.holders.nursery", str(spec.warm)]


class Nurseries:
    """Call from one thread at a time."""

    def __init__(self) -> None:
        self._alive: dict[_Key, _Nursery] = {}
        """The one that was used last is last."""
        self._cold: set[_Key] = set()
        """What answered late or never: not asked again."""

    def fork(self, spec: ProcessSpec) -> int:
        """The pid of a new process for this spec. Raises `NotWarm`.

        Then nothing of it runs but what `Engine.find` finds.
        """
        key = _key(spec)
        if key in self._cold:
            raise NotWarm(f"{spec.argv[0]} did not answer")
        nursery = self._alive.pop(key, None)
        if nursery is not None and not nursery.alive:
            nursery.end()
            nursery = None
        if nursery is None:
            self._make_room()
            nursery = _Nursery(spec)
        self._alive[key] = nursery
        if not nursery.ready(_WAIT_FOR_IMPORTS[str(spec.warm)]):
            if _WAIT_FOR_IMPORTS[str(spec.warm)]:
                self._give_up(key)
            raise NotWarm("it is still importing")
        told = nursery.order(
            directory=str(spec.directory),
            cwd=str(spec.cwd or spec.directory),
            env={**spec.env, KEY_ENV: spec.key},
        )
        if told.get("stale"):  # something was installed since
            self._alive.pop(key).end()
            return self.fork(spec)
        if "pid" not in told:
            self._give_up(key)
            raise NotWarm("it does not answer")
        return int(told["pid"])

    def _make_room(self) -> None:
        for key in list(self._alive)[: -_MOST + 1]:
            self._alive.pop(key).end()

    def _give_up(self, key: _Key) -> None:
        if self._alive[key].alive:
            self._cold.add(key)
        self._alive.pop(key).end()

    def close(self) -> None:
        """End them; what they have forked lives on."""
        for nursery in self._alive.values():
            nursery.end()
        self._alive.clear()


def _key(spec: ProcessSpec) -> _Key:
    same = {name: value for name, value in spec.env.items() if name not in _TAGS}
    return str(spec.warm), spec.argv[0], frozenset(same.items())


class _Nursery:
    """One warm parent."""

    def __init__(self, spec: ProcessSpec) -> None:
        self._ready = self._over = False
        try:
            self._process = subprocess.Popen(
                argv(spec),
                env={name: value for name, value in spec.env.items() if name not in _TAGS},
                cwd=Path("/"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            raise NotWarm(str(error)) from None

    @property
    def alive(self) -> bool:
        return not self._over and self._process.poll() is None

    def ready(self, patience: float) -> bool:
        """Has it imported everything? Waits so many seconds."""
        self._ready = self._ready or bool(self._hear(patience).get("ready"))
        return self._ready

    def order(self, **what: Any) -> dict[str, Any]:
        """Its answer; empty where there is none."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(what).encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            self._over = True
            return {}
        return self._hear(_ANSWER_SECONDS)

    def _hear(self, seconds: float) -> dict[str, Any]:
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], seconds)
        line = self._process.stdout.readline() if ready else b"{}"
        self._over = not line
        try:
            told = json.loads(line)
        except ValueError:
            return {}
        return told if isinstance(told, dict) else {}

    def end(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        self._process.kill()
        self._process.wait()
