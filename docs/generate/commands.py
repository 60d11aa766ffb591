"""Commands: of JupyterLab's palette (read from the extension's source), and of a notebook."""

from __future__ import annotations

import argparse
import inspect
import json
import re
from pathlib import Path

import markdown

import gpu_workbench as gw
from gpu_workbench import magics as magic_module
from gpu_workbench_server.cli import COMMANDS

LABEXT = Path(__file__).resolve().parents[2] / "labext"
IDS = re.compile(r"(\w+): '(gpu-workbench:[\w-]+)'")
ADDED = re.compile(r"addCommand\(\s*CommandIDs\.(\w+),")
MAGIC = re.compile(
    r'register_magic_function\((\w+), magic_kind="(cell|line)", magic_name="(\w+)"\)'
)
MARKS = {"cell": "%%", "line": "%"}
WORDS = re.compile(r"trans\.__\(\s*(?:'([^']*)'|\"([^\"]*)\")")


def page() -> str:
    return markdown.page(
        "Commands",
        "Everything that the panel does can be done from the palette (category “GPUs”), and other "
        "extensions may execute it by its id.",
        markdown.table(["id", "in the palette", "shortcut"], palette()),
        "## In a notebook",
        "`import gpu_workbench as gw`; the magics come with `%load_ext gpu_workbench`.",
        markdown.table(["name", "what it does"], [*notebook(), *magics()]),
        "## On the command line",
        "`gpu-workbench COMMAND --help` says more.",
        markdown.table(["command", "options", "what it does"], command_line()),
    )


def command_line() -> list[tuple[str, ...]]:
    """(command, options, help) of every command of `gpu-workbench`."""
    rows = []
    for command in COMMANDS:
        alone = argparse.ArgumentParser(add_help=False)
        command.arguments(alone)
        options = [word for action in alone._actions for word in action.option_strings]
        options += [action.dest for action in alone._actions if not action.option_strings]
        name = markdown.code(f"gpu-workbench {command.name}")
        rows.append((name, ", ".join(map(markdown.code, options)), command.description))
    return rows


def notebook() -> list[tuple[str, ...]]:
    """(name, first line of its docstring) of everything that the package offers."""
    return [(markdown.code(f"gw.{n}"), first_line(getattr(gw, n))) for n in sorted(gw.__all__)]


def magics() -> list[tuple[str, ...]]:
    """(name, first line of its docstring) of every magic that the extension registers."""
    return [
        (markdown.code(f"{MARKS[kind]}{name}"), first_line(getattr(magic_module, function)))
        for function, kind, name in MAGIC.findall(Path(magic_module.__file__).read_text())
    ]


def first_line(thing: object) -> str:
    return (inspect.getdoc(thing) or "").splitlines()[0]


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
