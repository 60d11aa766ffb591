/**
 * The cards of the request form: each profile and when it could be had, for the form's count and
 * time. Read again, a little later, whenever the fleet or the queue has moved.
 */

import type { IDisposable } from '@lumino/disposable';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import type { ApiError } from '../api/errors';
import { asApiError } from '../api/errors';
import type { Card } from '../api/types';
import type { FormModel } from './form';
import type { Workbench } from './workbench';

const SETTLE = 250;

export class CardsModel implements IDisposable {
  constructor(
    private readonly workbench: Workbench,
    private readonly form: FormModel
  ) {
    workbench.shifted.connect(this.later, this);
    form.changed.connect(this.onForm, this);
    this.later();
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** Smallest first; null before the first answer. */
  get cards(): readonly Card[] | null {
    return this._cards;
  }

  get problem(): ApiError | null {
    return this._problem;
  }

  get isDisposed(): boolean {
    return this._disposed;
  }

  /** Ask only while somebody can see the cards. */
  activate(awake: boolean): void {
    this._awake = awake;
    if (awake) {
      this.later();
    } else {
      clearTimeout(this._timer);
    }
  }

  dispose(): void {
    if (this._disposed) {
      return;
    }
    this._disposed = true;
    clearTimeout(this._timer);
    Signal.clearData(this);
  }

  /** Read now. */
  async read(): Promise<void> {
    const { count, seconds } = this.form.state;
    this._asked = `${count}/${seconds}`;
    const asked = this._asked;
    try {
      const cards = await this.workbench.api.cards(Math.max(1, count || 1), seconds);
      if (asked !== this._asked) {
        return;
      }
      this._cards = [...cards].sort((a, b) => a.memory_gb - b.memory_gb || a.units - b.units);
      this._problem = null;
    } catch (reason) {
      this._problem = asApiError(reason);
    }
    if (!this._disposed) {
      this._changed.emit();
    }
  }

  private later(): void {
    clearTimeout(this._timer);
    if (this._awake && !this._disposed && this.workbench.phase === 'ready') {
      this._timer = setTimeout(() => void this.read(), SETTLE);
    }
  }

  private onForm(): void {
    const { count, seconds } = this.form.state;
    if (this._asked !== `${count}/${seconds}`) {
      this.later();
    }
  }

  private _asked = '';
  private _awake = true;
  private _cards: readonly Card[] | null = null;
  private _changed = new Signal<this, void>(this);
  private _disposed = false;
  private _problem: ApiError | null = null;
  private _timer: ReturnType<typeof setTimeout> | undefined;
}
