"""A real JupyterLab with the panel, and a real Chromium that looks at it. Token and XSRF are on."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Error, Page, expect, sync_playwright

from tests.support.lab import LabServer

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
expect.set_options(timeout=60_000)  # kernels take many seconds to start on a busy machine

SHOTS = os.environ.get("GPU_WORKBENCH_SHOTS")
"""A folder to keep screenshots in; none are taken without."""


def chromium_path() -> str | None:
    """Chromium of the system; None lets Playwright look for its own."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return next((path for name in names if (path := shutil.which(name))), None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failure tells what is in front in each window and what the browser complained about."""
    report = yield
    browser: Browser | None = getattr(item, "funcargs", {}).get("browser")
    if report.failed and browser is not None:
        for context in browser.contexts:
            report.sections += [("a window", seen_in(page)) for page in context.pages]
    return report


_IN_FRONT = r"""() => {
  const app = window.jupyterapp;
  const front = app?.shell.currentWidget;
  const kernel = front?.sessionContext?.session?.kernel;
  const texts = chosen => [...document.querySelectorAll(chosen)].map(one => one.innerText);
  return [
    `in front: ${front?.id} "${front?.title.label}" ${front?.context?.path ?? ""}`,
    `its kernel: ${kernel?.name} ${kernel?.status}, ${kernel?.connectionStatus}`,
    `prompts: ${texts(".jp-Notebook:not(.lm-mod-hidden) .jp-InputPrompt")}`,
    `focus: ${document.activeElement?.outerHTML.slice(0, 200)}`,
    `tabs: ${texts("#jp-main-dock-panel .lm-TabBar-tabLabel").join(" | ")}`,
    `dialogs: ${texts(".jp-Dialog").join(" | ")}`,
    `panel: ${texts("#gpu-workbench-panel").join().replace(/\s+/g, " ")}`,
  ].join("\n");
}"""


def seen_in(page: Page) -> str:
    said = [f"{one.type}: {one.text}" for one in page.console_messages() if one.type == "error"]
    said += [f"thrown: {one}" for one in page.page_errors()]
    try:
        said.append(page.evaluate(_IN_FRONT))
    except Error as error:  # it is closed, or another site
        said.append(str(error))
    return "\n".join([page.url.partition("?")[0], *said[-30:]])


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
    lab_server.give_everything_back()
    for notebook in lab_server.notebooks.iterdir():
        shutil.rmtree(notebook) if notebook.is_dir() else notebook.unlink()


@pytest.fixture
def open_lab(browser: Browser, lab: LabServer) -> Iterator[Callable[..., Page]]:
    """Opens JupyterLab in a workspace of its own: `page = open_lab(width=1280, dark=False)`."""
    contexts = []

    def opened(width: int = 1280, height: int = 860, dark: bool = False) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": height}, locale="en-US", reduced_motion="reduce"
        )
        contexts.append(context)
        context.set_default_timeout(60_000)
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
