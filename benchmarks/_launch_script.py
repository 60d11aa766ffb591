"""What is launched: an unchanged script for torchrun, seeded; run as `_launch_script.py DIR STEPS`.

Rank 0 leaves in DIR: `first`, the time of the end of its first step; `told.json`, steps per second
of a loop that mostly communicates, and a hash of every weight that came out of it.
"""

import hashlib
import json
import os
import sys
import time
from pathlib import Path

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

place, steps = Path(sys.argv[1]), int(sys.argv[2])
dist.init_process_group("gloo")
rank = dist.get_rank()
torch.manual_seed(7)
model = DistributedDataParallel(
    torch.nn.Sequential(torch.nn.Linear(512, 512), torch.nn.ReLU(), torch.nn.Linear(512, 512))
)
optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9)
torch.manual_seed(rank)
data = torch.randn(8, 512)


def step() -> None:
    optimizer.zero_grad()
    model(data).pow(2).mean().backward()
    optimizer.step()


step()
if rank == 0:
    (place / "first").write_text(repr(time.time()))
dist.barrier()
began = time.perf_counter()
for _ in range(steps):
    step()
dist.barrier()
took = time.perf_counter() - began
if rank == 0:
    weights = hashlib.sha256()
    for value in model.state_dict().values():
        weights.update(value.numpy().tobytes())
    told = {"rate": steps / took if steps else None, "weights": weights.hexdigest()}
    (place / ".told").write_text(json.dumps(told))
    os.replace(place / ".told", place / "told.json")
dist.destroy_process_group()
