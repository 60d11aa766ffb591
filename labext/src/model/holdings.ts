/**
 * What I hold, as people see it: a cluster's leases, one for each worker, are one thing; and what I
 * held until lately. Pure.
 */

import type { Lease } from '../api/types';
import { leaseOf, nameOf, samePath } from './paths';

/** Seconds; a night. */
const LATELY = 12 * 3600;

export interface IHolding {
  /** The lease; of a cluster, all of them as if they were one that ends with the first. */
  readonly lease: Lease;
  readonly ids: readonly number[];
  /** Id of the cluster that they are for. */
  readonly cluster: string | null;
}

/** In the order of the leases that come first. */
export function holdingsOf(leases: readonly Lease[]): IHolding[] {
  const groups = new Map<string, Lease[]>();
  for (const lease of leases) {
    const cluster = lease.holder?.kind === 'cluster' ? lease.holder.id : null;
    const key = cluster ?? `lease ${lease.id}`;
    groups.set(key, [...(groups.get(key) ?? []), lease]);
  }
  return [...groups].map(([key, [first, ...others]]) => {
    const lease = first as Lease; // No group is empty.
    const all = [lease, ...others];
    const cluster = lease.holder?.kind === 'cluster' ? key : null;
    return {
      lease: others.length
        ? {
            ...lease,
            slices: all.flatMap(one => one.slices),
            ends_at: Math.min(...all.map(one => one.ends_at))
          }
        : lease,
      ids: all.map(one => one.id),
      cluster
    };
  });
}

/**
 * Of leases that are over, newest first, those that a notebook lost in the last hours and that
 * nobody has replaced since.
 */
export function takenLately(
  past: readonly Lease[],
  held: readonly Lease[],
  now: number
): readonly Lease[] {
  const lately = past.filter(one => (one.ended_at ?? 0) > now - LATELY);
  return lately.filter(
    (one, at) =>
      (one.end_reason ?? 'released') !== 'released' &&
      leaseOf(nameOf(one), held) === null &&
      !lately.slice(0, at).some(newer => samePath(nameOf(newer), nameOf(one)))
  );
}
