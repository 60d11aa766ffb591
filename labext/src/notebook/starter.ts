/**
 * From a request to a notebook whose kernel runs on the slice.
 *
 * A start of a kernel carries no parameters, so the request is made under the notebook's path first,
 * and the kernel `gpu-slice` finds its lease by that path. Waiting happens in the queue, where it has
 * a position and a reason, never inside a kernel start.
 */

import type { INotebookTracker } from '@jupyterlab/notebook';
import type { Contents } from '@jupyterlab/services';
import { ServerConnection } from '@jupyterlab/services';
import type { CommandRegistry } from '@lumino/commands';

import type { Lease, Request } from '../api/types';
import type { IFormState, Target } from '../model/form';
import { askBody } from '../model/form';
import { nameOf, samePath } from '../model/paths';
import type { Workbench } from '../model/workbench';

/** Name of the kernelspec whose provisioner claims a lease. */
export const SLICE_KERNEL = 'gpu-slice';

export interface IStarterOptions {
  workbench: Workbench;
  commands: CommandRegistry;
  contents: Contents.IManager;
  tracker: INotebookTracker;
  /** The folder for new notebooks. */
  folder: () => string;
  /** Told of a notebook that could not be opened when its slice came. */
  failed: (path: string, reason: unknown) => void;
}

interface IPending {
  readonly path: string;
  /** Whether we made the file, and so take it away again when nothing comes of it. */
  readonly made: boolean;
}

export class NotebookStarter {
  constructor(private readonly options: IStarterOptions) {
    const { workbench } = options;
    workbench.granted.connect((_, grant) => this.onGranted(grant.lease));
    workbench.requests.changed.connect(() => this.onQueue());
  }

  /** The folder for new notebooks: the one the file browser shows. */
  get folder(): string {
    return this.options.folder();
  }

  /**
   * Ask as the form says; a notebook opens now, or when the request is granted. Rejects with
   * `ApiError`, and leaves no new file behind then.
   */
  async ask(state: IFormState, folder?: string): Promise<Request> {
    const { workbench } = this.options;
    // A refusal must not leave an empty notebook: ask first whether it could be had at all.
    await workbench.api.ask({ ...askBody(state, ''), dry_run: true });
    const place = await this.place(state.target, folder);
    let request: Request;
    try {
      request = await workbench.ask(askBody(state, place?.path ?? ''));
    } catch (reason) {
      if (place?.made) {
        await this.takeAway(place.path);
      }
      throw reason;
    }
    if (place && request.state === 'granted') {
      await this.open(place.path);
    } else if (place) {
      this._pending.set(request.id, place);
      this.tellAwaited();
      if (workbench.leases.get(request.id)) {
        await this.openPending(request.id); // Granted between the answer and here.
      }
    }
    return request;
  }

  /** Open a notebook on a lease that no kernel has taken yet. */
  async startOn(lease: Lease, folder?: string): Promise<void> {
    if (lease.name) {
      await this.ensure(lease.name);
    }
    await this.open(lease.name || (await this.create(folder)));
  }

  /** Show the notebook whose kernel holds a lease. */
  async reveal(lease: Lease): Promise<void> {
    const name = nameOf(lease);
    const open = this.options.tracker.find(one => samePath(one.context.path, name));
    const path = open?.context.path ?? lease.name;
    if (path) {
      await this.options.commands.execute('docmanager:open', { path });
    }
  }

  /** Open `path` with a kernel on its slice; a kernel it has now is replaced. */
  private async open(path: string): Promise<void> {
    const { commands, tracker } = this.options;
    const open = tracker.find(one => one.context.path === path);
    if (open) {
      await open.sessionContext.changeKernel({ name: SLICE_KERNEL });
      await commands.execute('docmanager:open', { path });
      return;
    }
    const kernel = { name: SLICE_KERNEL };
    await commands.execute('docmanager:open', { path, factory: 'Notebook', kernel });
  }

  private async place(target: Target, folder?: string): Promise<IPending | null> {
    switch (target.kind) {
      case 'later':
        return null;
      case 'path':
        return { path: target.path, made: await this.ensure(target.path) };
      case 'new':
        return { path: await this.create(folder), made: true };
    }
  }

  private async create(folder?: string): Promise<string> {
    const { contents } = this.options;
    const path = folder ?? this.options.folder();
    return (await contents.newUntitled({ type: 'notebook', path })).path;
  }

  /** A slice is for this path and no other: where there is no file, it is made, and that is said. */
  private async ensure(path: string): Promise<boolean> {
    const { contents } = this.options;
    try {
      await contents.get(path, { content: false });
    } catch (reason) {
      if (!(reason instanceof ServerConnection.ResponseError && reason.response.status === 404)) {
        throw reason; // It may be there: nothing is written over it.
      }
      const content = { cells: [], metadata: {}, nbformat: 4, nbformat_minor: 5 };
      await contents.save(path, { type: 'notebook', format: 'json', content });
      return true;
    }
    return false;
  }

  /** Delete a notebook that we made, if it is still as empty as we made it. */
  private async takeAway(path: string): Promise<void> {
    const { contents, tracker } = this.options;
    try {
      const model = await contents.get(path, { type: 'notebook', content: true });
      const cells: unknown[] = model.content.cells;
      if (cells.length === 0 && !tracker.find(one => one.context.path === path)) {
        await contents.delete(path);
      }
    } catch {
      // Renamed or deleted meanwhile: somebody else's now.
    }
  }

  private onGranted(lease: Lease): void {
    if (this._pending.has(lease.id)) {
      void this.openPending(lease.id);
    }
  }

  private async openPending(id: number): Promise<void> {
    const place = this._pending.get(id);
    if (this._pending.delete(id)) {
      this.tellAwaited();
    }
    if (place) {
      await this.open(place.path).catch((reason: unknown) =>
        this.options.failed(place.path, reason)
      );
    }
  }

  /** A request that left the queue without a lease was cancelled or has expired. */
  private onQueue(): void {
    const { workbench } = this.options;
    for (const [id, place] of [...this._pending]) {
      if (!workbench.requests.get(id)) {
        void this.settle(id, place);
      }
    }
  }

  private async settle(id: number, place: IPending): Promise<void> {
    const state = await this.options.workbench.api.request(id).then(
      request => request.state,
      () => 'queued' as const
    );
    if (['cancelled', 'denied', 'expired'].includes(state) && this._pending.delete(id)) {
      this.tellAwaited();
      if (place.made) {
        await this.takeAway(place.path);
      }
    }
  }

  /** A slice that comes while nobody looks has its notebook opened: unclaimed it would be lost. */
  private tellAwaited(): void {
    this.options.workbench.awaitLeases([...this._pending.keys()]);
  }

  private readonly _pending = new Map<number, IPending>();
}
