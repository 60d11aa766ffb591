"""Commands: of JupyterLab's palette, read from the extension's source, and of the command line."""

from __future__ import annotations

import json
import re
from pathlib import Path

import markdown

LABEXT = Path(__file__).resolve().parents[2] / "labext"
IDS = re.compile(r"(\w+): '(gpu-workbench:[\w-]+)'")
ADDED = re.compile(r"addCommand\(\s*CommandIDs\.(\w+),")
WORDS = re.compile(r"trans\.__\(\s*(?:'([^']*)'|\"([^\"]*)\")")


def page() -> str:
    return markdown.page(
        "Commands",
        "Everything that the panel does can be done from the palette (category “GPUs”), and other "
        "extensions may execute it by its id.",
        markdown.table(["id", "in the palette", "shortcut"], palette()),
    )


def palette() -> list[tuple[str, ...]]:
    """(id, label, shortcut) of every command that the extension adds."""
    sources = [p.read_text() for p in sorted((LABEXT / "src").rglob("*.ts*"))]
    ids = dict(IDS.findall((LABEXT / "src/tokens.ts").read_text()))
    keys = shortcuts()
    rows = []
    for source in sources:
        for added in ADDED.finditer(source):
            label = WORDS.search(source, added.end())
            if label is None:
                raise ValueError(f"The command {added[1]} has no label.")
            name = ids[added[1]]
            rows.append((markdown.code(name), label[1] or label[2], keys.get(name, "")))
    return sorted(rows)


def shortcuts() -> dict[str, str]:
    schema = json.loads((LABEXT / "schema/plugin.json").read_text())
    bound = schema.get("jupyter.lab.shortcuts", [])
    return {one["command"]: ", ".join(map(markdown.code, one["keys"])) for one in bound}
