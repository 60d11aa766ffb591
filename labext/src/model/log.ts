/**
 * One rank's log as it grows: its end first, what was before on demand. No DOM.
 *
 * It asks once a second while it is awake and the job goes on; a log has no events. A restart of the
 * ranks begins a new log.
 */

import type { IDisposable } from '@lumino/disposable';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import type { ApiError } from '../api/errors';
import { asApiError } from '../api/errors';
import type { WorkbenchApi } from '../api/rest';
import { LogLines } from './loglines';

export type Stream = 'out' | 'err';

/** Bytes of the end that are read at first, and of what is before at once. */
const TAIL = 512 * 1024;
const EVERY = 1000;
const AFTER_TROUBLE = 5000;

export class LogModel implements IDisposable {
  constructor(
    private readonly api: WorkbenchApi,
    readonly id: string,
    readonly rank: number,
    readonly stream: Stream
  ) {}

  readonly lines = new LogLines();

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  get problem(): ApiError | null {
    return this._problem;
  }

  /** The job is over, and this is all. */
  get ended(): boolean {
    return this._ended;
  }

  /** Whether the first answer is there. */
  get ready(): boolean {
    return this._ready;
  }

  /** Bytes before the first line that is known. */
  get before(): number {
    return this.lines.dropped ? 0 : this._first;
  }

  /** Whether the first line that is known is the log's first one. */
  get fromStart(): boolean {
    return this._first === 0;
  }

  get isDisposed(): boolean {
    return this._disposed;
  }

  /** Ask only while somebody looks. */
  activate(awake: boolean): void {
    if (awake !== this._awake) {
      this._awake = awake;
      clearTimeout(this._timer);
      if (awake && !this._busy) {
        void this.read();
      }
    }
  }

  /** Read half a megabyte of what is before; rejects with `ApiError`. */
  async earlier(): Promise<void> {
    const until = this._first;
    const from = Math.max(0, until - TAIL);
    let text = '';
    let at = from;
    while (at < until) {
      const chunk = await this.api.jobLog(this.id, this.rank, this.stream, at);
      if (this._disposed || chunk.next_offset <= at) {
        return;
      }
      const over = chunk.next_offset - until;
      text += over > 0 ? withoutEnd(chunk.text, over) : chunk.text;
      at = chunk.next_offset;
    }
    const begin = from > 0 ? afterLine(text) : 0;
    const whole = text.slice(begin);
    this.lines.prepend(whole);
    this._first = until - bytes(whole); // Not by what was cut: that may begin inside a character.
    this._changed.emit();
  }

  dispose(): void {
    this._disposed = true;
    clearTimeout(this._timer);
    Signal.clearData(this);
  }

  private async read(): Promise<void> {
    this._busy = true;
    let again = EVERY;
    try {
      again = await this.step();
      this._problem = null;
    } catch (reason) {
      this._problem = asApiError(reason);
      again = AFTER_TROUBLE;
    }
    this._busy = false;
    if (this._disposed) {
      return;
    }
    this._changed.emit();
    if (this._awake && !this._ended) {
      this._timer = setTimeout(() => void this.read(), again);
    }
  }

  /** Read one piece; returns after how many milliseconds to read the next. */
  private async step(): Promise<number> {
    const asked = this._next ?? -TAIL;
    const chunk = await this.api.jobLog(this.id, this.rank, this.stream, asked);
    if (this._next !== null && chunk.attempt !== this._attempt) {
      this._next = null; // The ranks were restarted.
      return 0;
    }
    this._attempt = chunk.attempt;
    const fresh = this._next === null || chunk.offset < this._next;
    let { text } = chunk;
    if (fresh) {
      const begin = chunk.offset > 0 ? afterLine(text) : 0;
      this.lines.clear();
      text = text.slice(begin);
      this._first = chunk.next_offset - bytes(text);
    }
    const grew = fresh ? text !== '' : chunk.next_offset > asked;
    this._next = chunk.next_offset;
    this._ready = true;
    if (text) {
      this.lines.append(text);
    }
    this._ended = chunk.ended && !grew;
    return grew ? 0 : EVERY;
  }

  private _attempt: number | undefined;
  private _awake = false;
  private _busy = false;
  private _changed = new Signal<this, void>(this);
  private _disposed = false;
  private _ended = false;
  /** Offset of the first line that is known. */
  private _first = 0;
  /** Offset to go on from; null before the first answer. */
  private _next: number | null = null;
  private _problem: ApiError | null = null;
  private _ready = false;
  private _timer: ReturnType<typeof setTimeout> | undefined;
}

/** Where the second line begins; the first one is cut by where we began to read. */
function afterLine(text: string): number {
  return text.indexOf('\n') + 1;
}

function bytes(text: string): number {
  return new TextEncoder().encode(text).length;
}

/** Without that many bytes of its end. */
function withoutEnd(text: string, count: number): string {
  const all = new TextEncoder().encode(text);
  return new TextDecoder().decode(all.subarray(0, Math.max(0, all.length - count)));
}
