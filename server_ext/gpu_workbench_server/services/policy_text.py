"""How values in a policy file are read, and on which line a key stands.

TOML's reader in the standard library keeps no lines, so they are found by reading the text once
more, statement by statement, with that same reader for each statement alone. Knows no policy.
"""

from __future__ import annotations

import difflib
import math
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ..domain.units import PARTS
from ..errors import BadConfiguration

Key = tuple[str, ...]
Check = Callable[[Any], Any]
"""A value as it stands in the file, to the value that the domain takes; ValueError says why not."""

_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*(s|sec|m|min|h|d|w)")
_SECONDS = {"s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


def lines_of(text: str) -> dict[Key, int]:
    """The line (from 1) of each table and key of a valid TOML text."""
    found: dict[Key, int] = {}
    table: Key = ()
    lines = text.splitlines()
    at = 0
    while at < len(lines):
        first, statement = at, ""
        while at < len(lines):  # a value may span lines: until it can be read
            statement += lines[at] + "\n"
            at += 1
            try:
                parsed: Any = tomllib.loads(statement)
            except tomllib.TOMLDecodeError:
                continue
            break
        else:
            break
        header = statement.lstrip().startswith("[")
        for key in _paths(parsed):
            full = key if header else (*table, *key)
            for length in range(1, len(full) + 1):
                found.setdefault(full[:length], first + 1)
            if header:
                table = full
    return found


def _paths(parsed: Any, before: Key = ()) -> list[Key]:
    """Every key of what one statement says, outermost first."""
    if isinstance(parsed, list):
        parsed = parsed[0] if parsed and isinstance(parsed[0], Mapping) else None
    if not isinstance(parsed, Mapping):
        return []
    return [
        path
        for name, value in parsed.items()
        for path in [(*before, name), *_paths(value, (*before, name))]
    ]


class Faults:
    """What is wrong with a file, collected, so that one reading shows everything."""

    def __init__(self, source: str, lines: Mapping[Key, int]) -> None:
        self._source, self._lines = source, lines
        self.found: list[tuple[int, str]] = []

    def add(self, key: Key, what: str) -> None:
        """A fault at a key; where the key itself is missing, at the table that lacks it."""
        outwards = (key[:length] for length in range(len(key), 0, -1))
        at = next((self._lines[one] for one in outwards if one in self._lines), 1)
        dot = "" if what.endswith("?") else "."
        self.found.append((at, f"{self._source} line {at}, key {'.'.join(key)}: {what}{dot}"))

    def unknown(self, table: Key, given: Iterable[str], known: Iterable[str]) -> None:
        """Name every key that there is not, with the nearest that there is."""
        names = list(known)
        for name in given:
            if name in names:
                continue
            near = difflib.get_close_matches(name, names, 1, 0.5)
            say = f"did you mean {near[0]}?" if near else f"there are {', '.join(names)}"
            where = f"in [{'.'.join(table)}]" if table else "here"
            self.add((*table, name), f"there is no such key {where}; {say}")

    def raise_any(self, hint: str) -> None:
        """Raise `BadConfiguration` with all faults, in the order of lines, if there are any."""
        if self.found:
            raise BadConfiguration("\n".join(text for _, text in sorted(self.found)), hint)


# --- values -----------------------------------------------------------------------------------


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def number(least: float | None = None, above: float | None = None, whole: bool = False) -> Check:
    """A finite number of at least `least`, or above `above`."""

    def check(value: Any) -> float:
        if not _is_number(value) or (whole and value != int(value)):
            raise ValueError(f"{value!r} is not a {'whole ' if whole else ''}number")
        if (least is not None and value < least) or (above is not None and value <= above):
            bound = f"at least {least:g}" if least is not None else f"more than {above:g}"
            raise ValueError(f"it is {value:g}: it must be {bound}")
        return int(value) if whole else float(value)

    return check


def duration(least: float, whole: bool = False) -> Check:
    """Seconds, from a number of them or a text such as "90s", "10min", "2h", "7d"."""

    def check(value: Any) -> float:
        seconds = value
        if isinstance(value, str):
            found = _SPAN.fullmatch(value.strip().lower())
            if not found:
                raise ValueError(
                    f'{value!r} is not a duration: say seconds, or "90s", "10min", "2h", "7d"'
                )
            seconds = float(found[1]) * _SECONDS[found[2]]
        if not _is_number(seconds):
            raise ValueError(f'{value!r} is not a duration: say seconds, or "90s", "10min", "2h"')
        if seconds < least:
            raise ValueError(f"{seconds:g} s is too short: it must be at least {least:g} s")
        return math.ceil(seconds) if whole else float(seconds)

    return check


def choice(*words: str) -> Check:
    """One of some words."""

    def check(value: Any) -> str:
        if value in words:
            return str(value)
        near = difflib.get_close_matches(str(value), words, 1, 0.5)
        say = f"did you mean {near[0]!r}?" if near else f"say {' or '.join(map(repr, words))}"
        raise ValueError(f"{value!r} is not known; {say}")

    return check


def flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{value!r} is neither true nor false")
    return value


def units(value: Any) -> int:
    """GPU units, as parts."""
    if not _is_number(value) or value < 0:
        raise ValueError(f"{value!r} is not a number of GPUs, 0 or more")
    return math.floor(float(value) * PARTS + 1e-6)


def shares(value: Any) -> tuple[float, ...]:
    """Shares of one GPU, each once, smallest first."""
    if not isinstance(value, list):
        raise ValueError(f"{value!r} is not a list of shares, such as [0.25, 0.5]")
    for one in value:
        if not _is_number(one) or not 0.001 <= one < 1:
            raise ValueError(f"{one!r} is not a share of one GPU, 0.001 up to below 1")
    if len(set(value)) != len(value):
        raise ValueError("a share is named twice")
    return tuple(sorted(map(float, value)))


def words(value: Any) -> tuple[str, ...]:
    """Texts, none of them empty."""
    if not isinstance(value, list) or not all(isinstance(one, str) and one for one in value):
        raise ValueError(f'{value!r} is not a list of texts, such as ["A100"]')
    return tuple(value)
