/**
 * Two minutes of activity as an area and memory as a line, without axes, as an image with a label.
 *
 * The only place that knows uPlot. It draws at each sample what `columns` returns then.
 */

import type { ISignal } from '@lumino/signaling';
import React, { useEffect, useRef } from 'react';
import uPlot from 'uplot';

import type { IColumns } from '../model/telemetry';
import type { IColours } from './colours';
import { coloursOf } from './colours';

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
  const { sampled, themeChanged } = props;
  const host = useRef<HTMLDivElement>(null);
  const latest = useRef(props);
  latest.current = props;

  useEffect(() => {
    const node = host.current;
    if (!node) {
      return;
    }
    let chart: uPlot | null = null;
    const draw = (): void => {
      chart?.setData(dataOf(latest.current.columns(), latest.current.total));
    };
    const build = (): void => {
      chart?.destroy();
      const data = dataOf(latest.current.columns(), latest.current.total);
      chart = new uPlot(options(node.clientWidth || 120, coloursOf(node)), data, node);
    };
    const resized = new ResizeObserver(() => {
      chart?.setSize({ width: node.clientWidth || 120, height: HEIGHT });
    });
    build();
    resized.observe(node);
    sampled.connect(draw);
    themeChanged?.connect(build);
    return () => {
      sampled.disconnect(draw);
      themeChanged?.disconnect(build);
      resized.disconnect();
      chart?.destroy();
    };
  }, [sampled, themeChanged]);

  return <div ref={host} className="gw-sparkline" role="img" aria-label={props.label} />;
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
