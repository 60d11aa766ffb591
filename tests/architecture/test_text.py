"""What no file in the repository may hold."""

from __future__ import annotations

import re

from tests.architecture.tree import files, relative, text

# Written so that this file does not hold what it looks for.
REGISTRIES = re.compile(
    r"https?://[\w.-]*\b(?:py" r"pi|pythonhos" r"ted|np" r"mjs|yarn" r"pkg)\.(?:org|com)"
)
MACHINE = re.compile(r"(?<![\w.~])/(?:wo" r"rk|ro" r"ot|fa" r"rm)/")
UNFINISHED = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|NotImplemented" r"Error)\b")
SKIPPED = re.compile(r"pytest\.(?:mark\.)?(?:sk" r"ip|xf" r"ail)\b|\bit\.to" r"do\b")


def lines_with(pattern: re.Pattern[str], *suffixes: str) -> list[str]:
    """`file:line: text` of every line that holds the pattern."""
    return [
        f"{relative(path)}:{number}: {line.strip()[:120]}"
        for path in files(*suffixes)
        for number, line in enumerate((text(path) or "").splitlines(), 1)
        if pattern.search(line)
    ]


def test_no_file_names_a_package_registry() -> None:
    assert lines_with(REGISTRIES) == []


def test_no_file_names_a_path_of_the_machine_it_was_written_on() -> None:
    assert lines_with(MACHINE) == []


def test_nothing_is_left_unfinished() -> None:
    assert lines_with(UNFINISHED, ".py", ".ts", ".tsx") == []


def test_no_test_is_skipped() -> None:
    assert lines_with(SKIPPED, ".py", ".ts", ".tsx") == []
