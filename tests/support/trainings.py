"""A small real training for tests that look at jobs: DDP over gloo, metrics, coloured lines, and
checkpoints that it goes on from; and a script whose loss follows its arguments, for sweeps."""

from __future__ import annotations

from typing import Any

from .lab import LabServer

TRAIN = """
import argparse, os, time
import torch, torch.distributed as dist
import gpu_workbench as gw

parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=100)
parser.add_argument("--lr", type=float, default=0.02)
parser.add_argument("--pause", type=float, default=0.0)
args = parser.parse_args()
dist.init_process_group("gloo")
rank = dist.get_rank()
torch.manual_seed(rank)
model = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(8, 1))
optimizer = torch.optim.SGD(model.parameters(), args.lr)
first = 0
if path := gw.resume_from():
    state = torch.load(path)
    model.load_state_dict(state["model"])
    first = state["step"] + 1
    print(f"rank {rank} goes on from step {first}", flush=True)
truth = torch.arange(8.0).unsqueeze(1)
for step in range(first, args.steps):
    x = torch.randn(32, 8)
    loss = (model(x) - x @ truth + 0.3 * torch.randn(32, 1)).pow(2).mean()
    optimizer.zero_grad(); loss.backward(); optimizer.step()
    gw.log(step, loss=loss.item(), grad_norm=model.module.weight.grad.norm().item())
    who = f"\\x1b[32mrank {rank}\\x1b[0m"
    print(f"{who} step {step} loss \\x1b[1m{loss.item():.4f}\\x1b[0m", flush=True)
    if rank == 0 and step % 10 == 9:
        where = gw.checkpoint_dir() / f"step-{step}.pt"
        torch.save({"model": model.state_dict(), "step": step}, f"{where}.tmp")
        os.replace(f"{where}.tmp", where)
    time.sleep(0 if first else args.pause)  # who looks has time, and the resumed run none to lose
print("done", rank, flush=True)
dist.destroy_process_group()
"""

# No torch: it starts at once. The best rate is 0.02.
SWEPT = """
import argparse, time
import gpu_workbench as gw

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float)
parser.add_argument("--width", type=int, default=0)
parser.add_argument("--pause", type=float, default=0.02)
parser.add_argument("--steps", type=int, default=40)
args = parser.parse_args()
for step in range(args.steps):
    gw.log(step, loss=(args.lr - 0.02) ** 2 * 1000 + args.width / 1000 + 1 / (step + 1))
    time.sleep(args.pause)
"""


def training(lab: LabServer, *args: str, ranks: int = 2, **spec: Any) -> dict[str, Any]:
    """Body of `POST jobs` for `train.py` in the server's folder; put `TRAIN` there first."""
    return {
        "ranks": ranks,
        "per_rank": "0.25",
        "script": "train.py",
        "args": list(args),
        "cwd": str(lab.notebooks),
        **spec,
    }
