"""A launcher's command line, as people have it in their notes, taken apart.

Pure: `accelerate launch --mixed_precision bf16 train.py --epochs 3` → launcher, its flags, script,
the script's arguments. How many ranks there are and where they run is the job's, not the line's.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import NamedTuple

from . import protocol as wire

_STARTS: dict[tuple[str, ...], wire.Launcher] = {
    ("accelerate", "launch"): "accelerate",
    ("torchrun",): "torch",
    ("python", "-m", "torch.distributed.run"): "torch",
    ("mpirun",): "mpi",
    ("mpiexec",): "mpi",
    ("python",): "torch",
    ("python3",): "torch",
}
_SCRIPTS = (".py", ".ipynb")


class Command(NamedTuple):
    """What to run."""

    launcher: wire.Launcher
    flags: list[str]
    script: str
    args: list[str]


def read_command(what: str, script_args: Sequence[str] = ()) -> Command:
    """A script's path, or a whole line; `script_args` follow.

    Raises `ValueError` with what to do instead.
    """
    words = _words(what)
    for start, launcher in _STARTS.items():
        if len(words) > len(start) and tuple(words[: len(start)]) == start:
            return _after(launcher, words[len(start) :], list(script_args))
    return Command("torch", [], what, list(script_args))


def _words(what: str) -> list[str]:
    try:
        return shlex.split(what)
    except ValueError:  # a path with a quote in it
        return [what]


def _after(launcher: wire.Launcher, words: list[str], more: list[str]) -> Command:
    if launcher == "mpi" and (programs := [w for w in words if w in ("python", "python3")]):
        words = [word for word in words if word != programs[0]]
    for number, word in enumerate(words):
        if word.endswith(_SCRIPTS):
            flags, args = words[:number], [*words[number + 1 :], *more]
            if launcher == "torch" and flags:
                raise ValueError(
                    f"{' '.join(flags)}: leave torchrun's own options out; "
                    "ranks=…, per_rank=… and max_restarts=… say the same to launch"
                )
            return Command(launcher, flags, word, args)
    raise ValueError("there is no script (.py or .ipynb) in this line")
