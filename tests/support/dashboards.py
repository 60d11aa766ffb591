"""A JupyterLab with a large simulated fleet, and a Chromium with its dashboard open.

For tests, benchmarks and pictures of the dashboard. The load may be made up in the page
(`tests/support/feed.js`), since no machine has the processes that would keep 1,000 GPUs busy.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from tests.support.lab import LabServer

FEED = Path(__file__).with_name("feed.js")
ARGS = [
    "--no-sandbox",  # it refuses to run as root without
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--force-color-profile=srgb",
    "--no-first-run",
]
READY = "[data-testid='gw-dashboard'][data-phase='ready']"


def fleet_of(gpus: int, per_node: int = 8) -> str:
    """A fleet file: nodes of H100s, the last third of them of A100s in a pool of their own."""
    nodes = -(-gpus // per_node)
    parts = []
    for node in range(nodes):
        old = nodes > 2 and node >= nodes * 2 // 3
        parts.append(
            "[[gpu]]\n"
            f'model = "{"NVIDIA A100 80GB" if old else "NVIDIA H100 80GB HBM3"}"\n'
            f'memory_gb = 80\nnode = "node{node + 1:03d}"\n'
            f"count = {min(per_node, gpus - node * per_node)}\n"
            + ('pool = "a100"\n' if old else "")
        )
    return "\n".join(parts)


def lab_with(root: Path, fleet: str | None, **workbench: Any) -> LabServer:
    """A JupyterLab, not started, whose fleet is this file's text; None takes the default one."""
    settings = root / "settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    (settings / "notification.jupyterlab-settings").write_text(
        '{"fetchNews": "false", "checkForUpdates": false}'
    )
    if fleet is not None:
        path = root / "fleet.toml"
        path.write_text(fleet)
        workbench["fleet_file"] = str(path)
    # What nobody binds stays held: nobody computes here.
    return LabServer(root, app="lab", workbench={"lease_ttl": 3600} | workbench)


def hold(server: LabServer, what: str, count: int = 1, name: str = "") -> int:
    """Take slices; the id of the lease."""
    body = {"what": what, "count": count, "name": name, "seconds": 7200}
    answer = server.api("POST", "requests", body)
    assert answer["state"] == "granted", answer
    lease: int = answer["id"]
    return lease


@contextmanager
def chromium() -> Iterator[Browser]:
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    path = next((found for name in names if (found := shutil.which(name))), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, headless=True, args=ARGS)
        yield browser
        browser.close()


def open_dashboard(
    browser: Browser,
    server: LabServer,
    *,
    size: tuple[int, int] = (1360, 900),
    dark: bool = False,
    made_up: bool = False,
    **shown: Any,
) -> Page:
    """The dashboard alone in JupyterLab's main area; `shown` as its command takes it.

    `made_up` replaces the figures of all ticks by wandering ones.
    """
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]}, locale="en-US", reduced_motion="reduce"
    )
    context.set_default_timeout(60_000)
    page = context.new_page()
    page.add_init_script(path=FEED)
    if made_up:
        page.add_init_script("window.gwFeed.vary = true")
    page.goto(f"{server.url}lab/workspaces/d{secrets.token_hex(4)}?token={server.token}&reset")
    page.wait_for_function("window.jupyterapp && window.jupyterapp.restored")
    page.evaluate("() => window.jupyterapp.restored.then(() => true)")
    if dark:
        run(page, "apputils:change-theme", theme="JupyterLab Dark")
        page.wait_for_selector("body[data-jp-theme-light='false']", state="attached")
    run(page, "gpu-workbench:open-dashboard", **shown)
    page.wait_for_selector(READY)
    return page


def run(page: Page, command: str, /, **args: Any) -> None:
    """Execute a command of JupyterLab."""
    page.evaluate(
        "([c, a]) => window.jupyterapp.commands.execute(c, a).then(() => null)", [command, args]
    )
