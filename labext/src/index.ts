/** Registers the plugins, nothing else. */

import { panesPlugin } from './cluster/panes';
import { clusterPlugin } from './cluster/plugin';
import { dashboardPlugin } from './dashboard/plugin';
import { boardsPlugin } from './job/boards';
import { jobPlugin } from './job/plugin';
import { launcherPlugin } from './launcher/plugin';
import { modelPlugin } from './model/plugin';
import { notebookPlugin } from './notebook/plugin';
import { panelPlugin } from './panel/plugin';
import { statusPlugin } from './status/plugin';
import { sweepPlugin } from './sweep/plugin';
import { toolbarPlugin } from './toolbar/plugin';

export * from './tokens';

export default [
  modelPlugin,
  notebookPlugin,
  panelPlugin,
  statusPlugin,
  toolbarPlugin,
  launcherPlugin,
  clusterPlugin,
  panesPlugin,
  jobPlugin,
  boardsPlugin,
  sweepPlugin,
  dashboardPlugin
];
