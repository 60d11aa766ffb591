/** Notebooks and their slices: the commands about the notebook in front, and opening on a lease. */

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ILabShell } from '@jupyterlab/application';
import { ICommandPalette, Notification } from '@jupyterlab/apputils';
import { IDefaultFileBrowser } from '@jupyterlab/filebrowser';
import { INotebookTracker } from '@jupyterlab/notebook';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import type { Lease } from '../api/types';
import { leaseOf, shortName } from '../model/paths';
import { profileName } from '../model/words';
import { CommandIDs, IGpuWorkbench, INotebooks } from '../tokens';
import { confirmRelease, guarded } from '../talk';
import { CurrentNotebook } from './current';
import { NotebookStarter } from './starter';

export const notebookPlugin: JupyterFrontEndPlugin<INotebooks> = {
  id: 'jupyterlab-gpu-workbench:notebook',
  description: 'Kernels on GPU slices for notebooks.',
  autoStart: true,
  requires: [IGpuWorkbench, ILabShell, INotebookTracker],
  optional: [IDefaultFileBrowser, ICommandPalette, ITranslator],
  provides: INotebooks,
  activate: (
    app: JupyterFrontEnd,
    gpu: IGpuWorkbench,
    shell: ILabShell,
    tracker: INotebookTracker,
    files: IDefaultFileBrowser | null,
    palette: ICommandPalette | null,
    translator: ITranslator | null
  ): INotebooks => {
    const trans = (translator ?? nullTranslator).load('jupyterlab_gpu_workbench');
    const { workbench } = gpu;
    const { commands } = app;
    const current = new CurrentNotebook(shell, tracker);
    const starter = new NotebookStarter({
      workbench,
      commands,
      contents: app.serviceManager.contents,
      tracker,
      folder: () => files?.model.path ?? '',
      failed: (path, reason) => {
        console.error('GPU Workbench could not open a notebook', reason);
        Notification.warning(
          trans.__('The slice for %1 is there, but the notebook did not open.', shortName(path)) +
            ' ' +
            trans.__('Press "Start notebook" in the GPU panel.')
        );
      }
    });

    const lease = (): Lease | null =>
      current.path === null ? null : leaseOf(current.path, workbench.leases.items);

    commands.addCommand(CommandIDs.releaseCurrent, {
      label: trans.__("Release This Notebook's GPU Slice"),
      isEnabled: () => lease() !== null,
      execute: guarded(trans, async () => {
        const mine = lease();
        if (mine) {
          await confirmRelease(workbench, trans, mine);
        }
      })
    });
    commands.addCommand(CommandIDs.extendCurrent, {
      label: trans.__("Keep This Notebook's GPU Slice One Hour Longer"),
      isEnabled: () => lease() !== null,
      execute: guarded(trans, async () => {
        const mine = lease();
        if (mine) {
          await workbench.extend(mine.id, 3600);
          Notification.success(
            trans.__('%1 is yours for one hour more.', profileName(mine.profile)),
            { autoClose: 3000 }
          );
        }
      })
    });
    commands.addCommand(CommandIDs.startNotebook, {
      label: trans.__('Start a Notebook on an Unused GPU Slice'),
      isEnabled: () => unused(workbench.leases.items) !== null,
      execute: guarded(trans, async args => {
        const id = args['lease'];
        const mine =
          (typeof id === 'number' ? workbench.leases.get(id) : null) ??
          unused(workbench.leases.items);
        if (mine) {
          await starter.startOn(mine);
        }
      })
    });

    const told = (): void => {
      commands.notifyCommandChanged(CommandIDs.releaseCurrent);
      commands.notifyCommandChanged(CommandIDs.extendCurrent);
      commands.notifyCommandChanged(CommandIDs.startNotebook);
    };
    current.changed.connect(told);
    workbench.leases.changed.connect(told);

    for (const command of [
      CommandIDs.releaseCurrent,
      CommandIDs.extendCurrent,
      CommandIDs.startNotebook
    ]) {
      palette?.addItem({ command, category: trans.__('GPUs') });
    }
    return { current, starter };
  }
};

/** A lease for a kernel that no notebook is named for and none has taken. */
export function unused(leases: readonly Lease[]): Lease | null {
  return leases.find(one => one.purpose === 'kernel' && !one.holder && !one.name) ?? null;
}
