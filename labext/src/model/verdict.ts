/**
 * What a GPU's busyness comes to, in one word for tests and one sentence for people.
 *
 * "Use" only says that something ran; how much of the GPU worked meanwhile is told by the SMs. Pure.
 */

import type { TranslationBundle } from '@jupyterlab/translation';

export type Verdict = 'unknown' | 'still' | 'unclear' | 'hollow' | 'partly' | 'full';

/** From here on the GPU is called busy. */
const BUSY = 0.5;
/** Below this share of SMs, busy time is mostly waiting. */
const HOLLOW = 0.2;
const FULL = 0.6;

/** @param activity share of time, @param sm share of SMs that worked; NaN is unknown */
export function verdictOf(activity: number, sm: number): Verdict {
  if (Number.isNaN(activity) && Number.isNaN(sm)) {
    return 'unknown';
  }
  if (activity < 0.02 || (Number.isNaN(activity) && sm < 0.005)) {
    return 'still';
  }
  if (Number.isNaN(sm)) {
    return 'unclear';
  }
  if (sm >= FULL) {
    return 'full';
  }
  return activity >= BUSY && sm < HOLLOW ? 'hollow' : 'partly';
}

export function verdictWords(
  trans: TranslationBundle,
  verdict: Verdict,
  activity: number,
  sm: number
): string {
  const percent = (share: number): string => `${Math.round(share * 100)} %`;
  switch (verdict) {
    case 'unknown':
      return trans.__('This GPU does not tell how busy it is.');
    case 'still':
      return trans.__('Nothing runs at the moment.');
    case 'unclear':
      return trans.__(
        'Busy %1 of the time. How many of its SMs work then, this GPU does not tell.',
        percent(activity)
      );
    case 'hollow':
      return trans.__(
        'Busy %1 of the time, but only %2 of the SMs work: small kernels, or waiting for the CPU or for data. A smaller slice would do.',
        percent(activity),
        percent(sm)
      );
    case 'partly':
      return Number.isNaN(activity)
        ? trans.__('%1 of the SMs work.', percent(sm))
        : trans.__('Busy %1 of the time, with %2 of the SMs.', percent(activity), percent(sm));
    case 'full':
      return trans.__('Well used: %1 of the SMs work.', percent(sm));
  }
}
