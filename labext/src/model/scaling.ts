/**
 * The slider of one cluster: what it points at, when that is asked for, and what it would take.
 *
 * Moving it asks for nothing until it has been still for a moment; until then it can be taken back.
 * What the additional workers would wait for is read meanwhile. No DOM.
 */

import type { IDisposable } from '@lumino/disposable';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import type { ApiError } from '../api/errors';
import { asApiError } from '../api/errors';
import type { Card, Cluster, Gpu } from '../api/types';
import type { Workbench } from './workbench';

/** Milliseconds that the slider is still before slices are asked for. */
export const STILL = 1200;
/** Milliseconds before it is read what the new number would wait for. */
const PEEK = 150;

export class Scaling implements IDisposable {
  constructor(
    private readonly workbench: Workbench,
    private readonly id: string
  ) {}

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** What the slider points at where that is not asked for yet; `null` where it is as it was. */
  get target(): number | null {
    return this._target;
  }

  /** Whether it was asked for and is not answered yet. */
  get busy(): boolean {
    return this._busy;
  }

  /** For the workers that come in addition: when their slices could be had. */
  get card(): Card | null {
    return this._card;
  }

  /** Why the last number was refused. */
  get problem(): ApiError | null {
    return this._problem;
  }

  get isDisposed(): boolean {
    return this._disposed;
  }

  dispose(): void {
    this._disposed = true;
    this.clear();
    Signal.clearData(this);
  }

  /** The slider points at `workers` now. */
  point(workers: number): void {
    this.clear();
    const cluster = this.cluster;
    if (!cluster || this._busy) {
      return;
    }
    this._problem = null;
    if (workers === cluster.workers_wanted) {
      this._target = null;
    } else {
      this._target = workers;
      this._still = setTimeout(() => void this.ask(), STILL);
      const more = workers - cluster.workers_wanted;
      if (more > 0) {
        this._peek = setTimeout(() => void this.peek(cluster, more), PEEK);
      }
    }
    this.told();
  }

  /** Ask for it now, without waiting longer. */
  async ask(): Promise<void> {
    const workers = this._target;
    if (workers === null || this._busy) {
      return;
    }
    clearTimeout(this._still);
    this._busy = true;
    this.told();
    try {
      await this.workbench.scaleCluster(this.id, workers);
    } catch (reason) {
      this._problem = asApiError(reason);
    }
    this._busy = false;
    this._target = null;
    this.told();
  }

  /** Back to what it was. */
  takeBack(): void {
    this.clear();
    this._target = null;
    this.told();
  }

  forget(): void {
    this._problem = null;
    this.told();
  }

  private get cluster(): Cluster | undefined {
    return this.workbench.clusters.get(this.id);
  }

  private async peek(cluster: Cluster, more: number): Promise<void> {
    const asked = this._target;
    try {
      const cards = await this.workbench.api.cards(more, this.secondsOf(cluster));
      if (asked === this._target && !this._disposed) {
        this._card =
          cards.find(
            card => card.profile === cluster.per_worker && card.pool === (cluster.pool ?? card.pool)
          ) ?? null;
        this.told();
      }
    } catch {
      // Only a look ahead: the answer to the order itself says what is wrong.
    }
  }

  /** For how long its slices are leased, as far as can be seen. */
  private secondsOf(cluster: Cluster): number {
    const lease = cluster.leases.map(id => this.workbench.leases.get(id)).find(Boolean);
    const fallback = this.workbench.fleet?.pools[0]?.default_seconds ?? 7200;
    return lease ? Math.round(lease.ends_at - lease.granted_at) : fallback;
  }

  private clear(): void {
    clearTimeout(this._still);
    clearTimeout(this._peek);
    this._card = null;
  }

  private told(): void {
    if (!this._disposed) {
      this._changed.emit();
    }
  }

  private _busy = false;
  private _card: Card | null = null;
  private _changed = new Signal<this, void>(this);
  private _disposed = false;
  private _peek: ReturnType<typeof setTimeout> | undefined;
  private _problem: ApiError | null = null;
  private _still: ReturnType<typeof setTimeout> | undefined;
  private _target: number | null = null;
}

/**
 * The slider's right end: as many workers as the GPUs and the quota have room for, never fewer than
 * there are, and few enough to hit one with a mouse.
 */
export function mostWorkers(workbench: Workbench, cluster: Cluster): number {
  const { status, fleet } = workbench;
  const { per_worker } = cluster;
  const isIn = (pool: string): boolean => pool === (cluster.pool ?? pool);
  const held = cluster.leases.map(id => workbench.leases.get(id)).find(Boolean);
  const offered = (fleet?.pools ?? []).filter(one => isIn(one.name)).flatMap(one => one.profiles);
  const each = held?.units ?? offered.find(one => one.name === per_worker)?.units ?? 0;
  const limits = (status?.quotas ?? []).flatMap(one => one.limit ?? []);
  const allowed = each > 0 ? Math.floor(Math.min(Infinity, ...limits) / each + 1e-6) : Infinity;
  const there = (fleet?.gpus ?? [])
    .filter(gpu => isIn(gpu.pool))
    .reduce((sum, gpu) => sum + slicesOn(gpu, per_worker, each), 0);
  return Math.max(cluster.workers_wanted, Math.min(64, Math.max(1, Math.min(allowed, there))));
}

/** How many slices of a profile a GPU has; of one that is cut, those that it is cut into. */
function slicesOn(gpu: Gpu, profile: string, units: number): number {
  if (gpu.mig) {
    return gpu.segments.filter(one => one.profile === profile).length;
  }
  return profile.startsWith('mig-') || units <= 0 ? 0 : Math.floor(1 / units + 1e-6);
}
