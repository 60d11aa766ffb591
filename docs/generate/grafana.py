"""The Grafana dashboard: panels as a table here, the JSON that Grafana imports from it.

Imported without edits: the Prometheus that holds our metrics is a variable of the dashboard.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

WIDTH = 24
"""Columns of Grafana's grid."""
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
POOL = 'pool=~"$pool"'
DEVICE = "{{Hostname}} gpu{{gpu}}"


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel; `queries` are (PromQL, legend), `unit` is one of Grafana's."""

    title: str
    about: str
    queries: tuple[tuple[str, str], ...]
    unit: str = "short"
    kind: Literal["timeseries", "stat", "bargauge", "row"] = "timeseries"
    width: int = 12
    height: int = 8
    most: float | None = None
    """Upper end of the axis, where there is one."""


def row(title: str) -> Panel:
    return Panel(title, "", (), kind="row", width=WIDTH, height=1)


def stat(title: str, about: str, query: str, unit: str = "short") -> Panel:
    return Panel(title, about, ((query, ""),), unit, "stat", width=4, height=4)


def hours(name: str) -> str:
    """GPU-hours by user over the time on the screen: a minute in which nobody held counts 0."""
    return f"sum_over_time(sum by (user) ({name}{{{POOL}}})[$__range:1m]) / 60"


PANELS = (
    row("Fleet"),
    stat("Broker", "1 while it answers.", "min(gpu_workbench_up)"),
    stat("GPUs", "All that are in order.", f'sum(gpu_workbench_gpus{{{POOL}, health="ok"}})'),
    stat("Free", "GPU units that nobody holds.", f"sum(gpu_workbench_units_free{{{POOL}}})"),
    stat("Waiting", "Requests in the queue.", f"sum(gpu_workbench_requests_queued{{{POOL}}})"),
    stat(
        "Longest wait",
        "Of the requests in the queue.",
        f"max(gpu_workbench_queue_oldest_seconds{{{POOL}}})",
        "s",
    ),
    stat(
        "Used of held",
        "Activity of what is held. The rest is held and idle.",
        f"sum(gpu_workbench_units_used{{{POOL}}}) / sum(gpu_workbench_units_held{{{POOL}}})",
        "percentunit",
    ),
    Panel(
        "Held and used",
        "GPU units: what there is, what is held, and what of that was active.",
        (
            (f"sum(gpu_workbench_units{{{POOL}}})", "there"),
            (f"sum(gpu_workbench_units_held{{{POOL}}})", "held"),
            (f"sum(gpu_workbench_units_used{{{POOL}}})", "used"),
        ),
    ),
    Panel(
        "Activity",
        "Share of the time in which anything ran on a GPU.",
        (("DCGM_FI_DEV_GPU_UTIL", DEVICE),),
        "percent",
        most=100,
    ),
    Panel(
        "Memory", "In use on each GPU.", (('DCGM_FI_DEV_FB_USED{GPU_I_ID=""}', DEVICE),), "mbytes"
    ),
    Panel(
        "Slices",
        "Activity of each leased slice.",
        (("gpu_workbench_slice_activity", "lease {{lease}} {{profile}}"),),
        "percentunit",
        most=1,
    ),
    row("Queue"),
    Panel(
        "Requests that wait",
        "By pool.",
        ((f"sum by (pool) (gpu_workbench_requests_queued{{{POOL}}})", "{{pool}}"),),
    ),
    Panel(
        "Longest wait",
        "How long the oldest request of each pool has waited.",
        ((f"max by (pool) (gpu_workbench_queue_oldest_seconds{{{POOL}}})", "{{pool}}"),),
        "s",
    ),
    Panel(
        "Requests and leases per hour",
        "What happened to them.",
        (
            (
                "3600 * sum by (type, kind) (rate(gpu_workbench_changes_total[$__rate_interval]))",
                "{{type}} {{kind}}",
            ),
        ),
    ),
    Panel(
        "A decision takes",
        "Median and 99th percentile of the broker's time for one event.",
        tuple(
            (
                f"histogram_quantile({share}, sum by (le) "
                "(rate(gpu_workbench_decision_seconds_bucket[$__rate_interval])))",
                name,
            )
            for share, name in ((0.5, "median"), (0.99, "99 %"))
        ),
        "s",
    ),
    row("People"),
    Panel(
        "GPU-hours held",
        "By user, over the time on the screen.",
        ((hours("gpu_workbench_units_held"), "{{user}}"),),
        "h",
        "bargauge",
    ),
    Panel(
        "GPU-hours used",
        "By user: what was held, counted by its activity.",
        ((hours("gpu_workbench_units_used"), "{{user}}"),),
        "h",
        "bargauge",
    ),
    row("Devices"),
    Panel("Temperature", "Of each GPU.", (("DCGM_FI_DEV_GPU_TEMP", DEVICE),), "celsius"),
    Panel("Power", "That each GPU draws.", (("DCGM_FI_DEV_POWER_USAGE", DEVICE),), "watt"),
    Panel(
        "SM activity",
        "Share of a GPU's processors that had work. Only Hopper and newer tell.",
        (('DCGM_FI_PROF_SM_ACTIVE{GPU_I_ID=""}', DEVICE),),
        "percentunit",
        most=1,
    ),
    Panel(
        "PCIe",
        "What each GPU receives and sends.",
        (
            ("DCGM_FI_PROF_PCIE_RX_BYTES", f"{DEVICE} in"),
            ("DCGM_FI_PROF_PCIE_TX_BYTES", f"{DEVICE} out"),
        ),
        "Bps",
    ),
    Panel("XID errors", "Number of each GPU's last.", (("DCGM_FI_DEV_XID_ERRORS", DEVICE),)),
    Panel(
        "Strangers",
        "Processes on leased GPUs that belong to no lease of them.",
        (("gpu_workbench_strangers", DEVICE),),
    ),
)


def page() -> str:
    """The dashboard, as Grafana imports it."""
    return json.dumps(dashboard(), indent=1) + "\n"


def dashboard() -> dict[str, Any]:
    return {
        "title": "GPU Workbench",
        "uid": "gpu-workbench",
        "description": "GPUs, slices, queue and people of GPU Workbench.",
        "tags": ["gpu"],
        "schemaVersion": 38,
        "version": 1,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [_source(), _pool()]},
        "panels": _placed(),
    }


def _source() -> dict[str, Any]:
    return {
        "name": "datasource",
        "label": "Prometheus",
        "type": "datasource",
        "query": "prometheus",
    }


def _pool() -> dict[str, Any]:
    query = "label_values(gpu_workbench_units, pool)"
    return {
        "name": "pool",
        "label": "Pool",
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": query, "refId": "pool"},
        "definition": query,
        "refresh": 2,
        "includeAll": True,
        "allValue": ".*",
        "multi": True,
        "current": {"text": "All", "value": "$__all"},
    }


def _placed() -> list[dict[str, Any]]:
    """Panels from left to right and from top to bottom."""
    placed, x, y, tallest = [], 0, 0, 0
    for number, panel in enumerate(PANELS, start=1):
        if x + panel.width > WIDTH:
            x, y, tallest = 0, y + tallest, 0
        at = {"x": x, "y": y, "w": panel.width, "h": panel.height}
        placed.append({"id": number, "gridPos": at, **_panel(panel)})
        x, tallest = x + panel.width, max(tallest, panel.height)
    return placed


def _panel(panel: Panel) -> dict[str, Any]:
    common: dict[str, Any] = {"type": panel.kind, "title": panel.title}
    if panel.kind == "row":
        return {**common, "collapsed": False, "panels": []}
    # A bar is a sum over the time on the screen: of a range of values it is the last that counts.
    once = {"instant": True, "range": False} if panel.kind == "bargauge" else {}
    limits = {"min": 0} | ({} if panel.most is None else {"max": panel.most})
    return {
        **common,
        "description": panel.about,
        "datasource": SOURCE,
        "targets": [
            {"refId": chr(65 + i), "expr": query, "legendFormat": legend, "datasource": SOURCE}
            | once
            for i, (query, legend) in enumerate(panel.queries)
        ],
        "fieldConfig": {"defaults": {"unit": panel.unit, **limits}, "overrides": []},
        "options": _options(panel),
    }


def _options(panel: Panel) -> dict[str, Any]:
    if panel.kind == "timeseries":
        return {"legend": {"displayMode": "list", "placement": "bottom"}}
    shown = {"calcs": ["lastNotNull"], "fields": "", "values": False}
    more = {"orientation": "horizontal"} if panel.kind == "bargauge" else {"graphMode": "area"}
    return {"reduceOptions": shown, **more}
