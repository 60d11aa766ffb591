/** Code into the notebook in front: into its cell when that is empty, else into a new one below. */

import type { NotebookPanel } from '@jupyterlab/notebook';
import { NotebookActions } from '@jupyterlab/notebook';

/** What connects a notebook to a cluster of that name. */
export function clientCode(name: string): string {
  const literal = JSON.stringify(name); // Also a Python literal: names are checked by the server.
  return `import gpu_workbench as gw\n\nclient = gw.cluster(name=${literal}).get_client()\nclient`;
}

export function insertCode(panel: NotebookPanel, code: string): void {
  const notebook = panel.content;
  const active = notebook.activeCell?.model;
  if (!active || active.type !== 'code' || active.sharedModel.getSource().trim()) {
    NotebookActions.insertBelow(notebook);
  }
  notebook.activeCell?.model.sharedModel.setSource(code);
  panel.activate();
}
