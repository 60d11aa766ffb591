/** Opens Dask's own pages beside the notebook, and again where they were when JupyterLab returns. */

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ILayoutRestorer } from '@jupyterlab/application';
import type { MainAreaWidget } from '@jupyterlab/apputils';
import { ICommandPalette, InputDialog, WidgetTracker } from '@jupyterlab/apputils';
import type { DocumentRegistry } from '@jupyterlab/docregistry';
import type { TranslationBundle } from '@jupyterlab/translation';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import type { CommandRegistry } from '@lumino/commands';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';
import { Menu } from '@lumino/widgets';

import type { Cluster } from '../api/types';
import type { Workbench } from '../model/workbench';
import { openTab } from '../surface/tab';
import { guarded } from '../talk';
import { CommandIDs, IGpuWorkbench } from '../tokens';
import type { IPage } from './pages';
import { allPages, usualPages } from './pages';
import { DaskPane } from './pane';
import { running, whichCluster } from './which';

const NAMESPACE = 'gpu-workbench-pane';

export const panesPlugin: JupyterFrontEndPlugin<void> = {
  id: 'jupyterlab-gpu-workbench:panes',
  description: "Dask's own pages of a cluster in the main area.",
  autoStart: true,
  requires: [IGpuWorkbench],
  optional: [ICommandPalette, ILayoutRestorer, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    gpu: IGpuWorkbench,
    palette: ICommandPalette | null,
    restorer: ILayoutRestorer | null,
    translator: ITranslator | null
  ): void => {
    const trans = (translator ?? nullTranslator).load('jupyterlab_gpu_workbench');
    const { workbench } = gpu;
    const tracker = new WidgetTracker<MainAreaWidget<DaskPane>>({ namespace: NAMESPACE });

    app.commands.addCommand(CommandIDs.openPane, {
      label: args => String(args['label'] ?? trans.__('Open a Dask Page of a Cluster…')),
      isEnabled: args => typeof args['id'] === 'string' || running(workbench).length > 0,
      execute: guarded(trans, async args => {
        const asked = await answered(workbench, trans, args);
        if (asked) {
          await open(app, workbench, trans, tracker, asked);
        }
      })
    });
    workbench.clusters.changed.connect(() => {
      app.commands.notifyCommandChanged(CommandIDs.openPane);
    });
    void restorer?.restore(tracker, {
      command: CommandIDs.openPane,
      args: widget => {
        const { id, name, page } = widget.content.options;
        return { id, name, ...page };
      },
      name: widget => widget.id
    });
    palette?.addItem({ command: CommandIDs.openPane, category: trans.__('GPUs') });
  }
};

interface IAsked {
  id: string;
  name: string;
  page: IPage;
}

/** What of a pane to open: as the arguments say, else as people choose. */
async function answered(
  workbench: Workbench,
  trans: TranslationBundle,
  args: ReadonlyPartialJSONObject
): Promise<IAsked | null> {
  const { id, name, page, label } = args;
  if (typeof id === 'string' && typeof page === 'string') {
    const words = typeof label === 'string' ? label : page;
    return { id, name: typeof name === 'string' ? name : id, page: { page, label: words } };
  }
  const cluster = await whichCluster(trans.__('Pages of which cluster?'), id, running(workbench));
  const chosen = cluster && (await choosePage(workbench, trans, cluster));
  return cluster && chosen ? { id: cluster.id, name: cluster.name, page: chosen } : null;
}

async function choosePage(
  workbench: Workbench,
  trans: TranslationBundle,
  cluster: Cluster
): Promise<IPage | null> {
  const usual = usualPages(trans);
  const status = usual.filter(one => one.page === 'status');
  const pages = [...status, ...allPages(await workbench.api.daskPages(cluster), usual)];
  const { value } = await InputDialog.getItem({
    title: trans.__("Dask's pages of %1", cluster.name),
    items: pages.map(one => one.label)
  });
  return pages.find(one => one.label === value) ?? null;
}

async function open(
  app: JupyterFrontEnd,
  workbench: Workbench,
  trans: TranslationBundle,
  tracker: WidgetTracker<MainAreaWidget<DaskPane>>,
  asked: IAsked
): Promise<void> {
  const id = `${NAMESPACE}-${asked.id}-${asked.page.page}`;
  if (tracker.find(one => one.id === id)) {
    app.shell.activateById(id);
    return;
  }
  const content = new DaskPane({ ...asked, workbench, trans });
  await openTab(app.shell, tracker, id, content, placeFor(tracker));
}

/** The first beside the notebook, the second below it, all others as tabs of the last. */
function placeFor(tracker: WidgetTracker<MainAreaWidget<DaskPane>>): DocumentRegistry.IOpenOptions {
  const open: MainAreaWidget<DaskPane>[] = [];
  tracker.forEach(one => void (one.isAttached && open.push(one)));
  const last = open.at(-1);
  if (!last) {
    return { mode: 'split-right' };
  }
  return { ref: last.id, mode: open.length === 1 ? 'split-bottom' : 'tab-after' };
}

/** A menu of the usual pages below an element; its entries are the command above. */
export function offerPanes(
  commands: CommandRegistry,
  trans: TranslationBundle,
  cluster: Cluster,
  below: HTMLElement
): void {
  const menu = new Menu({ commands });
  menu.title.label = trans.__("Dask's pages");
  const { id, name } = cluster;
  for (const page of usualPages(trans)) {
    menu.addItem({ command: CommandIDs.openPane, args: { id, name, ...page } });
  }
  menu.addItem({ type: 'separator' });
  menu.addItem({
    command: CommandIDs.openPane,
    args: { id, name, label: trans.__("All of Dask's pages…") }
  });
  menu.aboutToClose.connect(() => {
    below.focus();
  });
  const at = below.getBoundingClientRect();
  menu.open(at.left, at.bottom);
}
