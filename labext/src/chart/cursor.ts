/**
 * The cursor that the charts of a group share, as keys lead it, and what the lines are at it.
 *
 * The mouse's cursor stays where the mouse is, whatever is drawn under it; the keys' stays at its point
 * and moves with it as the chart grows, so that the next key goes on from there.
 */

import uPlot from 'uplot';

import { pointAfter } from './keys';

/** What the lines are under the cursor, or newest where there is none. */
export interface IReading {
  readonly values: readonly (number | null)[];
  /** Whether anything is known in the stretch that is drawn. */
  readonly known: boolean;
  /** Where the cursor is, in the units of the chart's first axis; `null`: there is none. */
  readonly at: number | null;
  /** Place among the points, of so many. */
  readonly row: number;
  readonly rows: number;
}

/** Of each group the place where keys have led its cursor. */
const led = new Map<string, number>();

/** Leads the cursor of all charts of the group where the key says; whether it says anything. */
export function moveCursor(chart: uPlot, key: string, group: string): boolean {
  const [first, last] = chart.series[0]?.idxs ?? [0, -1];
  const place = led.get(group) ?? placeUnder(chart);
  const at = place === null ? null : chart.valToIdx(place);
  const next = last < first ? undefined : pointAfter(key, at, first, last);
  if (next === undefined) {
    return false;
  }
  if (next === null) {
    led.delete(group);
  } else {
    led.set(group, chart.data[0][next] ?? 0);
  }
  uPlot.sync(group).plots.forEach(one => put(one, led.get(group) ?? null));
  return true;
}

/** After a chart was drawn: the cursor that keys have led is at its point again. */
export function keepCursor(chart: uPlot, group: string): void {
  const place = led.get(group);
  if (place !== undefined) {
    put(chart, place);
  }
}

/** The mouse has taken the cursor over. */
export function leaveCursor(group: string): void {
  led.delete(group);
}

/** The values under the cursor, else the newest ones; over a gap that is drawn over, the last before. */
export function readingOf(chart: uPlot, lines: number): IReading {
  const places = chart.data[0];
  const at = placeUnder(chart);
  const row = at === null ? places.length - 1 : (chart.cursor.idx ?? 0);
  const values = Array.from({ length: lines }, (_, i) => {
    const column = chart.data[i + 1] ?? [];
    return chart.series[i + 1]?.spanGaps ? lastBefore(column, row) : (column[row] ?? null);
  });
  const known = chart.data.slice(1, lines + 1).some(column => isKnown(chart, column));
  return { values, known, at, row: Math.max(0, row), rows: places.length };
}

function isKnown(chart: uPlot, column: ArrayLike<number | null | undefined>): boolean {
  const [first, last] = chart.series[0]?.idxs ?? [0, -1];
  for (let at = last; at >= first; at--) {
    if (typeof column[at] === 'number') {
      return true;
    }
  }
  return false;
}

function placeUnder(chart: uPlot): number | null {
  const { idx, left } = chart.cursor;
  return typeof idx === 'number' && (left ?? -1) >= 0 ? (chart.data[0][idx] ?? null) : null;
}

function put(chart: uPlot, place: number | null): void {
  chart.setCursor(
    place === null ? { left: -1, top: -1 } : { left: chart.valToPos(place, 'x'), top: 1 }
  );
}

function lastBefore(column: ArrayLike<number | null | undefined>, row: number): number | null {
  for (let at = row; at >= 0; at--) {
    const value = column[at];
    if (value !== null && value !== undefined) {
      return value;
    }
  }
  return null;
}
