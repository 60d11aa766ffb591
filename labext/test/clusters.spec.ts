import type { Card, Cluster } from '../src/api/types';
import type { IClusterNotice } from '../src/cluster/notices';
import { watchClusters } from '../src/cluster/notices';
import { clusterLoad, endsAt, progressOf, workerLoad, worksNow } from '../src/model/clusters';
import { FormModel, clusterBody } from '../src/model/form';
import { holdingsOf } from '../src/model/holdings';
import { PresetsModel, isChosen, presetsOf } from '../src/model/presets';
import { STILL, Scaling, mostWorkers } from '../src/model/scaling';
import { Telemetry } from '../src/model/telemetry';
import type { Workbench } from '../src/model/workbench';
import { FakeServer, serverWith, until } from './server';
import { cleared, connected } from './stage';
import { card, cluster, lease, status, tick, worker } from './things';

const GIB = 2 ** 30;

afterEach(async () => {
  vi.useRealTimers();
  await cleared();
});

describe('what a cluster comes to', () => {
  it('adds up what its workers told, and leaves unknown what none did', () => {
    const telemetry = new Telemetry();
    telemetry.take(tick(1, { '1.0': [0.4, 5 * GIB], '2.0': [0.8, null] }));
    const two = [worker({ results: 3 }), worker({ slice_id: '2.0', host_bytes: null })];
    const all = clusterLoad(two.map(one => workerLoad(one, telemetry)));
    expect(all.activity).toBeCloseTo(0.6);
    expect([all.memory, all.memoryTotal]).toEqual([5 * GIB, 40 * GIB]);
    expect([all.host, all.hostTotal]).toEqual([GIB, 8 * GIB]);
    expect(all.results).toBe(3);
    const unheard = clusterLoad([
      workerLoad(worker({ slice_id: '9.0', results: null }), telemetry)
    ]);
    expect([unheard.activity, unheard.memory, unheard.results]).toEqual([null, null, null]);
  });

  it('is on its way until all workers are up, and then not', () => {
    const starting = cluster({
      workers_wanted: 4,
      leases: [1, 2, 3],
      workers: [worker(), worker({ state: 'starting' })]
    });
    expect(progressOf(starting)).toEqual({ leased: 3, ready: 1, of: 4 });
    expect(progressOf(cluster())).toBeNull();
    expect(progressOf(cluster({ state: 'ended', workers: [] }))).toBeNull();
  });

  it('works while tasks are not done or results lie on it', () => {
    expect(worksNow(cluster())).toBe(false);
    expect(worksNow(cluster({ tasks: 1 }))).toBe(true);
    expect(worksNow(cluster({ workers: [worker({ results: 1 })] }))).toBe(true);
    expect(worksNow(cluster({ tasks: null, workers: [worker({ results: null })] }))).toBe(false);
  });

  it('ends with the first of its leases, as far as they are known', () => {
    const leases = new Map([1, 2].map(id => [id, lease({ id, ends_at: 9000 - id })]));
    expect(endsAt(cluster({ leases: [1, 2, 3] }), id => leases.get(id))).toBe(8998);
    expect(endsAt(cluster({ leases: [] }), id => leases.get(id))).toBeNull();
  });
});

it("a cluster's leases are one thing that I hold, which ends with the first of them", () => {
  const holder = { kind: 'cluster', id: 'cluster-1', name: 'flights', pid: 1, started: 1 } as const;
  const held = holdingsOf([
    lease({ id: 3, ends_at: 50 }),
    lease({ id: 1, ends_at: 90, holder }),
    lease({ id: 4, ends_at: 100 }),
    lease({ id: 2, ends_at: 70, holder })
  ]);
  expect(held.map(one => [one.cluster, one.ids, one.lease.ends_at])).toEqual([
    [null, [3], 50],
    ['cluster-1', [1, 2], 70],
    [null, [4], 100]
  ]);
  expect(held[1]?.lease.slices.map(one => one.id)).toEqual(['1.0', '2.0']);
});

describe('ready-made clusters', () => {
  const small = card({ profile: 'mig-1g.10gb', memory_gb: 10, units: 1 / 7 });
  const middle = card({ profile: 'fraction-0.25', memory_gb: 20, units: 0.25 });
  const whole = card({ profile: 'whole', memory_gb: 80, units: 1 });

  it('are small, medium and large shares of what the fleet could give', () => {
    const offers = new Map([
      [2, [whole, small, middle]],
      [4, [whole, middle, { ...small, when: 'never' as const }]],
      [8, [{ ...whole, when: 'queued' as const }, middle]]
    ]);
    const found = presetsOf(offers, status({ units_total: 16, quotas: [] }));
    expect(found.map(one => [one.size, one.workers, one.card.profile, one.card.when])).toEqual([
      ['small', 2, 'mig-1g.10gb', 'now'],
      ['medium', 2, 'whole', 'now'],
      ['large', 8, 'whole', 'queued']
    ]);
  });

  it('stay within the quota, and are fewer where little can be had', () => {
    const sizes = (...cards: [number, Card][]): [string, number][] => {
      const offers = new Map(cards.map(([count, one]) => [count, [one]]));
      const quota = status({ units_total: 16 }); // the limit is 2
      return presetsOf(offers, quota).map(one => [one.size, one.workers]);
    };
    expect(sizes([2, middle], [4, middle], [8, middle])).toEqual([
      ['small', 2],
      ['large', 4]
    ]);
    expect(sizes([2, whole], [4, whole])).toEqual([['small', 2]]);
    expect(sizes([2, card({ when: 'never' })])).toEqual([]);
    expect(presetsOf(new Map(), null)).toEqual([]);
  });

  it('say when each could be had, are put into the form, and are read only for clusters', async () => {
    const server = new FakeServer();
    server.cards = [small, middle, whole];
    const form = new FormModel();
    const presets = new PresetsModel(await connected(server), form);
    const before = server.calls.length;
    form.set({ seconds: 60 });
    form.choosePurpose('cluster');
    await until('read', () => presets.presets !== null);
    expect(server.calls.slice(before).every(call => call === 'GET cards')).toBe(true);
    const first = presets.presets?.[0];
    form.chooseCard(first?.card ?? card());
    form.set({ count: first?.workers ?? 0 });
    expect(presets.presets?.map(one => isChosen(one, form.state))).toEqual([true, false, false]);
    expect(clusterBody(form.state)).toEqual({
      workers: 2,
      per_worker: 'mig-1g.10gb',
      pool: 'default',
      seconds: 60
    });
    form.set({ idleSeconds: 0, name: ' flights ' });
    expect(clusterBody(form.state)).toMatchObject({ idle_seconds: 0, name: 'flights' });
  });
});

describe('the slider', () => {
  async function moved(server = serverWith(cluster())): Promise<[Scaling, FakeServer, Workbench]> {
    const known = await connected(server);
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    return [new Scaling(known, 'cluster-1'), server, known];
  }
  const scales = (server: FakeServer): string[] => server.calls.filter(one => /scale$/.test(one));

  it('asks once, for where it came to rest, and only after a moment', async () => {
    const [scaling, server, known] = await moved();
    [3, 4, 5].forEach(workers => scaling.point(workers));
    await vi.advanceTimersByTimeAsync(STILL - 10);
    expect([scaling.target, scales(server)]).toEqual([5, []]);
    await vi.advanceTimersByTimeAsync(20);
    await vi.waitFor(() => expect(scaling.busy).toBe(false));
    expect(scales(server)).toEqual(['POST clusters/cluster-1/scale']);
    expect([known.clusters.get('cluster-1')?.workers_wanted, scaling.target]).toEqual([5, null]);
  });

  it('can be taken back, by hand and by moving it to where it was', async () => {
    const [scaling, server] = await moved();
    scaling.point(4);
    scaling.takeBack();
    scaling.point(4);
    scaling.point(2);
    await vi.advanceTimersByTimeAsync(2 * STILL);
    expect([scaling.target, scales(server)]).toEqual([null, []]);
  });

  it('says when the additional slices could be had', async () => {
    const server = serverWith(cluster());
    server.cards = [card({ when: 'queued', reason: 'Waits for lease 81.' })];
    const [scaling] = await moved(server);
    scaling.point(4);
    await vi.advanceTimersByTimeAsync(200);
    await vi.waitFor(() => expect(scaling.card?.reason).toBe('Waits for lease 81.'));
    scaling.point(1);
    await vi.advanceTimersByTimeAsync(200);
    expect(scaling.card).toBeNull();
  });

  it('goes back to what it was where it is refused, and says why', async () => {
    const [scaling, server] = await moved();
    server.trouble = {
      status: 409,
      body: { code: 'over_limit', message: 'More than your limit of 2.', hint: 'Take 8.' }
    };
    scaling.point(9);
    await scaling.ask();
    expect(scaling.problem?.message).toBe('More than your limit of 2.');
    expect([scaling.target, scaling.busy]).toEqual([null, false]);
  });

  it('reaches as far as the fleet and the quota have room', async () => {
    const [, server, known] = await moved();
    known.apply({ type: 'lease', data: lease({ id: 1 }) });
    expect(mostWorkers(known, cluster())).toBe(8); // two GPUs in quarters
    expect(mostWorkers(known, cluster({ per_worker: 'mig-1g.10gb' }))).toBe(2); // no GPU is cut so
    known.apply({ type: 'hello', data: { ...server.status, quotas: [] } });
    expect(mostWorkers(known, cluster())).toBe(8);
    expect(mostWorkers(known, cluster({ workers_wanted: 20 }))).toBe(20);
  });
});

describe('notices', () => {
  async function told(...changes: Cluster[]): Promise<string[]> {
    const known = await connected(serverWith(cluster()));
    const heard: IClusterNotice[] = [];
    watchClusters(known, one => void heard.push(one));
    known.apply({ type: 'cluster', data: cluster({ tasks: 1 }) });
    changes.forEach(data => known.apply({ type: 'cluster', data }));
    return heard.map(one => `${one.kind}: ${one.why}`);
  }

  it('tell of an end that nobody asked for, once', async () => {
    const ended = cluster({ state: 'ended', message: 'its time was up' });
    expect(await told(ended, { ...ended })).toEqual(['ended: its time was up']);
    const failed = cluster({ state: 'failed', message: 'It crashed.\nTraceback' });
    expect(await told(failed)).toEqual(['failed: It crashed.']);
    expect(await told(cluster({ state: 'ended', message: 'stopped' }))).toEqual([]);
  });

  it('tell of each worker that left with its lease', async () => {
    const left = cluster({ notice: 'A worker left: its time was up.', notice_at: 5 });
    const again = { ...left, notice_at: 9 };
    expect(await told(left, { ...left, tasks: 3 }, again)).toHaveLength(2);
  });
});
