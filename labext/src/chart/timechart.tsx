/** Some metrics over time; all charts of a page share one window of time, which a drag makes smaller. */

import React, { useRef } from 'react';
import type uPlot from 'uplot';

import type { Unit } from '../model/metrics';
import { written } from '../model/metrics';
import { momentOf, timeLabels, valueLabels, valueRange, valueSteps } from './axes';
import type { IChartProps } from './chartfigure';
import { ChartFigure } from './chartfigure';
import { DASHES, faint, inkOf, lineColour } from './colours';
import type { ILine } from './options';
import { lineOptions } from './options';

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

export interface ITimeChartProps extends IChartProps {
  unit: Unit;
  series: readonly ISeries[];
  /** A rule across the chart, for example the memory of the slice. */
  limit?: { value: number; name: string };
  /** Whether the columns bring the spread of the first series. */
  band?: boolean;
  picture: () => IPicture;
  zoom: (from: number, to: number) => void;
}

const HEIGHT = 132;

export function TimeChart(props: ITimeChartProps): React.ReactElement {
  const { series, unit, picture, height = HEIGHT } = props;
  /** Seconds between the points that were drawn last. */
  const step = useRef(1);
  const lines = series.map((one, i) => ({ ...one, dash: DASHES[i] ?? [] }));
  return (
    <ChartFigure
      {...props}
      height={height}
      lines={lines}
      options={host => options(host, props, lines, height)}
      draw={chart => {
        const now = picture();
        step.current = now.step;
        chart.setData(now.columns as uPlot.AlignedData, false);
        chart.setScale('x', { min: now.from, max: now.to });
      }}
      value={value => written(unit, value)}
      place={at => momentOf(at, step.current)}
    />
  );
}

function options(
  host: HTMLElement,
  props: ITimeChartProps,
  lines: readonly ILine[],
  height: number
): uPlot.Options {
  const { unit, limit, band, group } = props;
  const ink = inkOf(host);
  const steps = valueSteps(unit);
  const common = lineOptions(
    host,
    { lines, height, group },
    { places: timeLabels, values: splits => valueLabels(unit, splits) }
  );
  const [along, up] = common.axes;
  const edge = { stroke: 'transparent', points: { show: false } };
  return {
    ...common,
    cursor: { ...common.cursor, drag: { x: true, y: false, setScale: false } },
    scales: {
      x: { time: true },
      y: { range: (_, __, most) => valueRange(unit, most, limit?.value ?? null) }
    },
    axes: [along, { ...up, ...(steps ? { incrs: steps } : {}) }],
    series: band ? [...common.series, edge, edge] : common.series,
    ...(band
      ? { bands: [{ series: [lines.length + 2, lines.length + 1], fill: faint(lineColour(0)) }] }
      : {}),
    hooks: {
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
