/** Which cluster a command is about: the one that it names, the only one, or the one chosen. */

import { InputDialog } from '@jupyterlab/apputils';

import type { Cluster } from '../api/types';
import { clusterIsOver } from '../model/clusters';
import type { Workbench } from '../model/workbench';

export function running(workbench: Workbench): Cluster[] {
  return workbench.clusters.items.filter(one => !clusterIsOver(one));
}

/** @param id of the cluster, where the command was called for one */
export async function whichCluster(
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
