/** What can be said of a job from what the server tells: over or not, how long, what next. No DOM. */

import type { TranslationBundle } from '@jupyterlab/translation';

import type { Job, Request } from '../api/types';
import { countdown, expected, profileName } from './words';

const OVER: readonly Job['state'][] = ['succeeded', 'failed', 'stopped', 'lost'];

export function jobIsOver(job: Job): boolean {
  return OVER.includes(job.state);
}

/** Seconds it has run, or ran; null before it started. */
export function elapsed(job: Job, now: number): number | null {
  if (job.started_at === null) {
    return null;
  }
  return Math.max(0, (job.ended_at ?? now) - job.started_at);
}

/** "2 × 1/4 GPU". */
export function sizeWords(job: Job): string {
  return `${job.ranks.length} × ${profileName(job.per_rank)}`;
}

/** The metric that stands for the whole run: the loss, else any. */
export function chiefMetric(names: readonly string[]): string | null {
  return (
    names.find(name => name === 'loss') ??
    names.find(name => /loss/i.test(name)) ??
    names[0] ??
    null
  );
}

/** A value with four digits, as short as it can be written. */
export function figure(value: number): string {
  if (Number.isNaN(value)) {
    return '–';
  }
  const size = Math.abs(value);
  return size !== 0 && (size >= 1e6 || size < 1e-4)
    ? value.toExponential(2)
    : String(Number(value.toPrecision(4)));
}

/** "step 410 · loss 0.312". */
export function progress(job: Job, stepWord: string): string {
  const parts = job.step === null ? [] : [`${stepWord} ${job.step}`];
  const name = chiefMetric(Object.keys(job.metrics));
  const value = name === null ? undefined : job.metrics[name];
  if (name !== null && value !== undefined) {
    parts.push(`${name} ${figure(value)}`);
  }
  return parts.join(' · ');
}

/** Why it does not run yet: position, when, and what for. */
export function waitWords(
  trans: TranslationBundle,
  job: Job,
  request: Request | undefined,
  now: number
): string {
  if (!request) {
    return job.message;
  }
  const parts = [
    request.position === null ? '' : trans.__('Position %1', request.position),
    request.expected_at === null ? '' : expected(trans, request.expected_at, now)
  ].filter(Boolean);
  const reason = request.reason?.sentence ?? '';
  return [parts.join(', '), reason].filter(Boolean).join(': ');
}

/** The rank that people want to see first: the one that failed first, else the first one. */
export function telling(job: Job): number {
  const failed = job.ranks.find(one => one.state === 'failed');
  return job.cause?.rank ?? failed?.rank ?? 0;
}

/** All ranks, the telling one first. */
export function ranksInOrder(job: Job): number[] {
  const first = telling(job);
  const others = job.ranks.map(one => one.rank).filter(rank => rank !== first);
  return [first, ...others];
}

/** "1:23:10"; a dash before it started. */
export function elapsedWords(job: Job, now: number): string {
  const seconds = elapsed(job, now);
  return seconds === null ? '–' : countdown(seconds);
}

/** Whether it runs a notebook, and the file name of what it leaves; null for other jobs. */
export function notebookOf(job: Job): string | null {
  const script = job.command.find(word => word.endsWith('.ipynb'));
  if (script === undefined) {
    return null;
  }
  const stem = (script.split('/').at(-1) ?? '').replace(/\.ipynb$/, '');
  return `${stem}-${job.id}.ipynb`;
}
