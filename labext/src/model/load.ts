/** The load of a lease: its slices taken together. Unknown stays unknown. */

import type { Lease } from '../api/types';
import type { IColumns, Telemetry } from './telemetry';

export interface ILoad {
  /** Mean over the slices, 0..1. */
  readonly activity: number | null;
  /** Sum over the slices, bytes. */
  readonly memory: number | null;
  readonly memoryTotal: number;
  /** The last two minutes; put together only where they are drawn. */
  columns(): IColumns;
}

export function loadOf(lease: Lease, telemetry: Telemetry): ILoad {
  const readings = lease.slices.map(slice => telemetry.latest(slice.id));
  // Asked for also where nobody draws, so that it is kept.
  const past = lease.slices.map(slice => telemetry.columns(slice.id));
  return {
    activity: mean(readings.map(one => one?.activity ?? null)),
    memory: sum(readings.map(one => one?.memory ?? null)),
    memoryTotal: lease.slices.reduce((total, slice) => total + slice.memory_bytes, 0),
    columns: () => (past.length === 1 && past[0] ? past[0] : together(past))
  };
}

/** Slices of one lease are sampled together: rows are matched from the newest backwards. */
function together(parts: readonly IColumns[]): IColumns {
  const length = Math.min(...parts.map(part => part.times.length));
  const first = parts[0];
  if (!first || length === 0) {
    return { times: [], activity: [], memory: [] };
  }
  const at = (values: readonly (number | null)[], i: number): number | null =>
    values[values.length - length + i] ?? null;
  const rows = Array.from({ length }, (_, i) => i);
  return {
    times: first.times.slice(-length),
    activity: rows.map(i => mean(parts.map(part => at(part.activity, i)))),
    memory: rows.map(i => sum(parts.map(part => at(part.memory, i))))
  };
}

function known(values: readonly (number | null)[]): number[] {
  return values.filter((value): value is number => value !== null);
}

function sum(values: readonly (number | null)[]): number | null {
  const there = known(values);
  return there.length ? there.reduce((a, b) => a + b, 0) : null;
}

function mean(values: readonly (number | null)[]): number | null {
  const there = known(values);
  return there.length ? there.reduce((a, b) => a + b, 0) / there.length : null;
}
