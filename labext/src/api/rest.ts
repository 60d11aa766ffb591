/**
 * Every HTTP call to the server plugin, one method each. Nothing else in the extension fetches.
 *
 * Goes through JupyterLab's `ServerConnection`, which adds the token and `X-XSRFToken`. All methods
 * reject with `ApiError`. Reading is marked `no_track_activity`, so that an open panel does not keep
 * an idle server from being culled.
 */

import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';

import { asApiError, errorOfAnswer } from './errors';
import type {
  Cards,
  Checkpoints,
  Clusters,
  HardwareErrors,
  JobResult,
  Jobs,
  Leases,
  MetricChunk,
  Processes,
  Requests
} from './schema';
import type {
  AskBody,
  Board,
  Card,
  Checkpoint,
  Cluster,
  ClusterBody,
  Fleet,
  HardwareError,
  History,
  Job,
  JobBody,
  JobSpec,
  Lease,
  LogChunk,
  LogMatches,
  ProcessSample,
  Request,
  ResumeBody,
  Status,
  Sweep,
  SweepBody
} from './types';

/** Path of the API below the server's base URL. */
export const API_PATH = 'gpu-workbench/api/v1';

type Query = Record<string, string | number | undefined>;
type Method = 'GET' | 'POST' | 'DELETE';

export class WorkbenchApi {
  constructor(readonly settings: ServerConnection.ISettings = ServerConnection.makeSettings()) {}

  status = (): Promise<Status> => this.get<Status>('status');

  fleet = (): Promise<Fleet> => this.get<Fleet>('fleet');

  cards = async (count: number, seconds: number): Promise<Card[]> =>
    (await this.get<Cards>('cards', { count, seconds })).cards;

  requests = async (): Promise<Request[]> => (await this.get<Requests>('requests')).requests;

  request = (id: number): Promise<Request> => this.get<Request>(`requests/${id}`);

  ask = (body: AskBody): Promise<Request> => this.send<Request>('POST', 'requests', body);

  cancel = (id: number): Promise<Request> => this.send<Request>('DELETE', `requests/${id}`);

  leases = async (): Promise<Lease[]> => (await this.get<Leases>('leases')).leases;

  /** Mine that are over (an administrator's: everybody's), the newest; 100 at most. */
  pastLeases = async (): Promise<Lease[]> =>
    (await this.get<Leases>('leases', { ended: 1 })).leases.filter(one => one.state === 'ended');

  lease = (id: number): Promise<Lease> => this.get<Lease>(`leases/${id}`);

  extend = (id: number, seconds: number): Promise<Lease> =>
    this.send<Lease>('POST', `leases/${id}/extend`, { seconds });

  release = (id: number): Promise<Lease> => this.send<Lease>('DELETE', `leases/${id}`);

  clusters = async (): Promise<Cluster[]> => (await this.get<Clusters>('clusters')).clusters;

  startCluster = (body: ClusterBody): Promise<Cluster> =>
    this.send<Cluster>('POST', 'clusters', body);

  scaleCluster = (id: string, workers: number): Promise<Cluster> =>
    this.send<Cluster>('POST', `clusters/${encodeURIComponent(id)}/scale`, { workers });

  renameCluster = (id: string, name: string): Promise<Cluster> =>
    this.send<Cluster>('POST', `clusters/${encodeURIComponent(id)}/rename`, { name });

  restartCluster = (id: string): Promise<Cluster> =>
    this.send<Cluster>('POST', `clusters/${encodeURIComponent(id)}/restart`);

  /** Names of Dask's single pages of a cluster by their addresses; none where it has no pages now. */
  daskPages = async (cluster: Cluster): Promise<Record<string, string>> => {
    const path = cluster.dashboard_path?.replace(/\/status$/, '/individual-plots.json');
    const url = path && URLExt.join(this.settings.baseUrl, path);
    return url ? this.call<Record<string, string>>('GET', url) : {};
  };

  stopCluster = (id: string): Promise<Cluster> =>
    this.send<Cluster>('DELETE', `clusters/${encodeURIComponent(id)}`);

  jobs = async (): Promise<Job[]> => (await this.get<Jobs>('jobs')).jobs;

  job = (id: string): Promise<Job> => this.get<Job>(`jobs/${encodeURIComponent(id)}`);

  startJob = (body: JobBody): Promise<Job> => this.send<Job>('POST', 'jobs', body);

  stopJob = (id: string): Promise<Job> =>
    this.send<Job>('POST', `jobs/${encodeURIComponent(id)}/stop`);

  jobLog = (id: string, rank: number, stream: 'out' | 'err', offset: number): Promise<LogChunk> =>
    this.get<LogChunk>(`jobs/${encodeURIComponent(id)}/logs`, { rank, stream, offset });

  jobMetrics = (id: string, offset: number): Promise<MetricChunk> =>
    this.get<MetricChunk>(`jobs/${encodeURIComponent(id)}/metrics`, { offset });

  /** Lines of all ranks' logs that have this text. */
  searchLogs = (id: string, text: string): Promise<LogMatches> =>
    this.get<LogMatches>(`jobs/${encodeURIComponent(id)}/logs/search`, { text });
  jobSpec = (id: string): Promise<JobSpec> =>
    this.get<JobSpec>(`jobs/${encodeURIComponent(id)}/spec`);
  /** Newest last. */
  jobCheckpoints = async (id: string): Promise<Checkpoint[]> =>
    (await this.get<Checkpoints>(`jobs/${encodeURIComponent(id)}/checkpoints`)).checkpoints;
  resumeJob = (id: string, body: ResumeBody): Promise<Job> =>
    this.send<Job>('POST', `jobs/${encodeURIComponent(id)}/resume`, body);
  jobResult = (id: string): Promise<JobResult> =>
    this.get<JobResult>(`jobs/${encodeURIComponent(id)}/result`);

  /** Start TensorBoard on a job, or find it running; ask again until it is `ready`. */
  openBoard = (id: string): Promise<Board> =>
    this.send<Board>('POST', `jobs/${encodeURIComponent(id)}/tensorboard`);

  sweeps = async (): Promise<Sweep[]> => (await this.get<{ sweeps: Sweep[] }>('sweeps')).sweeps;

  startSweep = (body: SweepBody): Promise<Sweep> => this.send<Sweep>('POST', 'sweeps', body);

  stopSweep = (id: string): Promise<Sweep> =>
    this.send<Sweep>('POST', `sweeps/${encodeURIComponent(id)}/stop`);

  /** The recent past of a GPU (its UUID) or a slice (its id). */
  history = (subject: string, seconds: number): Promise<History> =>
    this.get<History>('telemetry/history', { subject, seconds, points: seconds });

  /**
   * The past of some subjects: GPUs by UUID, slices by id, processes by `ProcessSample.subject`,
   * `gpus` for every GPU.
   *
   * @param points at most in each series
   * @param metrics all that are known, where it is left out
   */
  past = (
    subjects: readonly string[],
    from: number,
    to: number,
    points: number,
    metrics: readonly string[] = []
  ): Promise<History> =>
    this.get<History>('telemetry/history', {
      subject: subjects.join(','),
      from,
      to,
      points,
      ...(metrics.length ? { metrics: metrics.join(',') } : {})
    });

  /** What went wrong in a GPU's hardware, newest first. */
  hardwareErrors = async (gpu: string): Promise<HardwareError[]> =>
    (await this.get<HardwareErrors>('telemetry/errors', { gpu })).errors;

  /** What runs on the GPUs, as far as the caller may see it. */
  processes = async (): Promise<ProcessSample[]> =>
    (await this.get<Processes>('telemetry/processes')).processes;

  private get<T>(path: string, query: Query = {}): Promise<T> {
    const asked = new URLSearchParams({ no_track_activity: '1' });
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined) {
        asked.set(name, String(value));
      }
    }
    return this.send<T>('GET', `${path}?${asked.toString()}`);
  }

  private send<T>(method: Method, path: string, body?: unknown): Promise<T> {
    return this.call<T>(method, URLExt.join(this.settings.baseUrl, API_PATH, path), body);
  }

  private async call<T>(method: Method, url: string, body?: unknown): Promise<T> {
    const init: RequestInit = { method };
    if (body !== undefined) {
      init.body = JSON.stringify(body);
    }
    let status: number;
    let text: string;
    try {
      const answer = await ServerConnection.makeRequest(url, init, this.settings);
      status = answer.status;
      text = await answer.text();
    } catch (reason) {
      throw asApiError(reason);
    }
    if (status < 200 || status >= 300) {
      throw errorOfAnswer(status, text);
    }
    try {
      return JSON.parse(text) as T;
    } catch {
      throw errorOfAnswer(status, text);
    }
  }
}
