/** A stretch of the past as uPlot wants it: plain columns, `null` where nothing is known. No DOM. */

import type { IStretch } from '../model/timeline';

type Column = (number | null)[];

/** Which of a stretch's columns a line is drawn from. */
export interface ILine {
  /** Number of the metric. */
  readonly metric: number;
  readonly stretch: IStretch | null;
}

/** Steps without a sample after which a line is broken: nobody knows what was in between. */
const BROKEN_AFTER = 4;

/**
 * Times and the means of each line, then, with `band`, least and greatest of the first line.
 *
 * Lines of different subjects are put on the times of the first that has any; all are sampled
 * together.
 */
export function columnsOf(lines: readonly ILine[], step: number, band: boolean): Column[] {
  const first = lines.find(line => line.stretch?.times.length)?.stretch ?? null;
  const columns: Column[] = [[], ...lines.map(() => []), ...(band ? [[], []] : [])];
  if (!first) {
    return columns;
  }
  const sources: (Float32Array | undefined)[] = lines.map(one => one.stretch?.mean[one.metric]);
  const places: readonly (IStretch | null)[] = [
    ...lines.map(line => line.stretch),
    ...(band ? [first, first] : [])
  ];
  if (band) {
    sources.push(first.min[lines[0]?.metric ?? 0], first.max[lines[0]?.metric ?? 0]);
  }
  const cursors = places.map(() => 0);
  let before = NaN;
  for (const time of first.times) {
    if (time - before > BROKEN_AFTER * step) {
      columns[0]?.push(before + step);
      columns.slice(1).forEach(column => column.push(null));
    }
    before = time;
    columns[0]?.push(time);
    places.forEach((place, i) => {
      const value = valueAt(place, sources[i], cursors, i, time);
      columns[i + 1]?.push(Number.isNaN(value) ? null : value);
    });
  }
  return columns;
}

/** The value of a column at a time; `cursors` only move on, as times only grow. */
function valueAt(
  place: IStretch | null,
  values: Float32Array | undefined,
  cursors: number[],
  i: number,
  time: number
): number {
  if (!place || !values) {
    return NaN;
  }
  let at = cursors[i] ?? 0;
  while (at < place.times.length && (place.times[at] as number) < time) {
    at += 1;
  }
  cursors[i] = at;
  return place.times[at] === time ? (values[at] as number) : NaN;
}
