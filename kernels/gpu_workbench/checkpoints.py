"""Which files and directories are checkpoints, and which of them are whole. Imports no framework.

The server looks here for what a job can go on from, and a rank that starts again for where to.
What lies there was written by the user's code, so nothing of it is run, no link is followed, and
how much is looked at is bounded.

| kind | what it is | whole where |
|---|---|---|
| `torch` | a `.pt`, `.pth`, `.bin`, `.ckpt` of `torch.save` | it ends as a zip file does |
| `lightning` | such a file of Lightning's | likewise |
| `torch-distributed` | `.metadata` and shards | each shard is as long as that says |
| `transformers` | Trainer's `checkpoint-N` | `trainer_state.json` and all files are whole |
| `accelerate` | `checkpoint_N` of `save_state` | there is some state, and all files are whole |

Of the last two each rank leaves its random state; where the number of ranks is told, all of them
have to be there.
"""

from __future__ import annotations

import io
import json
import math
import os
import pickle
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .protocol import Checkpoint, CheckpointKind

MOST_ENTRIES = 20_000
"""Files and directories looked at in all."""
MOST_DEPTH = 5
MOST_METADATA = 64 << 20

_FILES = (".pt", ".pth", ".bin", ".ckpt")
_TRAINER = re.compile(r"checkpoint-(\d+)")
_ACCELERATE = re.compile(r"checkpoint_(\d+)")
_OF_A_RANK = re.compile(r"(?:rng_state|random_states)_(\d+)\.(?:pth|pkl)")
_STEP = re.compile(r"(?:step|iter|ckpt|checkpoint)s?[-_=]?(\d+)", re.IGNORECASE)
_UNDONE = "checkpoint-is-incomplete.txt"  # transformers, while it saves at a signal


def find(
    directory: Path, since: float = 0.0, until: float = math.inf, ranks: int = 1
) -> list[Checkpoint]:
    """Those that were finished in [since, until], newest last; none where there is no directory.

    `ranks` is how many ranks wrote them.
    """
    left = [MOST_ENTRIES]
    found = [one for one in _walk(directory, MOST_DEPTH, left, ranks) if since <= one.at <= until]
    return sorted(found, key=lambda one: (one.at, one.step or 0, one.path))


def newest_whole(directory: Path, since: float = 0.0, ranks: int = 1) -> str | None:
    """The path of the one to go on from."""
    whole = [one.path for one in find(directory, since, ranks=ranks) if one.whole]
    return whole[-1] if whole else None


def read(path: Path, ranks: int = 1) -> Checkpoint | None:
    """What `path` is, or None where it is no checkpoint (any more)."""
    try:
        found = path.lstat()
    except OSError:
        return None
    if stat.S_ISDIR(found.st_mode):
        return _directory(path, [MOST_ENTRIES], ranks)
    return _file(path, found) if stat.S_ISREG(found.st_mode) else None


def _walk(directory: Path, depth: int, left: list[int], ranks: int) -> Iterator[Checkpoint]:
    for entry in _entries(directory, left):
        path = Path(entry.path)
        try:
            if entry.is_dir(follow_symlinks=False):
                known = _directory(path, left, ranks)
                if known is not None:
                    yield known
                elif depth > 0 and not entry.name.startswith("."):
                    yield from _walk(path, depth - 1, left, ranks)
            elif entry.is_file(follow_symlinks=False):
                known = _file(path, entry.stat(follow_symlinks=False))
                if known is not None:
                    yield known
        except OSError:
            continue  # it was removed while we looked


def _entries(directory: Path, left: list[int]) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                left[0] -= 1
                if left[0] < 0:
                    return
                yield entry
    except OSError:
        return


# --- one file ---------------------------------------------------------------------------------


def _file(path: Path, found: os.stat_result) -> Checkpoint | None:
    if path.suffix not in _FILES or path.name.startswith("."):
        return None
    with _open(path) as file:
        head = file.read(4096)
    kind: CheckpointKind
    if head and not (head.startswith(b"PK\x03\x04") and b"data.pkl" in head):
        return None  # some other program's
    kind = "lightning" if b"pytorch-lightning_version" in head else "torch"
    return Checkpoint(
        path=str(path),
        kind=kind,
        step=_step(path.stem),
        whole=_is_whole(path),
        at=found.st_mtime,
        bytes=found.st_size,
    )


def _is_whole(path: Path) -> bool:
    """Whether a file of a format that says where it ends does end there; not empty, of others."""
    with _open(path) as file:
        head = file.read(8)
        size = os.fstat(file.fileno()).st_size
        if head.startswith(b"PK\x03\x04"):
            return _zip_is_whole(file, size)
        if path.suffix == ".safetensors":
            return _tensors_are_whole(file, head, size)
        if path.suffix == ".json":
            file.seek(0)
            return _parsed(file.read(MOST_METADATA)) is not None
    return size > 0


def _zip_is_whole(file: io.BufferedReader, size: int) -> bool:
    """torch writes the directory last, without a comment after it."""
    file.seek(max(0, size - 42))
    end = file.read(42)[-42:]
    if end[-22:-18] != b"PK\x05\x06":
        return False
    start = int.from_bytes(end[-6:-2], "little")
    if start == 0xFFFFFFFF:  # past 4 GB the record before it has the place
        if end[:4] != b"PK\x06\x07":
            return False
        file.seek(int.from_bytes(end[8:16], "little"))
        record = file.read(56)
        if record[:4] != b"PK\x06\x06":
            return False
        start = int.from_bytes(record[48:56], "little")
    file.seek(start)
    return file.read(4) == b"PK\x01\x02"


def _tensors_are_whole(file: io.BufferedReader, head: bytes, size: int) -> bool:
    length = int.from_bytes(head, "little")
    if len(head) < 8 or length > min(size, MOST_METADATA):
        return False
    header = _parsed(file.read(length))
    if not isinstance(header, dict):
        return False
    try:
        ends = [one["data_offsets"][1] for name, one in header.items() if name != "__metadata__"]
        return size == 8 + length + max(ends, default=0)
    except (TypeError, KeyError, IndexError):
        return False


# --- one directory ----------------------------------------------------------------------------


def _directory(path: Path, left: list[int], ranks: int) -> Checkpoint | None:
    """A known layout, or None: then its parts may be some."""
    names = {entry.name for entry in _entries(path, left)}
    kind: CheckpointKind
    trainer, accelerate = _TRAINER.fullmatch(path.name), _ACCELERATE.fullmatch(path.name)
    if ".metadata" in names or any(name.endswith(".distcp") for name in names):
        kind, whole = "torch-distributed", _shards_are_whole(path)
        step = _step(path.name)
    elif trainer:
        whole = "trainer_state.json" in names and _UNDONE not in names
        whole = whole and _parts_are_whole(path, left, ranks)
        kind, step = "transformers", int(trainer[1])
    elif accelerate:
        states = any(name.startswith(("model", "pytorch_model", "optimizer")) for name in names)
        whole = states and any(_OF_A_RANK.fullmatch(name) for name in names)
        whole = whole and _parts_are_whole(path, left, ranks)
        kind, step = "accelerate", int(accelerate[1])
    else:
        return None
    at, size = _age_and_size(path, left)
    return Checkpoint(path=str(path), kind=kind, step=step, whole=whole, at=at, bytes=size)


def _parts_are_whole(path: Path, left: list[int], ranks: int) -> bool:
    """Each file, each shard that an index names, and the random state of each rank."""
    seen: dict[str, str] = {}
    for file in _files(path, left):
        seen[file.name] = str(file)
        try:
            if file.name.endswith(".index.json"):
                shards = (_parsed(file.read_bytes()) or {}).get("weight_map", {}).values()
                if not all((file.parent / str(one)).is_file() for one in set(shards)):
                    return False
            elif file.name == ".metadata":
                if not _shards_are_whole(file.parent):
                    return False
            elif not _is_whole(file) and file.suffix in (*_FILES, ".safetensors", ".json", ".pkl"):
                return False
        except (OSError, AttributeError):
            return False
    numbers = {int(found[1]) for name in seen if (found := _OF_A_RANK.fullmatch(name))}
    return ranks == 1 or not numbers or numbers >= set(range(ranks))


def _shards_are_whole(path: Path) -> bool:
    try:
        with _open(path / ".metadata") as file:
            data = file.read(MOST_METADATA)
        for name, end in _shards(data).items():
            if (path / name).lstat().st_size < end:
                return False
    except Exception:  # a pickle that was cut off or damaged raises anything
        return False
    return True


class _Plain:
    """Stands for whatever class a pickle names: nothing of that is imported or called."""

    def __init__(self, *_: object, **__: object) -> None: ...

    def __setstate__(self, state: object) -> None:
        self.state = state

    def __setitem__(self, key: object, value: object) -> None: ...

    def append(self, value: object) -> None: ...

    def extend(self, values: object) -> None: ...


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        return _Plain

    def persistent_load(self, pid: object) -> None:
        return None


def _shards(metadata: bytes) -> dict[str, int]:
    """File name → the least number of bytes that it must have. Raises where it can't be read.

    `.metadata` is a pickled object with `storage_data`: index → (relative_path, offset, length).
    """
    state = _Reader(io.BytesIO(metadata)).load().state
    ends: dict[str, int] = {}
    for one in state["storage_data"].values():
        place = one.state
        name = place["relative_path"]
        ends[name] = max(ends.get(name, 0), place["offset"] + place["length"])
    return ends


def _files(path: Path, left: list[int]) -> Iterator[Path]:
    for entry in _entries(path, left):
        if entry.is_dir(follow_symlinks=False):
            yield from _files(Path(entry.path), left)
        elif entry.is_file(follow_symlinks=False):
            yield Path(entry.path)


def _age_and_size(path: Path, left: list[int]) -> tuple[float, int]:
    """When its newest file was written, and how large all are."""
    at, size = 0.0, 0
    for file in _files(path, left):
        found = file.lstat()
        at, size = max(at, found.st_mtime), size + found.st_size
    return at or path.lstat().st_mtime, size


# --- small ------------------------------------------------------------------------------------


def _open(path: Path) -> io.BufferedReader:
    """A regular file; a pipe would block us. Raises `OSError`."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(f"not a file: {path}")
    return os.fdopen(handle, "rb")


def _parsed(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        return None


def _step(name: str) -> int | None:
    """`epoch=3-step=40` → 40, `model-120` → 120; None where there is no number."""
    named = _STEP.findall(name) or re.findall(r"\d+", name)
    return int(named[-1]) if named and len(named[-1]) < 16 else None
