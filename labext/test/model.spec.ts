import { nullTranslator } from '@jupyterlab/translation';

import {
  FormModel,
  askBody,
  clusterBody,
  faultyField,
  fittingCard,
  jobBody,
  resolved,
  splitArgs
} from '../src/model/form';
import { takenLately } from '../src/model/holdings';
import { loadOf } from '../src/model/load';
import { leaseOf, samePath } from '../src/model/paths';
import { RING_LENGTH, Telemetry } from '../src/model/telemetry';
import * as words from '../src/model/words';
import type { Lease } from '../src/api/types';
import { card, lease, tick } from './things';

const trans = nullTranslator.load('test');
const GIB = 2 ** 30;

describe('what was taken lately', () => {
  const now = 100_000;
  const over = (id: number, name: string, about = {}): Lease =>
    lease({ id, name, state: 'ended', end_reason: 'expired', ended_at: now - 100 + id, ...about });
  const ids = (past: Lease[], held: Lease[] = []): number[] =>
    takenLately(past, held, now).map(one => one.id);

  it('is what was not given back, in the last hours', () => {
    expect(ids([over(3, 'a.ipynb'), over(2, 'b.ipynb', { end_reason: 'released' })])).toEqual([3]);
    expect(ids([over(3, 'a.ipynb', { ended_at: now - 13 * 3600 })])).toEqual([]);
  });

  it('of each notebook the last one counts, and none where it has another', () => {
    expect(ids([over(3, 'a.ipynb'), over(2, 'work/a.ipynb'), over(1, '')])).toEqual([3, 1]);
    expect(ids([over(3, 'a.ipynb', { end_reason: 'released' }), over(2, 'a.ipynb')])).toEqual([]);
    expect(ids([over(3, 'a.ipynb')], [lease({ id: 4, name: 'a.ipynb' })])).toEqual([]);
  });
});

describe('words', () => {
  it('writes memory as on the label of a GPU', () => {
    expect(words.memory(14.2 * GIB)).toBe('14.2 GB');
    expect(words.memory(80 * GIB)).toBe('80 GB');
    expect(words.memory(null)).toBe('–');
    expect(words.percent(null)).toBe('–');
    expect(words.percent(0.429)).toBe('43 %');
  });

  it('counts down and never below zero', () => {
    expect(words.countdown(6130)).toBe('1:42:10');
    expect(words.countdown(545)).toBe('9:05');
    expect(words.countdown(-3)).toBe('0:00');
    expect(words.shortLeft(trans, 6130)).toBe('1:42');
    expect(words.shortLeft(trans, 545)).toBe('9 min');
  });

  it('says GPU time in the unit that fits', () => {
    expect(words.gpuTime(trans, 4.23)).toBe('4.2 GPU-seconds');
    expect(words.gpuTime(trans, 32)).toBe('32 GPU-seconds');
    expect(words.gpuTime(trans, 720)).toBe('12 GPU-minutes');
    expect(words.gpuTime(trans, 11_520)).toBe('3.2 GPU-hours');
  });

  it('says when as people do', () => {
    const now = Date.UTC(2026, 0, 1, 12) / 1000;
    expect(words.expected(trans, now + 720, now)).toBe('in about 12 min');
    expect(words.expected(trans, now + 5, now)).toBe('in about 1 min');
    expect(words.expected(trans, now - 5, now)).toBe('any moment');
    expect(words.expected(trans, now + 7200, now)).toMatch(/^at \d\d:\d\d$/);
    expect(words.shortExpected(trans, now + 720, now)).toBe('≈ 12 min');
  });

  it('names durations and profiles', () => {
    expect(words.duration(trans, 1800)).toBe('30 min');
    expect(words.duration(trans, 5400)).toBe('1 h 30 min');
    expect(words.duration(trans, 259_200)).toBe('3 d');
    expect(words.profileName('mig-2g.20gb')).toBe('2g.20gb');
    expect(words.profileName('fraction-0.25')).toBe('1/4 GPU');
    expect(words.profileName('fraction-0.3')).toBe('0.3 GPU');
    expect(words.profileName('whole')).toBe('whole GPU');
  });

  it.each([
    ['20', 20],
    ['20 GB', 20],
    ['20gib', 20],
    ['1,5 GB', 1.5],
    ['512 MB', 0.512],
    ['many', null],
    ['0', null],
    ['', null]
  ])('reads "%s" as %s GB', (text, gb) => {
    expect(words.parseMemory(text)).toBe(gb);
  });
});

describe('the form', () => {
  const small = card({ profile: 'mig-1g.10gb', memory_gb: 10, units: 0.14 });
  const quarter = card({ when: 'queued' });
  const mig = card({ profile: 'mig-2g.20gb', memory_gb: 20, units: 0.29 });

  it('shows the smallest card that has the memory, a free one before a queued one', () => {
    const form = new FormModel({ memory: '15 GB' });
    expect(fittingCard(form.state, [small, quarter, mig])).toBe(mig);
    form.typeMemory('8');
    expect(fittingCard(form.state, [small, quarter, mig])).toBe(small);
    form.typeMemory('200 GB');
    expect(fittingCard(form.state, [small, quarter, mig])).toBeNull();
  });

  it('asks for the card that is shown', () => {
    const form = new FormModel({ memory: '20 GB', seconds: 3600 });
    expect(askBody(resolved(form.state, [quarter, mig]), 'a.ipynb')).toEqual({
      what: 'mig-2g.20gb',
      pool: 'default',
      count: 1,
      seconds: 3600,
      purpose: 'kernel',
      name: 'a.ipynb'
    });
    expect(askBody(resolved(form.state, null), '').what).toBe('20GB');
  });

  it('takes the profile of a free part of the fleet', () => {
    const form = new FormModel();
    form.chooseOffer('1g.10gb', small.pool, [small, quarter]);
    expect(form.state).toMatchObject({ profile: 'mig-1g.10gb', memory: '10 GB' });
    form.chooseOffer('0.25', quarter.pool, [small, quarter]);
    expect(form.state.profile).toBe('fraction-0.25');
    form.typeMemory('30 GB');
    expect(form.state.profile).toBeNull();
  });

  it('of two pools with the same profile asks the one whose card was chosen', () => {
    const [here, there] = [card({ pool: 'a100' }), card({ pool: 'h100' })];
    const form = new FormModel({ purpose: 'cluster', count: 2, seconds: 3600 });
    form.chooseCard(there);
    expect(fittingCard(form.state, [here, there])).toBe(there);
    expect(clusterBody(form.state)).toEqual({
      workers: 2,
      per_worker: 'fraction-0.25',
      pool: 'h100',
      seconds: 3600
    });
    form.set({ script: 'train.py' });
    expect(jobBody(form.state, '/srv')).toMatchObject({ per_rank: 'fraction-0.25', pool: 'h100' });
    expect(askBody(form.state, '')).toMatchObject({ what: 'fraction-0.25', pool: 'h100' });
    form.chooseOffer('0.25', 'a100', [here, there]);
    expect(form.state.pool).toBe('a100');
    form.typeMemory('10 GB'); // Of the card that is shown for it, then.
    expect(jobBody(form.state, '/srv').pool).toBeUndefined();
    expect(jobBody(resolved(form.state, [there]), '/srv').pool).toBe('h100');
  });

  it('lets a cluster begin with few workers, or none, and grow by itself', () => {
    const form = new FormModel({ purpose: 'cluster', count: 0, most: 4 });
    expect(faultyField(form.state)).toBeNull();
    expect(clusterBody(form.state)).toMatchObject({
      workers: 0,
      adapt: { minimum: 0, maximum: 4 }
    });
    form.set({ count: 5 });
    expect(faultyField(form.state)).toBe('most');
    form.set({ count: 0, most: 0 });
    expect(faultyField(form.state)).toBe('most');
    form.set({ most: NaN });
    expect(faultyField(form.state)).toBe('most');
    form.set({ most: null });
    expect(faultyField(form.state)).toBe('count');
    form.set({ most: 4 });
    form.choosePurpose('job');
    expect([form.state.count, faultyField(form.state)]).toEqual([2, 'script']);
  });

  it('names the field that can not be sent', () => {
    const form = new FormModel({ memory: 'lots' });
    expect(faultyField(form.state)).toBe('memory');
    form.typeMemory('20');
    form.set({ count: NaN });
    expect(faultyField(form.state)).toBe('count');
    form.set({ count: 1 });
    expect(faultyField(form.state)).toBeNull();
    form.choosePurpose('job');
    expect(form.state.count).toBe(2);
    expect(faultyField(form.state)).toBe('script');
  });

  it('splits arguments without a shell', () => {
    expect(splitArgs(`--name "two words" --x='a b' $HOME`)).toEqual([
      '--name',
      'two words',
      '--x=a b',
      '$HOME'
    ]);
  });
});

describe('telemetry', () => {
  it('keeps a bounded past, and unknown stays unknown', () => {
    const telemetry = new Telemetry();
    telemetry.columns('a');
    for (let t = 1; t <= RING_LENGTH + 10; t++) {
      telemetry.take(tick(t, { a: [null, 5] }));
    }
    const { times, activity, memory } = telemetry.columns('a');
    expect(times).toHaveLength(RING_LENGTH);
    expect(times[0]).toBe(11);
    expect(activity.every(one => one === null)).toBe(true);
    expect(memory.at(-1)).toBe(5);
    expect(telemetry.latest('b')).toBeNull();
  });

  it('drops the past of what nobody has drawn for a while', () => {
    const telemetry = new Telemetry();
    telemetry.columns('a');
    telemetry.take(tick(1, { a: [0.1, 1] }));
    telemetry.take(tick(1000, { a: [0.2, 1] }));
    expect(telemetry.columns('a').times).toEqual([1000]);
  });

  it('knows every metric of the one GPU that is looked at, as long as it is', () => {
    const telemetry = new Telemetry();
    const one = tick(2, {});
    const gpus = {
      ids: ['g'],
      rows: new Map([['g', 0]]),
      columns: { sm_activity: Float64Array.of(0.03), throttle: Float64Array.of(0b10) },
      labels: { throttle: ['power_cap', 'thermal'] }
    };
    telemetry.take({ ...one, gpu: 'g', gpus });
    telemetry.take(tick(2, { a: [0.5, 1] }));
    expect(telemetry.value('g', 'sm_activity')).toBe(0.03);
    expect(telemetry.labels('g', 'throttle')).toEqual(['thermal']);
    expect(telemetry.value('g', 'power_watts')).toBeNaN();
    telemetry.take(tick(60, { a: [0.5, 1] }));
    expect(telemetry.value('g', 'sm_activity')).toBeNaN();
  });

  it('puts history before what was seen live, and ignores replays', () => {
    const telemetry = new Telemetry();
    telemetry.take(tick(10, { a: [0.5, 1] }));
    expect(telemetry.columns('a').times).toEqual([10]);
    telemetry.take(tick(10, { a: [0.9, 1] }));
    telemetry.backfill('a', {
      step: 1,
      times: [8, 9, 10],
      series: [{ subject: 'a', metric: 'activity', mean: [0.1, 0.2, 0.3], min: null, max: null }]
    });
    expect(telemetry.columns('a').activity).toEqual([0.1, 0.2, 0.5]);
  });

  it('adds the slices of a lease up', () => {
    const one = lease().slices[0];
    const both = lease({ slices: [one, { ...one, id: 'b' }] as never });
    const telemetry = new Telemetry();
    telemetry.take(tick(1, { '1.0': [0.2, 10] }));
    loadOf(both, telemetry);
    telemetry.take(tick(2, { '1.0': [0.4, 10], b: [0.8, 30] }));
    const load = loadOf(both, telemetry);
    expect(load.activity).toBeCloseTo(0.6);
    expect(load.memory).toBe(40);
    expect(load.memoryTotal).toBe(40 * GIB);
    expect(load.columns().times).toEqual([2]);
    expect(loadOf(lease({ id: 9 }), telemetry)).toMatchObject({ activity: null, memory: null });
  });
});

describe('whose lease it is', () => {
  it('compares paths from the root of the server with absolute ones', () => {
    expect(samePath('/home/ada/work/a.ipynb', 'work/a.ipynb')).toBe(true);
    expect(samePath('work/aa.ipynb', 'a.ipynb')).toBe(false);
    expect(samePath('', 'a.ipynb')).toBe(false);
  });

  it('prefers the lease that a kernel holds to one that waits for the notebook', () => {
    const held = lease({ id: 2, holder: holder('/home/a.ipynb') });
    const waits = lease({ id: 1, name: 'a.ipynb' });
    expect(leaseOf('a.ipynb', [waits, held])?.id).toBe(2);
    expect(leaseOf('a.ipynb', [waits])?.id).toBe(1);
    expect(leaseOf('b.ipynb', [waits, held])).toBeNull();
  });
});

function holder(name: string): NonNullable<ReturnType<typeof lease>['holder']> {
  return { kind: 'kernel', id: 'k', name, pid: null, started: null };
}
