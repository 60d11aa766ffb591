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
  Lease,
  NewCluster,
  NewJob,
  Notice,
  Request,
  Sample,
  Status
} from './schema';

export type {
  Card,
  Cluster,
  Fleet,
  Gpu,
  GpuSample,
  History,
  Job,
  Lease,
  LogChunk,
  Notice,
  Pool,
  Problem,
  ProcessSample,
  Quota,
  RankView,
  Reason,
  Request,
  Sample,
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
export type JobBody = Body<NewJob, 'ranks' | 'per_rank'>;

/** A message of the WebSocket: `type` names what `data` is. */
export type LiveEvent =
  | { type: 'hello'; data: Status }
  | { type: 'fleet'; data: Fleet }
  | { type: 'request'; data: Request }
  | { type: 'lease'; data: Lease }
  | { type: 'cluster'; data: Cluster }
  | { type: 'job'; data: Job }
  | { type: 'sample'; data: Sample }
  | { type: 'notice'; data: Notice };
