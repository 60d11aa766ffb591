import { act } from 'react';

import { slotsInView } from '../src/panel/windowed';
import { FakeServer } from './server';
import { cleared, shown } from './stage';
import { card, fleet, gpu, lease, request, tick, segment, status } from './things';

afterEach(cleared);

describe('the panel', () => {
  it('says that GPUs are simulated, and only where they are', async () => {
    const server = new FakeServer();
    expect((await shown(server)).text('gw-simulated')).toContain('simulated GPUs');
    await cleared();
    server.status = status({ simulated: false });
    expect((await shown(server)).find('gw-simulated')).toEqual([]);
  });

  it('says what to do first when there is nothing yet', async () => {
    const { text, find } = await shown(new FakeServer());
    expect(text('gw-mine-empty')).toContain('Request a slice above');
    expect(find('gw-waiting')).toEqual([]);
  });

  it("shows whose each part of a GPU is, and not others' names where they are hidden", async () => {
    const server = new FakeServer();
    const segments = [
      segment({ slice_id: '1.0', lease_id: 1, mine: true, holder: 'work/churn.ipynb' }),
      segment({ slice_id: '2.0', lease_id: 2, holder: null, offer: null }),
      segment()
    ];
    server.fleet = fleet({ gpus: [gpu(0, { segments })] });
    const { find } = await shown(server);
    const parts = find('gw-segment');
    expect(parts.map(part => part.dataset['state'])).toEqual(['mine', 'others', 'free']);
    expect(parts[0]?.title).toContain('churn.ipynb');
    expect(parts[1]?.title).toContain('in use by somebody else');
  });

  it('puts a free part that is clicked into the form', async () => {
    const server = new FakeServer();
    server.fleet = fleet({ gpus: [gpu(0, { segments: [segment({ offer: '1g.10gb' })] })] });
    const { context, find } = await shown(server);
    await act(async () => find('gw-segment')[0]?.click());
    expect(context.form.state.profile).toBe('mig-1g.10gb');
    expect(find('gw-card').map(one => one.className.includes('chosen'))).toEqual([true, false]);
  });

  it('says now, when, or why not on each card', async () => {
    const server = new FakeServer();
    const soon = Date.now() / 1000 + 720;
    server.cards = [
      card({ profile: 'a', memory_gb: 10, when: 'now' }),
      card({ profile: 'b', memory_gb: 20, when: 'queued', expected_at: soon }),
      card({ profile: 'c', memory_gb: 80, when: 'over_limit', reason: 'Your limit is 2.' })
    ];
    const { find } = await shown(server);
    const words = find('gw-card').map(one => one.textContent);
    expect(words[0]).toContain('now');
    expect(words[1]).toContain('≈ 12 min');
    expect(words[2]).toContain('over your limit');
    expect(find('gw-card')[2]?.title).toContain('Your limit is 2.');
  });

  it('shows a lease with its time left, its load, and a start button while nobody uses it', async () => {
    const server = new FakeServer();
    const now = Date.now() / 1000;
    server.leases.set(1, lease({ id: 1, ends_at: now + 500 }));
    const holder = { kind: 'kernel', id: 'k', name: 'a.ipynb', pid: null, started: null } as const;
    server.leases.set(2, lease({ id: 2, ends_at: now + 7000, holder }));
    const { context, find } = await shown(server);
    await act(async () =>
      context.workbench.apply({
        type: 'tick',
        data: tick(now, { '1.0': [0.43, 14.2 * 2 ** 30] })
      })
    );
    const [first, second] = find('gw-lease');
    expect(first?.textContent).toContain('43 % · 14.2/20 GB');
    expect(find('gw-lease-left')[0]?.className).toContain('gw-mod-soon');
    expect(second?.textContent).toContain('– · –/20 GB');
    expect(find('gw-lease-start')).toHaveLength(1);
    expect(first?.querySelector('[role="img"]')?.getAttribute('aria-label')).toContain('43 %');
  });

  it('tells which notebook lost its slice while nobody looked, and asks for another', async () => {
    const server = new FakeServer();
    const over = { state: 'ended', end_reason: 'reclaimed' } as const;
    const ended_at = Date.now() / 1000 - 60;
    server.past.set(6, lease({ ...over, id: 6, name: 'work/churn.ipynb', ended_at }));
    server.past.set(5, lease({ ...over, id: 5, name: 'given.ipynb', end_reason: 'released' }));
    server.past.set(4, lease({ ...over, id: 4, ended_at: ended_at - 9 }));
    const { context, find, text } = await shown(server);
    expect(find('gw-taken').map(one => one.dataset['lease'])).toEqual(['6', '4']);
    expect(find('gw-taken')[1]?.textContent).toContain('unused slice');
    expect(text('gw-taken')).toContain('churn.ipynb');
    expect(text('gw-taken')).toContain('nobody used it');
    expect(text('gw-mine-empty')).toContain('You hold nothing');
    await act(async () => find('gw-taken-again')[0]?.click());
    expect(context.form.state).toMatchObject({ purpose: 'kernel', profile: 'fraction-0.25' });
    const select = find('gw-form-target')[0] as HTMLSelectElement;
    expect(select.selectedOptions[0]?.text).toContain('churn.ipynb');
    expect(context.form.state.target).toEqual({ kind: 'path', path: 'work/churn.ipynb' });
    await act(async () =>
      server.tell({ type: 'lease', data: lease({ id: 7, name: 'work/churn.ipynb' }) })
    );
    expect(find('gw-taken'), 'it has one again').toHaveLength(1);
  });

  it('gives the reason and the position of what waits, and counts the others', async () => {
    const server = new FakeServer();
    server.requests.set(1, request({ id: 1, position: 1, mine: false }));
    server.requests.set(2, request({ id: 2, position: 2, name: 'deep/b.ipynb' }));
    const { text } = await shown(server);
    expect(text('gw-waiting-position')).toBe('position 2');
    expect(text('gw-waiting-reason')).toBe('For b.ipynb. Waits for lease 81.');
    expect(text('gw-waiting-others')).toContain('1 request of others');
  });

  it('shows a refusal with its number and its way out', async () => {
    const { ApiError } = await import('../src/api/errors');
    const refused = new ApiError('over_limit', 'More than your limit of 2.', 'Take 2.', 409);
    const { find, text } = await shown(new FakeServer(), { submit: () => Promise.reject(refused) });
    await act(async () => find('gw-form-submit')[0]?.click());
    expect(text('gw-trouble')).toContain('More than your limit of 2.');
    expect(text('gw-trouble')).toContain('Take 2.');
  });

  it('offers to try again where the server does not answer', async () => {
    const server = new FakeServer();
    server.trouble = { status: 404, body: 'no' };
    const { context, find, text } = await shown(server);
    expect(text('gw-trouble')).toContain('does not know GPU Workbench');
    server.trouble = null;
    await act(async () => {
      find('gw-trouble')[0]?.querySelector('button')?.click();
      await new Promise(done => setTimeout(done, 30));
    });
    expect(context.workbench.phase).toBe('ready');
    expect(find('gw-gpu')).toHaveLength(2);
  });

  it('keeps the last state, greyed, while it reconnects', async () => {
    const server = new FakeServer();
    const { context, find } = await shown(server);
    server.down = true;
    await act(async () => context.workbench.refresh());
    expect(find('gw-disconnected')).toHaveLength(1);
    expect(find('gw-panel')[0]?.className).toContain('gw-mod-offline');
    expect(find('gw-gpu')).toHaveLength(2);
  });

  it('draws only the GPUs in view of a thousand', async () => {
    const server = new FakeServer();
    const many = Array.from({ length: 1000 }, (_, i) => gpu(i, { node: `node${i >> 3}` }));
    server.fleet = fleet({ gpus: many });
    const { find } = await shown(server);
    expect(find('gw-gpu').length).toBeGreaterThan(5);
    expect(find('gw-gpu').length).toBeLessThan(30);
  });
});

describe('a windowed list', () => {
  const rows = Array.from({ length: 100 }, () => ({ height: 50 }));

  it('is as high as all its rows and draws those around the view', () => {
    expect(slotsInView(rows, 0, 400)).toEqual({ first: 0, last: 13, before: 0, total: 5000 });
    const middle = slotsInView(rows, 2000, 400);
    expect(middle.before).toBe(middle.first * 50);
    expect(middle.first * 50).toBeLessThanOrEqual(2000);
    expect(middle.last * 50).toBeGreaterThanOrEqual(2400);
    expect(slotsInView(rows, 4600, 400).last).toBe(100);
  });
});
