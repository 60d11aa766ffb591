"""How large a module may be, and what it must say of itself."""

from __future__ import annotations

import ast

from tests.architecture.tree import files, relative, text

LINES = 400


def test_no_module_is_over_four_hundred_lines() -> None:
    sizes = {relative(p): len((text(p) or "").splitlines()) for p in files(".py", ".ts", ".tsx")}
    assert {name: size for name, size in sizes.items() if size > LINES} == {}


def test_every_python_module_says_what_it_is_for() -> None:
    silent = [relative(p) for p in files(".py") if not ast.get_docstring(ast.parse(text(p) or ""))]
    assert silent == []


def test_every_front_end_module_says_what_it_is_for() -> None:
    sources = [p for p in files(".ts", ".tsx") if relative(p).startswith("labext/src/")]
    assert sources
    silent = [relative(p) for p in sources if not (text(p) or "").startswith(("/**", "//"))]
    assert silent == []
