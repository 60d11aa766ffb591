/** One metric of a run, or of several runs: lines over steps or time, on a plain or logarithmic scale. */

import React from 'react';
import uPlot from 'uplot';

import { figure } from '../model/jobs';
import { momentOf, timeLabels } from './axes';
import type { IChartProps } from './chartfigure';
import { ChartFigure } from './chartfigure';
import { DASHES, inkOf } from './colours';
import { lineOptions } from './options';

/** Places along the chart and values there, both growing together. */
export type Columns = readonly [readonly number[], readonly (number | null)[]];

export interface ICurve {
  readonly name: string;
  readonly area?: boolean;
  /** What was before the first curve: in its colour, paler. */
  readonly before?: boolean;
}

export interface ICurveChartProps extends IChartProps {
  curves: readonly ICurve[];
  /** The columns of a curve, read whenever it is drawn. */
  columns: (curve: number) => Columns;
  /** A place along the chart that is marked, read whenever it is drawn, and the word beside. */
  mark?: { at: () => number | null; word: string };
  along: 'step' | 'time';
  log?: boolean;
  /** Fixed range of the values, for example shares. */
  range?: readonly [number, number];
  written?: (value: number) => string;
  stepWord: string;
}

const HEIGHT = 168;

export function CurveChart(props: ICurveChartProps): React.ReactElement {
  const { curves, along, log, range, group, stepWord, height = HEIGHT, written = figure } = props;
  const timely = along === 'time';
  const lines = curves.map((one, i) => ({ ...one, dash: one.before ? [] : dashOf(i) }));
  const options = (host: HTMLElement): uPlot.Options => {
    const common = lineOptions(
      host,
      { lines, height, group },
      {
        places: timely ? timeLabels : splits => splits.map(figure),
        values: splits => splits.map(one => (one === null ? '' : written(one)))
      }
    );
    return {
      ...common,
      scales: {
        x: { time: timely },
        y: log ? { distr: 3 } : range ? { range: [range[0], range[1]] } : {}
      },
      // Curves come together on each other's places, where most have nothing to say.
      series: common.series.map(one => ({ ...one, spanGaps: true })),
      hooks: props.mark ? { draw: [marking(host, props.mark)] } : {}
    };
  };
  return (
    <ChartFigure
      {...props}
      height={height}
      lines={lines}
      options={options}
      draw={chart => renew(chart, dataOf(props))}
      made={`${along} ${log}`}
      value={written}
      place={at => (timely ? momentOf(at, 1) : `${stepWord} ${Math.round(at)}`)}
    />
  );
}

/** A line from top to bottom where something happened, with a word beside it. */
function marking(
  host: HTMLElement,
  mark: NonNullable<ICurveChartProps['mark']>
): (chart: uPlot) => void {
  return ({ ctx, bbox, valToPos }) => {
    const place = mark.at();
    const left = place === null ? NaN : valToPos(place, 'x', true);
    if (!(left >= bbox.left && left <= bbox.left + bbox.width)) {
      return;
    }
    const ink = inkOf(host);
    ctx.save();
    ctx.strokeStyle = ctx.fillStyle = ink.faint;
    ctx.setLineDash([3, 3].map(one => one * devicePixelRatio));
    ctx.beginPath();
    ctx.moveTo(left, bbox.top);
    ctx.lineTo(left, bbox.top + bbox.height);
    ctx.stroke();
    ctx.font = `${10 * devicePixelRatio}px ${ink.font}`;
    ctx.textBaseline = 'top';
    ctx.textAlign = left > bbox.left + 0.8 * bbox.width ? 'right' : 'left';
    const gap = 4 * devicePixelRatio * (ctx.textAlign === 'right' ? -1 : 1);
    ctx.fillText(mark.word, left + gap, bbox.top);
    ctx.restore();
  };
}

/** A second round through the colours takes the next dash, so that no two lines are the same. */
function dashOf(index: number): readonly number[] {
  return DASHES[Math.floor(index / DASHES.length) % DASHES.length] ?? [];
}

/** All curves on common places: what one does not know there is a gap that is drawn over. */
function dataOf(props: ICurveChartProps): uPlot.AlignedData {
  const tables = props.curves.map((_, i) => props.columns(i) as unknown as uPlot.AlignedData);
  return tables.length === 1 ? (tables[0] ?? [[]]) : tables.length ? uPlot.join(tables) : [[]];
}

/** Draws what there is now; a stretch that somebody zoomed into stays, however the curves grow. */
function renew(chart: uPlot, data: uPlot.AlignedData): void {
  const { min = null, max = null } = chart.scales['x'] ?? {};
  const [first, last] = [chart.data[0][0] ?? Infinity, chart.data[0].at(-1) ?? -Infinity];
  if (min !== null && max !== null && (min > first || max < last)) {
    chart.setData(data, false);
    chart.setScale('x', { min, max });
  } else {
    chart.setData(data);
  }
}
