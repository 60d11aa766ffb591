/** What a chart of the dashboard draws now: columns of the pasts that are followed. No DOM. */

import { columnsOf } from '../chart/columns';
import type { IPicture } from '../chart/timechart';
import type { MetricId } from '../model/metrics';
import { indexOf } from '../model/metrics';
import { summaryOf } from '../model/timeline';
import type { DashboardModel } from './model';

/** Some metrics of one subject; `band` brings the spread within the steps of the first. */
export function pictureOf(
  model: DashboardModel,
  subject: string,
  metrics: readonly MetricId[],
  band: boolean
): IPicture {
  const line = model.past.line(subject);
  const stretch = line?.stretch() ?? null;
  const lines = metrics.map(metric => ({ metric: indexOf(metric), stretch }));
  const step = line?.step ?? model.range.step;
  return { columns: columnsOf(lines, step, band), ...model.window, step };
}

/**
 * Several slices as one: mean or sum; unknown where one of them is.
 */
export function togetherOf(
  model: DashboardModel,
  subjects: readonly string[],
  metrics: readonly MetricId[],
  how: 'mean' | 'sum'
): IPicture {
  const lines = subjects.map(subject => model.past.line(subject));
  const step = lines[0]?.step ?? model.range.step;
  const all = metrics.map(metric =>
    columnsOf(
      lines.map(line => ({ metric: indexOf(metric), stretch: line?.stretch() ?? null })),
      step,
      false
    )
  );
  const columns = all.map(([, ...parts]) =>
    (parts[0] ?? []).map((_, i) => {
      let sum = 0;
      for (const part of parts) {
        const value = part[i];
        if (value === null || value === undefined) {
          return null;
        }
        sum += value;
      }
      return how === 'sum' ? sum : sum / parts.length;
    })
  );
  return { columns: [all[0]?.[0] ?? [], ...columns], ...model.window, step };
}

/** Now, least, mean and most of a metric in the window; NaN where nothing is known. */
export function figuresOf(
  model: DashboardModel,
  subject: string,
  metric: MetricId
): { now: number; min: number; mean: number; max: number } {
  const line = model.past.line(subject);
  const { from, to } = model.window;
  if (!line) {
    return { now: NaN, min: NaN, mean: NaN, max: NaN };
  }
  const index = indexOf(metric);
  return { now: line.last(index), ...summaryOf(line.stretch(), index, from, to) };
}

/** Whether anything is known of one of these metrics in what is followed. */
export function known(
  model: DashboardModel,
  subject: string,
  metrics: readonly MetricId[]
): boolean {
  return metrics.some(metric => !Number.isNaN(figuresOf(model, subject, metric).mean));
}
