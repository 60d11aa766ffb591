/** What can be said of a sweep from what the server tells of it and of its jobs. No DOM. */

import type { TranslationBundle } from '@jupyterlab/translation';

import type { Job, JobBody, Sweep, SweepBody, SweepRun } from '../api/types';
import type { IParameter } from './grid';
import { argsWith, pointsOf, pointWords } from './grid';
import { figure, jobIsOver } from './jobs';

/** The form's part about a sweep, as typed. */
export interface ISweepFields {
  readonly params: readonly IParameter[];
  readonly atMost: string;
  /** Empty: the loss. */
  readonly metric: string;
  readonly goal: Sweep['goal'];
}

export const NEW_SWEEP: ISweepFields = {
  params: [{ name: '', values: '' }],
  atMost: '4',
  metric: '',
  goal: 'min'
};

/** What is posted: one job for each combination; null where a row is not whole yet. */
export function sweepBody(job: JobBody, fields: ISweepFields): SweepBody | null {
  const points = pointsOf(fields.params);
  const script = job.script?.split('/').at(-1) ?? '';
  const name = job.name ?? script;
  return (
    points && {
      name,
      at_most: Number(fields.atMost),
      metric: fields.metric.trim() || null,
      goal: fields.goal,
      runs: points.map(point => ({
        params: { ...point },
        spec: {
          ...job,
          name: `${name} ${pointWords(point)}`,
          args: argsWith(job.args ?? [], point)
        }
      }))
    }
  );
}

export function sweepIsOver(sweep: Sweep): boolean {
  return sweep.state !== 'running';
}

/** The names of all parameters, in the order in which they were said. */
export function parameters(sweep: Sweep): string[] {
  return [...new Set(sweep.runs.flatMap(run => Object.keys(run.params)))];
}

/** What its runs are judged by: as it was ordered, else what they return, else their loss. */
export function judgedBy(sweep: Sweep, jobs: readonly (Job | undefined)[]): string {
  return sweep.metric ?? (jobs.some(job => job && 'result' in job.metrics) ? 'result' : 'loss');
}

/** A run as it is now: while it goes on its job knows more than the sweep does. */
export interface ISeenRun extends SweepRun {
  readonly job: Job | undefined;
}

export function seenRuns(sweep: Sweep, jobOf: (id: string) => Job | undefined): ISeenRun[] {
  const jobs = sweep.runs.map(run => (run.job_id === null ? undefined : jobOf(run.job_id)));
  const metric = judgedBy(sweep, jobs);
  return sweep.runs.map((run, i) => {
    const job = jobs[i];
    return job && !jobIsOver(job)
      ? { ...run, job, state: job.state, step: job.step, value: job.metrics[metric] ?? null }
      : { ...run, job };
  });
}

/** "5 of 6 over, 1 failed". */
export function countWords(trans: TranslationBundle, sweep: Sweep): string {
  const going = sweep.runs.filter(run => run.job_id !== null && !ended(run));
  const over = sweep.runs.filter(ended).length;
  const bad = sweep.runs.filter(run => ['failed', 'lost', 'refused'].includes(run.state)).length;
  return [
    trans.__('%1 of %2 over', over, sweep.runs.length),
    going.length ? trans.__('%1 going on', going.length) : '',
    bad ? trans.__('%1 failed', bad) : ''
  ]
    .filter(Boolean)
    .join(', ');
}

/** "lr=0.1 width=32: 0.312", of the best run of those that ended well. */
export function bestWords(sweep: Sweep): string {
  const best = sweep.best === null ? undefined : sweep.runs[sweep.best];
  return best && best.value !== null ? `${pointWords(best.params)}: ${figure(best.value)}` : '';
}

/** The jobs whose curves say most: those with the best values, then those that run. */
export function tellingJobs(sweep: Sweep, runs: readonly ISeenRun[], most: number): string[] {
  const sign = sweep.goal === 'min' ? 1 : -1;
  return runs
    .filter(run => run.job && run.job.started_at !== null)
    .sort((a, b) => sign * ((a.value ?? sign * Infinity) - (b.value ?? sign * Infinity)) || 0)
    .slice(0, most)
    .map(run => run.job_id as string);
}

/** Runs by a column: numbers by size, words by letter, what is not known last. */
export function sortedRuns(
  runs: readonly ISeenRun[],
  read: (run: ISeenRun) => unknown,
  down: boolean
): ISeenRun[] {
  const sign = down ? -1 : 1;
  const known = (run: ISeenRun): boolean => read(run) !== null && read(run) !== undefined;
  return [...runs].sort((a, b) => {
    if (!known(a) || !known(b)) {
      return Number(known(b)) - Number(known(a)) || a.number - b.number;
    }
    const [x, y] = [read(a), read(b)];
    const order =
      typeof x === 'number' && typeof y === 'number' ? x - y : String(x).localeCompare(String(y));
    return sign * order || a.number - b.number;
  });
}

function ended(run: SweepRun): boolean {
  return ['succeeded', 'failed', 'stopped', 'lost', 'refused'].includes(run.state);
}
