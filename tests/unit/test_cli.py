"""`gpu-workbench`: what each command prints, how it fails, and that it changes nothing."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gpu_workbench_server.cli import COMMANDS, main, parser
from gpu_workbench_server.cli.checks import Finding, directory, findings, store
from gpu_workbench_server.cli.usage import COLUMNS, since, span
from gpu_workbench_server.errors import NoDevices
from gpu_workbench_server.settings import Settings
from gpu_workbench_server.store.sql import SqlStore
from tests.fakes.nvml import FakeDriver, FakeGpu, h100_layout, install
from tests.support.leasing import a_lease, a_slice, ended, granted

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass
class Said:
    code: int
    out: str
    err: str


Run = Callable[..., Said]


def at(data_dir: Path) -> Callable[[], Settings]:
    """How a check learns the settings."""
    return lambda: Settings(data_dir=data_dir)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command in this process."""

    def call(*arguments: str) -> Said:
        try:
            code = main(arguments)
        except SystemExit as end:  # argparse's way out
            code = int(end.code or 0)
        captured = capsys.readouterr()
        return Said(code, captured.out, captured.err)

    return call


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Path]:
    """A data directory: a lease of ada's ended an hour ago, bob's long ago, one of ada's runs."""
    now = time.time()
    with_store = SqlStore.open(tmp_path)
    for number, user, start, end in (
        (1, "ada", now - 7200, now - 3600),
        (2, "bob", now - 90 * 86400, now - 89 * 86400),
    ):
        lease = a_lease(
            number,
            a_slice(f"{number}.0", gpu=f"GPU-{number}"),
            user=user,
            granted_at=start,
            ends_at=end,
            used_gpu_seconds=300.0,
        )
        with_store.commit([*granted(lease), ended(lease, at=end)])
    runs = a_lease(3, a_slice("3.0", gpu="GPU-3"), granted_at=now - 60, ends_at=now + 60)
    with_store.commit(granted(runs))
    with_store.close()
    yield tmp_path


# --- usage --------------------------------------------------------------------------------------


def test_usage_lists_what_ended_in_the_time_and_what_runs(run: Run, held: Path) -> None:
    said = run("usage", "--data-dir", str(held))
    assert said.code == 0
    lines = said.out.splitlines()
    assert lines[0].split() == ["lease", "user", "profile", "for", "began", "ended", "held", "used"]
    assert [line.split()[0] for line in lines[1:3]] == ["1", "3"]
    assert "15 min 00 s" in lines[1], "a quarter of a GPU for an hour"
    assert "released" in lines[1]
    assert "runs" in lines[2]
    assert "unknown" in lines[2], "what was not measured is not 0"
    assert re.match(r"Held 15 min \d\d s of GPU time, used 5 min 00 s, 33 % of it", lines[-1])


def test_usage_can_look_further_back_and_at_one_user(run: Run, held: Path) -> None:
    said = run("usage", "--data-dir", str(held), "--since", "100d", "--user", "bob", "--json")
    found = json.loads(said.out)
    assert [row["lease_id"] for row in found["rows"]] == [2]
    assert found["used_gpu_seconds"] == 300.0
    assert found["held_gpu_seconds"] == pytest.approx(86400 / 4)


def test_usage_as_csv_has_a_line_per_lease_and_every_column(run: Run, held: Path) -> None:
    said = run("usage", "--data-dir", str(held), "--csv")
    rows = list(csv.DictReader(io.StringIO(said.out)))
    assert tuple(rows[0]) == COLUMNS
    assert [(row["lease_id"], row["used_gpu_seconds"]) for row in rows] == [
        ("1", "300.0"),
        ("3", ""),
    ]


def test_usage_says_when_there_was_nothing(run: Run, held: Path) -> None:
    said = run("usage", "--data-dir", str(held), "--user", "eve")
    assert (said.code, said.out) == (0, "No lease ran in that time.\n")


def test_usage_without_a_store_says_so_and_makes_none(run: Run, tmp_path: Path) -> None:
    said = run("usage", "--data-dir", str(tmp_path / "nowhere"))
    assert (said.code, said.out) == (1, "")
    assert "no store" in said.err
    assert not (tmp_path / "nowhere").exists()


def test_usage_of_a_damaged_store_is_a_sentence_and_no_traceback(run: Run, held: Path) -> None:
    (held / "store.sqlite").write_bytes(b"x" * 9000)
    said = run("usage", "--data-dir", str(held))
    assert said.code == 1
    assert "Move" in said.err
    assert "Traceback" not in said.err


def test_usage_reads_while_the_server_writes(run: Run, held: Path) -> None:
    server = SqlStore.open(held)
    lease = a_lease(4, a_slice("4.0", gpu="GPU-4"), granted_at=time.time())
    server.commit(granted(lease))
    said = run("usage", "--data-dir", str(held), "--csv")
    assert len(said.out.splitlines()) == 4
    server.close()


@pytest.mark.parametrize(("text", "seconds"), [("7d", 604800), ("12h", 43200), ("1.5h", 5400)])
def test_a_time_span_counts_back_from_now(text: str, seconds: float) -> None:
    assert since(text) == pytest.approx(time.time() - seconds, abs=5)


def test_a_date_is_understood_and_nonsense_is_a_wrong_call(run: Run, held: Path) -> None:
    assert since("1970-01-02") == pytest.approx(86400, abs=86400)
    said = run("usage", "--since", "yesterday")
    assert said.code == 2
    assert "neither a time span" in said.err


def test_spans_are_for_people() -> None:
    spans = [span(seconds) for seconds in (12.3, 200, 3900, None)]
    assert spans == ["12 s", "3 min 20 s", "1 h 05 min", "unknown"]


# --- fleet --------------------------------------------------------------------------------------


def test_fleet_shows_the_simulated_gpus_and_what_they_offer(run: Run) -> None:
    said = run("fleet", "--simulated")
    assert said.code == 0
    assert "imulated" in said.out.splitlines()[0]
    for word in ("gpu0", "gpu1", "3g.40gb", "1/4 GPU", "whole GPU", "80 GB"):
        assert word in said.out


def test_fleet_checks_a_fleet_file(run: Run, tmp_path: Path) -> None:
    good = tmp_path / "fleet.toml"
    good.write_text('[[gpu]]\nmodel = "NVIDIA A100"\nmemory_gb = 40\ncount = 3\npool = "a100"\n')
    found = json.loads(run("fleet", "--fleet", str(good), "--json").out)
    assert [gpu["index"] for gpu in found["gpus"]] == [0, 1, 2]
    assert found["simulated"] is True
    assert "Pool a100 offers:" in run("fleet", "--fleet", str(good)).out


def test_a_wrong_fleet_file_is_said_with_the_place(run: Run, tmp_path: Path) -> None:
    bad = tmp_path / "fleet.toml"
    bad.write_text('[[gpu]]\nmodel = "H100"\nmemory_gb = 80\nmig = ["4g.40gb", "4g.40gb"]\n')
    said = run("fleet", "--fleet", str(bad))
    assert (said.code, said.out) == (1, "")
    assert f"{bad}, [[gpu]] 1" in said.err


# --- doctor -------------------------------------------------------------------------------------


def test_doctor_names_every_part_and_its_exit_code_says_whether_it_is_usable(
    run: Run, tmp_path: Path
) -> None:
    said = run("doctor", "--json", "--data-dir", str(tmp_path / "new"))
    found = json.loads(said.out)
    names = {one["name"] for one in found["findings"]}
    assert {"Python", "GPUs", "server extension", "lab extension", "kernels", "store"} <= names
    assert found["usable"] is (said.code == 0)
    for one in found["findings"]:
        assert one["message"]
        assert one["hint"] or one["level"] in ("ok", "note"), "what is wrong has a remedy"
    assert not (tmp_path / "new").exists(), "it changes nothing"


def test_doctor_prints_the_same_for_people(run: Run, tmp_path: Path) -> None:
    said = run("doctor", "--data-dir", str(tmp_path))
    assert "GPU Workbench can" in said.out.splitlines()[-1]
    assert all(len(line) <= 130 for line in said.out.splitlines())


def test_doctor_sees_the_gpus_of_a_driver_and_how_they_are_cut(tmp_path: Path) -> None:
    driver = FakeDriver(gpus=[FakeGpu(), FakeGpu(instances=h100_layout()), FakeGpu(instances=[])])
    fake = install(driver, tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "gpu_workbench_server.cli", "doctor", "--json"],
        env={**os.environ, "LD_LIBRARY_PATH": str(fake.library.parent)},
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
    )
    found = json.loads(done.stdout)["findings"]
    gpus = [one["message"] for one in found if one["name"] == "GPUs"]
    assert "gpu0 NVIDIA H100" in gpus[0]
    mig = {one["level"]: one["message"] for one in found if one["name"] == "MIG"}
    assert "gpu1 is cut into" in mig["ok"]
    assert "gpu2 is in MIG mode without instances" in mig["warning"]


def test_a_damaged_store_is_a_failure_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "store.sqlite").write_bytes(b"x" * 9000)
    found = findings({"store": lambda: store(at(tmp_path))})
    assert [one.level for one in found] == ["failure"]
    assert "Move" in found[0].hint


def test_a_store_that_is_used_is_told_with_its_figures(held: Path) -> None:
    found = findings({"store": lambda: store(at(held))})
    assert found[0].level == "ok"
    assert "1 lease runs, 0 requests wait" in found[0].message


def test_a_data_directory_that_cannot_be_made_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    found = list(directory(at(tmp_path / "file" / "data")))
    assert [one.level for one in found] == ["failure"]
    assert next(iter(directory(at(tmp_path / "a" / "b")))).level in ("ok", "warning")


@pytest.fixture
def configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Writes the Jupyter server's configuration, as an admin does."""
    folder = tmp_path / "config"
    folder.mkdir()
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(folder))

    def write(**settings: object) -> None:
        text = json.dumps({"GpuWorkbenchApp": settings})
        (folder / "jupyter_server_config.json").write_text(text)

    return write


def finding(run: Run, name: str) -> dict[str, str]:
    [found] = [one for one in json.loads(run("doctor", "--json").out)["findings"]
               if one["name"] == name]  # fmt: skip
    return dict(found)


def test_the_doctor_names_line_and_key_of_a_typo_in_the_policy_file(
    run: Run, configured: Callable[..., None], tmp_path: Path
) -> None:
    file = tmp_path / "policy.toml"
    file.write_text("[order]\nhalf_live = '7d'\n")
    configured(policy_file=str(file))
    found = finding(run, "configuration")
    assert found["level"] == "failure"
    assert found["message"] == (
        "policy.toml line 2, key order.half_live: there is no such key in [order]; "
        "did you mean half_life?"
    )
    file.write_text("[pools.a100]\n")
    found = finding(run, "configuration")
    assert (found["level"], "pools: a100" in found["message"]) == ("ok", True)


def test_commands_look_at_the_store_that_the_server_is_configured_to_use(
    run: Run, configured: Callable[..., None], held: Path, tmp_path: Path
) -> None:
    configured(data_dir=str(tmp_path / "empty"), store_url=f"sqlite:///{held / 'store.sqlite'}")
    assert "ada" in run("usage").out
    assert str(held) in finding(run, "store")["message"]
    assert "no store" in run("usage", "--data-dir", str(tmp_path / "empty")).err


def test_the_doctor_shows_no_password_of_the_store(
    run: Run, configured: Callable[..., None]
) -> None:
    configured(store_url="postgresql://ada:hush@127.0.0.1:1/x?password=hush")
    said = run("doctor")
    assert "127.0.0.1" in said.out
    assert "hush" not in said.out + said.err


def test_a_check_that_breaks_is_a_finding_and_the_others_go_on() -> None:
    def refused() -> list[Finding]:
        raise NoDevices("No GPU.", "Buy one.")

    def broken() -> list[Finding]:
        raise KeyError("gone")

    fine = Finding("c", "ok", "Fine.")
    found = findings({"a": refused, "b": broken, "c": lambda: [fine]})
    assert found[0] == Finding("a", "failure", "No GPU.", "Buy one.")
    assert (found[1].name, found[1].level) == ("b", "warning")
    assert found[2] == fine


# --- all of them --------------------------------------------------------------------------------


def test_every_command_is_declared_and_explains_itself(run: Run) -> None:
    assert [one.name for one in COMMANDS] == ["doctor", "fleet", "simulate", "usage"]
    for command in COMMANDS:
        said = run(command.name, "--help")
        assert said.code == 0
        assert command.help.split()[0] in said.out
    assert parser().prog == "gpu-workbench"


def test_no_command_is_a_wrong_call(run: Run) -> None:
    assert run().code == 2
    assert run("dance").code == 2
