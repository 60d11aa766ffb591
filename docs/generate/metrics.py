"""Prometheus metrics and audit events, from what `observe` declares."""

from __future__ import annotations

from typing import Any

import markdown
import yaml

from gpu_workbench.protocol import BASE_PATH
from gpu_workbench_server.observe.events import SCHEMAS
from gpu_workbench_server.observe.metrics import METRICS


def page() -> str:
    metrics = [
        (
            markdown.code(one.name + ("_total" if one.type == "counter" else "")),
            one.type,
            ", ".join(map(markdown.code, one.labels)),
            one.help,
        )
        for one in METRICS
    ]
    return markdown.page(
        "Metrics and events",
        f"For Prometheus at `{BASE_PATH}/metrics`, with the server's token. Where "
        "DCGM-exporter has the same figure it has the same name. What a device does not tell has "
        "no sample.",
        markdown.table(["metric", "type", "labels", "what it is"], metrics),
        "## Events",
        "Sent through the Jupyter server's event logger (`jupyter_events`): give it a handler, and "
        "every one of these arrives there as JSON. The number at the end of an id is the version.",
        *(event(yaml.safe_load(path.read_text())) for path in SCHEMAS),
    )


def event(schema: dict[str, Any]) -> str:
    rows = [
        (markdown.code(name), kind(one), one.get("description", ""))
        for name, one in schema["properties"].items()
    ]
    return "\n\n".join(
        [
            f"### {schema['title']}",
            f"`{schema['$id']}`: {markdown.cell(schema['description'])}",
            markdown.table(["field", "type", "meaning"], rows),
        ]
    )


def kind(one: dict[str, Any]) -> str:
    """A field's type in words: its values where they are few."""
    if "enum" in one:
        return ", ".join(map(markdown.code, one["enum"]))
    types = one.get("type", "")
    return " or ".join(types) if isinstance(types, list) else types
