"""A real Prometheus scrapes a real server, and Grafana's dashboard asks for what is there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import pytest

from gpu_workbench_server.observe.metrics import METRICS
from tests.support.lab import REPOSITORY, LabServer, free_port
from tests.support.prometheus import Prometheus
from tests.support.waiting import wait_for

GUIDE = REPOSITORY / "docs/admin/monitoring.md"
DASHBOARD = json.loads((REPOSITORY / "docs/reference/grafana.json").read_text())
# Grafana puts these in before it asks.
FILLED = {"$__range:1m": "1h:1s", "$__rate_interval": "5m", "$pool": ".*"}
OURS = re.compile(r"\b(?:gpu_workbench|DCGM_FI)_\w+")


class Scraped(NamedTuple):
    prometheus: Prometheus
    server: LabServer
    requests: dict[str, int]


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scraped]:
    """A server where somebody holds a slice and somebody waits, scraped as the guide says."""
    root = tmp_path_factory.mktemp("prometheus")
    with LabServer(root / "lab") as server:
        held = server.api("POST", "requests", {"what": "0.25", "name": "held.ipynb"})
        whole = server.api("POST", "requests", {"what": "gpu", "name": "waits.ipynb"})
        token = root / "token"
        token.write_text(server.token)
        token.chmod(0o600)
        with Prometheus(root / "own", as_the_guide_says(server, token), free_port()) as prometheus:
            wait_for(lambda: prometheus.query("DCGM_FI_DEV_GPU_UTIL"), 60, "scraped", every=0.5)
            yield Scraped(prometheus, server, {"held": held["id"], "waits": whole["id"]})
        assert not psutil.pid_exists(prometheus.pid)


def as_the_guide_says(server: LabServer, token: Path) -> str:
    """The configuration from docs/admin, with this server's address and token, and impatient."""
    (config,) = re.findall(r"```yaml\n(.*?)```", GUIDE.read_text(), re.S)
    for theirs, ours in (
        ("/etc/prometheus/gpu-workbench.token", str(token)),
        ("127.0.0.1:8888", f"127.0.0.1:{server.port}"),
        ("scrape_interval: 15s", "scrape_interval: 1s"),
    ):
        assert theirs in config
        config = config.replace(theirs, ours)
    return str(config)


def test_it_scrapes_with_a_token_and_has_what_the_api_says(scraped: Scraped) -> None:
    (target,) = scraped.prometheus.get("targets")["activeTargets"]
    assert (target["health"], target["lastError"]) == ("up", "")
    status = scraped.server.api("GET", "status")
    free = scraped.prometheus.query("sum(gpu_workbench_units_free)")
    assert free == [({}, pytest.approx(status["units_free"], abs=0.001))]
    assert scraped.prometheus.query("sum(gpu_workbench_requests_queued)") == [({}, 1.0)]
    held = scraped.prometheus.query("sum by (user) (gpu_workbench_units_held)")
    assert held == [({"user": status["user"]}, 0.25)]
    gpus = {one["uuid"] for one in scraped.server.api("GET", "fleet")["gpus"]}
    temperatures = scraped.prometheus.query("DCGM_FI_DEV_GPU_TEMP")
    assert {labels["UUID"] for labels, _ in temperatures} == gpus
    assert all(labels["simulated"] == "true" for labels, _ in temperatures)


def test_without_the_token_nothing_is_told(scraped: Scraped, tmp_path: Path) -> None:
    wrong = tmp_path / "token"
    wrong.write_text("0" * 32)
    config = as_the_guide_says(scraped.server, wrong)
    with Prometheus(tmp_path / "own", config, free_port()) as stranger:
        wait_for(lambda: refused(stranger), what="refused", every=0.5)
        assert stranger.query("gpu_workbench_up") == []


def refused(prometheus: Prometheus) -> bool:
    targets = prometheus.get("targets")["activeTargets"]
    return any(one["health"] == "down" and "401" in one["lastError"] for one in targets)


def test_it_listens_on_this_machine_only(scraped: Scraped) -> None:
    listening = [
        one.laddr.ip
        for one in psutil.Process(scraped.prometheus.pid).net_connections("tcp")
        if one.status == psutil.CONN_LISTEN
    ]
    assert listening == ["127.0.0.1"]


def queries() -> list[tuple[str, str]]:
    """(panel, expression) of the whole dashboard."""
    return [
        (panel["title"], target["expr"])
        for panel in DASHBOARD["panels"]
        for target in panel.get("targets", [])
    ]


def filled(expression: str) -> str:
    for name, value in FILLED.items():
        expression = expression.replace(name, value)
    assert "$" not in expression, expression
    return expression


def names_of(metric: Any) -> list[str]:
    """As Prometheus knows them."""
    endings = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}
    return [metric.name + ending for ending in endings[metric.type]]


def test_every_metric_of_the_dashboard_and_the_guide_is_one_of_ours() -> None:
    ours = {name for one in METRICS for name in names_of(one)}
    asked = {name for _, expression in queries() for name in OURS.findall(expression)}
    alerts = set(OURS.findall(GUIDE.read_text().partition("## Worth an alert")[2]))
    assert asked and alerts
    assert asked | alerts <= ours


def test_every_expression_is_understood_and_answered(scraped: Scraped) -> None:
    def silent() -> set[str]:
        told = {title: scraped.prometheus.query(filled(expr)) for title, expr in queries()}
        return {title for title, answer in told.items() if not answer}

    # a rate takes two scrapes
    wait_for(lambda: silent() <= MAY_BE_SILENT, what="every panel has something", every=1.0)


# What does not happen on simulated GPUs.
MAY_BE_SILENT = {"SM activity", "PCIe", "XID errors", "Strangers"}


def test_every_alert_of_the_guide_is_understood(scraped: Scraped) -> None:
    table = GUIDE.read_text().partition("## Worth an alert")[2]
    alerts = re.findall(r"\| `([^`]+)` \|", table)
    assert len(alerts) >= 5
    for expression in alerts:
        scraped.prometheus.query(expression)


def test_the_dashboard_is_imported_without_edits() -> None:
    variables = {one["name"]: one for one in DASHBOARD["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    assert "__inputs" not in DASHBOARD
    for panel in DASHBOARD["panels"]:
        if panel["type"] != "row":
            assert panel["datasource"]["uid"] == "${datasource}", panel["title"]
            assert panel["description"], panel["title"]
    corners = [(one["gridPos"]["x"], one["gridPos"]["y"]) for one in DASHBOARD["panels"]]
    assert len(set(corners)) == len(corners)
