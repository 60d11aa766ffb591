/** What people can do with a cluster that needs JupyterLab: questions first, then the order. */

import type { TranslationBundle } from '@jupyterlab/translation';
import { Clipboard, InputDialog, Notification } from '@jupyterlab/apputils';

import type { Cluster } from '../api/types';
import { worksNow } from '../model/clusters';
import { profileName } from '../model/words';
import type { Workbench } from '../model/workbench';
import type { CurrentNotebook } from '../notebook/current';
import { insertCode } from '../notebook/insert';
import { agreed } from '../talk';
import { clientCode } from './code';

/** All reject with `ApiError`. */
export interface IClusterActions {
  /** Stop it; asks first where that loses work. */
  stop(cluster: Cluster): Promise<void>;
  /** Ask for the number of workers, then for the slices. */
  scale(cluster: Cluster): Promise<void>;
  rename(cluster: Cluster): Promise<void>;
  /** Fresh processes for all its workers; asks first where that loses work. */
  restart(cluster: Cluster): Promise<void>;
  /** Keep all its slices one hour longer. */
  extend(cluster: Cluster): Promise<void>;
  /** Client code into the notebook in front; to the clipboard where there is none. */
  insert(cluster: Cluster): Promise<void>;
  /** Let the client code be dropped into a notebook. */
  drag(cluster: Cluster, from: { clientX: number; clientY: number }): Promise<void>;
  /** Offer Dask's own pages below that element. */
  offerPanes(cluster: Cluster, below: HTMLElement): void;
}

export function questions(
  workbench: Workbench,
  current: CurrentNotebook,
  trans: TranslationBundle
): Omit<IClusterActions, 'drag' | 'offerPanes'> {
  return {
    stop: async cluster => {
      const sure =
        !worksNow(cluster) ||
        (await agreed(
          trans.__('Stop %1?', cluster.name),
          `${lossOf(cluster, trans)} ${trans.__('Its slices are given back.')}`,
          trans.__('Stop'),
          trans.__('Keep it')
        ));
      if (sure) {
        await workbench.stopCluster(cluster.id);
      }
    },
    scale: async cluster => {
      const { value } = await InputDialog.getNumber({
        title: trans.__('Workers of %1', cluster.name),
        label: trans.__('Each takes a slice of %1.', profileName(cluster.per_worker)),
        value: cluster.workers_wanted,
        okLabel: trans.__('Scale')
      });
      if (value !== null && Number.isInteger(value) && value !== cluster.workers_wanted) {
        await workbench.scaleCluster(cluster.id, value);
      }
    },
    rename: async cluster => {
      const { value } = await InputDialog.getText({
        title: trans.__('Rename %1', cluster.name),
        label: trans.__('Notebooks take it up by its name: gw.cluster(name=…)'),
        text: cluster.name,
        okLabel: trans.__('Rename')
      });
      const name = value?.trim();
      if (name && name !== cluster.name) {
        await workbench.renameCluster(cluster.id, name);
      }
    },
    restart: async cluster => {
      const sure =
        !worksNow(cluster) ||
        (await agreed(
          trans.__('Restart the workers of %1?', cluster.name),
          `${lossOf(cluster, trans)} ${trans.__('It keeps its slices.')}`,
          trans.__('Restart'),
          trans.__('Keep it')
        ));
      if (sure) {
        await workbench.restartCluster(cluster.id);
      }
    },
    extend: async cluster => {
      for (const id of cluster.leases) {
        await workbench.extend(id, 3600);
      }
    },
    insert: async cluster => {
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
  };
}

/** "3 tasks are not done and 12 results lie on its workers: they are lost." */
function lossOf(cluster: Cluster, trans: TranslationBundle): string {
  const tasks = cluster.tasks ?? 0;
  const results = cluster.workers.reduce((all, one) => all + (one.results ?? 0), 0);
  const parts = [
    tasks > 0 ? trans._n('%1 task is not done', '%1 tasks are not done', tasks) : '',
    results > 0
      ? trans._n('%1 result lies on its workers', '%1 results lie on its workers', results)
      : ''
  ];
  return trans.__('%1: lost then.', parts.filter(Boolean).join(', '));
}
