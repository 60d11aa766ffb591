/**
 * The WebSocket `live`: events in, connection state out. It reconnects by itself, waiting longer
 * after each failure; it does not know what the events mean. While nobody can see the page it says
 * nothing, is told nothing and does not reconnect, but where the page awaits a lease.
 */

import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';
import type { IDisposable } from '@lumino/disposable';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import { API_PATH } from './rest';
import { TickReader } from './ticks';
import type { LiveEvent, Looking, WireEvent } from './types';

/** `connecting` until the first connection, `lost` while it tries to get it back. */
export type LinkState = 'connecting' | 'open' | 'lost';

const FIRST_DELAY = 500;
const LONGEST_DELAY = 20_000;
/** A page that can be seen gets several messages a second: without any for so long nobody is there. */
const LONGEST_SILENCE = 20_000;
/** The server's close code where as many windows as one may have are open. */
const TOO_MANY = 4029;

/** Milliseconds before attempt `n` (from 0), with `luck` in 0..1 spreading many clients apart. */
export function backOff(n: number, luck: number = Math.random()): number {
  const delay = Math.min(LONGEST_DELAY, FIRST_DELAY * 2 ** n);
  return delay * (0.5 + luck / 2);
}

export class LiveClient implements IDisposable {
  constructor(
    private readonly settings: ServerConnection.ISettings = ServerConnection.makeSettings(),
    private readonly delay: (attempt: number) => number = backOff,
    private readonly silence: number = LONGEST_SILENCE
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

  /** Whether nobody can see the page. */
  get hidden(): boolean {
    return this._looking.hidden;
  }

  get isDisposed(): boolean {
    return this._disposed;
  }

  /** Connect now, whatever the back-off says; where nobody can see the page, when it is shown. */
  connect(): void {
    if (this._disposed) {
      return;
    }
    this._started = true;
    clearTimeout(this._timer);
    this.drop();
    if (this.asleep) {
      return;
    }
    const socket = new this.settings.WebSocket(this.url());
    socket.binaryType = 'arraybuffer';
    this._socket = socket;
    this._ticks.forget();
    socket.onopen = () => {
      this.enter('open');
      this.listen();
      if (this._looking.hidden || this._looking.gpu !== null) {
        this.say();
      }
    };
    socket.onmessage = message => this.receive(message.data);
    socket.onclose = event => this.retry(socket, event?.code);
    // A browser follows every `error` with `close`; there is nothing to add.
    socket.onerror = () => {};
  }

  /** Tell the server whether anybody can see this page: a hidden one gets what it missed when shown. */
  hide(hidden: boolean): void {
    if (hidden !== this._looking.hidden) {
      this._looking = { ...this._looking, hidden };
      this.say();
      this.follow();
    }
  }

  /** The leases, by number, of which the page is to be told even while nobody can see it. */
  awaitLeases(leases: readonly number[]): void {
    this._looking = { ...this._looking, awaits: [...leases] };
    if (this._looking.hidden) {
      this.say();
      this.follow();
    }
  }

  /** Ask for every metric of one GPU (by UUID) beside the fleet's few; `null`: no more. */
  lookAt(gpu: string | null): void {
    if (gpu !== this._looking.gpu) {
      this._looking = { ...this._looking, gpu };
      if (!this._looking.hidden) {
        this.say();
      }
    }
  }

  dispose(): void {
    if (this._disposed) {
      return;
    }
    this._disposed = true;
    clearTimeout(this._timer);
    clearTimeout(this._listening);
    this.drop();
    Signal.clearData(this);
  }

  /** Nobody can see the page, and nothing in it waits for anything. */
  private get asleep(): boolean {
    return this._looking.hidden && this._looking.awaits.length === 0;
  }

  /** The page was hidden or shown: an attempt to connect is left or made. */
  private follow(): void {
    this.listen();
    if (this._started && this._state !== 'open' && (this.asleep || !this._socket)) {
      this.connect();
    }
  }

  private url(): string {
    const { wsUrl, token, appendToken } = this.settings;
    const url = URLExt.join(wsUrl, API_PATH, 'live');
    return appendToken && token ? `${url}?token=${encodeURIComponent(token)}` : url;
  }

  private say(): void {
    if (this._state === 'open') {
      this._socket?.send(JSON.stringify(this._looking));
    }
  }

  private receive(data: unknown): void {
    this.listen();
    this._attempt = 0; // Not when it opens: a server that is full closes at once.
    if (data instanceof ArrayBuffer) {
      const tick = this._ticks.read(data);
      if (tick) {
        this._event.emit({ type: 'tick', data: tick });
      }
      return;
    }
    let event: WireEvent;
    try {
      event = JSON.parse(String(data)) as WireEvent;
    } catch {
      return; // Not ours; the next message is complete in itself.
    }
    if (event.type === 'layout') {
      this._ticks.learn(event.data);
    } else {
      this._event.emit(event);
    }
  }

  private retry(socket: WebSocket, code?: number): void {
    if (this._disposed || socket !== this._socket) {
      return;
    }
    this._socket = null;
    clearTimeout(this._listening);
    this.enter('lost');
    const attempt = code === TOO_MANY ? Infinity : this._attempt++;
    if (!this.asleep) {
      this._timer = setTimeout(() => this.connect(), this.delay(attempt));
    }
  }

  /** A connection may die without a word: a server that hangs, a network that changed. */
  private listen(): void {
    clearTimeout(this._listening);
    const socket = this._socket;
    if (socket && this._state === 'open' && !this._looking.hidden) {
      this._listening = setTimeout(() => {
        socket.onclose = null;
        socket.close();
        this.retry(socket);
      }, this.silence);
    }
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
  private _listening: ReturnType<typeof setTimeout> | undefined;
  private _looking: Looking = { hidden: false, gpu: null, awaits: [] };
  private _socket: WebSocket | null = null;
  private _started = false;
  private _state: LinkState = 'connecting';
  private _timer: ReturnType<typeof setTimeout> | undefined;
  private _event = new Signal<this, LiveEvent>(this);
  private _ticks = new TickReader();
  private _stateChanged = new Signal<this, LinkState>(this);
}
