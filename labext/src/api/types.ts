/**
 * The words of the wire, as the rest of the extension uses them.
 *
 * Everything comes from the generated `schema.ts`; only what a generator can't know is added here:
 * which fields a body may leave out, and what the `data` of a live event is.
 */

import type {
  Ask,
  Cluster,
  Fleet,
  Job,
  Layout,
  Lease,
  NewCluster,
  NewSweep,
  JobSpec,
  Notice,
  Request,
  Resume,
  Status,
  Sweep as WireSweep,
  SweepRun as WireSweepRun
} from './schema';
import type { ITick } from './ticks';

export type { ITable, ITick } from './ticks';

export type {
  Board,
  Card,
  Cause,
  Checkpoint,
  Cluster,
  Fleet,
  Gpu,
  GpuSample,
  HardwareError,
  History,
  Job,
  JobSpec,
  Lease,
  Layout,
  LogChunk,
  LogMatches,
  MetricPoint,
  Looking,
  Notice,
  Pool,
  Problem,
  ProcessSample,
  Quota,
  RankView,
  Reason,
  Request,
  Sample,
  Series,
  SliceSample,
  SliceView,
  Status,
  WorkerView
} from './schema';

type Body<T, Needed extends keyof T> = Pick<T, Needed> & Partial<T>;

/** Body of `POST requests`. */
export type AskBody = Body<Ask, 'what'>;
/** Body of `POST clusters`. */
export type ClusterBody = Body<NewCluster, 'workers' | 'per_worker'>;
/** Body of `POST jobs`. */
export type JobBody = Body<JobSpec, 'ranks' | 'per_rank'>;

/** Values of any kind by name, which the generator takes for none. */
export type SweepRun = Omit<WireSweepRun, 'params'> & { params: Record<string, unknown> };
export type Sweep = Omit<WireSweep, 'runs'> & { runs: SweepRun[] };

/** Body of `POST sweeps`. */
export type SweepBody = Omit<NewSweep, 'runs'> & {
  runs: { params: Record<string, unknown>; spec: JobBody }[];
};

/** Body of `POST jobs/{id}/resume`. */
export type ResumeBody = Partial<Resume>;

/** A message of the WebSocket: `type` names what `data` is. */
export type WireEvent = Exclude<LiveEvent, { type: 'tick' }> | { type: 'layout'; data: Layout };

/** What the live connection tells: ticks are decoded, and their layouts are its own affair. */
export type LiveEvent =
  | { type: 'hello'; data: Status }
  | { type: 'fleet'; data: Fleet }
  | { type: 'request'; data: Request }
  | { type: 'lease'; data: Lease }
  | { type: 'cluster'; data: Cluster }
  | { type: 'job'; data: Job }
  | { type: 'sweep'; data: Sweep }
  | { type: 'tick'; data: ITick }
  | { type: 'notice'; data: Notice };
