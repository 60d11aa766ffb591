/**
 * The server's time, told once a second while somebody looks: countdowns tick without a call.
 *
 * The browser's clock may be wrong by minutes; the offset is learnt from the server's samples.
 */

import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

export class Clock {
  constructor(private readonly local: () => number = () => Date.now() / 1000) {}

  /** Once a second, with the server's time. */
  get ticked(): ISignal<this, number> {
    return this._ticked;
  }

  /** Seconds since the epoch on the server, whole, so that all countdowns change together. */
  get now(): number {
    return Math.floor(this.local() + this._offset);
  }

  /** The server said it is `time` now. Offsets under 2 s are the network's, not the clock's. */
  learn(time: number): void {
    const offset = time - this.local();
    this._offset = Math.abs(offset) < 2 ? 0 : offset;
  }

  start(): void {
    this._timer ??= setInterval(() => this._ticked.emit(this.now), 1000);
  }

  stop(): void {
    clearInterval(this._timer);
    this._timer = undefined;
  }

  private _offset = 0;
  private _timer: ReturnType<typeof setInterval> | undefined;
  private _ticked = new Signal<this, number>(this);
}
