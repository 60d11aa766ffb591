/**
 * What the dashboard shows and since when: one window of time for everything, live or held still.
 *
 * No DOM. It follows the live figures only while it is `active`: a dashboard that nobody can see costs
 * nothing, and reads what it missed when it is seen again.
 */

import type { IDisposable } from '@lumino/disposable';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import type { Fleet, Gpu, ProcessSample, SliceView } from '../api/types';
import type { HeatMetric } from '../model/heat';
import { FleetHeat, HEAT_METRICS, IDLE_AFTER } from '../model/heat';
import type { IRange } from '../model/past';
import { Past, RANGES } from '../model/past';
import type { Workbench } from '../model/workbench';
import { lookOf, readPast, stillSince } from './feed';
import type { IPicked } from './processlist';
import { ProcessList } from './processlist';

export type Tab = 'gpu' | 'mine';

/** What is kept in the layout and comes back with it. */
export interface IShown {
  readonly tab: Tab;
  /** UUID of the GPU looked at closely. */
  readonly gpu: string | null;
  /** The one slice of it that the charts show; `null` is the GPU as a whole. */
  readonly slice: string | null;
  /** The one process on it that they show instead, by the subject of its past. */
  readonly process: string | null;
  readonly range: number;
  readonly metric: HeatMetric;
  /** Figures as tables instead of charts. */
  readonly table: boolean;
}

const FIRST: IShown = {
  tab: 'gpu',
  gpu: null,
  slice: null,
  process: null,
  range: 300,
  metric: 'activity',
  table: false
};
/** The least that can be zoomed to, in seconds. */
const SHORTEST = 10;
/** My leases whose pasts are read; with more than these nobody looks at each. */
const MOST_LEASES = 24;

export class DashboardModel implements IDisposable {
  constructor(
    readonly workbench: Workbench,
    shown: Partial<IShown> = {}
  ) {
    this._shown = { ...FIRST, ...shown };
    this.past = new Past(readPast(workbench.api));
    this.past.changed.connect(() => this._drawn.emit());
    this.processes = new ProcessList(
      workbench.api.processes,
      () => this._active && !this._paused && this.lostSince === null
    );
    this.processes.changed.connect(this.onProcesses, this);
    this._fleet = workbench.fleet;
    this.heat = new FleetHeat(workbench.fleet);
    workbench.changed.connect(this.onChanged, this);
    workbench.leases.changed.connect(this.follow, this);
    workbench.telemetry.sampled.connect(this.onSample, this);
  }

  readonly past: Past;
  readonly processes: ProcessList;
  heat: FleetHeat;

  /** What is chosen has changed. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** There is something new to draw. */
  get drawn(): ISignal<this, void> {
    return this._drawn;
  }

  get shown(): IShown {
    return this._shown;
  }

  get range(): IRange {
    const found = RANGES.find(range => range.seconds === this._shown.range);
    return found ?? (RANGES[1] as IRange);
  }

  /** Whether anybody can see it. */
  get active(): boolean {
    return this._active;
  }

  get paused(): boolean {
    return this._paused;
  }

  /** The part of the past that was zoomed into; `null` where the newest is shown. */
  get zoomed(): { from: number; to: number } | null {
    return this._zoomed;
  }

  /** The window of time that all charts show. */
  get window(): { from: number; to: number } {
    if (this._zoomed) {
      return this._zoomed;
    }
    const to = this._heldAt ?? this.now;
    return { from: to - this.range.seconds, to };
  }

  /** The GPU looked at closely, as the fleet has it now: the one picked, else one of mine. */
  get gpu(): Gpu | null {
    const gpus = this.workbench.fleet?.gpus ?? [];
    const picked = this._shown.gpu;
    const mine = (one: Gpu): boolean => one.segments.some(part => part.mine);
    return gpus.find(one => (picked === null ? mine(one) : one.uuid === picked)) ?? null;
  }

  /** The slice of that GPU that the charts show; `null` where they show all of it. */
  get slice(): SliceView | null {
    const picked = this._shown.slice;
    const parts = this.gpu?.segments ?? [];
    return (picked !== null && parts.find(part => part.slice_id === picked)) || null;
  }

  /** The process that the charts show; `null` where they show the GPU or a slice of it. */
  get process(): IPicked | null {
    const subject = this._shown.process;
    if (subject === null || this.gpu === null) {
      return null;
    }
    const last = this._lastSeen?.subject === subject ? this._lastSeen : null;
    return {
      subject,
      last,
      ended: this.processes.items !== null && this.processes.find(subject) === null
    };
  }

  /** The time of the last figures; 0 before the first. */
  get time(): number {
    return this.workbench.telemetry.time;
  }

  /** Since when nothing came, where the connection is lost. */
  get lostSince(): number | null {
    const { link, phase, problem } = this.workbench;
    const lost = phase !== 'loading' && (link === 'lost' || problem !== null);
    return lost ? this._lostAt : null;
  }

  get isDisposed(): boolean {
    return this._disposed;
  }

  show(change: Partial<IShown>): void {
    const was = this._shown;
    const other = change.gpu !== undefined && change.gpu !== was.gpu;
    this._shown = { ...was, ...(other ? { slice: null, process: null } : {}), ...change };
    if (change.range !== undefined) {
      this._zoomed = null;
    }
    this.rememberPicked();
    if (change.metric && change.metric !== was.metric) {
      this.heat.top = 1;
      this.heat.take(lookOf(this.workbench.telemetry), change.metric);
    }
    this.follow();
    this._changed.emit();
  }

  /** Show only a part of what is shown; the newest no longer comes in by itself. */
  zoom(from: number, to: number): void {
    const middle = (from + to) / 2;
    const half = Math.max(SHORTEST, to - from) / 2;
    this._zoomed = { from: middle - half, to: middle + half };
    this.follow();
    this._changed.emit();
  }

  /** Larger than 1 shows less, smaller than 1 more; `shift` moves by that part of the window. */
  zoomBy(factor: number, shift = 0): void {
    const { from, to } = this.window;
    const middle = (from + to) / 2 + shift * (to - from);
    const half = (to - from) / factor / 2;
    this.zoom(middle - half, Math.min(middle + half, this.now));
  }

  /** Back to the newest. */
  live(): void {
    this._zoomed = null;
    this._paused = false;
    this._heldAt = null;
    this.past.forget();
    this.follow();
    this._changed.emit();
  }

  pause(): void {
    this._paused = true;
    this._heldAt = this.now;
    this._changed.emit();
  }

  /** Whether anybody can see it; what was missed is read when it is seen again. */
  activate(active: boolean): void {
    if (active === this._active) {
      return;
    }
    this._active = active;
    if (active) {
      if (!this._paused && !this._zoomed) {
        this.past.forget();
      }
      this.follow();
      void this.readIdle();
    }
    this.workbench.lookAt(active ? this.detail : null);
    this._changed.emit();
  }

  dispose(): void {
    if (this._disposed) {
      return;
    }
    this.activate(false);
    this._disposed = true;
    Signal.clearData(this);
    Signal.clearData(this.past);
    Signal.clearData(this.processes);
  }

  private get now(): number {
    return Math.max(this.time, this.workbench.clock.now - 2);
  }

  /** The GPU of which every metric is wanted. */
  private get detail(): string | null {
    return this._shown.tab === 'gpu' ? (this.gpu?.uuid ?? null) : null;
  }

  /** Subjects whose pasts are drawn. */
  get subjects(): string[] {
    if (this._shown.tab === 'mine') {
      const mine = this.workbench.leases.items.slice(0, MOST_LEASES);
      return mine.flatMap(lease => lease.slices.map(slice => slice.id));
    }
    const { gpu, process } = this;
    const slices = gpu?.segments.flatMap(one => (one.slice_id === null ? [] : [one.slice_id]));
    return gpu ? [gpu.uuid, ...(slices ?? []), ...(process ? [process.subject] : [])] : [];
  }

  private follow(): void {
    if (!this._active || this._disposed) {
      return;
    }
    this.workbench.lookAt(this.detail);
    const { from, to } = this.window;
    this.past.follow(this.subjects, from, to, this._zoomed === null);
  }

  private onChanged(): void {
    const { fleet, link, problem } = this.workbench;
    if (fleet !== this._fleet) {
      this._fleet = fleet;
      this.heat = new FleetHeat(fleet, this.heat);
      this.follow();
    }
    const lost = link === 'lost' || problem !== null;
    if (lost && this._lostAt === null) {
      this._lostAt = this.time || this.workbench.clock.now;
    } else if (!lost && this._lostAt !== null) {
      this._lostAt = null;
      if (!this._paused && !this._zoomed) {
        this.past.forget(); // There is a gap that the server knows and we don't.
      }
      this.follow();
    }
    this._changed.emit();
    this._drawn.emit();
  }

  private onSample(): void {
    if (!this._active || this._paused) {
      return;
    }
    const look = lookOf(this.workbench.telemetry, this.processes);
    this.heat.take(look, this._shown.metric);
    this.past.take(look);
    this._drawn.emit();
  }

  private onProcesses(): void {
    this.rememberPicked();
    this._drawn.emit();
  }

  /** So that it still has its name when it has ended. */
  private rememberPicked(): void {
    const { process } = this._shown;
    this._lastSeen = (process !== null && this.processes.find(process)) || this._lastSeen;
  }

  /** When each GPU last worked, for "idle for more than 10 min" from the first minute on. */
  private async readIdle(): Promise<void> {
    try {
      const now = this.workbench.clock.now;
      this.heat.remember(await stillSince(this.workbench.api, now - 1.5 * IDLE_AFTER, now));
      this._drawn.emit();
    } catch {
      // Then it is known after ten minutes.
    }
  }

  private _active = false;
  private _changed = new Signal<this, void>(this);
  private _disposed = false;
  private _drawn = new Signal<this, void>(this);
  private _fleet: Fleet | null;
  private _heldAt: number | null = null;
  private _lastSeen: ProcessSample | null = null;
  private _lostAt: number | null = null;
  private _paused = false;
  private _shown: IShown;
  private _zoomed: { from: number; to: number } | null = null;
}

/** What of a layout that was kept can still be shown. */
export function shownOf(args: Readonly<Record<string, unknown>>): Partial<IShown> {
  const { tab, gpu, slice, process, range, metric, table } = args;
  return {
    ...(tab === 'gpu' || tab === 'mine' ? { tab } : {}),
    ...(typeof gpu === 'string' ? { gpu } : {}),
    ...(typeof slice === 'string' ? { slice } : {}),
    ...(typeof process === 'string' ? { process } : {}),
    ...(RANGES.some(one => one.seconds === range) ? { range: range as number } : {}),
    ...(HEAT_METRICS.some(one => one === metric) ? { metric: metric as HeatMetric } : {}),
    ...(typeof table === 'boolean' ? { table } : {})
  };
}
