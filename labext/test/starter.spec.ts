import type { INotebookTracker } from '@jupyterlab/notebook';
import type { Contents } from '@jupyterlab/services';
import { ServerConnection } from '@jupyterlab/services';
import { CommandRegistry } from '@lumino/commands';

import { LiveClient } from '../src/api/live';
import { WorkbenchApi } from '../src/api/rest';
import type { Looking } from '../src/api/types';
import { FormModel } from '../src/model/form';
import { Workbench } from '../src/model/workbench';
import { NotebookStarter, SLICE_KERNEL } from '../src/notebook/starter';
import { FakeServer, until } from './server';
import { lease } from './things';

/** Files by path, each with its cells; like the real one it answers without content unless asked. */
class Files {
  readonly cells = new Map<string, unknown[]>();
  /** What is said of a file that is not there. */
  status = 404;

  get(path: string, options?: Contents.IFetchOptions): Promise<unknown> {
    const cells = this.cells.get(path);
    return cells
      ? Promise.resolve({ path, content: options?.content ? { cells } : null })
      : Promise.reject(
          new ServerConnection.ResponseError(new Response(null, { status: this.status }))
        );
  }

  newUntitled({ path }: { path: string }): Promise<unknown> {
    const name = [path, `Untitled${this.cells.size || ''}.ipynb`].filter(Boolean).join('/');
    this.cells.set(name, []);
    return Promise.resolve({ path: name });
  }

  save(path: string): Promise<unknown> {
    this.cells.set(path, []);
    return Promise.resolve({ path });
  }

  delete(path: string): Promise<void> {
    this.cells.delete(path);
    return Promise.resolve();
  }
}

interface IStage {
  server: FakeServer;
  files: Files;
  opened: unknown[];
  live: LiveClient;
  starter: NotebookStarter;
  workbench: Workbench;
}

const open: Workbench[] = [];
afterEach(() => open.splice(0).forEach(one => one.dispose()));

async function stage(free: number): Promise<IStage> {
  const server = new FakeServer();
  server.free = free;
  const settings = server.settings();
  const live = new LiveClient(settings, () => 1);
  const workbench = new Workbench({ api: new WorkbenchApi(settings), live });
  open.push(workbench);
  await workbench.start();
  await until('live', () => workbench.link === 'open');
  const files = new Files();
  const opened: unknown[] = [];
  const commands = new CommandRegistry();
  commands.addCommand('docmanager:open', { execute: args => void opened.push(args) });
  const starter = new NotebookStarter({
    workbench,
    commands,
    contents: files as unknown as Contents.IManager,
    tracker: { find: () => undefined } as unknown as INotebookTracker,
    folder: () => 'work',
    failed: (path, reason) => opened.push({ path, reason })
  });
  return { server, files, opened, live, starter, workbench };
}

const onSlice = (path: string): unknown => ({
  path,
  factory: 'Notebook',
  kernel: { name: SLICE_KERNEL }
});

describe('a notebook on a slice', () => {
  it('opens at once when the slice is free, and the request bears its path', async () => {
    const { server, opened, starter } = await stage(1);
    const request = await starter.ask(new FormModel().state);
    expect(request.state).toBe('granted');
    expect(server.leases.get(request.id)?.name).toBe('work/Untitled.ipynb');
    expect(opened).toEqual([onSlice('work/Untitled.ipynb')]);
  });

  it('opens when the request that waited is granted, once', async () => {
    const { server, opened, starter } = await stage(0);
    const request = await starter.ask(new FormModel().state);
    expect(request.state).toBe('queued');
    expect(opened).toEqual([]);
    const granted = lease({ id: request.id, name: request.name });
    server.tell({ type: 'lease', data: granted });
    server.tell({ type: 'lease', data: { ...granted, ends_at: 9000 } });
    await until('opened', () => opened.length > 0);
    expect(opened).toEqual([onSlice('work/Untitled.ipynb')]);
  });

  const forGone = {
    ...new FormModel().state,
    target: { kind: 'path', path: 'gone.ipynb' }
  } as const;

  it('is made where a slice is asked for one that is gone, and taken away with the request', async () => {
    const { files, opened, starter, workbench } = await stage(1);
    await starter.ask(forGone);
    expect(opened).toEqual([onSlice('gone.ipynb')]);
    files.cells.clear();
    const { id } = await starter.ask(forGone);
    expect([...files.cells.keys()]).toEqual(['gone.ipynb']);
    await workbench.cancel(id);
    await until('tidy', () => files.cells.size === 0);
  });

  it('is not written over where it could not be looked at', async () => {
    const { files, server, opened, starter } = await stage(1);
    files.status = 500;
    await expect(starter.ask(forGone)).rejects.toThrow();
    await expect(starter.startOn(lease({ name: 'gone.ipynb' }))).rejects.toThrow();
    expect([files.cells.size, server.leases.size, opened]).toEqual([0, 0, []]);
  });

  it('is told of its slice even while nobody looks, and of no other', async () => {
    const { server, opened, live, starter } = await stage(0);
    const request = await starter.ask(new FormModel().state);
    live.hide(true);
    server.tell({ type: 'lease', data: lease({ id: request.id, name: request.name }) });
    await until('opened', () => opened.length > 0);
    const awaited = server.sockets[0]?.sent.map(said => (JSON.parse(said) as Looking).awaits);
    expect(awaited).toEqual([[request.id], []]);
  });

  it('leaves no empty file behind when the request is cancelled', async () => {
    const { files, starter, workbench } = await stage(0);
    const request = await starter.ask(new FormModel().state);
    expect(files.cells.size).toBe(1);
    await workbench.cancel(request.id);
    await until('tidy', () => files.cells.size === 0);
  });

  it('keeps the file when somebody has written into it meanwhile', async () => {
    const { server, files, starter, workbench } = await stage(0);
    const request = await starter.ask(new FormModel().state);
    files.cells.set('work/Untitled.ipynb', ['a cell']);
    await workbench.cancel(request.id);
    await until('looked', () => server.calls.includes(`GET requests/${request.id}`));
    await new Promise(done => setTimeout(done, 20));
    expect(files.cells.size).toBe(1);
  });

  it('makes no file for a request that is refused', async () => {
    const { server, files, starter } = await stage(1);
    server.trouble = { status: 409, body: { code: 'over_limit', message: 'No.', hint: '' } };
    await expect(starter.ask(new FormModel().state)).rejects.toMatchObject({ code: 'over_limit' });
    expect(files.cells.size).toBe(0);
  });

  it('is left to later when the form says so', async () => {
    const { opened, files, starter } = await stage(1);
    const request = await starter.ask(new FormModel({ target: { kind: 'later' } }).state);
    expect([request.name, opened.length, files.cells.size]).toEqual(['', 0, 0]);
  });

  it('starts on a lease that waits for a path, at that path, made where it is missing', async () => {
    const { opened, files, starter } = await stage(0);
    await starter.startOn(lease({ name: 'deep/model.ipynb' }));
    await starter.startOn(lease({ name: '' }));
    expect([...files.cells.keys()]).toEqual(['deep/model.ipynb', 'work/Untitled1.ipynb']);
    expect(opened).toEqual([onSlice('deep/model.ipynb'), onSlice('work/Untitled1.ipynb')]);
  });
});
