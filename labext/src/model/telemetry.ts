/**
 * The recent past of every GPU and slice, in rings of fixed length, and the newest sample of each.
 *
 * A surface reads the columns when it draws; one signal per sample tells all of them.
 */

import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import type { History, ITable, ITick } from '../api/types';

/** Two minutes at the sampler's fast rate of 2 Hz. */
export const RING_LENGTH = 240;

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

const EMPTY: IColumns = { times: [], activity: [], memory: [] };

class Ring {
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

  get newest(): number {
    return this.times.at(-1) ?? 0;
  }
}

export class Telemetry {
  /** One emission per sample, with its time. */
  get sampled(): ISignal<this, number> {
    return this._sampled;
  }

  /** The newest reading of a GPU (its UUID) or a slice (its id). */
  latest(subject: string): IReading | null {
    return this._latest.get(subject) ?? null;
  }

  columns(subject: string): IColumns {
    return this._rings.get(subject) ?? EMPTY;
  }

  /** Of the newest sample; 0 before the first. */
  get time(): number {
    return this._time;
  }

  /** Take a tick of the fleet; one of a single GPU has nothing that is kept here. */
  take(tick: ITick): void {
    if (tick.gpu !== null) {
      return;
    }
    const seen = new Map<string, IReading>();
    for (const table of [tick.gpus, tick.slices]) {
      readings(table).forEach(([subject, reading]) => seen.set(subject, reading));
    }
    this._latest = seen;
    this._time = tick.time;
    for (const [subject, reading] of seen) {
      let ring = this._rings.get(subject);
      if (!ring) {
        this._rings.set(subject, (ring = new Ring()));
      }
      ring.push(tick.time, reading);
    }
    this.forget(tick.time);
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
    this._rings.set(subject, ring);
  }

  /** A slice that is gone for ten minutes will not be drawn again. */
  private forget(now: number): void {
    for (const [subject, ring] of this._rings) {
      if (now - ring.newest > 600) {
        this._rings.delete(subject);
      }
    }
  }

  private _latest = new Map<string, IReading>();
  private _rings = new Map<string, Ring>();
  private _time = 0;
  private _sampled = new Signal<this, number>(this);
}

function readings({ ids, columns }: ITable): [string, IReading][] {
  const known = (metric: string, row: number): number | null => {
    const value = columns[metric]?.[row] ?? NaN;
    return Number.isNaN(value) ? null : value;
  };
  return ids.map((id, row) => [
    id,
    { activity: known('activity', row), memory: known('memory_bytes', row) }
  ]);
}
