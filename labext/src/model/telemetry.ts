/**
 * The newest tick, and the recent past of what somebody draws, in rings of fixed length.
 *
 * A surface reads when it draws; one signal per tick tells all of them. What nobody asks for costs
 * nothing but the tick itself, however large the fleet is.
 */

import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import type { History, ITable, ITick } from '../api/types';

/** Two minutes at the sampler's fast rate of 2 Hz. */
export const RING_LENGTH = 240;
/** Seconds after which the past of something that nobody draws is dropped. */
const FORGET = 600;
/** Seconds after which the figures of one GPU are no longer taken for the newest. */
const STALE = 12;

/** One look at a GPU or a slice; `null` is unknown, never 0. */
export interface IReading {
  readonly activity: number | null;
  readonly memory: number | null;
}

/** Columns of equal length, oldest first; times in seconds since the epoch, memory in bytes. */
export interface IColumns {
  readonly times: readonly number[];
  readonly activity: readonly (number | null)[];
  readonly memory: readonly (number | null)[];
}

class Ring {
  /** When somebody last asked for it. */
  asked = 0;
  times: number[] = [];
  activity: (number | null)[] = [];
  memory: (number | null)[] = [];

  push(time: number, reading: IReading): void {
    const last = this.times.at(-1);
    if (last !== undefined && time <= last) {
      return; // A replay after a reconnection.
    }
    this.times.push(time);
    this.activity.push(reading.activity);
    this.memory.push(reading.memory);
    if (this.times.length > RING_LENGTH) {
      this.times.shift();
      this.activity.shift();
      this.memory.shift();
    }
  }
}

export class Telemetry {
  /** One emission per tick of the fleet, with its time. */
  get sampled(): ISignal<this, number> {
    return this._sampled;
  }

  /** The newest reading of a GPU (its UUID) or a slice (its id); the same object until the next tick. */
  latest(subject: string): IReading | null {
    const known = this._latest.get(subject);
    if (known !== undefined) {
      return known;
    }
    const table = this._fleet && tableWith(this._fleet, subject);
    const at = (metric: string): number | null => {
      const value = table ? valueIn(table, subject, metric) : NaN;
      return Number.isNaN(value) ? null : value;
    };
    const reading = table ? { activity: at('activity'), memory: at('memory_bytes') } : null;
    this._latest.set(subject, reading);
    return reading;
  }

  /** The newest value of any metric, NaN where it is unknown: all of them of the GPU looked at. */
  value(subject: string, metric: string): number {
    for (const tick of [this._detail, this._fleet]) {
      const table = tick && tableWith(tick, subject);
      const value = table ? valueIn(table, subject, metric) : NaN;
      if (!Number.isNaN(value)) {
        return value;
      }
    }
    return NaN;
  }

  /** Which of a metric's labels hold: of `state` one, of `throttle` any number; `null` is unknown. */
  labels(subject: string, metric: string): readonly string[] | null {
    const value = this.value(subject, metric);
    const table = [this._detail, this._fleet]
      .map(tick => tick && tableWith(tick, subject))
      .find(one => one?.labels[metric]);
    const words = table?.labels[metric];
    if (!words || Number.isNaN(value)) {
      return null;
    }
    return metric === 'throttle'
      ? words.filter((_, bit) => (value >> bit) & 1)
      : words.slice(value, value + 1);
  }

  /** The last two minutes, kept from the first time on that somebody asks. */
  columns(subject: string): IColumns {
    let ring = this._rings.get(subject);
    if (!ring) {
      this._rings.set(subject, (ring = new Ring()));
      const reading = this.latest(subject);
      if (reading) {
        ring.push(this._time, reading);
      }
    }
    ring.asked = this._time;
    return ring;
  }

  /** Of the newest tick; 0 before the first. */
  get time(): number {
    return this._time;
  }

  take(tick: ITick): void {
    if (tick.gpu !== null) {
      this._detail = tick;
      return;
    }
    this._fleet = tick;
    this._time = tick.time;
    this._latest.clear();
    if (this._detail && tick.time - this._detail.time > STALE) {
      this._detail = null; // Nobody looks at that GPU any more.
    }
    for (const [subject, ring] of this._rings) {
      const reading = this.latest(subject);
      if (reading) {
        ring.push(tick.time, reading);
      }
      if (tick.time - ring.asked > FORGET) {
        this._rings.delete(subject);
      }
    }
    this._sampled.emit(tick.time);
  }

  /** Put the server's history before what was seen live. */
  backfill(subject: string, history: History): void {
    const means = (metric: string): readonly (number | null)[] =>
      history.series.find(one => one.subject === subject && one.metric === metric)?.mean ?? [];
    const [activity, memory] = [means('activity'), means('memory_bytes')];
    const live = this._rings.get(subject);
    const ring = new Ring();
    const until = live?.times[0] ?? Infinity;
    history.times.forEach((time, i) => {
      if (time < until) {
        ring.push(time, { activity: activity[i] ?? null, memory: memory[i] ?? null });
      }
    });
    live?.times.forEach((time, i) =>
      ring.push(time, { activity: live.activity[i] ?? null, memory: live.memory[i] ?? null })
    );
    ring.asked = this._time;
    this._rings.set(subject, ring);
  }

  /** The newest tick of one GPU with every metric. */
  private _detail: ITick | null = null;
  private _fleet: ITick | null = null;
  /** Readings that were asked for since the newest tick. */
  private readonly _latest = new Map<string, IReading | null>();
  private readonly _rings = new Map<string, Ring>();
  private _time = 0;
  private _sampled = new Signal<this, number>(this);
}

function tableWith(tick: ITick, subject: string): ITable | null {
  return [tick.gpus, tick.slices].find(table => table.rows.has(subject)) ?? null;
}

function valueIn(table: ITable, subject: string, metric: string): number {
  const row = table.rows.get(subject);
  return row === undefined ? NaN : (table.columns[metric]?.[row] ?? NaN);
}
