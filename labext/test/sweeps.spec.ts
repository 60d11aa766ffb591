import { nullTranslator } from '@jupyterlab/translation';
import { Widget } from '@lumino/widgets';

import { LiveClient } from '../src/api/live';
import { WorkbenchApi } from '../src/api/rest';
import { BoardPane } from '../src/job/board';
import { argsWith, MOST_RUNS, pointsOf, valuesOf } from '../src/model/grid';
import { faultyFields, JobForm, specBody } from '../src/model/jobform';
import {
  bestWords,
  countWords,
  NEW_SWEEP,
  parameters,
  seenRuns,
  sortedRuns,
  sweepBody,
  tellingJobs
} from '../src/model/sweeps';
import { Workbench } from '../src/model/workbench';
import { FakeServer, until } from './server';
import { job, sweep, sweepRun } from './things';

const trans = nullTranslator.load('test');

describe('values as people type them', () => {
  it('stand between commas, each once', () => {
    expect(valuesOf('0.1, 0.01,0.1')).toEqual(['0.1', '0.01']);
    expect(valuesOf('adam, sgd')).toEqual(['adam', 'sgd']);
  });

  it('may be ranges by steps or factors, up and down', () => {
    expect(valuesOf('1..4')).toEqual(['1', '2', '3', '4']);
    expect(valuesOf('3..1')).toEqual(['3', '2', '1']);
    expect(valuesOf('0..1 by 0.25')).toEqual(['0', '0.25', '0.5', '0.75', '1']);
    expect(valuesOf('1e-4..1e-1 x10')).toEqual(['0.0001', '0.001', '0.01', '0.1']);
    expect(valuesOf('32..128 × 2, 500')).toEqual(['32', '64', '128', '500']);
  });

  it('are refused where they don’t say how many, or say too many', () => {
    for (const odd of ['', '1,,2', '0.1..0.5', '1..5 by -1', '1..9 x1', `1..${MOST_RUNS + 1}`]) {
      expect(valuesOf(odd)).toBeNull();
    }
  });

  it('make a grid of all combinations, each name once', () => {
    const rows = [
      { name: '--lr', values: '0.1, 0.01' },
      { name: 'fast', values: 'true, false' }
    ];
    expect(pointsOf(rows)).toEqual([
      { lr: 0.1, fast: true },
      { lr: 0.1, fast: false },
      { lr: 0.01, fast: true },
      { lr: 0.01, fast: false }
    ]);
    expect(pointsOf([...rows, { name: 'lr', values: '1' }])).toBeNull();
    expect(pointsOf([...rows, { name: '', values: '1' }])).toBeNull();
    expect(pointsOf([])).toBeNull();
    const many = { name: 'b', values: '1..40' };
    expect(pointsOf([{ name: 'a', values: '1..40' }, many])).toBeNull();
  });

  it('take the place of the same arguments of the script', () => {
    const args = ['data', '--lr', '0.5', '--epochs', '3', '--fast', '--seed=1'];
    expect(argsWith(args, { lr: 0.1, seed: 7 })).toEqual(
      'data --epochs 3 --fast --lr 0.1 --seed 7'.split(' ')
    );
    expect(argsWith(args, { fast: false })).toEqual('data --lr 0.5 --epochs 3 --seed=1'.split(' '));
    expect(argsWith(['--lr', '-0.5'], { lr: 1, fast: true })).toEqual(['--lr', '1', '--fast']);
  });
});

describe('the form of a sweep', () => {
  const filled = { ...NEW_SWEEP, params: [{ name: 'lr', values: '0.1, 0.01' }] };

  it('sends one job for each combination, in all else as the form says', () => {
    const form = new JobForm({ script: 'a/train.py', args: '--lr 1 --epochs 3', profile: 'whole' });
    form.set({ sweep: { ...filled, metric: ' accuracy ', goal: 'max', atMost: '2' } });
    expect(faultyFields(form.common.state, form.fields)).toEqual([]);
    const body = specBody(form.common.state, form.fields, folder => `/home/ada/${folder}`);
    const sent = sweepBody(body, form.fields.sweep ?? NEW_SWEEP);
    expect(sent).toMatchObject({ name: 'train.py', at_most: 2, metric: 'accuracy', goal: 'max' });
    expect(sent?.runs.map(run => [run.params, run.spec.args, run.spec.name])).toEqual([
      [{ lr: 0.1 }, ['--epochs', '3', '--lr', '0.1'], 'train.py lr=0.1'],
      [{ lr: 0.01 }, ['--epochs', '3', '--lr', '0.01'], 'train.py lr=0.01']
    ]);
    expect(sent?.runs[0]?.spec).toMatchObject({ ranks: 2, cwd: '/home/ada/a', per_rank: 'whole' });
  });

  it('says which of its fields can’t be sent', () => {
    const form = new JobForm({ script: 'train.py' }, { sweep: NEW_SWEEP });
    expect(faultyFields(form.common.state, form.fields)).toEqual(['params']);
    form.set({ sweep: { ...filled, atMost: '0' } });
    expect(faultyFields(form.common.state, form.fields)).toEqual(['atMost']);
    form.set({ sweep: filled });
    form.common.set({ script: 'report.ipynb' }); // It takes no arguments.
    expect(faultyFields(form.common.state, form.fields)).toEqual(['params']);
  });
});

describe('what is said of a sweep', () => {
  const runs = [
    sweepRun(0, { params: { lr: 0.1 }, state: 'succeeded', value: 0.5 }),
    sweepRun(1, { params: { lr: 0.01 }, state: 'succeeded', value: 0.25 }),
    sweepRun(2, { params: { lr: 0.001 }, state: 'failed', message: 'rank 0 raised' }),
    sweepRun(3, { params: { lr: 0.5 }, state: 'running' }),
    sweepRun(4, { params: { lr: 0.7 }, state: 'pending', job_id: null })
  ];
  const whole = sweep({ runs, best: 1 });

  it('is how far it is, and which run is best', () => {
    expect(countWords(trans, whole)).toBe('3 of 5 over, 1 going on, 1 failed');
    expect(bestWords(whole)).toBe('lr=0.01: 0.25');
    expect(bestWords(sweep({ runs: runs.slice(3) }))).toBe('');
    expect(parameters(whole)).toEqual(['lr']);
  });

  it('is of a run that goes on what its job tells', () => {
    const going = job({ id: 'job-3', state: 'running', step: 70, metrics: { loss: 0.3 } });
    const ended = job({ id: 'job-0', state: 'succeeded', step: 9, metrics: { loss: 9 } });
    const jobs = new Map([going, ended].map(one => [one.id, one]));
    const seen = seenRuns(whole, id => jobs.get(id));
    expect(seen.map(run => [run.value, run.step])).toEqual([
      [0.5, null],
      [0.25, null],
      [null, null],
      [0.3, 70],
      [null, null]
    ]);
    expect(tellingJobs(whole, seen, 12)).toEqual(['job-3', 'job-0']); // Those that are known.
    const order = (down: boolean): number[] =>
      sortedRuns(seen, run => run.value, down).map(run => run.number);
    expect(order(false)).toEqual([1, 3, 0, 2, 4]);
    expect(order(true)).toEqual([0, 3, 1, 2, 4]);
  });

  it('comes by events, as jobs do', async () => {
    const server = new FakeServer();
    server.sweeps = [whole];
    const known = over(server);
    await known.refresh();
    expect(known.sweeps.items).toEqual([whole]);
    known.apply({ type: 'sweep', data: { ...whole, state: 'done' } });
    expect(known.sweeps.get(whole.id)?.state).toBe('done');
    known.dispose();
  });
});

describe('TensorBoard of a job', () => {
  async function opened(server: FakeServer): Promise<BoardPane> {
    const known = over(server);
    const pane = new BoardPane({ workbench: known, id: 'job-1', trans, every: 1, longest: 50 });
    Widget.attach(pane, document.body);
    return pane;
  }

  it('is shown once it is there', async () => {
    const server = new FakeServer();
    server.jobs.all.set('job-1', job());
    const pane = await opened(server);
    await until('it starts', () => pane.node.dataset['state'] === 'starting');
    expect(pane.node.textContent).toBe('Starting TensorBoard…');
    server.jobs.board = true;
    await until('it is there', () => pane.node.dataset['state'] === 'ready');
    const frame = pane.node.querySelector('iframe');
    expect(frame?.getAttribute('src')).toMatch(/user\/ada\/.*jobs\/job-1\/tensorboard\//);
    pane.dispose();
  });

  it('says what is missing where it can’t be started, and tries again when asked', async () => {
    const server = new FakeServer();
    server.jobs.all.set('job-1', job());
    server.trouble = {
      status: 503,
      body: { code: 'unavailable', message: 'TensorBoard is missing.', hint: 'Install it.' }
    };
    const pane = await opened(server);
    await until('it is said', () => pane.node.dataset['state'] === 'failed');
    expect(pane.node.textContent).toContain('TensorBoard is missing. Install it.');
    server.trouble = null;
    server.jobs.board = true;
    pane.node.querySelector('button')?.click();
    await until('it is there', () => pane.node.dataset['state'] === 'ready');
    pane.dispose();
  });

  it('gives up in words where it never comes', async () => {
    const server = new FakeServer();
    server.jobs.all.set('job-1', job());
    const pane = await opened(server);
    await until('it is said', () => pane.node.dataset['state'] === 'failed');
    expect(pane.node.textContent).toContain('did not come up');
    pane.dispose();
  });
});

function over(server: FakeServer): Workbench {
  const settings = server.settings();
  return new Workbench({ api: new WorkbenchApi(settings), live: new LiveClient(settings) });
}
