/**
 * What runs on the GPUs as far as one may see it, read again and again while somebody watches. No DOM.
 *
 * Processes are not in the live ticks: of one that is picked for the charts the newest figures are
 * those of the last read, and unknown once it has ended or nothing could be read.
 */

import type { TranslationBundle } from '@jupyterlab/translation';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import type { ApiError } from '../api/errors';
import { asApiError } from '../api/errors';
import type { ProcessSample } from '../api/types';
import type { MetricId } from '../model/metrics';

/** Milliseconds between two reads. */
const EVERY = 2000;
/** Figures that are older, since nobody looked, are not those of now. */
const STALE = 3 * EVERY;
/** What the subject of a process's past begins with; its pid follows. */
const PROCESS = 'process:';

/** A process whose past is shown. */
export interface IPicked {
  readonly subject: string;
  /** As it was listed last; `null` where it had ended before this window looked. */
  readonly last: ProcessSample | null;
  readonly ended: boolean;
}

export function isProcess(subject: string): boolean {
  return subject.startsWith(PROCESS);
}

/** Several may run for one notebook, so the pid is told, too. */
export function processName(trans: TranslationBundle, picked: IPicked): string {
  const pid = picked.subject.slice(PROCESS.length).split('@')[0] ?? '';
  const { last } = picked;
  return last ? trans.__('%1 (process %2)', last.name, pid) : trans.__('Process %1', pid);
}

export class ProcessList {
  /** @param wanted whether to read now: not of a dashboard that is hidden or held still */
  constructor(
    private readonly read: () => Promise<ProcessSample[]>,
    private readonly wanted: () => boolean
  ) {}

  /** Something was read. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** `null` before the first read. */
  get items(): readonly ProcessSample[] | null {
    return this._items;
  }

  /** Why the last read failed; `null` when it did not. */
  get problem(): ApiError | null {
    return this._problem;
  }

  find(subject: string): ProcessSample | null {
    return this._items?.find(one => one.subject === subject) ?? null;
  }

  /** A figure of the last read; NaN is unknown. */
  value(subject: string, metric: MetricId): number {
    const stale = this._problem !== null || Date.now() - this._readAt > STALE;
    const one = stale ? null : this.find(subject);
    const value =
      metric === 'activity' ? one?.activity : metric === 'memory_bytes' ? one?.memory_bytes : null;
    return value ?? NaN;
  }

  /** Read from now on, until what is returned is called. */
  watch(): () => void {
    let gone = false;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const next = async (): Promise<void> => {
      if (this.wanted()) {
        try {
          this._items = await this.read();
          this._problem = null;
          this._readAt = Date.now();
        } catch (reason) {
          this._problem = asApiError(reason);
        }
        this._changed.emit();
      }
      if (!gone) {
        timer = setTimeout(() => void next(), EVERY);
      }
    };
    void next();
    return () => {
      gone = true;
      clearTimeout(timer);
    };
  }

  private _changed = new Signal<this, void>(this);
  private _items: readonly ProcessSample[] | null = null;
  private _problem: ApiError | null = null;
  private _readAt = 0;
}
