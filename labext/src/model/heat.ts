/**
 * The fleet as a map shows it: each GPU's place, value and marks, and the sentence above them.
 *
 * Made anew when the fleet changes, filled again at each tick. It knows neither canvas nor network.
 */

import type { Fleet, Gpu } from '../api/types';
import type { ILook } from './past';

/** What a cell shows beside its value: bits. */
export const Mark = {
  held: 1,
  mine: 2,
  /** Held, and nothing has happened on it for a while. */
  idle: 4,
  /** Drained or lost: nobody can have it. */
  out: 8,
  /** Busy though nobody holds it. */
  stranger: 16
} as const;

/** What the colour of a cell can say. */
export const HEAT_METRICS = [
  'activity',
  'sm_activity',
  'memory_bytes',
  'power_watts',
  'temperature_c'
] as const;
export type HeatMetric = (typeof HEAT_METRICS)[number];

/** From this share of time on a GPU counts as busy. */
const BUSY = 0.02;
/** Seconds without work after which what is held is called idle. */
export const IDLE_AFTER = 600;
const COLDEST = 20;
const HOTTEST = 95;

/** GPUs that stand together. */
export interface IBlock {
  readonly pool: string;
  readonly node: string;
  readonly count: number;
}

export interface ISummary {
  readonly gpus: number;
  readonly held: number;
  readonly busy: number;
  readonly idle: number;
  /** Drained or lost. */
  readonly out: number;
  /** Held, and whether they work can't be told. */
  readonly unknown: number;
}

export class FleetHeat {
  constructor(fleet: Fleet | null, before: FleetHeat | null = null) {
    this.gpus = [...(fleet?.gpus ?? [])].sort(inOrder);
    this.gpus.forEach((gpu, i) => this._places.set(gpu.uuid, i));
    const count = this.gpus.length;
    this.value = new Float32Array(count).fill(NaN);
    this.figure = new Float32Array(count).fill(NaN);
    this.activity = new Float32Array(count).fill(NaN);
    this.marks = new Uint8Array(count);
    this._since = new Float64Array(count).fill(NaN);
    this.gpus.forEach((gpu, i) => {
      this.marks[i] = marksOf(gpu);
      const was = before?.place(gpu.uuid) ?? -1;
      if (before && was >= 0) {
        this.value[i] = before.value[was] ?? NaN;
        this.figure[i] = before.figure[was] ?? NaN;
        this.activity[i] = before.activity[was] ?? NaN;
        // Whoever gets a GPU that has long been free is not the one who let it idle.
        const [now, then] = [this.marks[i] ?? 0, before.marks[was] ?? 0];
        const news = (now & Mark.held) !== 0 && (then & Mark.held) === 0;
        this._since[i] = news ? NaN : (before._since[was] ?? NaN);
      }
    });
    this.top = before?.top ?? 1;
  }

  /** By pool, node and number. */
  readonly gpus: readonly Gpu[];
  /** Share of the scale, 0..1. */
  readonly value: Float32Array;
  /** The same in its unit. */
  readonly figure: Float32Array;
  /** Share of time, whatever the colours say. */
  readonly activity: Float32Array;
  readonly marks: Uint8Array;
  /** The figure that is as much as can be: the colours' upper end. */
  top: number;

  /** The number of a GPU in this order, -1 where there is no such. */
  place(uuid: string): number {
    return this._places.get(uuid) ?? -1;
  }

  /** Since when a GPU does nothing; NaN where it works, or nobody could tell yet. */
  idleSince(place: number): number {
    return this._since[place] ?? NaN;
  }

  get blocks(): readonly IBlock[] {
    const blocks: { pool: string; node: string; count: number }[] = [];
    for (const { pool, node } of this.gpus) {
      const last = blocks.at(-1);
      if (last && last.pool === pool && last.node === node) {
        last.count += 1;
      } else {
        blocks.push({ pool, node, count: 1 });
      }
    }
    return blocks;
  }

  take(look: ILook, metric: HeatMetric): void {
    this.top = this.scaleOf(look, metric);
    const bottom = metric === 'temperature_c' ? COLDEST : 0;
    this.gpus.forEach((gpu, i) => {
      const activity = look.value(gpu.uuid, 'activity');
      this.activity[i] = activity;
      const figure = metric === 'activity' ? activity : look.value(gpu.uuid, metric);
      this.figure[i] = figure;
      const top = metric === 'memory_bytes' ? gpu.memory_bytes : this.top;
      this.value[i] = (figure - bottom) / (top - bottom);
      this.mark(gpu, i, activity, look.time, look.lost(gpu.uuid));
    });
  }

  /** What was read about the time before this page was open: since when each GPU is still. */
  remember(since: ReadonlyMap<string, number>): void {
    for (const [uuid, time] of since) {
      const i = this.place(uuid);
      const known = this._since[i] ?? NaN;
      if (i >= 0 && !(known < time)) {
        this._since[i] = time;
      }
    }
  }

  summary(): ISummary {
    const counts = { gpus: this.gpus.length, held: 0, busy: 0, idle: 0, out: 0, unknown: 0 };
    this.marks.forEach((marks, i) => {
      counts.out += marks & Mark.out ? 1 : 0;
      if (marks & Mark.held) {
        const activity = this.activity[i] ?? NaN;
        counts.held += 1;
        counts.busy += activity >= BUSY ? 1 : 0;
        counts.idle += marks & Mark.idle ? 1 : 0;
        counts.unknown += Number.isNaN(activity) ? 1 : 0;
      }
    });
    return counts;
  }

  private mark(gpu: Gpu, i: number, activity: number, now: number, lost: boolean): void {
    const held = marksOf(gpu) | (lost ? Mark.out : 0);
    if (activity >= BUSY || Number.isNaN(activity)) {
      this._since[i] = NaN;
    } else if (Number.isNaN(this._since[i] ?? NaN)) {
      this._since[i] = now;
    }
    const idle = now - (this._since[i] ?? NaN) > IDLE_AFTER && (held & Mark.held) !== 0;
    const stranger = activity >= BUSY && !(held & Mark.held);
    this.marks[i] = held | (idle ? Mark.idle : 0) | (stranger ? Mark.stranger : 0);
  }

  private scaleOf(look: ILook, metric: HeatMetric): number {
    switch (metric) {
      case 'activity':
      case 'sm_activity':
        return 1;
      case 'temperature_c':
        return HOTTEST;
      case 'memory_bytes':
        return Math.max(0, ...this.gpus.map(gpu => gpu.memory_bytes));
      case 'power_watts': {
        // The limit of each GPU is not on the wire: the scale ends at what the fleet drew so far.
        const most = this.gpus.reduce((top, gpu) => {
          const watts = look.value(gpu.uuid, metric);
          return watts > top ? watts : top;
        }, 0);
        return Math.max(this.top > 1 ? this.top : 100, Math.ceil(most / 50) * 50);
      }
    }
  }

  private readonly _places = new Map<string, number>();
  private readonly _since: Float64Array;
}

function marksOf(gpu: Gpu): number {
  const held = gpu.segments.some(one => one.slice_id !== null);
  const mine = gpu.segments.some(one => one.mine);
  return (held ? Mark.held : 0) | (mine ? Mark.mine : 0) | (gpu.health === 'ok' ? 0 : Mark.out);
}

function inOrder(a: Gpu, b: Gpu): number {
  return (
    a.pool.localeCompare(b.pool) ||
    a.node.localeCompare(b.node, undefined, { numeric: true }) ||
    a.index - b.index
  );
}
