/**
 * What is known, and how it changes: events and answers in, signals out. It reads nothing itself.
 *
 * An object replaces what was known under its id. Whether a lease is news, and whether somebody
 * waited for it, is decided here, so that it is told once, whichever way the news came.
 */

import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import type {
  Cluster,
  Fleet,
  Job,
  Lease,
  LiveEvent,
  Notice,
  Request,
  Status,
  Sweep
} from '../api/types';
import { Clock } from './clock';
import { Keyed } from './keyed';
import { Telemetry } from './telemetry';

export interface IGrant {
  readonly lease: Lease;
  /** Whether its request was seen waiting. */
  readonly waited: boolean;
}

/** Everything, as read at one time. */
export interface ISnapshot {
  readonly status: Status;
  readonly fleet: Fleet;
  readonly requests: readonly Request[];
  readonly leases: readonly Lease[];
  readonly clusters: readonly Cluster[];
  readonly jobs: readonly Job[];
  readonly sweeps: readonly Sweep[];
}

export class WorkbenchState {
  readonly clock = new Clock();
  readonly telemetry = new Telemetry();
  /** Waiting requests, everybody's, in the queue's order. */
  readonly requests = new Keyed<number, Request>(
    (a, b) => (a.position ?? a.id) - (b.position ?? b.id)
  );
  /** My leases that are not over, the one that ends first first. */
  readonly leases = new Keyed<number, Lease>((a, b) => a.ends_at - b.ends_at || a.id - b.id);
  /** My notebooks' leases that are over, as far as known; the newest first. */
  readonly past = new Keyed<number, Lease>(
    (a, b) => (b.ended_at ?? 0) - (a.ended_at ?? 0) || b.id - a.id
  );
  readonly clusters = new Keyed<string, Cluster>((a, b) => b.created_at - a.created_at);
  readonly jobs = new Keyed<string, Job>((a, b) => b.created_at - a.created_at);
  readonly sweeps = new Keyed<string, Sweep>((a, b) => b.created_at - a.created_at);

  /** Status, fleet, or how fresh all this is. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** Whatever may change when a slice could be had: fleet, requests, leases. */
  get shifted(): ISignal<this, void> {
    return this._shifted;
  }

  /** Something to be told, once; of leases that are over nothing. */
  get noticed(): ISignal<this, Notice> {
    return this._noticed;
  }

  /** A lease of mine is over: told once, whichever way that was learned. */
  get ended(): ISignal<this, Lease> {
    return this._ended;
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

  /** Take in one live event. */
  apply(event: LiveEvent): void {
    switch (event.type) {
      case 'hello':
        this.takeStatus(event.data);
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
      case 'sweep':
        this.sweeps.put(event.data);
        break;
      case 'tick':
        this.clock.learn(event.data.time);
        this.telemetry.take(event.data);
        break;
      case 'notice':
        this.takeNotice(event.data);
        break;
    }
  }

  /** A page that comes back is told again of what still stands. */
  private takeNotice(notice: Notice): void {
    const { lease_id: id, code, at } = notice;
    if (id !== null) {
      const told = `${code} ${at}`;
      if (this._over.has(id) || this._told.get(id) === told) {
        return;
      }
      this._told.set(id, told);
    }
    this._noticed.emit(notice);
  }

  /** Replace everything. What waited and is a lease now was granted while nobody looked. */
  protected takeAll(all: ISnapshot): void {
    const mine = all.leases.filter(one => one.mine && one.state !== 'ended');
    this._status = all.status;
    this._fleet = all.fleet;
    this.requests.replace(all.requests.filter(one => one.state === 'queued'));
    this.leases.replace(mine);
    this.clusters.replace(all.clusters);
    this.jobs.replace(all.jobs);
    this.sweeps.replace(all.sweeps);
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
    this._shifted.emit();
  }

  protected takeStatus(status: Status): void {
    this._status = status;
    this._changed.emit();
  }

  protected takeRequest(request: Request): void {
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

  protected takeLease(lease: Lease): void {
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
    if (lease.state === 'ended' && !this._over.has(lease.id)) {
      this.takePast(lease);
      this._told.delete(lease.id);
      this._ended.emit(lease);
    }
    if (isNew) {
      this._granted.emit({ lease, waited: this._waited.delete(lease.id) });
    }
  }

  /** A lease of mine that is over, and of which nothing is to be told. */
  protected takePast(lease: Lease): void {
    this._over.add(lease.id);
    if (lease.purpose === 'kernel') {
      this.past.put(lease);
    }
  }

  /** For what a subclass knows beside: that `changed` holds for it too. */
  protected touch(): void {
    this._changed.emit();
  }

  private _fleet: Fleet | null = null;
  private _status: Status | null = null;
  /** Leases of mine that were seen to be over, by number. */
  private readonly _over = new Set<number>();
  /** The newest notice of each lease. */
  private readonly _told = new Map<number, string>();
  /** Requests of mine that were seen waiting. */
  private readonly _waited = new Set<number>();
  private _changed = new Signal<this, void>(this);
  private _ended = new Signal<this, Lease>(this);
  private _granted = new Signal<this, IGrant>(this);
  private _noticed = new Signal<this, Notice>(this);
  private _shifted = new Signal<this, void>(this);
}
