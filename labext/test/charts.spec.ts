import { valueRange, timeLabels } from '../src/chart/axes';
import { columnsOf } from '../src/chart/columns';
import { cellAt, gridOf, neighbour } from '../src/chart/grid';
import { pointAfter } from '../src/chart/keys';
import { lineOptions } from '../src/chart/options';
import { ColourScale, luminance } from '../src/chart/scale';
import { summaryOf, Timeline } from '../src/model/timeline';

const GIB = 2 ** 30;

function blocks(nodes: number, each: number): { pool: string; node: string; count: number }[] {
  return Array.from({ length: nodes }, (_, i) => ({ pool: 'p', node: `n${i}`, count: each }));
}

describe("a chart's cursor", () => {
  it('appears at the newest point and moves by a point, a tenth, or to the ends', () => {
    expect(pointAfter('ArrowLeft', null, 5, 105)).toBe(105);
    expect(pointAfter('ArrowLeft', 105, 5, 105)).toBe(104);
    expect(pointAfter('PageDown', 104, 5, 105)).toBe(94);
    expect(pointAfter('Home', 94, 5, 105)).toBe(5);
    expect(pointAfter('End', 5, 5, 105)).toBe(105);
  });

  it('stays among the points in sight, goes with Escape, and leaves other keys alone', () => {
    expect(pointAfter('ArrowRight', 105, 5, 105)).toBe(105);
    expect(pointAfter('PageDown', 7, 5, 105)).toBe(5);
    expect(pointAfter('Escape', 7, 5, 105)).toBeNull();
    expect(pointAfter('Tab', 7, 5, 105)).toBeUndefined();
  });
});

describe('a line', () => {
  it('of one value is drawn as a point, and without points otherwise', () => {
    const { series } = lineOptions(
      document.body,
      { lines: [{ name: 'use', dash: [] }], height: 100, group: 'g' },
      { places: () => [], values: () => [] }
    );
    const show = series[1]?.points?.show as (chart: object, line: number) => boolean;
    expect(
      show(
        {
          data: [
            [1, 2, 3],
            [null, 0.5, null]
          ]
        },
        1
      )
    ).toBe(true);
    expect(
      show(
        {
          data: [
            [1, 2, 3],
            [null, 0.5, 0.6]
          ]
        },
        1
      )
    ).toBe(false);
    expect(show({ data: [[], []] }, 1)).toBe(false);
  });
});

describe('a timeline', () => {
  it('keeps mean, least and greatest of each step', () => {
    const line = new Timeline(2, 10, 100);
    for (const [time, value] of [
      [1000, 0.2],
      [1003, 0.4],
      [1009, 0.9],
      [1010, 0.5]
    ] as const) {
      line.add(time, metric => (metric === 0 ? value : NaN));
    }
    const { times, mean, min, max } = line.stretch();
    expect([...times]).toEqual([1000, 1010]);
    expect(mean[0]?.[0]).toBeCloseTo(0.5);
    expect(min[0]?.[0]).toBeCloseTo(0.2);
    expect(max[0]?.[0]).toBeCloseTo(0.9);
    expect(line.last(0)).toBeCloseTo(0.5);
  });

  it('shows what is unknown as unknown, and a step with one known sample as that', () => {
    const line = new Timeline(1, 1, 10);
    line.add(1, () => NaN);
    line.add(2, () => NaN);
    line.add(2.5, () => 3);
    expect(line.stretch().mean[0]?.[0]).toBeNaN();
    expect(line.stretch().mean[0]?.[1]).toBe(3);
  });

  it('never grows, however long it is fed', () => {
    const line = new Timeline(3, 1, 60);
    const bytes = line.bytes;
    for (let time = 0; time < 10_000; time += 0.5) {
      line.add(time, () => time);
    }
    expect(line.bytes).toBe(bytes);
    expect(line.length).toBe(61);
    expect(line.newest).toBe(9999);
    expect([...line.stretch().times]).toEqual(Array.from({ length: 61 }, (_, i) => 9939 + i));
  });

  it('ignores what is older than its newest step', () => {
    const line = new Timeline(1, 1, 10);
    line.add(5, () => 1);
    line.add(4, () => 9);
    expect(line.length).toBe(1);
    expect(line.last(0)).toBe(1);
  });

  it('sums up a part of itself', () => {
    const line = new Timeline(1, 1, 10);
    [1, 2, 3, 4].forEach(time => line.add(time, () => time));
    expect(summaryOf(line.stretch(), 0, 2, 3)).toEqual({ min: 2, mean: 2.5, max: 3 });
    expect(summaryOf(line.stretch(), 0, 20, 30).mean).toBeNaN();
  });
});

describe('the columns of a chart', () => {
  it('are broken where nobody knows what was', () => {
    const line = new Timeline(1, 1, 100);
    [1, 2, 60].forEach(time => line.add(time, () => 7));
    const [times, values] = columnsOf([{ metric: 0, stretch: line.stretch() }], 1, false);
    expect(times).toEqual([1, 2, 3, 60]);
    expect(values).toEqual([7, 7, null, 7]);
  });

  it('put lines of several subjects on the same times', () => {
    const [a, b] = [new Timeline(1, 1, 10), new Timeline(1, 1, 10)];
    [1, 2, 3].forEach(time => a.add(time, () => time));
    [2, 3].forEach(time => b.add(time, () => -time));
    const lines = [a, b].map(line => ({ metric: 0, stretch: line.stretch() }));
    expect(columnsOf(lines, 1, false)).toEqual([
      [1, 2, 3],
      [1, 2, 3],
      [null, -2, -3]
    ]);
  });

  it('bring the spread of the first line', () => {
    const line = new Timeline(1, 10, 100);
    [1, 3].forEach(time => line.add(time, () => time));
    expect(columnsOf([{ metric: 0, stretch: line.stretch() }], 10, true)).toEqual([
      [0],
      [2],
      [1],
      [3]
    ]);
    expect(columnsOf([{ metric: 0, stretch: null }], 10, true)).toEqual([[], [], [], []]);
  });
});

describe('the grid of the heat map', () => {
  it('has room for words with few GPUs and shows a thousand without much scrolling', () => {
    expect(gridOf(blocks(2, 8), 1000, 300).width).toBeGreaterThan(72);
    const many = gridOf(blocks(125, 8), 1200, 300);
    expect(many.x).toHaveLength(1000);
    expect(many.width).toBe(12);
    expect(many.total).toBeLessThan(600);
  });

  it('lets no two cells overlap and stays within its width', () => {
    for (const width of [200, 640, 1300]) {
      const grid = gridOf([...blocks(7, 8), { pool: 'q', node: 'z', count: 3 }], width, 120);
      const places = new Set([...grid.x].map((x, i) => `${x} ${grid.y[i]}`));
      expect(places.size).toBe(grid.x.length);
      expect(Math.max(...grid.x) + grid.width).toBeLessThanOrEqual(width);
    }
  });

  it('wraps the GPUs of a single node over the whole width', () => {
    const grid = gridOf(blocks(1, 1000), 1200, 300);
    expect(grid.labels).toEqual([]);
    expect(Math.max(...grid.x)).toBeGreaterThan(1100);
  });

  it('is walked with the arrow keys', () => {
    const grid = gridOf(blocks(2, 8), 1000, 300);
    expect(neighbour(grid, 0, 'ArrowLeft')).toBe(0);
    expect(neighbour(grid, 0, 'ArrowRight')).toBe(1);
    expect(neighbour(grid, 3, 'ArrowDown')).toBe(11);
    expect(neighbour(grid, 11, 'ArrowUp')).toBe(3);
    expect(neighbour(grid, 3, 'End')).toBe(15);
    expect(neighbour(grid, 3, 'ArrowUp')).toBe(3);
  });

  it('finds the cell under the pointer', () => {
    const grid = gridOf(blocks(2, 8), 1000, 300);
    expect(cellAt(grid, (grid.x[9] ?? 0) + 3, (grid.y[9] ?? 0) + 3)).toBe(9);
    expect(cellAt(grid, -5, 3)).toBe(-1);
  });
});

function lightOf(colour: string): number {
  const [r = 0, g = 0, b = 0] = (colour.match(/\d+/g) ?? []).map(Number);
  return luminance([r, g, b]);
}

describe('the colours of the heat map', () => {
  it('change in lightness all the way, so that nobody needs to tell hues apart', () => {
    for (const dark of [false, true]) {
      const scale = new ColourScale(dark);
      const light = Array.from({ length: 21 }, (_, i) => {
        return lightOf(scale.fill(i / 20));
      });
      const steps = light.slice(1).map((value, i) => value - (light[i] ?? 0));
      expect(steps.every(step => (dark ? step > 0 : step < 0))).toBe(true);
    }
  });

  it('let words be read on every one of them', () => {
    for (const dark of [false, true]) {
      const scale = new ColourScale(dark);
      for (let i = 0; i <= 20; i++) {
        const light = lightOf(scale.fill(i / 20)) + 0.05;
        const contrast = scale.ink(i / 20) === '#ffffff' ? 1.05 / light : light / 0.05;
        expect(contrast).toBeGreaterThan(4.5);
      }
    }
  });
});

describe('axes', () => {
  it('compare shares on one scale and memory against its limit', () => {
    expect(valueRange('share', 0.02, null)).toEqual([0, 1]);
    expect(valueRange('bytes', GIB, 80 * GIB)[1]).toBeGreaterThan(80 * GIB);
    expect(valueRange('watts', null, null)).toEqual([0, 100]);
  });

  it('write times as exactly as their distance asks for', () => {
    const noon = new Date(2026, 10, 20, 12, 0, 0).getTime() / 1000;
    expect(timeLabels([noon, noon + 15], 15)).toEqual(['12:00:00', '12:00:15']);
    expect(timeLabels([noon, noon + 900], 900)).toEqual(['12:00', '12:15']);
    expect(timeLabels([noon, noon + 43_200], 43_200)).toEqual(['12:00', 'Nov 21']);
  });
});
