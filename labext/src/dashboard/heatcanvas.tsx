/**
 * The heat map's canvas: as large as its window, whatever the fleet's size, and painted only when there
 * is something new. Keys move between GPUs, one word a GPU tells screen readers where they are.
 */

import React, { useCallback, useEffect, useId, useMemo, useRef, useState } from 'react';

import type { Gpu } from '../api/types';
import { inkOf, isDark } from '../chart/colours';
import type { IGrid } from '../chart/grid';
import { cellAt, gridOf, neighbour } from '../chart/grid';
import { paintHeat } from '../chart/heatmap';
import { ColourScale } from '../chart/scale';
import { unitOf, written } from '../model/metrics';
import { useTold } from '../surface/follow';
import { useDashboard } from './context';
import { HeatTip, wordsOf } from './heattip';

/** Pixels of height that the map may take; larger fleets scroll. */
const ROOM = 300;
/** Around the cells, for the frames of the chosen and the focused one. */
const MARGIN = 4;
const KEYS = ['ArrowLeft', 'ArrowRight', 'ArrowUp', 'ArrowDown', 'Home', 'End'];

export function HeatCanvas(): React.ReactElement {
  const { model, themeChanged, trans } = useDashboard();
  useTold(model.changed);
  const scroller = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const [width, setWidth] = useState(0);
  const [focused, setFocused] = useState(-1);
  const [hovered, setHovered] = useState(-1);
  const option = useId();
  const { heat } = model;
  const grid = useMemo(
    () => gridOf(heat.blocks, width - 2 * MARGIN, ROOM - 2 * MARGIN),
    [heat, width]
  );
  const height = Math.min(ROOM, grid.total + 2 * MARGIN);
  const selected = heat.place(model.gpu?.uuid ?? '');
  const view = useRef({ grid, height, width, selected, focused });
  view.current = { grid, height, width, selected, focused };
  const paint = usePaint(canvas, scroller, view);

  useEffect(() => {
    const node = scroller.current;
    if (!node) {
      return;
    }
    const measure = (): void => setWidth(node.clientWidth);
    const resized = new ResizeObserver(measure);
    measure();
    resized.observe(node);
    return () => resized.disconnect();
  }, []);
  useEffect(() => paint.now(), [paint, grid, width, height, selected, focused]);
  useEffect(() => {
    model.drawn.connect(paint.later);
    themeChanged?.connect(paint.newTheme);
    return () => {
      model.drawn.disconnect(paint.later);
      themeChanged?.disconnect(paint.newTheme);
    };
  }, [model, paint, themeChanged]);

  const pick = (cell: number): void => {
    const gpu = heat.gpus[cell];
    if (gpu) {
      model.show({ gpu: gpu.uuid, tab: 'gpu' });
    }
  };
  const pointed = (event: React.MouseEvent): number => {
    const box = canvas.current?.getBoundingClientRect();
    const top = scroller.current?.scrollTop ?? 0;
    return box
      ? cellAt(grid, event.clientX - box.left - MARGIN, event.clientY - box.top - MARGIN + top)
      : -1;
  };
  const moved = (event: React.KeyboardEvent): void => {
    if (event.key === 'Enter' || event.key === ' ') {
      event.preventDefault();
      pick(focused);
    } else if (KEYS.includes(event.key)) {
      event.preventDefault();
      const next = neighbour(grid, Math.max(0, focused), event.key);
      setFocused(next);
      reveal(scroller.current, grid, next, height);
    }
  };
  const shown = hovered >= 0 ? hovered : focused;
  return (
    <div className="gw-heat" onMouseLeave={() => setHovered(-1)}>
      <div
        ref={scroller}
        className="gw-heat-scroll"
        style={{ height }}
        role="listbox"
        tabIndex={0}
        aria-label={trans.__('GPUs, %1; arrow keys move, Enter picks one', heat.gpus.length)}
        aria-activedescendant={focused >= 0 ? option : undefined}
        data-testid="gw-heat"
        onScroll={paint.later}
        onKeyDown={moved}
        onFocus={() => setFocused(focused >= 0 ? focused : Math.max(0, selected))}
        onBlur={() => setFocused(-1)}
        onMouseMove={event => setHovered(pointed(event))}
        onClick={event => pick(pointed(event))}
      >
        <canvas
          ref={canvas}
          className="gw-heat-canvas"
          style={{ width, height }}
          role="presentation"
          data-testid="gw-heat-canvas"
        />
        <div
          style={{ height: Math.max(0, grid.total + 2 * MARGIN - height) }}
          role="presentation"
        />
        <Option id={option} cell={Math.max(0, focused)} selected={selected} />
      </div>
      {shown >= 0 && (
        <HeatTip
          cell={shown}
          left={(grid.x[shown] ?? 0) + MARGIN}
          top={(grid.y[shown] ?? 0) + MARGIN - (scroller.current?.scrollTop ?? 0)}
          cellHeight={grid.height}
          room={width}
        />
      )}
    </div>
  );
}

/** The one GPU that screen readers hear of: the one that the keys have led to. */
function Option(props: { id: string; cell: number; selected: number }): React.ReactElement {
  const { model, trans, showNames } = useDashboard();
  const { heat } = model;
  return (
    <div
      id={props.id}
      className="gw-hidden"
      role="option"
      aria-selected={props.cell === props.selected}
      aria-posinset={props.cell + 1}
      aria-setsize={heat.gpus.length}
    >
      {wordsOf(model, trans, props.cell, showNames()).join(', ')}
    </div>
  );
}

interface IPaint {
  now: () => void;
  later: () => void;
  newTheme: () => void;
}

/** Painting, at most once a frame. */
function usePaint(
  canvas: React.RefObject<HTMLCanvasElement>,
  scroller: React.RefObject<HTMLDivElement>,
  view: React.RefObject<{
    grid: IGrid;
    height: number;
    width: number;
    selected: number;
    focused: number;
  }>
): IPaint {
  const { model } = useDashboard();
  const frame = useRef(0);
  const theme = useRef<{ scale: ColourScale; ink: ReturnType<typeof inkOf> } | null>(null);
  const now = useCallback(() => {
    cancelAnimationFrame(frame.current);
    frame.current = 0;
    const [node, shown] = [canvas.current, view.current];
    const ctx = node?.getContext('2d');
    if (!node || !ctx || !shown || shown.width <= 0) {
      return;
    }
    theme.current ??= { scale: new ColourScale(isDark()), ink: inkOf(node) };
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [Math.round(shown.width * ratio), Math.round(shown.height * ratio)];
    if (node.width !== width || node.height !== height) {
      [node.width, node.height] = [width, height];
    }
    const { heat } = model;
    const unit = unitOf(model.shown.metric);
    const inside = heat.gpus.length === shown.grid.x.length;
    if (!inside) {
      return; // The fleet has changed: the grid follows with the next rendering.
    }
    paintHeat(
      ctx,
      shown.grid,
      {
        value: heat.value,
        marks: heat.marks,
        name: cell => cellName(heat.gpus[cell]),
        figure: cell => written(unit, heat.figure[cell] ?? NaN)
      },
      theme.current.scale,
      theme.current.ink,
      { ...shown, top: scroller.current?.scrollTop ?? 0, ratio, margin: MARGIN }
    );
  }, [canvas, model, scroller, view]);
  useEffect(() => () => cancelAnimationFrame(frame.current), []);
  return useMemo(
    () => ({
      now,
      later: () => {
        frame.current = frame.current || requestAnimationFrame(now);
      },
      newTheme: () => {
        theme.current = null;
        frame.current = frame.current || requestAnimationFrame(now);
      }
    }),
    [now]
  );
}

/** Under its node's name, a GPU needs only the rest of its own. */
function cellName(gpu: Gpu | undefined): string {
  return gpu?.name.replace(`${gpu.node}/`, '') ?? '';
}

/** Scroll as little as is needed to see a cell. */
function reveal(node: HTMLElement | null, grid: IGrid, cell: number, height: number): void {
  if (!node) {
    return;
  }
  const [top, bottom] = [grid.y[cell] ?? 0, (grid.y[cell] ?? 0) + grid.height + 2 * MARGIN];
  if (top < node.scrollTop) {
    node.scrollTop = top;
  } else if (bottom > node.scrollTop + height) {
    node.scrollTop = bottom - height;
  }
}
