/** Commands about clusters; without an id they ask which. Tells when one lost something unasked. */

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette, Notification } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import type { CommandRegistry } from '@lumino/commands';

import type { Cluster } from '../api/types';
import { guarded } from '../talk';
import { CommandIDs, IGpuWorkbench, INotebooks } from '../tokens';
import { questions } from './actions';
import type { IClusterNotice } from './notices';
import { watchClusters } from './notices';
import { running, whichCluster } from './which';

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
    const { insert, scale, rename, restart, stop } = questions(workbench, notebooks.current, trans);
    /** A command that acts on the cluster it is called for, or on the one chosen. */
    const about = (
      label: string,
      act: (cluster: Cluster) => Promise<void>
    ): CommandRegistry.ICommandOptions => ({
      label,
      isEnabled: () => running(workbench).length > 0,
      execute: guarded(trans, async args => {
        const which = trans.__('Which cluster?');
        const cluster = await whichCluster(which, args['id'], running(workbench));
        if (cluster) {
          await act(cluster);
        }
      })
    });
    commands.addCommand(
      CommandIDs.insertClient,
      about(trans.__('Insert the Client Code of a Cluster…'), insert)
    );
    commands.addCommand(CommandIDs.scaleCluster, about(trans.__('Scale a Cluster…'), scale));
    commands.addCommand(CommandIDs.renameCluster, about(trans.__('Rename a Cluster…'), rename));
    commands.addCommand(
      CommandIDs.restartCluster,
      about(trans.__('Restart the Workers of a Cluster…'), restart)
    );
    commands.addCommand(CommandIDs.stopCluster, about(trans.__('Stop a Cluster…'), stop));
    const all = [
      CommandIDs.insertClient,
      CommandIDs.scaleCluster,
      CommandIDs.renameCluster,
      CommandIDs.restartCluster,
      CommandIDs.stopCluster
    ];
    for (const command of all) {
      palette?.addItem({ command, category: trans.__('GPUs') });
    }
    workbench.clusters.changed.connect(() => {
      all.forEach(command => commands.notifyCommandChanged(command));
    });
    watchClusters(workbench, notice => tell(trans, notice));
  }
};

function tell(trans: TranslationBundle, notice: IClusterNotice): void {
  const { cluster, kind, why } = notice;
  switch (kind) {
    case 'failed':
      Notification.error(trans.__('Cluster %1 failed: %2', cluster.name, why));
      break;
    case 'ended':
      Notification.warning(trans.__('Cluster %1 ended: %2', cluster.name, why), {
        autoClose: false
      });
      break;
    case 'lost-worker':
      Notification.info(trans.__('Cluster %1: %2', cluster.name, why), { autoClose: 10_000 });
  }
}
