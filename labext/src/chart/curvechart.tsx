/**
 * One metric of a run, or of several runs: lines over steps or time, on a plain or logarithmic scale.
 *
 * It draws when told, only while it is in view, and at most once a frame; all charts with the same
 * group share their cursor. The legend says the values under it, or the newest ones, as text.
 */

import type { ISignal } from '@lumino/signaling';
import React, { useEffect, useRef, useState } from 'react';
import uPlot from 'uplot';

import { figure } from '../model/jobs';
import { momentOf, timeLabels } from './axes';
import { DASHES, faint, inkOf, lineColour } from './colours';

/** Places along the chart and values there, both growing together. */
export type Columns = readonly [readonly number[], readonly (number | null)[]];

export interface ILine {
  readonly name: string;
  readonly area?: boolean;
}

export interface ICurveChartProps {
  title: string;
  lines: readonly ILine[];
  /** The columns of a line, read whenever it is drawn. */
  columns: (line: number) => Columns;
  along: 'step' | 'time';
  log?: boolean;
  /** Fixed range of the values, for example shares. */
  range?: readonly [number, number];
  written?: (value: number) => string;
  drawn: ISignal<unknown, unknown>;
  themeChanged: ISignal<unknown, unknown> | null;
  group: string;
  nothing: string;
  stepWord: string;
  /** "and 12 more" after the legend's first lines. */
  moreWords: (count: number) => string;
  testid?: string;
  /** In pixels. */
  height?: number;
}

interface IReading {
  readonly values: readonly (number | null)[];
  readonly at: number | null;
  /** How many places are drawn; in the page for tests that watch a curve grow. */
  readonly points: number;
}

const HEIGHT = 168;
/** Lines whose values the legend has room for. */
const IN_LEGEND = 8;

export function CurveChart(props: ICurveChartProps): React.ReactElement {
  const { drawn, themeChanged, group, along, log, lines } = props;
  const host = useRef<HTMLDivElement>(null);
  const latest = useRef(props);
  latest.current = props;
  const [reading, setReading] = useState<IReading>({ values: [], at: null, points: 0 });
  const names = lines.map(one => one.name).join('|');

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
      chart?.setData(dataOf(latest.current));
      read();
    };
    const later = (): void => {
      if (inView && !frame) {
        frame = requestAnimationFrame(draw);
      }
    };
    const build = (): void => {
      chart?.destroy();
      chart = new uPlot(options(node, latest.current, read), dataOf(latest.current), node);
      read();
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
    };
  }, [drawn, themeChanged, names, group, along, log]);

  const empty = reading.values.every(value => value === null);
  const written = props.written ?? figure;
  return (
    <figure className="gw-chart gw-curve" data-testid={props.testid} data-points={reading.points}>
      <figcaption className="gw-chart-head">
        <span className="gw-chart-title">{props.title}</span>
        <span className="gw-chart-legend">
          {lines.slice(0, IN_LEGEND).map((one, i) => (
            <span key={one.name} className="gw-chart-entry">
              <Swatch index={i} />
              {one.name} <b data-testid="gw-chart-value">{said(written, reading.values[i])}</b>
            </span>
          ))}
          {lines.length > IN_LEGEND && (
            <span className="gw-chart-at">{props.moreWords(lines.length - IN_LEGEND)}</span>
          )}
          {reading.at !== null && (
            <span className="gw-chart-at">
              {along === 'time'
                ? momentOf(reading.at, 1)
                : `${props.stepWord} ${Math.round(reading.at)}`}
            </span>
          )}
        </span>
      </figcaption>
      <div
        ref={host}
        className="gw-chart-host"
        style={{ minHeight: props.height ?? HEIGHT }}
        role="img"
        aria-label={labelOf(props, reading)}
      >
        {empty && <span className="gw-chart-nothing">{props.nothing}</span>}
      </div>
    </figure>
  );
}

function Swatch(props: { index: number }): React.ReactElement {
  return (
    <svg className="gw-chart-swatch" width="16" height="8" aria-hidden="true">
      <line
        x1="0"
        x2="16"
        y1="4"
        y2="4"
        strokeWidth="2"
        stroke={lineColour(props.index)}
        strokeDasharray={dashOf(props.index).join(' ')}
      />
    </svg>
  );
}

/** A second round through the colours takes the next dash, so that no two lines are the same. */
function dashOf(index: number): number[] {
  return DASHES[Math.floor(index / DASHES.length) % DASHES.length] ?? [];
}

function said(written: (value: number) => string, value: number | null | undefined): string {
  return value === null || value === undefined ? '–' : written(value);
}

function labelOf(props: ICurveChartProps, reading: IReading): string {
  const written = props.written ?? figure;
  const values = props.lines
    .slice(0, IN_LEGEND)
    .map((one, i) => `${one.name} ${said(written, reading.values[i])}`);
  return `${props.title}: ${values.join(', ')}`;
}

/** All lines on common places: what a line does not know there is a gap that is drawn over. */
function dataOf(props: ICurveChartProps): uPlot.AlignedData {
  const tables = props.lines.map((_, i) => props.columns(i) as unknown as uPlot.AlignedData);
  return tables.length === 1 ? (tables[0] ?? [[]]) : tables.length ? uPlot.join(tables) : [[]];
}

/** The values under the cursor, else the newest ones of each line. */
function readingOf(chart: uPlot, { lines }: ICurveChartProps): IReading {
  const { idx } = chart.cursor;
  const places = chart.data[0];
  const under = typeof idx === 'number' && (chart.cursor.left ?? -1) >= 0;
  const row = under ? idx : places.length - 1;
  const values = lines.map((_, i) => nearest(chart.data[i + 1] ?? [], row));
  return { values, at: under ? (places[row] ?? null) : null, points: places.length };
}

/** The value at a place, or the last one known before it. */
function nearest(column: ArrayLike<number | null | undefined>, row: number): number | null {
  for (let at = row; at >= 0; at--) {
    const value = column[at];
    if (value !== null && value !== undefined) {
      return value;
    }
  }
  return null;
}

function options(host: HTMLElement, props: ICurveChartProps, moved: () => void): uPlot.Options {
  const { along, log, range, lines, group } = props;
  const written = props.written ?? figure;
  const ink = inkOf(host);
  const axis = { stroke: ink.faint, font: `10px ${ink.font}`, ticks: { show: false } };
  const grid = { stroke: faint(ink.border), width: 1 };
  return {
    width: host.clientWidth || 300,
    height: props.height ?? HEIGHT,
    padding: [8, 10, 0, 0],
    legend: { show: false },
    cursor: { y: false, points: { size: 5 }, sync: { key: group }, drag: { x: true, y: false } },
    scales: {
      x: { time: along === 'time' },
      y: log ? { distr: 3 } : range ? { range: [range[0], range[1]] } : {}
    },
    axes: [
      {
        ...axis,
        grid,
        size: 20,
        gap: 2,
        space: 64,
        values: (_, splits, __, ___, distance) =>
          along === 'time' ? timeLabels(splits, distance) : splits.map(one => figure(one))
      },
      {
        ...axis,
        grid,
        size: 58,
        gap: 4,
        space: 28,
        values: (_, splits) => splits.map(one => (one === null ? '' : written(one)))
      }
    ],
    series: [
      {},
      ...lines.map((one, i) => ({
        stroke: lineColour(i),
        width: 1.5,
        dash: dashOf(i),
        spanGaps: true,
        points: { show: false },
        ...(one.area ? { fill: faint(lineColour(i)) } : {})
      }))
    ],
    hooks: { setCursor: [moved] }
  };
}
