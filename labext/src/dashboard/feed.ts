/** Where the dashboard's figures come from: the live ticks, and the server's history. */

import type { WorkbenchApi } from '../api/rest';
import type { Gpu, History, ProcessSample, Series } from '../api/types';
import type { MetricId } from '../model/metrics';
import type { ILook, IPastAnswer, IPastColumn, ReadPast } from '../model/past';
import type { Telemetry } from '../model/telemetry';
import type { ProcessList } from './processlist';
import { isProcess } from './processlist';

/** The most points that the server gives for a series. */
const MOST_POINTS = 2000;
/** From this share of a step on a GPU has worked in it. */
const WORKED = 0.02;
/** Steps in which is looked for a GPU's last work. */
const STEPS = 15;

/** The newest figures; they change with the next tick. */
export function lookOf(telemetry: Telemetry, processes?: ProcessList): ILook {
  return {
    time: telemetry.time,
    value: (subject, metric) => {
      if (processes && isProcess(subject)) {
        return processes.value(subject, metric);
      }
      if (metric !== 'throttled') {
        return telemetry.value(subject, metric);
      }
      const reasons = telemetry.value(subject, 'throttle');
      return Number.isNaN(reasons) ? NaN : reasons > 0 ? 1 : 0;
    },
    lost: subject => telemetry.labels(subject, 'state')?.[0] === 'lost'
  };
}

export function readPast(api: WorkbenchApi): ReadPast {
  return async (subjects, from, to, points) =>
    answerOf(await api.past(subjects, from, to, Math.min(points, MOST_POINTS)));
}

function answerOf({ step, times, series }: History): IPastAnswer {
  const found = new Map(series.map(one => [`${one.subject} ${one.metric}`, one]));
  return {
    step,
    times,
    column: (subject: string, metric: MetricId): IPastColumn | null => {
      const one = found.get(`${subject} ${metric}`);
      return one ? columnOf(one) : null;
    }
  };
}

function columnOf({ mean, min, max }: Series): IPastColumn {
  const known = (values: readonly (number | null)[]): number[] => values.map(v => v ?? NaN);
  const middle = known(mean);
  return { mean: middle, min: min ? known(min) : middle, max: max ? known(max) : middle };
}

/**
 * Since when each GPU does nothing, as far as can be told from the time between `from` and `to`: a
 * GPU that did not work at all has been still since `from` at least. GPUs of which nothing is known
 * are left out.
 */
export async function stillSince(
  api: WorkbenchApi,
  from: number,
  to: number
): Promise<ReadonlyMap<string, number>> {
  const { times, step, series } = await api.past(['gpus'], from, to, STEPS, ['activity']);
  const found = new Map<string, number>();
  for (const { subject, mean, max } of series) {
    const known = mean.findIndex(value => value !== null);
    const worked = (max ?? mean).map(value => (value ?? 0) >= WORKED).lastIndexOf(true);
    if (known >= 0) {
      found.set(subject, worked >= 0 ? (times[worked] ?? to) + step : (times[known] ?? to));
    }
  }
  return found;
}

/** Whether a process runs on this GPU. */
export function onGpu(process: ProcessSample, gpu: Gpu): boolean {
  const slices = gpu.segments.map(one => one.slice_id);
  return (
    process.gpu === gpu.uuid || (process.slice_id !== null && slices.includes(process.slice_id))
  );
}
