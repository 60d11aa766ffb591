/**
 * One job as its page shows it: the job itself, its curves, checkpoints and spec. No DOM.
 *
 * The job's events say when there is something to read: each brings the metrics that were logged
 * since. A page that nobody sees reads nothing; when it is shown again it goes on where it was.
 */

import type { IDisposable } from '@lumino/disposable';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import type { ApiError } from '../api/errors';
import { asApiError } from '../api/errors';
import type { Checkpoint, History, Job, JobSpec } from '../api/types';
import type { IRun } from '../model/curves';
import { before, Curves } from '../model/curves';
import { jobIsOver } from '../model/jobs';
import type { Workbench } from '../model/workbench';
import { readEarlier } from './lineage';

export const TABS = ['metrics', 'logs', 'ranks', 'checkpoints', 'spec'] as const;
export type Tab = (typeof TABS)[number];

/** What a page shows of a job; goes into the saved layout. */
export interface IShown {
  readonly id: string;
  readonly tab: Tab;
  readonly rank: number | null;
}

/** Milliseconds between two reads of what the GPUs did, while the job runs. */
const GPU_EVERY = 5000;
const GPU_POINTS = 400;
const RETRY = 5000;

export class JobModel implements IDisposable {
  constructor(
    readonly workbench: Workbench,
    shown: Partial<IShown> & { id: string }
  ) {
    this._shown = { tab: 'metrics', rank: null, ...shown };
    this._told = this._seen = workbench.jobs.get(shown.id) ?? null;
    workbench.jobs.changed.connect(this.onJobs, this);
  }

  readonly curves = new Curves();

  /** What the runs before it logged, where it was resumed and that is read. */
  get earlier(): Curves | null {
    return this._earlier;
  }

  /** Metrics of this run; before it has any, those of the runs before. */
  get names(): readonly string[] {
    return this.curves.names.length ? this.curves.names : (this._earlier?.names ?? []);
  }

  /** What was there of a metric before this run: below its first step. Null where nothing was. */
  before(name: string): IRun | null {
    const rank = this._earlier?.ranks(name)[0];
    const curve = rank === undefined ? null : (this._earlier?.curve(name, rank) ?? null);
    const found = curve && before(curve, this.resumedAt ?? Infinity);
    return found?.steps.length ? found : null;
  }

  /** The first step that this run logged, where it went on from another; null before that. */
  get resumedAt(): number | null {
    const { names } = this.curves;
    const first = names.flatMap(name =>
      this.curves.ranks(name).map(rank => this.curves.curve(name, rank)?.steps[0] ?? Infinity)
    );
    return this.job?.resumed_from && first.length ? Math.min(...first) : null;
  }

  /** The job, what is shown of it, checkpoints, spec, a problem. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** Curves or what the GPUs did. */
  get drawn(): ISignal<this, void> {
    return this._drawn;
  }

  get id(): string {
    return this._shown.id;
  }

  get shown(): IShown {
    return this._shown;
  }

  /** Null before the first answer. */
  get job(): Job | null {
    return this.workbench.jobs.get(this.id) ?? this._told;
  }

  /** Why there is nothing to show. */
  get problem(): ApiError | null {
    return this.job ? null : this._problem;
  }

  /** Newest first; null before the first answer. */
  get checkpoints(): readonly Checkpoint[] | null {
    return this._checkpoints;
  }

  /** The one that a resume begins with. */
  get newestWhole(): Checkpoint | null {
    return this._checkpoints?.find(one => one.whole) ?? null;
  }

  get spec(): JobSpec | null {
    return this._spec;
  }

  /** What its slices did while it ran. */
  get gpu(): History | null {
    return this._gpu;
  }

  get isDisposed(): boolean {
    return this._disposed;
  }

  show(change: Partial<Omit<IShown, 'id'>>): void {
    this._shown = { ...this._shown, ...change };
    this._changed.emit();
    this.readTab();
  }

  activate(awake: boolean): void {
    if (awake === this._awake) {
      return;
    }
    this._awake = awake;
    clearTimeout(this._gpuTimer);
    clearTimeout(this._retry);
    if (awake) {
      void this.readAll();
    }
    this._changed.emit();
  }

  /** Whether somebody looks. */
  get awake(): boolean {
    return this._awake;
  }

  /** Read what has no events again. */
  async readAll(): Promise<void> {
    try {
      if (!this.workbench.jobs.get(this.id)) {
        this._told = await this.workbench.api.job(this.id);
      }
      this._problem = null;
    } catch (reason) {
      this._problem = asApiError(reason);
    }
    if (this._disposed) {
      return;
    }
    this._changed.emit();
    if (this._problem?.temporary) {
      this._retry = setTimeout(() => void this.readAll(), RETRY);
    } else if (!this._problem) {
      this.readTab();
      void this.readPoints();
      void this.readGpu();
    }
  }

  /** Read what the runs before logged, where it went on from one; once, as they log no more. */
  async lookBack(): Promise<void> {
    const { job, workbench } = this;
    if (this._earlier === null && job?.resumed_from) {
      this._earlier = new Curves();
      this._earlier = await readEarlier(workbench.api, job, id => workbench.jobs.get(id));
      if (!this._disposed) {
        this._drawn.emit();
      }
    }
  }

  async readCheckpoints(): Promise<void> {
    try {
      const found = await this.workbench.api.jobCheckpoints(this.id);
      this._checkpoints = [...found].reverse();
    } catch {
      this._checkpoints ??= []; // The tab says that none are known.
    }
    this.tell();
  }

  dispose(): void {
    if (!this._disposed) {
      this._disposed = true;
      this._awake = false;
      clearTimeout(this._gpuTimer);
      clearTimeout(this._retry);
      this.workbench.jobs.changed.disconnect(this.onJobs, this);
      Signal.clearData(this);
    }
  }

  private onJobs(): void {
    const job = this.workbench.jobs.get(this.id) ?? null;
    if (job === this._seen) {
      return;
    }
    const ended = job !== null && jobIsOver(job) && !(this._seen && jobIsOver(this._seen));
    const started = Boolean(job?.started_at) && !this._seen?.started_at;
    this._seen = job;
    this._told = job ?? this._told;
    this._changed.emit();
    if (this._awake) {
      void this.readPoints();
      if (started || ended) {
        void this.readGpu();
      }
      if (ended) {
        void this.readCheckpoints();
      }
    }
  }

  private readTab(): void {
    if (!this._awake) {
      return;
    }
    const failed = this.job !== null && jobIsOver(this.job);
    if (this._shown.tab === 'checkpoints' || (failed && this._checkpoints === null)) {
      void this.readCheckpoints();
    }
    if (this._spec === null) {
      void this.readSpec();
    }
  }

  private async readSpec(): Promise<void> {
    try {
      this._spec = await this.workbench.api.jobSpec(this.id);
      this.tell();
    } catch {
      // The tab says so; it is asked again when the page is shown again.
    }
  }

  /** All points since the last read; one read at a time. */
  private async readPoints(): Promise<void> {
    if (this._reading) {
      this._more = true;
      return;
    }
    this._reading = true;
    try {
      do {
        this._more = false;
        const chunk = await this.workbench.api.jobMetrics(this.id, this._offset);
        if (this._disposed) {
          return;
        }
        if (chunk.next_offset > this._offset) {
          this._offset = chunk.next_offset;
          if (chunk.anew) {
            this.curves.clear();
          }
          this.curves.take(chunk.points);
          this._drawn.emit();
          this._more = true;
        }
      } while (this._more && this._awake);
    } catch {
      // The job's next event reads again.
    }
    this._reading = false;
  }

  private async readGpu(): Promise<void> {
    clearTimeout(this._gpuTimer);
    const job = this.job;
    if (!job || job.started_at === null || !this._awake) {
      return;
    }
    const to = (job.ended_at ?? this.workbench.clock.now) + 1;
    try {
      const subject = `lease:${job.request_id ?? job.lease_id ?? 0}`;
      this._gpu = await this.workbench.api.past([subject], job.started_at, to, GPU_POINTS, [
        'activity',
        'memory_bytes'
      ]);
    } catch {
      this._gpu ??= null; // Of a lease that ended long ago nothing is known.
    }
    if (!this._disposed) {
      this._drawn.emit();
      if (this._awake && !jobIsOver(job)) {
        this._gpuTimer = setTimeout(() => void this.readGpu(), GPU_EVERY);
      }
    }
  }

  private tell(): void {
    if (!this._disposed) {
      this._changed.emit();
    }
  }

  private _awake = false;
  private _changed = new Signal<this, void>(this);
  private _checkpoints: readonly Checkpoint[] | null = null;
  private _disposed = false;
  private _drawn = new Signal<this, void>(this);
  private _earlier: Curves | null = null;
  private _gpu: History | null = null;
  private _gpuTimer: ReturnType<typeof setTimeout> | undefined;
  private _more = false;
  private _offset = 0;
  private _problem: ApiError | null = null;
  private _reading = false;
  private _retry: ReturnType<typeof setTimeout> | undefined;
  /** The job's newest state that was told. */
  private _seen: Job | null;
  private _shown: IShown;
  private _spec: JobSpec | null = null;
  private _told: Job | null;
}

/** What a layout or a command says of a page; odd values are left out. */
export function shownOf(args: Readonly<Record<string, unknown>>): Partial<Omit<IShown, 'id'>> {
  const { tab, rank } = args;
  return {
    ...(TABS.includes(tab as Tab) ? { tab: tab as Tab } : {}),
    ...(typeof rank === 'number' ? { rank } : {})
  };
}
