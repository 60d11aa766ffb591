/** "Run this notebook as a job": asks for a slice, saves the notebook, starts the job, shows its page. */

import { Dialog, Notification, showDialog } from '@jupyterlab/apputils';
import type { NotebookPanel } from '@jupyterlab/notebook';
import type { TranslationBundle } from '@jupyterlab/translation';

import type { Job } from '../api/types';
import { SliceQuestion } from '../launcher/dialog';
import type { IFormState } from '../model/form';
import { faultyField, jobBody } from '../model/form';
import { shortName } from '../model/paths';
import type { Workbench } from '../model/workbench';
import { folderOnServer } from './places';

/** Null where somebody thought better of it. Rejects with `ApiError`. */
export async function runNotebook(
  workbench: Workbench,
  trans: TranslationBundle,
  panel: NotebookPanel,
  start: Partial<IFormState>
): Promise<Job | null> {
  const { context } = panel;
  const name = shortName(context.path);
  const answer = await showDialog({
    title: trans.__('Run %1 as a job', name),
    body: new SliceQuestion(
      workbench,
      start,
      trans,
      trans.__('It starts when the slice is free; this notebook and its kernel stay as they are.'),
      trans.__(
        'The notebook runs from top to bottom in a process of its own, on one slice. This notebook and its kernel stay as they are; a copy with the outputs is left beside it.'
      )
    ),
    buttons: [Dialog.cancelButton(), Dialog.okButton({ label: trans.__('Run as a job') })]
  });
  const state = answer.value;
  if (!answer.button.accept || !state) {
    return null;
  }
  if (faultyField(state)) {
    Notification.error(trans.__('"%1" is no memory. Write for example 20 GB.', state.memory));
    return null;
  }
  if (context.model.dirty) {
    await context.save(); // What runs is what is on the screen.
  }
  const folder = context.path.slice(0, Math.max(0, context.path.lastIndexOf('/')));
  return workbench.startJob({ ...jobBody(state, folderOnServer(folder)), script: name });
}
