/** Opens TensorBoard on a job beside everything else, and again where it was with the layout. */

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ILayoutRestorer } from '@jupyterlab/application';
import type { MainAreaWidget } from '@jupyterlab/apputils';
import { ICommandPalette, WidgetTracker } from '@jupyterlab/apputils';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { openTab } from '../surface/tab';
import { guarded } from '../talk';
import { CommandIDs, IGpuWorkbench } from '../tokens';
import { BoardPane } from './board';
import { whichJob } from './questions';

const NAMESPACE = 'gpu-workbench-tensorboard';

export const boardsPlugin: JupyterFrontEndPlugin<void> = {
  id: 'jupyterlab-gpu-workbench:tensorboard',
  description: 'TensorBoard on a job in the main area.',
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
    const tracker = new WidgetTracker<MainAreaWidget<BoardPane>>({ namespace: NAMESPACE });

    app.commands.addCommand(CommandIDs.openBoard, {
      label: trans.__('Open TensorBoard on a Training Job…'),
      isEnabled: () => workbench.jobs.items.length > 0,
      execute: guarded(trans, async args => {
        const { id } = args;
        const title = trans.__('TensorBoard on which job?');
        const job =
          typeof id === 'string'
            ? id
            : (await whichJob(title, id, workbench.jobs.items, workbench))?.id;
        if (job !== undefined) {
          await open(job);
        }
      })
    });
    workbench.jobs.changed.connect(() => {
      app.commands.notifyCommandChanged(CommandIDs.openBoard);
    });
    palette?.addItem({ command: CommandIDs.openBoard, category: trans.__('GPUs') });
    void restorer?.restore(tracker, {
      command: CommandIDs.openBoard,
      args: widget => ({ id: widget.content.options.id }),
      name: widget => widget.content.options.id
    });

    async function open(id: string): Promise<void> {
      const known = tracker.find(one => one.content.options.id === id);
      if (known) {
        app.shell.activateById(known.id);
        return;
      }
      const content = new BoardPane({ workbench, id, trans });
      await openTab(app.shell, tracker, `${NAMESPACE}-${id}`, content);
    }
  }
};
