/** Which cluster a command is about: the one that it names, the only one, or the one chosen. */

import type { Cluster } from '../api/types';
import { clusterIsOver } from '../model/clusters';
import type { Workbench } from '../model/workbench';
import { chosenOf } from '../talk';

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
  return choices.length < 2 ? choices[0] : chosenOf(title, choices);
}
