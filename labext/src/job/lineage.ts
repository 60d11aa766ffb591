/**
 * What the runs before logged, up to the checkpoint that a job goes on from: read once, while somebody
 * looks at its curves. No DOM.
 */

import type { WorkbenchApi } from '../api/rest';
import type { Job } from '../api/types';
import { Curves } from '../model/curves';

/** Runs before that are read. */
const MOST_RUNS = 20;

/** As one curve for each metric: a run that went on replaces what the one before it had from there. */
export async function readEarlier(
  api: WorkbenchApi,
  job: Job,
  known: (id: string) => Job | undefined
): Promise<Curves> {
  const chain: string[] = [];
  for (let id = job.resumed_from; id !== null && chain.length < MOST_RUNS;) {
    if (chain.includes(id)) {
      break;
    }
    chain.unshift(id);
    id = (known(id) ?? (await orNull(api.job(id))))?.resumed_from ?? null;
  }
  const curves = new Curves();
  for (const id of chain) {
    let chunk = await orNull(api.jobMetrics(id, 0));
    for (let offset = 0; chunk && chunk.next_offset > offset;) {
      curves.take(chunk.points);
      offset = chunk.next_offset;
      chunk = await orNull(api.jobMetrics(id, offset));
    }
  }
  return curves;
}

/** Of a run long ago the record or the files may be gone. */
async function orNull<T>(read: Promise<T>): Promise<T | null> {
  try {
    return await read;
  } catch {
    return null;
  }
}
