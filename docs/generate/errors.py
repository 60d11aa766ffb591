"""Error codes, from the one tree of errors; and why a request waits."""

from __future__ import annotations

import markdown

from gpu_workbench_server.domain.reasons import CODES
from gpu_workbench_server.errors import all_errors


def page() -> str:
    rows = [
        (markdown.code(error.code), error.status, (error.__doc__ or "").strip().splitlines()[0])
        for error in all_errors()
    ]
    reasons = [(markdown.code(reason), sentence) for reason, sentence in CODES.items()]
    return markdown.page(
        "Errors and reasons",
        "Every answer that is not a success has a body of three fields: `code` (from this table), "
        "`message` (what happened, with the number that binds) and `hint` (what would work). "
        "A client decides by `code`, people read the other two.",
        markdown.table(["code", "HTTP status", "meaning"], rows),
        "## Why a request waits",
        "`reason.code` of a queued request; `reason.sentence` says it with names and numbers.",
        markdown.table(["code", "meaning"], reasons),
    )
