/** The notebook in front: its path, told again when another comes to the front or it is renamed. */

import type { ILabShell } from '@jupyterlab/application';
import type { INotebookTracker, NotebookPanel } from '@jupyterlab/notebook';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

export class CurrentNotebook {
  constructor(
    private readonly shell: ILabShell,
    private readonly tracker: INotebookTracker
  ) {
    shell.currentChanged.connect(this.update, this);
    tracker.currentChanged.connect(this.update, this);
    this.update();
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  get panel(): NotebookPanel | null {
    return this._panel;
  }

  get path(): string | null {
    return this._panel?.context.path ?? null;
  }

  private update(): void {
    const front = this.shell.currentWidget;
    const panel = this.tracker.find(one => one === front) ?? null;
    if (panel === this._panel) {
      return;
    }
    const was = this._panel;
    if (was && !was.isDisposed) {
      was.context.pathChanged.disconnect(this.renamed, this);
    }
    panel?.context.pathChanged.connect(this.renamed, this);
    this._panel = panel;
    this._changed.emit();
  }

  private renamed(): void {
    this._changed.emit();
  }

  private _panel: NotebookPanel | null = null;
  private _changed = new Signal<this, void>(this);
}
