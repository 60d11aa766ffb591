/** Where the dashboard's figures come from: the live samples, and the server's history. */

import type { WorkbenchApi } from '../api/rest';
import type { Gpu, ProcessSample } from '../api/types';
import type { MetricId } from '../model/metrics';
import type { ILook, IPastAnswer, IPastColumn, ReadPast } from '../model/past';
import type { Telemetry } from '../model/telemetry';
import type { Workbench } from '../model/workbench';

/** Ask for every metric of one GPU beside the fleet's few. */
export function look(_workbench: Workbench, _gpu: string | null): void {}

export function lookOf(telemetry: Telemetry): ILook {
  return {
    time: telemetry.time,
    value: (subject, metric) => {
      const reading = telemetry.latest(subject);
      const value = { activity: reading?.activity, memory_bytes: reading?.memory }[
        metric as 'activity' | 'memory_bytes'
      ];
      return value ?? NaN;
    }
  };
}

export function readPast(api: WorkbenchApi): ReadPast {
  return async (subjects, from, to) => {
    const answers = await Promise.all(
      subjects.map(subject => api.history(subject, Math.max(1, to - from)))
    );
    const known = (values: readonly (number | null)[]): number[] => values.map(v => v ?? NaN);
    return {
      times: answers[0]?.times ?? [],
      column: (subject: string, metric: MetricId): IPastColumn | null => {
        const found = answers.find(one => one.subject === subject);
        const values = { activity: found?.activity, memory_bytes: found?.memory_bytes }[
          metric as 'activity' | 'memory_bytes'
        ];
        const column = values ? known(values) : null;
        return column && { mean: column, min: column, max: column };
      }
    } satisfies IPastAnswer;
  };
}

/** When each GPU last worked between two times; GPUs that did not are at `from`. */
export async function lastBusy(
  _api: WorkbenchApi,
  _from: number,
  _to: number
): Promise<ReadonlyMap<string, number>> {
  return new Map();
}

/** Whether a process runs on this GPU. */
export function onGpu(process: ProcessSample, gpu: Gpu): boolean {
  return gpu.segments.some(one => one.slice_id !== null && one.slice_id === process.slice_id);
}

/** Whether it runs on a GPU that it has no lease for. */
export function isStranger(process: ProcessSample): boolean {
  return process.lease_id === null;
}
