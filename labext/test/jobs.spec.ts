import { nullTranslator } from '@jupyterlab/translation';

import { LiveClient } from '../src/api/live';
import { WorkbenchApi } from '../src/api/rest';
import type { MetricPoint } from '../src/api/types';
import { pathOf } from '../src/chart/trail';
import { Comparison } from '../src/job/comparison';
import { gpuColumns } from '../src/job/curves';
import { JobModel, shownOf } from '../src/job/model';
import { namesOf } from '../src/job/places';
import { Curve, Curves, drawn, ROOM, smoothed } from '../src/model/curves';
import { fittingCard, resolved } from '../src/model/form';
import { faultyFields, functionOf, JobForm, readEnv, specBody } from '../src/model/jobform';
import { figure, notebookOf, ranksInOrder, telling, waitWords } from '../src/model/jobs';
import { differences, specLines } from '../src/model/specs';
import { Trails } from '../src/model/trails';
import { Workbench } from '../src/model/workbench';
import { FakeServer, until } from './server';
import { card, job, rank, request, spec } from './things';

const trans = nullTranslator.load('test');

function point(step: number, loss: number, number = 0): MetricPoint {
  return { rank: number, step, time: 1000 + step, values: { loss } };
}

function over(server: FakeServer): Workbench {
  const settings = server.settings();
  return new Workbench({ api: new WorkbenchApi(settings), live: new LiveClient(settings) });
}

describe('a curve', () => {
  it('never holds more than its room, and still begins and ends where the run does', () => {
    const curve = new Curve();
    for (let step = 0; step < 100_000; step++) {
      curve.add(step, step, step);
    }
    expect(curve.values.length).toBeLessThanOrEqual(ROOM);
    expect(curve.values.length).toBeGreaterThan(ROOM / 2 - 1);
    expect(curve.values[0]).toBeLessThan(32);
    expect(curve.steps.at(-1)).toBe(99_999);
    const gaps = curve.steps.slice(1, -1).map((step, i) => step - (curve.steps[i] ?? 0));
    expect(new Set(gaps).size).toBe(1); // Evenly thinned: no part of the run is coarser.
  });

  it('is continued where a restart went back to a checkpoint', () => {
    const curve = new Curve();
    [0, 1, 2, 3, 4].forEach(step => curve.add(step, step, 1));
    [2, 3].forEach(step => curve.add(step, 10 + step, 7));
    expect(curve.steps).toEqual([0, 1, 2, 3]);
    expect(curve.values).toEqual([1, 1, 7, 7]);
  });

  it('tells the step of a time between two points, and none outside', () => {
    const curve = new Curve();
    curve.add(10, 100, 1);
    curve.add(20, 200, 1);
    expect(curve.stepAt(150)).toBe(15);
    expect(curve.stepAt(200)).toBe(20);
    expect(curve.stepAt(99)).toBeNaN();
    expect(curve.stepAt(201)).toBeNaN();
  });

  it('is drawn with few points, in a growing order, without what has no logarithm', () => {
    const curve = new Curve();
    for (let step = 0; step < 1000; step++) {
      curve.add(step, 5, step - 1);
    }
    const [steps, values] = drawn(curve, 'step', 100);
    expect(steps).toHaveLength(100);
    expect(values[0]).toBe(3.5);
    expect(drawn(curve, 'time', 100)[0]).toHaveLength(1);
    expect(drawn(curve, 'step', 1000, true)[1].slice(0, 3)).toEqual([null, null, 1]);
    expect(smoothed(curve, 0.5).values.slice(0, 2)).toEqual([-1, -1 / 3]);
  });
});

describe('the metrics of a job', () => {
  it('stand by name and rank, the loss first', () => {
    const curves = new Curves();
    curves.take([
      { rank: 1, step: 1, time: 1, values: { accuracy: 0.5, val_loss: 2 } },
      { rank: 0, step: 1, time: 1, values: { loss: 1, accuracy: 0.4 } }
    ]);
    expect(curves.names).toEqual(['loss', 'val_loss', 'accuracy']);
    expect(curves.ranks('accuracy')).toEqual([0, 1]);
    expect(curves.curve('loss', 1)).toBeNull();
    curves.take([{ rank: 0, step: 2, time: 2, values: { loss: NaN } }]);
    expect(curves.curve('loss', 0)?.values).toEqual([1]);
  });

  it('are read while somebody looks, and go on from there with the job’s events', async () => {
    const server = new FakeServer();
    server.jobs.all.set('job-1', job());
    server.jobs.points = Array.from({ length: 250 }, (_, i) => point(i, 1));
    const known = over(server);
    const model = new JobModel(known, { id: 'job-1' });
    expect(server.calls).toEqual([]);
    model.activate(true);
    await until('all pieces', () => model.curves.curve('loss', 0)?.values.length === 250);
    await until('the spec', () => model.spec !== null);
    model.activate(false);
    server.jobs.points.push(point(250, 1));
    const calls = server.calls.length;
    known.apply({ type: 'job', data: job({ step: 250 }) });
    expect(server.calls.length).toBe(calls);
    model.activate(true);
    await until('the rest', () => model.curves.curve('loss', 0)?.values.length === 251);
    model.dispose();
  });

  it('have before them what the runs before logged, up to the step each went on from', async () => {
    const server = new FakeServer();
    const three = job({ id: 'job-3', resumed_from: 'job-2' });
    server.jobs.all.set('job-1', job());
    server.jobs.all.set('job-2', job({ id: 'job-2', resumed_from: 'job-1' }));
    server.jobs.all.set('job-3', three);
    const steps = (from: number, to: number, loss: number): MetricPoint[] =>
      Array.from({ length: to - from }, (_, i) => point(from + i, loss));
    server.jobs.pointsOf.set('job-1', steps(0, 250, 1));
    server.jobs.pointsOf.set('job-2', steps(200, 400, 2));
    server.jobs.pointsOf.set('job-3', []);
    const model = new JobModel(over(server), { id: 'job-3' });
    await model.readAll();
    void model.lookBack();
    await until('both are read', () => (model.before('loss')?.steps.length ?? 0) === 400);
    expect(model.names).toEqual(['loss']);
    expect(model.resumedAt).toBeNull(); // It has logged nothing yet.
    model.curves.take(steps(300, 302, 3));
    expect(model.resumedAt).toBe(300);
    const run = model.before('loss');
    expect([run?.steps.at(-1), run?.values[199], run?.values[200]]).toEqual([299, 1, 2]);
    expect(model.before('accuracy')).toBeNull();
    model.dispose();
  });

  it('begin with themselves where nothing is left of the run before', async () => {
    const server = new FakeServer();
    server.jobs.all.set('job-2', job({ id: 'job-2', resumed_from: 'job-gone' }));
    server.jobs.points = [point(10, 1)];
    const model = new JobModel(over(server), { id: 'job-2' });
    model.activate(true);
    await model.readAll();
    void model.lookBack();
    await until('its own', () => model.curves.names.length === 1);
    await until('no other', () => server.calls.some(call => call.includes('job-gone/metrics')));
    expect(model.before('loss')).toBeNull();
    model.dispose();
  });

  it('are forgotten where the server thinned them, and read again', async () => {
    const server = new FakeServer();
    server.jobs.all.set('job-1', job());
    server.jobs.points = [point(0, 1), point(1, 1)];
    const known = over(server);
    const model = new JobModel(known, { id: 'job-1' });
    model.activate(true);
    await until('both', () => model.curves.curve('loss', 0)?.values.length === 2);
    server.jobs.anew = true;
    server.jobs.points = [point(1, 7), point(2, 7), point(3, 7)];
    known.apply({ type: 'job', data: job({ step: 3 }) });
    await until('again', () => model.curves.curve('loss', 0)?.values.length === 3);
    expect(model.curves.curve('loss', 0)?.values).toEqual([7, 7, 7]);
    model.dispose();
  });

  it('say what is wrong where there is no such job', async () => {
    const model = new JobModel(over(new FakeServer()), { id: 'gone' });
    model.activate(true);
    await until('a problem', () => model.problem !== null);
    expect(model.problem?.code).toBe('not_found');
    model.dispose();
    expect(shownOf({ tab: 'logs', rank: 3, id: 'x' })).toEqual({ tab: 'logs', rank: 3 });
    expect(shownOf({ tab: 'nonsense' })).toEqual({});
  });

  it('bring what the slices did onto the same steps', () => {
    const model = new JobModel(over(new FakeServer()), { id: 'job-1' });
    model.curves.take([point(0, 1), point(100, 1)]);
    const gpu = {
      step: 10,
      times: [990, 1010, 1050],
      series: [
        { subject: '1.0', metric: 'activity', mean: [0.1, 0.4, null], min: null, max: null },
        { subject: '1.1', metric: 'activity', mean: [0.1, 0.8, null], min: null, max: null }
      ]
    };
    Object.assign(model, { _gpu: gpu });
    const [steps, use] = gpuColumns(model, 'activity', 'step');
    expect(steps.map(Math.round)).toEqual([15, 55]);
    expect(use[0]).toBeCloseTo(0.6);
    expect(use[1]).toBeNull();
    expect(gpuColumns(model, 'activity', 'time')[0]).toEqual([990, 1010, 1050]);
  });

  it('are a small curve in the panel, read once when somebody looks', async () => {
    const server = new FakeServer();
    server.jobs.all.set('job-1', job());
    server.jobs.points = Array.from({ length: 120 }, (_, i) => point(i, 120 - i));
    const known = over(server);
    const trails = new Trails(known);
    expect(trails.values('job-1')).toEqual([]);
    trails.look(job());
    trails.look(job());
    await until('a trail', () => trails.values('job-1').length === 60);
    expect(server.calls.filter(call => call.includes('metrics')).length).toBe(3);
    known.apply({ type: 'job', data: job({ step: 500, metrics: { loss: 0.25 } }) });
    expect(trails.values('job-1').at(-1)).toBe(0.25);
    expect(pathOf([1, 0])).toBe('0.0,1.0 100.0,19.0');
    expect(pathOf([1])).toBe('');
  });
});

describe('what is said of a job', () => {
  it('explains a wait by position, time and reason', () => {
    const waiting = job({ state: 'waiting', message: 'position 2: Waits.' });
    const asked = request({ position: 2, expected_at: 1720 });
    expect(waitWords(trans, waiting, asked, 1000)).toBe(
      'Position 2, in about 12 min: Waits for lease 81.'
    );
    expect(waitWords(trans, waiting, undefined, 1000)).toBe('position 2: Waits.');
  });

  it('puts the rank that failed first before the others', () => {
    const cause = { code: 'killed', message: '', hint: '', rank: 2, lines: [] };
    const failed = job({ ranks: [rank(0), rank(1), rank(2)], cause });
    expect(telling(failed)).toBe(2);
    expect(ranksInOrder(failed)).toEqual([2, 0, 1]);
    expect(ranksInOrder(job())).toEqual([0, 1]);
  });

  it('writes figures with four digits and names the notebook that is left', () => {
    expect([0.123456, 1234567, 0.00001234, 0, NaN].map(figure)).toEqual([
      '0.1235',
      '1.23e+6',
      '1.23e-5',
      '0',
      '–'
    ]);
    expect(notebookOf(job({ command: ['python', '/a/b/look.ipynb'] }))).toBe('look-job-1.ipynb');
    expect(notebookOf(job())).toBeNull();
  });

  it('finds a file in the browser, whatever "~" stands for', () => {
    expect(namesOf('/srv/ada/work/a.ipynb', '/srv/ada')).toEqual(['work/a.ipynb']);
    expect(namesOf('/elsewhere/a.ipynb', '/srv/ada')).toEqual([]);
    expect(namesOf('/home/ada/nb/x/a.ipynb', '~/nb')).toEqual(['x/a.ipynb']);
    expect(namesOf('/home/ada/a.ipynb', '~')).toContain('a.ipynb');
  });
});

describe('the form of a new job', () => {
  const onServer = (folder: string): string => (folder ? `/srv/${folder}` : '/srv');

  it('runs a script in its own folder unless another is given', () => {
    const form = new JobForm({ script: 'sub/train.py', args: '--lr 0.1', profile: 'whole' });
    const body = specBody(form.common.state, form.fields, onServer);
    expect(body).toMatchObject({
      script: 'train.py',
      cwd: '/srv/sub',
      per_rank: 'whole',
      ranks: 2
    });
    form.set({ cwd: 'data' });
    const other = specBody(form.common.state, form.fields, onServer);
    expect(other).toMatchObject({ script: '/srv/sub/train.py', cwd: '/srv/data' });
    form.common.set({ script: '/opt/x/train.py' });
    form.set({ cwd: '' });
    const own = specBody(form.common.state, form.fields, onServer);
    expect(own).toMatchObject({ script: '/opt/x/train.py', cwd: '/opt/x' });
  });

  it('names every field that can’t be sent', () => {
    const form = new JobForm({ count: 0 }, { restarts: 'x', hang: '0', env: 'A=1\nwhat' });
    expect(faultyFields(form.common.state, form.fields)).toEqual([
      'count',
      'restarts',
      'hang',
      'env'
    ]);
    const right = new JobForm({ script: 'a.py' }, { restarts: '3', hang: '60', env: 'A=1\n' });
    expect(faultyFields(right.common.state, right.fields)).toEqual([]);
    expect(readEnv(' A=b=c\n\nB=')).toEqual({ A: 'b=c', B: '' });
  });

  it('is made out as a job was, and sends the same but from the beginning', () => {
    const was = spec({
      args: ['--name', 'two words'],
      max_restarts: 2,
      hang_seconds: 300,
      env: { A: '1' },
      launcher: 'accelerate',
      launcher_args: ['--mixed_precision', 'bf16'],
      resume_from: '/x/step-3.pt'
    });
    const form = JobForm.of(was);
    expect(form.common.state.count).toBe(2);
    const body = specBody(form.common.state, form.fields, onServer);
    expect(body).toEqual({ ...was, resume_from: null });
  });

  it('asks for slices of the pool that is shown as chosen', () => {
    const [here, there] = [card({ pool: 'a100' }), card({ pool: 'h100' })];
    const form = new JobForm({ script: 'a.py', memory: '5 GB' });
    const sent = (): string | null | undefined =>
      specBody(resolved(form.common.state, [here, there]), form.fields, onServer).pool;
    expect(sent()).toBe('a100');
    form.common.chooseCard(there);
    expect(sent()).toBe('h100');
    const again = JobForm.of(spec({ per_rank: '0.25', pool: 'h100' }));
    expect(fittingCard(again.common.state, [here, there])).toBe(there);
  });

  it('keeps a function that was sent', () => {
    const form = JobForm.of(spec({ script: null, function_b64: 'AAAA', function_name: 'train' }));
    expect(functionOf(form.fields)).toBe('train');
    expect(faultyFields(form.common.state, form.fields)).toEqual([]);
    form.common.set({ count: 4 });
    const body = specBody(form.common.state, form.fields, onServer);
    expect(body).toMatchObject({ script: null, function_b64: 'AAAA', ranks: 4 });
  });
});

describe('jobs compared', () => {
  it('differ in what is named: arguments and variables one by one', () => {
    const one = spec({ args: ['--lr', '0.1', '--fast', 'data'], env: { A: '1' } });
    const two = spec({ args: ['--lr=0.2', '--fast', 'data'], ranks: 4 });
    expect(differences([one, two])).toEqual([
      { name: 'ranks', values: ['2', '4'] },
      { name: '--lr', values: ['0.1', '0.2'] },
      { name: 'env A', values: ['1', '–'] }
    ]);
    expect(differences([one, one])).toEqual([]);
  });

  it('are read as lines, without what was not said', () => {
    const lines = specLines(spec({ args: ['a b'], function_b64: 'AAAA' }));
    expect(lines.map(([name]) => name)).toEqual([
      'ranks',
      'per_rank',
      'script',
      'args',
      'seconds',
      'cwd',
      'launcher',
      'if_lost',
      'warm'
    ]);
    expect(new Map(lines).get('args')).toBe('"a b"');
  });

  it('come and go, each once; a metric that most have comes first', () => {
    const compared = new Comparison(over(new FakeServer()), ['a', 'b', 'a']);
    expect(compared.ids).toEqual(['a', 'b']);
    compared.runs[0]?.curves.take([{ rank: 0, step: 1, time: 1, values: { extra: 1, loss: 1 } }]);
    compared.runs[1]?.curves.take([{ rank: 0, step: 1, time: 1, values: { loss: 1 } }]);
    expect(compared.names).toEqual(['loss', 'extra']);
    compared.remove('a');
    expect(compared.ids).toEqual(['b']);
    compared.dispose();
  });
});
