/** A page of ours as a tab of the main area. */

import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { WidgetTracker } from '@jupyterlab/apputils';
import { MainAreaWidget } from '@jupyterlab/apputils';
import type { DocumentRegistry } from '@jupyterlab/docregistry';
import type { Widget } from '@lumino/widgets';

import { gpuIcon } from '../icons';

/**
 * Put a page into a tab of its own, in front, and remember it for the layout. The page's own title
 * is the tab's.
 *
 * @param id of the tab in the page, told apart from all others
 * @param where beside which other tab; JupyterLab chooses where it is left out
 */
export async function openTab<T extends Widget>(
  shell: JupyterFrontEnd.IShell,
  tracker: WidgetTracker<MainAreaWidget<T>>,
  id: string,
  content: T,
  where?: DocumentRegistry.IOpenOptions
): Promise<MainAreaWidget<T>> {
  const label = content.node.getAttribute('aria-label');
  const tab = new MainAreaWidget({ content });
  if (label !== null) {
    content.node.setAttribute('aria-label', label); // JupyterLab calls all pages the same.
  }
  tab.id = id;
  tab.title.icon ??= gpuIcon;
  tab.toolbar.hide();
  await tracker.add(tab);
  shell.add(tab, 'main', where);
  shell.activateById(id);
  return tab;
}
