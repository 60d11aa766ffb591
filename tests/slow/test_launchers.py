"""What can be launched, unchanged, on 1, 2 and 4 ranks: state, logs, metrics, nothing left."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests.support.runs import Run

torch = pytest.importorskip("torch")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

RANKS = pytest.mark.parametrize("ranks", [1, 2, 4])


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    one = Run(tmp_path / "job")
    yield one
    one.close()


def succeeded(run: Run, ranks: int) -> dict[str, Any]:
    """It ended well, each rank with its own log, exit code 0 and the metrics of its steps; nothing
    of it lives on (`ended` looks for that)."""
    status = run.ended(200)
    logs = [(run.rank(n) / "err.log").read_text() for n in range(ranks) if run.rank(n).exists()]
    agent = (run.directory / "agent.log").read_text()
    assert status["state"] == "succeeded", (status["ranks"], logs, agent)
    assert [one["exit_code"] for one in status["ranks"]] == [0] * ranks
    assert [one["state"] for one in status["ranks"]] == ["succeeded"] * ranks
    points = [(one["r"], one["s"], one["v"]["loss"]) for one in run.points() if "loss" in one["v"]]
    for number in range(ranks):
        said = [
            line
            for line in (run.rank(number) / "out.log").read_text().splitlines()
            if line.startswith("rank ")
        ]
        assert said == [f"rank {number} of {ranks}: sum {ranks}"], "its own line, and only that"
        mine = [(step, value) for rank, step, value in points if rank == number]
        assert mine == [(step, pytest.approx(1 / (step + 1))) for step in range(3)]
    assert status["metrics"]["loss"] == pytest.approx(1 / 3)
    assert {number for number, *_ in points} == set(range(ranks))
    return status


BODY = """
import gpu_workbench as gw
for step in range(3):
    gw.log(step, loss=1 / (step + 1))
"""


def train() -> str:
    import torch
    import torch.distributed as dist

    import gpu_workbench as gw

    dist.init_process_group("gloo")
    total = torch.ones(1)
    dist.all_reduce(total)
    for step in range(3):
        gw.log(step, loss=1 / (step + 1))
    print(f"rank {dist.get_rank()} of {dist.get_world_size()}: sum {int(total)}")
    return "done"


@RANKS
def test_a_function(run: Run, ranks: int) -> None:
    run.start(ranks, function=(train, (), {}))
    assert succeeded(run, ranks)["has_result"]


TORCHRUN = """
import torch, torch.distributed as dist
dist.init_process_group("gloo")
total = torch.ones(1)
dist.all_reduce(total)
print(f"rank {dist.get_rank()} of {dist.get_world_size()}: sum {int(total)}")
"""


@RANKS
def test_a_script_for_torchrun(run: Run, ranks: int) -> None:
    succeeded(run.start(ranks, script=TORCHRUN + BODY), ranks)


ACCELERATE = """
import torch
from accelerate import Accelerator
accelerator = Accelerator()
model, optimizer = torch.nn.Linear(4, 1), None
optimizer = torch.optim.SGD(model.parameters(), 0.1)
model, optimizer = accelerator.prepare(model, optimizer)
with accelerator.autocast():
    loss = model(torch.ones(2, 4)).sum()
accelerator.backward(loss)
optimizer.step()
total = int(accelerator.reduce(torch.ones(1)))
print("precision", accelerator.mixed_precision)
print(f"rank {accelerator.process_index} of {accelerator.num_processes}: sum {total}")
"""


@RANKS
def test_a_script_for_accelerate_with_its_own_flags(run: Run, ranks: int) -> None:
    pytest.importorskip("accelerate")
    flags = ["--mixed_precision", "bf16"]
    run.start(ranks, script=ACCELERATE + BODY, launcher="accelerate", launcher_args=flags)
    succeeded(run, ranks)
    assert "precision bf16" in (run.rank(0) / "out.log").read_text()


def test_accelerates_own_test_script_passes_unmodified(run: Run) -> None:
    scripts = pytest.importorskip("accelerate.test_utils").scripts
    script = (Path(scripts.__path__[0]) / "test_script.py").read_text()
    status = run.start(2, script=script, launcher="accelerate").ended(280)
    assert status["state"] == "succeeded", (run.rank(0) / "err.log").read_text()[-3000:]


# Not its test_distributed_data_loop: that hangs under bare torchrun, too (1.15, torch 2.13, CPU).
@pytest.mark.parametrize("name", ["test_ops", "test_sync"])
def test_scripts_that_a_package_ships_for_torchrun_pass_unmodified(run: Run, name: str) -> None:
    scripts = pytest.importorskip("accelerate.test_utils").scripts
    script = (Path(scripts.__path__[0]) / f"{name}.py").read_text()
    status = run.start(2, script=script, env={"ACCELERATE_USE_CPU": "true"}).ended(280)
    assert status["state"] == "succeeded", (run.rank(0) / "err.log").read_text()[-3000:]


def test_a_flag_that_accelerate_does_not_know_is_said(run: Run) -> None:
    pytest.importorskip("accelerate")
    status = run.start(1, script=BODY, launcher="accelerate", launcher_args=["--no-such"]).ended()
    assert status["state"] == "failed"
    assert status["agent_error"].startswith("accelerate: ")


LIGHTNING = """
import lightning, torch, torch.distributed as dist
from lightning.pytorch.loggers import TensorBoardLogger
class Model(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(4, 1)
    def training_step(self, batch, number):
        loss = self.layer(batch).pow(2).mean()
        self.log("train_loss", loss)
        return loss
    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)
data = torch.utils.data.DataLoader(torch.randn(16, 4), batch_size=2)
trainer = lightning.Trainer(max_epochs=1, accelerator="cpu", devices=RANKS, strategy="ddp",
    enable_progress_bar=False, log_every_n_steps=1, logger=TensorBoardLogger("runs"))
trainer.fit(Model(), data)
total = torch.ones(1)
dist.all_reduce(total)
print(f"rank {trainer.global_rank} of {trainer.world_size}: sum {int(total)}")
"""


@RANKS
def test_a_script_for_lightning_and_its_own_logger(run: Run, ranks: int) -> None:
    pytest.importorskip("lightning")
    run.start(ranks, script=LIGHTNING.replace("RANKS", str(ranks)) + BODY)
    succeeded(run, ranks)
    # Its event files, without a line of ours: rank 0 writes them.
    found = [(one["r"], one["s"]) for one in run.points() if "train_loss" in one["v"]]
    assert found == [(0, step) for step in range(8 // ranks)]


MPI = """
from mpi4py import MPI
world = MPI.COMM_WORLD
total = world.allreduce(1)
print(f"rank {world.rank} of {world.size}: sum {total}")
"""


@RANKS
def test_an_mpi_program(run: Run, ranks: int) -> None:
    pytest.importorskip("mpi4py")
    succeeded(run.start(ranks, script=MPI + BODY, launcher="mpi"), ranks)


def test_an_mpi_rank_that_raises_is_named(run: Run) -> None:
    pytest.importorskip("mpi4py")
    script = MPI + "if world.rank == 1: raise ValueError('bad shape')\nworld.barrier()\n"
    status = run.start(2, script=script, launcher="mpi").ended(60)
    assert status["state"] == "failed"
    assert status["ranks"][1]["error"]["message"] == "bad shape"


def notebook(*cells: str) -> str:
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    return str(nbformat.writes(made))


@RANKS
def test_a_notebook_is_kept_with_its_outputs(run: Run, ranks: int) -> None:
    source = notebook(TORCHRUN, "%matplotlib inline\n" + BODY, "6 * 7")
    run.start(ranks, script=source, suffix=".ipynb", id="job-1")
    succeeded(run, ranks)
    kept = json.loads((run.directory.parent / "work" / "train-job-1.ipynb").read_text())
    assert kept["cells"][2]["outputs"][0]["data"]["text/plain"] == ["42"]


LOGGER = """
import os, torch
from torch.utils.tensorboard import SummaryWriter
weight = torch.nn.Parameter(torch.zeros(1))
optimizer = torch.optim.SGD([weight], 0.1)
with SummaryWriter("runs/" + os.environ["RANK"]) as writer:
    for step in range(5):
        (weight - 1).pow(2).sum().backward()
        optimizer.step()
        writer.add_scalar("weight", weight.item(), step)
"""


def test_the_loggers_and_the_steps_of_a_notebook_are_those_of_its_rank(run: Run) -> None:
    pytest.importorskip("tensorboard")
    status = run.start(2, script=notebook(LOGGER), suffix=".ipynb", id="job-1").ended(120)
    assert status["state"] == "succeeded", (run.rank(0) / "err.log").read_text()
    found = sorted((one["r"], one["s"]) for one in run.points() if "weight" in one["v"])
    assert found == [(rank, step) for rank in (0, 1) for step in range(5)]
    assert [one["step"] for one in status["ranks"]] == [5, 5], "its optimizer's steps beat"


def test_a_cell_that_raises_is_named_and_the_notebook_kept(run: Run) -> None:
    source = notebook("1", "{}['label']", "2")
    status = run.start(1, script=source, suffix=".ipynb", id="job-1").ended(60)
    assert status["state"] == "failed"
    error = status["ranks"][0]["error"]
    assert (error["type"], error["where"]) == ("KeyError", "cell 2")
    assert (run.directory.parent / "work" / "train-job-1.ipynb").exists()
