"""What runs on the slices: a program as a kernel would run it, and a job's function.

Each uses the GPU where there is one and says what it saw; nothing here is imported by the ranks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

# A kernel's process: the caps that `gpu_workbench` puts on, torch, a GiB of work, then what is
# beyond its slice. It waits for a line on stdin, so that the devices can be read meanwhile.
IN_A_KERNEL = """
import json, os, sys
from gpu_workbench.attach import apply_memory_caps
apply_memory_caps()
import torch

def say(**facts):
    print(json.dumps(facts), flush=True)

cuda = torch.cuda.is_available()
device = "cuda" if cuda else "cpu"
found = {"cuda": cuda, "count": torch.cuda.device_count(), "torch": torch.__version__}
found["visible"] = os.environ.get("CUDA_VISIBLE_DEVICES")
if cuda:
    properties = torch.cuda.get_device_properties(0)
    found["name"] = properties.name
    found["uuid"] = str(getattr(properties, "uuid", ""))
    found["total"] = properties.total_memory
size = 1 << (30 if cuda else 28)
held = torch.ones(size, dtype=torch.uint8, device=device)
if cuda:
    torch.cuda.synchronize()
say(**found)
sys.stdin.readline()
beyond = None
share = os.environ.get("GPU_WORKBENCH_MEMORY_SHARE")
if cuda and share:
    more = int(found["total"] * min(0.95, float(share) * 1.2))
    try:
        torch.empty(more, dtype=torch.uint8, device=device)
        beyond = "allocated"
    except torch.cuda.OutOfMemoryError:
        beyond = "refused"
say(beyond=beyond)
"""


def job_function() -> Callable[[float], dict[str, Any]]:
    """A small training loop on the rank's one device; nested, so that it travels by value."""

    def train(seconds: float) -> dict[str, Any]:
        import os
        import time

        import torch
        import torch.distributed as ranks

        ranks.init_process_group("gloo")  # over the host: two ranks may share one GPU
        met = torch.ones(1)
        ranks.all_reduce(met)
        device = "cuda" if torch.cuda.is_available() else "cpu"
        torch.manual_seed(0)
        x = torch.randn(4096, 512, device=device)
        y = (x @ torch.randn(512, 1, device=device)).tanh()
        model = torch.nn.Sequential(
            torch.nn.Linear(512, 1024), torch.nn.ReLU(), torch.nn.Linear(1024, 1)
        ).to(device)
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
        losses: list[float] = []
        until = time.monotonic() + seconds
        while len(losses) < 5 or time.monotonic() < until:
            loss = torch.nn.functional.mse_loss(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        ranks.barrier()
        ranks.destroy_process_group()
        return {
            "device": device,
            "count": torch.cuda.device_count(),
            "visible": os.environ.get("CUDA_VISIBLE_DEVICES"),
            "steps": len(losses),
            "first": losses[0],
            "last": losses[-1],
            "met": int(met.item()),
        }

    return train
