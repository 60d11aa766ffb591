"""A real JupyterLab with the panel, and a real Chromium that looks at it. Token and XSRF are on."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.support.lab import LabServer
from tests.support.waiting import wait_for

CHROMIUM_ARGS = [
    "--no-sandbox",  # it refuses to run as root without
    "--disable-dev-shm-usage",  # /dev/shm is tiny in containers
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--force-color-profile=srgb",
    "--no-first-run",
]
expect.set_options(timeout=20_000)  # kernels take seconds to start on a busy machine

SHOTS = os.environ.get("GPU_WORKBENCH_SHOTS")
"""A folder to keep screenshots in; none are taken without."""


def chromium_path() -> str | None:
    """Chromium of the system; None lets Playwright look for its own."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return next((path for name in names if (path := shutil.which(name))), None)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(
            executable_path=chromium_path(), headless=True, args=CHROMIUM_ARGS
        )
        yield found
        found.close()


@pytest.fixture(scope="session")
def lab_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabServer]:
    """One JupyterLab for all tests of the folder."""
    root = tmp_path_factory.mktemp("lab")
    no_questions(root)
    with LabServer(root, app="lab", workbench={"lease_ttl": 20, "grace_seconds": 3}) as server:
        yield server


def no_questions(root: Path) -> None:
    """Settings of JupyterLab in a server's directory: it asks about no news and no updates."""
    settings = root / "settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    (settings / "notification.jupyterlab-settings").write_text(
        '{"fetchNews": "false", "checkForUpdates": false}'
    )


@pytest.fixture
def lab(lab_server: LabServer) -> Iterator[LabServer]:
    """JupyterLab with nothing held before and after a test."""
    yield lab_server
    for session in lab_server.jupyter("GET", "sessions"):
        lab_server.jupyter("DELETE", f"sessions/{session['id']}")
    for kind, end in (("clusters", "DELETE"), ("jobs", "POST")):
        for one in lab_server.api("GET", kind)[kind]:
            if one["ended_at"] is None:
                tail = "/stop" if end == "POST" else ""
                lab_server.api(end, f"{kind}/{one['id']}{tail}")
    for request in lab_server.api("GET", "requests")["requests"]:
        lab_server.api("DELETE", f"requests/{request['id']}")
    for lease in lab_server.leases():
        lab_server.api("DELETE", f"leases/{lease['id']}")
    wait_for(lambda: all_free(lab_server), 40, "every slice free again")
    for notebook in lab_server.notebooks.iterdir():
        shutil.rmtree(notebook) if notebook.is_dir() else notebook.unlink()


def all_free(server: LabServer) -> bool:
    status = server.api("GET", "status")
    return bool(status["units_free"] == status["units_total"])


@pytest.fixture
def open_lab(browser: Browser, lab: LabServer) -> Iterator[Callable[..., Page]]:
    """Opens JupyterLab in a workspace of its own: `page = open_lab(width=1280, dark=False)`."""
    contexts = []

    def opened(width: int = 1280, height: int = 860, dark: bool = False) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": height}, locale="en-US", reduced_motion="reduce"
        )
        contexts.append(context)
        context.set_default_timeout(30_000)
        page = context.new_page()
        page.goto(f"{lab.url}lab/workspaces/t{secrets.token_hex(4)}?token={lab.token}&reset")
        page.wait_for_selector("#jupyterlab-splash", state="detached")
        page.wait_for_function("window.jupyterapp && window.jupyterapp.restored")
        page.evaluate("() => window.jupyterapp.restored.then(() => true)")
        page.wait_for_selector(".jp-Launcher")
        if dark:
            page.evaluate(
                "() => window.jupyterapp.commands.execute('apputils:change-theme',"
                " {theme: 'JupyterLab Dark'})"
            )
            page.wait_for_selector("body[data-jp-theme-light='false']", state="attached")
        return page

    yield opened
    for context in contexts:
        if SHOTS:
            shoot(context.pages[0], f"last-{len(list(Path(SHOTS).glob('last-*')))}")
        context.close()


def shoot(page: Page, name: str) -> None:
    """A screenshot, where somebody wants to look at them (GPU_WORKBENCH_SHOTS)."""
    if SHOTS:
        Path(SHOTS).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=str(Path(SHOTS) / f"{name}.png"))
