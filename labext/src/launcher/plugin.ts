/** The launcher's card "Python on a GPU slice", and the command behind it. */

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { Dialog, ICommandPalette, Notification, showDialog } from '@jupyterlab/apputils';
import { ILauncher } from '@jupyterlab/launcher';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { sliceIcon } from '../icons';
import { faultyField } from '../model/form';
import { unused } from '../notebook/plugin';
import { guarded } from '../talk';
import { CommandIDs, IGpuWorkbench, INotebooks } from '../tokens';
import { SliceQuestion } from './dialog';
import { outcome } from './outcome';

export const launcherPlugin: JupyterFrontEndPlugin<void> = {
  id: 'jupyterlab-gpu-workbench:launcher',
  description: 'A notebook on a GPU slice from the launcher.',
  autoStart: true,
  requires: [IGpuWorkbench, INotebooks],
  optional: [ILauncher, ICommandPalette, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    gpu: IGpuWorkbench,
    notebooks: INotebooks,
    launcher: ILauncher | null,
    palette: ICommandPalette | null,
    translator: ITranslator | null
  ): void => {
    const trans = (translator ?? nullTranslator).load('jupyterlab_gpu_workbench');
    const { workbench, form } = gpu;
    const { starter } = notebooks;

    app.commands.addCommand(CommandIDs.newNotebook, {
      label: args =>
        args['isPalette']
          ? trans.__('New Notebook on a GPU Slice')
          : trans.__('Python on a GPU slice'),
      caption: trans.__('Take a slice of a GPU and open a notebook on it'),
      icon: args => (args['isPalette'] ? undefined : sliceIcon),
      execute: guarded(trans, async args => {
        const folder = typeof args['cwd'] === 'string' ? args['cwd'] : undefined;
        const idle = unused(workbench.leases.items);
        if (idle) {
          await starter.startOn(idle, folder); // What is held is what is used.
          return;
        }
        const { memory, seconds, profile, pool } = form.state;
        const answer = await showDialog({
          title: trans.__('Python on a GPU slice'),
          body: new SliceQuestion(workbench, { memory, seconds, profile, pool }, trans),
          buttons: [Dialog.cancelButton(), Dialog.okButton({ label: trans.__('Open notebook') })]
        });
        const state = answer.value;
        if (!answer.button.accept || !state) {
          return;
        }
        if (faultyField(state)) {
          Notification.error(trans.__('"%1" is no memory. Write for example 20 GB.', state.memory));
          return;
        }
        const request = await starter.ask(state, folder);
        if (request.state === 'queued') {
          Notification.info(outcome(trans, request, workbench.clock.now), {
            autoClose: 10_000,
            actions: [
              {
                label: trans.__('Show'),
                callback: () => void app.commands.execute(CommandIDs.openPanel)
              }
            ]
          });
        }
      })
    });

    launcher?.add({
      command: CommandIDs.newNotebook,
      category: trans.__('GPUs'),
      rank: 1
    });
    palette?.addItem({
      command: CommandIDs.newNotebook,
      category: trans.__('GPUs'),
      args: { isPalette: true }
    });
  }
};
