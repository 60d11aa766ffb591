"""What is a checkpoint, and whether it is whole: written by the frameworks, then damaged."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gpu_workbench.checkpoints import find, newest_whole, read
from tests.support.waiting import wait_for

torch = pytest.importorskip("torch")


def by_torch(place: Path) -> Path:
    path = place / "step-40.pt"
    torch.save({"model": torch.ones(5000)}, path)
    return path


def by_torch_distributed(place: Path) -> Path:
    import torch.distributed.checkpoint as dcp

    path = place / "step_40"
    dcp.save({"model": {"w": torch.ones(5000), "v": torch.ones(3)}, "n": 1}, checkpoint_id=path)
    return path


def by_lightning(place: Path) -> Path:
    lightning = pytest.importorskip("lightning")

    class Line(lightning.LightningModule):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.line = torch.nn.Linear(4, 1)

        def training_step(self, batch: Any, index: int) -> Any:
            return self.line(batch[0]).pow(2).mean()

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), 0.01)

    rows = torch.utils.data.TensorDataset(torch.ones(8, 4))
    trainer = lightning.Trainer(
        default_root_dir=place, max_epochs=1, accelerator="cpu", logger=False,
        enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(Line(), torch.utils.data.DataLoader(rows, batch_size=2))
    (path,) = place.rglob("*.ckpt")
    return path


def by_accelerate(place: Path) -> Path:
    accelerate = pytest.importorskip("accelerate")
    setup = accelerate.utils.ProjectConfiguration(str(place), automatic_checkpoint_naming=True)
    accelerator = accelerate.Accelerator(cpu=True, project_config=setup)
    model = torch.nn.Linear(4, 1)
    model, _ = accelerator.prepare(model, torch.optim.SGD(model.parameters(), 0.01))
    return Path(accelerator.save_state())


def by_transformers(place: Path) -> Path:
    """As Trainer of version 5 leaves it; the real one is asked where it is installed."""
    path = place / "checkpoint-40"
    path.mkdir()
    safe = pytest.importorskip("safetensors.torch")
    safe.save_file({"w": torch.ones(5000)}, path / "model.safetensors")
    for name in ("optimizer.pt", "scheduler.pt", "rng_state.pth", "training_args.bin"):
        torch.save({"x": torch.ones(9)}, path / name)
    (path / "trainer_state.json").write_text('{"global_step": 40}')
    return path


MADE: dict[str, tuple[Callable[[Path], Path], int | None]] = {
    "torch": (by_torch, 40),
    "torch-distributed": (by_torch_distributed, 40),
    "lightning": (by_lightning, 4),
    "accelerate": (by_accelerate, 0),
    "transformers": (by_transformers, 40),
}


@pytest.mark.parametrize("kind", MADE)
def test_each_kind_is_known_and_whole_until_any_of_its_files_is_cut_short(
    kind: str, tmp_path: Path
) -> None:
    make, step = MADE[kind]
    path = make(tmp_path)
    (found,) = find(tmp_path)
    assert (found.kind, found.step, found.whole, found.path) == (kind, step, True, str(path))
    assert newest_whole(tmp_path) == str(path)
    files = [path] if path.is_file() else [one for one in path.rglob("*") if one.is_file()]
    assert found.bytes == sum(one.stat().st_size for one in files)
    assert time.time() - 60 < found.at < time.time() + 1
    for file in files:
        whole = file.read_bytes()
        for part in (0, len(whole) // 2, len(whole) - 1):
            file.write_bytes(whole[:part])
            (cut,) = find(tmp_path)
            assert not cut.whole, f"{file.name} cut to {part} of {len(whole)}"
            assert newest_whole(tmp_path) is None
        file.write_bytes(whole)
    assert newest_whole(tmp_path) == str(path)


@pytest.mark.parametrize(
    ("kind", "needed"),
    [
        ("torch-distributed", "__0_0.distcp"),
        ("torch-distributed", ".metadata"),
        ("accelerate", "random_states_0.pkl"),
        ("transformers", "trainer_state.json"),
    ],
)
def test_a_directory_that_lacks_a_part_is_not_whole(kind: str, needed: str, tmp_path: Path) -> None:
    path = MADE[kind][0](tmp_path)
    (path / needed).unlink()
    (found,) = find(tmp_path)
    assert (found.kind, found.whole) == (kind, False)


def test_each_rank_leaves_its_random_state(tmp_path: Path) -> None:
    path = by_transformers(tmp_path)
    (path / "rng_state.pth").rename(path / "rng_state_0.pth")
    assert newest_whole(tmp_path, ranks=2) is None
    shutil.copy(path / "rng_state_0.pth", path / "rng_state_1.pth")
    assert newest_whole(tmp_path, ranks=2) == str(path)


def test_an_index_names_files_that_have_to_be_there(tmp_path: Path) -> None:
    path = by_transformers(tmp_path)
    index = path / "model.safetensors.index.json"
    index.write_text('{"weight_map": {"w": "model.safetensors"}}')
    assert newest_whole(tmp_path) == str(path)
    index.write_text('{"weight_map": {"w": "model-00001-of-00002.safetensors"}}')
    assert newest_whole(tmp_path) is None


def test_the_newest_is_last_and_what_is_older_than_asked_is_left_out(tmp_path: Path) -> None:
    for step in (3, 1, 2):
        path = tmp_path / f"step-{step}.pt"
        torch.save({}, path)
        os.utime(path, (1000.0 + step, 1000.0 + step))
    assert [one.step for one in find(tmp_path)] == [1, 2, 3]
    assert [one.step for one in find(tmp_path, since=1001.5, until=1002.5)] == [2]


def test_what_is_no_checkpoint_is_none(tmp_path: Path) -> None:
    (tmp_path / "notes.bin").write_bytes(b"some other program's")
    (tmp_path / "notes.txt").write_text("x")
    torch.save({}, tmp_path / "step-1.pt.tmp")
    torch.save({}, tmp_path / "there.pt")
    (tmp_path / "link.pt").symlink_to(tmp_path / "there.pt")
    (tmp_path / "up").symlink_to(tmp_path.parent)
    os.mkfifo(tmp_path / "pipe.pt")
    assert [Path(one.path).name for one in find(tmp_path)] == ["there.pt"]
    assert read(tmp_path / "nowhere.pt") is None
    assert find(tmp_path / "nowhere") == []


class Evil:
    def __reduce__(self) -> Any:
        return (os.mkdir, ("made-by-a-pickle",))


def test_nothing_that_lies_in_a_checkpoint_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pickle

    monkeypatch.chdir(tmp_path)
    path = tmp_path / "dcp"
    path.mkdir()
    (path / ".metadata").write_bytes(pickle.dumps(Evil()))
    assert newest_whole(tmp_path) is None
    assert not (tmp_path / "made-by-a-pickle").exists()


def test_of_a_process_killed_in_the_middle_of_saving_only_what_it_finished_counts(
    tmp_path: Path,
) -> None:
    program = (
        "import torch, sys\n"
        "state = {str(n): torch.ones(100_000) for n in range(100)}\n"
        "for step in range(1000):\n"
        "    torch.save(state, f'{sys.argv[1]}/step-{step}.pt')\n"
        "    print(step, flush=True)\n"
    )
    halves = 0
    for turn in range(6):
        place = tmp_path / str(turn)
        place.mkdir()
        with subprocess.Popen(
            [sys.executable, "-c", program, str(place)], stdout=subprocess.PIPE, text=True
        ) as saving:
            assert saving.stdout is not None
            saving.stdout.readline()
            wait_for((place / "step-1.pt").exists, what="the next is begun", every=0.0005)
            time.sleep(turn * 0.003)  # in different places of it
            saving.send_signal(signal.SIGKILL)
        found = find(place)
        halves += sum(not one.whole for one in found)
        best = newest_whole(place)
        assert best is not None
        assert len(torch.load(best)) == 100, "what is said to be whole can be loaded"
        for one in found:
            if not one.whole:
                with pytest.raises(Exception):  # noqa: B017 - torch raises many kinds
                    torch.load(one.path)
    assert halves, "at least one was cut off"
