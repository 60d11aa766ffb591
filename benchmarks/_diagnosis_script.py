"""What dies: an unchanged script for torchrun; run as `_diagnosis_script.py DIR HOW`.

Two ranks train over gloo; at step 20 rank 1 leaves the time in DIR/died and ends HOW it was told.
"""

import os
import signal
import sys
import time
from pathlib import Path

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

place, how = Path(sys.argv[1]), sys.argv[2]
dist.init_process_group("gloo")
model = DistributedDataParallel(torch.nn.Linear(64, 64))
optimizer = torch.optim.SGD(model.parameters(), 0.01)
for step in range(100_000):
    if step == 20 and dist.get_rank() == 1:
        (place / "died").write_text(repr(time.time()))
        if how == "exception":
            raise ValueError("bad shape")
        if how == "exit":
            os._exit(3)
        os.kill(os.getpid(), signal.SIGKILL if how == "killed" else signal.SIGSTOP)
    optimizer.zero_grad()
    model(torch.randn(8, 64)).pow(2).mean().backward()
    optimizer.step()
    time.sleep(0.05)
