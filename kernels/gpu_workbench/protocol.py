"""The wire: every type that crosses HTTP, the WebSocket or a holder's directory.

The only module that the server and the kernel package share, so it knows neither of them: no I/O,
nothing but `msgspec` structs. The OpenAPI document is generated from these types and the TypeScript
types from that document; a change here is a change of the API.

Conventions: times are seconds since the epoch (UTC), durations are seconds, memory is bytes, shares
and activities are 0..1, GPU units are floats (1.0 = one whole GPU). A value that is unknown is
``null``, never 0. Fields may be added; a reader ignores what it does not know.
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct, field

API_VERSION = "1"
BASE_PATH = "/gpu-workbench/api/v1"

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

SliceKind = Literal["whole", "mig", "fraction"]
RequestState = Literal["queued", "granted", "denied", "cancelled", "expired"]
LeaseState = Literal["active", "asleep", "ended"]
EndReason = Literal["released", "expired", "reclaimed", "preempted", "lost"]
HolderKind = Literal["kernel", "cluster", "job", "cell"]
IsolationTier = Literal["mig", "cgroup-vram", "mps", "framework-cap", "watchdog", "simulated"]
GpuHealth = Literal["ok", "drained", "lost"]
ClusterState = Literal["waiting", "starting", "running", "stopping", "ended", "failed"]
JobState = Literal[
    "waiting", "starting", "running", "stopping", "succeeded", "failed", "stopped", "lost"
]
CardWhen = Literal["now", "queued", "over_limit", "never"]


class _Wire(Struct, frozen=True, kw_only=True, omit_defaults=False):
    """Base of all wire types: immutable, keyword-only."""


# --- errors -----------------------------------------------------------------------------------


class Problem(_Wire, frozen=True, kw_only=True):
    """Body of every answer that is not a success."""

    code: str
    message: str
    hint: str


# --- fleet ------------------------------------------------------------------------------------


class Slice(_Wire, frozen=True, kw_only=True):
    """A part of a GPU that a lease holds."""

    id: str
    gpu: str
    """UUID of the GPU it is cut from."""
    kind: SliceKind
    profile: str
    memory_bytes: int
    units: float
    visible_device: str
    """What `CUDA_VISIBLE_DEVICES` must say: a GPU or MIG UUID, empty for a simulated slice."""
    tier: IsolationTier


class SliceView(_Wire, frozen=True, kw_only=True):
    """One segment of a GPU's bar: leased or free."""

    profile: str
    label: str
    units: float
    memory_bytes: int
    slice_id: str | None = None
    """None where the segment is free."""
    lease_id: int | None = None
    mine: bool = False
    holder: str | None = None
    """Name of the holder, where the reader may see it."""
    ends_at: float | None = None
    offer: str | None = None
    """For a free segment: the profile to ask for when it is clicked."""


class Gpu(_Wire, frozen=True, kw_only=True):
    """A physical (or simulated) device and how it is cut at the moment."""

    uuid: str
    index: int
    node: str
    name: str
    """Short name for people, unique in the fleet: `gpu0`."""
    model: str
    memory_bytes: int
    memory_gb: float
    """As on the label."""
    mig: bool
    simulated: bool
    health: GpuHealth
    pool: str
    numa: int | None
    segments: list[SliceView]


class Profile(_Wire, frozen=True, kw_only=True):
    """A kind of slice that a pool offers."""

    name: str
    kind: SliceKind
    memory_gb: float
    units: float
    tier: IsolationTier
    enforced: bool
    """False where the bounds are cooperative: a process could step over them."""


class Pool(_Wire, frozen=True, kw_only=True):
    name: str
    engine: Literal["local", "slurm", "kubernetes"]
    profiles: list[Profile]
    default_seconds: int
    max_seconds: int
    idle_seconds: int


class Fleet(_Wire, frozen=True, kw_only=True):
    gpus: list[Gpu]
    pools: list[Pool]
    simulated: bool
    units_total: float
    units_free: float
    trouble: Problem | None = None
    """Why no (or not every) GPU can be seen."""


class Quota(_Wire, frozen=True, kw_only=True):
    """What binds one user or group, in GPU units; `limit` None means no limit."""

    name: str
    scope: Literal["user", "group"]
    held: float
    limit: float | None


class Status(_Wire, frozen=True, kw_only=True):
    """Who the caller is and how the broker does: the first call of every client."""

    api_version: str
    version: str
    user: str
    groups: list[str]
    admin: bool
    simulated: bool
    quotas: list[Quota]
    lease_ttl: int
    units_total: float
    units_free: float


class Card(_Wire, frozen=True, kw_only=True):
    """One choice of the request form: a profile and when it could be had."""

    profile: str
    pool: str
    label: str
    kind: SliceKind
    memory_gb: float
    units: float
    tier: IsolationTier
    when: CardWhen
    expected_at: float | None = None
    reason: str = ""


# --- requests and leases ----------------------------------------------------------------------


class Ask(_Wire, frozen=True, kw_only=True):
    """Body of `POST /requests`, and of a dry run."""

    what: str
    """A memory ("20GB"), a share ("0.25"), a profile ("1g.10gb", "mig-1g.10gb") or "gpu"."""
    count: int = 1
    seconds: int | None = None
    """None takes the pool's default."""
    pool: str | None = None
    same_node: bool = False
    priority: int = 0
    purpose: HolderKind = "kernel"
    name: str = ""
    """For people: a notebook's path, a cluster's or a job's name."""
    key: str | None = None
    """Chosen by the client: asking again with the same key returns the same request."""
    dry_run: bool = False


class Reason(_Wire, frozen=True, kw_only=True):
    """Why a request waits or was denied; `code` is from a closed list."""

    code: str
    sentence: str
    waits_for: list[int] = field(default_factory=list)
    """Leases whose end it waits for."""


class Request(_Wire, frozen=True, kw_only=True):
    """What somebody asked for. Its lease, once granted, has the same id."""

    id: int
    state: RequestState
    user: str
    mine: bool
    what: str
    profile: str
    pool: str
    count: int
    seconds: int
    same_node: bool
    priority: int
    purpose: HolderKind
    name: str
    units: float
    created_at: float
    position: int | None = None
    """1 is next; None unless queued."""
    reason: Reason | None = None
    expected_at: float | None = None


class Holder(_Wire, frozen=True, kw_only=True):
    """What a lease is for, and the process that stands for it."""

    kind: HolderKind
    id: str
    name: str
    pid: int | None = None
    started: float | None = None
    """Start time of `pid` (seconds since the epoch): a pid alone may be reused."""


class Lease(_Wire, frozen=True, kw_only=True):
    """A granted request."""

    id: int
    state: LeaseState
    user: str
    mine: bool
    pool: str
    profile: str
    slices: list[Slice]
    units: float
    purpose: HolderKind
    name: str
    granted_at: float
    ends_at: float
    holder: Holder | None = None
    """None until a kernel, cluster, job or cell has taken it."""
    ended_at: float | None = None
    end_reason: EndReason | None = None
    cleared: bool = False
    """True once no process is left on its slices; only then are they free again."""


class Extend(_Wire, frozen=True, kw_only=True):
    seconds: int


class Heartbeat(_Wire, frozen=True, kw_only=True):
    leases: list[int]


class Claim(_Wire, frozen=True, kw_only=True):
    """Body of `POST /leases/claim`: a kernel about to start takes a waiting lease, or a new one."""

    path: str
    """The notebook (session) path the kernel is for; may be empty."""
    kernel_id: str
    ask: Ask | None = None
    """What to ask for where no lease waits for this path; it is not queued."""


# --- clusters ---------------------------------------------------------------------------------


class NewCluster(_Wire, frozen=True, kw_only=True):
    workers: int
    per_worker: str
    name: str | None = None
    seconds: int | None = None
    threads_per_worker: int = 1
    host_memory_bytes: int | None = None
    """Per worker; None divides the host's memory by rule."""
    python: str | None = None
    """Interpreter to run it with; None is the server's own. Kernels pass their own."""
    cwd: str | None = None
    """Where its workers run and import from; kernels pass their own. None is a place of its own."""
    idle_seconds: int | None = None


class WorkerView(_Wire, frozen=True, kw_only=True):
    name: str
    slice_id: str
    pid: int | None
    state: Literal["starting", "running", "gone"]


class Cluster(_Wire, frozen=True, kw_only=True):
    id: str
    name: str
    state: ClusterState
    user: str
    lease_id: int | None
    request_id: int | None
    per_worker: str
    workers_wanted: int
    workers: list[WorkerView]
    created_at: float
    message: str
    """For people: what it does or waits for now, or why it failed."""
    scheduler_address: str | None = None
    dashboard_path: str | None = None
    security: dict[str, str] | None = None
    """Paths of the TLS files (ca, cert, key) of this cluster; readable by its owner only."""
    ended_at: float | None = None


class Scale(_Wire, frozen=True, kw_only=True):
    workers: int


# The files of a cluster's directory, between its service and its holder.


class ClusterSpec(_Wire, frozen=True, kw_only=True):
    """`spec.json`: what a cluster is, for life."""

    id: str
    name: str
    lease: Lease
    threads_per_worker: int
    host_memory_bytes: int | None
    """Per worker; None takes `host_share` of what this machine has."""
    host_share: float
    idle_seconds: int | None
    """It ends when no task ran for so long; None is never."""


class ClusterTarget(_Wire, frozen=True, kw_only=True):
    """`target.json`: what is wanted of a cluster now."""

    workers: int
    stop: bool = False
    ends_at: float | None = None
    """When its lease ends, as far as known: a cluster whose server is gone ends itself then."""


class ClusterStatus(_Wire, frozen=True, kw_only=True):
    """`status.json`: what a cluster is now, as it says itself."""

    state: Literal["starting", "running", "stopping", "ended", "failed"]
    message: str
    workers: list[WorkerView]
    updated_at: float
    scheduler_address: str | None = None
    security: dict[str, str] | None = None


# --- jobs -------------------------------------------------------------------------------------


class NewJob(_Wire, frozen=True, kw_only=True):
    """Body of `POST /jobs`: a script or a pickled function on N ranks."""

    ranks: int
    per_rank: str
    script: str | None = None
    """Path of the script, absolute or relative to `cwd`."""
    args: list[str] = field(default_factory=list)
    function_b64: str | None = None
    """cloudpickle of `(function, args, kwargs)`, base64; either this or `script`."""
    function_name: str | None = None
    name: str | None = None
    seconds: int | None = None
    cwd: str | None = None
    env: dict[str, str] = field(default_factory=dict)
    python: str | None = None
    max_restarts: int = 0


class RankView(_Wire, frozen=True, kw_only=True):
    rank: int
    slice_id: str | None
    pid: int | None
    state: Literal["waiting", "running", "succeeded", "failed", "gone"]
    exit_code: int | None = None
    step: int | None = None
    beat_at: float | None = None


class Job(_Wire, frozen=True, kw_only=True):
    id: str
    name: str
    state: JobState
    user: str
    lease_id: int | None
    request_id: int | None
    ranks: list[RankView]
    per_rank: str
    created_at: float
    message: str
    command: list[str]
    started_at: float | None = None
    ended_at: float | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    """The newest value of each metric of rank 0."""
    step: int | None = None
    has_result: bool = False


class LogChunk(_Wire, frozen=True, kw_only=True):
    """Part of one rank's log; ask again with `next_offset`."""

    rank: int
    stream: Literal["out", "err"]
    offset: int
    next_offset: int
    text: str
    ended: bool


class MetricPoint(_Wire, frozen=True, kw_only=True):
    rank: int
    step: int
    time: float
    values: dict[str, float]


class MetricChunk(_Wire, frozen=True, kw_only=True):
    points: list[MetricPoint]
    next_offset: int
    ended: bool


class JobResult(_Wire, frozen=True, kw_only=True):
    """What the function returned on rank 0 (cloudpickle, base64), or why there is nothing."""

    value_b64: str | None
    error: str | None
    traceback: str | None


# --- telemetry --------------------------------------------------------------------------------


class GpuSample(_Wire, frozen=True, kw_only=True):
    uuid: str
    activity: float | None
    memory_bytes: int | None
    power_watts: float | None
    temperature_c: float | None


class SliceSample(_Wire, frozen=True, kw_only=True):
    slice_id: str
    lease_id: int
    activity: float | None
    memory_bytes: int | None


class ProcessSample(_Wire, frozen=True, kw_only=True):
    """A process on a slice, under the name people know it by."""

    slice_id: str | None
    lease_id: int | None
    name: str
    pid: int | None
    """None unless it is the reader's own."""
    activity: float | None
    memory_bytes: int | None


class Sample(_Wire, frozen=True, kw_only=True):
    """One tick of the sampler, the same bytes for every watcher."""

    time: float
    simulated: bool
    gpus: list[GpuSample]
    slices: list[SliceSample]


class History(_Wire, frozen=True, kw_only=True):
    """Columns of one GPU's or slice's recent past; equal lengths."""

    subject: str
    times: list[float]
    activity: list[float | None]
    memory_bytes: list[int | None]


# --- usage ------------------------------------------------------------------------------------


class UsageRow(_Wire, frozen=True, kw_only=True):
    """One line of the ledger: what one lease held and used."""

    lease_id: int
    user: str
    pool: str
    profile: str
    purpose: HolderKind
    name: str
    granted_at: float
    until: float
    held_gpu_seconds: float
    used_gpu_seconds: float | None
    end_reason: EndReason | None


class Usage(_Wire, frozen=True, kw_only=True):
    rows: list[UsageRow]
    held_gpu_seconds: float
    used_gpu_seconds: float | None


# --- the WebSocket ----------------------------------------------------------------------------


class Event(_Wire, frozen=True, kw_only=True):
    """A message of the WebSocket `/live`.

    `type` names what `data` is: `hello` (Status), `fleet` (Fleet), `request` (Request), `lease`
    (Lease), `cluster` (Cluster), `job` (Job), `sample` (Sample), `notice` (Notice). An object
    replaces what the client knew under its id.
    """

    type: Literal["hello", "fleet", "request", "lease", "cluster", "job", "sample", "notice"]
    data: Any


class Notice(_Wire, frozen=True, kw_only=True):
    """Something people should know: what, when, why, and what they can do."""

    lease_id: int | None
    code: str
    message: str
    hint: str


# --- lists ------------------------------------------------------------------------------------
# An object at the top of every answer, so that a field can be added to a list later.


class Requests(_Wire, frozen=True, kw_only=True):
    requests: list[Request]


class Leases(_Wire, frozen=True, kw_only=True):
    leases: list[Lease]


class Cards(_Wire, frozen=True, kw_only=True):
    cards: list[Card]


class Clusters(_Wire, frozen=True, kw_only=True):
    clusters: list[Cluster]


class Jobs(_Wire, frozen=True, kw_only=True):
    jobs: list[Job]


class Processes(_Wire, frozen=True, kw_only=True):
    processes: list[ProcessSample]


class ConnectionFile(_Wire, frozen=True, kw_only=True):
    """How a kernel finds its server: written 0600 by the server, named by `CONNECTION_ENV`."""

    url: str
    """Of the server, with its base URL, without `BASE_PATH`."""
    token: str
    pid: int
