/**
 * The command that opens the dashboard, and the ways to it. What it shows is loaded with the first
 * one: JupyterLab starts without it.
 */

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ILayoutRestorer } from '@jupyterlab/application';
import type { MainAreaWidget } from '@jupyterlab/apputils';
import { ICommandPalette, IThemeManager, WidgetTracker } from '@jupyterlab/apputils';
import { ILauncher } from '@jupyterlab/launcher';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { dashboardIcon } from '../icons';
import { openTab } from '../surface/tab';
import { guarded } from '../talk';
import { CommandIDs, IGpuWorkbench } from '../tokens';
import type { Dashboard } from './widget';

const ID = 'gpu-workbench-dashboard';

export const dashboardPlugin: JupyterFrontEndPlugin<void> = {
  id: 'jupyterlab-gpu-workbench:dashboard',
  description: 'The dashboard of all GPUs in the main area.',
  autoStart: true,
  requires: [IGpuWorkbench],
  optional: [ICommandPalette, ILauncher, ILayoutRestorer, IThemeManager, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    gpu: IGpuWorkbench,
    palette: ICommandPalette | null,
    launcher: ILauncher | null,
    restorer: ILayoutRestorer | null,
    themes: IThemeManager | null,
    translator: ITranslator | null
  ): void => {
    const trans = (translator ?? nullTranslator).load('jupyterlab_gpu_workbench');
    const tracker = new WidgetTracker<MainAreaWidget<Dashboard>>({ namespace: ID });
    app.commands.addCommand(CommandIDs.openDashboard, {
      label: args =>
        args['isPalette'] ? trans.__('Show the GPU Dashboard') : trans.__('GPU dashboard'),
      caption: trans.__('Every GPU, slice, process and notebook, live'),
      icon: args => (args['isPalette'] ? undefined : dashboardIcon),
      execute: guarded(trans, async args => {
        const { Dashboard, DashboardModel, shownOf } = await import('./lazy');
        const open = tracker.currentWidget ?? tracker.find(() => true);
        if (open) {
          open.content.context.model.show(shownOf(args));
          app.shell.activateById(open.id);
          return;
        }
        const model = new DashboardModel(gpu.workbench, shownOf(args));
        const content = new Dashboard({
          model,
          showNames: () => gpu.preferences().showNames,
          openPanel: lease => void app.commands.execute(CommandIDs.openPanel, { lease }),
          themeChanged: themes?.themeChanged ?? null,
          trans
        });
        content.title.label = trans.__('GPU dashboard');
        content.title.icon = dashboardIcon;
        const tab = await openTab(app.shell, tracker, ID, content);
        model.changed.connect(() => void tracker.save(tab));
      })
    });
    const command = CommandIDs.openDashboard;
    void restorer?.restore(tracker, {
      command,
      args: widget => ({ ...widget.content.context.model.shown }),
      name: () => 'dashboard'
    });
    launcher?.add({ command, category: trans.__('GPUs'), rank: 2 });
    palette?.addItem({ command, category: trans.__('GPUs'), args: { isPalette: true } });
  }
};
