"""Copies of the examples to work in: `python examples DIR`. `dev.py run` opens these.

JupyterLab saves what is opened and run, so the originals stay as git has them. A copy that nobody
has touched follows its original; one that was changed is kept as it is. Knows nothing of servers.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

from ipykernel.ipkernel import IPythonKernel

HERE = Path(__file__).resolve().parent
WRITTEN = ".examples.json"
"""In the folder of copies: a hash of each file as it was written last."""


def fresh(original: Path) -> bytes:
    """What a copy holds. A notebook says which language its kernel will report.

    JupyterLab writes that into a notebook as soon as its kernel answers, Python's version with it,
    so that one which says something else has unsaved changes from the moment it is opened.
    """
    if original.suffix != ".ipynb":
        return original.read_bytes()
    book = json.loads(original.read_text(encoding="utf-8"))
    book["metadata"]["language_info"] = IPythonKernel.language_info
    return (json.dumps(book, indent=1, ensure_ascii=False) + "\n").encode()


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def copy(into: Path) -> list[str]:
    """Bring the copies up to date; returns those that were changed here and in the originals."""
    into.mkdir(parents=True, exist_ok=True)
    record = into / WRITTEN
    written: dict[str, str] = json.loads(record.read_text()) if record.exists() else {}
    kept = []
    for original in sorted(HERE.glob("[!_.]*")):
        if not original.is_file():
            continue
        content, target = fresh(original), into / original.name
        there = digest(target.read_bytes()) if target.exists() else None
        if there in (None, written.get(original.name), digest(content)):
            target.write_bytes(content)
            written[original.name] = digest(content)
        elif written.get(original.name) != digest(content):
            kept.append(original.name)
    record.write_text(json.dumps(written, indent=1))
    return kept


if __name__ == "__main__":
    for name in copy(Path(sys.argv[1])):
        print(f"{name}: yours was changed and is kept; rename it to get the newer one too.")
