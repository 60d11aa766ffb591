/** Gives every notebook's toolbar the chip of its slice; `schema/toolbar.json` says where. */

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { IToolbarWidgetRegistry } from '@jupyterlab/apputils';
import type { NotebookPanel } from '@jupyterlab/notebook';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { CommandIDs, IGpuWorkbench } from '../tokens';
import { SliceChip } from './chip';

export const toolbarPlugin: JupyterFrontEndPlugin<void> = {
  id: 'jupyterlab-gpu-workbench:toolbar',
  description: "A notebook's GPU slice in its toolbar.",
  autoStart: true,
  requires: [IGpuWorkbench, IToolbarWidgetRegistry],
  optional: [ITranslator],
  activate: (
    app: JupyterFrontEnd,
    gpu: IGpuWorkbench,
    toolbars: IToolbarWidgetRegistry,
    translator: ITranslator | null
  ): void => {
    const trans = (translator ?? nullTranslator).load('jupyterlab_gpu_workbench');
    const { commands } = app;
    toolbars.addFactory<NotebookPanel>(
      'Notebook',
      'gpuSlice',
      panel =>
        new SliceChip({
          workbench: gpu.workbench,
          notebook: panel.context,
          open: lease => void commands.execute(CommandIDs.openPanel, { lease }),
          ask: path => {
            gpu.form.choosePurpose('kernel');
            gpu.form.set({ target: { kind: 'path', path } });
            void commands.execute(CommandIDs.requestSlice);
          },
          trans
        })
    );
  }
};
