/** Ticks and ranges of a chart's axes in the words of the rest of the product. No DOM. */

import type { Unit } from '../model/metrics';
import { written } from '../model/metrics';

const pad = (n: number): string => String(n).padStart(2, '0');

/** Labels of the time axis: as exact as the distance between two of them asks for. */
export function timeLabels(splits: readonly number[], distance: number): string[] {
  let day = '';
  return splits.map(split => {
    const date = new Date(split * 1000);
    const today = `${date.toLocaleDateString('en', { month: 'short' })} ${date.getDate()}`;
    const news = day !== '' && day !== today;
    day = today;
    if (distance >= 86_400 || (news && distance >= 3600)) {
      return today;
    }
    const clock = `${pad(date.getHours())}:${pad(date.getMinutes())}`;
    return distance < 60 ? `${clock}:${pad(date.getSeconds())}` : clock;
  });
}

/** A moment as a reading under the cursor shows it. */
export function momentOf(time: number, step: number): string {
  const date = new Date(time * 1000);
  const clock = `${pad(date.getHours())}:${pad(date.getMinutes())}`;
  const day = step >= 60 ? `${date.toLocaleDateString('en', { weekday: 'short' })} ` : '';
  return step < 60 ? `${clock}:${pad(date.getSeconds())}` : `${day}${clock}`;
}

/** From where to where a figure is drawn; shares always from 0 to 1, so that charts compare. */
export function valueRange(
  unit: Unit,
  most: number | null,
  limit: number | null
): [number, number] {
  if (unit === 'share') {
    return [0, 1];
  }
  if (limit !== null) {
    return [0, Math.max(limit * 1.04, most ?? 0)];
  }
  const floor: Partial<Record<Unit, number>> = { celsius: 60, watts: 100, mhz: 1000, rate: 1e6 };
  return [0, Math.max((most ?? 0) * 1.1, floor[unit] ?? 1)];
}

/** Distances between two labels of the value axis; `null` leaves them to uPlot. */
export function valueSteps(unit: Unit): number[] | null {
  const powers = (base: number, times: readonly number[], count: number): number[] =>
    Array.from({ length: count }, (_, i) => times.map(n => n * base ** i)).flat();
  switch (unit) {
    case 'bytes':
      return [0.1, 0.2, 0.5, ...powers(10, [1, 2, 4, 5], 4)].map(gb => gb * 2 ** 30);
    case 'share':
      return [0.25, 0.5];
    case 'count':
      return powers(10, [1, 2, 5], 9);
    default:
      return null;
  }
}

export function valueLabels(unit: Unit, splits: readonly (number | null)[]): string[] {
  return splits.map(split => (split === null ? '' : written(unit, split)));
}
