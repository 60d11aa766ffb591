"""TensorBoard on a job in a tab of JupyterLab, and a word where it is not installed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.support.lab import LabServer

from .conftest import shoot
from .pages import at
from .test_jobs import SLOW, page_of, put, serious

pytest.importorskip("tensorboard")

Open = Callable[..., Page]

LOGGED = """
import gpu_workbench as gw
for step in range(50):
    gw.log(step, loss=1 / (step + 1))
"""


def logged(lab: LabServer, **spec: object) -> str:
    put(lab, "logged.py", LOGGED)
    body = {"ranks": 1, "per_rank": "0.25", "script": "logged.py", "cwd": str(lab.notebooks)}
    return str(lab.api("POST", "jobs", {**body, **spec})["id"])


def test_it_opens_from_the_jobs_page_and_draws_what_was_logged(
    open_lab: Open, lab: LabServer
) -> None:
    job = logged(lab)
    page = open_lab(width=1400, height=900)
    shown = page_of(page, job)
    expect(shown).to_have_attribute("data-state", "succeeded", timeout=SLOW)
    at(shown, "gw-jobpage-board").press("Enter")
    board = at(page, "gw-board")
    expect(board).to_have_attribute("data-state", "ready", timeout=SLOW)
    frame = page.frame_locator("iframe[title='TensorBoard: logged.py']")
    expect(frame.get_by_text("loss", exact=True).first).to_be_visible(timeout=SLOW)
    shoot(page, "tensorboard")
    assert serious(page, "gw-board") == []
    # It comes to the front rather than a second time.
    page_of(page, job)
    at(shown, "gw-jobpage-board").press("Enter")
    expect(board).to_be_visible()
    expect(board).to_have_count(1)


def test_where_it_is_not_installed_the_tab_says_what_to_install(
    open_lab: Open, lab: LabServer, tmp_path: Path
) -> None:
    (tmp_path / "tensorboard").mkdir()
    (tmp_path / "tensorboard" / "__init__.py").write_text(
        "raise ModuleNotFoundError(\"No module named 'tensorboard'\")"
    )
    without = tmp_path / "python"
    without.write_text(f'#!/bin/sh\nPYTHONPATH={tmp_path} exec {sys.executable} "$@"\n')
    without.chmod(0o755)
    job = logged(lab, python=str(without))
    page = open_lab()
    shown = page_of(page, job)
    expect(shown).to_have_attribute("data-state", "succeeded", timeout=SLOW)
    at(shown, "gw-jobpage-board").press("Enter")
    board = at(page, "gw-board")
    expect(board).to_have_attribute("data-state", "failed", timeout=SLOW)
    expect(at(board, "gw-board-words")).to_contain_text("TensorBoard is missing")
    expect(at(board, "gw-board-words")).to_contain_text(f"{without} -m pip install tensorboard")
    shoot(page, "tensorboard-missing")
    assert serious(page, "gw-board") == []
    with page.expect_response(lambda one: one.request.method == "POST" and job in one.url):
        at(board, "gw-board-retry").press("Enter")  # asks once more
    expect(board).to_have_attribute("data-state", "failed", timeout=SLOW)
