"""Warm parents, one for each interpreter: a holder is forked from one instead of started anew.

Knows the nursery's two lines of JSON (`gpu_workbench.holders.nursery`) and nothing of what is
forked. Whatever goes wrong is `NotWarm`: the caller starts a process in the ordinary way then.
"""

from __future__ import annotations

import contextlib
import json
import select
import subprocess
from pathlib import Path

from gpu_workbench.protocol import KEY_ENV

from ..ports import ProcessSpec

ARGV = ("-m", "gpu_workbench.holders.nursery")
_PATIENCE = 10.0
"""Seconds for an answer, the first one with its imports: people wait meanwhile."""


class NotWarm(Exception):
    """It can't be forked; start it."""


class Nurseries:
    """Call from one thread at a time."""

    def __init__(self) -> None:
        self._alive: dict[str, subprocess.Popen[bytes]] = {}
        self._cold: set[str] = set()
        """Interpreters that answered late or never: not asked again."""

    def fork(self, spec: ProcessSpec) -> int:
        """The pid of a new process for this spec. Raises `NotWarm`."""
        python = spec.argv[0]
        if python in self._cold:
            raise NotWarm(f"{python} did not answer")
        order = {
            "directory": str(spec.directory),
            "cwd": str(spec.cwd or spec.directory),
            "env": {**spec.env, KEY_ENV: spec.key},
        }
        nursery = self._alive.get(python)
        if nursery is None or nursery.poll() is not None:
            nursery = self._alive[python] = self._start(spec)
        assert nursery.stdin is not None and nursery.stdout is not None
        try:
            nursery.stdin.write(json.dumps(order).encode() + b"\n")
            nursery.stdin.flush()
            ready, _, _ = select.select([nursery.stdout], [], [], _PATIENCE)
            line = nursery.stdout.readline() if ready else b""
            return int(json.loads(line)["pid"])
        except (OSError, ValueError, KeyError) as error:
            self._end(self._alive.pop(python))
            self._cold.add(python)
            raise NotWarm(str(error)) from None

    @staticmethod
    def _start(spec: ProcessSpec) -> subprocess.Popen[bytes]:
        environment = {name: value for name, value in spec.env.items() if name != KEY_ENV}
        try:
            return subprocess.Popen(
                (spec.argv[0], *ARGV),
                env=environment,
                cwd=Path("/"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            raise NotWarm(str(error)) from None

    def close(self) -> None:
        """End them; what they have forked lives on."""
        for nursery in self._alive.values():
            self._end(nursery)
        self._alive.clear()

    @staticmethod
    def _end(nursery: subprocess.Popen[bytes]) -> None:
        for pipe in (nursery.stdin, nursery.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        nursery.kill()
        nursery.wait()
