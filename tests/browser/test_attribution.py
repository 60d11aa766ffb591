"""Whose load it is: two notebooks and a job on slices of one GPU, each seen under its own name.

What the panel, the dashboard and the API say is compared with what psutil says of the same process
trees over the same seconds, so a busy machine changes the figures and not the verdict.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.support.lab import REPOSITORY, LabServer
from tests.support.load import Tree
from tests.support.waiting import wait_for

from .conftest import shoot
from .pages import (
    Shown,
    at,
    command,
    notebook,
    open_panel,
    row_shows,
    run_all,
    slice_shows,
    watch,
)

Open = Callable[..., Page]
WITHIN = 0.15
SOON = 3.0
"""Seconds from when a load is there until it is seen under its name."""
LOOK = 20.0
LATE = 0.5
"""Seconds: what is shown is the mean of half a second, and takes a little to arrive."""


@dataclass(frozen=True)
class Burner:
    """Who holds `profile` and burns `share` of a core and `megabytes`."""

    name: str
    profile: str
    share: float
    megabytes: int

    @property
    def cell(self) -> str:
        return f"import burn\nburn.burn('.', {self.share}, {self.megabytes})"


CHURN = Burner("churn.ipynb", "1g.10gb", 0.30, 900)
FLIGHTS = Burner("flights.ipynb", "1g.10gb", 0.15, 1500)
TRAIN = Burner("train", "2g.20gb", 0.22, 600)
ALL = (CHURN, FLIGHTS, TRAIN)


@pytest.fixture
def burners(lab: LabServer) -> Iterator[Path]:
    """The notebooks' folder with the burner in it; whoever burns is stopped at the end."""
    shutil.copy(REPOSITORY / "tests" / "support" / "burn.py", lab.notebooks / "burn.py")
    yield lab.notebooks
    (lab.notebooks / "stop").touch()


def test_two_notebooks_and_a_job_on_one_gpu_are_seen_each_under_its_own_name(
    open_lab: Open, lab: LabServer, burners: Path
) -> None:
    page = open_lab(width=1500, height=1000)
    panel = open_panel(page)
    for one in (CHURN, FLIGHTS):
        lab.api("POST", "requests", {"what": one.profile, "name": one.name})
        notebook(page, lab, one.cell, kernel="gpu-slice", name=one.name)
        run_all(page)
    start_job(lab, TRAIN)
    leases = wait_for(lambda: held_by_all(lab), 60, "every one of them holds its slice")
    (gpu,) = {one["gpu"] for lease in leases.values() for one in lease["slices"]}
    command(page, "gpu-workbench:open-dashboard", gpu=gpu, tab="gpu")
    places = {f"panel {name}": row_of(panel, lease) for name, lease in leases.items()}
    places |= {f"dashboard {name}": slice_of(page, lease) for name, lease in leases.items()}
    for what, place in places.items():
        expect(place).to_contain_text(what.partition(" ")[2])
    shown = {
        what: (row_shows if what.startswith("panel") else slice_shows)(place)
        for what, place in places.items()
    }

    with ExitStack() as stack:
        trees = {
            name: stack.enter_context(Tree(lease["holder"]["pid"]))
            for name, lease in leases.items()
        }
        (burners / "go").touch()
        waits = until_seen(shown, trees)
        print("seconds until it was shown:", waits)
        assert all(seconds <= SOON for seconds in waits.values()), waits

        seen = time.time()  # what is compared looks back by LATE: all have to be at work there, too
        wait_for(lambda: time.time() - seen > 4 * LATE, what="all work for a while")
        began = time.time()
        api = Samples(lab, leases)
        activity = watch(shown, LOOK, also=api.look) | api.mean_activity()
        psutil_says = {
            name: tree.cores(began - LATE, began + LOOK - LATE) for name, tree in trees.items()
        }
        resident = {name: tree.memory_bytes for name, tree in trees.items()}
        memory = {what: (read() or (0, 0))[1] * 2**30 for what, read in shown.items()} | api.memory
        processes = lab.api("GET", "telemetry/processes")["processes"]
        pids = {name: tree.pids for name, tree in trees.items()}

    shoot(page, "attribution-light")
    for what in activity:
        name = what.partition(" ")[2]
        print(f"{what}: {activity[what]:.3f}, psutil {psutil_says[name]:.3f} cores; "
              f"{memory[what] / 2**30:.2f} GB, psutil {resident[name] / 2**30:.2f}")  # fmt: skip
    for what in activity:
        name = what.partition(" ")[2]
        assert activity[what] == pytest.approx(psutil_says[name], rel=WITHIN), what
        assert memory[what] == pytest.approx(resident[name], rel=WITHIN), what
    for name in leases:
        named = {one["pid"] for one in processes if one["name"] == name}
        assert named, f"no process under the name {name}"
        assert named <= pids[name], "somebody else's process under this name"
        expect(at(page, "gw-processes")).to_contain_text(name)


def start_job(lab: LabServer, one: Burner) -> None:
    script = lab.notebooks / "burn.py"
    lab.api(
        "POST",
        "jobs",
        {
            "script": str(script),
            "args": [str(lab.notebooks), str(one.share), str(one.megabytes)],
            "ranks": 1,
            "per_rank": one.profile,
            "name": one.name,
            "cwd": str(lab.notebooks),
        },
    )


def held_by_all(lab: LabServer) -> dict[str, dict]:
    """Their leases by name, once each has the process that stands for it."""
    found = {one["holder"]["name"]: one for one in lab.leases() if (one["holder"] or {}).get("pid")}
    return found if {one.name for one in ALL} == set(found) else {}


def row_of(panel: Locator, lease: dict) -> Locator:
    return panel.locator(f"[data-testid='gw-lease'][data-lease='{lease['id']}']")


def slice_of(page: Page, lease: dict) -> Locator:
    """The lease's one slice on the dashboard's page of its GPU."""
    (slice_,) = lease["slices"]
    return page.locator(f"[data-testid='gw-slice'][data-slice='{slice_['id']}']")


def until_seen(shown: dict[str, Shown], trees: dict[str, Tree]) -> dict[str, float]:
    """Seconds from when psutil sees a load, its memory and its work, until each place shows it.

    Not from when the process was told to begin: on a busy machine taking memory takes long.
    """
    large = {one.name: one.megabytes << 20 for one in ALL}
    there: dict[str, float] = {}
    waits: dict[str, float] = {}
    deadline = time.monotonic() + 150
    while len(waits) < len(shown):
        if time.monotonic() > deadline:
            now = {name: (t.memory_bytes >> 20, t.cores_lately(1.0)) for name, t in trees.items()}
            pytest.fail(f"seen by psutil: {there}, shown: {waits}; MB and cores now: {now}")
        for what, read in shown.items():
            name = what.partition(" ")[2]
            tree, now = trees[name], time.time()
            if tree.memory_bytes > large[name] and tree.cores_lately(1.0) > 0.02:
                there.setdefault(name, now)
            seen = None if what in waits or name not in there else read()
            if seen is None:
                continue
            if seen[1] * 2**30 > 0.8 * tree.memory_bytes and seen[0] > 0.5 * tree.cores_lately(1.0):
                waits[what] = now - there[name]
        time.sleep(0.05)
    return waits


class Samples:
    """What the API says of some leases while somebody calls `look`."""

    def __init__(self, lab: LabServer, leases: dict[str, dict]) -> None:
        self._lab = lab
        self._names = {lease["id"]: f"API {name}" for name, lease in leases.items()}
        self._activity: dict[float, dict[str, float]] = {}
        self.memory: dict[str, int] = {}
        """The newest, by name."""

    def look(self) -> None:
        sample = self._lab.api("GET", "telemetry")
        mine = {self._names[one["lease_id"]]: one for one in sample["slices"]}
        self._activity[sample["time"]] = {name: one["activity"] for name, one in mine.items()}
        self.memory = {name: one["memory_bytes"] for name, one in mine.items()}

    def mean_activity(self) -> dict[str, float]:
        """Over all samples that were seen, each once."""
        all_ = list(self._activity.values())
        return {name: sum(one[name] for one in all_) / len(all_) for name in self.memory}
