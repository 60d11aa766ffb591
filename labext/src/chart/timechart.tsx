/**
 * Some metrics over time, with axes; all charts of a page share one cursor and one window of time.
 *
 * It draws when told, only while it is in view, and at most once a frame. Beside the canvas stands the
 * same as text: the legend says the value under the cursor or the newest one, and a table sums up. By
 * keyboard a chart is a slider over its points: arrow keys move the cursor, and its values are announced.
 */

import type { ISignal } from '@lumino/signaling';
import React, { useEffect, useRef, useState } from 'react';
import uPlot from 'uplot';

import type { Unit } from '../model/metrics';
import { written } from '../model/metrics';
import { momentOf, timeLabels, valueLabels, valueRange, valueSteps } from './axes';
import { DASHES, faint, inkOf, lineColour } from './colours';
import { pointAfter } from './keys';

export interface ISeries {
  readonly name: string;
  readonly area?: boolean;
}

/** What is drawn now. */
export interface IPicture {
  /** Times, then a column for each series, then least and greatest of the first, if any. */
  readonly columns: readonly (readonly (number | null)[])[];
  readonly from: number;
  readonly to: number;
  readonly step: number;
}

export interface ITimeChartProps {
  title: string;
  unit: Unit;
  series: readonly ISeries[];
  /** A rule across the chart, for example the memory of the slice. */
  limit?: { value: number; name: string };
  /** Whether the columns bring the spread of the first series. */
  band?: boolean;
  picture: () => IPicture;
  /** There is something new to draw. */
  drawn: ISignal<unknown, unknown>;
  themeChanged: ISignal<unknown, unknown> | null;
  /** Charts with the same key share their cursor. */
  group: string;
  zoom: (from: number, to: number) => void;
  /** Words where no value is known; a sentence. */
  nothing: string;
  height?: number;
  testid?: string;
}

interface IReading {
  values: readonly (number | null)[];
  at: number | null;
  step: number;
  /** Place among the points, of so many. */
  row: number;
  rows: number;
}

const HEIGHT = 132;
const NOTHING: IReading = { values: [], at: null, step: 1, row: 0, rows: 1 };

export function TimeChart(props: ITimeChartProps): React.ReactElement {
  const { drawn, themeChanged, series, group } = props;
  const host = useRef<HTMLDivElement>(null);
  const latest = useRef(props);
  latest.current = props;
  const shown = useRef<uPlot | null>(null);
  const [reading, setReading] = useState(NOTHING);
  /** What the keyboard's cursor is at, in words; only keys change it, or each tick would be read out. */
  const [said, setSaid] = useState('');
  const names = series.map(one => one.name).join('|');

  useEffect(() => {
    const node = host.current;
    if (!node) {
      return;
    }
    let chart: uPlot | null = null;
    let frame = 0;
    let inView = typeof IntersectionObserver === 'undefined';
    const read = (): void => {
      if (chart) {
        setReading(readingOf(chart, latest.current));
      }
    };
    const draw = (): void => {
      frame = 0;
      const { picture } = latest.current;
      const { columns, from, to } = picture();
      if (!chart) {
        return;
      }
      chart.batch(() => {
        chart?.setData(columns as uPlot.AlignedData, false);
        chart?.setScale('x', { min: from, max: to });
      });
      read();
    };
    const later = (): void => {
      if (inView && !frame) {
        frame = requestAnimationFrame(draw);
      }
    };
    const build = (): void => {
      chart?.destroy();
      shown.current = chart = new uPlot(options(node, latest.current, read), [[]], node);
      later();
    };
    const resized = new ResizeObserver(() => {
      if (chart && node.clientWidth && node.clientWidth !== chart.width) {
        chart.setSize({ width: node.clientWidth, height: chart.height });
      }
    });
    const seen =
      typeof IntersectionObserver === 'undefined'
        ? null
        : new IntersectionObserver(found => {
            inView = found.at(-1)?.isIntersecting ?? false;
            later();
          });
    build();
    resized.observe(node);
    seen?.observe(node);
    drawn.connect(later);
    themeChanged?.connect(build);
    return () => {
      cancelAnimationFrame(frame);
      drawn.disconnect(later);
      themeChanged?.disconnect(build);
      resized.disconnect();
      seen?.disconnect();
      chart?.destroy();
      shown.current = null;
    };
  }, [drawn, themeChanged, names, group]);

  const pressed = (event: React.KeyboardEvent): void => {
    const chart = shown.current;
    if (chart && moveCursor(chart, event.key, group)) {
      event.preventDefault();
      event.stopPropagation();
      setSaid(labelOf(props, readingOf(chart, props)));
    }
  };
  const left = (): void => {
    if (shown.current && said) {
      moveCursor(shown.current, 'Escape', group);
    }
    setSaid('');
  };

  const empty = reading.values.every(value => value === null);
  return (
    <figure className="gw-chart" data-testid={props.testid}>
      <figcaption className="gw-chart-head">
        <span className="gw-chart-title">{props.title}</span>
        <span className="gw-chart-legend">
          {series.map((one, i) => (
            <span key={one.name} className="gw-chart-entry">
              <Swatch index={i} />
              {one.name}{' '}
              <b data-testid="gw-chart-value">{written(props.unit, reading.values[i] ?? NaN)}</b>
            </span>
          ))}
          {reading.at !== null && (
            <span className="gw-chart-at">{momentOf(reading.at, reading.step)}</span>
          )}
        </span>
      </figcaption>
      <div
        ref={host}
        className="gw-chart-host"
        style={{ minHeight: props.height ?? HEIGHT }}
        role="slider"
        tabIndex={0}
        aria-label={props.title}
        aria-valuemin={0}
        aria-valuemax={Math.max(1, reading.rows - 1)}
        aria-valuenow={reading.row}
        aria-valuetext={said || labelOf(props, reading)}
        onKeyDown={pressed}
        onFocus={() => setSaid(labelOf(props, reading))}
        onBlur={left}
      >
        {empty && <span className="gw-chart-nothing">{props.nothing}</span>}
      </div>
    </figure>
  );
}

/** A piece of a line as the chart draws it. */
function Swatch(props: { index: number }): React.ReactElement {
  const dash = DASHES[props.index] ?? [];
  return (
    <svg className="gw-chart-swatch" width="16" height="8" aria-hidden="true">
      <line
        x1="0"
        x2="16"
        y1="4"
        y2="4"
        strokeWidth="2"
        stroke={lineColour(props.index)}
        strokeDasharray={dash.join(' ')}
      />
    </svg>
  );
}

/** "Use 43 %, SM activity 3 %", under a cursor with the moment before. */
function labelOf({ unit, series }: ITimeChartProps, reading: IReading): string {
  const values = series.map((one, i) => `${one.name} ${written(unit, reading.values[i] ?? NaN)}`);
  const moment = reading.at === null ? [] : [momentOf(reading.at, reading.step)];
  return [...moment, ...values].join(', ');
}

/** Leads the cursor of all charts of the group where the key says; whether it says anything. */
function moveCursor(chart: uPlot, key: string, group: string): boolean {
  const [first, last] = chart.series[0]?.idxs ?? [0, -1];
  const { idx, left } = chart.cursor;
  const at = typeof idx === 'number' && (left ?? -1) >= 0 ? idx : null;
  const next = last < first ? undefined : pointAfter(key, at, first, last);
  if (next === undefined) {
    return false;
  }
  const time = next === null ? null : (chart.data[0][next] ?? 0);
  for (const one of uPlot.sync(group).plots) {
    one.setCursor(
      time === null ? { left: -1, top: -1 } : { left: one.valToPos(time, 'x'), top: 1 }
    );
  }
  return true;
}

/** The values under the cursor, else the newest ones. */
function readingOf(chart: uPlot, { series, picture }: ITimeChartProps): IReading {
  const { idx } = chart.cursor;
  const times = chart.data[0];
  const under = typeof idx === 'number' && (chart.cursor.left ?? -1) >= 0;
  const row = under ? idx : times.length - 1;
  const values = series.map((_, i) => chart.data[i + 1]?.[row] ?? null);
  const at = under ? (times[row] ?? null) : null;
  return { values, at, step: picture().step, row, rows: times.length };
}

function options(host: HTMLElement, props: ITimeChartProps, moved: () => void): uPlot.Options {
  const { unit, series, limit, band, height, group } = props;
  const ink = inkOf(host);
  const axis = { stroke: ink.faint, font: `10px ${ink.font}`, ticks: { show: false } };
  const grid = { stroke: faint(ink.border), width: 1 };
  const steps = valueSteps(unit);
  const lines: uPlot.Series[] = series.map((one, i) => ({
    stroke: lineColour(i),
    width: 1.5,
    dash: DASHES[i] ?? [],
    points: { show: false },
    ...(one.area ? { fill: faint(lineColour(i)) } : {})
  }));
  const spread: uPlot.Series[] = band
    ? [0, 1].map(() => ({ stroke: 'transparent', points: { show: false } }))
    : [];
  return {
    width: host.clientWidth || 300,
    height: height ?? HEIGHT,
    padding: [6, 8, 0, 0],
    legend: { show: false },
    cursor: {
      y: false,
      points: { size: 5 },
      sync: { key: group },
      drag: { x: true, y: false, setScale: false }
    },
    scales: {
      x: { time: true },
      y: { range: (_, __, most) => valueRange(unit, most, limit?.value ?? null) }
    },
    axes: [
      {
        ...axis,
        grid,
        size: 20,
        gap: 2,
        space: 64,
        values: (_, splits, __, ___, distance) => timeLabels(splits, distance)
      },
      {
        ...axis,
        grid,
        size: 58,
        gap: 4,
        space: 28,
        ...(steps ? { incrs: steps } : {}),
        values: (_, splits) => valueLabels(unit, splits)
      }
    ],
    series: [{}, ...lines, ...spread],
    ...(band
      ? { bands: [{ series: [lines.length + 2, lines.length + 1], fill: faint(lineColour(0)) }] }
      : {}),
    hooks: {
      setCursor: [moved],
      draw: limit ? [chart => rule(chart, limit, ink.text, ink.font)] : [],
      setSelect: [
        chart => {
          const { left, width } = chart.select;
          if (width > 4) {
            props.zoom(chart.posToVal(left, 'x'), chart.posToVal(left + width, 'x'));
          }
          chart.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        }
      ]
    }
  };
}

/** A line across with its name, for what can't be exceeded. */
function rule(
  chart: uPlot,
  limit: { value: number; name: string },
  colour: string,
  font: string
): void {
  const { ctx, bbox } = chart;
  const y = chart.valToPos(limit.value, 'y', true);
  const ratio = devicePixelRatio;
  ctx.save();
  ctx.strokeStyle = ctx.fillStyle = colour;
  ctx.globalAlpha = 0.6;
  ctx.lineWidth = ratio;
  ctx.setLineDash([4 * ratio, 3 * ratio]);
  ctx.beginPath();
  ctx.moveTo(bbox.left, y);
  ctx.lineTo(bbox.left + bbox.width, y);
  ctx.stroke();
  ctx.font = `${10 * ratio}px ${font}`;
  ctx.textAlign = 'right';
  ctx.textBaseline = 'top';
  ctx.fillText(limit.name, bbox.left + bbox.width - 4 * ratio, y + 2 * ratio);
  ctx.restore();
}
