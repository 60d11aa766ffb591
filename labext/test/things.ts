/** Whole objects of the wire; a test names only what it is about. */

import type {
  Card,
  Cluster,
  Fleet,
  Gpu,
  ITick,
  Job,
  JobSpec,
  Lease,
  RankView,
  Request,
  SliceView,
  Status,
  Sweep,
  SweepRun,
  WorkerView
} from '../src/api/types';

const GIB = 2 ** 30;

export function status(about: Partial<Status> = {}): Status {
  return {
    api_version: '1',
    version: '0.1.0',
    user: 'ada',
    groups: [],
    admin: false,
    simulated: true,
    quotas: [
      {
        name: 'ada',
        scope: 'user',
        held: 0,
        limit: 2,
        deserved: null,
        weight: 1,
        average: 0,
        share: 0
      }
    ],
    lease_ttl: 90,
    units_total: 2,
    units_free: 2,
    ...about
  };
}

export function segment(about: Partial<SliceView> = {}): SliceView {
  return {
    profile: 'fraction-0.25',
    label: '1/4 GPU',
    units: 0.25,
    memory_bytes: 20 * GIB,
    slice_id: null,
    lease_id: null,
    mine: false,
    holder: null,
    ends_at: null,
    offer: '0.25',
    ...about
  };
}

export function gpu(index: number, about: Partial<Gpu> = {}): Gpu {
  return {
    uuid: `GPU-${index}`,
    index,
    node: 'node1',
    name: `gpu${index}`,
    model: 'H100',
    memory_bytes: 80 * GIB,
    memory_gb: 80,
    mig: false,
    simulated: true,
    health: 'ok',
    pool: 'default',
    numa: null,
    island: null,
    segments: [segment(), segment(), segment(), segment()],
    ...about
  };
}

export function fleet(about: Partial<Fleet> = {}): Fleet {
  return {
    gpus: [gpu(0), gpu(1)],
    pools: [
      {
        name: 'default',
        engine: 'local',
        profiles: [],
        default_seconds: 7200,
        max_seconds: 86_400,
        idle_seconds: 1800
      }
    ],
    simulated: true,
    units_total: 2,
    units_free: 2,
    trouble: null,
    ...about
  };
}

export function card(about: Partial<Card> = {}): Card {
  return {
    profile: 'fraction-0.25',
    pool: 'default',
    label: '1/4 GPU',
    kind: 'fraction',
    memory_gb: 20,
    units: 0.25,
    tier: 'simulated',
    when: 'now',
    expected_at: null,
    expected_by: null,
    reason: '',
    ...about
  };
}

export function request(about: Partial<Request> = {}): Request {
  return {
    id: 1,
    state: 'queued',
    user: 'ada',
    mine: true,
    what: '20GB',
    profile: 'fraction-0.25',
    pool: 'default',
    count: 1,
    seconds: 7200,
    same_node: false,
    priority: 0,
    purpose: 'kernel',
    name: '',
    units: 0.25,
    created_at: 1000,
    position: 1,
    reason: {
      code: 'waits_for_slices',
      sentence: 'Waits for lease 81.',
      waits_for: [81],
      held: null,
      limit: null,
      reservation: null
    },
    expected_at: null,
    expected_by: null,
    ...about
  };
}

export function lease(about: Partial<Lease> = {}): Lease {
  const id = about.id ?? 1;
  return {
    id,
    state: 'active',
    user: 'ada',
    mine: true,
    pool: 'default',
    profile: 'fraction-0.25',
    slices: [
      {
        id: `${id}.0`,
        gpu: 'GPU-0',
        kind: 'fraction',
        profile: 'fraction-0.25',
        memory_bytes: 20 * GIB,
        units: 0.25,
        visible_device: '',
        tier: 'simulated'
      }
    ],
    units: 0.25,
    purpose: 'kernel',
    name: '',
    granted_at: 1000,
    ends_at: 8200,
    holder: null,
    ended_at: null,
    end_reason: null,
    cleared: false,
    reservation: null,
    ...about
  };
}

export function worker(about: Partial<WorkerView> = {}): WorkerView {
  const slice_id = about.slice_id ?? '1.0';
  return {
    name: slice_id,
    slice_id,
    pid: 100,
    state: 'running',
    slice_bytes: 20 * GIB,
    host_bytes: GIB,
    host_limit_bytes: 4 * GIB,
    spilled_bytes: 0,
    busy: 0,
    tasks: 0,
    results: 0,
    ...about
  };
}

/** Two workers on two leases, running, with nothing to do. */
export function cluster(about: Partial<Cluster> = {}): Cluster {
  return {
    id: 'cluster-1',
    name: 'flights',
    state: 'running',
    user: 'ada',
    leases: [1, 2],
    per_worker: 'fraction-0.25',
    pool: 'default',
    workers_wanted: 2,
    workers: [worker(), worker({ slice_id: '2.0' })],
    created_at: 1000,
    message: '',
    adapt: null,
    tasks: 0,
    idle_seconds: 1800,
    idle_at: null,
    scheduler_address: 'tls://127.0.0.1:1',
    dashboard_path: '/gpu-workbench/clusters/cluster-1/dashboard/status',
    security: null,
    size_hint: null,
    size_profile: null,
    ended_at: null,
    notice: '',
    notice_at: null,
    ...about
  };
}

/** A tick of the fleet with activity and memory of each slice. */
export function tick(time: number, slices: Record<string, [number | null, number | null]>): ITick {
  const ids = Object.keys(slices);
  const column = (place: 0 | 1): Float64Array =>
    Float64Array.from(ids, id => slices[id]?.[place] ?? NaN);
  return {
    time,
    gpu: null,
    gpus: { ids: [], rows: new Map(), columns: {}, labels: {} },
    slices: {
      ids,
      rows: new Map(ids.map((id, row) => [id, row])),
      columns: { activity: column(0), memory_bytes: column(1) },
      labels: {}
    }
  };
}

export function rank(number: number, about: Partial<RankView> = {}): RankView {
  return {
    rank: number,
    slice_id: `1.${number}`,
    pid: 100 + number,
    state: 'running',
    exit_code: null,
    step: 10,
    beat_at: 1000,
    stands: null,
    step_seconds: null,
    slower: null,
    ...about
  };
}

export function job(about: Partial<Job> = {}): Job {
  return {
    id: 'job-1',
    name: 'train.py',
    state: 'running',
    user: 'ada',
    lease_id: 1,
    request_id: 1,
    ranks: [rank(0), rank(1)],
    per_rank: 'fraction-0.25',
    created_at: 900,
    message: 'running on 2 ranks',
    command: ['python', 'train.py'],
    started_at: 1000,
    ended_at: null,
    metrics: { loss: 0.5 },
    step: 10,
    step_seconds: null,
    has_result: false,
    cause: null,
    resumed_from: null,
    sweep: null,
    hours_held: null,
    hours_used: null,
    size_hint: null,
    pool: 'default',
    ...about
  };
}

export function spec(about: Partial<JobSpec> = {}): JobSpec {
  return {
    version: 1,
    ranks: 2,
    per_rank: '0.25',
    script: '/home/ada/work/train.py',
    args: [],
    function_b64: null,
    function_name: null,
    name: null,
    seconds: 7200,
    pool: null,
    cwd: '/home/ada/work',
    env: {},
    python: null,
    launcher: 'torch',
    launcher_args: [],
    max_restarts: 0,
    hang_seconds: null,
    if_lost: 'fail',
    checkpoint_dir: null,
    resume_from: null,
    resume_args: [],
    sweep: null,
    warm: true,
    ...about
  };
}

export function sweepRun(number: number, about: Partial<SweepRun> = {}): SweepRun {
  return {
    number,
    params: {},
    state: 'running',
    job_id: `job-${number}`,
    value: null,
    step: null,
    seconds: null,
    message: '',
    ...about
  };
}

export function sweep(about: Partial<Sweep> = {}): Sweep {
  return {
    id: 'sweep-1',
    name: 'train.py',
    user: 'ada',
    state: 'running',
    at_most: 4,
    metric: null,
    goal: 'min',
    created_at: 900,
    ended_at: null,
    runs: [sweepRun(0)],
    best: null,
    ...about
  };
}
