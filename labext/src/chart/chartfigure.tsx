/**
 * A chart of lines with what stands around it: title, legend with the values, and a cursor by keyboard.
 *
 * Beside the canvas stands the same as text: the legend says the values under the cursor or the newest
 * ones. By keyboard a chart is a slider over its points: arrow keys move the cursor that all charts of
 * its group share, and what it is at is announced. Knows nothing of what the lines are.
 */

import type { ISignal } from '@lumino/signaling';
import React, { useEffect, useState } from 'react';
import type uPlot from 'uplot';

import { useWords } from '../surface/words';
import type { IReading } from './cursor';
import { keepCursor, leaveCursor, moveCursor, readingOf } from './cursor';
import type { ILine } from './options';
import { strokeOf } from './options';
import { usePlot } from './plot';

/** Lines whose values the legend has room for. */
const IN_LEGEND = 8;
const NOTHING: IReading = { values: [], known: false, at: null, row: 0, rows: 1 };

/** What a chart of lines is told by whoever shows it, whatever is drawn. */
export interface IChartProps {
  title: string;
  /** There is something new to draw. */
  drawn: ISignal<unknown, unknown>;
  themeChanged: ISignal<unknown, unknown> | null;
  /** Charts with the same key share their cursor. */
  group: string;
  /** Words where no value is known; a sentence. */
  nothing: string;
  testid?: string;
  /** In pixels. */
  height?: number;
}

export interface IChartFigureProps extends IChartProps {
  height: number;
  lines: readonly ILine[];
  options: (host: HTMLElement) => uPlot.Options;
  draw: (chart: uPlot) => void;
  /** What the options depend on beside lines and group: another one makes the chart anew. */
  made?: string;
  value: (value: number) => string;
  /** A place along the chart, as the cursor says it. */
  place: (at: number) => string;
}

export function ChartFigure(props: IChartFigureProps): React.ReactElement {
  const { lines, group, title } = props;
  const trans = useWords();
  const [reading, setReading] = useState(NOTHING);
  /** What the keys' cursor is at, in words; only keys change it, or each tick would be read out. */
  const [said, setSaid] = useState('');
  const read = (chart: uPlot): void => setReading(readingOf(chart, lines.length));
  const plot = {
    drawn: props.drawn,
    themeChanged: props.themeChanged,
    options: (host: HTMLElement): uPlot.Options => {
      const options = props.options(host);
      return { ...options, hooks: { ...options.hooks, setCursor: [read] } };
    },
    draw: (chart: uPlot): void => {
      chart.batch(() => props.draw(chart)); // At once, so that the cursor finds the new scales.
      keepCursor(chart, group);
      read(chart);
    }
  };
  const made = [...lines.map(one => one.name), group, props.made].join('|');
  const { host, chart } = usePlot(plot, made);
  useEffect(() => () => leaveCursor(group), [group]);

  const pressed = (event: React.KeyboardEvent): void => {
    if (chart.current && moveCursor(chart.current, event.key, group)) {
      event.preventDefault();
      event.stopPropagation();
      setSaid(sentenceOf(props, readingOf(chart.current, lines.length)));
    }
  };
  const left = (): void => {
    if (chart.current && said) {
      moveCursor(chart.current, 'Escape', group);
    }
    setSaid('');
  };

  return (
    <figure className="gw-chart" data-testid={props.testid} data-points={reading.rows}>
      <figcaption className="gw-chart-head">
        <span className="gw-chart-title">{title}</span>
        <span className="gw-chart-legend">
          {lines.slice(0, IN_LEGEND).map((one, i) => (
            <span key={one.name} className="gw-chart-entry">
              <Swatch colour={strokeOf(one, i)} dash={one.dash} />
              {one.name} <b data-testid="gw-chart-value">{valueOf(props, reading, i)}</b>
            </span>
          ))}
          {lines.length > IN_LEGEND && (
            <span className="gw-chart-more">
              {trans.__('and %1 more', lines.length - IN_LEGEND)}
            </span>
          )}
        </span>
      </figcaption>
      <div
        ref={host}
        className="gw-chart-host"
        style={{ minHeight: props.height }}
        role="slider"
        tabIndex={0}
        aria-label={title}
        aria-valuemin={0}
        aria-valuemax={Math.max(1, reading.rows - 1)}
        aria-valuenow={reading.row}
        aria-valuetext={said || sentenceOf(props, reading)}
        onKeyDown={pressed}
        onFocus={() => setSaid(sentenceOf(props, reading))}
        onBlur={left}
        onMouseMove={() => leaveCursor(group)}
      >
        {reading.at !== null && <span className="gw-chart-at">{props.place(reading.at)}</span>}
        {!reading.known && <span className="gw-chart-nothing">{props.nothing}</span>}
      </div>
    </figure>
  );
}

/** A piece of a line as the chart draws it. */
function Swatch(props: { colour: string; dash: readonly number[] }): React.ReactElement {
  return (
    <svg className="gw-chart-swatch" width="16" height="8" aria-hidden="true">
      <line
        x1="0"
        x2="16"
        y1="4"
        y2="4"
        strokeWidth="2"
        stroke={props.colour}
        strokeDasharray={props.dash.join(' ')}
      />
    </svg>
  );
}

function valueOf(props: IChartFigureProps, reading: IReading, line: number): string {
  const value = reading.values[line] ?? null;
  return value === null ? '–' : props.value(value);
}

/** "Use 43 %, SM activity 3 %", under a cursor with the place before. */
function sentenceOf(props: IChartFigureProps, reading: IReading): string {
  const values = props.lines
    .slice(0, IN_LEGEND)
    .map((one, i) => `${one.name} ${valueOf(props, reading, i)}`);
  return [...(reading.at === null ? [] : [props.place(reading.at)]), ...values].join(', ');
}
