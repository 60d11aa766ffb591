/** Two minutes of activity as an area and memory as a line, without axes, as an image with a label. */

import type { ISignal } from '@lumino/signaling';
import React from 'react';
import type uPlot from 'uplot';

import type { IColumns } from '../model/telemetry';
import type { IColours } from './colours';
import { coloursOf } from './colours';
import { usePlot } from './plot';

/** Seconds shown. */
const SPAN = 120;
const HEIGHT = 28;

export interface ISparklineProps {
  columns: () => IColumns;
  /** Bytes at the top of the chart. */
  total: number;
  sampled: ISignal<unknown, unknown>;
  themeChanged: ISignal<unknown, unknown> | null;
  /** For those who can't see it. */
  label: string;
}

export function Sparkline(props: ISparklineProps): React.ReactElement {
  const { columns, total, sampled, themeChanged, label } = props;
  const { host } = usePlot({
    options: node => options(node.clientWidth || 120, coloursOf(node)),
    draw: chart => chart.setData(dataOf(columns(), total)),
    drawn: sampled,
    themeChanged
  });
  return <div ref={host} className="gw-sparkline" role="img" aria-label={label} />;
}

function dataOf(columns: IColumns, total: number): uPlot.AlignedData {
  return [
    columns.times as number[],
    columns.activity as (number | null)[],
    columns.memory.map(bytes => (bytes === null ? null : bytes / (total || 1)))
  ];
}

function options(width: number, colours: IColours): uPlot.Options {
  return {
    width,
    height: HEIGHT,
    padding: [2, 0, 2, 0],
    cursor: { show: false },
    legend: { show: false },
    axes: [{ show: false }, { show: false }],
    scales: {
      x: { time: false, range: (_, __, max) => [max - SPAN, max] },
      y: { range: [0, 1] }
    },
    series: [
      {},
      { stroke: colours.activity, fill: colours.activityFill, width: 1, points: { show: false } },
      { stroke: colours.memory, width: 1, dash: [3, 2], points: { show: false } }
    ]
  };
}
