/**
 * What the extension knows: one state for all surfaces, kept fresh by live events.
 *
 * No DOM and no words for people. Reads come from REST once and after each reconnection; in between
 * the WebSocket's events replace single objects. Where no WebSocket can be had, it polls.
 */

import type { IDisposable } from '@lumino/disposable';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import type { ApiError } from '../api/errors';
import { asApiError } from '../api/errors';
import type { LinkState, LiveClient } from '../api/live';
import type { WorkbenchApi } from '../api/rest';
import type {
  AskBody,
  Cluster,
  ClusterBody,
  Fleet,
  Job,
  JobBody,
  Lease,
  LiveEvent,
  Notice,
  Request,
  Status
} from '../api/types';
import { Clock } from './clock';
import { Keyed } from './keyed';
import { Telemetry } from './telemetry';

/** `loading` until the first answer, `ready` after it, `failed` when there never was one. */
export type Phase = 'loading' | 'ready' | 'failed';

const HISTORY_SECONDS = 120;
/** Slices whose past is read at first; with more than these nobody looks at each. */
const MAX_BACKFILL = 24;

export interface IGrant {
  readonly lease: Lease;
  /** Whether its request was seen waiting. */
  readonly waited: boolean;
}

export interface IWorkbenchOptions {
  api: WorkbenchApi;
  live: LiveClient;
  /** Milliseconds between reads while there is no WebSocket. */
  pollEvery?: number;
}

export class Workbench implements IDisposable {
  constructor(options: IWorkbenchOptions) {
    this.api = options.api;
    this._live = options.live;
    this.pollEvery = options.pollEvery ?? 10_000;
    this._live.event.connect((_, event) => this.apply(event));
    this._live.stateChanged.connect((_, state) => this.onLink(state));
  }

  readonly api: WorkbenchApi;
  readonly clock = new Clock();
  readonly telemetry = new Telemetry();
  /** Waiting requests, everybody's: mine first, then by position. */
  readonly requests = new Keyed<number, Request>(
    (a, b) => (a.position ?? a.id) - (b.position ?? b.id)
  );
  /** My leases that are not over, the one that ends first first. */
  readonly leases = new Keyed<number, Lease>((a, b) => a.ends_at - b.ends_at || a.id - b.id);
  readonly clusters = new Keyed<string, Cluster>((a, b) => b.created_at - a.created_at);
  readonly jobs = new Keyed<string, Job>((a, b) => b.created_at - a.created_at);
  pollEvery: number;

  /** Status, fleet, phase, link or problem changed. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** Whatever may change when a slice could be had: fleet, requests, leases. */
  get shifted(): ISignal<this, void> {
    return this._shifted;
  }

  get noticed(): ISignal<this, Notice> {
    return this._noticed;
  }

  /** A lease of mine is new to this page. */
  get granted(): ISignal<this, IGrant> {
    return this._granted;
  }

  get status(): Status | null {
    return this._status;
  }

  get fleet(): Fleet | null {
    return this._fleet;
  }

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

  /** Read everything again; what is known stays when that fails, and `problem` says why. */
  async refresh(): Promise<void> {
    const turn = ++this._turn;
    try {
      const [status, fleet, requests, leases, clusters, jobs] = await Promise.all([
        this.api.status(),
        this.api.fleet(),
        this.api.requests(),
        this.api.leases(),
        this.api.clusters(),
        this.api.jobs()
      ]);
      if (turn !== this._turn || this._disposed) {
        return;
      }
      this._status = status;
      this._fleet = fleet;
      this._phase = 'ready';
      this._problem = null;
      this.takeLists(requests, leases);
      this.clusters.replace(clusters);
      this.jobs.replace(jobs);
      this._shifted.emit();
    } catch (reason) {
      if (turn !== this._turn || this._disposed) {
        return;
      }
      this._problem = asApiError(reason);
      this._phase = this._phase === 'ready' ? 'ready' : 'failed';
    }
    this._changed.emit();
    this.plan();
  }

  /** Take in one live event. */
  apply(event: LiveEvent): void {
    switch (event.type) {
      case 'hello':
        this._status = event.data;
        this._changed.emit();
        break;
      case 'fleet':
        this._fleet = event.data;
        this._changed.emit();
        this._shifted.emit();
        break;
      case 'request':
        this.takeRequest(event.data);
        break;
      case 'lease':
        this.takeLease(event.data);
        break;
      case 'cluster':
        this.clusters.put(event.data);
        break;
      case 'job':
        this.jobs.put(event.data);
        break;
      case 'sample':
        this.clock.learn(event.data.time);
        this.telemetry.take(event.data);
        break;
      case 'notice':
        this._noticed.emit(event.data);
        break;
    }
  }

  /** Ask for a slice. Rejects with `ApiError`. A request granted at once is already a lease. */
  async ask(body: AskBody): Promise<Request> {
    const request = await this.api.ask(body);
    if (request.state === 'granted') {
      await this.readLeases();
    } else {
      this.takeRequest(request);
    }
    void this.readStatus();
    return request;
  }

  async cancel(id: number): Promise<void> {
    this.takeRequest(await this.api.cancel(id));
  }

  async extend(id: number, seconds: number): Promise<void> {
    this.takeLease(await this.api.extend(id, seconds));
  }

  async release(id: number): Promise<void> {
    this.takeLease(await this.api.release(id));
    void this.readStatus();
  }

  async startCluster(body: ClusterBody): Promise<Cluster> {
    const cluster = await this.api.startCluster(body);
    this.clusters.put(cluster);
    return cluster;
  }

  async stopCluster(id: string): Promise<void> {
    this.clusters.put(await this.api.stopCluster(id));
  }

  async startJob(body: JobBody): Promise<Job> {
    const job = await this.api.startJob(body);
    this.jobs.put(job);
    return job;
  }

  async stopJob(id: string): Promise<void> {
    this.jobs.put(await this.api.stopJob(id));
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

  /** After a gap: what waited and is a lease now was granted while we did not look. */
  private takeLists(requests: readonly Request[], leases: readonly Lease[]): void {
    const mine = leases.filter(one => one.mine && one.state !== 'ended');
    this.requests.replace(requests.filter(one => one.state === 'queued'));
    this.leases.replace(mine);
    void this.backfill(mine);
    for (const lease of mine) {
      if (this._waited.delete(lease.id)) {
        this._granted.emit({ lease, waited: true });
      }
    }
    for (const request of this.requests.items) {
      if (request.mine) {
        this._waited.add(request.id);
      }
    }
  }

  /** What the slices did before this page was open; without it the charts start empty. */
  private async backfill(leases: readonly Lease[]): Promise<void> {
    const slices = leases.flatMap(lease => lease.slices.map(slice => slice.id));
    const unknown = slices.filter(id => this.telemetry.columns(id).times.length === 0);
    for (const id of unknown.slice(0, MAX_BACKFILL)) {
      try {
        this.telemetry.backfill(await this.api.history(id, HISTORY_SECONDS));
      } catch {
        return; // Only a nicety.
      }
    }
  }

  private takeRequest(request: Request): void {
    if (request.state === 'queued') {
      this.requests.put(request);
      if (request.mine) {
        this._waited.add(request.id);
      }
    } else {
      this.requests.remove(request.id);
    }
    this._shifted.emit();
  }

  private takeLease(lease: Lease): void {
    if (!lease.mine) {
      return;
    }
    const isNew = !this.leases.get(lease.id) && lease.state !== 'ended';
    if (lease.state === 'ended') {
      this.leases.remove(lease.id);
    } else {
      this.requests.remove(lease.id);
      this.leases.put(lease);
    }
    this._shifted.emit();
    clearTimeout(this._statusSoon);
    this._statusSoon = setTimeout(() => void this.readStatus(), 200);
    if (isNew) {
      this._granted.emit({ lease, waited: this._waited.delete(lease.id) });
    }
  }

  private async readLeases(): Promise<void> {
    for (const lease of await this.api.leases()) {
      this.takeLease(lease);
    }
  }

  /** Quotas are part of the status and change with every lease. */
  private async readStatus(): Promise<void> {
    try {
      this._status = await this.api.status();
      this._changed.emit();
    } catch {
      // The next refresh says what is wrong.
    }
  }

  private onLink(state: LinkState): void {
    if (state === 'open') {
      void this.refresh();
    }
    this._changed.emit();
    this.plan();
  }

  private plan(): void {
    clearTimeout(this._poll);
    if (this._live.state !== 'open' && !this._disposed) {
      this._poll = setTimeout(() => void this.refresh(), this.pollEvery);
    }
  }

  private _disposed = false;
  private _fleet: Fleet | null = null;
  private _live: LiveClient;
  private _phase: Phase = 'loading';
  private _poll: ReturnType<typeof setTimeout> | undefined;
  private _problem: ApiError | null = null;
  private _status: Status | null = null;
  private _statusSoon: ReturnType<typeof setTimeout> | undefined;
  private _turn = 0;
  private readonly _waited = new Set<number>();
  private _changed = new Signal<this, void>(this);
  private _granted = new Signal<this, IGrant>(this);
  private _noticed = new Signal<this, Notice>(this);
  private _shifted = new Signal<this, void>(this);
}
