/** What became of a request, in one sentence. */

import type { TranslationBundle } from '@jupyterlab/translation';

import type { Request } from '../api/types';
import { expected, profileName, units } from '../model/words';

export function outcome(trans: TranslationBundle, request: Request, now: number): string {
  const profile = profileName(request.profile);
  const what = request.count > 1 ? `${request.count}×${profile}` : profile;
  if (request.state === 'granted') {
    return trans.__('%1 is yours. It costs %2 GPU.', what, units(request.units));
  }
  const parts = [trans.__('%1 waits, position %2.', what, request.position ?? 1)];
  if (request.expected_at !== null) {
    parts.push(trans.__('Expected %1.', expected(trans, request.expected_at, now)));
  }
  if (request.name) {
    parts.push(trans.__('The notebook opens when the slice is yours.'));
  }
  return parts.join(' ');
}
