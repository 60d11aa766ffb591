"""Error codes: the server's tree, the HTTP layer's, the notebook's; why a request waits; and why a
job failed."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import markdown

from gpu_workbench_server.domain.causes import CAUSES
from gpu_workbench_server.domain.reasons import CODES
from gpu_workbench_server.errors import all_errors
from gpu_workbench_server.web.handlers import _CODES as HTTP_CODES

KERNEL = Path(__file__).resolve().parents[2] / "kernels/gpu_workbench"
CODE = re.compile(r"[a-z]+(_[a-z]+)*")


def page() -> str:
    known = {error.code: error for error in all_errors()}
    tree = [
        (markdown.code(code), error.status, (error.__doc__ or "").strip().splitlines()[0])
        for code, error in known.items()
    ]
    http = [(markdown.code(c), s, hint) for s, (c, hint) in HTTP_CODES.items() if c not in known]
    notebook = dict(sorted(raised(KERNEL), key=lambda pair: (pair[0], len(pair[1]))))
    kernel = [(markdown.code(c), said) for c, said in notebook.items() if c not in known]
    causes = [(markdown.code(code), *kind) for code, kind in CAUSES.items()]
    reasons = [(markdown.code(reason), sentence) for reason, sentence in CODES.items()]
    return markdown.page(
        "Errors and reasons",
        "Every answer that is not a success has a body of three fields: `code` (from this table), "
        "`message` (what happened, with the number that binds) and `hint` (what would work). "
        "A client decides by `code`, people read the other two.",
        markdown.table(["code", "HTTP status", "meaning"], [*tree, *http]),
        "## In a notebook",
        "`GpuWorkbenchError` carries the same three fields and the same codes, and these of its "
        "own:",
        markdown.table(["code", "message"], kernel),
        "## Why a request waits",
        "`reason.code` of a queued request; `reason.sentence` says it with names and numbers.",
        markdown.table(["code", "meaning"], reasons),
        "## Why a job failed",
        "`cause.code` of a job that failed or was lost: the first cause, not what followed from "
        "it. `cause.message` says it with rank, line and step, `cause.lines` is the end of what "
        "that rank said.",
        markdown.table(["code", "meaning", "what to do"], causes),
    )


def raised(package: Path) -> set[tuple[str, str]]:
    """(code, message) of every error that a package's modules make from words of their own."""
    found = set()
    for module in sorted(package.rglob("*.py")):
        for node in ast.walk(ast.parse(module.read_text())):
            if not (isinstance(node, ast.Call) and len(node.args) >= 2):
                continue
            name = ast.unparse(node.func)
            first = node.args[0]
            if not (name.endswith("WorkbenchError") or name == "super().__init__"):
                continue
            if isinstance(first, ast.Constant) and CODE.fullmatch(str(first.value)):
                found.add((str(first.value), words(node.args[1])))
    return found


def words(node: ast.expr) -> str:
    """The fixed words of a message; "…" where something is filled in."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(words(part) for part in node.values)
    if isinstance(node, ast.BinOp):
        return words(node.left) + words(node.right)
    return "…"
