/**
 * The pasts of the few subjects that are looked at closely: read from the server once, then continued
 * with what comes live. No DOM.
 *
 * It holds one `Timeline` per subject and drops those that nobody follows any more, so what it keeps
 * is bounded by what is on the screen.
 */

import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import type { ApiError } from '../api/errors';
import { asApiError } from '../api/errors';
import type { MetricId } from './metrics';
import { METRICS } from './metrics';
import type { Row } from './timeline';
import { Timeline } from './timeline';

/** A time range to choose, and the length of the steps it is drawn in. */
export interface IRange {
  readonly seconds: number;
  readonly step: number;
}

export const RANGES: readonly IRange[] = [
  { seconds: 60, step: 0.5 },
  { seconds: 300, step: 1 },
  { seconds: 900, step: 2 },
  { seconds: 3600, step: 10 },
  { seconds: 6 * 3600, step: 60 },
  { seconds: 24 * 3600, step: 120 },
  { seconds: 7 * 86_400, step: 900 }
];

/** The newest figures of all subjects; NaN is unknown. */
export interface ILook {
  readonly time: number;
  value(subject: string, metric: MetricId): number;
  /** Whether the GPU no longer answers. */
  lost(subject: string): boolean;
}

/** One metric of one subject over a history's steps; NaN is unknown. */
export interface IPastColumn {
  readonly mean: ArrayLike<number>;
  readonly min: ArrayLike<number>;
  readonly max: ArrayLike<number>;
}

/** The server's history of some subjects, oldest step first. */
export interface IPastAnswer {
  /** Seconds that each point stands for. */
  readonly step: number;
  readonly times: readonly number[];
  column(subject: string, metric: MetricId): IPastColumn | null;
}

/** Reads the past; `points` at most in each column. Rejects with `ApiError`. */
export type ReadPast = (
  subjects: readonly string[],
  from: number,
  to: number,
  points: number
) => Promise<IPastAnswer>;

/** The steps a stretch of so many seconds is drawn in: a few hundred, whatever its length. */
export function stepFor(seconds: number): number {
  return RANGES.find(range => seconds <= range.seconds)?.step ?? 900;
}

export class Past {
  constructor(private readonly read: ReadPast) {}

  /** Something was read or has gone on. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** Why the last read failed; `null` when it did not. */
  get problem(): ApiError | null {
    return this._problem;
  }

  get loading(): boolean {
    return this._pending > 0;
  }

  /** Bytes of all columns that are held. */
  get bytes(): number {
    return [...this._lines.values()].reduce((sum, line) => sum + line.bytes, 0);
  }

  line(subject: string): Timeline | null {
    return this._lines.get(subject) ?? null;
  }

  /**
   * Follow these subjects from `from` to `to`; live samples go on where `open`. What is followed
   * already in the same steps and from the same range stays.
   */
  follow(subjects: readonly string[], from: number, to: number, open: boolean): void {
    const step = stepFor(to - from);
    const key = open ? `${to - from}` : `${from}-${to}`;
    if (key !== this._key) {
      this._key = key;
      this._lines.clear();
    }
    this._open = open;
    for (const subject of this._lines.keys()) {
      if (!subjects.includes(subject)) {
        this._lines.delete(subject);
      }
    }
    const news = subjects.filter(subject => !this._lines.has(subject));
    for (const subject of news) {
      this._lines.set(subject, new Timeline(METRICS.length, step, to - from + step));
    }
    if (news.length) {
      void this.load(news, from, to);
    }
    this._changed.emit();
  }

  /** Forget everything, for example since samples were missed: `follow` reads it again. */
  forget(): void {
    this._key = '';
  }

  take(look: ILook): void {
    if (!this._open) {
      return;
    }
    for (const [subject, line] of this._lines) {
      const row: Row = metric => look.value(subject, METRICS[metric] as MetricId);
      const waiting = this._waiting.get(line);
      if (waiting) {
        // Until the past is there, what comes live has to wait: a timeline only grows at its end.
        waiting.push({ time: look.time, row: METRICS.map((_, metric) => row(metric)) });
        if (waiting.length > MOST_WAITING) {
          waiting.shift();
        }
      } else {
        line.add(look.time, row);
      }
    }
    this._changed.emit();
  }

  private async load(subjects: readonly string[], from: number, to: number): Promise<void> {
    const lines = new Map(subjects.map(one => [one, this._lines.get(one) as Timeline]));
    lines.forEach(line => this._waiting.set(line, []));
    this._pending += 1;
    try {
      const points = Math.ceil((to - from) / stepFor(to - from));
      const past = await this.read(subjects, from, to, points);
      for (const [subject, line] of lines) {
        fill(this.coarser(subject, line, past.step, to - from), subject, past);
      }
      this._problem = null;
    } catch (reason) {
      this._problem = asApiError(reason);
    }
    this._pending -= 1;
    for (const line of lines.values()) {
      for (const { time, row } of this._waiting.get(line) ?? []) {
        line.add(time, metric => row[metric] ?? NaN);
      }
      this._waiting.delete(line);
    }
    this._changed.emit();
  }

  /** The server may know a far past only in longer steps than are asked for. */
  private coarser(subject: string, line: Timeline, step: number, span: number): Timeline {
    if (step <= line.step || this._open || this._lines.get(subject) !== line) {
      return line;
    }
    const coarse = new Timeline(METRICS.length, step, span + step);
    this._lines.set(subject, coarse);
    return coarse;
  }

  private _changed = new Signal<this, void>(this);
  private _key = '';
  private readonly _lines = new Map<string, Timeline>();
  private _open = true;
  private _pending = 0;
  private _problem: ApiError | null = null;
  /** Samples that came while the past was read. */
  private readonly _waiting = new Map<Timeline, { time: number; row: number[] }[]>();
}

/** Samples kept while the past is read: half a minute. */
const MOST_WAITING = 60;

function fill(line: Timeline, subject: string, past: IPastAnswer): void {
  const columns = METRICS.map(metric => past.column(subject, metric));
  past.times.forEach((time, i) => {
    const of =
      (which: keyof IPastColumn): Row =>
      metric =>
        columns[metric]?.[which][i] ?? NaN;
    line.add(time, of('mean'), of('min'), of('max'));
  });
}
