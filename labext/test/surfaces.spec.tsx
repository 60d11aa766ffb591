import { nullTranslator } from '@jupyterlab/translation';
import { Signal } from '@lumino/signaling';
import { Widget } from '@lumino/widgets';
import { act } from 'react';

import { LiveClient } from '../src/api/live';
import { WorkbenchApi } from '../src/api/rest';
import type { Lease } from '../src/api/types';
import { coloursOf, faint } from '../src/chart/colours';
import { clientCode } from '../src/cluster/code';
import { Workbench } from '../src/model/workbench';
import { StatusItem } from '../src/status/item';
import { SliceChip } from '../src/toolbar/chip';
import { FakeServer } from './server';
import { lease, request, tick } from './things';

const trans = nullTranslator.load('test');
const widgets: Widget[] = [];

afterEach(() => act(() => widgets.splice(0).forEach(one => one.dispose())));

function workbench(): Workbench {
  const settings = new FakeServer().settings();
  return new Workbench({ api: new WorkbenchApi(settings), live: new LiveClient(settings) });
}

async function shown(widget: Widget): Promise<HTMLElement> {
  widgets.push(widget);
  await act(async () => Widget.attach(widget, document.body));
  return widget.node;
}

function held(path: string, ends_at: number): Lease {
  return lease({ ends_at, holder: { kind: 'kernel', id: 'k', name: path, pid: 1, started: 1 } });
}

describe('the status bar item', () => {
  it('shows use, memory and time left of the notebook in front, else nothing', async () => {
    const known = workbench();
    const current = { path: null as string | null, changed: new Signal<object, void>({}) };
    const opened: (number | null)[] = [];
    const open = (id: number | null): void => void opened.push(id);
    const node = await shown(new StatusItem({ workbench: known, current, open, trans }));
    expect(node.textContent).toBe('');
    const now = Date.now() / 1000;
    await act(async () => {
      known.apply({ type: 'lease', data: held('work/a.ipynb', now + 6130) });
      known.apply({ type: 'tick', data: tick(now, { '1.0': [0.43, 14.2 * 2 ** 30] }) });
      current.path = 'work/a.ipynb';
      current.changed.emit();
    });
    expect(node.textContent).toBe('⚡ 43 % · 14.2/20 GB · 1:42');
    node.querySelector('button')?.click();
    expect(opened).toEqual([1]);
    await act(async () => {
      current.path = 'work/b.ipynb';
      current.changed.emit();
    });
    expect(node.textContent).toBe('');
  });

  it('says what the notebook in front waits for', async () => {
    const known = workbench();
    const current = { path: 'b.ipynb', changed: new Signal<object, void>({}) };
    known.apply({ type: 'request', data: request({ name: 'b.ipynb', position: 2 }) });
    const open = (): void => {};
    const node = await shown(new StatusItem({ workbench: known, current, open, trans }));
    expect(node.textContent).toBe('◷ waits for 1/4 GPU, position 2');
  });
});

describe("the chip in a notebook's toolbar", () => {
  it('asks for a slice where there is none, and opens the one that is there', async () => {
    const known = workbench();
    const done: unknown[] = [];
    const chip = new SliceChip({
      workbench: known,
      notebook: { path: 'a.ipynb', pathChanged: new Signal<object, void>({}) },
      open: id => void done.push(['open', id]),
      ask: path => void done.push(['ask', path]),
      trans
    });
    const node = await shown(chip);
    const button = (): HTMLButtonElement | null => node.querySelector('button');
    expect(button()?.getAttribute('aria-label')).toBe('Run this notebook on a GPU slice');
    button()?.click();
    const ends = Date.now() / 1000 + 6130;
    await act(async () => known.apply({ type: 'lease', data: held('/home/ada/a.ipynb', ends) }));
    expect(node.textContent).toBe('1/4 GPU · 1:42');
    button()?.click();
    expect(done).toEqual([
      ['ask', 'a.ipynb'],
      ['open', 1]
    ]);
  });
});

describe('small things', () => {
  it('reads the colours of the theme from the page', () => {
    document.body.style.setProperty('--jp-brand-color1', '#2196f3');
    expect(coloursOf(document.body).activityFill).toBe('#2196f355');
    expect(faint('rebeccapurple')).toBe('transparent');
  });

  it('writes client code for a name with quotes', () => {
    expect(clientCode('my "best"')).toContain('gw.cluster(name="my \\"best\\"").get_client()');
  });
});
