"""What `dev.py run` opens: copies of the examples, so that a clone stays as git has it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from tests.support.lab import REPOSITORY

EXAMPLES = REPOSITORY / "examples"
NOTEBOOK = "01-quickstart.ipynb"


class Clone:
    """A clone's examples/, and its notebooks/."""

    def __init__(self, root: Path) -> None:
        self.examples, self.copies = root / "examples", root / "notebooks"
        shutil.copytree(EXAMPLES, self.examples, ignore=shutil.ignore_patterns("__pycache__"))

    def copy(self) -> str:
        command = [sys.executable, self.examples, self.copies]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone(tmp_path)


def test_every_example_is_copied_with_what_lies_beside_it(clone: Clone) -> None:
    assert clone.copy() == ""
    wanted = {one.name for one in EXAMPLES.glob("*") if one.is_file() and one.name[0] != "_"}
    assert NOTEBOOK in wanted
    assert {one.name for one in clone.copies.glob("[!.]*")} == wanted
    for notebook in clone.copies.glob("*.ipynb"):
        nbformat.validate(nbformat.read(notebook, as_version=4))


def test_a_copy_that_was_changed_is_kept_over_restarts(clone: Clone) -> None:
    clone.copy()
    (clone.copies / NOTEBOOK).write_text("mine")
    assert clone.copy() == ""
    assert (clone.copies / NOTEBOOK).read_text() == "mine"


def test_a_copy_follows_its_original_until_it_was_changed(clone: Clone) -> None:
    clone.copy()
    (clone.copies / "gpt.py").write_text("mine")
    for name in ("gpt.py", "digits.py"):
        (clone.examples / name).write_text("newer")
    assert clone.copy().startswith("gpt.py: yours was changed and is kept")
    assert (clone.copies / "gpt.py").read_text() == "mine"
    assert (clone.copies / "digits.py").read_text() == "newer"


def test_a_copy_that_was_removed_is_there_again(clone: Clone) -> None:
    clone.copy()
    (clone.copies / NOTEBOOK).unlink()
    clone.copy()
    book = json.loads((clone.copies / NOTEBOOK).read_text())
    assert book["cells"] == json.loads((EXAMPLES / NOTEBOOK).read_text())["cells"]
