/**
 * The metrics that a job's ranks logged, as curves of bounded length. No DOM, no fetching.
 *
 * A curve keeps at most `ROOM` points, each the mean of as many logged ones as it takes: a run of a
 * million steps costs no more than one of ten thousand. A step that is logged again, since a restart
 * went back to a checkpoint, replaces what was known from there on.
 */

import type { MetricPoint } from '../api/types';

/** Points kept of one metric and rank; even, as they are halved. */
export const ROOM = 4096;

/** Columns of equal length; steps only grow, times are seconds since the epoch. */
export interface IRun {
  readonly steps: readonly number[];
  readonly times: readonly number[];
  readonly values: readonly number[];
}

export class Curve implements IRun {
  steps: number[] = [];
  times: number[] = [];
  values: number[] = [];

  get last(): number | undefined {
    return this.values.at(-1);
  }

  add(step: number, time: number, value: number): void {
    if (step <= this._newest) {
      this.cutFrom(step);
    }
    this._newest = step;
    if (this._open === 0) {
      this.steps.push(step);
      this.times.push(time);
      this.values.push(value);
    } else {
      const end = this.values.length - 1;
      this.steps[end] = step;
      this.times[end] = time;
      this.values[end] = mix(this.values[end] ?? value, this._open, value);
    }
    this._open = (this._open + 1) % this._each;
    if (this.values.length >= ROOM && this._open === 0) {
      this.halve();
    }
  }

  /** The newest step at or before a time, between two logged ones in proportion; NaN outside. */
  stepAt(time: number): number {
    const at = firstFrom(this.times, time);
    const [after, before] = [this.times[at], this.times[at - 1]];
    if (after === time) {
      return this.steps[at] ?? NaN;
    }
    if (after === undefined || before === undefined) {
      return NaN;
    }
    const share = (time - before) / (after - before);
    const [low, high] = [this.steps[at - 1] ?? NaN, this.steps[at] ?? NaN];
    return low + share * (high - low);
  }

  private cutFrom(step: number): void {
    const at = firstFrom(this.steps, step);
    this.steps.length = this.times.length = this.values.length = at;
    this._open = 0;
  }

  private halve(): void {
    const half = this.values.length >> 1;
    for (let i = 0; i < half; i++) {
      this.steps[i] = this.steps[2 * i + 1] as number;
      this.times[i] = this.times[2 * i + 1] as number;
      this.values[i] = mix(this.values[2 * i] as number, 1, this.values[2 * i + 1] as number);
    }
    this.steps.length = this.times.length = this.values.length = half;
    this._each *= 2;
  }

  /** Logged points that one kept point stands for. */
  private _each = 1;
  /** Of which so many are in the newest kept one; 0 when it is full. */
  private _open = 0;
  private _newest = -Infinity;
}

/** All metrics of one job. */
export class Curves {
  /** The loss first, then by name. */
  get names(): readonly string[] {
    const rank = (name: string): number => (name === 'loss' ? 0 : name.includes('loss') ? 1 : 2);
    return [...this._byName.keys()].sort(
      (a, b) => rank(a) - rank(b) || a.localeCompare(b, 'en', { numeric: true })
    );
  }

  /** Ranks that logged this metric, in order. */
  ranks(name: string): readonly number[] {
    return [...(this._byName.get(name)?.keys() ?? [])].sort((a, b) => a - b);
  }

  curve(name: string, rank: number): Curve | null {
    return this._byName.get(name)?.get(rank) ?? null;
  }

  clear(): void {
    this._byName.clear();
  }

  take(points: readonly MetricPoint[]): void {
    for (const { rank, step, time, values } of points) {
      for (const [name, value] of Object.entries(values)) {
        if (typeof value === 'number' && Number.isFinite(value)) {
          this.of(name, rank).add(step, time, value);
        }
      }
    }
  }

  private of(name: string, rank: number): Curve {
    let ranks = this._byName.get(name);
    if (!ranks) {
      this._byName.set(name, (ranks = new Map<number, Curve>()));
    }
    let curve = ranks.get(rank);
    if (!curve) {
      ranks.set(rank, (curve = new Curve()));
    }
    return curve;
  }

  private readonly _byName = new Map<string, Map<number, Curve>>();
}

/** What of a curve lies before a step: what it showed until another run went on from there. */
export function before(run: IRun, step: number): IRun {
  const at = firstFrom(run.steps, step);
  const { steps, times, values } = run;
  return { steps: steps.slice(0, at), times: times.slice(0, at), values: values.slice(0, at) };
}

export type Along = 'step' | 'time';

/** A curve's columns for drawing, at most `most` points; with `log` what has no logarithm is left out. */
export function drawn(
  run: IRun,
  along: Along,
  most: number,
  log = false
): [number[], (number | null)[]] {
  const each = Math.max(1, Math.ceil(run.values.length / most));
  const places = along === 'step' ? run.steps : run.times;
  const x: number[] = [];
  const y: (number | null)[] = [];
  for (let i = 0; i < run.values.length; i += each) {
    const end = Math.min(run.values.length, i + each);
    let sum = 0;
    for (let k = i; k < end; k++) {
      sum += run.values[k] as number;
    }
    const value = sum / (end - i);
    const place = places[end - 1] as number;
    if (x.length && place <= (x.at(-1) as number)) {
      continue; // Two points of one moment: uPlot wants growing places.
    }
    x.push(place);
    y.push(log && value <= 0 ? null : value);
  }
  return [x, y];
}

/** The curve without its jitter: an exponential mean that forgets a point by `share` (0..1). */
export function smoothed(run: IRun, share: number): IRun {
  if (share <= 0) {
    return run;
  }
  let [mean, weight] = [0, 0];
  const values = run.values.map(value => {
    mean = share * mean + (1 - share) * value;
    weight = share * weight + (1 - share);
    return mean / weight;
  });
  return { steps: run.steps, times: run.times, values };
}

function mix(mean: number, count: number, value: number): number {
  return mean + (value - mean) / (count + 1);
}

/** The first place of a growing column whose value is not below `value`. */
function firstFrom(column: readonly number[], value: number): number {
  let [low, high] = [0, column.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((column[middle] as number) < value) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}
