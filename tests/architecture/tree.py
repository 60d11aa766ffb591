"""The repository as these tests see it: its files, and who imports whom."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SERVER = ROOT / "server_ext/gpu_workbench_server"
KERNEL = ROOT / "kernels/gpu_workbench"


@cache
def files(*suffixes: str) -> list[Path]:
    """What git has or would take (so nothing that is ignored), of these suffixes or of all."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    paths = [ROOT / name for name in sorted(set(listed.split("\0"))) if name]
    return [p for p in paths if p.is_file() and (not suffixes or p.suffix in suffixes)]


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def text(path: Path) -> str | None:
    """What is in it; None where it is not text."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None


@dataclass(frozen=True)
class Import:
    """One name that a module imports, wherever in the module it does so."""

    module: Path
    line: int
    target: str
    """Absolute dotted name: of a module, or of a name in one."""

    def __str__(self) -> str:
        return f"{relative(self.module)}:{self.line} imports {self.target}"


def imports(package: Path) -> Iterator[Import]:
    """All imports in a package's modules, relative ones made absolute, local ones too."""
    for module in sorted(package.rglob("*.py")):
        own = (package.name, *module.relative_to(package).with_suffix("").parts)
        for node in ast.walk(ast.parse(module.read_text())):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield Import(module, node.lineno, alias.name)
            elif isinstance(node, ast.ImportFrom):
                base = ".".join(own[: -node.level]) if node.level else ""
                origin = ".".join(part for part in (base, node.module or "") if part)
                for alias in node.names:
                    yield Import(module, node.lineno, f"{origin}.{alias.name}")
