/** Puts the slice of the notebook in front into the status bar. */

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { IStatusBar } from '@jupyterlab/statusbar';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { CommandIDs, IGpuWorkbench, INotebooks } from '../tokens';
import { StatusItem } from './item';

export const statusPlugin: JupyterFrontEndPlugin<void> = {
  id: 'jupyterlab-gpu-workbench:status',
  description: "The current notebook's GPU slice in the status bar.",
  autoStart: true,
  requires: [IGpuWorkbench, INotebooks, IStatusBar],
  optional: [ITranslator],
  activate: (
    app: JupyterFrontEnd,
    gpu: IGpuWorkbench,
    notebooks: INotebooks,
    bar: IStatusBar,
    translator: ITranslator | null
  ): void => {
    const trans = (translator ?? nullTranslator).load('jupyterlab_gpu_workbench');
    const item = new StatusItem({
      workbench: gpu.workbench,
      current: notebooks.current,
      open: lease => void app.commands.execute(CommandIDs.openPanel, { lease }),
      trans
    });
    bar.registerStatusItem('gpu-workbench:slice', { item, align: 'left', rank: 10 });
  }
};
