/**
 * The loss of each job as a few dozen values, for a curve as small as a word. No DOM.
 *
 * A job's events bring its newest value; what was before is read once, when somebody first looks.
 */

import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import type { Job } from '../api/types';
import { Curve, drawn } from './curves';
import { chiefMetric } from './jobs';
import type { Workbench } from './workbench';

/** Values of a trail. */
const POINTS = 60;
/** Pieces of 256 kB of a job's past that are read: some fifty thousand points. */
const MOST_PIECES = 16;

export class Trails {
  constructor(private readonly workbench: Workbench) {
    workbench.jobs.changed.connect(() => this.onJobs());
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** Oldest first; the same array until there is more. Empty before anything is known. */
  values(id: string): readonly number[] {
    return this._values.get(id) ?? NONE;
  }

  /** Somebody looks at this job: read once what it logged before. */
  look(job: Job): void {
    if (!this._curves.has(job.id) && job.started_at !== null) {
      this._curves.set(job.id, new Curve());
      void this.backfill(job);
    }
  }

  private onJobs(): void {
    for (const job of this.workbench.jobs.items) {
      const curve = this._curves.get(job.id);
      const name = chiefMetric(Object.keys(job.metrics));
      const value = name === null ? undefined : job.metrics[name];
      if (
        curve &&
        job.step !== null &&
        value !== undefined &&
        this._steps.get(job.id) !== job.step
      ) {
        this._steps.set(job.id, job.step);
        curve.add(job.step, 0, value);
        this.tell(job.id);
      }
    }
  }

  private async backfill(job: Job): Promise<void> {
    const curve = new Curve();
    let name: string | null = null;
    let offset = 0;
    try {
      for (let piece = 0; piece < MOST_PIECES; piece++) {
        const chunk = await this.workbench.api.jobMetrics(job.id, offset);
        for (const { rank, step, values } of chunk.points) {
          name ??= chiefMetric(Object.keys(values));
          const value = name === null ? undefined : values[name];
          if (rank === 0 && value !== undefined) {
            curve.add(step, 0, value);
          }
        }
        if (chunk.next_offset <= offset) {
          break;
        }
        offset = chunk.next_offset;
      }
    } catch {
      this._curves.delete(job.id); // The next look tries again.
      return;
    }
    this._curves.set(job.id, curve);
    this.tell(job.id);
  }

  private tell(id: string): void {
    const curve = this._curves.get(id);
    if (curve) {
      const [, values] = drawn(curve, 'step', POINTS);
      this._values.set(
        id,
        values.filter((value): value is number => value !== null)
      );
      this._changed.emit();
    }
  }

  private _changed = new Signal<this, void>(this);
  private readonly _curves = new Map<string, Curve>();
  private readonly _steps = new Map<string, number>();
  private readonly _values = new Map<string, readonly number[]>();
}

const NONE: readonly number[] = [];
