import { nullTranslator } from '@jupyterlab/translation';

import { summaryWords } from '../src/dashboard/fleetmap';
import { FleetHeat, Mark } from '../src/model/heat';
import { throttledBy, written } from '../src/model/metrics';
import type { ILook, IPastAnswer } from '../src/model/past';
import { Past, stepFor } from '../src/model/past';
import { indexOf } from '../src/model/metrics';
import { verdictOf, verdictWords } from '../src/model/verdict';
import { until } from './server';
import { fleet, gpu, segment } from './things';

const trans = nullTranslator.load('test');
const GIB = 2 ** 30;

function look(time: number, values: Record<string, Record<string, number>>): ILook {
  return {
    time,
    value: (subject, metric) => values[subject]?.[metric] ?? NaN,
    lost: subject => values[subject]?.['lost'] === 1
  };
}

function held(mine = false): ReturnType<typeof segment> {
  return segment({ slice_id: `${mine}`, lease_id: 1, mine, offer: null });
}

describe("the fleet's map", () => {
  it('sorts by pool, node and number', () => {
    const heat = new FleetHeat(
      fleet({
        gpus: [
          gpu(1, { uuid: 'd', node: 'n10' }),
          gpu(1, { uuid: 'c', node: 'n2' }),
          gpu(0, { uuid: 'b', node: 'n2' }),
          gpu(5, { uuid: 'a', pool: 'alpha' })
        ]
      })
    );
    expect(heat.gpus.map(one => one.uuid)).toEqual(['a', 'b', 'c', 'd']);
    expect(heat.blocks.map(one => one.count)).toEqual([1, 2, 1]);
  });

  it('sums up in one sentence, and calls idle only what is held', () => {
    const gpus = [
      gpu(0, { segments: [held()] }),
      gpu(1, { segments: [held()] }),
      gpu(2),
      gpu(3, { health: 'lost' })
    ];
    const heat = new FleetHeat(fleet({ gpus }));
    const values = {
      'GPU-0': { activity: 0.8 },
      'GPU-1': { activity: 0 },
      'GPU-2': { activity: 0 }
    };
    heat.take(look(1000, values), 'activity');
    expect(heat.summary()).toMatchObject({ held: 2, busy: 1, idle: 0, out: 1 });
    heat.take(look(1601, values), 'activity');
    expect(summaryWords(trans, heat.summary())).toBe(
      '2 of 4 GPUs held, 1 busy, 1 idle for > 10 min, 1 lost or drained'
    );
    expect((heat.marks[2] ?? 0) & Mark.idle).toBe(0);
  });

  it('knows from the history that a GPU was idle before the page was open', () => {
    const heat = new FleetHeat(fleet({ gpus: [gpu(0, { segments: [held()] })] }));
    heat.take(look(1000, { 'GPU-0': { activity: 0 } }), 'activity');
    heat.remember(new Map([['GPU-0', 200]]));
    heat.take(look(1001, { 'GPU-0': { activity: 0 } }), 'activity');
    expect(heat.summary().idle).toBe(1);
    expect(heat.idleSince(0)).toBe(200);
  });

  it('does not blame a new holder for the time before', () => {
    const free = new FleetHeat(fleet({ gpus: [gpu(0)] }));
    free.take(look(1000, { 'GPU-0': { activity: 0 } }), 'activity');
    const taken = new FleetHeat(fleet({ gpus: [gpu(0, { segments: [held()] })] }), free);
    taken.take(look(1700, { 'GPU-0': { activity: 0 } }), 'activity');
    expect(taken.summary().idle).toBe(0);
  });

  it('keeps unknown unknown', () => {
    const heat = new FleetHeat(
      fleet({ gpus: [gpu(0, { segments: [held()] }), gpu(1, { segments: [held()] })] })
    );
    heat.take(look(1, { 'GPU-0': { activity: 0.6 } }), 'activity');
    expect(heat.activity[0]).toBeCloseTo(0.6);
    expect(heat.value[1]).toBeNaN();
    expect(heat.summary().unknown).toBe(1);
  });

  it('marks a GPU that works though nobody holds it', () => {
    const heat = new FleetHeat(fleet({ gpus: [gpu(0)] }));
    heat.take(look(1, { 'GPU-0': { activity: 0.5 } }), 'activity');
    expect((heat.marks[0] ?? 0) & Mark.stranger).toBe(Mark.stranger);
  });

  it('colours memory by each GPU’s own size', () => {
    const heat = new FleetHeat(fleet({ gpus: [gpu(0), gpu(1, { memory_bytes: 40 * GIB })] }));
    const memory = { memory_bytes: 20 * GIB };
    heat.take(look(1, { 'GPU-0': memory, 'GPU-1': memory }), 'memory_bytes');
    expect([...heat.value]).toEqual([0.25, 0.5]);
  });
});

describe('the past that is followed', () => {
  const answer = (times: number[], activity: number[]): IPastAnswer => ({
    step: 1,
    times,
    column: (_, metric) =>
      metric === 'activity' ? { mean: activity, min: activity, max: activity } : null
  });

  it('is read once and goes on with what comes live, also while it is read', async () => {
    let answered: (past: IPastAnswer) => void = () => {};
    const past = new Past(() => new Promise(done => (answered = done)));
    past.follow(['g'], 0, 60, true);
    past.take(look(61, { g: { activity: 0.9 } }));
    answered(answer([58, 59, 60], [0.1, 0.2, 0.3]));
    await until('read', () => !past.loading);
    past.take(look(62, { g: { activity: 1 } }));
    const stretch = past.line('g')?.stretch();
    expect([...(stretch?.times ?? [])]).toEqual([58, 59, 60, 61, 62]);
    expect(stretch?.mean[indexOf('activity')]?.at(-1)).toBe(1);
  });

  it('reads only what is new, and drops what nobody follows', async () => {
    const asked: string[] = [];
    const past = new Past(async subjects => {
      asked.push(subjects.join('+'));
      return answer([], []);
    });
    past.follow(['a', 'b'], 0, 60, true);
    past.follow(['b', 'c'], 5, 65, true);
    await until('read', () => !past.loading);
    expect(asked).toEqual(['a+b', 'c']);
    expect(past.line('a')).toBeNull();
    const bytes = past.bytes;
    for (let time = 65; time < 2000; time += 0.5) {
      past.take(look(time, { b: { activity: 0 }, c: { activity: 0 } }));
    }
    expect(past.bytes).toBe(bytes);
  });

  it('says why it could not be read, and shows what comes live', async () => {
    const past = new Past(() => Promise.reject(new TypeError('offline')));
    past.follow(['a'], 0, 60, true);
    await until('failed', () => past.problem !== null);
    past.take(look(61, { a: { activity: 0.5 } }));
    expect(past.line('a')?.last(indexOf('activity'))).toBe(0.5);
  });

  it('takes in nothing new while a part of the past is looked at', () => {
    const past = new Past(async () => answer([], []));
    past.follow(['a'], 0, 60, false);
    past.take(look(61, { a: { activity: 0.5 } }));
    expect(past.line('a')?.length).toBe(0);
  });

  it('has a few hundred steps whatever the range', () => {
    for (const seconds of [60, 3600, 86_400, 604_800]) {
      expect(seconds / stepFor(seconds)).toBeLessThan(1000);
    }
  });
});

describe('what busy means', () => {
  it('tells "100 % busy" from "3 % of the SMs"', () => {
    expect(verdictOf(1, 0.03)).toBe('hollow');
    expect(verdictWords(trans, 'hollow', 1, 0.03)).toContain('only 3 % of the SMs');
    expect(verdictOf(1, 0.85)).toBe('full');
    expect(verdictOf(0.4, 0.3)).toBe('partly');
    expect(verdictOf(0, 0)).toBe('still');
    expect(verdictOf(0.9, NaN)).toBe('unclear');
    expect(verdictOf(NaN, NaN)).toBe('unknown');
    expect(verdictOf(NaN, 0.4)).toBe('partly');
  });
});

describe('figures', () => {
  it('are written in their units, and unknown as a dash', () => {
    expect(written('share', 0.034)).toBe('3 %');
    expect(written('bytes', 14.2 * GIB)).toBe('14.2 GB');
    expect(written('rate', 1.24e9)).toBe('1.2 GB/s');
    expect(written('rate', 0)).toBe('0 B/s');
    expect(written('watts', NaN)).toBe('–');
    expect(throttledBy(trans, 0b11)).toEqual(['power limit', 'too hot']);
  });
});
