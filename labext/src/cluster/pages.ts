/** Dask's own pages of a cluster: which there are, and where they lie on this server. */

import { URLExt } from '@jupyterlab/coreutils';
import type { TranslationBundle } from '@jupyterlab/translation';

import type { Cluster } from '../api/types';

/** A page by its name in Dask's addresses. */
export interface IPage {
  readonly page: string;
  readonly label: string;
}

/** Those that people open most; all others are under "All of Dask's pages…". */
export function usualPages(trans: TranslationBundle): IPage[] {
  return [
    { page: 'individual-task-stream', label: trans.__('Task stream') },
    { page: 'individual-progress', label: trans.__('Progress') },
    { page: 'individual-workers', label: trans.__('Workers') },
    { page: 'individual-graph', label: trans.__('Graph') },
    { page: 'individual-workers-memory', label: trans.__('Memory by worker') },
    { page: 'individual-memory-by-key', label: trans.__('Memory by key') },
    { page: 'individual-profile', label: trans.__('Profile') },
    { page: 'status', label: trans.__('Status: everything on one page') }
  ];
}

/** @param answer of Dask's `individual-plots.json`: names by addresses */
export function allPages(
  answer: Readonly<Record<string, string>>,
  known: readonly IPage[]
): IPage[] {
  const named = new Map(known.map(one => [one.page, one]));
  return Object.entries(answer)
    .map(([name, address]) => {
      const page = address.replace(/^\//, '');
      const words = name.replace(/^Individual /, '').toLowerCase();
      const label = words.charAt(0).toUpperCase() + words.slice(1);
      return named.get(page) ?? { page, label };
    })
    .sort((a, b) => a.label.localeCompare(b.label));
}

/** Where a page is; `null` while the cluster has none. */
export function pageUrl(baseUrl: string, cluster: Cluster, page: string): string | null {
  const path = cluster.dashboard_path;
  return path === null ? null : URLExt.join(baseUrl, path.replace(/\/status$/, ''), page);
}
