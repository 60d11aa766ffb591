/** The contract other extensions may use: the state, and the actions people have. */

import { Token } from '@lumino/coreutils';

import type { AskBody, Request } from './api/types';
import type { FormModel } from './model/form';
import type { IPreferences } from './model/settings';
import type { Workbench } from './model/workbench';
import type { CurrentNotebook } from './notebook/current';
import type { NotebookStarter } from './notebook/starter';

/** Ids of the commands that others may execute. */
export const CommandIDs = {
  openPanel: 'gpu-workbench:open-panel',
  openDashboard: 'gpu-workbench:open-dashboard',
  requestSlice: 'gpu-workbench:request-slice',
  newNotebook: 'gpu-workbench:new-notebook',
  startNotebook: 'gpu-workbench:start-notebook',
  releaseCurrent: 'gpu-workbench:release-current',
  extendCurrent: 'gpu-workbench:extend-current',
  insertClient: 'gpu-workbench:insert-client-code',
  scaleCluster: 'gpu-workbench:scale-cluster',
  stopCluster: 'gpu-workbench:stop-cluster',
  renameCluster: 'gpu-workbench:rename-cluster',
  restartCluster: 'gpu-workbench:restart-cluster',
  openPane: 'gpu-workbench:open-dask-page',
  stopJob: 'gpu-workbench:stop-job',
  openLogs: 'gpu-workbench:open-job-logs',
  openJob: 'gpu-workbench:open-job',
  newJob: 'gpu-workbench:new-job',
  resumeJob: 'gpu-workbench:resume-job',
  compareJobs: 'gpu-workbench:compare-jobs',
  runNotebook: 'gpu-workbench:run-notebook',
  newSweep: 'gpu-workbench:new-sweep',
  openSweep: 'gpu-workbench:open-sweep',
  stopSweep: 'gpu-workbench:stop-sweep',
  openBoard: 'gpu-workbench:open-tensorboard'
} as const;

export interface IGpuWorkbench {
  /** Fleet, requests, leases, clusters, jobs, sweeps, telemetry. */
  readonly workbench: Workbench;
  /** The panel's request form. */
  readonly form: FormModel;
  /** What the user set in the settings. */
  readonly preferences: () => IPreferences;
  /**
   * Ask for a slice; the answer is granted or queued. Rejects with an error that has `code`,
   * `message` and `hint`.
   */
  request(body: AskBody): Promise<Request>;
}

export const IGpuWorkbench = new Token<IGpuWorkbench>(
  'jupyterlab-gpu-workbench:IGpuWorkbench',
  'GPU slices, clusters and jobs: their state, and a way to ask for one.'
);

/** Notebooks and their slices; for this extension's own plugins. */
export interface INotebooks {
  readonly current: CurrentNotebook;
  readonly starter: NotebookStarter;
}

export const INotebooks = new Token<INotebooks>(
  'jupyterlab-gpu-workbench:INotebooks',
  'The notebook in front, and how to open one on a GPU slice.'
);
