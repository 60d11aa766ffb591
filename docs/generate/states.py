"""What may follow what, as diagrams, from the one table of transitions."""

from __future__ import annotations

import markdown

from gpu_workbench_server.domain.transitions import TABLES


def page() -> str:
    return markdown.page(
        "States",
        "A request becomes a lease; clusters and jobs stand on leases. An arrow that is not here "
        "can't happen: the code that moves a thing asks the same table.",
        *(f"## {noun.capitalize()}\n\n{diagram(table)}" for noun, table in TABLES.items()),
    )


def diagram(table: dict[str, frozenset[str]]) -> str:
    """A Mermaid state diagram; the first state of the table is the first in life."""
    first = next(iter(table))
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {first}"]
    for state, following in table.items():
        lines += [f"    {state} --> {after}" for after in sorted(following)]
        lines += [] if following else [f"    {state} --> [*]"]
    return "\n".join([*lines, "```"])
