/** The jobs that are compared, each followed as on its own page. No DOM. */

import type { TranslationBundle } from '@jupyterlab/translation';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import type { Workbench } from '../model/workbench';
import { JobModel } from './model';

/** More lines than that in one chart tell nobody anything. */
export const MOST_COMPARED = 12;

export interface ICompareContext {
  readonly model: Comparison;
  open(id: string): Promise<void>;
  readonly themeChanged: ISignal<unknown, unknown> | null;
  readonly trans: TranslationBundle;
}

export class Comparison {
  constructor(
    readonly workbench: Workbench,
    ids: readonly string[]
  ) {
    ids.forEach(id => this.add(id));
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  get drawn(): ISignal<this, void> {
    return this._drawn;
  }

  get runs(): readonly JobModel[] {
    return this._runs;
  }

  get ids(): readonly string[] {
    return this._runs.map(run => run.id);
  }

  /** Metrics that any of them logged: those that most have in common first. */
  get names(): readonly string[] {
    const counts = new Map<string, number>();
    for (const name of this._runs.flatMap(run => run.curves.names)) {
      counts.set(name, (counts.get(name) ?? 0) + 1);
    }
    return [...counts.entries()].sort((a, b) => b[1] - a[1]).map(([name]) => name);
  }

  add(id: string): void {
    if (!id || this.ids.includes(id) || this._runs.length >= MOST_COMPARED) {
      return;
    }
    const run = new JobModel(this.workbench, { id });
    run.changed.connect(() => this._changed.emit());
    run.drawn.connect(() => this._drawn.emit());
    this._runs = [...this._runs, run];
    run.activate(this._awake);
    this._changed.emit();
  }

  remove(id: string): void {
    this._runs.find(run => run.id === id)?.dispose();
    this._runs = this._runs.filter(run => run.id !== id);
    this._changed.emit();
    this._drawn.emit();
  }

  activate(awake: boolean): void {
    this._awake = awake;
    this._runs.forEach(run => run.activate(awake));
  }

  dispose(): void {
    this._runs.forEach(run => run.dispose());
    Signal.clearData(this);
  }

  private _awake = false;
  private _changed = new Signal<this, void>(this);
  private _drawn = new Signal<this, void>(this);
  private _runs: readonly JobModel[] = [];
}
