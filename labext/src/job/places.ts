/** Folders as the file browser names them, and the same as paths on the server's machine. */

import { PageConfig } from '@jupyterlab/coreutils';
import type { Contents } from '@jupyterlab/services';

/** @param folder from the server's root, without a slash in front */
export function folderOnServer(folder: string): string {
  const root = PageConfig.getOption('serverRoot') || '~';
  return folder ? `${root.replace(/\/$/, '')}/${folder}` : root;
}

/** The same file as the file browser names it; null where it lies outside of the server's root. */
export async function inBrowser(contents: Contents.IManager, path: string): Promise<string | null> {
  for (const name of namesOf(path, PageConfig.getOption('serverRoot') || '~')) {
    try {
      return (await contents.get(name, { content: false })).path;
    } catch {
      // The root's "~" stands for a folder that is not known here: try the next reading.
    }
  }
  return null;
}

/** What `path` may be called from the root, the likeliest first. */
export function namesOf(path: string, root: string): string[] {
  const plain = root.replace(/\/$/, '');
  if (path.startsWith(`${plain}/`)) {
    return [path.slice(plain.length + 1)];
  }
  if (!plain.startsWith('~')) {
    return [];
  }
  const tail = `${plain.slice(1)}/`;
  const names: string[] = [];
  for (let at = path.indexOf(tail, 1); at >= 0; at = path.indexOf(tail, at + 1)) {
    names.push(path.slice(at + tail.length));
  }
  return names.filter(Boolean);
}

/** Whether it can be run as a job, or something below it can. */
export function isScript(item: Contents.IModel): boolean {
  return item.type === 'directory' || /\.(py|ipynb)$/.test(item.path);
}
