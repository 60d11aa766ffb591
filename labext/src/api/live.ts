/**
 * The WebSocket `live`: events in, connection state out. It reconnects by itself, waiting longer
 * after each failure; it does not know what the events mean.
 */

import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';
import type { IDisposable } from '@lumino/disposable';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import { API_PATH } from './rest';
import type { LiveEvent } from './types';

/** `connecting` until the first connection, `lost` while it tries to get it back. */
export type LinkState = 'connecting' | 'open' | 'lost';

const FIRST_DELAY = 500;
const LONGEST_DELAY = 20_000;

/** Milliseconds before attempt `n` (from 0), with `luck` in 0..1 spreading many clients apart. */
export function backOff(n: number, luck: number = Math.random()): number {
  const delay = Math.min(LONGEST_DELAY, FIRST_DELAY * 2 ** n);
  return delay * (0.5 + luck / 2);
}

export class LiveClient implements IDisposable {
  constructor(
    private readonly settings: ServerConnection.ISettings = ServerConnection.makeSettings(),
    private readonly delay: (attempt: number) => number = backOff
  ) {}

  get event(): ISignal<this, LiveEvent> {
    return this._event;
  }

  get stateChanged(): ISignal<this, LinkState> {
    return this._stateChanged;
  }

  get state(): LinkState {
    return this._state;
  }

  get isDisposed(): boolean {
    return this._disposed;
  }

  /** Connect now, whatever the back-off says. */
  connect(): void {
    if (this._disposed) {
      return;
    }
    clearTimeout(this._timer);
    this.drop();
    const socket = new this.settings.WebSocket(this.url());
    this._socket = socket;
    socket.onopen = () => {
      this._attempt = 0;
      this.enter('open');
      if (this._hidden) {
        this.hide(true);
      }
    };
    socket.onmessage = message => this.receive(message.data);
    socket.onclose = () => this.retry(socket);
    // A browser follows every `error` with `close`; there is nothing to add.
    socket.onerror = () => {};
  }

  /** Tell the server whether anybody can see this page: a hidden one gets events and no samples. */
  hide(hidden: boolean): void {
    this._hidden = hidden;
    if (this._state === 'open') {
      this._socket?.send(JSON.stringify({ hidden }));
    }
  }

  dispose(): void {
    if (this._disposed) {
      return;
    }
    this._disposed = true;
    clearTimeout(this._timer);
    this.drop();
    Signal.clearData(this);
  }

  private url(): string {
    const { wsUrl, token, appendToken } = this.settings;
    const url = URLExt.join(wsUrl, API_PATH, 'live');
    return appendToken && token ? `${url}?token=${encodeURIComponent(token)}` : url;
  }

  private receive(data: unknown): void {
    let event: LiveEvent;
    try {
      event = JSON.parse(String(data)) as LiveEvent;
    } catch {
      return; // Not ours; the next message is complete in itself.
    }
    this._event.emit(event);
  }

  private retry(socket: WebSocket): void {
    if (this._disposed || socket !== this._socket) {
      return;
    }
    this._socket = null;
    this.enter('lost');
    this._timer = setTimeout(() => this.connect(), this.delay(this._attempt++));
  }

  private drop(): void {
    const socket = this._socket;
    this._socket = null;
    if (socket) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close();
    }
  }

  private enter(state: LinkState): void {
    if (state !== this._state) {
      this._state = state;
      this._stateChanged.emit(state);
    }
  }

  private _attempt = 0;
  private _disposed = false;
  private _hidden = false;
  private _socket: WebSocket | null = null;
  private _state: LinkState = 'connecting';
  private _timer: ReturnType<typeof setTimeout> | undefined;
  private _event = new Signal<this, LiveEvent>(this);
  private _stateChanged = new Signal<this, LinkState>(this);
}
