"""What all wire types share: the API's address, the names of environment variables, the base."""

from __future__ import annotations

from msgspec import Struct

API_VERSION = "1"
BASE_PATH = "/gpu-workbench/api/v1"
CLUSTERS_PATH = "/gpu-workbench/clusters"  # what clusters themselves serve: their dashboards
JOBS_PATH = "/gpu-workbench/jobs"  # and jobs: TensorBoard

# What a holder finds in its environment. `LEASE_ENV` is also how orphans are found again:
# a process started for a lease carries the lease's id for life.
LEASE_ENV = "GPU_WORKBENCH_LEASE"  # the id of the lease that the process runs for
SLICES_ENV = "GPU_WORKBENCH_SLICES"  # slice ids, comma-separated, in rank / worker order
BROKER_ENV = "GPU_WORKBENCH_BROKER"  # whose lease it is: ids of two brokers of one user may meet
KEY_ENV = "GPU_WORKBENCH_KEY"  # the cluster's or job's id: one engine submission
SIMULATED_ENV = "GPU_WORKBENCH_SIMULATED"  # "1" where the slices are simulated
MEMORY_ENV = "GPU_WORKBENCH_MEMORY_BYTES"  # of one slice
CONNECTION_ENV = "GPU_WORKBENCH_CONNECTION"  # file with the server's address and token
RUN_ENV = "GPU_WORKBENCH_RUN"  # directory of a job's run, for ranks
CHECKPOINTS_ENV = "GPU_WORKBENCH_CHECKPOINTS"  # directory for a job's checkpoints, for ranks
RESUME_ENV = "GPU_WORKBENCH_RESUME"  # the checkpoint to go on from, where there is one


class Wire(Struct, frozen=True, kw_only=True, omit_defaults=False):
    """Base of all wire types: immutable, keyword-only."""


class Problem(Wire, frozen=True, kw_only=True):
    """Body of every answer that is not a success."""

    code: str
    message: str
    hint: str
