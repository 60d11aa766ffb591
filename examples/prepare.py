"""An MPI program: flights to scaled features, each rank a part of the year, on disk for training.

    job = gw.launch("mpirun python prepare.py", ranks=4)      # or: mpirun -np 4 python prepare.py

Every rank takes its months, all agree on means and deviations by reductions, and each writes its
own shard.
"""

from __future__ import annotations

from pathlib import Path

import flights
import numpy as np
from mpi4py import MPI

import gpu_workbench as gw

NUMBERS = ["hour", "distance", *flights.WEATHER]

world = MPI.COMM_WORLD
months = range(1 + world.rank, 13, world.size)

table = flights.load()
mine = table[table["month"].isin(months)].dropna(subset=["arr_delay", *NUMBERS])
x = mine[NUMBERS].to_numpy(np.float64)
late = (mine["arr_delay"] > flights.LATE_MINUTES).to_numpy(np.float32)
gw.log(1, flights=len(mine), late=late.mean())

count = world.allreduce(len(x))
mean = world.allreduce(x.sum(0)) / count
deviation = np.sqrt(world.allreduce(((x - mean) ** 2).sum(0)) / count)
x = ((x - mean) / deviation).astype(np.float32)

place = Path("shards")
place.mkdir(exist_ok=True)
np.savez(place / f"{world.rank}-of-{world.size}.npz", x=x, late=late)
print(f"rank {world.rank}: months {list(months)}, {len(x):,} of {count:,} flights")
gw.log(2, flights=len(mine), late=late.mean())
