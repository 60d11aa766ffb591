/** What all charts of lines have in common, as uPlot's options. Knows nothing of React. */

import type uPlot from 'uplot';

import { faint, inkOf, lineColour, pale } from './colours';

export interface ILine {
  readonly name: string;
  readonly area?: boolean;
  /** What was before the first line: in its colour, paler. */
  readonly before?: boolean;
  /** Lengths of its pieces and gaps in pixels; empty: it is drawn through. */
  readonly dash: readonly number[];
}

/** The colour of the line that stands at this place. */
export function strokeOf(line: ILine, index: number): string {
  return line.before ? pale(lineColour(0)) : lineColour(index);
}

/** A quiet grid, small labels, the colours, one cursor. */
export function lineOptions(
  host: HTMLElement,
  props: { lines: readonly ILine[]; height: number; group: string },
  labels: {
    /** Of the first axis, with the distance between two of them. */
    places: (splits: number[], distance: number) => string[];
    values: (splits: (number | null)[]) => string[];
  }
): uPlot.Options & { series: uPlot.Series[]; axes: [uPlot.Axis, uPlot.Axis] } {
  const ink = inkOf(host);
  const axis: uPlot.Axis = {
    stroke: ink.faint,
    font: `10px ${ink.font}`,
    ticks: { show: false },
    grid: { stroke: faint(ink.border), width: 1 }
  };
  const along: uPlot.Axis = {
    ...axis,
    size: 20,
    gap: 2,
    space: 64,
    values: (_, splits, __, ___, distance) => labels.places(splits, distance)
  };
  const up: uPlot.Axis = {
    ...axis,
    size: 58,
    gap: 4,
    space: 28,
    values: (_, splits) => labels.values(splits)
  };
  return {
    width: host.clientWidth || 300,
    height: props.height,
    // Where nothing is known there is no axis below, and the last label would be cut.
    padding: [8, 10, chart => (Number.isFinite(chart.scales['x']?.min) ? 0 : 8), 0],
    legend: { show: false },
    cursor: {
      y: false,
      points: { size: 5 },
      sync: { key: props.group },
      drag: { x: true, y: false }
    },
    axes: [along, up],
    series: [
      {},
      ...props.lines.map((one, i) => ({
        stroke: strokeOf(one, i),
        width: 1.5,
        dash: [...one.dash],
        points: {
          show: (chart: uPlot, series: number) => isOne(chart.data[series] ?? []),
          size: 5,
          fill: strokeOf(one, i)
        },
        ...(one.area ? { fill: faint(lineColour(i)) } : {})
      }))
    ]
  };
}

/** A single value is no line: it is drawn as a point. */
function isOne(values: ArrayLike<number | null | undefined>): boolean {
  let known = 0;
  for (let i = 0; i < values.length && known < 2; i++) {
    known += Number.isFinite(values[i]) ? 1 : 0;
  }
  return known === 1;
}
