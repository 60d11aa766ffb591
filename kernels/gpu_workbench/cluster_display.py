"""How a cluster looks: a line of text and a block of HTML.

Pure. The HTML needs no script and no kernel, so a saved notebook stays readable;
colours are JupyterLab's own variables. Everything that a user could have named is escaped.
"""

from __future__ import annotations

from html import escape

from . import protocol as wire
from .display import short

OVER = ("ended", "failed")

_MARK = {
    "waiting": "◷", "starting": "…", "running": "▶", "stopping": "…", "ended": "■", "failed": "✗",
}  # fmt: skip
_COLOUR = {"failed": "error", "running": "brand"}


def text(cluster: wire.Cluster) -> str:
    """`▶ cluster flights running · 2 of 2 workers of 1g.10gb`, and its message."""
    line = f"{_MARK[cluster.state]} cluster {cluster.name} {cluster.state} · {_workers(cluster)}"
    return "\n  ".join([line, *_said(cluster)])


def html(cluster: wire.Cluster, brief: bool = False) -> str:
    """Name, state, message, and a row for each worker unless it is to be `brief`."""
    colour = f"var(--jp-{_COLOUR.get(cluster.state, 'ui-font')}-color1)"
    rows = "".join(
        f"<tr><td>{escape(one.slice_id)}</td><td>{one.state}</td></tr>"
        for one in cluster.workers[:16]
    )
    head = "<tr><th>slice</th><th>worker</th></tr>"
    table = f"<table>{head}{rows}</table>" if rows and not brief else ""
    return (
        '<div style="font-size:var(--jp-ui-font-size1,13px)">'
        f"<div><b>{escape(cluster.name)}</b> <code>{escape(cluster.id)}</code> "
        f'<span style="color:{colour}">{_MARK[cluster.state]} {cluster.state}</span> · '
        f"{escape(_workers(cluster))}</div>"
        f'<div style="white-space:pre-wrap">{escape(chr(10).join(_said(cluster)))}</div>'
        f"{table}</div>"
    )


def _said(cluster: wire.Cluster) -> list[str]:
    return [told for told in (cluster.message, cluster.size_hint) if told]


def _workers(cluster: wire.Cluster) -> str:
    ready = sum(one.state == "running" for one in cluster.workers)
    count = (
        f"{ready} of {cluster.workers_wanted}"
        if cluster.state != "waiting"
        else (f"{cluster.workers_wanted}")
    )
    return f"{count} workers of {short(cluster.per_worker)}"
