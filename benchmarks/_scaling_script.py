"""One rank of `benchmarks.scaling`: `_scaling_script.py ring|server PLAN.json`, started by a job.

Enters the network namespace that was made for it, so that its link is its own, and exchanges
gradients over it: by gloo's ring allreduce, or with the weights kept by rank 0, which is pushed
every rank's gradient and from which every rank pulls the new weights. Rank 0 writes what it saw.
"""

import ctypes
import json
import os
import sys
import time
from pathlib import Path
from statistics import median

CLONE_NEWNET = 0x40000000

how, plan = sys.argv[1], json.loads(Path(sys.argv[2]).read_text())
rank, ranks = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
with open(f"/run/netns/{plan['spaces'][rank]}") as space:
    if ctypes.CDLL(None, use_errno=True).setns(space.fileno(), CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")
os.environ["GLOO_SOCKET_IFNAME"] = plan["link"]

import torch  # noqa: E402
import torch.distributed as dist  # noqa: E402

dist.init_process_group("gloo", init_method=f"file://{plan['meet']}", rank=rank, world_size=ranks)
gradient = torch.full((plan["bytes"] // 4,), float(rank + 1))
weights = torch.zeros_like(gradient)
rate = 0.01


def by_ring() -> None:
    dist.all_reduce(gradient)
    weights.sub_(gradient, alpha=rate / ranks)


pushed = [torch.empty_like(gradient) for _ in range(ranks - 1)] if rank == 0 else []


def by_server() -> None:
    if rank:
        dist.send(gradient, 0)
        dist.recv(weights, 0)
        return
    for one in [dist.irecv(each, n + 1) for n, each in enumerate(pushed)]:
        one.wait()
    for each in (gradient, *pushed):
        weights.sub_(each, alpha=rate / ranks)
    for one in [dist.isend(weights, n + 1) for n in range(ranks - 1)]:
        one.wait()


def counted() -> list[int]:
    """Bytes that this rank's link has sent and received so far, as the kernel counts them."""
    # /sys shows the namespace that it was mounted in; /proc/self/net is the process's own.
    for line in Path("/proc/self/net/dev").read_text().splitlines():
        name, _, figures = line.strip().partition(":")
        if name == plan["link"]:
            fields = figures.split()
            return [int(fields[8]), int(fields[0])]
    raise OSError(f"there is no {plan['link']}")


exchange = {"ring": by_ring, "server": by_server}[how]
for _ in range(2):
    gradient.fill_(float(rank + 1))
    exchange()
dist.barrier()
weights.zero_()
before, took = counted(), []
for _ in range(plan["steps"]):
    gradient.fill_(float(rank + 1))
    began = time.perf_counter()
    time.sleep(plan["compute"])  # the GPU's part: no CPU of this machine is used by it
    if ranks > 1:
        exchange()
    took.append(time.perf_counter() - began)
dist.barrier()  # what is still on its way is not counted yet
after = counted()
told = {
    "step": median(took),
    "wire": [(b - a) / plan["steps"] for a, b in zip(before, after, strict=True)],
    "weight": weights[0].item(),
}
every = [None] * ranks
dist.all_gather_object(every, told)
if rank == 0:
    Path(plan["told"]).write_text(json.dumps(every))
dist.destroy_process_group()
