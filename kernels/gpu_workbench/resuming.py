"""What a rank asks of its job to be able to go on: where to save, and what to go on from.

Standard library only, and nothing of it needs a server: a script that calls these runs unchanged
outside of a job.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from .protocol import CHECKPOINTS_ENV, RESUME_ENV, RUN_ENV


def checkpoint_dir() -> Path:
    """The directory for this job's checkpoints, made where it is not there yet.

    Outside of a job `checkpoints` in the working directory. Save whole or not at all, or a run
    that is killed in the middle of it leaves half a file:

        path = gw.checkpoint_dir() / f"step-{step}.pt"
        torch.save(state, f"{path}.tmp"); os.replace(f"{path}.tmp", path)   # on rank 0
    """
    path = Path(os.environ.get(CHECKPOINTS_ENV) or "checkpoints")
    path.mkdir(parents=True, exist_ok=True)
    return path


def ends_in() -> float | None:
    """Seconds until this run's slices are taken back; None while that is not soon, or not known.

    Known a minute ahead, when a rank with a handler for SIGUSR1 gets that signal as well; at the
    end itself ranks get SIGTERM, and ten seconds. Ranks may hear of it a step apart, so let one
    decide where all must save together.

        if gw.ends_in() is not None: save(step)
    """
    directory = os.environ.get(RUN_ENV)
    if not directory:
        return None
    try:
        told = json.loads((Path(directory).parents[1] / "notice.json").read_bytes())
        return max(0.0, float(told["ends_at"]) - time.time())
    except (OSError, ValueError, KeyError, TypeError):
        return None


def resume_from() -> str | None:
    """The path of the checkpoint that this run goes on from, the same on all ranks, or None.

    Set in a job that was resumed, and after a restart of the ranks in a job that had saved before.

        if path := gw.resume_from(): model.load_state_dict(torch.load(path)["model"])
        trainer.fit(model, ckpt_path=gw.resume_from())                      # Lightning
        trainer.train(resume_from_checkpoint=gw.resume_from())              # Transformers
        if path := gw.resume_from(): accelerator.load_state(path)           # Accelerate
    """
    return os.environ.get(RESUME_ENV) or None
