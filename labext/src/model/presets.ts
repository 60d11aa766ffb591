/**
 * Ready-made clusters for the form: small, medium and large, of what the fleet is cut into.
 *
 * Of all that could be had, two, four or eight workers of one profile: small is the one that takes
 * least, large the one that takes most but not more than half, medium the one halfway between.
 * When each could be had is read from the server, for its number of workers, and again whenever the
 * fleet or the queue has moved.
 */

import type { IDisposable } from '@lumino/disposable';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import type { Card, Status } from '../api/types';
import type { FormModel, IFormState } from './form';
import type { Workbench } from './workbench';

export type Size = 'small' | 'medium' | 'large';

/** A size as workers on a profile. */
export interface IPreset {
  readonly size: Size;
  readonly workers: number;
  /** Of one worker; when all of them could be had. */
  readonly card: Card;
}

const SETTLE = 250;
const COUNTS = [2, 4, 8];
const NEARLY = 1e-6;

/** @param offers what so many slices of each profile come to, by their number */
export function presetsOf(
  offers: ReadonlyMap<number, readonly Card[]>,
  status: Status | null
): IPreset[] {
  const limits = (status?.quotas ?? []).flatMap(one => one.limit ?? []);
  const room = Math.min(status?.units_total ?? 0, ...limits);
  const all = [...offers].flatMap(([workers, cards]) =>
    cards
      .filter(card => card.when !== 'never' && workers * card.units <= room + NEARLY)
      .map(card => ({ workers, card, takes: workers * card.units }))
  );
  // Of two that take the same, the one with fewer and larger slices goes first.
  all.sort((a, b) => a.takes - b.takes || a.workers - b.workers);
  const small = all[0];
  if (!small) {
    return [];
  }
  const least = small.takes;
  const half = all.filter(one => one.takes <= Math.max(room / 2, least) + NEARLY);
  const most = Math.max(...half.map(one => one.takes));
  const large = half.find(one => one.takes >= most - NEARLY);
  const between = half.filter(one => one.takes > least + NEARLY && one.takes < most - NEARLY);
  const off = (one: { takes: number }): number => Math.abs(Math.log(one.takes ** 2 / least / most));
  const medium = between.sort((a, b) => off(a) - off(b))[0];
  const sizes: [Size, typeof large][] = [
    ['small', small],
    ['medium', medium],
    ['large', large === small ? undefined : large]
  ];
  return sizes.flatMap(([size, one]) =>
    one ? [{ size, workers: one.workers, card: one.card }] : []
  );
}

/** Whether the form asks for just that. */
export function isChosen(preset: IPreset, state: IFormState): boolean {
  const { card, workers } = preset;
  return state.profile === card.profile && state.pool === card.pool && state.count === workers;
}

export class PresetsModel implements IDisposable {
  constructor(
    private readonly workbench: Workbench,
    private readonly form: FormModel
  ) {
    workbench.shifted.connect(this.later, this);
    form.changed.connect(this.onForm, this);
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** Null before the first answer. */
  get presets(): readonly IPreset[] | null {
    return this._presets;
  }

  get isDisposed(): boolean {
    return this._disposed;
  }

  dispose(): void {
    this._disposed = true;
    clearTimeout(this._timer);
    Signal.clearData(this);
  }

  /** Read now. What is known stays where that fails: the form's own cards say what is wrong. */
  async read(): Promise<void> {
    const { seconds } = this.form.state;
    const turn = ++this._turn;
    this._read = seconds;
    try {
      const { api } = this.workbench;
      const answers = await Promise.all(
        COUNTS.map(async count => [count, await api.cards(count, seconds)] as const)
      );
      if (turn !== this._turn || this._disposed) {
        return;
      }
      this._presets = presetsOf(new Map(answers), this.workbench.status);
      this._changed.emit();
    } catch {
      // Tried again with the next change.
    }
  }

  /** Nothing is read while the form is not about clusters. */
  private later(): void {
    clearTimeout(this._timer);
    if (
      !this._disposed &&
      this.workbench.phase === 'ready' &&
      this.form.state.purpose === 'cluster'
    ) {
      this._timer = setTimeout(() => void this.read(), SETTLE);
    }
  }

  private onForm(): void {
    const { purpose, seconds } = this.form.state;
    if (purpose === 'cluster' && seconds !== this._read) {
      this.later();
    }
  }

  private _changed = new Signal<this, void>(this);
  private _disposed = false;
  private _presets: readonly IPreset[] | null = null;
  /** For how many seconds was read last. */
  private _read: number | null = null;
  private _timer: ReturnType<typeof setTimeout> | undefined;
  private _turn = 0;
}
