/**
 * What a cluster comes to: its workers with their slices' figures, sums, and how far its start is.
 *
 * Pure; no words for people. Unknown stays unknown, never 0.
 */

import type { Cluster, Lease, WorkerView } from '../api/types';
import type { Telemetry } from './telemetry';

export function clusterIsOver(cluster: Cluster): boolean {
  return cluster.state === 'ended' || cluster.state === 'failed';
}

/** A worker with what its slice does; memory in bytes. */
export interface IWorkerLoad {
  readonly worker: WorkerView;
  /** Of the slice's activity, 0..1. */
  readonly activity: number | null;
  readonly memory: number | null;
  readonly memoryTotal: number;
  readonly host: number | null;
  readonly hostTotal: number | null;
}

export function workerLoad(worker: WorkerView, telemetry: Telemetry): IWorkerLoad {
  const slice = telemetry.latest(worker.slice_id);
  return {
    worker,
    activity: slice?.activity ?? null,
    memory: slice?.memory ?? null,
    memoryTotal: worker.slice_bytes,
    host: worker.host_bytes,
    hostTotal: worker.host_limit_bytes
  };
}

/** All workers taken together. */
export interface IClusterLoad {
  /** Mean over the workers that told. */
  readonly activity: number | null;
  readonly memory: number | null;
  readonly memoryTotal: number;
  readonly host: number | null;
  readonly hostTotal: number | null;
  /** Bytes of results on the disk. */
  readonly spilled: number | null;
  /** Results that lie on workers. */
  readonly results: number | null;
}

export function clusterLoad(workers: readonly IWorkerLoad[]): IClusterLoad {
  const activity = known(workers.map(one => one.activity));
  return {
    activity: activity.length ? total(activity) / activity.length : null,
    memory: sum(workers.map(one => one.memory)),
    memoryTotal: total(workers.map(one => one.memoryTotal)),
    host: sum(workers.map(one => one.host)),
    hostTotal: sum(workers.map(one => one.hostTotal)),
    spilled: sum(workers.map(one => one.worker.spilled_bytes)),
    results: sum(workers.map(one => one.worker.results))
  };
}

/** How far it is on the way to the workers that are wanted; `null` where all are there. */
export function progressOf(cluster: Cluster): { leased: number; ready: number; of: number } | null {
  const of = cluster.workers_wanted;
  const ready = readyWorkers(cluster);
  const over = clusterIsOver(cluster) || cluster.state === 'stopping';
  return over || ready >= of ? null : { leased: Math.min(of, cluster.leases.length), ready, of };
}

export function readyWorkers(cluster: Cluster): number {
  return cluster.workers.filter(one => one.state === 'running').length;
}

/** Whether ending it, or its workers, would lose work: tasks that are not done, results that lie there. */
export function worksNow(cluster: Cluster): boolean {
  const results = sum(cluster.workers.map(one => one.results));
  return (cluster.tasks ?? 0) > 0 || (results ?? 0) > 0;
}

/** When its first lease ends, in seconds since the epoch; `null` where it holds none. */
export function endsAt(cluster: Cluster, leases: (id: number) => Lease | undefined): number | null {
  const ends = cluster.leases.flatMap(id => leases(id)?.ends_at ?? []);
  return ends.length ? Math.min(...ends) : null;
}

function known(values: readonly (number | null)[]): number[] {
  return values.filter((value): value is number => value !== null);
}

function total(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0);
}

function sum(values: readonly (number | null)[]): number | null {
  const there = known(values);
  return there.length ? total(there) : null;
}
