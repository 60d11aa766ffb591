/** Commands about clusters: stop one, write the code that connects to one. */

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import {
  Clipboard,
  Dialog,
  ICommandPalette,
  InputDialog,
  Notification,
  showDialog
} from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import type { Cluster } from '../api/types';
import { profileName } from '../model/words';
import type { Workbench } from '../model/workbench';
import type { CurrentNotebook } from '../notebook/current';
import { insertCode } from '../notebook/insert';
import { guarded } from '../talk';
import { CommandIDs, IGpuWorkbench, INotebooks } from '../tokens';
import { clientCode } from './code';
import { clusterIsOver } from './list';

export const clusterPlugin: JupyterFrontEndPlugin<void> = {
  id: 'jupyterlab-gpu-workbench:cluster',
  description: 'Commands for Dask clusters.',
  autoStart: true,
  requires: [IGpuWorkbench, INotebooks],
  optional: [ICommandPalette, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    gpu: IGpuWorkbench,
    notebooks: INotebooks,
    palette: ICommandPalette | null,
    translator: ITranslator | null
  ): void => {
    const trans = (translator ?? nullTranslator).load('jupyterlab_gpu_workbench');
    const { workbench } = gpu;
    const { commands } = app;
    const alive = (): Cluster[] => workbench.clusters.items.filter(one => !clusterIsOver(one));

    commands.addCommand(CommandIDs.stopCluster, {
      label: trans.__('Stop a Cluster…'),
      isEnabled: () => alive().length > 0,
      execute: guarded(trans, async args => {
        const cluster = await which(trans.__('Stop which cluster?'), args['id'], alive());
        if (cluster) {
          await stopCluster(workbench, trans, cluster);
        }
      })
    });
    commands.addCommand(CommandIDs.insertClient, {
      label: trans.__('Insert the Client Code of a Cluster…'),
      isEnabled: () => alive().length > 0,
      execute: guarded(trans, async args => {
        const cluster = await which(trans.__('Which cluster?'), args['id'], alive());
        if (cluster) {
          insertClient(notebooks.current, trans, cluster);
        }
      })
    });
    commands.addCommand(CommandIDs.scaleCluster, {
      label: trans.__('Scale a Cluster…'),
      isEnabled: () => alive().length > 0,
      execute: guarded(trans, async args => {
        const cluster = await which(trans.__('Scale which cluster?'), args['id'], alive());
        if (cluster) {
          await scaleCluster(workbench, trans, cluster);
        }
      })
    });
    workbench.clusters.changed.connect(() => {
      commands.notifyCommandChanged(CommandIDs.scaleCluster);
      commands.notifyCommandChanged(CommandIDs.stopCluster);
      commands.notifyCommandChanged(CommandIDs.insertClient);
    });
    for (const command of [
      CommandIDs.scaleCluster,
      CommandIDs.stopCluster,
      CommandIDs.insertClient
    ]) {
      palette?.addItem({ command, category: trans.__('GPUs') });
    }
  }
};

export async function stopCluster(
  workbench: Workbench,
  trans: TranslationBundle,
  cluster: Cluster
): Promise<void> {
  const answer = await showDialog({
    title: trans.__('Stop %1?', cluster.name),
    body: trans.__('Its workers are ended, what they hold is lost, and its slices are given back.'),
    buttons: [
      Dialog.cancelButton({ label: trans.__('Keep it') }),
      Dialog.warnButton({ label: trans.__('Stop') })
    ]
  });
  if (answer.button.accept) {
    await workbench.stopCluster(cluster.id);
  }
}

/** Ask for the number of workers, then for the slices. */
export async function scaleCluster(
  workbench: Workbench,
  trans: TranslationBundle,
  cluster: Cluster
): Promise<void> {
  const { value } = await InputDialog.getNumber({
    title: trans.__('Workers of %1', cluster.name),
    label: trans.__('Each takes a slice of %1.', profileName(cluster.per_worker)),
    value: cluster.workers_wanted,
    okLabel: trans.__('Scale')
  });
  if (value !== null && Number.isInteger(value) && value !== cluster.workers_wanted) {
    await workbench.scaleCluster(cluster.id, value);
  }
}

/** Into the notebook in front; to the clipboard where there is none. */
export function insertClient(
  current: CurrentNotebook,
  trans: TranslationBundle,
  cluster: Cluster
): void {
  const code = clientCode(cluster.name);
  if (current.panel) {
    insertCode(current.panel, code);
  } else {
    Clipboard.copyToSystem(code);
    Notification.info(trans.__('No notebook is in front: the code is in the clipboard.'), {
      autoClose: 5000
    });
  }
}

async function which(
  title: string,
  id: unknown,
  choices: readonly Cluster[]
): Promise<Cluster | undefined> {
  if (typeof id === 'string') {
    return choices.find(one => one.id === id);
  }
  if (choices.length < 2) {
    return choices[0];
  }
  const labels = choices.map(one => `${one.name} (${one.id})`);
  const { value } = await InputDialog.getItem({ title, items: labels });
  return value === null ? undefined : choices[labels.indexOf(value)];
}
