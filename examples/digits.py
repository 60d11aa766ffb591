"""Handwritten digits on any number of ranks, cut off anywhere and going on exactly.

    job = gw.launch("digits.py", "--epochs", "4", ranks=2)
    job.resume(ranks=4)                               # after it was stopped or has failed
    torchrun --nproc-per-node 2 digits.py             # the same without a job

Three habits make it exact:

- What a step does follows from its number: which samples it takes, and the seed of its dropout.
  A batch is one for all ranks, and each takes its share; so another number of ranks sees the same
  samples in the same steps. (To the last digit the losses agree where the number stays the same:
  sums over other shares round otherwise.)
- All the rest is in the checkpoint: weights, the optimizer's state, the number of the next step.
- A checkpoint is written beside its place and then moved there: it is whole or it isn't there.

Real data: the 1,797 digits of 8 × 8 pixels that scikit-learn ships.
"""

from __future__ import annotations

import argparse
import os

import torch
import torch.distributed as dist
from sklearn.datasets import load_digits
from torch import nn

import gpu_workbench as gw

SEED = 7


def batch(step: int, size: int, samples: int) -> torch.Tensor:
    """Ids of the samples of a step: each epoch has all of them once, in an order of its own."""
    places = range(step * size, (step + 1) * size)
    orders = {
        epoch: torch.randperm(samples, generator=torch.Generator().manual_seed(SEED + epoch))
        for epoch in {place // samples for place in places}
    }
    return torch.stack([orders[place // samples][place % samples] for place in places])


def share(ids: torch.Tensor, rank: int, ranks: int) -> torch.Tensor:
    """What one rank takes of a batch."""
    if len(ids) % ranks:
        raise SystemExit(f"a batch of {len(ids)} can't be shared evenly by {ranks} ranks")
    return ids[rank::ranks]


def save(step: int, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Whole or not at all; the two newest are kept."""
    place = gw.checkpoint_dir()
    path = place / f"step-{step:06}.pt"
    state = {"step": step, "model": model.state_dict(), "optimizer": optimizer.state_dict()}
    torch.save(state, f"{path}.tmp")
    os.replace(f"{path}.tmp", path)
    for old in sorted(place.glob("step-*.pt"))[:-2]:
        old.unlink()


def main(epochs: int, size: int, every: int) -> None:
    dist.init_process_group("gloo" if not torch.cuda.is_available() else "nccl")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    rank, ranks = dist.get_rank(), dist.get_world_size()
    digits = load_digits()
    images = torch.tensor(digits.data / 16, dtype=torch.float32, device=device)
    labels = torch.tensor(digits.target, device=device)

    torch.manual_seed(SEED)
    layers = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Dropout(0.2), nn.Linear(64, 10))
    layers.to(device)
    optimizer = torch.optim.SGD(layers.parameters(), 0.05, momentum=0.9)
    first = 0
    if path := gw.resume_from():
        state = torch.load(path, map_location=device)
        layers.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        first = state["step"]
    model = nn.parallel.DistributedDataParallel(layers)

    for step in range(first, epochs * len(labels) // size):
        torch.manual_seed(SEED + step * ranks + rank)  # of the dropout
        ids = share(batch(step, size, len(labels)), rank, ranks)
        loss = nn.functional.cross_entropy(model(images[ids]), labels[ids])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        mean = loss.detach()
        dist.all_reduce(mean)
        if rank == 0:
            gw.log(step, loss=mean / ranks)
            if (step + 1) % every == 0:
                save(step + 1, layers, optimizer)
    if rank == 0:
        save(epochs * len(labels) // size, layers, optimizer)
    dist.destroy_process_group()


if __name__ == "__main__":
    options = argparse.ArgumentParser()
    options.add_argument("--epochs", type=int, default=4)
    options.add_argument("--batch", type=int, default=12)
    options.add_argument("--save-every", type=int, default=20)
    args = options.parse_args()
    main(args.epochs, args.batch, args.save_every)
