/**
 * A stretch of the past of one subject, in time steps of equal length, as charts draw it.
 *
 * Each step has mean, least and greatest of each metric; NaN is unknown. The length is fixed when it
 * is made, so that a dashboard left open over night keeps what it has on its first minute. It knows
 * neither the network nor the page.
 */

/** Columns of equal length, oldest first; times are starts of steps, in seconds since the epoch. */
export interface IStretch {
  readonly times: Float64Array;
  readonly mean: readonly Float32Array[];
  readonly min: readonly Float32Array[];
  readonly max: readonly Float32Array[];
}

/** The values of one moment, by the number of the metric; NaN is unknown. */
export type Row = (metric: number) => number;

export class Timeline {
  /**
   * @param metrics how many
   * @param step seconds
   * @param span seconds kept
   */
  constructor(
    readonly metrics: number,
    readonly step: number,
    readonly span: number
  ) {
    this.capacity = Math.ceil(span / step) + 1;
    // Twice the room: rows move to the front only once in `capacity` steps.
    const room = 2 * this.capacity;
    const columns = (): Float32Array[] =>
      Array.from({ length: metrics }, () => new Float32Array(room));
    this._times = new Float64Array(room);
    [this._mean, this._min, this._max] = [columns(), columns(), columns()];
    this._count = new Uint32Array(metrics);
  }

  /** Steps kept. */
  readonly capacity: number;

  get length(): number {
    return this._end - this._start;
  }

  /** The start of the newest step; NaN before the first. */
  get newest(): number {
    return this.length ? (this._times[this._end - 1] ?? NaN) : NaN;
  }

  /** Bytes of its columns, which never grow. */
  get bytes(): number {
    return this._times.byteLength + 3 * this.metrics * 2 * this.capacity * 4;
  }

  /**
   * Take in one sample, or a step of the server's history with its least and greatest. What is older
   * than the newest step is a replay and ignored.
   */
  add(time: number, value: Row, low: Row = value, high: Row = value): void {
    const at = Math.floor(time / this.step) * this.step;
    if (at < this.newest) {
      return;
    }
    if (at !== this.newest) {
      this.open(at);
    }
    for (let metric = 0; metric < this.metrics; metric++) {
      this.merge(metric, value(metric), low(metric), high(metric));
    }
  }

  /** Views into the columns, without a copy: valid until the next `add`. */
  stretch(): IStretch {
    const cut = (column: Float32Array): Float32Array => column.subarray(this._start, this._end);
    return {
      times: this._times.subarray(this._start, this._end),
      mean: this._mean.map(cut),
      min: this._min.map(cut),
      max: this._max.map(cut)
    };
  }

  /** The newest known value of a metric; NaN where none is. */
  last(metric: number): number {
    return this.length ? (this._mean[metric]?.[this._end - 1] ?? NaN) : NaN;
  }

  private open(time: number): void {
    if (this._end === this._times.length) {
      for (const column of [this._times, ...this._mean, ...this._min, ...this._max]) {
        column.copyWithin(0, this._start, this._end);
      }
      this._end -= this._start;
      this._start = 0;
    }
    this._times[this._end] = time;
    for (const column of [...this._mean, ...this._min, ...this._max]) {
      column[this._end] = NaN;
    }
    this._count.fill(0);
    this._end += 1;
    if (this.length > this.capacity) {
      this._start += 1;
    }
  }

  private merge(metric: number, value: number, low: number, high: number): void {
    if (Number.isNaN(value)) {
      return;
    }
    const row = this._end - 1;
    const mean = this.cell(this._mean, metric);
    const min = this.cell(this._min, metric);
    const max = this.cell(this._max, metric);
    const before = this._count[metric] ?? 0;
    const was = mean[row] ?? 0;
    this._count[metric] = before + 1;
    mean[row] = before ? was + (value - was) / (before + 1) : value;
    min[row] = before ? Math.min(min[row] ?? low, low) : low;
    max[row] = before ? Math.max(max[row] ?? high, high) : high;
  }

  private cell(columns: readonly Float32Array[], metric: number): Float32Array {
    const column = columns[metric];
    if (!column) {
      throw new RangeError(`There are ${this.metrics} metrics, none has the number ${metric}.`);
    }
    return column;
  }

  private _start = 0;
  private _end = 0;
  private readonly _times: Float64Array;
  private readonly _mean: Float32Array[];
  private readonly _min: Float32Array[];
  private readonly _max: Float32Array[];
  /** Samples in the newest step, of each metric. */
  private readonly _count: Uint32Array;
}

/** Least, mean and greatest of a stretch's column between two times; NaN where nothing is known. */
export function summaryOf(
  stretch: IStretch,
  metric: number,
  from: number,
  to: number
): { min: number; mean: number; max: number } {
  let [min, max, sum, known] = [Infinity, -Infinity, 0, 0];
  const [mean, low, high] = [stretch.mean[metric], stretch.min[metric], stretch.max[metric]];
  stretch.times.forEach((time, i) => {
    const value = mean?.[i] ?? NaN;
    if (time >= from && time <= to && !Number.isNaN(value)) {
      sum += value;
      known += 1;
      min = Math.min(min, low?.[i] ?? value);
      max = Math.max(max, high?.[i] ?? value);
    }
  });
  return known ? { min, mean: sum / known, max } : { min: NaN, mean: NaN, max: NaN };
}
