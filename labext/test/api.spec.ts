import { ApiError } from '../src/api/errors';
import { LiveClient, backOff } from '../src/api/live';
import { WorkbenchApi } from '../src/api/rest';
import type { LiveEvent } from '../src/api/types';
import { FakeServer, until } from './server';
import { status } from './things';

function failure(call: Promise<unknown>): Promise<ApiError> {
  return call.then(
    () => Promise.reject(new Error('it did not fail')),
    (reason: unknown) => {
      expect(reason).toBeInstanceOf(ApiError);
      return reason as ApiError;
    }
  );
}

describe('REST', () => {
  it('reads below the base URL and does not keep an idle server awake', async () => {
    const server = new FakeServer();
    const seen: string[] = [];
    const settings = server.settings();
    const fetch = settings.fetch;
    const spied = {
      ...settings,
      fetch: ((call: Request, init?: RequestInit) => {
        seen.push(call.url);
        return fetch(call, init);
      }) as typeof fetch
    };
    await new WorkbenchApi(spied).cards(2, 3600);
    const url = new URL(seen[0] ?? '');
    expect(url.pathname).toBe('/user/ada/gpu-workbench/api/v1/cards');
    expect(url.searchParams.get('count')).toBe('2');
    expect(url.searchParams.get('no_track_activity')).toBe('1');
  });

  it('sends the XSRF token that the server set as a cookie', async () => {
    document.cookie = '_xsrf=2|abc';
    const server = new FakeServer();
    await new WorkbenchApi(server.settings()).ask({ what: '20GB' });
    expect(server.headers[0]?.get('X-XSRFToken')).toBe('2|abc');
  });

  it("passes the server's code, message and hint on", async () => {
    const server = new FakeServer();
    const body = { code: 'over_limit', message: '3 GPUs are too many.', hint: 'Take 2.' };
    server.trouble = { status: 409, body };
    const error = await failure(new WorkbenchApi(server.settings()).ask({ what: 'gpu', count: 3 }));
    expect(error).toMatchObject({ ...body, status: 409, temporary: false });
  });

  it("says what to do where the server lacks our part, and shows no proxy's page", async () => {
    const server = new FakeServer();
    const api = new WorkbenchApi(server.settings());
    server.trouble = { status: 404, body: '<html>404</html>' };
    expect(await failure(api.status())).toMatchObject({ code: 'missing' });
    server.trouble = { status: 502, body: '<html>Bad Gateway</html>' };
    const error = await failure(api.status());
    expect(error.code).toBe('unreadable');
    expect(error.message).not.toContain('<');
    server.trouble = { status: 200, body: 'not JSON' };
    expect(await failure(api.status())).toMatchObject({ code: 'unreadable' });
  });

  it('is offline when nothing answers', async () => {
    const server = new FakeServer();
    server.down = true;
    const error = await failure(new WorkbenchApi(server.settings()).status());
    expect(error).toMatchObject({ code: 'offline', temporary: true });
  });
});

describe('the live connection', () => {
  it('passes events on and skips what it can not read', async () => {
    const server = new FakeServer();
    server.silent = true;
    const live = new LiveClient(server.settings());
    const seen: LiveEvent[] = [];
    live.event.connect((_, event) => seen.push(event));
    live.connect();
    await until('open', () => live.state === 'open');
    expect(server.sockets[0]?.url).toBe(
      'ws://fake/user/ada/gpu-workbench/api/v1/live?token=secret'
    );
    server.sockets[0]?.receive('{broken');
    server.tell({ type: 'hello', data: status() });
    expect(seen.map(event => event.type)).toEqual(['hello']);
    live.dispose();
  });

  it('comes back after a cut, and not after it was disposed', async () => {
    const server = new FakeServer();
    const live = new LiveClient(server.settings(), () => 1);
    const states: string[] = [];
    live.stateChanged.connect((_, state) => states.push(state));
    live.connect();
    await until('open', () => live.state === 'open');
    server.down = true;
    server.sockets.at(-1)?.cut();
    await until('several attempts', () => server.sockets.length > 3);
    server.down = false;
    await until('open again', () => live.state === 'open');
    expect(states).toEqual(['open', 'lost', 'open']);
    live.dispose();
    const attempts = server.sockets.length;
    server.sockets.at(-1)?.cut();
    await new Promise(done => setTimeout(done, 20));
    expect(server.sockets.length).toBe(attempts);
  });

  it('says once that nobody can see the page, then nothing, and all of it when it is shown', async () => {
    const server = new FakeServer();
    const live = new LiveClient(server.settings(), () => 1);
    live.connect();
    await until('open', () => live.state === 'open');
    live.hide(true);
    live.hide(true);
    live.lookAt('GPU-7');
    const said = ['{"hidden":true,"gpu":null,"awaits":[]}'];
    expect(server.sockets[0]?.sent).toEqual(said);
    live.hide(false);
    said.push('{"hidden":false,"gpu":"GPU-7","awaits":[]}');
    expect(server.sockets[0]?.sent).toEqual(said);
    live.dispose();
  });

  it('does not come back after a cut while nobody can see the page, and at once when shown', async () => {
    const server = new FakeServer();
    const live = new LiveClient(server.settings(), () => 1);
    live.hide(true);
    live.connect(); // Opened behind another tab.
    await new Promise(done => setTimeout(done, 20));
    expect(server.sockets).toEqual([]);
    live.hide(false);
    await until('open', () => live.state === 'open');
    live.hide(true);
    server.down = true;
    server.sockets[0]?.cut(1001);
    await new Promise(done => setTimeout(done, 20));
    expect(server.sockets.length).toBe(1);
    live.hide(false);
    await until('it is tried', () => server.sockets.length > 2);
    live.hide(true);
    const attempts = server.sockets.length;
    await new Promise(done => setTimeout(done, 20));
    expect(server.sockets.length).toBe(attempts);
    server.down = false;
    live.hide(false);
    expect(server.sockets.length).toBe(attempts + 1);
    await until('open again', () => live.state === 'open');
    live.dispose();
  });

  it('comes back even where nobody can see the page while it awaits a lease', async () => {
    const server = new FakeServer();
    const live = new LiveClient(server.settings(), () => 1);
    live.connect();
    await until('open', () => live.state === 'open');
    live.awaitLeases([7]);
    live.hide(true);
    server.sockets[0]?.cut();
    await until('open again', () => live.state === 'open');
    live.awaitLeases([]);
    const hidden = '{"hidden":true,"gpu":null,"awaits":[7]}';
    expect(server.sockets.map(socket => socket.sent)).toEqual([
      [hidden],
      [hidden, hidden.replace('7', '')]
    ]);
    server.sockets[1]?.cut();
    await new Promise(done => setTimeout(done, 20));
    expect(server.sockets.length).toBe(2);
    live.dispose();
  });

  it('takes a connection that has gone silent for lost, unless nobody can see the page', async () => {
    const server = new FakeServer();
    const live = new LiveClient(server.settings(), () => 1, 40);
    live.connect();
    await until('open', () => live.state === 'open');
    live.hide(true); // A hidden page is told nothing.
    await new Promise(done => setTimeout(done, 100));
    expect(server.sockets.length).toBe(1);
    live.hide(false);
    await until('another connection', () => server.sockets.length === 2);
    expect(server.sockets[0]?.open).toBe(false);
    live.dispose();
  });

  it('asks for every metric of one GPU, again after a reconnection', async () => {
    const server = new FakeServer();
    const live = new LiveClient(server.settings(), () => 1);
    live.connect();
    await until('open', () => live.state === 'open');
    live.lookAt('GPU-7');
    live.lookAt('GPU-7');
    server.sockets[0]?.cut();
    await until('open again', () => live.state === 'open');
    const said = ['{"hidden":false,"gpu":"GPU-7","awaits":[]}'];
    expect(server.sockets.map(socket => socket.sent)).toEqual([said, said]);
    live.dispose();
  });

  it('waits longest where too many windows are open, and longer until it was told something', async () => {
    const server = new FakeServer();
    server.silent = true;
    const attempts: number[] = [];
    const live = new LiveClient(server.settings(), attempt => {
      attempts.push(attempt);
      return 1;
    });
    live.connect();
    for (const code of [1013, 1013, 4029]) {
      await until('open', () => live.state === 'open');
      server.sockets.at(-1)?.cut(code);
    }
    await until('open', () => live.state === 'open');
    server.tell({ type: 'hello', data: server.status });
    server.sockets.at(-1)?.cut();
    expect(attempts).toEqual([0, 1, Infinity, 0]);
    expect(backOff(Infinity, 1)).toBe(20_000);
    live.dispose();
  });

  it('waits longer after each failure, at most 20 s, and never all clients at once', () => {
    expect([0, 1, 2, 3].map(n => backOff(n, 1))).toEqual([500, 1000, 2000, 4000]);
    expect(backOff(50, 1)).toBe(20_000);
    expect(backOff(2, 0)).toBe(1000);
  });
});
