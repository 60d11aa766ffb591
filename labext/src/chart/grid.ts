/**
 * Where each GPU of a fleet stands in the heat map: blocks of one node each, pool by pool. No DOM.
 *
 * Cells are as large as lets the whole fleet be seen at once, and small cells scroll.
 */

import type { IBlock } from '../model/heat';

export interface ILabel {
  readonly text: string;
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly pool: boolean;
}

export interface IGrid {
  /** Of a cell, pixels. */
  readonly width: number;
  readonly height: number;
  /** Left and top of each cell. */
  readonly x: Float32Array;
  readonly y: Float32Array;
  readonly labels: readonly ILabel[];
  /** Of everything. */
  readonly total: number;
}

interface ISize {
  width: number;
  height: number;
  gap: number;
}

/** Largest first; the first two have room for a name and a figure. */
const SIZES: readonly ISize[] = [
  { width: 104, height: 52, gap: 6 },
  { width: 72, height: 40, gap: 4 },
  { width: 30, height: 30, gap: 3 },
  { width: 22, height: 22, gap: 2 },
  { width: 16, height: 16, gap: 2 },
  { width: 12, height: 12, gap: 2 }
];
/** From this width on there is room for words in a cell. */
export const WORDS_FROM = 72;

const NODE_LABEL = 15;
const POOL_LABEL = 22;
const BLOCK_GAP = 12;
/** Cells of one node beside each other, where there are several nodes. */
const ACROSS = 8;

/** @param room pixels of height that are there without scrolling */
export function gridOf(blocks: readonly IBlock[], width: number, room: number): IGrid {
  let grid: IGrid | null = null;
  for (const size of SIZES) {
    grid = place(blocks, Math.max(120, width), size);
    if (grid.total <= room) {
      break;
    }
  }
  return grid as IGrid;
}

function place(blocks: readonly IBlock[], width: number, size: ISize): IGrid {
  const count = blocks.reduce((sum, block) => sum + block.count, 0);
  const [xs, ys] = [new Float32Array(count), new Float32Array(count)];
  const labels: ILabel[] = [];
  const pools = new Set(blocks.map(block => block.pool)).size;
  const pitch = size.width + size.gap;
  const fit = Math.max(1, Math.floor((width + size.gap) / pitch));
  const across = blocks.length > 1 ? Math.min(ACROSS, fit) : fit;
  const head = blocks.length > 1 ? NODE_LABEL : 0;
  let [cell, left, top, tallest] = [0, 0, 0, 0];
  let pool: string | null = null;
  const wrap = (): void => {
    top += tallest;
    [left, tallest] = [0, 0];
  };
  for (const block of blocks) {
    if (block.pool !== pool && pools > 1) {
      wrap();
      labels.push({ text: block.pool, x: 0, y: top, width, pool: true });
      top += POOL_LABEL;
    }
    pool = block.pool;
    const columns = Math.min(across, block.count);
    const wide = columns * pitch - size.gap;
    if (left > 0 && left + wide > width) {
      wrap();
    }
    if (head) {
      labels.push({ text: block.node, x: left, y: top, width: wide, pool: false });
    }
    for (let i = 0; i < block.count; i++, cell++) {
      xs[cell] = left + (i % columns) * pitch;
      ys[cell] = top + head + Math.floor(i / columns) * (size.height + size.gap);
    }
    const rows = Math.ceil(block.count / columns);
    tallest = Math.max(tallest, head + rows * (size.height + size.gap) + (head ? 4 : 0));
    left += wide + BLOCK_GAP;
  }
  wrap();
  return { width: size.width, height: size.height, x: xs, y: ys, labels, total: top };
}

/** The cell at a point, -1 where there is none. */
export function cellAt(grid: IGrid, x: number, y: number): number {
  for (let i = 0; i < grid.x.length; i++) {
    const [left, top] = [grid.x[i] ?? 0, grid.y[i] ?? 0];
    if (x >= left && x < left + grid.width && y >= top && y < top + grid.height) {
      return i;
    }
  }
  return -1;
}

/** Where an arrow key leads from a cell; the same cell where there is no way on. */
export function neighbour(grid: IGrid, from: number, key: string): number {
  const last = grid.x.length - 1;
  switch (key) {
    case 'ArrowLeft':
      return Math.max(0, from - 1);
    case 'ArrowRight':
      return Math.min(last, from + 1);
    case 'Home':
      return 0;
    case 'End':
      return last;
    case 'ArrowUp':
      return across(grid, from, -1);
    case 'ArrowDown':
      return across(grid, from, 1);
    default:
      return from;
  }
}

/** The cell of the next line up or down that is nearest to being above or below. */
function across(grid: IGrid, from: number, way: 1 | -1): number {
  const [x, y] = [grid.x[from] ?? 0, grid.y[from] ?? 0];
  let [best, bestLine, bestSide] = [from, Infinity, Infinity];
  for (let i = 0; i < grid.x.length; i++) {
    const line = ((grid.y[i] ?? 0) - y) * way;
    const side = Math.abs((grid.x[i] ?? 0) - x);
    if (line > 0 && (line < bestLine || (line === bestLine && side < bestSide))) {
      [best, bestLine, bestSide] = [i, line, side];
    }
  }
  return best;
}
