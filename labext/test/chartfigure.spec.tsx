import { Signal } from '@lumino/signaling';
import React, { act } from 'react';
import type { Root } from 'react-dom/client';
import { createRoot } from 'react-dom/client';
import uPlot from 'uplot';

import type { Columns } from '../src/chart/curvechart';
import { CurveChart } from '../src/chart/curvechart';

const drawn = new Signal<object, void>({});
let root: Root;
let host: HTMLElement;

/** A loss that halves with each step, up to the step before `steps`. */
function loss(steps: number): Columns {
  const places = Array.from({ length: steps }, (_, i) => i);
  return [places, places.map(step => 2 ** -step)];
}

async function show(columns: () => Columns): Promise<void> {
  const common = { along: 'step', drawn, themeChanged: null, group: 'a test' } as const;
  const words = { nothing: 'Nothing.', stepWord: 'step' };
  host = document.body.appendChild(document.createElement('div'));
  root = createRoot(host);
  await act(async () =>
    root.render(
      <>
        <CurveChart
          {...common}
          {...words}
          title="loss"
          curves={[{ name: 'a' }]}
          columns={columns}
        />
        <CurveChart
          {...common}
          {...words}
          title="rate"
          curves={[{ name: 'b' }]}
          columns={columns}
        />
      </>
    )
  );
}

function slider(title: string): HTMLElement {
  return host.querySelector(`[role="slider"][aria-label="${title}"]`) as HTMLElement;
}

/** What a screen reader says of it. */
const saidOf = (title: string): string | null => slider(title).getAttribute('aria-valuetext');

/** Under the title: where the cursor is. */
const cursorOf = (title: string): string | undefined =>
  slider(title).parentElement?.querySelector('.gw-chart-at')?.textContent ?? undefined;

async function press(...keys: string[]): Promise<void> {
  for (const key of keys) {
    const event = new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true });
    await act(async () => void slider('loss').dispatchEvent(event));
  }
}

async function grow(): Promise<void> {
  await act(async () => {
    drawn.emit();
    await new Promise(requestAnimationFrame);
  });
}

afterEach(async () => {
  await act(async () => root.unmount());
  document.body.replaceChildren();
});

describe('a chart by keyboard', () => {
  it('is a slider over its points that says where it is and what the lines are there', async () => {
    await show(() => loss(11));
    expect(saidOf('loss')).toBe('a 0.0009766');
    expect(slider('loss').getAttribute('aria-valuemax')).toBe('10');
    await press('Home', 'ArrowRight');
    expect(saidOf('loss')).toBe('step 1, a 0.5');
    expect(slider('loss').getAttribute('aria-valuenow')).toBe('1');
    await press('Escape');
    expect(saidOf('loss')).toBe('a 0.0009766');
  });

  it('leads the cursor of all charts of its group', async () => {
    await show(() => loss(11));
    await press('Home', 'ArrowRight', 'ArrowRight');
    expect(cursorOf('rate')).toBe('step 2');
    await press('Escape');
    expect(cursorOf('rate')).toBeUndefined();
  });

  it('says that nothing is known only where nothing is drawn', async () => {
    let [places, values]: (number | null)[][] = [
      [0, 1, 2],
      [null, null, null]
    ];
    await show(() => [places, values] as Columns);
    expect(host.querySelectorAll('.gw-chart-nothing')).toHaveLength(2);
    [places, values] = [
      [0, 1, 2, 3],
      [null, 0.5, 0.25, null]
    ];
    await grow();
    expect(host.querySelectorAll('.gw-chart-nothing')).toHaveLength(0);
  });

  it('stays at its point while the lines grow, and only keys announce', async () => {
    let steps = 11;
    await show(() => loss(steps));
    await act(async () => slider('loss').focus());
    const newest = saidOf('loss');
    steps = 12;
    await grow();
    expect(saidOf('loss')).toBe(newest);
    await press('Home', 'ArrowRight');
    steps = 30;
    await grow();
    expect(saidOf('loss')).toBe('step 1, a 0.5');
    expect([cursorOf('loss'), cursorOf('rate')]).toEqual(['step 1', 'step 1']);
    await press('ArrowRight');
    expect(saidOf('loss')).toBe('step 2, a 0.25');
    await act(async () => slider('loss').blur());
    expect([cursorOf('loss'), cursorOf('rate')]).toEqual([undefined, undefined]);
  });
});

describe('a curve', () => {
  const shown = (): (number | undefined)[] => {
    const { min, max } = uPlot.sync('a test').plots[0]?.scales['x'] ?? {};
    return [min, max];
  };

  it('shows all of itself as it grows, or the stretch that was zoomed into', async () => {
    let steps = 11;
    await show(() => loss(steps));
    steps = 21;
    await grow();
    expect(shown()).toEqual([0, 20]);
    await act(async () => uPlot.sync('a test').plots[0]?.setScale('x', { min: 4, max: 8 }));
    steps = 31;
    await grow();
    expect(shown()).toEqual([4, 8]);
    await act(async () => uPlot.sync('a test').plots[0]?.setScale('x', { min: 0, max: 30 }));
    steps = 41;
    await grow();
    expect(shown()).toEqual([0, 40]);
  });
});
