"""Loggers that people use already become points of the job, without a line of ours."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.runs import Run

pytest.importorskip("torch")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    one = Run(tmp_path / "job")
    yield one
    one.close()


def series(run: Run, name: str) -> list[tuple[int, int, float]]:
    """(rank, step, value) of one metric, after a run that went well."""
    status = run.ended(200)
    errors = [file.read_text()[-3000:] for file in run.directory.glob("attempt-0/*/err.log")]
    assert status["state"] == "succeeded", errors
    return [(one["r"], one["s"], one["v"][name]) for one in run.points() if name in one["v"]]


TORCH = """
import os
from torch.utils.tensorboard import SummaryWriter
writer = SummaryWriter(f"runs/{os.environ['RANK']}")
for step in range(20):
    writer.add_scalar("loss", 1 / (step + 1), step)
    writer.add_scalars("split", {"train": 1.0, "test": 2.0}, step)
    writer.add_text("note", "no number", step)
writer.close()
"""


def test_torchs_summary_writer(run: Run) -> None:
    found = series(run.start(2, script=TORCH), "loss")
    assert sorted(found) == [
        (rank, n, pytest.approx(1 / (n + 1))) for rank in (0, 1) for n in range(20)
    ]
    split = {name for one in run.points() for name in one["v"]} - {"loss"}
    assert split == {"split", "split (split_test)"}, "one name for each of the two directories"


TENSORBOARD_X = """
from tensorboardX import SummaryWriter
with SummaryWriter("runs") as writer:
    for step in range(20):
        writer.add_scalar("loss", 1 / (step + 1), step)
"""


def test_tensorboard_x(run: Run) -> None:
    pytest.importorskip("tensorboardX")
    found = series(run.start(1, script=TENSORBOARD_X), "loss")
    assert found == [(0, n, pytest.approx(1 / (n + 1))) for n in range(20)]


LIGHTNING = """
import lightning, torch
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
class Model(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(4, 1)
    def training_step(self, batch, number):
        loss = self.layer(batch).pow(2).mean()
        self.log("train_loss", loss)
        return loss
    def validation_step(self, batch, number):
        self.log("val_loss", self.layer(batch).pow(2).mean())
    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)
data = torch.utils.data.DataLoader(torch.randn(16, 4), batch_size=2)
trainer = lightning.Trainer(max_epochs=3, accelerator="cpu", devices=RANKS, strategy="ddp",
    enable_progress_bar=False, log_every_n_steps=1, logger=LOGGER)
trainer.fit(Model(), data, data)
"""


@pytest.mark.parametrize(
    "logger",
    [
        "True",
        "TensorBoardLogger('.')",
        "CSVLogger('.')",
        "[TensorBoardLogger('.'), CSVLogger('.')]",
    ],
)
def test_lightnings_loggers_also_two_at_once(run: Run, logger: str) -> None:
    pytest.importorskip("lightning")
    script = LIGHTNING.replace("RANKS", "2").replace("LOGGER", logger)
    found = series(run.start(2, script=script), "train_loss")
    assert [(rank, step) for rank, step, _ in found] == [(0, step) for step in range(12)]
    assert sum("val_loss" in one["v"] for one in run.points()) == 3


ACCELERATE = """
import torch
from accelerate import Accelerator
accelerator = Accelerator(log_with="tensorboard", project_dir=".")
accelerator.init_trackers("mine", config={"lr": 0.1})
for step in range(20):
    accelerator.log({"loss": 1 / (step + 1)}, step=step)
accelerator.end_training()
"""


def test_accelerates_tracker(run: Run) -> None:
    pytest.importorskip("accelerate")
    found = series(run.start(2, script=ACCELERATE, launcher="accelerate"), "loss")
    assert found == [(0, n, pytest.approx(1 / (n + 1))) for n in range(20)]


TRANSFORMERS = """
import torch
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainingArguments
model = GPT2LMHeadModel(GPT2Config(vocab_size=32, n_positions=16, n_embd=16, n_layer=1, n_head=1))
data = [dict(input_ids=(one := torch.randint(0, 32, (8,))), labels=one) for _ in range(48)]
arguments = TrainingArguments("out", max_steps=12, per_device_train_batch_size=2, logging_steps=2,
    eval_strategy="steps", eval_steps=6, report_to="REPORT", use_cpu=True, disable_tqdm=True,
    logging_dir=None, save_strategy="no")
Trainer(model, arguments, train_dataset=data, eval_dataset=data[:8]).train()
"""


@pytest.mark.parametrize("report", ["none", "tensorboard"])
def test_transformers_trainer_whatever_it_reports_to(run: Run, report: str) -> None:
    pytest.importorskip("transformers")
    script = TRANSFORMERS.replace("REPORT", report).replace("    logging_dir=None, ", "    ")
    found = series(run.start(2, script=script), "train/loss")
    assert [(rank, step) for rank, step, _ in found] == [(0, step) for step in range(2, 13, 2)]
    evaluated = [one for one in run.points() if "eval/loss" in one["v"]]
    assert [one["s"] for one in evaluated] == [6, 12]
    assert run.status["ranks"][1]["step"] == 12, "the optimizer's steps beat"
