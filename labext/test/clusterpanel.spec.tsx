import { nullTranslator } from '@jupyterlab/translation';
import type { MimeData } from '@lumino/coreutils';
import { act } from 'react';

import type { Cluster } from '../src/api/types';
import type { IClusterActions } from '../src/cluster/actions';
import { clientCode } from '../src/cluster/code';
import { codeToDrop } from '../src/cluster/drag';
import { allPages, pageUrl, usualPages } from '../src/cluster/pages';
import { DaskPane } from '../src/cluster/pane';
import { serverWith, until } from './server';
import type { IStage } from './stage';
import { cleared, connected, shown } from './stage';
import { card, cluster, fleet, gpu, lease, segment, tick, worker } from './things';

const GIB = 2 ** 30;
const trans = nullTranslator.load('test');

afterEach(cleared);

describe("Dask's pages", () => {
  it('lie below the cluster, on this server', () => {
    expect(pageUrl('http://hub/user/ada/', cluster(), 'individual-graph')).toBe(
      'http://hub/user/ada/gpu-workbench/clusters/cluster-1/dashboard/individual-graph'
    );
    expect(pageUrl('/', cluster({ dashboard_path: null }), 'status')).toBeNull();
  });

  it('are named in words, the usual ones as in the menu', () => {
    const answer = {
      'Individual Task Stream': '/individual-task-stream',
      'Individual Bandwidth Types': '/individual-bandwidth-types'
    };
    expect(allPages(answer, usualPages(trans))).toEqual([
      { page: 'individual-bandwidth-types', label: 'Bandwidth types' },
      { page: 'individual-task-stream', label: 'Task stream' }
    ]);
  });

  it('show the page while the cluster runs, and in a sentence why there is none', async () => {
    const known = await connected(serverWith(cluster({ state: 'starting', dashboard_path: null })));
    const page = { page: 'individual-graph', label: 'Graph' };
    const pane = new DaskPane({ workbench: known, id: 'cluster-1', name: 'old', page, trans });
    const frame = (): string | null | undefined => pane.node.querySelector('iframe')?.src;
    const draw = (data: Cluster): void => {
      known.apply({ type: 'cluster', data });
      pane.processMessage({ type: 'update-request', isConflatable: false, conflate: () => false });
    };
    expect([pane.title.label, frame()]).toEqual(['flights: Graph', undefined]);
    expect(pane.node.textContent).toContain('has no scheduler yet');
    draw(cluster());
    expect(frame()).toContain('/dashboard/individual-graph');
    draw(cluster({ name: 'flights2', tasks: 5 }));
    expect([pane.title.label, pane.node.textContent]).toEqual(['flights2: Graph', '']);
    draw(cluster({ state: 'ended', message: 'its time was up' }));
    expect(frame()).toBeUndefined();
    expect(pane.node.textContent).toContain('its time was up');
    pane.dispose();
    const gone = new DaskPane({ workbench: known, id: 'cluster-9', name: 'old', page, trans });
    expect(gone.node.textContent).toContain('There is no cluster old any more');
    gone.dispose();
  });
});

it('code that is dragged is a cell for notebooks and text for the rest', () => {
  const data: MimeData = codeToDrop('flights');
  const cells = data.getData('application/vnd.jupyter.cells') as { source: string }[];
  expect(cells.map(one => one.source)).toEqual([clientCode('flights')]);
  expect(data.getData('text/plain')).toBe(clientCode('flights'));
});

describe("the panel's clusters", () => {
  const actions = (calls: string[]): { clusters: IClusterActions } => {
    const log =
      (name: string) =>
      async (one: Cluster): Promise<void> =>
        void calls.push(`${name} ${one.name}`);
    const all = ['stop', 'scale', 'rename', 'restart', 'extend', 'insert', 'drag'];
    return {
      clusters: {
        ...Object.fromEntries(all.map(name => [name, log(name)])),
        offerPanes: (one: Cluster) => void calls.push(`panes ${one.name}`)
      } as unknown as IClusterActions
    };
  };

  async function stage(...clusters: Cluster[]): Promise<IStage & { calls: string[] }> {
    const server = serverWith(...clusters);
    const now = Date.now() / 1000;
    [1, 2].forEach(id => server.leases.set(id, lease({ id, ends_at: now + 7000 })));
    server.fleet = fleet({ gpus: [gpu(0, { segments: [segment({ slice_id: '1.0' })] })] });
    const calls: string[] = [];
    return { ...(await shown(server, actions(calls))), calls };
  }

  it('say what to do first when there are none', async () => {
    const { text, find, context } = await stage();
    expect(text('gw-clusters-empty')).toContain('Set one up above');
    await act(async () => find('gw-clusters-empty')[0]?.querySelector('button')?.click());
    expect(context.form.state.purpose).toBe('cluster');
  });

  it('show bars for each worker that move with the ticks', async () => {
    let now = Date.now() / 1000;
    const { context, find, text } = await stage(
      cluster({ tasks: 7, workers: [worker({ busy: 0.5, tasks: 7 })], workers_wanted: 1 })
    );
    const shows = (id: string): [string | null | undefined, string] => [
      find(id)[0]?.querySelector('[role=meter]')?.getAttribute('aria-valuenow'),
      text(id)
    ];
    const at = (activity: number, memory: number): Promise<void> =>
      act(async () =>
        context.workbench.apply({ type: 'tick', data: tick(now++, { '1.0': [activity, memory] }) })
      );
    await at(0.25, 5 * GIB);
    expect(shows('gw-worker-use')).toEqual(['25', 'use25 %']);
    expect(shows('gw-worker-memory')).toEqual(['25', 'GPU5/20 GB']);
    expect(shows('gw-worker-host')).toEqual(['25', 'host1/4 GB']);
    expect(shows('gw-worker-cpu')).toEqual(['50', 'CPU50 %']);
    await at(0.75, 15 * GIB);
    expect(shows('gw-cluster-use')).toEqual(['75', 'use75 %']);
    expect(shows('gw-cluster-memory')).toEqual(['75', 'GPU15/20 GB']);
    expect(text('gw-worker')).toContain('7 tasks');
  });

  it('say how far a start is, what it waits for, and what was lost', async () => {
    const message = 'waiting for lease 3 of 4: position 2: Waits for lease 81.';
    const { text, find } = await stage(
      cluster({ state: 'starting', workers_wanted: 4, message, notice: 'A worker left.' })
    );
    expect(text('gw-cluster-workers')).toBe('2 of 4 × 1/4 GPU');
    expect(text('gw-cluster-message')).toBe(message);
    expect(text('gw-cluster-notice')).toBe('A worker left.');
    const meter = find('gw-cluster')[0]?.querySelector('[role=meter]');
    expect(meter?.getAttribute('aria-label')).toBe('2 of 4 workers are up');
  });

  it('count down to the idle end, and to the end of the slices', async () => {
    const now = Date.now() / 1000;
    const { text, find } = await stage(cluster({ idle_at: now + 65, idle_seconds: 600 }));
    expect(text('gw-cluster-idle')).toMatch(/^1:0\d$/);
    expect(find('gw-cluster-idle')[0]?.className).toContain('gw-mod-soon');
    expect(text('gw-cluster-left')).toMatch(/^1:56:\d\d$/);
  });

  it('have buttons for all that can be done, and none for what is over', async () => {
    const over = cluster({ id: 'cluster-0', name: 'old', state: 'ended', message: 'stopped' });
    const { find, calls } = await stage(cluster(), over);
    for (const name of ['insert', 'panes', 'rename', 'restart', 'stop', 'extend']) {
      expect(find(`gw-cluster-${name}`)).toHaveLength(1);
      await act(async () => find(`gw-cluster-${name}`)[0]?.click());
    }
    const done = ['insert', 'panes', 'rename', 'restart', 'stop', 'extend'];
    expect(calls).toEqual(done.map(name => `${name} flights`));
  });

  it('say which slice would have done, and fill in the form with it', async () => {
    localStorage.setItem('gpu-workbench:folded:request', '1');
    const size_hint = 'peak 2 GB of 20 GB: a 1g.10gb slice would do, and start now';
    const { find, text, context } = await stage(
      cluster({ state: 'ended', message: 'stopped', size_hint, size_profile: 'mig-1g.10gb' })
    );
    expect(text('gw-cluster-hint')).toContain(`Next time: ${size_hint}.`);
    await act(async () => find('gw-cluster-again')[0]?.click());
    expect(context.form.state).toMatchObject({
      purpose: 'cluster',
      profile: 'mig-1g.10gb',
      pool: 'default',
      memory: '10 GB',
      name: 'flights',
      count: 2
    });
    const submit = find('gw-form-submit')[0];
    expect(submit?.textContent).toBe('Start cluster');
    await until('it is in focus', () => document.activeElement === submit);
  });

  it('show the pool of a card where there are several, and what a cluster may grow to', async () => {
    const { find } = await stage();
    expect(find('gw-card')).toHaveLength(2);
    expect(find('gw-card').some(one => one.querySelector('.gw-card-pool'))).toBe(false);
    await cleared();
    const server = serverWith();
    server.cards = [card({ pool: 'a100' }), card({ pool: 'h100' })];
    const two = await shown(server, actions([]));
    expect(two.find('gw-card').map(one => one.querySelector('.gw-card-pool')?.textContent)).toEqual(
      ['a100', 'h100']
    );
    await act(async () => two.context.form.set({ purpose: 'cluster', count: 1, most: 4 }));
    expect(two.text('gw-form-grows')).toContain('back to 1');
    expect(two.text('gw-form-cost')).toBe('costs 0.25 to 1 GPU');
    await act(async () => two.context.form.set({ most: 0 }));
    expect(two.find('gw-form-most')[0]?.getAttribute('aria-invalid')).toBe('true');
    expect((two.find('gw-form-submit')[0] as HTMLButtonElement).disabled).toBe(true);
  });

  it('are folded where they are many, and one at a time on demand', async () => {
    const many = [1, 2, 3, 4].map(n => cluster({ id: `cluster-${n}`, name: `c${n}` }));
    const { find } = await stage(...many);
    expect([find('gw-cluster').length, find('gw-worker').length]).toEqual([4, 0]);
    await act(async () => find('gw-cluster-fold')[1]?.click());
    expect(find('gw-worker')).toHaveLength(2);
  });
});
