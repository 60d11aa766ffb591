/** A small collection of objects by id that tells when it changed. Values are never mutated. */

import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

export class Keyed<K extends number | string, T extends { readonly id: K }> {
  /** @param order newest or next first, as the surface shows them */
  constructor(private readonly order: (a: T, b: T) => number) {}

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** In order; the same array until something changes. */
  get items(): readonly T[] {
    this._items ??= [...this._byId.values()].sort(this.order);
    return this._items;
  }

  get(id: K): T | undefined {
    return this._byId.get(id);
  }

  put(item: T): void {
    this._byId.set(item.id, item);
    this.touch();
  }

  remove(id: K): void {
    if (this._byId.delete(id)) {
      this.touch();
    }
  }

  replace(items: Iterable<T>): void {
    this._byId = new Map([...items].map(item => [item.id, item]));
    this.touch();
  }

  private touch(): void {
    this._items = null;
    this._changed.emit();
  }

  private _byId = new Map<K, T>();
  private _items: readonly T[] | null = null;
  private _changed = new Signal<this, void>(this);
}
