/** Tells of leases what nobody asked for: that one ends soon, and that one is over. Knows no DOM. */

import { Notification } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';

import type { Lease, Notice } from '../api/types';
import { sentenceOf } from '../talk';
import { nameOf, shortName } from './paths';
import { clockTime, profileName, whyEnded } from './words';
import type { Workbench } from './workbench';

/** Characters that JupyterLab shows of a notification. */
const MOST_TEXT = 140;

/** From now on; of each lease the newest alone is to be seen. */
export function tellOfLeases(workbench: Workbench, trans: TranslationBundle): void {
  const shown = new Map<number, string>();
  const forget = (id: number): void => {
    Notification.dismiss(shown.get(id) ?? ''); // Without an id it would dismiss everybody's.
    shown.delete(id);
  };
  workbench.noticed.connect((_, notice) => {
    const lease = notice.lease_id === null ? undefined : workbench.leases.get(notice.lease_id);
    if (lease) {
      forget(lease.id);
      shown.set(lease.id, tellWithButtons(workbench, trans, notice, lease));
    } else {
      Notification.info(textOf(notice), { autoClose: 10_000 });
    }
  });
  workbench.ended.connect((_, lease) => {
    forget(lease.id);
    const text = endOf(trans, lease, workbench.clock.now);
    if (text) {
      Notification.warning(text, { autoClose: false });
    }
  });
}

/** What to tell of a lease that is over; `null` where somebody gave it back or a cluster tells. */
export function endOf(trans: TranslationBundle, lease: Lease, now: number): string | null {
  const why = whyEnded(trans, lease);
  if (why === null || lease.purpose === 'cluster') {
    return null;
  }
  const name = shortName(nameOf(lease)) || profileName(lease.profile);
  return trans.__(
    'The slice of %1 ended at %2: %3',
    name,
    clockTime(lease.ended_at ?? now, now),
    why
  );
}

/** What happens, and as many sentences of what to do as JupyterLab shows: it cuts the rest off. */
export function textOf({ message, hint }: Notice): string {
  let text = message;
  for (const sentence of hint.split(/(?<=\.) /).filter(Boolean)) {
    if (text.length + 1 + sentence.length > MOST_TEXT) {
      break;
    }
    text += ` ${sentence}`;
  }
  return text;
}

/** The notification's id. What has to give way can't be kept, and what stays needs no answer. */
function tellWithButtons(
  workbench: Workbench,
  trans: TranslationBundle,
  notice: Notice,
  lease: Lease
): string {
  const attempt = (run: Promise<void>): void => {
    run.catch((reason: unknown) => Notification.error(sentenceOf(reason)));
  };
  if (notice.code === 'kept') {
    return Notification.info(textOf(notice), { autoClose: 10_000 });
  }
  const keep: Notification.IAction = {
    label: trans.__('Keep it'),
    displayType: 'accent',
    callback: () => attempt(workbench.extend(lease.id, 3600))
  };
  const letGo: Notification.IAction = {
    label: trans.__('Let it go'),
    callback: () => attempt(workbench.release(lease.id))
  };
  return Notification.warning(textOf(notice), {
    autoClose: false,
    actions: notice.code === 'preempted' ? [letGo] : [keep, letGo]
  });
}
