"""The little Markdown that the generated pages are made of. Knows nothing of what it prints."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def page(title: str, intro: str, *parts: str) -> str:
    """A whole page with the line that says where it comes from."""
    made = "<!-- Made by `python3 dev.py generate`; what is written here by hand is lost. -->"
    return "\n\n".join([made, f"# {title}", intro, *parts]) + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table; cells are one line each."""
    lines = [row(head), row(["---"] * len(head)), *map(row, rows)]
    return "\n".join(lines)


def row(cells: Sequence[object]) -> str:
    return "| " + " | ".join(cell(c) for c in cells) + " |"


def cell(value: object) -> str:
    """One line, with the character that would end the cell made harmless."""
    return " ".join(str(value).split()).replace("|", "\\|")


def code(value: object) -> str:
    return f"`{value}`"
