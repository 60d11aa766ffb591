/**
 * Paints the heat map of a fleet on one canvas: only the cells in view, all in one go.
 *
 * What is held is filled with the colour of its value, what is free is hollow; unknown is hatched, never
 * the colour of 0. It knows nothing of GPUs' names but what it is given to write.
 */

import { Mark } from '../model/heat';
import type { IGrid } from './grid';
import { WORDS_FROM } from './grid';
import type { ColourScale } from './scale';

export interface IHeat {
  /** Share of the scale, 0..1; NaN is unknown. */
  readonly value: Float32Array;
  /** `Mark`s of each cell. */
  readonly marks: Uint8Array;
  /** Written into large cells. */
  readonly name: (cell: number) => string;
  readonly figure: (cell: number) => string;
}

export interface IInk {
  readonly page: string;
  readonly text: string;
  readonly faint: string;
  readonly border: string;
  readonly accent: string;
  readonly warn: string;
  readonly error: string;
  readonly font: string;
}

export interface IView {
  /** Scrolled past, and shown, in pixels of the page. */
  readonly top: number;
  readonly width: number;
  readonly height: number;
  readonly ratio: number;
  /** Left of and above the cells. */
  readonly margin: number;
  readonly selected: number;
  readonly focused: number;
}

type Context = CanvasRenderingContext2D;

export function paintHeat(
  ctx: Context,
  grid: IGrid,
  heat: IHeat,
  scale: ColourScale,
  ink: IInk,
  view: IView
): void {
  ctx.setTransform(view.ratio, 0, 0, view.ratio, 0, 0);
  ctx.clearRect(0, 0, view.width, view.height);
  ctx.translate(view.margin, view.margin - view.top);
  paintLabels(ctx, grid, ink, view);
  const words = grid.width >= WORDS_FROM;
  for (let cell = 0; cell < grid.x.length; cell++) {
    const [x, y] = [grid.x[cell] ?? 0, grid.y[cell] ?? 0];
    if (y + grid.height < view.top || y > view.top + view.height) {
      continue;
    }
    const marks = heat.marks[cell] ?? 0;
    const value = heat.value[cell] ?? NaN;
    paintCell(ctx, x, y, grid, value, marks, scale, ink);
    if (words) {
      paintWords(ctx, x, y, grid, heat, cell, scale, ink);
    }
  }
  for (const [cell, colour, out] of [
    [view.selected, ink.text, 2],
    [view.focused, ink.accent, 3]
  ] as const) {
    if (cell >= 0 && cell < grid.x.length) {
      ctx.strokeStyle = colour;
      ctx.lineWidth = 2;
      const [x, y] = [grid.x[cell] ?? 0, grid.y[cell] ?? 0];
      ctx.strokeRect(x - out + 1, y - out + 1, grid.width + 2 * out - 2, grid.height + 2 * out - 2);
    }
  }
}

function paintLabels(ctx: Context, grid: IGrid, ink: IInk, view: IView): void {
  ctx.textBaseline = 'top';
  ctx.textAlign = 'left';
  for (const label of grid.labels) {
    if (label.y + 24 >= view.top && label.y <= view.top + view.height) {
      ctx.font = label.pool ? `600 12px ${ink.font}` : `10px ${ink.font}`;
      ctx.fillStyle = label.pool ? ink.text : ink.faint;
      ctx.fillText(label.text, label.x, label.y + (label.pool ? 4 : 2), label.width);
    }
  }
}

function paintCell(
  ctx: Context,
  x: number,
  y: number,
  { width, height }: IGrid,
  value: number,
  marks: number,
  scale: ColourScale,
  ink: IInk
): void {
  const out = (marks & Mark.out) !== 0;
  if (Number.isNaN(value) || out) {
    hatch(ctx, x, y, width, height, out ? ink.error : ink.border);
  } else if (marks & (Mark.held | Mark.stranger)) {
    ctx.fillStyle = scale.fill(value);
    ctx.fillRect(x, y, width, height);
  }
  if (out) {
    cross(ctx, x, y, width, height, ink.error);
  }
  const [colour, line] =
    marks & Mark.stranger ? [ink.warn, 2] : marks & Mark.mine ? [ink.accent, 2] : [ink.border, 1];
  ctx.strokeStyle = colour;
  ctx.lineWidth = line;
  ctx.strokeRect(x + line / 2, y + line / 2, width - line, height - line);
  if (marks & Mark.idle) {
    const side = Math.max(5, Math.min(12, width * 0.4));
    ctx.fillStyle = ink.warn;
    ctx.beginPath();
    ctx.moveTo(x + width, y);
    ctx.lineTo(x + width - side, y);
    ctx.lineTo(x + width, y + side);
    ctx.closePath();
    ctx.fill();
  }
}

function paintWords(
  ctx: Context,
  x: number,
  y: number,
  grid: IGrid,
  heat: IHeat,
  cell: number,
  scale: ColourScale,
  ink: IInk
): void {
  const value = heat.value[cell] ?? NaN;
  const marks = heat.marks[cell] ?? 0;
  const filled = !Number.isNaN(value) && (marks & (Mark.held | Mark.stranger)) !== 0;
  const colour = filled && !(marks & Mark.out) ? scale.ink(value) : ink.text;
  const room = grid.width - 14;
  ctx.fillStyle = colour;
  ctx.textBaseline = 'middle';
  ctx.textAlign = 'left';
  ctx.font = `11px ${ink.font}`;
  ctx.fillText(heat.name(cell), x + 7, y + grid.height * 0.3, room);
  ctx.font = `600 ${grid.height > 44 ? 15 : 12}px ${ink.font}`;
  ctx.fillText(heat.figure(cell), x + 7, y + grid.height * 0.68, room);
}

function hatch(
  ctx: Context,
  x: number,
  y: number,
  width: number,
  height: number,
  colour: string
): void {
  ctx.strokeStyle = colour;
  ctx.lineWidth = 1;
  ctx.beginPath();
  // Lines from the left or upper edge down to the right or lower one, clipped by arithmetic.
  for (let at = 4 - height; at < width; at += 5) {
    const [x0, x1] = [Math.max(0, at), Math.min(width, at + height)];
    ctx.moveTo(x + x0, y + x0 - at);
    ctx.lineTo(x + x1, y + x1 - at);
  }
  ctx.stroke();
}

function cross(
  ctx: Context,
  x: number,
  y: number,
  width: number,
  height: number,
  colour: string
): void {
  const side = Math.min(width, height) - 4;
  const [left, top] = [x + (width - side) / 2, y + (height - side) / 2];
  ctx.strokeStyle = colour;
  ctx.lineWidth = 2;
  ctx.beginPath();
  ctx.moveTo(left, top);
  ctx.lineTo(left + side, top + side);
  ctx.moveTo(left + side, top);
  ctx.lineTo(left, top + side);
  ctx.stroke();
}
