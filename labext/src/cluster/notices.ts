/** Tells when a cluster lost a worker or ended without being asked to. Knows no DOM. */

import type { Cluster } from '../api/types';
import { clusterIsOver } from '../model/clusters';
import type { Workbench } from '../model/workbench';

/** What a cluster says where somebody ended it. */
const ASKED = 'stopped';

export interface IClusterNotice {
  readonly cluster: Cluster;
  readonly kind: 'lost-worker' | 'ended' | 'failed';
  /** Why, in the server's words. */
  readonly why: string;
}

/** Call `tell` at each such change from now on; what was so at first is no news. */
export function watchClusters(workbench: Workbench, tell: (notice: IClusterNotice) => void): void {
  let known: ReadonlyMap<string, Cluster> | null = null;
  workbench.clusters.changed.connect(() => {
    const before = known;
    known = new Map(workbench.clusters.items.map(one => [one.id, one]));
    for (const cluster of before ? known.values() : []) {
      const was = before?.get(cluster.id);
      const notice = was && noticeOf(was, cluster);
      if (notice) {
        tell(notice);
      }
    }
  });
}

export function noticeOf(was: Cluster, now: Cluster): IClusterNotice | null {
  if (!clusterIsOver(was) && clusterIsOver(now)) {
    const why = now.message.split('\n', 1)[0] ?? '';
    if (now.state === 'failed') {
      return { cluster: now, kind: 'failed', why };
    }
    return why === ASKED ? null : { cluster: now, kind: 'ended', why };
  }
  if (now.notice && now.notice_at !== was.notice_at && !clusterIsOver(now)) {
    return { cluster: now, kind: 'lost-worker', why: now.notice };
  }
  return null;
}
