import { LiveClient } from '../src/api/live';
import { WorkbenchApi } from '../src/api/rest';
import type { Lease } from '../src/api/types';
import { Workbench } from '../src/model/workbench';
import { FakeServer, until } from './server';
import { lease, request, tick } from './things';

const open: Workbench[] = [];

async function started(server: FakeServer, pollEvery = 60_000): Promise<Workbench> {
  const settings = server.settings();
  const workbench = new Workbench({
    api: new WorkbenchApi(settings),
    live: new LiveClient(settings, () => 1),
    pollEvery
  });
  open.push(workbench);
  await workbench.start();
  if (!server.down) {
    await until('live', () => workbench.link === 'open');
  }
  return workbench;
}

afterEach(() => open.splice(0).forEach(one => one.dispose()));

describe('the state', () => {
  it('is read whole at the start', async () => {
    const server = new FakeServer();
    server.leases.set(7, lease({ id: 7 }));
    server.leases.set(8, lease({ id: 8, mine: false }));
    server.requests.set(9, request({ id: 9 }));
    const workbench = await started(server);
    expect(workbench.phase).toBe('ready');
    expect(workbench.fleet?.gpus).toHaveLength(2);
    expect(workbench.leases.items.map(one => one.id)).toEqual([7]);
    expect(workbench.requests.items.map(one => one.id)).toEqual([9]);
  });

  it('replaces an object by the newer one that an event brings', async () => {
    const server = new FakeServer();
    const workbench = await started(server);
    server.tell({ type: 'request', data: request({ id: 3, position: 2 }) });
    server.tell({ type: 'request', data: request({ id: 3, position: 1 }) });
    expect(workbench.requests.items.map(one => one.position)).toEqual([1]);
    server.tell({ type: 'lease', data: lease({ id: 3 }) });
    expect(workbench.requests.items).toEqual([]);
    expect(workbench.leases.get(3)).toBeDefined();
    server.tell({ type: 'lease', data: lease({ id: 3, state: 'ended' }) });
    expect(workbench.leases.items).toEqual([]);
  });

  it('lets an event that comes during a read win over what was read', async () => {
    const server = new FakeServer();
    server.leases.set(7, lease({ id: 7 }));
    const workbench = await started(server);
    const reading = workbench.refresh();
    await until('the read', () => server.calls.filter(one => one === 'GET jobs').length > 1);
    server.tell({ type: 'lease', data: lease({ id: 7, state: 'ended' }) });
    await reading;
    expect(workbench.leases.items).toEqual([]);
  });

  it('tells of a grant once, and whether it had to wait', async () => {
    const server = new FakeServer();
    const workbench = await started(server);
    const grants: [number, boolean][] = [];
    workbench.granted.connect((_, { lease, waited }) => grants.push([lease.id, waited]));
    await workbench.ask({ what: '20GB' });
    const second = await workbench.ask({ what: '20GB' });
    expect(second.state).toBe('queued');
    server.tell({ type: 'lease', data: lease({ id: second.id }) });
    server.tell({ type: 'lease', data: lease({ id: second.id, ends_at: 9000 }) });
    expect(grants).toEqual([
      [1, false],
      [second.id, true]
    ]);
  });

  it('learns of a grant that came while the connection was cut', async () => {
    const server = new FakeServer();
    server.free = 0;
    const workbench = await started(server);
    const { id } = await workbench.ask({ what: '20GB' });
    const grants: number[] = [];
    workbench.granted.connect((_, grant) => grants.push(grant.lease.id));
    server.sockets.at(-1)?.cut();
    server.requests.delete(id);
    server.leases.set(id, lease({ id }));
    await until('the grant', () => grants.length === 1);
    expect(grants).toEqual([id]);
    expect(workbench.requests.items).toEqual([]);
  });

  it('tells once of a lease that ended while the connection was cut, and how', async () => {
    const server = new FakeServer();
    server.leases.set(7, lease({ id: 7 }));
    server.leases.set(8, lease({ id: 8 }));
    const workbench = await started(server);
    const ends: [number, string | null][] = [];
    workbench.ended.connect((_, one) => ends.push([one.id, one.end_reason]));
    server.sockets.at(-1)?.cut();
    server.leases.delete(7);
    server.past.set(7, lease({ id: 7, state: 'ended', end_reason: 'preempted', ended_at: 5 }));
    await until('the end', () => ends.length === 1);
    server.tell({ type: 'lease', data: server.past.get(7) as Lease });
    server.tell({ type: 'lease', data: lease({ id: 8, state: 'ended', end_reason: 'lost' }) });
    server.tell({ type: 'lease', data: lease({ id: 8, state: 'ended', cleared: true }) });
    expect(ends).toEqual([
      [7, 'preempted'],
      [8, 'lost']
    ]);
  });

  it('knows what ended before it was there, and tells nobody of it', async () => {
    const server = new FakeServer();
    server.past.set(7, lease({ id: 7, state: 'ended', end_reason: 'lost', ended_at: 5 }));
    server.past.set(8, lease({ id: 8, state: 'ended', mine: false }));
    server.past.set(9, lease({ id: 9, state: 'ended', purpose: 'job' }));
    const workbench = await started(server);
    const ends: number[] = [];
    workbench.ended.connect((_, one) => ends.push(one.id));
    await until('the past', () => workbench.past.items.length > 0);
    server.tell({ type: 'lease', data: lease({ id: 7, state: 'ended', cleared: true }) });
    expect(workbench.past.items.map(one => one.id)).toEqual([7]);
    expect(ends).toEqual([]);
  });

  it('tells a notice once, however often it is told, and none of a lease that is over', async () => {
    const server = new FakeServer();
    server.leases.set(7, lease({ id: 7 }));
    const workbench = await started(server);
    const told: string[] = [];
    workbench.noticed.connect((_, notice) => told.push(`${notice.code} ${notice.at}`));
    const notice = { lease_id: 7, code: 'ends_soon', message: 'In 5 min.', hint: '', at: 8200 };
    server.tell({ type: 'notice', data: notice });
    server.tell({ type: 'notice', data: { ...notice, message: 'In 4 min.' } });
    server.tell({ type: 'notice', data: { ...notice, code: 'preempted', at: 2000 } });
    server.tell({ type: 'lease', data: lease({ id: 7, state: 'ended' }) });
    server.tell({ type: 'notice', data: { ...notice, code: 'kept' } });
    expect(told).toEqual(['ends_soon 8200', 'preempted 2000']);
  });

  it('reads everything when the server has begun to tell, not before', async () => {
    const server = new FakeServer();
    const workbench = await started(server);
    const calls = server.calls.length;
    server.silent = true;
    server.sockets.at(-1)?.cut();
    await until('the connection', () => workbench.link === 'open');
    expect(server.calls.length).toBe(calls);
    server.tell({ type: 'hello', data: server.status });
    server.tell({ type: 'hello', data: server.status });
    await until('the read', () => server.calls.length > calls);
    expect(server.calls.filter(one => one === 'GET jobs')).toHaveLength(3);
  });

  it('keeps what it knew when the server is gone, says so, and recovers', async () => {
    const server = new FakeServer();
    server.leases.set(7, lease({ id: 7 }));
    const workbench = await started(server, 5);
    server.down = true;
    server.sockets.at(-1)?.cut();
    await until('the problem', () => workbench.problem !== null);
    expect(workbench.problem?.code).toBe('offline');
    expect(workbench.phase).toBe('ready');
    expect(workbench.leases.items).toHaveLength(1);
    server.down = false;
    await until('recovery', () => workbench.problem === null && workbench.link === 'open');
  });

  it('has failed, with the reason, when there never was an answer', async () => {
    const server = new FakeServer();
    server.down = true;
    const workbench = await started(server);
    expect(workbench.phase).toBe('failed');
    expect(workbench.problem?.code).toBe('offline');
  });

  it('polls where no live connection can be had', async () => {
    const server = new FakeServer();
    const settings = server.settings();
    const refused = class {
      onclose: (() => void) | null = null;
      constructor() {
        queueMicrotask(() => this.onclose?.());
      }
      close(): void {}
    };
    const live = new LiveClient({ ...settings, WebSocket: refused as never }, () => 50);
    const polling = new Workbench({ api: new WorkbenchApi(settings), live, pollEvery: 5 });
    open.push(polling);
    await polling.start();
    server.leases.set(5, lease({ id: 5 }));
    await until('the lease', () => polling.leases.items.length === 1);
    expect(polling.link).toBe('lost');
    live.hide(true);
    await new Promise(done => setTimeout(done, 30));
    const calls = server.calls.length;
    await new Promise(done => setTimeout(done, 30));
    expect(server.calls.length).toBe(calls); // Nobody can see the page.
    live.hide(false);
    await until('another read', () => server.calls.length > calls);
  });

  it("takes the server's clock from its samples when the browser's is wrong", async () => {
    const server = new FakeServer();
    const workbench = await started(server);
    const ahead = Date.now() / 1000 + 3600;
    server.tell({ type: 'tick', data: tick(ahead, {}) });
    expect(Math.abs(workbench.clock.now - ahead)).toBeLessThan(2);
  });
});

describe('actions', () => {
  it('release, extend and cancel, and show it at once', async () => {
    const server = new FakeServer();
    server.leases.set(7, lease({ id: 7 }));
    server.free = 0;
    const workbench = await started(server);
    await workbench.extend(7, 3600);
    expect(workbench.leases.get(7)?.ends_at).toBe(9e9);
    await workbench.release(7);
    expect(workbench.leases.items).toEqual([]);
    const { id } = await workbench.ask({ what: '20GB' });
    await workbench.cancel(id);
    expect(workbench.requests.items).toEqual([]);
  });
});
