"""May a program run in a fork of a warm process? Judged by what that one was started with.

A warm process has read its environment and imported torch before it knew for whom. A fork of it is
as good as a fresh interpreter where nothing that was read by then would be different: no variable
that the interpreter, the loader or torch read when they start, no module of the user's own under a
name that is loaded already. Where in doubt the answer is no, and the program starts in the ordinary
way, only later.

Reads the user's sources; starts nothing and changes nothing.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path

AT_START = dict(os.environ)
"""The environment that this interpreter was started with; a fork's is its parent's."""

_IMPORT = (
    r"(?:OMP|GOMP|KMP|MKL|OPENBLAS|GOTO|BLIS|NPY|NUMPY|ATEN|C10|PYTORCH|TORCH[A-Z]*)_[A-Z0-9_]+"
)
_IMPORT_TOO = r"|CUDA_(?:HOME|PATH)|LOGLEVEL"
_START = r"PYTHON[A-Z]+|(?:LD|DYLD|GLIBC|MALLOC|LC)_.*|LANG|LANGUAGE|TZ|CC|CXX"
# Read when they are used, or by torch's agent only.
_LATER = r"(?:TORCHELASTIC|TORCH_NCCL|TORCH_FR|TORCH_GLOO)_.*|TORCH_(?:HOME|DISABLE_SHARE_RDZV.*)"

_READ_EARLY = re.compile(f"(?!(?:{_LATER})$)(?:{_IMPORT}{_IMPORT_TOO}|{_START})")
_SPOKEN_OF = re.compile(f"(?<![A-Za-z0-9_])(?!{_LATER}){_IMPORT}".encode())
_IMPORTS = re.compile(r"^[ \t]*(?:from[ \t]+(\w+)|import[ \t]+([\w., \t]+))", re.MULTILINE)
_MOST_SOURCES = 1000
_MOST_DIRECTORIES = 100
"""Of one name: it may as well be a directory of data."""


def read_early(environment: Mapping[str, str]) -> dict[str, str]:
    """The part of an environment that is read when Python starts and torch is imported."""
    return {name: value for name, value in environment.items() if _READ_EARLY.fullmatch(name)}


def fits(environment: Mapping[str, str]) -> bool:
    """Would an interpreter that is started with `environment` be like this one?"""
    return read_early(environment) == read_early(AT_START)


def is_single() -> bool:
    """Nothing here that a fork would break: no other thread of Python's, no GPU opened."""
    import threading

    return threading.active_count() == 1 and not gpu_is_open()


def gpu_is_open() -> bool:
    """Has this process opened an NVIDIA device? A fork of it could not use CUDA."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        return True
    for number in os.listdir("/proc/self/fd"):
        try:
            if os.readlink(f"/proc/self/fd/{number}").startswith("/dev/nvidia"):
                return True
        except OSError:
            continue
    return False


def why_anew(script: str | None, function: Path, cwd: str) -> str | None:
    """Why this script, or pickled function, needs an interpreter of its own; None where it doesn't.

    It may set a variable before it imports torch, which is too late in a process that has torch; or
    bring a module under the name of one that is loaded already.
    """
    root = Path(script).parent if script else Path(cwd)
    shadowed = _shadowed(root)
    if shadowed:
        return f"{shadowed} beside it has the name of a module that is loaded already"
    for number, (path, text) in enumerate(_texts(Path(script) if script else function, root)):
        if number == _MOST_SOURCES:
            return f"it imports more than {_MOST_SOURCES} files beside it"
        spoken_of = _SPOKEN_OF.search(text)
        if spoken_of:
            return f"{path.name} speaks of {spoken_of[0].decode()}, which torch reads early"
    return None


def _shadowed(root: Path) -> str | None:
    loaded = {name for name in sys.modules if "." not in name and name != "__main__"}
    try:
        beside = sorted(os.listdir(root))
    except OSError:
        return None
    for name in beside:
        stem, dot, suffix = name.partition(".")
        package = not dot and (root / name / "__init__.py").exists()
        if stem in loaded and (suffix == "py" or package):
            ours = getattr(sys.modules[stem], "__file__", None)
            if ours is None or not Path(ours).is_relative_to(root):
                return name
    return None


def _texts(start: Path, root: Path) -> Iterator[tuple[Path, bytes]]:
    """A file and, where it is Python's, the modules under `root` that it imports, and theirs."""
    waiting, seen = [start], {start}
    while waiting:
        path = waiting.pop()
        try:
            text = path.read_bytes()
        except OSError:
            continue
        yield path, text
        if path.suffix != ".py":
            continue
        for name in _imported(text.decode(errors="replace")):
            new = [one for one in _files(root / name) if one not in seen]
            seen.update(new)
            waiting += new


def _imported(source: str) -> set[str]:
    """Top-level names; some that only look like it do no harm."""
    names: set[str] = set()
    for whence, listed in _IMPORTS.findall(source):
        names |= (
            {whence} if whence else {one.split()[0] for one in listed.split(",") if one.split()}
        )
    return {name.partition(".")[0] for name in names}


def _files(module: Path) -> list[Path]:
    """The sources of a module of this name, of a package all; a directory of data has none."""
    alone = module.with_suffix(".py")
    found = [alone] if alone.is_file() else []
    for where, _, names in islice(os.walk(module), _MOST_DIRECTORIES):
        found += [Path(where, name) for name in names if name.endswith(".py")]
    return found
