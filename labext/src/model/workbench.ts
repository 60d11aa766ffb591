/**
 * The state, kept fresh, and what people can do to it. No DOM and no words for people.
 *
 * Reads come from REST once and after each reconnection; in between the WebSocket's events replace
 * single objects. Where no WebSocket can be had, it polls while the page can be seen. Actions reject
 * with `ApiError`.
 */

import type { IDisposable } from '@lumino/disposable';
import { Signal } from '@lumino/signaling';

import type { ApiError } from '../api/errors';
import { asApiError } from '../api/errors';
import type { LinkState, LiveClient } from '../api/live';
import type { WorkbenchApi } from '../api/rest';
import type {
  AskBody,
  Cluster,
  ClusterBody,
  Job,
  JobBody,
  Lease,
  LiveEvent,
  Request,
  ResumeBody,
  Sweep,
  SweepBody
} from '../api/types';
import { WorkbenchState } from './state';

/** `loading` until the first answer, `ready` after it, `failed` when there never was one. */
export type Phase = 'loading' | 'ready' | 'failed';

const HISTORY_SECONDS = 120;
/** Slices whose past is read at first; with more than these nobody looks at each. */
const MAX_BACKFILL = 24;
/** Leases that ended while nobody told us; with more than these one is told of the first. */
const MAX_ENDS = 24;
/** Milliseconds in which several leases of one burst cause one read of the quotas. */
const SETTLE = 200;

export interface IWorkbenchOptions {
  api: WorkbenchApi;
  live: LiveClient;
  /** Milliseconds between reads while there is no WebSocket. */
  pollEvery?: number;
}

export class Workbench extends WorkbenchState implements IDisposable {
  constructor(options: IWorkbenchOptions) {
    super();
    this.api = options.api;
    this._live = options.live;
    this.pollEvery = options.pollEvery ?? 10_000;
    this._live.event.connect((_, event) => this.apply(event));
    this._live.stateChanged.connect((_, state) => this.onLink(state));
  }

  readonly api: WorkbenchApi;
  pollEvery: number;

  get phase(): Phase {
    return this._phase;
  }

  get link(): LinkState {
    return this._live.state;
  }

  /** Why the last read failed; `null` when it did not. */
  get problem(): ApiError | null {
    return this._problem;
  }

  get isDisposed(): boolean {
    return this._disposed;
  }

  /** Read everything and stay connected. */
  async start(): Promise<void> {
    this.clock.start();
    await this.refresh();
    this._live.connect();
  }

  override apply(event: LiveEvent): void {
    if (event.type !== 'tick' && event.type !== 'notice') {
      this._meanwhile?.push(event);
    }
    super.apply(event);
    if (event.type === 'hello' && this._unread) {
      this._unread = false;
      void this.refresh();
    }
  }

  /** Read everything again; what is known stays when that fails, and `problem` says why. */
  async refresh(): Promise<void> {
    const turn = ++this._turn;
    this._meanwhile = [];
    try {
      const [status, fleet, requests, leases, clusters, jobs, sweeps] = await Promise.all([
        this.api.status(),
        this.api.fleet(),
        this.api.requests(),
        this.api.leases(),
        this.api.clusters(),
        this.api.jobs(),
        this.api.sweeps()
      ]);
      if (turn !== this._turn || this._disposed) {
        return;
      }
      // Events that came during the read are newer than parts of it: they are applied again.
      const newer = this._meanwhile;
      this._meanwhile = null;
      const first = this._phase !== 'ready';
      this._phase = 'ready';
      this._problem = null;
      const before = this.leases.items;
      this.takeAll({ status, fleet, requests, leases, clusters, jobs, sweeps });
      newer.forEach(event => super.apply(event));
      void (first ? this.learnPast() : this.learnEnds(before));
      void this.backfill(this.leases.items);
    } catch (reason) {
      if (turn !== this._turn || this._disposed) {
        return;
      }
      this._meanwhile = null;
      this._problem = asApiError(reason);
      this._phase = this._phase === 'ready' ? 'ready' : 'failed';
    }
    this.touch();
    this.plan();
  }

  /** Ask for a slice. A request granted at once is already a lease when this resolves. */
  async ask(body: AskBody): Promise<Request> {
    const request = await this.api.ask(body);
    if (request.state === 'granted') {
      (await this.api.leases()).forEach(lease => this.takeLease(lease));
    } else {
      this.takeRequest(request);
    }
    return request;
  }

  /** Have every metric of one GPU (by UUID) told, beside the fleet's few. */
  lookAt(gpu: string | null): void {
    this._live.lookAt(gpu);
  }

  /** Be told of these leases even while nobody can see the page; of no others then. */
  awaitLeases(leases: readonly number[]): void {
    this._live.awaitLeases(leases);
  }

  async cancel(id: number): Promise<void> {
    this.takeRequest(await this.api.cancel(id));
  }

  async extend(id: number, seconds: number): Promise<void> {
    this.takeLease(await this.api.extend(id, seconds));
  }

  async release(id: number): Promise<void> {
    this.takeLease(await this.api.release(id));
  }

  async startCluster(body: ClusterBody): Promise<Cluster> {
    const cluster = await this.api.startCluster(body);
    this.clusters.put(cluster);
    return cluster;
  }

  async scaleCluster(id: string, workers: number): Promise<void> {
    this.clusters.put(await this.api.scaleCluster(id, workers));
  }

  async renameCluster(id: string, name: string): Promise<void> {
    this.clusters.put(await this.api.renameCluster(id, name));
  }

  async restartCluster(id: string): Promise<void> {
    this.clusters.put(await this.api.restartCluster(id));
  }

  async stopCluster(id: string): Promise<void> {
    this.clusters.put(await this.api.stopCluster(id));
  }

  async startJob(body: JobBody): Promise<Job> {
    const job = await this.api.startJob(body);
    this.jobs.put(job);
    return job;
  }

  /** Go on from a checkpoint; the new job. */
  async resumeJob(id: string, body: ResumeBody): Promise<Job> {
    const job = await this.api.resumeJob(id, body);
    this.jobs.put(job);
    return job;
  }

  async stopJob(id: string): Promise<void> {
    this.jobs.put(await this.api.stopJob(id));
  }

  async startSweep(body: SweepBody): Promise<Sweep> {
    const sweep = await this.api.startSweep(body);
    this.sweeps.put(sweep);
    return sweep;
  }

  async stopSweep(id: string): Promise<void> {
    this.sweeps.put(await this.api.stopSweep(id));
  }

  dispose(): void {
    if (this._disposed) {
      return;
    }
    this._disposed = true;
    clearTimeout(this._poll);
    clearTimeout(this._statusSoon);
    this.clock.stop();
    this._live.dispose();
    Signal.clearData(this);
  }

  /** Quotas are part of the status and change with every lease. */
  protected override takeLease(lease: Lease): void {
    super.takeLease(lease);
    clearTimeout(this._statusSoon);
    this._statusSoon = setTimeout(() => void this.readStatus(), SETTLE);
  }

  private async readStatus(): Promise<void> {
    try {
      this.takeStatus(await this.api.status());
    } catch {
      // The next refresh says what is wrong.
    }
  }

  /** What the slices did before this page was open; without it the charts start empty. */
  private async backfill(leases: readonly Lease[]): Promise<void> {
    const slices = leases.flatMap(lease => lease.slices.map(slice => slice.id));
    const unknown = slices.filter(id => this.telemetry.columns(id).times.length === 0);
    for (const id of unknown.slice(0, MAX_BACKFILL)) {
      try {
        this.telemetry.backfill(id, await this.api.history(id, HISTORY_SECONDS));
      } catch {
        return; // Only a nicety.
      }
    }
  }

  /** Which of my leases ended before this page was open. */
  private async learnPast(): Promise<void> {
    try {
      const past = await this.api.pastLeases();
      // Of one that ended just now the event is still to come, and is told.
      past.filter(one => one.mine && !this.leases.get(one.id)).forEach(one => this.takePast(one));
    } catch {
      // Only a nicety.
    }
  }

  /** How those ended that ended while this page was told nothing. */
  private async learnEnds(before: readonly Lease[]): Promise<void> {
    const gone = before.filter(one => !this.leases.get(one.id));
    for (const { id } of gone.slice(0, MAX_ENDS)) {
      try {
        this.takeLease(await this.api.lease(id));
      } catch {
        return; // Who was gone for so long reads it in the usage.
      }
    }
  }

  private onLink(state: LinkState): void {
    // Read with the first word, not before: from there on the server tells whatever changes.
    this._unread = state === 'open';
    this.touch();
    this.plan();
  }

  private plan(): void {
    clearTimeout(this._poll);
    if (this._live.state !== 'open' && !this._disposed) {
      const poll = (): void => (this._live.hidden ? this.plan() : void this.refresh());
      this._poll = setTimeout(poll, this.pollEvery);
    }
  }

  private _disposed = false;
  private _live: LiveClient;
  /** Events since the read that is under way began. */
  private _meanwhile: LiveEvent[] | null = null;
  private _phase: Phase = 'loading';
  private _poll: ReturnType<typeof setTimeout> | undefined;
  private _problem: ApiError | null = null;
  private _statusSoon: ReturnType<typeof setTimeout> | undefined;
  private _turn = 0;
  /** Connected, and nothing was read since. */
  private _unread = false;
}
