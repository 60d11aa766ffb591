/** Words to people outside of the panel: dialogs before something ends, notices when it failed. */

import { Dialog, InputDialog, Notification, showDialog } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';

import { asApiError } from './api/errors';
import type { Lease } from './api/types';
import { shortName } from './model/paths';
import { profileName } from './model/words';
import type { Workbench } from './model/workbench';

/** Message and hint as one text. */
export function sentenceOf(reason: unknown): string {
  const { message, hint } = asApiError(reason);
  return hint ? `${message} ${hint}` : message;
}

/** A command's `execute` whose failure is told as a notification instead of being lost. */
export function guarded(
  trans: TranslationBundle,
  run: (args: ReadonlyPartialJSONObject) => Promise<void>
): (args: ReadonlyPartialJSONObject) => Promise<void> {
  return async args => {
    try {
      await run(args);
    } catch (reason) {
      Notification.error(`${trans.__('GPU Workbench')}: ${sentenceOf(reason)}`);
    }
  };
}

/** Whether somebody who is told what it means wants it all the same. */
export async function agreed(
  title: string,
  body: string,
  yes: string,
  no: string
): Promise<boolean> {
  const answer = await showDialog({
    title,
    body,
    buttons: [Dialog.cancelButton({ label: no }), Dialog.warnButton({ label: yes })]
  });
  return answer.button.accept;
}

/** Which of several that have a name a command is about; undefined where none was chosen. */
export async function chosenOf<T extends { readonly id: string; readonly name: string }>(
  title: string,
  choices: readonly T[]
): Promise<T | undefined> {
  const items = choices.map(one => `${one.name} (${one.id})`);
  const { value } = await InputDialog.getItem({ title, items });
  return value === null ? undefined : choices[items.indexOf(value)];
}

/** Give a lease back; ask before that would end something that runs. */
export async function confirmRelease(
  workbench: Workbench,
  trans: TranslationBundle,
  lease: Lease
): Promise<void> {
  if (lease.holder) {
    const name = shortName(lease.holder.name) || trans.__('a kernel');
    const ends = {
      kernel: trans.__(
        'The kernel of %1 runs on it and will be ended; its variables are lost.',
        name
      ),
      cluster: trans.__('The cluster %1 runs on it and will be ended.', name),
      job: trans.__('The job %1 runs on it and will be ended.', name),
      cell: trans.__('A cell of %1 runs on it and will be ended.', name)
    }[lease.holder.kind];
    const title = trans.__('Release %1?', profileName(lease.profile));
    if (!(await agreed(title, ends, trans.__('Release'), trans.__('Keep it')))) {
      return;
    }
  }
  await workbench.release(lease.id);
}
