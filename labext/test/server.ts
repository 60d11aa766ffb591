/**
 * A small real server for tests: a broker of a few lines behind `fetch`, and WebSockets that it can
 * speak on and cut. It grants while slices are free and queues after that, as the real one does.
 */

import { ServerConnection } from '@jupyterlab/services';

import type {
  Card,
  Cluster,
  Fleet,
  Lease,
  LiveEvent,
  Request as Ask,
  Status,
  Sweep
} from '../src/api/types';
import { FakeJobs } from './jobs';
import { card, fleet, lease, request, status } from './things';

type Answer = { status: number; body: unknown };

export class FakeServer {
  status: Status = status();
  fleet: Fleet = fleet();
  cards: Card[] = [card({ profile: 'mig-1g.10gb', memory_gb: 10, units: 0.14 }), card()];
  clusters = new Map<string, Cluster>();
  leases = new Map<number, Lease>();
  /** Those that are over, told to who asks for one, or for all that are over. */
  past = new Map<number, Lease>();
  requests = new Map<number, Ask>();
  readonly jobs = new FakeJobs();
  sweeps: Sweep[] = [];
  /** Slices that can still be granted. */
  free = 1;
  /** While set, every HTTP call is answered so. */
  trouble: Answer | null = null;
  /** While set, nothing answers. */
  down = false;
  /** While set, it says nothing to who connects. */
  silent = false;
  readonly calls: string[] = [];
  readonly headers: Headers[] = [];
  readonly sockets: FakeSocket[] = [];

  settings(): ServerConnection.ISettings {
    // eslint-disable-next-line @typescript-eslint/no-this-alias
    const server = this;
    class Socket extends FakeSocket {
      constructor(url: string) {
        super(url);
        server.sockets.push(this);
        queueMicrotask(() => (server.down ? this.cut() : server.greet(this)));
      }
    }
    return ServerConnection.makeSettings({
      baseUrl: 'http://fake/user/ada/',
      wsUrl: 'ws://fake/user/ada/',
      token: 'secret',
      appendToken: true,
      fetch: input => this.fetch(input as Request),
      WebSocket: Socket as unknown as typeof WebSocket
    });
  }

  /** Its first word, as the real one's. */
  private greet(socket: FakeSocket): void {
    socket.accept();
    if (!this.silent) {
      socket.receive(JSON.stringify({ type: 'hello', data: this.status }));
    }
  }

  /** Send an event to every open page. */
  tell(event: LiveEvent): void {
    for (const socket of this.sockets) {
      socket.receive(JSON.stringify(event));
    }
  }

  private async fetch(call: Request): Promise<Response> {
    if (this.down) {
      throw new TypeError('Failed to fetch');
    }
    const url = new URL(call.url);
    const path = url.pathname.replace('/user/ada/gpu-workbench/api/v1/', '');
    this.calls.push(`${call.method} ${path}`);
    this.headers.push(call.headers);
    const text = await call.text();
    const body: unknown = text ? JSON.parse(text) : null;
    const answer =
      this.trouble ??
      this.jobs.answer(path, url.searchParams) ??
      this.route(call.method, path, body as Partial<Ask>, url.searchParams.has('ended'));
    const said = answer.body;
    return new Response(typeof said === 'string' ? said : JSON.stringify(said), {
      status: answer.status
    });
  }

  private route(
    method: string,
    path: string,
    body: Partial<Ask> & { dry_run?: boolean },
    ended: boolean
  ): Answer {
    const [noun, id = '', verb = ''] = path.split('/');
    const known: Record<string, () => unknown> = {
      'GET status': () => this.status,
      'GET fleet': () => this.fleet,
      'GET cards': () => ({ cards: this.cards }),
      'GET clusters': () => ({ clusters: [...this.clusters.values()] }),
      'POST clusters': () => this.changeCluster(id, verb, body),
      'DELETE clusters': () => this.changeCluster(id, 'stop', {}),
      'GET requests': () =>
        id ? this.requests.get(Number(id)) : { requests: [...this.requests.values()] },
      'POST requests': () => this.ask(body),
      'DELETE requests': () => this.end(Number(id)),
      'GET leases': () =>
        id
          ? (this.leases.get(Number(id)) ?? this.past.get(Number(id)))
          : { leases: [...this.leases.values(), ...(ended ? this.past.values() : [])] },
      'POST leases': () => this.change(Number(id), verb === 'extend' ? { ends_at: 9e9 } : {}),
      'GET sweeps': () => ({ sweeps: this.sweeps }),
      'DELETE leases': () => this.change(Number(id), { state: 'ended' })
    };
    const found = known[`${method} ${noun}`]?.();
    return found
      ? { status: 200, body: found }
      : { status: 404, body: { code: 'not_found', message: 'No such thing.', hint: 'List.' } };
  }

  private ask(body: Partial<Ask> & { dry_run?: boolean }): Ask {
    const state = this.free > 0 ? 'granted' : 'queued';
    const id = this.leases.size + this.requests.size + 1;
    const one = request({ ...body, id, state, position: state === 'queued' ? 1 : null });
    if (!body.dry_run) {
      this.requests.set(id, one);
      if (state === 'granted') {
        this.free -= 1;
        this.leases.set(id, lease({ id, name: one.name }));
      }
    }
    return one;
  }

  private end(id: number): Ask | undefined {
    const one = this.requests.get(id);
    const ended = one && { ...one, state: 'cancelled' as const };
    if (ended) {
      this.requests.set(id, ended);
    }
    return ended;
  }

  private changeCluster(id: string, verb: string, body: object): Cluster | undefined {
    const { workers, name } = body as { workers?: number; name?: string };
    const one = this.clusters.get(id);
    const how: Record<string, Partial<Cluster>> = {
      scale: { workers_wanted: workers ?? 0 },
      rename: { name: name ?? '' },
      stop: { state: 'stopping' }
    };
    const changed = one && { ...one, ...how[verb] };
    if (changed) {
      this.clusters.set(id, changed);
    }
    return changed;
  }

  private change(id: number, how: Partial<Lease>): Lease | undefined {
    const one = this.leases.get(id);
    const changed = one && { ...one, ...how };
    if (changed) {
      this.leases.set(id, changed);
    }
    return changed;
  }
}

export function serverWith(...clusters: Cluster[]): FakeServer {
  const server = new FakeServer();
  clusters.forEach(one => server.clusters.set(one.id, one));
  return server;
}

/** The browser's end of a WebSocket, as far as a client sees it. */
export class FakeSocket {
  onopen: (() => void) | null = null;
  onmessage: ((message: { data: string }) => void) | null = null;
  onclose: ((event?: { code: number }) => void) | null = null;
  onerror: (() => void) | null = null;
  readonly sent: string[] = [];
  open = false;

  constructor(readonly url: string) {}

  accept(): void {
    this.open = true;
    this.onopen?.();
  }

  receive(data: string): void {
    if (this.open) {
      this.onmessage?.({ data });
    }
  }

  /** The connection breaks, or is closed with a reason. */
  cut(code = 1006): void {
    this.open = false;
    this.onclose?.({ code });
  }

  send(data: string): void {
    this.sent.push(data);
  }

  close(): void {
    this.open = false;
  }
}

/** Wait for something to become true; fails after half a minute. */
export async function until(what: string, true_: () => boolean): Promise<void> {
  const deadline = Date.now() + 30_000;
  while (!true_()) {
    if (Date.now() > deadline) {
      throw new Error(`Not after 30 s: ${what}`);
    }
    await new Promise(done => setTimeout(done, 5));
  }
}
